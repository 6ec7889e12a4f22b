//go:build e2e

package e2e

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/http"
	"sync"
	"testing"
	"time"

	"callplane/app/agent"
	"callplane/app/call"
	"callplane/app/recording"
)

// Ten callers and ten agents hang up; each row says who did, and when. All of it is recorded, customer left and agent right,
// as long as they talked.
//
// R-037 R-191
func TestReleases(t *testing.T) {
	t.Parallel()
	c := newCentre(t, sharedServer(t))
	team := c.agents(10, agentOptions{})
	q := c.queue("all", nil, team...)
	number := c.straight(q)
	for _, byAgent := range []bool{false, true} {
		var wg sync.WaitGroup
		for range team {
			wg.Go(func() {
				p, err := c.tryCall(number)
				if err != nil {
					t.Error(err)
					return
				}
				said := c.Feed.call(t, p.ID, "call.talking", 15*time.Second)
				var a *Party
				for _, one := range team {
					if one.ID == said.Agent {
						a = one.talk()
					}
				}
				talk(t, p, a)
				if err := p.Ear().WaitUntil(within(t, 10*time.Second), p.Ear().Now()+3*time.Second); err != nil {
					t.Error(err)
				}
				end, want, reason := p, call.ByCaller, call.CallerHungUp
				if byAgent {
					end, want, reason = a, call.ByAgent, call.AgentHungUp
				}
				at := time.Now()
				if err := end.Hangup(within(t, 5*time.Second)); err != nil {
					t.Error(err)
				}
				r := c.row(p.ID).Call
				if r.ReleasedBy != want || r.EndReason != reason.String() || r.EndClass != call.ClassTalked {
					t.Errorf("%s hung up; the row says %s, %s", end.who, r.ReleasedBy, r.EndReason)
				}
				if d := r.EndedAt.Sub(at).Abs(); d > time.Second {
					t.Errorf("%s hung up at %s; the row says %s", end.who, at, r.EndedAt)
				}
				c.recorded(*r, p.tone, a.tone)
			})
		}
		wg.Wait()
		for _, a := range team {
			a.becomes(agent.Ready, "")
		}
	}
	for by, want := range map[call.Party]int{call.ByCaller: 10, call.ByAgent: 10} {
		if got := list[call.Row](t, c.Admin, fmt.Sprintf("/call/calls?queue=%s&released_by=%s", q.ID, by)); len(got) != want {
			t.Errorf("the filter finds %d calls released by %s, want %d", len(got), by, want)
		}
	}
}

// stereo is a recording's audio by channel.
func (c *Centre) stereo(id call.ID) (left, right []int16, r recording.Recording) {
	c.t.Helper()
	eventually(c.t, 30*time.Second, "recording of "+string(id), func() error {
		return c.Admin.try(http.MethodGet, "/recording/recordings/"+string(id), nil, &r)
	})
	res, b, err := c.Admin.raw(http.MethodGet, "/recording/recordings/"+string(id)+"/audio", nil)
	if err != nil {
		c.t.Fatal(err)
	}
	if got := res.Header.Get("Content-Type"); got != "audio/wav" {
		c.t.Errorf("recording is %s", got)
	}
	if len(b) < 44 || binary.LittleEndian.Uint16(b[22:]) != 2 || binary.LittleEndian.Uint32(b[24:]) != 8000 {
		c.t.Fatalf("recording of %s is no stereo WAV of 8 kHz: % x", id, b[:min(len(b), 44)])
	}
	for b = b[44:]; len(b) >= 4; b = b[4:] {
		left = append(left, int16(binary.LittleEndian.Uint16(b)))
		right = append(right, int16(binary.LittleEndian.Uint16(b[2:])))
	}
	return left, right, r
}

// recorded says that a call's recording is as long as the talk, with the customer's tone left and the agent's right.
func (c *Centre) recorded(row call.Row, customer, agent float64) {
	c.t.Helper()
	left, right, r := c.stereo(row.ID)
	took := time.Duration(row.TalkMs) * time.Millisecond
	if d := (length(left) - took).Abs(); d > 500*time.Millisecond {
		c.t.Errorf("call %s: %s recorded, %s talked", row.ID, length(left), took)
	}
	if r.State != recording.OK || !row.Recorded {
		c.t.Errorf("call %s: recording is %s (%s), the row says %t", row.ID, r.State, r.Error, row.Recorded)
	}
	for _, side := range []struct {
		name      string
		pcm       []int16
		is, isNot float64
	}{{"left", left, customer, agent}, {"right", right, agent, customer}} {
		mid := side.pcm[len(side.pcm)/4 : len(side.pcm)*3/4]
		if has, not := power(mid, side.is), power(mid, side.isNot); has < 0.01 || not > has/100 {
			c.t.Errorf("call %s: %s channel has %g Hz with %.4f and %g Hz with %.4f", row.ID, side.name, side.is, has, side.isNot, not)
		}
	}
}

// power is how loud a tone is in audio, 1 being the loudest there can be, squared (Goertzel).
func power(pcm []int16, hz float64) float64 {
	if len(pcm) == 0 {
		return 0
	}
	coeff := 2 * math.Cos(2*math.Pi*hz/8000)
	var sum float64
	const block = 800
	n := 0
	for ; len(pcm) >= block; pcm = pcm[block:] {
		var a, b float64
		for _, x := range pcm[:block] {
			a, b = float64(x)/32768+coeff*a-b, a
		}
		sum += 4 * (a*a + b*b - coeff*a*b) / block / block
		n++
	}
	return sum / float64(max(n, 1))
}
