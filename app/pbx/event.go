package pbx

import "time"

// Kind is what an Event tells.
type Kind uint8

// The kinds of event. In brackets: the fields that matter beside Leg and At.
const (
	Arrived       Kind = iota + 1 // a call came in [From FromName To Trunk Phone Withheld Headers]
	Ringing                       // the dialled party rings
	Progress                      // the dialled party sends early media
	Answered                      // a dialled leg was answered, or an arriving one is answered now
	Ended                         // the leg is gone; always the last event of a leg [Cause ByUs]
	Digit                         // a DTMF key was pressed [Digit]
	PlayEnded                     // [Play OK]: OK is false when nothing could be played or it was cut short by the leg's end
	RecordStarted                 // [Recording]
	RecordEnded                   // [Recording OK Length]
	Held                          // the party pressed hold on its phone
	Unheld                        // and took it back
	TransferAsked                 // the party asked by REFER for a transfer [To]: nothing has moved; answer with Referred
	LineChanged                   // [Line LineState]; Leg is empty
	Lost                          // the link to the switch broke; commands answer ErrUnreachable; Leg is empty
	Resync                        // the link is back, or events may be missing: take a Snapshot and compare; Leg is empty
	Replaced                      // another node took this switch over: stop acting on it at once; Leg is empty
)

// Event is something that happened on the switch.
type Event struct {
	Kind Kind
	Leg  LegID
	At   time.Time // the switch's clock where it tells one, else when we read it

	From, FromName string // Arrived: calling number and name as sent; From is empty when withheld
	Withheld       bool   // Arrived: the caller asked for privacy or sent no number
	To             string // Arrived: the number dialled; TransferAsked: where to
	Trunk, Phone   string // Arrived: the line it came in on, one of the two
	Headers        map[string]string

	Cause Cause // Ended
	ByUs  bool  // Ended: we hung up; otherwise the party, the network or the switch did

	Digit     string // one of 0-9 * # A-D
	Play      PlayID
	Recording RecordingID
	Length    time.Duration // RecordEnded: of the audio, as precisely as the switch tells
	OK        bool          // PlayEnded, RecordEnded

	Line      string
	LineState LineState
}

// Cause is why a leg ended, as a Q.850 number (1 to 127): the one language that SIP, ISDN and both switches share.
type Cause int

// The causes the platform gives or tests for (ITU-T Q.850).
const (
	CauseUnknown       Cause = 0
	Unallocated        Cause = 1   // no such number
	NormalClearing     Cause = 16  // hung up
	Busy               Cause = 17  // 486
	NoResponse         Cause = 18  // the far end does not react
	NoAnswer           Cause = 19  // rang out, or 480
	Declined           Cause = 21  // 603
	AnsweredElsewhere  Cause = 26  // a phone shows no missed call
	OutOfOrder         Cause = 27  // destination out of order
	InvalidNumber      Cause = 28  // number format
	NormalUnspecified  Cause = 31  //
	Congestion         Cause = 34  // no circuit, 503
	NetworkOutOfOrder  Cause = 38  //
	TemporaryFailure   Cause = 41  //
	SwitchCongestion   Cause = 42  //
	MediaTimeout       Cause = 44  // no RTP; Asterisk's cause for it
	BearerIncompatible Cause = 58  // 488: no common codec
	RecoveryOnTimer    Cause = 102 //
	Interworking       Cause = 127 //
)
