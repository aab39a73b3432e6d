package materialize

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/lineage"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/quality"
	"github.com/headwaterhq/headwater/retention"
)

// An entity is erased place by place, each in a transaction of its own in which it is recorded what is gone: first the landing tables, so
// that no run that begins from then on reads its rows, then each view version under its lease, those that others read first. To do it
// again changes nothing more.

// The steps of an erasure before which a process may die: before a place's transaction commits, and when it has.
const (
	StepErasingLanding = "erasing landing"
	StepErasedLanding  = "erased landing"
	StepErasingView    = "erasing view"
	StepErasedView     = "erased view"
	StepEraseQueued    = "erase queued"
)

// Places of an erasure.
const (
	placeLanding    = "landing"
	placeHistory    = "history"
	placeQuarantine = "quarantine"
	placeExamples   = "examples"
	placeOnline     = "online"
	placeSnapshot   = "snapshot"
)

// matchesOf are the rows that lists of columns mean.
func matchesOf(t *retention.Trace, keys [][]string) []feature.RowMatch {
	matches := make([]feature.RowMatch, len(keys))
	for i, k := range keys {
		matches[i] = feature.RowMatch{Columns: k, Values: t.Values}
	}
	return matches
}

// erasing is one view version in which rows of an entity may be.
type erasing struct {
	view  *feature.ViewVersion
	trace *retention.Trace
	// traced is nil where only what runs set aside is looked through.
	traced *retention.TracedView
	// keys are the encoded key of the trace where the history is of the entity, matches what else tells its rows.
	keys    []string
	matches []feature.RowMatch
	// whole are those of the matches that tell all rows of the entities that they find.
	whole []feature.RowMatch
}

// Erasable are the view versions that an erasure has to do with: those in which the trace has found the key, those that read sources in
// which it is, and those that read any of these, since a run of them that is under way may be made of what is to go. Inputs come first.
func Erasable(t *retention.Trace, views []*feature.ViewVersion) []*feature.ViewVersion {
	touched := map[int64]bool{}
	for _, v := range t.Views {
		touched[v.View.ID] = true
	}
	list := slices.SortedFunc(slices.Values(views), func(a, b *feature.ViewVersion) int { return int(a.ID - b.ID) })
	return slices.DeleteFunc(list, func(v *feature.ViewVersion) bool {
		touched[v.ID] = touched[v.ID] ||
			slices.ContainsFunc(v.SourceVersions, func(s *feature.SourceVersion) bool { return tracedSource(t, s.Name) != nil }) ||
			slices.ContainsFunc(v.ViewVersions, func(w *feature.ViewVersion) bool { return touched[w.ID] })
		return !touched[v.ID]
	})
}

func tracedSource(t *retention.Trace, name string) *retention.TracedSource {
	if i := slices.IndexFunc(t.Sources, func(s *retention.TracedSource) bool { return s.Source.Name == name }); i >= 0 {
		return t.Sources[i]
	}
	return nil
}

func newErasing(t *retention.Trace, v *feature.ViewVersion) *erasing {
	e := &erasing{view: v, trace: t, keys: []string{}}
	i := slices.IndexFunc(t.Views, func(x *retention.TracedView) bool { return x.View.ID == v.ID })
	if i < 0 {
		return e
	}
	e.traced = t.Views[i]
	for _, key := range e.traced.Keys {
		if t.Own(e.traced, key) {
			e.keys = []string{t.Key}
			continue
		}
		match := feature.RowMatch{Columns: key, Values: t.Values}
		e.matches = append(e.matches, match)
		if e.traced.Whole(key) {
			e.whole = append(e.whole, match)
		}
	}
	return e
}

// aside are the subjects of which the view sets rows aside, with what tells the entity's.
func (e *erasing) aside() map[string]quality.Matching {
	subjects := map[string]quality.Matching{}
	add := func(subject string, keys [][]string) {
		condition, args := offline.MatchJSON("q.row", matchesOf(e.trace, keys), 3)
		subjects[subject] = quality.Matching{Condition: condition, Args: args}
	}
	for _, s := range e.view.SourceVersions {
		if src := tracedSource(e.trace, s.Name); src != nil {
			add(quality.SourceSubject(s.Name), src.Keys)
		}
	}
	if e.traced != nil {
		add(quality.Output, e.traced.Keys)
	}
	return subjects
}

// shown are all columns in which the view's checks may show the entity.
func (e *erasing) shown() (shown quality.Shown) {
	add := func(keys [][]string) {
		for _, names := range keys {
			key := quality.Key{Names: names}
			for i := range names {
				key.Values = append(key.Values, e.trace.Values[i].Text())
			}
			shown = append(shown, key)
		}
	}
	for _, s := range e.view.SourceVersions {
		if src := tracedSource(e.trace, s.Name); src != nil {
			add(src.Keys)
		}
	}
	if e.traced != nil {
		add(e.traced.Keys)
	}
	return shown
}

// EraseLanding erases the entity's rows of a landing source. With erasure empty it only says what it would.
func (m *Materializer) EraseLanding(ctx context.Context, erasure string, t *retention.Trace, src *retention.TracedSource) (done []retention.Erased, err error) {
	err = pgx.BeginFunc(ctx, m.config.Pool, func(tx pgx.Tx) error {
		found, err := offline.EraseLanding(ctx, tx, src.Source, matchesOf(t, src.Keys), erasure != "")
		if err != nil {
			return err
		}
		kept := retention.Erased{Place: placeSnapshot, Name: src.Source.Name}
		if kept.Rows, err = offline.EraseKept(ctx, tx, src.Source.Name, matchesOf(t, src.Keys), erasure != ""); err != nil {
			return err
		}
		landed := retention.Erased{Place: placeLanding, Name: src.Source.Name, First: found.First, Last: found.Last}
		aside := retention.Erased{Place: placeQuarantine, Name: src.Source.Name}
		for _, l := range found.Loads {
			landed.Rows += l.Rows
			aside.Rows += l.SetAside
			if erasure == "" {
				continue
			}
			_, err := tx.Exec(ctx, `
				INSERT INTO headwater.load_erasure AS e (load_id, erasure_id, rows, set_aside) VALUES ($1, $2, $3, $4)
				ON CONFLICT (load_id, erasure_id) DO UPDATE SET rows = e.rows + excluded.rows, set_aside = e.set_aside + excluded.set_aside`,
				l.Load, erasure, l.Rows, l.SetAside)
			if err != nil {
				return err
			}
		}
		if done, err = recorded(ctx, tx, erasure, landed, aside, kept); err != nil || erasure == "" {
			return err
		}
		return m.config.Reached(StepErasingLanding)
	})
	if err == nil && erasure != "" {
		err = m.config.Reached(StepErasedLanding)
	}
	return done, err
}

// recorded are those of what was erased that are not nothing, and are recorded unless nothing was erased at all.
func recorded(ctx context.Context, tx pgx.Tx, erasure string, done ...retention.Erased) ([]retention.Erased, error) {
	done = slices.DeleteFunc(done, func(d retention.Erased) bool { return d.Rows == 0 })
	if erasure == "" {
		return done, nil
	}
	return done, retention.Record(ctx, tx, erasure, done...)
}

// CountView says what EraseView would erase of a view version.
func (m *Materializer) CountView(ctx context.Context, t *retention.Trace, v *feature.ViewVersion) (done []retention.Erased, err error) {
	e, pool := newErasing(t, v), m.config.Pool
	history := retention.Erased{Place: placeHistory, Name: v.Ref()}
	if e.traced != nil {
		if history.Rows, history.First, history.Last, err = offline.CountHistory(ctx, pool, v, e.keys, e.matches); err != nil {
			return nil, err
		}
	}
	aside, examples := retention.Erased{Place: placeQuarantine, Name: v.Ref()}, retention.Erased{Place: placeExamples, Name: v.Ref()}
	for subject, match := range e.aside() {
		n, err := quality.CountQuarantined(ctx, pool, v.ID, subject, match)
		if err != nil {
			return nil, err
		}
		aside.Rows += n
	}
	if examples.Rows, err = quality.CountExamples(ctx, pool, v.ID, e.shown()); err != nil {
		return nil, err
	}
	return slices.DeleteFunc([]retention.Erased{history, aside, examples}, func(d retention.Erased) bool { return d.Rows == 0 }), nil
}

// EraseView erases the entity's rows of a view version: of its history, of what its runs set aside and show as examples, and, once that
// is committed, in Redis. It waits for the run that is at work, and for the load; a run that is half written begins anew.
func (m *Materializer) EraseView(ctx context.Context, erasure string, t *retention.Trace, v *feature.ViewVersion) error {
	conn, err := connect(ctx, m.config.Pool)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	l, err := awaitLease(ctx, conn, v)
	if err != nil {
		return err
	}
	defer func() { _ = l.release(ctx) }()
	// Until the connection ends no load has rows of the view on their way to Redis.
	if err := lockLoads(ctx, conn, v); err != nil {
		return err
	}
	e := newErasing(t, v)
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if err := l.fenceAlone(ctx, tx); err != nil {
			return err
		}
		if err := undoUnfinished(ctx, tx, v); err != nil {
			return err
		}
		gone, err := m.eraseHistory(ctx, tx, erasure, e)
		if err != nil {
			return err
		}
		if err := e.eraseAside(ctx, tx, erasure); err != nil {
			return err
		}
		if err := hideErrors(ctx, tx, v); err != nil {
			return err
		}
		if err := m.leaveOnline(ctx, tx, erasure, e, gone); err != nil {
			return err
		}
		return m.config.Reached(StepErasingView)
	})
	if err != nil {
		return err
	}
	if err := m.config.Reached(StepErasedView); err != nil {
		return err
	}
	return m.loader.eraseLeft(ctx, conn, v, StepErasedOnline)
}

// undoUnfinished has a run that is half written begin anew, since what it has written was made of rows that are gone.
func undoUnfinished(ctx context.Context, tx pgx.Tx, v *feature.ViewVersion) error {
	rows, err := tx.Query(ctx, `SELECT id, seq FROM headwater.run WHERE view_id = $1 AND seq IS NOT NULL AND state IN ('queued', 'running')`, v.ID)
	if err != nil {
		return err
	}
	type unfinished struct{ ID, Seq int64 }
	runs, err := pgx.CollectRows(rows, pgx.RowToStructByPos[unfinished])
	if err != nil {
		return err
	}
	for _, r := range runs {
		if err := undo(ctx, tx, v, r.ID, r.Seq); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE headwater.run SET state = 'queued', seq = NULL, started_at = NULL WHERE id = $1`, r.ID); err != nil {
			return err
		}
	}
	return nil
}

// publishedRun is a run whose output rows may be of.
type publishedRun struct {
	id, seq int64
	spans   offline.Spans
	rows    int64
	gone    feature.SetDigest
}

// eraseHistory erases rows of the history, and takes them out of what is known of it. It returns the entities that they were of.
func (m *Materializer) eraseHistory(ctx context.Context, tx pgx.Tx, erasure string, e *erasing) (entities map[string]bool, err error) {
	entities = map[string]bool{}
	if e.traced == nil {
		return entities, nil
	}
	runs, horizon, err := publishedRuns(ctx, tx, e.view.ID)
	if err != nil {
		return nil, err
	}
	done := retention.Erased{Place: placeHistory, Name: e.view.Ref()}
	live, grain := map[int64]int64{}, e.view.RunGrain()
	err = offline.EraseHistory(ctx, tx, e.view, e.keys, e.matches, func(row *offline.HistoryRow) error {
		entities[row.Key] = true
		done.Rows++
		at := row.EventTime.Time()
		if done.First == nil || at.Before(*done.First) {
			done.First = &at
		}
		if done.Last == nil || at.After(*done.Last) {
			done.Last = &at
		}
		if row.SeqTo == offline.SeqLive {
			live[row.SeqFrom]++
		}
		// What a run produced is what the history shows of its spans at its sequence.
		first, _ := slices.BinarySearchFunc(runs, row.SeqFrom, func(r *publishedRun, seq int64) int { return int(r.seq - seq) })
		for _, r := range runs[first:] {
			if r.seq >= row.SeqTo {
				break
			}
			if r.spans.Contains(row.EventTime.Add(-grain)) {
				r.rows++
				r.gone.AddDigest(row.Digest)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, r := range runs {
		// Values that profiles keep may be the entity's.
		if r.rows > 0 || r.seq < horizon {
			if err := quality.EraseRunProfile(ctx, tx, r.id); err != nil {
				return nil, err
			}
		}
		if r.rows == 0 {
			continue
		}
		// Of a run before the horizon, rows were collected that may have been the entity's.
		if err := retention.TouchRun(ctx, tx, erasure, r.id, r.rows, r.gone.Digest(), r.seq >= horizon); err != nil {
			return nil, err
		}
	}
	ended := int64(0)
	for _, rows := range live {
		ended += rows
	}
	_, err = tx.Exec(ctx, `UPDATE headwater.view_state SET live_rows = live_rows - $2 WHERE view_id = $1`, e.view.ID, ended)
	if err != nil {
		return nil, err
	}
	if err := lineage.RecordErased(ctx, tx, e.view.ID, live); err != nil {
		return nil, err
	}
	_, err = recorded(ctx, tx, erasure, done)
	return entities, err
}

// publishedRuns are the published runs of a view version, by sequence, and the sequence before which its history is not whole.
func publishedRuns(ctx context.Context, tx pgx.Tx, view int64) (runs []*publishedRun, horizon int64, err error) {
	rows, err := tx.Query(ctx, `
		SELECT r.id, r.seq, ARRAY(SELECT lower(b) FROM unnest(r.spans) b ORDER BY 1), ARRAY(SELECT upper(b) FROM unnest(r.spans) b ORDER BY 1)
		FROM headwater.run r WHERE r.view_id = $1 AND r.state = 'published' ORDER BY r.seq`, view)
	if err != nil {
		return nil, 0, err
	}
	runs, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (*publishedRun, error) {
		r := &publishedRun{}
		var starts, ends []time.Time
		err := row.Scan(&r.id, &r.seq, &starts, &ends)
		r.spans = spansOf(starts, ends)
		return r, err
	})
	if err != nil {
		return nil, 0, err
	}
	err = tx.QueryRow(ctx, `SELECT coalesce((to_jsonb(s) ->> 'horizon_seq')::bigint, 0) FROM headwater.view_state s WHERE view_id = $1`, view).Scan(&horizon)
	return runs, horizon, err
}

// eraseAside erases what runs set aside and show of the entity.
func (e *erasing) eraseAside(ctx context.Context, tx pgx.Tx, erasure string) (err error) {
	aside, examples := retention.Erased{Place: placeQuarantine, Name: e.view.Ref()}, retention.Erased{Place: placeExamples, Name: e.view.Ref()}
	for subject, match := range e.aside() {
		n, err := quality.EraseQuarantined(ctx, tx, e.view.ID, subject, match)
		if err != nil {
			return err
		}
		aside.Rows += n
	}
	if examples.Rows, err = quality.EraseExamples(ctx, tx, e.view.ID, e.shown()); err != nil {
		return err
	}
	_, err = recorded(ctx, tx, erasure, aside, examples)
	return err
}

// EraseReads records which published runs read rows that are gone, besides those that made some: of a source, of a view, or as rows
// that others refer to.
func (m *Materializer) EraseReads(ctx context.Context, tx pgx.Tx, erasure string) error {
	rows, err := tx.Query(ctx, `
		SELECT DISTINCT r.id FROM headwater.run r WHERE r.state = 'published' AND (
			EXISTS (SELECT FROM headwater.run_load l JOIN headwater.load_erasure x ON x.load_id = l.load_id WHERE l.run_id = r.id AND x.erasure_id = $1 AND x.rows > 0)
			OR EXISTS (SELECT FROM headwater.run_view_input i JOIN headwater.definition d ON d.id = i.view_id JOIN headwater.erasure_place p
				ON p.name = d.name || '@' || d.version WHERE i.run_id = r.id AND p.erasure_id = $1 AND p.place = 'history' AND p.rows > 0)
			OR EXISTS (SELECT FROM headwater.erasure_place p WHERE p.erasure_id = $1 AND p.rows > 0 AND (
				p.place = 'landing' AND r.plan -> 'marks' -> 'references' ? p.name
				OR p.place = 'snapshot' AND EXISTS (SELECT FROM headwater.run_input i WHERE i.run_id = r.id AND i.source = p.name))))
		AND NOT EXISTS (SELECT FROM headwater.run_erasure x WHERE x.run_id = r.id AND x.erasure_id = $1)`, erasure)
	if err != nil {
		return err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := retention.TouchRun(ctx, tx, erasure, id, 0, feature.Digest{}, true); err != nil {
			return err
		}
	}
	return nil
}

// Recompute queues, in the order of reading, a run of each view version that read what is gone, over the event times that it had a part
// in, as far as runs covered them or are about to. It returns their ids.
func (m *Materializer) Recompute(ctx context.Context, tx pgx.Tx, e *retention.Erasure, views []*feature.ViewVersion, principal string) ([]int64, error) {
	gone := map[string]offline.Spans{}
	for _, d := range e.Erased {
		if d.First != nil && d.Last != nil {
			gone[d.Place+":"+d.Name] = offline.NewSpans(offline.Span{Start: feature.TimeOf(*d.First), End: feature.TimeOf(*d.Last) + 1})
		}
	}
	views = slices.SortedFunc(slices.Values(views), func(a, b *feature.ViewVersion) int { return int(a.ID - b.ID) })
	ids := []int64{}
	for _, v := range views {
		span, all := offline.Spans(nil), false
		for _, s := range v.SourceVersions {
			span = span.Union(gone[placeLanding+":"+s.Name])
		}
		for _, name := range offline.Referenced(v) {
			all = all || len(gone[placeLanding+":"+name]) > 0
		}
		for _, w := range v.ViewVersions {
			span = span.Union(gone[placeHistory+":"+w.Ref()]).Union(gone["recomputed:"+w.Ref()])
		}
		if len(span) == 0 && !all {
			continue
		}
		state, err := getViewState(ctx, tx, v.ID)
		if err != nil {
			return nil, err
		}
		owned := state.Covered
		if !all {
			touched := offline.NewSpans(touchedBy(v, span.Hull()))
			underWay, err := coveredSoon(ctx, tx, v.ID, touched)
			if err != nil {
				return nil, err
			}
			owned = owned.Union(underWay).Intersect(touched)
		}
		if len(owned) == 0 {
			continue
		}
		hull := owned.Hull()
		from, to := hull.Start.Time(), hull.End.Time()
		id, err := m.queue(ctx, tx, Request{View: v, From: &from, To: &to, Principal: principal})
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
		grain := v.RunGrain()
		gone["recomputed:"+v.Ref()] = offline.NewSpans(offline.Span{Start: hull.Start.Add(grain), End: hull.End.Add(grain) + 1})
	}
	return ids, nil
}

// coveredSoon is what of some event times less grain runs of a view version that have not ended are to cover: they may read views that
// were made of what is gone, and are not computed anew yet.
func coveredSoon(ctx context.Context, tx pgx.Tx, view int64, touched offline.Spans) (soon offline.Spans, err error) {
	rows, err := tx.Query(ctx, `SELECT plan, asked_from, asked_to FROM headwater.run WHERE view_id = $1 AND state IN ('queued', 'running')`, view)
	if err != nil {
		return nil, err
	}
	var plan *offline.Plan
	var from, to *time.Time
	_, err = pgx.ForEachRow(rows, []any{&plan, &from, &to}, func() error {
		all := touched.Hull()
		switch {
		case plan != nil:
			soon = soon.Union(plan.Owned)
			return nil
		case from != nil:
			all.Start = max(all.Start, feature.TimeOf(*from))
		}
		if to != nil {
			all.End = min(all.End, feature.TimeOf(*to))
		}
		soon = soon.Union(offline.NewSpans(all))
		return nil
	})
	return soon, err
}

// touchedBy is the event times less grain of the output that rows at some event times have a part in, cut to the grid.
func touchedBy(v *feature.ViewVersion, s offline.Span) offline.Span {
	grain, reach := v.RunGrain(), v.Lookback
	if v.Aggregation != nil {
		for i := range v.Aggregation.Aggregates {
			reach = max(reach, v.Aggregation.Aggregates[i].Window)
		}
	}
	return offline.Span{Start: s.Start.Floor(grain).Add(-grain), End: s.End.Add(reach).Ceil(grain)}
}

// erasuresOf reads what erasures did to runs.
func erasuresOf(ctx context.Context, q database.Querier, runs []*Run) error {
	ids := make([]int64, len(runs))
	for i, r := range runs {
		ids[i] = r.ID
	}
	found, err := retention.OfRuns(ctx, q, ids)
	for _, r := range runs {
		r.Erasures = found[r.ID]
	}
	return err
}
