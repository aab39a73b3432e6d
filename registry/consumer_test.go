package registry

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

func consumed() *feature.Definitions {
	d := flights()
	d.Consumers = []feature.Consumer{{
		Name: "sales", Type: "dashboard", Docs: feature.Docs{Owner: "bi"},
		Reads: []feature.ConsumerRead{
			{Kind: feature.ReadsService, Name: "model"}, {Kind: feature.ReadsView, Name: "delays"},
			{Kind: feature.ReadsFeature, Name: "delays", Feature: "mean_delay"}, {Kind: feature.ReadsDataset, Name: "training"}, {Kind: feature.ReadsModel, Name: "arrivals"},
		},
	}}
	return d
}

func TestConsumers(t *testing.T) {
	var datasets []Dataset
	var models []string
	pool := testenv.Postgres(t)
	r := open(t, pool, Config{
		Datasets: func(context.Context, pgx.Tx) ([]Dataset, error) { return datasets, nil },
		Models:   func(context.Context, pgx.Tx) ([]string, error) { return models, nil },
	})
	d := consumed()
	changes := apply(t, r, d)
	last := changes[len(changes)-1]
	expect(t, "first", told(changes[len(changes)-1:]), "add consumer:sales@1")
	const none = ", of which there is none that you may list; lineage and impact reach the consumer from it once there is: "
	expect(t, "warnings", last.Warnings, "reads dataset training"+none+"`headwater dataset list` shows those there are",
		"reads model arrivals"+none+"`headwater model list` shows those there are")
	datasets, models = []Dataset{{ID: "ds_1", Name: "training"}}, []string{"arrivals"}
	expect(t, "again", told(apply(t, r, d)))

	c := r.Catalog()
	shown, err := c.Definition(feature.KindConsumer, "sales")
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "reads", shown.Inputs, "service:model", "view:delays", "feature:delays.mean_delay", "dataset:training", "model:arrivals")
	expect(t, "readers of the view", c.Dependents(feature.KindView, "delays", 1), "service:model", "consumer:sales")
	expect(t, "readers of the service", c.Dependents(feature.KindService, "model", 1), "consumer:sales")
	if s := c.Summaries(feature.KindConsumer); len(s) != 1 || s[0].Owner != "bi" {
		t.Errorf("found %+v", s)
	}

	// Words are an update, what it reads is a version.
	d.Consumers[0].URL = "https://bi.example.com"
	changes = apply(t, r, d)
	expect(t, "words", told(changes), "update consumer:sales@1")
	expect(t, "no warnings", changes[0].Warnings)
	d.Consumers[0].Reads = d.Consumers[0].Reads[:3]
	changes = apply(t, r, d)
	expect(t, "reads less", told(changes), "new_version consumer:sales@2")
	expect(t, "details", changes[0].Details, "no longer reads dataset:training", "no longer reads model:arrivals")
	_, _, difference, err := r.Catalog().Diff(feature.KindConsumer, "sales@1", "sales@2")
	if err != nil || difference.WordsOnly || len(difference.Lines) != 2 {
		t.Errorf("found %+v, %v", difference, err)
	}
	expect(t, "noted", noted(t, r, "sales"), "1 dataset:training false", "1 feature:delays.mean_delay false", "1 model:arrivals false", "1 service:model false",
		"1 view:delays false", "2 feature:delays.mean_delay true", "2 service:model true", "2 view:delays true")

	// What it reads is another: it is told, and not asked.
	d.Views[0].Features = d.Views[0].Features[:1]
	part := &feature.Definitions{Entities: d.Entities, Sources: d.Sources, Views: d.Views}
	changes = apply(t, r, part)
	expect(t, "dependents", changes[0].Dependents, "service:model", "consumer:sales")
	if !slices.Contains(changes[0].Warnings, "consumer sales, a dashboard of bi, reads mean_delay outside, which version 2 does not have; tell its owner, and change its reads") {
		t.Errorf("found %q", changes[0].Warnings)
	}
	_, _, err = r.Plan(t.Context(), Request{Files: files(d)})
	if v := faultOf(t, err, fault.InvalidDefinition).Violations[0]; v.Field != "consumers[0].reads.features[0]" ||
		v.Description != "found no feature called mean_delay in view delays; there is departures" {
		t.Errorf("found %+v", v)
	}
}

// noted is what a consumer was noted to read, and whether it does still.
func noted(t *testing.T, r *Registry, name string) []string {
	t.Helper()
	rows, err := r.pool.Query(t.Context(), `
		SELECT d.version || ' ' || i.kind || ':' || i.name || coalesce('@' || i.version, '') || CASE i.feature WHEN '' THEN '' ELSE '.' || i.feature END
			|| ' ' || (i.valid_to = 'infinity')
		FROM headwater.consumer_input i JOIN headwater.definition d ON d.id = i.definition_id WHERE d.name = $1`, name)
	if err != nil {
		t.Fatal(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(list)
	return list
}

func TestUnknownReadsOfConsumers(t *testing.T) {
	r := open(t, testenv.Postgres(t), Config{})
	apply(t, r, flights())
	reads := func(reads ...feature.ConsumerRead) *feature.Definitions {
		return &feature.Definitions{Consumers: []feature.Consumer{{Name: "sales", Type: "job", Reads: reads}}}
	}
	for want, read := range map[string]feature.ConsumerRead{
		"consumers[0].reads.services[0]: found no service called mdoel; did you mean model?":                                       {Kind: feature.ReadsService, Name: "mdoel"},
		"consumers[0].reads.services[0]: found no version 2 of service model, expected one of 1 to 1":                              {Kind: feature.ReadsService, Name: "model", Version: 2},
		"consumers[0].reads.views[0]: found no view called routes":                                                                 {Kind: feature.ReadsView, Name: "routes"},
		"consumers[0].reads.views[0]: found no version 7 of view delays, expected one of 1 to 1":                                   {Kind: feature.ReadsView, Name: "delays", Version: 7},
		"consumers[0].reads.features[0]: found no feature called mean in view delays@1":                                            {Kind: feature.ReadsFeature, Name: "delays", Feature: "mean"},
		"consumers[0].reads.features[0]: found no version 3 of view delays, expected one of 1 to 1":                                {Kind: feature.ReadsFeature, Name: "delays", Version: 3, Feature: "mean_delay"},
		"consumers[0].reads: found nothing that it reads, expected at least one of services, views, features, datasets and models": {},
	} {
		d := reads(read)
		if read.Kind == 0 {
			d = reads()
		}
		_, _, err := r.Plan(t.Context(), Request{Files: files(d)})
		v := faultOf(t, err, fault.InvalidDefinition).Violations[0]
		if found := v.Field + ": " + v.Description; !strings.HasPrefix(found, want) {
			t.Errorf("found %s\nexpected %s", found, want)
		}
	}
	if changes := apply(t, r, reads(feature.ConsumerRead{Kind: feature.ReadsService, Name: "model", Version: 1})); len(changes) != 1 {
		t.Errorf("found %q", told(changes))
	}
}

func TestConsumersDoNotHoldWhatTheyRead(t *testing.T) {
	r := open(t, testenv.Postgres(t), Config{})
	d := consumed()
	d.Consumers[0].Reads = d.Consumers[0].Reads[:3]
	apply(t, r, d)
	without := consumed()
	without.Consumers[0].Reads = without.Consumers[0].Reads[:3]
	without.Services, without.Views = nil, nil
	const gone = "consumer sales, a dashboard of bi, reads it outside and is not asked: it finds nothing there any more; tell its owner, and take it out of its reads"
	plan := func(shows func(kind, name string) bool) []Change {
		t.Helper()
		changes, _, err := r.Plan(t.Context(), Request{Files: files(without), Prune: true, Shows: shows})
		if err != nil {
			t.Fatal(err)
		}
		expect(t, "changes", told(changes), "remove service:model@1", "remove view:delays@1")
		return changes
	}
	for _, c := range plan(nil) {
		expect(t, c.Name, c.Warnings, gone)
		expect(t, c.Name, c.Dependents, "consumer:sales")
	}
	for _, c := range plan(func(kind, _ string) bool { return kind != "consumer" }) {
		expect(t, c.Name, c.Warnings, "a consumer outside that you may not list reads what ends here")
		expect(t, c.Name, c.Dependents)
	}

	// One that goes with what it reads is told of no more, and comes again.
	without.Consumers = nil
	changes, err := whole(t, r, without, false)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "all", told(changes), "remove consumer:sales@1", "remove service:model@1", "remove view:delays@1")
	for _, c := range changes {
		expect(t, c.Name, c.Warnings)
	}
	if _, err := r.Catalog().Definition(feature.KindConsumer, "sales"); fault.ReasonOf(err) != fault.NotFound {
		t.Errorf("found %v", err)
	}
	expect(t, "noted", noted(t, r, "sales"), "1 feature:delays.mean_delay false", "1 service:model false", "1 view:delays false")
	expect(t, "revived", told(apply(t, r, d)), "revive view:delays@1", "revive service:model@1", "revive consumer:sales@1")
	expect(t, "noted", noted(t, r, "sales"), "1 feature:delays.mean_delay false", "1 feature:delays.mean_delay true", "1 service:model false", "1 service:model true",
		"1 view:delays false", "1 view:delays true")
}
