package lineage

import (
	"context"
	"slices"
	"time"
)

// sourcesDown goes from sources to their loads, to the views that read any version of them, and to the runs, and the datasets whose spines
// were read from them, that read none of their loads.
func (w *walker) sourcesDown(ctx context.Context, sources []node) error {
	type load struct {
		ID          int64
		Source      string
		CommittedAt time.Time
	}
	err := each(ctx, w.q, func(l *load) {
		w.follow(node{kind: Source, name: l.Source}, node{kind: Load, id: l.ID}, Definition, fact{from: atTime(l.CommittedAt)})
	}, `SELECT id, source, committed_at FROM headwater.load WHERE source = ANY ($1) AND committed_at < $2 LIMIT $3`,
		names(sources), w.at.Before, w.room())
	if err != nil {
		return err
	}
	if err := w.inputs(ctx, `i.source = ANY ($3)`, names(sources)); err != nil {
		return err
	}
	if err := w.inputsWithoutLoads(ctx, sources); err != nil {
		return err
	}
	return w.spinesWithoutLoads(ctx, `s.source = ANY ($3)`, names(sources))
}

// inputsWithoutLoads goes from sources to the published runs that read none of their loads.
func (w *walker) inputsWithoutLoads(ctx context.Context, sources []node) error {
	type input struct {
		Run            int64
		Source         string
		Rows, Position int64
	}
	return each(ctx, w.q, func(in *input) {
		w.follow(node{kind: Source, name: in.Source}, node{kind: Run, id: in.Run}, Read, fact{rows: in.Rows, from: atPosition(in.Position)})
	}, `
		SELECT i.run_id, i.source, CASE WHEN i.relation IS NULL THEN 0 ELSE i.rows_read END, p.position
		FROM headwater.run_input i JOIN headwater.publish_log p ON p.run_id = i.run_id
		WHERE i.source = ANY ($3) AND i.loads = 0 AND p.position <= $1 LIMIT $2`, w.at.Position, w.room(), names(sources))
}

// loadsDown goes from loads to what replaced them, to the published runs that read them and to the datasets whose spines were read from
// them. A load that was met as the
// replacement of another one has rows of its own, whose way down is not that of the rows it replaced.
func (w *walker) loadsDown(ctx context.Context, loads []node) error {
	type end struct {
		Old, New    int64
		CommittedAt time.Time
	}
	err := each(ctx, w.q, func(e *end) {
		w.follow(node{kind: Load, id: e.Old}, node{kind: Load, id: e.New}, Replaced, fact{from: atTime(e.CommittedAt)})
	}, `SELECT ends, id, committed_at FROM headwater.load WHERE ends = ANY ($1) AND committed_at < $2`, ids(loads), w.at.Before)
	if err != nil {
		return err
	}
	own := slices.DeleteFunc(slices.Clone(loads), func(n node) bool { return !w.met[w.places.of(n)].own })
	type read struct{ Load, Run, Rows, Position int64 }
	err = each(ctx, w.q, func(r *read) {
		w.follow(node{kind: Load, id: r.Load}, node{kind: Run, id: r.Run}, Read, fact{rows: r.Rows, from: atPosition(r.Position)})
	}, `
		SELECT l.load_id, l.run_id, l.rows, p.position FROM headwater.run_load l JOIN headwater.publish_log p ON p.run_id = l.run_id
		WHERE l.load_id = ANY ($1) AND p.position <= $2 LIMIT $3`, ids(own), w.at.Position, w.room())
	if err != nil {
		return err
	}
	return w.spineLoads(ctx, `dl.load_id = ANY ($3)`, ids(own))
}

// runsDown goes from runs to the view versions that they are behind, to the datasets and the runs of other views that
// they are behind for good, to the logged reads that had rows of theirs, and from the run that was asked for to those that corrected it.
func (w *walker) runsDown(ctx context.Context, runs []node) error {
	spans, err := w.runSpans(ctx, ids(runs))
	if err != nil {
		return err
	}
	type built struct {
		viewSeq
		Dataset   string
		CreatedAt time.Time
	}
	var newest []runSpan
	var ended map[int64]int64
	var datasets []built
	var reads []read
	seqs := make([]viewSeqs, len(spans))
	for i, s := range spans {
		seqs[i] = viewSeqs{s.View, s.Seq, s.End}
	}
	seqs = seqsOf(seqs)
	err = w.together(ctx, func(ctx context.Context) (err error) {
		if newest, err = w.newestOf(ctx, spans); err == nil {
			ended, err = w.endedAt(ctx, newest)
		}
		return err
	}, func(ctx context.Context) (err error) {
		datasets, err = collectReads[built](ctx, w, seqs, `
			SELECT dv.view_id, dv.seq, dv.dataset_id, ds.created_at FROM `+unnestSeqs+`
			JOIN headwater.dataset_view dv ON dv.view_id = r.view_id AND dv.seq >= r.seq AND dv.seq < r.ended
			JOIN headwater.dataset ds ON ds.id = dv.dataset_id AND ds.created_at < $5`, w.at.Before)
		return err
	}, func(ctx context.Context) (err error) {
		reads, err = w.readsOf(ctx, seqs)
		return err
	})
	if err != nil {
		return err
	}
	for _, s := range newest {
		w.follow(node{kind: Run, id: s.Run}, node{kind: View, id: s.View}, Wrote, fact{from: w.publishedAt(s.Run), to: atPosition(ended[s.Run])})
	}
	behindReads(w, spans, datasets, func(run int64, d *built) {
		w.follow(node{kind: Run, id: run}, node{kind: Dataset, name: d.Dataset}, Read, fact{from: atTime(d.CreatedAt)})
	})
	if err := w.followReads(ctx, spans, reads); err != nil {
		return err
	}
	if err := w.readsOfRuns(ctx, spans); err != nil {
		return err
	}
	return w.corrections(ctx, runs, `c.corrected_id = $3`)
}

func (w *walker) viewsDown(ctx context.Context, views []node) error {
	applied, err := w.appliedAt(ctx, ids(views))
	if err != nil {
		return err
	}
	type feature struct {
		View int64
		Name string
	}
	err = each(ctx, w.q, func(f *feature) {
		w.follow(node{kind: View, id: f.View}, node{kind: Feature, id: f.View, name: f.Name}, Definition, fact{from: atTime(applied[f.View])})
	}, `SELECT definition_id, name FROM headwater.definition_column WHERE definition_id = ANY ($1) AND role = 'feature' LIMIT $2`,
		ids(views), w.room())
	if err != nil {
		return err
	}
	if err := w.inputs(ctx, `i.view_id = ANY ($3)`, ids(views)); err != nil {
		return err
	}
	return w.definitionsOfConsumers(ctx, `i.kind = 'view' AND o.id = ANY ($3)`, ids(views))
}

func (w *walker) featuresDown(ctx context.Context, features []node) error {
	views, columns := viewsAndNames(features)
	if err := w.picks(ctx, `e.from_view IS NOT NULL AND (e.from_view, e.from_column) `+viewColumns, views, columns); err != nil {
		return err
	}
	if err := w.definitionsOfConsumers(ctx, `i.kind = 'feature' AND (o.id, c.name) `+viewColumns, views, columns); err != nil {
		return err
	}
	// As servicesDown.
	if w.root.kind == Load || w.root.kind == Run {
		return nil
	}
	return w.datasetsOfFeatures(ctx, `(f.view_id, f.feature) `+viewColumns, views, columns)
}

// servicesDown goes from services to the models and consumers that read them, to their logged reads and to the datasets built with them. From a load or a run a dataset is
// reached by what it read alone: of a service's datasets, some are older than the rows.
func (w *walker) servicesDown(ctx context.Context, services []node) error {
	if err := w.modelsOf(ctx, Service, `m.service_id = ANY ($3)`, ids(services)); err != nil {
		return err
	}
	if err := w.definitionsOfConsumers(ctx, `i.kind = 'service' AND o.id = ANY ($3)`, ids(services)); err != nil {
		return err
	}
	if err := w.readsOfServices(ctx, services); err != nil {
		return err
	}
	if w.root.kind == Load || w.root.kind == Run {
		return nil
	}
	return w.datasetsOfServices(ctx, `s.id = ANY ($3)`, ids(services))
}

func (w *walker) datasetsDown(ctx context.Context, datasets []node) error {
	if err := w.modelsOf(ctx, Dataset, `m.dataset_id = ANY ($3)`, names(datasets)); err != nil {
		return err
	}
	return w.datasetsOfConsumers(ctx, `o.id = ANY ($3)`, names(datasets))
}
