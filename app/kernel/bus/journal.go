package bus

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"time"
)

// journalRotate is the size at which a journal whose entries are all stored starts again from nothing.
const journalRotate = 4 << 20

// kind is what an entry does.
type kind byte

const (
	kindEvent  kind = 'E'
	kindPut    kind = 'P'
	kindDelete kind = 'D'
)

// entry is one thing to be stored.
type entry struct {
	kind    kind
	at      time.Time // when it was given to us
	subject string
	id      string // of an event: the key for idempotence; of a value: its time to live, if it has one
	data    []byte
	bucket  string // of a value
	end     int64  // where the entry ends in the journal
	old     bool   // left by the last process
	event   *Event // not encoded yet
}

// journal is the file of what was accepted and may not be stored yet. A small second file holds how far it is stored.
// Nothing is synced: the journal guards against the end of the process, not of the machine.
type journal struct {
	file, mark *os.File
	size       int64
	left       int64 // up to here the entries are the last process's
	buf        []byte
}

// openJournal opens both files and returns the place up to which entries are stored.
func openJournal(dir string) (j *journal, done int64, err error) {
	j = &journal{}
	if j.file, err = os.OpenFile(filepath.Join(dir, "unsent.log"), os.O_CREATE|os.O_RDWR, 0o640); err != nil {
		return nil, 0, err
	}
	if j.mark, err = os.OpenFile(filepath.Join(dir, "unsent.pos"), os.O_CREATE|os.O_RDWR, 0o640); err != nil {
		return nil, 0, errors.Join(err, j.file.Close())
	}
	st, err := j.file.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, j.close())
	}
	j.size, j.left = st.Size(), st.Size()
	var raw [8]byte
	if n, _ := j.mark.ReadAt(raw[:], 0); n == len(raw) {
		done = int64(binary.LittleEndian.Uint64(raw[:]))
	}
	return j, min(done, j.size), nil
}

// append writes entries at the end and sets where each ends.
func (j *journal) append(entries []*entry) error {
	j.buf = j.buf[:0]
	for _, e := range entries {
		start := len(j.buf)
		j.buf = append(j.buf, 0, 0, 0, 0, 0, 0, 0, 0, byte(e.kind))
		j.buf = binary.LittleEndian.AppendUint64(j.buf, uint64(e.at.UnixMicro()))
		for _, s := range []string{e.subject, e.id, e.bucket} {
			j.buf = binary.LittleEndian.AppendUint16(j.buf, uint16(len(s)))
			j.buf = append(j.buf, s...)
		}
		j.buf = append(j.buf, e.data...)
		body := j.buf[start+8:]
		binary.LittleEndian.PutUint32(j.buf[start:], uint32(len(body)))
		binary.LittleEndian.PutUint32(j.buf[start+4:], crc32.ChecksumIEEE(body))
		e.end = j.size + int64(len(j.buf))
	}
	n, err := j.file.WriteAt(j.buf, j.size)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	j.size += int64(n)
	if cap(j.buf) > 1<<20 {
		j.buf = nil
	}
	return nil
}

// stored says that all up to an entry's end is stored. A journal that is stored to its end and has grown starts again.
func (j *journal) stored(end int64, all bool) error {
	if all && end == j.size && j.size >= journalRotate {
		// First the file, then the mark: a mark beyond the file means that all is stored.
		if err := j.file.Truncate(0); err != nil {
			return fmt.Errorf("journal: %w", err)
		}
		j.size, j.left, end = 0, 0, 0
	}
	var raw [8]byte
	binary.LittleEndian.PutUint64(raw[:], uint64(end))
	if _, err := j.mark.WriteAt(raw[:], 0); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}

// read reads up to n entries from a place on. It stops at an entry that is not whole, the last one a dying process
// began.
func (j *journal) read(from int64, n int) ([]*entry, error) {
	var out []*entry
	r := bufio.NewReaderSize(io.NewSectionReader(j.file, from, j.size-from), 1<<16)
	for len(out) < n {
		var head [8]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			break
		}
		size := binary.LittleEndian.Uint32(head[:])
		if int64(size) > j.size-from-8 || size < 9+6 {
			break
		}
		body := make([]byte, size)
		if _, err := io.ReadFull(r, body); err != nil {
			return out, fmt.Errorf("journal: %w", err)
		}
		if crc32.ChecksumIEEE(body) != binary.LittleEndian.Uint32(head[4:]) {
			break
		}
		from += 8 + int64(size)
		e := &entry{kind: kind(body[0]), at: time.UnixMicro(int64(binary.LittleEndian.Uint64(body[1:]))), end: from, old: from <= j.left}
		rest := body[9:]
		for _, s := range []*string{&e.subject, &e.id, &e.bucket} {
			if len(rest) < 2 || len(rest) < 2+int(binary.LittleEndian.Uint16(rest)) {
				return out, errors.New("journal: an entry is damaged")
			}
			end := 2 + int(binary.LittleEndian.Uint16(rest))
			*s, rest = string(rest[2:end]), rest[end:]
		}
		e.data = rest
		out = append(out, e)
	}
	return out, nil
}

func (j *journal) close() error { return errors.Join(j.file.Close(), j.mark.Close()) }
