package api

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"reflect"
	"regexp"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-contrib/cors"
	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"callplane/app/kernel/auth"
)

const (
	versionHeader = "Callplane-Api"
	requestHeader = "X-Request-Id"
	routeKey      = "callplane.route"
)

var humaOnce sync.Once

// New makes a router with the document and its viewer: /api/openapi.json, /api/openapi.yaml and /api/docs.
// It panics on an origin that is not exact.
func New(o Options) *Router {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	o.Log = o.Log.With("module", "api")
	if o.Recheck <= 0 {
		o.Recheck = 15 * time.Second
	}
	humaOnce.Do(func() { // these are huma's variables, the same for all routers
		huma.DefaultArrayNullable = false
		huma.NewErrorWithContext = fromHuma
		huma.NewError = func(status int, msg string, errs ...error) huma.StatusError {
			return fromHuma(nil, status, msg, errs...)
		}
		gin.SetMode(gin.ReleaseMode)
	})
	r := &Router{o: o, engine: gin.New(), limits: newLimits(o.PerSecond, o.Burst), metrics: newMetrics(o.Metrics)}
	r.cross = http.NewCrossOriginProtection()
	e := r.engine
	e.HandleMethodNotAllowed, e.RedirectTrailingSlash, e.UseRawPath = true, false, true
	var proxies []string
	for _, p := range o.TrustedProxies {
		proxies = append(proxies, p.String())
	}
	if err := e.SetTrustedProxies(proxies); err != nil {
		panic(err) // prefixes were parsed already
	}
	e.Use(r.around)
	if len(o.Origins) > 0 {
		for _, origin := range o.Origins {
			if err := CheckOrigin(origin); err != nil {
				panic(err)
			}
			if err := r.cross.AddTrustedOrigin(origin); err != nil {
				panic(err)
			}
		}
		e.Use(cors.New(cors.Config{
			AllowOrigins:     o.Origins,
			AllowMethods:     []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"},
			AllowHeaders:     []string{"Authorization", "Content-Type", "Last-Event-ID", "Range", versionHeader, requestHeader},
			ExposeHeaders:    []string{"Content-Range", "Retry-After", versionHeader, requestHeader},
			AllowCredentials: true,
			MaxAge:           10 * time.Minute,
		}))
	}
	e.NoRoute(r.noRoute)
	e.NoMethod(func(c *gin.Context) { writeProblem(c.Writer, encode(ErrNoMethod, ""), nil) })
	r.huma = humagin.New(e, humaConfig(o.Build))
	r.huma.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Problem](), true, "Problem")
	r.docs()
	return r
}

// CheckOrigin is nil for an exact origin: scheme, host and maybe a port, nothing more.
func CheckOrigin(origin string) error {
	u, err := url.Parse(origin)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" ||
		strings.Contains(u.Host, "*") || u.Scheme+"://"+u.Host != origin {
		return fmt.Errorf("%q is not an exact origin such as https://crm.example.com", origin)
	}
	return nil
}

var requestIDShape = regexp.MustCompile(`^[A-Za-z0-9._-]{8,64}$`)

// around is outside of everything: request id, headers, log, metrics, panics.
func (r *Router) around(c *gin.Context) {
	start := time.Now()
	req := &auth.Request{
		ID: c.Request.Header.Get(requestHeader), Address: c.ClientIP(), UserAgent: c.Request.UserAgent(),
	}
	if !requestIDShape.MatchString(req.ID) {
		req.ID = uuid.Must(uuid.NewV7()).String()
	}
	c.Request = c.Request.WithContext(auth.WithRequest(c.Request.Context(), req))
	h := c.Writer.Header()
	h.Set(requestHeader, req.ID)
	h.Set(versionHeader, Version)
	r.securityHeaders(h, c.Request)
	done := r.metrics.start()
	defer func() {
		r.caught(c, recover())
		rt := c.GetString(routeKey)
		status := c.Writer.Status()
		done(c.Request.Method, rt, status, time.Since(start))
		level := slog.LevelInfo
		if status >= 500 {
			level = slog.LevelWarn // what went wrong has its own line
		}
		r.o.Log.Log(c.Request.Context(), level, "request", "method", c.Request.Method, "path", c.Request.URL.Path,
			"route", rt, "status", status, "bytes", max(c.Writer.Size(), 0), "ms", time.Since(start).Milliseconds(),
			"address", req.Address, "actor", auth.From(c.Request.Context()).Actor(), "request_id", req.ID)
	}()
	c.Next()
}

// caught turns a panic into "internal". One that only says that the client has gone is no news.
func (r *Router) caught(c *gin.Context, v any) {
	if v == nil {
		return
	}
	err, _ := v.(error)
	if errors.Is(err, http.ErrAbortHandler) {
		panic(v)
	}
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, http.ErrBodyNotAllowed) {
		return
	}
	id := auth.RequestFrom(c.Request.Context()).ID
	r.o.Log.ErrorContext(c.Request.Context(), "handler panicked", "panic", v, "request_id", id, "stack", string(debug.Stack()))
	if !c.Writer.Written() {
		writeProblem(c.Writer, encode(ErrInternal, id), nil)
	}
}

func (r *Router) securityHeaders(h http.Header, req *http.Request) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	if strings.HasPrefix(req.URL.Path, Base+"/") {
		h.Set("Cache-Control", "no-store")
	}
	if r.secure(req) {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// noRoute answers what no route matched: the desktop outside of /api, else a problem.
func (r *Router) noRoute(c *gin.Context) {
	p := path.Clean("/" + c.Request.URL.Path)
	if r.desktop != nil && safe(c.Request.Method) && p != Base && !strings.HasPrefix(p, Base+"/") {
		r.serveDesktop(c, strings.TrimPrefix(p, "/"))
		return
	}
	writeProblem(c.Writer, encode(ErrNoRoute, ""), nil)
}
