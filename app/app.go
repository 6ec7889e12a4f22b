// Package app wires the whole platform on one page, and holds its settings.
//
// A call travels pbx/ari → call → ivr → acd → live (the agent's browser); recording, voicemail and webhook hear of it from the
// event stream. Each line of New needs only what stands above it; a new module is its folder and a line there.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"callplane/app/acd"
	"callplane/app/agent"
	"callplane/app/call"
	"callplane/app/crm"
	"callplane/app/hours"
	"callplane/app/ivr"
	"callplane/app/kernel"
	"callplane/app/kernel/api"
	"callplane/app/kernel/audit"
	"callplane/app/kernel/auth"
	"callplane/app/kernel/bus"
	"callplane/app/monitor"
	"callplane/app/pbx"
	"callplane/app/recording"
	"callplane/app/route"
	"callplane/app/speech"
	"callplane/app/user"
	"callplane/app/voicemail"
	"callplane/app/webhook"
)

// App is the platform, put together.
type App struct {
	cfg   Config
	kit   *kernel.Kit
	log   *slog.Logger
	sw    pbx.Switch
	web   *api.Router
	names *prometheus.Registry

	Users   *user.Service
	Hours   *hours.Service
	Routes  *route.Service
	CRM     *crm.Service
	Agents  *agent.Service
	Calls   *call.Service
	Queues  *acd.Service
	Flows   *ivr.Service
	Prompts *speech.Library

	modules []module
	live    health
}

// module is what New puts together: most have routes, some work on their own.
type module interface{ Routes(*api.Router) }

// runner works until ctx is done.
type runner interface {
	Run(ctx context.Context) error
}

// Limits and names that are not settings.
const (
	leaseTTL     = 10 * time.Second       // how long a node that died keeps others from its switch
	gather       = 200 * time.Millisecond // how long history waits, so that it is written in batches
	callsBucket  = "calls"
	agentsBucket = "agents"
)

// New builds the platform. Each line needs only what stands above it.
func New(ctx context.Context, cfg Config, kit *kernel.Kit, sw pbx.Switch, build string) (*App, error) {
	a := &App{cfg: cfg, kit: kit, log: kit.Log, sw: sw}
	prompts, err := newLibrary(ctx, cfg, kit.Log)
	if err != nil {
		return nil, err
	}
	a.Prompts = prompts
	a.Users = user.New(kit, user.Config(cfg.User))
	tree := a.Users.Tree()
	a.Hours = hours.New(kit, tree)
	a.Routes = route.New(kit, tree, a.Hours, sw, route.Config{Country: cfg.Call.Country, Area: cfg.Call.Area})
	a.CRM = crm.New(kit, tree, func(raw string) (string, bool) { return a.Routes.Normalise(raw, "", "") })
	a.Agents = agent.NewService(kit.Log, kit.DB, newJournal(kit.Bus, agentsBucket), a.Routes)
	a.Calls = call.New(call.Parts{
		Log: kit.Log, Switch: sw, Node: cfg.node(), Journal: newJournal(kit.Bus, callsBucket), Voice: voice{prompts, cfg.mediaURL()},
		Router: a.Routes, Agents: a.Agents, Limits: cfg.limits(),
	})
	a.Queues = acd.NewService(kit.Log, kit.DB, kit.Outbox, tree, a.Calls, a.Agents, kit.Bus)
	a.Flows = ivr.NewService(kit.Log, kit.DB, kit.Outbox, tree, queueNames{a.Queues}, calendars{a.Hours, tree})
	a.Calls.Use(a.Queues, a.Flows)
	messages := voicemail.New(kit, tree, voicemail.Config(cfg.Voicemail))
	recordings := recording.New(kit, recording.One(sw), messages, recording.Config{Limit: cfg.Recording.Longest, TempDir: cfg.tempDir()})
	auditing := audit.New(kit.DB)

	a.modules = []module{
		a.Users, auditing, a.Hours, a.Routes, a.CRM, a.Agents, call.NewWeb(a.Calls, kit.DB), a.Queues, a.Flows,
		recordings, messages, monitor.New(kit, a.Calls, a.Agents, a.Routes),
		webhook.New(kit, tree, webhook.Config{AllowPrivate: cfg.Webhook.AllowPrivate}),
		// a new module: its folder, and a line like these
	}
	a.Agents.MayDial(func(ctx context.Context, id agent.ID) ([]string, error) { return a.mayDial(ctx, auth.UserID(id)) })
	a.Routes.OnLine(func(line string, st pbx.LineState) { a.Agents.LineChanged(line, st == pbx.LineUp) })
	a.Hours.KeepCalendars(a.Routes.UsesCalendar)
	for _, holds := range []func(context.Context, auth.UnitID) (string, error){a.Routes.UnitHolds, a.Hours.UnitHolds, a.CRM.UnitHolds} {
		a.Users.KeepUnits(holds)
	}
	return a, a.serveAPI(auditing, build)
}

// Load reads what is kept in memory from the database and the live store.
func (a *App) Load(ctx context.Context) error {
	for _, load := range []func(context.Context) error{a.Hours.Load, a.Routes.Load, a.Queues.Load, a.Flows.Load} {
		if err := load(ctx); err != nil {
			return err
		}
	}
	agents, err := newJournal(a.kit.Bus, agentsBucket).saved(ctx)
	if err != nil {
		return fmt.Errorf("read agents: %w", err)
	}
	a.Agents.Load(agents)
	return nil
}

// Run works until ctx is done. Live calls then stay up in the switch, and the next Run takes them over.
func (a *App) Run(ctx context.Context) error {
	defer a.Prompts.Close()
	defer a.Agents.Close()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return a.kit.Run(ctx) })
	g.Go(func() error { return a.listen(ctx) })
	g.Go(func() error { return a.profiles(ctx) })
	g.Go(func() error { return a.drive(ctx) })
	for _, m := range a.modules {
		if r, ok := m.(runner); ok && !a.driven(m) {
			g.Go(func() error { return r.Run(ctx) })
		}
	}
	for _, c := range a.projections() {
		g.Go(func() error { return a.kit.Bus.Consume(ctx, c) })
	}
	g.Go(func() error {
		if err := a.Prompts.Warm(ctx, nil); err != nil && ctx.Err() == nil {
			a.log.Warn("prompts are made when they are needed", "error", err)
		}
		return nil
	})
	if err := g.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// driven says that drive runs the module, because it belongs to the node that holds the switch.
func (a *App) driven(m module) bool { return m == module(a.Queues) }

// drive takes the lease of the switch and runs everything that moves calls, for as long as the lease is held.
func (a *App) drive(ctx context.Context) error {
	for ctx.Err() == nil {
		lease, err := a.kit.Bus.Lease(ctx, "switch/"+a.cfg.node(), leaseTTL)
		if err != nil {
			return nil // ctx is done
		}
		if err := a.driveOnce(ctx, lease); err != nil {
			return err
		}
		a.log.Warn("the lease of the switch is lost", "switch", a.cfg.node())
	}
	return nil
}

func (a *App) driveOnce(ctx context.Context, lease *bus.Lease) error {
	defer lease.Release()
	held, cancel := lease.Context(ctx)
	defer cancel()
	calls, err := newJournal(a.kit.Bus, callsBucket).saved(held)
	if err != nil {
		return fmt.Errorf("read calls: %w", err)
	}
	g, held := errgroup.WithContext(held)
	a.Queues.Suspend()
	g.Go(func() error { return a.Queues.Run(held) })
	g.Go(func() error { return a.Calls.Run(held) })
	a.Calls.Recover(held, calls)
	g.Go(func() error { return a.sw.Run(held) })
	err = g.Wait()
	if ctx.Err() == nil && err == nil {
		return errors.New("another node has taken the switch over") // restarting is the clean way to begin again
	}
	return err
}

// projections make rows in SQL of what happened, each with its own position in the stream.
func (a *App) projections() []bus.Consumer {
	history := call.History{DB: a.kit.DB, Identify: a.CRM.Identify}
	return []bus.Consumer{
		{Name: "call_history", Types: []string{call.EventRecord}, Batch: 50, Gather: gather, Handle: history.Project},
		{Name: "agent_history", Types: []string{agent.EventState}, Batch: 200, Gather: gather, Handle: a.Agents.Project},
	}
}

// listen serves HTTP until ctx is done, and then lets requests end.
func (a *App) listen(ctx context.Context) error {
	srv := &http.Server{
		Addr: a.cfg.HTTP.Listen, Handler: a.web.Handler(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
	}
	stopped := make(chan error, 1)
	go func() { // ends with srv, which is shut down below
		if a.cfg.HTTP.TLSCert != "" {
			stopped <- srv.ListenAndServeTLS(a.cfg.HTTP.TLSCert, a.cfg.HTTP.TLSKey)
			return
		}
		stopped <- srv.ListenAndServe()
	}()
	select {
	case err := <-stopped:
		return fmt.Errorf("serve HTTP on %s: %w", a.cfg.HTTP.Listen, err)
	case <-ctx.Done():
	}
	a.live.draining.Store(true)
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.cfg.Call.Grace)
	defer cancel()
	if err := srv.Shutdown(end); err != nil {
		return srv.Close() // event streams stay open until they are cut
	}
	return nil
}
