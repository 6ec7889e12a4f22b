package api

import (
	"embed"
	"encoding/json"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

//go:embed viewer
var viewer embed.FS

func humaConfig(build string) huma.Config {
	format := huma.DefaultJSONFormat
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title: "Callplane", Version: Version,
				Description: "The API of the call centre platform Callplane, program version " + orDev(build) + ".\n\n" +
					"Errors are RFC 9457 problems. Lists come in pages: send `next` as `cursor` to go on. " +
					"Send the header `" + versionHeader + ": " + Version + "` to be refused rather than misunderstood by another version.",
			},
			Components: &huma.Components{
				Schemas: huma.NewMapRegistry("#/components/schemas/", uniqueNames()),
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"bearer":  {Type: "http", Scheme: "bearer", Description: "An API key, or the token that signing in gives"},
					"session": {Type: "apiKey", In: "cookie", Name: cookieName, Description: "The browser's session; with TLS it is named " + secureCookieName},
				},
			},
		},
		Formats:                      map[string]huma.Format{"application/json": format, "json": format},
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true,
	}
}

// uniqueNames is schemaName, with a number behind a name that another type has already.
func uniqueNames() func(t reflect.Type, hint string) string {
	taken := map[string]reflect.Type{}
	return func(t reflect.Type, hint string) string {
		name := schemaName(t, hint)
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct {
			return name
		}
		free := name
		for n := 2; taken[free] != nil && taken[free] != t; n++ {
			free = name + strconv.Itoa(n)
		}
		taken[free] = t
		return free
	}
}

func orDev(build string) string {
	if build == "" {
		return "(development)"
	}
	return build
}

// schemaName is PackageType, so that two modules may have a type of one name: acd.Queue is AcdQueue, user.User is User.
func schemaName(t reflect.Type, hint string) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	name := t.Name()
	if name == "" {
		return huma.DefaultSchemaNamer(t, hint)
	}
	var b strings.Builder
	// A generic type's name holds its arguments with their whole import path: Page[callplane/app/acd.Queue].
	parts := strings.FieldsFunc(t.PkgPath()+"."+name, func(c rune) bool { return strings.ContainsRune("[]*,", c) })
	for _, part := range parts {
		pkg, base, ok := strings.Cut(part[strings.LastIndexByte(part, '/')+1:], ".")
		if !ok {
			pkg, base = "", pkg
		}
		pkg, base = title(pkg), title(base)
		if pkg != "Api" && pkg != "Problem" && !strings.HasPrefix(base, pkg) {
			b.WriteString(pkg)
		}
		b.WriteString(base)
	}
	return b.String()
}

func title(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// Document is the OpenAPI document as JSON. Register all routes before asking.
func (r *Router) Document() []byte {
	r.docOnce.Do(func() {
		var err error
		if r.docJSON, err = json.MarshalIndent(r.huma.OpenAPI(), "", "  "); err != nil {
			panic(err)
		}
		if r.docYAML, err = r.huma.OpenAPI().YAML(); err != nil {
			panic(err)
		}
	})
	return r.docJSON
}

// docs registers the document and its viewer.
func (r *Router) docs() {
	document := func(contentType string, body func() []byte) func(http.ResponseWriter, *http.Request) error {
		return func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Content-Type", contentType)
			_, err := w.Write(body())
			return err
		}
	}
	Raw(r, http.MethodGet, "/openapi.json", document("application/openapi+json", r.Document),
		Public(), Summary("This document"), Tag("api"), Produces("application/openapi+json"))
	Raw(r, http.MethodGet, "/openapi.yaml", document("application/openapi+yaml", func() []byte { r.Document(); return r.docYAML }),
		Public(), Summary("This document as YAML"), Tag("api"), Produces("application/openapi+yaml"))
	for _, f := range [][3]string{
		{"/docs", "viewer/index.html", "text/html; charset=utf-8"},
		{"/docs/viewer.js", "viewer/viewer.js", "text/javascript; charset=utf-8"},
		{"/docs/viewer.css", "viewer/viewer.css", "text/css; charset=utf-8"},
	} {
		body, err := viewer.ReadFile(f[1])
		if err != nil {
			panic(err) // embedded
		}
		Raw(r, http.MethodGet, f[0], func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Content-Type", f[2])
			w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "+
				"img-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
			_, err := w.Write(body)
			return err
		}, Public(), Hidden())
	}
}
