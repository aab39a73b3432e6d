package lineage_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/lineage"
	"github.com/headwaterhq/headwater/materialize"
)

// graph is a graph's edges, `FROM KIND TO`.
func (e *engines) graph(query lineage.Query) []string {
	e.t.Helper()
	g, err := lineage.Walk(context.Background(), e.pool, query)
	if err != nil {
		e.t.Fatalf("%+v: %v", query, err)
	}
	var list []string
	for _, edge := range g.Edges {
		list = append(list, fmt.Sprintf("%s %s %s", edge.From, edge.Kind, edge.To))
	}
	return list
}

func (e *engines) columns(root string, dir lineage.Direction, want ...string) {
	e.t.Helper()
	if got := e.graph(lineage.Query{Node: root, Direction: dir, Columns: true}); !slices.Equal(got, want) {
		e.t.Errorf("%s:\nfound\n%s\nexpected\n%s", root, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// layers is a view by SQL, one by aggregations, one over the first and one on demand, and a service of the three.
func layers() *feature.Definitions {
	return &feature.Definitions{
		Entities: []feature.Entity{{Name: "airport", JoinKeys: []feature.Column{{Name: "origin", Type: feature.TypeString}}}},
		Sources: []feature.Source{{Name: "flights", EventTime: "date", ArrivalExpression: "date + lag * interval '1 hour'", Columns: []feature.Column{
			{Name: "date", Type: feature.TypeTimestamp}, {Name: "origin", Type: feature.TypeString}, {Name: "delay", Type: feature.TypeInt64},
			{Name: "lag", Type: feature.TypeInt64}, {Name: "unused", Type: feature.TypeInt64},
		}}},
		Views: []feature.View{
			{
				Name: "delays", Entity: "airport", Features: []feature.Column{{Name: "delay", Type: feature.TypeInt64}},
				Attributes: []feature.Column{{Name: "late", Type: feature.TypeBool}},
				SQL: &feature.SQLTransform{Sources: []string{"flights"}, Query: "SELECT origin, event_time, available_at, delay, delay > 15 AS late FROM flights " +
					"WHERE delay IS NOT NULL"},
			},
			{
				Name: "twice", Entity: "airport", Features: []feature.Column{{Name: "delay", Type: feature.TypeInt64}},
				SQL: &feature.SQLTransform{Views: []feature.ViewRef{{Name: "delays"}}, Query: "SELECT origin, event_time, available_at, delay * 2 AS delay FROM delays WHERE late"},
			},
		},
		Services: []feature.Service{{Name: "model", Views: []feature.ServiceView{{View: "twice"}}}},
	}
}

func TestColumns(t *testing.T) {
	e := start(t)
	d := layers()
	e.apply(d)
	e.columns("view:twice#delay", lineage.Up,
		"source:flights definition source:flights#delay",
		"source:flights#delay value view:delays@1#delay",
		"source:flights#delay filter view:delays@1#delay",
		"source:flights#delay value view:delays@1#late",
		"source:flights#delay filter view:delays@1#late",
		"view:delays@1#delay value view:twice@1#delay",
		"view:delays@1#late filter view:twice@1#delay",
	)
	if up, same := e.graph(lineage.Query{Node: "feature:twice.delay", Direction: lineage.Up, Columns: true}),
		e.graph(lineage.Query{Node: "view:twice@1#delay", Direction: lineage.Up}); !slices.Equal(up, same) {
		t.Errorf("a feature is its column: found %v, expected %v", up, same)
	}
	// What an arrival expression names is in available_at, and so in what decides which row is the newest.
	e.columns("source:flights#lag", lineage.Down,
		"source:flights#available_at value view:delays@1#available_at",
		"source:flights#lag value source:flights#available_at",
		"view:delays@1#available_at value view:twice@1#available_at",
		"view:twice@1#available_at order service:model@1",
	)
	e.columns("source:flights#unused", lineage.Down)
	e.columns("source:flights#event_time", lineage.Up,
		"source:flights definition source:flights#date",
		"source:flights definition source:flights#event_time",
		"source:flights#date value source:flights#event_time",
	)
	if all := e.graph(lineage.Query{Node: "service:model", Direction: lineage.Up, Columns: true, Depth: 1}); !slices.Equal(all, []string{
		"view:twice@1#available_at order service:model@1", "view:twice@1#delay value service:model@1",
		"view:twice@1#event_time order service:model@1", "view:twice@1#origin join service:model@1",
	}) {
		t.Errorf("found %v", all)
	}
	if all := e.graph(lineage.Query{Node: "view:delays", Direction: lineage.Down, Columns: true, Depth: 1}); len(all) != 5 ||
		all[3] != "view:delays@1 definition view:delays@1#late" {
		t.Errorf("found %v", all)
	}
	if all := e.graph(lineage.Query{Node: "view:delays", Direction: lineage.Up, Columns: true, Depth: 1}); len(all) != 5 ||
		all[3] != "view:delays@1#late definition view:delays@1" {
		t.Errorf("found %v", all)
	}
	if all := e.graph(lineage.Query{Node: "source:flights", Direction: lineage.Down, Columns: true, Depth: 1}); len(all) != 7 {
		t.Errorf("found %v", all)
	}

	e.ingest2("day.csv")
	for _, view := range []string{"delays", "twice"} {
		if r := e.materialize(view); r.State != materialize.Published {
			t.Fatalf("the run is %s: %s", r.State, r.Error)
		}
	}
	m := e.build("training")
	few := e.buildOf("few", []string{"twice@1.delay"})
	down := e.graph(lineage.Query{Node: "view:twice#delay", Direction: lineage.Down})
	want := []string{"service:model@1 definition dataset:" + m.ID, "view:twice@1#delay value dataset:" + few.ID, "view:twice@1#delay value service:model@1"}
	if !slices.Equal(down, want) {
		t.Errorf("found %v, expected %v", down, want)
	}
	for root, sees := range map[string]string{"dataset:" + m.ID: "view:twice@1#origin join service:model@1", "dataset:" + few.ID: "view:twice@1#delay value dataset:" + few.ID} {
		if up := e.graph(lineage.Query{Node: root, Direction: lineage.Up, Columns: true}); !slices.Contains(up, sees) ||
			!slices.Contains(up, "source:flights#delay value view:delays@1#delay") {
			t.Errorf("%s: found %v", root, up)
		}
	}
	e.mirrored(m.ID, few.ID)

	// A source whose available_at is made otherwise: the edge ends, and the graph has it still as of before.
	d.Sources[0].ArrivalExpression = "date"
	e.apply(d)
	up := e.graph(lineage.Query{Node: "source:flights#available_at", Direction: lineage.Up, Depth: 1})
	if slices.Contains(up, "source:flights#lag value source:flights#available_at") {
		t.Errorf("found %v", up)
	}
	before, err := lineage.At(context.Background(), e.pool, 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	var applied lineage.Instant
	if err := e.pool.QueryRow(context.Background(), `SELECT min(valid_to) FROM headwater.column_edge`).Scan(&applied.Before); err != nil {
		t.Fatal(err)
	}
	applied.Position = before.Position
	g, err := lineage.Walk(context.Background(), e.pool, lineage.Query{Node: "source:flights#lag", Direction: lineage.Down, Depth: 1, At: applied, AsOf: "then"})
	if err != nil || len(g.Edges) != 1 || g.Edges[0].ValidTo != 2 {
		t.Errorf("found %+v, %v", g, err)
	}
	if up := e.graph(lineage.Query{Node: "source:flights#lag", Direction: lineage.Down}); len(up) != 0 {
		t.Errorf("found %v, expected nothing that is made of the column now", up)
	}

	for node, want := range map[string]string{
		"view:delays#no":   "there is no column delays#no; `headwater describe view delays` shows those of the view",
		"source:flights#n": "there is no column flights#n; `headwater describe source flights` shows those of the source",
		"load:1": "columns: found them asked of load:1, expected a source, view, feature, service, dataset, model, consumer or prediction: " +
			"a load has the columns of its source",
	} {
		_, err := lineage.Walk(context.Background(), e.pool, lineage.Query{Node: node, Direction: lineage.Up, Columns: true})
		if err == nil || err.Error() != want {
			t.Errorf("%s:\nfound    %v\nexpected %s", node, err, want)
		}
	}
}

// ingest2 loads flights with all columns.
func (e *engines) ingest2(file string) {
	e.t.Helper()
	e.ingestRows(file, 0, [][]feature.Value{
		{feature.Timestamp(feature.TimeOf(day)), feature.String("JFK"), feature.Int64(20), feature.Int64(1), feature.Int64(0)},
	})
}

// mirrored checks that every edge that is followed down from a source, a column of one, or a view's column is followed up from its far end.
func (e *engines) mirrored(datasets ...string) {
	e.t.Helper()
	up := map[string]bool{}
	for _, id := range datasets {
		for _, edge := range e.graph(lineage.Query{Node: "dataset:" + id, Direction: lineage.Up, Columns: true}) {
			up[edge] = true
		}
	}
	for _, root := range []string{"source:flights#date", "source:flights#delay", "view:delays#late"} {
		for _, edge := range e.graph(lineage.Query{Node: root, Direction: lineage.Down}) {
			if !up[edge] && !strings.Contains(edge, "late") {
				e.t.Errorf("from %s down %s, which is not followed up", root, edge)
			}
		}
	}
}

// What the migrations note of what is there already is what applying and publishing note.
func TestBackfills(t *testing.T) {
	e := start(t)
	e.apply(layers())
	ctx := context.Background()
	for _, delay := range []int64{20, 30, 40} {
		e.ingestRows(fmt.Sprint(delay, ".csv"), map[int64]int64{30: 1, 40: 2}[delay], [][]feature.Value{
			{feature.Timestamp(feature.TimeOf(day)), feature.String("JFK"), feature.Int64(delay), feature.Int64(1), feature.Int64(0)},
		})
		for _, view := range []string{"delays", "twice"} {
			if r := e.materialize(view); r.State != materialize.Published {
				t.Fatalf("the run is %s: %s", r.State, r.Error)
			}
		}
	}
	e.buildOf("few", []string{"twice@1.delay"})
	for _, of := range []struct {
		file   string
		tables []string
	}{
		{"00048_run_spans.sql", []string{"run_span", "run_correction"}},
		{"00049_column_lineage.sql", []string{"definition_column", "definition_input", "column_edge"}},
	} {
		text, err := os.ReadFile("../internal/database/migrations/" + of.file)
		if err != nil {
			t.Fatal(err)
		}
		_, block, _ := strings.Cut(string(text), "\nDO $$")
		block, _, found := strings.Cut(block, "END $$;")
		if !found {
			t.Fatalf("%s has no block at its end", of.file)
		}
		read := func(tx pgx.Tx) (all []string) {
			for _, table := range of.tables {
				rows, err := tx.Query(ctx, `SELECT r::text FROM headwater.`+table+` r ORDER BY 1`)
				if err != nil {
					t.Fatal(err)
				}
				lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
				if err != nil || len(lines) == 0 {
					t.Fatalf("%s: found %d rows, %v", table, len(lines), err)
				}
				all = append(all, lines...)
			}
			return all
		}
		tx, err := e.pool.Begin(ctx)
		if err != nil {
			t.Fatal(err)
		}
		noted := read(tx)
		if _, err := tx.Exec(ctx, "TRUNCATE headwater."+strings.Join(of.tables, ", headwater.")+"; DO $$"+block+"END $$;"); err != nil {
			t.Fatal(err)
		}
		if filled := read(tx); !slices.Equal(noted, filled) {
			t.Errorf("%s:\nnoted\n%s\nfilled\n%s", of.file, strings.Join(noted, "\n"), strings.Join(filled, "\n"))
		}
		if err := tx.Rollback(ctx); err != nil {
			t.Fatal(err)
		}
	}
	// The one row of the first run was corrected by the second, whose was by the third.
	if got := e.graph(lineage.Query{Node: "run:delays@1/2", Direction: lineage.Up, Depth: 1}); !slices.Contains(got, "run:delays@1/1 corrected run:delays@1/2") {
		t.Errorf("found %v", got)
	}
	if got := e.graph(lineage.Query{Node: "run:delays@1/2", Direction: lineage.Down}); !slices.Contains(got, "run:delays@1/2 corrected run:delays@1/3") {
		t.Errorf("found %v", got)
	}
}

// A graph in pages is the graph as it was when the first was read, whatever is published, built and applied in between.
func TestPages(t *testing.T) {
	e := start(t)
	d := layers()
	e.apply(d)
	e.ingest2("day.csv")
	ctx := context.Background()
	for _, view := range []string{"delays", "twice"} {
		e.materialize(view)
	}
	m := e.build("training")
	more := 0
	for _, query := range []lineage.Query{
		{Node: "source:flights", Direction: lineage.Down}, {Node: "source:flights", Direction: lineage.Down, Columns: true},
	} {
		whole, err := lineage.Walk(ctx, e.pool, query)
		if err != nil {
			t.Fatal(err)
		}
		for size := 1; size <= len(whole.Nodes)+1; size += 2 {
			var got lineage.Graph
			query.PageSize, query.PageToken = size, ""
			for {
				page, err := lineage.Walk(ctx, e.pool, query)
				if err != nil {
					t.Fatal(err)
				}
				if len(page.Nodes) > size || page.Root != whole.Root || page.At.Position != whole.At.Position {
					t.Fatalf("found a page of %d nodes of %s at %d", len(page.Nodes), page.Root, page.At.Position)
				}
				got.Nodes, got.Edges = append(got.Nodes, page.Nodes...), append(got.Edges, page.Edges...)
				for _, edge := range page.Edges {
					for _, end := range []string{edge.From, edge.To} {
						if !slices.ContainsFunc(got.Nodes, func(n lineage.Node) bool { return n.ID == end }) || page.Subjects[end] == "" {
							t.Errorf("pages of %d: %+v comes before %s", size, edge, end)
						}
					}
				}
				if query.PageToken = page.NextPage; query.PageToken == "" {
					break
				}
				if size == 3 {
					e.materialize("delays")
					more++
					e.ingest2(strings.Repeat("m", more) + ".csv")
				}
			}
			slices.SortFunc(got.Edges, func(a, b lineage.Edge) int {
				return slices.Compare([]string{a.From, a.To, a.Kind.String()}, []string{b.From, b.To, b.Kind.String()})
			})
			slices.SortFunc(whole.Edges, func(a, b lineage.Edge) int {
				return slices.Compare([]string{a.From, a.To, a.Kind.String()}, []string{b.From, b.To, b.Kind.String()})
			})
			if size == 3 {
				// From here on there is more.
				if whole, err = lineage.Walk(ctx, e.pool, lineage.Query{Node: query.Node, Direction: query.Direction, Columns: query.Columns}); err != nil {
					t.Fatal(err)
				}
				continue
			}
			if fmt.Sprint(got.Nodes) != fmt.Sprint(whole.Nodes) || !slices.Equal(got.Edges, whole.Edges) {
				t.Errorf("pages of %d:\nfound    %v %v\nexpected %v %v", size, got.Nodes, got.Edges, whole.Nodes, whole.Edges)
			}
		}
	}
	query := lineage.Query{Node: "view:twice", Direction: lineage.Down, PageSize: 1}
	first, err := lineage.Walk(ctx, e.pool, query)
	if err != nil {
		t.Fatal(err)
	}
	query.PageToken = first.NextPage
	other := query
	other.Depth = 1
	if _, err := lineage.Walk(ctx, e.pool, other); fault.ReasonOf(err) != fault.InvalidArgument ||
		!strings.HasSuffix(err.Error(), "expected the next_page_token of the page before, with all else as it was asked for") {
		t.Errorf("found %v", err)
	}
	if _, err := e.pool.Exec(ctx, `DELETE FROM headwater.dataset WHERE id = $1`, m.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := lineage.Walk(ctx, e.pool, query); fault.ReasonOf(err) != fault.FailedPrecondition ||
		!strings.Contains(err.Error(), "is not what it was when its first page was read") {
		t.Errorf("found %v", err)
	}
}
