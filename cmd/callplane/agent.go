package main

import (
	"fmt"
	"net/http"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"callplane/app/agent"
)

func agentCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "agent", Short: "Sign agents in and out, and show their states"}
	c := api(cmd)
	states := &cobra.Command{
		Use: "list", Short: "Show all agents and their states", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var agents []agent.Presence
			if err := c.do(cmd.Context(), http.MethodGet, "/agent/agents", nil, &agents); err != nil {
				return err
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 2, 2, ' ', 0)
			fmt.Fprintln(w, "ID\tNAME\tPHONE\tSTATE\tREASON\tFOR\tCALL")
			for _, p := range agents {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", p.Agent, p.Name, p.Phone, p.State, p.Reason, time.Since(p.Since).Round(time.Second), p.Call)
			}
			return w.Flush()
		},
	}
	var phone string
	var ready bool
	in := &cobra.Command{
		Use: "sign-in", Short: "Sign in, as the agent whose token is given", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var p agent.Presence
			err := c.do(cmd.Context(), http.MethodPost, "/agent/sign-in", map[string]any{"phone": phone, "ready": ready}, &p)
			return printState(cmd, p, err)
		},
	}
	in.Flags().StringVar(&phone, "phone", "", "name of the phone; without it, the usual one")
	in.Flags().BoolVar(&ready, "ready", true, "take calls at once")
	out := &cobra.Command{
		Use: "sign-out", Short: "Sign out", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var p agent.Presence
			return printState(cmd, p, c.do(cmd.Context(), http.MethodPost, "/agent/sign-out", nil, &p))
		},
	}
	var reason, of string
	set := &cobra.Command{
		Use: "set ready|break|not_ready|logged_out", Short: "Set one's own state, or with --agent another's", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := "/agent/state"
			if of != "" {
				path = "/agent/agents/" + of + "/state"
			}
			var p agent.Presence
			err := c.do(cmd.Context(), http.MethodPost, path, map[string]string{"state": args[0], "reason": reason}, &p)
			return printState(cmd, p, err)
		},
	}
	set.Flags().StringVar(&reason, "reason", "", "code of the break reason")
	set.Flags().StringVar(&of, "agent", "", "id of another agent")
	cmd.AddCommand(states, in, out, set)
	return cmd
}

func printState(cmd *cobra.Command, p agent.Presence, err error) error {
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is %s on phone %s\n", p.Name, p.State, p.Phone)
	return err
}
