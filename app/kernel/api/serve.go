package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"callplane/app/kernel/auth"
	"callplane/app/kernel/problem"
)

// serve takes one request through what every route has: version, origin, asker, limit, guard, size, time, audit.
func (r *Router) serve(c *gin.Context, rt *route, handler func() error) {
	c.Set(routeKey, rt.Path)
	if err := r.admit(c, rt); err != nil {
		r.refuse(c, rt, err)
		return
	}
	ctx := c.Request.Context()
	control := http.NewResponseController(c.Writer)
	if rt.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, rt.timeout)
		defer cancel()
		c.Request = c.Request.WithContext(ctx)
		_ = control.SetWriteDeadline(time.Now().Add(rt.timeout + 10*time.Second)) // a recorder in tests has none
	} else {
		_ = control.SetWriteDeadline(time.Time{})
		_ = control.SetReadDeadline(time.Time{})
		defer r.watch(c)()
	}
	if rt.audit != "" && r.o.Audit != nil {
		object, _, _ := strings.Cut(rt.audit, ".")
		if err := r.o.Audit(ctx, rt.audit, object, objectID(c)); err != nil {
			r.refuse(c, rt, err)
			return
		}
	}
	if err := handler(); err != nil {
		r.refuse(c, rt, err)
		return
	}
	r.auditChange(c, rt)
}

// watch ends the context of a stream when its asker's session or key has ended. It asks again and again, which also
// keeps a session alive while a page of its is open. The function it returns stops it, and waits for it.
func (r *Router) watch(c *gin.Context) (stop func()) {
	token, given := r.token(c)
	if !given || r.o.Authenticate == nil || auth.From(c.Request.Context()).Kind == auth.Anonymous {
		return func() {}
	}
	ctx, cancel := context.WithCancelCause(c.Request.Context())
	c.Request = c.Request.WithContext(ctx)
	done := make(chan struct{})
	go func() { // serve waits for it
		defer close(done)
		tick := time.NewTicker(r.o.Recheck)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if _, err := r.o.Authenticate(ctx, token); err != nil && isProblem(err) {
				cancel(err)
				return
			}
		}
	}()
	return func() {
		cancel(nil)
		<-done
	}
}

// auditChange writes the plain entry of a change whose handler wrote none.
func (r *Router) auditChange(c *gin.Context, rt *route) {
	ctx := c.Request.Context()
	if r.o.Audit == nil || rt.noAudit || rt.audit != "" || safe(rt.Method) || c.Writer.Status() >= 400 ||
		auth.RequestFrom(ctx).Audited.Load() {
		return
	}
	path := strings.TrimPrefix(rt.Path, Base)
	object := strings.SplitN(strings.Trim(path, "/"), "/", 2)[0]
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := r.o.Audit(ctx, rt.Method+" "+path, object, objectID(c)); err != nil {
		r.o.Log.ErrorContext(ctx, "audit entry not written", "route", rt.Path, "request_id", auth.RequestFrom(ctx).ID, "err", err)
	}
}

// objectID joins the values of the path's parameters.
func objectID(c *gin.Context) string {
	var ids []string
	for _, p := range c.Params {
		ids = append(ids, strings.TrimPrefix(p.Value, "/"))
	}
	return strings.Join(ids, " ")
}

// admit is nil when the request may reach its handler. It puts the asker into the request's context.
func (r *Router) admit(c *gin.Context, rt *route) error {
	req := c.Request
	if v := req.Header.Get(versionHeader); v != "" && v != Version {
		return ErrAPIVersion.With("This server speaks version %s.", Version)
	}
	if err := r.sameSite(req, rt); err != nil {
		return err
	}
	ctx := req.Context()
	address := auth.RequestFrom(ctx).Address
	token, given := r.token(c)
	if given && r.o.Authenticate != nil {
		p, err := r.o.Authenticate(ctx, token)
		switch {
		case err == nil:
			ctx = auth.With(ctx, p)
		case rt.Guard.IsPublic() && isProblem(err):
		default:
			if isProblem(err) { // guessing tokens is limited by address
				if wait := r.limits.take("address:"+address, 0); wait > 0 {
					return RetryAfter(ErrTooMany, wait)
				}
			}
			return err
		}
	}
	p := auth.From(ctx)
	if !rt.noLimit {
		key := p.Actor() + ":" + string(p.SessionID)
		if p.Kind == auth.Anonymous {
			key = "address:" + address
		}
		if wait := r.limits.take(key, p.PerSecond); wait > 0 {
			return RetryAfter(ErrTooMany, wait)
		}
	}
	if err := rt.Guard.Allow(ctx); err != nil {
		return err
	}
	ctx = context.WithValue(ctx, exchangeKey{}, &exchange{c.Writer, r.secure(req)})
	c.Request = req.WithContext(ctx)
	if rt.maxBody > 0 && c.Request.Body != nil {
		if req.ContentLength > rt.maxBody {
			return ErrTooLarge
		}
		c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, rt.maxBody+1)
	}
	return nil
}

func isProblem(err error) bool {
	var p *problem.Problem
	return errors.As(err, &p) && p.Kind < 500
}

// sameSite refuses a browser's cross-site request that would act with the session cookie, by Sec-Fetch-Site or, in
// older browsers, Origin. Requests with a token in the Authorization header carry no ambient right and may pass.
func (r *Router) sameSite(req *http.Request, rt *route) error {
	if req.Header.Get("Authorization") != "" {
		return nil
	}
	if rt.webSocket {
		// A WebSocket opens with a GET, which the check takes for harmless, and browsers send no preflight.
		req = req.Clone(req.Context())
		req.Method = http.MethodPost
	}
	if err := r.cross.Check(req); err != nil {
		return ErrCrossSite
	}
	return nil
}

// refuse sends an error if nothing was sent yet.
func (r *Router) refuse(c *gin.Context, rt *route, err error) {
	p := toProblem(c.Request.Context(), r.o.Log, rt.Path, err)
	if !c.Writer.Written() {
		writeProblem(c.Writer, p, err)
	}
}

func safe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}
