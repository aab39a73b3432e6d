package feature

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestDiffSource(t *testing.T) {
	source := func(change func(s *Source)) *SourceVersion {
		s := flights().Sources[0]
		s.Columns = slices.Clone(s.Columns)
		change(&s)
		return &SourceVersion{Version: 1, Fingerprint: s.Fingerprint(), Source: s}
	}
	for _, c := range []struct {
		name   string
		change func(s *Source)
		words  bool
		lines  []string
	}{
		{"origin", func(s *Source) { s.Postgres = &PostgresOrigin{Database: "warehouse", Schema: "public", Table: "t"} }, false,
			[]string{"origin: landing -> postgres warehouse:public.t"}},
		{"unique key", func(s *Source) {
			s.UniqueKey, s.Exact, s.Conflicting = []string{"date", "origin"}, FailExact, KeepNewest
		}, false,
			[]string{"unique_key: set to date, origin", "duplicates.exact: drop -> fail", "duplicates.conflicting: fail -> newest"}},
		{"change column", func(s *Source) {
			s.Postgres = &PostgresOrigin{Schema: "public", Table: "t", ChangeColumn: "landed", Reread: time.Hour, Snapshot: true}
		}, false,
			[]string{"origin: landing -> postgres public.t", "postgres.change_column: set to landed", "postgres.reread: set to 1h",
				"postgres.snapshot: false -> true"}},
		{"schema changes", func(s *Source) { s.IgnoreNewColumns = true }, true, []string{"schema_changes: refuse -> ignore_new_columns"}},
		{"null_event_time", func(s *Source) { s.NullEventTime = DropNull }, true, []string{"null_event_time: refuse -> drop"}},
		{"allowed_lateness", func(s *Source) { s.AllowedLateness = time.Hour }, false, []string{"allowed_lateness: set to 1h"}},
		{"delete_marker", func(s *Source) { s.DeleteMarker = "gone" }, false, []string{"delete_marker: set to gone"}},
		{"freshness", func(s *Source) { s.Freshness = time.Hour }, true, []string{"freshness: set to 1h"}},
		{"corrections", func(s *Source) { s.Corrections = Arrive }, false, []string{"corrections: restate -> arrive"}},
		{"deprecation", func(s *Source) { s.Deprecated = &Deprecation{"2027-01-31", "flights_v2"} }, true,
			[]string{"deprecated: set to from 2027-01-31 on, in favour of flights_v2"}},
		{"deprecation of a column", func(s *Source) { s.Columns[4].Deprecated = &Deprecation{Date: "2027-01-31"} }, true,
			[]string{"deprecated of column delay: set to from 2027-01-31 on"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := DiffSource(source(func(*Source) {}), source(c.change))
			if got.WordsOnly != c.words || !slices.Equal(got.Lines, c.lines) {
				t.Fatalf("found %t %q\nexpected %t %q", got.WordsOnly, got.Lines, c.words, c.lines)
			}
		})
	}
}

func TestDiffServiceSeesWhatItShows(t *testing.T) {
	service := func(change func(sv *ServiceView)) *ServiceVersion {
		d := flights()
		v := viewVersion(d)
		change(&d.Services[0].Views[0])
		pins := []ServicePin{{View: v, Features: []int{0}}}
		return &ServiceVersion{Service: d.Services[0], Pins: pins, Fingerprint: d.Services[0].Fingerprint(pins)}
	}
	for _, c := range []struct {
		name   string
		change func(sv *ServiceView)
		lines  []string
	}{
		{"rename", func(sv *ServiceView) { sv.Rename = map[string]string{"mean_delay": "delay"} },
			[]string{"rename of route_delays.mean_delay: set to delay"}},
		{"default", func(sv *ServiceView) { sv.Defaults = map[string]Literal{"mean_delay": 0.5, "departures": nil} },
			[]string{"default of route_delays.departures: set to null", "default of route_delays.mean_delay: set to 0.5"}},
		{"published", func(sv *ServiceView) { sv.Published = true }, []string{"view route_delays: follows the newest published version now"}},
		{"version", func(sv *ServiceView) { sv.Version = 1 }, []string{"view route_delays: written as route_delays@1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := DiffService(service(func(*ServiceView) {}), service(c.change)); !slices.Equal(got.Lines, c.lines) {
				t.Fatalf("found %q\nexpected %q", got.Lines, c.lines)
			}
		})
	}
}

func TestDiffLines(t *testing.T) {
	numbers := func(n int) string { return strings.Repeat("x\n", n) }
	for _, c := range []struct{ before, after, want string }{
		{"a", "a", ""},
		{"a\nb\nc", "a\nB\nc", "  a|- b|+ B|  c"},
		{"a", "a\nb", "  a|+ b"},
		{numbers(6) + "a\n" + numbers(6), numbers(6) + numbers(6), "…|  x|  x|  x|- a|  x|  x|  x|…"},
	} {
		if got := strings.Join(DiffLines(c.before, c.after), "|"); got != c.want {
			t.Errorf("%q and %q: found %q, expected %q", c.before, c.after, got, c.want)
		}
	}
	long := strings.Repeat("a\n", 3000)
	if got := DiffLines(long, long+"b"); len(got) != 1 || !strings.HasPrefix(got[0], "… too long to compare line by line: 3001 lines before, 3001 after") {
		t.Errorf("found %q", got)
	}
}

func TestViewsAreOrderedByWhatTheyRead(t *testing.T) {
	views := func(reads ...string) []View {
		var list []View
		for _, r := range reads {
			name, refs, _ := strings.Cut(r, ":")
			v := View{Name: name, SQL: &SQLTransform{}}
			for _, ref := range strings.Fields(refs) {
				ref, version, _ := strings.Cut(ref, "@")
				v.SQL.Views = append(v.SQL.Views, ViewRef{Name: ref, Version: len(version)})
			}
			list = append(list, v)
		}
		return list
	}
	for _, c := range []struct {
		reads []string
		order string
		cycle string
	}{
		{[]string{"a", "b", "c"}, "a b c", ""},
		{[]string{"a:b c", "b:c", "c"}, "c b a", ""},
		{[]string{"a:x", "b:a"}, "a b", ""},
		{[]string{"a:b@1", "b:a"}, "a b", ""},
		{[]string{"a:a"}, "", "feature_views[0].sql.views[0]: found a cycle: a reads a; a view"},
		{[]string{"c:a", "x", "b:x c", "a:b"}, "", "feature_views[0].sql.views[0]: found a cycle: c reads a reads b reads c; a view"},
		{[]string{"x:b", "a:b", "b:x a"}, "", "feature_views[0].sql.views[0]: found a cycle: x reads b reads x; a view"},
	} {
		list := views(c.reads...)
		order, problems := OrderViews(list, nil)
		if c.cycle != "" {
			if len(problems) == 0 || !strings.HasPrefix(problems[0].Field+": "+problems[0].Message, c.cycle) {
				t.Errorf("%q: found %+v, expected %s", c.reads, problems, c.cycle)
			}
			continue
		}
		var names []string
		for _, i := range order {
			names = append(names, list[i].Name)
		}
		if got := strings.Join(names, " "); got != c.order || len(problems) > 0 {
			t.Errorf("%q: found %s and %v, expected %s", c.reads, got, problems, c.order)
		}
	}
	// A version that is being made is no way around.
	list := views("a:b@1", "b:a")
	if _, problems := OrderViews(list, func(ViewRef) bool { return true }); len(problems) != 1 {
		t.Errorf("found %v, expected a cycle", problems)
	}
	d := Definitions{Views: list}
	d.Views[0].SQL.Views[0].Version = 0
	found := false
	for _, p := range d.Validate(&Known{}) {
		found = found || p.Field == "feature_views[0].sql.views[0]" && p.Message == "found a cycle: a reads b reads a; a view cannot be made of "+
			"itself: take one of these references out, or name a version that is there already: NAME@VERSION"
	}
	if !found {
		t.Error("validation does not tell of a cycle")
	}
}
