package ari

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"callplane/app/pbx"
)

// requestLimit is how long Asterisk may take for one request; a healthy one needs 1 to 5 ms.
const requestLimit = 5 * time.Second

// link sends REST requests to one Asterisk. It knows nothing of calls.
type link struct {
	base    string // http://host:8088/ari, without a slash at the end
	auth    string // the Authorization header
	http    *http.Client
	metrics *metrics
}

func newLink(base, user, password string, m *metrics) *link {
	return &link{
		base:    strings.TrimRight(base, "/"),
		auth:    "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password)),
		metrics: m,
		http: &http.Client{Transport: &http.Transport{
			DialContext:           (&net.Dialer{Timeout: 2 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
			MaxIdleConns:          64,
			MaxIdleConnsPerHost:   64,
			IdleConnTimeout:       10 * time.Second, // below the 15 s after which Asterisk closes an idle connection
			ResponseHeaderTimeout: requestLimit,
			DisableCompression:    true,
		}},
	}
}

// refusal is an answer of Asterisk that says no.
type refusal struct {
	op     string
	status int
	text   string
}

func (r *refusal) Error() string {
	return fmt.Sprintf("asterisk refused %s: %d %s", r.op, r.status, r.text)
}

// status is the HTTP status in err, or 0. It looks behind the ARI library's wrappers, of which one has only Cause.
func status(err error) int {
	for err != nil {
		var r *refusal
		if errors.As(err, &r) {
			return r.status
		}
		c, ok := errors.AsType[interface {
			error
			Cause() error
		}](err)
		if !ok {
			return 0
		}
		err = c.Cause()
	}
	return 0
}

// gone turns "there is no such thing" into no error.
func gone(err error) error {
	if status(err) == http.StatusNotFound {
		return nil
	}
	return err
}

// path joins the parts of a resource's path, each escaped: names of recordings contain slashes.
func path(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(p))
	}
	return b.String()
}

// ask is one request. Op names it in errors and metrics, and must be one of a small set.
type ask struct {
	op, method string
	path       string // made by path
	query      url.Values
	body       any           // sent as JSON, if not nil
	limit      time.Duration // 0 is requestLimit
}

// do sends a request and decodes the answer into out, unless that is nil. Errors: a *refusal, or pbx.ErrUnreachable when
// there was no answer at all.
func (l *link) do(ctx context.Context, a ask, out any) error {
	if a.limit == 0 {
		a.limit = requestLimit
	}
	ctx, cancel := context.WithTimeout(ctx, a.limit)
	defer cancel()
	resp, err := l.send(ctx, a)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20)) // read it, so that the connection can be used again
	} else {
		err = json.NewDecoder(io.LimitReader(resp.Body, 256<<20)).Decode(out)
	}
	if err != nil && ctx.Err() != nil {
		return unreachable(a.op, err)
	}
	if err != nil {
		return fmt.Errorf("asterisk answered %s with something else than JSON: %w", a.op, err)
	}
	return nil
}

// send sends a request and hands back the answer, if it is a good one, with its body still to be read and closed.
func (l *link) send(ctx context.Context, a ask) (*http.Response, error) {
	target := l.base + a.path
	if len(a.query) > 0 {
		target += "?" + a.query.Encode()
	}
	var body io.Reader
	if a.body != nil {
		b, err := json.Marshal(a.body)
		if err != nil {
			return nil, fmt.Errorf("ask asterisk to %s: %w", a.op, err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, a.method, target, body)
	if err != nil {
		return nil, fmt.Errorf("ask asterisk to %s: %w", a.op, err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return l.exchange(req, a.op)
}

// exchange sends one request with our name and password, measures it, and sorts the errors.
func (l *link) exchange(req *http.Request, op string) (*http.Response, error) {
	req.Header.Set("Authorization", l.auth)
	start := time.Now()
	resp, err := l.http.Do(req)
	l.metrics.rest.WithLabelValues(op).Observe(time.Since(start).Seconds())
	if err != nil {
		l.metrics.failed.WithLabelValues(op, "unreachable").Inc()
		return nil, unreachable(op, err)
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	l.metrics.failed.WithLabelValues(op, class(resp.StatusCode)).Inc()
	text := reason(resp)
	if resp.StatusCode == http.StatusServiceUnavailable { // it is shutting down, or out of HTTP sessions
		return nil, unreachable(op, errors.New(text))
	}
	return nil, &refusal{op, resp.StatusCode, text}
}

// unreachable says that op got no answer, and why.
func unreachable(op string, err error) error {
	var u *url.Error
	if errors.As(err, &u) { // its text repeats the whole URL
		err = u.Err
	}
	return fmt.Errorf("ask asterisk to %s: %w: %w", op, pbx.ErrUnreachable, err)
}

// reason is what Asterisk says in a refusal: {"message":"…"} or {"error":"…"}, else the beginning of what it sent.
func reason(resp *http.Response) string {
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
	var said struct{ Message, Error string }
	if json.Unmarshal(b, &said) == nil && said.Message+said.Error != "" {
		return said.Message + said.Error
	}
	if text := strings.Join(strings.Fields(string(b)), " "); text != "" {
		return text[:min(len(text), 200)]
	}
	return http.StatusText(resp.StatusCode)
}

// class is the kind of a refusal, for metrics.
func class(status int) string {
	if status >= 500 {
		return "fault"
	}
	return "refused"
}
