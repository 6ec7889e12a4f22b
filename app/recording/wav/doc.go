// Package wav reads, mends and writes the recordings of telephone talk: 16-bit PCM at 8 kHz in RIFF/WAVE files.
//
// A switch records each leg alone, as mono, and may leave a header whose sizes are zero or wrong: [Reader] believes what is
// in the file. [Mix] puts such tracks on one time line, each on its channel, and is read as one WAV with a right header.
// Memory does not grow with the length of the talk: everything moves in blocks of 20 ms.
package wav

import (
	"errors"
	"time"
)

// Rate is the number of samples a second of all audio here.
const Rate = 8000

// Block is how many samples move at once: 20 ms, one RTP packet of a telephone.
const Block = Rate / 50

// headerSize is how many bytes stand before the samples in what this package writes.
const headerSize = 44

// Errors of reading.
var (
	// ErrNotWAV says that the bytes are no RIFF/WAVE file, or end before the samples begin.
	ErrNotWAV = errors.New("wav: not a WAV file")
	// ErrFormat says that the file holds other audio than 16-bit PCM, mono, 8 kHz.
	ErrFormat = errors.New("wav: not 16-bit PCM, mono, 8 kHz")
	// ErrTooLong says that the audio does not fit into one WAV file, whose sizes have 32 bits.
	ErrTooLong = errors.New("wav: too long for one file")
)

// Samples is how many samples a time takes, rounded down.
func Samples(d time.Duration) int64 {
	return int64(d/time.Second)*Rate + int64(d%time.Second)*Rate/int64(time.Second)
}

// Length is how long so many samples sound.
func Length(samples int64) time.Duration {
	return time.Duration(samples/Rate)*time.Second + time.Duration(samples%Rate)*time.Second/Rate
}
