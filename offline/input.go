package offline

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
)

// A source shows a transform its columns, `event_time` and `available_at`.
const (
	eventTimeColumn   = "event_time"
	availableAtColumn = "available_at"
)

// sourceSelect is the SELECT that shows a source's rows in table to a transform. where may be empty. Whatever the table,
// the rows have the source's name in it, so that an arrival expression means the same over any. more are columns behind the others.
func sourceSelect(src *feature.SourceVersion, table, where string, more ...string) string {
	columns := make([]string, 0, len(src.Columns)+3)
	for _, c := range src.Columns {
		columns = append(columns, quote(c.Name))
	}
	if src.Column(eventTimeColumn) == nil {
		columns = append(columns, quote(src.EventTime)+" AS "+eventTimeColumn)
	}
	if src.Column(availableAtColumn) == nil {
		columns = append(columns, arrival(src)+" AS "+availableAtColumn)
	}
	columns = append(columns, more...)
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
	// TooLate and Deleted are of Rows those that the source's rules leave out: that came too late, and that withdraw what their
	// key stood for.
	TooLate, Deleted []Reason
	// Quarantined and LeftOutAtLoad are rows beside Rows that lacked what tells where they belong when they came, and were set
	// aside or left out.
	Quarantined, LeftOutAtLoad []Reason
	// LeftOut is what else was left out of Rows. nil: nothing was looked for.
	LeftOut *LeftOut
	// Hidden are the rows that whoever reads a spine does not see, beside Rows. They are for the audit.
	Hidden int64
	// RowsDigest is that of the rows read from a table of others, in any order. nil for a landing source.
	RowsDigest *feature.Digest
	// Schema is the columns with their types: of a table of others as they are there, all of them.
	Schema []string
	// Buckets are digests of those rows by time. nil for a landing source.
	Buckets *Buckets
	// Kept is what a run keeps of those rows, once KeepRows was called. nil: nothing.
	Kept *Kept
	// Newest is the event time of the newest row, inside of the interval or not. nil: there is no row.
	Newest *feature.Time

	// loads are all loads and retractions that were considered, live those of them that are live, by number.
	loads []*Load
	live  []int64
	// arriving are the loads of a source whose corrections arrive; live is all of them.
	arriving []arrivingLoad
	// setAside are the loads that Quarantined counts rows of.
	setAside []int64
	// total is the number of rows of the live loads, inside of the interval or not. 0: it is not known.
	total int64
	// table is what stands after FROM for the rows that a query sees of the source in the run's snapshot.
	table string
	// counts are conditions beside the interval's that rows meet which count.
	counts []string
	// foreign is the table of others, nil for a landing source.
	foreign *relation
	// whole is table of a table of others before duplicates are left out.
	whole string
	// keptAs is the source in the columns that a run had which kept the rows. nil: they are what the table holds.
	keptAs *feature.SourceVersion
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
	number, ok := t.Plan.Marks.Sources[src.Name]
	if !ok {
		err := t.tx.QueryRow(ctx, `SELECT coalesce(max(number), 0) FROM headwater.load WHERE source = $1`, src.Name).Scan(&number)
		if err != nil {
			return nil, Span{}, err
		}
		t.Plan.Marks.Sources[src.Name] = number
	}
	if number == 0 {
		return nil, Span{}, fault.New(fault.FailedPrecondition, "%s reads source %s, which has no rows yet; send some: "+
			"headwater ingest %s FILE", t.reader(), src.Name, src.Name)
	}
	loads, err := ListLoads(ctx, t.tx, src.Name)
	if err != nil {
		return nil, Span{}, err
	}
	in, span := landed(src, loads, number)
	return in, span, nil
}

// landed is what a source holds as of a load number, with the span of its event times: of the loads up to it those that none
// up to it ends.
func landed(src *feature.SourceVersion, loads []*Load, number int64) (in *Input, span Span) {
	loads = slices.Clone(loads)
	loads = slices.DeleteFunc(loads, func(l *Load) bool { return l.Number > number })
	in = &Input{Source: src, table: quote(landingSchema, src.Name), LoadNumber: number, loads: loads}
	for _, c := range src.Columns {
		in.Schema = append(in.Schema, c.Name+" "+c.Type.String())
	}
	ended := map[int64]bool{}
	for _, l := range loads {
		ended[l.Replaces] = true
	}
	if src.Corrections == feature.Arrive {
		return in, in.arrive(ended)
	}
	for _, l := range loads {
		if l.RetractReason != "" || ended[l.ID] {
			continue
		}
		in.live = append(in.live, l.ID)
		in.total += l.Rows
		span = span.Union(l.span())
	}
	if !span.IsEmpty() {
		newest := span.End - 1
		in.Newest = &newest
	}
	return in, span
}

// span is the event times of a load's rows, empty for a retraction.
func (l *Load) span() Span {
	if l.EventTimeMin == nil || l.EventTimeMax == nil {
		return Span{}
	}
	// The end is open, so the last row lies before it.
	return Span{Start: feature.TimeOf(*l.EventTimeMin), End: feature.TimeOf(*l.EventTimeMax) + 1}
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

// inside is the condition that a row's event time lies in what is read.
func inside(src *feature.SourceVersion, read Spans) string {
	return read.Condition(quote(src.EventTime))
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
func (in *Input) read(ctx context.Context, t *Transform, read Spans) error {
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
			return fault.New(fault.RunRefused, "%s: source %s: found %d rows of load %d in which a column of the unique key (%s) is NULL, "+
				"expected a value: the load came before the key; replace it by one that has them, or retract it", t.reader(), in.Source.Name,
				l.NoKey, l.Load, strings.Join(in.Source.UniqueKey, ", "))
		}
		in.Loads = append(in.Loads, InputLoad{ID: l.Load, Rows: l.Rows})
		in.Rows += l.Rows
	}
	return in.leaveOutDuplicates(ctx, t, read)
}

// createView makes the temporary view that the transform reads under the source's name.
func (in *Input) createView(ctx context.Context, tx pgx.Tx, read Spans) error {
	_, err := tx.Exec(ctx, "CREATE TEMPORARY VIEW "+quote(in.Source.Name)+" AS "+sourceSelect(in.Source, in.table, in.Considered(read)))
	return err
}
