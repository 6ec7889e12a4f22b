package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// startServer starts a NATS server in this process, with its streams in Dir/nats. What it acknowledges is in the
// kernel's hands, and on the disk within a second.
func startServer(ctx context.Context, c Config, log *slog.Logger) (*server.Server, error) {
	o := &server.Options{
		ServerName:         "callplane-" + c.Node,
		DontListen:         true,
		NoSigs:             true,
		NoSystemAccount:    false,
		MaxPayload:         maxPayload + 64<<10,
		MaxPending:         256 << 20,
		WriteDeadline:      30 * time.Second,
		JetStream:          true,
		StoreDir:           filepath.Join(c.Dir, "nats"),
		SyncInterval:       time.Second,
		JetStreamMaxMemory: 1 << 40, // no reservations: the disk is the limit
		JetStreamMaxStore:  1 << 50,
	}
	if c.Listen != "" {
		host, port, err := net.SplitHostPort(c.Listen)
		if err != nil {
			return nil, fmt.Errorf("listen %q: %w", c.Listen, err)
		}
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return nil, fmt.Errorf("listen %q: only loopback, for there are no passwords", c.Listen)
		}
		o.DontListen, o.Host = false, host
		if o.Port, err = strconv.Atoi(port); err != nil {
			return nil, fmt.Errorf("listen %q: %w", c.Listen, err)
		}
	}
	s, err := server.NewServer(o)
	if err != nil {
		return nil, err
	}
	s.SetLoggerV2(&serverLog{log}, false, false, false)
	s.Start()
	end := time.Now().Add(startTimeout)
	for !s.ReadyForConnections(250 * time.Millisecond) {
		if ctx.Err() != nil || time.Now().After(end) {
			s.Shutdown()
			return nil, errors.Join(errors.New("the embedded server does not start"), ctx.Err())
		}
	}
	return s, nil
}

// serverLog brings the server's lines to our log: warnings as such, notices only when debugging.
type serverLog struct{ log *slog.Logger }

func (l *serverLog) Noticef(format string, v ...any) {
	l.log.Debug("nats: " + fmt.Sprintf(format, v...))
}
func (l *serverLog) Warnf(format string, v ...any) { l.log.Debug("nats: " + fmt.Sprintf(format, v...)) }
func (l *serverLog) Errorf(format string, v ...any) {
	l.log.Error("nats: " + fmt.Sprintf(format, v...))
}
func (l *serverLog) Fatalf(format string, v ...any) {
	l.log.Error("nats: " + fmt.Sprintf(format, v...))
}
func (l *serverLog) Debugf(string, ...any) {}
func (l *serverLog) Tracef(string, ...any) {}
