// Package playback sends stored audio over HTTP, with ranges so that players can seek, and writes down who heard what before a
// byte leaves.
package playback

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"gorm.io/gorm"

	"callplane/app/kernel/audit"
	"callplane/app/kernel/auth"
	"callplane/app/kernel/files"
)

// Again is how long further requests of one asker for one thing count as the same playing: a player asks anew at each seek.
const Again = 10 * time.Minute

// many is how many playings are remembered before old ones are looked for.
const many = 1000

// Player plays what is in a store of files.
type Player struct {
	db    *gorm.DB
	files *files.Store

	mu    sync.Mutex
	heard map[playing]time.Time // when it was last asked for
}

// playing is one asker with one thing.
type playing struct{ actor, session, address, action, id string }

// New makes a player. The audit log is in db.
func New(db *gorm.DB, store *files.Store) *Player {
	return &Player{db: db, files: store, heard: map[playing]time.Time{}}
}

// Audio is one stored WAV file, and what the audit log calls hearing it.
type Audio struct {
	File   string // its key in the store
	SHA256 string // in hex; browsers use it to see that nothing changed
	Unit   string
	Action string // recording.play, recording.export
	Object string
	ID     string
	Attach string // when set: offer it for saving, under this name
}

// Serve writes the audio, or the part of it that was asked for. Nothing is sent when the audit log cannot be written.
func (p *Player) Serve(w http.ResponseWriter, r *http.Request, a Audio) error {
	f, err := p.files.Open(r.Context(), a.File)
	if err != nil {
		return fmt.Errorf("open %s %s: %w", a.Object, a.ID, err)
	}
	defer f.Close()
	if err := p.note(r.Context(), a); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "audio/wav")
	h.Set("Cache-Control", "private, no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("ETag", `"`+a.SHA256+`"`)
	if a.Attach != "" {
		name := strings.Map(func(c rune) rune {
			if c < ' ' || c > '~' || c == '"' || c == '\\' || c == '/' {
				return '_'
			}
			return c
		}, a.Attach)
		h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
	}
	http.ServeContent(w, r, "", f.ModTime(), f)
	return nil
}

// note writes the audit entry, unless this playing has one.
func (p *Player) note(ctx context.Context, a Audio) error {
	who := auth.From(ctx)
	key := playing{who.Actor(), string(who.SessionID), auth.RequestFrom(ctx).Address, a.Action, a.ID}
	now := time.Now()
	p.mu.Lock()
	last, known := p.heard[key]
	if known && now.Sub(last) < Again {
		p.heard[key] = now
		p.mu.Unlock()
		return nil
	}
	p.mu.Unlock()
	entry := audit.Entry{Action: a.Action, Object: a.Object, ObjectID: a.ID, Unit: auth.UnitID(a.Unit)}
	if err := audit.Add(ctx, p.db, entry); err != nil {
		return fmt.Errorf("write down %s: %w", a.Action, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.heard) >= many {
		maps.DeleteFunc(p.heard, func(_ playing, at time.Time) bool { return now.Sub(at) >= Again })
	}
	p.heard[key] = now
	return nil
}
