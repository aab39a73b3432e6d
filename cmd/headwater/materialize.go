package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/tabular"
)

func newMaterialize(a *app) *cobra.Command {
	var from, to string
	var wait, full bool
	cmd := &cobra.Command{
		Use: "materialize VIEW…", Short: "Run views over their sources and publish what comes out", Args: takes(1, 0, "VIEW…"),
		Long: `Queues one run for each VIEW, a NAME (the newest version) or NAME@VERSION. A run computes the view over intervals of event
times, compares the result with what is there, and writes what differs; readers see all of it or none.

Without --from, --to and --full a run is incremental: it computes what no run covered yet, and the intervals that rows touch
which came, were replaced or were retracted since, however late. --full computes all that the sources hold and that earlier
runs covered. --from and --to compute that interval, cut down to multiples of the view's grain, so that no unfinished group
is computed; what is new elsewhere is left to the next incremental run. A run waits for those asked for before it, or with
it, of views that its view reads.`,
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, views []string) error {
			request := &headwaterv1.MaterializeRequest{Views: views, Full: full}
			var err error
			if request.From, err = parseTime("from", from); err != nil {
				return err
			}
			if request.To, err = parseTime("to", to); err != nil {
				return err
			}
			queued, err := c.Materialization.Materialize(cmd.Context(), request)
			if err != nil {
				return err
			}
			if !wait {
				a.notef("queued; `headwater runs list` says how they end")
				return a.print(queued, runTable(queued.Runs))
			}
			ended := &headwaterv1.MaterializeResponse{}
			for _, r := range queued.Runs {
				run, err := a.watch(cmd.Context(), c, r)
				if err != nil {
					return err
				}
				ended.Runs = append(ended.Runs, run)
			}
			if a.output == "table" {
				err = a.printRuns(ended.Runs)
			} else {
				err = a.print(ended, runTable(ended.Runs))
			}
			if err != nil {
				return err
			}
			return failureOf(ended.Runs)
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&from, "from", "", "start of the interval, in it, such as 2001-01-31 or 2001-01-31T10:00:00Z (default: as far back as there are rows)")
	flags.StringVar(&to, "to", "", "end of the interval, not in it (default: after the last row)")
	flags.BoolVar(&full, "full", false, "compute all of it again, also where nothing is known to have changed")
	flags.BoolVar(&wait, "wait", false, "wait until the runs have ended and the online store holds what they wrote")
	return cmd
}

// parseTime reads a flag that is a time; "" is none.
func parseTime(flag, s string) (*timestamppb.Timestamp, error) {
	if s == "" {
		return nil, nil
	}
	t, err := tabular.ParseTimestamp(s)
	if err != nil {
		return nil, usagef("--%s: %s", flag, err)
	}
	return timestamppb.New(t.Time()), nil
}

func (a *app) watch(ctx context.Context, c *client.Client, run *headwaterv1.Run) (*headwaterv1.Run, error) {
	line := a.progress("run " + runName(run))
	defer line.clear()
	var seen runProgress
	ended, err := c.WatchRun(ctx, run.Id, func(r *headwaterv1.Run) {
		share, what, far := seen.at(r, time.Now())
		line.step(share, what, far)
	})
	if err != nil && ctx.Err() != nil {
		return nil, fault.New(fault.Cancelled, "stopped waiting; run %d goes on, and `headwater runs show %[1]d` says how it ends", run.Id).Because(err)
	}
	return ended, err
}

func (a *app) printRuns(runs []*headwaterv1.Run) error {
	for i, r := range runs {
		if i > 0 {
			fmt.Fprintln(a.out)
		}
		if err := writeSections(a.out, runSections(r)); err != nil {
			return err
		}
	}
	return nil
}

// failureOf is why a command that waited for runs fails, or nil.
func failureOf(runs []*headwaterv1.Run) error {
	var failures []string
	for _, r := range runs {
		switch {
		case r.State == headwaterv1.RunState_RUN_STATE_CANCELLED:
			failures = append(failures, "run "+runName(r)+" was cancelled")
		case r.State != headwaterv1.RunState_RUN_STATE_PUBLISHED:
			failures = append(failures, "run "+runName(r)+" failed: "+first(r.Error, "the server did not say why"))
		case r.OnlineState == headwaterv1.OnlineState_ONLINE_STATE_FAILED:
			failures = append(failures, "run "+runName(r)+" was published, but not loaded online: "+first(r.Error, "see the server's log"))
		}
	}
	if len(failures) == 0 {
		return nil
	}
	return fault.New(fault.RunRefused, "%s", strings.Join(failures, "\n"))
}
