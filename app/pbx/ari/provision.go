package ari

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	ari "github.com/CyCoreSystems/ari/v6"

	"callplane/app/pbx"
)

// Asterisk's queues for SIP objects run over at some 1,200 writes a second, and then it drops calls.
const (
	writeEvery    = 5 * time.Millisecond
	registerPause = time.Second // between the end of a registration and the next of the same trunk
)

// provisioner writes the wanted lines. One sync runs at a time.
type provisioner struct {
	sync  sync.Mutex // held during a sync; guards want and next
	want  *pbx.Lines // what Provision was last asked for
	next  time.Time  // when the next write may go out
	mu    sync.Mutex // guards what follows
	fresh bool       // Asterisk has restarted: write everything, compare nothing
	known map[string]line
	names map[string]line // the wanted ones; nil before the first Provision
}

// wanted tells whether a line shall be there, as far as we know. Asterisk lists a line that was deleted until the last of
// its calls has ended.
func (p *provisioner) wanted(name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.names[name]
	return ok || p.names == nil
}

// forgetAll makes the next sync write every line: after a restart Asterisk has them all, but not their states.
func (p *provisioner) forgetAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.known)
	p.fresh = true
}

// Provision makes Asterisk know exactly these phones and trunks.
func (s *Switch) Provision(ctx context.Context, lines pbx.Lines) error {
	want, err := makeLines(resolve(ctx, lines))
	if err != nil {
		return err
	}
	if err := s.ready("provision"); err != nil {
		return err
	}
	s.provision.sync.Lock()
	defer s.provision.sync.Unlock()
	s.provision.want = &lines
	return s.sync(ctx, want)
}

// provisionAgain writes what was last asked for, if anything was.
func (s *Switch) provisionAgain(ctx context.Context) error {
	s.provision.sync.Lock()
	defer s.provision.sync.Unlock()
	if s.provision.want == nil {
		return nil
	}
	want, err := makeLines(resolve(ctx, *s.provision.want))
	if err != nil {
		return err
	}
	return s.sync(ctx, want)
}

// sync writes what differs. The first error of a line does not stop the others.
func (s *Switch) sync(ctx context.Context, want map[string]line) error {
	states, err := s.lineStates(ctx)
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for name := range states {
		there[name] = true
	}
	p := &s.provision
	p.mu.Lock()
	known, fresh := maps.Clone(p.known), p.fresh
	p.fresh, p.names = false, want
	p.mu.Unlock()
	for name := range known {
		there[name] = true
	}

	var errs []error
	for _, name := range slices.Sorted(maps.Keys(there)) {
		if _, ok := want[name]; ok {
			continue
		}
		if err := s.removeLine(ctx, name, known[name]); err != nil {
			errs = append(errs, err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if ctx.Err() != nil {
			break
		}
		if err := s.writeLine(ctx, want[name], known[name], there[name] && !fresh); err != nil {
			errs = append(errs, err)
		}
	}
	if ctx.Err() != nil {
		errs = append(errs, unreachable("provision", ctx.Err()))
	}
	if len(errs) > 0 {
		if fresh {
			p.forgetAll()
		}
		s.log.Warn("some lines could not be written", "failed", len(errs), "of", len(want))
		return fmt.Errorf("provision: %w", errors.Join(errs[:min(len(errs), 10)]...))
	}
	s.mu.Lock()
	deaf := s.deaf
	s.mu.Unlock()
	if deaf {
		if err := s.listenToLines(ctx); err != nil {
			return err
		}
	}
	asked := time.Now()
	if states, err = s.lineStates(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, state := range states { // a new line has no event; one that came meanwhile is newer than the answer
		if _, ok := want[name]; ok && s.news[name].Before(asked) {
			s.setLine(name, state, time.Now())
		}
	}
	return nil
}

// lineStates asks which lines there are, and how.
func (s *Switch) lineStates(ctx context.Context) (map[string]pbx.LineState, error) {
	var endpoints []ari.EndpointData
	err := gone(s.do(ctx, ask{op: "list endpoints", method: http.MethodGet, path: path("endpoints", "PJSIP")}, &endpoints))
	states := map[string]pbx.LineState{}
	for _, e := range endpoints {
		if name, ok := strings.CutPrefix(e.Resource, prefix); ok {
			states[name] = lineState(e.State)
		}
	}
	return states, err // none is 404
}

// writeLine writes a line, unless Asterisk has it just so. Had is what we last wrote, look whether it is worth to ask.
func (s *Switch) writeLine(ctx context.Context, l, had line, look bool) error {
	if had.digest == "" && look {
		had = s.readLine(ctx, l)
	}
	p := &s.provision
	if had.digest == l.digest {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.known[l.name] = l
		return nil
	}
	p.mu.Lock()
	delete(p.known, l.name)
	p.mu.Unlock()
	list := stale(l, had, look)
	if err := s.deleteObjects(ctx, list, l.name); err != nil {
		return err
	}
	if again := func(o object) bool { _, now := l.like(o); return now && o.kind == "registration" }; slices.ContainsFunc(list, again) {
		if err := sleep(ctx, registerPause); err != nil {
			return err
		}
	}
	for _, o := range l.objects {
		if err := s.putObject(ctx, o, l.name); err != nil {
			return err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known[l.name] = l
	return nil
}

// stale lists the objects to delete before a line is written: those that it had and has no more, and those that cannot be
// changed. If we do not know what it had, look tells to expect anything.
func stale(l, had line, look bool) (list []object) {
	if had.digest == "" && look {
		had = anything()
	}
	for _, o := range had.objects {
		if now, ok := l.like(o); !ok || now.fixed() && !slices.Equal(now.fields, o.fields) {
			list = append(list, o)
		}
	}
	return list
}

// anything is a line with all objects that there may be.
func anything() line {
	var l line
	for _, kind := range kinds {
		l.objects = append(l.objects, object{kind: kind})
		for i := 1; kind == "identify" && i < maxNetworks; i++ {
			l.objects = append(l.objects, object{kind: kind, part: fmt.Sprint(".", i)})
		}
	}
	return l
}

// deleteObjects deletes in the reverse order of writing. Where the second of a kind is missing there is no third.
func (s *Switch) deleteObjects(ctx context.Context, list []object, name string) error {
	for _, kind := range slices.Backward(kinds) {
		for _, o := range list {
			if o.kind != kind {
				continue
			}
			found, err := s.deleteObject(ctx, o, name)
			if err != nil {
				return err
			}
			if !found && o.part != "" {
				break
			}
		}
	}
	return nil
}

// readLine asks Asterisk's endpoint for our digest. An equal one stands for the whole line; of any other we know nothing.
func (s *Switch) readLine(ctx context.Context, l line) line {
	if ctx.Err() != nil {
		return line{}
	}
	key := ari.NewKey("config", ari.ConfigID("res_pjsip", "endpoint", SIPUser(l.name)))
	data, err := s.lib.Asterisk().Config().Data(key)
	if err != nil {
		return line{}
	}
	for _, f := range data.Fields {
		if f.Attribute == digestField && f.Value == l.digest {
			return l
		}
	}
	return line{}
}

// removeLine deletes the objects of a line: those that we wrote, or whatever there may be if it is from another time.
func (s *Switch) removeLine(ctx context.Context, name string, had line) error {
	if had.digest == "" {
		had = anything()
	}
	if err := s.deleteObjects(ctx, had.objects, name); err != nil {
		return err
	}
	s.provision.mu.Lock()
	delete(s.provision.known, name)
	s.provision.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.setLine(name, pbx.LineUnknown, time.Now())
	delete(s.lines, name)
	delete(s.news, name)
	return nil
}

func (s *Switch) putObject(ctx context.Context, o object, name string) error {
	if err := s.pace(ctx); err != nil {
		return err
	}
	s.metrics.writes.WithLabelValues("put " + o.kind).Inc()
	key := ari.NewKey("config", ari.ConfigID("res_pjsip", o.kind, SIPUser(name)+o.part))
	if err := s.lib.Asterisk().Config().Update(key, o.fields); err != nil {
		return fmt.Errorf("write %s of %s: %w", o.kind, name, err)
	}
	return nil
}

// deleteObject tells whether there was one.
func (s *Switch) deleteObject(ctx context.Context, o object, name string) (found bool, err error) {
	if err := s.pace(ctx); err != nil {
		return false, err
	}
	key := ari.NewKey("config", ari.ConfigID("res_pjsip", o.kind, SIPUser(name)+o.part))
	err = s.lib.Asterisk().Config().Delete(key)
	switch {
	case err == nil:
		s.metrics.writes.WithLabelValues("delete " + o.kind).Inc()
		return true, nil
	case status(err) == http.StatusNotFound:
		return false, nil
	case status(err) == http.StatusForbidden: // it stands in an engineer's file
		s.log.Warn("a line that is not ours has our prefix", "object", o.kind, "name", SIPUser(name))
		return false, nil
	}
	return false, fmt.Errorf("delete %s of %s: %w", o.kind, name, err)
}

// pace waits for its turn to write, and refuses when the link is down.
func (s *Switch) pace(ctx context.Context) error {
	if err := s.ready("provision"); err != nil {
		return err
	}
	p := &s.provision
	now := time.Now()
	wait := p.next.Sub(now)
	p.next = now.Add(max(wait, 0) + writeEvery)
	return sleep(ctx, wait)
}

// sleep waits, or until ctx is done.
func sleep(ctx context.Context, d time.Duration) error {
	if d > 0 {
		select {
		case <-time.After(d):
		case <-ctx.Done():
		}
	}
	if ctx.Err() != nil {
		return unreachable("provision", ctx.Err())
	}
	return nil
}
