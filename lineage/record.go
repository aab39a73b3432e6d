package lineage

import (
	"context"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
)

// RecordRun notes, in the commit that publishes a run, up to where it is behind its view version, and of which earlier runs it ended
// rows: corrected is how many, by their sequence.
func RecordRun(ctx context.Context, tx pgx.Tx, run, inserted int64, corrected map[int64]int64) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO headwater.run_span (run_id, view_id, seq, ended, live_rows)
		SELECT id, view_id, seq, CASE WHEN $2 > 0 THEN 9223372036854775807 ELSE seq + 1 END, $2 FROM headwater.run WHERE id = $1`, run, inserted)
	if err != nil || len(corrected) == 0 {
		return err
	}
	seqs, rows := pairs(corrected)
	_, err = tx.Exec(ctx, `
		WITH c AS (
			SELECT o.run_id, r.seq, c.rows FROM headwater.run_span r, unnest($2::bigint[], $3::bigint[]) AS c (seq, rows)
			JOIN headwater.run_span o ON o.seq = c.seq WHERE r.run_id = $1 AND o.view_id = r.view_id
		), spans AS (
			UPDATE headwater.run_span s SET live_rows = greatest(s.live_rows - c.rows, 0),
				ended = CASE WHEN s.live_rows <= c.rows THEN least(s.ended, c.seq) ELSE s.ended END
			FROM c WHERE s.run_id = c.run_id
		)
		INSERT INTO headwater.run_correction (run_id, corrected_id, rows) SELECT $1, run_id, rows FROM c`, run, seqs, rows)
	return err
}

// RecordErased notes that live rows of a view version were erased, as many of each run as gone has by its sequence. A run all of whose
// rows are gone is behind what was published up to now.
func RecordErased(ctx context.Context, tx pgx.Tx, view int64, gone map[int64]int64) error {
	seqs, rows := pairs(gone)
	_, err := tx.Exec(ctx, `
		UPDATE headwater.run_span s SET live_rows = greatest(s.live_rows - c.rows, 0),
			ended = CASE WHEN s.live_rows <= c.rows THEN least(s.ended, v.published_seq + 1) ELSE s.ended END
		FROM unnest($2::bigint[], $3::bigint[]) AS c (seq, rows), headwater.view_state v
		WHERE s.view_id = $1 AND v.view_id = $1 AND s.seq = c.seq`, view, seqs, rows)
	return err
}

func pairs(counts map[int64]int64) (seqs, rows []int64) {
	seqs = slices.Sorted(maps.Keys(counts))
	for _, seq := range seqs {
		rows = append(rows, counts[seq])
	}
	return seqs, rows
}
