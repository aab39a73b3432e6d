package feature

import (
	"slices"
	"testing"
)

// uses gives the view of flights() an analysis that uses some columns of its source.
func uses(v *ViewVersion, columns ...string) *ViewVersion {
	v.Analysis = &Analysis{Uses: map[string][]string{"flights": columns}}
	v.Fingerprint = v.Meaning()
	return v
}

func TestMeaningHoldsOfASourceWhatTheViewUses(t *testing.T) {
	want := uses(viewVersion(flights()), "origin").Fingerprint
	for name, c := range map[string]struct {
		change func(s *Source)
		same   bool
	}{
		"another column":              {func(s *Source) { s.Columns = append(s.Columns, Column{Name: "gate", Type: TypeString}) }, true},
		"the type of another column":  {func(s *Source) { s.Column("cancelled").Type = TypeString }, true},
		"the order of columns":        {func(s *Source) { slices.Reverse(s.Columns) }, true},
		"what becomes of new columns": {func(s *Source) { s.IgnoreNewColumns = true }, true},
		"freshness":                   {func(s *Source) { s.Freshness = 1e9 }, true},
		"words":                       {func(s *Source) { s.Owner, s.Columns[2].Tags = "x", []string{"y"} }, true},
		"the type of a used column":   {func(s *Source) { s.Column("origin").Type = TypeInt64 }, false},
		"a column of the arrival":     {func(s *Source) { s.Column("delay").Type = TypeInt64 }, false},
		"the arrival":                 {func(s *Source) { s.ArrivalExpression = "greatest(date, date + delay * interval '2 minutes')" }, false},
		"the arrival's white space":   {func(s *Source) { s.ArrivalExpression = "greatest( date, date+delay * interval '1 minute')" }, true},
		"the event time":              {func(s *Source) { s.EventTime = "landed" }, false},
		"corrections":                 {func(s *Source) { s.Corrections = Arrive }, false},
		"a unique key":                {func(s *Source) { s.UniqueKey = []string{"date", "carrier"} }, false},
		"the origin":                  {func(s *Source) { s.Postgres = &PostgresOrigin{Schema: "public", Table: "flights"} }, false},
		"a rule without a unique key": {func(s *Source) { s.Conflicting = KeepNewest }, true},
		"an arrival made of the whole row": {func(s *Source) {
			s.ArrivalExpression = "greatest(date, date + delay * interval '1 minute', f(flights))"
		}, false},
	} {
		d := flights()
		c.change(&d.Sources[0])
		if got := uses(viewVersion(d), "origin").Fingerprint == want; got != c.same {
			t.Errorf("%s: found the same fingerprint: %t, expected %t", name, got, c.same)
		}
	}

	// The rules of duplicates and the key's columns count where there is a key.
	keyed := func(change func(s *Source)) Digest {
		d := flights()
		d.Sources[0].UniqueKey = []string{"date", "carrier"}
		change(&d.Sources[0])
		return uses(viewVersion(d), "origin").Fingerprint
	}
	base := keyed(func(*Source) {})
	if keyed(func(s *Source) { slices.Reverse(s.UniqueKey) }) != base {
		t.Error("the order of a unique key changed the fingerprint")
	}
	for name, change := range map[string]func(s *Source){
		"exact":       func(s *Source) { s.Exact = FailExact },
		"conflicting": func(s *Source) { s.Conflicting = KeepNewest },
		"key column":  func(s *Source) { s.Column("carrier").Type = TypeString },
	} {
		if keyed(change) == base {
			t.Errorf("%s: left the fingerprint as it was", name)
		}
	}
	// A row counts whatever is in it: a relation of which no column is used is not one that is not known.
	if a, b := uses(viewVersion(flights())), viewVersion(flights()); a.Fingerprint == b.Fingerprint || a.Fingerprint == want {
		t.Error("using no column is not using all, nor using one")
	}
}

func TestMeaningHoldsTheBodiesOfFunctions(t *testing.T) {
	with := func(body Digest) *ViewVersion {
		v := viewVersion(flights())
		v.SQL.Functions = []FunctionAllowance{{Function: "public.f(double precision)", Reason: "pure"}}
		v.Analysis = &Analysis{Functions: []FunctionBody{{Function: "public.f(double precision)", Body: body}}}
		v.Fingerprint = v.Meaning()
		return v
	}
	before, after := with(Digest{1}), with(Digest{2})
	if before.Fingerprint == after.Fingerprint || after.SameMeaning(before) {
		t.Error("the body of a function is no part of the fingerprint")
	}
	if with(Digest{1}).Unchanged(before) {
		t.Error("a view with functions of users counts as unchanged without a look at them")
	}
	if got := DiffView(before, after); got.WordsOnly || !slices.Equal(got.Lines, []string{"function public.f(double precision): its body changed in Postgres"}) {
		t.Errorf("found %+v", got)
	}
}

// firstFingerprint is that of flights()'s view in the first format, as registries hold it.
const firstFingerprint = "94f6d827df115acb8230f85227f158a490468d3aa986e8a5d5608372b267b246"

func TestVersionsOfTheFirstFormatKeepTheirMeaning(t *testing.T) {
	stored := viewVersion(flights())
	stored.Fingerprint = stored.firstMeaning()
	if stored.Fingerprint.String() != firstFingerprint {
		t.Fatalf("found %s, expected %s: registries hold it", stored.Fingerprint, firstFingerprint)
	}
	if !viewVersion(flights()).Unchanged(stored) {
		t.Error("the same definition counts as changed")
	}
	d := flights()
	d.Sources[0].Columns = append(d.Sources[0].Columns, Column{Name: "gate", Type: TypeString})
	now := uses(viewVersion(d), "origin")
	if now.Unchanged(stored) || !now.SameMeaning(stored) {
		t.Error("a column that the view does not use changed its meaning")
	}
	d.Sources[0].Column("origin").Type = TypeInt64
	if uses(viewVersion(d), "origin").SameMeaning(stored) {
		t.Error("a column that the view uses did not change its meaning")
	}
	// A fingerprint that is neither was made under other settings.
	stored.Fingerprint = Digest{1}
	if now := viewVersion(flights()); now.Unchanged(stored) || now.SameMeaning(stored) {
		t.Error("a version from under other settings of sessions counts as the same")
	}
}

// aggregated and asked are views of the other kinds.
func aggregated() *ViewVersion {
	d := flights()
	v := viewVersion(d)
	v.SQL, v.Grain, v.Lookback = nil, 0, 0
	v.Aggregation = &Aggregation{Source: "flights", Hop: 60e9, Keys: map[string]string{"carrier": "carrier"}, Where: "delay > 0", Aggregates: []Aggregate{
		{Feature: "departures", Function: Count, Window: 3600e9},
		{Feature: "mean_delay", Function: Mean, Column: "delay", Window: 3600e9, Where: "not cancelled"},
		{Feature: "region", Function: Last, Column: "origin", Window: 3600e9},
	}}
	v.Fingerprint = v.Meaning()
	return v
}

func asked() *ViewVersion {
	input := viewVersion(flights())
	v := &ViewVersion{Version: 1, ViewVersions: []*ViewVersion{input}, View: View{
		Name: "risk", Features: []Column{{Name: "risk", Type: TypeFloat64}},
		OnDemand: &OnDemand{
			Inputs: []Column{{Name: "b", Type: TypeInt64}, {Name: "a", Type: TypeString}}, Views: []ViewRef{{Name: "route_delays"}},
			Expressions: []OnDemandExpression{{"risk", "route_delays.mean_delay * 2.0"}},
		},
	}}
	v.Fingerprint = v.Meaning()
	return v
}

func TestMeaningAndDiffOfOtherKinds(t *testing.T) {
	for _, c := range []struct {
		name   string
		of     func() *ViewVersion
		change func(v *ViewVersion)
		lines  []string
	}{
		{"aggregates in another order", aggregated, func(v *ViewVersion) { slices.Reverse(v.Aggregation.Aggregates) }, nil},
		{"a key of its own name", aggregated, func(v *ViewVersion) { v.Aggregation.Keys = nil }, nil},
		{"a key", aggregated, func(v *ViewVersion) { v.Aggregation.Keys = map[string]string{"carrier": "delay"} },
			[]string{"key carrier: column carrier -> column delay"}},
		{"hop", aggregated, func(v *ViewVersion) { v.Aggregation.Hop *= 2 }, []string{"hop: 1m -> 2m"}},
		{"where", aggregated, func(v *ViewVersion) { v.Aggregation.Where = "delay > 1" }, []string{"where: from line 1, column 9: `0` -> `1`"}},
		{"window", aggregated, func(v *ViewVersion) { v.Aggregation.Aggregates[0].Window *= 2 },
			[]string{"aggregate departures: count() over 1h -> count() over 2h"}},
		{"function", aggregated, func(v *ViewVersion) { a := &v.Aggregation.Aggregates[1]; a.Function, a.Quantile = Percentile, 0.5 },
			[]string{"aggregate mean_delay: mean(delay) over 1h -> percentile(delay) over 1h, quantile 0.5, relative error 0.01"}},
		{"condition of one", aggregated, func(v *ViewVersion) { v.Aggregation.Aggregates[1].Where = "" },
			[]string{"where of aggregate mean_delay: the end was removed, from `not`"}},
		{"inputs in another order", asked, func(v *ViewVersion) { slices.Reverse(v.OnDemand.Inputs) },
			[]string{"inputs: in another order: b, a -> a, b"}},
		{"input", asked, func(v *ViewVersion) { v.OnDemand.Inputs[0].Type = TypeBool }, []string{"input b: int64 -> bool"}},
		{"expression", asked, func(v *ViewVersion) { v.OnDemand.Expressions[0].CEL = "1.0" },
			[]string{"expression of risk: `route_delays.mean_delay * 2.0` -> `1.0`"}},
		{"version of a view", asked, func(v *ViewVersion) {
			d := flights()
			d.Views[0].TTL = 0
			w := viewVersion(d)
			w.Version = 2
			v.ViewVersions = []*ViewVersion{w}
		}, []string{"view route_delays: version 1 -> 2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			before, after := c.of(), c.of()
			c.change(after)
			after.Fingerprint = after.Meaning()
			words := len(c.lines) == 0 || c.name == "inputs in another order"
			if got := DiffView(before, after); got.WordsOnly != words || !slices.Equal(got.Lines, c.lines) {
				t.Fatalf("found %t %q\nexpected %t %q", got.WordsOnly, got.Lines, words, c.lines)
			}
		})
	}
	got := DiffView(viewVersion(flights()), aggregated())
	if got.WordsOnly || !slices.Contains(got.Lines, "computed by: sql -> aggregation") {
		t.Errorf("found %+v", got)
	}
	for column, want := range map[string]bool{"mean_delay": true, "mean": false, "delay": false, "departures": false} {
		if asked().UsesColumn("route_delays", column) != want {
			t.Errorf("column %s: found it used: %t, expected %t", column, !want, want)
		}
	}
}
