package ari

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"callplane/app/pbx"
)

func TestBrokenFramesAreSkipped(t *testing.T) {
	f := newFake(t).run()
	f.send(``, `{`, `null`, `[]`, `17`, `"x"`, `{"type":7}`, `{"type":""}`, `{"type":"StasisStart"}`, `{"type":"NotYetInvented","channel":7}`,
		`{"type":"StasisStart","args":"x","channel":{"id":"x"}}`, `{"type":"StasisStart","args":["inbound"],"channel":"x"}`,
		`{"type":"ChannelDestroyed","cause":"x","channel":{"id":"x"}}`, `{"type":"PlaybackFinished"}`, `{"type":"RecordingFinished"}`,
		`{"type":"RecordingFinished","recording":{"target_uri":"channel:~rec~"}}`, `{"type":"Dial"}`, `{"type":"ChannelTransfer"}`,
		`{"type":"StasisEnd","channel":{"id":"~rec~"}}`, "\x00\xff", strings.Repeat(`{"a":`, 20000),
		`{"type":"`+strings.Repeat("x", 100000)+`"}`, `{"type":"ApplicationReplaced","application":"another"}`)
	f.settle()
	f.equal("connections", f.opened, 1)
	f.equal("lost", f.count(pbx.Lost, ""), 0)
}

func TestAFrameOfAMegabyte(t *testing.T) {
	f := newFake(t).run()
	big := strings.TrimSuffix(arrive("x"), "}") + `,"more":"` + strings.Repeat("x", 2<<20) + `"}`
	f.send(big)
	f.await(pbx.Arrived, "x")
	f.settle()
	f.equal("connections", f.opened, 1)
}

func TestTheFilterIsSetAfterEveryConnect(t *testing.T) {
	f := newFake(t).run()
	b, _ := json.Marshal(f.body("PUT /applications/callplane/eventFilter"))
	if !strings.Contains(string(b), `"type":"StasisStart"`) || strings.Contains(string(b), "ChannelVarset") {
		t.Errorf("filter is %s", b)
	}
	f.conn.CloseNow()
	f.until("the second Resync", func() bool { return f.count(pbx.Resync, "") == 2 })
	f.equal("lost", f.count(pbx.Lost, ""), 1)
	f.equal("filters", f.was("PUT /applications/callplane/eventFilter"), 2)
	f.equal("filters for lines", f.was("PUT /applications/callplane-lines/eventFilter"), 2)
	f.equal("subscriptions", f.was("POST /applications/callplane-lines/subscription?eventSource=endpoint%3APJSIP"), 2)
}

func TestNoCommandWhileTheLinkIsDown(t *testing.T) {
	f := newFake(t).run()
	f.answer("GET /asterisk/info", 503, "")
	f.conn.CloseNow()
	f.until("Lost", func() bool { return f.count(pbx.Lost, "") == 1 })
	f.is(f.sw.Dial(t.Context(), "x", pbx.Dial{Phone: "a1"}), pbx.ErrUnreachable)
	f.is(f.sw.Hangup(t.Context(), "x", pbx.Busy), pbx.ErrUnreachable)
	f.is(f.sw.Record(t.Context(), "x", "r", time.Minute), pbx.ErrUnreachable)
	_, err := f.sw.FetchRecording(t.Context(), "r")
	f.is(err, pbx.ErrUnreachable)
	f.equal("originates", f.was("POST /channels"), 0)
}

func TestReplacedStopsActing(t *testing.T) {
	f := newFake(t).run()
	f.send(`{"type":"ApplicationReplaced","application":"callplane-lines"}`, `{"type":"ApplicationReplaced","application":"callplane"}`)
	f.await(pbx.Replaced, "")
	f.is(f.sw.Answer(t.Context(), "x"), pbx.ErrUnreachable)
	time.Sleep(300 * time.Millisecond) // it would be back by now
	f.equal("connections", f.opened, 1)
	f.equal("answers", f.was("POST /channels/x/answer"), 0)
	f.equal("lost", f.count(pbx.Lost, ""), 0)
	f.stop()
}

func TestASwitchThatDoesNotPong(t *testing.T) {
	if testing.Short() {
		t.Skip("takes ten seconds")
	}
	f := newFake(t)
	deaf := true
	f.rules["GET /deaf"] = nil
	f.srv.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/events") && deaf {
			deaf = false
			conn, err := websocket.Accept(w, r, nil) // and never read: no pong
			if err == nil {
				t.Cleanup(func() { conn.CloseNow() })
			}
			f.mu.Lock()
			f.opened++
			f.mu.Unlock()
			return
		}
		f.serve(w, r)
	})
	f.run()
	for end := time.Now().Add(15 * time.Second); f.count(pbx.Resync, "") < 2 && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
	}
	f.equal("Lost, Resync", words(f.count(pbx.Lost, ""), f.count(pbx.Resync, "")), "1 2")
}

// After a reconnect Asterisk says nothing of what went on meanwhile: the listing is all.
func TestWhatIsThereAfterAReconnect(t *testing.T) {
	f := newFake(t).run()
	f.dial("old")
	f.dial("ringing")
	f.send(arrive("in"), event("StasisStart", "old", "Up", `"args":["dial","a1",""]`))
	f.await(pbx.Answered, "old")
	channel := `{"id":%q,"state":%q,"dialplan":{"app_name":"Stasis","app_data":%q},"caller":{"number":"138"},"creationtime":"2026-11-22T05:59:00.000+0000"}`
	f.answer("GET /applications/callplane", 200, `{"name":"callplane","channel_ids":["in","ringing","theirs"],"bridge_ids":[]}`)
	f.answer("GET /channels", 200, "["+strings.Join([]string{
		fmt.Sprintf(channel, "in", "Up", "callplane,inbound,trunk,cp-c,4001"),
		fmt.Sprintf(channel, "theirs", "Up", "other,inbound,x"),
		fmt.Sprintf(channel, "out", "Up", "callplane,dial,a2,tag-2"),
		`{"id":"ringing","state":"Ringing","dialplan":{"app_name":"AppDial2","app_data":"(Outgoing Line)"}}`,
		fmt.Sprintf(channel, recSnoop("in", "day/1"), "Up", "callplane,rec,day/1"),
		fmt.Sprintf(channel, recSnoop("in", "day/2"), "Up", "callplane,rec,day/2"),
		fmt.Sprintf(channel, "~spy~1~gone", "Up", "callplane,spy,gone,in,listen"),
	}, ",")+"]")
	f.answer("GET /bridges", 200, `[{"id":"room-1","bridge_type":"mixing","channels":["in","out"]}]`)
	f.answer("GET /endpoints/PJSIP", 200, `[{"technology":"PJSIP","resource":"cp-a1","state":"online"},{"technology":"PJSIP","resource":"isdn","state":"online"}]`)
	f.answer("GET /recordings/live/day%2F2", 404, `{}`)
	f.answer("GET /channels/ringing/variable", 200, `{"value":"a1,tag,1"}`)
	f.conn.CloseNow()
	f.until("the second Resync", func() bool { return f.count(pbx.Resync, "") == 2 })

	snap, err := f.sw.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := map[pbx.LegID]pbx.LegState{}
	for _, l := range snap.Legs {
		got[l.ID] = l
	}
	f.equal("legs", len(got), 3)
	f.equal("in", words(got["in"].Inbound, got["in"].Answered, got["in"].Room, got["in"].From, got["in"].To, got["in"].Trunk), "true true room-1 138 4001 c")
	f.equal("out", words(got["out"].Inbound, got["out"].To, got["out"].Tag), "false a2 tag-2")
	f.equal("ringing", words(got["ringing"].Answered, got["ringing"].To, got["ringing"].Tag), "false a1 tag,1")
	f.equal("recordings", snap.Recordings, "[day/1]")
	f.equal("lines", snap.Lines, "map[a1:up]")
	f.until("snoops for nothing are hung up", func() bool {
		return f.was("DELETE /channels/"+recSnoop("in", "day/2")) == 1 && f.was("DELETE /channels/~spy~1~gone") == 1
	})
	f.equal("a snoop in use is hung up", f.was("DELETE /channels/"+recSnoop("in", "day/1")), 0)

	// From here on events find their legs as if we had never been away.
	f.send(event("StasisEnd", "out", "Up"), event("ChannelDestroyed", "out", "Up", `"cause":16`), event("StasisStart", "ringing", "Up", `"args":["dial","a1","tag","1"]`),
		`{"type":"PlaybackFinished","playback":{"id":"from-before","target_uri":"channel:in","state":"done"}}`,
		`{"type":"RecordingFinished","recording":{"name":"day/1","target_uri":"channel:`+recSnoop("in", "day/1")+`","state":"done","duration":7}}`)
	f.settle()
	f.equal("out", f.kinds("out"), "Ended")
	f.equal("ringing", f.kinds("ringing"), "Answered")
	f.equal("in", f.kinds("in"), "Arrived PlayEnded RecordEnded")
	f.equal("old", f.kinds("old"), "Answered") // gone meanwhile: the reader finds out by comparing
	f.equal("length", f.await(pbx.RecordEnded, "in").Length, 7*time.Second)
}

func words(a ...any) string { return strings.TrimSpace(fmt.Sprintln(a...)) }

func TestASlowReaderLosesNothing(t *testing.T) {
	f := newFake(t).run()
	const n = 20000
	f.mu.Lock() // the reader is stuck
	for i := range n {
		f.sw.tell(pbx.Event{Kind: pbx.Digit, Leg: "x", Digit: fmt.Sprint(i)})
	}
	time.Sleep(50 * time.Millisecond)
	f.mu.Unlock()
	f.until("all are there", func() bool { return f.count(pbx.Digit, "x") == n })
	i := 0
	for _, e := range f.events {
		if e.Kind == pbx.Digit {
			if e.Digit != fmt.Sprint(i) {
				t.Fatalf("event %d is %s", i, e.Digit)
			}
			i++
		}
	}
}

// FuzzEvent feeds the driver any bytes as an event: nothing may break, and a leg may end but once.
func FuzzEvent(f *testing.F) {
	for _, s := range []string{
		arrive("x"), event("StasisEnd", "x", "Up"), event("ChannelDestroyed", "x", "Up", `"cause":16`), dialEvent("x", "RINGING"),
		event("ChannelHangupRequest", "x", "Up", `"cause":32`, `"soft":true`), event("ChannelDtmfReceived", "x", "Up", `"digit":"5"`),
		`{"type":"PlaybackFinished","playback":{"id":"p","target_uri":"channel:x","state":"done"}}`,
		`{"type":"RecordingFinished","recording":{"name":"r","target_uri":"channel:~rec~0123456789abcdef~x","state":"done","duration":1}}`,
		`{"type":"PeerStatusChange","endpoint":{"technology":"PJSIP","resource":"cp-a1","state":"online"},"peer":{"peer_status":"x"}}`,
		`{"type":"ChannelTransfer","refer_to":{"requested_destination":{"destination":"1"}},"referred_by":{"source_channel":{"id":"x"}}}`,
		`{"type":"`, `{"type":"Dial","peer":7}`, `{}`, `null`, "",
	} {
		f.Add([]byte(s))
	}
	s := New(Config{Name: "fuzz", URL: "http://127.0.0.1:1/ari", Log: slog.New(slog.DiscardHandler)})
	f.Fuzz(func(t *testing.T, b []byte) {
		s.memory = newMemory()
		l := s.newLeg("x")
		l.plays["p"] = &playing{parts: 1, left: 1}
		l.recs["r"] = true
		s.recs["r"] = &recording{leg: "x"}
		for range 2 {
			if err := s.take(b); err != nil && err != errReplaced {
				t.Fatal(err)
			}
		}
		s.sweep(time.Now().Add(time.Hour))
		ends := map[pbx.LegID]int{}
		for _, e := range s.box.Take() {
			if e.Kind == pbx.Ended {
				ends[e.Leg]++
			} else if e.Leg != "" && ends[e.Leg] > 0 {
				t.Errorf("%v after Ended", e.Kind)
			}
		}
		for leg, n := range ends {
			if n > 1 {
				t.Errorf("leg %q ended %d times", leg, n)
			}
		}
	})
}
