package app

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"callplane/app/kernel/api"
	"callplane/app/kernel/audit"
	"callplane/app/kernel/auth"
	"callplane/app/kernel/bus"
	"callplane/app/kernel/problem"
)

// health is what probes ask for.
type health struct{ draining atomic.Bool }

// serveAPI makes the router and registers all routes.
func (a *App) serveAPI(auditing *audit.Service, build string) error {
	proxies, err := a.cfg.HTTP.Proxies()
	if err != nil {
		return err
	}
	a.web = api.New(api.Options{
		Log: a.log, Metrics: a.kit.Metrics, Build: build, Authenticate: a.Users.Authenticate, Audit: auditing.Record,
		Origins: a.cfg.HTTP.Origins, TrustedProxies: proxies, PerSecond: a.cfg.HTTP.PerSecond, Burst: a.cfg.HTTP.Burst,
	})
	a.routes(a.web)
	return nil
}

// routes registers all routes: the modules', and the platform's own.
func (a *App) routes(r *api.Router) {
	for _, m := range a.modules {
		m.Routes(r)
	}
	probe := []api.Option{api.AtRoot(), api.Public(), api.Hidden(), api.NoLimit()}
	api.Raw(r, http.MethodGet, "/healthz", a.healthz, probe...)
	api.Raw(r, http.MethodGet, "/readyz", a.readyz, probe...)
	if reg, ok := a.kit.Metrics.(prometheus.Gatherer); ok {
		metrics := promhttp.HandlerFor(reg, promhttp.HandlerOpts{})
		api.Raw(r, http.MethodGet, "/metrics", func(w http.ResponseWriter, r *http.Request) error {
			metrics.ServeHTTP(w, r)
			return nil
		}, api.AtRoot(), auth.Can(permMetrics), api.NoLimit(), api.Produces("text/plain"), api.Summary("Prometheus metrics"))
	}
	prompts := a.Prompts.Handler()
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		api.Raw(r, method, "/prompts/{key}/{lang}/{file}", func(w http.ResponseWriter, r *http.Request) error {
			prompts.ServeHTTP(w, r)
			return nil
		}, api.AtRoot(), api.Public(), api.Hidden(), api.NoLimit()) // signed addresses, for the switch
	}
	a.streams(r)
}

var permMetrics = auth.Define("app:metrics", "read the platform's metrics", auth.Integrator, auth.Auditor)

// streams registers the resumable event stream. Whoever is signed in gets what their roles let them see.
func (a *App) streams(r *api.Router) {
	see := func(r *http.Request) (func(bus.Event) bool, error) {
		p := auth.From(r.Context())
		if p == nil {
			return nil, auth.ErrUnauthorized
		}
		ctx := auth.With(context.Background(), p)
		return func(e bus.Event) bool { return mayHear(ctx, e) }, nil
	}
	stream := func(path string, h http.Handler, opts ...api.Option) {
		api.Raw(r, http.MethodGet, path, func(w http.ResponseWriter, r *http.Request) error {
			h.ServeHTTP(w, r)
			return nil
		}, append(opts, api.SignedIn(), api.Tag("events"), api.Query("after", "Position of the last event seen; what came since is sent first"))...)
	}
	stream("/events", a.kit.Live.SSE(see), api.Produces("text/event-stream"), api.Summary("The event stream, as server-sent events"))
	stream("/events/ws", a.kit.Live.WebSocket(see), api.WebSocket(), api.Summary("The event stream, as a WebSocket"))
}

// mayHear says that the asker may see an event: who has its permission, for its unit or as its owner.
func mayHear(ctx context.Context, e bus.Event) bool {
	if e.Perm == "" {
		return auth.From(ctx).TenantPath() == auth.RootPath(e.UnitPath)
	}
	return auth.MayUse(ctx, auth.Permission(e.Perm), e.UnitPath, e.Owner)
}

func (a *App) healthz(w http.ResponseWriter, _ *http.Request) error {
	_, err := w.Write([]byte("ok\n"))
	return err
}

// ErrNotReady says what keeps this node from taking work.
var ErrNotReady = problem.New(problem.Unavailable, "not_ready", "Not ready")

// readyz answers when calls can be taken. A database that is away does not count: calls go on without it.
func (a *App) readyz(w http.ResponseWriter, r *http.Request) error {
	if a.live.draining.Load() {
		return ErrNotReady.With("Shutting down.")
	}
	if len(a.cfg.Switches) > 0 {
		ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
		defer cancel()
		if _, err := a.sw.Snapshot(ctx); err != nil {
			return ErrNotReady.With("The switch does not answer: %v", err)
		}
	}
	_, err := w.Write([]byte("ready\n"))
	return err
}

// API is the router, for tests that walk all routes.
func (a *App) API() *api.Router { return a.web }
