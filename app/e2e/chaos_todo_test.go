//go:build e2e && chaos

package e2e

import "testing"

func chaosSwitch(t *testing.T, f *figures)   { t.Skip() }
func chaosDatabase(t *testing.T, f *figures) { t.Skip() }
func chaosDisks(t *testing.T, f *figures)    { t.Skip() }
func chaosLink(t *testing.T, f *figures)     { t.Skip() }
func chaosDrain(t *testing.T, f *figures)    { t.Skip() }
