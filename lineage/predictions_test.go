package lineage

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// predicted is a world with a read of two rows of views x and y, of which the second run of x wrote none.
func predicted(t *testing.T) *seed {
	t.Helper()
	ctx := context.Background()
	tx, err := testenv.Postgres(t).Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Rollback(ctx) })
	s := &seed{t: t, tx: tx}
	s.source("flights")
	x, y := s.view("x", 1, []string{"a"}, "flights"), s.view("y", 1, []string{"b"}, "flights")
	s.service("m", 1, map[string]int{"x": 1, "y": 1}, nil)
	s.service("n", 1, map[string]int{"x": 1}, nil)
	s.load(1, "flights", "good.csv", 10, 0)
	s.run(x, 1, "published", 3, 0, []string{"flights"}, map[int64]int64{1: 10})
	s.load(2, "flights", "bad.csv", 10, 0)
	s.run(x, 2, "published", 3, 0, []string{"flights"}, map[int64]int64{2: 10})
	s.run(y, 1, "published", 3, 0, []string{"flights"}, map[int64]int64{1: 10})
	s.row("x_v1", 1, live)
	s.row("x_v1", 2, live)
	s.row("y_v1", 1, live)
	s.spans()
	for version := range 2 {
		s.exec(`INSERT INTO headwater.model (name, version, service_id, run_uri, description, owner, registered_at, registered_by)
			SELECT 'fraud', $1, id, '', '', '', $2, 'ada' FROM headwater.definition WHERE kind = 'service' AND name = 'm'`, version+1, s.now())
	}
	s.read("rd_1", "m", 1, []*headwaterv1.LoggedFeature{
		{Name: "x__a", View: "x", ViewVersion: 1, Feature: "a"}, {Name: "y__b", View: "y", ViewVersion: 1, Feature: "b"},
	}, &headwaterv1.ViewProvenance{View: "x", ViewVersion: 1, RunSeqs: []int64{1, 1}}, &headwaterv1.ViewProvenance{View: "y", ViewVersion: 1, RunSeqs: []int64{1, 0}})
	return s
}

func (s *seed) walk(query Query) *Graph {
	s.t.Helper()
	g, err := Walk(context.Background(), s.tx, query)
	if err != nil {
		s.t.Fatalf("%v", err)
	}
	return g
}

// A prediction comes from its service, the runs whose rows it was given and what those read, and not from other runs of the views.
func TestAPredictionComesFromTheRunsItWasGiven(t *testing.T) {
	s := predicted(t)
	near := s.walk(Query{Node: "prediction:rd_1", Direction: Up, Depth: 1})
	edges := []Edge{
		{"model:fraud@2", "prediction:rd_1", Definition, 3, 0}, {"run:x@1/1", "prediction:rd_1", Read, 3, 0}, {"run:y@1/1", "prediction:rd_1", Read, 3, 0},
		{"service:m@1", "prediction:rd_1", Definition, 3, 0},
	}
	if !slices.Equal(near.Edges, edges) {
		t.Errorf("found %v, expected %v", near.Edges, edges)
	}
	properties := map[string]string{
		"service": "service:m@1", "log": "all", "principal": "ada", "purpose": "checkout", "position": "3", "rows": "2", "features": "2",
	}
	root := near.Nodes[slices.IndexFunc(near.Nodes, func(n Node) bool { return n.ID == near.Root })]
	properties["served_at"] = root.Properties["served_at"]
	if root.Title != "2 features for 2 rows by m@1 at position 3" || !maps.Equal(root.Properties, properties) || root.Properties["served_at"] == "" {
		t.Errorf("found %+v", root)
	}
	g := s.walk(Query{Node: "prediction:rd_1", Direction: Up})
	want := []string{
		"feature:x@1.a", "feature:y@1.b", "load:1", "model:fraud@2", "prediction:rd_1", "run:x@1/1", "run:y@1/1", "service:m@1", "source:flights", "view:x@1", "view:y@1",
	}
	if got := nodeIDs(g); !slices.Equal(got, want) {
		t.Errorf("found %v, expected %v", got, want)
	}
	if got := g.Subjects["prediction:rd_1"]; got != "m" {
		t.Errorf("found a prediction of %q", got)
	}
	// It reaches nothing, and in pages it is the same.
	if g := s.walk(Query{Node: "prediction:rd_1", Direction: Down}); len(g.Nodes) != 1 || len(g.Edges) != 0 {
		t.Errorf("found %v", g)
	}
	query := Query{Node: "prediction:rd_1", Direction: Up, PageSize: 4}
	var paged []string
	for {
		g := s.walk(query)
		paged = append(paged, nodeIDs(g)...)
		if query.PageToken = g.NextPage; g.NextPage == "" {
			break
		}
	}
	if !slices.Equal(paged, want) {
		t.Errorf("found %v in pages", paged)
	}

	// What is not to be told of a view is left out, with all that is behind it.
	hidden := s.walk(Query{Node: "prediction:rd_1", Direction: Up, HidesRuns: func(view string) bool { return view == "x@1" }})
	if got := nodeIDs(hidden); slices.Contains(got, "run:x@1/1") || !slices.Contains(got, "run:y@1/1") || !slices.Contains(got, "view:x@1") {
		t.Errorf("found %v", got)
	}
	hidden = s.walk(Query{Node: "prediction:rd_1", Direction: Up, HidesRuns: func(string) bool { return true }})
	if got := nodeIDs(hidden); slices.ContainsFunc(got, func(id string) bool { return strings.HasPrefix(id, "run:") || strings.HasPrefix(id, "load:") }) {
		t.Errorf("found %v", got)
	}
}

// By columns it is made of the features that were served, found by keys and by times.
func TestAPredictionByColumns(t *testing.T) {
	s := predicted(t)
	g := s.walk(Query{Node: "prediction:rd_1", Direction: Up, Columns: true, Depth: 1})
	var got []string
	for _, e := range g.Edges {
		got = append(got, e.Kind.String()+" "+e.From)
	}
	slices.Sort(got)
	want := []string{
		"order view:x@1#available_at", "order view:x@1#event_time", "order view:y@1#available_at", "order view:y@1#event_time", "value view:x@1#a", "value view:y@1#b",
	}
	if !slices.Equal(got, want) {
		t.Errorf("found %v, expected %v", got, want)
	}
}

// The model that is known to have predicted takes the place of the one that was registered, from when it said so.
func TestWhichModelAPredictionWasFor(t *testing.T) {
	s := predicted(t)
	models := func(query Query) (list []string) {
		query.Node, query.Direction, query.Depth = "prediction:rd_1", Up, 1
		for _, e := range s.walk(query).Edges {
			if strings.HasPrefix(e.From, "model:") {
				list = append(list, e.Kind.String()+" "+e.From)
			}
		}
		return list
	}
	if got := models(Query{}); !slices.Equal(got, []string{"definition model:fraud@2"}) {
		t.Errorf("found %v", got)
	}
	before := Instant{Position: 3, Before: s.now()}
	s.predicted("p1", "fraud", 1, "rd_1")
	s.predicted("p2", "fraud", 1, "rd_1")
	s.predicted("p3", "fraud", 2, "")
	if got := models(Query{}); !slices.Equal(got, []string{"wrote model:fraud@1"}) {
		t.Errorf("found %v", got)
	}
	if got := models(Query{At: before}); !slices.Equal(got, []string{"definition model:fraud@2"}) {
		t.Errorf("found %v as of before", got)
	}
}

// Down, logged reads are one node for each service version, however many there are.
func TestReadsAreReachedTogether(t *testing.T) {
	s := predicted(t)
	for _, id := range []string{"rd_2", "rd_3"} {
		s.read(id, "n", 1, nil, &headwaterv1.ViewProvenance{View: "x", ViewVersion: 1, RunSeqs: []int64{1, 2}})
	}
	reads := func(query Query) (list []string) {
		query.Direction = Down
		g := s.walk(query)
		for _, n := range g.Nodes {
			if strings.HasPrefix(n.ID, "prediction") {
				list = append(list, n.ID+": "+n.Title)
			}
		}
		return list
	}
	for _, c := range []struct {
		query Query
		want  []string
	}{
		{Query{Node: "run:x@1/1"}, []string{
			"predictions:m@1: 1 logged read had rows of it; those of the service: `headwater reads list --service m@1`",
			"predictions:n@1: 2 logged reads had rows of it; those of the service: `headwater reads list --service n@1`",
		}},
		{Query{Node: "load:1"}, []string{
			"predictions:m@1: at most 2 logged reads had rows of the runs; those of the service: `headwater reads list --service m@1`",
			"predictions:n@1: 2 logged reads had rows of it; those of the service: `headwater reads list --service n@1`",
		}},
		{Query{Node: "load:2"}, []string{"predictions:n@1: 2 logged reads had rows of it; those of the service: `headwater reads list --service n@1`"}},
		{Query{Node: "service:m", Depth: 1}, []string{"predictions:m@1: logged reads of 2001-01-01; those of the service: `headwater reads list --service m@1`"}},
		{Query{Node: "model:fraud"}, []string{"predictions:m@1: logged reads of 2001-01-01; those of the service: `headwater reads list --service m@1`"}},
		{Query{Node: "run:x@1/1", At: Instant{Position: 3, Before: s.now()}}, nil},
	} {
		if got := reads(c.query); !slices.Equal(got, c.want) {
			t.Errorf("%s:\nfound    %q\nexpected %q", c.query.Node, got, c.want)
		}
	}
	s.hours += 48
	s.read("rd_4", "m", 1, nil, &headwaterv1.ViewProvenance{View: "x", ViewVersion: 1, RunSeqs: []int64{2}})
	if got := reads(Query{Node: "service:m", Depth: 1}); len(got) != 1 || !strings.HasPrefix(got[0], "predictions:m@1: logged reads from 2001-01-01 to 2001-01-03;") {
		t.Errorf("found %q", got)
	}
	_, err := Walk(context.Background(), s.tx, Query{Node: "predictions:m@1", Direction: Up})
	if want := "node: found \"predictions:m@1\", which are many, and which no walk begins at; ask for one of them, `prediction:READ_ID`: " +
		"`headwater reads list --service m@1` lists them"; fault.ReasonOf(err) != fault.InvalidArgument || err.Error() != want {
		t.Errorf("found %v", err)
	}
}

// A read that is not kept, or was not there yet, is missing; of one whose rows were erased nothing is known but that.
func TestAPredictionThatIsNotKept(t *testing.T) {
	s := predicted(t)
	for _, c := range []struct {
		query Query
		want  string
	}{
		{Query{Node: "prediction:rd_9"}, "there is no prediction rd_9; `headwater reads list` shows the reads that are kept, and " +
			"`headwater trace --service S --entity k=v --at T` computes one that is not"},
		{Query{Node: "prediction:rd_1", At: Instant{Position: 1, Before: time.Date(2001, 1, 1, 1, 0, 0, 0, time.UTC)}, AsOf: "pos:1"}, "there is no prediction rd_1 as of pos:1; ask without --as-of, or for a later one"},
	} {
		c.query.Direction = Up
		if _, err := Walk(context.Background(), s.tx, c.query); fault.ReasonOf(err) != fault.NotFound || err.Error() != c.want {
			t.Errorf("found %v, expected %s", err, c.want)
		}
	}
	r := s.read("rd_4", "n", 1, nil, &headwaterv1.ViewProvenance{View: "x", ViewVersion: 1, RunSeqs: []int64{1}})
	r.Erased, r.Provenance[0].RunSeqs = []int32{0}, []int64{0}
	s.log(r)
	g := s.walk(Query{Node: "prediction:rd_4", Direction: Up, Depth: 1})
	if got := nodeIDs(g); !slices.Equal(got, []string{"prediction:rd_4", "service:n@1"}) ||
		g.Nodes[0].Title != "0 features for 1 row by n@1 at position 3, of which 1 was erased since: what wrote what they were given is not known any more" {
		t.Errorf("found %v, %+v", got, g.Nodes[0])
	}
}
