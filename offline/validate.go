package offline

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// Validate looks at the rows of a source that lie in read and are no duplicates, as of the plan, in the snapshot's
// transaction. It may make temporary relations there.
type Validate func(ctx context.Context, tx pgx.Tx, in *Input, read Spans) (*LeftOut, error)

// LeftOut is rows of a source that do not reach the view, besides duplicates.
type LeftOut struct {
	// Relation has the columns _load and _row, which name each of them once, as what stands after FROM. Empty: there are none.
	Relation string
	// Condition is one that rows of a table of others meet that are left out, never NULL. Empty: none are, or it is a landing source.
	Condition string
	// Quarantined and Dropped are how many of them lie in what is read, by the reason that decided.
	Quarantined, Dropped []Reason
}

// validate asks what else is left out of a source.
func (in *Input) validate(ctx context.Context, t *Transform, read Spans) error {
	if t.validate == nil {
		return nil
	}
	left, err := t.validate(ctx, t.tx, in, read)
	if err != nil || left == nil {
		return err
	}
	in.LeftOut = left
	if left.Relation != "" {
		in.leaveOut(left.Relation)
	}
	if left.Condition != "" {
		in.counts = append(in.counts, "NOT "+left.Condition)
	}
	return nil
}

// LeftOut is how many rows that were read are left out by what is expected of them: those quarantined and those dropped, by source and
// reason.
func (t *Transform) LeftOut() (quarantined, dropped []Reason) {
	for _, in := range t.Inputs {
		if in.LeftOut != nil {
			quarantined = append(quarantined, in.LeftOut.Quarantined...)
			dropped = append(dropped, in.LeftOut.Dropped...)
		}
	}
	return quarantined, dropped
}

// Table is what stands after FROM for all rows of the source, with _load and _row for a landing source. Conditions on it take it
// to have the source's name.
func (in *Input) Table() string { return in.table }

// ConsideredRows is how many rows those are that Considered is about.
func (in *Input) ConsideredRows() int64 {
	return in.Rows - in.Exact - in.Conflicting - rowsOf(in.TooLate) - rowsOf(in.Deleted)
}

// Considered is the condition that rows of Table meet that lie in what is read and are no duplicates.
func (in *Input) Considered(read Spans) string {
	where := inside(in.Source, read)
	if in.foreign == nil {
		where = in.alive() + " AND " + where
	}
	for _, c := range in.counts {
		where += " AND " + c
	}
	return where
}

// Within calls a function in the snapshot's transaction, before or between what the transform does there.
func (t *Transform) Within(ctx context.Context, do func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, t.tx, do)
}
