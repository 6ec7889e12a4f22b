// Package live is the resumable event stream to browsers and programs.
package live

import (
	"context"
	"net/http"

	"callplane/app/kernel/bus"
)

type Hub struct{}

// Authorize says what the asker may see, or why nothing.
type Authorize func(r *http.Request) (filter func(bus.Event) bool, err error)

func New(b *bus.Bus) *Hub                            { panic("soon") }
func (h *Hub) Run(ctx context.Context) error         { panic("soon") }
func (h *Hub) SSE(auth Authorize) http.Handler       { panic("soon") }
func (h *Hub) WebSocket(auth Authorize) http.Handler { panic("soon") }
