package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"callplane/app/call"
)

func callCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "call", Short: "Place, list and explain calls of a running server"}
	c := api(cmd)
	var asJSON bool
	cmd.PersistentFlags().BoolVar(&asJSON, "json", false, "print JSON")

	var agentID, from string
	dial := &cobra.Command{
		Use: "dial NUMBER", Short: "Call a number for an agent, whose phone rings first", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var live call.Live
			body := map[string]string{"to": args[0], "agent": agentID, "from": from}
			if err := c.do(cmd.Context(), http.MethodPost, "/call/calls", body, &live); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s\n", live.ID)
			return nil
		},
	}
	dial.Flags().StringVar(&agentID, "agent", "", "id of the agent")
	dial.Flags().StringVar(&from, "from", "", "calling number to show")

	list := &cobra.Command{
		Use: "list", Short: "List live calls, or past ones with --past", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			past, err := cmd.Flags().GetBool("past")
			if err != nil {
				return err
			}
			if past {
				return listPast(cmd, c, asJSON)
			}
			var calls []call.Live
			if err := c.do(cmd.Context(), http.MethodGet, "/call/live", nil, &calls); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), calls)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 2, 2, ' ', 0)
			fmt.Fprintln(w, "ID\tSTATE\tFROM\tTO\tQUEUE\tAGENT\tSINCE")
			for _, l := range calls {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", l.ID, l.State, l.From, l.To, l.QueueName, l.AgentName, l.Started.Local().Format(time.TimeOnly))
			}
			return w.Flush()
		},
	}
	list.Flags().Bool("past", false, "the last 50 calls that have ended")

	show := &cobra.Command{
		Use: "show ID", Short: "Show one call's timeline: what happened, and why", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var d call.Detail
			if err := c.do(cmd.Context(), http.MethodGet, "/call/calls/"+url.PathEscape(args[0]), nil, &d); err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), d)
			}
			return printTimeline(cmd.OutOrStdout(), d)
		},
	}
	hangup := &cobra.Command{
		Use: "hangup ID", Short: "End a live call", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.do(cmd.Context(), http.MethodPost, "/call/calls/"+url.PathEscape(args[0])+"/hangup", nil, nil)
		},
	}
	cmd.AddCommand(dial, list, show, hangup)
	return cmd
}

func listPast(cmd *cobra.Command, c *client, asJSON bool) error {
	var page struct{ Items []call.Row }
	if err := c.do(cmd.Context(), http.MethodGet, "/call/calls", nil, &page); err != nil {
		return err
	}
	if asJSON {
		return printJSON(cmd.OutOrStdout(), page.Items)
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 2, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tSTARTED\tFROM\tTO\tQUEUE\tAGENT\tTALK\tEND")
	for _, r := range page.Items {
		talk := time.Duration(r.TalkMs) * time.Millisecond
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, r.StartedAt.Local().Format(time.DateTime), r.FromNumber, r.ToNumber, r.QueueName,
			r.AgentName, talk.Round(time.Second), r.EndReason)
	}
	return w.Flush()
}

// printTimeline prints a call the way a person reads it.
func printTimeline(out io.Writer, d call.Detail) error {
	if d.Call != nil {
		r := d.Call
		fmt.Fprintf(out, "%s  %s → %s  %s\n", r.ID, r.FromNumber, r.ToNumber, r.Service)
		fmt.Fprintf(out, "ended: %s (%s), released by %s; waited %s, talked %s\n\n", r.EndReason, r.EndClass, r.ReleasedBy,
			time.Duration(r.WaitMs)*time.Millisecond, time.Duration(r.TalkMs)*time.Millisecond)
	} else if d.Live != nil {
		fmt.Fprintf(out, "%s  %s → %s  is %s\n\n", d.Live.ID, d.Live.From, d.Live.To, d.Live.State)
	}
	w := tabwriter.NewWriter(out, 0, 2, 2, ' ', 0)
	var start time.Time
	for _, m := range d.Timeline {
		if start.IsZero() {
			start = m.At
		}
		var parts []string
		for _, key := range slices.Sorted(maps.Keys(m.Data)) {
			text, err := json.Marshal(m.Data[key])
			if err != nil {
				return err
			}
			if s := string(text); s != `""` && s != "null" && len(s) < 100 {
				parts = append(parts, key+"="+strings.Trim(s, `"`))
			}
		}
		fmt.Fprintf(w, "%s\t+%.3f\t%s\t%s\n", m.At.Local().Format("15:04:05.000"), m.At.Sub(start).Seconds(), m.What, strings.Join(parts, " "))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, o := range d.Offers {
		fmt.Fprintf(out, "offer to %s: %s after %d ms; why %s\n", o.AgentName, o.Result, o.RingMs, o.Why.V)
	}
	return nil
}

func printJSON(out io.Writer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
