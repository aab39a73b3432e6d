package feature

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func viewVersion(d *Definitions) *ViewVersion {
	e := &EntityVersion{Version: 1, Fingerprint: d.Entities[0].Fingerprint(), Entity: d.Entities[0]}
	s := &SourceVersion{Version: 1, Fingerprint: d.Sources[0].Fingerprint(), Source: d.Sources[0]}
	v := &ViewVersion{Version: 1, View: d.Views[0], EntityVersion: e, SourceVersions: []*SourceVersion{s}}
	v.Fingerprint = v.Meaning()
	return v
}

func TestDiffView(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(d *Definitions)
		words  bool
		lines  []string
	}{
		{"nothing", func(d *Definitions) {}, true, nil},
		{"words", func(d *Definitions) {
			d.Views[0].Description, d.Views[0].Owner, d.Views[0].Tags = "d", "o", []string{"a", "b"}
		}, true,
			[]string{"description", "owner: set to o", "tags: set to a, b"}},
		{"layout", func(d *Definitions) { d.Views[0].SQL.Query += "\n-- end" }, true, []string{"sql.query: layout and comments only"}},
		{"sql", func(d *Definitions) { d.Views[0].SQL.Query = strings.Replace(d.Views[0].SQL.Query, "'X'", "'Y'", 1) }, false,
			[]string{"sql.query: from line 3, column 54: `'X'` -> `'Y'`"}},
		{"more sql", func(d *Definitions) { d.Views[0].SQL.Query += "\nLIMIT 5" }, false, []string{"sql.query: from line 4, column 1: `LIMIT` was added"}},
		{"columns", func(d *Definitions) {
			v := &d.Views[0]
			v.Features = []Column{{Name: "mean_delay", Type: TypeInt64, Tags: []string{"x"}}, {Name: "late", Type: TypeBool}}
		}, false, []string{
			"feature departures: removed (was int64)", "feature mean_delay: float64 -> int64", "tags of feature mean_delay: set to x",
			"feature late: added (bool)",
		}},
		{"order", func(d *Definitions) { slices.Reverse(d.Views[0].Features) }, false,
			[]string{"features: in another order: departures, mean_delay -> mean_delay, departures"}},
		{"durations", func(d *Definitions) { d.Views[0].TTL, d.Views[0].Grain = 0, 2*time.Hour }, false,
			[]string{"ttl: was 48h, now unset", "grain: 1h -> 2h"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := flights()
			c.change(d)
			got := DiffView(viewVersion(flights()), viewVersion(d))
			if got.WordsOnly != c.words || !slices.Equal(got.Lines, c.lines) {
				t.Fatalf("found %t %q\nexpected %t %q", got.WordsOnly, got.Lines, c.words, c.lines)
			}
		})
	}
}

func TestDiffFollowsWhatAViewReads(t *testing.T) {
	before, after := viewVersion(flights()), viewVersion(flights())
	after.SourceVersions[0].Version, after.SourceVersions[0].Corrections = 2, Arrive
	after.Fingerprint = after.Meaning()
	if got := DiffView(before, after); got.WordsOnly || !slices.Equal(got.Lines, []string{"source flights: version 1 -> 2"}) {
		t.Fatalf("found %+v", got)
	}
}

func TestDiffServiceSeesPins(t *testing.T) {
	d := flights()
	v1, v2 := viewVersion(d), viewVersion(d)
	v2.Version = 2
	service := func(v *ViewVersion, features ...int) *ServiceVersion {
		pins := []ServicePin{{View: v, Features: features}}
		return &ServiceVersion{Service: d.Services[0], Pins: pins, Fingerprint: d.Services[0].Fingerprint(pins)}
	}
	// A version can have the fingerprint of an earlier one; moving a pin to it is a change of meaning all the same.
	got := DiffService(service(v1, 0), service(v2, 0))
	if got.WordsOnly || !slices.Equal(got.Lines, []string{"view route_delays: version 1 -> 2"}) {
		t.Errorf("found %+v", got)
	}
	got = DiffService(service(v1, 0), service(v1, 1, 0))
	if got.WordsOnly || !slices.Equal(got.Lines, []string{"features of route_delays: departures -> mean_delay, departures"}) {
		t.Errorf("found %+v", got)
	}
}

func TestDiffRole(t *testing.T) {
	role := func(change func(r *Role)) *RoleVersion {
		r := flights().Roles[0]
		change(&r)
		return &RoleVersion{Role: r, Fingerprint: r.Fingerprint()}
	}
	got := DiffRole(role(func(*Role) {}), role(func(r *Role) { r.Grants[1].Deny = false }))
	want := []string{"no longer: deny read_online on source:*", "new: allow read_online on source:*"}
	if got.WordsOnly || !slices.Equal(got.Lines, want) {
		t.Errorf("found %+v", got)
	}
	got = DiffRole(role(func(*Role) {}), role(func(r *Role) { slices.Reverse(r.Grants); r.Owner = "x" }))
	if !got.WordsOnly || !slices.Equal(got.Lines, []string{"owner: set to x"}) {
		t.Errorf("found %+v", got)
	}
}

func TestDurationsAreToldAsTheyAreWritten(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "", time.Second: "1s", 90 * time.Second: "1m30s", time.Minute: "1m", 10 * time.Minute: "10m", time.Hour: "1h",
		20 * time.Hour: "20h", 100 * time.Hour: "100h", 90 * time.Minute: "1h30m", time.Hour + 10*time.Second: "1h0m10s",
		time.Hour + time.Microsecond: "1h0m0.000001s",
	} {
		if got := durationText(d); got != want {
			t.Errorf("found %q, expected %q", got, want)
		}
	}
}
