package lineage

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// readsOfView is the pairs of views of which the second reads the first.
const readsOfView = `
	SELECT i.id, v.id FROM headwater.definition v
	CROSS JOIN LATERAL jsonb_each_text(v.resolved->'views') AS input (name, version)
	JOIN headwater.definition i ON i.kind = 'view' AND i.name = input.name AND i.version = input.version::int
	WHERE v.kind = 'view' `

// viewsOfViews follows the edges between views and the views that they read.
func (w *walker) viewsOfViews(ctx context.Context, where string, views []node) error {
	type row struct{ Input, Reader int64 }
	rows, err := collect[row](ctx, w.q, readsOfView+where+` LIMIT $2`, ids(views), w.room())
	if err != nil {
		return err
	}
	for _, r := range rows {
		w.follow(node{kind: View, id: r.Input}, node{kind: View, id: r.Reader}, Definition, 0)
	}
	return nil
}

// readsUp goes from runs to the runs behind the views that they read, each at the sequence that was read.
func (w *walker) readsUp(ctx context.Context, runs []node) error {
	type read struct{ Run, View, Seq int64 }
	reads, err := collect[read](ctx, w.q, `
		SELECT i.run_id, i.view_id, i.seq FROM headwater.run_view_input i JOIN headwater.publish_log p ON p.run_id = i.run_id
		WHERE i.run_id = ANY ($1) LIMIT $2`, ids(runs), w.room())
	if err != nil {
		return err
	}
	readers := map[viewSeq][]int64{}
	seqs := map[int64][]string{}
	var views []int64
	for _, r := range reads {
		at := viewSeq{r.View, r.Seq}
		if readers[at] == nil {
			if seqs[r.View] == nil {
				views = append(views, r.View)
			}
			seqs[r.View] = append(seqs[r.View], fmt.Sprint(r.Seq))
		}
		readers[at] = append(readers[at], r.Run)
	}
	slices.Sort(views)
	return w.eachHistory(ctx, views, func(view int64, history string) string {
		return fmt.Sprintf(`
			SELECT p.view_id, q.seq, p.run_id FROM headwater.publish_log p
			JOIN unnest('{%s}'::bigint[]) AS q (seq) ON p.seq <= q.seq
			LEFT JOIN (SELECT seq_from, max(seq_to) AS ended FROM %s GROUP BY seq_from) h ON h.seq_from = p.seq
			WHERE p.view_id = %d AND (p.seq = q.seq OR h.ended > q.seq)`,
			strings.Join(seqs[view], ","), history, view)
	}, func(sql string) error {
		type behindRead struct{ View, Seq, Run int64 }
		rows, err := collect[behindRead](ctx, w.q, fmt.Sprintf("%s LIMIT %d", sql, w.room()), pgx.QueryExecModeExec)
		for _, b := range rows {
			for _, reader := range readers[viewSeq{b.View, b.Seq}] {
				w.follow(node{kind: Run, id: b.Run}, node{kind: Run, id: reader}, Read, 0)
			}
		}
		return err
	})
}

// readsDown goes from runs, by the sequences of their views that they are behind, to the published runs that read those.
func (w *walker) readsDown(ctx context.Context, spans []*runSpan) error {
	var runs, views, seqs, ends []int64
	for _, s := range spans {
		runs, views, seqs, ends = append(runs, s.Run), append(views, s.View), append(seqs, s.Seq), append(ends, s.End)
	}
	type read struct{ Run, Reader int64 }
	reads, err := collect[read](ctx, w.q, `
		SELECT r.run, i.run_id
		FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) AS r (run, view_id, seq, ended)
		JOIN headwater.run_view_input i ON i.view_id = r.view_id AND i.seq >= r.seq AND i.seq < r.ended
		JOIN headwater.publish_log p ON p.run_id = i.run_id
		LIMIT $5`, runs, views, seqs, ends, w.room())
	if err != nil {
		return err
	}
	for _, r := range reads {
		w.follow(node{kind: Run, id: r.Run}, node{kind: Run, id: r.Reader}, Read, 0)
	}
	return nil
}

// describeViewInputs adds to runs at which sequence they read other views.
func (w *walker) describeViewInputs(ctx context.Context, runs []int64, described map[node]*Node) error {
	type row struct {
		Run, Seq, Rows int64
		Name           string
		Version        int
	}
	rows, err := collect[row](ctx, w.q, `
		SELECT i.run_id, i.seq, i.rows_read, d.name, d.version
		FROM headwater.run_view_input i JOIN headwater.definition d ON d.id = i.view_id WHERE i.run_id = ANY ($1)`, runs)
	if err != nil {
		return err
	}
	for _, r := range rows {
		p := properties(described[node{kind: Run, id: r.Run}].Properties)
		view := NodeRef{Kind: View, Name: r.Name, Version: r.Version}.String()
		p.number("seq."+view, r.Seq)
		p.number("rows_read."+view, r.Rows)
	}
	return nil
}
