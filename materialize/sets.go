package materialize

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/quality"
)

// aboutSets reports whether any of the expectations is about all rows together.
func aboutSets(expectations []feature.Expectation) bool {
	return slices.ContainsFunc(expectations, func(e feature.Expectation) bool { return !e.Kind.OfRows() })
}

// checkSourceSet holds the rows that a run reads of a source, duplicates left out and all others in, to the source's expectations
// about all of them together. Without rows to read, read is empty.
func (r *Run) checkSourceSet(ctx context.Context, tx pgx.Tx, t *offline.Transform, in *offline.Input, read offline.Spans) error {
	src := in.Source
	if !aboutSets(src.Expectations) {
		return nil
	}
	set := quality.Set{
		View: r.ViewID, Ref: t.View.Ref(), Subject: quality.SourceSubject(src.Name), Reach: r.reach(), Columns: src.Columns,
		EventTime: src.EventTime, Newest: in.Newest, Now: t.Plan.Now, Schema: in.Schema,
	}
	// Following what is new, there may be nothing of one source; otherwise none is what is to be seen.
	if len(read) > 0 && (in.Rows > 0 || set.Reach != quality.ReachNew) {
		columns := make([]string, len(src.Columns))
		for i, c := range src.Columns {
			columns[i] = pgx.Identifier{c.Name}.Sanitize()
		}
		set.From = fmt.Sprintf("(SELECT %s FROM %s AS %s WHERE %s) AS rows", strings.Join(columns, ", "), in.Table(),
			pgx.Identifier{src.Name}.Sanitize(), in.Considered(read))
		rows := in.ConsideredRows()
		set.Rows = &rows
	}
	results, err := quality.CheckSet(ctx, tx, &set, src.Expectations)
	r.Checks = append(r.Checks, results...)
	return err
}

// checkOutput holds what a run made to the view's expectations. The rows are those that are live in what the run owns: it has written
// them, and nobody else reads them yet.
func (rn *runner) checkOutput(ctx context.Context, r *Run, t *offline.Transform, w *offline.Written) error {
	expectations := t.View.Expectations
	if len(expectations) == 0 {
		return nil
	}
	conn, err := connect(ctx, rn.pool)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	set := quality.Set{
		View: r.ViewID, Ref: t.View.Ref(), Subject: quality.Output, Reach: r.reach(), EventTime: "event_time", Now: t.Plan.Now,
		Columns:  t.View.OutputColumns(t.View.EntityVersion.JoinKeys),
		Produced: r.Ledger.Produced, Accepted: r.Ledger.Accepted,
	}
	asks := func(kind feature.ExpectationKind) bool {
		return slices.ContainsFunc(expectations, func(e feature.Expectation) bool { return e.Kind == kind })
	}
	if asks(feature.ExpectFreshness) {
		if set.Newest, err = offline.NewestRow(ctx, conn, t.View); err != nil {
			return err
		}
	}
	if !t.Plan.Nothing() {
		set.From, set.Grain = offline.OutputRows(t.View, t.Plan.Owned), t.View.RunGrain()
		set.InputsByTime = t.InputsByTime
		set.EntitiesKept = func(ctx context.Context) (kept, of int64, examples []quality.Example, reason string, err error) {
			other, err := connect(ctx, rn.pool)
			if err != nil {
				return 0, 0, nil, "", err
			}
			defer other.Close(context.WithoutCancel(ctx))
			kept, of, missing, reason, err := t.EntitiesKept(ctx, other)
			for _, key := range missing {
				examples = append(examples, exampleOfKey(t.View, key))
			}
			return kept, of, examples, reason, err
		}
	}
	var results []quality.Result
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		// The times of buckets and the texts of numbers are the same whatever the server's settings.
		if _, err := tx.Exec(ctx, "SET LOCAL TimeZone TO 'UTC'"); err != nil {
			return err
		}
		if err := r.checkOutputRows(ctx, tx, t, w); err != nil {
			return err
		}
		results, err = quality.CheckSet(ctx, tx, &set, expectations)
		return err
	})
	r.Checks = append(r.Checks, results...)
	return err
}

// exampleOfKey is an entity as an example.
func exampleOfKey(v *feature.ViewVersion, key string) quality.Example {
	values, err := v.EntityVersion.ParseKey(key)
	if err != nil {
		return quality.Example{{Column: "entity_key", Value: key}}
	}
	var e quality.Example
	for i, k := range v.EntityVersion.JoinKeys {
		e = append(e, quality.Field{Column: k.Name, Value: values[i].Text()})
	}
	return e
}
