package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"callplane/app"
	"callplane/app/kernel/auth"
	"callplane/app/kernel/db"
	"callplane/app/user"
)

func adminCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "admin", Short: "Create or reset a user, make an API key; works on the database, also without a server"}
	var config func() (app.Config, error)
	// open gives the users' service on the configured database.
	open := func(cmd *cobra.Command) (*user.Service, error) {
		cfg, err := config()
		if err != nil {
			return nil, err
		}
		d, err := app.OpenDatabase(cmd.Context(), cfg)
		if err != nil {
			return nil, err
		}
		if err := db.Migrate(cmd.Context(), d); err != nil {
			return nil, err
		}
		return app.OpenUsers(cfg, d), nil
	}
	reset := &cobra.Command{
		Use: "reset LOGIN", Short: "Give a user a new random password, and unlock them", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			users, err := open(cmd)
			if err != nil {
				return err
			}
			password, err := users.ResetPassword(auth.System(cmd.Context()), args[0])
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s may sign in with the password %s — it is shown only now, and must be changed.\n", args[0], password)
			return nil
		},
	}
	var name, role string
	create := &cobra.Command{
		Use: "create LOGIN", Short: "Create a user in the first tenant, with a random password", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			users, err := open(cmd)
			if err != nil {
				return err
			}
			if name == "" {
				name = args[0]
			}
			password, err := app.CreateUser(cmd.Context(), users, args[0], name, role)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s may sign in with the password %s — it is shown only now, and must be changed.\n", args[0], password)
			return nil
		},
	}
	create.Flags().StringVar(&name, "name", "", "the person's name")
	create.Flags().StringVar(&role, "role", "admin", "role: admin, supervisor, agent, auditor, integrator …")
	var days int
	key := &cobra.Command{
		Use: "key NAME", Short: "Make an API key with all permissions in the first tenant", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			users, err := open(cmd)
			if err != nil {
				return err
			}
			token, err := app.CreateKey(cmd.Context(), users, args[0], time.Duration(days)*24*time.Hour)
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), token)
			return nil
		},
	}
	key.Flags().IntVar(&days, "days", 90, "days until it expires")
	cmd.AddCommand(reset, create, key)
	for _, sub := range cmd.Commands() {
		load := settings(sub)
		run := sub.RunE
		sub.RunE = func(cmd *cobra.Command, args []string) error {
			config = load
			return run(cmd, args)
		}
	}
	return cmd
}
