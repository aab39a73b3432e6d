package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

func newRunsVerify(a *app) *cobra.Command {
	var since string
	cmd := &cobra.Command{
		Use: "verify RUN…", Short: "Compute runs again on the inputs that they recorded; exit status 5 when one is not the same", Args: takes(0, 0, "RUN…"),
		Long: `Computes each RUN, an id or VIEW@VERSION/SEQ, again on the inputs that it recorded, and compares digests. Nothing is written.
--since takes all runs published since a time, such as for a nightly check.

  SAME            the same inputs gave the same output, and the history still has it; where a run kept what it read of a table that
                  has changed since, that is said
  SOURCE_CHANGED  what the run read is not there any more: which loads, or rows of which times, is said
  DIFFERENT       the same inputs gave another output, or the history was changed: an alarm, with rows that differ
  ERASED          an erasure took rows of it, or of what it read, and the history has what is left
  ERRORED         it could not be computed, and why

The exit status is 5 when a run is DIFFERENT or SOURCE_CHANGED, and else 1 when one ERRORED.`,
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, args []string) error {
			req := &headwaterv1.VerifyRunsRequest{}
			for _, r := range args {
				req.Runs = append(req.Runs, strings.TrimPrefix(r, "run:"))
			}
			var err error
			if req.Since, err = parseTime("since", since); err != nil {
				return err
			}
			if (req.Since == nil) == (len(args) == 0) {
				return usagef("found %d runs and --since %q, expected runs, or --since alone", len(args), since)
			}
			verified, err := a.verifyRuns(cmd, c, req)
			if err != nil {
				return err
			}
			if err := a.printVerified(verified); err != nil {
				return err
			}
			return notHeld(verified)
		}),
	}
	cmd.Flags().StringVar(&since, "since", "", "verify all runs published since then, such as 2024-01-31 or 2024-01-31T10:00:00Z")
	return cmd
}

func (a *app) verifyRuns(cmd *cobra.Command, c *client.Client, req *headwaterv1.VerifyRunsRequest) ([]*headwaterv1.VerifyRunsResponse, error) {
	stream, err := c.Materialization.VerifyRuns(cmd.Context(), req)
	if err != nil {
		return nil, err
	}
	p := a.progress("verify")
	defer p.clear()
	var verified []*headwaterv1.VerifyRunsResponse
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return verified, nil
		}
		if err != nil {
			return nil, err
		}
		verified = append(verified, r)
		p.show(float64(len(verified))/float64(max(r.Total, 1)), fmt.Sprintf("%d of %d runs", len(verified), r.Total))
	}
}

func (a *app) printVerified(verified []*headwaterv1.VerifyRunsResponse) error {
	if a.output == "json" {
		list := []json.RawMessage{}
		for _, r := range verified {
			one, err := protojson.MarshalOptions{UseProtoNames: true, EmitDefaultValues: true}.Marshal(r)
			if err != nil {
				return err
			}
			list = append(list, one)
		}
		text, err := json.MarshalIndent(map[string]any{"verifications": list}, "", "  ")
		if err != nil {
			return err
		}
		_, err = a.out.Write(append(text, '\n'))
		return err
	}
	t := table{header: []string{"RUN", "VERDICT", "TOOK#", "DETAIL"}}
	for _, r := range verified {
		cells := []string{runName(r.GetRun()), enumName(r.Verdict, "VERDICT_"), duration(time.Duration(r.DurationMicros) * time.Microsecond)}
		details := r.Details
		if len(details) == 0 {
			details = []string{""}
		}
		for _, d := range details {
			t.add(append(cells, d)...)
			if a.output == "table" {
				cells = []string{"", "", ""}
			}
		}
	}
	return a.print(nil, t)
}

// notHeld is the error of runs that are not the same, or nil.
func notHeld(verified []*headwaterv1.VerifyRunsResponse) error {
	counts := map[headwaterv1.Verdict]int{}
	for _, r := range verified {
		counts[r.Verdict]++
	}
	different, changed, errored := counts[headwaterv1.Verdict_VERDICT_DIFFERENT], counts[headwaterv1.Verdict_VERDICT_SOURCE_CHANGED],
		counts[headwaterv1.Verdict_VERDICT_ERRORED]
	switch {
	case different > 0:
		return fault.New(fault.DigestMismatch, "ALARM: %d of %d runs gave another output on the same inputs, or their history was changed; look at the "+
			"rows above, and at who may write to this Postgres", different, len(verified))
	case changed > 0:
		return fault.New(fault.DigestMismatch, "what %d of %d runs read has changed since", changed, len(verified))
	case errored > 0:
		return fault.New(fault.FailedPrecondition, "%d of %d runs could not be computed again", errored, len(verified))
	}
	return nil
}
