package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

func newOnline(a *app) *cobra.Command {
	return group("online", "Look after the online store", newOnlineCheck(a), newOnlineRebuild(a))
}

func newOnlineRebuild(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "rebuild [VIEW…]", Short: "Load Redis again from the history", Args: takes(0, 0, "[VIEW…]"),
		Long: `Loads the newest published values of each VIEW, a NAME (all its versions) or NAME@VERSION, from the history into Redis;
without a VIEW, of all views. For when Redis has lost data. Reads go on meanwhile, and it may be done again at any time. One
that was broken off is asked for again: it begins anew, and what it wrote by then does no harm.`,
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

func newOnlineCheck(a *app) *cobra.Command {
	var most int32
	cmd := &cobra.Command{
		Use: "check [VIEW…]", Short: "Compare Redis with the history; exit status 5 when something differs", Args: takes(0, 0, "[VIEW…]"),
		Long: `Compares, entity by entity, what Redis holds of each VIEW, a NAME (all its versions) or NAME@VERSION, with what the history
says now; without a VIEW, of all views. It changes nothing, and may be done at any time: what differs while loads are under way
is looked at again. Exit status 5 when something differs; ` + "`headwater online rebuild`" + ` puts it right.`,
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, views []string) error {
			checks, err := onlineChecks(cmd, c, &headwaterv1.CheckOnlineRequest{Views: views, MaxDifferences: most})
			if err != nil {
				return err
			}
			if err := a.printChecks(checks); err != nil {
				return err
			}
			return checksHold(checks)
		}),
	}
	cmd.Flags().Int32Var(&most, "differences", 20, "how many differences to show of each view version, 1 to 10000")
	return cmd
}

func onlineChecks(cmd *cobra.Command, c *client.Client, req *headwaterv1.CheckOnlineRequest) ([]*headwaterv1.CheckOnlineResponse, error) {
	stream, err := c.Materialization.CheckOnline(cmd.Context(), req)
	if err != nil {
		return nil, err
	}
	var checks []*headwaterv1.CheckOnlineResponse
	for {
		check, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return checks, nil
		}
		if err != nil {
			return nil, err
		}
		checks = append(checks, check)
	}
}

// printChecks writes a table of the views and one of the differences; as JSON a message for each view version, as CSV the
// views alone.
func (a *app) printChecks(checks []*headwaterv1.CheckOnlineResponse) error {
	if a.output == "json" {
		for _, check := range checks {
			if err := a.printJSON(check); err != nil {
				return err
			}
		}
		return nil
	}
	views := table{header: []string{"VIEW", "SEQ#", "ENTITIES#", "MISSING#", "DIFFERENT#", "SURPLUS#", "PENDING LOADS#"}}
	differences := section{title: "differences", table: table{header: []string{"VIEW", "KEY", "KIND", "EXPECTED", "FOUND"}}}
	repairs := section{title: "loaded again since another Redis took over", table: table{header: []string{"VIEW", "NOTICED", "ENDED", "ENTITIES#"}}}
	for _, c := range checks {
		view := c.GetView() + "@" + number(c.GetViewVersion())
		if r := c.GetRepair(); r != nil {
			repairs.add(view, moment(r.GetNoticedAt()), first(moment(r.GetEndedAt()), "not yet"), number(r.GetEntities()))
		}
		views.add(view, number(c.GetSeq()), number(c.GetEntities()), number(c.GetMissing()), number(c.GetDifferent()),
			number(c.GetSurplus()), number(c.GetPendingLoads()))
		for _, d := range c.GetDifferences() {
			differences.add(view, d.GetKey(), d.GetKind(), d.GetExpected(), d.GetFound())
		}
	}
	if a.output == "csv" {
		return a.print(nil, views)
	}
	return writeSections(a.out, []section{{table: views}, differences, repairs})
}

// checksHold is an error when something differs.
func checksHold(checks []*headwaterv1.CheckOnlineResponse) error {
	var differ []string
	for _, c := range checks {
		n := c.GetMissing() + c.GetDifferent() + c.GetSurplus()
		if n == 0 {
			continue
		}
		text := fmt.Sprintf("%s@%d: %d of %d entities are not online as the history has them", c.GetView(), c.GetViewVersion(), n, c.GetEntities())
		switch r := c.GetRepair(); {
		case c.GetPendingLoads() > 0:
			text += fmt.Sprintf("; %d loads have not ended, so check again when they have", c.GetPendingLoads())
		case r != nil && r.GetEndedAt() == nil:
			text += "; another Redis has the data, and what was loaded lately is being loaded again, so check again when it is"
		default:
			text += fmt.Sprintf("; `headwater online rebuild %s@%d` loads them again", c.GetView(), c.GetViewVersion())
		}
		differ = append(differ, text)
	}
	if len(differ) == 0 {
		return nil
	}
	return fault.New(fault.DigestMismatch, "%s", strings.Join(differ, "\n"))
}
