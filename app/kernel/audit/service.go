package audit

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"gorm.io/gorm"

	"callplane/app/kernel/api"
	"callplane/app/kernel/auth"
)

// Who may look into the log.
var (
	Read  = auth.Define("audit:read", "search the audit log", auth.Auditor)
	Check = auth.Define("audit:verify", "check that the audit log was not tampered with", auth.Auditor)
)

// Service searches the log and checks it.
type Service struct{ db *gorm.DB }

// New makes the service.
func New(db *gorm.DB) *Service { return &Service{db: db} }

// Record adds an entry in a transaction of its own. It is api.Options.Audit.
func (s *Service) Record(ctx context.Context, action, object, id string) error {
	return Add(ctx, s.db.WithContext(ctx), Entry{Action: action, Object: object, ObjectID: id})
}

// Filter says which entries to search. Empty fields match all.
type Filter struct {
	From     time.Time `query:"from" required:"false" doc:"Not before"`
	To       time.Time `query:"to" required:"false" doc:"Before"`
	Actor    string    `query:"actor" required:"false" maxLength:"120" doc:"user:<id> and the like, or the name, exactly"`
	Action   string    `query:"action" required:"false" maxLength:"120" doc:"Exactly; or its beginning, followed by *"`
	Object   string    `query:"object" required:"false" maxLength:"60"`
	ObjectID string    `query:"object_id" required:"false" maxLength:"200"`
	Address  string    `query:"address" required:"false" maxLength:"60"`
}

var likeEscape = strings.NewReplacer("!", "!!", "%", "!%", "_", "!_")

// Search lists entries that the asker may see, the latest first. Entries of no unit (of the platform itself, or of
// somebody unknown) are seen by those who see the whole of the only tenant.
func (s *Service) Search(ctx context.Context, f Filter, p api.Paging) (api.Page[Row], error) {
	q := s.db.WithContext(ctx).Model(&Row{})
	asker := auth.From(ctx)
	seesUnowned := asker.Scope(Read) == auth.All
	if seesUnowned && asker.Kind != auth.Platform {
		var roots int64
		if err := s.db.WithContext(ctx).Table("user_units").Where("parent_id = ''").Count(&roots).Error; err != nil {
			return api.Page[Row]{}, fmt.Errorf("count tenants: %w", err)
		}
		seesUnowned = roots == 1
	}
	if !seesUnowned {
		q = auth.Visible(ctx, q, Read, "unit_id", "")
	}
	if !f.From.IsZero() {
		q = q.Where("at >= ?", f.From.UTC())
	}
	if !f.To.IsZero() {
		q = q.Where("at < ?", f.To.UTC())
	}
	if f.Actor != "" {
		q = q.Where("(actor = ? OR actor_name = ?)", f.Actor, f.Actor)
	}
	if n := len(f.Action); n > 0 && f.Action[n-1] == '*' {
		q = q.Where("action LIKE ? ESCAPE '!'", likeEscape.Replace(f.Action[:n-1])+"%")
	} else if n > 0 {
		q = q.Where("action = ?", f.Action)
	}
	for column, value := range map[string]string{"object": f.Object, "object_id": f.ObjectID, "address": f.Address} {
		if value != "" {
			q = q.Where(column+" = ?", value)
		}
	}
	return api.List(q, p, api.Key[Row]{Column: "seq", Desc: true, Value: func(r Row) any { return r.Seq }})
}

// Report is what Verify found.
type Report struct {
	OK      bool   `json:"ok"`
	Checked int64  `json:"checked" doc:"How many entries were found good"`
	Seq     int64  `json:"seq" doc:"Of the last entry, as the chain's head keeps it"`
	Hash    string `json:"hash" doc:"Of the last entry. Keep copies of it elsewhere"`
	Fault   string `json:"fault,omitempty" enum:"changed,missing,added,head" doc:"What is wrong first: an entry was changed, is missing, was added behind the head, or the head itself is wrong"`
	FaultAt int64  `json:"fault_at,omitempty" doc:"seq of the faulty entry"`
}

// Verify walks the whole chain and stops at the first fault. Entries appended meanwhile are not looked at.
func (s *Service) Verify(ctx context.Context) (Report, error) {
	db := s.db.WithContext(ctx)
	var h head
	if err := db.Take(&h, 1).Error; errors.Is(err, gorm.ErrRecordNotFound) {
		return Report{Fault: "head"}, nil
	} else if err != nil {
		return Report{}, fmt.Errorf("read audit chain: %w", err)
	}
	rep := Report{Seq: h.Seq, Hash: h.Hash}
	fault := func(what string, at int64) (Report, error) {
		rep.Fault, rep.FaultAt = what, at
		return rep, nil
	}
	prev := ""
	for rep.Checked < h.Seq {
		var rows []Row
		if err := db.Where("seq > ? AND seq <= ?", rep.Checked, h.Seq).Order("seq").Limit(1000).Find(&rows).Error; err != nil {
			return Report{}, fmt.Errorf("read audit log: %w", err)
		}
		if len(rows) == 0 {
			return fault("missing", rep.Checked+1)
		}
		for _, r := range rows {
			switch {
			case r.Seq != rep.Checked+1:
				return fault("missing", rep.Checked+1)
			case r.PrevHash != prev || r.Hash != r.sum():
				return fault("changed", r.Seq)
			}
			prev = r.Hash
			rep.Checked++
		}
	}
	if prev != h.Hash {
		return fault("head", h.Seq)
	}
	// Beyond the head there may be what was appended since; with the head unmoved there must be nothing.
	var last, now head
	err := db.Model(&Row{}).Select("COALESCE(MAX(seq), 0) AS seq").Scan(&last).Error
	if err == nil {
		err = db.Take(&now, 1).Error
	}
	if err != nil {
		return Report{}, fmt.Errorf("read audit chain: %w", err)
	}
	if last.Seq > now.Seq {
		return fault("added", now.Seq+1)
	}
	rep.OK = true
	return rep, nil
}

// Routes registers the log's routes.
func (s *Service) Routes(r *api.Router) {
	api.Get(r, "/audit/entries", s.getEntries, auth.Can(Read), api.Summary("Search the audit log"))
	api.Get(r, "/audit/verify", s.getVerify, auth.Can(Check), api.Summary("Check the audit log's hash chain"),
		api.Timeout(10*time.Minute), api.Audit("audit.verify"))
}

func (s *Service) getEntries(ctx context.Context, in *struct {
	Filter
	api.Paging
}) (api.Page[Row], error) {
	return s.Search(ctx, in.Filter, in.Paging)
}

func (s *Service) getVerify(ctx context.Context, _ *struct{}) (Report, error) { return s.Verify(ctx) }
