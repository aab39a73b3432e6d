package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

func newQuality(a *app) *cobra.Command {
	req := &headwaterv1.GetQualityRequest{}
	var since string
	cmd := &cobra.Command{
		Use: "quality [VIEW]", Short: "List how good the newest runs of views are, the worst first, or those of one view over time", Args: takes(0, 1, "[VIEW]"),
		Long: `Lists the newest version of each view with the score of its newest run, the worst first, and whose it is. A score is from 0 to 100, the mean of its parts: checks,
completeness, drift, freshness and anomalies, of which each is there where something was measured. Of a VIEW, NAME or NAME@VERSION, its runs are listed, the newest first.`,
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, args []string) (err error) {
			if req.Since, err = parseTime("since", since); err != nil {
				return err
			}
			if len(args) > 0 {
				req.Node = "view:" + strings.TrimPrefix(args[0], "view:")
			}
			r, err := c.Quality.GetQuality(cmd.Context(), req)
			if err != nil {
				return err
			}
			return a.print(r, qualityTable(r.GetViews()))
		}),
	}
	cmd.Flags().StringVar(&since, "since", "", "runs that ended from this time on, such as 2001-01-31T10:00:00Z (default: 30 days ago)")
	return cmd
}

// qualityParts are the parts of a score, in the order of the columns.
var qualityParts = []string{"checks", "completeness", "drift", "freshness", "anomalies"}

func qualityTable(views []*headwaterv1.ViewQuality) table {
	t := table{header: []string{"VIEW", "SCORE#", "CHECKS#", "COMPLETENESS#", "DRIFT#", "FRESHNESS#", "ANOMALIES#", "RUN", "ENDED AT", "OWNER", "WHY"}}
	for _, v := range views {
		score := ""
		if v.Score != nil {
			score = fmt.Sprintf("%.0f", v.GetScore())
		}
		cells := []string{v.GetView() + "@" + number(v.GetViewVersion()), score}
		var why []string
		if v.GetFailed() {
			why = append(why, "the run failed")
		}
		if v.GetRun() == "" {
			why = append(why, "no run in that time")
		}
		for _, name := range qualityParts {
			cell := ""
			for _, p := range v.GetParts() {
				if p.GetName() != name {
					continue
				}
				if cell = fmt.Sprintf("%.2f", p.GetValue()); p.GetValue() < 1 {
					why = append(why, name+": "+p.GetDetail())
				}
			}
			cells = append(cells, cell)
		}
		t.add(append(cells, v.GetRun(), moment(v.GetEndedAt()), v.GetOwner(), strings.Join(why, "; "))...)
	}
	return t
}

// anomalySection is what of a run is unlike the runs before it.
func anomalySection(list []*headwaterv1.RunAnomaly) section {
	s := section{title: "anomalies", table: table{header: []string{"METRIC", "FOUND#", "EXPECTED#", "DEVIATIONS#", "EARLIER RUNS#", "BY"}}}
	amount := func(f *float64) string {
		if f == nil {
			return ""
		}
		return shortNumber(*f)
	}
	for _, a := range list {
		by := "all days"
		if a.GetSeasonal() {
			by = "days of the week"
		}
		s.add(a.GetMetric(), amount(a.Value), amount(a.Expected), amount(a.Z), number(a.GetPoints()), by)
	}
	return s
}
