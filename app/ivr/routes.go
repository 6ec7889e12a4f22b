package ivr

import (
	"context"
	"errors"

	"gorm.io/gorm"

	"callplane/app/kernel/api"
	"callplane/app/kernel/audit"
	"callplane/app/kernel/auth"
	"callplane/app/kernel/bus"
	"callplane/app/kernel/db"
	"callplane/app/kernel/problem"
)

// The permissions of the module.
var (
	PermRead   = auth.Define("ivr:read", "see flows", auth.Supervisor, auth.Auditor, auth.Integrator)
	PermManage = auth.Define("ivr:manage", "create and change flows", auth.Integrator)
)

// Errors.
var (
	ErrFlowName = problem.New(problem.Conflict, "flow_name_taken", "Another flow has this name")
	ErrStale    = problem.New(problem.Conflict, "flow_changed", "The flow was changed meanwhile")
)

// Routes registers the module's part of the API.
func (s *Service) Routes(r *api.Router) {
	api.Get(r, "/ivr/flows", s.getFlows, auth.Can(PermRead), api.Summary("List flows"))
	api.Post(r, "/ivr/flows", s.postFlow, auth.Can(PermManage), api.Status(201), api.Summary("Create a flow from its document"))
	api.Post(r, "/ivr/check", s.postCheck, auth.Can(PermRead), api.NoAudit(), api.Summary("Check a document without saving it"))
	api.Get(r, "/ivr/flows/{id}", s.getFlow, auth.Can(PermRead), api.Summary("Get a flow"))
	api.Put(r, "/ivr/flows/{id}", s.putFlow, auth.Can(PermManage), api.Summary("Change a flow; calls in it finish on the old version"))
	api.Delete(r, "/ivr/flows/{id}", s.deleteFlow, auth.Can(PermManage), api.Summary("Delete a flow"))
}

// ByID names one thing in a path.
type ByID struct {
	ID FlowID `path:"id"`
}

func (s *Service) getFlows(ctx context.Context, _ *struct{}) (list []Flow, err error) {
	list = []Flow{}
	err = auth.Visible(ctx, s.db.WithContext(ctx), PermRead, "unit_id", "").Order("name").Find(&list).Error
	return list, err
}

func (s *Service) row(ctx context.Context, tx *gorm.DB, id FlowID, perm auth.Permission) (f Flow, err error) {
	err = auth.Visible(ctx, tx, perm, "unit_id", "").Where("id = ?", id).Take(&f).Error
	return f, err
}

func (s *Service) getFlow(ctx context.Context, in *ByID) (Flow, error) {
	return s.row(ctx, s.db.WithContext(ctx), in.ID, PermRead)
}

// flowBody is a flow as a client sends it.
type flowBody struct {
	Unit     string `json:"unit,omitempty" doc:"The unit it belongs to; without it, your own"`
	Document string `json:"document" maxLength:"262144" doc:"YAML"`
	Version  int    `json:"version,omitempty" doc:"When sent, the change is refused if the flow is at another version"`
}

func (s *Service) postCheck(_ context.Context, in *struct{ Body flowBody }) (api.None, error) {
	_, err := Parse([]byte(in.Body.Document))
	return api.None{}, err
}

func (s *Service) postFlow(ctx context.Context, in *struct{ Body flowBody }) (Flow, error) {
	return s.Create(ctx, in.Body.Unit, in.Body.Document)
}

// Create adds a flow to a unit, the asker's own when it is empty. Errors: ErrDocument, ErrFlowName, problem.ErrInvalid.
func (s *Service) Create(ctx context.Context, unit, document string) (Flow, error) {
	doc, err := Parse([]byte(document))
	if err != nil {
		return Flow{}, err
	}
	if unit == "" {
		unit = string(auth.From(ctx).UnitID)
	}
	if !auth.MayUse(ctx, PermManage, unit, "") {
		return Flow{}, problem.ErrInvalid.At("body.unit", "unknown", "There is no such unit.")
	}
	row := Flow{ID: FlowID(db.ID()), UnitID: unit, Name: doc.Name, Document: document, Version: 1, CreatedAt: db.Now(), UpdatedAt: db.Now()}
	err = s.write(ctx, "ivr.flow_created", nil, &row, func(tx *gorm.DB) error { return tx.Create(&row).Error })
	if err == nil {
		s.Set(row.ID, row.UnitID, s.tree.Path(auth.UnitID(row.UnitID)), doc)
	}
	return row, err
}

func (s *Service) putFlow(ctx context.Context, in *struct {
	ByID
	Body flowBody
}) (Flow, error) {
	doc, err := Parse([]byte(in.Body.Document))
	if err != nil {
		return Flow{}, err
	}
	was, err := s.row(ctx, s.db.WithContext(ctx), in.ID, PermManage)
	if err != nil {
		return was, err
	}
	if in.Body.Version != 0 && in.Body.Version != was.Version {
		return was, ErrStale.With("The flow is at version %d.", was.Version)
	}
	row := was
	row.Name, row.Document, row.Version, row.UpdatedAt = doc.Name, in.Body.Document, was.Version+1, db.Now()
	err = s.write(ctx, "ivr.flow_changed", &was, &row, func(tx *gorm.DB) error {
		res := tx.Model(&Flow{}).Where("id = ? AND version = ?", row.ID, was.Version).
			Select("name", "document", "version", "updated_at").Updates(&row)
		if res.Error == nil && res.RowsAffected == 0 {
			return ErrStale
		}
		return res.Error
	})
	if err == nil {
		s.Set(row.ID, row.UnitID, s.tree.Path(auth.UnitID(row.UnitID)), doc)
	}
	return row, err
}

func (s *Service) deleteFlow(ctx context.Context, in *ByID) (api.None, error) {
	row, err := s.row(ctx, s.db.WithContext(ctx), in.ID, PermManage)
	if err != nil {
		return api.None{}, err
	}
	err = s.write(ctx, "ivr.flow_deleted", &row, nil, func(tx *gorm.DB) error { return tx.Delete(&Flow{}, "id = ?", in.ID).Error })
	if err == nil {
		s.Drop(in.ID)
	}
	return api.None{}, err
}

// write does something to a flow in one transaction with its event and audit entry.
func (s *Service) write(ctx context.Context, what string, was, is *Flow, do func(*gorm.DB) error) error {
	of := is
	if of == nil {
		of = was
	}
	entry := audit.Entry{Action: what, Object: "ivr.flow", ObjectID: string(of.ID), Unit: auth.UnitID(of.UnitID)}
	if was != nil {
		entry.Before = was
	}
	if is != nil {
		entry.After = is
	}
	err := s.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := do(tx); err != nil {
			return err
		}
		e := bus.NewEvent(what, string(of.ID), map[string]any{"flow": of.ID, "name": of.Name, "version": of.Version})
		e.Unit, e.UnitPath, e.Perm = of.UnitID, s.tree.Path(auth.UnitID(of.UnitID)), string(PermRead)
		if err := s.outbox.Add(tx, e); err != nil {
			return err
		}
		return audit.Add(ctx, tx, entry)
	})
	if errors.Is(err, gorm.ErrDuplicatedKey) {
		return ErrFlowName.With("There is a flow %q already.", of.Name)
	}
	return err
}
