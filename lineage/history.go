package lineage

import (
	"context"
	"math"
	"slices"
	"time"
)

// runRecord is the record of a run, as it is followed and described.
type runRecord struct {
	ID, View, Seq int64
	State         string
	// Position is where the run was published, 0 where it was not, and PublishedAt when.
	Position                                             int64
	PublishedAt                                          *time.Time
	From, To                                             *time.Time
	Fingerprint, Digest                                  []byte
	Principal                                            string
	StartedAt, EndedAt                                   *time.Time
	Error                                                *string
	Read, Produced, Unchanged, Inserted, Withdrawn, Live int64
}

// published is the fact of an edge to a run, of what it read: it is there since the run was published.
func (w *walker) published(run int64) fact { return fact{from: w.publishedAt(run)} }

func (w *walker) publishedAt(run int64) stamp { return atPosition(w.runs[run].Position) }

// publishedRuns is those of the runs that are published as of the walk's instant.
func (w *walker) publishedRuns(ctx context.Context, runs []int64) ([]int64, error) {
	published := make([]int64, 0, len(runs))
	err := w.learnRuns(ctx, runs)
	for _, run := range runs {
		if r := w.runs[run]; r != nil && r.Position > 0 && r.Position <= w.at.Position {
			published = append(published, run)
		}
	}
	return published, err
}

// learnRuns reads the records of runs that are not known: each once in a walk, whole, for nearly all of them are described.
func (w *walker) learnRuns(ctx context.Context, runs []int64) error {
	var unknown []int64
	for _, run := range runs {
		if w.runs[run] == nil {
			unknown = append(unknown, run)
		}
	}
	found, err := collectParts[runRecord](ctx, w, unknown, `
		SELECT r.id, r.view_id, r.seq, r.state, coalesce(r.position, 0),
			CASE WHEN r.position IS NOT NULL THEN coalesce(r.published_at, (SELECT p.published_at FROM headwater.publish_log p WHERE p.run_id = r.id)) END,
			r.interval_start, r.interval_end, r.fingerprint, r.digest, r.principal, r.started_at, r.ended_at, r.error,
			r.rows_read, r.produced, r.unchanged, r.inserted, r.withdrawn, r.live_after
		FROM headwater.run r WHERE r.id = ANY ($1) AND r.seq IS NOT NULL`)
	for i := range found {
		w.runs[found[i].ID] = &found[i]
	}
	return err
}

// view is a view version that runs are of, or that such a one reads.
type view struct {
	version
	// ofSources and ofViews are whether it reads any, where that is known: not of those that others read.
	ofSources, ofViews, known bool
}

// learnViews reads what is not known of the view versions of runs, and of those that they read.
func (w *walker) learnViews(ctx context.Context, runs []int64) error {
	var unknown []int64
	for _, id := range w.viewsOf(runs) {
		if v := w.views[id]; v == nil || !v.known {
			unknown = append(unknown, id)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	type input struct{ Definition, View int64 }
	inputs, err := collectParts[input](ctx, w, unknown,
		`SELECT definition_id, coalesce(view_id, 0) FROM headwater.definition_input WHERE definition_id = ANY ($1)`)
	if err != nil {
		return err
	}
	for _, in := range inputs {
		if in.View != 0 && w.views[in.View] == nil {
			unknown = append(unknown, in.View)
		}
	}
	versions, err := w.versionsOf(ctx, unknown)
	for id, v := range versions {
		w.views[id] = &view{version: *v}
	}
	for _, in := range inputs {
		if v := w.views[in.Definition]; v != nil {
			v.ofSources, v.ofViews, v.known = v.ofSources || in.View == 0, v.ofViews || in.View != 0, true
		}
	}
	return err
}

// runsReading is the runs without those of view versions of which it is known that they read no sources, or no views: most of a deep graph read
// only the one.
func (w *walker) runsReading(runs []int64, what func(*view) bool) []int64 {
	return slices.DeleteFunc(slices.Clone(runs), func(run int64) bool {
		r := w.runs[run]
		if r == nil {
			return false
		}
		v := w.views[r.View]
		return v != nil && v.known && !what(v)
	})
}

func ofSources(v *view) bool { return v.ofSources }

func ofViews(v *view) bool { return v.ofViews }

// viewsOf is the view versions of those of the runs that are known, each once.
func (w *walker) viewsOf(runs []int64) []int64 {
	views := make([]int64, 0, len(runs))
	for _, run := range runs {
		if r := w.runs[run]; r != nil {
			views = append(views, r.View)
		}
	}
	slices.Sort(views)
	return slices.Compact(views)
}

// publishedSeqs is the newest published sequence of each view version that has one.
func (w *walker) publishedSeqs(ctx context.Context, views []int64) (map[int64]int64, error) {
	type row struct{ View, Seq int64 }
	seqs := map[int64]int64{}
	err := each(ctx, w.q, func(r *row) { seqs[r.View] = r.Seq }, `
		SELECT v.id, p.seq FROM unnest($1::bigint[]) AS v (id) CROSS JOIN LATERAL (
			SELECT p.seq FROM headwater.publish_log p WHERE p.view_id = v.id AND p.position <= $2 ORDER BY p.seq DESC LIMIT 1) p`,
		views, w.at.Position)
	return seqs, err
}

type behind struct {
	View, Run int64
	// Position is where the run was published, Ended where it is behind no longer, 0 for not yet.
	Position, Ended int64
}

// runsBehind is the runs behind view versions, each asked at a sequence.
func (w *walker) runsBehind(ctx context.Context, at map[int64]int64) ([]behind, error) {
	views, seqs := pairs(at)
	return collect[behind](ctx, w.q, `
		SELECT s.view_id, s.run_id, p.position, CASE WHEN s.ended < 9223372036854775807 THEN
			coalesce((SELECT e.position FROM headwater.publish_log e WHERE e.view_id = s.view_id AND e.seq = s.ended), 0) ELSE 0 END
		FROM unnest($1::bigint[], $2::bigint[]) AS a (view_id, seq)
		JOIN headwater.run_span s ON s.view_id = a.view_id AND s.seq <= a.seq AND s.ended > a.seq
		JOIN headwater.publish_log p ON p.run_id = s.run_id
		LIMIT $3`, views, seqs, w.room())
}

type viewSeq struct{ View, Seq int64 }

// runSpan is the sequences [Seq, End) of a view version that a run is behind.
type runSpan struct {
	Run, View, Seq, End int64
	// Published is the newest published sequence of the view version.
	Published int64
	// Ended is where the run is behind no longer, 0 for not yet.
	Ended int64
}

// runSpans finds the spans of those of the runs that are published. Ended is 0 also of those that are not behind the newest, unless it is wanted of all.
func (w *walker) runSpans(ctx context.Context, runs []int64, allEnded bool) (spans []runSpan, err error) {
	published, err := w.publishedRuns(ctx, runs)
	if err != nil {
		return nil, err
	}
	type row struct{ Run, View, Seq, End int64 }
	var rows []row
	var newest map[int64]int64
	err = w.together(ctx, func(ctx context.Context) (err error) {
		rows, err = collectParts[row](ctx, w, published, `SELECT run_id, view_id, seq, ended FROM headwater.run_span WHERE run_id = ANY ($1)`)
		return err
	}, func(ctx context.Context) (err error) {
		newest, err = w.publishedSeqs(ctx, w.viewsOf(published))
		return err
	})
	var views, seqs []int64
	for _, r := range rows {
		s := runSpan{Run: r.Run, View: r.View, Seq: r.Seq, End: r.End, Published: newest[r.View]}
		if s.End < math.MaxInt64 && (allEnded || s.End > s.Published) {
			views, seqs = append(views, s.View), append(seqs, s.End)
		}
		spans = append(spans, s)
	}
	if err != nil || len(views) == 0 {
		return spans, err
	}
	type end struct{ View, Seq, Position int64 }
	ended := map[viewSeq]int64{}
	err = each(ctx, w.q, func(e *end) { ended[viewSeq{e.View, e.Seq}] = e.Position }, `
		SELECT p.view_id, p.seq, p.position FROM unnest($1::bigint[], $2::bigint[]) AS e (view_id, seq)
		JOIN headwater.publish_log p ON p.view_id = e.view_id AND p.seq = e.seq`, views, seqs)
	for i := range spans {
		if s := &spans[i]; allEnded || s.End > s.Published {
			s.Ended = ended[viewSeq{s.View, s.End}]
		}
	}
	return spans, err
}

// unnestSpans is spans as rows r of a query.
const unnestSpans = `unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) AS r (run, view_id, seq, ended)`

// collectSpans is collect of a query that has unnestSpans, in parts, which are asked for at once, where there are many. Each returns up to the room
// that there is, which is $5; more args are from $6 on.
func collectSpans[T any](ctx context.Context, w *walker, spans []runSpan, sql string, args ...any) ([]T, error) {
	return inParts(ctx, w, spans, func(ctx context.Context, part []runSpan) ([]T, error) {
		var runs, views, seqs, ends []int64
		for _, s := range part {
			runs, views, seqs, ends = append(runs, s.Run), append(views, s.View), append(seqs, s.Seq), append(ends, s.End)
		}
		return collect[T](ctx, w.q, sql+` LIMIT $5`, append([]any{runs, views, seqs, ends, w.room()}, args...)...)
	})
}
