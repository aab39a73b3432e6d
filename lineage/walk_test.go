package lineage

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

var update = flag.Bool("update", false, "write the golden files anew")

// begin is a transaction on a database of the test's own, rolled back at its end.
func begin(t *testing.T) pgx.Tx {
	t.Helper()
	ctx := context.Background()
	tx, err := testenv.Postgres(t).Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Rollback(ctx) })
	return tx
}

// story seeds a file that is corrected, between two datasets. Of its runs, 1 has rows that are live, 2 has none any more, 3
// failed, 4 is the correction, and 5 is at work: it has closed rows of 1, which nobody may notice.
func story(t *testing.T) pgx.Tx {
	t.Helper()
	s := &seed{t: t, tx: begin(t)}
	s.source("flights")
	s.source("weather")
	old := s.view("airport_delays", 1, []string{"mean_delay"}, "flights")
	airports := s.view("airport_delays", 2, []string{"departures", "mean_delay"}, "flights", "weather")
	routes := s.view("route_delays", 1, []string{"mean_delay"}, "flights")
	s.service("delay_model", 1, map[string]int{"airport_delays": 1}, nil)
	s.service("delay_model", 2, map[string]int{"airport_delays": 2, "route_delays": 1},
		map[string][]string{"airport_delays": {"mean_delay"}})

	s.load(1, "flights", "flights-w1.parquet", 112_233, 0)
	s.run(old, 1, "published", 1, 0, []string{"flights"}, map[int64]int64{1: 112_233})
	s.row("airport_delays_v1", 1, live)
	s.load(2, "flights", "flights-w2.parquet", 1, 0)
	s.run(airports, 1, "published", 2, 0, []string{"flights", "weather"}, map[int64]int64{1: 112_233})
	s.row("airport_delays_v2", 1, live)
	s.row("airport_delays_v2", 1, live)
	s.run(airports, 2, "published", 1, 0, []string{"flights", "weather"}, map[int64]int64{2: 1})
	s.row("airport_delays_v2", 2, live)
	s.run(routes, 1, "published", 1, 0, []string{"flights"}, map[int64]int64{1: 100_000, 2: 1})
	s.row("route_delays_v1", 1, live)
	s.dataset("ds_before", "training", 1, "delay_model", 2, map[int64]int64{airports: 2, routes: 1})

	s.load(3, "flights", "flights\nw2-corrected.parquet", 7, 2)
	s.load(4, "flights", "flights-w3.parquet", 5, 0)
	s.retract(5, "flights", 4, "sent twice")
	s.run(airports, 3, "failed", 0, 0, nil, nil)
	s.run(airports, 4, "published", 1, 1, []string{"flights", "weather"}, map[int64]int64{1: 112_233, 3: 7})
	s.end("airport_delays_v2", 2, 4)
	s.row("airport_delays_v2", 4, live)
	s.dataset("ds_after", "training", 2, "delay_model", 2, map[int64]int64{airports: 4, routes: 1})

	s.run(airports, 5, "running", 0, 0, nil, nil)
	s.end("airport_delays_v2", 1, 5)
	s.row("airport_delays_v2", 5, live)
	s.spans()
	return s.tx
}

func mustWalk(t *testing.T, q database.Querier, root string, dir Direction, depth int) *Graph {
	t.Helper()
	g, err := Walk(context.Background(), q, Query{Node: root, Direction: dir, Depth: depth})
	if err != nil {
		t.Fatalf("%s: %v", root, err)
	}
	return g
}

func TestGolden(t *testing.T) {
	tx := story(t)
	for _, c := range []struct {
		file, root string
		dir        Direction
	}{
		{"feature_up.txt", "feature:airport_delays.mean_delay", Up},
		{"dataset_before_up.txt", "dataset:training@1", Up},
		{"load_corrected_down.txt", "load:2", Down},
		{"source_down.txt", "source:flights", Down},
	} {
		t.Run(c.file, func(t *testing.T) {
			got := text(mustWalk(t, tx, c.root, c.dir, 0), c.dir)
			file := filepath.Join("testdata", c.file)
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s: run the test with -update and look at what changed; found\n%s", file, got)
			}
		})
	}
}

func nodeIDs(g *Graph) []string {
	var list []string
	for _, n := range g.Nodes {
		list = append(list, n.ID)
	}
	return list
}

func TestWalkReaches(t *testing.T) {
	tx := story(t)
	for _, c := range []struct {
		name, root string
		dir        Direction
		depth      int
		want       []string
	}{
		{
			"the newest version, and no failed run, none at work and none that is fully corrected", "view:airport_delays", Up, 0,
			[]string{
				"load:1", "load:2", "load:3", "run:airport_delays@2/1", "run:airport_delays@2/4", "source:flights", "source:weather",
				"view:airport_delays@2",
			},
		},
		{
			"an old version", "feature:airport_delays@1.mean_delay", Up, 0,
			[]string{
				"feature:airport_delays@1.mean_delay", "load:1", "run:airport_delays@1/1", "source:flights", "view:airport_delays@1",
			},
		},
		{
			"a dataset has its own runs for good, and none that came after it", "dataset:ds_before", Up, 3,
			[]string{
				"dataset:ds_before", "feature:airport_delays@2.mean_delay", "feature:route_delays@1.mean_delay", "load:1", "load:2",
				"run:airport_delays@2/1", "run:airport_delays@2/2", "run:route_delays@1/1", "service:delay_model@2", "source:flights",
				"source:weather", "view:airport_delays@2", "view:route_delays@1",
			},
		},
		{
			"a corrected run reaches what was built before the correction, and shows the run that corrected it, not what that reaches",
			"run:airport_delays@2/2", Down, 0,
			[]string{"dataset:ds_before", "run:airport_delays@2/2", "run:airport_delays@2/4"},
		},
		{
			"a correction does not reach what was built before it", "load:3", Down, 0,
			[]string{
				"dataset:ds_after", "feature:airport_delays@2.departures", "feature:airport_delays@2.mean_delay", "load:3",
				"run:airport_delays@2/4", "service:delay_model@2", "view:airport_delays@2",
			},
		},
		{
			"a replaced load reaches the replacement and not what that reaches", "load:2", Down, 2,
			[]string{
				"dataset:ds_after", "dataset:ds_before", "load:2", "load:3", "run:airport_delays@2/2", "run:route_delays@1/1",
				"view:route_delays@1",
			},
		},
		{"a retraction", "load:4", Down, 0, []string{"load:4", "load:5"}},
		{"a retraction comes from what it retracts", "load:5", Up, 0, []string{"load:4", "load:5", "source:flights"}},
		{"a feature that nobody picks", "feature:airport_delays.departures", Down, 0, []string{"feature:airport_delays@2.departures"}},
		{
			"a feature", "feature:airport_delays.mean_delay", Down, 0,
			[]string{"dataset:ds_after", "dataset:ds_before", "feature:airport_delays@2.mean_delay", "service:delay_model@2"},
		},
		{"one edge", "service:delay_model", Down, 1, []string{"dataset:ds_after", "dataset:ds_before", "service:delay_model@2"}},
		{"a failed run has read and written nothing", "run:airport_delays@2/3", Up, 0, []string{"run:airport_delays@2/3"}},
		{"a failed run reaches nothing", "run:airport_delays@2/3", Down, 0, []string{"run:airport_delays@2/3"}},
		{"a run at work reaches nothing", "run:airport_delays@2/5", Down, 0, []string{"run:airport_delays@2/5"}},
		{"nothing is above a source", "source:flights", Up, 0, []string{"source:flights"}},
		{"nothing is below a dataset", "dataset:training@2", Down, 0, []string{"dataset:ds_after"}},
		{
			"one edge up", "run:airport_delays@2/4", Up, 1,
			[]string{"load:1", "load:3", "run:airport_delays@2/2", "run:airport_delays@2/4", "source:weather"},
		},
	} {
		g := mustWalk(t, tx, c.root, c.dir, c.depth)
		if got := nodeIDs(g); !slices.Equal(got, c.want) {
			t.Errorf("%s: %s:\nfound    %v\nexpected %v", c.name, c.root, got, c.want)
		}
		if !slices.Contains(nodeIDs(g), g.Root) {
			t.Errorf("%s: the root %s is not in the graph", c.name, g.Root)
		}
	}
}

func TestRunsSayWhatBecameOfThem(t *testing.T) {
	tx := story(t)
	for root, want := range map[string]string{
		"run:airport_delays@2/3": "failed, column x: found NULL, expected a time",
		"run:airport_delays@2/5": "running",
	} {
		g := mustWalk(t, tx, root, Up, 0)
		if g.Nodes[0].Title != want {
			t.Errorf("found %q, expected %q", g.Nodes[0].Title, want)
		}
		if digest, there := g.Nodes[0].Properties["digest"]; there {
			t.Errorf("%s: found digest %q, expected none of a run that is not published", root, digest)
		}
	}
}

func TestWalkFaults(t *testing.T) {
	tx := story(t)
	for _, c := range []struct {
		root   string
		depth  int
		reason fault.Reason
		want   string
	}{
		{"flights", 0, fault.InvalidArgument, "node: found \"flights\", expected"},
		{"source:flights", -1, fault.InvalidArgument, "depth: found -1, expected how many edges to follow, or 0 for all"},
		{"source:flight", 0, fault.NotFound, "there is no source flight; `headwater list sources` shows those there are"},
		{"view:trains", 0, fault.NotFound, "there is no view trains; `headwater list views` shows those there are"},
		{"view:airport_delays@3", 0, fault.NotFound, "there is no view airport_delays@3; `headwater list views` shows those there are"},
		{
			"feature:trains.delay", 0, fault.NotFound,
			"there is no feature trains.delay; `headwater describe view trains` shows those of the view",
		},
		{
			"feature:airport_delays@1.departures", 0, fault.NotFound, "there is no feature airport_delays@1.departures; " +
				"`headwater describe view airport_delays` shows those of the view",
		},
		{"consumer:x", 0, fault.NotFound, "there is no consumer x; `headwater list consumers` shows those there are"},
		{"service:x@1", 0, fault.NotFound, "there is no service x@1; `headwater list services` shows those there are"},
		{"load:99", 0, fault.NotFound, "there is no load 99; `headwater loads list SOURCE` shows those of a source"},
		{
			"run:airport_delays@2/9", 0, fault.NotFound,
			"there is no run airport_delays@2/9; `headwater runs list --view airport_delays` shows those of the view",
		},
		{
			"dataset:ds_x", 0, fault.NotFound,
			"there is no dataset ds_x; `headwater dataset list` shows those there are, by id and by NAME@VERSION",
		},
		{
			"dataset:training@3", 0, fault.NotFound,
			"there is no dataset training@3; `headwater dataset list` shows those there are, by id and by NAME@VERSION",
		},
	} {
		g, err := Walk(context.Background(), tx, Query{Node: c.root, Direction: Up, Depth: c.depth})
		if g != nil || fault.ReasonOf(err) != c.reason || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s:\nfound    %v\nexpected %s", c.root, err, c.want)
		}
	}
}

func TestWalkIsBounded(t *testing.T) {
	tx := story(t)
	ctx := context.Background()
	whole := mustWalk(t, tx, "source:flights", Down, 0)
	nodes, edges := len(whole.Nodes), len(whole.Edges)
	if _, err := walk(ctx, tx, Query{Node: "source:flights", Direction: Down}, limits{nodes: nodes, edges: edges}); err != nil {
		t.Fatalf("a graph of just as many as there may be: %v", err)
	}
	for _, l := range []limits{{nodes - 1, edges}, {nodes, edges - 1}, {nodes, 1}, {1, edges}} {
		_, err := walk(ctx, tx, Query{Node: "source:flights", Direction: Down}, l)
		if fault.ReasonOf(err) != fault.ResourceExhausted {
			t.Errorf("%+v: found %v, expected it to be refused", l, err)
		}
	}
	_, err := walk(ctx, tx, Query{Node: "source:flights", Direction: Down}, limits{nodes: 10, edges: 100})
	want := "the lineage of source:flights has more than 10 nodes or 100 edges at a depth of 2; " +
		"ask for a depth below that, or for a node in it, or for pages of it"
	if err == nil || err.Error() != want {
		t.Errorf("found    %v\nexpected %s", err, want)
	}
	if _, err := walk(ctx, tx, Query{Node: "source:flights", Direction: Down, Depth: 1}, limits{nodes: 10, edges: 100}); err != nil {
		t.Errorf("a depth below that: %v", err)
	}
}

func TestWalkWithoutPostgres(t *testing.T) {
	pool := testenv.Postgres(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Walk(ctx, pool, Query{Node: "source:flights", Direction: Up}); fault.ReasonOf(err) != fault.Cancelled {
		t.Errorf("found %v, expected CANCELLED", err)
	}
}

// What reads and what is read may be many with each other: of these edges no more are kept than it takes to see that there are too many.
func TestManyReadersOfManyRuns(t *testing.T) {
	s := &seed{t: t, tx: begin(t)}
	s.source("flights")
	read := s.view("delays", 1, []string{"mean_delay"}, "flights")
	reader := s.viewOver("routes", 1, []string{"mean_delay"}, map[string]int{"delays": 1})
	s.service("delay_model", 1, map[string]int{"delays": 1}, nil)
	const many = 20
	var runs, readers []node
	for seq := int64(1); seq <= many; seq++ {
		runs = append(runs, node{kind: Run, id: s.run(read, seq, "published", 1, 0, nil, nil)})
		s.row("delays_v1", seq, live)
	}
	for seq := int64(1); seq <= many; seq++ {
		id := s.run(reader, seq, "published", 1, 0, nil, nil)
		s.row("routes_v1", seq, live)
		s.exec(`INSERT INTO headwater.run_view_input (run_id, view_id, seq, rows_read) VALUES ($1, $2, $3, 7)`, id, read, many)
		readers = append(readers, node{kind: Run, id: id})
	}
	s.spans()
	readings := func(limit int, dir Direction, nodes []node) int {
		t.Helper()
		w := &walker{
			q: takingTurns(s.tx), Query: Query{Direction: dir}, limits: limits{nodes: 1000, edges: limit}, places: places{map[numbered]int32{}, map[node]int32{}},
			edgeAt: map[edge]int32{}, runs: map[int64]*runRecord{}, ends: map[int64]int64{}, viewOf: map[int64]int64{}, sourceInputs: map[int64][]runInput{},
			viewInputs: map[int64][]runViewInput{}, views: map[int64]*view{},
		}
		var err error
		if w.at, err = w.at.orNow(t.Context(), s.tx); err == nil {
			err = w.step(t.Context(), byKind(nodes))
		}
		if err != nil {
			t.Fatal(err)
		}
		return len(w.edges)
	}
	for limit, want := range map[int]int{60: 61, 1000: many * many} {
		if found := readings(limit, Up, readers); found != want {
			t.Errorf("up: found %d edges, expected %d of at most %d", found, want, limit)
		}
	}
	for limit, want := range map[int]int{60: 61, 1000: many + many*many} {
		if found := readings(limit, Down, runs); found != want {
			t.Errorf("down: found %d edges, expected %d of at most %d", found, want, limit)
		}
	}
	s.exec(`DELETE FROM headwater.run_view_input`)
	for i := 1; i <= many; i++ {
		s.dataset(fmt.Sprint("ds_", i), "training", i, "delay_model", 1, map[int64]int64{read: many})
	}
	for limit, want := range map[int]int{60: 61, 1000: many + many*many} {
		if found := readings(limit, Down, runs); found != want {
			t.Errorf("down to datasets: found %d edges, expected %d of at most %d", found, want, limit)
		}
	}
}
