package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"time"
)

// figure is one line of the result. What does not apply is left out.
type figure struct {
	Bench string   `json:"bench"`
	Unit  string   `json:"unit"`
	Value *float64 `json:"value,omitempty"`
	P50   *float64 `json:"p50,omitempty"`
	P95   *float64 `json:"p95,omitempty"`
	P99   *float64 `json:"p99,omitempty"`
	N     int      `json:"n"`

	Reference string   `json:"reference,omitempty"`
	RefValue  *float64 `json:"ref_value,omitempty"`
	RefP50    *float64 `json:"ref_p50,omitempty"`
	RefP95    *float64 `json:"ref_p95,omitempty"`
	RefN      int      `json:"ref_n,omitempty"`
	Ratio     *float64 `json:"ratio,omitempty"`
	RatioP95  *float64 `json:"ratio_p95,omitempty"`

	More   map[string]float64 `json:"more,omitempty"`
	Budget string             `json:"budget"`
	Within bool               `json:"within_budget"`
}

// print writes the line.
func (f figure) print() {
	if f.Value != nil && f.RefValue != nil && *f.RefValue > 0 {
		f.Ratio = three(*f.Value / *f.RefValue)
	}
	if f.P95 != nil && f.RefP95 != nil && *f.RefP95 > 0 {
		f.RatioP95 = three(*f.P95 / *f.RefP95)
	}
	line, err := json.Marshal(f)
	if err != nil {
		panic(err) // it is made of numbers and words
	}
	fmt.Println(string(line))
}

// three keeps three digits after the point.
func three(v float64) *float64 {
	v = math.Round(v*1000) / 1000
	return &v
}

// sample is a number of measured times.
type sample []time.Duration

// at is the value that a share of the sample does not exceed, in units.
func (s sample) at(share float64, unit time.Duration) *float64 {
	if len(s) == 0 {
		return nil
	}
	sorted := slices.Sorted(slices.Values(s))
	i := max(int(math.Ceil(share*float64(len(sorted))))-1, 0)
	return three(float64(sorted[i]) / float64(unit))
}

// String is for people.
func (s sample) String() string {
	if len(s) == 0 {
		return "none"
	}
	return fmt.Sprintf("p50 %.1f, p95 %.1f, p99 %.1f ms of %d", *s.at(.5, time.Millisecond), *s.at(.95, time.Millisecond), *s.at(.99, time.Millisecond), len(s))
}

var began = time.Now()

// say tells people what is going on.
func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%6.1fs  %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
}
