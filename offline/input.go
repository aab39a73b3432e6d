package offline

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
)

// A source shows a transform its columns, `event_time` and `available_at`.
const (
	eventTimeColumn   = "event_time"
	availableAtColumn = "available_at"
)

// sourceSelect is the SELECT that shows a source's rows in table to a transform. where may be empty. Whatever the table,
// the rows have the source's name in it, so that an arrival expression means the same over any.
func sourceSelect(src *feature.SourceVersion, table, where string) string {
	columns := make([]string, 0, len(src.Columns)+2)
	for _, c := range src.Columns {
		columns = append(columns, quote(c.Name))
	}
	if src.Column(eventTimeColumn) == nil {
		columns = append(columns, quote(src.EventTime)+" AS "+eventTimeColumn)
	}
	if src.Column(availableAtColumn) == nil {
		columns = append(columns, arrival(src)+" AS "+availableAtColumn)
	}
	query := "SELECT " + strings.Join(columns, ", ") + " FROM " + table + " AS " + quote(src.Name)
	if where != "" {
		query += " WHERE " + where
	}
	return query
}

// arrival is when a row of the source could be known, as SQL. The line break ends a comment at the expression's end.
func arrival(src *feature.SourceVersion) string {
	switch {
	case src.ArrivalExpression != "":
		return "(" + src.ArrivalExpression + "\n)"
	case src.ArrivalColumn != "":
		return quote(src.ArrivalColumn)
	}
	return quote(src.EventTime)
}

// Input is what a run reads of one source over an interval of event times: of a landing source the loads that are live at
// a load number, of a table of others what it holds in the run's snapshot.
type Input struct {
	Source *feature.SourceVersion
	// LoadNumber is the newest load or retraction that was considered. 0 for a table of others.
	LoadNumber int64
	// Loads are those that were live at LoadNumber and have rows in the interval, by id.
	Loads []InputLoad
	// Rows is the number of rows read.
	Rows int64
	// Exact and Conflicting are of Rows those that were left out as duplicates: equal to a row that counts, or of the same
	// unique key as one.
	Exact, Conflicting int64
	// RowsDigest is that of the rows read from a table of others, in any order. nil for a landing source.
	RowsDigest *feature.Digest
	// Newest is the event time of the newest row, inside of the interval or not. nil: there is no row.
	Newest *feature.Time

	live []int64
	// arriving are the loads of a source whose corrections arrive; live is all of them.
	arriving []arrivingLoad
	// total is the number of rows of the live loads, inside of the interval or not. 0: it is not known.
	total int64
	// table is what stands after FROM for the rows that a query sees of the source in the run's snapshot.
	table string
	// counts is a condition beside the interval's that rows meet which count, or empty.
	counts string
	// foreign is the table of others, nil for a landing source.
	foreign *relation
}

// Age is how old a row is at now, zero when its time is yet to come.
func Age(now, row feature.Time) time.Duration {
	switch age := int64(now - row); {
	case age <= 0:
		return 0
	case age > math.MaxInt64/int64(time.Microsecond):
		return math.MaxInt64
	default:
		return time.Duration(age) * time.Microsecond
	}
}

// InputLoad is the part of a load that a run read.
type InputLoad struct{ ID, Rows int64 }

// openInput finds what there is of a source, with the span of its event times.
func (t *Transform) openInput(ctx context.Context, src *feature.SourceVersion) (*Input, Span, error) {
	if src.Postgres != nil {
		return t.openForeign(ctx, src)
	}
	in, span, err := liveLoads(ctx, t.tx, src)
	if err == nil && in.LoadNumber == 0 {
		err = fault.New(fault.FailedPrecondition, "view %s reads source %s, which has no rows yet; send some: "+
			"headwater ingest %s FILE", t.View.Ref(), src.Name, src.Name)
	}
	return in, span, err
}

// liveLoads finds the loads of a source that are live at its newest number, with the span of their event times.
func liveLoads(ctx context.Context, q database.Querier, src *feature.SourceVersion) (in *Input, span Span, err error) {
	in = &Input{Source: src, table: quote(landingSchema, src.Name)}
	loads, err := ListLoads(ctx, q, src.Name)
	if err != nil {
		return nil, span, err
	}
	if src.Corrections == feature.Arrive {
		in, span = arrivingLoads(src, loads)
		return in, span, nil
	}
	for _, l := range loads {
		in.LoadNumber = l.Number
		if l.RetractReason != "" || l.EndedBy != 0 {
			continue
		}
		in.live = append(in.live, l.ID)
		in.total += l.Rows
		// The end is open, so the last row lies before it.
		span = span.Union(Span{Start: feature.TimeOf(*l.EventTimeMin), End: feature.TimeOf(*l.EventTimeMax) + 1})
	}
	if len(in.live) > 0 {
		newest := span.End - 1
		in.Newest = &newest
	}
	return in, span, nil
}

// Span is an interval of event times, [Start, End). Empty when End is not after Start.
type Span struct{ Start, End feature.Time }

// IsEmpty reports whether no instant lies in s.
func (s Span) IsEmpty() bool { return s.End <= s.Start }

// Union is the smallest span that holds both.
func (s Span) Union(t Span) Span {
	switch {
	case s.IsEmpty():
		return t
	case t.IsEmpty():
		return s
	}
	return Span{Start: min(s.Start, t.Start), End: max(s.End, t.End)}
}

// inside is the condition that a row's event time lies in the interval.
func inside(src *feature.SourceVersion, read Span) string {
	at := quote(src.EventTime)
	return fmt.Sprintf("%s >= %s AND %s < %s", at, timeLiteral(read.Start), at, timeLiteral(read.End))
}

// alive is the condition that rows of the landing table meet whose load is live.
func (in *Input) alive() string {
	if len(in.live) == 0 {
		return "false"
	}
	return "_load = ANY (" + in.liveArray() + ")"
}

// liveArray is the live loads in the order of their numbers.
func (in *Input) liveArray() string {
	ids := make([]string, len(in.live))
	for i, id := range in.live {
		ids[i] = strconv.FormatInt(id, 10)
	}
	return "'{" + strings.Join(ids, ",") + "}'::bigint[]"
}

// read counts the rows of the interval, and finds those that are duplicates.
func (in *Input) read(ctx context.Context, t *Transform, read Span) error {
	if in.foreign != nil {
		return in.readForeign(ctx, t, read)
	}
	noKey := "false"
	if len(in.Source.UniqueKey) > 0 {
		noKey = nullKey(in.Source)
	}
	rows, err := t.tx.Query(ctx, fmt.Sprintf(`SELECT _load, count(*), count(*) FILTER (WHERE %s) FROM %s WHERE %s AND %s GROUP BY 1 ORDER BY 1`,
		noKey, in.table, in.alive(), inside(in.Source, read)))
	if err != nil {
		return err
	}
	type counted struct{ Load, Rows, NoKey int64 }
	loads, err := pgx.CollectRows(rows, pgx.RowToStructByPos[counted])
	if err != nil {
		return err
	}
	for _, l := range loads {
		if l.NoKey > 0 {
			return fault.New(fault.RunRefused, "view %s: source %s: found %d rows of load %d in which a column of the unique key (%s) is NULL, "+
				"expected a value: the load came before the key; replace it by one that has them, or retract it", t.View.Ref(), in.Source.Name,
				l.NoKey, l.Load, strings.Join(in.Source.UniqueKey, ", "))
		}
		in.Loads = append(in.Loads, InputLoad{ID: l.Load, Rows: l.Rows})
		in.Rows += l.Rows
	}
	return in.leaveOutDuplicates(ctx, t, read)
}

// createView makes the temporary view that the transform reads under the source's name.
func (in *Input) createView(ctx context.Context, tx pgx.Tx, read Span) error {
	where := inside(in.Source, read)
	if in.foreign == nil {
		where = in.alive() + " AND " + where
	}
	if in.counts != "" {
		where += " AND " + in.counts
	}
	_, err := tx.Exec(ctx, "CREATE TEMPORARY VIEW "+quote(in.Source.Name)+" AS "+sourceSelect(in.Source, in.table, where))
	return err
}
