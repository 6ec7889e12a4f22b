// Command bench measures Callplane, and beside it, in the same run and with the same phones, the switch's own queue
// (app_queue). It prints one line of JSON for each figure; what it is doing goes to standard error.
//
//	bench                          everything; less than a quarter of an hour
//	bench -only handoff,entry      some of it
//	bench -quick                   shorter, to try something out: the figures are rough
//
// The figures, and what each may be at most or must be at least:
//
//	handoff  an agent hangs up → the next caller's INVITE reaches that agent's phone. 5 agents, 20 callers waiting.
//	         p95 at most 0.1 of app_queue's
//	entry    a caller's INVITE leaves → an INVITE reaches an idle agent. The number leads straight to the queue.
//	         p95 at most 1.5 of app_queue's
//	cps      complete calls a second (answer, queue, agent, three seconds of talk, hang up, record in SQL) held for a
//	         minute without loss. At least 0.9 of app_queue's
//	cpu      processor time of Callplane for a complete call, against Asterisk's for the same call. At most 0.25
//	match    one event of the queue brain with 1,000 agents, 200 queues and 5,000 waiting. p99 below 1,000 µs
//	memory   of one of 10,000 live calls on the switch in memory. Below 64 KiB
//
// It needs root, for the sandbox. All it starts ends with it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	only    []string
	quick   bool
	seconds int    // of each timed part; 0 is its own default
	agents  int    // for cps and cpu
	profile string // folder for profiles of the server, if any
	keep    bool   // keep the working folder
	binary  string // the server to measure; built if empty
}

// names are all figures, in the order in which they are measured.
var names = []string{"match", "memory", "entry", "handoff", "cpu", "cps"}

func main() {
	var o options
	only := flag.String("only", "", "measure these alone, separated by commas: "+strings.Join(names, ","))
	flag.BoolVar(&o.quick, "quick", false, "shorter, for trying things out")
	flag.IntVar(&o.seconds, "seconds", 0, "length of each timed part")
	flag.IntVar(&o.agents, "agents", 240, "agents for cps and cpu")
	flag.StringVar(&o.profile, "profile", "", "write processor profiles of the server into this folder")
	flag.BoolVar(&o.keep, "keep", false, "keep the server's folder")
	flag.StringVar(&o.binary, "server", "", "measure this callplane binary instead of building one")
	flag.Parse()
	o.only = names
	if *only != "" {
		o.only = strings.Split(*only, ",")
	}
	for _, n := range o.only {
		if !slices.Contains(names, n) {
			fmt.Fprintf(os.Stderr, "bench: there is no figure %q\n", n)
			os.Exit(2)
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (o options) wants(figures ...string) bool {
	return slices.ContainsFunc(figures, func(f string) bool { return slices.Contains(o.only, f) })
}

// length is how long a timed part takes.
func (o options) length(full, quick time.Duration) time.Duration {
	switch {
	case o.seconds > 0:
		return time.Duration(o.seconds) * time.Second
	case o.quick:
		return quick
	}
	return full
}

// run measures what is asked for. A figure that fails does not keep the others from being measured.
func run(ctx context.Context, o options) error {
	failed := 0
	measure := func(name string, f func() error) {
		if !o.wants(name) || ctx.Err() != nil {
			return
		}
		say("%s …", name)
		if err := f(); err != nil {
			failed++
			say("%s: %v", name, err)
		}
	}
	measure("match", func() error { return match(o) })
	measure("memory", func() error { return memory(ctx, o) })
	if o.wants("entry", "handoff", "cpu", "cps") {
		p, err := newPair(ctx, o)
		if err != nil {
			return err
		}
		defer p.stop()
		measure("entry", func() error { return entry(ctx, o, p) })
		measure("handoff", func() error { return handoff(ctx, o, p) })
		measure("cpu", func() error { return processor(ctx, o, p) })
		measure("cps", func() error { return rate(ctx, o, p) })
	}
	if failed > 0 {
		return fmt.Errorf("%d figures could not be measured", failed)
	}
	return ctx.Err()
}
