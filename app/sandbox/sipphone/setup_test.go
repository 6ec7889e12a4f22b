package sipphone

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"
)

func TestCancel(t *testing.T) {
	a, b := phone(t, Config{}), phone(t, Config{})
	o, err := a.Start(b.URI())
	must(t, err)
	in := wait(t, b.Incoming(), "call")
	must(t, in.Ring())
	wait(t, o.Ringing(), "ringing")
	o.CancelWith(`SIP;cause=200;text="Call completed elsewhere"`)
	wait(t, in.Cancelled(), "CANCEL")
	if !in.CancelCause().Elsewhere() {
		t.Errorf("cause %+v", in.CancelCause())
	}
	if _, err := o.Wait(within(t, 5*time.Second)); !errors.Is(err, ErrCancelled) {
		t.Errorf("wait: %v", err)
	}
	if _, err := in.Answer(t.Context()); !errors.Is(err, ErrCancelled) {
		t.Errorf("answer after the cancel: %v", err)
	}
	wait(t, in.Done(), "end")
}

func TestCallGivesUpWithItsContext(t *testing.T) {
	a, b := phone(t, Config{}), phone(t, Config{})
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		_, err := a.Call(ctx, b.URI())
		failed <- err
	}()
	in := wait(t, b.Incoming(), "call")
	cancel()
	if err := wait(t, failed, "error"); !errors.Is(err, context.Canceled) {
		t.Errorf("call: %v", err)
	}
	wait(t, in.Cancelled(), "CANCEL")
}

func TestReject(t *testing.T) {
	a, b := phone(t, Config{}), phone(t, Config{})
	for code, q850 := range map[int]int{486: 17, 404: 1, 480: 0, 503: 34, 603: 21} {
		o, err := a.Start(b.URI())
		must(t, err)
		must(t, wait(t, b.Incoming(), "call").Reject(code, q850))
		_, err = o.Wait(within(t, 5*time.Second))
		r := (*Rejected)(nil)
		if !errors.As(err, &r) || r.Code != code || r.Cause.Q850 != q850 || r.Reason == "" {
			t.Errorf("%d with cause %d came as %v", code, q850, err)
		}
	}
	o, err := a.Start(b.URI())
	must(t, err)
	must(t, wait(t, b.Incoming(), "call").Redirect("sip:other@127.0.0.9"))
	_, err = o.Wait(within(t, 5*time.Second))
	if r := (*Rejected)(nil); !errors.As(err, &r) || r.Code != 302 || r.Headers.Get("Contact") != "<sip:other@127.0.0.9>" {
		t.Errorf("redirect: %v", err)
	}
}

func TestEarlyMedia(t *testing.T) {
	a, b := phone(t, Config{Tone: 440}), phone(t, Config{Tone: 425})
	o, err := a.Start(b.URI())
	must(t, err)
	in := wait(t, b.Incoming(), "call")
	must(t, in.Progress())
	wait(t, o.EarlyMedia(), "early media")
	ctx := within(t, 5*time.Second)
	_, err = o.Ear().WaitTone(ctx, 425, 200*time.Millisecond)
	must(t, err)
	must(t, in.Reject(404, 1))
	if _, err := o.Wait(ctx); codeOf(err) != 404 {
		t.Errorf("wait: %v", err)
	}
}

func TestWhoCalls(t *testing.T) {
	a, b := phone(t, Config{User: "ann"}), phone(t, Config{})
	for name, tt := range map[string]struct {
		opts                []CallOption
		from, display       string
		asserted, privacy   string
		header, headerValue string
	}{
		"plain":     {nil, "ann", "", "", "", "", ""},
		"other":     {[]CallOption{From("4930123", "Berlin"), Header("X-Test", "1")}, "4930123", "Berlin", "", "", "X-Test", "1"},
		"anonymous": {[]CallOption{Anonymous(), Asserted("4930123", "")}, "anonymous", "Anonymous", "<sip:4930123@127.0.0.1>", "id", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := a.Start("sip:12345@"+b.Addr(), tt.opts...)
			must(t, err)
			in := wait(t, b.Incoming(), "call")
			defer func() { _, _ = o.Wait(within(t, 5*time.Second)) }()
			defer func() { _ = in.Reject(486, 0) }()
			if in.To != "12345" || in.From != tt.from || in.Display != tt.display {
				t.Errorf("to %q from %q %q", in.To, in.From, in.Display)
			}
			h := in.Headers
			if h.Get("P-Asserted-Identity") != tt.asserted || h.Get("Privacy") != tt.privacy || h.Get(tt.header) != tt.headerValue {
				t.Errorf("headers %v", h)
			}
		})
	}
}

func TestDigest(t *testing.T) {
	peer := phone(t, Config{Accounts: map[string]string{"ann": "secret"}, ChallengeCalls: true, AutoAnswer: time.Millisecond})
	for name, tt := range map[string]struct {
		password string
		want     int
	}{"right": {"secret", 0}, "wrong": {"guess", 401}, "none": {"", 401}} {
		t.Run(name, func(t *testing.T) {
			a := phone(t, Config{User: "ann", Password: tt.password, Server: peer.Addr()})
			ctx := within(t, 5*time.Second)
			c, err := a.Call(ctx, "100")
			if codeOf(err) != tt.want {
				t.Fatalf("call: %v, want %d", err, tt.want)
			}
			if err == nil {
				must(t, c.Hangup(ctx))
			}
			if err := a.Register(ctx, time.Minute); codeOf(err) != tt.want {
				t.Errorf("register: %v, want %d", err, tt.want)
			}
		})
	}
}

func TestRegister(t *testing.T) {
	peer := phone(t, Config{Accounts: map[string]string{"ann": "secret"}})
	a := phone(t, Config{User: "ann", Password: "secret", Server: peer.Addr(), AutoAnswer: time.Millisecond})
	ctx := within(t, 10*time.Second)
	must(t, a.Register(ctx, time.Second)) // refreshed after 0.8 s
	if !a.Registered() {
		t.Error("not registered")
	}
	r, err := peer.WaitRegistration(ctx, "ann", func(r Registration) bool { return r.Accepted >= 2 })
	must(t, err)
	c, err := peer.Call(ctx, r.Contact)
	must(t, err)
	must(t, c.Hangup(ctx))
	must(t, a.Unregister(ctx))
	if r := peer.Registration("ann"); a.Registered() || r.Contact != "" || r.Refused != 0 {
		t.Errorf("after unregister: %+v", r)
	}
	peer.RefuseRegister(503)
	if err := a.Register(ctx, time.Minute); codeOf(err) != 503 {
		t.Errorf("refused register: %v", err)
	}
}

func TestSignallingOnly(t *testing.T) {
	a, b := phone(t, Config{NoMedia: true}), phone(t, Config{NoMedia: true, AutoAnswer: time.Millisecond})
	ctx := within(t, 10*time.Second)
	c, err := a.Call(ctx, b.URI())
	must(t, err)
	in := wait(t, b.Incoming(), "call")
	callee, err := in.Call(ctx)
	must(t, err)
	must(t, c.Hold(ctx))
	must(t, callee.Hangup(ctx))
	wait(t, c.Done(), "end")
	if s := c.Stats(); s.Out != 0 || s.In != 0 {
		t.Errorf("stats %+v", s)
	}
}

// raw sends one SIP message by hand and returns the answer.
func raw(t *testing.T, p *Phone, msg string) string {
	t.Helper()
	conn, err := net.Dial("udp4", p.Addr())
	must(t, err)
	defer conn.Close()
	_, err = conn.Write([]byte(msg))
	must(t, err)
	must(t, conn.SetReadDeadline(time.Now().Add(5*time.Second)))
	buf := make([]byte, 4096)
	n, err := conn.Read(buf)
	must(t, err)
	return string(buf[:n])
}

func TestStrangers(t *testing.T) {
	p := phone(t, Config{})
	for name, tt := range map[string]struct{ method, toTag, want string }{
		"ping":             {"OPTIONS", "", "SIP/2.0 200"},
		"BYE of no call":   {"BYE", ";tag=x", "SIP/2.0 481"},
		"register":         {"REGISTER", "", "SIP/2.0 405"},
		"unknown method":   {"SUBSCRIBE", "", "SIP/2.0 405"},
		"message waiting":  {"NOTIFY", "", "SIP/2.0 200"},
		"cancel of no one": {"CANCEL", "", "SIP/2.0 481"},
	} {
		t.Run(name, func(t *testing.T) {
			got := raw(t, p, tt.method+" sip:a@"+p.Addr()+" SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;rport;branch=z9hG4bK"+newID()+
				"\r\nFrom: <sip:b@127.0.0.1>;tag=1\r\nTo: <sip:a@127.0.0.1>"+tt.toTag+"\r\nCall-ID: "+newID()+"\r\nCSeq: 1 "+tt.method+
				"\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n")
			if len(got) < len(tt.want) || got[:len(tt.want)] != tt.want {
				t.Errorf("answer %q, want %s", got, tt.want)
			}
		})
	}
}
