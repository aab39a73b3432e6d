package server

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/materialize"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/quality"
	"github.com/headwaterhq/headwater/quality/drift"
	"github.com/headwaterhq/headwater/quality/score"
	"github.com/headwaterhq/headwater/registry"
)

// scored is how good a node is.
type scored struct {
	// kind is `view`, `service` or `source`.
	kind, name, node, owner string
	// run is the newest of a view that was published or failed. nil: there was none.
	run   *materialize.Run
	parts []score.Part
	score *float64
	// checks and drift are what parts were made of, of a service those of the views that it reads.
	checks score.Results
	drift  score.Verdicts
	// late says that it declares how new it is to be, and is not.
	late bool
}

// facts are what scores are made of, as of now.
type facts struct {
	catalog *registry.Catalog
	now     time.Time
	fresh   map[int64]materialize.Freshness
	// views are those that are in use and have runs.
	views []*feature.ViewVersion
	// runs are the newest ended of view versions, by their ids, and complete the completeness of runs by theirs.
	runs     map[int64]*materialize.Run
	complete map[int64]float64
	// read is what views read of sources, found what reads were given, skews those of models.
	read  []materialize.ReadOf
	found map[quality.FoundOf]int64
	skews []quality.SkewVerdict
	// newest is the event time of the newest row of landing sources that declare a freshness.
	newest map[string]*feature.Time
	// known are scores of view versions by id.
	known map[int64]*scored
}

// factsOf reads what is known from a time on.
func factsOf(ctx context.Context, pool *pgxpool.Pool, databases *offline.Databases, catalog *registry.Catalog, h *head, since time.Time) (f *facts, err error) {
	f = &facts{
		catalog: catalog, now: time.Now(), fresh: *h.fresh.Load(), runs: map[int64]*materialize.Run{}, newest: map[string]*feature.Time{}, known: map[int64]*scored{},
	}
	var ids []int64
	for _, v := range viewsServed(catalog) {
		if v.Materialized() {
			f.views, ids = append(f.views, v), append(ids, v.ID)
		}
	}
	runs, err := materialize.Ended(ctx, pool, ids, since, 1)
	if err != nil {
		return nil, err
	}
	var runIDs []int64
	for _, r := range runs {
		f.runs[r.ViewID], runIDs = r, append(runIDs, r.ID)
	}
	if f.complete, err = quality.Completeness(ctx, pool, runIDs); err != nil {
		return nil, err
	}
	if f.read, err = materialize.LastRead(ctx, pool, ids, since); err != nil {
		return nil, err
	}
	if f.found, err = quality.Found(ctx, pool, since); err != nil {
		return nil, err
	}
	if f.skews, err = quality.Skews(ctx, pool, since); err != nil {
		return nil, err
	}
	for _, src := range catalog.Sources() {
		if src.Freshness == 0 || src.Postgres != nil {
			continue
		}
		if f.newest[src.Name], err = databases.NewestRow(ctx, pool, src); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// all are the newest versions of views and services, and the sources. named says which views a service's words may name.
func (f *facts) all(named func(ref string) bool) (list []*scored) {
	for _, v := range f.catalog.Views() {
		if v.Materialized() {
			list = append(list, f.view(v))
		}
	}
	for _, v := range f.catalog.Services() {
		list = append(list, f.service(v, named))
	}
	for _, v := range f.catalog.Sources() {
		list = append(list, f.source(v))
	}
	return list
}

func viewNode(v *feature.ViewVersion) string { return "view:" + v.Ref() }

// view scores a view version by its newest run.
func (f *facts) view(v *feature.ViewVersion) *scored {
	if s := f.known[v.ID]; s != nil {
		return s
	}
	s := &scored{kind: "view", name: v.Name, node: viewNode(v), owner: v.Owner, run: f.runs[v.ID]}
	f.known[v.ID] = s
	if s.run == nil {
		for _, name := range []string{score.Checks, score.Completeness, score.Drift} {
			s.parts = append(s.parts, score.Unknown(name, "no run ended in that time"))
		}
		s.parts = append(s.parts, f.freshness([]*feature.ViewVersion{v}, nil), score.Unknown(score.Anomalies, "no run ended in that time"))
		// Whether rows are new alone says nothing of how good they are.
		s.late = f.isLate(v)
		return s
	}
	share, measured := f.complete[s.run.ID]
	s.checks, s.drift = checksOf(s.run, ""), verdictsOf(s.run, nil)
	s.parts = partsOf(s.run, share, measured)
	s.parts[slices.IndexFunc(s.parts, func(p score.Part) bool { return p.Name == score.Freshness })] = f.freshness([]*feature.ViewVersion{v}, nil)
	s.late = f.isLate(v)
	s.score = scoreOfRun(s.run, s.parts)
	return s
}

// scoreOfRun is 0 of one that failed.
func scoreOfRun(r *materialize.Run, parts []score.Part) *float64 {
	if r.State == materialize.Failed {
		return new(float64)
	}
	return score.Of(parts)
}

func (f *facts) isLate(v *feature.ViewVersion) bool {
	fresh := f.fresh[v.ID]
	return fresh.IsLate(v.Freshness, feature.TimeOf(f.now))
}

// freshness is that of what is online of views. named says which are named; nil: there is one, which need not be.
func (f *facts) freshness(views []*feature.ViewVersion, named func(ref string) bool) score.Part {
	declared := 0
	var late []string
	for _, v := range views {
		if v.Freshness == nil {
			continue
		}
		declared++
		switch {
		case !f.isLate(v):
		case named == nil:
			late = append(late, "expected a row online of the last "+feature.DurationText(v.Freshness.MaxAge))
		case named(v.Ref()):
			late = append(late, v.Ref())
		default:
			late = append(late, "a view that it reads")
		}
	}
	return score.OfFreshness(declared, late)
}

// checksOf are those of a run about a subject, or all.
func checksOf(r *materialize.Run, subject string) (n score.Results) {
	for i := range r.Checks {
		c := &r.Checks[i]
		switch {
		case subject != "" && c.Subject != subject:
		case c.State == quality.Passed:
			n.Passed++
		case c.State == quality.Warned:
			n.Warned++
		case c.State.Blocks():
			n.Failed++
		}
	}
	return n
}

// verdictsOf are those on the drift of a run's columns, of all or of some.
func verdictsOf(r *materialize.Run, of func(column string) bool) (n score.Verdicts) {
	if r.Drift == nil {
		return n
	}
	for _, c := range r.Drift.Columns {
		switch {
		case of != nil && !of(c.Name):
		case c.Verdict == drift.OK:
			n.OK++
		case c.Verdict == drift.Warn:
			n.Warned++
		case c.Verdict == drift.Fail:
			n.Failed++
		default:
			n.Unclear++
		}
	}
	return n
}

// partsOf are those of a run. complete is the mean completeness of its columns, where that was measured. Freshness is of now, and of no run.
func partsOf(r *materialize.Run, complete float64, measured bool) []score.Part {
	parts := []score.Part{score.OfChecks(checksOf(r, ""), quality.Summary(r.Checks)), score.Unknown(score.Completeness, "it was not measured"), score.Unknown(score.Drift, "the run has no profile"),
		score.Unknown(score.Freshness, "it is known of what is online now alone"), score.Unknown(score.Anomalies, "there are not enough earlier runs")}
	if measured {
		parts[1] = score.Known(score.Completeness, complete, fmt.Sprintf("%.1f %% of values are there", 100*complete))
	}
	switch {
	case r.Drift != nil && r.Drift.Baseline == "":
		parts[2] = score.Unknown(score.Drift, "there is no baseline")
	case r.Drift != nil:
		parts[2] = score.OfVerdicts(score.Drift, verdictsOf(r, nil), "against "+r.Drift.Baseline)
	}
	if a := r.Anomalies; a != nil && a.Tested > 0 {
		detail := fmt.Sprintf("none of %d metrics", a.Tested)
		if len(a.Found) > 0 {
			names := make([]string, len(a.Found))
			for i, f := range a.Found {
				names[i] = f.Metric
			}
			detail = fmt.Sprintf("%s, of %d metrics", strings.Join(names, ", "), a.Tested)
		}
		parts[4] = score.Known(score.Anomalies, 1-float64(len(a.Found))/float64(a.Tested), detail)
	}
	return parts
}

// service scores a service by the views that it reads, and by what its reads were given.
func (f *facts) service(v *feature.ServiceVersion, named func(ref string) bool) *scored {
	s := &scored{kind: "service", name: v.Name, node: "service:" + v.Ref(), owner: v.Owner}
	var views []*feature.ViewVersion
	var with []score.View
	for i := range v.Pins {
		view := v.Pins[i].View
		if view == nil || !view.Materialized() || slices.Contains(views, view) {
			continue
		}
		of := f.view(view)
		views, with = append(views, view), append(with, score.View{Ref: view.Ref(), Score: of.score})
		s.checks.Passed, s.checks.Warned, s.checks.Failed = s.checks.Passed+of.checks.Passed, s.checks.Warned+of.checks.Warned, s.checks.Failed+of.checks.Failed
		s.drift.Add(of.drift)
		s.late = s.late || of.late
	}
	var given score.Found
	for of, n := range f.found {
		if of.Service != v.Name || of.Version != v.Version {
			continue
		}
		switch of.Status {
		case "present":
			given.Present += n
		case "stale":
			given.Stale += n
		case "no_key":
			// What has no key was asked for without one.
		default:
			given.Missing += n
		}
	}
	skew := score.Unknown(score.Skew, "no skew of a model that reads it was measured (headwater skew MODEL)")
	var verdicts score.Verdicts
	models := 0
	for i := range f.skews {
		if m := &f.skews[i]; m.Service == v.Name && m.ServiceVersion == v.Version {
			verdicts.Add(score.Verdicts{OK: m.OK, Warned: m.Warned, Failed: m.Failed})
			models++
		}
	}
	if models > 0 {
		skew = score.OfVerdicts(score.Skew, verdicts, fmt.Sprintf("in what %d models are served", models))
		s.drift.Add(verdicts)
	}
	s.parts = []score.Part{score.OfViews(with, named), f.freshness(views, named), score.OfReads(given), skew}
	s.score = score.Of(s.parts)
	return s
}

// source scores a source by what the newest runs that read it found.
func (f *facts) source(v *feature.SourceVersion) *scored {
	s := &scored{kind: "source", name: v.Name, node: "source:" + v.Name, owner: v.Owner}
	subject := quality.SourceSubject(v.Name)
	var checks []quality.Result
	for _, view := range f.views {
		r := f.runs[view.ID]
		if r == nil || !slices.ContainsFunc(view.SourceVersions, func(of *feature.SourceVersion) bool { return of.Name == v.Name }) {
			continue
		}
		n := checksOf(r, subject)
		s.checks.Passed, s.checks.Warned, s.checks.Failed = s.checks.Passed+n.Passed, s.checks.Warned+n.Warned, s.checks.Failed+n.Failed
		for i := range r.Checks {
			if r.Checks[i].Subject == subject {
				checks = append(checks, r.Checks[i])
			}
		}
		if r.Drift != nil && r.Drift.Baseline != "" {
			s.drift.Add(verdictsOf(r, func(column string) bool { return madeOf(view, column, v.Name) }))
		}
	}
	var sum materialize.ReadOf
	for i := range f.read {
		of := &f.read[i]
		if of.Source != v.Name {
			continue
		}
		sum.Rows, sum.Quarantined, sum.Dropped, sum.TooLate = sum.Rows+of.Rows, sum.Quarantined+of.Quarantined, sum.Dropped+of.Dropped, sum.TooLate+of.TooLate
		if of.Newest != nil && (sum.Newest == nil || of.Newest.After(*sum.Newest)) {
			sum.Newest = of.Newest
		}
	}
	const none = "were read by published runs"
	lateness := score.Unknown(score.Lateness, "no allowed_lateness is declared")
	if v.AllowedLateness != 0 {
		lateness = score.OfShare(score.Lateness, sum.TooLate, sum.Rows, "came too late", none)
	}
	fresh := f.sourceFreshness(v, sum.Newest)
	s.late = fresh.Value != nil && *fresh.Value < 1
	s.parts = []score.Part{
		score.OfChecks(s.checks, quality.Summary(checks)), score.OfShare(score.Quarantine, sum.Quarantined, sum.Rows, "were set aside", none),
		score.OfShare(score.Dropped, sum.Dropped, sum.Rows, "were left out", none), lateness, fresh, score.OfVerdicts(score.Drift, s.drift, "in columns of views that are made of it"),
	}
	s.score = score.Of(s.parts)
	return s
}

// sourceFreshness is whether the newest row is as new as declared. Of a table of others it is known from runs alone: one that was late then need not be now.
func (f *facts) sourceFreshness(v *feature.SourceVersion, seen *time.Time) score.Part {
	if v.Freshness == 0 {
		return score.OfFreshness(0, nil)
	}
	newest := f.newest[v.Name]
	if v.Postgres != nil && seen != nil {
		at := feature.TimeOf(*seen)
		newest = &at
	}
	late := newest == nil || offline.Age(feature.TimeOf(f.now), *newest) > v.Freshness
	switch {
	case !late:
		return score.OfFreshness(1, nil)
	case v.Postgres != nil:
		return score.Unknown(score.Freshness, "no run has seen a row that is as new as declared, and others keep the table")
	}
	return score.OfFreshness(1, []string{"expected a row of the last " + feature.DurationText(v.Freshness)})
}

// madeOf reports whether values of a view's column are made of a source's.
func madeOf(v *feature.ViewVersion, column, source string) bool {
	if v.Analysis == nil {
		return len(v.SourceVersions) == 1 && len(v.ViewVersions) == 0
	}
	return slices.ContainsFunc(v.Analysis.Inputs, func(in feature.ColumnInput) bool {
		return in.Column == column && in.Kind == feature.InputValue && in.Relation == source
	})
}
