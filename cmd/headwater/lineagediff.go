package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/headwaterhq/headwater/client"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

func newLineageDiff(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "diff RUN RUN", Short: "Show what changed from one run of a view to another", Args: takes(2, 2, "RUN RUN"),
		Long: `Shows what is not the same of two runs of a view, of whatever versions of it: its definition, what was read, settings and versions of what
computed it, counts of rows, checks, and the result. A RUN is an id or VIEW@VERSION/SEQ. When a run was and how long it took is no difference.`,
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, args []string) error {
			d, err := c.Lineage.DiffRuns(cmd.Context(), &headwaterv1.DiffRunsRequest{
				A: strings.TrimPrefix(args[0], "run:"), B: strings.TrimPrefix(args[1], "run:"),
			})
			if err != nil {
				return err
			}
			for _, line := range d.LeftOut {
				a.notef("not compared: %s", line)
			}
			switch {
			case len(d.Changes) > 0:
			case d.A == d.B:
				a.notef("both are run %s", d.A)
			default:
				a.notef("nothing differs between run %s and run %s", d.A, d.B)
			}
			if a.output != "table" {
				t := table{header: []string{"ABOUT", "NAME", "A", "B"}}
				for _, c := range d.Changes {
					t.add(c.About, c.Name, c.A, c.B)
				}
				return a.print(d, t)
			}
			return printRunDiff(a.out, d)
		}),
	}
}

// printRunDiff prints a table of what differs in each respect, and texts of several lines line by line.
func printRunDiff(out io.Writer, d *headwaterv1.DiffRunsResponse) error {
	about := ""
	for i := 0; i < len(d.Changes); {
		c := d.Changes[i]
		if c.About != about {
			if about != "" {
				fmt.Fprintln(out)
			}
			about = c.About
			fmt.Fprintln(out, about)
		}
		if ofLines(c) {
			fmt.Fprintf(out, "  %s\n", c.Name)
			for _, line := range feature.DiffLines(c.A, c.B) {
				// White space at the beginning of a line of SQL is kept.
				fmt.Fprintln(out, strings.TrimRight("    "+printable(line), " "))
			}
			i++
			continue
		}
		t := table{header: []string{"", d.A, d.B}}
		for ; i < len(d.Changes) && d.Changes[i].About == about && !ofLines(d.Changes[i]); i++ {
			t.add(d.Changes[i].Name, d.Changes[i].A, d.Changes[i].B)
		}
		if err := t.write(out, "  "); err != nil {
			return err
		}
	}
	return nil
}

func ofLines(c *headwaterv1.RunChange) bool {
	return strings.ContainsRune(c.A+c.B, '\n') || c.Name == "sql.query"
}
