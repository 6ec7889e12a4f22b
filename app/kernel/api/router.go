package api

import (
	"context"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"

	"callplane/app/kernel/auth"
)

// Version is the version of the API that this server speaks. It changes when a client written for it would break.
const Version = "1"

// Base is what stands before the path of every route that is not AtRoot.
const Base = "/api"

// Options is what a Router needs to know.
type Options struct {
	Log     *slog.Logger // nil: slog.Default
	Metrics Registerer   // nil: no metrics
	Build   string       // the program's version, for the document

	// Authenticate finds who a token belongs to. ErrUnauthorized, or any other problem, refuses it. Nil knows nobody.
	Authenticate func(ctx context.Context, token string) (*auth.Principal, error)
	// Audit writes an entry outside of a transaction. Nil writes none.
	Audit func(ctx context.Context, action, object, id string) error

	Origins        []string       // other origins whose pages may call us, exactly: https://crm.example.com
	TrustedProxies []netip.Prefix // whose X-Forwarded-For and X-Forwarded-Proto are believed
	PerSecond      float64        // requests a second for each key, session or address; 0 means 50
	Burst          int            // and at once; 0 means 4 times PerSecond

	// Recheck is how often an open stream asks whether its session still runs; 0 means 15 s.
	Recheck time.Duration
}

// Router holds all routes of the server.
type Router struct {
	o       Options
	engine  *gin.Engine
	huma    huma.API
	metrics *metrics
	limits  *limits
	cross   *http.CrossOriginProtection
	routes  []Route
	desktop fs.FS
	docOnce sync.Once
	docJSON []byte
	docYAML []byte
}

// Route is one line of the table of routes.
type Route struct {
	Method string
	Path   string // as served, with {name} for parameters: /api/acd/queues/{id}
	Guard  auth.Guard
	Audit  string // the action of an Audit option
	Raw    bool
	Hidden bool
}

// Routes lists all routes in order of registration.
func (r *Router) Routes() []Route { return append([]Route(nil), r.routes...) }

// None is the output of a handler that has nothing to say: 204.
type None struct{}

// Handler serves everything.
func (r *Router) Handler() http.Handler { return r.engine }

// Desktop serves a single-page application: its files, and its index.html for every other path outside of /api.
// Files below assets/ are cached for a year.
func (r *Router) Desktop(files fs.FS) { r.desktop = files }

// Get registers a handler that reads.
func Get[In, Out any](r *Router, path string, h func(context.Context, *In) (Out, error), opts ...Option) {
	register(r, http.MethodGet, path, h, opts)
}

// Post registers a handler that creates or acts.
func Post[In, Out any](r *Router, path string, h func(context.Context, *In) (Out, error), opts ...Option) {
	register(r, http.MethodPost, path, h, opts)
}

// Put registers a handler that replaces.
func Put[In, Out any](r *Router, path string, h func(context.Context, *In) (Out, error), opts ...Option) {
	register(r, http.MethodPut, path, h, opts)
}

// Patch registers a handler that changes the fields that are sent.
func Patch[In, Out any](r *Router, path string, h func(context.Context, *In) (Out, error), opts ...Option) {
	register(r, http.MethodPatch, path, h, opts)
}

// Delete registers a handler that removes.
func Delete[In, Out any](r *Router, path string, h func(context.Context, *In) (Out, error), opts ...Option) {
	register(r, http.MethodDelete, path, h, opts)
}

// Raw registers a handler that writes the answer itself. r.PathValue gives the path's parameters. An error returned
// before anything was written is sent as a problem; after that it is logged.
func Raw(r *Router, method, path string, h func(http.ResponseWriter, *http.Request) error, opts ...Option) {
	registerRaw(r, method, path, h, opts)
}
