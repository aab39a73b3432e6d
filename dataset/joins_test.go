package dataset

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/read"
)

// legs is a spine of flights between two airports.
func legs(rows ...[]feature.Value) spine {
	return spine{rows: rows, columns: []feature.Column{
		{Name: "from", Type: feature.TypeString}, {Name: "to", Type: feature.TypeString}, {Name: "timestamp", Type: feature.TypeTimestamp},
		{Name: "number", Type: feature.TypeInt64},
	}}
}

func leg(from, to string, at feature.Time, number int64) []feature.Value {
	return []feature.Value{feature.String(from), feature.String(to), feature.Timestamp(at), feature.Int64(number)}
}

func fromTo(views ...string) []Join {
	return []Join{
		{Prefix: "from_", KeyMapping: map[string]string{"origin": "from"}, Views: views},
		{Prefix: "to_", KeyMapping: map[string]string{"origin": "to"}, Views: views},
	}
}

// joined is the plan of a service with joins that are resolved.
func joined(t testing.TB, service *feature.ServiceVersion, mapping map[string]string, joins []Join) (*read.Plan, []Join) {
	t.Helper()
	resolved, err := ResolveJoins(service, joins, "joins")
	if err != nil {
		t.Fatal(err)
	}
	plan, err := NewPlan(nil, service, mapping, resolved, "")
	if err != nil {
		t.Fatal(err)
	}
	return plan, resolved
}

// Views of two entities, one with a key of two columns, each read once for either end: as the reference has it, and had again.
func TestJoinsAreTheReference(t *testing.T) {
	w := newWorld(t)
	r := rand.New(rand.NewPCG(21, 22))
	w.randomHistory(t, r)
	s := legs()
	for range 3000 {
		row := leg(append(origins, "nobody")[r.IntN(len(origins)+1)], origins[r.IntN(len(origins))], hours(float64(r.IntN(48))/2), int64(r.IntN(4)))
		for _, c := range []int{0, 1, 3} {
			if r.IntN(12) == 0 {
				row[c] = feature.Null()
			}
		}
		s.rows = append(s.rows, row)
	}
	for name, c := range map[string]struct {
		mapping map[string]string
		joins   []Join
		views   string
	}{
		"all views":                  {nil, fromTo(), "delays weather traffic"},
		"some views":                 {map[string]string{"origin": "to"}, fromTo("weather", "traffic@1"), ""},
		"one of two":                 {map[string]string{"origin": "from"}, fromTo("delays")[1:], "delays"},
		"two prefixes of one column": {nil, append(fromTo(), Join{Prefix: "again_", KeyMapping: map[string]string{"origin": "to"}}), ""},
	} {
		plan, joins := joined(t, w.service, c.mapping, c.joins)
		m, out, err := w.tryBuild(s.arrow(t, 700), Request{Plan: plan, KeyMapping: c.mapping, Joins: joins})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		w.expectOf(t, plan, s, m, out)
		kept, err := Find(context.Background(), w.pool, m.ID)
		if err != nil || fmt.Sprint(kept.Joins) != fmt.Sprint(joins) || len(kept.Views) != 3 {
			t.Fatalf("%s: found the joins %v and %d views, %v", name, kept.Joins, len(kept.Views), err)
		}
		again, err := NewPlan(nil, w.service, kept.KeyMapping, kept.Joins, "")
		if err != nil {
			t.Fatal(err)
		}
		var fetched bytes.Buffer
		if _, err := w.builder.Fetch(context.Background(), kept, again, &fetched); err != nil || !bytes.Equal(fetched.Bytes(), out) {
			t.Errorf("%s: fetched other bytes, %v", name, err)
		}
	}
}

func TestColumnsOfJoins(t *testing.T) {
	w := newWorld(t)
	w.publishAll(t)
	s := legs(leg("ORD", "JFK", hours(4), 7), leg("JFK", "ORD", hours(4), 8))
	plan, joins := joined(t, w.service, nil, []Join{
		{Prefix: "from_", KeyMapping: map[string]string{"origin": "from"}, Views: []string{"delays", "traffic"}},
		{Prefix: "to_", KeyMapping: map[string]string{"origin": "to"}},
	})
	if got := fmt.Sprint(joins[1].Views); got != "[delays traffic weather]" {
		t.Errorf("found %s", got)
	}
	m, out, err := w.tryBuild(s.arrow(t, 1), Request{Plan: plan, Joins: joins})
	if err != nil {
		t.Fatal(err)
	}
	columns, rows := readResult(t, out)
	var names []string
	for i, c := range columns {
		names = append(names, c.Name+"="+strings.TrimPrefix(m.Columns[i].Origin, "feature:"))
	}
	want := "from=spine to=spine timestamp=spine number=spine from_delays__departures=delays@1.departures to_delays__departures=delays@1.departures " +
		"from_delays__mean=delays@1.mean to_delays__mean=delays@1.mean from_traffic__load=traffic@1.load to_traffic__load=traffic@1.load " +
		"to_weather__wet=weather@1.wet to_weather__words=weather@1.words to_weather__seen=weather@1.seen"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("found    %s\nexpected %s", got, want)
	}
	wanted := []string{
		"ORD JFK 2001-01-01T04:00:00Z 7 2 4 20 -0.5 0.7 ∅ ∅  ∅",
		"JFK ORD 2001-01-01T04:00:00Z 8 4 2 -0.5 20 ∅ ∅ true räin 2001-01-01T00:00:00Z",
	}
	if !slices.Equal(rows, wanted) {
		t.Errorf("found\n%s\nexpected\n%s", strings.Join(rows, "\n"), strings.Join(wanted, "\n"))
	}
}

// onDemandOf is a service of a view computed of delays and weather, and of one that is computed of that.
func (w *world) onDemandOf() *feature.ServiceVersion {
	mix := &feature.ViewVersion{
		Version: 1, Fingerprint: feature.Digest{50}, ViewVersions: []*feature.ViewVersion{w.view("delays"), w.view("weather")},
		View: feature.View{Name: "mix", Features: []feature.Column{{Name: "label", Type: feature.TypeString}}, OnDemand: &feature.OnDemand{
			Inputs: []feature.Column{{Name: "number", Type: feature.TypeInt64}}, Views: []feature.ViewRef{{Name: "delays"}, {Name: "weather"}},
			Expressions: []feature.OnDemandExpression{{Feature: "label",
				CEL: `string(delays.departures) + "/" + weather.words + "/" + string(request.number)`}},
		}},
	}
	loud := &feature.ViewVersion{
		Version: 1, Fingerprint: feature.Digest{51}, ViewVersions: []*feature.ViewVersion{mix},
		View: feature.View{Name: "loud", Features: []feature.Column{{Name: "label", Type: feature.TypeString}}, OnDemand: &feature.OnDemand{
			Views: []feature.ViewRef{{Name: "mix"}}, Expressions: []feature.OnDemandExpression{{Feature: "label", CEL: `mix.label + "!"`}},
		}},
	}
	return &feature.ServiceVersion{Version: 1, Service: feature.Service{Name: "computed"}, Pins: []feature.ServicePin{
		{View: loud, Features: []int{0}}, {View: mix, Features: []int{0}},
	}}
}

// What is computed of a view is computed once for each join that reads it, of that join's rows and of what no join reads.
func TestOnDemandFeaturesOfJoins(t *testing.T) {
	w := newWorld(t)
	w.publishAll(t)
	service := w.onDemandOf()
	s := legs(leg("ORD", "JFK", hours(4), 7), leg("JFK", "nowhere", hours(4), 8))
	build := func(mapping map[string]string, joins []Join) (string, *Manifest, []byte, *read.Plan) {
		plan, joins := joined(t, service, mapping, joins)
		m, out, err := w.tryBuild(s.arrow(t, 1), Request{Plan: plan, KeyMapping: mapping, Joins: joins})
		if err != nil {
			t.Fatal(err)
		}
		columns, rows := readResult(t, out)
		text := ""
		for _, c := range columns[len(s.columns):] {
			text += c.Name + " "
		}
		for _, row := range rows {
			text += "\n" + strings.Join(strings.Split(row, " ")[len(s.columns):], " ")
		}
		return text, m, out, plan
	}
	got, m, out, plan := build(nil, fromTo())
	want := "from_loud__label to_loud__label from_mix__label to_mix__label \n2/räin/7! 4//7! 2/räin/7 4//7\n4//8! ∅ 4//8 ∅"
	if got != want {
		t.Errorf("found    %s\nexpected %s", got, want)
	}
	if len(m.OnDemand) != 2 || len(m.Views) != 2 || len(plan.Views) != 4 {
		t.Errorf("found %d on-demand views, %d others, %d read", len(m.OnDemand), len(m.Views), len(plan.Views))
	}
	var again bytes.Buffer
	if _, err := w.builder.Fetch(context.Background(), m, plan, &again); err != nil || !bytes.Equal(again.Bytes(), out) {
		t.Errorf("fetched other bytes, %v", err)
	}
	// The weather is that of the destination for both.
	got, _, _, _ = build(map[string]string{"origin": "to"}, fromTo("delays"))
	want = "from_loud__label to_loud__label from_mix__label to_mix__label \n2//7! 4//7! 2//7 4//7\n∅ ∅ ∅ ∅"
	if got != want {
		t.Errorf("found    %s\nexpected %s", got, want)
	}
	resolved, err := ResolveJoins(service, []Join{fromTo("delays")[0], fromTo("weather")[1]}, "joins")
	if err == nil {
		_, err = NewPlan(nil, service, nil, resolved, "")
	}
	wantFault(t, err, fault.InvalidArgument, "joins: on-demand view mix@1 is computed for join from_ and reads view weather@1, which join to_ reads and "+
		"from_ does not, expected it to read both, or the view to be in no join; add weather to the views of join from_")
}

func TestJoinsThatAreRefused(t *testing.T) {
	w := newWorld(t)
	keys := func(pairs ...string) map[string]string {
		m := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = pairs[i+1]
		}
		return m
	}
	for name, c := range map[string]struct {
		joins []Join
		want  string
	}{
		"a prefix twice": {[]Join{{Prefix: "a_", KeyMapping: keys("origin", "x")}, {Prefix: "a_", KeyMapping: keys("origin", "y")}},
			"join a_: found this prefix a second time, expected each once"},
		"nothing":      {[]Join{{Prefix: "a_"}}, "join a_: found neither keys nor views, expected a mapping of keys, such as origin=home_airport"},
		"no such key":  {[]Join{{Prefix: "a_", KeyMapping: keys("orign", "x")}}, "join a_: orign: no view of service model has a join key of this name; did you mean origin?"},
		"another key":  {[]Join{{Prefix: "a_", KeyMapping: keys("airport", "x")}}, "join a_: airport: no view of service model has a join key of this name; there is number, origin"},
		"no column":    {[]Join{{Prefix: "a_", KeyMapping: keys("origin", "")}}, "join a_: origin: found no column for it, expected the name of one"},
		"no such view": {[]Join{{Prefix: "a_", KeyMapping: keys("origin", "x"), Views: []string{"delay"}}}, "join a_: service model reads no view delay; did you mean delays?"},
		"no such view version": {[]Join{{Prefix: "a_", KeyMapping: keys("origin", "x"), Views: []string{"delays@2"}}},
			"join a_: service model reads no view delays@2; did you mean delays?"},
		"a view twice": {[]Join{{Prefix: "a_", KeyMapping: keys("origin", "x"), Views: []string{"delays", "delays"}}}, "join a_: found view delays a second time, expected each once"},
		"a key of no view of it": {[]Join{{Prefix: "a_", KeyMapping: keys("number", "x"), Views: []string{"delays"}}},
			"join a_: number: no view that it reads has a join key of this name; there is origin"},
	} {
		_, err := ResolveJoins(w.service, c.joins, "header.joins")
		t.Run(name, func(t *testing.T) { wantFault(t, err, fault.InvalidArgument, c.want) })
		if f := fault.As(err); f == nil || len(f.Violations) != 1 || f.Violations[0].Field != fmt.Sprintf("header.joins[%d]", len(c.joins)-1) {
			t.Errorf("%s: found %+v", name, f)
		}
	}
	_, err := ResolveJoins(w.onDemandOf(), []Join{{Prefix: "a_", KeyMapping: keys("origin", "x"), Views: []string{"mix"}}}, "joins")
	wantFault(t, err, fault.InvalidArgument, "join a_: found view mix, whose features are computed on demand, expected a view with a history; they are "+
		"computed for each join that reads a view which they are made of")

	// Two columns of one name: by a service's own name for a feature.
	named := *w.service
	named.Pins = []feature.ServicePin{
		{View: w.view("delays"), Features: []int{0}, Names: []string{"mean"}},
		{View: w.view("weather"), Features: []int{0}, Names: []string{"a_mean"}},
	}
	resolved, err := ResolveJoins(&named, []Join{{Prefix: "a_", KeyMapping: keys("origin", "x"), Views: []string{"delays"}}}, "joins")
	if err != nil {
		t.Fatal(err)
	}
	_, err = NewPlan(nil, &named, nil, resolved, "")
	wantFault(t, err, fault.InvalidArgument, "column a_mean: found delays@1.mean of join a_ and weather@1.wet of this name, expected each name once; give the "+
		"join another prefix, or leave one of the two out")

	var many []Join
	for i := range maxStages/2 + 1 {
		many = append(many, Join{Prefix: fmt.Sprintf("a%d_", i), KeyMapping: keys("origin", fmt.Sprint("x", i))})
	}
	if resolved, err = ResolveJoins(w.service, many, "joins"); err != nil {
		t.Fatal(err)
	}
	// Each of airports and of routes.
	_, err = NewPlan(nil, w.service, nil, resolved, "")
	wantFault(t, err, fault.InvalidArgument, "joins: found views read by 18 sets of key columns, expected at most 16, as each is looked up on a connection of its "+
		"own; build some of the joins as another dataset of the same spine")
	if _, err := NewPlan(nil, w.service, nil, resolved[1:], ""); err != nil {
		t.Error(err)
	}

	w.publishAll(t)
	plan, resolved := joined(t, w.service, nil, []Join{{Prefix: "a_", KeyMapping: keys("origin", "airport")}})
	_, _, err = w.tryBuild(legs(leg("ORD", "JFK", hours(4), 7)).arrow(t, 1), Request{Plan: plan, Joins: resolved})
	wantFault(t, err, fault.InvalidSpine, "spine: found no column airport, expected the join key origin of entity airport, which view delays needs in join a_; "+
		"the spine has from, to, timestamp, number. If one of them is it, map it: --join a_:origin=COLUMN")
}

// Features by reference are those of a service that has no name.
func TestDatasetsOfFeatures(t *testing.T) {
	w := newWorld(t)
	w.publishAll(t)
	s := someFlights()
	service := &feature.ServiceVersion{Pins: []feature.ServicePin{
		{View: w.view("weather"), Features: []int{1}}, {View: w.view("delays"), Features: []int{0}}, {View: w.view("weather"), Features: []int{0}},
	}}
	plan, _ := joined(t, service, nil, nil)
	features := []string{"weather@1.words", "delays@1.mean", "weather@1.wet"}
	m, out, err := w.tryBuild(s.arrow(t, 2), Request{Plan: plan, Name: "few", Features: features})
	if err != nil {
		t.Fatal(err)
	}
	w.expectOf(t, plan, s, m, out)
	kept, err := Find(context.Background(), w.pool, "few@1")
	if err != nil || fmt.Sprint(kept.Features) != fmt.Sprint(features) || kept.Service != "" || kept.ServiceVersion != 0 || kept.ServiceFingerprint != "" || len(kept.Views) != 2 {
		t.Fatalf("found %+v, %v", kept, err)
	}
	var again bytes.Buffer
	if _, err := w.builder.Fetch(context.Background(), kept, plan, &again); err != nil || !bytes.Equal(again.Bytes(), out) {
		t.Errorf("fetched other bytes, %v", err)
	}
	s.columns = slices.Clone(s.columns)
	s.columns[0].Name = "delays__mean"
	_, _, err = w.tryBuild(s.arrow(t, 2), Request{Plan: plan, Name: "few", Features: features})
	wantFault(t, err, fault.InvalidSpine, "spine: column delays__mean has the name of a feature of the request; rename it")
}
