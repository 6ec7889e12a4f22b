package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"gorm.io/gorm"

	"callplane/app/kernel/auth"
	"callplane/app/kernel/problem"
)

// Problem is how an error is sent: RFC 9457, application/problem+json.
type Problem struct {
	Type      string          `json:"type" example:"/problems/queue_open" doc:"Which problem, as a path that ends in its stable name"`
	Title     string          `json:"title" example:"Queue already open" doc:"What it is, the same each time"`
	Status    int             `json:"status" example:"409" doc:"The HTTP status"`
	Detail    string          `json:"detail,omitempty" example:"Sales is open already." doc:"What happened this time"`
	Errors    []problem.Field `json:"errors,omitempty" doc:"The faulty fields of the request"`
	RequestID string          `json:"request_id,omitempty" doc:"Finds the request in the server's log"`
}

// Error is the detail, or the title.
func (p *Problem) Error() string {
	if p.Detail != "" {
		return p.Detail
	}
	return p.Title
}

// GetStatus is for huma.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType is for huma.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// Problems of this package.
var (
	ErrInternal    = problem.New(problem.Internal, "internal", "Something went wrong on the server")
	ErrTimeout     = problem.New(problem.Unavailable, "timeout", "The server took too long")
	ErrTooMany     = problem.New(problem.TooMany, "too_many_requests", "Too many requests")
	ErrCrossSite   = problem.New(problem.Forbidden, "cross_site", "Pages of other sites may not do this")
	ErrNoRoute     = problem.New(problem.NotFound, "no_route", "There is no such address")
	ErrNoMethod    = problem.New(http.StatusMethodNotAllowed, "no_method", "The address does not know this method")
	ErrAPIVersion  = problem.New(problem.BadRequest, "api_version", "This version of the API is not served")
	ErrMalformed   = problem.New(problem.BadRequest, "malformed", "The request cannot be read")
	ErrTooLarge    = problem.New(http.StatusRequestEntityTooLarge, "too_large", "The request is too large")
	ErrContentType = problem.New(http.StatusUnsupportedMediaType, "content_type", "The content type is not known here")
	ErrBodyTimeout = problem.New(http.StatusRequestTimeout, "body_timeout", "The request came too slowly")
)

// RetryAfter is a problem that tells when to try again: it sets the header Retry-After, in whole seconds, rounded up.
func RetryAfter(err error, d time.Duration) error { return &retryAfter{err, d} }

type retryAfter struct {
	error
	after time.Duration
}

func (r *retryAfter) Unwrap() error { return r.error }

// toProblem is what is sent for an error. An error that is no problem is logged, which happens nowhere else.
func toProblem(ctx context.Context, log *slog.Logger, route string, err error) *Problem {
	req := auth.RequestFrom(ctx)
	var sent *Problem
	if errors.As(err, &sent) {
		return sent
	}
	var p *problem.Problem
	switch {
	case errors.As(err, &p):
	case errors.Is(err, gorm.ErrRecordNotFound):
		p = problem.ErrNotFound
	case errors.Is(err, context.DeadlineExceeded):
		p = ErrTimeout
		log.ErrorContext(ctx, "request timed out", "route", route, "request_id", req.ID, "err", err)
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		p = ErrInternal // the client has gone and will not read it
	default:
		p = ErrInternal
		log.ErrorContext(ctx, "request failed", "route", route, "request_id", req.ID, "actor", auth.From(ctx).Actor(), "err", err)
	}
	return encode(p, req.ID)
}

func encode(p *problem.Problem, requestID string) *Problem {
	out := &Problem{
		Type: "/problems/" + p.Name, Title: p.Title, Status: int(p.Kind), Detail: p.Detail, Errors: p.Fields,
	}
	if p.Kind >= 500 {
		out.RequestID = requestID
	}
	return out
}

// writeProblem sends an error. It is for code outside of huma.
func writeProblem(w http.ResponseWriter, p *Problem, err error) {
	setErrorHeaders(w.Header(), p.Status, err)
	w.Header().Set("Content-Type", p.ContentType(""))
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // a client that has gone is no news
}

func setErrorHeaders(h http.Header, status int, err error) {
	var retry *retryAfter
	if errors.As(err, &retry) {
		h.Set("Retry-After", strconv.Itoa(max(1, int((retry.after+time.Second-1)/time.Second))))
	}
	if status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="callplane"`)
	}
}

// fromHuma makes a problem of what huma found wrong with a request.
func fromHuma(ctx huma.Context, status int, msg string, errs ...error) huma.StatusError {
	id := ""
	if ctx != nil {
		id = auth.RequestFrom(ctx.Context()).ID
	}
	switch status {
	case http.StatusUnprocessableEntity:
		return encode(invalid(errs), id)
	case http.StatusBadRequest:
		p := ErrMalformed.With("%s", strings.ToUpper(msg[:1])+msg[1:]+".")
		if len(errs) > 0 {
			p = invalid(errs)
			p = &problem.Problem{Kind: ErrMalformed.Kind, Name: ErrMalformed.Name, Title: ErrMalformed.Title, Detail: p.Detail, Fields: p.Fields}
		}
		return encode(p, id)
	case http.StatusRequestEntityTooLarge:
		return encode(ErrTooLarge, id)
	case http.StatusUnsupportedMediaType:
		return encode(ErrContentType, id)
	case http.StatusRequestTimeout:
		return encode(ErrBodyTimeout, id)
	case 0:
		return &Problem{}
	}
	return encode(&problem.Problem{Kind: problem.Kind(status), Name: "http_" + strconv.Itoa(status), Title: http.StatusText(status), Detail: msg}, id)
}

// invalid makes fields of huma's complaints: which field, a stable name, and a sentence.
func invalid(errs []error) *problem.Problem {
	p := problem.ErrInvalid
	for _, err := range errs {
		var own *problem.Problem
		if errors.As(err, &own) { // from a resolver
			for _, f := range own.Fields {
				p = p.At(f.Pointer, f.Name, "%s", f.Detail)
			}
			continue
		}
		var d *huma.ErrorDetail
		if !errors.As(err, &d) {
			p = p.At("body", "invalid", "%s", sentence(err.Error()))
			continue
		}
		pointer, name, text := d.Location, faultName(d.Message), d.Message
		var property string
		if n, _ := fmt.Sscanf(d.Message, "expected required property %s to be present", &property); n == 1 {
			pointer, text = pointer+"."+property, "is required"
		}
		p = p.At(pointer, name, "%s", sentence(text))
	}
	return p
}

func sentence(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + strings.TrimSuffix(s[1:], ".") + "."
}

// faults are the stable names of huma's messages, by how these begin.
var faults = []struct{ prefix, name string }{
	{"expected required property", "required"},
	{"required ", "required"},
	{"unexpected property", "unknown"},
	{"unknown query parameter", "unknown"},
	{"expected value to be one of", "not_allowed"},
	{"expected number >", "out_of_range"},
	{"expected number <", "out_of_range"},
	{"expected number to be a multiple", "out_of_range"},
	{"expected length >=", "too_short"},
	{"expected length <=", "too_long"},
	{"expected array length >=", "too_few"},
	{"expected array length <=", "too_many"},
	{"expected array items to be unique", "repeated"},
	{"expected string to match pattern", "bad_format"},
	{"expected string to be", "bad_format"},
	{"expected ", "wrong_type"},
	{"invalid ", "wrong_type"},
}

func faultName(msg string) string {
	for _, f := range faults {
		if strings.HasPrefix(msg, f.prefix) {
			return f.name
		}
	}
	return "invalid"
}
