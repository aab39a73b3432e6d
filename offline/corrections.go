package offline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
)

// A source whose corrections arrive keeps what was known before each. A run takes its loads in order: for each time at which
// a load replaced or retracted another one there is a state of knowledge, with the rows that were live from then on, and the
// view's SQL runs once in each. A load that ends none adds rows to all states; its rows say by themselves when they could be
// known. What a spine then finds of a key and event time is what the state of its time has: rows of a state are live for the
// spines from its time to the next one's, and where it begins with another row than the state before ended with, that row is
// there from its time on. Where it begins with none, a row without values is.

// maxCorrections bounds how often the SQL of one run is executed.
const maxCorrections = 1000

// arrivingLoad is a load of such a source.
type arrivingLoad struct {
	id   int64
	span Span
	// brought is when it became known, for one that ends another; ended when it was replaced or retracted. nil: neither.
	brought, ended *feature.Time
}

// arrive has the input read all of its loads, live or not, and returns the span of their event times. ended is the loads that
// are not live.
func (in *Input) arrive(ended map[int64]bool) (span Span) {
	place := map[int64]int{}
	// A clock that was set back changes no order.
	var newest feature.Time
	for _, l := range in.loads {
		at := feature.TimeOf(l.CommittedAt)
		if l.Number > 1 {
			at = max(at, newest)
		}
		newest = at
		if i, ends := place[l.Replaces]; ends {
			in.arriving[i].ended = &at
		}
		if l.RetractReason != "" {
			continue
		}
		a := arrivingLoad{id: l.ID, span: l.span()}
		if l.Replaces != 0 {
			a.brought = &at
		}
		place[l.ID] = len(in.arriving)
		in.arriving = append(in.arriving, a)
		in.live = append(in.live, l.ID)
		span = span.Union(a.span)
		if !ended[l.ID] && !a.span.IsEmpty() && (in.Newest == nil || a.span.End-1 > *in.Newest) {
			last := a.span.End - 1
			in.Newest = &last
		}
	}
	return span
}

// corrected are the times at which what the inputs show of a span was corrected, in order, each once.
func (t *Transform) corrected(read Spans) ([]feature.Time, error) {
	var times []feature.Time
	for _, in := range t.Inputs {
		for _, l := range in.arriving {
			if len(read.Intersect(NewSpans(l.span))) == 0 {
				continue
			}
			for _, at := range []*feature.Time{l.brought, l.ended} {
				if at != nil {
					times = append(times, *at)
				}
			}
		}
	}
	slices.Sort(times)
	times = slices.Compact(times)
	if len(times) > maxCorrections {
		return nil, t.refuse("what it reads was corrected at %d times, expected at most %d: its SQL runs once for each, since the corrections "+
			"of a source arrive; run shorter intervals (--from, --to)", len(times), maxCorrections)
	}
	return times, nil
}

// createArrivingView makes the temporary view that the transform reads of such a source in a state, which begins at time at.
// nil: in the first one.
func (in *Input) createArrivingView(ctx context.Context, tx pgx.Tx, read Spans, at *feature.Time) error {
	var ids, known []string
	src := in.Source
	for _, l := range in.arriving {
		if l.brought != nil && (at == nil || *l.brought > *at) || l.ended != nil && at != nil && *l.ended <= *at {
			continue
		}
		ids = append(ids, fmt.Sprint(l.id))
		if l.brought != nil {
			known = append(known, fmt.Sprintf(" WHEN %d THEN %s", l.id, timeLiteral(*l.brought)))
		}
	}
	arrived := arrival(src)
	if len(known) > 0 {
		arrived = "greatest(" + arrived + ", CASE " + quote(src.Name, "_load") + strings.Join(known, "") + " END)"
	}
	var columns []string
	for _, c := range src.Columns {
		if c.Name != availableAtColumn {
			columns = append(columns, quote(c.Name))
		}
	}
	if src.Column(eventTimeColumn) == nil {
		columns = append(columns, quote(src.EventTime)+" AS "+eventTimeColumn)
	}
	columns = append(columns, arrived+" AS "+availableAtColumn)
	where := strings.Join(append([]string{inside(src, read)}, in.counts...), " AND ")
	_, err := tx.Exec(ctx, fmt.Sprintf("CREATE TEMPORARY VIEW %s AS SELECT %s FROM %s AS %s WHERE _load = ANY ('{%s}'::bigint[]) AND %s",
		quote(src.Name), strings.Join(columns, ", "), in.table, quote(src.Name), strings.Join(ids, ","), where))
	return err
}

// stateRows is the output of all spans in one state of knowledge.
func (t *Transform) stateRows(ctx context.Context, state int, emit func(*feature.Row) error) error {
	var at *feature.Time
	if state > 0 {
		at = &t.corrections[state-1]
	}
	for _, span := range t.Plan.Owned {
		if err := t.rows(ctx, span, at, emit); err != nil {
			return err
		}
	}
	return nil
}

// stageStates computes the output of every state, and fills the staging table with what is known of them when. Its rows are
// read again for the digest.
func stageStates(ctx context.Context, tx pgx.Tx, t *Transform, staging string, seq int64, added func(*feature.Row)) error {
	name := fmt.Sprintf("states_%d_s%d", t.View.ID, seq)
	states := quote(stagingSchema, name)
	stored := t.View.Stored()
	columns := `entity_key text COLLATE "C" NOT NULL, state bigint NOT NULL, event_time timestamptz NOT NULL, available_at timestamptz NOT NULL`
	for _, c := range stored {
		columns += fmt.Sprintf(", %s %s", quote(c.Name), columnType(c.Type))
	}
	err := database.CreateTable(ctx, tx, database.Table{
		Kind: database.Staging, Schema: stagingSchema, Name: name, Columns: columns, DistributionColumn: "entity_key",
	})
	if err != nil {
		return err
	}
	names := append([]string{"state"}, historyColumns(t.View)...)
	for state := range len(t.corrections) + 1 {
		err := copyIn(ctx, tx.Conn(), states, names, func(e *copyEncoder) error {
			return t.stateRows(ctx, state, func(r *feature.Row) error {
				e.beginRow(len(names))
				e.int64(int64(state))
				e.row(r)
				return e.err
			})
		})
		if err != nil {
			return err
		}
	}
	_, err = tx.Exec(ctx, "ALTER TABLE "+states+" ADD PRIMARY KEY (entity_key, state, event_time, available_at); ANALYZE "+states)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "23505" {
		return t.refuse("found more than one row for (entity_key, state of knowledge, event_time, available_at) = (%s), expected one; "+
			"group by the join keys, or make the times distinct", fault.Data(duplicateIn(pg.Detail)))
	}
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, mergeStates(t, states, staging)); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, "DROP TABLE "+states); err != nil {
		return err
	}
	row := feature.Row{Values: make([]feature.Value, len(stored))}
	return copyOut(ctx, tx.Conn(), "SELECT "+quoteAll("", historyColumns(t.View))+" FROM "+staging, func(fields [][]byte) error {
		if err := decodeHistory(&row, stored, fields); err != nil {
			return err
		}
		added(&row)
		return nil
	})
}

// mergeStates is the INSERT that makes one output of those of all states.
func mergeStates(t *Transform, states, staging string) string {
	times := make([]string, len(t.corrections)+1)
	for i := range times {
		begins, ends := "'-infinity'::timestamptz", "'infinity'::timestamptz"
		if i > 0 {
			begins = timeLiteral(t.corrections[i-1])
		}
		if i < len(t.corrections) {
			ends = timeLiteral(t.corrections[i])
		}
		times[i] = fmt.Sprintf("(%d, %s, %s)", i, begins, ends)
	}
	stored := columnNames(t.View.Stored())
	// last is the row of each key and event time that is known last, of those known by a time.
	last := func(state, when string) string {
		return fmt.Sprintf(`(SELECT DISTINCT ON (b.state, s.entity_key, s.event_time) b.state, s.entity_key, s.event_time, %s
			FROM %s s JOIN bounds b ON b.state = %s WHERE b.state > 0 AND s.available_at %s b.begins
			ORDER BY b.state, s.entity_key, s.event_time, s.available_at DESC)`, quoteAll("s.", stored), states, state, when)
	}
	return fmt.Sprintf(`
		INSERT INTO %[1]s (%[2]s)
		WITH bounds (state, begins, ends) AS (VALUES %[3]s)
		SELECT %[4]s FROM %[5]s s JOIN bounds b USING (state) WHERE s.available_at > b.begins AND s.available_at < b.ends
		UNION ALL
		SELECT coalesce(now.entity_key, before.entity_key), coalesce(now.event_time, before.event_time), b.begins, %[6]s
		FROM %[7]s now FULL JOIN %[8]s before
			ON before.state = now.state AND before.entity_key = now.entity_key AND before.event_time = now.event_time
		JOIN bounds b ON b.state = coalesce(now.state, before.state)
		WHERE before.entity_key IS NULL OR ROW(%[6]s) IS DISTINCT FROM ROW(%[9]s)`,
		staging, quoteAll("", historyColumns(t.View)), strings.Join(times, ", "), quoteAll("s.", historyColumns(t.View)), states,
		quoteAll("now.", stored), last("s.state", "<="), last("s.state + 1", "<"), quoteAll("before.", stored))
}

// refuseArrivingWindows refuses aggregations over a source whose corrections arrive.
func refuseArrivingWindows(v *feature.ViewVersion) error {
	if v.Aggregation == nil || len(v.SourceVersions) == 0 || v.SourceVersions[0].Corrections != feature.Arrive {
		return nil
	}
	description := fmt.Sprintf("found source %s, whose corrections arrive, expected one whose corrections restate: windows do not know yet what "+
		"was known when; leave corrections out, or write the view as sql", v.SourceVersions[0].Name)
	return fault.New(fault.InvalidDefinition, "view %s: %s", v.Name, description).
		Violating(fault.Violation{Field: "aggregation.source", Description: description})
}
