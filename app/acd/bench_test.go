package acd_test

import (
	"testing"

	"callplane/app/acd/acdtest"
)

// One event of a large centre: 1,000 agents, 200 queues, 5,000 waiting.
func BenchmarkBrain(b *testing.B) {
	for _, kind := range acdtest.Kinds {
		b.Run(string(kind), func(b *testing.B) {
			c := acdtest.New(1)
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				event, after := c.Next(kind)
				b.StartTimer()
				event()
				b.StopTimer()
				after()
				b.StartTimer()
			}
		})
	}
}
