//go:build e2e

package e2e

import (
	"net/http"
	"testing"
	"time"

	"callplane/app/agent"
	"callplane/app/call"
	"callplane/app/route"
	"callplane/app/sandbox/sipphone"
)

// A click places a call: the agent's phone rings first, then the callee's, who sees our number. Redial and speed dial do the
// same; a barred number and a kind of call that one may not place are refused, and nothing rings.
//
//
func TestClickToDial(t *testing.T) {
	t.Parallel()
	c := newCentre(t, sharedServer(t))
	dialled, ours := c.newNumber()
	c.number2(dialled, string(c.flow("back", "then: {hangup: true}\n")), object{"service": "Ours", "caller_identity": true})
	a := c.agent("anna", agentOptions{manual: true})
	const to, sent = "010 6234-5678", "+861062345678"
	rang := make(chan *sipphone.Incoming, 4)
	c.Far.when(sent, func(in *sipphone.Incoming) {
		rang <- in
		_ = in.Ring()
		<-in.Done()
	})
	place := func(order func() call.Live) {
		t.Helper()
		live := order()
		in := a.rings(5 * time.Second)
		if in.From != sent {
			t.Errorf("the agent's phone shows %s", in.From)
		}
		select {
		case <-rang:
			t.Fatal("the callee rang before the agent answered")
		case <-time.After(700 * time.Millisecond): // nothing is to happen in this time
		}
		me := a.answer(in)
		var out *sipphone.Incoming
		select {
		case out = <-rang:
		case <-time.After(10 * time.Second):
			t.Fatal("the callee does not ring")
		}
		if out.From != ours {
			t.Errorf("the callee sees %s, want %s", out.From, ours)
		}
		hears(t, "the agent, while it rings", me.Ear(), 440) // the ringing tone
		cl, err := out.Answer(within(t, 5*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		_, tone := c.person()
		cl.SetTone(tone)
		there := &Party{Call: cl, who: "callee", tone: tone}
		talk(t, me, there)
		c.leaves(there)
		r := c.row(live.ID).Call
		if r.Direction != call.Outbound || r.AgentID != a.ID || r.ToNumber != sent || r.FromNumber != ours || r.TalkedAt == nil {
			t.Errorf("the row says %+v", r)
		}
		a.becomes(agent.WrapUp, "")
		a.API.do(t, http.MethodPost, "/agent/wrap-up/done", nil, nil)
	}
	place(func() call.Live { return post[call.Live](t, a.API, "/call/calls", object{"to": to}) })
	place(func() call.Live { return post[call.Live](t, a.API, "/call/redial", nil) })
	c.Admin.do(t, http.MethodPost, "/route/speed-dials", object{"shared": true, "unit": c.Unit, "key": "1", "label": "Head office", "number": to}, nil)
	keys := list[route.SpeedDial](t, a.API, "/route/speed-dials")
	if len(keys) != 1 || keys[0].Label != "Head office" {
		t.Fatalf("speed dials: %+v", keys)
	}
	place(func() call.Live { return post[call.Live](t, a.API, "/call/calls", object{"to": keys[0].Number}) })

	c.Admin.do(t, http.MethodPost, "/route/barred", object{"unit": c.Unit, "number": "16812345678", "reason": "Costs much."}, nil)
	refuse := func(what string, body object, code int) {
		t.Helper()
		if err := a.API.try(http.MethodPost, "/call/calls", body, nil); status(err) != code {
			t.Errorf("%s: %v, want %d", what, err, code)
		}
	}
	refuse("a barred number", object{"to": "168 1234 5678"}, http.StatusForbidden)
	refuse("another's calling number", object{"to": to, "from": "010 6999 9999"}, http.StatusForbidden)
	refuse("no number", object{"to": "abc"}, http.StatusUnprocessableEntity)
	refuse("another country, which agents may not call", object{"to": "+1 202 555 0123"}, http.StatusForbidden)
	if p := a.is(); p.State != agent.Ready {
		t.Errorf("after the refusals the agent is %s", p.State)
	}
	select {
	case in := <-a.Desk.Incoming():
		t.Errorf("the agent's phone rings for %s", in.From)
	default:
	}
}
