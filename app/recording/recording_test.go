package recording

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"callplane/app/call"
	"callplane/app/pbx"
	"callplane/app/pbx/pbxtest"
)

// stage is a memory switch on which a test plays a call by hand, in fake time, and the record that the call leaves.
type stage struct {
	t   testing.TB
	sw  *pbxtest.Switch
	rec call.Record
}

// tones is what each party of a played call sends, in hertz.
var tones = map[string]float64{}

// play plays a call in fake time and returns its record, with the recordings still on the switch. What is left of the
// control plane is a new link to it, which works in real time.
func play(t *testing.T, story func(s *stage)) (call.Record, *pbxtest.Switch, *pbxtest.Link) {
	t.Helper()
	s := &stage{t: t, rec: call.Record{
		ID: "0190a000-0000-7000-8000-000000000001", Unit: "team", UnitPath: "/root/team/", Node: "sw1", State: call.Ended, Direction: call.Inbound,
		From: "+8613800138000", To: "+864001", Queue: "q1", Agent: "agent-2",
	}}
	synctest.Test(t, func(t *testing.T) {
		s.t, s.sw = t, pbxtest.New()
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan struct{})
		go func() { defer close(ran); _ = s.sw.Run(ctx) }()
		go func() {
			for range s.sw.Events() {
			}
		}()
		s.rec.Started = time.Now().UTC()
		story(s)
		s.rec.Ended = time.Now().UTC()
		cancel()
		<-ran
		synctest.Wait()
	})
	return s.rec, s.sw, s.sw.Attach().(*pbxtest.Link)
}

// phone is a leg to a phone that answers at once.
func (s *stage) phone(name string, kind call.LegKind, agent string) pbx.LegID {
	s.t.Helper()
	s.sw.AddPhone(name).OnCall(pbxtest.Answer().ThenDo(func(p *pbxtest.Party) { tones[name] = p.Tone() }))
	id := pbx.LegID(name + "-leg")
	s.must(s.sw.Dial(context.Background(), id, pbx.Dial{Phone: name}))
	synctest.Wait()
	s.rec.Legs = append(s.rec.Legs, call.Leg{ID: id, Kind: kind, Agent: agent, Started: time.Now().UTC()})
	return id
}

func (s *stage) record(leg pbx.LegID, side, agent string) int {
	s.t.Helper()
	id := pbx.RecordingID(string(s.rec.ID) + "/" + side + "-" + string(leg))
	s.must(s.sw.Record(context.Background(), leg, id, time.Hour))
	s.rec.Tracks = append(s.rec.Tracks, call.Track{ID: id, Leg: leg, Side: side, Agent: agent, Queue: "q1", Started: time.Now().UTC()})
	return len(s.rec.Tracks) - 1
}

func (s *stage) hangup(leg pbx.LegID) {
	s.t.Helper()
	s.must(s.sw.Hangup(context.Background(), leg, pbx.NormalClearing))
	now := time.Now().UTC()
	for i := range s.rec.Legs {
		if s.rec.Legs[i].ID == leg {
			s.rec.Legs[i].Ended = now
		}
	}
	for i := range s.rec.Tracks {
		if t := &s.rec.Tracks[i]; t.Leg == leg && t.Ended.IsZero() {
			t.Ended = now
		}
	}
}

func (s *stage) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// conversation is a call of 20 s with hold, transfer and barge-in: R-197.
func conversation(s *stage) {
	customer := s.phone("customer", call.LegCustomer, "")
	first := s.phone("1001", call.LegAgent, "agent-1")
	s.record(customer, "customer", "")
	time.Sleep(20 * time.Millisecond) // the second command takes a moment
	s.record(first, "agent", "agent-1")
	time.Sleep(4 * time.Second)
	s.must(s.sw.Park(context.Background(), customer, "default")) // hold
	time.Sleep(2 * time.Second)
	second := s.phone("1002", call.LegAgent, "agent-2") // transfer
	s.record(second, "agent", "agent-2")
	s.hangup(first)
	time.Sleep(6 * time.Second)
	boss := s.phone("1003", call.LegSupervisor, "boss")
	s.record(boss, "agent", "boss")
	time.Sleep(3 * time.Second)
	s.hangup(boss)
	time.Sleep(4980 * time.Millisecond)
	s.hangup(second)
	s.hangup(customer)
}

func TestWorkOf(t *testing.T) {
	at := func(s float64) time.Time {
		return time.Date(2026, 5, 1, 9, 0, 0, 0, time.UTC).Add(time.Duration(s * float64(time.Second)))
	}
	track := func(leg, side string, from, to float64) call.Track {
		return call.Track{ID: pbx.RecordingID(leg + side), Leg: pbx.LegID(leg), Side: side, Started: at(from), Ended: at(to)}
	}
	legs := []call.Leg{{ID: "c", Ended: at(100)}, {ID: "a", Ended: at(60)}}
	off := call.Mark{At: at(30), What: "recording", Data: map[string]any{"on": false}}
	for name, tt := range map[string]struct {
		rec   call.Record
		limit time.Duration
		want  []float64 // seconds that each track should be long
	}{
		"nothing recorded":                {rec: call.Record{}},
		"a message is not talk":           {rec: call.Record{Tracks: []call.Track{track("c", "message", 0, 9)}}},
		"until the leg is gone":           {rec: call.Record{Tracks: []call.Track{track("c", "customer", 0, 100), track("a", "agent", 0, 60)}}, want: []float64{100, 60}},
		"the switch ended it early":       {rec: call.Record{Tracks: []call.Track{track("c", "customer", 0, 12)}}, want: []float64{100}},
		"never began":                     {rec: call.Record{Tracks: []call.Track{track("c", "customer", 0, 0)}}, want: []float64{100}},
		"switched off":                    {rec: call.Record{Tracks: []call.Track{track("c", "customer", 0, 30)}, Timeline: []call.Mark{off}}, want: []float64{30}},
		"on demand again":                 {rec: call.Record{Tracks: []call.Track{track("c", "customer", 0, 30), track("c", "customer", 50, 100)}, Timeline: []call.Mark{off}}, want: []float64{30, 50}},
		"not longer than the limit":       {rec: call.Record{Tracks: []call.Track{track("c", "customer", 0, 40)}}, limit: 40 * time.Second, want: []float64{40}},
		"a leg that nobody saw end":       {rec: call.Record{Tracks: []call.Track{track("x", "agent", 90, 91)}}, want: []float64{20}},
		"recorded anew after a full disk": {rec: call.Record{Tracks: []call.Track{track("c", "customer", 0, 12), track("c", "customer", 70, 100)}}, want: []float64{70, 30}},
	} {
		t.Run(name, func(t *testing.T) {
			tt.rec.Legs, tt.rec.Ended = legs, at(110)
			w, ok := WorkOf(tt.rec, tt.limit)
			var got []float64
			for _, tr := range w.Tracks {
				got = append(got, tr.Expected().Seconds())
			}
			if ok != (len(tt.want) > 0) || !slices.Equal(got, tt.want) {
				t.Errorf("%v %v, want %v", ok, got, tt.want)
			}
		})
	}
}

func TestPlaces(t *testing.T) {
	start := time.Date(2026, 5, 1, 9, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct{ starts, want []int64 }{ // milliseconds, samples
		"together":              {[]int64{0, 15, 40}, []int64{0, 0, 0}},
		"not together":          {[]int64{0, 41}, []int64{0, 320}},
		"on the grid":           {[]int64{0, 1234, 5011}, []int64{0, 9920, 40160}},
		"together, later":       {[]int64{0, 1000, 1030, 1045}, []int64{0, 8000, 8000, 8320}},
		"a chain is no meeting": {[]int64{0, 30, 60}, []int64{0, 0, 480}},
	} {
		var tracks []Track
		for _, ms := range tt.starts {
			tracks = append(tracks, Track{Started: start.Add(time.Duration(ms) * time.Millisecond)})
		}
		if got := places(tracks); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}
