package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

func newQuarantine(a *app) *cobra.Command {
	return group("quarantine", "Rows that expectations set aside", newQuarantineList(a), newQuarantineShow(a), newQuarantineReplay(a))
}

func newQuarantineList(a *app) *cobra.Command {
	request := &headwaterv1.ListQuarantineRequest{}
	cmd := &cobra.Command{
		Use: "list", Short: "Count the rows that runs set aside, by reason, newest run first", Args: takesNone,
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			groups, err := c.Quarantine.ListQuarantine(cmd.Context(), request)
			if err != nil {
				return err
			}
			t := table{header: []string{"RUN#", "NAME", "OF", "REASON", "ROWS#", "AT"}}
			for _, g := range groups.Groups {
				name := g.Run
				if name == "" {
					name = g.View + "@" + number(g.ViewVersion)
				}
				t.add(number(g.RunId), name, g.Subject, g.Reason, number(g.Rows), moment(g.QuarantinedAt))
			}
			return a.print(groups, t)
		}),
	}
	cmd.Flags().StringVar(&request.View, "view", "", "of this view only, NAME or NAME@VERSION")
	cmd.Flags().StringVar(&request.Source, "source", "", "rows of this source only")
	cmd.Flags().StringVar(&request.Run, "run", "", "of this run only, an id or VIEW@VERSION/SEQ")
	cmd.Flags().Int32Var(&request.PageSize, "limit", 50, "how many, at most 1000; those of one run are never parted")
	return cmd
}

func newQuarantineShow(a *app) *cobra.Command {
	request := &headwaterv1.ShowQuarantineRequest{}
	cmd := &cobra.Command{
		Use: "show RUN", Short: "Show the rows that a run set aside, with all their reasons", Args: takes(1, 1, "RUN"),
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, args []string) error {
			request.Run = strings.TrimPrefix(args[0], "run:")
			rows, err := c.Quarantine.ShowQuarantine(cmd.Context(), request)
			if err != nil {
				return err
			}
			t := table{header: []string{"ID#", "OF", "REASONS", "LOAD#", "PLACE#", "EVENT TIME", "ROW"}}
			for _, r := range rows.Rows {
				load, place := "", ""
				if r.LoadId > 0 {
					load, place = number(r.LoadId), number(r.RowNumber)
				}
				t.add(number(r.Id), r.Subject, strings.Join(r.Reasons, ", "), load, place, instant(r.EventTime), r.RowJson)
			}
			if rows.Hidden > 0 {
				a.notef("%d rows more are of sources, or of output, that you may not read offline", rows.Hidden)
			}
			return a.print(rows, t)
		}),
	}
	cmd.Flags().StringVar(&request.Subject, "subject", "", "rows of this subject only: source:NAME or output")
	cmd.Flags().StringVar(&request.Reason, "reason", "", "rows that failed this expectation only")
	cmd.Flags().Int64Var(&request.AfterId, "after", 0, "rows after this id, for the next page")
	cmd.Flags().Int32Var(&request.PageSize, "limit", 50, "how many, at most 1000")
	return cmd
}

func newQuarantineReplay(a *app) *cobra.Command {
	request := &headwaterv1.ReplayQuarantineRequest{}
	var wait bool
	cmd := &cobra.Command{
		Use: "replay [RUN]", Short: "Run a view again over the time of its rows that are set aside", Args: takes(0, 1, "RUN"),
		Long: `Queues a run over the interval in which the rows lie that are set aside now: those of RUN, or with --view all of the view's. Rows that meet
the expectations as they are today come in, and those that were corrected; the others are set aside again.`,
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, args []string) error {
			if len(args) == 1 {
				request.Run = strings.TrimPrefix(args[0], "run:")
			}
			queued, err := c.Quarantine.ReplayQuarantine(cmd.Context(), request)
			if err != nil {
				return err
			}
			runs := &headwaterv1.MaterializeResponse{Runs: []*headwaterv1.Run{queued.Run}}
			if !wait {
				a.notef("queued; `headwater runs list` says how it ends")
				return a.print(queued, runTable(runs.Runs))
			}
			ended, err := a.watch(cmd.Context(), c, queued.Run)
			if err != nil {
				return err
			}
			runs.Runs[0] = ended
			if a.output == "table" {
				err = a.printRuns(runs.Runs)
			} else {
				err = a.print(runs, runTable(runs.Runs))
			}
			if err != nil {
				return err
			}
			return failureOf(runs.Runs)
		}),
	}
	cmd.Flags().StringVar(&request.View, "view", "", "all rows of this view, NAME or NAME@VERSION, that are set aside")
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until the run has ended and the online store holds what it wrote")
	return cmd
}
