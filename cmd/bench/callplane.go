package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"callplane/app/sandbox"
	"callplane/app/sandbox/sipphone"
)

// server is the program under test.
type server struct {
	client
	dir   string
	debug string // address of its profiles
	keep  bool
	cmd   *exec.Cmd
	done  chan struct{} // closed when the process has ended
}

var firstRun = regexp.MustCompile(`Sign in as (\S+) with the password (\S+)`)

// startServer builds the program, starts it on a switch, with an empty data folder, and signs in.
func startServer(ctx context.Context, o options, ast *sandbox.Asterisk) (_ *server, err error) {
	dir, err := os.MkdirTemp("", "callplane-bench-")
	if err != nil {
		return nil, err
	}
	s := &server{dir: dir, keep: o.keep, done: make(chan struct{})}
	defer func() {
		if err != nil {
			s.stop()
		}
	}()
	program := o.binary
	if program == "" {
		program = filepath.Join(dir, "callplane")
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", program, "callplane/cmd/callplane")
		build.Env = append(os.Environ(), "CGO_ENABLED=0") // as make builds it
		if out, err := build.CombinedOutput(); err != nil {
			return s, fmt.Errorf("build: %w\n%s", err, out)
		}
	}
	listen, err := freeAddress()
	if err != nil {
		return s, err
	}
	if s.debug, err = freeAddress(); err != nil {
		return s, err
	}
	s.url = "http://" + listen
	config := filepath.Join(dir, "callplane.yaml")
	text := fmt.Sprintf(`data_dir: %q
http: {listen: %q, debug: %q, per_second: 10000, burst: 20000}
speech: {engine: none}
switches:
  - {name: main, kind: asterisk, url: %q, user: %q, password: %q, sip_address: %q, media_url: %q}
user: {hash_memory_mib: 8, login_per_minute: 5000}
`, filepath.Join(dir, "data"), listen, s.debug, ast.ARI, ast.User, ast.Password, ast.SIP, s.url)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return s, err
	}
	log, err := os.Create(filepath.Join(dir, "callplane.log"))
	if err != nil {
		return s, err
	}
	defer log.Close()
	var out output
	s.cmd = exec.Command(program, "serve", "--config", config)
	s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = dir, &out, log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		s.cmd = nil
		return s, err
	}
	go func() { // ends with the process
		_ = s.cmd.Wait()
		close(s.done)
	}()
	err = until(ctx, time.Minute, func() error {
		res, err := asking.Get(s.url + "/readyz")
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("/readyz: %s", res.Status)
		}
		return nil
	})
	if err != nil {
		return s, fmt.Errorf("the server does not start; see %s: %w", log.Name(), err)
	}
	found := firstRun.FindStringSubmatch(out.String())
	if found == nil {
		return s, errors.New("the first run told no password")
	}
	s.client, err = login(ctx, s.url, found[1], found[2])
	return s, err
}

// output keeps what a process prints.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

// String is what was printed so far.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// stop ends the process, gently at first, and removes its folder.
func (s *server) stop() {
	if s.cmd != nil {
		_ = s.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-s.done:
		case <-time.After(20 * time.Second):
			_ = s.cmd.Process.Kill()
			<-s.done
		}
	}
	if s.keep {
		say("the server's folder is %s", s.dir)
		return
	}
	_ = os.RemoveAll(s.dir)
}

// cpu is the processor time that the process has used, its children not counted.
func (s *server) cpu() (time.Duration, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:])) // the name before may hold spaces
	user, err := strconv.ParseInt(fields[11], 10, 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond, err
}

// profile writes a processor profile of the next seconds, and one of the heap after them.
func (s *server) profile(ctx context.Context, dir, name string, length time.Duration) {
	for kind, query := range map[string]string{"cpu": fmt.Sprintf("profile?seconds=%d", int(length.Seconds())), "allocs": "allocs"} {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.debug+"/debug/pprof/"+query, nil)
		if err != nil {
			continue
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			say("no profile: %v", err)
			return
		}
		raw, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err == nil && os.MkdirAll(dir, 0o755) == nil {
			_ = os.WriteFile(filepath.Join(dir, name+"."+kind+".pprof"), raw, 0o644)
		}
	}
}

// newOurs is Callplane on an Asterisk of its own: a trunk, two queues, numbers that lead to them, and agents.
func newOurs(ctx context.Context, o options, agents int) (_ *centre, err error) {
	ast, err := sandbox.StartAsterisk(ctx, sandbox.AsteriskOptions{RTPStart: audioFrom, RTPEnd: audioTo})
	if err != nil {
		return nil, err
	}
	c := &centre{name: "callplane", ast: ast, short: "01060000001", waiting: "01060000001", long: "01060000002"}
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	if c.server, err = startServer(ctx, o, ast); err != nil {
		return nil, err
	}
	if c.carrier, err = sipphone.New(ctx, sipphone.Config{Addr: oursCarrier, Server: ast.SIP, User: "carrier", NoMedia: true, HearFor: 1}); err != nil {
		return nil, err
	}
	return c, c.settle(ctx, agents)
}

// settle makes everything over the API, and waits until calls can come.
func (c *centre) settle(ctx context.Context, agents int) error {
	api := c.server.client
	trunk := object{"name": "carrier", "host": c.carrier.Addr(), "addresses": []string{oursCarrier}, "codecs": []string{"ulaw"}}
	var line struct{ ID, State string }
	if err := api.post(ctx, "/route/trunks", trunk, &line); err != nil {
		return err
	}
	ids, err := c.hire(ctx, agents)
	if err != nil {
		return err
	}
	for _, q := range []struct {
		name, number string
		members      []string
	}{{"short", c.short, ids[:few]}, {"long", c.long, ids[few:]}} {
		members := []object{}
		for _, id := range q.members {
			members = append(members, object{"agent": id})
		}
		var flow struct{ ID string }
		for _, step := range []struct {
			path string
			in   func() object
			out  any
		}{
			{"/acd/queues", func() object {
				return object{"name": q.name, "wrap_up_seconds": 0, "comfort_seconds": 0, "announce_position": false,
					"recording": object{"mode": "none"}, "members": members}
			}, nil},
			{"/ivr/flows", func() object {
				return object{"document": fmt.Sprintf("name: to %[1]s\nthen: {queue: %[1]s}\n", q.name)}
			}, &flow},
			{"/route/numbers", func() object { return object{"number": q.number, "service": q.name, "flow": flow.ID} }, nil},
		} {
			if err := api.post(ctx, step.path, step.in(), step.out); err != nil {
				return err
			}
		}
	}
	return until(ctx, time.Minute, func() error {
		if err := api.do(ctx, http.MethodGet, "/route/trunks/"+line.ID, nil, &line); err != nil {
			return err
		}
		if line.State != "up" {
			return fmt.Errorf("the trunk is %s", line.State)
		}
		return nil
	})
}

// hire makes agents with their phones and signs them in.
func (c *centre) hire(ctx context.Context, agents int) ([]string, error) {
	api := c.server.client
	var units []struct {
		ID       string
		ParentID string `json:"parent_id"`
	}
	if err := api.do(ctx, http.MethodGet, "/user/units", nil, &units); err != nil {
		return nil, err
	}
	ids := make([]string, agents)
	err := c.furnish(agents, func(no int) (*desk, error) {
		name := fmt.Sprintf("agent%d", no)
		var phone struct {
			Name, Password string
			User           string `json:"sip_user"`
		}
		if err := api.post(ctx, "/route/phones", object{"name": name, "codecs": []string{"ulaw"}}, &phone); err != nil {
			return nil, err
		}
		var made struct{ User struct{ ID string } }
		who := object{"login": name, "name": "Agent " + strconv.Itoa(no), "unit_id": units[0].ID, "roles": []string{"agent"}, "password": "Green-Apple-42"}
		if err := api.post(ctx, "/user/users", who, &made); err != nil {
			return nil, err
		}
		ids[no] = made.User.ID
		d, err := c.newDesk(ctx, no, phone.User, phone.Password)
		if err != nil {
			return nil, err
		}
		return d, until(ctx, 20*time.Second, func() error { // it hears of the registration in a moment
			return api.post(ctx, "/agent/agents/"+ids[no]+"/sign-in", object{"phone": name, "ready": true}, nil)
		})
	})
	return ids, err
}

// furnish makes all desks, several at a time.
func (c *centre) furnish(n int, make1 func(no int) (*desk, error)) error {
	c.desks = make([]*desk, n)
	var all sync.WaitGroup
	var mu sync.Mutex
	var first error
	next := make(chan int)
	for range 8 {
		all.Go(func() {
			for no := range next {
				d, err := make1(no)
				mu.Lock()
				if c.desks[no] = d; err != nil && first == nil {
					first = err
				}
				mu.Unlock()
			}
		})
	}
	for no := range n {
		next <- no
	}
	close(next)
	all.Wait()
	if first != nil {
		var made []*desk
		for _, d := range c.desks {
			if d != nil {
				made = append(made, d)
			}
		}
		c.desks = made
	}
	return first
}
