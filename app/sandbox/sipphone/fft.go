package sipphone

import (
	"math"
	"math/bits"
	"sync"
)

var roots sync.Map // length to the first half of its roots of unity

func rootsFor(n int) []complex128 {
	if r, ok := roots.Load(n); ok {
		return r.([]complex128)
	}
	r := make([]complex128, n/2)
	for i := range r {
		s, c := math.Sincos(-2 * math.Pi * float64(i) / float64(n))
		r[i] = complex(c, s)
	}
	roots.Store(n, r)
	return r
}

// fft transforms x in place, back again if inverse. Its length must be a power of two.
func fft(x []complex128, inverse bool) {
	n := len(x)
	if n < 2 {
		return
	}
	shift := bits.LeadingZeros64(uint64(n)) + 1
	for i := range x {
		if j := int(bits.Reverse64(uint64(i)) >> shift); i < j {
			x[i], x[j] = x[j], x[i]
		}
	}
	w := rootsFor(n)
	for size := 2; size <= n; size *= 2 {
		half, step := size/2, n/size
		for start := 0; start < n; start += size {
			for i := range half {
				r := w[i*step]
				if inverse {
					r = complex(real(r), -imag(r))
				}
				a, b := x[start+i], x[start+i+half]*r
				x[start+i], x[start+i+half] = a+b, a-b
			}
		}
	}
	if inverse {
		for i := range x {
			x[i] /= complex(float64(n), 0)
		}
	}
}
