package api

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
)

// The session cookie. With TLS it has the prefix that makes browsers insist on Secure, Path=/ and this host alone.
const (
	cookieName       = "callplane_session"
	secureCookieName = "__Host-callplane_session"
)

type exchangeKey struct{}

// exchange is the answer under way, and how it travels.
type exchange struct {
	w      http.ResponseWriter
	secure bool
}

// Header is the header of the answer, for a handler that must set one. Outside of a request it goes nowhere.
func Header(ctx context.Context) http.Header {
	if x, ok := ctx.Value(exchangeKey{}).(*exchange); ok {
		return x.w.Header()
	}
	return http.Header{}
}

// SetSession gives the browser the session's token, as a cookie that scripts cannot read, for maxAge.
func SetSession(ctx context.Context, token string, maxAge time.Duration) {
	x, ok := ctx.Value(exchangeKey{}).(*exchange)
	if !ok {
		return
	}
	c := &http.Cookie{
		Name: cookieName, Value: token, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode,
		MaxAge: int(maxAge / time.Second), Secure: x.secure,
	}
	if x.secure {
		c.Name = secureCookieName
	}
	http.SetCookie(x.w, c)
}

// ClearSession takes the cookie away again.
func ClearSession(ctx context.Context) { SetSession(ctx, "", -time.Second) }

// token is the secret that the request carries: a bearer token, else the session cookie.
func (r *Router) token(c *gin.Context) (string, bool) {
	if h := c.Request.Header.Get("Authorization"); h != "" {
		scheme, token, _ := strings.Cut(h, " ")
		if strings.EqualFold(scheme, "Bearer") {
			return strings.TrimSpace(token), true
		}
		return "", true // some other scheme: known to nobody
	}
	name := cookieName
	if r.secure(c.Request) {
		name = secureCookieName
	}
	cookie, err := c.Request.Cookie(name)
	if err != nil || cookie.Value == "" {
		return "", false
	}
	return cookie.Value, true
}

// secure tells whether the client speaks TLS, to us or to a proxy we trust.
func (r *Router) secure(req *http.Request) bool {
	if req.TLS != nil {
		return true
	}
	if !strings.EqualFold(req.Header.Get("X-Forwarded-Proto"), "https") {
		return false
	}
	peer, err := netip.ParseAddrPort(req.RemoteAddr)
	if err != nil {
		return false
	}
	for _, p := range r.o.TrustedProxies {
		if p.Contains(peer.Addr().Unmap()) {
			return true
		}
	}
	return false
}
