//go:build it

package ari

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	ari "github.com/CyCoreSystems/ari/v6"

	"callplane/app/pbx"
	"callplane/app/sandbox/sipphone"
)

// answered is a caller from the carrier who is answered.
func (w *world) answered(to string, opts ...sipphone.CallOption) (*sipphone.Call, pbx.LegID) {
	w.Helper()
	o, e := w.call(to, opts...)
	w.ok(w.sw.Answer(w.Context(), e.Leg))
	w.await(e.Leg, pbx.Answered)
	c, err := o.Wait(w.Context())
	w.ok(err)
	w.Cleanup(func() { _ = w.sw.Hangup(context.Background(), e.Leg, pbx.NormalClearing) })
	return c, e.Leg
}

func (w *world) equal(what string, got, want any) {
	w.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		w.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// A From that is anonymous, one that is hidden by Privacy, and one that the carrier vouches for.
func TestITWhoCalls(t *testing.T) {
	w := newWorld(t)
	w.ok(w.sw.Provision(t.Context(), w.lines()))
	for name, tt := range map[string]struct {
		opts     []sipphone.CallOption
		from     string
		withheld bool
	}{
		"plain":               {[]sipphone.CallOption{sipphone.From("13800138000", "Li Lei")}, "13800138000", false},
		"anonymous":           {[]sipphone.CallOption{sipphone.Anonymous()}, "", true},
		"asserted":            {[]sipphone.CallOption{sipphone.From("1", ""), sipphone.Asserted("13900139000", "")}, "13900139000", false},
		"asserted and hidden": {[]sipphone.CallOption{sipphone.Anonymous(), sipphone.Asserted("13900139000", "")}, "", true},
	} {
		to := fmt.Sprint(7000 + len(name))
		_, e := w.call(to, tt.opts...)
		w.equal(name+": from, withheld", words(e.From, e.Withheld), words(tt.from, tt.withheld))
		w.equal(name+": trunk", e.Trunk, "carrier")
		w.ok(w.sw.Hangup(t.Context(), e.Leg, pbx.Busy))
	}
}

// A browser that is closed in a call says nothing: the RTP timeout ends the leg.
func TestITAPhoneThatVanishes(t *testing.T) {
	w := newWorld(t)
	w.ok(w.sw.Provision(t.Context(), w.lines()))
	key := ari.NewKey("config", ari.ConfigID("res_pjsip", "endpoint", "cp-a1"))
	w.ok(w.sw.lib.Asterisk().Config().Update(key, []ari.ConfigTuple{{Attribute: "rtp_timeout", Value: "2"}}))
	defer w.sw.provision.forgetAll()
	a1 := w.agent(1, 1000)

	w.ok(w.sw.Dial(t.Context(), "vanish-1", pbx.Dial{Phone: "a1"}))
	in := <-a1.Incoming()
	_, err := in.Answer(t.Context())
	w.ok(err)
	w.await("vanish-1", pbx.Answered)
	o, err := a1.Start("900")
	w.ok(err)
	e := w.await("", pbx.Arrived)
	w.equal("phone", e.Phone, "a1")
	w.equal("from", e.From, "a1")
	w.ok(w.sw.Answer(t.Context(), e.Leg))
	_, err = o.Wait(t.Context())
	w.ok(err)
	time.Sleep(200 * time.Millisecond)
	a1.Vanish(true)
	defer a1.Vanish(false)
	w.equal("dialled leg", w.await("vanish-1", pbx.Ended).Cause, pbx.MediaTimeout)
	end := w.await(e.Leg, pbx.Ended)
	w.equal("arrived leg: cause, by us", words(end.Cause, end.ByUs), words(pbx.MediaTimeout, false))
}

// A second node takes the application over; the first stops acting, and closing its link harms nobody.
func TestITReplaced(t *testing.T) {
	w := newWorld(t)
	w.ok(w.sw.Provision(t.Context(), w.lines()))
	c, leg := w.answered("7101")
	first, stopFirst := w.sw, w.stop
	w.sw = New(Config{Name: "it2", URL: w.ast.Info.ARI, User: w.ast.Info.User, Password: w.ast.Info.Password, Log: first.log})
	w.run()
	w.equal("the first is told", w.heard(pbx.Event{Kind: pbx.Replaced}).IsZero(), false)
	if err := first.Answer(t.Context(), leg); err == nil {
		t.Error("the replaced node still acts")
	}
	stopFirst()
	time.Sleep(300 * time.Millisecond)
	_, e := w.call("7102")
	w.ok(w.sw.Answer(t.Context(), e.Leg))
	w.ok(w.sw.Join(t.Context(), "taken-over", leg, e.Leg))
	w.ok(c.Hangup(t.Context()))
	w.equal("cause of a leg of the first", w.await(leg, pbx.Ended).Cause, pbx.NormalClearing)
}

// Recordings, listening and music outlive us; the next of us ends them as if it had begun them.
func TestITWeRestart(t *testing.T) {
	w := newWorld(t)
	w.ok(w.sw.Provision(t.Context(), w.lines()))
	a1 := w.agent(1, 1000)
	c, leg := w.answered("7201")
	_, ear := w.answered("7202")
	_, parked := w.answered("7203")
	w.ok(w.sw.Dial(t.Context(), "restart-1", pbx.Dial{Phone: "a1", Tag: "t"}))
	in := <-a1.Incoming()
	_, err := in.Answer(t.Context())
	w.ok(err)
	w.await("restart-1", pbx.Answered)
	w.ok(w.sw.Join(t.Context(), "restart-room", leg, "restart-1"))
	w.ok(w.sw.Park(t.Context(), parked, ""))
	w.ok(w.sw.Record(t.Context(), leg, "it/restart", time.Minute))
	w.ok(w.sw.Spy(t.Context(), ear, leg, pbx.Listen))
	w.ok(w.sw.Play(t.Context(), parked, "restart-play", "silence:3000"))
	w.stop()
	time.Sleep(500 * time.Millisecond)

	w.sw = New(Config{Name: "it2", URL: w.ast.Info.ARI, User: w.ast.Info.User, Password: w.ast.Info.Password, Log: w.sw.log})
	w.run()
	snap, err := w.sw.Snapshot(t.Context())
	w.ok(err)
	w.equal("legs", len(snap.Legs), 4)
	w.equal("recordings", snap.Recordings, "[it/restart]")
	w.equal("playback", w.await(parked, pbx.PlayEnded).OK, true)
	_, err = w.sw.FetchRecording(t.Context(), "it/restart")
	if err == nil {
		t.Error("a running recording was fetched")
	}
	w.ok(w.sw.Spy(t.Context(), ear, leg, pbx.Whisper))
	w.ok(w.sw.MaskRecord(t.Context(), "it/restart", true))
	w.ok(w.sw.StopRecord(t.Context(), "it/restart"))
	rec := w.await(leg, pbx.RecordEnded)
	w.equal("recording", rec.OK, true)
	w.ok(w.sw.DropRecording(t.Context(), "it/restart"))
	w.ok(w.sw.Park(t.Context(), ear, "")) // ends the listening
	w.ok(w.sw.Leave(t.Context(), "restart-1"))
	w.ok(c.Hangup(t.Context()))
	w.await(leg, pbx.Ended)
	w.ok(w.sw.Hangup(t.Context(), "restart-1", pbx.NormalClearing))
	w.equal("by us", w.await("restart-1", pbx.Ended).ByUs, true)
	time.Sleep(200 * time.Millisecond)
	w.nothingLeft(2)
}

// nothingLeft checks that no snoop and no bridge of the driver's is left but parks, and so many channels.
func (w *world) nothingLeft(channels int) {
	w.Helper()
	var list []channel
	w.ok(w.sw.do(w.Context(), ask{op: "channels", method: http.MethodGet, path: path("channels")}, &list))
	if len(list) != channels {
		w.Errorf("%d channels are left, want %d: %+v", len(list), channels, list)
	}
	var bridges []ari.BridgeData
	w.ok(w.sw.do(w.Context(), ask{op: "bridges", method: http.MethodGet, path: path("bridges")}, &bridges))
	for _, b := range bridges {
		if helper(b.ID) {
			w.Errorf("bridge %s is left", b.ID)
		}
	}
}

// Asterisk dies in mid-call. All legs are gone, lines are written again, and calls work as before.
func TestITAsteriskRestarts(t *testing.T) {
	w := newWorld(t)
	if w.ast.Asterisk == nil {
		t.Skip("needs an Asterisk of its own")
	}
	w.ok(w.sw.Provision(t.Context(), w.lines()))
	w.agent(1, 1000)
	time.Sleep(2 * time.Second) // Asterisk saves contacts once a second
	_, leg := w.answered("7301")
	w.ok(w.sw.Park(t.Context(), leg, ""))
	w.ok(w.ast.Asterisk.Kill())
	w.await("", pbx.Lost)
	time.Sleep(300 * time.Millisecond)
	w.ok(w.ast.Asterisk.Restart(t.Context()))
	w.await("", pbx.Resync)
	snap, err := w.sw.Snapshot(t.Context())
	w.ok(err)
	w.equal("legs", len(snap.Legs), 0)
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if snap, err = w.sw.Snapshot(t.Context()); err == nil && len(snap.Lines) == 4 && snap.Lines["a1"] == pbx.LineUp && snap.Lines["carrier"] == pbx.LineUp {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("lines are %v", snap.Lines)
		}
	}
	c, leg := w.answered("7302")
	w.ok(w.sw.Park(t.Context(), leg, "")) // the bridge of before is gone
	if _, err := c.Ear().WaitTone(t.Context(), 620, 100*time.Millisecond); err != nil {
		t.Error("no music after the restart:", err)
	}
}

// A trunk that registers: the far end takes the account, and a changed one as well.
func TestITRegistration(t *testing.T) {
	w := newWorld(t)
	far := w.phone(sipphone.Config{Addr: "127.0.0.3", User: "far", Accounts: map[string]string{"me": "pw", "you": "pw2"}, ChallengeCalls: true})
	lines := w.lines()
	lines.Trunks = append(lines.Trunks, pbx.Trunk{Name: "reg", Host: far.Addr(), User: "me", Password: "pw", Register: true, Codecs: []string{"ulaw"}})
	w.ok(w.sw.Provision(t.Context(), lines))
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	any := func(sipphone.Registration) bool { return true }
	_, err := far.WaitRegistration(ctx, "me", any)
	w.ok(err)
	w.ok(w.sw.Dial(ctx, "reg-1", pbx.Dial{Trunk: "reg", Number: "123"})) // digest on INVITE
	in := <-far.Incoming()
	w.equal("number", in.To, "123")
	w.ok(in.Reject(486, 17))
	w.equal("cause", w.await("reg-1", pbx.Ended).Cause, pbx.Busy)
	lines.Trunks[1].User, lines.Trunks[1].Password = "you", "pw2"
	w.ok(w.sw.Provision(t.Context(), lines))
	_, err = far.WaitRegistration(ctx, "you", any)
	w.ok(err)
}

func TestITCheck(t *testing.T) {
	w := newWorld(t)
	for _, f := range w.sw.Check(t.Context()) {
		t.Logf("%s %v %s", f.What, f.OK, f.Detail)
		if !f.OK {
			t.Errorf("%s: %s", f.What, f.Detail)
		}
	}
}

// A thousand phones: how long a first sync, one of a new process, and one that changes nothing take.
func TestITThousandPhones(t *testing.T) {
	w := newWorld(t)
	lines := w.lines()
	for i := range 1000 {
		lines.Phones = append(lines.Phones, pbx.Phone{Name: fmt.Sprintf("k%d", i), Password: "x"})
	}
	sync := func(what string, sw *Switch, lines pbx.Lines) {
		start := time.Now()
		w.ok(sw.Provision(t.Context(), lines))
		t.Logf("%s: %v", what, time.Since(start).Round(time.Millisecond))
	}
	sync("first", w.sw, lines)
	sync("again", w.sw, lines)
	w.sw.provision.mu.Lock()
	clear(w.sw.provision.known)
	w.sw.provision.mu.Unlock()
	sync("read back", w.sw, lines)
	sync("removed", w.sw, w.lines())
	snap, err := w.sw.Snapshot(t.Context())
	w.ok(err)
	w.equal("lines", len(snap.Lines), 4)
}
