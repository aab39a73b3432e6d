package offline

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
)

// An incremental run computes what no run covered yet, and what changed since the marks up to which everything that the covered
// spans could see is in the history: wherever a row is that came, that was replaced or retracted, or that another one of its
// unique key superseded or gave back, there and as far from there as a row can be seen. It follows load numbers and
// sequences, which are in commit order, and so misses nothing that comes late.

const (
	// manyRows is how many changed rows are not looked at one by one, if they are half of all: their loads say where they lie.
	manyRows = 1 << 20
	// changeBuckets is about how many places are told apart at which rows changed.
	changeBuckets = 1000
)

// ownChanged is what an incremental run computes.
func (t *Transform) ownChanged(ctx context.Context, scope *Scope, reach Span) error {
	all := NewSpans(reach).Union(scope.Covered)
	if t.windows != nil {
		all = NewSpans(all.Hull())
	}
	t.Plan.Owned = all.Minus(scope.Covered)
	if len(scope.Covered) == 0 {
		return nil
	}
	marks := scope.Consumed
	if marks == nil {
		marks = &Marks{}
	}
	within := make([]Span, len(scope.Covered))
	for i, c := range scope.Covered {
		within[i] = t.reads(c)
	}
	touch := func(changed Spans) {
		t.Plan.Owned = t.Plan.Owned.Union(t.touched(changed).Intersect(all))
	}
	for _, in := range t.Inputs {
		if in.foreign != nil {
			changed, known, err := in.changedThere(ctx, t, marks.Changes[in.Source.Name], NewSpans(within...))
			if err != nil {
				return err
			}
			if !known {
				t.Plan.Owned = all
				return nil
			}
			touch(changed)
			continue
		}
		changed, err := in.changed(ctx, t.tx, marks.Sources[in.Source.Name], NewSpans(within...))
		if err != nil {
			return err
		}
		touch(changed)
	}
	for _, in := range t.ViewInputs {
		changed, err := in.changed(ctx, t.tx, t.View, marks.Views[in.View.ID], NewSpans(within...))
		if err != nil {
			return err
		}
		touch(changed)
	}
	return nil
}

// touched is the event times less grain of the output that rows at some event times have a part in.
func (t *Transform) touched(changed Spans) Spans {
	grain := t.View.RunGrain()
	touched := make([]Span, len(changed))
	for i, c := range changed {
		first, last := c.Start, c.End-1
		switch {
		case t.windows != nil:
			// From the first point that the row can be seen at to that at which it has left every window.
			touched[i] = Span{Start: first.Ceil(grain).Add(-grain), End: last.Add(t.windows.Longest).Ceil(grain)}
		case grain > 0:
			touched[i] = Span{Start: first.Floor(grain), End: last.Add(t.View.Lookback).Floor(grain).Add(grain)}
		default:
			touched[i] = Span{Start: first, End: last.Add(t.View.Lookback) + 1}
		}
	}
	return NewSpans(touched...)
}

// changed is the event times, within some, at which a landing source shows other rows than at load number since, or did at
// some number from there to the input's.
func (in *Input) changed(ctx context.Context, tx pgx.Tx, since int64, within Spans) (Spans, error) {
	if since >= in.LoadNumber {
		return nil, nil
	}
	endedBy := map[int64]int64{}
	for _, l := range in.loads {
		endedBy[l.Replaces] = l.Number
	}
	var ids, others []string
	var changed, total int64
	var spans, allSpans []Span
	for _, l := range in.loads {
		end := endedBy[l.ID]
		if l.RetractReason != "" || end != 0 && end <= since {
			continue
		}
		total += l.Rows
		allSpans = append(allSpans, l.span())
		if l.Number <= since && end == 0 {
			others = append(others, strconv.FormatInt(l.ID, 10))
			continue
		}
		ids = append(ids, strconv.FormatInt(l.ID, 10))
		changed += l.Rows
		spans = append(spans, l.span())
	}
	keyed := len(in.Source.UniqueKey) > 0 && len(others) > 0
	many := changed > manyRows && 2*changed > total
	switch {
	case len(ids) == 0:
		return nil, nil
	case many && keyed:
		return within.Intersect(NewSpans(allSpans...)), nil
	case many:
		return within.Intersect(NewSpans(spans...)), nil
	}
	at, of := quote(in.Source.EventTime), func(ids []string) string {
		return "_load = ANY ('{" + strings.Join(ids, ",") + "}'::bigint[])"
	}
	var found Spans
	if seen := within.Intersect(NewSpans(spans...)); len(seen) > 0 {
		rows, err := changedTimes(ctx, tx, at, fmt.Sprintf("FROM %s WHERE %s AND %s", in.table, of(ids), inside(in.Source, seen)), seen.Hull())
		if err != nil {
			return nil, err
		}
		found = rows
	}
	if seen := within.Intersect(NewSpans(allSpans...)); keyed && len(seen) > 0 {
		// Rows of the other loads may win or lose their key by what changed, wherever that lies.
		hash := keyHash(in.Source)
		rows, err := changedTimes(ctx, tx, at, fmt.Sprintf("FROM %[1]s WHERE %[2]s AND %[3]s AND %[4]s IN (SELECT %[4]s FROM %[1]s WHERE %[5]s)",
			in.table, of(others), inside(in.Source, seen), hash, of(ids)), seen.Hull())
		if err != nil {
			return nil, err
		}
		found = found.Union(rows)
	}
	return found, nil
}

// changed is the event times, within some and less the input's shift, at which the view shows other rows than at sequence
// since, or did at some sequence from there to the input's.
func (in *ViewInput) changed(ctx context.Context, tx pgx.Tx, reader *feature.ViewVersion, since int64, within Spans) (Spans, error) {
	if since >= in.Seq {
		return nil, nil
	}
	// Where its runs were, of those that did something.
	ran, err := ReadSpans(ctx, tx, "r.spans", `FROM headwater.run r WHERE r.view_id = $1 AND r.seq > $2 AND r.seq <= $3
		AND r.state = 'published' AND r.inserted + r.withdrawn > 0`, in.View.ID, since, in.Seq)
	if err != nil {
		return nil, err
	}
	shift := in.shift(reader)
	seen := within.shift(shift).Intersect(ran.shift(in.View.RunGrain()))
	if len(seen) == 0 {
		return nil, nil
	}
	// Of rows that were collected it is not known any more where they lay.
	if horizon, err := Horizon(ctx, tx, in.View.ID); err != nil || since < horizon {
		return seen.shift(-shift), err
	}
	where := fmt.Sprintf("FROM %s WHERE %s AND (seq_from > %[3]d AND seq_from <= %[4]d OR seq_to > %[3]d AND seq_to <= %[4]d)",
		historyTable(in.View), seen.Condition(eventTimeColumn), since, in.Seq)
	found, err := changedTimes(ctx, tx, eventTimeColumn, where, seen.Hull())
	return found.shift(-shift), err
}

// changedTimes is where the event times lie of the rows that a query finds, which all lie within a span: about changeBuckets
// places are told apart, and of each the first and the last one. Places with less than one of them between them are one: each
// span of a plan is a query of its own, and many rows that changed side by side are not many spans.
func changedTimes(ctx context.Context, q database.Querier, at, from string, within Span) (Spans, error) {
	width := max(float64(within.End-within.Start)/1e6/changeBuckets, 1e-6)
	rows, err := q.Query(ctx, fmt.Sprintf("SELECT min(at), max(at) FROM (SELECT %s AS at %s) AS changed GROUP BY floor(date_part('epoch', at) / %s)",
		at, from, strconv.FormatFloat(width, 'f', -1, 64)))
	if err != nil {
		return nil, err
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Span, error) {
		var first, last time.Time
		err := row.Scan(&first, &last)
		return Span{Start: feature.TimeOf(first), End: feature.TimeOf(last) + 1}, err
	})
	return NewSpans(list...).apart(time.Duration(width*float64(time.Second)), len(list)), err
}
