package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

func newRunsApprove(a *app) *cobra.Command {
	var check, reason, expires string
	cmd := &cobra.Command{
		Use: "approve RUN --check C --reason R", Short: "Run a failed run again with a check waived for exactly what it had looked at", Args: takes(1, 1, "RUN --check C --reason R"),
		Long: `Waives a check by which a run failed, named by its id or as VIEW@VERSION/SEQ, and runs it again on behalf of who had started it. It counts
for exactly what the check had looked at: a run that reads other loads, computes other intervals or is of another definition is judged afresh. It
takes approve on view:NAME, and is not for who started the run.`,
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, args []string) error {
			if err := require(cmd, "check", "reason"); err != nil {
				return err
			}
			req := &headwaterv1.ApproveRunRequest{Run: strings.TrimPrefix(args[0], "run:"), Check: check, Reason: reason}
			if expires != "" {
				var err error
				if req.ExpiresAt, err = parseExpiry(expires, time.Now()); err != nil {
					return err
				}
			}
			r, err := c.Materialization.ApproveRun(cmd.Context(), req)
			if err != nil {
				return err
			}
			for _, p := range r.GetApprovals() {
				a.notef("approval %d waives %s until %s", p.GetId(), p.GetGate(), moment(p.GetExpiresAt()))
			}
			return a.print(r, runTable([]*headwaterv1.Run{r.GetRun()}))
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&check, "check", "", "which, as headwater runs show names it")
	flags.StringVar(&reason, "reason", "", "why, kept with the approval and in the audit log")
	addExpiryFlag(cmd, &expires, "")
	return cmd
}
