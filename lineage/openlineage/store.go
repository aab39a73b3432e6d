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
			if err := k.edge(ctx, job, &side.tables[i], side.writes); err != nil {
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

func (k *keeper) edge(ctx context.Context, job int64, t *ToldTable, writes bool) error {
	id, err := k.table(ctx, t)
	if err != nil {
		return err
	}
	_, err = k.tx.Exec(ctx, `
		INSERT INTO headwater.outside_edge (job_id, table_id, writes, told_at) VALUES ($1, $2, $3, clock_timestamp())
		ON CONFLICT (job_id, table_id, writes) DO UPDATE SET told_at = excluded.told_at`, job, id, writes)
	if err != nil || !writes {
		return err
	}
	from := map[Name]int64{}
	for _, c := range t.Columns {
		if from[c.From] == 0 {
			if from[c.From], err = k.table(ctx, &ToldTable{Name: c.From}); err != nil {
				return err
			}
		}
		_, err := k.tx.Exec(ctx, `
			INSERT INTO headwater.outside_column (job_id, table_id, column_name, from_id, from_column, told_at) VALUES ($1, $2, $3, $4, $5, clock_timestamp())
			ON CONFLICT (table_id, column_name, from_id, from_column, job_id) DO UPDATE SET told_at = excluded.told_at`, job, id, c.Column, from[c.From], c.FromColumn)
		if err != nil {
			return err
		}
	}
	return nil
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
