package lineage

import (
	"context"
	"slices"
	"time"
)

func (w *walker) loadsUp(ctx context.Context, loads []node) error {
	if err := w.filesUp(ctx, loads); err != nil {
		return err
	}
	type row struct {
		ID          int64
		Source      string
		Ends        int64
		CommittedAt time.Time
	}
	return each(ctx, w.q, func(r *row) {
		load := node{kind: Load, id: r.ID}
		w.follow(node{kind: Source, name: r.Source}, load, Definition, fact{from: atTime(r.CommittedAt)})
		if r.Ends != 0 {
			w.follow(node{kind: Load, id: r.Ends}, load, Replaced, fact{from: atTime(r.CommittedAt)})
		}
	}, `SELECT id, source, coalesce(ends, 0), committed_at FROM headwater.load WHERE id = ANY ($1)`, ids(loads))
}

// runsUp goes from runs to the loads that they read, to the sources of which they read none, to the runs behind the views
// that they read, and from the run that was asked for to those that it corrected. Only published runs have any of these.
func (w *walker) runsUp(ctx context.Context, runs []node) error {
	readers := ids(runs)
	type read struct{ Run, Load, Rows int64 }
	var loads []read
	ofSources, ofViews := w.runsReading(readers, ofSources), w.runsReading(readers, ofViews)
	err := w.together(ctx, func(ctx context.Context) error { return w.learnRuns(ctx, readers) }, func(ctx context.Context) error {
		return w.learnViewInputs(ctx, ofViews)
	}, func(ctx context.Context) (err error) {
		loads, err = collectParts[read](ctx, w, ofSources, `SELECT run_id, load_id, rows FROM headwater.run_load WHERE run_id = ANY ($1) LIMIT $2`, w.room())
		return err
	}, func(ctx context.Context) error {
		return w.learnInputs(ctx, ofSources)
	})
	if err != nil {
		return err
	}
	published := w.publishedRuns(readers)
	isPublished := func(run int64) bool {
		_, is := slices.BinarySearch(published, run)
		return is
	}
	for _, r := range loads {
		if isPublished(r.Run) {
			w.follow(node{kind: Load, id: r.Load}, node{kind: Run, id: r.Run}, Read, fact{rows: r.Rows, from: w.publishedAt(r.Run)})
		}
	}
	for _, run := range published {
		for i := range w.sourceInputs[run] {
			if in := &w.sourceInputs[run][i]; in.Loads == 0 {
				w.followWithoutLoads(in)
			}
		}
	}
	if err := w.readsUp(ctx, published); err != nil {
		return err
	}
	return w.corrections(ctx, runs, `c.run_id = $3`)
}

// corrections shows which runs the one that was asked for corrected, or was corrected by.
func (w *walker) corrections(ctx context.Context, runs []node, where string) error {
	if w.root.kind != Run || len(runs) != 1 || runs[0] != w.root {
		return nil
	}
	type row struct{ Run, Corrected, Rows, Position int64 }
	return each(ctx, w.q, func(r *row) {
		w.showOnly(node{kind: Run, id: r.Corrected}, node{kind: Run, id: r.Run}, Corrected, fact{rows: r.Rows, from: atPosition(r.Position)})
	}, `
		SELECT c.run_id, c.corrected_id, c.rows, p.position FROM headwater.run_correction c JOIN headwater.publish_log p ON p.run_id = c.run_id
		WHERE `+where+` AND p.position <= $1 LIMIT $2`, w.at.Position, w.room(), w.root.id)
}

// followWithoutLoads follows the edge between a published run and a source of whose loads it read no row: there was none in the
// interval, or the rows are those of a table of others.
func (w *walker) followWithoutLoads(in *runInput) {
	known := w.published(in.Run)
	if in.Relation != "" {
		known.rows = in.Rows
	}
	w.follow(node{kind: Source, name: in.Source}, node{kind: Run, id: in.Run}, Read, known)
}

// viewsUp goes from views to their sources, to the views that they read and to the runs behind them.
func (w *walker) viewsUp(ctx context.Context, views []node) error {
	if err := w.inputs(ctx, `i.definition_id = ANY ($3)`, ids(views)); err != nil {
		return err
	}
	if w.root.kind == Prediction {
		return w.wroteGiven(ctx, views)
	}
	asked := ids(views)
	if w.root.kind == Dataset {
		// A view that a dataset does not read itself stands above it at the sequences that runs of others read, and not at its
		// newest.
		asked = slices.DeleteFunc(asked, func(view int64) bool { _, read := w.asOf[view]; return !read })
	}
	at, err := w.publishedSeqs(ctx, asked)
	if err != nil {
		return err
	}
	for view, seq := range w.asOf {
		if _, asked := at[view]; asked {
			at[view] = seq
		}
	}
	behind, err := w.runsBehind(ctx, at)
	if err != nil {
		return err
	}
	for _, b := range behind {
		w.follow(node{kind: Run, id: b.Run}, node{kind: View, id: b.View}, Wrote, fact{from: atPosition(b.Position), to: atPosition(b.Ended)})
	}
	return nil
}

func (w *walker) featuresUp(ctx context.Context, features []node) error {
	applied, err := w.appliedAt(ctx, ids(features))
	if err != nil {
		return err
	}
	for _, f := range features {
		w.follow(node{kind: View, id: f.id}, f, Definition, fact{from: atTime(applied[f.id])})
	}
	return nil
}

// servicesUp goes from services to the views that they are pinned to, and to the features that they pick of those.
func (w *walker) servicesUp(ctx context.Context, services []node) error {
	if err := w.inputs(ctx, `i.definition_id = ANY ($3)`, ids(services)); err != nil {
		return err
	}
	return w.picks(ctx, `e.definition_id = ANY ($3)`, ids(services))
}

// picks follows the edges between features and the services that pick them.
func (w *walker) picks(ctx context.Context, where string, args ...any) error {
	type pick struct {
		Service, View int64
		Feature       string
		From          time.Time
		To            *time.Time
	}
	return each(ctx, w.q, func(p *pick) {
		w.follow(node{kind: Feature, id: p.View, name: p.Feature}, node{kind: Service, id: p.Service}, Definition, span(p.From, p.To))
	}, `
		SELECT e.definition_id, e.from_view, e.from_column, e.valid_from, nullif(e.valid_to, 'infinity') FROM headwater.column_edge e
		WHERE `+where+` AND e.to_column = '' AND e.to_source IS NULL AND e.kind = 1 AND e.from_view IS NOT NULL AND `+valid("e")+`
		LIMIT $2`, w.within(args...)...)
}

// datasetsUp goes from datasets to their services, or to the features that were asked for by reference, to the runs behind them, and to
// what the server read their spines from. There is one, the root or that of the model which is, or those of a consumer. The views above a root
// are asked at its sequences; those above a model or a consumer also as services read them, which is now.
func (w *walker) datasetsUp(ctx context.Context, datasets []node) error {
	if err := w.datasetsOfServices(ctx, `ds.id = ANY ($3)`, names(datasets)); err != nil {
		return err
	}
	if err := w.datasetsOfFeatures(ctx, `f.dataset_id = ANY ($3)`, names(datasets)); err != nil {
		return err
	}
	if err := w.spineLoads(ctx, `dl.dataset_id = ANY ($3)`, names(datasets)); err != nil {
		return err
	}
	if err := w.spinesWithoutLoads(ctx, `s.dataset_id = ANY ($3)`, names(datasets)); err != nil {
		return err
	}
	type read struct {
		Dataset   string
		View, Seq int64
		CreatedAt time.Time
	}
	created := map[string]time.Time{}
	built := map[string]map[int64]int64{}
	err := each(ctx, w.q, func(r *read) {
		if created[r.Dataset] = r.CreatedAt; built[r.Dataset] == nil {
			built[r.Dataset] = map[int64]int64{}
		}
		built[r.Dataset][r.View] = r.Seq
	}, `
		SELECT dv.dataset_id, dv.view_id, dv.seq, ds.created_at FROM headwater.dataset_view dv JOIN headwater.dataset ds ON ds.id = dv.dataset_id
		WHERE dv.dataset_id = ANY ($1)`, names(datasets))
	if err != nil {
		return err
	}
	for _, d := range datasets {
		if d == w.root {
			w.asOf = built[d.name]
		}
		behind, err := w.runsBehind(ctx, built[d.name])
		if err != nil {
			return err
		}
		for _, b := range behind {
			w.follow(node{kind: Run, id: b.Run}, d, Read, fact{from: atTime(created[d.name])})
		}
	}
	return nil
}

// spineLoads follows the edges between loads and the datasets for whose spines rows of them were read.
func (w *walker) spineLoads(ctx context.Context, where string, arg any) error {
	type read struct {
		Dataset    string
		Load, Rows int64
		CreatedAt  time.Time
	}
	return each(ctx, w.q, func(r *read) {
		w.follow(node{kind: Load, id: r.Load}, node{kind: Dataset, name: r.Dataset}, Read, fact{rows: r.Rows, from: atTime(r.CreatedAt)})
	}, `
		SELECT dl.dataset_id, dl.load_id, dl.rows, ds.created_at
		FROM headwater.dataset_load dl JOIN headwater.dataset ds ON ds.id = dl.dataset_id
		WHERE `+where+` AND ds.created_at < $1 LIMIT $2`, w.within(arg)...)
}

// spinesWithoutLoads follows the edges between datasets and the sources of their spines of whose loads no row was read: the source is a
// table of others, there was none in the interval, or it is not known any more.
func (w *walker) spinesWithoutLoads(ctx context.Context, where string, arg any) error {
	type read struct {
		Dataset, Source string
		Rows            int64
		CreatedAt       time.Time
	}
	return each(ctx, w.q, func(r *read) {
		w.follow(node{kind: Source, name: r.Source}, node{kind: Dataset, name: r.Dataset}, Read, fact{rows: r.Rows, from: atTime(r.CreatedAt)})
	}, `
		SELECT s.dataset_id, s.source, s.rows, ds.created_at FROM headwater.dataset_source s JOIN headwater.dataset ds ON ds.id = s.dataset_id
		WHERE `+where+` AND ds.created_at < $1 AND NOT EXISTS (
			SELECT 1 FROM headwater.dataset_load dl JOIN headwater.load l ON l.id = dl.load_id
			WHERE dl.dataset_id = s.dataset_id AND l.source = s.source)
		LIMIT $2`, w.within(arg)...)
}

// datasetsOfServices follows the edges between services and the datasets built with them.
func (w *walker) datasetsOfServices(ctx context.Context, where string, arg any) error {
	type row struct {
		Dataset   string
		Service   int64
		CreatedAt time.Time
	}
	return each(ctx, w.q, func(r *row) {
		w.follow(node{kind: Service, id: r.Service}, node{kind: Dataset, name: r.Dataset}, Definition, fact{from: atTime(r.CreatedAt)})
	}, `
		SELECT ds.id, s.id, ds.created_at FROM headwater.dataset ds
		JOIN headwater.definition s ON s.kind = 'service' AND s.name = ds.service AND s.version = ds.service_version
		WHERE `+where+` AND ds.created_at < $1 LIMIT $2`, w.within(arg)...)
}

// datasetsOfFeatures follows the edges between features, or their columns, and the datasets for which they were asked by reference.
func (w *walker) datasetsOfFeatures(ctx context.Context, where string, args ...any) error {
	type row struct {
		Dataset   string
		View      int64
		Feature   string
		CreatedAt time.Time
	}
	from, kind := Feature, Definition
	if w.Columns {
		from, kind = ViewColumn, Value
	}
	return each(ctx, w.q, func(r *row) {
		w.follow(node{kind: from, id: r.View, name: r.Feature}, node{kind: Dataset, name: r.Dataset}, kind, fact{from: atTime(r.CreatedAt)})
	}, `
		SELECT f.dataset_id, f.view_id, f.feature, ds.created_at
		FROM headwater.dataset_feature f JOIN headwater.dataset ds ON ds.id = f.dataset_id
		WHERE `+where+` AND ds.created_at < $1 LIMIT $2`, w.within(args...)...)
}
