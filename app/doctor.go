package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"callplane/app/kernel/db"
	"callplane/app/pbx/ari"
)

// Finding is what Doctor says about one thing.
type Finding struct {
	What  string // switch, database, port, disk, clock, speech
	Found string
	Mend  string // what to do; empty when all is well
}

// Limits that Doctor checks.
const (
	leastDisk = 2 << 30 // bytes free in the data folder
	mostDrift = 2 * time.Second
)

// Doctor checks what the platform needs. It changes nothing, and runs beside a server.
func Doctor(ctx context.Context, cfg Config) (list []Finding) {
	add := func(what, found, mend string) { list = append(list, Finding{what, found, mend}) }
	if len(cfg.Switches) == 0 {
		add("switch", "none is configured", "set switches in the settings: name, kind, url, user and password of an Asterisk")
	}
	for _, s := range cfg.Switches {
		sw := ari.New(ari.Config{Name: s.Name, URL: s.URL, User: s.User, Password: s.Password, App: s.App, Log: cfg.Log.logger()})
		for _, f := range sw.Check(ctx) {
			mend := ""
			if !f.OK {
				mend = f.Detail
			}
			add("switch", s.Name+" "+f.What+": "+f.Detail, mend)
		}
	}
	list = append(list, checkDatabase(ctx, cfg)...)
	list = append(list, checkPort(cfg), checkDisk(cfg), checkSpeech(cfg))
	return list
}

// checkDatabase connects, and compares the clocks.
func checkDatabase(ctx context.Context, cfg Config) []Finding {
	d, err := OpenDatabase(ctx, cfg)
	if err != nil {
		return []Finding{{"database", err.Error(), "check database.dsn, that the server runs, and that the user may use the database"}}
	}
	kind, query := "SQLite", "SELECT strftime('%Y-%m-%dT%H:%M:%fZ','now')"
	if db.IsMySQL(d) {
		kind, query = "MySQL", "SELECT DATE_FORMAT(UTC_TIMESTAMP(3),'%Y-%m-%dT%H:%i:%s.%fZ')"
	}
	var now string
	if err := d.WithContext(ctx).Raw(query).Scan(&now).Error; err != nil {
		return []Finding{{"database", err.Error(), "the database answers, but not to a simple question: look into its log"}}
	}
	out := []Finding{{"database", kind + " answers", ""}}
	if at, err := time.Parse(time.RFC3339Nano, now); err == nil {
		drift := time.Since(at).Abs().Round(time.Millisecond)
		f := Finding{What: "clock", Found: fmt.Sprintf("the database's clock differs from ours by %s", drift)}
		if drift > mostDrift {
			f.Mend = "set both hosts' clocks by NTP (apt-get install chrony)"
		}
		out = append(out, f)
	}
	return out
}

func checkPort(cfg Config) Finding {
	l, err := net.Listen("tcp", cfg.HTTP.Listen)
	switch {
	case err == nil:
		if err := l.Close(); err != nil {
			return Finding{"port", err.Error(), "look why " + cfg.HTTP.Listen + " cannot be used"}
		}
		return Finding{"port", cfg.HTTP.Listen + " is free", ""}
	case errors.Is(err, syscall.EADDRINUSE):
		return Finding{"port", cfg.HTTP.Listen + " is in use; by this platform, if it runs", ""}
	}
	return Finding{"port", err.Error(), "choose another http.listen, or allow this one"}
}

func checkDisk(cfg Config) Finding {
	dir, err := filepath.Abs(cfg.DataDir)
	if err != nil {
		return Finding{"disk", err.Error(), "set data_dir"}
	}
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return Finding{"disk", dir + ": " + err.Error(), "make the folder, and let this user write there"}
	}
	free := int64(st.Bavail) * st.Bsize
	f := Finding{What: "disk", Found: fmt.Sprintf("%d GiB free in %s", free>>30, dir)}
	if free < leastDisk {
		f.Mend = "free at least 2 GiB: recordings and records are written there"
	}
	probe := filepath.Join(dir, ".doctor")
	if err := os.WriteFile(probe, nil, 0o600); err != nil {
		f.Found, f.Mend = err.Error(), "let this user write in "+dir
		return f
	}
	if err := os.Remove(probe); err != nil {
		f.Mend = err.Error()
	}
	return f
}

func checkSpeech(cfg Config) Finding {
	switch cfg.Speech.Engine {
	case "none":
		return Finding{"speech", "off: only recorded prompts are heard", ""}
	case "espeak":
		if _, err := exec.LookPath("espeak-ng"); err != nil {
			return Finding{"speech", "espeak-ng is not installed: written prompts are silent", "apt-get install -y espeak-ng, or choose another speech.engine"}
		}
	}
	return Finding{"speech", "engine " + cfg.Speech.Engine, ""}
}
