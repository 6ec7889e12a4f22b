package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"time"

	"callplane/app"
	callpkg "callplane/app/call"
	"callplane/app/sandbox/sipphone"
)

// The tones that the two ends send, so that each can tell that it hears the other.
const (
	callerTone = 440
	agentTone  = 1000
)

// call places one call: a caller from outside dials the demo number, chooses in the menu, waits, and talks to an agent; both are
// played here. It prints what the platform made of it.
func call(ctx context.Context, dir string, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	d, err := readAccess(filepath.Join(dir, "demo.json"))
	if err != nil {
		return err
	}
	api := client{d}
	who := d.Agents[0]
	var phone app.DemoPhone
	for _, p := range d.Phones {
		if p.Name == who.Phone {
			phone = p
		}
	}
	desk, err := sipphone.New(ctx, sipphone.Config{Server: d.SIP, User: phone.User, Password: phone.Password, Tone: agentTone, AutoAnswer: 2 * time.Second})
	if err != nil {
		return err
	}
	defer desk.Close()
	if err := desk.Register(ctx, 5*time.Minute); err != nil {
		return fmt.Errorf("register phone %s: %w", who.Phone, err)
	}
	if err := api.signIn(ctx, who); err != nil {
		return err
	}
	defer api.do(context.WithoutCancel(ctx), http.MethodPost, "/agent/agents/"+who.ID+"/state", map[string]string{"state": "logged_out"}, nil)
	fmt.Fprintf(out, "Agent %s is ready on phone %s.\n", who.Login, who.Phone)

	street, err := sipphone.New(ctx, sipphone.Config{Addr: d.Trunk, Server: d.SIP, User: "13800138000", Tone: callerTone})
	if err != nil {
		return err
	}
	defer street.Close()
	started := time.Now().Add(-time.Second)
	c, err := street.Call(ctx, d.Number)
	if err != nil {
		return fmt.Errorf("call %s: %w", d.Number, err)
	}
	fmt.Fprintf(out, "A caller dials %s and is answered after %d ms.\n", d.Number, c.Times().Answered.Sub(c.Times().Invited).Milliseconds())
	if err := speakTo(ctx, out, c); err != nil {
		return err
	}
	if err := c.Hangup(ctx); err != nil {
		return err
	}
	return api.report(ctx, out, started)
}

// speakTo goes through the menu and listens for the agent.
func speakTo(ctx context.Context, out io.Writer, c *sipphone.Call) error {
	for _, step := range []struct {
		wait time.Duration
		key  string
		what string
	}{{2 * time.Second, "2", "skips the welcome"}, {3 * time.Second, "2", "chooses English"}, {3 * time.Second, "1", "chooses sales"}} {
		select {
		case <-time.After(step.wait):
		case <-c.Done():
			return fmt.Errorf("the call ended in the menu: %v", c.Cause())
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := c.SendDTMF(ctx, step.key, 100*time.Millisecond); err != nil {
			return err
		}
		fmt.Fprintf(out, "The caller presses %s and %s.\n", step.key, step.what)
	}
	if _, err := c.Ear().WaitTone(ctx, agentTone, 200*time.Millisecond); err != nil {
		return fmt.Errorf("the agent is not heard: %w", err)
	}
	fmt.Fprintln(out, "The caller hears the agent. They talk for five seconds.")
	select {
	case <-time.After(5 * time.Second):
	case <-ctx.Done():
	}
	return ctx.Err()
}

// client asks the demo's API.
type client struct{ app.DemoAccess }

func (c client) do(ctx context.Context, method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, c.URL+"/api"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.Key)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	} else {
		req.Body = http.NoBody
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %d %s", method, path, res.StatusCode, raw)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(raw, out)
}

// signIn makes the agent ready; the platform may hear of the registration a moment after the phone.
func (c client) signIn(ctx context.Context, who app.DemoAgent) (err error) {
	for range 50 {
		err = c.do(ctx, http.MethodPost, "/agent/agents/"+who.ID+"/sign-in", map[string]any{"phone": who.Phone, "ready": true}, nil)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return err
}

// report waits for the call's record and recording, and prints both.
func (c client) report(ctx context.Context, out io.Writer, since time.Time) error {
	for {
		var found struct{ Items []callpkg.Row }
		query := "/call/calls?number=" + c.Number + "&from=" + since.UTC().Format("2006-01-02T15:04:05Z")
		if err := c.do(ctx, http.MethodGet, query, nil, &found); err != nil {
			return err
		}
		if len(found.Items) > 0 {
			return c.print(ctx, out, found.Items[0].ID)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the call's record does not come: %w", ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (c client) print(ctx context.Context, out io.Writer, id callpkg.ID) error {
	var d callpkg.Detail
	if err := c.do(ctx, http.MethodGet, "/call/calls/"+string(id), nil, &d); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nCall %s ended: %s, released by %s; waited %d ms, talked %d ms.\n", id, d.Call.EndReason, d.Call.ReleasedBy, d.Call.WaitMs, d.Call.TalkMs)
	for _, m := range d.Timeline {
		fmt.Fprintf(out, "  %s  %s\n", m.At.Local().Format("15:04:05.000"), m.What)
	}
	for _, o := range d.Offers {
		fmt.Fprintf(out, "  why %s: %s\n", o.AgentName, o.Why.V)
	}
	for {
		var found struct {
			Items []struct {
				ID       string `json:"id"`
				LengthMs int64  `json:"length_ms"`
				State    string `json:"state"`
			}
		}
		if err := c.do(ctx, http.MethodGet, "/recording/recordings?call="+string(id), nil, &found); err != nil {
			return err
		}
		if len(found.Items) > 0 {
			r := found.Items[0]
			fmt.Fprintf(out, "\nRecording (%s, %d ms): %s/api/recording/recordings/%s/audio\n", r.State, r.LengthMs, c.URL, r.ID)
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the recording does not come: %w", ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}
