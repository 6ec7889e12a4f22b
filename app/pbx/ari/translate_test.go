package ari

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"callplane/app/pbx"
)

// dial makes the driver dial a leg.
func (f *fake) dial(leg pbx.LegID) {
	f.Helper()
	f.answer("POST /channels", 200, `{}`)
	if err := f.sw.Dial(f.Context(), leg, pbx.Dial{Phone: "a1"}); err != nil {
		f.Fatal(err)
	}
}

func dialEvent(leg, status string) string {
	return `{"type":"Dial","timestamp":"2026-11-22T06:00:00.123+0000","dialstatus":"` + status + `","peer":{"id":"` + leg + `"}}`
}

func key(digit, at string) string {
	return `{"type":"ChannelDtmfReceived","timestamp":"2026-11-22T06:00:` + at + `+0000","digit":"` + digit + `","channel":{"id":"x"}}`
}

func TestStories(t *testing.T) {
	start := event("StasisStart", "x", "Up", `"args":["dial","a1","tag"]`)
	end := event("StasisEnd", "x", "Up")
	gone := event("ChannelDestroyed", "x", "Up", `"cause":16`)
	byParty := event("ChannelHangupRequest", "x", "Up")
	byUs := event("ChannelHangupRequest", "x", "Up", `"cause":32`, `"soft":true`)
	for name, tt := range map[string]struct {
		dialled bool
		hangup  pbx.Cause // our own, before the events; 0 is none
		frames  []string
		want    string
		cause   pbx.Cause
		byUs    bool
	}{
		"a caller hangs up, StasisEnd is all": {frames: []string{arrive("x"), byParty, event("StasisEnd", "x", "Ring")},
			want: "Arrived Ended", cause: pbx.NormalClearing},
		"the cause comes with the hangup request": {frames: []string{arrive("x"), event("ChannelHangupRequest", "x", "Up", `"cause":58`), end},
			want: "Arrived Ended", cause: pbx.BearerIncompatible},
		"a caller's media stops": {frames: []string{arrive("x"), event("ChannelHangupRequest", "x", "Up", `"cause":1`, `"soft":true`), end},
			want: "Arrived Ended", cause: pbx.MediaTimeout},
		"ChannelDestroyed of a caller as well": {frames: []string{arrive("x"), byParty, end, gone}, want: "Arrived Ended", cause: pbx.NormalClearing},
		"ChannelDestroyed of a caller first":   {frames: []string{arrive("x"), gone, end}, want: "Arrived Ended", cause: pbx.NormalClearing},
		"a caller is answered": {frames: []string{arrive("x"), event("ChannelStateChange", "x", "Up"), event("ChannelStateChange", "x", "Up"), end},
			want: "Arrived Answered Ended"},
		"a caller whom the dialplan answered": {frames: []string{event("StasisStart", "x", "Up", `"args":["inbound","trunk","cp-c","1"]`), end},
			want: "Arrived Answered Ended"},
		"everything twice": {frames: []string{arrive("x"), arrive("x"), byParty, byParty, end, end, gone, gone, arrive("x")},
			want: "Arrived Ended", cause: pbx.NormalClearing},
		"a party is dialled, talks, hangs up": {dialled: true, frames: []string{dialEvent("x", ""), dialEvent("x", "RINGING"), dialEvent("x", "RINGING"),
			dialEvent("x", "ANSWER"), start, start, byParty, end, gone},
			want: "Ringing Answered Ended", cause: pbx.NormalClearing},
		"ChannelDestroyed before StasisEnd": {dialled: true, frames: []string{start, byParty, gone, end},
			want: "Answered Ended", cause: pbx.NormalClearing},
		"early media": {dialled: true, frames: []string{dialEvent("x", "PROGRESS"), dialEvent("x", "PROGRESS"), start, gone},
			want: "Progress Answered Ended", cause: pbx.NormalClearing},
		"a failed originate has no StasisStart": {dialled: true, frames: []string{dialEvent("x", ""), event("ChannelHangupRequest", "x", "Down", `"cause":17`),
			dialEvent("x", "BUSY"), event("ChannelDestroyed", "x", "Down", `"cause":17`)},
			want: "Ended", cause: pbx.Busy},
		"603 and no answer are one word, the cause tells": {dialled: true, frames: []string{dialEvent("x", "NOANSWER"), event("ChannelDestroyed", "x", "Down", `"cause":21`)},
			want: "Ended", cause: pbx.Declined},
		"the time is over: ChannelDestroyed alone": {dialled: true, frames: []string{event("ChannelDestroyed", "x", "Ringing", `"cause":19`)},
			want: "Ended", cause: pbx.NoAnswer},
		"no cause, but a word": {dialled: true, frames: []string{dialEvent("x", "CONGESTION"), event("ChannelDestroyed", "x", "Down", `"cause":0`)},
			want: "Ended", cause: pbx.Congestion},
		"we hang up": {dialled: true, hangup: pbx.NormalClearing, frames: []string{byUs, end, event("ChannelDestroyed", "x", "Up", `"cause":16`)},
			want: "Ended", cause: pbx.NormalClearing, byUs: true},
		"answered elsewhere": {dialled: true, hangup: pbx.AnsweredElsewhere, frames: []string{byUs, event("ChannelDestroyed", "x", "Ringing", `"cause":26`)},
			want: "Ended", cause: pbx.AnsweredElsewhere, byUs: true},
		"both hang up, the party was first": {dialled: true, hangup: pbx.NormalClearing, frames: []string{byParty, byUs, gone},
			want: "Ended", cause: pbx.NormalClearing},
		"keys, and what is none": {frames: []string{arrive("x"), event("ChannelDtmfReceived", "x", "Up", `"digit":"5"`),
			event("ChannelDtmfReceived", "x", "Up", `"digit":"55"`), event("ChannelDtmfReceived", "x", "Up", `"digit":"f"`), end,
			event("ChannelDtmfReceived", "x", "Up", `"digit":"6"`)},
			want: "Arrived Digit Ended"},
		"a key told twice, and one pressed twice": {frames: []string{arrive("x"), key("5", "01.795"), key("5", "01.826"), key("6", "01.830"),
			key("6", "02.000"), key("5", "02.010"), end}, want: "Arrived Digit Digit Digit Digit Ended"},
		"hold": {frames: []string{arrive("x"), event("ChannelHold", "x", "Up"), event("ChannelUnhold", "x", "Up"), end},
			want: "Arrived Held Unheld Ended"},
		"events of a leg that nobody knows": {frames: []string{event("ChannelDtmfReceived", "x", "Up", `"digit":"5"`), byParty, end, dialEvent("x", "RINGING")}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t).run()
			if tt.dialled {
				f.dial("x")
			}
			if tt.hangup != 0 {
				if err := f.sw.Hangup(t.Context(), "x", tt.hangup); err != nil {
					t.Fatal(err)
				}
			}
			f.send(tt.frames...)
			f.settle()
			f.equal("events", f.kinds("x"), tt.want)
			if strings.HasSuffix(tt.want, "Ended") {
				e := f.await(pbx.Ended, "x")
				f.equal("cause", e.Cause, tt.cause)
				f.equal("by us", e.ByUs, tt.byUs)
			}
		})
	}
}

func TestStasisEndWithoutChannelDestroyed(t *testing.T) {
	f := newFake(t).run()
	f.dial("x")
	f.send(event("StasisStart", "x", "Up", `"args":["dial","a1",""]`), event("ChannelHangupRequest", "x", "Up"), event("StasisEnd", "x", "Up"))
	f.settle()
	f.equal("at once", f.kinds("x"), "Answered")
	f.sw.sweep(time.Now().Add(time.Minute))
	f.equal("in the end", f.await(pbx.Ended, "x").Cause, pbx.NormalClearing)
	f.send(event("ChannelDestroyed", "x", "Up", `"cause":16`))
	f.settle()
	f.equal("and once", f.count(pbx.Ended, "x"), 1)
}

func TestAnsweredComesOnce(t *testing.T) {
	f := newFake(t).run()
	f.send(arrive("x"))
	f.await(pbx.Arrived, "x")
	f.rule("POST /channels/x/answer", func(w http.ResponseWriter, _ *http.Request) {
		f.send(event("ChannelStateChange", "x", "Up"))
		w.WriteHeader(http.StatusNoContent)
	})
	for range 2 {
		if err := f.sw.Answer(t.Context(), "x"); err != nil {
			t.Fatal(err)
		}
	}
	f.settle()
	f.equal("events", f.kinds("x"), "Arrived Answered")
}

func TestByUsOnlyIfAsteriskTookIt(t *testing.T) {
	f := newFake(t).run()
	f.send(arrive("x"), arrive("y"))
	f.await(pbx.Arrived, "y")
	f.answer("DELETE /channels/x", 404, `{"message":"Channel not found"}`)
	f.is(f.sw.Hangup(t.Context(), "x", pbx.Busy), pbx.ErrNoLeg)
	if err := f.sw.Hangup(t.Context(), "y", pbx.Busy); err != nil {
		t.Fatal(err)
	}
	f.answer("DELETE /channels/y", 404, `{"message":"Channel not found"}`) // the second of two
	f.is(f.sw.Hangup(t.Context(), "y", pbx.Busy), pbx.ErrNoLeg)
	f.send(event("StasisEnd", "x", "Up"), event("StasisEnd", "y", "Up"))
	f.equal("x by us", f.await(pbx.Ended, "x").ByUs, false)
	f.equal("y by us", f.await(pbx.Ended, "y").ByUs, true)
	f.equal("cause of y", f.await(pbx.Ended, "y").Cause, pbx.Busy)
}

func TestHangupReasons(t *testing.T) {
	f := newFake(t).run()
	f.send(arrive("x"))
	f.await(pbx.Arrived, "x")
	for _, tt := range []struct {
		leg  pbx.LegID
		why  pbx.Cause
		want string
	}{
		{"x", pbx.Declined, "reason=normal"}, // 21 would be a 403
		{"x", pbx.Busy, "reason_code=17"},
		{"y", pbx.Declined, "reason_code=21"},
		{"y", pbx.CauseUnknown, "reason=normal"},
		{"y", 4711, "reason=normal"},
	} {
		before := f.was("DELETE /channels/" + string(tt.leg) + "?" + tt.want)
		if err := f.sw.Hangup(t.Context(), tt.leg, tt.why); err != nil {
			t.Fatal(err)
		}
		f.equal(tt.want, f.was("DELETE /channels/"+string(tt.leg)+"?"+tt.want)-before, 1)
	}
}

func TestArrivals(t *testing.T) {
	for name, tt := range map[string]struct {
		number string
		args   []string
		want   pbx.Event
	}{
		"trunk":                   {"138", []string{"inbound", "trunk", "cp-c", "4001"}, pbx.Event{From: "138", Trunk: "c", To: "4001"}},
		"phone":                   {"cp-a1", []string{"inbound", "phone", "cp-a1", "9"}, pbx.Event{From: "a1", Phone: "a1", To: "9"}},
		"without the kind":        {"138", []string{"inbound", "cp-c", "4001"}, pbx.Event{From: "138", Trunk: "c", To: "4001"}},
		"an engineer's endpoint":  {"138", []string{"inbound", "trunk", "isdn", "1"}, pbx.Event{From: "138", Trunk: "isdn", To: "1"}},
		"anonymous":               {"Anonymous", []string{"inbound", "trunk", "cp-c", "1"}, pbx.Event{Withheld: true, Trunk: "c", To: "1"}},
		"no number":               {"", []string{"inbound", "trunk", "cp-c", "1"}, pbx.Event{Withheld: true, Trunk: "c", To: "1"}},
		"private, number trusted": {"138", []string{"inbound", "trunk", "cp-c", "1", "pres=prohib_passed_screen"}, pbx.Event{Withheld: true, Trunk: "c", To: "1"}},
		"headers": {"138", []string{"inbound", "trunk", "cp-c", "1", "pres=allowed", "Diversion=<sip:1@a>", "reason=x", "X=a", "b"},
			pbx.Event{From: "138", Trunk: "c", To: "1", Headers: map[string]string{"Diversion": "<sip:1@a>", "reason": "x", "X": "a,b"}}},
		"no words at all": {"138", nil, pbx.Event{From: "138"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := &frame{Args: tt.args}
			f.Channel.Caller.Number = tt.number
			got := arrival(f)
			if got.From != tt.want.From || got.Trunk != tt.want.Trunk || got.Phone != tt.want.Phone || got.To != tt.want.To ||
				got.Withheld != tt.want.Withheld || len(got.Headers) != len(tt.want.Headers) || got.Headers["X"] != tt.want.Headers["X"] {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

func TestAPhoneThatCallsCannotTransferByItself(t *testing.T) {
	f := newFake(t).run()
	f.send(event("StasisStart", "x", "Ring", `"args":["inbound","phone","cp-a1","9"]`))
	f.until("the variable", func() bool {
		return f.was("POST /channels/x/variable?value=ari-only&variable=PJSIP_TRANSFER_HANDLING") == 1
	})
	ask := `{"type":"ChannelTransfer","refer_to":{"requested_destination":{"destination":"4711"}},"referred_by":{"source_channel":{"id":"x"}}%s}`
	f.send(strings.Replace(ask, "%s", "", 1), strings.Replace(ask, "%s", `,"state":"channel_answered"`, 1))
	f.settle()
	f.equal("asked", f.count(pbx.TransferAsked, "x"), 1)
	f.equal("to", f.await(pbx.TransferAsked, "x").To, "4711")
}

func TestLines(t *testing.T) {
	f := newFake(t).run()
	for _, frame := range []string{
		`{"type":"PeerStatusChange","endpoint":{"technology":"PJSIP","resource":"cp-a1","state":"online"},"peer":{"peer_status":"Reachable"}}`,
		`{"type":"ContactStatusChange","endpoint":{"technology":"PJSIP","resource":"cp-a1","state":"online"},"contact_info":{}}`,
		`{"type":"PeerStatusChange","endpoint":{"technology":"PJSIP","resource":"other","state":"online"}}`,
		`{"type":"PeerStatusChange","endpoint":{"technology":"PJSIP","resource":"cp-a1","state":"offline"}}`,
	} {
		f.send(frame)
	}
	f.settle()
	f.equal("changes", f.count(pbx.LineChanged, ""), 2)
}

func TestALegThatAsteriskLostWithoutAWord(t *testing.T) {
	f := newFake(t).run()
	f.caller("x")
	f.caller("y")
	f.answer("GET /applications/callplane", 200, `{"channel_ids":["y"]}`)
	missed := f.sw.audit(t.Context(), nil)
	f.equal("not at once", f.count(pbx.Ended, "x"), 0)
	f.sw.audit(t.Context(), missed)
	f.await(pbx.Ended, "x")
	f.settle()
	f.equal("y", f.count(pbx.Ended, "y"), 0)
}
