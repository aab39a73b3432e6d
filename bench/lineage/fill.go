package main

import (
	"context"
	"fmt"
	"strings"
)

const columnsOfView = 10

// fill writes the records of the graph. View n of the first layer reads two sources, one of another two of the layer below; feature i is
// made of column i of the one, and filtered by column i of the other. The rows of a run are live for three runs.
func (g *graph) fill(ctx context.Context) error {
	conn, err := g.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	// It has settings of its own.
	defer func() { _ = conn.Hijack().Close(ctx) }()
	with := strings.NewReplacer("$views", fmt.Sprint(g.views), "$layer", fmt.Sprint(g.views/layers), "$sources", fmt.Sprint(g.sources),
		"$columns", fmt.Sprint(columnsOfView), "$runs", fmt.Sprint(runsOfView))
	for _, sql := range []string{
		// What refers to what is right by the way it is made: to look each up takes most of the time.
		`SET session_replication_role = replica`,
		`INSERT INTO headwater.definition (kind, name, version, fingerprint, body, resolved, revision, applied_at, applied_by)
		SELECT 'entity', 'thing', 1, sha256('thing'), '{"entities": [{"name": "thing", "joinKeys": [{"name": "k", "type": "string"}]}]}', '{}', 1, '2024-01-01Z', 'bench'`,
		`INSERT INTO headwater.definition (kind, name, version, fingerprint, body, resolved, revision, applied_at, applied_by)
		SELECT 'source', 's' || n, 1, sha256(n::text::bytea), jsonb_build_object('sources', jsonb_build_array(jsonb_build_object('name', 's' || n,
			'eventTime', 'at', 'columns', '[{"name": "k", "type": "string"}, {"name": "at", "type": "timestamp"}]'::jsonb ||
			(SELECT jsonb_agg(jsonb_build_object('name', 'c' || i, 'type', 'int64')) FROM generate_series(1, $columns) i)))), '{}', 1, '2024-01-01Z', 'bench'
		FROM generate_series(1, $sources) n ORDER BY n`,
		`INSERT INTO headwater.definition (kind, name, version, fingerprint, body, resolved, analysis, revision, applied_at, applied_by)
		SELECT 'view', 'v' || n, 1, sha256(n::text::bytea), jsonb_build_object('featureViews', jsonb_build_array(jsonb_build_object('name', 'v' || n,
			'entity', 'thing', 'features', (SELECT jsonb_agg(jsonb_build_object('name', 'f' || i, 'type', 'int64')) FROM generate_series(1, $columns) i)))),
			jsonb_build_object('entity', 1, CASE WHEN n <= $layer THEN 'sources' ELSE 'views' END, jsonb_build_object(a, 1, b, 1)),
			jsonb_build_object('inputs', (
				SELECT jsonb_agg(jsonb_build_object('column', 'f' || i, 'kind', k, 'relation', r, 'input_column', CASE WHEN n <= $layer THEN 'c' ELSE 'f' END || i))
				FROM generate_series(1, $columns) i, (VALUES ('value', a), ('filter', b)) x (k, r))),
			1, '2024-01-01Z', 'bench'
		FROM generate_series(1, $views) n, LATERAL (SELECT
			CASE WHEN n <= $layer THEN 's' || n % $sources + 1 ELSE 'v' || ((n - 1) / $layer - 1) * $layer + n % $layer + 1 END AS a,
			CASE WHEN n <= $layer THEN 's' || (n * 7 + 3) % $sources + 1 ELSE 'v' || ((n - 1) / $layer - 1) * $layer + (n * 7 + 3) % $layer + 1 END AS b) x
		WHERE a <> b ORDER BY n`,
		`INSERT INTO headwater.definition (kind, name, version, fingerprint, body, resolved, revision, applied_at, applied_by)
		SELECT 'service', 'm' || n, 1, sha256(n::text::bytea), jsonb_build_object('featureServices', jsonb_build_array(jsonb_build_object('name', 'm' || n,
			'views', (SELECT jsonb_agg(jsonb_build_object('view', v)) FROM unnest(views) v)))),
			jsonb_build_object('views', (SELECT jsonb_object_agg(v, 1) FROM unnest(views) v)), 1, '2024-01-01Z', 'bench'
		FROM generate_series(1, $layer / 4) n, LATERAL (SELECT ARRAY(SELECT 'v' || $views - i FROM generate_series(n * 4 - 4, n * 4 - 2) i) AS views) x`,
		`SELECT headwater.note_definition(id, applied_at) FROM (SELECT id, applied_at FROM headwater.definition WHERE kind <> 'entity' ORDER BY id) d`,
		`INSERT INTO headwater.landing (source, last_number) SELECT 's' || n, $runs FROM generate_series(1, $sources) n`,
		// Load (number - 1) * $sources + n is of source n.
		`INSERT INTO headwater.load (id, source, number, file_name, file_size, file_sha256, rows, event_time_min, event_time_max, principal, committed_at)
		SELECT (l - 1) * $sources + n, 's' || n, l, 'day' || l || '.parquet', 1000, sha256((n || ' ' || l)::bytea), 100, t, t + interval '1 day', 'bench', t
		FROM generate_series(1, $runs) l, generate_series(1, $sources) n, LATERAL (SELECT timestamptz '2024-01-01Z' + l * interval '1 day' AS t) x`,
		`INSERT INTO headwater.run (view_id, seq, state, scope, position, interval_start, interval_end, fingerprint, digest, principal, queued_at, started_at, ended_at, published_at,
			rows_read, accepted, used, computed, produced, inserted, live_after, spans)
		SELECT d.id, l, 'published', 'interval', (l - 1) * $views + substr(d.name, 2)::int, t, t + interval '1 day', d.fingerprint, d.fingerprint, 'bench', t, t, t,
			t + substr(d.name, 2)::int % $views * interval '1 millisecond',
			100, 100, 100, 100, 100, 100, 100, tstzmultirange(tstzrange(t, t + interval '1 day'))
		FROM generate_series(1, $runs) l, headwater.definition d, LATERAL (SELECT timestamptz '2024-01-01 12:00Z' + l * interval '1 day' AS t) x
		WHERE d.kind = 'view' ORDER BY 4`,
		`INSERT INTO headwater.publish_log (position, view_id, seq, run_id, published_at)
		SELECT position, view_id, seq, id, published_at FROM headwater.run ORDER BY position`,
		`UPDATE headwater.publish_head SET position = $runs * $views`,
		`INSERT INTO headwater.view_state (view_id, last_seq, published_seq, live_rows) SELECT id, $runs, $runs, 300 FROM headwater.definition WHERE kind = 'view'`,
		`INSERT INTO headwater.run_span (run_id, view_id, seq, ended, live_rows)
		SELECT id, view_id, seq, CASE WHEN seq + 3 > $runs THEN 9223372036854775807 ELSE seq + 3 END, CASE WHEN seq + 3 > $runs THEN 100 ELSE 0 END FROM headwater.run`,
		`INSERT INTO headwater.run_correction (run_id, corrected_id, rows)
		SELECT r.id, o.id, 100 FROM headwater.run r JOIN headwater.run o ON o.view_id = r.view_id AND o.seq = r.seq - 3`,
		`INSERT INTO headwater.run_input (run_id, source, source_version, source_fingerprint, load_number, rows_read, loads)
		SELECT r.id, i.source, 1, r.fingerprint, r.seq, 100, 1 FROM headwater.run r JOIN headwater.definition_input i ON i.definition_id = r.view_id WHERE i.source IS NOT NULL`,
		`INSERT INTO headwater.run_load (run_id, load_id, rows)
		SELECT r.id, (r.seq - 1) * $sources + substr(i.source, 2)::int, 100 FROM headwater.run r JOIN headwater.definition_input i ON i.definition_id = r.view_id
		WHERE i.source IS NOT NULL`,
		`INSERT INTO headwater.run_view_input (run_id, view_id, seq, rows_read)
		SELECT r.id, i.view_id, r.seq, 300 FROM headwater.run r JOIN headwater.definition_input i ON i.definition_id = r.view_id WHERE i.view_id IS NOT NULL`,
		`INSERT INTO headwater.dataset (id, name, version, state, service, service_version, position, manifest, created_at)
		SELECT 'ds_' || n, 'd' || n, 1, 'released', 'm' || (n - 1) % ($layer / 4) + 1, 1, $runs * $views - n, '{"rows": 1000}', '2025-01-01Z' FROM generate_series(1, $layer) n`,
		`INSERT INTO headwater.dataset_view (dataset_id, view_id, seq)
		SELECT ds.id, i.view_id, $runs - 1 FROM headwater.dataset ds JOIN headwater.definition d ON d.kind = 'service' AND d.name = ds.service
		JOIN headwater.definition_input i ON i.definition_id = d.id`,
		`VACUUM ANALYZE`,
	} {
		if _, err := conn.Exec(ctx, with.Replace(sql)); err != nil {
			return fmt.Errorf("%s: %w", strings.SplitN(sql, "\n", 2)[0], err)
		}
	}
	return nil
}
