package pbx

import "strconv"

// causeNames are stable names in the style of end reasons, for logs, time lines and reports.
var causeNames = map[Cause]string{
	CauseUnknown: "unknown", Unallocated: "unallocated_number", NormalClearing: "normal_clearing", Busy: "busy",
	NoResponse: "no_response", NoAnswer: "no_answer", Declined: "declined", AnsweredElsewhere: "answered_elsewhere",
	OutOfOrder: "destination_out_of_order", InvalidNumber: "invalid_number", NormalUnspecified: "normal_unspecified",
	Congestion: "congestion", NetworkOutOfOrder: "network_out_of_order", TemporaryFailure: "temporary_failure",
	SwitchCongestion: "switch_congestion", MediaTimeout: "media_timeout", BearerIncompatible: "no_common_codec",
	RecoveryOnTimer: "recovery_on_timer", Interworking: "interworking",
}

// String is the stable name of the cause, or cause_<number> for one without.
func (c Cause) String() string {
	if s, ok := causeNames[c]; ok {
		return s
	}
	return "cause_" + strconv.Itoa(int(c))
}

// Class sorts the causes of a call that was not answered, so that a dialler knows whether another try makes sense.
type Class string

// The classes of causes.
const (
	ClassNormal     Class = "normal"     // hung up, or answered elsewhere: nobody failed
	ClassBusy       Class = "busy"       // the party talks; try again soon
	ClassNoAnswer   Class = "no_answer"  // it rang, or could have, and nobody came
	ClassDeclined   Class = "declined"   // the party or its network does not want the call
	ClassBadNumber  Class = "bad_number" // the number does not exist or is malformed: never try again
	ClassCongestion Class = "congestion" // no circuit now: the trunk's fault, not the number's
	ClassFailed     Class = "failed"     // anything else that broke
)

// Class sorts the cause.
func (c Cause) Class() Class {
	switch c {
	case NormalClearing, NormalUnspecified, AnsweredElsewhere:
		return ClassNormal
	case Busy:
		return ClassBusy
	case NoResponse, NoAnswer, 20: // 20: subscriber absent
		return ClassNoAnswer
	case Declined, 55, 57, 87: // barred, not authorised, not in the group
		return ClassDeclined
	case Unallocated, 2, 3, 22, InvalidNumber: // no route, number changed
		return ClassBadNumber
	case Congestion, SwitchCongestion, 47: // 47: no resource
		return ClassCongestion
	}
	return ClassFailed
}

// SIPStatus is the final response that refuses an unanswered call for this cause (RFC 3398, with Asterisk's choices
// where it differs: 603 for a plain hang-up and for Declined, 488 for a codec).
func (c Cause) SIPStatus() int {
	switch c {
	case Unallocated, 2, 3:
		return 404
	case NormalClearing, CauseUnknown, Declined:
		return 603
	case Busy:
		return 486
	case NoResponse:
		return 408
	case NoAnswer, 20, NormalUnspecified, AnsweredElsewhere:
		return 480
	case 22, 23:
		return 410
	case OutOfOrder:
		return 502
	case InvalidNumber:
		return 484
	case 29, 79:
		return 501
	case Congestion, NetworkOutOfOrder, TemporaryFailure, SwitchCongestion, 47, 88:
		return 503
	case 55, 57, 87:
		return 403
	case BearerIncompatible, 65, 70:
		return 488
	case RecoveryOnTimer, MediaTimeout:
		return 504
	}
	return 500
}

// CauseOfSIP is the cause for the final response a called party gave: what Asterisk makes of it, and with it RFC 3398
// but for 408, 480 and 500.
func CauseOfSIP(status int) Cause {
	switch status {
	case 401, 402, 403, 407, 603, 607, 608:
		return Declined
	case 404, 485, 604:
		return Unallocated
	case 408:
		return NoResponse
	case 410:
		return 22
	case 420:
		return 3
	case 409:
		return TemporaryFailure
	case 480, 483:
		return NoAnswer
	case 484:
		return InvalidNumber
	case 486, 600:
		return Busy
	case 487, 200:
		return NormalClearing
	case 488, 606:
		return BearerIncompatible
	case 500:
		return NetworkOutOfOrder
	case 501:
		return 29
	case 502:
		return OutOfOrder
	case 504:
		return RecoveryOnTimer
	}
	if status/100 == 5 {
		return Congestion
	}
	return Interworking
}
