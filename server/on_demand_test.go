package server

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/wire"
)

// onDemandView is a view of on-demand features over delays and traffic; features are NAME TYPE CEL.
func onDemandView(name string, inputs []feature.Column, views []feature.ViewRef, features ...[3]string) feature.View {
	v := feature.View{Name: name, OnDemand: &feature.OnDemand{Inputs: inputs, Views: views}}
	for _, f := range features {
		t, err := feature.ParseType(f[1])
		if err != nil {
			panic(err)
		}
		v.Features = append(v.Features, feature.Column{Name: f[0], Type: t})
		v.OnDemand.Expressions = append(v.OnDemand.Expressions, feature.OnDemandExpression{Feature: f[0], CEL: f[2]})
	}
	return v
}

// onDemand are the definitions with a view over two others and inputs, one over that, and one of inputs alone.
func onDemand() *feature.Definitions {
	d := definitions()
	inputs := []feature.Column{{Name: "hour", Type: feature.TypeInt64}, {Name: "note", Type: feature.TypeString}}
	// In an order in which what is read stands behind.
	d.Views = append([]feature.View{
		onDemandView("verdict", nil, []feature.ViewRef{{Name: "mix"}}, [3]string{"bad", "bool", "mix.share > 0.5 || mix.late_hour"}),
	}, d.Views...)
	d.Views = append(d.Views,
		onDemandView("mix", inputs, []feature.ViewRef{{Name: "delays"}, {Name: "traffic"}},
			[3]string{"share", "float64", "traffic.delay / (delays.delay + traffic.delay)"},
			[3]string{"late_hour", "bool", "request.hour >= 22 || request.hour < 6"},
			[3]string{"label", "string", "delays.words == null ? 'nothing of ' + request.note : delays.words + '/' + request.note"},
			[3]string{"age", "int64", "(request.time - delays.left_at).getMinutes() / (request.hour - 5)"},
		),
		onDemandView("pure", inputs[:1], nil, [3]string{"twice", "int64", "request.hour * 2"}),
	)
	d.Services = append(d.Services,
		feature.Service{Name: "ranked", Views: []feature.ServiceView{
			{View: "mix", Features: []string{"label", "share", "age"}, Rename: map[string]string{"share": "part"}},
			{View: "verdict"},
		}},
		feature.Service{Name: "alone", Views: []feature.ServiceView{{View: "pure"}}},
	)
	return d
}

func given(values ...*headwaterv1.Value) *headwaterv1.KeyColumn {
	return &headwaterv1.KeyColumn{Values: values}
}

func TestOnDemandFeatures(t *testing.T) {
	p := newProduct(t)
	d := onDemand()
	d.Roles = []feature.Role{role("one", "read_online on service:ranked,view:mix,view:verdict,view:delays")}
	p.apply(d)
	at := time.Now().Add(-3 * time.Hour).Truncate(time.Microsecond)
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(3)), flight("JFK", 8, at, feature.Float64(0))), 0)

	_, err := p.materialization.Materialize(p.admin, &headwaterv1.MaterializeRequest{Views: []string{"mix"}})
	wantFault(t, err, fault.InvalidArgument, "view mix@1: found on-demand features, which are computed when they are read, expected a view "+
		"with a history; materialize the views that it reads")
	_, err = p.materialization.RebuildOnline(p.admin, &headwaterv1.RebuildOnlineRequest{Views: []string{"mix"}})
	wantFault(t, err, fault.InvalidArgument, "view mix@1: found on-demand features, which are computed when they are read, expected a view "+
		"with online rows")
	p.materialize("delays", "traffic")

	request := &headwaterv1.GetFeaturesRequest{
		Service: "ranked", WithProvenance: true,
		Keys: map[string]*headwaterv1.KeyColumn{"origin": texts("ORD", "JFK", "LAX"), "number": numbers(7, 8, 9)},
		Inputs: map[string]*headwaterv1.KeyColumn{
			"hour": given(numbers(5).Values[0], null(), numbers(8).Values[0]), "note": texts("a", "b", "c"),
		},
	}
	r, err := p.online.GetFeatures(p.admin, request)
	if err != nil {
		t.Fatal(err)
	}
	want := `mix__label "from ORD/a"/PRESENT "from JFK/b"/PRESENT "nothing of c"/PRESENT
part 0.5/PRESENT NaN/PRESENT 0/NULL
mix__age 0/ERROR 0/NULL 0/NULL
verdict__bad true/PRESENT false/NULL false/NULL
`
	if got := vectors(r); got != want {
		t.Errorf("found\n%s\nexpected\n%s", got, want)
	}
	if f := r.GetFeatures()[1]; f.GetView() != "mix" || f.GetViewVersion() != 1 || f.GetFeature() != "share" {
		t.Errorf("found the feature %s of %s@%d behind %s", f.GetFeature(), f.GetView(), f.GetViewVersion(), f.GetName())
	}
	var provenance []string
	for _, v := range r.GetProvenance() {
		provenance = append(provenance, fmt.Sprint(v.GetView(), "@", v.GetViewVersion(), v.GetRunSeqs()))
	}
	if got := strings.Join(provenance, " "); got != "delays@1 [1 1 0] traffic@1 [1 1 0]" {
		t.Errorf("found the provenance %s", got)
	}

	// The views that it is computed of must be readable too.
	_, err = p.online.GetFeatures(p.as("eve", "one"), request)
	wantFault(t, err, fault.PermissionDenied, "eve may not read_online service:ranked: service:ranked reads view:traffic: "+
		"no grant of read_online on view:traffic in roles [one]; whoever administers the roles can change that")

	alone, err := p.online.GetFeatures(p.admin, &headwaterv1.GetFeaturesRequest{
		Service: "alone", Inputs: map[string]*headwaterv1.KeyColumn{"hour": numbers(4, 1<<62)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := vectors(alone); got != "pure__twice 8/PRESENT 0/ERROR\n" {
		t.Errorf("found %s", got)
	}

	described, err := p.registry.GetDefinition(p.admin, &headwaterv1.GetDefinitionRequest{Kind: headwaterv1.DefinitionKind_DEFINITION_KIND_VIEW, Name: "mix"})
	if err != nil || described.GetViewState() != nil || strings.Join(described.GetInputs(), " ") != "view:delays@1 view:traffic@1" || len(described.GetColumnInputs()) != 4 {
		t.Errorf("found %v, %v", described, err)
	}
	node, err := p.lineage.GetLineage(p.admin, &headwaterv1.GetLineageRequest{Node: "feature:mix.share", Direction: headwaterv1.LineageDirection_LINEAGE_DIRECTION_UP})
	if err != nil {
		t.Fatal(err)
	}
	columns, err := p.lineage.GetLineage(p.admin, &headwaterv1.GetLineageRequest{
		Node: "feature:mix.share", Direction: headwaterv1.LineageDirection_LINEAGE_DIRECTION_UP, Columns: true, Depth: 1,
	})
	if err != nil || columns.GetRoot() != "view:mix@1#share" || len(columns.GetEdges()) == 0 ||
		columns.GetEdges()[0].GetKind() != headwaterv1.LineageEdgeKind_LINEAGE_EDGE_KIND_VALUE || !strings.HasPrefix(columns.GetEdges()[0].GetFrom(), "view:delays@1#") {
		t.Errorf("found %v, %v", columns, err)
	}
	var nodes []string
	for _, n := range node.GetNodes() {
		nodes = append(nodes, n.GetId())
	}
	for _, wanted := range []string{"view:mix@1", "view:delays@1", "source:flights"} {
		if !slices.Contains(nodes, wanted) {
			t.Errorf("found the nodes %v above feature:mix.share, expected %s", nodes, wanted)
		}
	}
}

func TestOnDemandInputsAreChecked(t *testing.T) {
	p := newProduct(t)
	p.apply(onDemand())
	keys := map[string]*headwaterv1.KeyColumn{"origin": texts("a"), "number": numbers(1)}
	inputs := func(change func(map[string]*headwaterv1.KeyColumn)) map[string]*headwaterv1.KeyColumn {
		m := map[string]*headwaterv1.KeyColumn{"hour": numbers(1), "note": texts("x")}
		change(m)
		return m
	}
	for name, c := range map[string]struct {
		inputs map[string]*headwaterv1.KeyColumn
		want   string
	}{
		"missing":   {inputs(func(m map[string]*headwaterv1.KeyColumn) { delete(m, "note") }), "inputs: note: found none, expected values of type string, which on-demand features of service ranked take"},
		"unknown":   {inputs(func(m map[string]*headwaterv1.KeyColumn) { m["minute"] = numbers(1) }), "inputs: minute: service ranked has no input of this name; leave it out; there is note, hour"},
		"type":      {inputs(func(m map[string]*headwaterv1.KeyColumn) { m["hour"] = texts("1") }), "inputs: hour: value 1: found string, expected int64"},
		"too many":  {inputs(func(m map[string]*headwaterv1.KeyColumn) { m["hour"] = numbers(1, 2) }), "inputs: hour: found 2 values, expected as many as there are entities, 1"},
		"no text":   {inputs(func(m map[string]*headwaterv1.KeyColumn) { m["note"] = texts("a\x00") }), `inputs: note: value 1: found a NUL character in "a\x00", expected text without one`},
		"all right": {inputs(func(map[string]*headwaterv1.KeyColumn) {}), ""},
	} {
		_, err := p.online.GetFeatures(p.admin, &headwaterv1.GetFeaturesRequest{Service: "ranked", Keys: keys, Inputs: c.inputs})
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		t.Run(name, func(t *testing.T) { wantFault(t, err, fault.InvalidArgument, c.want) })
	}
	at := feature.Timestamp(feature.TimeOf(time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)))
	p.ingest(flights(flight("ORD", 7, at.Timestamp().Time(), feature.Float64(3))), 0)
	p.materialize("delays", "traffic")
	spine := spineOf(asked("ORD", 7, at.Timestamp().Time()))
	_, _, err := p.build(p.admin, "ranked", &headwaterv1.BuildDatasetHeader{}, spine.arrow(t))
	wantFault(t, err, fault.InvalidSpine, "spine: found no column note, expected one of type string: the input of that name of on-demand features "+
		"of service ranked; the spine has origin, number, timestamp. Add the column, NULL where it is not known")
	spine.columns = append(spine.columns, feature.Column{Name: "note", Type: feature.TypeInt64}, feature.Column{Name: "hour", Type: feature.TypeInt64})
	spine.rows[0] = append(spine.rows[0], feature.Int64(1), feature.Int64(1))
	_, _, err = p.build(p.admin, "ranked", &headwaterv1.BuildDatasetHeader{}, spine.arrow(t))
	wantFault(t, err, fault.InvalidSpine, "spine: column note: found int64, expected string, the type of the input of that name of on-demand features of service ranked")
}

func TestOnDemandDefinitionsAreChecked(t *testing.T) {
	p := newProduct(t)
	p.apply(onDemand())
	for name, c := range map[string]struct {
		change func(*feature.Definitions)
		want   string
	}{
		"an expression": {func(d *feature.Definitions) {
			d.Views[4].OnDemand.Expressions[0].CEL = "traffic.delay /\n traffic.dely"
		},
			"found no feature called dely in view traffic; did you mean traffic.delay?"},
		"a cycle": {func(d *feature.Definitions) {
			d.Views[4].OnDemand.Views = append(d.Views[4].OnDemand.Views, feature.ViewRef{Name: "verdict"})
		}, "found a cycle: verdict reads mix reads verdict"},
		"a version that is not there": {func(d *feature.Definitions) { d.Views[4].OnDemand.Views[0].Version = 7 }, "found no version 7 of view delays"},
		"an input of two types": {func(d *feature.Definitions) {
			d.Views[5].OnDemand.Inputs[0].Type = feature.TypeFloat64
			d.Views[5].OnDemand.Expressions[0].CEL = "int(request.hour)"
			d.Services[2].Views = append(d.Services[2].Views, feature.ServiceView{View: "pure"})
		}, "found the input hour of type int64 in view mix and of type float64 in view pure, expected one type"},
		"a name of an input": {func(d *feature.Definitions) { d.Services[2].Views[0].Rename["share"] = "note" },
			"found the name note, which is that of the input note of view mix; give the feature another name"},
	} {
		d := onDemand()
		c.change(d)
		_, err := p.registry.Apply(p.admin, &headwaterv1.ApplyRequest{Files: files(d)})
		if f := fault.FromError(err); f == nil || !strings.Contains(f.Error(), c.want) {
			t.Errorf("%s: found %v, expected %s", name, err, c.want)
		}
	}
}

// An expression gives the same value and status through a dataset as through an online read of the same moment.
func TestOnDemandFeaturesAreTheSameInBothStores(t *testing.T) {
	p := newProduct(t)
	d := definitions()
	inputs := []feature.Column{{Name: "n", Type: feature.TypeInt64}, {Name: "x", Type: feature.TypeFloat64},
		{Name: "s", Type: feature.TypeString}, {Name: "b", Type: feature.TypeBool}, {Name: "t", Type: feature.TypeTimestamp}}
	expressions := [][3]string{
		{"a", "int64", "request.n / delays.number"},
		{"b", "int64", "request.n * request.n + int(delays.delay)"},
		{"c", "float64", "traffic.delay == null ? request.x : traffic.delay * request.x"},
		{"d", "bool", "request.b && delays.late"},
		{"e", "bool", "delays.late || request.b"},
		{"f", "string", "delays.words.substring(request.n) + request.s"},
		{"g", "timestamp", "request.t + (request.time - delays.left_at)"},
		{"h", "bool", "delays.words.split(' ').exists(w, w == request.s)"},
		{"i", "int64", "[delays.words, request.s].filter(w, w.size() > request.n).size()"},
		{"j", "float64", "math.greatest(recent.delay, request.x)"},
		{"k", "int64", "request.time.getHours() * 60 + request.time.getMinutes()"},
		{"l", "int64", "recent.delay == null ? -1 : int(recent.delay / request.x)"},
		{"m", "bool", "request.x == delays.delay || 1 / request.n > 0"},
	}
	d.Views = append(d.Views, onDemandView("o", inputs, []feature.ViewRef{{Name: "delays"}, {Name: "recent"}, {Name: "traffic"}}, expressions...))
	d.Services = append(d.Services, feature.Service{Name: "all", Views: []feature.ServiceView{{View: "o"}, {View: "delays", Features: []string{"delay"}, Defaults: map[string]feature.Literal{"delay": 2.5}}}})
	p.apply(d)
	random := rand.New(rand.NewPCG(1, 2))
	now := time.Now().Truncate(time.Microsecond)
	var rows [][]feature.Value
	airports := []string{"ORD", "JFK", "LAX", "SFO", "DEN"}
	for range 60 {
		delay := feature.Float64(float64(random.IntN(5)) * 10)
		if random.IntN(4) == 0 {
			delay = feature.Null()
		}
		// Ties of event times, rows beyond the TTL of recent, and rows that lie ahead.
		left := now.Add(time.Duration(random.IntN(9)-7) * 8 * time.Hour)
		rows = append(rows, flight(airports[random.IntN(4)], int64(random.IntN(3)), left, delay))
	}
	seen := map[string]bool{}
	rows = slices.DeleteFunc(rows, func(r []feature.Value) bool {
		key := r[2].Text() + r[0].Text()
		twice := seen[key]
		seen[key] = true
		return twice
	})
	p.ingest(flights(rows...), 0)
	p.materialize("delays", "recent", "traffic")

	n := 200
	request := &headwaterv1.GetFeaturesRequest{Service: "all", Keys: map[string]*headwaterv1.KeyColumn{}, Inputs: map[string]*headwaterv1.KeyColumn{}}
	put := func(columns map[string]*headwaterv1.KeyColumn, name string, v feature.Value) feature.Value {
		if columns[name] == nil {
			columns[name] = &headwaterv1.KeyColumn{}
		}
		columns[name].Values = append(columns[name].Values, wireOf(v))
		return v
	}
	spine := spineOf()
	spine.columns = append(spine.columns, inputs...)
	orNull := func(v feature.Value) feature.Value {
		if random.IntN(4) == 0 {
			return feature.Null()
		}
		return v
	}
	for range n {
		row := []feature.Value{
			put(request.Keys, "origin", orNull(feature.String(airports[random.IntN(5)]))),
			put(request.Keys, "number", orNull(feature.Int64(int64(random.IntN(3))))), feature.Null(),
			put(request.Inputs, "n", orNull(feature.Int64([]int64{0, 1, 3, 7, 1 << 40}[random.IntN(5)]))),
			put(request.Inputs, "x", orNull(feature.Float64([]float64{0, 1.5, -2, 30}[random.IntN(4)]))),
			put(request.Inputs, "s", orNull(feature.String([]string{"", "JFK", "from", "ü"}[random.IntN(4)]))),
			put(request.Inputs, "b", orNull(feature.Bool(random.IntN(2) == 0))),
			put(request.Inputs, "t", orNull(feature.Timestamp(feature.TimeOf(now)))),
		}
		spine.rows = append(spine.rows, row)
	}
	r, err := p.online.GetFeatures(p.admin, request)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range spine.rows {
		row[2] = feature.Timestamp(feature.TimeOf(r.GetServedAt().AsTime()))
	}
	arrow, m, err := p.build(p.admin, "all", &headwaterv1.BuildDatasetHeader{AllowPartial: true}, spine.arrow(t))
	if err != nil {
		t.Fatal(err)
	}
	offline := readRows(t, arrow)
	online := make([][]string, n)
	statuses := map[headwaterv1.ValueStatus]int{}
	for k, f := range r.GetFeatures() {
		counts := map[headwaterv1.ValueStatus]int64{}
		for i := range n {
			online[i] = append(online[i], vectorValue(t, f.GetValues(), i))
			counts[wire.StatusAt(f.GetValues(), i)]++
			statuses[wire.StatusAt(f.GetValues(), i)]++
		}
		kept := map[headwaterv1.ValueStatus]int64{}
		for _, s := range m.GetColumns()[len(spine.columns)+k].GetStatuses() {
			kept[s.GetStatus()] = s.GetRows()
		}
		if !maps.Equal(counts, kept) {
			t.Errorf("%s: found the statuses %v online and %v in the dataset", f.GetName(), counts, kept)
		}
	}
	for i := range n {
		want := strings.Join(online[i], " ")
		if !strings.HasSuffix(offline[i], " "+want) {
			t.Errorf("row %d: found %q in the dataset, expected it to end in %q", i, offline[i], want)
		}
	}
	for _, s := range []headwaterv1.ValueStatus{headwaterv1.ValueStatus_VALUE_STATUS_PRESENT, headwaterv1.ValueStatus_VALUE_STATUS_NULL,
		headwaterv1.ValueStatus_VALUE_STATUS_ERROR, headwaterv1.ValueStatus_VALUE_STATUS_DEFAULT} {
		if statuses[s] < 10 {
			t.Errorf("found %d values of status %s, expected more for the comparison to mean something", statuses[s], s)
		}
	}
	again, _, err := p.fetch(p.admin, m.GetId())
	if err != nil || !bytes.Equal(again, arrow) {
		t.Errorf("fetched %d bytes, %v, expected the %d bytes that were built", len(again), err, len(arrow))
	}
}

// wireOf is a value as clients send it.
func wireOf(v feature.Value) *headwaterv1.Value {
	switch v.Type() {
	case feature.TypeInt64:
		return &headwaterv1.Value{Kind: &headwaterv1.Value_Int64Value{Int64Value: v.Int64()}}
	case feature.TypeFloat64:
		return &headwaterv1.Value{Kind: &headwaterv1.Value_Float64Value{Float64Value: v.Float64()}}
	case feature.TypeString:
		return &headwaterv1.Value{Kind: &headwaterv1.Value_StringValue{StringValue: v.Str()}}
	case feature.TypeBool:
		return &headwaterv1.Value{Kind: &headwaterv1.Value_BoolValue{BoolValue: v.Bool()}}
	case feature.TypeTimestamp:
		return &headwaterv1.Value{Kind: &headwaterv1.Value_TimestampValue{TimestampValue: timestamppb.New(v.Timestamp().Time())}}
	}
	return null()
}

// vectorValue is a value of an answer as readRows shows it.
func vectorValue(t *testing.T, v *headwaterv1.ValueVector, i int) string {
	t.Helper()
	switch wire.StatusAt(v, i) {
	case headwaterv1.ValueStatus_VALUE_STATUS_PRESENT, headwaterv1.ValueStatus_VALUE_STATUS_DEFAULT:
	default:
		return "∅"
	}
	switch v.GetType() {
	case headwaterv1.ValueType_VALUE_TYPE_BOOL:
		return feature.Bool(v.GetBools()[i]).Text()
	case headwaterv1.ValueType_VALUE_TYPE_INT64:
		return feature.Int64(v.GetInt64S()[i]).Text()
	case headwaterv1.ValueType_VALUE_TYPE_FLOAT64:
		return feature.Float64(v.GetFloat64S()[i]).Text()
	case headwaterv1.ValueType_VALUE_TYPE_STRING:
		return v.GetStrings()[i]
	case headwaterv1.ValueType_VALUE_TYPE_TIMESTAMP:
		return feature.Timestamp(feature.Time(v.GetTimestamps()[i])).Text()
	}
	t.Fatalf("found type %s", v.GetType())
	return ""
}
