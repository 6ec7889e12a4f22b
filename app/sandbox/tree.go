package sandbox

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"callplane/docker"
)

// Where the packages come from. Forky has Asterisk 22; MySQL is in sid alone.
const (
	AsteriskSuite = "forky"
	MySQLSuite    = "sid"
)

// recipe changes when the way a tree is built changes, so that older trees are not used any more.
const recipe = "1"

// Tree is what Prepare built: the software of every instance, which only reads it.
type Tree struct {
	Dir      string        // the folder that holds the parts below
	Asterisk string        // root directory of Asterisk
	MySQL    string        // root directory of MySQL
	Data     string        // an initialised, empty MySQL data directory, copied for each instance
	Built    time.Duration // how long building took; 0 if the tree was there
}

// Dir returns the folder of the sandbox: CALLPLANE_SANDBOX, or /var/cache/callplane/sandbox.
func Dir() string {
	if dir := os.Getenv("CALLPLANE_SANDBOX"); dir != "" {
		return dir
	}
	return "/var/cache/callplane/sandbox"
}

// Version returns the version of a package in the tree, such as "asterisk" or "mysql-server-core", or "" if unknown.
func (t Tree) Version(name string) string {
	list, _ := os.ReadFile(filepath.Join(t.Dir, "packages.txt"))
	for line := range strings.Lines(string(list)) {
		if pkg, version, _ := strings.Cut(strings.TrimSpace(line), " "); pkg == name {
			return version
		}
	}
	return ""
}

// Prepare returns the tree, and builds it first if it is not there. Of several processes that call it at the same time
// one builds and the others wait. What it does goes to log, which may be nil.
func Prepare(ctx context.Context, log io.Writer) (Tree, error) {
	if log == nil {
		log = io.Discard
	}
	tree := treeAt(filepath.Join(Dir(), "tree-"+hash()))
	if tree.ready() {
		return tree, nil
	}
	if os.Geteuid() != 0 {
		return Tree{}, errors.New("sandbox: needs root, for chroot and mount namespaces")
	}
	if err := os.MkdirAll(Dir(), 0o755); err != nil {
		return Tree{}, fmt.Errorf("sandbox: %w", err)
	}
	lock, err := waitLock(ctx, filepath.Join(Dir(), "lock"))
	if err != nil {
		return Tree{}, fmt.Errorf("sandbox: wait for another process that builds: %w", err)
	}
	defer lock.Close()
	if tree.ready() { // the other process built it
		return tree, nil
	}
	start := time.Now()
	// Names that end in ".new" are what a killed process left behind; we hold the lock, so nobody works on them.
	left, _ := filepath.Glob(filepath.Join(Dir(), "*.new"))
	for _, dir := range left {
		os.RemoveAll(dir)
	}
	work := treeAt(tree.Dir + ".new")
	defer os.RemoveAll(work.Dir)
	if err := work.build(ctx, log); err != nil {
		return Tree{}, fmt.Errorf("sandbox: %w", err)
	}
	if err := os.Rename(work.Dir, tree.Dir); err != nil {
		return Tree{}, fmt.Errorf("sandbox: %w", err)
	}
	dropOthers(tree)
	tree.Built = time.Since(start)
	fmt.Fprintf(log, "sandbox: built %s in %.1f s\n", tree.Dir, tree.Built.Seconds())
	return tree, nil
}

// dropOthers removes the trees of older recipes, unless an instance still runs from one.
func dropOthers(keep Tree) {
	running, err := List()
	if err != nil {
		return
	}
	used := map[string]bool{keep.Dir: true}
	for _, info := range running {
		used[info.Tree] = true
	}
	trees, _ := filepath.Glob(filepath.Join(Dir(), "tree-*"))
	for _, dir := range trees {
		if !used[dir] {
			os.RemoveAll(dir)
		}
	}
}

// treeAt names the parts of a tree.
func treeAt(dir string) Tree {
	return Tree{
		Dir:      dir,
		Asterisk: filepath.Join(dir, "asterisk"),
		MySQL:    filepath.Join(dir, "mysql"),
		Data:     filepath.Join(dir, "mysql-data"),
	}
}

// hash names the recipe: another list of packages makes another tree.
func hash() string {
	parts := []string{recipe, runtime.GOARCH, AsteriskSuite, MySQLSuite}
	parts = append(parts, docker.AsteriskPackages()...)
	parts = append(parts, "/")
	parts = append(parts, docker.MySQLPackages()...)
	parts = append(parts, mysqld...)
	sum := sha256.Sum256([]byte(strings.Join(parts, "\n")))
	return hex.EncodeToString(sum[:6])
}

// ready tells whether the tree is complete. It is renamed into place as a whole, so being there is enough.
func (t Tree) ready() bool {
	_, err := os.Stat(t.Dir)
	return err == nil
}

// build fills the tree, Asterisk and MySQL side by side.
func (t Tree) build(ctx context.Context, log io.Writer) error {
	if err := os.MkdirAll(t.Dir, 0o755); err != nil {
		return err
	}
	src := hostSource()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	out := &sharedLog{w: log}
	done := make(chan error)
	start := func(part func(context.Context) error) {
		go func() { // both are received below
			err := part(ctx)
			if err != nil {
				cancel(err) // no need to finish the other
			}
			done <- err
		}()
	}
	start(func(ctx context.Context) error {
		return install(ctx, out, src, AsteriskSuite, t.Asterisk, docker.AsteriskPackages())
	})
	start(func(ctx context.Context) error {
		if err := install(ctx, out, src, MySQLSuite, t.MySQL, docker.MySQLPackages()); err != nil {
			return err
		}
		return initMySQL(ctx, out, t.MySQL, t.Data)
	})
	if err1, err2 := <-done, <-done; err1 != nil || err2 != nil {
		return context.Cause(ctx) // the first that failed
	}
	// Prompts in the place where Asterisk looks for English; Debian's package does it in its install script.
	sounds := filepath.Join(t.Asterisk, "usr/share/asterisk/sounds")
	if _, err := os.Stat(filepath.Join(sounds, "en")); err != nil {
		if err := os.Symlink("en_US_f_Allison", filepath.Join(sounds, "en")); err != nil {
			return err
		}
	}
	return t.listPackages()
}

// listPackages writes down which versions the tree is made of.
func (t Tree) listPackages() error {
	var all bytes.Buffer
	for _, root := range []string{t.Asterisk, t.MySQL} {
		list, err := os.ReadFile(filepath.Join(root, "packages.txt"))
		if err != nil {
			return err
		}
		all.Write(list)
	}
	return os.WriteFile(filepath.Join(t.Dir, "packages.txt"), all.Bytes(), 0o644)
}

// source is the Debian archive that the host itself uses.
type source struct {
	uri     string
	options string // such as "signed-by=/usr/share/keyrings/debian-archive-keyring.gpg"
}

// hostSource finds the archive in the host's own list of sources: the entry that carries the component main of the
// release the host runs. Other entries (security, updates, other vendors) have other suites.
func hostSource() source {
	src := source{uri: "http://deb.debian.org/debian"}
	if ring := "/usr/share/keyrings/debian-archive-keyring.gpg"; exists(ring) {
		src.options = "signed-by=" + ring
	}
	release := "stable"
	osRelease, _ := os.ReadFile("/etc/os-release")
	debian := false
	for line := range strings.Lines(string(osRelease)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		value = strings.Trim(value, `"`)
		switch key {
		case "VERSION_CODENAME":
			release = value
		case "ID":
			debian = value == "debian"
		}
	}
	if !debian { // the host's mirror is not Debian's
		return src
	}
	files, _ := filepath.Glob("/etc/apt/sources.list.d/*")
	for _, name := range append([]string{"/etc/apt/sources.list"}, files...) {
		text, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		var uri string
		switch filepath.Ext(name) {
		case ".list":
			uri = listURI(string(text), release)
		case ".sources":
			uri = deb822URI(string(text), release)
		}
		if uri != "" {
			src.uri = uri
			return src
		}
	}
	return src
}

// listURI reads the older, one-line form: deb [options] uri suite components.
func listURI(text, release string) string {
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		if open := strings.Index(line, "["); open >= 0 {
			if end := strings.Index(line, "]"); end > open {
				line = line[:open] + line[end+1:]
			}
		}
		f := strings.Fields(line)
		if len(f) >= 4 && f[0] == "deb" && f[2] == release && slices.Contains(f[3:], "main") {
			return f[1]
		}
	}
	return ""
}

// deb822URI reads the newer form: paragraphs of "Field: value".
func deb822URI(text, release string) string {
	for para := range strings.SplitSeq(text, "\n\n") {
		fields := map[string][]string{}
		for line := range strings.Lines(para) {
			if key, value, ok := strings.Cut(line, ":"); ok && !strings.HasPrefix(line, "#") {
				fields[strings.ToLower(key)] = strings.Fields(value)
			}
		}
		if slices.Contains(fields["types"], "deb") && slices.Contains(fields["suites"], release) &&
			slices.Contains(fields["components"], "main") && len(fields["uris"]) > 0 {
			return fields["uris"][0]
		}
	}
	return ""
}

// install puts the packages and all they need into root, without running their install scripts. The host's apt does the
// choosing and checking; it believes that nothing is installed yet, and keeps its notes in a folder of ours.
func install(ctx context.Context, log io.Writer, src source, suite, root string, packages []string) error {
	apt := root + ".apt"
	defer os.RemoveAll(apt)
	debs := filepath.Join(apt, "archives")
	for _, dir := range []string{apt + "/lists/partial", debs + "/partial", root} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	options := src.options
	if options != "" {
		options = "[" + options + "] "
	}
	list := fmt.Sprintf("deb %s%s %s main\n", options, src.uri, suite)
	for name, text := range map[string]string{"sources.list": list, "status": ""} {
		if err := os.WriteFile(filepath.Join(apt, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	args := []string{
		"-qq", "-y",
		"-o", "Dir::Etc::sourcelist=" + apt + "/sources.list",
		"-o", "Dir::Etc::sourceparts=/dev/null",
		"-o", "Dir::Etc::preferences=/dev/null",
		"-o", "Dir::Etc::preferencesparts=/dev/null",
		"-o", "Dir::State::status=" + apt + "/status",
		"-o", "Dir::State::extended_states=" + apt + "/extended_states",
		"-o", "Dir::State::lists=" + apt + "/lists",
		"-o", "Dir::Cache::archives=" + debs,
		"-o", "Dir::Cache::pkgcache=",
		"-o", "Dir::Cache::srcpkgcache=",
		"-o", "Dir::Log=" + apt,
		"-o", "Acquire::Check-Valid-Until=false", // a mirror's copy of sid may be past its date
		"-o", "Acquire::Languages=none",
		"-o", "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
		"-o", "APT::Install-Recommends=false",
		"-o", "APT::Update::Post-Invoke-Success=",
		"-o", "Debug::NoLocking=true",
	}
	fmt.Fprintf(log, "sandbox: fetch %s from Debian %s\n", strings.Join(packages, ", "), suite)
	if err := run(ctx, "apt-get", append(args, "update")...); err != nil {
		return err
	}
	args = append(args, "--download-only", "install", "base-files")
	if err := run(ctx, "apt-get", append(args, packages...)...); err != nil {
		return err
	}
	found, err := filepath.Glob(filepath.Join(debs, "*.deb"))
	if err != nil || len(found) == 0 {
		return fmt.Errorf("install %v: apt downloaded nothing (%v)", packages, err)
	}
	fmt.Fprintf(log, "sandbox: unpack %d packages into %s\n", len(found), root)
	// base-files first: it makes /bin, /sbin and /lib the links that the others rely on.
	for i, deb := range found {
		if strings.HasPrefix(filepath.Base(deb), "base-files_") {
			found[0], found[i] = found[i], found[0]
		}
	}
	var versions bytes.Buffer
	for _, deb := range found {
		if err := run(ctx, "dpkg-deb", "--extract", deb, root); err != nil {
			return err
		}
		// The file is called name_version_architecture.deb, with %3a for a colon.
		name, rest, _ := strings.Cut(filepath.Base(deb), "_")
		version, _, _ := strings.Cut(rest, "_")
		fmt.Fprintf(&versions, "%s %s\n", name, strings.ReplaceAll(version, "%3a", ":"))
	}
	for _, dir := range []string{"doc", "man", "locale", "info"} { // nobody reads them here
		os.RemoveAll(filepath.Join(root, "usr/share", dir))
	}
	for _, dir := range []string{"dev", "proc", "run", "tmp", "etc", "var"} { // instances mount their own here
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(root, "packages.txt"), versions.Bytes(), 0o644)
}

// sharedLog is a log that two commands may write to at the same time.
type sharedLog struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *sharedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// run runs a command of the host. What it says is of interest only if it fails.
func run(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, last(string(out), 10))
	}
	return nil
}

// last returns the last n lines of text.
func last(text string, n int) string {
	all := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(all[max(0, len(all)-n):], "\n")
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// waitLock takes the lock file, and waits for it as long as ctx allows. Closing the file lets go of it.
func waitLock(ctx context.Context, path string) (*os.File, error) {
	for {
		f, err := tryLock(path)
		if err == nil || !errors.Is(err, errLocked) {
			return f, err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

var errLocked = errors.New("locked by another process")

// tryLock takes the lock file, or returns errLocked. Who holds the lock may remove the file.
func tryLock(path string) (*os.File, error) {
	for {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
		if err != nil {
			return nil, err
		}
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			f.Close()
			if errors.Is(err, syscall.EWOULDBLOCK) {
				return nil, errLocked
			}
			return nil, err
		}
		mine, err := f.Stat()
		if err != nil {
			f.Close()
			return nil, err
		}
		if now, err := os.Stat(path); err == nil && os.SameFile(mine, now) {
			return f, nil
		}
		f.Close() // removed by the one who held it before us: try with the new file
	}
}
