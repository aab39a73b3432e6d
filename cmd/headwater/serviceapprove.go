package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

func newApprove(a *app) *cobra.Command {
	return group("approve", "Open a gate by which definitions were refused", newApproveService(a))
}

func newApproveService(a *app) *cobra.Command {
	var gate, inputs, reason, expires string
	cmd := &cobra.Command{
		Use: "service NAME --gate G --inputs I --reason R --expires T", Short: "Open a gate by which another version of a service was refused",
		Args: takes(1, 1, "NAME --gate G --inputs I --reason R --expires T"),
		Long: `Approves what a gate on serving has found of a version of a service, which an apply was refused by: for exactly what that version would serve
and the runs that this was found of, until some time. It takes approve on service:NAME, and is not for who applied. Then headwater apply
again.`,
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, args []string) error {
			if err := require(cmd, "gate", "inputs", "reason", "expires"); err != nil {
				return err
			}
			until, err := parseExpiry(expires, time.Now())
			if err != nil {
				return err
			}
			r, err := c.Approvals.ApproveService(cmd.Context(), &headwaterv1.ApproveServiceRequest{
				Service: strings.TrimPrefix(args[0], "service:"), Gate: gate, Inputs: inputs, Reason: reason, ExpiresAt: until,
			})
			if err != nil {
				return err
			}
			return a.print(r, approvalsTable(r.GetApproval()))
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&gate, "gate", "", "which, as the refusal names it")
	flags.StringVar(&inputs, "inputs", "", "what is approved, as the refusal says it")
	flags.StringVar(&reason, "reason", "", "why, kept with the approval and in the audit log")
	addExpiryFlag(cmd, &expires, "")
	return cmd
}
