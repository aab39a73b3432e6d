package materialize

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
)

const (
	// tickEvery is how often schedules are looked at.
	tickEvery = time.Second
	// queueClass is the first half of the advisory locks by which one run of a view version, and not two, is queued.
	queueClass = loadClass + 1
	// ScheduleInvoker and InputsInvoker are who asked for runs that nobody asked for.
	ScheduleInvoker = "headwater:schedule"
	InputsInvoker   = "headwater:inputs"
)

// queue records a run, and the job that carries it.
func (m *Materializer) queue(ctx context.Context, tx pgx.Tx, req Request) (id int64, err error) {
	if id, err = insertQueued(ctx, tx, req); err != nil {
		return 0, err
	}
	_, err = m.jobs.InsertTx(ctx, tx, runArgs{RunID: id}, insertOpts(req.View.RunPriority(), req.View.RunAttempts()))
	return id, err
}

// queueUnlessQueued is queueOrJoin where id is 0 when nothing was queued.
func (m *Materializer) queueUnlessQueued(ctx context.Context, tx pgx.Tx, v *feature.ViewVersion, trigger Trigger, principal string) (id int64, err error) {
	id, queued, err := m.queueOrJoin(ctx, tx, v, trigger, principal)
	if !queued {
		id = 0
	}
	return id, err
}

// queueOrJoin queues an incremental run of a view, unless there is one that will see all there is when tx commits, whose id it returns then: it
// waits, and has not decided what it reads. Until tx has ended that one cannot begin.
func (m *Materializer) queueOrJoin(ctx context.Context, tx pgx.Tx, v *feature.ViewVersion, trigger Trigger, principal string) (id int64, queued bool, err error) {
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1, $2)`, queueClass, int32(v.ID)); err != nil {
		return 0, false, err
	}
	err = tx.QueryRow(ctx, `
		SELECT id FROM headwater.run
		WHERE view_id = $1 AND state = 'queued' AND scope IN ('incremental', 'full') AND plan IS NULL AND cancel_requested_at IS NULL
		ORDER BY id LIMIT 1 FOR SHARE`, v.ID).Scan(&id)
	if !errors.Is(err, pgx.ErrNoRows) {
		return id, false, err
	}
	id, err = m.queue(ctx, tx, Request{View: v, Trigger: trigger, Principal: principal})
	return id, err == nil, err
}

// scheduled are the views that are materialized by themselves, in the order of their ids: who locks several does so in one order.
func (m *Materializer) scheduled(when func(*feature.ViewVersion) bool) []*feature.ViewVersion {
	if m.config.Scheduled == nil {
		return nil
	}
	var list []*feature.ViewVersion
	for _, v := range m.config.Scheduled() {
		if v.Schedule != nil && v.Materialized() && when(v) {
			list = append(list, v)
		}
	}
	slices.SortFunc(list, func(a, b *feature.ViewVersion) int { return int(a.ID - b.ID) })
	return list
}

// queueDependents queues runs of the views that are to run after something that they read, which tx makes new.
func (m *Materializer) queueDependents(ctx context.Context, tx pgx.Tx, reads func(*feature.ViewVersion) bool) ([]int64, error) {
	var ids []int64
	for _, v := range m.scheduled(func(v *feature.ViewVersion) bool { return v.Schedule.AfterInputs && reads(v) }) {
		id, err := m.queueUnlessQueued(ctx, tx, v, ByInputs, InputsInvoker)
		if err != nil {
			return nil, err
		}
		if id != 0 {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// readsView tells views that read a view version.
func readsView(id int64) func(*feature.ViewVersion) bool {
	return func(v *feature.ViewVersion) bool {
		return slices.ContainsFunc(v.ViewVersions, func(in *feature.ViewVersion) bool { return in.ID == id })
	}
}

// readsSource tells views that read a source, and do not take what is pushed to it.
func readsSource(name string) func(*feature.ViewVersion) bool {
	return func(v *feature.ViewVersion) bool {
		return v.Push == nil && slices.ContainsFunc(v.SourceVersions, func(s *feature.SourceVersion) bool { return s.Name == name })
	}
}

// tick queues a run of each view whose schedule ticked since any server looked.
func (m *Materializer) tick(ctx context.Context) error {
	now := feature.TimeOf(m.config.Now())
	var errs []error
	for _, v := range m.scheduled(func(v *feature.ViewVersion) bool { return v.Schedule.Cron != "" }) {
		// What another server has seen to since then is found below.
		if seen, ok := m.seen[v.ID]; ok {
			if next, ok := v.Schedule.Next(seen); !ok || next > now {
				continue
			}
		}
		seen, err := m.tickView(ctx, v, now)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		m.seen[v.ID] = seen
	}
	return errors.Join(errs...)
}

// tickView queues a run of a view if its schedule ticked, and returns up to when its ticks are seen to. However many they
// were, one run makes up for them. A schedule begins when a server first looks at it.
func (m *Materializer) tickView(ctx context.Context, v *feature.ViewVersion, now feature.Time) (seen feature.Time, err error) {
	err = pgx.BeginFunc(ctx, m.config.Pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO headwater.view_schedule (view_id, seen_to) VALUES ($1, $2) ON CONFLICT DO NOTHING`, v.ID, now.Time())
		if err != nil {
			return err
		}
		var at time.Time
		// Servers that look at once take turns: the second finds that the first has seen to the tick.
		err = tx.QueryRow(ctx, `SELECT seen_to FROM headwater.view_schedule WHERE view_id = $1 FOR UPDATE`, v.ID).Scan(&at)
		if err != nil {
			return err
		}
		seen = feature.TimeOf(at)
		if next, ok := v.Schedule.Next(seen); !ok || next > now {
			return nil
		}
		id, err := m.queueUnlessQueued(ctx, tx, v, BySchedule, ScheduleInvoker)
		if err != nil {
			return err
		}
		if id != 0 {
			m.config.Log.InfoContext(ctx, "a schedule ticked", "view", v.Ref(), "run", id)
		}
		seen = now
		_, err = tx.Exec(ctx, `UPDATE headwater.view_schedule SET seen_to = $2 WHERE view_id = $1`, v.ID, now.Time())
		return err
	})
	return seen, err
}
