package agent

import (
	"testing"
	"time"
)

// after a restart everybody is where they were; wrap-ups that ran out meanwhile are over.
func TestLoad(t *testing.T) {
	desks(t, func(d *desk) {
		names := []string{"anna", "bob", "carl", "dora", "emil"}
		for i, name := range names {
			d.in(name, "100"+string(rune('0'+i)))
			d.ok(d.Set(ID(name), Ready, ""))
			d.ok(d.Reserve(ID(name), "call "+name, "q"))
			d.ok(d.Accept(ID(name), "call "+name))
		}
		d.ok(d.Finish("anna", "call anna", 10*time.Second))
		d.ok(d.Finish("bob", "call bob", time.Minute))
		d.ok(d.Finish("carl", "call carl", 0))
		d.ok(d.Set("dora", LoggedOut, ""))
		saved := d.saved()
		d.Close()
		saved["broken"] = []byte("{")
		time.Sleep(20 * time.Second)
		e := newDesk(d.t, saved)
		e.is("anna", Ready, "")
		e.is("bob", WrapUp, "")
		e.is("carl", Ready, "")
		e.is("emil", Talking, "")
		if p, ok := e.OnPhone("1003"); !ok || p.Agent != "dora" || p.Next != LoggedOut {
			t.Errorf("dora %+v", p)
		}
		if len(e.All()) != len(names) {
			t.Errorf("%d agents", len(e.All()))
		}
		time.Sleep(40 * time.Second)
		e.is("bob", Ready, "")
		e.ok(e.Finish("dora", "call dora", 0))
		e.is("dora", LoggedOut, "")
	})
}

// A phone that was lost while the process was away takes its agent out as soon as it is known.
func TestLoadWithoutPhone(t *testing.T) {
	desks(t, func(d *desk) {
		d.in("anna", "1000")
		d.ok(d.Set("anna", Ready, ""))
		e := newDesk(d.t, nil)
		e.down["1000"] = true
		e.Load(d.saved())
		e.LineChanged("1000", false)
		e.is("anna", NotReady, ReasonPhoneLost)
	})
}

// What the calls say counts, whatever was written down of the agents.
func TestRestore(t *testing.T) {
	desks(t, func(d *desk) {
		for i, name := range []string{"anna", "bob", "carl", "dora", "emil", "late"} {
			d.in(name, "100"+string(rune('0'+i)))
			d.ok(d.Set(ID(name), Ready, ""))
		}
		for _, id := range []ID{"anna", "bob", "carl"} {
			d.ok(d.Reserve(id, "c-"+string(id), "q"))
		}
		d.ok(d.Accept("anna", "c-anna")) // the call is over
		d.ok(d.Accept("carl", "c-carl")) // as it should be
		time.Sleep(time.Second)
		asOf := time.Now()
		d.ok(d.Dial("late", "c-late")) // a call that nobody has told of yet
		d.Restore(map[ID]Part{
			"carl": {Call: "c-carl", Queue: "q", State: Talking},
			"dora": {Call: "c-dora", Queue: "q", State: Talking}, // taken, and not written down
			"nora": {Call: "c-nora", State: Talking},
		}, asOf)
		d.is("anna", NotReady, ReasonRestored)
		d.is("bob", Ready, "") // rang for a call that has forgotten it
		d.is("carl", Talking, "")
		if p := d.is("dora", Talking, ""); p.Call != "c-dora" || p.Queue != "q" {
			t.Errorf("dora %+v", p)
		}
		d.is("emil", Ready, "")
		d.is("late", Ringing, "")
		d.ok(d.Finish("dora", "c-dora", 0))
	})
}
