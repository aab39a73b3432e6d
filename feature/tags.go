package feature

import (
	"cmp"
	"slices"
	"strings"
	"sync"
)

// Tags tells the tags of columns: their own, and those that came along with the values that they are made of. What is asked of
// one version of a view is kept. It may be used concurrently.
//
// A column's own tags are those that its version writes and those that the newest version writes of a column of that name: a
// tag that is added holds for versions that are there already, whose words nobody can change any more.
type Tags struct {
	entity func(name string) *EntityVersion
	source func(name string) *SourceVersion
	view   func(name string) *ViewVersion
	// known holds a map[string][]ColumnTag for each *ViewVersion.
	known sync.Map
}

// ProtectedTag is the tag of what people must not be told apart by, such as race or sex. Columns with it are for the analysis of outcomes by group: labels, columns of spines and
// attributes of views may have it, and no feature may, unless its view declassifies it.
const ProtectedTag = "protected"

// ColumnTag is a tag of a column.
type ColumnTag struct {
	Tag string
	// From are the columns that it is written at, sorted, each once. Of a tag of its own the column itself is one.
	From []TagOrigin
}

// TagOrigin is a column that a tag is written at.
type TagOrigin struct {
	// Kind is KindEntity, KindSource or KindView.
	Kind Kind
	Name string
	// Column is a join key of the entity, or a column of the source; of a view a feature, an attribute or, as `request.NAME`, an input.
	Column string
}

// String is `KIND:NAME.COLUMN`.
func (o TagOrigin) String() string { return o.Kind.String() + ":" + o.Name + "." + o.Column }

// NewTags tells tags by what the newest versions of definitions write, found by name; nil: there is none.
func NewTags(entity func(name string) *EntityVersion, source func(name string) *SourceVersion, view func(name string) *ViewVersion) *Tags {
	return &Tags{entity: entity, source: source, view: view}
}

// Column is the effective tags of a column of a view, sorted by tag: a join key, event_time, available_at, a feature or an
// attribute. They are those of its own, and those of the columns that its value is made of, of the join keys and request inputs
// among them, without those that stop there by a declassification. What only decides which rows count, belong together or come
// first hands on no tags. A view of which it is not known what its columns are made of has on each the tags of all that it
// reads. The caller must not change the list.
func (t *Tags) Column(v *ViewVersion, column string) []ColumnTag { return t.columns(v)[column] }

// Has reports whether a column of a view has a tag; see Column.
func (t *Tags) Has(v *ViewVersion, column, tag string) bool {
	_, found := slices.BinarySearchFunc(t.Column(v, column), tag, func(c ColumnTag, tag string) int { return strings.Compare(c.Tag, tag) })
	return found
}

// Sensitive reports whether a column of a view has a tag that keeps its values out of the read log; see Column.
func (t *Tags) Sensitive(v *ViewVersion, column string) bool {
	return slices.ContainsFunc(t.Column(v, column), func(c ColumnTag) bool { return slices.Contains(sensitiveTags, c.Tag) })
}

// View is the tags of a view as a whole, sorted: those that the version writes, and those that the newest does.
func (t *Tags) View(v *ViewVersion) []string {
	tags := slices.Clone(v.Tags)
	if newest := t.view(v.Name); newest != nil {
		tags = append(tags, newest.Tags...)
	}
	return sortedSet(tags)
}

// Source is the effective tags of the columns of a source, which are their own, sorted by tag.
func (t *Tags) Source(s *SourceVersion, column string) []ColumnTag {
	set := tagSet{}
	t.sourceColumn(set, s, column)
	return set.sorted()
}

// TaggedColumns are the columns of a view that can have tags: join keys, the two times, features and attributes, in this order.
func (v *ViewVersion) TaggedColumns() []string {
	var names []string
	if v.EntityVersion != nil {
		names = append(columnNames(v.EntityVersion.JoinKeys), columnEventTime, columnAvailableAt)
	}
	return append(append(names, columnNames(v.Features)...), columnNames(v.Attributes)...)
}

func (t *Tags) columns(v *ViewVersion) map[string][]ColumnTag {
	if known, ok := t.known.Load(v); ok {
		return known.(map[string][]ColumnTag)
	}
	columns := map[string][]ColumnTag{}
	for _, name := range v.TaggedColumns() {
		set := tagSet{}
		t.madeOf(set, v, name)
		for _, d := range v.Declassify {
			if d.Column == name {
				for _, tag := range d.Tags {
					delete(set, tag)
				}
			}
		}
		t.own(set, v, name)
		if len(set) > 0 {
			columns[name] = set.sorted()
		}
	}
	t.known.Store(v, columns)
	return columns
}

// tagSet holds where each tag is written.
type tagSet map[string]map[TagOrigin]bool

func (s tagSet) write(tags []string, at TagOrigin) {
	for _, tag := range tags {
		if s[tag] == nil {
			s[tag] = map[TagOrigin]bool{}
		}
		s[tag][at] = true
	}
}

func (s tagSet) add(tags []ColumnTag) {
	for _, tag := range tags {
		for _, at := range tag.From {
			s.write([]string{tag.Tag}, at)
		}
	}
}

func (s tagSet) sorted() []ColumnTag {
	list := make([]ColumnTag, 0, len(s))
	for tag, origins := range s {
		c := ColumnTag{Tag: tag}
		for o := range origins {
			c.From = append(c.From, o)
		}
		slices.SortFunc(c.From, func(a, b TagOrigin) int {
			return cmp.Or(cmp.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name), strings.Compare(a.Column, b.Column))
		})
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b ColumnTag) int { return strings.Compare(a.Tag, b.Tag) })
	return list
}

// own adds the tags that are written at a column of a view, or at the join key that it is.
func (t *Tags) own(set tagSet, v *ViewVersion, name string) {
	for _, version := range []*ViewVersion{v, t.view(v.Name)} {
		if version == nil {
			continue
		}
		for _, list := range [][]Column{version.Features, version.Attributes} {
			if c := findColumn(list, name); c != nil {
				set.write(c.Tags, TagOrigin{KindView, v.Name, name})
			}
		}
	}
	if v.EntityVersion == nil {
		return
	}
	for _, version := range []*EntityVersion{v.EntityVersion, t.entity(v.Entity)} {
		if version == nil {
			continue
		}
		if c := findColumn(version.JoinKeys, name); c != nil {
			set.write(c.Tags, TagOrigin{KindEntity, v.Entity, name})
		}
	}
}

// madeOf adds the tags of what a column's value is made of.
func (t *Tags) madeOf(set tagSet, v *ViewVersion, name string) {
	if v.Analysis == nil {
		t.allInputs(set, v)
		return
	}
	for _, in := range v.Analysis.Inputs {
		if in.Column != name || in.Kind != InputValue {
			continue
		}
		for _, s := range v.SourceVersions {
			if s.Name == in.Relation {
				t.sourceColumn(set, s, in.InputColumn)
			}
		}
		for _, w := range v.ViewVersions {
			if w.Name == in.Relation {
				set.add(t.Column(w, in.InputColumn))
			}
		}
	}
	if v.OnDemand == nil {
		return
	}
	// The analysis is of what is stored; what comes with a request is in the expression.
	for _, e := range v.OnDemand.Expressions {
		if e.Feature != name {
			continue
		}
		text := canonicalCEL(e.CEL)
		for i := range v.OnDemand.Inputs {
			if input := v.OnDemand.Inputs[i].Name; speaksOf(text, requestName+"."+input) {
				t.requestInput(set, v, input)
			}
		}
	}
}

// allInputs adds the tags of all that a view reads.
func (t *Tags) allInputs(set tagSet, v *ViewVersion) {
	for _, s := range v.SourceVersions {
		for i := range s.Columns {
			t.sourceColumn(set, s, s.Columns[i].Name)
		}
	}
	for _, w := range v.ViewVersions {
		for _, name := range w.TaggedColumns() {
			set.add(t.Column(w, name))
		}
	}
	if v.OnDemand != nil {
		for i := range v.OnDemand.Inputs {
			t.requestInput(set, v, v.OnDemand.Inputs[i].Name)
		}
	}
}

func (t *Tags) requestInput(set tagSet, v *ViewVersion, name string) {
	for _, version := range []*ViewVersion{v, t.view(v.Name)} {
		if version == nil || version.OnDemand == nil {
			continue
		}
		if c := findColumn(version.OnDemand.Inputs, name); c != nil {
			set.write(c.Tags, TagOrigin{KindView, v.Name, requestName + "." + name})
		}
	}
}

// sourceColumn adds the tags of a column of a source as SQL sees it, where its clocks may have names of their own.
func (t *Tags) sourceColumn(set tagSet, s *SourceVersion, name string) {
	names := s.columnsBehind(name)
	for _, version := range []*SourceVersion{s, t.source(s.Name)} {
		if version == nil {
			continue
		}
		for _, name := range names {
			if c := version.Column(name); c != nil {
				set.write(c.Tags, TagOrigin{KindSource, s.Name, name})
			}
		}
	}
}

// ArrivalColumns are the columns that tell when a row of the source became known: the arrival column, those that the arrival's
// expression names, or else the event time.
func (s *Source) ArrivalColumns() []string {
	switch {
	case s.ArrivalColumn != "":
		return []string{s.ArrivalColumn}
	case s.ArrivalExpression == "":
		return []string{s.EventTime}
	}
	var columns []string
	expression, _ := ParseExpression(s.ArrivalExpression)
	for _, t := range expression.Tokens() {
		if name := strings.Trim(t.Canonical(), `"`); s.Column(name) != nil {
			columns = append(columns, name)
		}
	}
	return columns
}
