// Command demo runs a demo centre on a real Asterisk from the sandbox, and places calls through it.
//
//	demo up   --dir var     what `make run` does: Asterisk, Callplane and two agents' worth of settings, until interrupted
//	demo call --dir var     what `make demo-call` does, beside it: one call, caller and agent played by this program
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func command(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("usage: demo up|call [--dir var]")
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	dir := flags.String("dir", "var", "where the demo keeps its data")
	listen := flags.String("listen", "127.0.0.1:8080", "where Callplane serves HTTP")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	abs, err := filepath.Abs(*dir)
	if err != nil {
		return err
	}
	switch args[0] {
	case "up":
		return up(ctx, abs, *listen)
	case "call":
		return call(ctx, abs, os.Stdout)
	}
	return fmt.Errorf("unknown command %q", args[0])
}
