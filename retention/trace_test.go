package retention

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/headwaterhq/headwater/feature"
)

func text(names ...string) (columns []feature.Column) {
	for _, n := range names {
		columns = append(columns, feature.Column{Name: n, Type: feature.TypeString})
	}
	return columns
}

// fixture is sources and views by what their columns are copied from.
type fixture struct {
	entities map[string]*feature.EntityVersion
	sources  map[string]*feature.SourceVersion
	views    []*feature.ViewVersion
	copies   map[int64]map[string]feature.CopiedColumn
}

func newFixture() *fixture {
	f := &fixture{entities: map[string]*feature.EntityVersion{}, sources: map[string]*feature.SourceVersion{}, copies: map[int64]map[string]feature.CopiedColumn{}}
	for _, name := range []string{"s", "t", "u"} {
		f.sources[name] = &feature.SourceVersion{Version: 1, Source: feature.Source{Name: name}}
	}
	return f
}

func (f *fixture) entity(name string, keys ...string) *feature.EntityVersion {
	if f.entities[name] == nil {
		f.entities[name] = &feature.EntityVersion{Version: 1, Entity: feature.Entity{Name: name, JoinKeys: text(keys...)}}
	}
	return f.entities[name]
}

// view adds one that reads sources and views. columns are `COLUMN=RELATION.COLUMN,…`, with a question mark behind where some are computed.
func (f *fixture) view(name string, e *feature.EntityVersion, reads string, columns ...string) *feature.ViewVersion {
	v := &feature.ViewVersion{ID: int64(len(f.views) + 1), Version: 1, EntityVersion: e, View: feature.View{Name: name, Entity: e.Name}}
	for _, r := range strings.Fields(reads) {
		if s := f.sources[r]; s != nil {
			v.SourceVersions = append(v.SourceVersions, s)
			continue
		}
		i := slices.IndexFunc(f.views, func(w *feature.ViewVersion) bool { return w.Name == r })
		v.ViewVersions = append(v.ViewVersions, f.views[i])
	}
	copies := map[string]feature.CopiedColumn{}
	for _, c := range columns {
		column, from, _ := strings.Cut(c, "=")
		whole := !strings.HasSuffix(from, "?")
		copied := feature.CopiedColumn{Whole: whole}
		for _, one := range strings.Split(strings.TrimSuffix(from, "?"), ",") {
			if relation, input, ok := strings.Cut(one, "."); ok {
				copied.From = append(copied.From, feature.CopiedFrom{Relation: relation, Column: input})
			}
		}
		copies[column] = copied
		if !slices.ContainsFunc(e.JoinKeys, func(k feature.Column) bool { return k.Name == column }) {
			v.Features = append(v.Features, text(column)...)
		}
	}
	f.copies[v.ID] = copies
	f.views = append(f.views, v)
	return v
}

// trace is what is found of an entity, as `source s: a; view v: k`.
func (f *fixture) trace(t *testing.T, e *feature.EntityVersion) (*Trace, string) {
	t.Helper()
	values := make([]feature.Value, len(e.JoinKeys))
	for i := range values {
		values[i] = feature.String(fmt.Sprint("v", i))
	}
	found, err := NewTrace(e, "v", values, Catalog{
		Views:  slices.Clone(f.views),
		Source: func(name string) *feature.SourceVersion { return f.sources[name] },
		Copies: func(v *feature.ViewVersion) (map[string]feature.CopiedColumn, error) { return f.copies[v.ID], nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	var parts []string
	keysOf := func(keys [][]string) string {
		var lists []string
		for _, k := range keys {
			lists = append(lists, strings.Join(k, "+"))
		}
		slices.Sort(lists)
		return strings.Join(lists, " ")
	}
	for _, s := range found.Sources {
		parts = append(parts, s.Source.Name+": "+keysOf(s.Keys))
	}
	for _, v := range found.Views {
		parts = append(parts, v.View.Name+": "+keysOf(v.Keys))
	}
	return found, strings.Join(parts, "; ")
}

func expect(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("found    %s\nexpected %s", got, want)
	}
}

func TestAKeyIsFollowedDownAndUp(t *testing.T) {
	f := newFixture()
	person, port, seat := f.entity("person", "id"), f.entity("port", "origin"), f.entity("seat", "flight", "holder")
	f.view("trips", person, "s", "id=s.passenger", "price=s.price")
	f.view("home", person, "s t", "id=s.passenger,t.who", "country=t.country")
	// Over a view, and what is copied from the same in other entities' views.
	f.view("again", person, "trips", "id=trips.id")
	f.view("last", port, "s", "origin=s.origin", "who=s.passenger", "n=")
	f.view("over", port, "last", "origin=last.origin", "name=last.who")
	f.view("seats", seat, "s", "flight=s.flight", "holder=s.passenger")
	f.view("apart", port, "u", "origin=u.origin", "who=u.passenger")
	found, got := f.trace(t, person)
	expect(t, got, "s: passenger; t: who; trips: id; home: id; again: id; last: who; over: name; seats: holder")
	if len(found.Notes) > 0 {
		t.Errorf("found %v", found.Notes)
	}
	for _, v := range found.Views {
		own, whole := found.Own(v, v.Keys[0]), v.Whole(v.Keys[0])
		if want := v.View.Entity == "person"; own != want || whole != (want || v.View.Name == "seats") {
			t.Errorf("%s: found %v, %v", v.View.Name, own, whole)
		}
	}
}

func TestCompositeKeysAreFollowedWhole(t *testing.T) {
	f := newFixture()
	route := f.entity("route", "from", "to")
	f.view("traffic", route, "s t", "from=s.a,t.a", "to=s.b")
	f.view("twice", route, "u", "from=u.a,u.c", "to=u.b")
	f.view("mixed", route, "s t", "from=s.x", "to=t.y")
	found, got := f.trace(t, route)
	expect(t, got, "s: a+b; u: a+b c+b; traffic: from+to; twice: from+to; mixed: from+to")
	if len(found.Notes) != 1 || found.Notes[0].Name != "s and t" || !strings.Contains(found.Notes[0].Text, "view mixed@1 puts from, to together of several inputs") {
		t.Errorf("found %v", found.Notes)
	}
}

func TestWhatCannotBeFollowedIsSaid(t *testing.T) {
	f := newFixture()
	person := f.entity("person", "id")
	f.view("lower", person, "s", "id=?")
	f.view("partly", person, "t", "id=t.id?")
	old := &feature.EntityVersion{Version: 3, Entity: feature.Entity{Name: "person", JoinKeys: text("email")}}
	f.view("old", old, "u", "email=u.email")
	f.sources["t"].Postgres = &feature.PostgresOrigin{Schema: "crm", Table: "people"}
	found, got := f.trace(t, person)
	expect(t, got, "t: id; lower: id; partly: id")
	var notes []string
	for _, n := range found.Notes {
		notes = append(notes, n.Place+" "+n.Name+": "+n.Text[:min(40, len(n.Text))])
	}
	expect(t, strings.Join(notes, "\n"), `history old@1: it is of version 3 of entity person, whi
landing s: view lower@1 computes id: rows from whic
landing t: view partly@1 computes id: rows from whi
table of others t: its rows are in crm.people, which Headwa`)
}
