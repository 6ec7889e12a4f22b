//go:build it

package ari

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"callplane/app/pbx"
	"callplane/app/sandbox"
	"callplane/app/sandbox/sipphone"
)

// times are samples of one thing.
type times []time.Duration

func (l *times) add(d time.Duration) { *l = append(*l, d) }

func (l times) String() string {
	if len(l) == 0 {
		return "none"
	}
	slices.Sort(l)
	return fmt.Sprintf("p50 %.1f p95 %.1f max %.1f ms", ms(l[len(l)/2]), ms(l[len(l)*95/100]), ms(l[len(l)-1]))
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// TestITLatency measures what the driver adds to Asterisk, on an idle machine.
func TestITLatency(t *testing.T) {
	w := newWorld(t)
	w.ok(w.sw.Provision(t.Context(), w.lines()))
	a1 := w.agent(1, 1000)
	var arrived, answer, invite, answered, join, ended times
	for i := range 40 {
		start := time.Now()
		o, e := w.call(fmt.Sprint(6000 + i))
		arrived.add(w.heard(e).Sub(start))
		start = time.Now()
		w.ok(w.sw.Answer(t.Context(), e.Leg))
		answer.add(time.Since(start))
		c, err := o.Wait(t.Context())
		w.ok(err)
		leg := pbx.LegID(fmt.Sprint("m-", i))
		start = time.Now()
		w.ok(w.sw.Dial(t.Context(), leg, pbx.Dial{Phone: "a1"}))
		in := <-a1.Incoming()
		invite.add(in.At.Sub(start))
		start = time.Now()
		ac, err := in.Answer(t.Context())
		w.ok(err)
		answered.add(w.heard(w.await(leg, pbx.Answered)).Sub(start))
		start = time.Now()
		w.ok(w.sw.Join(t.Context(), pbx.RoomID(leg), e.Leg, leg))
		join.add(time.Since(start))
		start = time.Now()
		w.ok(ac.Hangup(t.Context()))
		ended.add(w.heard(w.await(leg, pbx.Ended)).Sub(start))
		w.ok(w.sw.Hangup(t.Context(), e.Leg, pbx.NormalClearing))
		<-c.Done()
		w.ok(w.sw.Close(t.Context(), pbx.RoomID(leg)))
	}
	t.Logf("INVITE in -> Arrived:      %v", arrived)
	t.Logf("Answer:                    %v", answer)
	t.Logf("Dial -> INVITE at phone:   %v", invite)
	t.Logf("phone's 200 -> Answered:   %v", answered)
	t.Logf("Join of two (with create): %v", join)
	t.Logf("phone's BYE -> Ended:      %v", ended)
}

// TestITController is the other process of TestITLoad: it answers each call, dials a number, and joins the two.
func TestITController(t *testing.T) {
	file := os.Getenv("ARI_CONTROL")
	if file == "" {
		t.Skip("runs inside TestITLoad")
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var info sandbox.Info
	if err := json.Unmarshal(b, &info); err != nil {
		t.Fatal(err)
	}
	sw := New(Config{Name: "load", URL: info.ARI, User: info.User, Password: info.Password})
	ctx, cancel := signal.NotifyContext(t.Context(), os.Interrupt)
	defer cancel()
	go sw.Run(ctx)
	other := map[pbx.LegID]pbx.LegID{}
	act := func(err error) {
		if err != nil {
			fmt.Println("controller:", err)
		}
	}
	n := 0
	for e := range sw.Events() {
		switch e.Kind {
		case pbx.Resync:
			act(os.WriteFile(file+".ready", nil, 0o600))
		case pbx.Arrived:
			n++
			out := pbx.LegID(fmt.Sprintf("load-%d-%d", os.Getpid(), n))
			other[e.Leg], other[out] = out, e.Leg
			go func() {
				act(sw.Answer(ctx, e.Leg))
				act(sw.Dial(ctx, out, pbx.Dial{Trunk: "carrier", Number: "9" + e.To, CallerNumber: e.From}))
			}()
		case pbx.Answered:
			if in := other[e.Leg]; strings.HasPrefix(string(e.Leg), "load-") {
				go func() { act(sw.Join(ctx, pbx.RoomID("r-"+e.Leg), in, e.Leg)) }()
			}
		case pbx.Ended:
			if o := other[e.Leg]; o != "" {
				delete(other, o)
				room := pbx.RoomID("r-" + e.Leg)
				if strings.HasPrefix(string(o), "load-") {
					room = pbx.RoomID("r-" + o)
				}
				go func() {
					act(sw.Hangup(ctx, o, pbx.NormalClearing))
					act(sw.Close(ctx, room))
				}()
			}
			delete(other, e.Leg)
		}
	}
}

// TestITLoad measures the processor time that a controller on this driver takes for a call, next to Asterisk's.
func TestITLoad(t *testing.T) {
	w := newWorld(t)
	if w.ast.Asterisk == nil {
		t.Skip("needs an Asterisk of its own")
	}
	w.ok(w.sw.Provision(t.Context(), w.lines()))
	far := w.carrier
	w.stop()
	file := filepath.Join(t.TempDir(), "instance")
	b, _ := json.Marshal(w.ast.Info)
	w.ok(os.WriteFile(file, b, 0o600))
	cmd := exec.Command(os.Args[0], "-test.run=^TestITController$", "-test.timeout=5m")
	if p := os.Getenv("ARI_PROFILE"); p != "" {
		cmd.Args = append(cmd.Args, "-test.cpuprofile="+p)
	}
	cmd.Env = append(os.Environ(), "ARI_CONTROL="+file)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	w.ok(cmd.Start())
	defer func() { cmd.Process.Signal(os.Interrupt); cmd.Wait() }()
	for _, err := os.Stat(file + ".ready"); err != nil; _, err = os.Stat(file + ".ready") {
		time.Sleep(10 * time.Millisecond)
	}
	over := make(chan struct{})
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(over)
	wg.Go(func() { // called parties answer and hang up after two seconds
		for {
			select {
			case in := <-far.Incoming():
				wg.Go(func() {
					if c, err := in.Answer(context.Background()); err == nil {
						time.Sleep(2 * time.Second)
						c.Hangup(context.Background())
					}
				})
			case <-over:
				return
			}
		}
	})
	const calls, rate = 400, 20
	mine, theirs := cpu(t, cmd.Process.Pid), w.astCPU()
	var callers sync.WaitGroup
	var mu sync.Mutex
	ok := 0
	for i := range calls {
		callers.Go(func() {
			c, err := far.Call(t.Context(), fmt.Sprint(20000+i), sipphone.From("138", ""))
			if err != nil {
				t.Error(err)
				return
			}
			select {
			case <-c.Done():
				mu.Lock()
				ok++
				mu.Unlock()
			case <-time.After(20 * time.Second):
				t.Error("a call does not end")
			}
		})
		time.Sleep(time.Second / rate)
	}
	callers.Wait()
	mine, theirs = (cpu(t, cmd.Process.Pid)-mine)/calls, (w.astCPU()-theirs)/calls
	t.Logf("%d of %d calls at %d/s: controller %.2f ms a call, Asterisk %.2f ms, ratio %.2f", ok, calls, rate, ms(mine), ms(theirs), float64(mine)/float64(theirs))
}

func (w *world) astCPU() time.Duration {
	d, err := w.ast.Asterisk.CPUTime()
	w.ok(err)
	return d
}

// cpu is the processor time that a process has had.
func cpu(t *testing.T, pid int) time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}
