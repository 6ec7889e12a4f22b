package api

import (
	"io/fs"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"
)

// desktopPolicy lets the desktop load from us alone, and talk to us and to switches (the softphone's WebSocket).
const desktopPolicy = "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self' data:; " +
	"style-src 'self' 'unsafe-inline'; connect-src 'self' ws: wss:; worker-src 'self' blob:; object-src 'none'; " +
	"frame-ancestors 'none'; base-uri 'none'; form-action 'self'"

// serveDesktop sends a file of the desktop, or its index.html.
func (r *Router) serveDesktop(c *gin.Context, name string) {
	info, err := fs.Stat(r.desktop, name)
	if err != nil || info.IsDir() {
		if strings.HasPrefix(name, "assets/") {
			writeProblem(c.Writer, encode(ErrNoRoute, ""), nil)
			return
		}
		name = "index.html"
	}
	h := c.Writer.Header()
	h.Set("Content-Security-Policy", desktopPolicy)
	h.Set("Permissions-Policy", "microphone=(self), camera=(), geolocation=()")
	h.Set("Cache-Control", "no-cache")
	if strings.HasPrefix(name, "assets/") { // their names change with their content
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	c.Status(http.StatusOK)   // gin's NoRoute has set 404
	if name == "index.html" { // ServeFileFS would send the browser to "/"
		index, err := fs.ReadFile(r.desktop, name)
		if err != nil {
			writeProblem(c.Writer, encode(ErrNoRoute, ""), nil)
			return
		}
		h.Set("Content-Type", "text/html; charset=utf-8")
		_, _ = c.Writer.Write(index) // a client that has gone is no news
		return
	}
	http.ServeFileFS(c.Writer, c.Request, r.desktop, name)
}
