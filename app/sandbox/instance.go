package sandbox

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// ErrRunning says that an instance of this name runs already.
var ErrRunning = errors.New("sandbox: an instance of this name is running")

// Ports: each instance takes one slot, below the ports that Linux gives to clients, so that it gets the same ones back
// after a restart. A slot has ten ports from basePort on and, for audio, a thousand from baseAudio on. Beyond twenty
// slots the audio ranges are shared, which does no harm: Asterisk skips a port in use.
const (
	slots      = 200
	basePort   = 8100
	baseAudio  = 11000
	audioPorts = 1000
	audioSlots = 20
)

// stopWait is how long a process may take to end by itself before it is killed.
const stopWait = 8 * time.Second

// Instance is one running server. Its methods may be called from several goroutines.
type Instance struct {
	Name string
	Dir  string // holds all it writes; Root shows the same as the server sees it

	program []string // what runs in the chroot
	root    string   // the tree it runs from
	tmpfs   string   // folder, as the server sees it, that gets a file system of its own; "" for none
	tmpfsMB int
	ready   func(context.Context) error
	info    func() Info
	temp    bool // the name was not given: the directory goes with the instance
	slot    *slot

	life sync.Mutex // one Stop or Restart at a time
	lock *os.File   // nil once stopped

	mu   sync.Mutex
	pid  int
	done chan struct{} // closed when the process pid has ended
}

// Info describes an instance to other programs: one line of JSON.
type Info struct {
	Name     string `json:"name"`
	Kind     string `json:"kind"` // asterisk or mysql
	PID      int    `json:"pid"`
	Dir      string `json:"dir"`
	Tree     string `json:"tree"` // the software it runs from
	Log      string `json:"log"`
	ARI      string `json:"ari,omitempty"`
	User     string `json:"user,omitempty"`
	Password string `json:"password,omitempty"`
	SIP      string `json:"sip,omitempty"`
	WS       string `json:"ws,omitempty"`
	RTPStart int    `json:"rtp_start,omitempty"`
	RTPEnd   int    `json:"rtp_end,omitempty"`
	DSN      string `json:"dsn,omitempty"`

	Temporary bool   `json:"temporary,omitempty"` // the directory goes when the instance ends
	Born      uint64 `json:"born"`                // start of the process, from /proc; tells a reused pid from ours
}

// PID returns the process id, or 0 when it is not running.
func (i *Instance) PID() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.pid
}

// Done is closed when the process that runs now has ended, by itself or not.
func (i *Instance) Done() <-chan struct{} {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.done
}

// Info describes the instance.
func (i *Instance) Info() Info {
	info := i.info()
	info.Name, info.Dir, info.PID, info.Temporary = i.Name, i.Dir, i.PID(), i.temp
	info.Tree = filepath.Dir(i.root)
	info.Born, _ = born(info.PID)
	return info
}

// Root is the file system as the running server sees it, its private mounts included.
func (i *Instance) Root() string { return fmt.Sprintf("/proc/%d/root", i.PID()) }

// Stop ends the server: it may end by itself for a few seconds, or until ctx is done, then it is killed. The instance
// can not be restarted after that; its ports are free.
func (i *Instance) Stop(ctx context.Context) error {
	i.life.Lock()
	defer i.life.Unlock()
	err := i.halt(ctx)
	if i.lock != nil {
		if i.temp {
			os.RemoveAll(i.Dir)
		}
		os.Remove(i.lock.Name())
		i.lock.Close()
		i.slot.free()
		i.lock = nil
	}
	return err
}

// Kill ends the server at once, as a crash would. Restart brings it back. Asterisk writes its database once a second, so
// it forgets objects that were pushed less than a second ago.
func (i *Instance) Kill() error {
	done := i.Done()
	if err := i.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-done
	return nil
}

// Pause stops the server in its tracks, as a stalled disk or host would, and returns when all its threads stand still.
// Its sockets stay open.
func (i *Instance) Pause() error {
	if err := i.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	for range 1000 {
		if stopped(i.PID()) {
			return nil
		}
		time.Sleep(time.Millisecond)
	}
	return fmt.Errorf("sandbox: %s does not stand still", i.Name)
}

// Resume lets a paused server go on.
func (i *Instance) Resume() error { return i.signal(syscall.SIGCONT) }

// Restart ends the server, if it runs, and starts it again on the same ports with the same files.
func (i *Instance) Restart(ctx context.Context) error {
	i.life.Lock()
	defer i.life.Unlock()
	if i.lock == nil {
		return fmt.Errorf("sandbox: %s was stopped for good", i.Name)
	}
	if err := i.halt(ctx); err != nil {
		return err
	}
	return i.start(ctx)
}

// CPUTime returns the processor time the server has used since its last start, user and system.
func (i *Instance) CPUTime() (time.Duration, error) {
	f, err := stat(i.PID())
	if err != nil {
		return 0, err
	}
	user, _ := strconv.ParseUint(f[11], 10, 64)
	system, _ := strconv.ParseUint(f[12], 10, 64)
	return time.Duration(user+system) * (time.Second / 100), nil // Linux counts in 1/100 s towards programs
}

// Memory returns the resident memory of the server, in bytes.
func (i *Instance) Memory() (int64, error) {
	f, err := stat(i.PID())
	if err != nil {
		return 0, err
	}
	pages, err := strconv.ParseInt(f[21], 10, 64)
	return pages * int64(os.Getpagesize()), err
}

func (i *Instance) signal(sig syscall.Signal) error {
	pid := i.PID()
	if pid == 0 {
		return fmt.Errorf("sandbox: %s is not running", i.Name)
	}
	return syscall.Kill(pid, sig)
}

// newInstance takes the name and a slot of ports, and makes an empty directory.
func newInstance(kind, name, root string) (*Instance, error) {
	sweep()
	i := &Instance{Name: name, root: root, temp: name == ""}
	s, err := takeSlot()
	if err != nil {
		return nil, err
	}
	i.slot = s
	if i.temp {
		i.Name = fmt.Sprintf("%s-%d-%d", kind, os.Getpid(), s.n)
	}
	if filepath.Base(i.Name) != i.Name || strings.HasPrefix(i.Name, ".") {
		s.free()
		return nil, fmt.Errorf("sandbox: %q cannot be the name of an instance", i.Name)
	}
	i.Dir = filepath.Join(Dir(), "run", i.Name)
	i.lock, err = tryLock(filepath.Join(Dir(), "run", "."+i.Name+".lock"))
	if err != nil {
		s.free()
		if errors.Is(err, errLocked) {
			return nil, fmt.Errorf("%w: %s", ErrRunning, i.Name)
		}
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	if err := i.lay(); err != nil {
		i.abort()
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	return i, nil
}

// abort gives back what newInstance took, when a start went wrong. The directory stays, for its logs; the next start
// sweeps it away.
func (i *Instance) abort() {
	if i.PID() != 0 {
		i.Kill()
	}
	i.lock.Close()
	i.lock = nil
	i.slot.free()
}

// lay makes the directory and the few files every program in a chroot wants.
func (i *Instance) lay() error {
	if err := os.RemoveAll(i.Dir); err != nil {
		return err
	}
	for _, dir := range []string{"root", "etc", "var/tmp", "var/cache", "var/lib", "run", "tmp"} {
		if err := os.MkdirAll(filepath.Join(i.Dir, dir), 0o755); err != nil {
			return err
		}
	}
	if err := os.Symlink("/run", filepath.Join(i.Dir, "var/run")); err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	mark, err := json.Marshal(Info{Name: i.Name, Temporary: i.temp}) // for sweep, if we do not get as far as publish
	if err != nil {
		return err
	}
	return i.write(map[string]string{
		"sandbox.json": string(mark),
		"etc/passwd":   "root:x:0:0:root:/root:/bin/sh\n",
		"etc/group":    "root:x:0:\n",
		// Names are looked up in the hosts file alone. Asterisk asks for the host's own name and for A.ROOT-SERVERS.NET
		// while it sets up a call, and a slow answer stalls the call for seconds.
		"etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
		"etc/resolv.conf":   "",
		"etc/hosts":         "127.0.0.1 localhost " + host + " A.ROOT-SERVERS.NET a.root-servers.net\n",
		"etc/hostname":      host + "\n",
	})
}

// write writes files below the directory of the instance.
func (i *Instance) write(files map[string]string) error {
	for name, text := range files {
		path := filepath.Join(i.Dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// enter makes the private file system of an instance and becomes the program. It runs in a mount namespace of its own:
// when the last process in it ends, the mounts are gone. Arguments: tree, directory, tmpfs folder, its size in MiB,
// program and arguments.
const enter = `set -e
tree=$1 dir=$2 tmpfs=$3 size=$4
shift 4
mount --bind "$tree" "$dir/root"
mount -o remount,bind,ro "$dir/root"
for d in etc var run tmp; do mount --bind "$dir/$d" "$dir/root/$d"; done
mount --bind /dev "$dir/root/dev"
mount -t proc proc "$dir/root/proc"
if [ -n "$tmpfs" ]; then mount -t tmpfs -o "size=${size}m,mode=755" tmpfs "$dir/root$tmpfs"; fi
ulimit -n 65536 2>/dev/null || true
exec chroot "$dir/root" "$@"`

// start runs the program and waits until it is ready.
func (i *Instance) start(ctx context.Context) error {
	out, err := os.OpenFile(filepath.Join(i.Dir, "console.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	defer out.Close()
	args := append([]string{"-c", enter, "sh", i.root, i.Dir, i.tmpfs, strconv.Itoa(i.tmpfsMB)}, i.program...)
	cmd := exec.Command("/bin/sh", args...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8"}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Unshareflags: syscall.CLONE_NEWNS, // Go makes the mounts in it private
		Setpgid:      true,                // Ctrl-C is for us; we stop the server in order
		Pdeathsig:    syscall.SIGKILL,     // and if we are killed, it goes too
	}
	started := make(chan error)
	done := make(chan struct{})
	// Linux sends the death signal when the thread ends that started the process, so this goroutine keeps its thread
	// as long as the process runs. It ends with the process.
	go func() {
		runtime.LockOSThread()
		defer close(done)
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		cmd.Wait() // how it ended is of no interest: a server here ends because it was told to, or its log says why
		i.mu.Lock()
		i.pid = 0
		i.mu.Unlock()
	}()
	i.mu.Lock()
	i.done = done
	err = <-started
	if err == nil {
		i.pid = cmd.Process.Pid
	}
	i.mu.Unlock()
	if err != nil {
		return fmt.Errorf("sandbox: start %s: %w", i.Name, err)
	}
	if err := i.await(ctx, done); err != nil {
		return fmt.Errorf("sandbox: start %s: %w\n%s", i.Name, err, i.tails())
	}
	return i.publish()
}

// await asks ready again and again until it is satisfied.
func (i *Instance) await(ctx context.Context, done <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		err := i.ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-done:
			return fmt.Errorf("it ended (last seen: %w)", err)
		case <-ctx.Done():
			return fmt.Errorf("not ready in time: %w", err)
		case <-time.After(25 * time.Millisecond):
		}
	}
}

// tails returns the ends of the logs, for an error message.
func (i *Instance) tails() string {
	var out strings.Builder
	for _, name := range []string{filepath.Join(i.Dir, "console.log"), i.info().Log} {
		if text, err := os.ReadFile(name); err == nil && len(text) > 0 {
			fmt.Fprintf(&out, "--- %s\n%s\n", name, last(string(text), 15))
		}
	}
	return out.String()
}

// publish writes sandbox.json.
func (i *Instance) publish() error {
	text, err := json.Marshal(i.Info())
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(i.Dir, "sandbox.json"), append(text, '\n'), 0o600)
}

// halt ends the process and waits until it is gone.
func (i *Instance) halt(ctx context.Context) error {
	pid := i.PID()
	if pid == 0 {
		return nil
	}
	syscall.Kill(pid, syscall.SIGTERM)
	syscall.Kill(pid, syscall.SIGCONT) // a paused process cannot end
	wait := time.NewTimer(stopWait)
	defer wait.Stop()
	select {
	case <-i.Done():
		return nil
	case <-wait.C:
	case <-ctx.Done():
	}
	syscall.Kill(pid, syscall.SIGKILL)
	select {
	case <-i.Done():
		return nil
	case <-time.After(stopWait):
		return fmt.Errorf("sandbox: %s (process %d) does not end", i.Name, pid)
	}
}

// slot is a range of ports that no other instance uses as long as its lock is held.
type slot struct {
	n    int
	lock *os.File
}

func (s *slot) port(n int) int { return basePort + 10*s.n + n }

func (s *slot) audio() (start, end int) {
	start = baseAudio + audioPorts*(s.n%audioSlots)
	return start, start + audioPorts - 1
}

func (s *slot) free() { s.lock.Close() }

// takeSlot finds a slot whose ports nobody uses, inside the sandbox or outside.
func takeSlot() (*slot, error) {
	dir := filepath.Join(Dir(), "run", ".slots")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	for n := range slots {
		lock, err := tryLock(filepath.Join(dir, strconv.Itoa(n)))
		if errors.Is(err, errLocked) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("sandbox: %w", err)
		}
		s := &slot{n, lock}
		if unused(s.port(0)) && unused(s.port(1)) && unused(s.port(2)) {
			return s, nil
		}
		s.free()
	}
	return nil, fmt.Errorf("sandbox: all %d slots of ports are taken", slots)
}

// unused tells whether a port of the loopback is free, over UDP and TCP.
func unused(port int) bool {
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	t, err := net.Listen("tcp", addr)
	if err != nil {
		return false
	}
	defer t.Close()
	u, err := net.ListenPacket("udp", addr)
	if err != nil {
		return false
	}
	u.Close()
	return true
}

// password returns a random password.
func password() string { return rand.Text() }

// stat returns the fields of /proc/<pid>/stat that follow the name of the program, the first being the state.
func stat(pid int) ([]string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	f := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(f) < 22 {
		return nil, fmt.Errorf("process %d: cannot read its state", pid)
	}
	return f, nil
}

// stopped tells whether every thread of the process stands still.
func stopped(pid int) bool {
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	for _, t := range threads {
		id, _ := strconv.Atoi(t.Name())
		if f, err := stat(id); err == nil && f[0] != "T" {
			return false
		}
	}
	return err == nil
}

// born returns when the process started, in ticks since the machine did, or an error if it does not run.
func born(pid int) (uint64, error) {
	f, err := stat(pid)
	if err != nil {
		return 0, err
	}
	if f[0] == "Z" {
		return 0, os.ErrProcessDone
	}
	return strconv.ParseUint(f[19], 10, 64)
}
