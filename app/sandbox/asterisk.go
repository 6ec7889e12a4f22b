package sandbox

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
	"strconv"
	"strings"
	"syscall"
	"time"

	"callplane/dialplans"
)

// AsteriskOptions says how an Asterisk shall be; the zero value is fine.
type AsteriskOptions struct {
	Name         string            // for people and for stop; chosen if empty
	SIPPort      int               // UDP and TCP; 0 = a free one
	HTTPPort     int               // ARI and WebSocket; 0 = a free one
	RTPStart     int               // audio ports; 0 = a thousand of our own, enough for 500 parties
	RTPEnd       int               //
	RecordingMiB int               // size of a file system of its own for recordings; 0 = a plain folder
	Music        []Music           // classes of music on hold; nil = DefaultMusic and JazzMusic
	Custom       map[string]string // an engineer's own files in custom/: "extensions.conf", "queues.conf", ...
	Verbose      bool              // log every dialplan step
}

// Asterisk is a running Asterisk.
type Asterisk struct {
	*Instance
	ARI      string // http://127.0.0.1:port/ari
	User     string // for ARI
	Password string
	SIP      string // 127.0.0.1:port, UDP and TCP
	WS       string // ws://127.0.0.1:port/ws, for browser phones
	RTPStart int
	RTPEnd   int
	Log      string // its messages

	http *http.Client
}

// StartAsterisk starts an Asterisk and returns when it takes calls. The caller stops it.
func StartAsterisk(ctx context.Context, o AsteriskOptions) (*Asterisk, error) {
	tree, err := Prepare(ctx, os.Stderr)
	if err != nil {
		return nil, err
	}
	in, err := newInstance("asterisk", o.Name, tree.Asterisk)
	if err != nil {
		return nil, err
	}
	if o.SIPPort == 0 {
		o.SIPPort = in.slot.port(0)
	}
	if o.HTTPPort == 0 {
		o.HTTPPort = in.slot.port(1)
	}
	if o.RTPStart == 0 {
		o.RTPStart, o.RTPEnd = in.slot.audio()
	}
	if o.Music == nil {
		o.Music = []Music{DefaultMusic, JazzMusic}
	}
	a := &Asterisk{
		Instance: in,
		ARI:      fmt.Sprintf("http://127.0.0.1:%d/ari", o.HTTPPort),
		User:     "callplane",
		Password: password(),
		SIP:      net.JoinHostPort("127.0.0.1", strconv.Itoa(o.SIPPort)),
		WS:       fmt.Sprintf("ws://127.0.0.1:%d/ws", o.HTTPPort),
		RTPStart: o.RTPStart,
		RTPEnd:   o.RTPEnd,
		Log:      filepath.Join(in.Dir, "var/log/asterisk/messages.log"),
		http:     &http.Client{Timeout: 2 * time.Second},
	}
	a.program = []string{"/usr/sbin/asterisk", "-f", "-U", "root"}
	a.ready = a.check
	a.info = func() Info {
		return Info{Kind: "asterisk", ARI: a.ARI, User: a.User, Password: a.Password, SIP: a.SIP, WS: a.WS,
			RTPStart: a.RTPStart, RTPEnd: a.RTPEnd, Log: a.Log}
	}
	if o.RecordingMiB > 0 {
		a.tmpfs, a.tmpfsMB = dialplans.RecordingDir, o.RecordingMiB
	}
	if err = a.configure(o); err == nil {
		err = a.start(ctx)
	}
	if err != nil {
		a.abort()
		return nil, err
	}
	return a, nil
}

// configure writes all that this Asterisk reads.
func (a *Asterisk) configure(o AsteriskOptions) error {
	for _, dir := range []string{
		"var/lib/asterisk/sounds/custom", "var/cache/asterisk", "var/log/asterisk", "run/asterisk",
		"var/spool/asterisk/outgoing", "var/spool/asterisk/tmp", "var/spool/asterisk/monitor",
		dialplans.RecordingDir, // the Debian package lacks it, and every recording fails
	} {
		if err := os.MkdirAll(filepath.Join(a.Dir, dir), 0o755); err != nil {
			return fmt.Errorf("sandbox: %w", err)
		}
	}
	var classes []string
	for _, m := range o.Music {
		classes = append(classes, m.Class)
		if err := m.WriteFile(filepath.Join(a.Dir, dialplans.MusicDir)); err != nil {
			return fmt.Errorf("sandbox: %w", err)
		}
	}
	etc := filepath.Join(a.Dir, "etc/asterisk")
	if err := os.MkdirAll(etc, 0o755); err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	_, sip, _ := net.SplitHostPort(a.SIP)
	port, _ := strconv.Atoi(sip)
	err := dialplans.WriteAsterisk(etc, dialplans.Asterisk{
		Name: a.Name, SIPPort: port, HTTPPort: o.HTTPPort, RTPStart: a.RTPStart, RTPEnd: a.RTPEnd,
		User: a.User, Password: a.Password, Music: classes, Verbose: o.Verbose,
	})
	if err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	for name, text := range o.Custom {
		if err := a.write(map[string]string{filepath.Join("etc/asterisk", dialplans.CustomDir, name): text}); err != nil {
			return fmt.Errorf("sandbox: %w", err)
		}
	}
	return nil
}

// check asks whether Asterisk takes calls: fully booted, ARI speaks for it and not for an older process that is still
// ending, its object store is there, music is loaded, and SIP answers.
func (a *Asterisk) check(ctx context.Context) error {
	if err := a.get(ctx, "/asterisk/info", http.StatusOK); err != nil {
		return err
	}
	booted, err := a.CLI(ctx, "core waitfullybooted")
	if err != nil {
		return err
	}
	if !strings.Contains(booted, "fully booted") {
		return fmt.Errorf("still booting: %s", strings.TrimSpace(booted))
	}
	if err := a.get(ctx, "/asterisk/config/dynamic/res_pjsip/endpoint/none", http.StatusNotFound); err != nil {
		return err
	}
	if err := a.get(ctx, "/channels", http.StatusOK); err != nil {
		return err
	}
	music, err := a.CLI(ctx, "moh show classes")
	if err != nil {
		return err
	}
	if !strings.Contains(music, "Class: "+dialplans.DefaultMusic) {
		return errors.New("no music on hold")
	}
	return a.options(ctx)
}

// get asks ARI and expects a certain status.
func (a *Asterisk) get(ctx context.Context, path string, want int) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.ARI+path, nil)
	if err != nil {
		return err
	}
	req.SetBasicAuth(a.User, a.Password)
	resp, err := a.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != want {
		return fmt.Errorf("ARI %s: %s %s", path, resp.Status, bytes.TrimSpace(body))
	}
	return nil
}

// options sends SIP OPTIONS. Any answer will do, and a refusal of the stranger is the expected one.
func (a *Asterisk) options(ctx context.Context) error {
	conn, err := net.Dial("udp", a.SIP)
	if err != nil {
		return err
	}
	defer conn.Close()
	me := conn.LocalAddr().String()
	tag := password()
	fmt.Fprintf(conn, "OPTIONS sip:ready@%s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%s;rport\r\nMax-Forwards: 1\r\n"+
		"From: <sip:sandbox@%s>;tag=%s\r\nTo: <sip:ready@%s>\r\nCall-ID: %s\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
		a.SIP, me, tag, me, tag, a.SIP, tag)
	conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	buf := make([]byte, 2000)
	n, err := conn.Read(buf)
	if err != nil {
		return fmt.Errorf("SIP OPTIONS: %w", err)
	}
	if !bytes.HasPrefix(buf[:n], []byte("SIP/2.0 ")) {
		return fmt.Errorf("SIP OPTIONS: strange answer %q", buf[:min(n, 40)])
	}
	return nil
}

// CLI runs a command of the Asterisk console, such as "core show channels", and returns what it prints.
func (a *Asterisk) CLI(ctx context.Context, command string) (string, error) {
	pid := a.PID()
	if pid == 0 {
		return "", fmt.Errorf("sandbox: %s is not running", a.Name)
	}
	return console(ctx, pid, command)
}

// CLI runs a command on the console of a named Asterisk, whoever started it.
func CLI(ctx context.Context, name, command string) (string, error) {
	info, ok := read(filepath.Join(Dir(), "run", name, "sandbox.json"))
	if !ok || !info.alive() || info.Kind != "asterisk" {
		return "", fmt.Errorf("sandbox: no Asterisk %q is running", name)
	}
	return console(ctx, info.PID, command)
}

// console talks to the Asterisk with this process id from inside its chroot.
func console(ctx context.Context, pid int, command string) (string, error) {
	cmd := exec.CommandContext(ctx, "/usr/sbin/asterisk", "-rx", command)
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: fmt.Sprintf("/proc/%d/root", pid)}
	cmd.Dir = "/"
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("sandbox: asterisk -rx %q: %w: %s", command, err, bytes.TrimSpace(out))
	}
	return string(out), nil
}

// Recordings is the folder of recordings, as seen from the host while the server runs.
func (a *Asterisk) Recordings() string { return filepath.Join(a.Root(), dialplans.RecordingDir) }

// fill is the file that takes up the room.
const fill = ".sandbox-fill"

// FillRecordings leaves no room in the file system of the recordings. It needs RecordingMiB, so that no disk of the
// host is filled.
func (a *Asterisk) FillRecordings() error {
	if a.tmpfs == "" {
		return fmt.Errorf("sandbox: %s has no file system of its own for recordings: set RecordingMiB", a.Name)
	}
	f, err := os.Create(filepath.Join(a.Recordings(), fill))
	if err != nil {
		return err
	}
	defer f.Close()
	block := make([]byte, 1<<16)
	for {
		_, err := f.Write(block)
		if errors.Is(err, syscall.ENOSPC) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// FreeRecordings takes back what FillRecordings did.
func (a *Asterisk) FreeRecordings() error { return os.Remove(filepath.Join(a.Recordings(), fill)) }
