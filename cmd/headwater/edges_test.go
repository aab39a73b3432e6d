package main

import (
	"os"
	"testing"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

const edgeDefinitions = `entities:
  - name: thing
    join_keys:
      - {name: thing, type: string}
sources:
  - name: facts
    columns:
      - {name: at, type: timestamp}
      - {name: thing, type: string}
      - {name: n, type: int64}
    event_time: at
    landing: {}
feature_views:
  - name: latest
    entity: thing
    features:
      - {name: n, type: int64}
    sql:
      sources: [facts]
      query: SELECT thing, event_time, available_at, n FROM facts
feature_services:
  - name: edge_model
    views:
      - {view: latest}
`

// openEdges is a server with a world of its own.
func openEdges(t *testing.T) *dev {
	t.Helper()
	d := startDev(t, passableFolder(t))
	d.must(t, "apply", file(t, "edges.yaml", edgeDefinitions))
	return d
}

// The interval of a run ends after its last row, which may be where the calendar of RFC 3339 ends.
func TestRowsAtTheEndsOfTheCalendar(t *testing.T) {
	d := openEdges(t)
	d.must(t, "ingest", "facts", file(t, "facts.csv", "at,thing,n\n0001-01-01,first,1\n9999-12-31 23:59:59.999999,last,2\n"))
	d.must(t, "materialize", "latest", "--wait")
	var runs headwaterv1.ListRunsResponse
	d.ask(t, &runs, "runs", "list")
	if got := runs.Runs[0].IntervalStart.AsTime().Year(); got != 1 {
		t.Errorf("the run's interval begins in %d, expected 1", got)
	}
	d.must(t, "describe", "view", "latest", "-o", "json")
	out := t.TempDir() + "/out.csv"
	d.must(t, "dataset", "build", "--service", "edge_model", "--out", out, "--spine",
		file(t, "spine.csv", "thing,timestamp\nfirst,0001-01-01\nlast,9999-12-31 23:59:59.999998\nlast,9999-12-31 23:59:59.999999\n"))
	want := "thing,timestamp,latest__n\nfirst,0001-01-01T00:00:00Z,1\nlast,9999-12-31T23:59:59.999998Z,\nlast,9999-12-31T23:59:59.999999Z,2\n"
	if got, err := os.ReadFile(out); err != nil || string(got) != want {
		t.Errorf("found %s, %v\nexpected %s", got, err, want)
	}
	d.must(t, "dataset", "verify", "edge_model@1")
}
