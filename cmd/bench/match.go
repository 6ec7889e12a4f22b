package main

import (
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"callplane/app/acd/acdtest"
)

// match times single events of the queue brain in a large centre: agents become free, callers join, with and without
// free agents, and requirements are relaxed, each as often as the others. What counts is the processor time of the thread, so
// that neighbours on a busy machine are not timed too.
func match(o options) error {
	n := 40000
	if o.quick {
		n = 8000
	}
	c := acdtest.New(1)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var all sample
	byKind := map[acdtest.Kind]sample{}
	for i := range n {
		kind := acdtest.Kinds[i%len(acdtest.Kinds)]
		event, after := c.Next(kind)
		began := threadTime()
		event()
		took := threadTime() - began
		after()
		all, byKind[kind] = append(all, took), append(byKind[kind], took)
	}
	f := figure{Bench: "match", Unit: "us", N: n, P50: all.at(.5, time.Microsecond), P95: all.at(.95, time.Microsecond), P99: all.at(.99, time.Microsecond),
		Budget: "p99 < 1000", More: map[string]float64{}}
	for kind, s := range byKind {
		f.More[string(kind)+"_p99"] = *s.at(.99, time.Microsecond)
	}
	say("match: %s", fmt.Sprint(f.More))
	f.Within = *f.P99 < 1000
	f.print()
	return nil
}

// threadTime is the processor time that this thread has used.
func threadTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		panic(err) // every Linux has this clock
	}
	return time.Duration(t.Nano())
}
