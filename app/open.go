package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"gorm.io/gorm"

	"callplane/app/kernel"
	"callplane/app/kernel/auth"
	"callplane/app/kernel/bus"
	"callplane/app/kernel/db"
	"callplane/app/kernel/outbox"
	"callplane/app/user"
)

// Open opens everything the settings name, migrates the database, and puts the platform together. Close what it gives.
func Open(ctx context.Context, cfg Config, build string) (_ *App, err error) {
	log := cfg.Log.logger()
	slog.SetDefault(log)
	if len(cfg.Switches) > 1 {
		return nil, errors.New("switches: this version drives one switch; start one process for each")
	}
	if err := os.MkdirAll(cfg.tempDir(), 0o750); err != nil {
		return nil, fmt.Errorf("data_dir: %w", err)
	}
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	files, err := cfg.filesURL()
	if err != nil {
		return nil, err
	}
	kit, err := kernel.Open(ctx, kernel.Config{
		DB: cfg.databaseConfig(log), Files: files, Log: log, Metrics: metrics,
		Bus: bus.Config{
			URL: cfg.NATS.URLs, Dir: filepath.Join(cfg.DataDir, "nats"), Node: cfg.NATS.Node, Replicas: cfg.NATS.Replicas, Listen: cfg.NATS.Listen,
			MaxAge: cfg.NATS.MaxAge, MaxBytes: cfg.NATS.MaxBytes, Log: log,
		},
	})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			if closing := kit.Close(); closing != nil {
				log.Warn("not closed cleanly", "error", closing)
			}
		}
	}()
	if err := db.Migrate(ctx, kit.DB); err != nil {
		return nil, fmt.Errorf("migrate the database: %w", err)
	}
	a, err := New(ctx, cfg, kit, NewSwitch(cfg, log, metrics), build)
	if err != nil {
		return nil, err
	}
	return a, a.Load(ctx)
}

// Close closes what Open opened. Run must have returned.
func (a *App) Close() error { return a.kit.Close() }

// Address is where people reach the platform.
func (a *App) Address() string { return a.cfg.address() }

// OpenDatabase connects to the configured database, for commands that need nothing else.
func OpenDatabase(ctx context.Context, cfg Config) (*gorm.DB, error) {
	if err := os.MkdirAll(cfg.DataDir, 0o750); err != nil {
		return nil, fmt.Errorf("data_dir: %w", err)
	}
	return db.Open(ctx, cfg.databaseConfig(cfg.Log.logger()))
}

func (c Config) databaseConfig(log *slog.Logger) db.Config {
	dsn := c.Database.DSN
	if dsn == "" {
		dsn = "sqlite:" + filepath.Join(c.DataDir, "callplane.db")
	}
	return db.Config{DSN: dsn, Slow: c.Database.Slow, Pool: c.Database.Pool, Log: log}
}

func (c Config) filesURL() (string, error) {
	if c.Files.URL != "" {
		return c.Files.URL, nil
	}
	dir, err := filepath.Abs(filepath.Join(c.DataDir, "files"))
	return "file://" + dir, err
}

func (l Log) logger() *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(strings.ToUpper(l.Level))); err != nil {
		level = slog.LevelInfo // Load has checked it
	}
	o := &slog.HandlerOptions{Level: level}
	if l.Format == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, o))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, o))
}

// OpenUsers gives the users' service on a database alone, for the command line. A server that runs on the same database takes over
// what it changes.
func OpenUsers(cfg Config, d *gorm.DB) *user.Service {
	log := cfg.Log.logger()
	return user.New(&kernel.Kit{Log: log, DB: d, Outbox: outbox.New(d, nil)}, user.Config(cfg.User))
}

// operator is the context of an administrator of the first tenant, for the command line and the first run.
func operator(ctx context.Context, users *user.Service) (context.Context, error) {
	root, err := users.FirstTenant(ctx)
	if err != nil {
		return ctx, err
	}
	return auth.With(ctx, &auth.Principal{
		Kind: auth.Platform, Login: "operator", Name: "Operator", UnitID: root.ID, UnitPath: root.Path, Grants: auth.PresetGrants(auth.Admin.Name), Tree: users.Tree(),
	}), nil
}

// CreateUser makes a user in the first tenant, which is made if need be, and returns the random password.
func CreateUser(ctx context.Context, users *user.Service, login, name, role string) (password string, err error) {
	ctx, err = operator(ctx, users)
	if err != nil {
		return "", err
	}
	p, err := users.Create(ctx, user.NewUser{Login: login, Name: name, UnitID: auth.From(ctx).UnitID, Roles: []string{role}})
	return p.Password, err
}

// CreateKey makes an API key with all permissions in the first tenant.
func CreateKey(ctx context.Context, users *user.Service, name string, life time.Duration) (token string, err error) {
	ctx, err = operator(ctx, users)
	if err != nil {
		return "", err
	}
	var all []auth.Permission
	for _, d := range auth.Defined() {
		all = append(all, d.Permission)
	}
	end := time.Now().Add(life)
	made, err := users.CreateKey(ctx, user.NewKey{UnitID: auth.From(ctx).UnitID, Name: name, Permissions: all, ExpiresAt: &end})
	return made.Secret, err
}
