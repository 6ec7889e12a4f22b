package agent

import (
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"sync"
	"testing"
	"testing/synctest"

	"callplane/app/kernel/bus"
)

// desk is a service whose phones and journal are in memory.
type desk struct {
	*Service
	t      *testing.T
	mu     sync.Mutex
	down   map[string]bool
	values map[string][]byte
	events []bus.Event
	told   []Presence // to a watcher
}

func newDesk(t *testing.T, saved map[string][]byte) *desk {
	d := &desk{t: t, down: map[string]bool{}, values: map[string][]byte{}}
	d.Service = NewService(slog.New(slog.NewTextHandler(io.Discard, nil)), nil, d, d)
	d.Watch(func(_, now Presence) { d.told = append(d.told, now) })
	d.Load(saved)
	t.Cleanup(d.Close)
	return d
}

func (d *desk) Publish(events ...bus.Event) {
	d.mu.Lock()
	d.events = append(d.events, events...)
	d.mu.Unlock()
}
func (d *desk) Put(key string, value []byte) { d.mu.Lock(); d.values[key] = value; d.mu.Unlock() }

func (d *desk) PhoneUnit(name string) (string, bool) {
	if name == "9999" {
		return "", false
	}
	if name[0] == '8' {
		return "/other/", true
	}
	return "/acme/", true
}

func (d *desk) PhoneOwner(name string) string { return map[string]string{"7001": "boss"}[name] }

func (d *desk) PhoneUp(name string) bool { return !d.down[name] }

func (d *desk) saved() map[string][]byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.values)
}

// intervals is every interval that was closed, in order.
func (d *desk) intervals() (out []Interval) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.events {
		var c Changed
		if err := json.Unmarshal(e.Data, &c); err != nil {
			d.t.Fatal(err)
		}
		if c.Ended != nil {
			out = append(out, *c.Ended)
		}
	}
	return out
}

func (d *desk) in(name, phone string) {
	d.t.Helper()
	d.ok(d.SignIn(Profile{Agent: ID(name), Name: name, Unit: "acme", UnitPath: "/acme/", Phone: "1000"}, phone))
}

// ok fails the test if an act was refused.
func (d *desk) ok(p Presence, err error) Presence {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
	return p
}

// is checks an agent's state.
func (d *desk) is(name string, want State, reason string) Presence {
	d.t.Helper()
	synctest.Wait()
	p, _ := d.Get(ID(name))
	if p.State != want || p.Reason != reason {
		d.t.Errorf("%s is %s (%s), want %s (%s)", name, p.State, p.Reason, want, reason)
	}
	return p
}

func desks(t *testing.T, f func(d *desk)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(newDesk(t, nil)) })
}
