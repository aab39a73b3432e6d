package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

func newGC(a *app) *cobra.Command {
	var olderThan string
	request := &headwaterv1.CollectHistoryRequest{}
	cmd := &cobra.Command{
		Use: "gc [VIEW…]", Short: "Delete history that was corrected or withdrawn long ago, and that no dataset reads", Args: takes(0, 0, "[VIEW…]"),
		Long: `Deletes rows of the history of each VIEW, a NAME (all its versions) or NAME@VERSION, that a run ended longer ago than
--older-than; without a VIEW, of all views. Rows that a kept dataset reads stay. Live rows always stay: what is read now does not
change. A state of the data of before then can be asked for no longer, and runs of before then can be verified no longer.

Profiles of runs of before then are deleted too, and without a VIEW those of datasets that were deleted and that no model was trained on. Baselines
stay.

A collection waits for the run of a view that is at work. It may be interrupted and done again at any time.`,
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, views []string) error {
			request.Views = views
			if olderThan != "" {
				d, ok := parseAge(olderThan)
				if !ok {
					return usagef("found --older-than %s, expected a number of days or a duration, such as 90d or 36h", olderThan)
				}
				request.OlderThan = durationpb.New(d)
			}
			collected, err := c.Retention.CollectHistory(cmd.Context(), request)
			if err != nil {
				return err
			}
			rows := "COLLECTED#"
			if request.DryRun {
				rows = "WOULD COLLECT#"
			}
			t := table{header: []string{"VIEW", "READABLE FROM", rows, "PROTECTED#"}}
			for _, v := range collected.GetViews() {
				view := fmt.Sprintf("%s@%d", v.GetView(), v.GetVersion())
				t.add(view, fmt.Sprintf("run:%s/%d", view, max(v.GetHorizonSeq(), 1)), number(v.GetRowsCollected()), number(v.GetRowsProtected()))
			}
			if n := collected.GetProfilesCollected(); n > 0 {
				verb := "collected"
				if request.DryRun {
					verb = "would collect"
				}
				a.notef("%s %s of what is gone", verb, counted(n, "profile"))
			}
			return a.print(collected, t)
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&olderThan, "older-than", "", "how long ago a row ended, such as 90d or 36h (default: as the server is configured)")
	flags.BoolVar(&request.DryRun, "dry-run", false, "say what would be deleted, and delete nothing")
	return cmd
}

// parseAge reads `90d`, or a duration as Go writes it, that is not negative.
func parseAge(s string) (time.Duration, bool) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		const day = 24 * time.Hour
		n, err := strconv.Atoi(days)
		return time.Duration(n) * day, err == nil && n >= 0 && n <= int(math.MaxInt64/day)
	}
	d, err := time.ParseDuration(s)
	return d, err == nil && d >= 0
}
