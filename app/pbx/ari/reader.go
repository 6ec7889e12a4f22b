package ari

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	ari "github.com/CyCoreSystems/ari/v6"
	"github.com/coder/websocket"

	"callplane/app/pbx"
)

// How the event link is watched.
const (
	pingEvery  = 5 * time.Second
	pingLimit  = 5 * time.Second
	frameLimit = 8 << 20 // an event of a full bridge is some 100 KiB
	firstWait  = 100 * time.Millisecond
	longWait   = time.Second // callers are refused meanwhile
)

var errReplaced = errors.New("another client has taken over the application")

// linesApp is our second application, which hears of lines and nothing else.
func (s *Switch) linesApp() string { return s.cfg.App + "-lines" }

// stayConnected opens the event link again and again, until ctx is done or another node takes over.
func (s *Switch) stayConnected(ctx context.Context) {
	wait := firstWait
	for n := 0; ctx.Err() == nil; n++ {
		if n > 0 {
			s.metrics.reconnects.Inc()
		}
		wasUp, err := s.session(ctx)
		if ctx.Err() != nil {
			return
		}
		s.down(wasUp, errors.Is(err, errReplaced))
		if errors.Is(err, errReplaced) {
			s.log.Error("another node has taken over this switch: I stop acting on it")
			<-ctx.Done()
			return
		}
		if wasUp {
			wait = firstWait
		}
		s.log.Warn("no event link to asterisk", "error", err, "again_in", wait)
		select {
		case <-time.After(wait/2 + rand.N(wait)):
		case <-ctx.Done():
		}
		wait = min(wait*2, longWait)
	}
}

// down notes that the link is gone, and tells.
func (s *Switch) down(wasUp, replaced bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.up, s.replaced = false, replaced
	s.metrics.connected.Set(0)
	s.failWaits()
	switch {
	case replaced:
		s.tell(pbx.Event{Kind: pbx.Replaced, At: time.Now()})
	case wasUp:
		s.tell(pbx.Event{Kind: pbx.Lost, At: time.Now()})
	}
}

// session is one life of the event link. WasUp tells whether it had come so far as to say Resync.
func (s *Switch) session(ctx context.Context) (wasUp bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	info, err := s.info(ctx)
	if err != nil {
		return false, err
	}
	conn, err := s.open(ctx)
	if err != nil {
		return false, err
	}
	defer conn.CloseNow()
	if err := s.listenTo(ctx); err != nil {
		return false, err
	}
	if err := s.remember(ctx, info); err != nil {
		return false, err
	}
	var watch sync.WaitGroup
	defer watch.Wait() // it ends with ctx, which the first deferred call below has cancelled
	defer cancel()
	watch.Go(func() { s.watch(ctx, cancel, conn) })
	return true, s.read(ctx, conn)
}

// open opens the WebSocket for both our applications.
func (s *Switch) open(ctx context.Context) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, requestLimit)
	defer cancel()
	q := url.Values{"app": {s.cfg.App + "," + s.linesApp()}}
	conn, resp, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(s.link.base, "http")+"/events?"+q.Encode(), &websocket.DialOptions{
		HTTPClient: s.link.http,
		HTTPHeader: http.Header{"Authorization": {s.link.auth}},
	})
	if err != nil {
		if resp != nil {
			return nil, fmt.Errorf("open events: asterisk says %s: %w", resp.Status, err)
		}
		return nil, fmt.Errorf("open events: %w", err)
	}
	conn.SetReadLimit(frameLimit)
	return conn, nil
}

// listenTo says which events we want. Asterisk forgets it whenever we are gone.
func (s *Switch) listenTo(ctx context.Context) error {
	for app, types := range map[string][]string{s.cfg.App: wanted, s.linesApp(): wantedLines} {
		filter := make([]map[string]string, len(types))
		for i, t := range types {
			filter[i] = map[string]string{"type": t}
		}
		err := s.link.do(ctx, ask{op: "filter events", method: http.MethodPut, path: path("applications", app, "eventFilter"),
			body: map[string]any{"allowed": filter}}, nil)
		if err != nil {
			return err
		}
	}
	return s.listenToLines(ctx)
}

// listenToLines subscribes to what phones and trunks do. An Asterisk that never had one knows of no such source: then
// it is for sync to ask again, once there is a line.
func (s *Switch) listenToLines(ctx context.Context) error {
	err := s.link.do(ctx, ask{op: "subscribe", method: http.MethodPost, path: path("applications", s.linesApp(), "subscription"),
		query: url.Values{"eventSource": {"endpoint:PJSIP"}}}, nil)
	deaf := status(err) == http.StatusUnprocessableEntity
	s.mu.Lock()
	s.deaf = deaf
	s.mu.Unlock()
	if deaf {
		return nil
	}
	return err
}

// info asks who is there.
func (s *Switch) info(ctx context.Context) (ari.AsteriskInfo, error) {
	var info ari.AsteriskInfo
	err := s.link.do(ctx, ask{op: "info", method: http.MethodGet, path: path("asterisk", "info")}, &info)
	return info, err
}

// watch pings Asterisk, and looks for legs whose last event is overdue. Session waits for it.
func (s *Switch) watch(ctx context.Context, cancel context.CancelFunc, conn *websocket.Conn) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var missed map[pbx.LegID]bool
	nextAudit := time.Now().Add(auditEvery)
	for next := time.Now().Add(pingEvery); ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		s.sweep(time.Now())
		if time.Now().After(nextAudit) {
			missed, nextAudit = s.audit(ctx, missed), time.Now().Add(auditEvery)
		}
		if time.Now().Before(next) {
			continue
		}
		pctx, pcancel := context.WithTimeout(ctx, pingLimit)
		err := conn.Ping(pctx)
		pcancel()
		if err != nil {
			if ctx.Err() == nil {
				s.log.Warn("asterisk does not answer pings on the event link", "error", err)
			}
			cancel()
			return
		}
		next = time.Now().Add(pingEvery)
	}
}

// read takes events until the link breaks. A frame that makes no sense is counted and skipped.
func (s *Switch) read(ctx context.Context, conn *websocket.Conn) error {
	var buf bytes.Buffer
	for {
		_, r, err := conn.Reader(ctx)
		if err != nil {
			return fmt.Errorf("read events: %w", err)
		}
		buf.Reset()
		if _, err := buf.ReadFrom(r); err != nil {
			return fmt.Errorf("read events: %w", err)
		}
		if err := s.take(buf.Bytes()); err != nil {
			return err
		}
		if buf.Cap() > 1<<20 {
			buf = bytes.Buffer{}
		}
	}
}

// take acts on one frame. The only error is errReplaced.
func (s *Switch) take(b []byte) error {
	if s.trace {
		s.log.Debug("event", "frame", string(b))
	}
	f, err := decode(b)
	if err != nil {
		s.metrics.broken.Inc()
		s.log.Warn("skipped an event that cannot be read", "error", err, "frame", string(b[:min(len(b), 200)]))
		return nil
	}
	if !known[f.Type] {
		s.metrics.unknown.Inc()
		s.log.Debug("skipped an event of an unknown type", "type", f.Type[:min(len(f.Type), 60)])
		return nil
	}
	s.metrics.events.WithLabelValues(f.Type).Inc()
	if f.Type == ari.Events.ApplicationReplaced {
		if f.Application == s.cfg.App {
			return errReplaced
		}
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.translate(f)
	return nil
}
