package retention

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/headwaterhq/headwater/feature"
)

// Trace is where an entity's rows are to be looked for: in which columns of which sources and histories its key is. It follows the key
// columns of the entity's views to what they are copied from, and from there to all that is copied from the same, until nothing is added.
type Trace struct {
	Entity *feature.EntityVersion
	// Values are those of the join keys, in the entity's order, Key the encoding of them.
	Values []feature.Value
	Key    string
	// Sources are those that hold the key, by name, Views the versions with a history that do, by id: inputs come first.
	Sources []*TracedSource
	Views   []*TracedView
	Notes   []Note
}

// TracedSource is a source with columns that hold the key.
type TracedSource struct {
	// Source is its newest version.
	Source *feature.SourceVersion
	// Keys are lists of columns, one per join key: rows in which all have their values are the entity's.
	Keys [][]string
}

// TracedView is a view version with columns that hold the key.
type TracedView struct {
	View *feature.ViewVersion
	// Keys are as those of a source; columns are join keys, features and attributes.
	Keys [][]string
}

// Note says what cannot be followed, and where somebody must look.
type Note struct{ Place, Name, Text string }

// Whole reports whether a list of columns is made of join keys of the view alone: then they tell the entities that are erased.
func (v *TracedView) Whole(key []string) bool {
	return !slices.ContainsFunc(key, func(c string) bool { return keyIndex(v.View, c) < 0 })
}

// Own reports whether the rows are all of one entity, with the key of the trace.
func (t *Trace) Own(v *TracedView, key []string) bool {
	return len(key) == len(v.View.EntityVersion.JoinKeys) && slices.Equal(key, namesOf(v.View.EntityVersion.JoinKeys)) && v.View.Entity == t.Entity.Name
}

func keyIndex(v *feature.ViewVersion, column string) int {
	return slices.IndexFunc(v.EntityVersion.JoinKeys, func(k feature.Column) bool { return k.Name == column })
}

func namesOf(columns []feature.Column) []string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name
	}
	return names
}

// Catalog is what a trace looks through.
type Catalog struct {
	// Views are all versions with a history, also of views that are no longer in use.
	Views []*feature.ViewVersion
	// Source finds the newest version of a source, nil for none.
	Source func(name string) *feature.SourceVersion
	// Copies says what a view's columns are copied from.
	Copies func(v *feature.ViewVersion) (map[string]feature.CopiedColumn, error)
}

// NewTrace follows the key of an entity.
func NewTrace(entity *feature.EntityVersion, key string, values []feature.Value, c Catalog) (*Trace, error) {
	t := &tracer{
		Trace: &Trace{Entity: entity, Key: key, Values: values}, catalog: c,
		sources: map[string][][]string{}, views: map[int64][][]string{}, copies: map[int64]map[string]feature.CopiedColumn{},
	}
	slices.SortFunc(t.catalog.Views, func(x, y *feature.ViewVersion) int { return int(x.ID - y.ID) })
	if err := t.start(); err != nil {
		return nil, err
	}
	for t.changed = true; t.changed; {
		t.changed = false
		for _, v := range t.catalog.Views {
			t.follow(v)
		}
	}
	for _, v := range t.catalog.Views {
		if keys := t.views[v.ID]; len(keys) > 0 {
			t.Views = append(t.Views, &TracedView{View: v, Keys: keys})
			t.noteLost(v, keys)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.sources)) {
		src := c.Source(name)
		switch {
		case src == nil:
		case src.Postgres != nil:
			t.note("table of others", name, fmt.Sprintf("its rows are in %s, which Headwater only reads: whoever keeps it is to erase those in which %s",
				src.Postgres, describeKeys(t.sources[name])))
			fallthrough
		default:
			t.Sources = append(t.Sources, &TracedSource{Source: src, Keys: t.sources[name]})
		}
	}
	return t.Trace, nil
}

type tracer struct {
	*Trace
	catalog Catalog
	sources map[string][][]string
	views   map[int64][][]string
	copies  map[int64]map[string]feature.CopiedColumn
	changed bool
}

// start takes the views of the entity as they are keyed, and asks of all what their columns are copied from.
func (t *tracer) start() error {
	for _, v := range t.catalog.Views {
		copies, err := t.catalog.Copies(v)
		if err != nil {
			return err
		}
		t.copies[v.ID] = copies
		if v.Entity != t.Entity.Name {
			continue
		}
		key := namesOf(t.Entity.JoinKeys)
		if slices.ContainsFunc(t.Entity.JoinKeys, func(k feature.Column) bool {
			i := keyIndex(v, k.Name)
			return i < 0 || v.EntityVersion.JoinKeys[i].Type != k.Type
		}) {
			t.note("history", v.Ref(), fmt.Sprintf("it is of version %d of entity %s, which has other join keys (%s): its rows cannot be told by the key that was "+
				"given, and are not erased", v.EntityVersion.Version, v.Entity, strings.Join(namesOf(v.EntityVersion.JoinKeys), ", ")))
			continue
		}
		t.addView(v, key)
	}
	return nil
}

func (t *tracer) note(place, name, text string) {
	t.Notes = append(t.Notes, Note{Place: place, Name: name, Text: text})
}

func (t *tracer) addView(v *feature.ViewVersion, key []string) {
	if !contains(t.views[v.ID], key) {
		t.views[v.ID], t.changed = append(t.views[v.ID], key), true
	}
}

func (t *tracer) addSource(name string, key []string) {
	if !contains(t.sources[name], key) {
		t.sources[name], t.changed = append(t.sources[name], key), true
	}
}

func contains(keys [][]string, key []string) bool {
	return slices.ContainsFunc(keys, func(k []string) bool { return slices.Equal(k, key) })
}

// maxKeys bounds the lists of columns that one place is looked through by.
const maxKeys = 64

// follow goes from a view's columns down to what they are copied from, and from what the view reads up to its columns.
func (t *tracer) follow(v *feature.ViewVersion) {
	copies := t.copies[v.ID]
	for _, key := range t.views[v.ID] {
		for relation, keys := range Origins(copies, key) {
			for _, k := range keys {
				if input := inputView(v, relation); input != nil {
					t.addView(input, k)
				} else {
					t.addSource(relation, k)
				}
			}
		}
	}
	for _, s := range v.SourceVersions {
		t.up(v, s.Name, t.sources[s.Name])
	}
	for _, w := range v.ViewVersions {
		t.up(v, w.Name, t.views[w.ID])
	}
}

// up finds the columns of a view that are copied from columns which hold the key.
func (t *tracer) up(v *feature.ViewVersion, relation string, keys [][]string) {
	for _, key := range keys {
		choices := make([][]string, len(key))
		for i, column := range key {
			for _, c := range append(namesOf(v.EntityVersion.JoinKeys), namesOf(v.Stored())...) {
				if slices.Contains(t.copies[v.ID][c].From, feature.CopiedFrom{Relation: relation, Column: column}) {
					choices[i] = append(choices[i], c)
				}
			}
		}
		for _, k := range combinations(choices) {
			t.addView(v, k)
		}
	}
}

// Origins are, by what a view reads, lists of the columns that all columns of a key are copied from there, in the key's order.
func Origins(copies map[string]feature.CopiedColumn, key []string) map[string][][]string {
	relations := map[string]bool{}
	for _, column := range key {
		for _, f := range copies[column].From {
			relations[f.Relation] = true
		}
	}
	found := map[string][][]string{}
	for relation := range relations {
		choices := make([][]string, len(key))
		for i, column := range key {
			for _, f := range copies[column].From {
				if f.Relation == relation {
					choices[i] = append(choices[i], f.Column)
				}
			}
		}
		if all := combinations(choices); len(all) > 0 {
			found[relation] = all
		}
	}
	return found
}

// combinations are the lists with one of each of the choices.
func combinations(choices [][]string) [][]string {
	all := [][]string{{}}
	for _, of := range choices {
		var longer [][]string
		for _, head := range all {
			for _, c := range of {
				longer = append(longer, append(slices.Clone(head), c))
			}
		}
		all = longer[:min(len(longer), maxKeys)]
	}
	return all
}

func inputView(v *feature.ViewVersion, name string) *feature.ViewVersion {
	for _, w := range v.ViewVersions {
		if w.Name == name {
			return w
		}
	}
	return nil
}

// noteLost says where the key of a view cannot be followed: its rows are erased, and those that they were made of are not.
func (t *tracer) noteLost(v *feature.ViewVersion, keys [][]string) {
	copies := t.copies[v.ID]
	for _, key := range keys {
		var computed []string
		for _, column := range key {
			if !copies[column].Whole {
				computed = append(computed, column)
			}
		}
		var names []string
		for _, s := range v.SourceVersions {
			names = append(names, s.Name)
		}
		for _, w := range v.ViewVersions {
			names = append(names, w.Ref())
		}
		reads := strings.Join(names, " and ")
		switch {
		case len(computed) > 0:
			t.note("landing", reads, fmt.Sprintf("view %s computes %s: rows from which it comes cannot be found by the value; look through %s by hand, send the loads "+
				"again without them (headwater ingest SOURCE FILE --replaces LOAD), and forget what is replaced", v.Ref(), strings.Join(computed, ", "), reads))
		case len(Origins(copies, key)) == 0 && len(key) > 1:
			t.note("landing", reads, fmt.Sprintf("view %s puts %s together of several inputs, none of which has all: rows with a part of them are of other entities "+
				"too, and are not erased; look through %s by hand", v.Ref(), strings.Join(key, ", "), reads))
		}
	}
}

func describeKeys(keys [][]string) string {
	parts := make([]string, len(keys))
	for i, k := range keys {
		parts[i] = strings.Join(k, " and ") + " are the key"
		if len(k) == 1 {
			parts[i] = k[0] + " is the key"
		}
	}
	return strings.Join(parts, ", or ")
}
