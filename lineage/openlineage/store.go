package openlineage

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/internal/fault"
)

// maxOutside is how many jobs, and tables, of others are kept.
const maxOutside = 100_000

// Keep keeps what an event of others says: it adds to what earlier ones said. The newest event of a job says how that stands.
//
// Faults: INVALID_ARGUMENT where a job of others would be one of ours, or write what is Headwater's own; RESOURCE_EXHAUSTED where there are too
// many.
func Keep(ctx context.Context, tx pgx.Tx, names Names, t *Told, principal string) error {
	k := &keeper{tx: tx, names: names}
	if t.Job == (Name{}) {
		_, err := k.table(ctx, &t.Inputs[0])
		return err
	}
	if t.Job.Namespace == names.Namespace {
		return wrong("job.namespace", "found %q, the namespace of this Headwater's own jobs, expected another: what these read and write is known", t.Job.Namespace)
	}
	// One event at a time: several name the same tables, in any order.
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('headwater.outside', 0))`); err != nil {
		return err
	}
	var job int64
	err := tx.QueryRow(ctx, `
		INSERT INTO headwater.outside_job AS j (namespace, name, event_time, event_type, run_id, told_by) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (namespace, name) DO UPDATE SET
			event_type = CASE WHEN excluded.event_time >= j.event_time THEN excluded.event_type ELSE j.event_type END,
			run_id = CASE WHEN excluded.event_time >= j.event_time THEN excluded.run_id ELSE j.run_id END,
			told_by = CASE WHEN excluded.event_time >= j.event_time THEN excluded.told_by ELSE j.told_by END,
			event_time = greatest(j.event_time, excluded.event_time)
		RETURNING id`, t.Job.Namespace, t.Job.Name, t.Time, t.Type, t.RunID, principal).Scan(&job)
	if err != nil {
		return err
	}
	for _, side := range []struct {
		tables []ToldTable
		writes bool
	}{{t.Inputs, false}, {t.Outputs, true}} {
		for i := range side.tables {
			if err := k.edge(ctx, job, t, &side.tables[i], side.writes); err != nil {
				return err
			}
		}
	}
	return k.bounded(ctx)
}

type keeper struct {
	tx    pgx.Tx
	names Names
}

func (k *keeper) edge(ctx context.Context, job int64, event *Told, t *ToldTable, writes bool) error {
	id, err := k.table(ctx, t)
	if err != nil {
		return err
	}
	_, err = k.tx.Exec(ctx, `
		INSERT INTO headwater.outside_edge (job_id, table_id, writes, told_at) VALUES ($1, $2, $3, clock_timestamp())
		ON CONFLICT (job_id, table_id, writes) DO NOTHING`, job, id, writes)
	if err != nil || !writes || len(t.Columns) == 0 {
		return err
	}
	return k.columns(ctx, job, id, event, t)
}

// columns keeps what the columns of a table are made of that a job writes. The end of a run, and what is told of no run, says all of it: what is not in it
// ends. Else it adds to what is known. An event that is older than the newest that said all is not looked at.
func (k *keeper) columns(ctx context.Context, job, id int64, event *Told, t *ToldTable) error {
	var old bool
	err := k.tx.QueryRow(ctx, `SELECT coalesce(columns_at > $3, false) FROM headwater.outside_edge WHERE job_id = $1 AND table_id = $2 AND writes`, job, id, event.Time).
		Scan(&old)
	if err != nil || old {
		return err
	}
	from := map[Name]int64{}
	var tables []int64
	var columns, fromColumns []string
	var kinds []int16
	for _, c := range t.Columns {
		if from[c.From] == 0 {
			if from[c.From], err = k.table(ctx, &ToldTable{Name: c.From}); err != nil {
				return err
			}
		}
		columns, tables, fromColumns = append(columns, c.Column), append(tables, from[c.From]), append(fromColumns, c.FromColumn)
		kinds = append(kinds, int16(c.Kind))
	}
	const told = `told AS (SELECT DISTINCT * FROM unnest($3::text[], $4::bigint[], $5::text[], $6::smallint[]) AS t (column_name, from_id, from_column, kind))`
	args := []any{job, id, columns, tables, fromColumns, kinds}
	if event.Type == "COMPLETE" || event.RunID == "" {
		_, err = k.tx.Exec(ctx, `WITH `+told+` UPDATE headwater.outside_column c SET valid_to = clock_timestamp()
			WHERE job_id = $1 AND table_id = $2 AND valid_to = 'infinity' AND NOT EXISTS (SELECT FROM told t WHERE t.column_name = c.column_name
				AND t.from_id = c.from_id AND t.from_column = c.from_column AND t.kind = c.kind)`, args...)
		if err != nil {
			return err
		}
		_, err = k.tx.Exec(ctx, `UPDATE headwater.outside_edge SET columns_at = $3 WHERE job_id = $1 AND table_id = $2 AND writes`, job, id, event.Time)
		if err != nil {
			return err
		}
	}
	_, err = k.tx.Exec(ctx, `WITH `+told+` INSERT INTO headwater.outside_column (job_id, table_id, column_name, from_id, from_column, kind, told_at)
		SELECT $1, $2, t.column_name, t.from_id, t.from_column, t.kind, clock_timestamp() FROM told t WHERE NOT EXISTS (SELECT FROM headwater.outside_column c
			WHERE c.job_id = $1 AND c.table_id = $2 AND c.valid_to = 'infinity' AND c.column_name = t.column_name AND c.from_id = t.from_id
				AND c.from_column = t.from_column AND c.kind = t.kind)`, args...)
	return err
}

// table is the id of a table by any of its names, which are kept.
func (k *keeper) table(ctx context.Context, t *ToldTable) (id int64, err error) {
	relation := k.names.Relation(t.Name)
	namespaces, named := []string{t.Namespace}, []string{t.Name.Name}
	for _, a := range t.Aliases {
		namespaces, named = append(namespaces, a.Namespace), append(named, a.Name)
		if relation == "" {
			relation = k.names.Relation(a)
		}
	}
	err = k.tx.QueryRow(ctx, `
		SELECT a.table_id FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS n (namespace, name, place)
		JOIN headwater.outside_alias a USING (namespace, name) ORDER BY place LIMIT 1`, namespaces, named).Scan(&id)
	if err == pgx.ErrNoRows {
		err = k.tx.QueryRow(ctx, `INSERT INTO headwater.outside_table (namespace, name, relation) VALUES ($1, $2, nullif($3, '')) RETURNING id`,
			t.Namespace, t.Name.Name, relation).Scan(&id)
	}
	if err != nil {
		return 0, err
	}
	_, err = k.tx.Exec(ctx, `UPDATE headwater.outside_table SET relation = $2::text WHERE id = $1 AND relation IS NULL AND $2::text <> ''`, id, relation)
	if err != nil {
		return 0, err
	}
	_, err = k.tx.Exec(ctx, `
		INSERT INTO headwater.outside_alias (namespace, name, table_id) SELECT namespace, name, $3::bigint FROM unnest($1::text[], $2::text[]) AS n (namespace, name)
		ON CONFLICT DO NOTHING`, namespaces, named, id)
	return id, err
}

// bounded refuses what would be more than is kept.
func (k *keeper) bounded(ctx context.Context) error {
	for what, table := range map[string]string{"jobs": "outside_job", "tables": "outside_table"} {
		var n int
		if err := k.tx.QueryRow(ctx, `SELECT count(*) FROM (SELECT FROM headwater.`+table+` LIMIT $1) AS counted`, maxOutside+1).Scan(&n); err != nil {
			return err
		}
		if n > maxOutside {
			return fault.New(fault.ResourceExhausted, "OpenLineage event: found more than %d %s of others, which is how many are kept; send events of those alone "+
				"that lead to sources", maxOutside, what)
		}
	}
	return nil
}
