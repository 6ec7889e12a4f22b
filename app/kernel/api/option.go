package api

import (
	"net/http"
	"time"

	"callplane/app/kernel/auth"
)

// Option says something about a route: one of this package's, or an [auth.Guard].
type Option interface{ RouteOption() }

type option func(*route)

// RouteOption makes it an Option.
func (option) RouteOption() {}

// Public is auth.Public: everyone may ask.
func Public() Option { return auth.Public() }

// SignedIn is auth.SignedIn: any person or key may ask.
func SignedIn() Option { return auth.SignedIn() }

// Summary is the route's line in the OpenAPI document. Without it, one is made from method and path.
func Summary(text string) Option { return option(func(r *route) { r.op.Summary = text }) }

// Describe adds a longer text to the OpenAPI document.
func Describe(text string) Option { return option(func(r *route) { r.op.Description = text }) }

// Tag groups the route in the OpenAPI document. Without it, that is the first part of the path: the module.
func Tag(name string) Option { return option(func(r *route) { r.op.Tags = []string{name} }) }

// Status is the status of success. Without it: 200, or 204 when the output is None.
func Status(code int) Option { return option(func(r *route) { r.op.DefaultStatus = code }) }

// Timeout ends the handler's context after d. Without it: 30 s for typed routes, no limit for raw ones.
func Timeout(d time.Duration) Option { return option(func(r *route) { r.timeout = d }) }

// MaxBody limits the request's body, in bytes. Without it: 1 MiB.
func MaxBody(bytes int64) Option { return option(func(r *route) { r.maxBody = bytes }) }

// AtRoot serves the path as it is, without /api before it.
func AtRoot() Option { return option(func(r *route) { r.root = true }) }

// Hidden keeps the route out of the OpenAPI document. It is for switches and probes, not for people.
func Hidden() Option { return option(func(r *route) { r.op.Hidden = true }) }

// Audit writes an audit entry of this action ("recording.play") before the handler runs. The path's parameters
// become the object's id; the object is the action's first part.
func Audit(action string) Option { return option(func(r *route) { r.audit = action }) }

// NoAudit writes no entry for a successful change.
func NoAudit() Option { return option(func(r *route) { r.noAudit = true }) }

// NoLimit takes the route out of the rate limit, for probes.
func NoLimit() Option { return option(func(r *route) { r.noLimit = true }) }

// Produces documents the content types of a raw route's answer. Without it: application/json.
func Produces(types ...string) Option { return option(func(r *route) { r.produces = types }) }

// Accepts documents the content types of a raw route's request body. Without it: no body.
func Accepts(types ...string) Option { return option(func(r *route) { r.accepts = types }) }

// Query documents a query parameter of a raw route.
func Query(name, doc string) Option {
	return option(func(r *route) { r.query = append(r.query, [2]string{name, doc}) })
}

// WebSocket documents that a raw route is a WebSocket, and refuses pages of other origins.
func WebSocket() Option {
	return option(func(r *route) {
		r.webSocket = true
		r.op.DefaultStatus = http.StatusSwitchingProtocols
	})
}
