package lineage

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// span is the fact of an edge that is valid between two times. A nil end has not come.
func span(from time.Time, to *time.Time) fact {
	f := fact{from: atTime(from)}
	if to != nil {
		f.to = atTime(*to)
	}
	return f
}

// valid is the condition that a row of headwater.definition_input or column_edge meets which holds at the walk's instant. Of a query with
// it, and of all that take a condition, $1 is the walk's time and $2 the room that is left.
func valid(row string) string {
	return fmt.Sprintf("%[1]s.valid_from < $1 AND %[1]s.valid_to >= $1", row)
}

// within is the arguments of such a query.
func (w *walker) within(args ...any) []any { return append([]any{w.at.Before, w.room()}, args...) }

// inputs follows the edges between views and services and what they read.
func (w *walker) inputs(ctx context.Context, where string, arg any) error {
	type row struct {
		Definition int64
		Kind       string
		Source     string
		View       int64
		From       time.Time
		To         *time.Time
	}
	return each(ctx, w.q, func(r *row) {
		from, to := node{kind: Source, name: r.Source}, node{kind: View, id: r.Definition}
		if r.View != 0 {
			from = node{kind: View, id: r.View}
		}
		if r.Kind == "service" {
			to.kind = Service
		}
		w.follow(from, to, Definition, span(r.From, r.To))
	}, `
		SELECT i.definition_id, d.kind, coalesce(i.source, ''), coalesce(i.view_id, 0), i.valid_from, nullif(i.valid_to, 'infinity')
		FROM headwater.definition_input i JOIN headwater.definition d ON d.id = i.definition_id
		WHERE `+where+` AND `+valid("i")+` LIMIT $2`, w.within(arg)...)
}

// appliedAt is when versions were applied.
func (w *walker) appliedAt(ctx context.Context, ids []int64) (map[int64]time.Time, error) {
	type row struct {
		ID        int64
		AppliedAt time.Time
	}
	applied := map[int64]time.Time{}
	err := each(ctx, w.q, func(r *row) { applied[r.ID] = r.AppliedAt },
		`SELECT id, applied_at FROM headwater.definition WHERE id = ANY ($1)`, ids)
	return applied, err
}

// viewsAndNames is the keys of features or columns of views, as two lists.
func viewsAndNames(nodes []node) (views []int64, names []string) {
	for _, n := range nodes {
		views, names = append(views, n.id), append(names, n.name)
	}
	return views, names
}

// readsUp goes from published runs to the runs behind the views that they read, each at the sequence that was read.
func (w *walker) readsUp(ctx context.Context, readers []int64) error {
	var reads []read
	for _, run := range readers {
		for _, in := range w.viewInputs[run] {
			reads = append(reads, read{viewSeq{in.View, in.Seq}, run})
		}
	}
	slices.SortFunc(reads, func(a, b read) int { return a.compare(b.viewSeq) })
	var spans []runSpan
	err := w.together(ctx, func(ctx context.Context) (err error) {
		spans, err = w.spansAt(ctx, reads)
		return err
	}, func(ctx context.Context) error {
		// What those of them read in turn is asked for by the next level.
		views := rowIDs(reads, func(r read) int64 { return r.View })
		return w.learnViews(ctx, slices.Compact(views))
	})
	if err != nil {
		return err
	}
	for _, s := range spans {
		w.viewOf[s.Run] = s.View
	}
	behindReads(w, spans, reads, func(run int64, r *read) {
		w.follow(node{kind: Run, id: run}, node{kind: Run, id: r.Reader}, Read, w.published(r.Reader))
	})
	return nil
}

// read is that a run read a view at a sequence.
type read struct {
	viewSeq
	Reader int64
}

// readsOf is what read views at the sequences, also what was published later than the walk's instant or was not.
func (w *walker) readsOf(ctx context.Context, seqs []viewSeqs) ([]read, error) {
	const select_ = `
		SELECT i.view_id, i.seq, i.run_id FROM ` + unnestSeqs + `
		JOIN headwater.run_view_input i ON i.view_id = r.view_id AND i.seq >= r.seq AND i.seq < r.ended`
	room := w.room()
	reads, err := collectReads[read](ctx, w, seqs, select_)
	// A run reads several of the others, and is looked up once for all of them. Not so where there are more than there is room for, of which some may
	// not count.
	if err == nil && len(reads) >= room {
		reads, err = collectReads[read](ctx, w, seqs, select_+` JOIN headwater.publish_log p ON p.run_id = i.run_id AND p.position <= $5`, w.at.Position)
	}
	return reads, err
}

// followReads follows the edges from runs to those of the readers of their views that are published.
func (w *walker) followReads(ctx context.Context, spans []runSpan, reads []read) error {
	readers := rowIDs(reads, func(r read) int64 { return r.Reader })
	slices.Sort(readers)
	readers = slices.Compact(readers)
	learn := []func(context.Context) error{func(ctx context.Context) error { return w.learnRuns(ctx, readers) }}
	if !w.last {
		learn = append(learn, func(ctx context.Context) error { return w.learnEnds(ctx, readers) })
	}
	// All that is met is described, unless it is more than a page.
	if w.PageSize == 0 || len(w.met) <= w.PageSize {
		learn = append(learn, func(ctx context.Context) error { return w.learnViewInputs(ctx, readers) })
	}
	if err := w.together(ctx, learn...); err != nil {
		return err
	}
	return w.together(ctx, func(ctx context.Context) error { return w.learnViews(ctx, w.viewsOf(readers)) }, func(context.Context) error {
		published := w.publishedRuns(readers)
		reads = slices.DeleteFunc(reads, func(r read) bool {
			_, is := slices.BinarySearch(published, r.Reader)
			return !is
		})
		behindReads(w, spans, reads, func(run int64, r *read) {
			w.follow(node{kind: Run, id: run}, node{kind: Run, id: r.Reader}, Read, w.published(r.Reader))
		})
		return nil
	})
}
