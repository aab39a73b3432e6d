package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

func newLineageCheck(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "check [VIEW…]", Short: "Look for rows, online values and datasets without a run; exit status 5 when there are such", Args: takes(0, 0, "[VIEW…]"),
		Long: `Looks at every row of every history, every online value and every dataset: each leads to a published run, each run to what it read and to its
definition. With VIEWs, a NAME (all its versions) or NAME@VERSION, at theirs alone. It changes nothing, and may be done at any time. Exit status 5 when
something does not.`,
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, views []string) error {
			stream, err := c.Lineage.CheckLineage(cmd.Context(), &headwaterv1.CheckLineageRequest{Views: views})
			if err != nil {
				return err
			}
			p := a.progress("check")
			defer p.clear()
			var orphans []*headwaterv1.LineageOrphan
			var checked *headwaterv1.LineageChecked
			for done := 0; ; {
				r, err := stream.Recv()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					return err
				}
				switch event := r.GetEvent().(type) {
				case *headwaterv1.CheckLineageResponse_Orphan:
					orphans = append(orphans, event.Orphan)
				case *headwaterv1.CheckLineageResponse_Checked:
					if checked = event.Checked; checked.Node != "" {
						done++
						p.show(float64(done)/float64(max(checked.Total, 1)), fmt.Sprintf("%d of %d views and datasets", done, checked.Total))
					}
				}
			}
			p.clear()
			if err := a.printLineageCheck(orphans, checked); err != nil || len(orphans) == 0 {
				return err
			}
			return fault.New(fault.DigestMismatch, "ALARM: the lineage does not hold (orphans: %d); look at the lines above, and at who may write to this Postgres and Redis, or at "+
				"how they were restored", len(orphans))
		}),
	}
}

// printLineageCheck prints a line for each orphan or, where there is none, what was looked at.
func (a *app) printLineageCheck(orphans []*headwaterv1.LineageOrphan, checked *headwaterv1.LineageChecked) error {
	if a.output == "json" {
		text, err := json.MarshalIndent(map[string]any{"orphans": rawList(orphans), "checked": rawList([]*headwaterv1.LineageChecked{checked})[0]}, "", "  ")
		if err != nil {
			return err
		}
		_, err = a.out.Write(append(text, '\n'))
		return err
	}
	if len(orphans) > 0 {
		t := table{header: []string{"NODE", "FOUND", "EXPECTED"}}
		for _, o := range orphans {
			t.add(o.Node, o.Found, o.Expected)
		}
		return a.print(nil, t)
	}
	t := table{header: []string{"ROWS#", "RUNS#", "ONLINE#", "DATASETS#", "ORPHANS#"}}
	t.add(number(checked.GetRows()), number(checked.GetRuns()), number(checked.GetOnline()), number(checked.GetDatasets()), number(checked.GetOrphans()))
	return a.print(nil, t)
}
