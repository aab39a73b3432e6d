package server

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

func (p *product) impact(ctx context.Context, req *headwaterv1.GetImpactRequest) *headwaterv1.GetImpactResponse {
	p.t.Helper()
	r, err := p.lineage.GetImpact(ctx, req)
	if err != nil {
		p.t.Fatal(fault.FromError(err))
	}
	return r
}

// impactText is an impact as tests compare it, datasets by their names.
func impactText(r *headwaterv1.GetImpactResponse) string {
	var b strings.Builder
	nodes := slices.Clone(r.GetNodes())
	slices.SortStableFunc(nodes, func(a, b *headwaterv1.ImpactedNode) int {
		if strings.HasPrefix(a.GetId(), "dataset:") && strings.HasPrefix(b.GetId(), "dataset:") {
			return strings.Compare(a.GetTitle(), b.GetTitle())
		}
		return 0
	})
	for _, n := range nodes {
		id := n.GetId()
		if strings.HasPrefix(id, "dataset:") {
			id = "dataset " + strings.Split(n.GetTitle(), ",")[0]
		}
		b.WriteString(id)
		for _, c := range []struct {
			name string
			n    int64
		}{{"entities", n.GetEntities()}, {"rows", n.GetRows()}, {"live", n.GetLiveRows()}, {"predictions", n.GetPredictions()}} {
			if c.n != 0 {
				fmt.Fprintf(&b, " %s=%d", c.name, c.n)
			}
		}
		if n.GetHow() != "" {
			fmt.Fprintf(&b, " by %s", n.GetHow())
		}
		if !n.GetExact() {
			b.WriteString(" not exact")
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "entities %d, predictions %d, hidden %d, unlogged %v\n", r.GetEntities(), r.GetPredictions(), r.GetHidden(), r.GetUnlogged())
	for _, note := range r.GetNotes() {
		fmt.Fprintf(&b, "note: %s\n", note)
	}
	return b.String()
}

func expectImpact(t *testing.T, r *headwaterv1.GetImpactResponse, want string) {
	t.Helper()
	if found := impactText(r); found != strings.TrimPrefix(want, "\n") {
		t.Errorf("found\n%s\nexpected\n%s", found, strings.TrimPrefix(want, "\n"))
	}
}

// impactWorld is a product with many loads of a source, of which one is bad: it has one row, of JFK.
type impactWorld struct {
	*product
	start    time.Time
	bad      *headwaterv1.Load
	datasets map[string]string
	// affected and clean are reads of JFK and of others.
	affected, clean *headwaterv1.GetFeaturesResponse
}

func impactDefinitions() *feature.Definitions {
	d := definitions()
	sql := func(columns, from, where string) *feature.SQLTransform {
		s := &feature.SQLTransform{Query: "SELECT origin, " + columns + ", event_time, available_at FROM " + from + " WHERE event_time >= {{interval.start}} AND event_time < {{interval.end}}" + where}
		if from == "flights" {
			s.Sources = []string{from}
		} else {
			s.Views = []feature.ViewRef{{Name: from}}
		}
		return s
	}
	number := func(name string) feature.Column { return feature.Column{Name: name, Type: feature.TypeInt64} }
	delay := feature.Column{Name: "delay", Type: feature.TypeFloat64}
	d.Views = []feature.View{
		{Name: "delays", Entity: "airport", Docs: feature.Docs{Owner: "ops@example.com"}, Features: []feature.Column{delay, {Name: "words", Type: feature.TypeString}},
			SQL: sql("delay, words", "flights", "")},
		{Name: "numbers", Entity: "airport", Features: []feature.Column{number("number")}, SQL: sql("number", "flights", "")},
		{Name: "late", Entity: "airport", Features: []feature.Column{{Name: "late", Type: feature.TypeBool}, {Name: "words", Type: feature.TypeString}},
			SQL: sql("delay > 100 AS late, words", "delays", "")},
		{Name: "busy", Entity: "airport", Features: []feature.Column{number("flights"), {Name: "worst", Type: feature.TypeFloat64}},
			Aggregation: &feature.Aggregation{Source: "flights", Hop: time.Hour, Aggregates: []feature.Aggregate{
				{Feature: "flights", Function: feature.Count, Window: 2 * time.Hour}, {Feature: "worst", Function: feature.Max, Column: "delay", Window: 2 * time.Hour},
			}}},
		onDemandView("twice", nil, []feature.ViewRef{{Name: "delays"}}, [3]string{"delay", "float64", "delays.delay * 2.0"}, [3]string{"words", "string", "delays.words + '!'"}),
	}
	d.Services = []feature.Service{
		{Name: "scoring", Log: "all", Docs: feature.Docs{Owner: "ml@example.com"}, Views: []feature.ServiceView{{View: "delays", Features: []string{"delay"}}, {View: "twice", Features: []string{"words"}}}},
		{Name: "counting", Log: "all", Views: []feature.ServiceView{{View: "numbers"}}},
		{Name: "idle", Log: "all", Views: []feature.ServiceView{{View: "numbers"}}},
		{Name: "quiet", Views: []feature.ServiceView{{View: "busy"}, {View: "late", Features: []string{"late"}}}},
	}
	return d
}

func newImpactWorld(t *testing.T, change func(*feature.Definitions)) *impactWorld {
	w := &impactWorld{product: newProduct(t), start: time.Now().UTC().Truncate(time.Hour).Add(-100 * time.Hour), datasets: map[string]string{}}
	d := impactDefinitions()
	if change != nil {
		change(d)
	}
	w.apply(d)
	names := []string{"ORD", "JFK", "LAX"}
	for i := range 5 {
		var rows [][]feature.Value
		for k, name := range names {
			rows = append(rows, flight(name, 7, w.start.Add(time.Duration(i*3+k)*time.Minute), feature.Float64(float64(10*i+k))))
		}
		w.ingestFile(fmt.Sprintf("day-%d.csv", i), flights(rows...))
	}
	w.run()
	w.dataset("before", "scoring", "ORD", "JFK")
	w.read("scoring", "origin", "JFK")
	w.bad = w.ingestFile("bad.csv", flights(flight("JFK", 8, w.start.Add(50*time.Hour), feature.Float64(9999))))
	w.run()
	// Rows of others later, of the same run as the next of JFK's rows that stay.
	w.ingestFile("late.csv", flights(flight("LAX", 9, w.start.Add(60*time.Hour), feature.Float64(1))))
	w.run()
	w.dataset("jfk", "scoring", "ORD", "JFK", "JFK")
	w.dataset("ord", "scoring", "ORD", "LAX")
	w.dataset("numbers", "counting", "JFK")
	w.datasetAt("early", "scoring", w.start.Add(40*time.Hour), "JFK")
	w.affected = w.read("scoring", "origin", "ORD", "JFK")
	w.read("scoring", "origin", "JFK")
	w.clean = w.read("scoring", "origin", "ORD", "LAX")
	w.read("counting", "origin", "JFK")
	w.read("counting", "origin", "ORD")
	w.read("quiet", "origin", "JFK")
	for _, m := range []*headwaterv1.RegisterModelRequest{
		{Name: "wrong", Dataset: w.datasets["jfk"], Service: "counting", Owner: "eve@example.com"}, {Name: "right", Dataset: w.datasets["ord"], Service: "idle"},
		{Name: "served", Service: "scoring"}, {Name: "unsure", Service: "quiet"},
	} {
		if _, err := w.lineage.RegisterModel(w.admin, m); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// run materializes all views anew.
func (w *impactWorld) run() {
	w.t.Helper()
	w.materialize("delays", "numbers", "late", "busy")
}

func (w *impactWorld) dataset(name, service string, origins ...string) {
	w.t.Helper()
	w.datasetAt(name, service, w.start.Add(90*time.Hour), origins...)
}

func (w *impactWorld) datasetAt(name, service string, at time.Time, origins ...string) {
	w.t.Helper()
	var rows [][]feature.Value
	for _, origin := range origins {
		rows = append(rows, asked(origin, 7, at))
	}
	_, m, err := w.build(w.admin, service, &headwaterv1.BuildDatasetHeader{Name: name, AllowPartial: true}, spineOf(rows...).arrow(w.t))
	if err != nil {
		w.t.Fatal(fault.FromError(err))
	}
	w.datasets[name] = m.GetId()
}

// One bad file among many: its impact is the features, datasets, reads and models that used it, and no others.
func TestImpactOfABadFile(t *testing.T) {
	t.Parallel()
	w := newImpactWorld(t, nil)
	byLoad := &headwaterv1.GetImpactRequest{Source: "flights", Load: w.bad.GetId()}
	all := w.impact(w.admin, byLoad)
	const want = `
view:busy@1 entities=1 rows=1 live=1
view:delays@1 entities=1 rows=1 live=1
view:late@1 entities=1 rows=1 live=1
view:numbers@1 entities=1 rows=1 live=1
view:twice@1
feature:busy@1.flights by filter, group
feature:busy@1.worst by value, filter, group
feature:delays@1.delay by value, filter
feature:delays@1.words by value, filter
feature:late@1.late by value, filter
feature:late@1.words by value, filter
feature:numbers@1.number by value, filter
feature:twice@1.delay by value, filter
feature:twice@1.words by value, filter
service:counting@1 predictions=1
service:idle@1
service:quiet@1
service:scoring@1 predictions=2
dataset jfk@1 rows=2
dataset numbers@1 rows=1
model:served@1
model:unsure@1 not exact
model:wrong@1
entities 1, predictions 3, hidden 0, unlogged [quiet]
`
	expectImpact(t, all, want)
	for _, n := range all.GetNodes() {
		owner := map[string]string{"view:delays@1": "ops@example.com", "service:scoring@1": "ml@example.com", "model:wrong@1": "eve@example.com", "dataset:" + w.datasets["jfk"]: "ada"}[n.GetId()]
		if owner != "" && n.GetOwner() != owner {
			t.Errorf("%s: found the owner %q, expected %q", n.GetId(), n.GetOwner(), owner)
		}
	}
	expectRepairs(t, all, fmt.Sprintf(`
headwater loads retract %[1]d --reason REASON
headwater materialize delays@1 --wait
headwater materialize numbers@1 --wait
headwater materialize late@1 --wait
headwater materialize busy@1 --wait
headwater online rebuild delays@1
headwater online rebuild numbers@1
headwater online rebuild late@1
headwater online rebuild busy@1
headwater dataset build --service counting --name numbers --spine SPINE --out FILE
headwater dataset build --service scoring --name jfk --spine SPINE --out FILE
headwater model register wrong --dataset DATASET --service counting
`, w.bad.GetId()))

	// The same by the window in which it has its row, but for what is to be done about it.
	window := &headwaterv1.GetImpactRequest{Source: "flights", From: timestamppb.New(w.start.Add(50 * time.Hour)), To: timestamppb.New(w.start.Add(50*time.Hour + time.Microsecond))}
	inWindow := w.impact(w.admin, window)
	expectImpact(t, inWindow, want)
	if first := inWindow.GetRepairs()[0].GetCommand(); first != fmt.Sprintf("headwater materialize delays@1 --from %s --to %s --wait", feature.TimeOf(w.start.Add(50*time.Hour)), feature.TimeOf(w.start.Add(50*time.Hour+time.Microsecond))) {
		t.Errorf("found %s", first)
	}
	window.From, window.To = timestamppb.New(w.start.Add(51*time.Hour)), timestamppb.New(w.start.Add(52*time.Hour))
	expectImpact(t, w.impact(w.admin, window), "\nentities 0, predictions 0, hidden 0, unlogged []\n")

	// By a column, what does not use it is not reached.
	expectImpact(t, w.impact(w.admin, &headwaterv1.GetImpactRequest{Source: "flights", Load: w.bad.GetId(), Column: "delay"}), `
view:busy@1 entities=1 rows=1 live=1
view:delays@1 entities=1 rows=1 live=1
view:late@1 entities=1 rows=1 live=1
view:twice@1
feature:busy@1.worst by value
feature:delays@1.delay by value
feature:late@1.late by value
feature:twice@1.delay by value
service:quiet@1
service:scoring@1 predictions=2
dataset jfk@1 rows=2
model:served@1
model:unsure@1 not exact
model:wrong@1
entities 1, predictions 2, hidden 0, unlogged [quiet]
`)
	expectImpact(t, w.impact(w.admin, &headwaterv1.GetImpactRequest{Source: "flights", Load: w.bad.GetId(), Column: "number"}), `
view:numbers@1 entities=1 rows=1 live=1
feature:numbers@1.number by value
service:counting@1 predictions=1
service:idle@1
dataset numbers@1 rows=1
model:wrong@1
entities 1, predictions 1, hidden 0, unlogged []
`)

	// All rows of the source reach all that there is.
	whole := w.impact(w.admin, &headwaterv1.GetImpactRequest{Source: "flights"})
	for _, want := range []string{
		"view:delays@1 entities=3 rows=17 live=17\n", "view:late@1 entities=3 rows=17 live=17\n", "service:scoring@1 predictions=4\n", "service:counting@1 predictions=2\n",
		"dataset before@1 rows=2\ndataset early@1 rows=1\ndataset jfk@1 rows=3\ndataset numbers@1 rows=1\ndataset ord@1 rows=2\n", "entities 3, predictions 6,",
	} {
		if !strings.Contains(impactText(whole), want) {
			t.Errorf("found\n%s\nexpected in it\n%s", impactText(whole), want)
		}
	}

	// A trace of an affected prediction names the file, one of another does not.
	if text := traceText(w.trace(w.admin, &headwaterv1.TraceReadRequest{ReadId: w.affected.GetReadId(), Row: 1})); !strings.Contains(text, fmt.Sprintf("load:%d bad.csv", w.bad.GetId())) {
		t.Errorf("found\n%s", text)
	}
	for row := range 2 {
		if text := traceText(w.trace(w.admin, &headwaterv1.TraceReadRequest{ReadId: w.clean.GetReadId(), Row: int32(row)})); strings.Contains(text, "bad.csv") {
			t.Errorf("found\n%s", text)
		}
	}

	// Page by page it is the same.
	var nodes []*headwaterv1.ImpactedNode
	paged := &headwaterv1.GetImpactRequest{Source: "flights", Load: w.bad.GetId(), PageSize: 7}
	for range 10 {
		page := w.impact(w.admin, paged)
		if len(page.GetNodes()) > 7 || page.GetPredictions() != 3 || (len(page.GetRepairs()) > 0) != (paged.PageToken == "") {
			t.Fatalf("found %v", page)
		}
		nodes = append(nodes, page.GetNodes()...)
		if paged.PageToken = page.GetNextPageToken(); paged.PageToken == "" {
			break
		}
	}
	all.Nodes = nodes
	expectImpact(t, all, want)

	// Taken back and computed anew, nothing holds it but what was made before.
	if _, err := w.loads.RetractLoad(w.admin, &headwaterv1.RetractLoadRequest{Id: w.bad.GetId(), Reason: "wrong"}); err != nil {
		t.Fatal(err)
	}
	w.run()
	w.dataset("mended", "scoring", "JFK")
	w.read("scoring", "origin", "JFK")
	mended := w.impact(w.admin, byLoad)
	expectImpact(t, mended, `
view:busy@1 rows=1
view:delays@1 rows=1
view:late@1 rows=1
view:numbers@1 rows=1
view:twice@1
feature:busy@1.flights by filter, group
feature:busy@1.worst by value, filter, group
feature:delays@1.delay by value, filter
feature:delays@1.words by value, filter
feature:late@1.late by value, filter
feature:late@1.words by value, filter
feature:numbers@1.number by value, filter
feature:twice@1.delay by value, filter
feature:twice@1.words by value, filter
service:counting@1 predictions=1
service:quiet@1
service:scoring@1 predictions=2
dataset jfk@1 rows=2
dataset numbers@1 rows=1
model:served@1
model:unsure@1 not exact
model:wrong@1
entities 0, predictions 3, hidden 0, unlogged [quiet]
`)
	expectRepairs(t, mended, `
headwater dataset build --service counting --name numbers --spine SPINE --out FILE
headwater dataset build --service scoring --name jfk --spine SPINE --out FILE
headwater model register wrong --dataset DATASET --service counting
`)

	// Reads of so long ago that none is kept are told of, and so is the service that may have answered them.
	if _, err := w.pool.Exec(w.admin, `UPDATE headwater.publish_log SET published_at = published_at - interval '100 days'`); err != nil {
		t.Fatal(err)
	}
	if text := impactText(w.impact(w.admin, byLoad)); !strings.Contains(text, "service:idle@1 not exact\n") || !strings.Contains(text, "model:right@1 not exact\n") ||
		!strings.Contains(text, "note: service idle@1: reads of before ") {
		t.Errorf("found\n%s", text)
	}
}

func expectRepairs(t *testing.T, r *headwaterv1.GetImpactResponse, want string) {
	t.Helper()
	var commands []string
	for _, step := range r.GetRepairs() {
		if step.GetWhy() == "" || step.GetNode() == "" {
			t.Errorf("found %v", step)
		}
		commands = append(commands, step.GetCommand())
	}
	if found := strings.Join(commands, "\n"); found != strings.TrimSpace(want) {
		t.Errorf("found\n%s\nexpected%s", found, want)
	}
}

// A value that is the same with the bad row and without it is not affected once a run has computed it without.
func TestImpactEndsWhereARunFoundTheSame(t *testing.T) {
	t.Parallel()
	p := newProduct(t)
	d := impactDefinitions()
	p.apply(d)
	start := time.Now().UTC().Truncate(time.Hour).Add(-100 * time.Hour)
	// The bad file comes first, and a good one has the same after it.
	bad := p.ingestFile("bad.csv", flights(flight("JFK", 7, start, feature.Float64(5))))
	p.materialize("delays", "late")
	p.ingestFile("good.csv", flights(flight("JFK", 7, start.Add(time.Hour), feature.Float64(7))))
	p.materialize("delays", "late")
	w := &impactWorld{product: p, start: start, datasets: map[string]string{}}
	w.datasetAt("then", "scoring", start.Add(time.Minute), "JFK")
	if r := w.impact(p.admin, &headwaterv1.GetImpactRequest{Source: "flights", Load: bad.GetId()}); r.GetEntities() != 1 || !strings.Contains(impactText(r), "dataset then@1 rows=1\n") {
		t.Errorf("found\n%s", impactText(r))
	}
	replaced := p.ingest(flights(flight("JFK", 7, start, feature.Float64(5))), bad.GetId())
	p.materialize("delays", "late")
	w.datasetAt("now", "scoring", start.Add(time.Minute), "JFK")
	if r := w.impact(p.admin, &headwaterv1.GetImpactRequest{Source: "flights", Load: bad.GetId()}); r.GetEntities() != 0 || !strings.Contains(impactText(r), "dataset then@1 rows=1\n") ||
		strings.Contains(impactText(r), "dataset now@1") || strings.Contains(impactText(r), "live=") {
		t.Errorf("found\n%s", impactText(r))
	}
	// What came in its place wrote nothing: the row is what it was.
	expectImpact(t, w.impact(p.admin, &headwaterv1.GetImpactRequest{Source: "flights", Load: replaced.GetId()}), fmt.Sprintf("\nentities 0, predictions 0, hidden 0, unlogged []\n"+
		"note: load %d replaced load %d: what became of rows that it took away is not told here; headwater impact flights --load %[2]d does\n", replaced.GetId(), bad.GetId()))
}

// Who may read the lineage and not the rows is told by runs; what may not be seen is counted.
func TestImpactDependsOnNoRowThatIsHidden(t *testing.T) {
	t.Parallel()
	w := newImpactWorld(t, func(d *feature.Definitions) {
		d.Roles = []feature.Role{
			role("lineage", "read_lineage on source:*,view:*,service:*,dataset:*,model:*"),
			role("rows", "read_lineage,read_offline on source:*,view:*,service:*,dataset:*", "read_lineage on model:*"),
			role("few", "read_lineage on source:flights,view:delays,service:quiet"),
		}
		filter := feature.Policy{Name: "some_places", Resources: []feature.ResourcePattern{{Kind: "view", Name: "delays"}}, RowFilter: "row.words == 'from ORD'", ExceptRoles: []string{"admin", "whole"}}
		d.Policies = append(d.Policies, filter)
		d.Roles = append(d.Roles, role("whole", "read_lineage,read_offline on source:*,view:*,service:*,dataset:*", "read_lineage on model:*"))
	})
	byLoad := &headwaterv1.GetImpactRequest{Source: "flights", Load: w.bad.GetId()}
	whole := impactText(w.impact(w.as("w", "whole"), byLoad))
	if admin := impactText(w.impact(w.admin, byLoad)); whole != admin {
		t.Errorf("found\n%s\nexpected\n%s", whole, admin)
	}
	text := impactText(w.impact(w.as("l", "lineage"), byLoad))
	for _, line := range []string{
		"view:delays@1 not exact\n", "view:numbers@1 not exact\n", "service:scoring@1 predictions=3 not exact\n", "dataset ord@1 not exact\n",
		"entities 0, predictions", "note: view delays@1: you may not read_offline source:flights as a whole, so all counts that runs wrote which read those rows\n",
	} {
		if !strings.Contains(text, line) {
			t.Errorf("found\n%s\nexpected %s", text, line)
		}
	}
	// It is the same whatever the rows are, as long as the runs read them.
	if _, err := w.pool.Exec(w.admin, `UPDATE headwater_landing.flights SET origin = 'ORD' WHERE _load = $1`, w.bad.GetId()); err != nil {
		t.Fatal(err)
	}
	if again := impactText(w.impact(w.as("l", "lineage"), byLoad)); again != text {
		t.Errorf("found\n%s\nexpected\n%s", again, text)
	}
	if _, err := w.pool.Exec(w.admin, `UPDATE headwater_landing.flights SET origin = 'JFK' WHERE _load = $1`, w.bad.GetId()); err != nil {
		t.Fatal(err)
	}
	// A row filter on one view hides its rows, and what is made of them.
	text = impactText(w.impact(w.as("r", "rows"), byLoad))
	for _, line := range []string{"view:delays@1 not exact\n", "view:late@1 not exact\n", "view:numbers@1 entities=1 rows=1 live=1\n", "dataset ord@1 not exact\n", "dataset numbers@1 rows=1\n"} {
		if !strings.Contains(text, line) {
			t.Errorf("found\n%s\nexpected %s", text, line)
		}
	}
	few := w.impact(w.as("f", "few"), byLoad)
	if found := impactText(few); !strings.HasPrefix(found, "view:delays@1 not exact\nfeature:delays@1.delay by value, filter not exact\nfeature:delays@1.words by value, filter not exact\nservice:quiet@1 not exact\nentities 0, predictions 0, hidden ") ||
		few.GetHidden() == 0 || strings.Contains(found, "scoring") || strings.Contains(found, "numbers") {
		t.Errorf("found\n%s", found)
	}
	// Nor are views that may not be seen named by what is told of others.
	for _, name := range []string{"late@", ":late", "busy", "numbers", "counting", "scoring"} {
		if strings.Contains(few.String(), name) {
			t.Errorf("found %s in\n%s", name, few)
		}
	}
	for _, step := range few.GetRepairs() {
		if strings.Contains(step.GetCommand(), "numbers") || strings.Contains(step.GetCommand(), "dataset") {
			t.Errorf("found %v", step)
		}
	}
}

// A column of which a view makes an attribute alone reaches the views over it that make a feature of that.
func TestImpactGoesThroughAttributes(t *testing.T) {
	p := newProduct(t)
	d := impactDefinitions()
	words := []feature.Column{{Name: "words", Type: feature.TypeString}}
	d.Views = append(d.Views,
		feature.View{Name: "kept", Entity: "airport", Features: []feature.Column{{Name: "number", Type: feature.TypeInt64}}, Attributes: words, SQL: &feature.SQLTransform{Sources: []string{"flights"},
			Query: "SELECT origin, number, words, event_time, available_at FROM flights WHERE event_time >= {{interval.start}} AND event_time < {{interval.end}}"}},
		feature.View{Name: "said", Entity: "airport", Features: words, SQL: &feature.SQLTransform{Views: []feature.ViewRef{{Name: "kept"}},
			Query: "SELECT origin, words, event_time, available_at FROM kept WHERE event_time >= {{interval.start}} AND event_time < {{interval.end}}"}})
	p.apply(d)
	load := p.ingestFile("a.csv", flights(flight("JFK", 7, time.Now().UTC().Add(-time.Hour), feature.Float64(5))))
	p.materialize("kept", "said")
	expectImpact(t, p.impact(p.admin, &headwaterv1.GetImpactRequest{Source: "flights", Load: load.GetId(), Column: "words"}), `
view:said@1 entities=1 rows=1 live=1
feature:said@1.words by value
entities 1, predictions 0, hidden 0, unlogged []
`)
}

func TestImpactRefuses(t *testing.T) {
	p := newProduct(t)
	d := impactDefinitions()
	d.Roles = []feature.Role{role("none", "read_lineage on source:others")}
	p.apply(d)
	load := p.ingestFile("a.csv", flights(flight("JFK", 7, time.Now().Add(-time.Hour), feature.Float64(5))))
	if _, err := p.loads.RetractLoad(p.admin, &headwaterv1.RetractLoadRequest{Id: load.GetId(), Reason: "wrong"}); err != nil {
		t.Fatal(err)
	}
	back := p.count(`SELECT id FROM headwater.load WHERE ends = $1`, load.GetId())
	at := timestamppb.New(time.Unix(0, 0))
	for _, c := range []struct {
		req    *headwaterv1.GetImpactRequest
		reason fault.Reason
		want   string
	}{
		{&headwaterv1.GetImpactRequest{Source: "fligths"}, fault.NotFound, "there is no source fligths; "},
		{&headwaterv1.GetImpactRequest{Source: "flights", Column: "dely"}, fault.NotFound, "there is no column flights#dely; `headwater describe source flights` shows those of the source"},
		{&headwaterv1.GetImpactRequest{Source: "flights", Load: 999}, fault.NotFound, "source flights has no load 999; `headwater loads list flights` shows those of the source"},
		{&headwaterv1.GetImpactRequest{Source: "flights", Load: back}, fault.InvalidArgument,
			fmt.Sprintf("load: found load %d, which took load %d back and has no rows; ask for load %[2]d", back, load.GetId())},
		{&headwaterv1.GetImpactRequest{Source: "flights", Load: load.GetId(), From: at}, fault.InvalidArgument, "load: found one beside a window, expected one of them"},
		{&headwaterv1.GetImpactRequest{Source: "flights", From: at, To: at}, fault.InvalidArgument, "to: found 1970-01-01T00:00:00Z, which is not after 1970-01-01T00:00:00Z, expected a window of event times"},
		{&headwaterv1.GetImpactRequest{Source: "flights", PageToken: "x"}, fault.InvalidArgument, `page_token: found "x", expected the next_page_token of the page before, with all else as it was asked for`},
	} {
		_, err := p.lineage.GetImpact(p.admin, c.req)
		if f := fault.FromError(err); f == nil || f.Reason != c.reason || !strings.HasPrefix(f.Message, c.want) {
			t.Errorf("found %v, expected %s", err, c.want)
		}
	}
	if _, err := p.lineage.GetImpact(p.as("n", "none"), &headwaterv1.GetImpactRequest{Source: "flights"}); err == nil {
		t.Error("who may not read the lineage of the source is told of its impact")
	}

	// What takes too long, or waits too long for its place, is ended by the server.
	s := p.server.lineage
	s.impactTime = 0
	_, err := p.lineage.GetImpact(p.admin, &headwaterv1.GetImpactRequest{Source: "flights"})
	if f := fault.FromError(err); f == nil || f.Reason != fault.DeadlineExceeded && f.Reason != fault.ResourceExhausted {
		t.Errorf("found %v", err)
	}
	for range maxImpacts {
		s.impacts <- struct{}{}
	}
	_, err = p.lineage.GetImpact(p.admin, &headwaterv1.GetImpactRequest{Source: "flights"})
	wantFault(t, err, fault.ResourceExhausted, "impact: this server tells of 2 at a time, and none of those had ended after 0s; ask again later")
	for range maxImpacts {
		<-s.impacts
	}
	s.impactTime = maxImpactTime
}

// An impact that has begun is ended when its time is over, with what to ask for.
func TestImpactEndsInTime(t *testing.T) {
	p := newProduct(t)
	p.apply(impactDefinitions())
	p.ingestFile("a.csv", flights(flight("JFK", 7, time.Now().Add(-time.Hour), feature.Float64(5))))
	p.materialize("delays")
	s := p.server.lineage
	// Another holds what an impact reads, so that it cannot end.
	lock, err := p.pool.Begin(p.admin)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Rollback(p.admin)
	if _, err := lock.Exec(p.admin, `LOCK TABLE headwater.publish_log IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	s.impactTime = time.Second
	_, err = p.lineage.GetImpact(p.admin, &headwaterv1.GetImpactRequest{Source: "flights"})
	wantFault(t, err, fault.DeadlineExceeded, "impact: found that what rows of source flights reach takes longer than 1s to tell, which is how long one may take; ask for less: "+
		"for one load (--load), for a shorter window of event times (--from, --to) or for one column (--column)")
	if err := lock.Rollback(p.admin); err != nil {
		t.Fatal(err)
	}
	s.impactTime = maxImpactTime
	if _, err := p.lineage.GetImpact(p.admin, &headwaterv1.GetImpactRequest{Source: "flights"}); err != nil {
		t.Error(fault.FromError(err))
	}
}

// Keys that reads keep as hashes are found, also after the history that was served is collected.
func TestImpactOnHashedKeysAndCollectedHistory(t *testing.T) {
	t.Parallel()
	w := newImpactWorld(t, func(d *feature.Definitions) { d.Entities[0].JoinKeys[0].Tags = []string{"pii"} })
	if keys := w.loggedRead(w.affected.GetReadId()).GetRead().GetKeys(); len(keys) != 1 || len(keys[0].GetHashes()) != 2 {
		t.Fatalf("found %v, expected hashes", keys)
	}
	byLoad := &headwaterv1.GetImpactRequest{Source: "flights", Load: w.bad.GetId()}
	if r := w.impact(w.admin, byLoad); r.GetPredictions() != 3 || r.GetEntities() != 1 {
		t.Errorf("found\n%s", impactText(r))
	}
	if _, err := w.loads.RetractLoad(w.admin, &headwaterv1.RetractLoadRequest{Id: w.bad.GetId(), Reason: "wrong"}); err != nil {
		t.Fatal(err)
	}
	w.run()
	for name, id := range w.datasets {
		if name != "ord" {
			if _, err := w.product.datasets.DeleteDataset(w.admin, &headwaterv1.DeleteDatasetRequest{Dataset: id, Reason: "a test"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := w.retention.CollectHistory(w.admin, &headwaterv1.CollectHistoryRequest{OlderThan: durationpb.New(0)}); err != nil {
		t.Fatal(err)
	}
	if n := w.count(`SELECT count(*) FROM headwater_history.numbers_v1 WHERE seq_to < 100`); n != 0 {
		t.Fatalf("found %d rows that ended, expected them collected", n)
	}
	r := w.impact(w.admin, byLoad)
	text := impactText(r)
	if r.GetPredictions() < 3 || r.GetEntities() != 0 || !strings.Contains(text, "feature:numbers@1.number") || !strings.Contains(text, "service:counting@1") {
		t.Errorf("found\n%s", text)
	}
}

// A row that takes the place of another, views with grains over views, tables of others, joins, and services that follow views.
func TestImpactThroughGroupsAndUniqueKeys(t *testing.T) {
	p := newProduct(t)
	d := impactDefinitions()
	d.Sources[0].UniqueKey, d.Sources[0].Conflicting = []string{"number"}, feature.KeepNewest
	delay := []feature.Column{{Name: "delay", Type: feature.TypeFloat64}}
	hourly := &feature.SQLTransform{Sources: []string{"flights"}, Query: `SELECT origin, date_trunc('hour', event_time) + interval '1 hour' AS event_time, max(available_at) AS available_at, max(delay) AS delay
		FROM flights WHERE event_time >= {{interval.start}} AND event_time < {{interval.end}} GROUP BY origin, date_trunc('hour', event_time)`}
	daily := &feature.SQLTransform{Views: []feature.ViewRef{{Name: "hourly"}}, Query: `SELECT origin, date_trunc('day', event_time - interval '1 hour') + interval '1 day' AS event_time, max(available_at) AS available_at, max(delay) AS delay
		FROM hourly GROUP BY origin, date_trunc('day', event_time - interval '1 hour')`}
	among := &feature.SQLTransform{Sources: []string{"flights"}, Query: `SELECT f.origin, f.event_time, f.available_at, f.delay - (SELECT min(o.delay) FROM flights o WHERE o.event_time = f.event_time AND o.available_at <= f.available_at) AS delay
		FROM flights f WHERE f.event_time >= {{interval.start}} AND f.event_time < {{interval.end}}`}
	d.Views = append(d.Views, feature.View{Name: "hourly", Entity: "airport", Grain: time.Hour, Features: delay, SQL: hourly},
		feature.View{Name: "daily", Entity: "airport", Grain: 24 * time.Hour, Features: delay, SQL: daily}, feature.View{Name: "among", Entity: "airport", Features: delay, SQL: among})
	d.Services = append(d.Services, feature.Service{Name: "followed", Log: "all", Views: []feature.ServiceView{{View: "daily", Published: true}}},
		feature.Service{Name: "joined", Log: "all", Views: []feature.ServiceView{{View: "hourly"}}})
	p.apply(d)
	day := time.Now().UTC().Truncate(24 * time.Hour).Add(-10 * 24 * time.Hour)
	p.ingest(flights(flight("ORD", 1, day.Add(time.Hour), feature.Float64(1)), flight("JFK", 2, day.Add(time.Hour), feature.Float64(2)), flight("LAX", 3, day.Add(30*time.Hour), feature.Float64(3)),
		flight("JFK", 4, day.Add(90*time.Minute), feature.Float64(1))), 0)
	p.materialize("hourly", "daily", "among", "delays")
	// Flight 2 is said to be of ORD, an hour later: JFK loses it, and its hour has another worst delay.
	bad := p.ingest(flights(flight("ORD", 2, day.Add(2*time.Hour), feature.Float64(9))), 0)
	p.materialize("hourly", "daily", "among", "delays")
	for _, origin := range []string{"ORD", "JFK", "LAX"} {
		p.read("followed", "origin", origin)
	}
	for _, pair := range [][2]string{{"ORD", "LAX"}, {"LAX", "JFK"}, {"LAX", "LAX"}} {
		p.readModel(&headwaterv1.GetFeaturesRequest{Service: "joined", Joins: []*headwaterv1.FeatureJoin{
			{Prefix: "home_", KeyMapping: map[string]string{"origin": "home"}}, {Prefix: "away_", KeyMapping: map[string]string{"origin": "away"}},
		}, Keys: map[string]*headwaterv1.KeyColumn{"home": texts(pair[0]), "away": texts(pair[1])}})
	}
	expectImpact(t, p.impact(p.admin, &headwaterv1.GetImpactRequest{Source: "flights", Load: bad.GetId(), Column: "delay"}), `
view:among@1 entities=1 rows=1 live=1 not exact
view:daily@1 entities=2 rows=2 live=2
view:delays@1 entities=1 rows=1 live=1
view:hourly@1 entities=2 rows=2 live=2
view:twice@1
feature:among@1.delay by value not exact
feature:daily@1.delay by value
feature:delays@1.delay by value
feature:hourly@1.delay by value
feature:twice@1.delay by value
service:followed@1 predictions=2
service:joined@1 predictions=2
service:scoring@1
entities 2, predictions 4, hidden 0, unlogged []
note: view among@1: a row of source flights may have a part in rows of any key, so all keys of its times count
`)
}

// Of a table of others the rows that were read are not there to look at: the window tells.
func TestImpactOfATableOfOthers(t *testing.T) {
	p := newProduct(t)
	d := impactDefinitions()
	if _, err := p.pool.Exec(p.admin, `CREATE SCHEMA crm; CREATE TABLE crm.flights (date timestamptz, known timestamptz, origin text, number bigint, delay float8, words text)`); err != nil {
		t.Fatal(err)
	}
	d.Sources[0].Postgres = &feature.PostgresOrigin{Schema: "crm", Table: "flights"}
	p.apply(d)
	start := time.Now().UTC().Truncate(time.Hour).Add(-100 * time.Hour)
	for i, origin := range []string{"ORD", "JFK", "LAX"} {
		at := start.Add(time.Duration(i) * 10 * time.Hour)
		if _, err := p.pool.Exec(p.admin, `INSERT INTO crm.flights VALUES ($1, $1, $2, 7, 1, '')`, at, origin); err != nil {
			t.Fatal(err)
		}
	}
	p.materialize("delays", "late")
	r := p.impact(p.admin, &headwaterv1.GetImpactRequest{Source: "flights", From: timestamppb.New(start.Add(10 * time.Hour)), To: timestamppb.New(start.Add(11 * time.Hour)), Column: "delay"})
	expectImpact(t, r, `
view:delays@1 entities=1 rows=1 live=1 not exact
view:late@1 entities=1 rows=1 live=1 not exact
view:twice@1 not exact
feature:delays@1.delay by value not exact
feature:late@1.late by value not exact
feature:twice@1.delay by value not exact
service:quiet@1 not exact
service:scoring@1 not exact
entities 1, predictions 0, hidden 0, unlogged [quiet]
note: view delays@1: a row of source flights may have a part in rows of any key, so all keys of its times count
note: view late@1: of view delays@1, a row of source flights may have a part in rows of any key, so all keys of its times count
note: service quiet@1: of view late@1, of view delays@1, a row of source flights may have a part in rows of any key, so all keys of its times count
note: service scoring@1: of view delays@1, a row of source flights may have a part in rows of any key, so all keys of its times count
`)
}
