package pbxtest

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"callplane/app/pbx"
)

// MemoryRig is the rig of a switch in memory.
type MemoryRig struct {
	sw      *Switch
	mu      sync.Mutex
	numbers map[string]Behaviour
}

var _ Rig = (*MemoryRig)(nil)

// NewMemoryRig makes a switch in memory and its rig.
func NewMemoryRig() *MemoryRig {
	r := &MemoryRig{sw: New(WithMedia(promptLength)), numbers: map[string]Behaviour{}}
	r.sw.Trunk(r.Trunk().Name).OnCall(func(number string) Behaviour {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.numbers[number]
	})
	return r
}

// Switch is the switch in memory.
func (r *MemoryRig) Switch() pbx.Switch { return r.sw }

// Trunk leads to the numbers of OnNumber.
func (r *MemoryRig) Trunk() pbx.Trunk { return pbx.Trunk{Name: "carrier", Host: "carrier.test"} }

// Phone switches a phone on.
func (r *MemoryRig) Phone(_ testing.TB, spec pbx.Phone) RigPhone {
	return memoryPhone{r.sw.Phone(spec.Name).Register()}
}

// CallIn calls from outside.
func (r *MemoryRig) CallIn(_ testing.TB, in Inbound) Peer {
	if in.Trunk == "" {
		in.Trunk = r.Trunk().Name
	}
	return r.sw.CallIn(in)
}

// OnNumber tells what an outside number does.
func (r *MemoryRig) OnNumber(number string, b Behaviour) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.numbers[number] = b
}

// Called is the live call to an outside number, or nil.
func (r *MemoryRig) Called(number string) Peer {
	return orNil(r.sw.Trunk(r.Trunk().Name).Call(number))
}

// Prompt is media with its length in its name.
func (r *MemoryRig) Prompt(name string, length time.Duration) pbx.Media {
	return pbx.Media(fmt.Sprintf("http://prompts.test/%s-%d.wav", name, length.Milliseconds()))
}

// Broken is media without one.
func (r *MemoryRig) Broken() pbx.Media { return "http://prompts.test/missing.wav" }

func promptLength(m pbx.Media) (time.Duration, bool) {
	name := strings.TrimSuffix(string(m), ".wav")
	ms, err := strconv.Atoi(name[strings.LastIndexByte(name, '-')+1:])
	return time.Duration(ms) * time.Millisecond, err == nil
}

// Cut breaks the link.
func (r *MemoryRig) Cut() { r.sw.Cut() }

// Restore mends it.
func (r *MemoryRig) Restore() { r.sw.Restore() }

// Another is the next control plane.
func (r *MemoryRig) Another() pbx.Switch { return r.sw.Attach() }

// memoryPhone is a Phone as the suite sees it.
type memoryPhone struct{ *Phone }

func (ph memoryPhone) OnCall(b Behaviour)                   { ph.Phone.OnCall(b) }
func (ph memoryPhone) CallOut(_ testing.TB, to string) Peer { return ph.Phone.CallOut(to) }
func (ph memoryPhone) Call() Peer                           { return orNil(ph.Phone.Call()) }
func (ph memoryPhone) Unregister(testing.TB)                { ph.Phone.Unregister() }

// orNil keeps a nil Party from becoming a Peer that is not nil.
func orNil(p *Party) Peer {
	if p == nil {
		return nil
	}
	return p
}

// Writes counts what Provision wrote.
func (r *MemoryRig) Writes() int { return r.sw.Writes() }
