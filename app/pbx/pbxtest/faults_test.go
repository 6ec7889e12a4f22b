package pbxtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"callplane/app/pbx"
)

// inTime runs a test in fake time, on a switch with a phone that answers, and a caller who talks to it.
func inTime(t *testing.T, test func(t *testing.T, sw *Switch, tp *tape, caller, agent *Party)) {
	synctest.Test(t, func(t *testing.T) {
		sw := New(WithMediaTimeout(30 * time.Second))
		sw.AddPhone("1001").OnCall(Answer())
		tp := run(t, sw)
		caller := sw.CallIn(Inbound{From: "139", To: "4001"})
		ok(t, sw.Answer(t.Context(), caller.ID()))
		ok(t, sw.Dial(t.Context(), "a", pbx.Dial{Phone: "1001"}))
		ok(t, sw.Join(t.Context(), "r", caller.ID(), "a"))
		test(t, sw, tp, caller, sw.Party("a"))
	})
}

func TestCutAndRestore(t *testing.T) {
	inTime(t, func(t *testing.T, sw *Switch, tp *tape, caller, agent *Party) {
		sw.Cut()
		sw.Cut()
		if err := sw.Hangup(t.Context(), "a", 16); !errors.Is(err, pbx.ErrUnreachable) {
			t.Error(err)
		}
		caller.Press("1")
		late := sw.CallIn(Inbound{From: "138", To: "4001"})
		want(t, "a call without a control plane lives", late.Alive(), false)
		hears(t, caller, "1001")
		agent.Hangup()
		sw.Restore()
		caller.Press("2")
		want(t, "caller", tp.story(caller.ID()), "Arrived Answered Digit2")
		want(t, "agent", tp.story("a"), "Ringing Answered")
		want(t, "link", tp.story(""), "Resync LineChanged(1001,up) LineChanged(carrier,up) Lost Resync")
	})
}

func TestRestart(t *testing.T) {
	inTime(t, func(t *testing.T, sw *Switch, tp *tape, caller, agent *Party) {
		ok(t, sw.Record(t.Context(), "a", "rec", 0))
		time.Sleep(time.Second)
		sw.Restart()
		want(t, "caller", tp.story(caller.ID()), "Arrived Answered")
		want(t, "alive", agent.Alive(), false)
		snap, err := sw.Snapshot(t.Context())
		ok(t, err)
		want(t, "legs", len(snap.Legs)+len(snap.Recordings), 0)
		want(t, "line", snap.Lines["1001"], pbx.LineUp)
		want(t, "recordings", fmt.Sprint(sw.Recordings()), "[rec]")
		want(t, "link", strings.HasSuffix(tp.story(""), "Lost Resync"), true)
	})
}

func TestAttach(t *testing.T) {
	inTime(t, func(t *testing.T, sw *Switch, tp *tape, caller, agent *Party) {
		synctest.Wait() // what is not read yet would be lost
		sw.Detach()
		caller.Press("1")
		agent.Hangup()
		if err := sw.Answer(t.Context(), caller.ID()); !errors.Is(err, pbx.ErrUnreachable) {
			t.Error(err)
		}
		next := sw.Attach()
		np := run(t, next)
		snap, err := next.Snapshot(t.Context())
		ok(t, err)
		want(t, "legs", len(snap.Legs), 1)
		caller.Press("2")
		want(t, "the old one", tp.story(caller.ID()), "Arrived Answered")
		want(t, "the new one", np.story(caller.ID()), "Digit2")

		third := run(t, sw.Attach()) // without Detach: as another node does
		want(t, "replaced", np.story(""), "Resync Replaced")
		if err := next.Hangup(t.Context(), caller.ID(), 16); !errors.Is(err, pbx.ErrUnreachable) {
			t.Error(err)
		}
		ok(t, third.sw.Hangup(t.Context(), caller.ID(), pbx.NormalClearing))
		want(t, "the third", third.story(caller.ID()), "Ended(normal_clearing,true)")
	})
}

func TestRunEnds(t *testing.T) {
	inTime(t, func(t *testing.T, sw *Switch, tp *tape, caller, agent *Party) {
		tp.stop()
		if _, open := <-sw.Events(); open {
			t.Error("Events is open after Run")
		}
		hears(t, caller, "1001")
		if err := sw.Hangup(context.Background(), "a", 16); !errors.Is(err, pbx.ErrUnreachable) {
			t.Error(err)
		}
	})
}

func TestFailAndDelay(t *testing.T) {
	inTime(t, func(t *testing.T, sw *Switch, tp *tape, caller, agent *Party) {
		broken := errors.New("broken")
		sw.FailNext(VerbLeave, broken)
		want(t, "first", sw.Leave(t.Context(), "a"), broken)
		hears(t, caller, "1001")
		ok(t, sw.Leave(t.Context(), "a"))
		hears(t, caller, Silence)
		sw.Delay(VerbPark, 3*time.Second)
		start := time.Now()
		ok(t, sw.Park(t.Context(), "a", ""))
		want(t, "delay", time.Since(start), 3*time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := sw.Park(ctx, "a", "jazz"); !errors.Is(err, pbx.ErrUnreachable) {
			t.Error(err)
		}
		hears(t, agent, "music:default")
		log := sw.Log()
		want(t, "log", strings.Join(log[len(log)-4:], "; "),
			"Leave a ! broken; Leave a; Park a; Park a jazz ! switch_unreachable")
		sw.ClearLog()
		want(t, "cleared log", len(sw.Log()), 0)
	})
}

func TestPhoneCrashes(t *testing.T) {
	inTime(t, func(t *testing.T, sw *Switch, tp *tape, caller, agent *Party) {
		sw.Phone("1001").Crash()
		hears(t, caller, Silence)
		agent.Press("1")
		time.Sleep(29 * time.Second)
		want(t, "agent", tp.story("a"), "Ringing Answered")
		if err := sw.Dial(t.Context(), "b", pbx.Dial{Phone: "1001"}); !errors.Is(err, pbx.ErrNoLine) {
			t.Error(err)
		}
		time.Sleep(2 * time.Second)
		want(t, "agent", tp.story("a"), "Ringing Answered Ended(media_timeout,false)")
		want(t, "line", strings.HasSuffix(tp.story(""), "LineChanged(1001,down)"), true)
	})
}

func TestRecordings(t *testing.T) {
	inTime(t, func(t *testing.T, sw *Switch, tp *tape, caller, agent *Party) {
		ctx, in := t.Context(), caller.ID()
		read := func(id pbx.RecordingID) []float64 {
			t.Helper()
			f, err := sw.FetchRecording(ctx, id)
			ok(t, err)
			b, err := io.ReadAll(f)
			ok(t, err)
			audio, err := parseWAV(b)
			ok(t, err)
			return audio
		}
		ok(t, sw.Record(ctx, in, "c", 0))
		ok(t, sw.Record(ctx, "a", "a", 5*time.Second))
		time.Sleep(time.Second)
		ok(t, sw.MaskRecord(ctx, "c", true))
		ok(t, sw.Mute(ctx, in, true))
		time.Sleep(time.Second)
		ok(t, sw.MaskRecord(ctx, "c", false)) // still muted
		time.Sleep(time.Second)
		ok(t, sw.Mute(ctx, in, false))
		time.Sleep(time.Second)
		sw.DiskFull(true)
		audio := read("c")
		want(t, "samples", len(audio), 4*Rate)
		want(t, "first second", toned(audio[:Rate], caller.Tone()), time.Second)
		want(t, "masked and muted", toned(audio[Rate:3*Rate], caller.Tone()), 0)
		want(t, "last second", toned(audio[3*Rate:], caller.Tone()), time.Second)
		want(t, "the other", toned(audio, agent.Tone()), 0)
		want(t, "agent's samples", len(read("a")), 4*Rate)
		ok(t, sw.Record(ctx, in, "late", 0))
		want(t, "on a full disk", len(read("late")), 0)
		want(t, "caller", tp.story(in), "Arrived Answered RecordStarted RecordEnded(true) RecordStarted RecordEnded(true)")
		sw.DiskFull(false)
		ok(t, sw.Record(ctx, "a", "limited", 2*time.Second))
		time.Sleep(3 * time.Second)
		want(t, "limited", len(read("limited")), 2*Rate)
		want(t, "all", fmt.Sprint(sw.Recordings()), "[a c late limited]")
	})
}

func TestFarEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		sw := New()
		sw.AddTrunk("t1").OnCall(func(number string) Behaviour {
			switch number {
			case "1":
				return RejectAfter(time.Second, pbx.Busy)
			case "2":
				return AnswerAfter(time.Second).EarlyMedia().HangupAfter(time.Minute)
			case "3":
				return Silent()
			}
			return RejectWith(pbx.Unallocated)
		})
		tp := run(t, sw)
		for _, number := range []string{"1", "2", "3", "4"} {
			ok(t, sw.Dial(ctx, pbx.LegID(number), pbx.Dial{Trunk: "t1", Number: number, Timeout: 20 * time.Second}))
		}
		want(t, "live call to 2", sw.Trunk("t1").Call("2").ID(), "2")
		time.Sleep(2 * time.Minute)
		want(t, "1", tp.story("1"), "Ringing Ended(busy,false)")
		want(t, "2", tp.story("2"), "Progress Answered Ended(normal_clearing,false)")
		want(t, "3", tp.story("3"), "Ended(no_answer,false)")
		want(t, "4", tp.story("4"), "Ended(unallocated_number,false)")
		sw.Trunk("t1").Down()
		if err := sw.Dial(ctx, "5", pbx.Dial{Trunk: "t1", Number: "1"}); !errors.Is(err, pbx.ErrNoLine) {
			t.Error(err)
		}
		sw.Trunk("t1").Up()
		want(t, "line", tp.story(""), "Resync LineChanged(t1,up) LineChanged(t1,down) LineChanged(t1,up)")
		want(t, "unknown trunk", sw.CallIn(Inbound{To: "1", Trunk: "t2"}).Alive(), false)

		phone := sw.AddPhone("p").OnCall(RejectWith(pbx.Busy), RingForever())
		ok(t, sw.Dial(ctx, "p1", pbx.Dial{Phone: "p"}))
		ok(t, sw.Dial(ctx, "p2", pbx.Dial{Phone: "p"}))
		phone.Call().Answer() // by hand
		out := phone.CallOut("4001")
		ok(t, sw.Answer(ctx, out.ID()))
		want(t, "p1", tp.story("p1"), "Ended(busy,false)")
		want(t, "p2", tp.story("p2"), "Ringing Answered")
		want(t, "calls", len(phone.Calls()), 2)
		for _, bad := range []error{
			sw.Dial(ctx, "p2", pbx.Dial{Phone: "p"}), sw.Dial(ctx, "bad id", pbx.Dial{Phone: "p"}),
			sw.Dial(ctx, "x", pbx.Dial{}), sw.Dial(ctx, "x", pbx.Dial{Trunk: "t1"}), sw.Spy(ctx, "p2", "p2", pbx.Listen),
			sw.Spy(ctx, "p2", out.ID(), "shout"), sw.SendDigits(ctx, "p2", "hello"), sw.Answer(ctx, "p2"),
		} {
			if !errors.Is(bad, ErrUsage) {
				t.Errorf("error %v, want ErrUsage", bad)
			}
		}
	})
}
