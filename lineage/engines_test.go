package lineage_test

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/dataset"
	"github.com/headwaterhq/headwater/definition"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/testenv"
	"github.com/headwaterhq/headwater/lineage"
	"github.com/headwaterhq/headwater/materialize"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/online"
	"github.com/headwaterhq/headwater/read"
	"github.com/headwaterhq/headwater/registry"
)

// engines are what writes the records that lineage reads.
type engines struct {
	t            *testing.T
	pool         *pgxpool.Pool
	registry     *registry.Registry
	materializer *materialize.Materializer
}

func start(t *testing.T) *engines {
	t.Helper()
	ctx := context.Background()
	e := &engines{t: t, pool: testenv.Postgres(t)}
	log := slog.New(slog.DiscardHandler)
	var err error
	e.registry, err = registry.Open(ctx, e.pool, registry.Config{
		Logger: log, CheckSource: (*offline.Databases)(nil).CheckSource, CheckView: offline.CheckView, CreateSource: offline.CreateSource,
		CreateView: offline.CreateHistory,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.registry.Close)
	e.materializer, err = materialize.New(materialize.Config{
		Pool: e.pool, Writer: online.NewWriter(testenv.Redis(t), online.DefaultPrefix), Log: log,
		View: func(id int64) *feature.ViewVersion {
			v, _ := e.registry.Catalog().ViewByID(id)
			return v
		},
		Audit: func(context.Context, pgx.Tx, *materialize.Run) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.materializer.Start(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.materializer.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return e
}

func (e *engines) apply(d *feature.Definitions) {
	e.t.Helper()
	_, _, err := e.registry.Apply(context.Background(), registry.ApplyRequest{
		Request:   registry.Request{Files: []*headwaterv1.DefinitionSource{{Path: "defs.yaml", File: definition.ToProto(d)}}},
		Principal: "ada", Origin: "commit 1",
	})
	if err != nil {
		e.t.Fatal(err)
	}
}

// ingest loads a flight from JFK per delay, an hour apart.
func (e *engines) ingest(file string, replaces int64, hour int, delays ...int64) int64 {
	e.t.Helper()
	var rows [][]feature.Value
	for i, d := range delays {
		at := feature.TimeOf(time.Date(2001, 1, 1, hour+i, 0, 0, 0, time.UTC))
		rows = append(rows, []feature.Value{feature.Timestamp(at), feature.String("JFK"), feature.Int64(d)})
	}
	return e.ingestRows(file, replaces, rows)
}

// day is when rows are of that have no other time.
var day = time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)

func (e *engines) ingestRows(file string, replaces int64, list [][]feature.Value) int64 {
	e.t.Helper()
	source, err := e.registry.Catalog().Source("flights")
	if err != nil {
		e.t.Fatal(err)
	}
	var rows iter.Seq2[[]feature.Value, error] = func(yield func([]feature.Value, error) bool) {
		for _, row := range list {
			if !yield(row, nil) {
				return
			}
		}
	}
	load, err := offline.AppendLoad(context.Background(), e.pool, offline.LoadRequest{
		Source: source, FileName: file, FileSize: 1, FileSHA256: feature.Digest{byte(len(file)), file[0]}, Replaces: replaces,
		Principal: "ada",
	}, rows)
	if err != nil {
		e.t.Fatal(err)
	}
	return load.ID
}

func (e *engines) materialize(view string) *materialize.Run {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	v, err := e.registry.Catalog().View(view)
	if err != nil {
		e.t.Fatal(err)
	}
	runs, err := e.materializer.Enqueue(ctx, []materialize.Request{{View: v, Principal: "ada"}})
	if err != nil {
		e.t.Fatal(err)
	}
	for {
		r, err := materialize.Get(ctx, e.pool, runs[0].ID)
		if err != nil {
			e.t.Fatal(err)
		}
		if r.State.Ended() {
			return r
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (e *engines) build(name string) *dataset.Manifest { return e.buildOf(name, nil) }

// buildOf builds a dataset of the service, or of all that it has by reference.
func (e *engines) buildOf(name string, features []string) *dataset.Manifest {
	e.t.Helper()
	service, err := e.registry.Catalog().Service("model")
	if err != nil {
		e.t.Fatal(err)
	}
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "origin", Type: arrow.BinaryTypes.String},
		{Name: "timestamp", Type: &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}},
	}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	b.Field(0).(*array.StringBuilder).Append("JFK")
	b.Field(1).(*array.TimestampBuilder).Append(arrow.Timestamp(time.Date(2001, 1, 2, 0, 0, 0, 0, time.UTC).UnixMicro()))
	batch := b.NewRecordBatch()
	defer batch.Release()
	var spine, out bytes.Buffer
	w := ipc.NewWriter(&spine, ipc.WithSchema(schema))
	if err := w.Write(batch); err != nil {
		e.t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		e.t.Fatal(err)
	}
	if features != nil {
		service = &feature.ServiceVersion{Pins: service.Pins}
	}
	plan, err := read.NewPlan(service, nil, "")
	if err != nil {
		e.t.Fatal(err)
	}
	m, err := dataset.NewBuilder(e.pool, "test").Build(context.Background(), dataset.Request{
		Plan: plan, Name: name, Features: features, Principal: "ada",
	}, &spine, &out)
	if err != nil {
		e.t.Fatal(err)
	}
	return m
}

func (e *engines) nodes(root string, dir lineage.Direction) []string {
	e.t.Helper()
	g, err := lineage.Walk(context.Background(), e.pool, lineage.Query{Node: root, Direction: dir})
	if err != nil {
		e.t.Fatal(err)
	}
	var list []string
	for _, n := range g.Nodes {
		list = append(list, n.ID)
	}
	return list
}

func (e *engines) expect(root string, dir lineage.Direction, want ...string) {
	e.t.Helper()
	slices.Sort(want)
	if got := e.nodes(root, dir); !slices.Equal(got, want) {
		e.t.Errorf("%s:\nfound    %v\nexpected %v", root, got, want)
	}
}

// What the engines commit is what lineage reads: definitions as the registry stores them, loads, runs, the history and
// datasets.
func TestEngines(t *testing.T) {
	e := start(t)
	view := feature.View{
		Name: "delays", Entity: "airport", Features: []feature.Column{{Name: "delay", Type: feature.TypeInt64}},
		SQL: &feature.SQLTransform{
			Sources: []string{"flights"}, Query: "SELECT origin, event_time, available_at, delay FROM flights",
		},
	}
	definitions := &feature.Definitions{
		Entities: []feature.Entity{{Name: "airport", JoinKeys: []feature.Column{{Name: "origin", Type: feature.TypeString}}}},
		Sources: []feature.Source{{
			Name: "flights", EventTime: "date",
			Columns: []feature.Column{
				{Name: "date", Type: feature.TypeTimestamp}, {Name: "origin", Type: feature.TypeString}, {Name: "delay", Type: feature.TypeInt64},
			},
		}},
		Views:    []feature.View{view},
		Services: []feature.Service{{Name: "model", Views: []feature.ServiceView{{View: "delays"}}}},
	}
	e.apply(definitions)
	e.expect("service:model", lineage.Up, "service:model@1", "feature:delays@1.delay", "view:delays@1", "source:flights")

	e.ingest("a.csv", 0, 0, 10, 20)
	bad := e.ingest("bad.csv", 0, 10, 666)
	if r := e.materialize("delays"); r.State != materialize.Published {
		t.Fatalf("the run is %s: %s", r.State, r.Error)
	}
	before := e.build("training")
	e.expect("feature:delays.delay", lineage.Up,
		"feature:delays@1.delay", "view:delays@1", "source:flights", "run:delays@1/1", "load:1", "load:2")
	e.expect("load:2", lineage.Down, "load:2", "run:delays@1/1", "view:delays@1", "feature:delays@1.delay", "service:model@1",
		"dataset:"+before.ID)

	e.ingest("corrected.csv", bad, 10, 30)
	if r := e.materialize("delays"); r.Ledger.Inserted != 1 || r.Ledger.Withdrawn != 1 {
		t.Fatalf("the correction wrote %+v", r.Ledger)
	}
	after := e.build("training")
	e.expect("load:3", lineage.Down, "load:3", "run:delays@1/2", "view:delays@1", "feature:delays@1.delay", "service:model@1",
		"dataset:"+after.ID)
	e.expect("dataset:training@1", lineage.Up, "dataset:"+before.ID, "service:model@1", "feature:delays@1.delay", "view:delays@1",
		"source:flights", "run:delays@1/1", "load:1", "load:2")
	e.expect("dataset:training@2", lineage.Up, "dataset:"+after.ID, "service:model@1", "feature:delays@1.delay", "view:delays@1",
		"source:flights", "run:delays@1/1", "run:delays@1/2", "load:1", "load:2", "load:3")

	// A dataset of features by reference is of these.
	few := e.buildOf("few", []string{"delays@1.delay"})
	e.expect("dataset:few@1", lineage.Up, "dataset:"+few.ID, "feature:delays@1.delay", "view:delays@1", "source:flights", "run:delays@1/1",
		"run:delays@1/2", "load:1", "load:2", "load:3")
	e.expect("feature:delays.delay", lineage.Down, "feature:delays@1.delay", "service:model@1", "dataset:"+before.ID, "dataset:"+after.ID, "dataset:"+few.ID)
	e.expect("load:3", lineage.Down, "load:3", "run:delays@1/2", "view:delays@1", "feature:delays@1.delay", "service:model@1",
		"dataset:"+after.ID, "dataset:"+few.ID)
	if g, err := lineage.Walk(context.Background(), e.pool, lineage.Query{Node: "dataset:few@1", Direction: lineage.Up, Depth: 1}); err != nil || !slices.ContainsFunc(g.Nodes, func(n lineage.Node) bool {
		return n.Title == fmt.Sprintf("few@1, 1 row for 1 feature at position %d", few.Position) && n.Properties["features"] == "1" && n.Properties["service"] == ""
	}) {
		t.Errorf("found %+v, %v", g, err)
	}

	// A new version of the view stands beside the old one. Its run fails: two rows of one key at one time.
	view.SQL = &feature.SQLTransform{Sources: view.SQL.Sources, Query: "SELECT origin, event_time, available_at, delay FROM flights, " +
		"(VALUES (1), (2)) AS twice (n)"}
	definitions.Views[0] = view
	e.apply(definitions)
	r := e.materialize("delays")
	if r.State != materialize.Failed {
		t.Fatalf("the run is %s, expected it to fail", r.State)
	}
	e.expect("view:delays", lineage.Up, "view:delays@2", "source:flights")
	e.expect("run:delays@2/1", lineage.Down, "run:delays@2/1")
	g, err := lineage.Walk(context.Background(), e.pool, lineage.Query{Node: "run:delays@2/1", Direction: lineage.Up})
	if err != nil || !strings.HasPrefix(g.Nodes[0].Title, "failed, ") {
		t.Errorf("found %+v, %v, expected a title that says why it failed", g, err)
	}
}

// A table of others has no loads: a run read of the source itself, and says of what rows.
func TestTablesOfOthersInLineage(t *testing.T) {
	e := start(t)
	if _, err := e.pool.Exec(context.Background(), `CREATE TABLE public.flown (date timestamptz, origin text, delay int);
		INSERT INTO public.flown VALUES ('2001-01-01Z', 'JFK', 10), ('2001-01-02Z', 'JFK', 20)`); err != nil {
		t.Fatal(err)
	}
	e.apply(&feature.Definitions{
		Entities: []feature.Entity{{Name: "airport", JoinKeys: []feature.Column{{Name: "origin", Type: feature.TypeString}}}},
		Sources: []feature.Source{{
			Name: "flights", EventTime: "date", Postgres: &feature.PostgresOrigin{Schema: "public", Table: "flown"},
			Columns: []feature.Column{
				{Name: "date", Type: feature.TypeTimestamp}, {Name: "origin", Type: feature.TypeString}, {Name: "delay", Type: feature.TypeInt64},
			},
		}},
		Views: []feature.View{{
			Name: "delays", Entity: "airport", Features: []feature.Column{{Name: "delay", Type: feature.TypeInt64}},
			SQL: &feature.SQLTransform{Sources: []string{"flights"}, Query: "SELECT origin, event_time, available_at, delay FROM flights"},
		}},
	})
	if r := e.materialize("delays"); r.State != materialize.Published {
		t.Fatalf("the run is %s: %s", r.State, r.Error)
	}
	e.expect("view:delays", lineage.Up, "view:delays@1", "run:delays@1/1", "source:flights")
	e.expect("source:flights", lineage.Down, "source:flights", "view:delays@1", "feature:delays@1.delay", "run:delays@1/1")
	g, err := lineage.Walk(context.Background(), e.pool, lineage.Query{Node: "run:delays@1/1", Direction: lineage.Up})
	if err != nil || len(g.Nodes) != 2 || len(g.Edges) != 1 {
		t.Fatalf("found %+v, %v", g, err)
	}
	for _, n := range g.Nodes {
		p := n.Properties
		switch n.ID {
		case "source:flights":
			if n.Title != "table public.flown of others" || p["relation"] != "public.flown" {
				t.Errorf("found %s, %v", n.Title, p)
			}
		default:
			_, numbered := p["load_number.source:flights"]
			if p["rows_read.source:flights"] != "2" || p["relation.source:flights"] != "public.flown" || len(p["rows_digest.source:flights"]) != 64 || numbered {
				t.Errorf("found %v", p)
			}
		}
	}
}
