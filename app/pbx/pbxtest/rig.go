package pbxtest

import (
	"testing"
	"time"

	"callplane/app/pbx"
)

// Rig is a switch under test with everything around it: its driver, and far ends that can be played. [MemoryRig] is one;
// package siprig makes one of a real switch and SIP phones.
type Rig interface {
	// Switch is the driver. The suite runs it, and ends it.
	Switch() pbx.Switch
	// Trunk is how the trunk to the rig's outside world is to be provisioned.
	Trunk() pbx.Trunk
	// Phone switches a phone on, which registers with the name and password of spec. It returns when the switch has
	// accepted the registration. The switch has been told of the phone before.
	Phone(t testing.TB, spec pbx.Phone) RigPhone
	// CallIn calls from outside, through the trunk. The call need not have arrived when it returns.
	CallIn(t testing.TB, in Inbound) Peer
	// OnNumber tells what an outside number does when it is called.
	OnNumber(number string, b Behaviour)
	// Called is the live call to an outside number, or nil.
	Called(number string) Peer
	// Prompt is a file of this length that can be played, different for each name. Broken cannot be.
	Prompt(name string, length time.Duration) pbx.Media
	Broken() pbx.Media
	// Cut breaks the link between driver and switch; Restore mends it. Cut returns when the link is broken, but the
	// driver need not have noticed.
	Cut()
	Restore()
	// Another is a new driver for the same switch, as another node has it, or this one after its process died.
	Another() pbx.Switch
}

// RigPhone is one of our phones as a rig plays it.
type RigPhone interface {
	OnCall(b Behaviour)
	CallOut(t testing.TB, to string) Peer
	Call() Peer // the newest live call of the phone, or nil
	Unregister(t testing.TB)
}

// Peer is a far end in a call. [Party] is one; see there for what the methods mean.
type Peer interface {
	Name() string
	Tone() float64
	Hears() []string
	Rang() bool
	Answered() <-chan struct{}
	Ended() <-chan struct{}
	Cause() (cause pbx.Cause, byUs bool)
	Digits() string
	Dialled() pbx.Dial
	Press(digits string)
	Hold()
	Unhold()
	Refer(to string)
	Transferred() (done, told bool)
	Hangup()
}

var _ Peer = (*Party)(nil)
