package lineage

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"
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

// publishedRuns is those of the runs, whose records are known, that are published as of the walk's instant.
func (w *walker) publishedRuns(runs []int64) []int64 {
	published := make([]int64, 0, len(runs))
	for _, run := range runs {
		if r := w.runs[run]; r != nil && r.Position > 0 && r.Position <= w.at.Position {
			published = append(published, run)
		}
	}
	return published
}

// learnRuns reads the records of runs that are not known: each once in a walk, whole, for nearly all of them are described.
func (w *walker) learnRuns(ctx context.Context, runs []int64) error {
	found, err := collectParts[runRecord](ctx, w, unknown(w.runs, runs), `
		SELECT r.id, r.view_id, r.seq, r.state, coalesce(r.position, 0),
			CASE WHEN r.position IS NOT NULL THEN coalesce(r.published_at, (SELECT p.published_at FROM headwater.publish_log p WHERE p.run_id = r.id)) END,
			r.interval_start, r.interval_end, r.fingerprint, r.digest, r.principal, r.started_at, r.ended_at, r.error,
			r.rows_read, r.produced, r.unchanged, r.inserted, r.withdrawn, r.live_after
		FROM headwater.run r WHERE r.id = ANY ($1) AND r.seq IS NOT NULL`)
	for i := range found {
		w.runs[found[i].ID], w.viewOf[found[i].ID] = &found[i], found[i].View
	}
	return err
}

// learnInputs reads what runs read of sources, and learnViewInputs what they read of views, of those of which it is not known.
func (w *walker) learnInputs(ctx context.Context, runs []int64) error {
	return learnByRun(ctx, w, w.sourceInputs, runs, func(in runInput) int64 { return in.Run }, `
		SELECT run_id, source, source_version, load_number, rows_read, coalesce(relation, ''), rows_digest, loads FROM headwater.run_input WHERE run_id = ANY ($1)`)
}

func (w *walker) learnViewInputs(ctx context.Context, runs []int64) error {
	return learnByRun(ctx, w, w.viewInputs, runs, func(in runViewInput) int64 { return in.Run },
		`SELECT run_id, view_id, seq, rows_read FROM headwater.run_view_input WHERE run_id = ANY ($1)`)
}

// learnByRun adds to what is known by run what the query, whose $1 are runs, returns for those of which nothing is.
func learnByRun[T any](ctx context.Context, w *walker, known map[int64][]T, runs []int64, runOf func(T) int64, sql string) error {
	runs = unknown(known, runs)
	found, err := collectParts[T](ctx, w, runs, sql)
	for _, run := range runs {
		known[run] = nil
	}
	slices.SortFunc(found, func(a, b T) int { return cmp.Compare(runOf(a), runOf(b)) })
	for len(found) > 0 {
		run, n := runOf(found[0]), 1
		for n < len(found) && runOf(found[n]) == run {
			n++
		}
		known[run], found = found[:n:n], found[n:]
	}
	return err
}

// learnEnds reads up to which sequences runs are behind their view versions, of those of which it is not known.
func (w *walker) learnEnds(ctx context.Context, runs []int64) error {
	type end struct{ Run, Ended int64 }
	found, err := collectParts[end](ctx, w, unknown(w.ends, runs), `SELECT run_id, ended FROM headwater.run_span WHERE run_id = ANY ($1)`)
	for _, e := range found {
		w.ends[e.Run] = e.Ended
	}
	return err
}

// unknown is those of the ids of which nothing is known.
func unknown[T any](known map[int64]T, ids []int64) []int64 {
	list := make([]int64, 0, len(ids))
	for _, id := range ids {
		if _, is := known[id]; !is {
			list = append(list, id)
		}
	}
	return list
}

// view is a view version that runs are of, or that such a one reads.
type view struct {
	name string
	// ref is `NAME@VERSION`, and seq and rowsRead are the properties of a run that tell what it read of it: many runs have them.
	ref, seq, rowsRead string
	// ofSources and ofViews are whether it reads any, where that is known: not of those that others read.
	ofSources, ofViews, known bool
}

func (v *version) view() *view {
	ref := NodeRef{Kind: View, Name: v.Name, Version: v.Version}.String()
	return &view{name: v.Name, ref: strings.TrimPrefix(ref, "view:"), seq: "seq." + ref, rowsRead: "rows_read." + ref}
}

// learnViews reads what is not known of view versions, and of those that they read.
func (w *walker) learnViews(ctx context.Context, views []int64) error {
	views = slices.DeleteFunc(views, func(id int64) bool { return w.views[id] != nil && w.views[id].known })
	type input struct{ Definition, View int64 }
	inputs, err := collectParts[input](ctx, w, views, `SELECT definition_id, coalesce(view_id, 0) FROM headwater.definition_input WHERE definition_id = ANY ($1)`)
	if err != nil {
		return err
	}
	for _, in := range inputs {
		if in.View != 0 {
			views = append(views, in.View)
		}
	}
	versions, err := w.versionsOf(ctx, unknown(w.views, views))
	for id, v := range versions {
		w.views[id] = v.view()
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
		v := w.views[w.viewOf[run]]
		return v != nil && v.known && !what(v)
	})
}

func ofSources(v *view) bool { return v.ofSources }

func ofViews(v *view) bool { return v.ofViews }

// viewsOf is the view versions of runs, each once.
func (w *walker) viewsOf(runs []int64) []int64 {
	views := make([]int64, 0, len(runs))
	for _, run := range runs {
		if view, is := w.viewOf[run]; is {
			views = append(views, view)
		}
	}
	slices.Sort(views)
	return slices.Compact(views)
}

// publishedSeqs is the newest published sequence of each view version that has one.
func (w *walker) publishedSeqs(ctx context.Context, views []int64) (map[int64]int64, error) {
	type row struct{ View, Seq int64 }
	seqs := map[int64]int64{}
	if len(views) == 0 {
		return seqs, nil
	}
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
	if len(at) == 0 {
		return nil, nil
	}
	views, seqs := pairs(at)
	return collect[behind](ctx, w.q, `
		SELECT s.view_id, s.run_id, p.position, CASE WHEN s.ended < 9223372036854775807 THEN
			coalesce((SELECT e.position FROM headwater.publish_log e WHERE e.view_id = s.view_id AND e.seq = s.ended), 0) ELSE 0 END
		FROM unnest($1::bigint[], $2::bigint[]) AS a (view_id, seq)
		JOIN headwater.run_span s ON s.view_id = a.view_id AND s.seq <= a.seq AND s.ended > a.seq
		JOIN headwater.publish_log p ON p.run_id = s.run_id
		LIMIT $3`, views, seqs, w.room())
}

// runSpan is the sequences [Seq, End) of a view version that a run is behind.
type runSpan struct {
	Run, View, Seq, End int64
}

// runSpans is the spans of those of the runs that are published.
func (w *walker) runSpans(ctx context.Context, runs []int64) ([]runSpan, error) {
	// They are known of what was met by what it read.
	err := w.together(ctx, func(ctx context.Context) error { return w.learnRuns(ctx, runs) }, func(ctx context.Context) error { return w.learnEnds(ctx, runs) })
	var spans []runSpan
	for _, run := range w.publishedRuns(runs) {
		if end, is := w.ends[run]; is {
			r := w.runs[run]
			spans = append(spans, runSpan{run, r.View, r.Seq, end})
		}
	}
	return spans, err
}

// newestOf is those of the spans whose runs are behind the newest published sequences of their view versions.
func (w *walker) newestOf(ctx context.Context, spans []runSpan) ([]runSpan, error) {
	newest, err := w.publishedSeqs(ctx, w.viewsOf(rowIDs(spans, func(s runSpan) int64 { return s.Run })))
	return slices.DeleteFunc(slices.Clone(spans), func(s runSpan) bool { return s.End <= newest[s.View] }), err
}

// endedAt is where each of the runs of spans is behind its view version no longer: nothing of those that still are.
func (w *walker) endedAt(ctx context.Context, spans []runSpan) (map[int64]int64, error) {
	var views, seqs, runs []int64
	for _, s := range spans {
		if s.End < math.MaxInt64 {
			views, seqs, runs = append(views, s.View), append(seqs, s.End), append(runs, s.Run)
		}
	}
	ended := map[int64]int64{}
	if len(runs) == 0 {
		return ended, nil
	}
	type end struct{ Run, Position int64 }
	err := each(ctx, w.q, func(e *end) { ended[e.Run] = e.Position }, `
		SELECT e.run, p.position FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS e (view_id, seq, run)
		JOIN headwater.publish_log p ON p.view_id = e.view_id AND p.seq = e.seq`, views, seqs, runs)
	return ended, err
}

// viewSeqs is the sequences [From, To) of a view version.
type viewSeqs struct{ View, From, To int64 }

// seqsOf is the sequences, each once, however many there are with it: list is put in the order of views and sequences.
func seqsOf(list []viewSeqs) []viewSeqs {
	slices.SortFunc(list, func(a, b viewSeqs) int { return cmp.Or(cmp.Compare(a.View, b.View), cmp.Compare(a.From, b.From)) })
	var seqs []viewSeqs
	for _, s := range list {
		if last := len(seqs) - 1; last >= 0 && seqs[last].View == s.View && s.From <= seqs[last].To {
			seqs[last].To = max(seqs[last].To, s.To)
		} else {
			seqs = append(seqs, s)
		}
	}
	return seqs
}

// spansAt is the spans of the runs that are behind what was read.
func (w *walker) spansAt(ctx context.Context, reads []read) ([]runSpan, error) {
	at := make([]viewSeqs, len(reads))
	for i, r := range reads {
		at[i] = viewSeqs{r.View, r.Seq, r.Seq + 1}
	}
	spans, err := collectSeqs[runSpan](ctx, w, seqsOf(at), `
		SELECT s.run_id, s.view_id, s.seq, s.ended FROM `+unnestSeqs+`
		JOIN headwater.run_span s ON s.view_id = r.view_id AND s.seq < r.ended AND s.ended > r.seq`)
	// One may be behind several of the sequences.
	slices.SortFunc(spans, func(a, b runSpan) int { return cmp.Compare(a.Run, b.Run) })
	return slices.Compact(spans), err
}

// viewSeq is a sequence of a view version at which something read it.
type viewSeq struct{ View, Seq int64 }

func (v viewSeq) seq() viewSeq { return v }

func (v viewSeq) compare(to viewSeq) int {
	return cmp.Or(cmp.Compare(v.View, to.View), cmp.Compare(v.Seq, to.Seq))
}

// unnestSeqs is sequences as rows r of a query.
const unnestSeqs = `unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS r (view_id, seq, ended)`

// collectSeqs is collect of a query that has unnestSeqs, in parts, which are asked for at once, where there are many. Each returns up to the room that
// there is, which is $4; more args are from $5 on.
func collectSeqs[T any](ctx context.Context, w *walker, seqs []viewSeqs, sql string, args ...any) ([]T, error) {
	return inParts(ctx, w, seqs, func(ctx context.Context, part []viewSeqs) ([]T, error) {
		var views, from, to []int64
		for _, s := range part {
			views, from, to = append(views, s.View), append(from, s.From), append(to, s.To)
		}
		return collect[T](ctx, w.q, sql+` LIMIT $4`, append([]any{views, from, to, w.room()}, args...)...)
	})
}

// collectReads is collectSeqs of what read view versions at sequences, by these.
func collectReads[T interface{ seq() viewSeq }](ctx context.Context, w *walker, seqs []viewSeqs, sql string, args ...any) ([]T, error) {
	reads, err := collectSeqs[T](ctx, w, seqs, sql, args...)
	slices.SortFunc(reads, func(a, b T) int { return a.seq().compare(b.seq()) })
	return reads, err
}

// behindReads calls do, which follows an edge, with each of the reads, which are by view and sequence, and each run that is behind what it read. Each of many
// may be behind each of many, so that it ends where there are more edges than there may be.
func behindReads[T interface{ seq() viewSeq }](w *walker, spans []runSpan, reads []T, do func(run int64, read *T)) {
	for _, s := range spans {
		i, _ := slices.BinarySearchFunc(reads, viewSeq{s.View, s.Seq}, func(r T, at viewSeq) int { return r.seq().compare(at) })
		for ; i < len(reads) && reads[i].seq().View == s.View && reads[i].seq().Seq < s.End; i++ {
			if do(s.Run, &reads[i]); len(w.edges) > w.limits.edges {
				return
			}
		}
	}
}
