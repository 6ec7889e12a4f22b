// Command sandbox runs a real Asterisk and a real MySQL for trying things out, without Docker and without touching the
// host. See package app/sandbox.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"callplane/app/sandbox"
	"callplane/dialplans"
)

const usage = `sandbox runs a real Asterisk and MySQL on 127.0.0.1, without Docker and without touching the host.

	sandbox prepare                     build the tree (needed once; the others do it too)
	sandbox run asterisk [--name N]     run one in the foreground; a line of JSON says where it is when it is ready
	sandbox run mysql    [--name N]     (--help lists the ports and more)
	sandbox with mysql -- COMMAND       start a MySQL, run a command with CALLPLANE_TEST_MYSQL set to it, stop it
	sandbox list                        what runs now, a line of JSON each
	sandbox stop NAME                   stop one, whoever started it
	sandbox cli NAME "COMMAND"          run a command of the Asterisk console
	sandbox clean                       stop all, and remove the tree and all that was written
	sandbox config DIR                  write the Asterisk configuration, for an Asterisk of your own (--help)

It needs root and a host with apt. The files are in ` + "$CALLPLANE_SANDBOX (now %s).\n"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := command(ctx, os.Args[1:]); err != nil {
		if status, ok := errors.AsType[exitStatus](err); ok {
			os.Exit(int(status))
		}
		fmt.Fprintln(os.Stderr, strings.TrimPrefix(err.Error(), "sandbox: "))
		os.Exit(1)
	}
}

var errUsage = fmt.Errorf(usage, sandbox.Dir())

func command(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errUsage
	}
	switch verb, rest := args[0], args[1:]; {
	case verb == "prepare" && len(rest) == 0:
		tree, err := sandbox.Prepare(ctx, os.Stderr)
		if err == nil {
			fmt.Printf("%s: Asterisk %s, MySQL %s\n", tree.Dir, tree.Version("asterisk"), tree.Version("mysql-server-core"))
		}
		return err
	case verb == "run" && len(rest) > 0:
		return runServer(ctx, rest[0], rest[1:])
	case verb == "list" && len(rest) == 0:
		all, err := sandbox.List()
		for _, info := range all {
			show(info)
		}
		return err
	case verb == "stop" && len(rest) == 1:
		return sandbox.StopNamed(ctx, rest[0])
	case verb == "cli" && len(rest) > 1:
		out, err := sandbox.CLI(ctx, rest[0], strings.Join(rest[1:], " "))
		fmt.Print(out)
		return err
	case verb == "clean" && len(rest) == 0:
		return sandbox.Clean(ctx)
	case verb == "with":
		return with(ctx, rest)
	case verb == "config":
		return config(rest)
	}
	return errUsage
}

// server is what both kinds of instances can do.
type server interface {
	Info() sandbox.Info
	Done() <-chan struct{}
	Stop(context.Context) error
}

// runServer runs one in the foreground, until we are told to end or it ends by itself.
func runServer(ctx context.Context, kind string, args []string) error {
	flags := flag.NewFlagSet("run "+kind, flag.ExitOnError)
	name := flags.String("name", kind, "name of the instance")
	var start func() (server, error)
	switch kind {
	case "asterisk":
		o := sandbox.AsteriskOptions{}
		flags.IntVar(&o.SIPPort, "sip", 0, "SIP port, UDP and TCP (0: a free one)")
		flags.IntVar(&o.HTTPPort, "http", 0, "port of ARI and of the WebSocket (0: a free one)")
		flags.IntVar(&o.RTPStart, "rtp-start", 0, "first audio port (0: a thousand free ones)")
		flags.IntVar(&o.RTPEnd, "rtp-end", 0, "last audio port")
		flags.IntVar(&o.RecordingMiB, "recording-mib", 0, "give recordings a file system of their own, of so many MiB")
		flags.BoolVar(&o.Verbose, "verbose", false, "log every dialplan step")
		start = func() (server, error) { o.Name = *name; return sandbox.StartAsterisk(ctx, o) }
	case "mysql":
		o := sandbox.MySQLOptions{}
		flags.IntVar(&o.Port, "port", 0, "port (0: a free one)")
		start = func() (server, error) { o.Name = *name; return sandbox.StartMySQL(ctx, o) }
	default:
		return errUsage
	}
	flags.Parse(args)
	s, err := start()
	if err != nil {
		return err
	}
	show(s.Info())
	select {
	case <-ctx.Done():
	case <-s.Done():
		fmt.Fprintf(os.Stderr, "%s has ended\n", *name)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return s.Stop(ctx)
}

// config writes the Asterisk configuration and the music, as the Docker image does at each start. What is not given as
// a flag is taken from the environment, so that a compose file can say it.
func config(args []string) error {
	flags := flag.NewFlagSet("config DIR", flag.ExitOnError)
	var a dialplans.Asterisk
	flags.StringVar(&a.Bind, "bind", env("ASTERISK_BIND", "127.0.0.1"), "address to listen on")
	flags.IntVar(&a.SIPPort, "sip", 5060, "SIP port")
	flags.IntVar(&a.HTTPPort, "http", 8088, "port of ARI and of the WebSocket")
	flags.IntVar(&a.RTPStart, "rtp-start", 10000, "first audio port")
	flags.IntVar(&a.RTPEnd, "rtp-end", 10199, "last audio port")
	flags.StringVar(&a.User, "user", env("ARI_USER", "callplane"), "ARI user")
	flags.StringVar(&a.Password, "password", os.Getenv("ARI_PASSWORD"), "ARI password (better in the environment: ARI_PASSWORD)")
	flags.StringVar(&a.Country, "country", env("ASTERISK_COUNTRY", "us"), "whose tones: us, cn")
	flags.StringVar(&a.ExternalAddress, "external", os.Getenv("ASTERISK_EXTERNAL_ADDRESS"), "the address the world sees, behind NAT")
	music := flags.String("music", dialplans.MusicDir, "music on hold: each folder with something in it is a class")
	flags.Parse(args)
	if flags.NArg() != 1 {
		return errors.New("config: which folder? Usually /etc/asterisk")
	}
	for _, m := range []sandbox.Music{sandbox.DefaultMusic, sandbox.JazzMusic} {
		if own, _ := filepath.Glob(filepath.Join(*music, m.Class, "*")); len(own) > 0 {
			continue // somebody has put their own there
		}
		if err := m.WriteFile(*music); err != nil {
			return err
		}
	}
	sounds, err := filepath.Glob(filepath.Join(*music, "*", "*"))
	if err != nil {
		return err
	}
	for _, name := range sounds {
		if class := filepath.Base(filepath.Dir(name)); !slices.Contains(a.Music, class) {
			a.Music = append(a.Music, class)
		}
	}
	return dialplans.WriteAsterisk(flags.Arg(0), a)
}

// env returns a variable of the environment, or a default.
func env(name, value string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return value
}

// show writes one line of JSON.
func show(info sandbox.Info) {
	text, _ := json.Marshal(info) // plain strings and numbers
	fmt.Println(string(text))
}
