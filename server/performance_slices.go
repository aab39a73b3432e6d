package server

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/quality/performance"
)

const (
	// maxExactLoads is of how many loads of one answer it is looked up which rows they have a part in. Others are told by runs.
	maxExactLoads = 64
	// exactFor bounds the time that it takes.
	exactFor = time.Minute
	// featureParts is into how many parts numbers are cut, and maxTexts how many texts are told apart.
	featureParts, maxTexts = 10, 20
)

// slice is some of the predictions, by their positions, ascending.
type slice struct {
	name, title string
	kind        performance.Kind
	in          []int
	exact       bool
	why         string
	// usual names what is like it: before a time it is what is usual for it.
	usual string
	// load is what it is of, and run with its view.
	load *offline.Load
	run  givenRow
}

// cut cuts the predictions.
func (e *evaluation) cut(by headwaterv1.PerformanceBy, column string) ([]*slice, error) {
	switch by {
	case headwaterv1.PerformanceBy_PERFORMANCE_BY_RUN:
		return e.byRun(), nil
	case headwaterv1.PerformanceBy_PERFORMANCE_BY_LOAD:
		loads, _, err := e.byLoad()
		e.hidden = e.hiddenLoads
		return loads, err
	case headwaterv1.PerformanceBy_PERFORMANCE_BY_SOURCE:
		_, sources, err := e.byLoad()
		e.hidden = e.hiddenSources
		return sources, err
	case headwaterv1.PerformanceBy_PERFORMANCE_BY_NULL_PATTERN:
		return e.byMissing(), nil
	case headwaterv1.PerformanceBy_PERFORMANCE_BY_FEATURE_BUCKET:
		return e.byFeature(), nil
	case headwaterv1.PerformanceBy_PERFORMANCE_BY_COLUMN:
		found := e.byFeature()
		if len(found) == 0 {
			return nil, badImpact("column", "found %s, of which no read has a value, expected a feature as the service names it", quoted(column))
		}
		return found, nil
	}
	return nil, nil
}

// gathered are slices by name, in the order in which they were found.
type gathered struct {
	list []*slice
	by   map[string]*slice
}

func (g *gathered) add(name string, i int) *slice {
	if g.by == nil {
		g.by = map[string]*slice{}
	}
	s := g.by[name]
	if s == nil {
		s = &slice{name: name, exact: true, usual: name}
		g.by[name] = s
		g.list = append(g.list, s)
	}
	if n := len(s.in); n == 0 || s.in[n-1] != i {
		s.in = append(s.in, i)
	}
	return s
}

// byRun cuts by the runs that wrote the rows that were read.
func (e *evaluation) byRun() []*slice {
	var g gathered
	for i, p := range e.all {
		for _, w := range p.winners {
			s := g.add(fmt.Sprintf("run:%s@%d/%d", w.view, w.version, w.seq), i)
			s.kind, s.run, s.usual = performance.OfRun, w, fmt.Sprintf("view:%s", w.view)
		}
	}
	return slices.DeleteFunc(g.list, func(s *slice) bool {
		hidden := !access.Allows(e.ctx, access.ActionReadLineage, access.KindView, s.run.view)
		if hidden {
			e.hidden++
		}
		return hidden
	})
}

// runRef is a run by the id of its view version and its sequence.
type runRef struct {
	view int64
	seq  int64
}

// byLoad cuts by the loads that the rows which were read were made of, and by their sources. It takes the place of an impact, and has the time of one.
func (e *evaluation) byLoad() (loads, sources []*slice, err error) {
	asked := e.ctx
	ctx, cancel := context.WithTimeoutCause(asked, e.lineage.impactTime, errImpactTime)
	defer cancel()
	e.ctx = ctx
	defer func() { e.ctx = asked }()
	began := false
	loads, sources, err = e.byLoadInTime(&began)
	switch {
	case err == nil || context.Cause(ctx) != errImpactTime:
		return loads, sources, err
	case !began:
		return nil, nil, fault.New(fault.ResourceExhausted, "model %s: slices by load are found as impact is, of which this server tells %d at a time, and none of those had ended after %s; ask again later",
			e.name, maxImpacts, e.lineage.impactTime)
	}
	return nil, nil, fault.New(fault.DeadlineExceeded, "model %s: found that which loads its predictions are made of takes longer than %s to tell, which is how long one answer may take; ask for less time, with since and until",
		e.name, e.lineage.impactTime)
}

// byLoadInTime sets began once it has its place.
func (e *evaluation) byLoadInTime(began *bool) (loads, sources []*slice, err error) {
	select {
	case e.lineage.impacts <- struct{}{}:
		*began = true
		defer func() { <-e.lineage.impacts }()
	case <-e.ctx.Done():
		return nil, nil, e.ctx.Err()
	}
	tx, err := e.pool.BeginTx(e.ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	if err != nil {
		return nil, nil, database.Fault(err)
	}
	defer tx.Rollback(e.ctx)
	// Which predictions have rows of which run.
	catalog := e.registry.Catalog()
	of := map[runRef][]int{}
	for i, p := range e.all {
		for _, w := range p.winners {
			if v, err := catalog.PastView(fmt.Sprintf("%s@%d", w.view, w.version)); err == nil {
				ref := runRef{v.ID, w.seq}
				if n := len(of[ref]); n == 0 || of[ref][n-1] != i {
					of[ref] = append(of[ref], i)
				}
			}
		}
	}
	behind, err := loadsBehind(e, tx, of)
	if err != nil {
		return nil, nil, database.Fault(err)
	}
	found, err := offline.LoadsByID(e.ctx, tx, sortedIDs(behind))
	if err != nil {
		return nil, nil, database.Fault(err)
	}
	slices.SortFunc(found, func(a, b *offline.Load) int { return cmp.Compare(b.ID, a.ID) })
	var bySource gathered
	hidden := map[string]bool{}
	exactly, until := 0, time.Now().Add(exactFor)
	for _, load := range found {
		s := &slice{name: fmt.Sprintf("load:%d", load.ID), title: load.FileName, kind: performance.OfLoad, usual: "source:" + load.Source, load: load}
		s.in = behind[load.ID]
		s.why = "which rows it has a part in was not looked up, so all counts that runs wrote which read it"
		if !access.Allows(e.ctx, access.ActionReadLineage, access.KindSource, load.Source) {
			e.hiddenLoads++
			hidden[load.Source] = true
			continue
		}
		if exactly < maxExactLoads && time.Now().Before(until) {
			exactly++
			if err := e.exactly(tx, s); err != nil {
				return nil, nil, err
			}
		} else {
			e.note("loads beyond the newest %d, and those that took longer than %s to look for, are told by the runs that read them", maxExactLoads, exactFor)
		}
		if len(s.in) == 0 {
			continue
		}
		loads = append(loads, s)
		whole := bySource.add(s.usual, s.in[0])
		whole.kind, whole.in = performance.OfSource, mergeSorted(whole.in, s.in)
		if !s.exact && whole.exact {
			whole.exact, whole.why = false, "its "+s.name+": "+s.why
		}
	}
	e.hiddenSources = int64(len(hidden))
	return loads, bySource.list, nil
}

func sortedIDs[V any](m map[int64]V) []int64 {
	ids := make([]int64, 0, len(m))
	for id := range m {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

func mergeSorted(a, b []int) []int {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// loadsBehind are the predictions by the loads that runs behind them read, also of views that those read.
func loadsBehind(e *evaluation, tx pgx.Tx, of map[runRef][]int) (map[int64][]int, error) {
	var views, seqs []int64
	for ref := range of {
		views, seqs = append(views, ref.view), append(seqs, ref.seq)
	}
	rows, err := tx.Query(e.ctx, `
		WITH RECURSIVE wanted AS (SELECT DISTINCT view_id, seq FROM unnest($1::bigint[], $2::bigint[]) AS w (view_id, seq)),
		behind (view_id, seq, run_id) AS (
			SELECT w.view_id, w.seq, r.id FROM wanted w JOIN headwater.run r ON r.view_id = w.view_id AND r.seq = w.seq AND r.state = 'published'
			UNION
			SELECT b.view_id, b.seq, s.run_id FROM behind b JOIN headwater.run_view_input i ON i.run_id = b.run_id
				JOIN headwater.run_span s ON s.view_id = i.view_id AND s.seq <= i.seq AND s.ended > i.seq
		)
		SELECT DISTINCT b.view_id, b.seq, l.load_id FROM behind b JOIN headwater.run_load l ON l.run_id = b.run_id`, views, seqs)
	if err != nil {
		return nil, err
	}
	behind := map[int64][]int{}
	var ref runRef
	var load int64
	_, err = pgx.ForEachRow(rows, []any{&ref.view, &ref.seq, &load}, func() error {
		behind[load] = append(behind[load], of[ref]...)
		return nil
	})
	for id, in := range behind {
		slices.Sort(in)
		behind[id] = slices.Compact(in)
	}
	return behind, err
}

// exactly leaves in a slice of a load the predictions that were given rows which the load has a part in, as impact tells of them.
func (e *evaluation) exactly(tx pgx.Tx, s *slice) error {
	inner, err := tx.Begin(e.ctx)
	if err != nil {
		return database.Fault(err)
	}
	// The tables of the search end with it.
	defer inner.Rollback(e.ctx)
	i := &impact{
		lineageService: e.lineage, ctx: e.ctx, request: &headwaterv1.GetImpactRequest{Source: s.load.Source, Load: s.load.ID}, resp: &headwaterv1.GetImpactResponse{},
		catalog: e.registry.Catalog(), reach: reach{source: s.load.Source, known: map[int64]map[string]ways{}}, byID: map[int64]*impactedView{}, noted: map[string]bool{}, tx: inner,
	}
	rows, err := i.rows()
	if err != nil {
		return err
	}
	if i.affected, err = offline.NewAffected(e.ctx, inner, rows); err != nil {
		return database.Fault(err)
	}
	i.affected.Name = i.viewName
	if err := i.findViews(); err != nil {
		return database.Fault(err)
	}
	s.exact, s.why = true, ""
	lookup := &winnerLookup{impact: i}
	r := &dayReader{impact: i, service: &impactedService{exact: true}, at: map[[2]int64]int64{}, hashed: map[hashedOf]map[string]string{}}
	candidates := s.in
	s.in = nil
	take := func(of int64) { s.in = append(s.in, int(of)) }
	for _, n := range candidates {
		p := e.all[n]
		for _, w := range p.winners {
			at := slices.IndexFunc(i.views, func(v *impactedView) bool { return v.Name == w.view && v.Version == w.version })
			if at < 0 {
				continue
			}
			v := i.views[at]
			if _, wrote := slices.BinarySearch(v.rows.Runs, w.seq); !wrote {
				continue
			}
			if s.exact && (!v.rows.ByRow || v.rows.Why != "") {
				s.exact, s.why = false, i.because(v)
			}
			winner := offline.Winner{Key: w.key, EventTime: w.eventTime, Seq: w.seq}
			if winner.At, err = r.sequenceAt(v, p.position); err != nil {
				return database.Fault(err)
			}
			if w.hash != nil {
				known, err := r.unhash(v, p.hashVersion)
				if err != nil {
					return database.Fault(err)
				}
				key, is := known[string(w.hash)]
				if known == nil || !is && v.rows.Collected(w.seq) {
					lookup.any(int64(n))
					continue
				}
				if !is {
					continue
				}
				winner.Key = key
			}
			lookup.add(v, winner, int64(n))
		}
		if lookup.n >= winnersAtOnce {
			if err := lookup.settle(take); err != nil {
				return err
			}
		}
	}
	if err := lookup.settle(take); err != nil {
		return err
	}
	slices.Sort(s.in)
	s.in = slices.Compact(s.in)
	if s.exact && !r.service.exact {
		s.exact, s.why = false, r.service.why
	}
	return nil
}

// byMissing cuts by which features have no value.
func (e *evaluation) byMissing() []*slice {
	var g gathered
	for i, p := range e.all {
		if !p.read {
			continue
		}
		name := "no feature missing"
		if len(p.missing) > 0 {
			name = "missing " + strings.Join(p.missing, ", ")
		}
		g.add(name, i).kind = performance.OfNulls
	}
	return g.list
}

// byFeature cuts by parts of the values of each feature that is kept: by deciles of numbers, unless there are few different ones, and by the most frequent others.
func (e *evaluation) byFeature() []*slice {
	values := map[string][]float64{}
	texts := map[string]map[string]int{}
	for _, p := range e.all {
		for name, v := range p.values {
			if n, is := realOf(v); is {
				values[name] = append(values[name], n)
			} else if text, is := textOf(v); is {
				if texts[name] == nil {
					texts[name] = map[string]int{}
				}
				texts[name][text]++
			}
		}
	}
	edges := map[string][]float64{}
	few := map[string]bool{}
	for name, list := range values {
		different := slices.Clone(list)
		slices.Sort(different)
		different = slices.Compact(different)
		if few[name] = len(different) <= maxTexts; !few[name] {
			edges[name] = performance.Quantiles(list, featureParts)
		}
	}
	told := map[string]map[string]bool{}
	for name, counts := range texts {
		most := sortedKeys(counts)
		slices.SortStableFunc(most, func(a, b string) int { return cmp.Compare(counts[b], counts[a]) })
		told[name] = map[string]bool{}
		for _, text := range most[:min(len(most), maxTexts)] {
			told[name][text] = true
		}
	}
	var g gathered
	for i, p := range e.all {
		for _, name := range p.missing {
			if e.features[""] || e.features[name] {
				g.add(name+" missing", i).kind = performance.OfFeature
			}
		}
		for _, name := range sortedKeys(p.values) {
			label := ""
			if n, is := realOf(p.values[name]); is && few[name] {
				label = name + " = " + p.values[name].Text()
			} else if is {
				label = name + " " + partOf(edges[name], n)
			} else if text, is := textOf(p.values[name]); is && told[name][text] {
				label = fmt.Sprintf("%s = %s", name, quoted(text))
			} else if is {
				label = name + " = another"
			} else {
				continue
			}
			g.add(label, i).kind = performance.OfFeature
		}
	}
	return g.list
}

func realOf(v feature.Value) (float64, bool) {
	switch v.Type().Kind() {
	case feature.TypeInt64:
		return float64(v.Int64()), true
	case feature.TypeFloat64:
		return v.Float64(), v.Float64() == v.Float64()
	}
	return 0, false
}

func textOf(v feature.Value) (string, bool) {
	switch v.Type().Kind() {
	case feature.TypeBool, feature.TypeString, feature.TypeFloat64, feature.TypeDecimal:
		return v.Text(), true
	}
	return "", false
}

// partOf is the part between edges that a number is in, as text.
func partOf(edges []float64, n float64) string {
	switch i := performance.BucketOf(edges, n); {
	case i == 0:
		return fmt.Sprintf("below %.6g", edges[0])
	case i == len(edges):
		return fmt.Sprintf("from %.6g on", edges[i-1])
	default:
		return fmt.Sprintf("from %.6g to %.6g", edges[i-1], edges[i])
	}
}

// measured measures a slice.
func (e *evaluation) measured(s *slice) *headwaterv1.PerformanceSlice {
	var examples []performance.Example
	for _, i := range s.in {
		if p := e.all[i]; p.labelled {
			examples = append(examples, p.example)
		}
	}
	m := e.model.Measure(int64(len(s.in)), examples)
	return &headwaterv1.PerformanceSlice{
		Slice: s.name, Title: s.title, Predictions: int64(len(s.in)), Labelled: int64(len(examples)), Exact: s.exact, Why: s.why,
		Coverage: estimateOf(m.Coverage), Loss: estimateOf(m.Loss), Accuracy: estimateOf(m.Accuracy), Precision: estimateOf(m.Precision), Recall: estimateOf(m.Recall),
		Auc: estimateOf(m.AUC), LogLoss: estimateOf(m.LogLoss), Brier: estimateOf(m.Brier), Mae: estimateOf(m.MAE), Rmse: estimateOf(m.RMSE), Bias: estimateOf(m.Bias),
	}
}

func estimateOf(e *performance.Estimate) *headwaterv1.Estimate {
	if e == nil {
		return nil
	}
	out := &headwaterv1.Estimate{Value: e.Value, N: e.N}
	// Of one there is no interval.
	if e.High-e.Low <= 1e300 {
		out.Low, out.High = &e.Low, &e.High
	}
	return out
}
