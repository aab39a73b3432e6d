package materialize

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/offline"
)

// Verdict is what came of computing a run again.
type Verdict string

const (
	// Same: the same inputs gave the same output, and the history still has it.
	Same Verdict = "same"
	// SourceChanged: what the run read is not there any more.
	SourceChanged Verdict = "source_changed"
	// Different: the same inputs gave another output, or the history has another one. An alarm.
	Different Verdict = "different"
	// Errored: it could not be computed.
	Errored Verdict = "errored"
	// Erased: the history has what erasures left of what the run produced.
	Erased Verdict = "erased"
)

// Verification is a run that was computed again.
type Verification struct {
	Run     *Run
	Verdict Verdict
	// Digest is that of the output as computed now; zero where it was not.
	Digest feature.Digest
	// Details say what changed, or which rows differ.
	Details []string
	Took    time.Duration
}

const (
	// maxDetails bounds the details of one verification.
	maxDetails = 20
	// maxDifferences is how many rows that differ are described.
	maxDifferences = 5
)

// PublishedSince lists the ids of the published runs that ended at a time or later, of the views named, oldest first.
func PublishedSince(ctx context.Context, q database.Querier, since time.Time, views []string) ([]int64, error) {
	rows, err := q.Query(ctx, `
		SELECT r.id FROM headwater.run r JOIN headwater.definition d ON d.id = r.view_id
		WHERE r.state = 'published' AND r.ended_at >= $1 AND d.name = ANY ($2) ORDER BY r.position`, since, views)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}

// Verify computes a published run again on the inputs that its plan names, and compares digests. Nothing that it writes stays.
// What is wrong with the run is in the verification; an error means that the database, or the caller, went away.
func (m *Materializer) Verify(ctx context.Context, r *Run) (*Verification, error) {
	began := time.Now()
	v := &Verification{Run: r}
	err := m.runner.verify(ctx, v)
	v.Took = time.Since(began)
	if err != nil {
		f := fault.As(database.Fault(err))
		if ctx.Err() != nil || f == nil || !isFinal(f) {
			return nil, err
		}
		v.Verdict = Errored
		v.detail("%s", f.Error())
	}
	m.config.Metrics.verified(v)
	if v.Verdict == Different {
		m.config.Log.ErrorContext(ctx, "a run computed again gave another output", "run", r.Ref(), "digest", r.Digest.String(),
			"found", v.Digest.String(), "details", v.Details)
	}
	return v, nil
}

func (v *Verification) detail(format string, args ...any) {
	switch line := fmt.Sprintf(format, args...); {
	case len(v.Details) < maxDetails-1:
		v.Details = append(v.Details, line)
	case len(v.Details) == maxDetails-1:
		v.Details = append(v.Details, "there is more")
	}
}

// changed notes what the run does not find as it read it.
func (v *Verification) changed(format string, args ...any) {
	v.Verdict = SourceChanged
	v.detail(format, args...)
}

func (rn *runner) verify(ctx context.Context, v *Verification) error {
	r := v.Run
	switch {
	case r.State != Published:
		return fault.New(fault.FailedPrecondition, "run %d is %s, expected a published one: only what was published can be computed again", r.ID, r.State)
	case r.Plan == nil:
		return fault.New(fault.FailedPrecondition, "run %s has no plan: it was made before plans were kept; a later run of its interval can be verified", r.Ref())
	}
	view := rn.view(r.ViewID)
	if view == nil {
		return fault.New(fault.FailedPrecondition, "run %s: version %d of view %s is not in the catalog any more", r.Ref(), r.ViewVersion, r.View)
	}
	if r.Plan.Nothing() {
		v.Verdict = Same
		return nil
	}
	if err := rn.collected(ctx, r, view); err != nil {
		return err
	}
	reader, err := connect(ctx, rn.pool)
	if err != nil {
		return err
	}
	defer reader.Close(context.WithoutCancel(ctx))
	plan := *r.Plan
	scope := rn.reading(view)
	scope.Plan, scope.AnyFunctions, scope.Kept = &plan, true, keptBy(r)
	var t *offline.Transform
	scope.Validate = func(ctx context.Context, tx pgx.Tx, in *offline.Input, read offline.Spans) (*offline.LeftOut, error) {
		return leaveOutAgain(ctx, tx, t, in, read, r.ID)
	}
	if scope.Screen, err = screenAgain(view, plan.Now); err != nil {
		return err
	}
	t, err = offline.BeginTransform(ctx, reader, scope)
	if err != nil {
		return err
	}
	defer func() { _ = t.Close(ctx) }()
	functions, err := t.ChangedFunctions(ctx)
	if err != nil {
		return err
	}
	for _, f := range functions {
		v.detail("function %s is another one than when the view was applied", f)
	}
	if err := t.Read(ctx); err != nil {
		return err
	}
	if err := rn.lookAtKept(ctx, v, t); err != nil {
		return err
	}
	gone, err := offline.LoadsErased(ctx, rn.pool, loadsOf(r))
	if err != nil {
		return err
	}
	compareInputs(v, t, gone)
	// A table of others whose rows were not kept has no past: what it gives now says nothing about the run.
	if v.Verdict == SourceChanged {
		return nil
	}
	writer, err := connect(ctx, rn.pool)
	if err != nil {
		return err
	}
	defer writer.Close(context.WithoutCancel(ctx))
	again, err := offline.Recompute(ctx, writer, t, r.Seq)
	if err != nil {
		return err
	}
	defer func() { _ = again.Close(ctx) }()
	v.Digest = again.Digest
	expected, known := r.left()
	if len(r.Erasures) > 0 && (!known || again.History == expected) {
		return v.erased(ctx, t, again)
	}
	if again.Digest == r.Digest && again.History == r.Digest {
		v.Verdict = Same
		return nil
	}
	v.Verdict = Different
	if again.Digest != r.Digest && len(r.Erasures) == 0 {
		v.detail("the same inputs gave %d rows with another digest, expected the %d that the run produced", again.Rows, r.Ledger.Produced)
	}
	if again.History != expected && len(r.Erasures) > 0 {
		v.detail("the history shows %d rows of the run's intervals at its sequence that are not what erasures left of it: it was changed by other means "+
			"than a run or an erasure", again.HistoryRows)
	} else if again.History != r.Digest {
		v.detail("the history shows %d rows of the run's intervals at its sequence that are not what it produced: it was changed by other means than a run",
			again.HistoryRows)
	}
	compareLeftOut(v, t, &again.Screened)
	if again.Digest != r.Digest {
		changed, err := t.ChangedLoads(ctx)
		if err != nil {
			return err
		}
		v.compareLoads(changed)
		// That the history is another one is an alarm whatever became of the source.
		if again.History != expected {
			v.Verdict = Different
		}
	}
	lines, total, err := again.Differences(ctx, maxDifferences)
	if err != nil {
		return err
	}
	v.detail("%d rows differ between what was computed and the history", total)
	for _, line := range lines {
		v.detail("%s", line)
	}
	return nil
}

// compareInputs holds what the run finds now to what it recorded.
func compareInputs(v *Verification, t *offline.Transform, gone map[int64]int64) {
	for _, in := range t.Inputs {
		i := slices.IndexFunc(v.Run.Inputs, func(x Input) bool { return x.Source == in.Source.Name })
		if i < 0 {
			v.changed("source %s: the run recorded nothing of it", in.Source.Name)
			continue
		}
		was := &v.Run.Inputs[i]
		if in.RowsDigest != nil {
			compareForeign(v, was, in)
			continue
		}
		for _, l := range was.Loads {
			if n := gone[l.ID]; n > 0 {
				v.detail("source %s: %d rows of load %d (%s) were erased", was.Source, n, l.ID, l.FileName)
				continue
			}
			now := int64(0)
			if j := slices.IndexFunc(in.Loads, func(x offline.InputLoad) bool { return x.ID == l.ID }); j >= 0 {
				now = in.Loads[j].Rows
			}
			if now != l.Rows {
				v.changed("source %s: load %d (%s) has %d rows in what the run read, expected %d: landing tables are only appended to, so someone "+
					"changed it by other means", was.Source, l.ID, l.FileName, now, l.Rows)
			}
		}
		for _, l := range in.Loads {
			if !slices.ContainsFunc(was.Loads, func(x InputLoad) bool { return x.ID == l.ID }) {
				v.changed("source %s: load %d has %d rows in what the run read, expected none: someone changed it by other means", was.Source, l.ID, l.Rows)
			}
		}
	}
	for _, in := range t.ViewInputs {
		i := slices.IndexFunc(v.Run.ViewInputs, func(x ViewInput) bool { return x.ViewID == in.View.ID })
		if i >= 0 && v.Run.ViewInputs[i].Rows != in.Rows && len(v.Run.Erasures) > 0 {
			v.detail("view %s shows %d rows at the run's sequence %d, and %d when the run read it: an erasure took rows of it", in.View.Ref(), in.Rows, in.Seq,
				v.Run.ViewInputs[i].Rows)
		} else if i >= 0 && v.Run.ViewInputs[i].Rows != in.Rows {
			v.changed("view %s shows %d rows at the run's sequence %d, expected %d: verify its runs", in.View.Ref(), in.Rows, in.Seq, v.Run.ViewInputs[i].Rows)
		}
	}
}

// compareLoads tells of loads whose rows are not those that came.
func (v *Verification) compareLoads(changed []offline.ChangedLoad) {
	for _, c := range changed {
		if c.Unknown != "" {
			v.detail("source %s: whether load %d (%s) has the rows that came is not known, because %s", c.Source, c.Load.ID, c.Load.FileName, c.Unknown)
			continue
		}
		v.changed("source %s: load %d (%s) has other rows than those that came: landing tables are only appended to, so someone changed it by "+
			"other means; put it right with `headwater ingest %s FILE --replaces %d`, and run the view", c.Source, c.Load.ID, c.Load.FileName, c.Source, c.Load.ID)
	}
}

// compareForeign holds a table of others to what the run read of it.
func compareForeign(v *Verification, was *Input, in *offline.Input) {
	if was.has(in) {
		return
	}
	if in.FromKept() && was.Kept != nil && was.Kept.Erased > 0 {
		v.detail("source %s: %d of the rows that the run kept were erased", was.Source, was.Kept.Erased)
		return
	}
	v.Verdict = SourceChanged
	v.otherRows(was, in, "")
}

// has reports whether the rows that the run read are those of a table of others as it was read now.
func (was *Input) has(now *offline.Input) bool {
	return was.RowsDigest != nil && *was.RowsDigest == *now.RowsDigest
}

// otherRows says how a table of others differs from what the run read of it, and what follows.
func (v *Verification) otherRows(was *Input, in *offline.Input, so string) {
	v.detail("source %s: %s has other rows than the run read: %d now, %d then%s", was.Source, was.Relation, in.Rows, was.Rows, so)
	if was.Buckets == nil || in.Buckets == nil {
		return
	}
	for _, line := range was.Buckets.Differences(in.Buckets) {
		v.detail("source %s: %s", was.Source, line)
	}
}
