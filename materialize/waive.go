package materialize

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/notify"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/quality"
)

// checkGate begins the gate of an approval to waive a check; its name is the rest.
const checkGate = "check:"

// CheckGate is the gate of approvals to waive a check of runs.
func CheckGate(name string) string { return checkGate + name }

// viewResource is what approving runs of a view is decided on.
func viewResource(view string) string { return string(access.KindView) + ":" + view }

// checkedInputs is a digest of all that a check has looked at: what the view means, what the run computes and up to where it considers what
// it reads, the rows of tables of others, and what is expected. A check of a source looks at no other tables of others than that one: they are not read by then.
func (r *Run) checkedInputs(t *offline.Transform, c *quality.Result) (string, error) {
	type input struct {
		Source, Fingerprint string
		Rows                string `json:",omitempty"`
	}
	of := struct {
		View, Check, Subject, Expected string
		Kind                           offline.ScopeKind
		Owned, Covered                 offline.Spans
		After                          int64
		Marks                          offline.Marks
		Inputs                         []input
	}{
		View: t.View.Fingerprint.String(), Check: c.Name, Subject: c.Subject, Expected: c.Expected, Kind: t.Plan.Kind, Owned: t.Plan.Owned, Covered: t.Plan.Covered,
		After: t.Plan.After, Marks: t.Plan.Marks,
	}
	about, ofSource := quality.SourceOf(c.Subject)
	for _, in := range t.Inputs {
		one := input{Source: in.Source.Ref(), Fingerprint: in.Source.Fingerprint.String()}
		if in.RowsDigest != nil && (!ofSource || in.Source.Name == about) {
			one.Rows = in.RowsDigest.String()
		}
		of.Inputs = append(of.Inputs, one)
	}
	text, err := json.Marshal(of)
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), err
}

// harden has warnings be failures where a gate on publishing lets none pass. An approval waives one as any other.
func (r *Run) harden(view *feature.ViewVersion, results []quality.Result) {
	if !view.Gates.Publishes(feature.GateChecks) {
		return
	}
	for i := range results {
		// What is waived has been here before.
		if c := &results[i]; c.State == quality.Warned && c.Inputs == "" {
			c.State = quality.Failed
			c.Found += ", a warning, and the view publishes only without"
		}
	}
}

// waive lets checks that failed be warnings where somebody else than who started the run has approved that for exactly what they looked at. It
// takes warnings for failures where a gate of the view says so, and notes of the others what an approval would be for. A check that broke is not waived: nobody knows what it would have found.
func (rn *runner) waive(ctx context.Context, r *Run, t *offline.Transform, results []quality.Result) error {
	r.harden(t.View, results)
	for i := range results {
		c := &results[i]
		if c.State != quality.Failed || c.Inputs != "" {
			continue
		}
		var err error
		if c.Inputs, err = r.checkedInputs(t, c); err != nil {
			return err
		}
		a, err := access.ApprovalOf(ctx, rn.pool, viewResource(r.View), CheckGate(c.Name), c.Inputs, fmt.Sprint(r.ID), r.Principal)
		if err != nil {
			return err
		}
		if a == nil {
			continue
		}
		c.State = quality.Warned
		by := fmt.Sprintf("waived for exactly these inputs by %s, until %s (approval %d): %s", a.Approver, a.ExpiresAt.Format(time.RFC3339), a.ID, a.Reason)
		r.waived = append(r.waived, Gate{Name: CheckGate(c.Name), Passed: true, Detail: by})
		c.Found += ", which is waived by approval " + fmt.Sprint(a.ID)
	}
	return nil
}

// Waiver is an approval of a check of a run that failed by it.
type Waiver struct {
	Check, Reason string
	ExpiresAt     time.Time
}

// ApproveRun waives a check of a failed run for exactly what it had looked at, and queues the run again on behalf of who had started it, in one
// transaction. approver is another, or has taken a role for a time.
func (m *Materializer) ApproveRun(ctx context.Context, r *Run, view *feature.ViewVersion, approver *access.Principal, w Waiver) (approvals []access.Approval, again *Run, err error) {
	if r.State != Failed {
		return nil, nil, fault.New(fault.FailedPrecondition, "run %d of view %s is %s, expected one that failed by a check: there is nothing to approve", r.ID, view.Ref(), r.State)
	}
	found, err := r.waivable(w.Check)
	if err != nil {
		return nil, nil, err
	}
	req := Request{View: view, From: r.AskedFrom, To: r.AskedTo, Full: r.Scope == offline.Full, Trigger: r.Trigger, Principal: r.Principal}
	var id int64
	err = pgx.BeginFunc(ctx, m.config.Pool, func(tx pgx.Tx) error {
		for _, c := range found {
			a, err := access.Approve(ctx, tx, approver, access.Approval{
				Kind: access.KindRun, Subject: fmt.Sprint(r.ID), Resource: viewResource(r.View), Inputs: c.Inputs, Gate: CheckGate(c.Name),
				Found: c.Subject + ": expected " + c.Expected + ", found " + c.Found, Author: r.Principal, Reason: w.Reason, ExpiresAt: w.ExpiresAt,
			})
			if err != nil {
				return err
			}
			approvals = append(approvals, a)
		}
		if id, err = m.queue(ctx, tx, req); err != nil {
			return err
		}
		n := r.notice(notify.RunApproved)
		n.Found, n.Expected, n.Remedy = fmt.Sprintf("check %s is waived by %s, and the run goes again as %d", w.Check, approver.Name, id), "nothing is wrong", "headwater approvals list"
		return notify.Add(ctx, tx, n)
	})
	if err != nil {
		return nil, nil, err
	}
	again, err = Get(ctx, m.config.Pool, id)
	return approvals, again, err
}

// waivable finds the results of a check that failed and that an approval can waive; of several subjects all.
func (r *Run) waivable(check string) ([]quality.Result, error) {
	var found []quality.Result
	var names []string
	for _, c := range r.Checks {
		if c.State == quality.Failed && c.Inputs != "" {
			if names = append(names, c.Name); c.Name == check {
				found = append(found, c)
			}
		}
	}
	if len(found) > 0 {
		return found, nil
	}
	for _, c := range r.Checks {
		switch {
		case c.Name != check:
		case c.State == quality.Errored:
			return nil, fault.New(fault.GateRefused, "check %s of run %d broke, so that nothing is known of what it guards; nobody can approve that: mend the check, and run it again", check, r.ID)
		case c.State == quality.Failed:
			return nil, fault.New(fault.GateRefused, "check %s of run %d: found %s; it guards what every run is held to, and nobody can approve that", check, r.ID, c.Found)
		default:
			return nil, fault.New(fault.FailedPrecondition, "check %s of run %d did not fail: it is %s; there is nothing to approve", check, r.ID, c.State)
		}
	}
	if len(names) == 0 {
		return nil, fault.New(fault.FailedPrecondition, "run %d of view %s@%d did not fail by a check that can be waived: there is nothing to approve; `headwater runs show %[1]d` says why it failed",
			r.ID, r.View, r.ViewVersion)
	}
	return nil, fault.New(fault.InvalidArgument, "check: found %q, expected one of those by which run %d failed: %v", check, r.ID, names).
		Violating(fault.Violation{Field: "check", Description: fmt.Sprintf("expected one of %v", names)})
}

// Waivable are the checks by which a run failed and that an approval can waive, by name, each once.
func (r *Run) Waivable() []string {
	var names []string
	for _, c := range r.Checks {
		if r.State == Failed && c.State == quality.Failed && c.Inputs != "" && (len(names) == 0 || names[len(names)-1] != c.Name) {
			names = append(names, c.Name)
		}
	}
	return names
}
