package materialize

import (
	"context"

	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/offline"
)

// keepRows keeps what the run read of tables of others whose sources ask for it. What it kept is undone with the rest of a run that is
// not published.
func (rn *runner) keepRows(ctx context.Context, l *lease, r *Run, t *offline.Transform, timer *phases) error {
	if !t.Keeps() {
		return nil
	}
	writer, err := connect(ctx, rn.pool)
	if err != nil {
		return err
	}
	defer writer.Close(context.WithoutCancel(ctx))
	if err := t.KeepRows(ctx, writer, r.ID, rn.keep, l.fence); err != nil {
		return err
	}
	timer.end("keep rows")
	return nil
}

// keptBy is what a run kept.
func keptBy(r *Run) offline.KeptRun {
	kept := offline.KeptRun{ID: r.ID, Sources: map[string]offline.KeptRows{}}
	for _, in := range r.Inputs {
		if in.Kept != nil && in.RowsDigest != nil {
			kept.Sources[in.Source] = offline.KeptRows{Kept: *in.Kept, Digest: *in.RowsDigest}
		}
	}
	return kept
}

// lookAtKept says of the sources that are read as the run kept them how their tables have changed since, and of which of them what was
// kept cannot be used.
func (rn *runner) lookAtKept(ctx context.Context, v *Verification, t *offline.Transform) error {
	for _, note := range t.Notes {
		v.detail("%s", note)
	}
	for i := range v.Run.Inputs {
		was := &v.Run.Inputs[i]
		for _, in := range t.Inputs {
			if in.Source.Name != was.Source || !in.FromKept() {
				continue
			}
			if err := rn.lookAtTable(ctx, v, t, was, in); err != nil {
				return err
			}
		}
	}
	return nil
}

func (rn *runner) lookAtTable(ctx context.Context, v *Verification, t *offline.Transform, was *Input, in *offline.Input) error {
	conn, err := connect(ctx, rn.pool)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	now, err := in.Now(ctx, conn, t)
	f := fault.As(database.Fault(err))
	switch {
	// Of a table of another database it is no matter that it is away.
	case err != nil && (ctx.Err() != nil || f == nil || !isFinal(f) && in.Source.Postgres.Database == ""):
		return err
	case err != nil:
		v.detail("source %s: %s cannot be read now, so that the rows were used that the run kept: %s", was.Source, was.Relation, f.Error())
	case !was.has(now):
		v.otherRows(was, now, "; the rows were used that the run kept")
	}
	return nil
}
