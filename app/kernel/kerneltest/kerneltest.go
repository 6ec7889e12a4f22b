// Package kerneltest gives a module's tests a whole kit.
package kerneltest

import (
	"testing"

	"callplane/app/kernel"
)

// New makes a kit: SQLite migrated in a temporary folder, an embedded bus, files in memory.
func New(t testing.TB) *kernel.Kit { panic("soon") }
