package main

import (
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

func newDatasetRelease(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "release ID", Short: "Let a held dataset be fetched, where all of its gates hold", Args: takes(1, 1, "ID"),
		Long: `Releases a dataset, by its id or NAME@VERSION, where all of its gates hold now, by themselves or by an approval. Else it says which does
not, what was found and who can approve it, and ends with status 5. For who built it, and for who may approve or administer it.`,
		RunE: a.document(func(cmd *cobra.Command, c *client.Client, args []string) error {
			r, err := c.Datasets.ReleaseDataset(cmd.Context(), &headwaterv1.ReleaseDatasetRequest{Dataset: datasetID(args[0])})
			if err != nil {
				return err
			}
			a.warnOf(r.GetManifest())
			return a.printDocument(r, manifestSections(r.GetManifest())...)
		}),
	}
}

func newDatasetApprove(a *app) *cobra.Command {
	var gate, reason, expires string
	cmd := &cobra.Command{
		Use: "approve ID --gate G --reason R --expires T", Short: "Open a gate of a dataset that somebody else has built", Args: takes(1, 1, "ID --gate G --reason R --expires T"),
		Long: `Approves what a gate has found of a dataset, by its id or NAME@VERSION, for exactly what is in it, until some time. It takes approve on
dataset:NAME, and is not for who built it. Whoever may release the dataset then does so with headwater dataset release.`,
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, args []string) error {
			if err := require(cmd, "gate", "reason", "expires"); err != nil {
				return err
			}
			until, err := parseExpiry(expires, time.Now())
			if err != nil {
				return err
			}
			r, err := c.Datasets.ApproveDataset(cmd.Context(), &headwaterv1.ApproveDatasetRequest{Dataset: datasetID(args[0]), Gate: gate, Reason: reason, ExpiresAt: until})
			if err != nil {
				return err
			}
			return a.print(r, approvalsTable(r.GetApproval()))
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&gate, "gate", "", "which, as headwater dataset show names it")
	flags.StringVar(&reason, "reason", "", "why, kept with the approval and in the audit log")
	addExpiryFlag(cmd, &expires, "")
	return cmd
}

// addExpiryFlag adds the flag of when an approval expires.
func addExpiryFlag(cmd *cobra.Command, expires *string, otherwise string) {
	cmd.Flags().StringVar(expires, "expires", otherwise, "until when it counts: a time, such as 2001-01-31T10:00:00Z, or how long, such as 72h; at most 366 days")
}

// parseExpiry reads a time, or how long from now.
func parseExpiry(text string, now time.Time) (*timestamppb.Timestamp, error) {
	if d, err := time.ParseDuration(text); err == nil {
		return timestamppb.New(now.Add(d)), nil
	}
	at, err := parseTime("expires", text)
	if err != nil {
		return nil, usagef("found --expires %q, expected a time, such as 2001-01-31T10:00:00Z, or how long, such as 72h", text)
	}
	return at, nil
}

func newApprovals(a *app) *cobra.Command {
	return group("approvals", "Gates that somebody opened", newApprovalsList(a), newApprovalsWithdraw(a))
}

func newApprovalsList(a *app) *cobra.Command {
	req := &headwaterv1.ListApprovalsRequest{}
	cmd := &cobra.Command{
		Use: "list", Short: "List approvals, newest first", Args: takesNone,
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			list, err := c.Approvals.ListApprovals(cmd.Context(), req)
			if err != nil {
				return err
			}
			return a.print(list, approvalsTable(list.GetApprovals()...))
		}),
	}
	cmd.Flags().Int32Var(&req.PageSize, "limit", 100, "how many, the newest, at most 1000")
	cmd.Flags().StringVar(&req.Of, "of", "", "only those of dataset:ID, run:ID or service:NAME@VERSION, or of dataset:NAME, view:NAME or service:NAME")
	return cmd
}

func newApprovalsWithdraw(a *app) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "withdraw ID --reason R", Short: "Take an approval back; datasets that were released by it are held again", Args: takes(1, 1, "ID --reason R"),
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, args []string) error {
			if err := require(cmd, "reason"); err != nil {
				return err
			}
			id, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil || id <= 0 {
				return usagef("found the approval %q, expected its number; headwater approvals list shows it", args[0])
			}
			r, err := c.Approvals.WithdrawApproval(cmd.Context(), &headwaterv1.WithdrawApprovalRequest{Id: id, Reason: reason})
			if err != nil {
				return err
			}
			for _, dataset := range r.GetHeldAgain() {
				a.notef("dataset %s is held again; who has fetched it has it", dataset)
			}
			return a.print(r, approvalsTable(r.GetApproval()))
		}),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, kept with the approval and in the audit log")
	return cmd
}

func approvalsTable(list ...*headwaterv1.Approval) table {
	t := table{header: []string{"ID#", "OF", "GATE", "STATE", "APPROVED BY", "MADE BY", "UNTIL", "REASON"}}
	for _, p := range list {
		t.add(number(p.GetId()), p.GetSubject(), p.GetGate(), approvalState(p), p.GetApprover(), p.GetAuthor(), moment(p.GetExpiresAt()), p.GetReason())
	}
	return t
}

func approvalState(p *headwaterv1.Approval) string {
	state := "IN FORCE"
	switch {
	case p.GetWithdrawnAt() != nil:
		state = "WITHDRAWN by " + p.GetWithdrawnBy()
	case !p.GetInForce():
		state = "EXPIRED"
	}
	if p.GetBreakGlass() != "" {
		state += ", BREAK GLASS"
	}
	return state
}

// gatesSection is what was found at gates.
func gatesSection(gates []*headwaterv1.GateResult) section {
	s := section{title: "gates", table: table{header: []string{"GATE", "HOLDS", "FOUND", "APPROVED"}}}
	for _, g := range gates {
		holds, approved := "no", ""
		if g.GetHolds() {
			holds = "yes"
		}
		if p := g.GetApproval(); p != nil {
			approved = strings.TrimSpace("by " + p.GetApprover() + " until " + moment(p.GetExpiresAt()) + ": " + p.GetReason())
		}
		s.add(g.GetGate(), holds, g.GetFound(), approved)
	}
	return s
}
