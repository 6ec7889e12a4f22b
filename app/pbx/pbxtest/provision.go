package pbxtest

import (
	"context"
	"fmt"
	"reflect"
	"slices"

	"callplane/app/pbx"
)

// Provision makes the switch know exactly these phones and trunks, beside those made by hand.
func (l *Link) Provision(ctx context.Context, want pbx.Lines) error {
	return l.do(ctx, VerbProvision, func(sw *Switch) error {
		specs := map[string]*line{}
		add := func(name string, trunk bool, spec any) error {
			if !lineName.MatchString(name) || specs[name] != nil {
				return fmt.Errorf("%w: line name %q is not allowed or used twice", ErrUsage, name)
			}
			specs[name] = &line{name: name, trunk: trunk, byUs: true, spec: spec}
			return nil
		}
		for _, p := range want.Phones {
			p.Codecs = slices.Clone(p.Codecs)
			if err := add(p.Name, false, p); err != nil {
				return err
			}
		}
		for _, t := range want.Trunks {
			t.Codecs, t.From = slices.Clone(t.Codecs), slices.Clone(t.From)
			if err := add(t.Name, true, t); err != nil {
				return err
			}
		}
		sw.provision(specs)
		return nil
	}, fmt.Sprintf("phones=%d trunks=%d", len(want.Phones), len(want.Trunks)))
}

// provision writes what differs.
func (sw *Switch) provision(want map[string]*line) {
	for name, ln := range sw.lines {
		if ln.byUs && want[name] == nil {
			if sw.state(ln) == pbx.LineUp {
				sw.emit(pbx.Event{Kind: pbx.LineChanged, Line: name, LineState: pbx.LineDown})
			}
			delete(sw.lines, name)
			sw.writes++
		}
	}
	for name, ln := range want {
		old := sw.lines[name]
		if old != nil && (!old.byUs || old.trunk == ln.trunk && reflect.DeepEqual(old.spec, ln.spec)) {
			continue
		}
		sw.lines[name] = ln
		sw.writes++
		if old == nil && sw.state(ln) == pbx.LineUp {
			sw.lineChanged(ln)
		}
	}
}

// Writes counts the lines that Provision created, changed or removed.
func (sw *Switch) Writes() int {
	sw.mu.Lock()
	defer sw.mu.Unlock()
	return sw.writes
}
