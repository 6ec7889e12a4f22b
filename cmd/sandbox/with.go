package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"callplane/app/kernel/db/dbtest"
	"callplane/app/sandbox"
)

// exitStatus ends the program with a command's own status; the command has said why.
type exitStatus int

// Error is for errors.As.
func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// with runs a command that needs a MySQL server: "with mysql -- go test ./...". The server is there as long as the command runs,
// and the environment variable that package dbtest reads names it.
func with(ctx context.Context, args []string) error {
	if len(args) < 3 || args[0] != "mysql" || args[1] != "--" {
		return errUsage
	}
	m, err := sandbox.StartMySQL(ctx, sandbox.MySQLOptions{})
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if err := m.Stop(ctx); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}()
	cmd := exec.CommandContext(ctx, args[2], args[3:]...)
	cmd.Env = append(os.Environ(), dbtest.Env+"="+m.DSN)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	err = cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() > 0 {
		return exitStatus(exit.ExitCode())
	}
	return err
}
