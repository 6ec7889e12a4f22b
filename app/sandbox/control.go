package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// List returns the instances that run now, whoever started them.
func List() ([]Info, error) {
	files, err := filepath.Glob(filepath.Join(Dir(), "run", "*", "sandbox.json"))
	if err != nil {
		return nil, err
	}
	var all []Info
	for _, name := range files {
		if info, ok := read(name); ok && info.alive() {
			all = append(all, info)
		}
	}
	return all, nil
}

// StopNamed ends an instance that another process started, and waits until it is gone.
func StopNamed(ctx context.Context, name string) error {
	info, ok := read(filepath.Join(Dir(), "run", name, "sandbox.json"))
	if !ok || !info.alive() {
		return fmt.Errorf("sandbox: no instance %q is running", name)
	}
	syscall.Kill(info.PID, syscall.SIGTERM)
	syscall.Kill(info.PID, syscall.SIGCONT) // a paused process cannot end
	patience := time.After(stopWait)
	kill := false
	for info.alive() {
		select {
		case <-patience:
			if kill {
				return fmt.Errorf("sandbox: %s (process %d) does not end", name, info.PID)
			}
			kill = true
		case <-ctx.Done():
			kill = true
			ctx = context.WithoutCancel(ctx)
		case <-time.After(20 * time.Millisecond):
			continue
		}
		syscall.Kill(info.PID, syscall.SIGKILL)
		patience = time.After(stopWait)
	}
	return nil
}

// Clean stops every instance and removes the whole sandbox, tree and all.
func Clean(ctx context.Context) error {
	all, err := List()
	if err != nil {
		return err
	}
	for _, info := range all {
		if err := StopNamed(ctx, info.Name); err != nil {
			return err
		}
	}
	return os.RemoveAll(Dir())
}

// sweep removes what temporary instances left behind whose process was killed.
func sweep() {
	files, _ := filepath.Glob(filepath.Join(Dir(), "run", ".*.lock"))
	for _, name := range files {
		base := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(name), "."), ".lock")
		dir := filepath.Join(Dir(), "run", base)
		info, ok := read(filepath.Join(dir, "sandbox.json"))
		if !ok || !info.Temporary || info.alive() {
			continue
		}
		lock, err := tryLock(name)
		if err != nil {
			continue
		}
		os.RemoveAll(dir)
		os.Remove(name)
		lock.Close()
	}
}

func read(name string) (info Info, ok bool) {
	text, err := os.ReadFile(name)
	return info, err == nil && json.Unmarshal(text, &info) == nil
}

// alive tells whether the very process still runs, and not another that got its number.
func (i Info) alive() bool {
	at, err := born(i.PID)
	return err == nil && at == i.Born
}
