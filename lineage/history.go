package lineage

import (
	"context"
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

// view is a view version that runs are of, or that such a one reads, and whether it reads sources and views: not of those that only others read.
type view struct {
	version
	OfSources, OfViews bool
}

// learnViews reads what is not known of the view versions of runs, and of those that they read.
func (w *walker) learnViews(ctx context.Context, runs []int64) error {
	var unknown []int64
	for _, id := range w.viewsOf(runs) {
		if w.views[id] == nil {
			unknown = append(unknown, id)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	return each(ctx, w.q, func(v *view) { w.views[v.ID] = v }, `
		SELECT d.id, d.name, d.version, i.sources, i.views
		FROM headwater.definition d CROSS JOIN LATERAL (
			SELECT coalesce(bool_or(source IS NOT NULL), false), coalesce(bool_or(view_id IS NOT NULL), false) FROM headwater.definition_input
			WHERE definition_id = d.id) i (sources, views)
		WHERE d.id IN (SELECT unnest($1::bigint[]) UNION SELECT view_id FROM headwater.definition_input WHERE definition_id = ANY ($1))`, unknown)
}

// runsReading is the runs without those of view versions of which it is known that they read no sources, or no views: most of a deep graph read
// only the one.
func (w *walker) runsReading(runs []int64, what func(*view) bool) []int64 {
	return slices.DeleteFunc(slices.Clone(runs), func(run int64) bool {
		r := w.runs[run]
		return r != nil && w.views[r.View] != nil && !what(w.views[r.View])
	})
}

func ofSources(v *view) bool { return v.OfSources }

func ofViews(v *view) bool { return v.OfViews }

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

// newest is the newest published sequence of each view version of $1 that has one, as of the position of $2.
const newest = `
	SELECT v.id, p.seq FROM unnest($1::bigint[]) AS v (id) CROSS JOIN LATERAL (
		SELECT p.seq FROM headwater.publish_log p WHERE p.view_id = v.id AND p.position <= $2 ORDER BY p.seq DESC LIMIT 1) p`

// publishedSeqs is the newest published sequence of each view version that has one.
func (w *walker) publishedSeqs(ctx context.Context, views []int64) (map[int64]int64, error) {
	type row struct{ View, Seq int64 }
	seqs := map[int64]int64{}
	err := each(ctx, w.q, func(r *row) { seqs[r.View] = r.Seq }, newest, views, w.at.Position)
	return seqs, err
}

// endOf is the position at which a run with the span s came to be behind its view no longer, 0 for not yet.
const endOf = `CASE WHEN s.ended = 9223372036854775807 THEN 0
	ELSE coalesce((SELECT e.position FROM headwater.publish_log e WHERE e.view_id = s.view_id AND e.seq = s.ended), 0) END`

type behind struct {
	View, Run int64
	// Position is where the run was published, Ended where it is behind no longer, 0 for not yet.
	Position, Ended int64
}

// runsBehind is the runs behind view versions, each asked at a sequence.
func (w *walker) runsBehind(ctx context.Context, at map[int64]int64) ([]behind, error) {
	views, seqs := pairs(at)
	return collect[behind](ctx, w.q, `
		SELECT s.view_id, s.run_id, p.position, `+endOf+`
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
func (w *walker) runSpans(ctx context.Context, runs []int64, allEnded bool) ([]runSpan, error) {
	published, err := w.publishedRuns(ctx, runs)
	if err != nil {
		return nil, err
	}
	return collect[runSpan](ctx, w.q, `
		WITH newest (view_id, seq) AS MATERIALIZED (`+newest+`)
		SELECT s.run_id, s.view_id, s.seq, s.ended, n.seq, CASE WHEN $4 OR s.ended > n.seq THEN `+endOf+` ELSE 0 END
		FROM headwater.run_span s JOIN newest n ON n.view_id = s.view_id WHERE s.run_id = ANY ($3)`, w.viewsOf(published), w.at.Position, published, allEnded)
}
