// Package pbx is what the platform asks of a telephone switch, and what a switch tells it.
//
// A [Switch] carries audio in legs (one party's connection), rooms (legs that hear each other) and recordings.
// Whoever gives a command chooses the id of what the command creates, so that no event can outrun its command.
// What comes of a command arrives as an [Event], in order for each leg.
//
// Drivers: package ari for Asterisk, package esl for FreeSWITCH, package pbxtest for a switch in memory and for
// the tests that all of them must pass.
package pbx

import (
	"context"
	"io"
	"time"

	"callplane/app/kernel/problem"
)

// LegID names one party's connection to the switch. The legs we dial carry ids of ours (at most 100 characters of
// [A-Za-z0-9._-]); a leg that arrives has the id the switch gave it.
type LegID string

// RoomID names a room: the legs in it hear each other.
type RoomID string

// PlayID names one playback. It must never be used twice.
type PlayID string

// RecordingID names one recording on the switch; slashes make folders.
type RecordingID string

// Errors of every driver. Anything else is a fault of the switch and is wrapped with what was asked.
var (
	// ErrNoLeg says that the leg has ended or never was. After a race with a hang-up it is no failure.
	ErrNoLeg = problem.New(problem.Conflict, "leg_gone", "The leg is gone")
	// ErrUnreachable says that the switch did not answer before ctx or the driver's own limit ended.
	ErrUnreachable = problem.New(problem.Unavailable, "switch_unreachable", "The switch cannot be reached")
	// ErrNoLine says that the phone or trunk does not exist, is switched off, or is not registered.
	ErrNoLine = problem.New(problem.Conflict, "line_unreachable", "The phone or trunk cannot be reached")
	// ErrNoRecording says that the switch keeps no recording of that name.
	ErrNoRecording = problem.New(problem.NotFound, "recording_gone", "The switch has no such recording")
	// ErrUnsupported says that this kind of switch cannot do it; Features tells beforehand.
	ErrUnsupported = problem.New(problem.Conflict, "switch_unsupported", "The switch cannot do this")
)

// Switch is all the platform asks of a telephone switch. A command returns once the switch accepts it; what comes of
// it arrives on Events. Errors: ErrNoLeg if the leg is gone, ErrUnreachable if the switch is, or if ctx ends first.
// All methods may be called at the same time.
type Switch interface {
	// Run connects, keeps connected, and feeds Events until ctx is done. It hangs up nothing when it ends.
	Run(ctx context.Context) error
	// Events delivers what happens, in order for each leg. The reader must keep up; the driver buffers without
	// bound and never drops, so that a slow reader costs memory, not calls. Closed when Run ends.
	Events() <-chan Event
	// Features tells what this switch can do beyond the verbs.
	Features() Features
	// Snapshot tells what is on the switch now. Legs that are not ours (outside our application) are left out.
	Snapshot(ctx context.Context) (Snapshot, error)
	// Provision makes the switch know exactly these phones and trunks: it creates, changes and removes what
	// differs, one after another and at a bounded rate, and leaves alone what it has not made itself.
	Provision(ctx context.Context, lines Lines) error

	// Dial calls out. Events: Ringing, Progress, Answered, or Ended without Answered. ErrNoLine at once when the phone
	// is not registered or the trunk unknown. The leg, once answered, hears silence until told otherwise.
	Dial(ctx context.Context, leg LegID, d Dial) error
	// Ring tells an arriving caller that the other side rings (180).
	Ring(ctx context.Context, leg LegID) error
	// Answer takes an arriving call. Event: Answered.
	Answer(ctx context.Context, leg LegID) error
	// Hangup ends a leg, or refuses one that is not answered. Event: Ended with ByUs.
	Hangup(ctx context.Context, leg LegID, why Cause) error

	// Park takes the leg out of any room and plays it music of the class ("" is "default") until Join, Park or Hangup.
	// A Play on a parked leg is heard in place of the music, which then goes on.
	Park(ctx context.Context, leg LegID, music string) error
	// Join puts legs into a room, which is made if need be; each leaves where it was. Two legs in one room talk;
	// three and more confer.
	Join(ctx context.Context, room RoomID, legs ...LegID) error
	// Leave takes a leg out of whatever room or park it is in; it hears silence.
	Leave(ctx context.Context, leg LegID) error
	// Close ends a room. Its legs stay up and hear silence. A room that is gone is no error.
	Close(ctx context.Context, room RoomID) error

	// Play plays media one after another to one leg. Events: PlayEnded once, whether it ended, failed or was stopped.
	// An arriving leg need not be answered: it then hears early media.
	Play(ctx context.Context, leg LegID, play PlayID, media ...Media) error
	// StopPlay ends a playback. One that has ended already is no error.
	StopPlay(ctx context.Context, leg LegID, play PlayID) error
	// SendDigits sends DTMF (0-9 * # A-D) to the leg's party.
	SendDigits(ctx context.Context, leg LegID, digits string) error
	// Mute stops (or lets through again) what the leg says; it still hears.
	Mute(ctx context.Context, leg LegID, on bool) error

	// Record writes what the leg's party says, as mono WAV of 8 kHz, wherever the leg goes, until StopRecord or the leg's end.
	// Events: RecordStarted, RecordEnded.
	Record(ctx context.Context, leg LegID, rec RecordingID, limit time.Duration) error
	// MaskRecord puts silence of the same length (on) in place of speech, so that the time line stays right.
	MaskRecord(ctx context.Context, rec RecordingID, on bool) error
	// StopRecord ends a recording. One that has ended already is no error.
	StopRecord(ctx context.Context, rec RecordingID) error
	// FetchRecording reads a finished recording, or ErrNoRecording.
	FetchRecording(ctx context.Context, rec RecordingID) (io.ReadCloser, error)
	// DropRecording erases one. One that is gone is no error.
	DropRecording(ctx context.Context, rec RecordingID) error

	// Spy lets the ear leg hear the call of the target leg without being in its room; asked again with another mode, it
	// switches without a redial. It ends with either leg, or when the ear is joined or parked elsewhere.
	Spy(ctx context.Context, ear, target LegID, mode SpyMode) error

	// Referred answers a TransferAsked event: done tells the phone that the transfer worked, and the phone hangs up.
	Referred(ctx context.Context, leg LegID, done bool) error
}

// Media is something that can be played: an http or https URL that ends in .wav, "tone:<name>" with name beep, ring,
// busy or congestion, or "silence:<milliseconds>".
type Media string

// Dial says whom to call and how.
type Dial struct {
	Phone  string // name of one of our phones; or
	Trunk  string // name of a trunk, with
	Number string // the number to send on it

	CallerNumber, CallerName string
	Timeout                  time.Duration     // rings so long; 0 means 60 s. Ended with NoAnswer after it
	AutoAnswer               bool              // ask the phone to answer by itself
	Headers                  map[string]string // extra SIP headers
	Tag                      string            // ours: comes back in Snapshot
}

// SpyMode is how a supervisor takes part.
type SpyMode string

// The ways to take part: hear both; be heard by the target only; be heard by both.
const (
	Listen  SpyMode = "listen"
	Whisper SpyMode = "whisper"
	Barge   SpyMode = "barge"
)

// Features is what differs between switches.
type Features struct {
	Kind       string // "asterisk", "freeswitch" or "memory"
	Version    string // as the switch tells it; empty before the first connection
	Whisper    bool   // Spy can do Whisper and Barge
	EarlyMedia bool   // Play works on an unanswered leg
}

// Lines is the desired set of phones and trunks.
type Lines struct {
	Phones []Phone
	Trunks []Trunk
}

// Phone is a desk phone or browser phone that registers with the switch under its name.
type Phone struct {
	Name     string // [a-z0-9-]{1,40}; the phone registers as SIPUser(Name)
	Password string
	WebRTC   bool
	Codecs   []string // in order of preference; empty means the driver's default
}

// Trunk connects to a carrier or gateway.
type Trunk struct {
	Name           string   // [a-z0-9-]{1,40}
	Host           string   // host or host:port of the far end
	From           []string // addresses (CIDR) that inbound calls come from; empty means Host alone
	User, Password string   // digest credentials for outbound calls, if the far end asks
	Register       bool     // keep registered with User and Password
	Codecs         []string
	QualifySeconds int // OPTIONS every so often; 0 means 30
}

// LineState is whether a phone or trunk can be reached.
type LineState string

// The states of a line. A trunk without OPTIONS answers is Unreachable; a phone without registration too.
const (
	LineUp      LineState = "up"
	LineDown    LineState = "down"
	LineUnknown LineState = "unknown"
)

// Snapshot is what is on the switch at one moment.
type Snapshot struct {
	At         time.Time
	Legs       []LegState
	Lines      map[string]LineState // by phone or trunk name
	Recordings []RecordingID        // still running
}

// LegState is one leg in a Snapshot.
type LegState struct {
	ID       LegID
	Tag      string // from Dial; empty for arriving legs
	Answered bool
	Inbound  bool
	Room     RoomID // "" when in none
	Parked   bool
	Trunk    string // inbound: the line it came in on, one of the two
	Phone    string
	From, To string
	Since    time.Time // when the switch made it
}

// SIPUser is the name under which a phone registers, on every kind of switch: "cp-" and its name. The prefix keeps our phones
// apart from those that an engineer has written into the switch's own files.
func SIPUser(phone string) string { return "cp-" + phone }
