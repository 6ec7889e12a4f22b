package ari

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	ari "github.com/CyCoreSystems/ari/v6"

	"callplane/app/pbx"
)

func TestRefusalsOfALeg(t *testing.T) {
	f := newFake(t).run()
	for _, tt := range []struct {
		code int
		body string
		want error
	}{
		{404, `{"message":"Channel not found"}`, pbx.ErrNoLeg},
		{409, `{"message":"Channel not in Stasis application"}`, pbx.ErrNoLeg},
		{412, `{"message":"Channel in invalid state"}`, pbx.ErrNoLeg},
		{503, `busy`, pbx.ErrUnreachable},
	} {
		f.answer("POST /channels/x/answer", tt.code, tt.body)
		f.is(f.sw.Answer(t.Context(), "x"), tt.want)
	}
	f.answer("POST /channels/x/answer", 500, `<html>Internal   Server Error</html>`)
	err := f.sw.Answer(t.Context(), "x")
	if err == nil || errors.Is(err, pbx.ErrNoLeg) || !strings.Contains(err.Error(), "Internal Server Error") {
		t.Errorf("500 became %v", err)
	}
}

func TestAllocationFailedIsNoLine(t *testing.T) {
	f := newFake(t).run()
	f.answer("POST /channels", 500, `{"error":"Allocation failed"}`)
	f.is(f.sw.Dial(t.Context(), "l1", pbx.Dial{Phone: "a1"}), pbx.ErrNoLine)
	f.answer("POST /channels", 409, `{"message":"Channel with given unique ID already exists"}`)
	if err := f.sw.Dial(t.Context(), "l1", pbx.Dial{Phone: "a1"}); err == nil || errors.Is(err, pbx.ErrNoLeg) {
		t.Errorf("409 became %v", err)
	}
	f.settle()
	f.equal("events of a leg that never was", f.kinds("l1"), "")
}

func TestAHangingAsteriskIsUnreachable(t *testing.T) {
	f := newFake(t).run()
	f.rule("POST /channels", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	f.is(f.sw.Dial(ctx, "ghost", pbx.Dial{Phone: "a1"}), pbx.ErrUnreachable)
	if time.Since(start) > time.Second {
		t.Error("it took too long")
	}
	// It may have heard us: the leg is hung up, and what it does is nobody's business.
	f.until("the ghost is hung up", func() bool { return f.was("DELETE /channels/ghost") > 0 })
	f.send(event("ChannelDestroyed", "ghost", "Down", `"cause":16`))
	f.settle()
	f.equal("events of the ghost", f.kinds("ghost"), "")
}

func TestABodyThatBreaksOff(t *testing.T) {
	f := newFake(t).run()
	f.rule("GET /channels", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		w.Write([]byte(`[{"id":`))
	})
	if _, err := f.sw.Snapshot(t.Context()); err == nil {
		t.Error("half an answer was taken")
	}
	f.answer("GET /channels", 200, `<html>`)
	if _, err := f.sw.Snapshot(t.Context()); err == nil {
		t.Error("HTML was taken")
	}
}

func TestACancelledCommand(t *testing.T) {
	f := newFake(t).run()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f.is(f.sw.Answer(ctx, "x"), pbx.ErrUnreachable)
}

func TestCommandsBeforeRun(t *testing.T) {
	f := newFake(t)
	f.is(f.sw.Answer(t.Context(), "x"), pbx.ErrUnreachable)
	f.is(f.sw.Dial(t.Context(), "x", pbx.Dial{Phone: "a1"}), pbx.ErrUnreachable)
	f.is(f.sw.Provision(t.Context(), pbx.Lines{}), pbx.ErrUnreachable)
	f.equal("requests", f.was(""), 0)
	f.sw.forget()
}

func TestNamesAreEscaped(t *testing.T) {
	f := newFake(t).run()
	if err := f.sw.StopRecord(t.Context(), "2026/11/22/a b?c"); err != nil {
		t.Error(err)
	}
	f.equal("asked", f.was("POST /recordings/live/2026%2F11%2F22%2Fa%20b%3Fc/stop"), 1)
}

// The library wraps errors of GET with Cause alone, and tells no reason. On our link both come through.
func TestTheLibrarySpeaksThroughOurLink(t *testing.T) {
	f := newFake(t)
	f.answer("GET /asterisk/config/dynamic/res_pjsip/endpoint/cp-x", 404, `{"message":"Object not found"}`)
	f.answer("PUT /asterisk/config/dynamic/res_pjsip/endpoint/cp-x", 400, `{"message":"failed field value validation"}`)
	key := ari.NewKey("config", ari.ConfigID("res_pjsip", "endpoint", "cp-x"))
	_, err := f.sw.lib.Asterisk().Config().Data(key)
	f.equal("status of a GET", status(err), 404)
	err = f.sw.lib.Asterisk().Config().Update(key, nil)
	f.equal("status of a PUT", status(err), 400)
	if err == nil || !strings.Contains(err.Error(), "failed field value validation") {
		t.Errorf("the reason got lost: %v", err)
	}
	f.srv.Close()
	_, err = f.sw.lib.Asterisk().Info(nil)
	f.is(err, pbx.ErrUnreachable)
	f.sw.forget()
	f.sw.link.http.CloseIdleConnections()
}

func TestCallerID(t *testing.T) {
	for _, tt := range [][3]string{
		{"123", "Bob", `"Bob" <123>`}, {"123", "", "<123>"}, {"", "", ""},
		{"1<2>3", "Bob \"the\r\n Builder\" <9>", `"Bob the Builder 9" <123>`},
	} {
		if got := callerID(tt[0], tt[1]); got != tt[2] {
			t.Errorf("%q %q: got %s, want %s", tt[0], tt[1], got, tt[2])
		}
	}
}

func TestDialRequest(t *testing.T) {
	f := newFake(t).run()
	err := f.sw.Dial(t.Context(), "l1", pbx.Dial{Phone: "a1", Tag: "t,1", Timeout: 1500 * time.Millisecond, AutoAnswer: true,
		Headers: map[string]string{"X-Call": "7"}})
	if err != nil {
		t.Fatal(err)
	}
	b := f.body("POST /channels")
	f.equal("endpoint", b["endpoint"], "PJSIP/cp-a1")
	f.equal("channel", b["channelId"], "l1")
	f.equal("app", b["app"], "callplane")
	f.equal("words", b["appArgs"], "dial,a1,t,1")
	f.equal("timeout", b["timeout"], 2)
	v, _ := b["variables"].(map[string]any)
	f.equal("header", v["PJSIP_HEADER(add,X-Call)"], "7")
	f.equal("transfers", v["PJSIP_TRANSFER_HANDLING()"], "ari-only")
	f.equal("auto answer", v["PJSIP_HEADER(add,Call-Info)"], "<sip:callplane>;answer-after=0")
	f.equal("tag", v["CALLPLANE_TAG"], "a1,t,1")
	for _, d := range []pbx.Dial{
		{Phone: "a/../b"}, {Trunk: "t", Number: "1&PJSIP/2"}, {Trunk: "t", Number: "1@evil"}, {Trunk: "t"}, {},
		{Phone: "a1", Headers: map[string]string{"X": "a\r\nVia: b"}}, {Phone: "a1", Headers: map[string]string{"X,Y)": "a"}},
	} {
		if f.sw.Dial(t.Context(), "l2", d) == nil {
			t.Errorf("%+v was dialled", d)
		}
	}
	f.equal("originates", f.was("POST /channels"), 1)
}
