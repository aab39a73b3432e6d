package lineage

import (
	"context"
	"maps"
)

func (w *walker) loadsUp(ctx context.Context, loads []node) error {
	type row struct {
		ID     int64
		Source string
		Ends   int64
	}
	rows, err := collect[row](ctx, w.q, `SELECT id, source, coalesce(ends, 0) FROM headwater.load WHERE id = ANY ($1)`, ids(loads))
	if err != nil {
		return err
	}
	for _, r := range rows {
		load := node{kind: Load, id: r.ID}
		w.follow(node{kind: Source, name: r.Source}, load, Definition, 0)
		if r.Ends != 0 {
			w.follow(node{kind: Load, id: r.Ends}, load, Replaced, 0)
		}
	}
	return nil
}

// runsUp goes from runs to the loads that they read, to the sources of which they read none, and to the runs behind the views
// that they read. Only published runs have any of these.
func (w *walker) runsUp(ctx context.Context, runs []node) error {
	type read struct{ Run, Load, Rows int64 }
	reads, err := collect[read](ctx, w.q, `
		SELECT l.run_id, l.load_id, l.rows FROM headwater.run_load l JOIN headwater.publish_log p ON p.run_id = l.run_id
		WHERE l.run_id = ANY ($1) LIMIT $2`, ids(runs), w.room())
	if err != nil {
		return err
	}
	for _, r := range reads {
		w.follow(node{kind: Load, id: r.Load}, node{kind: Run, id: r.Run}, Read, r.Rows)
	}
	if err := w.inputsWithoutLoads(ctx, `i.run_id = ANY ($1)`, ids(runs)); err != nil {
		return err
	}
	return w.readsUp(ctx, runs)
}

// inputsWithoutLoads follows the edges between runs and the sources of whose loads they read no row: there was none in the
// interval, or the rows are those of a table of others.
func (w *walker) inputsWithoutLoads(ctx context.Context, where string, arg any) error {
	type input struct {
		Run    int64
		Source string
		Rows   int64
	}
	inputs, err := collect[input](ctx, w.q, `
		SELECT i.run_id, i.source, CASE WHEN i.relation IS NULL THEN 0 ELSE i.rows_read END FROM headwater.run_input i JOIN headwater.publish_log p ON p.run_id = i.run_id
		WHERE `+where+` AND NOT EXISTS (
			SELECT 1 FROM headwater.run_load rl JOIN headwater.load l ON l.id = rl.load_id
			WHERE rl.run_id = i.run_id AND l.source = i.source)
		LIMIT $2`, arg, w.room())
	if err != nil {
		return err
	}
	for _, in := range inputs {
		w.follow(node{kind: Source, name: in.Source}, node{kind: Run, id: in.Run}, Read, in.Rows)
	}
	return nil
}

// viewsUp goes from views to their sources, to the views that they read and to the runs behind them.
func (w *walker) viewsUp(ctx context.Context, views []node) error {
	type row struct {
		View   int64
		Source string
	}
	rows, err := collect[row](ctx, w.q, `
		SELECT d.id, s.name FROM headwater.definition d CROSS JOIN LATERAL jsonb_object_keys(d.resolved->'sources') AS s (name)
		WHERE d.id = ANY ($1)`, ids(views))
	if err != nil {
		return err
	}
	for _, r := range rows {
		w.follow(node{kind: Source, name: r.Source}, node{kind: View, id: r.View}, Definition, 0)
	}
	if err := w.viewsOfViews(ctx, `AND v.id = ANY ($1)`, views); err != nil {
		return err
	}
	at, err := w.publishedSeqs(ctx, ids(views))
	if err != nil {
		return err
	}
	if w.root.kind == Dataset {
		// A view that a dataset does not read itself stands above it at the sequences that runs of others read, and not at its
		// newest.
		maps.DeleteFunc(at, func(view, _ int64) bool { _, read := w.asOf[view]; return !read })
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
		w.follow(node{kind: Run, id: b.Run}, node{kind: View, id: b.View}, Wrote, 0)
	}
	return nil
}

func (w *walker) featuresUp(_ context.Context, features []node) error {
	for _, f := range features {
		w.follow(node{kind: View, id: f.id}, f, Definition, 0)
	}
	return nil
}

// servicesUp goes from services to the views that they are pinned to, and to the features that they pick of those.
func (w *walker) servicesUp(ctx context.Context, services []node) error {
	type pin struct{ Service, View int64 }
	pins, err := collect[pin](ctx, w.q, `
		SELECT s.id, v.id FROM headwater.definition s
		CROSS JOIN LATERAL jsonb_each_text(s.resolved->'views') AS pin (name, version)
		JOIN headwater.definition v ON v.kind = 'view' AND v.name = pin.name AND v.version = pin.version::int
		WHERE s.id = ANY ($1) ORDER BY s.id, v.id`, ids(services))
	if err != nil {
		return err
	}
	needed := ids(services)
	for _, p := range pins {
		needed = append(needed, p.View)
	}
	if err := w.needDefinitions(ctx, needed); err != nil {
		return err
	}
	for _, p := range pins {
		service := node{kind: Service, id: p.Service}
		w.follow(node{kind: View, id: p.View}, service, Definition, 0)
		for _, name := range w.definitions[p.Service].picks(w.definitions[p.View]) {
			w.follow(node{kind: Feature, id: p.View, name: name}, service, Definition, 0)
		}
	}
	return nil
}

// datasetsUp goes from datasets to their services, or to the features that were asked for by reference, to the runs behind them, and to
// what the server read their spines from. Nothing comes from a dataset, so there is one, and it is the root: the views above it are asked
// at its sequences.
func (w *walker) datasetsUp(ctx context.Context, datasets []node) error {
	services, err := collect[datasetService](ctx, w.q, selectDatasetService+`WHERE ds.id = ANY ($1)`, names(datasets))
	if err != nil {
		return err
	}
	for _, s := range services {
		w.follow(node{kind: Service, id: s.Service}, node{kind: Dataset, name: s.Dataset}, Definition, 0)
	}
	features, err := collect[datasetFeature](ctx, w.q, selectDatasetFeature+`WHERE ds.id = ANY ($1) LIMIT $2`, names(datasets), w.room())
	if err != nil {
		return err
	}
	for _, f := range features {
		w.follow(node{kind: Feature, id: f.View, name: f.Feature}, node{kind: Dataset, name: f.Dataset}, Definition, 0)
	}
	reads, err := collect[datasetLoad](ctx, w.q, `SELECT dataset_id, load_id, rows FROM headwater.dataset_load WHERE dataset_id = ANY ($1) LIMIT $2`,
		names(datasets), w.room())
	if err != nil {
		return err
	}
	w.spineLoads(reads)
	if err := w.spinesWithoutLoads(ctx, `s.dataset_id = ANY ($1)`, names(datasets)); err != nil {
		return err
	}
	type at struct{ View, Seq int64 }
	views, err := collect[at](ctx, w.q, `SELECT view_id, seq FROM headwater.dataset_view WHERE dataset_id = ANY ($1)`, names(datasets))
	if err != nil {
		return err
	}
	for _, v := range views {
		w.asOf[v.View] = v.Seq
	}
	behind, err := w.runsBehind(ctx, w.asOf)
	if err != nil {
		return err
	}
	for _, b := range behind {
		w.follow(node{kind: Run, id: b.Run}, w.root, Read, 0)
	}
	return nil
}

// datasetLoad is rows of a load that were read for the spine of a dataset.
type datasetLoad struct {
	Dataset    string
	Load, Rows int64
}

func (w *walker) spineLoads(reads []datasetLoad) {
	for _, r := range reads {
		w.follow(node{kind: Load, id: r.Load}, node{kind: Dataset, name: r.Dataset}, Read, r.Rows)
	}
}

// spinesWithoutLoads follows the edges between datasets and the sources of their spines of whose loads no row was read: the source is a
// table of others, there was none in the interval, or it is not known any more.
func (w *walker) spinesWithoutLoads(ctx context.Context, where string, arg any) error {
	type read struct {
		Dataset, Source string
		Rows            int64
	}
	reads, err := collect[read](ctx, w.q, `
		SELECT s.dataset_id, s.source, s.rows FROM headwater.dataset_source s
		WHERE `+where+` AND NOT EXISTS (
			SELECT 1 FROM headwater.dataset_load dl JOIN headwater.load l ON l.id = dl.load_id
			WHERE dl.dataset_id = s.dataset_id AND l.source = s.source)
		LIMIT $2`, arg, w.room())
	if err != nil {
		return err
	}
	for _, r := range reads {
		w.follow(node{kind: Source, name: r.Source}, node{kind: Dataset, name: r.Dataset}, Read, r.Rows)
	}
	return nil
}

type datasetService struct {
	Dataset string
	Service int64
}

const selectDatasetService = `
	SELECT ds.id, s.id FROM headwater.dataset ds
	JOIN headwater.definition s ON s.kind = 'service' AND s.name = ds.service AND s.version = ds.service_version `

type datasetFeature struct {
	Dataset string
	View    int64
	Feature string
}

// selectDatasetFeature is the features of datasets that were asked for by reference, `VIEW@VERSION.FEATURE`.
const selectDatasetFeature = `
	SELECT ds.id, v.id, split_part(f.ref, '.', 2) FROM headwater.dataset ds
	CROSS JOIN LATERAL jsonb_array_elements_text(ds.manifest->'features') AS f (ref)
	JOIN headwater.definition v ON v.kind = 'view' AND v.name || '@' || v.version = split_part(f.ref, '.', 1) `
