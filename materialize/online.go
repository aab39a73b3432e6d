package materialize

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/online"
	"github.com/headwaterhq/headwater/read"
)

// loader brings the online store up to published runs, and to the time as it passes.
type loader struct {
	pool   *pgxpool.Pool
	writer *online.Writer
	view   func(id int64) *feature.ViewVersion
	now    func() time.Time
	// reached is told of each step of a load before it is taken, so that tests can stop one there.
	reached func(step string) error
	// ended is called once for each run that was loaded.
	ended func(r *Run)
	// batch is how many rows are offered to Redis at once, lanes how many batches are on their way at a time.
	batch, lanes int
}

// The steps of a load at which a process may die: before the first row is read, before what Redis acknowledged is noted,
// before the run is said to be loaded, and before rows that became due are said to be.
const (
	stepLoadBegun = "load_begun"
	stepLoadBatch = "load_batch"
	stepLoadDone  = "load_done"
	stepDueBatch  = "due_batch"
)

// errStoreChanged means that what Redis acknowledged may be lost: the load begins anew.
var errStoreChanged = errors.New("the Redis of the online store was started again, or another took over, while rows were loaded into it: they are loaded anew")

// load computes, for each entity that the run touched, the winner at the newest published sequence and now, and offers it
// to Redis, or a tombstone where none is left. Doing it twice, or after a later run was loaded, changes nothing. One that was
// broken off goes on behind the last entity that was noted as acknowledged, at the sequence that is then the newest: the
// entities before it that a later run touched are that run's to load.
func (ld *loader) load(ctx context.Context, id int64) error {
	r, err := Get(ctx, ld.pool, id)
	if err != nil || r.State != Published || r.OnlineState == OnlineLoaded {
		return err
	}
	view := ld.view(r.ViewID)
	if view == nil {
		return fmt.Errorf("view version %d of run %d is not in the catalog yet", r.ViewID, id)
	}
	return ld.alone(ctx, view, func(conn *pgx.Conn) error {
		// Another may have loaded it while this one waited.
		if r, err = Get(ctx, conn, id); err != nil || r.OnlineState == OnlineLoaded {
			return err
		}
		state, err := getViewState(ctx, conn, r.ViewID)
		if err != nil {
			return err
		}
		store, err := ld.writer.Store(ctx)
		if err != nil {
			return err
		}
		told, stop := report(ctx, ld.pool, id)
		defer stop()
		told.Phase("online load", 0)
		l := &loading{
			loader: ld, conn: conn, view: view, state: state, touched: r.Seq, withdrew: r.Seq, save: saveProgress(id), told: told,
		}
		if l.progress, err = beginLoad(ctx, conn, id, store); err != nil {
			return err
		}
		broken := l.progress.after != nil
		told.Rows(l.progress.written + l.progress.stale)
		if l.first, err = isFirst(ctx, conn, r); err != nil {
			return err
		}
		l.adding.Store(l.first)
		if err := ld.reached(stepLoadBegun); err != nil {
			return err
		}
		// A run that changed nothing touched nothing, which need not be looked for in a large table.
		if r.Ledger.Inserted > 0 || r.Ledger.Withdrawn > 0 {
			if err := l.run(ctx); err != nil {
				return err
			}
		}
		switch now, err := ld.writer.Store(ctx); {
		case err != nil:
			return err
		case now != store:
			return errStoreChanged
		}
		if err := ld.reached(stepLoadDone); err != nil {
			return err
		}
		fresh := &freshness{view: view, state: state, run: r, newest: l.newest, broken: broken, now: ld.now}
		if err := endLoad(ctx, conn, fresh); err != nil {
			return err
		}
		if r, err = Get(ctx, conn, id); err == nil {
			ld.ended(r)
		}
		return nil
	})
}

// beginLoad reads how far the load is. Where another Redis than now acknowledged that, it is nowhere.
func beginLoad(ctx context.Context, conn *pgx.Conn, run int64, store string) (p progress, err error) {
	err = conn.QueryRow(ctx, `
		INSERT INTO headwater.online_load AS l (run_id, store) VALUES ($1, $2)
		ON CONFLICT (run_id) DO UPDATE SET store = excluded.store,
			after_key = CASE WHEN l.store = excluded.store THEN l.after_key END,
			written = CASE WHEN l.store = excluded.store THEN l.written ELSE 0 END,
			stale = CASE WHEN l.store = excluded.store THEN l.stale ELSE 0 END,
			tombstones = CASE WHEN l.store = excluded.store THEN l.tombstones ELSE 0 END
		RETURNING after_key, written, stale, tombstones, winners_micros, redis_micros`, run, store).
		Scan(&p.after, &p.written, &p.stale, &p.tombstones, &p.winnersMicros, &p.redisMicros)
	return p, err
}

// saveProgress notes how far the load of a run is.
func saveProgress(run int64) func(ctx context.Context, tx pgx.Tx, p progress) error {
	return func(ctx context.Context, tx pgx.Tx, p progress) error {
		tag, err := tx.Exec(ctx, `
			UPDATE headwater.online_load SET after_key = $2, written = $3, stale = $4, tombstones = $5, winners_micros = $6,
				redis_micros = $7
			WHERE run_id = $1`, run, p.after, p.written, p.stale, p.tombstones, p.winnersMicros, p.redisMicros)
		if err == nil && tag.RowsAffected() != 1 {
			err = fmt.Errorf("the progress of loading run %d is gone: another has loaded it", run)
		}
		return err
	}
}

// endLoad says that the run is loaded, and gives it the counts.
func endLoad(ctx context.Context, conn *pgx.Conn, fresh *freshness) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			WITH l AS (DELETE FROM headwater.online_load WHERE run_id = $1 RETURNING *)
			UPDATE headwater.run r SET online_state = 'loaded', online_loaded_at = $2, online_written = l.written, online_stale = l.stale,
				online_tombstones = l.tombstones, phases = r.phases || jsonb_build_array(
					jsonb_build_object('name', 'winners', 'micros', l.winners_micros),
					jsonb_build_object('name', 'redis', 'micros', l.redis_micros))
			FROM l WHERE r.id = l.run_id`, fresh.run.ID, fresh.now())
		if err != nil {
			return err
		}
		if err := fresh.note(ctx, tx); err != nil {
			return err
		}
		return cover(ctx, tx, fresh.view, fresh.state)
	})
}

// isFirst reports whether the run is all that was published of its view version, so that it touched all entities there are.
func isFirst(ctx context.Context, q database.Querier, r *Run) (first bool, err error) {
	err = q.QueryRow(ctx, `SELECT NOT EXISTS (SELECT FROM headwater.publish_log WHERE view_id = $1 AND seq <> $2)`, r.ViewID, r.Seq).
		Scan(&first)
	return first, err
}

// Rebuild is what loading a view version again did.
type Rebuild struct {
	View *feature.ViewVersion
	// Epoch is the one that begins with it, Seq the published sequence that was loaded.
	Epoch, Seq                 int64
	Written, Stale, Tombstones int64
}

// rebuild offers the winner at the newest published sequence and now of every entity of a view version, in a new epoch: it
// replaces whatever Redis holds, also rows that claim to be of a later sequence. nil when no run was published.
//
// One that is broken off is asked for again, and begins anew: what it wrote may be what the next one is to bring back.
func (ld *loader) rebuild(ctx context.Context, view *feature.ViewVersion) (*Rebuild, error) {
	var result *Rebuild
	err := ld.alone(ctx, view, func(conn *pgx.Conn) error {
		// Committed before the first row of the new epoch is offered: a load that comes after it is of this epoch too.
		_, err := conn.Exec(ctx, `UPDATE headwater.view_state SET online_epoch = online_epoch + 1
			WHERE view_id = $1 AND published_seq > 0`, view.ID)
		if err != nil {
			return err
		}
		state, err := getViewState(ctx, conn, view.ID)
		if err != nil || state.PublishedSeq == 0 {
			return err
		}
		store, err := ld.writer.Store(ctx)
		if err != nil {
			return err
		}
		l := &loading{loader: ld, conn: conn, view: view, state: state, withdrew: state.PublishedSeq}
		if err := l.run(ctx); err != nil {
			return err
		}
		switch now, err := ld.writer.Store(ctx); {
		case err != nil:
			return err
		case now != store:
			return errStoreChanged
		}
		err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			fresh := &freshness{view: view, state: state, newest: l.newest, now: ld.now}
			if err := fresh.note(ctx, tx); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `UPDATE headwater.view_state SET online_rebuilt_at = $2 WHERE view_id = $1`, view.ID, ld.now())
			if err != nil {
				return err
			}
			return cover(ctx, tx, view, state)
		})
		if err != nil {
			return err
		}
		result = &Rebuild{
			View: view, Epoch: state.OnlineEpoch, Seq: state.PublishedSeq,
			Written: l.progress.written, Stale: l.progress.stale, Tombstones: l.progress.tombstones,
		}
		return nil
	})
	return result, err
}

// execer is a connection or a transaction.
type execer interface {
	Exec(ctx context.Context, sql string, arguments ...any) (pgconn.CommandTag, error)
}

// cover notes up to when the online rows of a view with a hop are known, now that those of state are loaded: unless a run
// that was published by then is not.
func cover(ctx context.Context, q execer, view *feature.ViewVersion, state viewState) error {
	if view.Aggregation == nil || len(state.Covered) == 0 {
		return nil
	}
	_, err := q.Exec(ctx, `
		INSERT INTO headwater.online_coverage AS c (view_id, covered_to)
		SELECT $1, $2 WHERE NOT EXISTS (
			SELECT FROM headwater.run WHERE view_id = $1 AND seq <= $3 AND state = 'published' AND online_state = 'pending')
		ON CONFLICT (view_id) DO UPDATE SET covered_to = greatest(c.covered_to, excluded.covered_to)`,
		view.ID, state.Covered.Hull().End.Time(), state.PublishedSeq)
	return err
}

// OnlineCoverage is up to when the online rows are known, for each view version with a hop, by its id: its values at a
// point of the grid after that are stale.
func OnlineCoverage(ctx context.Context, q database.Querier) (map[int64]feature.Time, error) {
	rows, err := q.Query(ctx, `SELECT view_id, covered_to FROM headwater.online_coverage`)
	if err != nil {
		return nil, err
	}
	covered := map[int64]feature.Time{}
	var id int64
	var to time.Time
	_, err = pgx.ForEachRow(rows, []any{&id, &to}, func() error {
		covered[id] = feature.TimeOf(to)
		return nil
	})
	return covered, err
}

// alone calls do on a connection that holds the view version's load lock: a second load would do the first one's work
// again. The lock ends with the connection, and progress is noted on it, so that who lost the lock notes nothing more.
func (ld *loader) alone(ctx context.Context, view *feature.ViewVersion, do func(conn *pgx.Conn) error) error {
	conn, err := connect(ctx, ld.pool)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := lockLoads(ctx, conn, view); err != nil {
		return err
	}
	return do(conn)
}

// lockLoads takes a view version's load lock on conn.
func lockLoads(ctx context.Context, conn *pgx.Conn, view *feature.ViewVersion) error {
	_, err := conn.Exec(ctx, `SELECT pg_advisory_lock($1, $2)`, loadClass, int32(view.ID))
	return err
}

// packer makes online rows of entities of one view version at one published sequence.
type packer struct {
	view   *feature.ViewVersion
	layout *online.Layout
	state  viewState
	// withdrew is the run that tombstones name.
	withdrew int64
}

func (p *packer) append(dst []byte, e *offline.Entity) ([]byte, error) {
	if e.Winner.Status != read.Present {
		return online.AppendTombstone(dst, p.state.OnlineEpoch, p.state.PublishedSeq, p.withdrew)
	}
	return p.layout.Append(dst, online.Header{
		Epoch: p.state.OnlineEpoch, Seq: p.state.PublishedSeq, EventTime: e.Winner.EventTime, AvailableAt: e.Winner.AvailableAt,
		RunSeq: e.Winner.RunSeq,
	}, e.Winner.Values)
}
