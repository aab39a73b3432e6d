package offline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/offline/analysis"
)

// A view shows a transform its join keys, `event_time`, `available_at`, features and attributes: of its rows that are live at
// one sequence, and of several of one key and event time the one that became known last.

// ViewInput is what a run reads of another view.
type ViewInput struct {
	View *feature.ViewVersion
	// Seq is the view's last published sequence in the run's snapshot.
	Seq int64
	// Rows is the number of rows read.
	Rows int64

	// covered is what the view's runs covered up to then.
	covered Spans
}

// openViewInput finds what a view shows at a sequence, 0 for the last one published, to reader's run, or returns a
// NOT_MATERIALIZED fault.
func openViewInput(ctx context.Context, q database.Querier, reader, view *feature.ViewVersion, seq int64) (*ViewInput, error) {
	in := &ViewInput{View: view, Seq: seq}
	if seq == 0 {
		err := q.QueryRow(ctx, `SELECT published_seq FROM headwater.view_state WHERE view_id = $1`, view.ID).Scan(&in.Seq)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return nil, err
		}
	}
	if in.Seq == 0 {
		return nil, fault.New(fault.NotMaterialized, "view %s reads view %s, of which no run is published; run that first: "+
			"headwater materialize %s --wait", reader.Ref(), view.Ref(), view.Ref())
	}
	if ok, horizon, err := Readable(ctx, q, view.ID, in.Seq, false); err != nil || !ok {
		if err == nil {
			err = fault.New(fault.FailedPrecondition, "view %s reads view %s as of run %[2]s/%[3]d, and what is before run %[2]s/%[4]d was collected; "+
				"run view %[1]s again, which reads it as it is now", reader.Ref(), view.Ref(), in.Seq, horizon)
		}
		return nil, err
	}
	var err error
	in.covered, err = coveredAt(ctx, q, view.ID, in.Seq)
	return in, err
}

// shift is what is taken from an event time of the input before it is looked for in a span of reader. A view with a grain
// reads the groups that lie in its interval, whose event times are their ends: so that a day has the hours that are in it.
// A row-wise view reads what became true in its interval.
func (in *ViewInput) shift(reader *feature.ViewVersion) time.Duration {
	if reader.RunGrain() > 0 {
		return in.View.RunGrain()
	}
	return 0
}

// reach is the span of reader in which the input has something to show.
func (in *ViewInput) reach(reader *feature.ViewVersion) Span {
	return in.covered.shift(in.View.RunGrain() - in.shift(reader)).Hull()
}

// createView makes the temporary view that the transform reads under the input's name, over what reader reads.
func (in *ViewInput) createView(ctx context.Context, tx pgx.Tx, reader *feature.ViewVersion, read Spans) error {
	_, err := tx.Exec(ctx, "CREATE TEMPORARY VIEW "+quote(in.View.Name)+" AS "+in.query(reader, read))
	return err
}

// query is the SELECT that shows the input over what reader reads. more are columns behind the others.
func (in *ViewInput) query(reader *feature.ViewVersion, read Spans, more ...string) string {
	// Backwards, which is an order of the table's primary key.
	newest := fmt.Sprintf(`(SELECT DISTINCT ON (entity_key, event_time) * FROM %s
		WHERE seq_from <= %d AND seq_to > %d AND %s
		ORDER BY entity_key DESC, event_time DESC, available_at DESC)`,
		historyTable(in.View), in.Seq, in.Seq, read.shift(in.shift(reader)).Condition(eventTimeColumn))
	return viewSelect(in.View, newest, more...) + in.withoutGone()
}

// withoutGone is the WHERE that leaves out the rows without values, where they may be what corrections left of rows that they
// took away: those count for nothing, as if they were not there.
func (in *ViewInput) withoutGone() string {
	arrives := func(src *feature.SourceVersion) bool { return src.Corrections == feature.Arrive }
	if !slices.ContainsFunc(in.View.SourceVersions, arrives) {
		return ""
	}
	var values []string
	for _, c := range in.View.Stored() {
		values = append(values, quote(c.Name)+" IS NOT NULL")
	}
	return " WHERE " + strings.Join(values, " OR ")
}

// count fills Rows.
func (in *ViewInput) count(ctx context.Context, tx pgx.Tx, reader *feature.ViewVersion, read Spans) error {
	return tx.QueryRow(ctx, "SELECT count(*) FROM ("+in.query(reader, read)+") AS shown").Scan(&in.Rows)
}

// viewSelect shows rows of a history to a transform.
func viewSelect(v *feature.ViewVersion, rows string, more ...string) string {
	var columns []string
	for i := range v.EntityVersion.JoinKeys {
		columns = append(columns, joinKey(&v.EntityVersion.Entity, i)+" AS "+quote(v.EntityVersion.JoinKeys[i].Name))
	}
	columns = append(columns, eventTimeColumn, availableAtColumn)
	for _, c := range v.Stored() {
		columns = append(columns, quote(c.Name))
	}
	columns = append(columns, more...)
	return "SELECT " + strings.Join(columns, ", ") + " FROM " + rows + " AS h"
}

// joinKey is the i-th join key of h.entity_key, as SQL: feature.Entity.ParseKey for keys that AppendKey made. A key without
// a backslash is cut at its bars; one that has any is matched whole, and then each backslash that stands before another
// character goes.
func joinKey(e *feature.Entity, i int) string {
	const part = `((?:[^\\|]|\\[\\|])*)`
	n := len(e.JoinKeys)
	plain := "h.entity_key"
	if n > 1 {
		plain = fmt.Sprintf("split_part(h.entity_key, '|', %d)", i+1)
	}
	if e.JoinKeys[i].Type == feature.TypeInt64 {
		escaped := false
		for _, k := range e.JoinKeys[:i] {
			escaped = escaped || k.Type == feature.TypeString
		}
		if !escaped {
			return plain + "::bigint"
		}
	}
	pattern := "^" + strings.Repeat(part+`\|`, n-1) + part + "$"
	value := fmt.Sprintf(`CASE WHEN strpos(h.entity_key, '\') = 0 THEN %s ELSE regexp_replace((regexp_match(h.entity_key, '%s'))[%d], `+
		`'\\([\\|])', '\1', 'g') END`, plain, pattern, i+1)
	if e.JoinKeys[i].Type == feature.TypeInt64 {
		return "(" + value + ")::bigint"
	}
	return value
}

// createEmptyViewInput makes an empty table of a history's shape, and the view of it that the transform reads.
func createEmptyViewInput(ctx context.Context, tx pgx.Tx, v *feature.ViewVersion) error {
	columns := []string{`entity_key text COLLATE "C"`, "event_time timestamptz", "available_at timestamptz"}
	for _, c := range v.Stored() {
		columns = append(columns, quote(c.Name)+" "+columnType(c.Type))
	}
	_, err := tx.Exec(ctx, "CREATE TEMPORARY TABLE "+quote("_"+v.Name)+" ("+strings.Join(columns, ", ")+")")
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, "CREATE TEMPORARY VIEW "+quote(v.Name)+" AS "+viewSelect(v, temporary("_"+v.Name)))
	return err
}

// inputRelations are the sources and views of a view as its SQL sees them.
func inputRelations(v *feature.ViewVersion) []analysis.Relation {
	var relations []analysis.Relation
	for _, src := range v.SourceVersions {
		relations = append(relations, sourceRelation(src))
	}
	for _, input := range v.ViewVersions {
		r := analysis.Relation{Name: input.Name, AvailableAt: availableAtColumn, EventTime: eventTimeColumn}
		var key []string
		for _, k := range input.EntityVersion.JoinKeys {
			key = append(key, k.Name)
		}
		r.Keys = [][]string{append(key, eventTimeColumn)}
		for _, c := range outputColumns(input) {
			r.Columns = append(r.Columns, c.Name)
		}
		relations = append(relations, r)
	}
	return relations
}

// createEmptyInputs makes what the view's SQL reads, empty.
func createEmptyInputs(ctx context.Context, tx pgx.Tx, v *feature.ViewVersion) error {
	for _, src := range v.SourceVersions {
		if err := createEmptyInput(ctx, tx, src); err != nil {
			return err
		}
	}
	for i, input := range v.ViewVersions {
		if !input.Materialized() {
			description := fmt.Sprintf("found view %s, whose features are computed when they are read, expected a view with a history; "+
				"compute them in this SQL, or read what they are made of", input.Name)
			return fault.New(fault.InvalidDefinition, "view %s: %s", v.Name, description).
				Violating(fault.Violation{Field: fmt.Sprintf("sql.views[%d]", i), Description: description})
		}
		if err := createEmptyViewInput(ctx, tx, input); err != nil {
			return err
		}
	}
	return nil
}
