package ari

import (
	"testing"
	"time"

	"callplane/app/pbx"
)

func TestJoin(t *testing.T) {
	f := newFake(t).run()
	f.caller("x")
	f.ok(f.sw.Join(t.Context(), "r", "x", "y"))
	f.equal("rooms made", f.was("POST /bridges/r?type=mixing%2Cdtmf_events"), 1)
	f.equal("legs added in one request", f.was("POST /bridges/r/addChannel?channel=x%2Cy"), 1)
	f.ok(f.sw.Join(t.Context(), "r", "z"))
	f.equal("made once", f.was("POST /bridges/r?"), 1)
	f.equal("nobody is taken out first", f.was("POST /bridges/r/removeChannel"), 0)
}

func TestARoomThatIsThereAlready(t *testing.T) {
	f := newFake(t).run()
	f.answer("POST /bridges/r", 409, `{"message":"Bridge with id 'r' already exists"}`)
	f.ok(f.sw.Join(t.Context(), "r", "x"))
}

func TestARoomThatIsGone(t *testing.T) {
	f := newFake(t).run()
	f.ok(f.sw.Join(t.Context(), "r", "x"))
	f.answer("POST /bridges/r/addChannel", 404, `{"message":"Bridge not found"}`)
	err := f.sw.Join(t.Context(), "r", "x") // makes it again, once
	f.is(err, pbx.ErrNoLeg)
	f.equal("made", f.was("POST /bridges/r?"), 2)
}

func TestJoinOfALegThatIsGone(t *testing.T) {
	f := newFake(t).run()
	for _, code := range []int{400, 422} {
		f.answer("POST /bridges/r/addChannel", code, `{"message":"Channel not found"}`)
		f.is(f.sw.Join(t.Context(), "r", "x", "y"), pbx.ErrNoLeg)
	}
}

// The music's channel goes with the last leg, so the first one asks for it again, and nobody else does.
func TestMusicForTheFirst(t *testing.T) {
	f := newFake(t).run()
	const bridge = "/bridges/callplane-park-default"
	x, y := f.caller("x"), f.caller("y")
	music := func() int { return f.was("POST " + bridge + "/moh?mohClass=default") }
	f.ok(f.sw.Park(t.Context(), x, ""))
	f.equal("for the first", music(), 1)
	f.ok(f.sw.Park(t.Context(), y, "default"))
	f.equal("for the second", music(), 1)
	f.send(event("StasisEnd", "x", "Up"), event("StasisEnd", "y", "Up"))
	f.await(pbx.Ended, y)
	f.settle()
	f.ok(f.sw.Park(t.Context(), f.caller("z"), ""))
	f.until("for the first again", func() bool { return music() >= 2 })
	f.equal("made", f.was("POST "+bridge+"?type=holding"), 1)
	if err := f.sw.Park(t.Context(), "z", "../x"); err == nil {
		t.Error("a class ../x was taken")
	}
}

// x leaves before y comes, but we hear of it after: y took the music for playing.
func TestMusicThatWentWithTheLastLeg(t *testing.T) {
	f := newFake(t).run()
	music := func() int { return f.was("POST /bridges/callplane-park-default/moh") }
	x, y := f.caller("x"), f.caller("y")
	f.ok(f.sw.Park(t.Context(), x, ""))
	f.ok(f.sw.Park(t.Context(), y, ""))
	f.send(event("StasisEnd", "x", "Up"))
	f.until("music", func() bool { return music() == 2 })
	f.sw.mu.Lock()
	f.sw.parks["callplane-park-default"][y] = time.Now().Add(-time.Minute)
	f.sw.mu.Unlock()
	z := f.caller("z")
	f.ok(f.sw.Park(t.Context(), z, ""))
	f.send(event("StasisEnd", "z", "Up"))
	f.await(pbx.Ended, z)
	f.settle()
	f.equal("while y hears it all along", music(), 2)
}

func TestLeave(t *testing.T) {
	f := newFake(t).run()
	x := f.caller("x")
	f.ok(f.sw.Leave(t.Context(), x)) // in no room
	f.ok(f.sw.Join(t.Context(), "r", x))
	f.ok(f.sw.Leave(t.Context(), x))
	f.equal("taken out", f.was("POST /bridges/r/removeChannel?channel=x"), 1)
	f.ok(f.sw.Join(t.Context(), "r", x))
	f.ok(f.sw.Close(t.Context(), "r"))
	f.ok(f.sw.Leave(t.Context(), x))
	f.equal("taken out of a closed room", f.was("POST /bridges/r/removeChannel?channel=x"), 1)
	f.answer("GET /channels/x", 404, `{}`)
	f.is(f.sw.Leave(t.Context(), x), pbx.ErrNoLeg)
}

func TestLeaveARoomThatWeHaveWrong(t *testing.T) {
	f := newFake(t).run()
	x := f.caller("x")
	f.ok(f.sw.Join(t.Context(), "r", x))
	f.answer("POST /bridges/r/removeChannel", 422, `{"message":"Channel not in this bridge"}`)
	f.answer("GET /channels/x", 200, `{"id":"x"}`)
	f.answer("GET /bridges", 200, `[{"id":"other","channels":["x"]}]`)
	f.ok(f.sw.Leave(t.Context(), x))
	f.equal("taken out", f.was("POST /bridges/other/removeChannel?channel=x"), 1)
}

func TestCloseOfARoomThatIsGone(t *testing.T) {
	f := newFake(t).run()
	f.answer("DELETE /bridges/r", 404, `{}`)
	f.ok(f.sw.Close(t.Context(), "r"))
}

func TestSpy(t *testing.T) {
	f := newFake(t).run()
	f.snoops()
	ear, x := f.caller("ear"), f.caller("x")
	whisper := map[pbx.SpyMode]any{pbx.Listen: "none", pbx.Whisper: "out", pbx.Barge: "both"}
	var last string
	for i, mode := range []pbx.SpyMode{pbx.Listen, pbx.Whisper, pbx.Barge} {
		f.ok(f.sw.Spy(t.Context(), ear, x, mode))
		f.sw.mu.Lock()
		sp := f.sw.spies[ear]
		f.sw.mu.Unlock()
		b := f.body("POST /channels/x/snoop/" + sp.snoop)
		f.equal("spy, whisper", words(b["spy"], b["whisper"]), words("both", whisper[mode]))
		if i > 0 {
			f.equal("the old snoop is hung up", f.was("DELETE /channels/"+last), 1)
		}
		f.equal("the snoop is in the ear's room", f.was("POST /bridges/"+sp.bridge+"/addChannel?channel=~spy"), i+1)
		last = sp.snoop
	}
	f.ok(f.sw.Park(t.Context(), ear, ""))
	f.until("the spying ends", func() bool { return f.was("DELETE /channels/"+last) == 1 && f.was("DELETE /bridges/~spy~") == 1 })
	if f.sw.Spy(t.Context(), ear, x, "shout") == nil || f.sw.Spy(t.Context(), x, x, pbx.Listen) == nil {
		t.Error("nonsense was taken")
	}
}

func TestSpyEndsWithEither(t *testing.T) {
	for _, end := range []string{"ear", "x"} {
		f := newFake(t).run()
		f.snoops()
		ear, x := f.caller("ear"), f.caller("x")
		f.ok(f.sw.Spy(t.Context(), ear, x, pbx.Listen))
		f.send(event("StasisEnd", end, "Up"))
		f.await(pbx.Ended, pbx.LegID(end))
		f.until("the room of the ear is closed", func() bool { return f.was("DELETE /bridges/~spy~") == 1 && f.was("DELETE /channels/~spy~") == 1 })
	}
}
