package registry

import (
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

var words = regexp.MustCompile(`\w+`)

// analysed is a CheckView that finds what the query names to be what it uses, and counts how often it was asked.
func analysed(asked *[]string) func(context.Context, pgx.Tx, *feature.ViewVersion) (*feature.Analysis, error) {
	return func(_ context.Context, _ pgx.Tx, v *feature.ViewVersion) (*feature.Analysis, error) {
		*asked = append(*asked, v.Name)
		a := &feature.Analysis{Uses: map[string][]string{}}
		named := words.FindAllString(v.SQL.Query, -1)
		for _, s := range v.SourceVersions {
			a.Uses[s.Name] = []string{}
			for i := range s.Columns {
				if c := s.Columns[i].Name; slices.Contains(named, c) {
					a.Uses[s.Name] = append(a.Uses[s.Name], c)
					a.Inputs = append(a.Inputs, feature.ColumnInput{Column: "departures", Kind: feature.InputFilter, Relation: s.Name, InputColumn: c})
				}
			}
		}
		for _, f := range v.SQL.Functions {
			a.Functions = append(a.Functions, feature.FunctionBody{Function: f.Function, Body: feature.Digest{byte(len(*asked))}})
		}
		return a, nil
	}
}

func TestASourceGrowsUnderItsViews(t *testing.T) {
	pool := testenv.Postgres(t)
	var asked []string
	r := open(t, pool, Config{CheckView: analysed(&asked)})
	d := flights()
	d.Views[0].SQL.Query = "SELECT count(*) AS departures FROM flights WHERE delay > 0"
	apply(t, r, d)
	asked = nil
	expect(t, "the same", told(apply(t, r, d)))
	d.Views[0].Owner = "x"
	expect(t, "words", told(apply(t, r, d)), "update view:delays@1")
	expect(t, "analysed without a need", asked)

	d.Sources[0].Columns = append(d.Sources[0].Columns, feature.Column{Name: "carrier", Type: feature.TypeString})
	changes := apply(t, r, d)
	expect(t, "a column that is not used", told(changes), "new_version source:flights@2", "update view:delays@1")
	expect(t, "details", changes[1].Details, "source flights: version 1 -> 2")
	expect(t, "analysed", asked, "delays")
	expect(t, "again", told(apply(t, r, d)))
	c := open(t, pool, Config{}).Catalog()
	v, err := c.View("delays")
	if err != nil || v.Version != 1 || v.SourceVersions[0].Version != 2 || v.Fingerprint != v.Meaning() {
		t.Fatalf("found %+v, %v", v, err)
	}
	// What it is made of is kept.
	definition, err := c.Definition(feature.KindView, "delays")
	want := []feature.ColumnInput{{Column: "departures", Kind: feature.InputFilter, Relation: "source:flights", InputColumn: "delay"}}
	if err != nil || !slices.Equal(definition.ColumnInputs, want) || !slices.Equal(v.Analysis.Uses["flights"], []string{"delay"}) {
		t.Errorf("found %+v and %+v, %v", definition.ColumnInputs, v.Analysis, err)
	}
	expect(t, "dependents", c.Dependents(feature.KindSource, "flights", 2), "view:delays@1")

	// Of a source that changes alone, the view goes on reading the version it was made with, and still depends on it.
	d.Sources[0].Columns = append(d.Sources[0].Columns, feature.Column{Name: "gate", Type: feature.TypeString})
	changes = apply(t, r, &feature.Definitions{Sources: d.Sources})
	expect(t, "alone", told(changes), "new_version source:flights@3")
	expect(t, "warnings", changes[0].Warnings, "view delays@1 goes on reading flights@2: it is not in these files")
	expect(t, "dependents", r.Catalog().Dependents(feature.KindSource, "flights", 3), "view:delays@1")

	d.Sources[0].ArrivalExpression = "date + interval '1 hour'"
	expect(t, "a clock", told(apply(t, r, d)), "new_version source:flights@4", "new_version view:delays@2")
}

// firstFingerprint is that of the view of flights() in the first format, as registries hold it.
const firstFingerprint = "8a6703ff769dd23fe158144ada74e8d4138956eb7b46f0c0a482c5a0bcd6d58b"

func TestVersionsOfTheFirstFormatStay(t *testing.T) {
	pool := testenv.Postgres(t)
	apply(t, open(t, pool, Config{}), flights())
	// A registry that was written by an earlier version has no analyses, and no changes but those it has seen since.
	fingerprint, err := feature.ParseDigest(firstFingerprint)
	if err != nil {
		t.Fatal(err)
	}
	pin := feature.ServicePin{View: &feature.ViewVersion{Fingerprint: fingerprint, View: flights().Views[0]}, Features: []int{0, 1}}
	service := flights().Services[0].Fingerprint([]feature.ServicePin{pin})
	_, err = pool.Exec(t.Context(), `UPDATE headwater.definition SET fingerprint = CASE kind WHEN 'view' THEN $1::bytea ELSE $2 END
		WHERE kind IN ('view', 'service')`, fingerprint[:], service[:])
	if err == nil {
		_, err = pool.Exec(t.Context(), "TRUNCATE headwater.definition_change")
	}
	if err != nil {
		t.Fatal(err)
	}
	var asked []string
	r := open(t, pool, Config{CheckView: analysed(&asked)})
	expect(t, "the same files", told(apply(t, r, flights())))
	expect(t, "analysed without a need", asked)
	d := flights()
	d.Views[0].Owner = "x"
	expect(t, "words", told(apply(t, r, d)), "update view:delays@1")
	d.Sources[0].Columns = append(d.Sources[0].Columns, feature.Column{Name: "carrier", Type: feature.TypeString})
	expect(t, "a column that is not used", told(apply(t, r, d)), "new_version source:flights@2")
	expect(t, "again", told(apply(t, r, d)))
	if v, err := r.Catalog().View("delays"); err != nil || v.Fingerprint.String() != firstFingerprint || v.SourceVersions[0].Version != 1 {
		t.Errorf("found %+v, %v", v, err)
	}
	d.Sources[0].ArrivalExpression = "date + interval '1 hour'"
	expect(t, "a clock", told(apply(t, r, d)), "new_version source:flights@3", "new_version view:delays@2")
	if v, err := r.Catalog().View("delays"); err != nil || v.Fingerprint != v.Meaning() {
		t.Errorf("found %+v, %v", v, err)
	}
}

func TestPlanWarnsOfWhatIsDeprecated(t *testing.T) {
	var asked []string
	r := open(t, testenv.Postgres(t), Config{CheckView: analysed(&asked)})
	d := flights()
	d.Views[0].SQL.Query = "SELECT count(*) AS departures FROM flights WHERE delay > 0"
	on := func(replacement string) *feature.Deprecation {
		return &feature.Deprecation{Date: "2027-01-31", Replacement: replacement}
	}
	d.Entities[0].Deprecated, d.Sources[0].Deprecated = on("station"), on("")
	d.Sources[0].Columns[2].Deprecated, d.Sources[0].Columns[1].Deprecated = on("minutes"), on("unused")
	d.Views[0].Deprecated, d.Views[0].Features[0].Deprecated = on("waits"), on("departed")
	changes := apply(t, r, d)
	expect(t, "view", changes[2].Warnings,
		"uses entity airport, which is deprecated from 2027-01-31 on; use station instead",
		"uses source flights, which is deprecated from 2027-01-31 on",
		"uses column delay of source flights, which is deprecated from 2027-01-31 on; use minutes instead")
	expect(t, "service", changes[3].Warnings,
		"uses view delays, which is deprecated from 2027-01-31 on; use waits instead",
		"uses feature departures of view delays, which is deprecated from 2027-01-31 on; use departed instead")
	if s := r.Catalog().Summaries(feature.KindView)[0]; s.Deprecated == nil || s.Deprecated.Replacement != "waits" || s.Version != 1 {
		t.Errorf("found %+v", s)
	}
	// It is words, and whoever uses it is named.
	d.Services[0].Deprecated = on("")
	d.Sources[0].Deprecated.Date = "2027-02-28"
	changes = apply(t, r, d)
	expect(t, "words", told(changes), "update source:flights@1", "update service:model@1")
	expect(t, "details", changes[0].Details, "deprecated: from 2027-01-31 on -> from 2027-02-28 on")
	expect(t, "used", changes[0].Warnings, "is deprecated from 2027-02-28 on, and read by view:delays@1")
	if got := changes[1].Warnings[0]; got != "uses view delays, which is deprecated from 2027-01-31 on; use waits instead" {
		t.Errorf("found %q", got)
	}
}

func TestPlanTellsTheDataWork(t *testing.T) {
	from := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	asked := 0
	r := open(t, testenv.Postgres(t), Config{Reach: func(_ context.Context, _ pgx.Tx, v *feature.ViewVersion) (*Reach, error) {
		asked++
		if v.SourceVersions[0].Name != "flights" {
			return nil, nil
		}
		return &Reach{Rows: 7, From: from, To: from.Add(time.Hour)}, nil
	}})
	changes := apply(t, r, flights())
	if w := changes[2].DataWork; w == nil || *w != (DataWork{Reach: Reach{7, from, from.Add(time.Hour)}}) {
		t.Errorf("found %+v", w)
	}
	for i, c := range changes {
		if i != 2 && c.DataWork != nil {
			t.Errorf("%s %s: found %+v", c.DefinitionKind, c.Name, c.DataWork)
		}
	}
	if _, err := r.pool.Exec(t.Context(), "UPDATE headwater.view_state SET live_rows = 5"); err != nil {
		t.Fatal(err)
	}
	d := flights()
	d.Views[0].Owner = "x"
	if c := apply(t, r, d)[0]; c.DataWork != nil {
		t.Errorf("words are no work: found %+v", c.DataWork)
	}
	d.Views[0].TTL = time.Hour
	changes = apply(t, r, d)
	if w := changes[0].DataWork; w == nil || w.PreviousRows != 5 || w.Rows != 7 {
		t.Errorf("found %+v", w)
	}
	expect(t, "warnings", changes[0].Warnings, "service model stays pinned to delays@1; write delays@2 there to move it")

	// Rows that others keep may take too long to count, which is tried once.
	d.Sources = append(d.Sources, d.Sources[0])
	d.Sources[1].Name, d.Sources[1].Postgres = "theirs", &feature.PostgresOrigin{Schema: "public", Table: "t"}
	d.Views[0].SQL.Sources = []string{"theirs"}
	d.Views = append(d.Views, d.Views[0])
	d.Views[1].Name = "again"
	asked = 0
	changes = apply(t, r, d)
	expect(t, "of others", told(changes), "add source:theirs@1", "new_version view:delays@3", "add view:again@1")
	for _, c := range changes[1:] {
		if n := len(c.Warnings); c.DataWork != nil || n == 0 || c.Warnings[n-1] != "the data work is not known: the rows of source theirs, which "+
			"others keep, could not be counted in a moment; a run counts those that it reads" {
			t.Errorf("found %+v", c)
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times, expected once", asked)
	}
}

// overViews is views that read views, each `NAME: SOURCES AND VIEWS`.
func overViews(reads ...string) *feature.Definitions {
	d := flights()
	base := d.Views[0]
	d.Views, d.Services = nil, nil
	for _, r := range reads {
		name, refs, _ := strings.Cut(r, ":")
		w := base
		w.Name = name
		w.SQL = &feature.SQLTransform{Query: base.SQL.Query}
		for _, ref := range strings.Fields(refs) {
			if ref == "flights" {
				w.SQL.Sources = append(w.SQL.Sources, ref)
				continue
			}
			name, version, _ := strings.Cut(ref, "@")
			n, _ := strconv.Atoi(version)
			w.SQL.Views = append(w.SQL.Views, feature.ViewRef{Name: name, Version: n})
		}
		d.Views = append(d.Views, w)
	}
	return d
}

func TestViewsOverViews(t *testing.T) {
	pool := testenv.Postgres(t)
	var asked []string
	r := open(t, pool, Config{CheckView: analysed(&asked)})
	d := overViews("top:middle", "middle:bottom", "bottom:flights")
	changes := apply(t, r, d)
	expect(t, "in the order of what they read", told(changes)[2:5], "add view:bottom@1", "add view:middle@1", "add view:top@1")
	expect(t, "analysed", asked, "bottom", "middle", "top")
	read := func(ref, of string) int {
		t.Helper()
		v, err := open(t, pool, Config{}).Catalog().View(ref)
		if err != nil || len(v.ViewVersions) != 1 || v.ViewVersions[0].Name != of {
			t.Fatalf("found %+v, %v", v, err)
		}
		return v.ViewVersions[0].Version
	}
	if read("top", "middle") != 1 || read("middle", "bottom") != 1 {
		t.Error("found other versions than the first")
	}
	definition, err := r.Catalog().Definition(feature.KindView, "middle")
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "inputs", definition.Inputs, "entity:airport", "view:bottom@1")
	expect(t, "dependents", definition.Dependents, "view:top@1")

	// A new version below is one above, for the views in the same files.
	d.Views[2].TTL = time.Hour
	changes = apply(t, r, &feature.Definitions{Views: []feature.View{d.Views[1], d.Views[2]}})
	expect(t, "below", told(changes), "new_version view:bottom@2", "new_version view:middle@2")
	expect(t, "details", changes[1].Details, "view bottom: version 1 -> 2")
	expect(t, "warnings of bottom", changes[0].Warnings)
	expect(t, "warnings of middle", changes[1].Warnings, "view top@1 goes on reading middle@1: it is not in these files")
	if read("top", "middle") != 1 || read("middle", "bottom") != 2 {
		t.Error("found other versions than 1 and 2")
	}
	expect(t, "with all", told(apply(t, r, d)), "new_version view:top@2")
	// One that names a version stays.
	d.Views[1].SQL.Views[0].Version = 1
	expect(t, "named", told(apply(t, r, d)), "new_version view:middle@3", "new_version view:top@3")
	d.Views[2].TTL = 2 * time.Hour
	changes = apply(t, r, d)
	expect(t, "named, below", told(changes), "new_version view:bottom@3")
	expect(t, "named, warnings", changes[0].Warnings, "view middle@3 goes on reading bottom@1: it names that version")
	d.Views[1].SQL.Views[0].Version = 9
	_, _, err = r.Plan(t.Context(), Request{Files: files(d)})
	v := faultOf(t, err, fault.InvalidDefinition).Violations
	if len(v) != 1 || v[0].Field != "feature_views[1].sql.views[0]" || v[0].Description != "found no version 9 of view bottom, expected one of 1 to 3" {
		t.Errorf("found %+v", v)
	}

	// What a view reads cannot be removed under it.
	d.Views[1].SQL.Views[0].Version = 0
	d.Views = d.Views[:2]
	_, err = whole(t, r, d, false)
	expect(t, "removed below", refusal(t, err), "view:bottom: found it used by view:middle@4"+putBack)
}

func TestCyclesAreRefusedWithTheirPath(t *testing.T) {
	r := open(t, testenv.Postgres(t), Config{})
	_, _, err := r.Plan(t.Context(), Request{Files: files(overViews("x:flights", "a:flights b", "c:a", "b:c"))})
	v := faultOf(t, err, fault.InvalidDefinition).Violations
	if len(v) != 1 || v[0].Field != "feature_views[1].sql.views[0]" || v[0].Description != "found a cycle: a reads b reads c reads a; a view "+
		"cannot be made of itself: take one of these references out, or name a version that is there already: NAME@VERSION" {
		t.Errorf("found %+v", v)
	}
	// A version that is being made is no way around; one that is there is.
	apply(t, r, overViews("a:flights", "b:a"))
	d := overViews("a:flights b@2", "b:a")
	_, _, err = r.Plan(t.Context(), Request{Files: files(d)})
	v = faultOf(t, err, fault.InvalidDefinition).Violations
	if len(v) != 1 || !strings.HasPrefix(v[0].Description, "found a cycle: a reads b reads a; ") {
		t.Errorf("found %+v", v)
	}
	d.Views[0].SQL.Views[0].Version = 1
	expect(t, "an earlier version", told(apply(t, r, d)), "new_version view:a@2", "new_version view:b@2")
}
