package audit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"gorm.io/gorm"

	"callplane/app/kernel/auth"
	"callplane/app/kernel/db"
)

// Entry is one deed to record.
type Entry struct {
	Action   string      // what was done: "acd.queue.open"
	Object   string      // to what sort of thing: "acd.queue"
	ObjectID string      // to which one
	Unit     auth.UnitID // whose it is; empty: the asker's
	Actor    string      // empty: from the context; set it where nobody is signed in yet, as "login:<name>"
	Name     string      // of the actor, for people; empty: from the context

	// What to keep of it, as JSON. Before and After are compared, and only the fields that differ are kept.
	Before, After any
	Detail        any
}

// Row is an entry as it is stored and sent.
type Row struct {
	Seq       int64       `json:"seq" gorm:"primaryKey;autoIncrement:false" doc:"Position in the chain, without gaps from 1"`
	At        time.Time   `json:"at"`
	Actor     string      `json:"actor" doc:"user:<id>, key:<id>, login:<name>, system or anonymous"`
	ActorName string      `json:"actor_name"`
	Address   string      `json:"address"`
	RequestID string      `json:"request_id"`
	Action    string      `json:"action"`
	Object    string      `json:"object"`
	ObjectID  string      `json:"object_id"`
	UnitID    auth.UnitID `json:"unit_id"`
	Detail    Detail      `json:"detail" doc:"before and after of what changed, and more; secrets are blotted out"`
	PrevHash  string      `json:"prev_hash"`
	Hash      string      `json:"hash" doc:"SHA-256 over all fields and prev_hash"`
}

// Detail is JSON, kept as the text it was when it was hashed.
type Detail string

// MarshalJSON gives the JSON itself; null for none.
func (d Detail) MarshalJSON() ([]byte, error) {
	if d == "" {
		return []byte("null"), nil
	}
	return []byte(d), nil
}

// Schema tells the OpenAPI document that it may be any object.
func (Detail) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Description: "Anything, or null"}
}

// TableName is for gorm.
func (Row) TableName() string { return "audit_entries" }

// head is the one row that keeps the chain's end. Whoever appends locks it.
type head struct {
	ID   int
	Seq  int64
	Hash string
}

// TableName is for gorm.
func (head) TableName() string { return "audit_head" }

// Models is every table of the package.
func Models() []any { return []any{Row{}, head{}} }

const maxDetail = 64 << 10 // bytes of JSON

// errNoHead says that the head row is gone: the log was tampered with, or the migration did not run.
var errNoHead = errors.New("audit: the head of the chain is missing")

// Add appends entries in the transaction tx. Make it the transaction's last step, because the chain's head is locked
// until the end. Given a connection instead of a transaction, it makes one.
func Add(ctx context.Context, tx *gorm.DB, entries ...Entry) error {
	if len(entries) == 0 {
		return nil
	}
	if _, inTx := tx.Statement.ConnPool.(gorm.TxCommitter); !inTx {
		return tx.Transaction(func(tx *gorm.DB) error { return Add(ctx, tx, entries...) })
	}
	tx = tx.Session(&gorm.Session{NewDB: true, Context: ctx})
	lock := tx.Model(&head{}).Where("id = 1").Update("seq", gorm.Expr("seq + ?", len(entries)))
	if lock.Error != nil {
		return fmt.Errorf("lock audit chain: %w", lock.Error)
	}
	if lock.RowsAffected != 1 {
		return errNoHead
	}
	var h head
	if err := tx.Take(&h, 1).Error; err != nil {
		return fmt.Errorf("read audit chain: %w", err)
	}
	rows := make([]Row, len(entries))
	for i, e := range entries {
		row, err := e.row(ctx)
		if err != nil {
			return fmt.Errorf("audit entry %s: %w", e.Action, err)
		}
		row.Seq, row.PrevHash = h.Seq-int64(len(entries)-1-i), h.Hash
		row.Hash = row.sum()
		h.Hash, rows[i] = row.Hash, row
	}
	if err := tx.Create(&rows).Error; err != nil {
		return fmt.Errorf("append to audit log: %w", err)
	}
	if err := tx.Model(&head{}).Where("id = 1").Update("hash", h.Hash).Error; err != nil {
		return fmt.Errorf("move audit chain: %w", err)
	}
	auth.RequestFrom(ctx).Audited.Store(true)
	return nil
}

// row fills in who and where, and cuts every text to what its column holds.
func (e Entry) row(ctx context.Context) (Row, error) {
	p, req := auth.From(ctx), auth.RequestFrom(ctx)
	r := Row{
		At: db.Now(), Actor: e.Actor, ActorName: e.Name, Address: req.Address, RequestID: req.ID,
		Action: e.Action, Object: e.Object, ObjectID: e.ObjectID, UnitID: e.Unit,
	}
	if r.Actor == "" {
		r.Actor = p.Actor()
	}
	if r.ActorName == "" {
		r.ActorName = p.Login
	}
	if r.UnitID == "" {
		r.UnitID = p.UnitID
	}
	for text, limit := range map[*string]int{
		&r.Actor: 100, &r.ActorName: 120, &r.Address: 60, &r.RequestID: 64, &r.Action: 120, &r.Object: 60, &r.ObjectID: 200,
	} {
		*text = cut(*text, limit)
	}
	detail, err := e.detail()
	r.Detail = Detail(detail)
	return r, err
}

// cut makes text valid and at most limit characters long, without NUL, so that a database gives back what it got.
func cut(text string, limit int) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
	if utf8.RuneCountInString(text) > limit {
		text = string([]rune(text)[:limit])
	}
	return text
}

// sum is the row's hash: SHA-256 over all fields, each with its length before it.
func (r Row) sum() string {
	h := sha256.New()
	for _, f := range []string{
		"v1", strconv.FormatInt(r.Seq, 10), strconv.FormatInt(r.At.UnixMicro(), 10), r.Actor, r.ActorName, r.Address,
		r.RequestID, r.Action, r.Object, r.ObjectID, string(r.UnitID), string(r.Detail), r.PrevHash,
	} {
		var n [4]byte
		binary.BigEndian.PutUint32(n[:], uint32(len(f)))
		h.Write(n[:])
		h.Write([]byte(f))
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (e Entry) detail() (json.RawMessage, error) {
	out := map[string]any{}
	if e.Detail != nil {
		v, err := plain(e.Detail)
		if err != nil {
			return nil, err
		}
		if m, ok := v.(map[string]any); ok {
			out = m
		} else {
			out["detail"] = v
		}
	}
	before, err := plain(e.Before)
	if err != nil {
		return nil, err
	}
	after, err := plain(e.After)
	if err != nil {
		return nil, err
	}
	b, isObject := before.(map[string]any)
	a, both := after.(map[string]any)
	if isObject && both {
		before, after = differ(b, a)
	}
	if e.Before != nil {
		out["before"] = before
	}
	if e.After != nil {
		out["after"] = after
	}
	if len(out) == 0 {
		return nil, nil
	}
	blot(out)
	raw, err := json.Marshal(out)
	if err == nil && len(raw) > maxDetail {
		return json.Marshal(map[string]any{"too_large": len(raw)})
	}
	return raw, err
}

// plain is v as JSON knows it.
func plain(v any) (out any, err error) {
	if v == nil {
		return nil, nil
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	return out, d.Decode(&out)
}

// differ keeps only the fields that are not the same in both.
func differ(before, after map[string]any) (b, a map[string]any) {
	b, a = map[string]any{}, map[string]any{}
	for k, v := range before {
		if w, ok := after[k]; !ok || !reflect.DeepEqual(v, w) {
			b[k] = v
		}
	}
	for k, v := range after {
		if w, ok := before[k]; !ok || !reflect.DeepEqual(v, w) {
			a[k] = v
		}
	}
	return b, a
}

// secretWords in a field's name mean that its value is nobody's business.
var secretWords = []string{"password", "passwd", "secret", "token", "credential", "private_key", "api_key", "apikey", "recovery", "hash"}

// blot takes the values of secret fields out, at any depth. That there was one stays visible.
func blot(v any) {
	switch v := v.(type) {
	case map[string]any:
		for k, inner := range v {
			if isSecret(k) && inner != nil && inner != "" {
				if _, isFlag := inner.(bool); !isFlag {
					v[k] = "[secret]"
					continue
				}
			}
			blot(inner)
		}
	case []any:
		for _, inner := range v {
			blot(inner)
		}
	}
}

func isSecret(field string) bool {
	field = strings.ToLower(field)
	for _, w := range secretWords {
		if strings.Contains(field, w) {
			return true
		}
	}
	return false
}
