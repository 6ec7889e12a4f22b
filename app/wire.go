package app

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"callplane/app/acd"
	"callplane/app/call"
	"callplane/app/hours"
	"callplane/app/kernel/auth"
	"callplane/app/pbx"
	"callplane/app/pbx/ari"
	"callplane/app/route"
	"callplane/app/speech"

	"github.com/prometheus/client_golang/prometheus"
)

// NewSwitch makes the driver of the configured switch. Without one the platform runs, and cannot call.
func NewSwitch(cfg Config, log *slog.Logger, metrics prometheus.Registerer) pbx.Switch {
	if len(cfg.Switches) == 0 {
		return pbx.NewNone()
	}
	s := cfg.Switches[0]
	return ari.New(ari.Config{Name: s.Name, URL: s.URL, User: s.User, Password: s.Password, App: s.App, Log: log, Metrics: metrics})
}

// node is the name of the switch that this process drives.
func (c Config) node() string {
	if len(c.Switches) == 0 {
		return "none"
	}
	return c.Switches[0].Name
}

// mediaURL is where the switch fetches prompts.
func (c Config) mediaURL() string {
	if len(c.Switches) > 0 && c.Switches[0].MediaURL != "" {
		return strings.TrimRight(c.Switches[0].MediaURL, "/")
	}
	host, port, err := net.SplitHostPort(c.HTTP.Listen)
	if err != nil || host == "" || host == "0.0.0.0" || host == "::" {
		host = "127.0.0.1"
	}
	scheme := "http"
	if c.HTTP.TLSCert != "" {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

func (c Config) limits() call.Limits {
	l := call.DefaultLimits
	l.Ring, l.Callee, l.Recording, l.RecordOutbound, l.WrapUp = c.Call.RingAgent, c.Call.Ring, c.Recording.Longest, c.Recording.Outbound, c.Call.WrapUp
	return l
}

// newLibrary makes the library of prompts, whose files and secret are kept in the data folder.
func newLibrary(ctx context.Context, cfg Config, log *slog.Logger) (*speech.Library, error) {
	dir := filepath.Join(cfg.DataDir, "speech")
	secret, err := secret(filepath.Join(cfg.DataDir, "secret"))
	if err != nil {
		return nil, err
	}
	s := cfg.Speech
	return speech.NewLibrary(ctx, speech.Options{
		Dir: dir, Secret: secret, Log: log,
		Settings: speech.Settings{
			Engine: s.Engine, Command: s.Command, URL: s.URL, Key: s.Key, Model: s.Model,
			VoiceZH: s.Voices["zh-CN"], VoiceEN: s.Voices["en"], Rate: s.Rate, RateEN: s.RateEN,
		},
	})
}

// secret reads the key that signs addresses of prompts, and makes it on the first run.
func secret(path string) ([]byte, error) {
	if b, err := os.ReadFile(path); err == nil && len(b) >= 32 {
		return b, nil
	}
	b := make([]byte, 32)
	if _, err := rand.Read(b); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(b)
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, err
	}
	return sum[:], os.WriteFile(path, sum[:], 0o600)
}

// mayDial is the classes of numbers that a user may dial.
func (a *App) mayDial(ctx context.Context, id auth.UserID) ([]string, error) {
	p, err := a.Users.Principal(ctx, id)
	if err != nil {
		return nil, err
	}
	list := []string{}
	for _, c := range route.AllowedClasses(p) {
		list = append(list, string(c))
	}
	return list, nil
}

// queueNames lets flows name queues.
type queueNames struct{ queues *acd.Service }

// ByName implements ivr.Queues.
func (q queueNames) ByName(unitPath, name string) string {
	return string(q.queues.ByName(unitPath, name))
}

// calendars lets flows ask for opening hours, by name or id.
type calendars struct {
	hours *hours.Service
	tree  auth.Tree
}

// Open implements ivr.Calendars. A calendar that is not there is open, so that a mistake loses no call.
func (c calendars) Open(unit, calendar string, at time.Time) bool {
	id, ok := c.hours.Named(c.tree.Path(auth.UnitID(unit)), calendar)
	if !ok {
		return true
	}
	open, _, ok := c.hours.Open(id, at)
	return open || !ok
}

// String names the address that people use.
func (c Config) address() string {
	if c.HTTP.PublicURL != "" {
		return c.HTTP.PublicURL
	}
	return fmt.Sprint(c.mediaURL())
}

// tempDir is where recordings are put together: beside the data, because the system's may be small.
func (c Config) tempDir() string { return filepath.Join(c.DataDir, "tmp") }

// sip is where phones register.
func (c Config) sip() string {
	if len(c.Switches) == 0 {
		return ""
	}
	if a := c.Switches[0].SIPAddress; a != "" {
		return a
	}
	u, err := url.Parse(c.Switches[0].URL)
	if err != nil {
		return ""
	}
	return net.JoinHostPort(u.Hostname(), "5060")
}
