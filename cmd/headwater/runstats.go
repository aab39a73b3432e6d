package main

import (
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

func newRunStats(a *app) *cobra.Command {
	var views []string
	var since string
	cmd := &cobra.Command{
		Use:   "stats",
		Short: "Show how reliable the runs of each view are",
		Long: `Shows for each view version, over the runs that ended since a time: the share of them that were published, the mean time
from a first failure to the next published run, how much of the time the newest run was as fresh as the view's sources and
schedule demand, how long runs took, and why the last failed one did.`,
		Args: takesNone,
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			req := &headwaterv1.RunStatsRequest{Views: views}
			if since != "" {
				var err error
				if req.Since, err = parseTime("since", since); err != nil {
					return err
				}
			}
			stats, err := c.Materialization.RunStats(cmd.Context(), req)
			if err != nil {
				return err
			}
			return a.print(stats, statsTable(stats.Views))
		}),
	}
	cmd.Flags().StringArrayVar(&views, "view", nil, "of this view only, NAME or NAME@VERSION; may be repeated")
	cmd.Flags().StringVar(&since, "since", "", "over runs that ended at this time or later, as 2026-01-31T00:00:00Z (default: 30 days ago)")
	return cmd
}

func statsTable(stats []*headwaterv1.ViewStats) table {
	t := table{header: []string{"VIEW", "PUBLISHED#", "FAILED#", "CANCELLED#", "SUCCESS#", "RECOVERY#", "FRESH#", "MEDIAN#", "P95#",
		"READ#", "QUARANTINED#", "LAST PUBLISHED", "LAST ERROR"}}
	for _, s := range stats {
		t.add(s.View+"@"+number(s.ViewVersion), number(s.Published), number(s.Failed), number(s.Cancelled), percent(s.SuccessRate),
			inSeconds(s.RecoverSeconds), percent(s.FreshnessKept), inSeconds(s.DurationMedianSeconds), inSeconds(s.DurationP95Seconds),
			number(s.RowsRead), number(s.RowsQuarantined), moment(s.LastPublishedAt), s.LastError)
	}
	return t
}

// percent is a share with one digit, or nothing where there is none.
func percent(share *float64) string {
	if share == nil {
		return ""
	}
	return strconv.FormatFloat(100**share, 'f', 1, 64) + "%"
}

func inSeconds(s *float64) string {
	if s == nil {
		return ""
	}
	return duration(time.Duration(*s * float64(time.Second)))
}
