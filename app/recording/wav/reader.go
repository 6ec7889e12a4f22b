package wav

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// Reader gives the samples of a mono WAV file as little-endian bytes, always a whole number of samples.
//
// The sizes in the header are taken as a hint. A data size of zero, or one beyond the end of the file, means all there is;
// if what follows the stated size is no chunk, the size was not updated and the samples go on. Half a sample at the end is
// left out.
type Reader struct {
	src  *bufio.Reader
	left int64 // bytes that the header still promises; math.MaxInt64 when it is not believed
	over bool
}

// NewReader reads up to the first sample. Errors: ErrNotWAV, ErrFormat, or that of r.
func NewReader(r io.Reader) (*Reader, error) {
	src := bufio.NewReaderSize(r, 32<<10)
	var riff [12]byte
	if err := fill(src, riff[:]); err != nil {
		return nil, err
	}
	if string(riff[:4]) != "RIFF" || string(riff[8:]) != "WAVE" {
		return nil, ErrNotWAV
	}
	known := false
	for {
		var chunk [8]byte
		if err := fill(src, chunk[:]); err != nil {
			return nil, err
		}
		size := int64(binary.LittleEndian.Uint32(chunk[4:]))
		switch string(chunk[:4]) {
		case "fmt ":
			if err := readFormat(src, size); err != nil {
				return nil, err
			}
			known = true
		case "data":
			if !known {
				return nil, ErrNotWAV
			}
			if size == 0 || size == math.MaxUint32 {
				size = math.MaxInt64
			}
			return &Reader{src: src, left: size}, nil
		default:
			if err := skip(src, size+size%2); err != nil {
				return nil, err
			}
		}
	}
}

// fill reads exactly len(b) bytes; a file that ends before is no WAV file.
func fill(r io.Reader, b []byte) error {
	_, err := io.ReadFull(r, b)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrNotWAV
	}
	return err
}

func skip(r io.Reader, n int64) error {
	_, err := io.CopyN(io.Discard, r, n)
	if errors.Is(err, io.EOF) {
		return ErrNotWAV
	}
	return err
}

func readFormat(r io.Reader, size int64) error {
	const least = 16
	if size < least {
		return ErrNotWAV
	}
	var f [least]byte
	if err := fill(r, f[:]); err != nil {
		return err
	}
	le := binary.LittleEndian
	code, channels, rate, bits := le.Uint16(f[0:]), le.Uint16(f[2:]), le.Uint32(f[4:]), le.Uint16(f[14:])
	const pcm, extensible = 1, 0xFFFE
	if code != pcm && code != extensible || channels != 1 || rate != Rate || bits != 16 {
		return fmt.Errorf("%w: code %d, %d channels, %d Hz, %d bits", ErrFormat, code, channels, rate, bits)
	}
	return skip(r, size-least+size%2)
}

// Read implements io.Reader. It returns whole samples, so p must have room for at least one.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) < 2 {
		return 0, io.ErrShortBuffer
	}
	if r.over || r.left < 2 && r.ends() {
		r.over = true
		return 0, io.EOF
	}
	n, err := r.src.Read(p[:min(int64(len(p)), r.left)&^1])
	if n%2 == 1 { // the other half of the sample
		b, err := r.src.ReadByte()
		if err != nil {
			r.over = errors.Is(err, io.EOF)
			return n - 1, err
		}
		p[n] = b
		n++
	}
	r.left -= int64(n)
	return n, err
}

// ends tells, where the promised samples are over, whether the audio is too: because the file ends, or a chunk follows. If
// neither, the header was not updated: what follows is audio.
func (r *Reader) ends() bool {
	next, err := r.src.Peek(8)
	if len(next) < 2 {
		return true
	}
	if r.left == 1 { // an odd size has a byte of padding
		next = next[1:]
	}
	if err == nil && isChunk(next) {
		return true
	}
	r.left = math.MaxInt64
	return false
}

// isChunk tells whether a chunk of those that programs put behind the samples begins here.
func isChunk(b []byte) bool {
	if len(b) < 4 {
		return false
	}
	switch string(b[:4]) {
	case "LIST", "INFO", "id3 ", "ID3 ", "bext", "cue ", "fact", "JUNK", "junk", "PEAK", "smpl", "iXML", "afsp", "DISP", "PAD ":
		return true
	}
	return false
}

// Unpack copies the samples of a mono WAV file, without its header, and returns how many there are.
func Unpack(dst io.Writer, src io.Reader) (samples int64, err error) {
	r, err := NewReader(src)
	if err != nil {
		return 0, err
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{dst}, struct{ io.Reader }{r}, make([]byte, 32<<10))
	return n / 2, err
}

// header is that of a file with so many samples in each channel.
func header(channels int, samples int64) ([]byte, error) {
	data := samples * 2 * int64(channels)
	if samples < 0 || data > math.MaxUint32-headerSize {
		return nil, ErrTooLong
	}
	le := binary.LittleEndian
	h := make([]byte, 0, headerSize)
	h = le.AppendUint32(append(h, "RIFF"...), uint32(headerSize-8+data))
	h = le.AppendUint32(append(h, "WAVEfmt "...), 16)
	h = le.AppendUint16(h, 1)
	h = le.AppendUint16(h, uint16(channels))
	h = le.AppendUint32(h, Rate)
	h = le.AppendUint32(h, uint32(Rate*2*channels))
	h = le.AppendUint16(h, uint16(2*channels))
	h = le.AppendUint16(h, 16)
	return le.AppendUint32(append(h, "data"...), uint32(data)), nil
}
