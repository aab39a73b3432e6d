package quality

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/quality/score"
)

// scoreRetention is how long scores and statuses of reads are kept.
const scoreRetention = 400 * 24 * time.Hour

// Scored is a score at a time.
type Scored struct {
	// Node is `view:NAME@VERSION`, `service:NAME@VERSION` or `source:NAME`.
	Node  string
	At    time.Time
	Score float64
	Parts []score.Part
}

// KeepScores keeps, of each node and hour, the lowest score. Doing it twice, or on several servers at once, changes nothing.
func KeepScores(ctx context.Context, tx pgx.Tx, list []Scored) error {
	batch := &pgx.Batch{}
	for i := range list {
		s := &list[i]
		batch.Queue(`INSERT INTO headwater.quality_score AS q (node, hour, score, parts, at) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (node, hour) DO UPDATE SET score = excluded.score, parts = excluded.parts, at = excluded.at WHERE excluded.score < q.score`,
			s.Node, s.At.UTC().Truncate(time.Hour), s.Score, s.Parts, s.At)
	}
	return tx.SendBatch(ctx, batch).Close()
}

// ForgetScores deletes scores and statuses of reads that are older than they are kept.
func ForgetScores(ctx context.Context, pool *pgxpool.Pool, now time.Time) error {
	before := now.Add(-scoreRetention)
	for _, statement := range []string{`DELETE FROM headwater.quality_score WHERE hour < $1`, `DELETE FROM headwater.read_status WHERE hour < $1`} {
		if _, err := pool.Exec(ctx, statement, before); err != nil {
			return err
		}
	}
	return nil
}

// MaxScores is how many scores of a node are read at most: of more, days are told in the place of hours.
const MaxScores = 1000

// Scores are those of a node from a time on, the oldest first: the lowest of each hour, or of each day in UTC where the hours are too many, the newest of these.
func Scores(ctx context.Context, q database.Querier, node string, since time.Time) ([]Scored, error) {
	rows, err := q.Query(ctx, `
		WITH kept AS (SELECT * FROM headwater.quality_score WHERE node = $1 AND hour >= $2),
			stepped AS (SELECT *, date_trunc(CASE WHEN (SELECT count(*) FROM kept) > $3 THEN 'day' ELSE 'hour' END, hour, 'UTC') AS step FROM kept),
			lowest AS (SELECT DISTINCT ON (step) * FROM stepped ORDER BY step DESC, score, hour LIMIT $3)
		SELECT node, at, score, parts FROM lowest ORDER BY step`, node, since.UTC().Truncate(time.Hour), MaxScores)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Scored])
}

// FoundOf is rows of online reads of a service version by what was found for their entities.
type FoundOf struct {
	Service string
	Version int
	// Status is as of read.Status, lower case.
	Status string
}

// AddFound adds rows to those of the hour.
func AddFound(ctx context.Context, pool *pgxpool.Pool, at time.Time, rows map[FoundOf]int64) error {
	batch := &pgx.Batch{}
	for of, n := range rows {
		batch.Queue(`INSERT INTO headwater.read_status AS s (service, version, hour, status, rows) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (service, version, hour, status) DO UPDATE SET rows = s.rows + excluded.rows`, of.Service, of.Version, at.UTC().Truncate(time.Hour), of.Status, n)
	}
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error { return tx.SendBatch(ctx, batch).Close() })
}

// Found sums up what was found from a time on.
func Found(ctx context.Context, q database.Querier, since time.Time) (map[FoundOf]int64, error) {
	rows, err := q.Query(ctx, `SELECT service, version, status, sum(rows)::bigint FROM headwater.read_status WHERE hour >= $1 GROUP BY 1, 2, 3`, since.UTC().Truncate(time.Hour))
	if err != nil {
		return nil, err
	}
	found := map[FoundOf]int64{}
	var of FoundOf
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&of.Service, &of.Version, &of.Status, &n}, func() error {
		found[of] = n
		return nil
	})
	return found, err
}

// SkewVerdict is what the skew of a model came to.
type SkewVerdict struct {
	Model          string
	ModelVersion   int
	Service        string
	ServiceVersion int
	At             time.Time
	// OK, Warned and Failed are numbers of features: failed are also those of which a value was served that the history does not say.
	OK, Warned, Failed int
}

// KeepSkew keeps it in the place of an earlier one of the model.
func KeepSkew(ctx context.Context, pool *pgxpool.Pool, v SkewVerdict) error {
	_, err := pool.Exec(ctx, `INSERT INTO headwater.skew_verdict AS s (model, model_version, service, service_version, measured_at, ok, warned, failed) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (model, model_version) DO UPDATE SET service = excluded.service, service_version = excluded.service_version, measured_at = excluded.measured_at,
			ok = excluded.ok, warned = excluded.warned, failed = excluded.failed WHERE excluded.measured_at >= s.measured_at`,
		v.Model, v.ModelVersion, v.Service, v.ServiceVersion, v.At, v.OK, v.Warned, v.Failed)
	return err
}

// Skews are those that were measured from a time on.
func Skews(ctx context.Context, q database.Querier, since time.Time) ([]SkewVerdict, error) {
	rows, err := q.Query(ctx, `SELECT model, model_version, service, service_version, measured_at, ok, warned, failed FROM headwater.skew_verdict WHERE measured_at >= $1 ORDER BY model, model_version`, since)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[SkewVerdict])
}
