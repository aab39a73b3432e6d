package feature

import (
	"slices"
	"testing"
)

func dashboard() Consumer {
	return Consumer{
		Name: "sales", Type: "dashboard", URL: "https://bi.example.com/sales", Docs: Docs{Owner: "bi"},
		Reads: []ConsumerRead{
			{Kind: ReadsService, Name: "model"}, {Kind: ReadsView, Name: "airport_delays"}, {Kind: ReadsView, Name: "airport_delays", Version: 1},
			{Kind: ReadsFeature, Name: "airport_delays", Version: 2, Feature: "late"}, {Kind: ReadsDataset, Name: "training", Version: 3}, {Kind: ReadsModel, Name: "arrivals"},
		},
	}
}

func TestConsumerReads(t *testing.T) {
	c := dashboard()
	var found []string
	for i, r := range c.Reads {
		found = append(found, c.ReadField(i)+" "+r.String())
	}
	want := []string{
		"reads.services[0] service:model", "reads.views[0] view:airport_delays", "reads.views[1] view:airport_delays@1",
		"reads.features[0] feature:airport_delays@2.late", "reads.datasets[0] dataset:training@3", "reads.models[0] model:arrivals",
	}
	if !slices.Equal(found, want) {
		t.Errorf("found %q", found)
	}
	for i, of := range []bool{false, true, true, true, false, false} {
		if c.Reads[i].Of(KindView, "airport_delays") != of || c.Reads[i].Of(KindView, "model") {
			t.Errorf("%s: found the wrong view", c.Reads[i])
		}
	}
	if !c.Reads[0].Of(KindService, "model") || c.Title() != "consumer sales, a dashboard of bi" {
		t.Errorf("found %s", c.Title())
	}
	c.Type, c.Owner = "internal_application", ""
	if c.Title() != "consumer sales, an internal application" {
		t.Errorf("found %s", c.Title())
	}
}

func TestConsumersAreValidated(t *testing.T) {
	d := &Definitions{Views: []View{{Name: "delays", Features: []Column{{Name: "mean", Type: TypeFloat64}}, Attributes: []Column{{Name: "note", Type: TypeString}}}}}
	known := &Known{Views: map[string]bool{"routes": true}, Services: map[string]bool{"model": true}}
	d.Consumers = []Consumer{
		{Name: "empty"},
		{Name: "fine", Reads: []ConsumerRead{
			{Kind: ReadsService, Name: "model"}, {Kind: ReadsView, Name: "routes"}, {Kind: ReadsFeature, Name: "routes", Feature: "x"},
			{Kind: ReadsFeature, Name: "delays", Feature: "mean"}, {Kind: ReadsDataset, Name: "none"}, {Kind: ReadsModel, Name: "none"},
		}},
		{Name: "wrong", Reads: []ConsumerRead{
			{Kind: ReadsService, Name: "modle"}, {Kind: ReadsView, Name: "delay"}, {Kind: ReadsFeature, Name: "nothing", Feature: "x"},
			{Kind: ReadsFeature, Name: "delays", Feature: "maen"}, {Kind: ReadsFeature, Name: "delays", Feature: "note"},
		}},
	}
	var found []string
	for _, p := range d.Validate(known) {
		if p.Kind == KindConsumer {
			found = append(found, p.Field+": "+p.Message)
		}
	}
	want := []string{
		"consumers[0].reads: found nothing that it reads, expected at least one of services, views, features, datasets and models",
		"consumers[2].reads.services[0]: found no service called modle; did you mean model?",
		"consumers[2].reads.views[0]: found no view called delay; did you mean delays?",
		"consumers[2].reads.features[0]: found no view called nothing; there is delays, routes",
		"consumers[2].reads.features[1]: found no feature called maen in view delays; did you mean mean?",
		"consumers[2].reads.features[2]: found note, which is an attribute of view delays, expected a feature: attributes are never served",
	}
	if !slices.Equal(found, want) {
		t.Errorf("found %q", found)
	}
}

func TestConsumersDiffer(t *testing.T) {
	before := dashboard()
	version := func(c Consumer) *ConsumerVersion { return &ConsumerVersion{Fingerprint: c.Fingerprint(), Consumer: c} }
	words := dashboard()
	slices.Reverse(words.Reads)
	words.URL, words.Owner = "https://bi.example.com/2", "sales"
	d := DiffConsumer(version(before), version(words))
	if !d.WordsOnly || !slices.Equal(d.Lines, []string{"url: https://bi.example.com/sales -> https://bi.example.com/2", "owner: bi -> sales"}) {
		t.Errorf("found %+v", d)
	}
	other := dashboard()
	other.Type = "job"
	other.Reads[0].Version = 2
	d = DiffConsumer(version(before), version(other))
	if d.WordsOnly || !slices.Equal(d.Lines, []string{"kind: dashboard -> job", "no longer reads service:model", "reads service:model@2 now"}) {
		t.Errorf("found %+v", d)
	}
}
