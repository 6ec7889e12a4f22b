package call

import "callplane/app/pbx"

// Class is the kind of end that a call came to; reports count by it.
type Class string

// The classes.
const (
	ClassTalked      Class = "talked"       // a person was reached
	ClassSelfService Class = "self_service" // ended in the menu, or with a message
	ClassAbandoned   Class = "abandoned"    // the caller gave up waiting
	ClassUnserved    Class = "unserved"     // the centre did not take the call
	ClassUnreached   Class = "unreached"    // an outbound call that nobody took
	ClassDropped     Class = "dropped"      // cut by a technical fault
	ClassRefused     Class = "refused"      // not allowed, or no such number
)

// Reason is why a call ended: stable, and the only thing reports count. Only this package can make one.
type Reason struct {
	class Class
	name  string
}

// Class is the kind of end.
func (r Reason) Class() Class { return r.class }

// String is the stable name.
func (r Reason) String() string { return r.name }

// The reasons, each with the place where it happens.
var (
	CallerHungUp       = reason(ClassTalked, "caller_hung_up")
	AgentHungUp        = reason(ClassTalked, "agent_hung_up")
	TransferredOut     = reason(ClassTalked, "outside_party_hung_up") // the outside party that an agent had transferred the caller to
	StoppedByAPI       = reason(ClassTalked, "stopped_by_user")       // an agent, a supervisor or a program ended the talk
	CallerLeftMenu     = reason(ClassSelfService, "caller_hung_up_in_menu")
	FlowEnded          = reason(ClassSelfService, "flow_ended")
	MessageLeft        = reason(ClassSelfService, "message_left")
	CallerLeftQueue    = reason(ClassAbandoned, "caller_hung_up_in_queue")
	CallerLeftTransfer = reason(ClassAbandoned, "caller_hung_up_in_transfer")
	CallerLeftEarly    = reason(ClassAbandoned, "caller_hung_up_before_answer")
	QueueClosed        = reason(ClassUnserved, "queue_closed")
	NoAgent            = reason(ClassUnserved, "no_agent")
	QueueFull          = reason(ClassUnserved, "queue_full")
	WaitedTooLong      = reason(ClassUnserved, "waited_too_long")
	TransferFailed     = reason(ClassUnserved, "transfer_failed")
	NotAnswered        = reason(ClassUnserved, "not_answered") // rang for a program that did not take it
	RejectedByAPI      = reason(ClassRefused, "rejected_by_user")
	NoSuchNumber       = reason(ClassRefused, "no_such_number")
	TrunkFull          = reason(ClassRefused, "trunk_full")
	NotAllowed         = reason(ClassRefused, "not_allowed")
	CalleeBusy         = reason(ClassUnreached, "busy")
	CalleeNoAnswer     = reason(ClassUnreached, "no_answer")
	CalleeDeclined     = reason(ClassUnreached, "declined")
	NumberInvalid      = reason(ClassUnreached, "number_invalid")
	TrunkCongested     = reason(ClassUnreached, "trunk_congested")
	CalleeUnreachable  = reason(ClassUnreached, "unreachable")
	AgentNoAnswer      = reason(ClassUnreached, "agent_no_answer")
	AgentCancelled     = reason(ClassUnreached, "agent_cancelled")
	CancelledByAPI     = reason(ClassUnreached, "cancelled_by_user")
	MediaLost          = reason(ClassDropped, "media_lost")
	NetworkFault       = reason(ClassDropped, "network_fault")
	Lost               = reason(ClassDropped, "lost") // gone while the platform or the switch was away
	FlowFailed         = reason(ClassDropped, "flow_failed")
	PlatformFault      = reason(ClassDropped, "platform_fault")
)

var reasons []Reason

func reason(c Class, name string) Reason {
	r := Reason{c, name}
	reasons = append(reasons, r)
	return r
}

// Reasons is every reason there is.
func Reasons() []Reason { return reasons }

// technical is the reason for a leg that ended by a fault rather than by a hang-up.
func technical(c pbx.Cause) (Reason, bool) {
	switch c {
	case pbx.MediaTimeout:
		return MediaLost, true
	case pbx.OutOfOrder, pbx.NetworkOutOfOrder, pbx.TemporaryFailure, pbx.RecoveryOnTimer:
		return NetworkFault, true
	}
	return Reason{}, false
}

// unreached is the outcome of a dialled leg that ended without an answer.
func unreached(c pbx.Cause) Reason {
	switch c {
	case pbx.Busy:
		return CalleeBusy
	case pbx.NoAnswer, pbx.NoResponse:
		return CalleeNoAnswer
	case pbx.Declined:
		return CalleeDeclined
	case pbx.Unallocated, pbx.InvalidNumber:
		return NumberInvalid
	case pbx.Congestion, pbx.SwitchCongestion:
		return TrunkCongested
	}
	return CalleeUnreachable
}

// Party is who released a call.
type Party string

// Who may release a call.
const (
	ByCaller  Party = "caller" // the outside party, also of an outbound call
	ByAgent   Party = "agent"
	BySystem  Party = "system"  // the flow or the queue
	ByUser    Party = "user"    // a person or program over the API
	ByNetwork Party = "network" // a fault
)
