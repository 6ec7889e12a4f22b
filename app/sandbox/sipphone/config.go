package sipphone

import (
	"errors"
	"log/slog"
	"time"
)

// Errors of a phone. A call the other side turned down is a [*Rejected] instead.
var (
	ErrClosed    = errors.New("phone closed")
	ErrCancelled = errors.New("call cancelled")
	ErrNoAnswer  = errors.New("no reply from the other side") // the SIP transaction timed out (32 s)
	ErrEnded     = errors.New("call has ended")
	ErrTooLate   = errors.New("call was answered or rejected already")
)

// Config says what a phone is. The zero value is a phone on 127.0.0.1 and a free port that sends silence.
type Config struct {
	Addr     string  // own "ip" or "ip:port"; default 127.0.0.1, port 0 is a free one
	Server   string  // "host:port" of the switch, for numbers and Register; a phone called directly needs none
	User     string  // name in From and Contact; default "phone"
	Password string  // for digest; empty never answers a challenge
	AuthUser string  // name for digest, default User
	Display  string  // display name in From
	Tone     float64 // what each call sends, in Hz, rounded to whole Hz; 0 sends silence. See Call.SetTone

	UserAgent string        // default "callplane-sipphone"
	NoMedia   bool          // signal only: no RTP is sent or read, Ear hears silence
	HearFor   time.Duration // how much received audio each Ear keeps, at least 2 s; default 10 min (4.8 MB)

	// OnIncoming is called for each call that comes in, in a goroutine of its own. It must return once
	// Incoming.Done is closed; Close waits for it. Nil: see AutoAnswer.
	OnIncoming func(*Incoming)
	// AutoAnswer above zero: ring at once and answer after this time. At zero, with no OnIncoming, calls wait on
	// Phone.Incoming for somebody to deal with them. Auto-answered calls are put there too, while there is room.
	AutoAnswer time.Duration

	// OnRefer is asked when the other side sends REFER with this target (the Refer-To URI). It returns the SIP
	// code that is reported back by NOTIFY, 200 for a transfer that worked. Nil refuses with 603.
	OnRefer func(c *Call, target string) int

	// Accounts (user: password) makes the phone a small registrar: REGISTER is taken with digest. Nil answers 405.
	Accounts map[string]string
	// ChallengeCalls asks callers for the digest of one of the Accounts (401) before a call is let in.
	ChallengeCalls bool

	Log *slog.Logger // SIP troubles; default is silence
}

func (c Config) withDefaults() Config {
	if c.Addr == "" {
		c.Addr = "127.0.0.1"
	}
	if c.User == "" {
		c.User = "phone"
	}
	if c.AuthUser == "" {
		c.AuthUser = c.User
	}
	if c.UserAgent == "" {
		c.UserAgent = "callplane-sipphone"
	}
	if c.HearFor == 0 {
		c.HearFor = 10 * time.Minute
	}
	c.HearFor = max(c.HearFor, 2*time.Second)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}
