package outbox

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// A build of a dataset is one long transaction of nobody: what tells that it began and what tells that it ended are written apart, and a
// server that dies in between leaves a row that nobody says is under way.

const (
	// SeenEvery is how often a server says that a build is under way, and lostAfter when one of which nobody does has ended with its server.
	SeenEvery = 10 * time.Second
	lostAfter = 90 * time.Second
)

// BeginDataset writes that a build began at a time.
func BeginDataset(ctx context.Context, tx pgx.Tx, about Dataset, at time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO headwater.dataset_build (id, about, seen_at) VALUES ($1, $2, clock_timestamp())`, about.ID, about)
	if err != nil {
		return err
	}
	return Add(ctx, tx, Message{Topic: DatasetStarted, Subject: DatasetSubject(about.ID), Payload: about, At: at})
}

// SeenDataset says that a build is under way.
func SeenDataset(ctx context.Context, pool *pgxpool.Pool, id string) error {
	_, err := pool.Exec(ctx, `UPDATE headwater.dataset_build SET seen_at = clock_timestamp() WHERE id = $1`, id)
	return err
}

// EndDataset writes how a build that began ended. Where it was taken for lost meanwhile, its end was told, and is not again, but for that of one that was built.
func EndDataset(ctx context.Context, tx pgx.Tx, topic Topic, about Dataset) error {
	tag, err := tx.Exec(ctx, `DELETE FROM headwater.dataset_build WHERE id = $1`, about.ID)
	if err != nil || tag.RowsAffected() == 0 && topic != DatasetBuilt {
		return err
	}
	return Add(ctx, tx, Message{Topic: topic, Subject: DatasetSubject(about.ID), Payload: about})
}

// AbandonDatasets writes the end of builds that ended with their servers.
func AbandonDatasets(ctx context.Context, pool *pgxpool.Pool) error {
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `DELETE FROM headwater.dataset_build WHERE seen_at < clock_timestamp() - $1 * interval '1 microsecond' RETURNING about`, lostAfter.Microseconds())
		if err != nil {
			return err
		}
		lost, err := pgx.CollectRows(rows, pgx.RowTo[Dataset])
		if err != nil {
			return err
		}
		for _, about := range lost {
			about.Stopped, about.Error = true, "the build ended with its server"
			if err := Add(ctx, tx, Message{Topic: DatasetFailed, Subject: DatasetSubject(about.ID), Payload: about}); err != nil {
				return err
			}
		}
		return nil
	})
}
