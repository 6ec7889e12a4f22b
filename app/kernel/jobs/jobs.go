// Package jobs is work that survives a crash.
package jobs

import (
	"context"
	"encoding/json"
	"time"

	"gorm.io/gorm"

	"callplane/app/kernel/bus"
	"callplane/app/kernel/outbox"
)

type Jobs struct{}

type Options struct {
	Parallel   int
	Attempts   int
	MinBackoff time.Duration
	MaxBackoff time.Duration
	Timeout    time.Duration
}

type Job struct {
	Kind    string
	ID      string
	Payload json.RawMessage
	Added   time.Time
	Attempt int
}

func (j Job) Into(v any) error { panic("soon") }

type FailedJob struct {
	Job
	Error string
	At    time.Time
}

type Option func(*addition)
type addition struct{}

func After(t time.Time) Option               { panic("soon") }
func Later(d time.Duration, err error) error { panic("soon") }
func Fail(err error) error                   { panic("soon") }

func New(b *bus.Bus, o *outbox.Outbox) *Jobs { panic("soon") }
func (j *Jobs) Handle(kind string, o Options, f func(ctx context.Context, job Job) error) {
	panic("soon")
}
func (j *Jobs) Add(ctx context.Context, kind, id string, payload any, opts ...Option) error {
	panic("soon")
}
func (j *Jobs) AddTx(tx *gorm.DB, kind, id string, payload any, opts ...Option) error { panic("soon") }
func (j *Jobs) Run(ctx context.Context) error                                         { panic("soon") }
func (j *Jobs) Failed(ctx context.Context) ([]FailedJob, error)                       { panic("soon") }
func (j *Jobs) Retry(ctx context.Context, id string) error                            { panic("soon") }
