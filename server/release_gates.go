package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/dataset"
	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/lineage"
	"github.com/headwaterhq/headwater/materialize"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/quality"
	"github.com/headwaterhq/headwater/quality/drift"
	"github.com/headwaterhq/headwater/read"
)

// declared is a service as it was asked for and as it is now: what either declares counts, so that an older version is no way around a gate.
func (s *datasetService) declared(service *feature.ServiceVersion) []*feature.ServiceVersion {
	if service.Name == "" {
		return nil
	}
	all := []*feature.ServiceVersion{service}
	if newest, err := s.registry.Catalog().Service(service.Name); err == nil && newest.Version != service.Version {
		all = append(all, newest)
	}
	return all
}

// declaredLabels are the labels of a service, by name as they were first declared.
func declaredLabels(declared []*feature.ServiceVersion) (labels []feature.Column) {
	for _, v := range declared {
		for _, l := range v.Labels {
			if !slices.ContainsFunc(labels, func(o feature.Column) bool { return o.Name == l.Name }) {
				labels = append(labels, l)
			}
		}
	}
	return labels
}

// refuseUndeclared refuses a spine of a service that has labels or gates on release, where it has columns beside keys, its times, request inputs and these labels: of such a column nobody
// has said what it is, so that nothing could hold the dataset for it.
func refuseUndeclared(plan *read.Plan, declared []*feature.ServiceVersion, spine []feature.Column, timestamp string) error {
	if !slices.ContainsFunc(declared, func(v *feature.ServiceVersion) bool { return v.HoldsSpines() }) {
		return nil
	}
	taken := map[string]bool{timestamp: true}
	for i := range plan.Views {
		for _, key := range plan.Views[i].KeyColumns {
			taken[key] = true
		}
	}
	for i := range plan.Inputs {
		taken[plan.Inputs[i].Name] = true
	}
	labels := declaredLabels(declared)
	var undeclared []string
	for _, c := range spine {
		if taken[c.Name] {
			continue
		}
		i := slices.IndexFunc(labels, func(l feature.Column) bool { return l.Name == c.Name })
		switch {
		case i < 0:
			undeclared = append(undeclared, c.Name)
		case labels[i].Type != c.Type:
			return fault.New(fault.InvalidSpine, "spine: column %s: found %s, expected %s, the type of the label of that name of %s", c.Name, c.Type, labels[i].Type, plan.Service.Title())
		}
	}
	if len(undeclared) == 0 {
		return nil
	}
	var names []string
	for _, l := range labels {
		names = append(names, l.Name)
	}
	of := "it declares none"
	if len(names) > 0 {
		of = "labels it declares: " + strings.Join(names, ", ")
	}
	return fault.New(fault.InvalidSpine, "spine: found the columns %s, which %s does not declare, expected beside keys, times and request inputs only labels that it does, for it is gated (%s); "+
		"declare them with their tags: labels: [{name: %s, type: T}], or leave them out", someOf(undeclared), plan.Service.Title(), of, undeclared[0])
}

// notedGates notes in a manifest what its service asks for before it is released, as it is declared when it is built.
func (s *datasetService) notedGates(ctx context.Context, m *dataset.Manifest, plan *read.Plan, declared []*feature.ServiceVersion, asOf string) error {
	for _, v := range declared {
		for _, g := range v.Gates.Release {
			if !slices.Contains(m.ReleaseGates, string(g)) {
				m.ReleaseGates = append(m.ReleaseGates, string(g))
			}
		}
	}
	if !m.Asks(feature.GateFreshness) {
		return nil
	}
	now, err := timeOfAsOf(ctx, s.pool, asOf, m.Position)
	if err != nil {
		return err
	}
	noted := map[string]bool{}
	for i := range plan.Views {
		v := plan.Views[i].Version
		// A version's freshness may change, so that the plan does not know it.
		current, err := s.registry.Catalog().ViewByID(v.ID)
		if err != nil || current.Freshness == nil || noted[v.Ref()] {
			continue
		}
		noted[v.Ref()] = true
		at, err := offline.At(ctx, s.pool, v.ID, m.Position)
		if err != nil {
			return err
		}
		newest, err := offline.Current{View: v, Seq: at.Seq, Now: feature.TimeOf(now)}.Newest(ctx, s.pool)
		if err != nil {
			return err
		}
		if newest == nil || offline.Age(feature.TimeOf(now), *newest) > current.Freshness.MaxAge {
			m.Late = append(m.Late, dataset.LateView{View: v.Ref(), MaxAge: feature.DurationText(current.Freshness.MaxAge), At: now.UTC()})
		}
	}
	return nil
}

// timeOfAsOf is the time that a dataset is as of: the one that was asked for, when its position was published, or now.
func timeOfAsOf(ctx context.Context, q database.Querier, asOf string, position int64) (time.Time, error) {
	if asOf == "" {
		return time.Now(), nil
	}
	if at, err := time.Parse(time.RFC3339Nano, asOf); err == nil {
		return at, nil
	}
	var at time.Time
	err := q.QueryRow(ctx, `SELECT published_at FROM headwater.publish_log WHERE position = $1`, position).Scan(&at)
	if errors.Is(err, pgx.ErrNoRows) {
		return time.Now(), nil
	}
	return at, err
}

// anybodyLooked lets whoever may approve open a gate: there is nothing that has to be there before.
func anybodyLooked(context.Context, database.Querier, *dataset.Manifest) error { return nil }

// requireChecks asks, of a dataset whose service wants checks passed, that no check of a run whose rows are in it warned, unless that was waived, and that none had nothing to compare with.
var requireChecks = dataset.Requirement{
	Gate: string(feature.GateChecks),
	Look: func(ctx context.Context, q database.Querier, m *dataset.Manifest) (*dataset.Finding, error) {
		if !m.Asks(feature.GateChecks) {
			return nil, nil
		}
		var parts []string
		total := 0
		remedy := ""
		for i := range m.Views {
			v := &m.Views[i]
			list, err := unpassed(ctx, q, v)
			if err != nil {
				return nil, err
			}
			total += len(v.Runs)
			parts = append(parts, list...)
			if len(list) > 0 && remedy == "" {
				remedy = fmt.Sprintf("to look at them: headwater runs list --view %s", v.View)
			}
		}
		if len(parts) > 0 {
			return &dataset.Finding{Found: someOf(parts), Remedy: remedy}, nil
		}
		return &dataset.Finding{Holds: true, Found: fmt.Sprintf("no check that warned, of %d runs", total)}, nil
	},
	MayApprove: anybodyLooked,
}

// unpassed are the checks of the runs whose rows of a view are in a dataset that warned and were not waived, and, in the newest run that made them, those that had nothing to compare with.
func unpassed(ctx context.Context, q database.Querier, v *dataset.ManifestView) (list []string, err error) {
	rows, err := q.Query(ctx, `
		WITH results AS (
			SELECT r.seq, r.gates, c.place, c.name, c.subject, c.state, c.expected, c.found,
				r.seq = max(r.seq) OVER (PARTITION BY c.name, c.subject) AS newest
			FROM headwater.run r JOIN headwater.definition d ON d.id = r.view_id JOIN headwater.check_result c ON c.run_id = r.id
			WHERE d.kind = 'view' AND d.name = $1 AND d.version = $2 AND r.state = 'published' AND r.seq = ANY ($3))
		SELECT seq, name, subject, state, expected, found FROM results
		WHERE state = $4 AND NOT gates @> jsonb_build_array(jsonb_build_object('name', $6 || name)) OR state = $5 AND newest
		ORDER BY seq DESC, place`, v.View, v.Version, v.Runs, quality.Warned, quality.NoBaseline, materialize.CheckGate(""))
	if err != nil {
		return nil, err
	}
	var seq int64
	var name, subject, state, expected, found string
	_, err = pgx.ForEachRow(rows, []any{&seq, &name, &subject, &state, &expected, &found}, func() error {
		list = append(list, fmt.Sprintf("%s of %s in run %s@%d/%d %s: expected %s, found %s", name, subject, v.View, v.Version, seq,
			strings.ReplaceAll(strings.ToLower(state), "_", " "), expected, found))
		return nil
	})
	return list, err
}

// requireDrift asks, of a dataset whose service wants no failing drift, that none of its columns fails against the baseline of the service's version, or of a model that reads that.
var requireDrift = dataset.Requirement{
	Gate: string(feature.GateDrift),
	Look: func(ctx context.Context, q database.Querier, m *dataset.Manifest) (*dataset.Finding, error) {
		if !m.Asks(feature.GateDrift) {
			return nil, nil
		}
		subject := fmt.Sprintf("service:%s@%d", m.Service, m.ServiceVersion)
		remedy := fmt.Sprintf("to say what is normal: headwater baseline set NAME dataset:ID --for %s", subject)
		p, err := m.Profile(ctx, q)
		if err != nil {
			return nil, err
		}
		if p == nil {
			return &dataset.Finding{Found: "no profile of it to compare", Remedy: "build it again, on a server that keeps profiles"}, nil
		}
		b, err := baselineFor(ctx, q, m, subject)
		if err != nil {
			return nil, err
		}
		if b == nil || b.Erased != nil {
			found := "no baseline of " + subject + ", nor of a model that reads it, of another content"
			if b != nil {
				found = "that an erasure took baseline " + b.Ref() + " of " + b.Subject + " away"
			}
			return &dataset.Finding{Found: found, Remedy: remedy}, nil
		}
		d, err := b.Drift(p, quality.DefaultThresholds)
		if err != nil {
			return nil, err
		}
		// How far columns are apart tells of rows that are not given out: whoever may approve sees it in profiles.
		found := d.Summary() + " against baseline " + b.Ref() + " of " + b.Subject
		failed := d.With(drift.Fail)
		if len(failed) == 0 {
			return &dataset.Finding{Holds: true, Found: found}, nil
		}
		var names []string
		for _, c := range failed {
			names = append(names, c.Name)
		}
		return &dataset.Finding{Found: found + ": " + someOf(names), Remedy: fmt.Sprintf("to look at it: headwater drift baseline:%s dataset:%s", b.Ref(), m.ID)}, nil
	},
	MayApprove: anybodyLooked,
}

// baselineFor is the baseline that a dataset is held to: that of its service's version, or else of the model that reads it and was registered last among those with one. One of the same content
// says nothing: whatever it is, it is like itself. nil: there is none.
func baselineFor(ctx context.Context, q database.Querier, m *dataset.Manifest, subject string) (*quality.Baseline, error) {
	subjects := []string{subject}
	models, err := lineage.ModelsOf(ctx, q, nil, []string{fmt.Sprintf("%s@%d", m.Service, m.ServiceVersion)})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(models, func(a, b *lineage.ModelVersion) int { return b.RegisteredAt.Compare(a.RegisteredAt) })
	for _, v := range models {
		subjects = append(subjects, fmt.Sprintf("model:%s@%d", v.Name, v.Version))
	}
	for _, s := range subjects {
		b, err := quality.BaselineOf(ctx, q, s)
		if err != nil {
			return nil, err
		}
		if b == nil {
			continue
		}
		if b.Dataset != "" {
			of, err := dataset.Find(ctx, q, b.Dataset)
			if err != nil {
				return nil, err
			}
			if of.Digest() == m.Digest() {
				continue
			}
		}
		return b, nil
	}
	return nil, nil
}

// requireFresh asks, of a dataset whose service wants that, that the views that declare a freshness were as new as that when it is as of.
var requireFresh = dataset.Requirement{
	Gate: string(feature.GateFreshness),
	Look: func(_ context.Context, _ database.Querier, m *dataset.Manifest) (*dataset.Finding, error) {
		if !m.Asks(feature.GateFreshness) {
			return nil, nil
		}
		var parts []string
		for _, l := range m.Late {
			parts = append(parts, fmt.Sprintf("view %s older than %s at %s", l.View, l.MaxAge, l.At.Format(time.RFC3339)))
		}
		if len(parts) > 0 {
			return &dataset.Finding{Found: someOf(parts), Remedy: "to build it of newer rows: headwater materialize VIEW, and build it again"}, nil
		}
		return &dataset.Finding{Holds: true, Found: "no view older than it declares"}, nil
	},
	MayApprove: anybodyLooked,
}
