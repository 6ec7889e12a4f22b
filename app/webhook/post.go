package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/sony/gobreaker/v2"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"callplane/app/kernel/bus"
)

// answer is what came of one request.
type answer struct {
	status int
	body   string
	took   time.Duration
	after  time.Duration // Retry-After, when it was given
	err    error         // nil: delivered
}

// Errors of a request.
var (
	errStatus = errors.New("not accepted")
	errGone   = errors.New("the endpoint says that it is gone for good")
)

const (
	answerKept = 1000     // characters of an answer that the log keeps
	answerRead = 64 << 10 // bytes of an answer that are read, so that the connection can be used again
	maxAfter   = time.Hour
)

// poster makes requests. It has one breaker for each host.
type poster struct {
	cfg    Config
	client *http.Client

	mu    sync.Mutex
	gates map[string]*gate
}

func newPoster(cfg Config) *poster {
	dialer := &net.Dialer{Timeout: cfg.Timeout, KeepAlive: 30 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		if !cfg.mayDial(to.Addr()) {
			return ErrPrivate.With("%s is in a private network.", to.Addr())
		}
		return nil
	}}
	return &poster{cfg: cfg, gates: map[string]*gate{}, client: &http.Client{
		Timeout:       cfg.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{ // no proxy: it would dial for us, past the check
			DialContext: dialer.DialContext, TLSHandshakeTimeout: cfg.Timeout, ForceAttemptHTTP2: true, DisableCompression: true,
			MaxIdleConnsPerHost: cfg.Parallel, IdleConnTimeout: 90 * time.Second,
		},
	}}
}

// post makes one signed request.
func (p *poster) post(ctx context.Context, e Endpoint, ev bus.Event) (a answer) {
	started := time.Now()
	defer func() { a.took = time.Since(started) }()
	body, err := payload(ev)
	if err != nil {
		return answer{err: err}
	}
	signer, err := standardwebhooks.NewWebhook(e.Secret)
	if err != nil {
		return answer{err: err}
	}
	signature, err := signer.Sign(ev.ID, started, body)
	if err != nil {
		return answer{err: err}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.URL, bytes.NewReader(body))
	if err != nil {
		return answer{err: err}
	}
	for name, value := range map[string]string{
		"Content-Type": "application/json", "User-Agent": "Callplane-Webhook/1", standardwebhooks.HeaderWebhookID: ev.ID,
		standardwebhooks.HeaderWebhookTimestamp: strconv.FormatInt(started.Unix(), 10), standardwebhooks.HeaderWebhookSignature: signature,
	} {
		req.Header.Set(name, value)
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, answerRead))
	a = answer{status: resp.StatusCode, body: clip(strings.ToValidUTF8(strings.ReplaceAll(string(text), "\x00", ""), "?"), answerKept)}
	switch {
	case resp.StatusCode == http.StatusGone:
		a.err = errGone
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		a.err = fmt.Errorf("%w: %s", errStatus, resp.Status)
		a.after = retryAfter(resp.Header.Get("Retry-After"), time.Now())
	case err != nil:
		a.err = err
	}
	return a
}

// retryAfter reads the header, as seconds or as a date; 0 if there is none. More than an hour counts as an hour.
func retryAfter(header string, now time.Time) time.Duration {
	var d time.Duration
	if n, err := strconv.Atoi(strings.TrimSpace(header)); err == nil {
		d = time.Duration(min(n, int(maxAfter/time.Second))) * time.Second
	} else if at, err := http.ParseTime(header); err == nil {
		d = at.Sub(now)
	}
	return max(0, min(d, maxAfter))
}

// alive tells whether an answer shows that the host works, even if it refused the event.
func (a answer) alive() bool {
	return a.err == nil || a.status != 0 && a.status < 500 && a.status != http.StatusRequestTimeout && a.status != http.StatusTooManyRequests
}

// clip cuts text to so many characters.
func clip(text string, most int) string {
	for i := range text {
		if most--; most < 0 {
			return text[:i]
		}
	}
	return text
}

// gate lets requests through to one host while it works, and one at a time while it does not.
type gate struct {
	breaker *gobreaker.CircuitBreaker[answer]

	mu      sync.Mutex
	changed chan struct{} // closed when the breaker changes its state
}

// trips is how many failures in a row make a host count as down.
const trips = 5

var errDown = errors.New("the host does not answer")

// gate is that of a host, with its port.
func (p *poster) gate(host string) *gate {
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.gates[host]
	if g == nil {
		g = &gate{changed: make(chan struct{})}
		g.breaker = gobreaker.NewCircuitBreaker[answer](gobreaker.Settings{
			Name: host, Timeout: p.cfg.Probe,
			ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= trips },
			IsExcluded:  func(err error) bool { return errors.Is(err, context.Canceled) },
			OnStateChange: func(string, gobreaker.State, gobreaker.State) {
				g.mu.Lock()
				defer g.mu.Unlock()
				close(g.changed)
				g.changed = make(chan struct{})
			},
		})
		p.gates[host] = g
	}
	return g
}

// try makes a request if the host takes one now. If not, wait is closed when that may have changed.
func (g *gate) try(do func() answer) (a answer, asked bool, wait <-chan struct{}) {
	g.mu.Lock()
	wait = g.changed
	g.mu.Unlock()
	_, err := g.breaker.Execute(func() (answer, error) {
		asked = true
		a = do()
		switch {
		case errors.Is(a.err, context.Canceled):
			return a, a.err
		case !a.alive():
			return a, errDown
		}
		return a, nil
	})
	if asked || err == nil {
		return a, true, nil
	}
	return a, false, wait
}

// down tells whether the host counts as down.
func (g *gate) down() bool { return g.breaker.State() != gobreaker.StateClosed }
