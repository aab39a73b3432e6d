package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

func newAuditVerify(a *app) *cobra.Command {
	var since, keys string
	req := &headwaterv1.VerifyAuditRequest{}
	cmd := &cobra.Command{
		Use: "verify", Short: "Look for audit records that were changed, removed or put in; exit status 5 when there are such", Args: takesNone,
		Long: `Computes the hash of each audit record in Postgres again, behind that of the one before it, and holds the chain of each server to its
signed checkpoints. Nothing is written but what the servers write anyway.

  changed        a record does not say what it said when it was chained, or when a checkpoint was signed
  missing        records are not there, and were not dropped for their age; or the end of a chain behind a checkpoint is not there
  reordered      two records have changed places
  inserted       a record is there that no server has chained or witnessed
  unsigned       a note of what was dropped, or a chain, that nobody signed
  bad_signature  a checkpoint is not by a key that is trusted, or not of what it says

The keys in Postgres are trusted unless --public-key names others: keep what ` + "`headwater audit key`" + ` prints outside of it.`,
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			var err error
			if req.Since, err = parseTime("since", since); err != nil {
				return err
			}
			if keys != "" {
				text, err := os.ReadFile(keys)
				if err != nil {
					return fault.New(fault.FailedPrecondition, "--public-key %s: %v", keys, errors.Unwrap(err))
				}
				req.PublicKeys = string(text)
			}
			return a.verifyAudit(cmd, c, req)
		}),
	}
	cmd.Flags().StringVar(&req.Writer, "writer", "", "the chain of this server only, by the id that records in JSON have")
	cmd.Flags().StringVar(&since, "since", "", "from the last checkpoint before this time on, such as 2001-01-31T10:00:00Z")
	cmd.Flags().StringVar(&keys, "public-key", "", "file with the public keys in PEM that are trusted, and no others")
	return cmd
}

func (a *app) verifyAudit(cmd *cobra.Command, c *client.Client, req *headwaterv1.VerifyAuditRequest) error {
	stream, err := c.Access.VerifyAudit(cmd.Context(), req)
	if err != nil {
		return err
	}
	p := a.progress("verify")
	defer p.clear()
	var problems []*headwaterv1.AuditProblem
	var chains []*headwaterv1.AuditChain
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		switch event := r.GetEvent().(type) {
		case *headwaterv1.VerifyAuditResponse_Problem:
			problems = append(problems, event.Problem)
		case *headwaterv1.VerifyAuditResponse_Chain:
			chains = append(chains, event.Chain)
		case *headwaterv1.VerifyAuditResponse_Progress:
			done, total := event.Progress.GetRecords(), event.Progress.GetTotal()
			p.show(float64(done)/float64(max(total, 1)), fmt.Sprintf("%d of %d records", done, total))
		}
	}
	p.clear()
	if err := a.printAudit(problems, chains); err != nil || len(problems) == 0 {
		return err
	}
	return fault.New(fault.DigestMismatch, "ALARM: the audit does not hold (problems: %d); look at the lines above, and at who may write to this Postgres", len(problems))
}

// printAudit prints a line for each problem, and then for each chain.
func (a *app) printAudit(problems []*headwaterv1.AuditProblem, chains []*headwaterv1.AuditChain) error {
	if a.output == "json" {
		text, err := json.MarshalIndent(map[string]any{"problems": rawList(problems), "chains": rawList(chains)}, "", "  ")
		if err != nil {
			return err
		}
		_, err = a.out.Write(append(text, '\n'))
		return err
	}
	if len(problems) > 0 {
		t := table{header: []string{"PROBLEM", "WRITER", "NUMBER#", "FOUND", "EXPECTED"}}
		for _, p := range problems {
			t.add(p.GetKind(), p.GetWriter(), number(p.GetNumber()), p.GetFound(), p.GetExpected())
		}
		return a.print(nil, t)
	}
	t := table{header: []string{"WRITER", "FIRST#", "LAST#", "RECORDS#", "CHECKPOINTS#", "SIGNED TO#", "SIGNED AT", "KEY"}}
	for _, c := range chains {
		writer := c.GetWriter()
		if writer == "" {
			writer = "(transactions)"
		}
		t.add(writer, number(c.GetFirst()), number(c.GetLast()), number(c.GetRecords()), number(c.GetCheckpoints()), number(c.GetSignedTo()), moment(c.GetSignedAt()), c.GetKeyId())
	}
	return a.print(nil, t)
}

// rawList is messages as JSON that is in other JSON.
func rawList[M proto.Message](messages []M) []json.RawMessage {
	list := []json.RawMessage{}
	for _, m := range messages {
		// Messages of the contract are always encoded.
		one, _ := protojson.MarshalOptions{UseProtoNames: true, EmitDefaultValues: true}.Marshal(m)
		list = append(list, one)
	}
	return list
}

func newAuditKey(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "key", Short: "Print the public keys that servers have signed checkpoints of the audit with", Args: takesNone,
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			r, err := c.Access.ListAuditKeys(cmd.Context(), &headwaterv1.ListAuditKeysRequest{})
			if err != nil {
				return err
			}
			if a.output != "table" {
				t := table{header: []string{"ID", "CREATED AT", "PUBLIC KEY"}}
				for _, k := range r.GetKeys() {
					t.add(k.GetId(), moment(k.GetCreatedAt()), k.GetPublicKey())
				}
				return a.print(r, t)
			}
			for _, k := range r.GetKeys() {
				if _, err := fmt.Fprintf(a.out, "key %s, since %s\n%s", k.GetId(), moment(k.GetCreatedAt()), k.GetPublicKey()); err != nil {
					return err
				}
			}
			return nil
		}),
	}
}
