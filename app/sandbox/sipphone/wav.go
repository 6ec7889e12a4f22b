package sipphone

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
)

// WriteWAV writes samples (8 kHz, mono) as a 16-bit WAV file.
func WriteWAV(path string, pcm []int16) error {
	var b bytes.Buffer
	size := uint32(2 * len(pcm))
	b.WriteString("RIFF")
	_ = binary.Write(&b, binary.LittleEndian, 36+size)
	b.WriteString("WAVEfmt ")
	_ = binary.Write(&b, binary.LittleEndian, struct {
		Size              uint32
		Format, Channels  uint16
		Rate, BytesPerSec uint32
		Align, Bits       uint16
	}{16, 1, 1, rate, 2 * rate, 2, 16})
	b.WriteString("data")
	_ = binary.Write(&b, binary.LittleEndian, size)
	_ = binary.Write(&b, binary.LittleEndian, pcm)
	return os.WriteFile(path, b.Bytes(), 0o644)
}

// ReadWAV reads a WAV file of 8 kHz, mono, 16-bit PCM or µ-law.
func ReadWAV(path string) ([]int16, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pcm, err := parseWAV(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return pcm, nil
}

func parseWAV(b []byte) ([]int16, error) {
	if len(b) < 12 || string(b[:4]) != "RIFF" || string(b[8:12]) != "WAVE" {
		return nil, errors.New("not a WAV file")
	}
	var format, bits uint16
	for b = b[12:]; len(b) >= 8; {
		name, size := string(b[:4]), int(binary.LittleEndian.Uint32(b[4:]))
		body := b[8:min(len(b), 8+size)] // a file still being written may promise more
		switch name {
		case "fmt ":
			if len(body) < 16 {
				return nil, errors.New("short fmt chunk")
			}
			format, bits = binary.LittleEndian.Uint16(body), binary.LittleEndian.Uint16(body[14:])
			if channels, hz := binary.LittleEndian.Uint16(body[2:]), binary.LittleEndian.Uint32(body[4:]); channels != 1 || hz != rate {
				return nil, fmt.Errorf("%d channels at %d Hz, want one at %d", channels, hz, rate)
			}
		case "data":
			return decodeWAV(body, format, bits)
		}
		b = b[min(len(b), 8+size+size%2):]
	}
	return nil, errors.New("no data chunk")
}

func decodeWAV(body []byte, format, bits uint16) ([]int16, error) {
	switch {
	case format == 1 && bits == 16:
		pcm := make([]int16, len(body)/2)
		for i := range pcm {
			pcm[i] = int16(binary.LittleEndian.Uint16(body[2*i:]))
		}
		return pcm, nil
	case format == 7 && bits == 8:
		pcm := make([]int16, len(body))
		for i, v := range body {
			pcm[i] = ulaw[v]
		}
		return pcm, nil
	}
	return nil, fmt.Errorf("WAV format %d with %d bits, want 16-bit PCM or µ-law", format, bits)
}
