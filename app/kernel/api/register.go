package api

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"

	"callplane/app/kernel/auth"
)

// route is a Route and what its options said.
type route struct {
	Route
	op        huma.Operation
	timeout   time.Duration // 0: none
	maxBody   int64
	root      bool
	audit     string
	noAudit   bool
	noLimit   bool
	webSocket bool
	produces  []string
	accepts   []string
	query     [][2]string
}

const (
	defaultTimeout = 30 * time.Second
	defaultBody    = 1 << 20
)

// output is what huma sends: the handler's value, alone.
type output[T any] struct{ Body T }

func register[In, Out any](r *Router, method, path string, h func(context.Context, *In) (Out, error), opts []Option) {
	checkInput(method+" "+path, reflect.TypeFor[In]())
	rt := r.newRoute(method, path, defaultTimeout, opts)
	rt.op.Middlewares = huma.Middlewares{func(hc huma.Context, next func(huma.Context)) {
		c := humagin.Unwrap(hc)
		r.serve(c, rt, func() error { next(hc); return nil })
	}}
	call := func(ctx context.Context, in *In) (out Out, err error) {
		out, err = h(ctx, in)
		if err != nil {
			p := toProblem(ctx, r.o.Log, rt.Path, err)
			setErrorHeaders(Header(ctx), p.Status, err)
			return out, p
		}
		return out, nil
	}
	var zero Out
	if _, none := any(zero).(None); none {
		huma.Register(r.huma, rt.op, func(ctx context.Context, in *In) (*struct{}, error) {
			if _, err := call(ctx, in); err != nil {
				return nil, err
			}
			return &struct{}{}, nil
		})
		return
	}
	huma.Register(r.huma, rt.op, func(ctx context.Context, in *In) (*output[Out], error) {
		v, err := call(ctx, in)
		if err != nil {
			return nil, err
		}
		out := &output[Out]{v}
		noNilLists(out)
		return out, nil
	})
}

// checkInput panics on an embedded struct that huma would overlook.
func checkInput(where string, in reflect.Type) {
	if in.Kind() != reflect.Struct {
		panic("api: " + where + ": the input must be a struct")
	}
	for i := range in.NumField() {
		if f := in.Field(i); f.Anonymous && !f.IsExported() {
			panic("api: " + where + ": embed only exported types, not " + f.Name)
		}
	}
}

func registerRaw(r *Router, method, path string, h func(http.ResponseWriter, *http.Request) error, opts []Option) {
	rt := r.newRoute(method, path, 0, opts)
	rt.Raw = true
	r.routes[len(r.routes)-1].Raw = true
	names := documentRaw(rt)
	if !rt.op.Hidden {
		r.huma.OpenAPI().AddOperation(&rt.op)
	}
	r.engine.Handle(method, ginPath(rt.Path), func(c *gin.Context) {
		r.serve(c, rt, func() error {
			for _, n := range names {
				c.Request.SetPathValue(n, strings.TrimPrefix(c.Param(n), "/"))
			}
			return h(c.Writer, c.Request)
		})
	})
}

var pathParam = regexp.MustCompile(`\{([a-z_]+)(\.\.\.)?\}`)

// ginPath writes {id} as :id, and {path...} as *path.
func ginPath(path string) string {
	return pathParam.ReplaceAllStringFunc(path, func(p string) string {
		m := pathParam.FindStringSubmatch(p)
		if m[2] != "" {
			return "*" + m[1]
		}
		return ":" + m[1]
	})
}

// documentRaw describes a raw route in its operation, and returns the names of the path's parameters.
func documentRaw(rt *route) (names []string) {
	op := &rt.op
	for _, m := range pathParam.FindAllStringSubmatch(rt.Path, -1) {
		names = append(names, m[1])
		op.Parameters = append(op.Parameters, &huma.Param{
			Name: m[1], In: "path", Required: true, Schema: &huma.Schema{Type: huma.TypeString},
		})
	}
	op.Path = strings.ReplaceAll(op.Path, "...}", "}")
	for _, q := range rt.query {
		op.Parameters = append(op.Parameters, &huma.Param{
			Name: q[0], In: "query", Description: q[1], Schema: &huma.Schema{Type: huma.TypeString},
		})
	}
	binary := func(types []string) map[string]*huma.MediaType {
		content := map[string]*huma.MediaType{}
		for _, t := range types {
			content[t] = &huma.MediaType{}
			if !strings.Contains(t, "json") {
				content[t].Schema = &huma.Schema{Type: huma.TypeString, Format: "binary"}
			}
		}
		return content
	}
	if len(rt.accepts) > 0 {
		op.RequestBody = &huma.RequestBody{Required: true, Content: binary(rt.accepts)}
	}
	status := op.DefaultStatus
	if status == 0 {
		status = http.StatusOK
	}
	ok := &huma.Response{Description: http.StatusText(status)}
	if !rt.webSocket && status != http.StatusNoContent {
		if len(rt.produces) == 0 {
			rt.produces = []string{"application/json"}
		}
		ok.Content = binary(rt.produces)
	}
	op.Responses = map[string]*huma.Response{strconv.Itoa(status): ok}
	maps.Copy(op.Responses, map[string]*huma.Response{"default": {
		Description: "Error",
		Content:     map[string]*huma.MediaType{"application/problem+json": {Schema: &huma.Schema{Ref: "#/components/schemas/Problem"}}},
	}})
	return names
}

// newRoute reads the options, and puts the route into the table. It panics on a route without a guard or with two.
func (r *Router) newRoute(method, path string, timeout time.Duration, opts []Option) *route {
	where := method + " " + path
	if !strings.HasPrefix(path, "/") {
		panic("api: " + where + ": the path must begin with /")
	}
	rt := &route{timeout: timeout, maxBody: defaultBody}
	for _, o := range opts {
		switch o := o.(type) {
		case auth.Guard:
			if rt.Guard != (auth.Guard{}) {
				panic("api: " + where + " has two guards")
			}
			rt.Guard = o
		case option:
			o(rt)
		default:
			panic(fmt.Sprintf("api: %s: unknown option %T", where, o))
		}
	}
	if rt.Guard.String() == "" {
		panic("api: " + where + " has no guard: say auth.Can, auth.SignedIn, auth.Limited or auth.Public")
	}
	rt.Method, rt.Path, rt.Audit, rt.Hidden = method, path, rt.audit, rt.op.Hidden
	if !rt.root {
		rt.Path = Base + path
	}
	op := &rt.op
	op.Method, op.Path, op.MaxBodyBytes, op.BodyReadTimeout = method, rt.Path, rt.maxBody, defaultTimeout
	op.OperationID = operationID(method, path)
	if op.Summary == "" {
		op.Summary = where
	}
	if op.Tags == nil {
		op.Tags = []string{strings.SplitN(strings.Trim(path, "/"), "/", 2)[0]}
	}
	if !rt.Guard.IsPublic() {
		op.Security = []map[string][]string{{"bearer": {}}, {"session": {}}}
	}
	op.Extensions = map[string]any{"x-guard": rt.Guard.String()}
	for _, other := range r.routes {
		if other.Method == method && other.Path == rt.Path {
			panic("api: " + where + " is registered twice")
		}
	}
	r.routes = append(r.routes, rt.Route)
	return rt
}

// operationID is a name for generated clients: POST /acd/queues/{id}/open is postAcdQueuesByIdOpen.
func operationID(method, path string) string {
	var b strings.Builder
	b.WriteString(strings.ToLower(method))
	for _, part := range strings.FieldsFunc(path, func(c rune) bool { return strings.ContainsRune("/-_.", c) }) {
		if p := strings.Trim(part, "{}"); p != part {
			b.WriteString("By")
			part = p
		}
		if part != "" {
			b.WriteString(strings.ToUpper(part[:1]) + part[1:])
		}
	}
	return b.String()
}
