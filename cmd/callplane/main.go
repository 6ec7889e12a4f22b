// Command callplane is the whole platform: the server, and what an operator needs on the command line.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"callplane/app"
)

// version is set when building.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := rootCommand().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "callplane:", err)
		os.Exit(1)
	}
}

// rootCommand is the whole command line.
func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use: "callplane", Short: "Open-source call centre: the control plane", SilenceUsage: true, SilenceErrors: true, Version: version,
	}
	root.AddCommand(serveCommand(), migrateCommand(), doctorCommand(), adminCommand(), callCommand(), agentCommand(), versionCommand())
	return root
}

// settings adds --config, and returns what reads the settings in force.
func settings(cmd *cobra.Command) func() (app.Config, error) {
	path := cmd.Flags().StringP("config", "c", env("CALLPLANE_CONFIG", ""), "YAML file with settings (CALLPLANE_CONFIG)")
	return func() (app.Config, error) { return app.Load(*path, os.Environ()) }
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) {
			text := "callplane " + version
			if info, ok := debug.ReadBuildInfo(); ok {
				text += " " + info.GoVersion
			}
			fmt.Fprintln(cmd.OutOrStdout(), text)
		},
	}
}
