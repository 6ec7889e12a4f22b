package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"callplane/app"
)

func doctorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "doctor", Short: "Check switch, database, ports, disk, clock and speech, and say how to mend what is wrong", Args: cobra.NoArgs,
	}
	config := settings(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := config()
		if err != nil {
			return err
		}
		bad := 0
		for _, f := range app.Doctor(cmd.Context(), cfg) {
			mark := "ok  "
			if f.Mend != "" {
				mark = "BAD "
				bad++
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s %-10s %s\n", mark, f.What, f.Found)
			if f.Mend != "" {
				fmt.Fprintf(cmd.OutOrStdout(), "     to mend: %s\n", f.Mend)
			}
		}
		if bad > 0 {
			return errors.New("something needs mending")
		}
		return nil
	}
	return cmd
}
