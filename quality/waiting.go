package quality

import (
	"context"

	"github.com/headwaterhq/headwater/internal/database"
)

// Waiting counts the rows of a subject that are set aside as of a sequence of a view version for a reason, because their values were not
// in another source, and that no run has looked at since a load of that one.
func Waiting(ctx context.Context, q database.Querier, view, seq int64, subject, reason, source string, load int64) (n int64, err error) {
	err = q.QueryRow(ctx, `
		SELECT count(*) FROM headwater.quarantined_row q
		WHERE q.view_id = $1 AND q.seq_from <= $2 AND $2 < q.seq_to AND q.subject = $3 AND $4 = ANY (q.reasons)
			AND NOT EXISTS (SELECT FROM headwater.quarantine_run r JOIN headwater.run run ON run.id = r.run_id
				WHERE `+atRun+` AND r.seq <= $2 AND (run.plan #>> ARRAY['marks', 'references', $5::text])::bigint >= $6)`,
		view, seq, subject, reason, source, load).Scan(&n)
	return n, err
}
