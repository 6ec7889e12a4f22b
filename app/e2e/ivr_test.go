//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// Each number has its own welcome. A key at 1 s ends it only where the flow allows that.
//
//
func TestWelcome(t *testing.T) {
	t.Parallel()
	c := newCentre(t, sharedServer(t))
	var wg sync.WaitGroup
	for i, interrupt := range []bool{true, false, true} {
		words := []string{
			"您好，欢迎致电供水公司，我们将竭诚为您服务，请您仔细听完这段欢迎词。",
			"这里是有线电视报修中心，您的每一个故障我们都会登记，并尽快派人上门。",
			"感谢您拨打铁路订票电话，今天的车票从八点开始发售，每人最多购买五张。",
		}[i]
		menu := "主菜单，请按键。"
		number := c.number(c.flow(fmt.Sprint("welcome", i), fmt.Sprintf(
			"welcome: {text: %s, interrupt: %t}\nmenu: {text: %s, keys: {\"1\": {hangup: true}}}\n", words, interrupt, menu)), nil)
		for _, press := range []bool{false, true} {
			wg.Go(func() {
				p := c.calls(number)
				welcome, then := text(t, words), text(t, menu)
				if !press {
					at := finds(t, "the welcome", p.Ear(), 0, welcome, 30*time.Second)
					if next := finds(t, "the menu", p.Ear(), at, then, 15*time.Second); next < at+length(welcome)-100*time.Millisecond {
						t.Errorf("service %d: the menu began at %s, inside the welcome at %s", i, next, at)
					}
					c.leaves(p)
					return
				}
				start := finds(t, "the beginning", p.Ear(), 0, welcome[:9600], 10*time.Second)
				if err := p.Ear().WaitUntil(within(t, 5*time.Second), start+time.Second); err != nil {
					t.Error(err)
				}
				if err := p.SendDTMF(within(t, 5*time.Second), "9", 0); err != nil {
					t.Error(err)
				}
				next := finds(t, "the menu", p.Ear(), 0, then, 30*time.Second)
				cut := next < start+length(welcome)-200*time.Millisecond
				if cut != interrupt {
					t.Errorf("service %d: with a key at 1 s the menu came %s after the welcome's begin, which lasts %s; interruption is %t",
						i, next-start, length(welcome), interrupt)
				}
				if interrupt && next-start > 4500*time.Millisecond {
					t.Errorf("service %d: the key worked only after %s", i, next-start)
				}
				c.leaves(p)
			})
		}
	}
	wg.Wait()
}

// An unused key twice and then nothing: two error prompts, one for silence, and then the final action.
//
//
func TestWrongKeys(t *testing.T) {
	t.Parallel()
	c := newCentre(t, sharedServer(t))
	a := c.agent("anna", agentOptions{})
	q := c.queue("help", nil, a)
	menu := "销售请按一。"
	number := c.number(c.flow("keys", `
menu:
  text: `+menu+`
  tries: 3
  timeout_seconds: 4
  keys: {"1": {hangup: true}}
  final: {prompt: input/to-agent, queue: `+q.Name+`}
`), nil)
	p := c.calls(number)
	ear, ask, wrong := p.Ear(), text(t, menu), prompt(t, "input/invalid")
	at := time.Duration(0)
	for range 2 {
		at = finds(t, "the menu", ear, at, ask, 10*time.Second) + length(ask)
		if err := p.SendDTMF(within(t, 5*time.Second), "7", 0); err != nil {
			t.Fatal(err)
		}
		at = finds(t, "the error prompt", ear, at, wrong, 10*time.Second) + length(wrong)
	}
	at = finds(t, "the menu", ear, at, ask, 10*time.Second) + length(ask)
	silence := prompt(t, "input/timeout")
	late := finds(t, "the prompt for silence", ear, at, silence, 10*time.Second)
	if wait := late - at; wait < 3500*time.Millisecond || wait > 5*time.Second {
		t.Errorf("the prompt for silence came %s after the menu, want 4 s", wait)
	}
	finds(t, "the final prompt", ear, late, prompt(t, "input/to-agent"), 10*time.Second)
	talk(t, p, a.talk())
	heard := ear.Audio()
	if n := count(heard, wrong); n != 2 {
		t.Errorf("%d error prompts, want 2", n)
	}
	if n := count(heard, silence); n != 1 {
		t.Errorf("%d prompts for silence, want 1", n)
	}
	c.leaves(p)
	d := c.row(p.ID)
	var nodes []string
	for _, m := range d.Timeline {
		if m.What == "node" {
			nodes = append(nodes, fmt.Sprint(m.Data["node"]))
		}
	}
	if got, want := strings.Join(nodes, ", "), "menu, error, menu, error, menu, error, say, queue"; got != want {
		t.Errorf("nodes: %s; want %s", got, want)
	}
	if d.Call.QueueID != string(q.ID) || d.Call.AgentID != a.ID {
		t.Errorf("the row says queue %s, agent %s", d.Call.QueueID, d.Call.AgentID)
	}
}

// count is how often a pattern is in the audio. The best find cuts it in two, so that neither half holds that one again.
func count(audio, pattern []int16) int {
	at, ok := spot(audio, pattern)
	if !ok {
		return 0
	}
	cut := int(at.Seconds()*8000) + len(pattern)/2
	return 1 + count(audio[:cut], pattern) + count(audio[cut:], pattern)
}
