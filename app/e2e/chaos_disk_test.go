//go:build e2e && chaos

package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"callplane/app/recording"
	"callplane/app/sandbox"
)

// The disk of the switch's recordings is full, and then our own. Calls go on, what is missing is flagged, what waits is stored
// once there is room, and later calls are whole.
func chaosDisks(t *testing.T, f *figures) {
	ast := realTime(t, sandbox.NewAsterisk(t, sandbox.AsteriskOptions{RecordingMiB: 8}))
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=4m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	c := newCentre(t, chaosServer(t, ast, "", fmt.Sprintf("files: {url: %q}\n", "file://"+filepath.Join(dir, "files"))))
	c.showCalls(t)
	team := c.agents(2, agentOptions{})
	number := c.straight(c.queue("talk", nil, team...))
	talks := func(d time.Duration) *pair {
		p := c.connect(number, team)
		if p == nil {
			t.FailNow()
		}
		p.talk(t, d)
		return p
	}

	cut := talks(3 * time.Second)
	if err := ast.FillRecordings(); err != nil {
		t.Fatal(err)
	}
	cut.talk(t, 5*time.Second)
	none := talks(4 * time.Second)
	f.most(t, "disk_longest_talk_gap_ms", float64(max(cut.gap(), none.gap()).Milliseconds()), talkGap)
	f.exactly(t, "disk_dropped_legs", 4-alive(cut.caller, cut.with, none.caller, none.with), 0)
	c.leaves(cut.caller)
	c.leaves(none.caller)
	flagged := 0
	for _, p := range []*pair{cut, none} {
		if r := c.collected(p, time.Minute); r.State == recording.Truncated || r.State == recording.Failed {
			flagged++
		} else {
			t.Errorf("recording of %s is %s: %+v", p.caller.ID, r.State, r)
		}
	}
	f.exactly(t, "disk_flagged_recordings", flagged, 2)
	if err := ast.FreeRecordings(); err != nil {
		t.Fatal(err)
	}
	later := talks(2 * time.Second)
	c.leaves(later.caller)
	whole := 0
	if d, ok := c.complete(later.caller.ID); ok && c.whole(d, later) {
		whole++
	}

	block := filepath.Join(dir, "block")
	if err := fill(block); err != nil {
		t.Fatal(err)
	}
	from := c.log.size()
	waits := talks(2 * time.Second)
	c.leaves(waits.caller)
	d, ok := c.complete(waits.caller.ID)
	eventually(t, 30*time.Second, "a job that waits for room", func() error {
		if !strings.Contains(c.log.since(from, true), "No room left") {
			return errors.New("it did not fail")
		}
		return nil
	})
	if err := os.Remove(block); err != nil {
		t.Fatal(err)
	}
	if ok && c.whole(d, waits) {
		whole++
	}
	f.exactly(t, "disk_whole_recordings_afterwards", whole, 2)
}

// talk lets the two talk for a while.
func (p *pair) talk(t *testing.T, d time.Duration) {
	if err := p.caller.Ear().WaitUntil(within(t, d+10*time.Second), p.caller.Ear().Now()+d); err != nil {
		t.Error(err)
	}
}

// collected waits for the recording of a call, whatever became of it.
func (c *Centre) collected(p *pair, d time.Duration) (r recording.Recording) {
	c.t.Helper()
	eventually(c.t, d, "recording of "+string(p.caller.ID), func() error {
		return c.Admin.try(http.MethodGet, "/recording/recordings/"+string(p.caller.ID), nil, &r)
	})
	return r
}

// fill makes a file that takes all the room there is.
func fill(path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	for block := make([]byte, 1<<16); ; {
		if _, err := file.Write(block); errors.Is(err, syscall.ENOSPC) {
			if len(block) == 1 {
				return nil
			}
			block = block[:len(block)/2]
		} else if err != nil {
			return err
		}
	}
}
