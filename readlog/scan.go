package readlog

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/database"
)

// Day is the reads of a service version of one day that had rows of some runs.
type Day struct {
	Day     time.Time
	Service string
	Version int32
	// Reads is how many had, of each of the runs, summed: a read of two of them counts twice.
	Reads int64
}

// DaysOf counts, by day and service version, the reads that had rows of runs of a view version.
func DaysOf(ctx context.Context, q database.Querier, view string, version int, runs []int64) ([]Day, error) {
	rows, err := q.Query(ctx, `
		SELECT day, service, service_version, sum(reads)::bigint FROM headwater.read_log_count
		WHERE view = $1 AND view_version = $2 AND run_seq = ANY ($3) GROUP BY 1, 2, 3`, view, version, runs)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Day])
}

// Count is how many reads of a day of a service version are kept.
func Count(ctx context.Context, q database.Querier, d Day) (n int64, err error) {
	err = q.QueryRow(ctx, `SELECT count(*) FROM headwater.read_log WHERE day = $1 AND service = $2 AND service_version = $3`, d.Day, d.Service, d.Version).Scan(&n)
	return n, err
}

// Page is the reads of a day of a service version behind one, by their ids, at most limit.
func Page(ctx context.Context, q database.Querier, d Day, after string, limit int) ([]*headwaterv1.LoggedRead, error) {
	rows, err := q.Query(ctx, `
		SELECT read_id, record FROM headwater.read_log WHERE day = $1 AND service = $2 AND service_version = $3 AND read_id > $4
		ORDER BY read_id LIMIT $5`, d.Day, d.Service, d.Version, after, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (*headwaterv1.LoggedRead, error) {
		var id string
		var record []byte
		if err := row.Scan(&id, &record); err != nil {
			return nil, err
		}
		r := &headwaterv1.LoggedRead{}
		if err := proto.Unmarshal(record, r); err != nil {
			return nil, fmt.Errorf("the logged read %s cannot be decoded: %w", id, err)
		}
		return r, nil
	})
}
