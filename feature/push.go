package feature

import (
	"fmt"
	"slices"
	"strings"
)

// Push takes the rows of a landing source as they are: each feature and attribute is the source's column of its name. A load
// into the source queues a run.
type Push struct {
	Source string
	// Keys holds the source's column for each of the entity's join keys that is not the column of its own name.
	Keys map[string]string
}

// KeyColumn is the source's column that holds a join key.
func (p *Push) KeyColumn(joinKey string) string {
	if c, ok := p.Keys[joinKey]; ok {
		return c
	}
	return joinKey
}

// Transform is what the view does, as the SQL that one would write for it: so there is one way in which rows become history.
// Rows of which a join key is NULL belong to no entity, and are filtered.
func (p *Push) Transform(v *View, e *Entity) *SQLTransform {
	var selects, known []string
	for i := range e.JoinKeys {
		key := e.JoinKeys[i].Name
		column := quotedName(p.KeyColumn(key))
		selects = append(selects, column+" AS "+quotedName(key))
		known = append(known, column+" IS NOT NULL")
	}
	selects = append(selects, columnEventTime, columnAvailableAt)
	for _, c := range v.Stored() {
		selects = append(selects, quotedName(c.Name))
	}
	return &SQLTransform{
		Sources: []string{p.Source},
		Query: fmt.Sprintf("SELECT %s\nFROM %s\nWHERE %s", strings.Join(selects, ", "), quotedName(p.Source),
			strings.Join(known, " AND ")),
	}
}

// quotedName is a name of the domain as SQL: none of them holds a quotation mark.
func quotedName(name string) string { return `"` + name + `"` }

// Derive fills in what follows from what the view's names stand for: the SQL of one that pushes.
func (v *ViewVersion) Derive() {
	if v.Push != nil && v.EntityVersion != nil {
		v.SQL = v.Push.Transform(&v.View, &v.EntityVersion.Entity)
	}
}

func (v *validation) push(w *View) {
	p := w.Push
	if w.Grain != 0 {
		v.add("grain", "found a grain of %s, expected none: each row that is pushed stands by itself", durationText(w.Grain))
	}
	if w.Lookback != 0 {
		v.add("lookback", "found a lookback of %s, expected none: each row that is pushed stands by itself", durationText(w.Lookback))
	}
	s := v.findSource(p.Source)
	if s == nil {
		v.add("push.source", "found no source called %s%s", p.Source, didYouMean(p.Source, v.sourceNames()))
		return
	}
	if s.Postgres != nil {
		v.add("push.source", "found source %s, whose rows others keep, expected one with `landing: {}`: no load says that there is something "+
			"new; read it by sql", s.Name)
	}
	e := v.findEntity(w.Entity)
	if e == nil {
		return
	}
	columns := v.pushKeys(p, s, e)
	for _, list := range []struct {
		name    string
		columns []Column
	}{{"features", w.Features}, {"attributes", w.Attributes}} {
		for i := range list.columns {
			c := &list.columns[i]
			switch found := s.Column(c.Name); {
			case found == nil:
				v.add(fmt.Sprintf("%s[%d].name", list.name, i), "found no column called %s in source %s%s", c.Name, s.Name,
					didYouMean(c.Name, columnNames(s.Columns)))
			case found.Type != c.Type && c.Type.IsValid() && found.Type.IsValid():
				v.add(fmt.Sprintf("%s[%d].type", list.name, i), "found %s, expected %s, the type of the source's column: what is pushed is taken as it is",
					c.Type, found.Type)
			}
		}
	}
	columns = append(columns, s.EventTime, s.ArrivalColumn)
	if len(s.UniqueKey) == 0 || slices.ContainsFunc(s.UniqueKey, func(k string) bool { return !slices.Contains(columns, k) }) {
		v.add("push.source", "found source %s with %s, expected a unique_key out of the join keys and its times (%s): else two rows of one "+
			"moment would fail every run", s.Name, keyText(s.UniqueKey), strings.Join(sortedSet(slices.DeleteFunc(columns, func(c string) bool {
			return c == ""
		})), ", "))
	}
}

func keyText(key []string) string {
	if len(key) == 0 {
		return "no unique_key"
	}
	return "the unique_key " + strings.Join(key, ", ")
}

// pushKeys checks the columns of the join keys, and returns them.
func (v *validation) pushKeys(p *Push, s *Source, e *Entity) []string {
	var columns []string
	for _, name := range unionOfKeys(p.Keys, nil) {
		if findColumn(e.JoinKeys, name) == nil {
			v.add("push.keys", "found %s, which is no join key of entity %s%s", name, e.Name, didYouMean(name, columnNames(e.JoinKeys)))
		}
	}
	for i := range e.JoinKeys {
		key := &e.JoinKeys[i]
		name := p.KeyColumn(key.Name)
		columns = append(columns, name)
		switch c := s.Column(name); {
		case c == nil:
			v.add("push.keys", "found no column called %s in source %s for the join key %s%s; name one: %s: COLUMN", name, s.Name, key.Name,
				didYouMean(name, columnNames(s.Columns)), key.Name)
		case c.Type != key.Type && c.Type.IsValid() && key.Type.IsValid():
			v.add("push.keys", "found column %s of type %s for the join key %s, expected %s", name, c.Type, key.Name, key.Type)
		}
	}
	return columns
}
