package definition

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

func readConsumers(t *testing.T, text string) (*Set, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.yaml")
	if err := os.WriteFile(path, []byte("consumers:\n"+text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Read([]string{path})
}

func TestConsumers(t *testing.T) {
	set, err := readConsumers(t, `
  - name: sales
    kind: dashboard
    url: https://bi.example.com/sales
    reads: {services: [model, model@2], views: [delays], features: [delays.mean, delays@3.late], datasets: [training@1], models: [arrivals]}
    description: What was sold.
    owner: bi
    tags: [gold]
    deprecated: {date: "2030-01-31"}
`)
	if err != nil {
		t.Fatal(err)
	}
	c := set.Definitions.Consumers[0]
	want := []feature.ConsumerRead{
		{Kind: feature.ReadsService, Name: "model"}, {Kind: feature.ReadsService, Name: "model", Version: 2}, {Kind: feature.ReadsView, Name: "delays"},
		{Kind: feature.ReadsFeature, Name: "delays", Feature: "mean"}, {Kind: feature.ReadsFeature, Name: "delays", Version: 3, Feature: "late"},
		{Kind: feature.ReadsDataset, Name: "training", Version: 1}, {Kind: feature.ReadsModel, Name: "arrivals"},
	}
	if !slices.Equal(c.Reads, want) || c.Type != "dashboard" || c.URL != "https://bi.example.com/sales" || c.Owner != "bi" || c.Deprecated == nil {
		t.Errorf("found %+v", c)
	}
	written := ToProto(&set.Definitions)
	again, _, violations := FromProto([]*headwaterv1.DefinitionSource{{File: written}})
	if len(violations) > 0 || !proto.Equal(ToProto(&again), written) || again.Consumers[0].Fingerprint() != c.Fingerprint() {
		t.Errorf("found %v, %v", again, violations)
	}
}

func TestWrongConsumers(t *testing.T) {
	for text, want := range map[string]string{
		"  - {name: sales, kind: dashboard}":                                     "consumers[0].reads",
		"  - {name: sales, kind: A dashboard, reads: {views: [v]}}":              "consumers[0].kind",
		"  - {name: sales, kind: job, reads: {views: [v@0]}}":                    "consumers[0].reads.views[0]",
		"  - {name: sales, kind: job, reads: {views: [v], features: [mean]}}":    "consumers[0].reads.features[0]",
		"  - {name: sales, kind: job, reads: {views: [v@99999999999]}}":          "consumers[0].reads.views[0]",
		"  - {name: sales, kind: job, reads: {views: [v, v]}}":                   "consumers[0].reads.views",
		"  - {name: sales, kind: job, reads: {models: [m, m@1], datasets: [D]}}": "consumers[0].reads.datasets[0]",
	} {
		_, err := readConsumers(t, text+"\n")
		f := fault.As(err)
		if f == nil || f.Reason != fault.InvalidDefinition || len(f.Violations) == 0 || f.Violations[0].Field != want || f.Violations[0].Line < 2 {
			t.Errorf("%s: found %+v, expected a violation of %s with its place", text, f, want)
		}
	}
}
