package main

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

func newRunChecks(a *app) *cobra.Command {
	var check string
	var limit int32
	cmd := &cobra.Command{
		Use: "checks VIEW", Short: "List what the checks of a view's runs found, newest run first", Args: takes(1, 1, "VIEW"),
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, args []string) error {
			results, err := c.Materialization.ListCheckResults(cmd.Context(), &headwaterv1.ListCheckResultsRequest{
				View: args[0], Check: check, PageSize: limit,
			})
			if err != nil {
				return err
			}
			t := table{header: []string{"RUN#", "NAME", "RUN STATE", "CHECK", "OF", "STATE", "MEASURED#", "EXPECTED", "FOUND", "TIME"}}
			for _, r := range results.Results {
				k := r.GetCheck()
				t.add(number(r.RunId), r.Run, enumName(r.RunState, "RUN_STATE_"), k.GetName(), k.GetSubject(), enumName(k.GetState(), "CHECK_STATE_"),
					measured(k), k.GetExpected(), k.GetFound(), moment(r.Time))
			}
			return a.print(results, t)
		}),
	}
	cmd.Flags().StringVar(&check, "check", "", "results of this check only")
	cmd.Flags().Int32Var(&limit, "limit", 50, "how many, at most 1000; the results of one run are never parted")
	return cmd
}

func measured(c *headwaterv1.Check) string {
	if c.Metric == nil {
		return ""
	}
	return strconv.FormatFloat(c.GetMetric(), 'g', 6, 64)
}

// checkSections are what the checks found, and of those with something to look at where and at which rows.
func checkSections(all []*headwaterv1.Check) (checks, toLookAt section) {
	checks = section{title: "checks", table: table{header: []string{"CHECK", "OF", "STATE", "EXPECTED", "FOUND"}}}
	toLookAt = section{title: "to look at", table: table{header: []string{"CHECK", "WHERE"}}}
	for _, c := range all {
		checks.add(c.Name, c.Subject, enumName(c.State, "CHECK_STATE_"), c.Expected, c.Found)
		if c.Where != "" {
			toLookAt.add(c.Name, c.Where)
		}
		for _, e := range c.Examples {
			toLookAt.add(c.Name, e)
		}
		if c.ExamplesHidden > 0 {
			subject := c.Subject
			if !strings.HasPrefix(subject, "source:") {
				subject = "the view"
			}
			toLookAt.add(c.Name, number(c.ExamplesHidden)+" more that you may not see: whoever may read "+subject+" offline is shown them")
		}
	}
	return checks, toLookAt
}
