// Package kernel is the tools that all modules share; it knows no call-centre word.
package kernel

import (
	"log/slog"

	"gorm.io/gorm"

	"callplane/app/kernel/bus"
	"callplane/app/kernel/files"
	"callplane/app/kernel/jobs"
	"callplane/app/kernel/live"
	"callplane/app/kernel/outbox"
)

// Kit is what nearly every module uses.
type Kit struct {
	Log     *slog.Logger
	DB      *gorm.DB
	Bus     *bus.Bus
	Outbox  *outbox.Outbox
	Jobs    *jobs.Jobs
	Files   *files.Store
	Live    *live.Hub
	Metrics Registerer // prefix cc_
}
