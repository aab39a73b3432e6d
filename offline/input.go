package offline

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
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

// Input is what a run reads of one source: the loads that are live at a load number, over an interval of event times.
type Input struct {
	Source *feature.SourceVersion
	// LoadNumber is the newest load or retraction that was considered.
	LoadNumber int64
	// Loads are those that were live at LoadNumber and have rows in the interval, by id.
	Loads []InputLoad
	// Rows is the number of rows read.
	Rows int64

	live []int64
}

// InputLoad is the part of a load that a run read.
type InputLoad struct{ ID, Rows int64 }

// liveLoads finds the loads of a source that are live at its newest number, with the span of their event times.
func liveLoads(ctx context.Context, q database.Querier, src *feature.SourceVersion) (in *Input, span Span, err error) {
	in = &Input{Source: src}
	loads, err := ListLoads(ctx, q, src.Name)
	if err != nil {
		return nil, span, err
	}
	for _, l := range loads {
		in.LoadNumber = l.Number
		if l.RetractReason != "" || l.EndedBy != 0 {
			continue
		}
		in.live = append(in.live, l.ID)
		// The end is open, so the last row lies before it.
		span = span.Union(Span{Start: feature.TimeOf(*l.EventTimeMin), End: feature.TimeOf(*l.EventTimeMax) + 1})
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

// where is the condition that rows of the input meet in the landing table.
func (in *Input) where(read Span) string {
	if len(in.live) == 0 {
		return "false"
	}
	ids := make([]string, len(in.live))
	for i, id := range in.live {
		ids[i] = strconv.FormatInt(id, 10)
	}
	at := quote(in.Source.EventTime)
	return fmt.Sprintf("_load = ANY ('{%s}'::bigint[]) AND %s >= %s AND %s < %s",
		strings.Join(ids, ","), at, timeLiteral(read.Start), at, timeLiteral(read.End))
}

// count fills Loads and Rows.
func (in *Input) count(ctx context.Context, tx pgx.Tx, read Span) error {
	rows, err := tx.Query(ctx, fmt.Sprintf(`SELECT _load, count(*) FROM %s WHERE %s GROUP BY 1 ORDER BY 1`,
		quote(landingSchema, in.Source.Name), in.where(read)))
	if err != nil {
		return err
	}
	in.Loads, err = pgx.CollectRows(rows, pgx.RowToStructByPos[InputLoad])
	for _, l := range in.Loads {
		in.Rows += l.Rows
	}
	return err
}

// createView makes the temporary view that the transform reads under the source's name.
func (in *Input) createView(ctx context.Context, tx pgx.Tx, read Span) error {
	_, err := tx.Exec(ctx, "CREATE TEMPORARY VIEW "+quote(in.Source.Name)+" AS "+
		sourceSelect(in.Source, quote(landingSchema, in.Source.Name), in.where(read)))
	return err
}
