package ari

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/CyCoreSystems/ari/v6/client/native"
)

// The ARI library makes its requests with an http.Client that nobody can reach: without a deadline, two idle connections
// for each host, and errors without what Asterisk said. But that client uses http.DefaultTransport, and that can be taught
// a scheme. So the library is given URLs of a scheme of our own, callplane-ari://<number of the link>/…, and libraryTransport sends
// them through the link. Requests of the library have no context of the caller's: use it where the link's deadline will do.

// libraryScheme is the scheme of those URLs.
const libraryScheme = "callplane-ari"

// links are the links that library clients use, by the number that is the host in their URLs.
var (
	links    sync.Map
	lastLink atomic.Int64
)

func init() {
	if t, ok := http.DefaultTransport.(*http.Transport); ok {
		t.RegisterProtocol(libraryScheme, libraryTransport{})
	}
}

// newLibrary makes a client of the ARI library that works on l. Never call its Connect, Bus, or a handle's Subscribe.
// Forget ends it.
func newLibrary(l *link, app string) (client *native.Client, forget func()) {
	number := strconv.FormatInt(lastLink.Add(1), 10)
	links.Store(number, l)
	return native.New(&native.Options{
		Application: app,
		URL:         libraryScheme + "://" + number,
		Username:    "-", // otherwise it looks for one in the environment; the link puts the right one in
		Password:    "-",
	}), func() { links.Delete(number) }
}

// libraryTransport carries the library's requests.
type libraryTransport struct{}

// RoundTrip sends a request through the link that it names. A refusal comes back as an error, for the library would try
// to decode it as an answer.
func (libraryTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	v, ok := links.Load(req.URL.Host)
	if !ok {
		return nil, http.ErrServerClosed
	}
	l := v.(*link)
	target, err := url.Parse(l.base + req.URL.EscapedPath())
	if err != nil {
		return nil, err
	}
	target.RawQuery = req.URL.RawQuery
	ctx, cancel := context.WithTimeout(req.Context(), requestLimit)
	defer cancel()
	out := req.Clone(ctx)
	out.URL, out.Host = target, ""
	resp, err := l.exchange(out, "library "+verb(req.URL.Path))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	// The library does not read answers that it has no use for; then the connection could not be used again.
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, unreachable("library "+verb(req.URL.Path), err)
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// verb is the first two words of a path, which name what is asked and are few.
func verb(path string) string {
	parts := strings.SplitN(strings.Trim(path, "/"), "/", 3)
	return strings.Join(parts[:min(len(parts), 2)], " ")
}
