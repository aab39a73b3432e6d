package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

func newOnline(a *app) *cobra.Command {
	return group("online", "Look after the online store", newOnlineRebuild(a))
}

func newOnlineRebuild(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "rebuild [VIEW…]", Short: "Load Redis again from the history", Args: takes(0, 0, "[VIEW…]"),
		Long: `Loads the newest published values of each VIEW, a NAME (all its versions) or NAME@VERSION, from the history into Redis;
without a VIEW, of all views. For when Redis has lost data. Reads go on meanwhile, and it may be done again at any time.`,
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, views []string) error {
			rebuilt, err := c.Materialization.RebuildOnline(cmd.Context(), &headwaterv1.RebuildOnlineRequest{Views: views})
			if err != nil {
				return err
			}
			return a.print(rebuilt, rebuildTable(rebuilt.GetRebuilds()))
		}),
	}
}

func rebuildTable(rebuilds []*headwaterv1.OnlineRebuild) table {
	t := table{header: []string{"VIEW", "SEQ#", "EPOCH#", "WRITTEN#", "NOT NEWER#", "TOMBSTONES#"}}
	for _, r := range rebuilds {
		t.add(fmt.Sprintf("%s@%d", r.GetView(), r.GetViewVersion()), number(r.GetSeq()), number(r.GetEpoch()),
			number(r.GetWritten()), number(r.GetStale()), number(r.GetTombstones()))
	}
	return t
}
