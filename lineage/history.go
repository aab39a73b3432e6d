package lineage

import "context"

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
		SELECT s.view_id, s.run_id, p.position, coalesce((SELECT e.position FROM headwater.publish_log e WHERE e.view_id = s.view_id AND e.seq = s.ended), 0)
		FROM unnest($1::bigint[], $2::bigint[]) AS a (view_id, seq)
		JOIN headwater.run_span s ON s.view_id = a.view_id AND s.seq <= a.seq AND s.ended > a.seq
		JOIN headwater.publish_log p ON p.run_id = s.run_id
		LIMIT $3`, views, seqs, w.room())
}

type viewSeq struct{ View, Seq int64 }

// runSpan is the sequences [Seq, End) of a view version that a run is behind.
type runSpan struct {
	Run, View, Seq, End int64
	// Position is where the run was published, Ended where it is behind no longer, 0 for not yet.
	Position, Ended int64
	// Published is the newest published sequence of the view version.
	Published int64
}

// runSpans finds the spans of those of the runs that are published.
func (w *walker) runSpans(ctx context.Context, runs []int64) (spans []*runSpan, err error) {
	err = each(ctx, w.q, func(s *runSpan) { spans = append(spans, s) }, `
		SELECT s.run_id, s.view_id, s.seq, s.ended, p.position,
			coalesce((SELECT e.position FROM headwater.publish_log e WHERE e.view_id = s.view_id AND e.seq = s.ended), 0),
			(SELECT n.seq FROM headwater.publish_log n WHERE n.view_id = s.view_id AND n.position <= $2 ORDER BY n.seq DESC LIMIT 1)
		FROM headwater.run_span s JOIN headwater.publish_log p ON p.run_id = s.run_id
		WHERE s.run_id = ANY ($1) AND p.position <= $2 ORDER BY p.position`, runs, w.at.Position)
	return spans, err
}
