package feature

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// scores is flights with a view that pushes.
func scores() *Definitions {
	d := flights()
	d.Sources = append(d.Sources, Source{
		Name: "scores", EventTime: "at", UniqueKey: []string{"carrier_id", "from", "at"}, Conflicting: KeepNewest,
		Columns: []Column{{Name: "from", Type: TypeString}, {Name: "carrier_id", Type: TypeInt64}, {Name: "at", Type: TypeTimestamp},
			{Name: "score", Type: TypeFloat64}, {Name: "build", Type: TypeString}},
	})
	d.Views = append(d.Views, View{
		Name: "route_scores", Entity: "route", Features: []Column{{Name: "score", Type: TypeFloat64}}, Attributes: []Column{{Name: "build", Type: TypeString}},
		Push: &Push{Source: "scores", Keys: map[string]string{"origin": "from", "carrier": "carrier_id"}},
	})
	return d
}

// pushed is the version of the view of scores.
func pushed() *ViewVersion {
	d := scores()
	v := &ViewVersion{Version: 1, View: d.Views[1], EntityVersion: &EntityVersion{Version: 1, Entity: d.Entities[0]}}
	v.EntityVersion.Fingerprint = d.Entities[0].Fingerprint()
	v.SourceVersions = []*SourceVersion{{Version: 1, Fingerprint: d.Sources[1].Fingerprint(), Source: d.Sources[1]}}
	v.Derive()
	v.Fingerprint = v.Meaning()
	return v
}

func TestPushIsTheSQLOneWouldWrite(t *testing.T) {
	v := pushed()
	want := `SELECT "from" AS "origin", "carrier_id" AS "carrier", event_time, available_at, "score", "build"
FROM "scores"
WHERE "from" IS NOT NULL AND "carrier_id" IS NOT NULL`
	if v.SQL.Query != want || !slices.Equal(v.SQL.Sources, []string{"scores"}) || !slices.Equal(v.SourceNames(), []string{"scores"}) {
		t.Errorf("found %v\nexpected %s", v.SQL, want)
	}
	if _, problems := ParseQuery(v.SQL.Query); len(problems) > 0 {
		t.Error(problems)
	}
	if problems := scores().Validate(nil); len(problems) > 0 {
		t.Error(problems)
	}
	// A view of the same SQL is another one: it is not run by loads.
	same := pushed()
	same.Push = nil
	if same.Meaning() == v.Fingerprint {
		t.Error("found one fingerprint for a view that pushes and one by sql")
	}
	other := pushed()
	other.View.Push = &Push{Source: "scores", Keys: map[string]string{"origin": "build", "carrier": "carrier_id"}}
	other.Derive()
	other.Fingerprint = other.Meaning()
	if d := DiffView(v, other); d.WordsOnly || !slices.Equal(d.Lines, []string{"push.keys.origin: from -> build"}) {
		t.Errorf("found %+v", d)
	}
}

func TestValidatePush(t *testing.T) {
	for _, c := range []struct {
		name           string
		change         func(s *Source, v *View)
		field, message string
	}{
		{"no source", func(_ *Source, v *View) { v.Push.Source = "score" }, "push.source", "found no source called score; did you mean scores?"},
		{"a table of others", func(s *Source, _ *View) {
			s.Postgres = &PostgresOrigin{Schema: "public", Table: "t"}
			s.Conflicting = FailConflicting
		},
			"push.source", "found source scores, whose rows others keep, expected one with `landing: {}`"},
		{"no key", func(s *Source, _ *View) { s.UniqueKey, s.Conflicting = nil, FailConflicting }, "push.source",
			"found source scores with no unique_key, expected a unique_key out of the join keys and its times (at, carrier_id, from): else two rows of one moment would fail every run"},
		{"another key", func(s *Source, _ *View) { s.UniqueKey = []string{"at", "build"} }, "push.source", "found source scores with the unique_key at, build"},
		{"a grain", func(_ *Source, v *View) { v.Grain = time.Hour }, "grain", "found a grain of 1h, expected none"},
		{"a lookback", func(_ *Source, v *View) { v.Lookback = time.Hour }, "lookback", "found a lookback of 1h, expected none"},
		{"an unknown feature", func(_ *Source, v *View) { v.Features[0].Name = "scor" }, "features[0].name", "found no column called scor in source scores; did you mean score?"},
		{"another type", func(_ *Source, v *View) { v.Attributes[0].Type = TypeInt64 }, "attributes[0].type", "found int64, expected string, the type of the source's column"},
		{"an unknown join key", func(_ *Source, v *View) { v.Push.Keys["origins"] = "from" }, "push.keys", "found origins, which is no join key of entity route; did you mean origin?"},
		{"no column for a key", func(_ *Source, v *View) { delete(v.Push.Keys, "carrier") }, "push.keys", "found no column called carrier in source scores for the join key carrier"},
		{"a key of another type", func(_ *Source, v *View) { v.Push.Keys["origin"] = "score" }, "push.keys", "found column score of type float64 for the join key origin, expected string"},
		{"two kinds", func(_ *Source, v *View) { v.OnDemand = &OnDemand{} }, "sql", "found 2 of sql, aggregation, on_demand and push, expected exactly one"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := scores()
			c.change(&d.Sources[1], &d.Views[1])
			problems := d.Validate(nil)
			if !slices.ContainsFunc(problems, func(p Problem) bool {
				return p.Field == "feature_views[1]."+c.field && strings.Contains(p.Message, c.message)
			}) {
				t.Fatalf("found %+v\nexpected %s: %s", problems, c.field, c.message)
			}
		})
	}
}

func TestValidateRowsThatAreLeftOut(t *testing.T) {
	good := func(s *Source) {
		s.UniqueKey, s.Conflicting, s.DeleteMarker = []string{"origin", "date"}, KeepNewest, "cancelled"
		s.AllowedLateness, s.NullEventTime = time.Hour, QuarantineNull
	}
	d := flights()
	good(&d.Sources[0])
	if problems := d.Validate(nil); len(problems) > 0 {
		t.Fatal(problems)
	}
	for _, c := range []struct {
		name           string
		change         func(s *Source)
		field, message string
	}{
		{"no arrival", func(s *Source) { s.ArrivalExpression = "" }, "allowed_lateness", "found it without an arrival_time, expected both"},
		{"no marker", func(s *Source) { s.DeleteMarker = "canceled" }, "delete_marker", "found no column called canceled in source flights; did you mean cancelled?"},
		{"a marker of another type", func(s *Source) { s.DeleteMarker = "delay" }, "delete_marker", "found column delay of type float64, expected one of type bool"},
		{"no key", func(s *Source) { s.UniqueKey, s.Conflicting = nil, FailConflicting }, "delete_marker", "found one without a unique_key, expected both"},
		{"a marker in the key", func(s *Source) { s.UniqueKey = []string{"origin", "cancelled"} }, "delete_marker", "found column cancelled in the unique_key too"},
		{"oldest", func(s *Source) { s.Conflicting = KeepOldest }, "delete_marker", "found duplicates.conflicting: oldest, expected newest"},
		{"a table of others", func(s *Source) { s.Postgres = &PostgresOrigin{Schema: "public", Table: "t"} }, "delete_marker", "expected it only for `landing: {}`"},
		{"NULL times of others", func(s *Source) { s.Postgres = &PostgresOrigin{Schema: "public", Table: "t"} }, "null_event_time", "found quarantine for a table that others keep"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := flights()
			good(&d.Sources[0])
			c.change(&d.Sources[0])
			problems := d.Validate(nil)
			if !slices.ContainsFunc(problems, func(p Problem) bool {
				return p.Field == "sources[0]."+c.field && strings.Contains(p.Message, c.message)
			}) {
				t.Fatalf("found %+v\nexpected %s: %s", problems, c.field, c.message)
			}
		})
	}
}
