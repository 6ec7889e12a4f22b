package sipphone_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"callplane/app/sandbox"
	"callplane/app/sandbox/sipphone"
)

// dialplan is what the phones of these tests can dial: 1xxx another phone, and some machines.
const dialplan = `
[custom-phone]
exten => _1XXX,1,Dial(PJSIP/phone${EXTEN})
 same => n,Hangup(${HANGUPCAUSE})
exten => 2000,1,Dial(PJSIP/phone1001&PJSIP/phone1002)
exten => 600,1,Answer()
 same => n,Echo()
exten => 601,1,Answer()
 same => n,Wait(0.5)
 same => n,Playback(demo-congrats)
 same => n,Hangup()
exten => 602,1,Progress()
 same => n,Playtones(425)
 same => n,Wait(2)
 same => n,Hangup(1)
exten => _0X.,1,Dial(PJSIP/${EXTEN}@trunk)
 same => n,Hangup(${HANGUPCAUSE})

[custom-trunk]
exten => 600,1,Answer()
 same => n,Echo()
`

// pbx starts a real Asterisk for one test. It takes root and the packages of the sandbox, hence CALLPLANE_IT.
func pbx(t *testing.T) *sandbox.Asterisk {
	t.Helper()
	if os.Getenv("CALLPLANE_IT") == "" {
		t.Skip("needs a real Asterisk: set CALLPLANE_IT=1")
	}
	ast, err := sandbox.StartAsterisk(t.Context(), sandbox.AsteriskOptions{Custom: map[string]string{"extensions.conf": dialplan}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if err := ast.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return ast
}

// put pushes one PJSIP object.
func put(t *testing.T, ast *sandbox.Asterisk, kind, id string, fields ...string) {
	t.Helper()
	type field struct {
		Attribute string `json:"attribute"`
		Value     string `json:"value"`
	}
	var all []field
	for f := range slices.Chunk(fields, 2) { // in this order: an "allow" before its "disallow" is lost
		all = append(all, field{f[0], f[1]})
	}
	body, _ := json.Marshal(map[string]any{"fields": all})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, ast.ARI+"/asterisk/config/dynamic/res_pjsip/"+kind+"/"+id, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(ast.User, ast.Password)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("push %s %s: %s", kind, id, resp.Status)
	}
}

// extension makes and registers the phone with this number; its tone is 400 Hz and 50 more for each number.
func extension(t *testing.T, ast *sandbox.Asterisk, number int, cfg sipphone.Config) *sipphone.Phone {
	t.Helper()
	name := fmt.Sprint("phone", number)
	put(t, ast, "auth", name, "auth_type", "userpass", "username", name, "password", "secret")
	put(t, ast, "aor", name, "max_contacts", "1", "remove_existing", "yes")
	put(t, ast, "endpoint", name, "context", "callplane-phone", "disallow", "all", "allow", "ulaw",
		"auth", name, "aors", name, "direct_media", "no", "callerid", fmt.Sprintf("Phone <%d>", number))
	cfg.User, cfg.Server = name, ast.SIP
	if cfg.Password == "" {
		cfg.Password = "secret"
	}
	if cfg.Tone == 0 {
		cfg.Tone = tone(number)
	}
	p, err := sipphone.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func tone(number int) float64 { return float64(400 + 50*(number%47)) }

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func next(t *testing.T, ctx context.Context, p *sipphone.Phone) *sipphone.Incoming {
	t.Helper()
	select {
	case in := <-p.Incoming():
		return in
	case <-ctx.Done():
		t.Fatal("no call came in")
		return nil
	}
}

func TestAsterisk(t *testing.T) {
	ast := pbx(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ann, bob, cat := extension(t, ast, 1000, sipphone.Config{}), extension(t, ast, 1001, sipphone.Config{}), extension(t, ast, 1002, sipphone.Config{})
	for _, p := range []*sipphone.Phone{ann, bob, cat} {
		ok(t, p.Register(ctx, time.Minute))
	}

	t.Run("wrong password", func(t *testing.T) {
		p := extension(t, ast, 1009, sipphone.Config{Password: "guess"})
		if err := p.Register(ctx, time.Minute); rejected(err) != 401 {
			t.Errorf("register: %v", err)
		}
	})

	t.Run("echo", func(t *testing.T) {
		c, err := ann.Call(ctx, "600")
		ok(t, err)
		_, err = c.Ear().WaitTone(ctx, tone(1000), 500*time.Millisecond)
		ok(t, err)
		ok(t, c.SendDTMF(ctx, "42#", 0))
		for _, want := range "42#" {
			select {
			case d := <-c.Digits():
				if d.Key != want {
					t.Errorf("digit %c, want %c", d.Key, want)
				}
			case <-ctx.Done():
				t.Fatal("no digit")
			}
		}
		ok(t, c.Hangup(ctx))
	})

	t.Run("prompt", func(t *testing.T) {
		tree, err := sandbox.Prepare(ctx, nil)
		ok(t, err)
		prompt, err := sipphone.ReadWAV(filepath.Join(tree.Asterisk, "usr/share/asterisk/sounds/en_US_f_Allison/demo-congrats.wav"))
		if errors.Is(err, os.ErrNotExist) {
			prompt, err = sipphone.ReadWAV(filepath.Join(tree.Asterisk, "usr/share/asterisk/sounds/en/demo-congrats.wav"))
		}
		ok(t, err)
		prompt = prompt[:5*8000]
		c, err := ann.Call(ctx, "601")
		ok(t, err)
		ok(t, c.Ear().WaitUntil(ctx, 7*time.Second))
		at, score := sipphone.FindIn(c.Ear().Audio(), prompt)
		t.Logf("prompt at %v, score %.3f", at, score)
		if score < sipphone.Match || at < 400*time.Millisecond || at > 900*time.Millisecond {
			t.Errorf("prompt at %v, score %.3f", at, score)
		}
		ok(t, c.Hangup(ctx))
	})

	t.Run("early media", func(t *testing.T) {
		o, err := ann.Start("602")
		ok(t, err)
		_, err = o.Ear().WaitTone(ctx, 425, 300*time.Millisecond)
		ok(t, err)
		_, err = o.Wait(ctx)
		if r := (*sipphone.Rejected)(nil); !errors.As(err, &r) || r.Code != 404 {
			t.Errorf("unknown number: %v", err)
		}
	})

	t.Run("talk, hold, refer", func(t *testing.T) {
		o, err := ann.Start("1001")
		ok(t, err)
		in := next(t, ctx, bob)
		ok(t, in.Ring())
		<-o.Ringing()
		if in.From != "1000" {
			t.Errorf("bob sees %q", in.From)
		}
		y, err := in.Answer(ctx)
		ok(t, err)
		x, err := o.Wait(ctx)
		ok(t, err)
		hears := func(c *sipphone.Call, hz float64) {
			t.Helper()
			_, err := c.Ear().WaitTone(ctx, hz, 200*time.Millisecond)
			ok(t, err)
		}
		hears(x, tone(1001))
		hears(y, tone(1000))
		ok(t, y.Hold(ctx))
		hears(x, sandbox.DefaultMusic.Tone())
		ok(t, y.Resume(ctx))
		hears(x, tone(1001))
		tr, err := y.Refer(ctx, "600") // ann is put through to the echo
		ok(t, err)
		code, err := tr.Wait(ctx)
		ok(t, err)
		if code != 200 {
			t.Errorf("transfer: %d", code)
		}
		hears(x, tone(1000))
		_ = y.Hangup(ctx)
		ok(t, x.HangupCause(ctx, 16))
	})

	t.Run("busy", func(t *testing.T) {
		o, err := ann.Start("1001")
		ok(t, err)
		ok(t, next(t, ctx, bob).Reject(486, 17))
		_, err = o.Wait(ctx)
		if r := (*sipphone.Rejected)(nil); !errors.As(err, &r) || r.Code != 486 || r.Cause.Q850 != 17 {
			t.Errorf("busy: %v", err)
		}
	})

	t.Run("answered elsewhere", func(t *testing.T) {
		o, err := ann.Start("2000")
		ok(t, err)
		late, quick := next(t, ctx, bob), next(t, ctx, cat)
		ok(t, late.Ring())
		y, err := quick.Answer(ctx)
		ok(t, err)
		<-late.Cancelled()
		if !late.CancelCause().Elsewhere() {
			t.Errorf("cause %+v", late.CancelCause())
		}
		x, err := o.Wait(ctx)
		ok(t, err)
		ok(t, y.HangupCause(ctx, 16))
		<-x.Done()
		if x.EndedBy() != sipphone.Remote || x.Cause().Q850 != 16 {
			t.Errorf("ended by %s, %+v", x.EndedBy(), x.Cause())
		}
	})

	t.Run("caller gives up", func(t *testing.T) {
		o, err := ann.Start("1001")
		ok(t, err)
		in := next(t, ctx, bob)
		ok(t, in.Ring())
		<-o.Ringing()
		o.Cancel()
		<-in.Cancelled()
		if _, err := o.Wait(ctx); !errors.Is(err, sipphone.ErrCancelled) {
			t.Errorf("wait: %v", err)
		}
	})
}

// TestAsteriskTrunk has a phone as the provider at the far end of a trunk: Asterisk registers there with digest, sends
// calls out, is challenged for them, and gets calls from there.
func TestAsteriskTrunk(t *testing.T) {
	ast := pbx(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	provider, err := sipphone.New(t.Context(), sipphone.Config{
		Addr: "127.0.0.4", User: "provider", Server: ast.SIP, Tone: 1700,
		Accounts: map[string]string{"acme": "trunk-secret"}, ChallengeCalls: true,
	})
	ok(t, err)
	t.Cleanup(provider.Close)
	at := "sip:" + provider.Addr()
	put(t, ast, "auth", "trunk", "auth_type", "userpass", "username", "acme", "password", "trunk-secret")
	put(t, ast, "aor", "trunk", "contact", at, "qualify_frequency", "1")
	put(t, ast, "endpoint", "trunk", "context", "callplane-trunk", "disallow", "all", "allow", "ulaw", "outbound_auth", "trunk", "aors", "trunk", "direct_media", "no")
	put(t, ast, "identify", "trunk", "endpoint", "trunk", "match", "127.0.0.4")
	put(t, ast, "registration", "trunk", "server_uri", at, "client_uri", "sip:acme@"+provider.Addr(), "outbound_auth", "trunk",
		"contact_user", "acme", "expiration", "60", "max_random_initial_delay", "0")
	reg, err := provider.WaitRegistration(ctx, "acme", func(r sipphone.Registration) bool { return r.Accepted > 0 })
	ok(t, err)
	t.Logf("registered as %+v", reg)

	ann := extension(t, ast, 1000, sipphone.Config{})
	o, err := ann.Start("0301234567")
	ok(t, err)
	in := next(t, ctx, provider)
	if in.To != "0301234567" {
		t.Errorf("dialled %q", in.To)
	}
	ok(t, in.Progress())
	_, err = o.Ear().WaitTone(ctx, 1700, 200*time.Millisecond) // ringing tone of the far network
	ok(t, err)
	y, err := in.Answer(ctx)
	ok(t, err)
	x, err := o.Wait(ctx)
	ok(t, err)
	_, err = y.Ear().WaitTone(ctx, tone(1000), 200*time.Millisecond)
	ok(t, err)
	ok(t, x.Hangup(ctx))
	<-y.Done()

	o, err = ann.Start("0309999999")
	ok(t, err)
	ok(t, next(t, ctx, provider).Reject(503, 34))
	_, err = o.Wait(ctx)
	if r := (*sipphone.Rejected)(nil); !errors.As(err, &r) || r.Cause.Q850 != 34 {
		t.Errorf("congested trunk: %v", err)
	}

	c, err := provider.Call(ctx, "600", sipphone.Anonymous(), sipphone.Asserted("493012345", ""))
	ok(t, err)
	_, err = c.Ear().WaitTone(ctx, 1700, 200*time.Millisecond)
	ok(t, err)
	ok(t, c.Hangup(ctx))
}

func rejected(err error) int {
	if r := (*sipphone.Rejected)(nil); errors.As(err, &r) {
		return r.Code
	}
	return 0
}
