package lineage

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// tablesAtOnce bounds how many history tables one statement reads, since each takes locks until it ends.
const tablesAtOnce = 64

// publishedSeqs is the newest published sequence of each view version that has one.
func (w *walker) publishedSeqs(ctx context.Context, views []int64) (map[int64]int64, error) {
	type row struct{ View, Seq int64 }
	rows, err := collect[row](ctx, w.q, `
		SELECT view_id, max(seq) FROM headwater.publish_log WHERE view_id = ANY ($1) GROUP BY view_id`, views)
	seqs := map[int64]int64{}
	for _, r := range rows {
		seqs[r.View] = r.Seq
	}
	return seqs, err
}

type behind struct{ View, Run int64 }

// runsBehind is the runs behind view versions, each asked at a sequence. Rows that a run closed before it is published are
// visible at that sequence still.
func (w *walker) runsBehind(ctx context.Context, at map[int64]int64) ([]behind, error) {
	views := make([]int64, 0, len(at))
	for view := range at {
		views = append(views, view)
	}
	var list []behind
	err := w.eachHistory(ctx, views, func(view int64, history string) string {
		return fmt.Sprintf(`
			SELECT view_id, run_id FROM headwater.publish_log
			WHERE view_id = %[1]d AND seq <= %[2]d AND (seq = %[2]d OR seq IN (
				SELECT seq_from FROM %[3]s WHERE seq_to > %[2]d))`,
			view, at[view], history)
	}, func(sql string) error {
		rows, err := collect[behind](ctx, w.q, fmt.Sprintf("%s LIMIT %d", sql, w.room()), pgx.QueryExecModeExec)
		list = append(list, rows...)
		return err
	})
	return list, err
}

// viewSeq is a run by what the history knows of it.
type viewSeq struct{ View, Seq int64 }

// runSpan is the sequences [Seq, End) of a view version that a run is behind.
type runSpan struct {
	Run, View, Seq, End int64
	// Published is the newest published sequence of the view version.
	Published int64
}

// runSpans finds the spans of those of the runs that are published.
func (w *walker) runSpans(ctx context.Context, runs []int64) ([]*runSpan, error) {
	type row struct{ Run, View, Seq, Published int64 }
	rows, err := collect[row](ctx, w.q, `
		SELECT p.run_id, p.view_id, p.seq, (SELECT max(n.seq) FROM headwater.publish_log n WHERE n.view_id = p.view_id)
		FROM headwater.publish_log p WHERE p.run_id = ANY ($1) ORDER BY p.position`, runs)
	if err != nil {
		return nil, err
	}
	spans := make([]*runSpan, len(rows))
	bySeq := map[viewSeq]*runSpan{}
	seqs := map[int64][]string{}
	var views []int64
	for i, r := range rows {
		spans[i] = &runSpan{Run: r.Run, View: r.View, Seq: r.Seq, End: r.Seq + 1, Published: r.Published}
		bySeq[viewSeq{r.View, r.Seq}] = spans[i]
		if seqs[r.View] == nil {
			views = append(views, r.View)
		}
		seqs[r.View] = append(seqs[r.View], fmt.Sprint(r.Seq))
	}
	err = w.eachHistory(ctx, views, func(view int64, history string) string {
		return fmt.Sprintf(`SELECT %d::bigint, seq_from, max(seq_to) FROM %s WHERE seq_from = ANY ('{%s}'::bigint[]) GROUP BY seq_from`,
			view, history, strings.Join(seqs[view], ","))
	}, func(sql string) error {
		type ended struct{ View, Seq, End int64 }
		rows, err := collect[ended](ctx, w.q, sql, pgx.QueryExecModeExec)
		for _, r := range rows {
			s := bySeq[viewSeq{r.View, r.Seq}]
			s.End = max(s.End, r.End)
		}
		return err
	})
	return spans, err
}

// eachHistory puts a SELECT per view version together, as many as one statement may hold, and hands them to run. The
// statements are as many as there are sets of views, so run keeps none of them prepared.
func (w *walker) eachHistory(ctx context.Context, views []int64, sql func(view int64, history string) string,
	run func(sql string) error,
) error {
	if err := w.needDefinitions(ctx, views); err != nil {
		return err
	}
	for len(views) > 0 {
		n := min(len(views), tablesAtOnce)
		parts := make([]string, n)
		for i, view := range views[:n] {
			parts[i] = sql(view, historyTable(w.definitions[view]))
		}
		if err := run(strings.Join(parts, " UNION ALL ")); err != nil {
			return err
		}
		views = views[n:]
	}
	return nil
}

// historyTable is the name of a view version's history table, quoted, as package offline makes it.
func historyTable(view *definition) string {
	return pgx.Identifier{"headwater_history", fmt.Sprintf("%s_v%d", view.Name, view.Version)}.Sanitize()
}
