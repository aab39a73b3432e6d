package lineage

import (
	"context"
	"strings"
	"testing"
)

// nodesOf is the ids of a graph but for its root.
func nodesOf(g *Graph) string {
	var list []string
	for _, n := range g.Nodes {
		if n.ID != g.Root {
			list = append(list, n.ID)
		}
	}
	return strings.Join(list, " ")
}

func TestConsumers(t *testing.T) {
	ctx := context.Background()
	tx := story(t)
	s := &seed{t: t, tx: tx, hours: 1000}
	// What it read of the service that is not there yet is what comes.
	s.consumer("sales", 1, NodeRef{Kind: Service, Name: "delay_model"}, NodeRef{Kind: Feature, Name: "route_delays", Feature: "mean_delay"},
		NodeRef{Kind: Dataset, Name: "training", Version: 1}, NodeRef{Kind: Model, Name: "arrivals"})
	s.consumer("jobs", 1, NodeRef{Kind: View, Name: "airport_delays"})
	walk := func(q Query) *Graph {
		t.Helper()
		g, err := Walk(ctx, tx, q)
		if err != nil {
			t.Fatalf("%+v: %v", q, err)
		}
		return g
	}
	const read = "dataset:ds_before feature:route_delays@1.mean_delay service:delay_model@2"
	up := walk(Query{Node: "consumer:sales", Direction: Up, Depth: 1})
	if found := nodesOf(up); found != read || up.Root != "consumer:sales@1" || up.Subjects[up.Root] != "sales" {
		t.Errorf("found %s of %s", found, up.Root)
	}
	n := up.Nodes[0]
	if n.Title != "dashboard of bi@example.com, https://bi.example.com/sales" || n.Properties["kind"] != "dashboard" || n.Properties["owner"] != "bi@example.com" ||
		n.Properties["url"] != "https://bi.example.com/sales" {
		t.Errorf("found %+v", n)
	}
	for node, want := range map[string]string{
		"source:flights": "consumer:jobs@1 consumer:sales@1", "load:1": "consumer:jobs@1 consumer:sales@1", "view:route_delays": "consumer:sales@1",
		"view:airport_delays": "consumer:jobs@1 consumer:sales@1", "view:airport_delays@1": "", "service:delay_model@1": "",
		"service:delay_model": "consumer:sales@1", "feature:route_delays.mean_delay": "consumer:sales@1", "dataset:ds_before": "consumer:sales@1", "dataset:ds_after": "",
	} {
		var found []string
		for _, n := range walk(Query{Node: node, Direction: Down}).Nodes {
			if strings.HasPrefix(n.ID, "consumer:") {
				found = append(found, n.ID)
			}
		}
		if strings.Join(found, " ") != want {
			t.Errorf("down from %s: found %q, expected %q", node, found, want)
		}
	}

	// By columns: those of a view that it reads, and the features that it names.
	columns := walk(Query{Node: "consumer:jobs", Direction: Up, Depth: 1, Columns: true})
	const all = "view:airport_delays@2#available_at view:airport_delays@2#departures view:airport_delays@2#event_time view:airport_delays@2#mean_delay"
	if found := nodesOf(columns); found != all || columns.Edges[0].Kind != Value {
		t.Errorf("found %s, %v", found, columns.Edges)
	}
	if found := nodesOf(walk(Query{Node: "feature:route_delays.mean_delay", Direction: Down, Depth: 1, Columns: true})); found != "consumer:sales@1 service:delay_model@2" {
		t.Errorf("found %s", found)
	}

	// A model, and a service version, that come later are read without the consumer's being applied again.
	then, err := At(ctx, tx, up.At.Position, nil)
	if err != nil {
		t.Fatal(err)
	}
	then.Before = s.now()
	s.exec(`INSERT INTO headwater.model (name, version, service_id, run_uri, description, owner, registered_at, registered_by)
		SELECT 'arrivals', 1, id, '', '', '', $1, 'ada' FROM headwater.definition WHERE kind = 'service' AND name = 'delay_model' AND version = 2`, s.now())
	s.service("delay_model", 3, map[string]int{"route_delays": 1}, nil)
	if found := nodesOf(walk(Query{Node: "consumer:sales", Direction: Up, Depth: 1})); found != "dataset:ds_before feature:route_delays@1.mean_delay model:arrivals@1 service:delay_model@3" {
		t.Errorf("found %s", found)
	}
	if found := nodesOf(walk(Query{Node: "model:arrivals", Direction: Down})); found != "consumer:sales@1" {
		t.Errorf("found %s", found)
	}
	if found := nodesOf(walk(Query{Node: "consumer:sales", Direction: Up, Depth: 1, At: then, AsOf: "then"})); found != read {
		t.Errorf("as of then: found %s", found)
	}

	// One that was removed is reached no more, and was.
	s.removeConsumer("sales", 1)
	if found := nodesOf(walk(Query{Node: "model:arrivals", Direction: Down})); found != "" {
		t.Errorf("found %s", found)
	}
	if found := nodesOf(walk(Query{Node: "dataset:ds_before", Direction: Down, At: then, AsOf: "then"})); found != "consumer:sales@1" {
		t.Errorf("as of then: found %s", found)
	}
}
