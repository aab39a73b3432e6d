package materialize

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/offline"
)

// Freshness is how new what is online of a view version is, as far as Redis acknowledged it.
type Freshness struct {
	// Newest is the greatest event time of a row that is online. nil: there is none, or a load that will find out is yet to come.
	Newest *feature.Time
	// LoadedSeq is the newest run that is loaded, PublishedAt when it was published. 0 and nil: none is.
	LoadedSeq   int64
	PublishedAt *time.Time
}

// Age is how old the newest event time is at now, not negative; false where it is not known.
func (f *Freshness) Age(now feature.Time) (time.Duration, bool) {
	if f.Newest == nil {
		return 0, false
	}
	return offline.Age(now, *f.Newest), true
}

// IsLate reports whether it is not known at now that the newest event time is as new as declared. nothing declared: never.
func (f *Freshness) IsLate(declared *feature.ViewFreshness, now feature.Time) bool {
	if declared == nil {
		return false
	}
	age, ok := f.Age(now)
	return !ok || age > declared.MaxAge
}

// OnlineFreshness is the freshness of each view version of which a run was loaded, by its id.
func OnlineFreshness(ctx context.Context, q database.Querier) (map[int64]Freshness, error) {
	rows, err := q.Query(ctx, `SELECT view_id, newest, coalesce(loaded_seq, 0), published_at FROM headwater.online_freshness`)
	if err != nil {
		return nil, err
	}
	all := map[int64]Freshness{}
	var id, seq int64
	var newest, published *time.Time
	_, err = pgx.ForEachRow(rows, []any{&id, &newest, &seq, &published}, func() error {
		f := Freshness{LoadedSeq: seq, PublishedAt: published}
		if newest != nil {
			at := feature.TimeOf(*newest)
			f.Newest = &at
		}
		all[id] = f
		return nil
	})
	return all, err
}

// freshen notes that rows of a view version whose newest event time is newest are online; nil: there was none.
func freshen(ctx context.Context, tx pgx.Tx, viewID int64, newest *feature.Time) error {
	if newest == nil {
		return nil
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO headwater.online_freshness AS f (view_id, newest, exact) VALUES ($1, $2, false)
		ON CONFLICT (view_id) DO UPDATE SET newest = greatest(f.newest, excluded.newest)`, viewID, newest.Time())
	return err
}

// freshness is what a load that has ended makes of the freshness of its view version.
type freshness struct {
	view  *feature.ViewVersion
	state viewState
	// run is what was loaded; nil: every row there is.
	run *Run
	// newest is the newest event time among what was loaded. broken says that the load was broken off before, so that it is only
	// of what was loaded since.
	newest *feature.Time
	broken bool
	now    func() time.Time
}

// note notes it. What a run adds can only be newer. Where it also withdrew, and has nothing as new as what was known, the newest may
// be gone: then the history is looked at whole, unless it has rows of runs that are yet to be loaded, the last of which does.
func (f *freshness) note(ctx context.Context, tx pgx.Tx) error {
	seq, withdrew := f.state.PublishedSeq, true
	if f.run != nil {
		seq, withdrew = f.run.Seq, f.run.Ledger.Withdrawn > 0
	}
	// Holds off whoever loads rows that are due, until what is noted here has a time of its own.
	var exact bool
	err := tx.QueryRow(ctx, `
		INSERT INTO headwater.online_freshness AS f (view_id, newest, exact, loaded_seq, published_at)
		SELECT $1, $3, $4, seq, published_at FROM headwater.publish_log WHERE view_id = $1 AND seq = $2
		ON CONFLICT (view_id) DO UPDATE SET newest = greatest(f.newest, excluded.newest),
			published_at = CASE WHEN excluded.loaded_seq >= coalesce(f.loaded_seq, 0) THEN excluded.published_at ELSE f.published_at END,
			loaded_seq = greatest(f.loaded_seq, excluded.loaded_seq),
			exact = f.exact AND excluded.exact AND (NOT $5 OR coalesce(excluded.newest >= f.newest, false))
		RETURNING exact`, f.view.ID, seq, timeOrNil(f.newest), !f.broken, withdrew).Scan(&exact)
	if err != nil || exact {
		return err
	}
	if f.run != nil {
		var pending bool
		err = tx.QueryRow(ctx, `SELECT EXISTS (
			SELECT FROM headwater.run WHERE view_id = $1 AND seq <= $2 AND state = 'published' AND online_state = 'pending')`,
			f.view.ID, f.state.PublishedSeq).Scan(&pending)
		if err != nil || pending {
			return err
		}
	}
	c := offline.Current{View: f.view, Seq: f.state.PublishedSeq, Now: feature.TimeOf(f.now())}
	newest, err := c.Newest(ctx, tx)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE headwater.online_freshness SET newest = $2, exact = true WHERE view_id = $1`, f.view.ID, timeOrNil(newest))
	return err
}

func timeOrNil(t *feature.Time) *time.Time {
	if t == nil {
		return nil
	}
	at := t.Time()
	return &at
}

// newer is the later of two times, of which nil is none.
func newer(a *feature.Time, b feature.Time) *feature.Time {
	if a == nil || b > *a {
		later := b
		return &later
	}
	return a
}
