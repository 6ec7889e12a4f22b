package ari

import (
	"bytes"
	"encoding/json"
	"errors"
	"time"

	ari "github.com/CyCoreSystems/ari/v6"
)

// The events we act on. Asterisk sends no others: we set these as its filter. One hangup alone would bring ten
// ChannelVarset events. EndpointStateChange is left out because each call of an endpoint makes two.
var (
	wanted = []string{
		ari.Events.StasisStart, ari.Events.StasisEnd, ari.Events.ChannelDestroyed, ari.Events.ChannelHangupRequest,
		ari.Events.ChannelStateChange, ari.Events.Dial, ari.Events.ChannelDtmfReceived, ari.Events.ChannelHold,
		ari.Events.ChannelUnhold, transferEvent, ari.Events.PlaybackStarted, ari.Events.PlaybackFinished,
		ari.Events.RecordingStarted,
		ari.Events.RecordingFinished, ari.Events.RecordingFailed, ari.Events.ApplicationReplaced,
	}
	wantedLines = []string{
		ari.Events.PeerStatusChange, ari.Events.ContactStatusChange, ari.Events.ApplicationReplaced,
	}
)

// transferEvent is too young for the library.
const transferEvent = "ChannelTransfer"

var known = func() map[string]bool {
	m := map[string]bool{}
	for _, t := range append(append([]string{}, wanted...), wantedLines...) {
		m[t] = true
	}
	return m
}()

// frame is the little we need of an event, whatever its type.
type frame struct {
	Type        string
	Application string
	Timestamp   string
	Args        []string
	Channel     channel
	Peer        channel // Dial: the called one. In PeerStatusChange it is something else, without id
	Cause       int
	Soft        bool
	DialStatus  string
	State       string // ChannelTransfer: empty when it is asked for, then what we have reported of it
	Digit       string
	Playback    struct {
		ID        string
		TargetURI string `json:"target_uri"`
		State     string
	}
	Recording struct {
		Name      string
		TargetURI string `json:"target_uri"`
		State     string
		Duration  float64
		Cause     string
	}
	Endpoint struct {
		Technology, Resource, State string
	}
	ReferTo struct {
		Requested struct{ Destination string } `json:"requested_destination"`
	} `json:"refer_to"`
	ReferredBy struct {
		Source struct{ ID string } `json:"source_channel"`
	} `json:"referred_by"`
}

// channel is what events and listings say of a channel. The library's type lacks app_data, by which we know our own.
type channel struct {
	ID           string
	Name         string
	State        string
	Caller       struct{ Name, Number string }
	Connected    struct{ Name, Number string }
	CreationTime string
	Dialplan     struct {
		Exten   string
		AppName string `json:"app_name"`
		AppData string `json:"app_data"`
	}
}

// up tells whether the party has answered.
func (c *channel) up() bool { return c.State == "Up" }

var errNoType = errors.New("no event type")

// sniff finds the type of an event without decoding it, where Asterisk puts it: at the very beginning. It may find
// nothing.
func sniff(b []byte) string {
	const head = `{"type":"`
	if len(b) < len(head) || string(b[:len(head)]) != head {
		return ""
	}
	b = b[len(head):]
	if i := bytes.IndexByte(b, '"'); i > 0 {
		return string(b[:i])
	}
	return ""
}

// decode reads one frame. An event of a type we do not know is returned with its type alone.
func decode(b []byte) (*frame, error) {
	if t := sniff(b); t != "" && !known[t] {
		return &frame{Type: t}, nil
	}
	f := new(frame)
	if err := json.Unmarshal(b, f); err != nil {
		return nil, err
	}
	if f.Type == "" {
		return nil, errNoType
	}
	return f, nil
}

// at is when Asterisk says it happened, else now.
func (f *frame) at() time.Time { return parseTime(f.Timestamp) }

func parseTime(s string) time.Time {
	if t, err := time.Parse(ari.DateFormat, s); err == nil {
		return t
	}
	return time.Now()
}
