package wav

// Peaks are the loudest samples of each channel, one for each bucket of time: 255 is the loudest there can be.
type Peaks [][]uint8

// buckets is how many peaks a channel has. A recording shorter than 16 s has one for each block of 20 ms.
const buckets = 800

// Percent are the peaks as players want them: 0 to 1.
func (p Peaks) Percent() [][]float64 {
	out := make([][]float64, len(p))
	for i, channel := range p {
		out[i] = make([]float64, len(channel))
		for j, v := range channel {
			out[i][j] = float64(int(v)*1000/255) / 1000
		}
	}
	return out
}

// Bytes writes the peaks of all channels one after another.
func (p Peaks) Bytes() []byte {
	out := []byte{}
	for _, channel := range p {
		out = append(out, channel...)
	}
	return out
}

// PeaksOf reads what Bytes wrote.
func PeaksOf(raw []byte, channels int) Peaks {
	p := make(Peaks, max(channels, 1))
	n := len(raw) / len(p)
	for i := range p {
		p[i] = raw[i*n : (i+1)*n]
	}
	return p
}

// peakMeter collects peaks while audio passes.
type peakMeter struct {
	peaks   Peaks
	samples int64
}

func newPeakMeter(channels int, samples int64) *peakMeter {
	n := min(buckets, (samples+Block-1)/Block)
	m := &peakMeter{make(Peaks, channels), max(samples, 1)}
	for i := range m.peaks {
		m.peaks[i] = make([]uint8, n)
	}
	return m
}

func (m *peakMeter) add(channel int, at int64, pcm []int16) {
	into := m.peaks[channel]
	for i, v := range pcm {
		level := int(v)
		if level < 0 {
			level = -level - 1
		}
		b := &into[(at+int64(i))*int64(len(into))/m.samples]
		*b = max(*b, uint8(level>>7))
	}
}
