package pbx

import (
	"context"
	"io"
	"time"
)

// None is the switch of an installation that has none yet: nothing happens on it, and every command is ErrUnreachable.
type None struct{ events chan Event }

// NewNone makes one.
func NewNone() *None { return &None{events: make(chan Event)} }

var errNone = ErrUnreachable.With("No telephone switch is configured.")

// Run waits until ctx is done.
func (n *None) Run(ctx context.Context) error {
	<-ctx.Done()
	close(n.events)
	return nil
}

// Events never delivers anything.
func (n *None) Events() <-chan Event { return n.events }

// Features is empty.
func (n *None) Features() Features { return Features{Kind: "none"} }

// Snapshot and all below refuse.
func (n *None) Snapshot(context.Context) (Snapshot, error)                      { return Snapshot{}, errNone }
func (n *None) Provision(context.Context, Lines) error                          { return errNone }
func (n *None) Dial(context.Context, LegID, Dial) error                         { return errNone }
func (n *None) Ring(context.Context, LegID) error                               { return errNone }
func (n *None) Answer(context.Context, LegID) error                             { return errNone }
func (n *None) Hangup(context.Context, LegID, Cause) error                      { return errNone }
func (n *None) Park(context.Context, LegID, string) error                       { return errNone }
func (n *None) Join(context.Context, RoomID, ...LegID) error                    { return errNone }
func (n *None) Leave(context.Context, LegID) error                              { return errNone }
func (n *None) Close(context.Context, RoomID) error                             { return errNone }
func (n *None) Play(context.Context, LegID, PlayID, ...Media) error             { return errNone }
func (n *None) StopPlay(context.Context, LegID, PlayID) error                   { return errNone }
func (n *None) SendDigits(context.Context, LegID, string) error                 { return errNone }
func (n *None) Mute(context.Context, LegID, bool) error                         { return errNone }
func (n *None) Record(context.Context, LegID, RecordingID, time.Duration) error { return errNone }
func (n *None) MaskRecord(context.Context, RecordingID, bool) error             { return errNone }
func (n *None) StopRecord(context.Context, RecordingID) error                   { return errNone }
func (n *None) FetchRecording(context.Context, RecordingID) (io.ReadCloser, error) {
	return nil, errNone
}
func (n *None) DropRecording(context.Context, RecordingID) error { return errNone }
func (n *None) Spy(context.Context, LegID, LegID, SpyMode) error { return errNone }
func (n *None) Referred(context.Context, LegID, bool) error      { return errNone }
