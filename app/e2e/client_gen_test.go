//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"callplane/app/call"
	"callplane/app/sandbox"
	"callplane/app/sandbox/sipphone"
)

// A client whose types are generated from the server's own description type-checks and runs a whole call with it: it makes a key, a
// phone, an agent, a queue, a flow and a number, signs the agent in, hears of the call by the event stream, holds it, takes it back,
// hangs up and reads the record. The telephones are played here.
//
//
func TestGeneratedClient(t *testing.T) {
	t.Parallel()
	s := sharedServer(t)
	dir := generatedClient(t, s)
	c := newCentre(t, s)
	dialled, _ := c.newNumber()
	name := c.name("generated")
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "out/flow.js")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CALLPLANE_URL="+s.url, "CALLPLANE_TOKEN="+s.Admin.token, "CALLPLANE_UNIT="+c.Unit, "CALLPLANE_NAME="+name,
		"CALLPLANE_NUMBER="+dialled)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	answers, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	asks, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	g := &generated{c: c, number: dialled, talks: make(chan *Party, 1)}
	var steps []string
	lines := bufio.NewScanner(asks)
	for lines.Scan() {
		var ask struct{ Step, User, Password, Call, Error string }
		if err := json.Unmarshal(lines.Bytes(), &ask); err != nil {
			t.Errorf("the client says %s", lines.Text())
			continue
		}
		steps = append(steps, ask.Step)
		answer := "done"
		if err := g.play(t, ask.Step, ask.User, ask.Password, ask.Call+ask.Error); err != nil {
			t.Errorf("%s: %v", ask.Step, err)
			answer = err.Error()
		}
		if ask.Step != "failed" {
			fmt.Fprintln(answers, answer)
		}
	}
	_ = answers.Close()
	if err := errors.Join(lines.Err(), cmd.Wait()); err != nil {
		t.Fatalf("the client: %v\n%s", err, &complaints)
	}
	if len(steps) != 6 {
		t.Errorf("steps %v", steps)
	}
	if d := c.row(g.id); d.Call.Summary != "by a generated client" || d.Call.EndReason != call.AgentHungUp.String() {
		t.Errorf("row %+v", d.Call)
	}
}

// generated is the telephones of one run of the client.
type generated struct {
	c      *Centre
	number string
	desk   *sipphone.Phone
	caller *Party
	agent  *Party
	talks  chan *Party
	id     call.ID
}

// play does what the client asks for.
func (g *generated) play(t *testing.T, step, user, password, what string) (err error) {
	t.Helper()
	_, tone := g.c.person()
	switch step {
	case "register":
		g.desk, err = sipphone.New(context.Background(), sipphone.Config{
			Server: g.c.Asterisk.SIP, User: user, Password: password, Tone: tone,
			OnIncoming: func(in *sipphone.Incoming) {
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				defer cancel()
				if cl, err := in.Answer(ctx); err == nil {
					g.talks <- &Party{Call: cl, who: "the client's agent", tone: tone}
				}
			},
		})
		if err != nil {
			return err
		}
		t.Cleanup(g.desk.Close)
		return poll(20*time.Second, func() error { return g.desk.Register(within(t, 5*time.Second), time.Minute) })
	case "call":
		if g.caller, err = g.c.tryCall(g.number); err != nil {
			return err
		}
		g.id = g.caller.ID
		select {
		case g.agent = <-g.talks:
			talk(t, g.caller, g.agent)
			return nil
		case <-time.After(15 * time.Second):
			return errors.New("the agent's phone was not called")
		}
	case "held":
		hears(t, g.caller.who, g.caller.Ear(), sandbox.DefaultMusic.Tone())
	case "unheld":
		talk(t, g.caller, g.agent)
	case "ended":
		waitFor(t, "end of the caller's leg", g.caller.Done())
		waitFor(t, "end of the agent's leg", g.agent.Done())
	case "read":
		if what != string(g.id) {
			return fmt.Errorf("it read call %s, not %s", what, g.id)
		}
	default:
		return errors.New(what)
	}
	return nil
}

// generatedClient generates the types from the server's description, and compiles the client with them. It returns the folder.
func generatedClient(t *testing.T, s *Server) string {
	t.Helper()
	source, err := filepath.Abs("client")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range []string{"flow.ts", "package.json", "package-lock.json", "tsconfig.json"} {
		raw, err := os.ReadFile(filepath.Join(source, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), raw, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	res, err := http.Get(s.url + "/api/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	description, err := io.ReadAll(res.Body)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "openapi.json"), description, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"npm", "ci", "--no-audit", "--no-fund", "--prefer-offline", "--ignore-scripts"},
		// A field with a default may be left out of a request.
		{"node_modules/.bin/openapi-typescript", "openapi.json", "--default-non-nullable=false", "-o", "schema.ts"},
		{"node_modules/.bin/tsc", "-p", "."},
	} {
		cmd := exec.CommandContext(within(t, 5*time.Minute), args[0], args[1:]...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "npm_config_update_notifier=false")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	return dir
}
