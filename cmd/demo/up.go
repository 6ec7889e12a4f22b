package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"callplane/app"
	"callplane/app/sandbox"
)

// up starts Asterisk and Callplane, prints how to get in, and waits until ctx is done or one of them ends.
func up(ctx context.Context, dir, listen string) error {
	if l, err := net.Listen("tcp", listen); err != nil {
		return fmt.Errorf("%s is taken; stop what runs there, or give --listen: %w", listen, err)
	} else if err := l.Close(); err != nil {
		return err
	}
	if _, err := sandbox.Prepare(ctx, os.Stderr); err != nil {
		return fmt.Errorf("prepare the sandbox: %w", err)
	}
	asterisk, err := sandbox.StartAsterisk(ctx, sandbox.AsteriskOptions{Name: "demo"})
	if err != nil {
		return fmt.Errorf("start Asterisk: %w", err)
	}
	defer func() {
		end, cancel := context.WithTimeout(context.Background(), 15*time.Second)
		defer cancel()
		if err := asterisk.Stop(end); err != nil {
			fmt.Fprintln(os.Stderr, "demo: stop Asterisk:", err)
		}
	}()
	config, err := writeConfig(dir, listen, asterisk)
	if err != nil {
		return err
	}
	return serve(ctx, dir, listen, config, asterisk)
}

// writeConfig writes the settings of the demo; its password is Asterisk's, made anew at every start.
func writeConfig(dir, listen string, a *sandbox.Asterisk) (string, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return "", err
	}
	path := filepath.Join(dir, "callplane.yaml")
	text := fmt.Sprintf(`# Written by the demo at every start.
data_dir: %q
http:
  listen: %q
switches:
  - name: demo
    kind: asterisk
    url: %q
    user: %q
    password: %q
    sip_address: %q
    media_url: %q
`, filepath.Join(dir, "data"), listen, a.ARI, a.User, a.Password, a.SIP, "http://"+listen)
	return path, os.WriteFile(path, []byte(text), 0o600)
}

// serve runs the server beside this program's binary.
func serve(ctx context.Context, dir, listen, config string, asterisk *sandbox.Asterisk) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	logPath := filepath.Join(dir, "callplane.log")
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	defer log.Close()
	access := filepath.Join(dir, "demo.json")
	cmd := exec.Command(filepath.Join(filepath.Dir(self), "callplane"), "serve", "--config", config, "--demo", access)
	cmd.Stderr = log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { // ends with the server
		if _, err := io.Copy(io.Discard, bufio.NewReader(out)); err != nil {
			fmt.Fprintln(os.Stderr, "demo:", err)
		}
		ended <- cmd.Wait()
	}()
	if err := ready(ctx, "http://"+listen+"/readyz", ended); err != nil {
		fmt.Fprintf(os.Stderr, "demo: the log is %s\n", logPath)
		if cmd.ProcessState == nil {
			err = fmt.Errorf("%w; %w", err, cmd.Process.Signal(syscall.SIGTERM))
		}
		return err
	}
	if err := greet(access, logPath); err != nil {
		return err
	}
	select {
	case err := <-ended:
		return fmt.Errorf("callplane ended (see %s): %w", logPath, err)
	case <-asterisk.Done():
		return fmt.Errorf("Asterisk ended: see %s", asterisk.Log)
	case <-ctx.Done():
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	<-ended
	return nil
}

// ready waits until the server takes calls.
func ready(ctx context.Context, url string, ended <-chan error) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		if res, err := http.DefaultClient.Do(req); err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case err := <-ended:
			return fmt.Errorf("callplane ended: %w", err)
		case <-ctx.Done():
			return fmt.Errorf("callplane is not ready: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

// greet prints how to get in.
func greet(access, logPath string) error {
	d, err := readAccess(access)
	if err != nil {
		return err
	}
	fmt.Printf("\nCallplane is up.\n\n")
	fmt.Printf("  API and its documents  %s/api/docs\n", d.URL)
	fmt.Printf("  administrator          %s, password %s (to be changed at the first sign-in)\n", d.Login, d.Password)
	fmt.Printf("  API key                %s\n\n", d.Key)
	fmt.Printf("  SIP server             %s (UDP); the demo service is number %s\n", d.SIP, d.Number)
	for _, p := range d.Phones {
		fmt.Printf("  phone %s             user %s, password %s   %s\n", p.Name, p.User, p.Password, p.Use)
	}
	fmt.Printf("\nTry it: `make demo-call` in another shell. Or register a SIP phone as cp-1009 and call %s.\n", d.Number)
	fmt.Printf("bin/callplane call list --past --url %s --token %s lists the calls.\n", d.URL, d.Key)
	fmt.Printf("Log: %s. All of the above stays in %s, readable for you alone. Ctrl-C ends it.\n", logPath, access)
	return nil
}

func readAccess(path string) (d app.DemoAccess, err error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return d, fmt.Errorf("is `make run` up? %w", err)
	}
	return d, json.Unmarshal(raw, &d)
}
