package pbxtest

import (
	"testing"
	"testing/synctest"
)

func TestMemory(t *testing.T) { Run(t, NewMemoryRig()) }

func TestMemoryInFakeTime(t *testing.T) {
	for _, name := range Cases() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { RunCase(t, NewMemoryRig(), name) })
		})
	}
}
