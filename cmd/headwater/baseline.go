package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

func newBaseline(a *app) *cobra.Command {
	list := &cobra.Command{
		Use: "list", Short: "List the baselines that hold", Args: takesNone,
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			r, err := c.Quality.ListBaselines(cmd.Context(), &headwaterv1.ListBaselinesRequest{})
			if err != nil {
				return err
			}
			return a.print(r, baselineTable(r.GetBaselines()))
		}),
	}
	show := &cobra.Command{
		Use: "show NAME", Short: "Show what a baseline is and was, newest first", Args: takes(1, 1, "NAME"),
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, args []string) error {
			r, err := c.Quality.GetBaseline(cmd.Context(), &headwaterv1.GetBaselineRequest{Name: args[0]})
			if err != nil {
				return err
			}
			return a.print(r, baselineTable(r.GetVersions()))
		}),
	}
	remove := &cobra.Command{
		Use: "remove NAME", Short: "Hold nothing to a baseline any longer", Args: takes(1, 1, "NAME"),
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, args []string) error {
			if _, err := c.Quality.RemoveBaseline(cmd.Context(), &headwaterv1.RemoveBaselineRequest{Name: args[0]}); err != nil {
				return err
			}
			a.notef("nothing is held to baseline %s any longer; `headwater baseline show %[1]s` shows what it was", args[0])
			return nil
		}),
	}
	return group("baseline", "Name profiles that runs, datasets and what is served are held to", newBaselineSet(a), list, show, remove)
}

func newBaselineSet(a *app) *cobra.Command {
	req := &headwaterv1.SetBaselineRequest{}
	cmd := &cobra.Command{
		Use: "set NAME NODE", Short: "Name the profile of a run or a dataset, so that others are held to it", Args: takes(2, 2, "NAME NODE"),
		Long: `Names the profile of NODE, run:VIEW@VERSION/SEQ or dataset:ID. From then on a version of a view, a service or a model is held to it, in the
place of the baseline that it had. The baseline keeps the profile itself, whatever becomes of the run or the dataset, but for an erasure, which takes values away
from it too. A model without a baseline is held to the dataset that it was trained on.`,
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, args []string) error {
			req.Name, req.Node = args[0], args[1]
			r, err := c.Quality.SetBaseline(cmd.Context(), req)
			if err != nil {
				return err
			}
			for _, was := range r.GetReplaced() {
				a.notef("in the place of baseline %s", was)
			}
			return a.print(r, baselineTable([]*headwaterv1.Baseline{r.GetBaseline()}))
		}),
	}
	cmd.Flags().StringVar(&req.Subject, "for", "", "what is held to it: view:NAME[@VERSION] for a run, service:NAME[@VERSION] or model:NAME[@VERSION] for a dataset (default: the view of the run, the service of the dataset)")
	cmd.Flags().StringVar(&req.Reason, "reason", "", "why")
	return cmd
}

func baselineTable(baselines []*headwaterv1.Baseline) table {
	t := table{header: []string{"BASELINE", "FOR", "OF", "ROWS#", "SET AT", "BY", "STATE", "REASON"}}
	for _, b := range baselines {
		state := "holds"
		if b.GetEndedAt() != nil {
			state = "ended at " + instant(b.GetEndedAt()) + " by " + b.GetEndedBy()
		}
		if b.GetErasedAt() != nil {
			state += ", erased at " + instant(b.GetErasedAt())
		}
		t.add(fmt.Sprintf("%s@%d", b.GetName(), b.GetVersion()), b.GetSubject(), b.GetNode(), number(b.GetRows()), instant(b.GetSetAt()), b.GetSetBy(), state, b.GetReason())
	}
	return t
}
