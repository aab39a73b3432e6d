package lineage

import (
	"context"
	"slices"
)

// sourcesDown goes from sources to their loads, to the views that read any version of them, and to the runs, and the datasets whose spines
// were read from them, that read none of their loads.
func (w *walker) sourcesDown(ctx context.Context, sources []node) error {
	type load struct {
		ID     int64
		Source string
	}
	loads, err := collect[load](ctx, w.q, `SELECT id, source FROM headwater.load WHERE source = ANY ($1) LIMIT $2`,
		names(sources), w.room())
	if err != nil {
		return err
	}
	for _, l := range loads {
		w.follow(node{kind: Source, name: l.Source}, node{kind: Load, id: l.ID}, Definition, 0)
	}
	type view struct {
		ID     int64
		Source string
	}
	views, err := collect[view](ctx, w.q, `
		SELECT d.id, s.name FROM headwater.definition d CROSS JOIN LATERAL jsonb_object_keys(d.resolved->'sources') AS s (name)
		WHERE d.kind = 'view' AND s.name = ANY ($1) LIMIT $2`, names(sources), w.room())
	if err != nil {
		return err
	}
	for _, v := range views {
		w.follow(node{kind: Source, name: v.Source}, node{kind: View, id: v.ID}, Definition, 0)
	}
	if err := w.inputsWithoutLoads(ctx, `i.source = ANY ($1)`, names(sources)); err != nil {
		return err
	}
	return w.spinesWithoutLoads(ctx, `s.source = ANY ($1)`, names(sources))
}

// loadsDown goes from loads to what replaced them, to the published runs that read them and to the datasets whose spines were read from
// them. A load that was met as the
// replacement of another one has rows of its own, whose way down is not that of the rows it replaced.
func (w *walker) loadsDown(ctx context.Context, loads []node) error {
	type end struct{ Old, New int64 }
	ends, err := collect[end](ctx, w.q, `SELECT ends, id FROM headwater.load WHERE ends = ANY ($1)`, ids(loads))
	if err != nil {
		return err
	}
	for _, e := range ends {
		w.follow(node{kind: Load, id: e.Old}, node{kind: Load, id: e.New}, Replaced, 0)
	}
	own := slices.DeleteFunc(slices.Clone(loads), func(n node) bool { return !w.nodes[n] })
	type read struct{ Load, Run, Rows int64 }
	reads, err := collect[read](ctx, w.q, `
		SELECT l.load_id, l.run_id, l.rows FROM headwater.run_load l JOIN headwater.publish_log p ON p.run_id = l.run_id
		WHERE l.load_id = ANY ($1) LIMIT $2`, ids(own), w.room())
	if err != nil {
		return err
	}
	for _, r := range reads {
		w.follow(node{kind: Load, id: r.Load}, node{kind: Run, id: r.Run}, Read, r.Rows)
	}
	spines, err := collect[datasetLoad](ctx, w.q, `SELECT dataset_id, load_id, rows FROM headwater.dataset_load WHERE load_id = ANY ($1) LIMIT $2`,
		ids(own), w.room())
	if err != nil {
		return err
	}
	w.spineLoads(spines)
	return nil
}

// runsDown goes from runs to the view versions that they are behind now, and to the datasets and the runs of other views that
// they are behind for good.
func (w *walker) runsDown(ctx context.Context, runs []node) error {
	spans, err := w.runSpans(ctx, ids(runs))
	if err != nil {
		return err
	}
	runOf := map[viewSeq]int64{}
	var views, seqs, ends []int64
	for _, s := range spans {
		runOf[viewSeq{s.View, s.Seq}] = s.Run
		views, seqs, ends = append(views, s.View), append(seqs, s.Seq), append(ends, s.End)
		if s.End > s.Published {
			w.follow(node{kind: Run, id: s.Run}, node{kind: View, id: s.View}, Wrote, 0)
		}
	}
	type built struct {
		Dataset   string
		View, Seq int64
	}
	datasets, err := collect[built](ctx, w.q, `
		SELECT dv.dataset_id, r.view_id, r.seq
		FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS r (view_id, seq, ended)
		JOIN headwater.dataset_view dv ON dv.view_id = r.view_id AND dv.seq >= r.seq AND dv.seq < r.ended
		LIMIT $4`, views, seqs, ends, w.room())
	if err != nil {
		return err
	}
	for _, d := range datasets {
		w.follow(node{kind: Run, id: runOf[viewSeq{d.View, d.Seq}]}, node{kind: Dataset, name: d.Dataset}, Read, 0)
	}
	return w.readsDown(ctx, spans)
}

func (w *walker) viewsDown(ctx context.Context, views []node) error {
	if err := w.needDefinitions(ctx, ids(views)); err != nil {
		return err
	}
	for _, v := range views {
		for _, name := range w.definitions[v.id].featureNames() {
			w.follow(v, node{kind: Feature, id: v.id, name: name}, Definition, 0)
		}
	}
	if err := w.viewsOfViews(ctx, `AND i.id = ANY ($1)`, views); err != nil {
		return err
	}
	pins, err := w.pinsTo(ctx, ids(views))
	if err != nil {
		return err
	}
	for _, p := range pins {
		w.follow(node{kind: View, id: p.View}, node{kind: Service, id: p.Service}, Definition, 0)
	}
	return nil
}

func (w *walker) featuresDown(ctx context.Context, features []node) error {
	pins, err := w.pinsTo(ctx, ids(features))
	if err != nil {
		return err
	}
	needed := ids(features)
	for _, p := range pins {
		needed = append(needed, p.Service)
	}
	if err := w.needDefinitions(ctx, needed); err != nil {
		return err
	}
	asked := map[node]bool{}
	for _, f := range features {
		asked[f] = true
	}
	for _, p := range pins {
		for _, name := range w.definitions[p.Service].picks(w.definitions[p.View]) {
			if f := (node{kind: Feature, id: p.View, name: name}); asked[f] {
				w.follow(f, node{kind: Service, id: p.Service}, Definition, 0)
			}
		}
	}
	// As servicesDown.
	if w.root.kind == Load || w.root.kind == Run {
		return nil
	}
	datasets, err := collect[datasetFeature](ctx, w.q, selectDatasetFeature+`WHERE v.id = ANY ($1) LIMIT $2`, ids(features), w.room())
	if err != nil {
		return err
	}
	for _, d := range datasets {
		if f := (node{kind: Feature, id: d.View, name: d.Feature}); asked[f] {
			w.follow(f, node{kind: Dataset, name: d.Dataset}, Definition, 0)
		}
	}
	return nil
}

type pinTo struct{ View, Service int64 }

// pinsTo is the services, of every version, that are pinned to the view versions.
func (w *walker) pinsTo(ctx context.Context, views []int64) ([]pinTo, error) {
	return collect[pinTo](ctx, w.q, `
		SELECT v.id, s.id FROM headwater.definition v
		JOIN headwater.definition s ON s.kind = 'service' AND (s.resolved->'views'->>v.name)::int = v.version
		WHERE v.kind = 'view' AND v.id = ANY ($1) ORDER BY v.id, s.id`, views)
}

// servicesDown goes from services to the datasets built with them. From a load or a run a dataset is reached by what it
// read alone: of a service's datasets, some are older than the rows.
func (w *walker) servicesDown(ctx context.Context, services []node) error {
	if w.root.kind == Load || w.root.kind == Run {
		return nil
	}
	datasets, err := collect[datasetService](ctx, w.q, selectDatasetService+`WHERE s.id = ANY ($1) LIMIT $2`,
		ids(services), w.room())
	if err != nil {
		return err
	}
	for _, d := range datasets {
		w.follow(node{kind: Service, id: d.Service}, node{kind: Dataset, name: d.Dataset}, Definition, 0)
	}
	return nil
}
