package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"callplane/app"
	"callplane/app/kernel/db"
)

func serveCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "serve", Short: "Run the platform", Args: cobra.NoArgs}
	config := settings(cmd)
	show := cmd.Flags().Bool("print-config", false, "print the settings in force, secrets hidden, and end")
	demo := cmd.Flags().String("demo", "", "on an empty installation set up a demo centre, and write how to get in to this file")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := config()
		if err != nil {
			return err
		}
		if *show {
			return cfg.Print(cmd.OutOrStdout())
		}
		return serve(cmd.Context(), cfg, *demo, cmd.OutOrStdout())
	}
	return cmd
}

// serve runs until ctx is done.
func serve(ctx context.Context, cfg app.Config, demo string, out io.Writer) (err error) {
	p, err := app.Open(ctx, cfg, version)
	if err != nil {
		return err
	}
	defer func() {
		if closing := p.Close(); err == nil {
			err = closing
		}
	}()
	if demo != "" {
		if err := p.Demo(ctx, demo); err != nil {
			return err
		}
	}
	login, password, created, err := p.Users.EnsureAdmin(ctx)
	if err != nil {
		return err
	}
	if created {
		fmt.Fprintf(out, "First run. Sign in as %s with the password %s — it is shown only now, and must be changed.\n", login, password)
	}
	fmt.Fprintf(out, "callplane %s serves %s\n", version, p.Address())
	return p.Run(ctx)
}

func migrateCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "migrate", Short: "Bring the database to this version", Args: cobra.NoArgs}
	config := settings(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := config()
		if err != nil {
			return err
		}
		d, err := app.OpenDatabase(cmd.Context(), cfg)
		if err != nil {
			return err
		}
		if err := db.Migrate(cmd.Context(), d); err != nil {
			return err
		}
		fmt.Fprintln(cmd.OutOrStdout(), "The database is up to date.")
		return nil
	}
	return cmd
}
