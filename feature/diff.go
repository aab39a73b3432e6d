package feature

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Difference is what differs between two definitions of one name.
type Difference struct {
	// Lines say it for people, one thing each: what the definition means first, then its words. Empty: nothing differs.
	Lines []string
	// WordsOnly says that the meaning, and so the fingerprint, is the same.
	WordsOnly bool
}

func (d *Difference) line(format string, args ...any) {
	d.Lines = append(d.Lines, fmt.Sprintf(format, args...))
}

func (d *Difference) field(name, before, after string) {
	switch {
	case before == after:
	case before == "":
		d.line("%s: set to %s", name, after)
	case after == "":
		d.line("%s: was %s, now unset", name, before)
	default:
		d.line("%s: %s -> %s", name, before, after)
	}
}

// DiffEntity is what differs from before to after.
func DiffEntity(before, after *EntityVersion) Difference {
	d := Difference{WordsOnly: before.Fingerprint == after.Fingerprint}
	d.columns("join key", before.JoinKeys, after.JoinKeys)
	d.docs(&before.Docs, &after.Docs)
	return d
}

// DiffSource is what differs from before to after.
func DiffSource(before, after *SourceVersion) Difference {
	d := Difference{WordsOnly: before.Fingerprint == after.Fingerprint}
	d.columns("column", before.Columns, after.Columns)
	d.field("event_time", before.EventTime, after.EventTime)
	d.field("arrival_time.column", before.ArrivalColumn, after.ArrivalColumn)
	d.sql("arrival_time.expression", before.ArrivalExpression, after.ArrivalExpression)
	d.field("corrections", before.Corrections.String(), after.Corrections.String())
	d.field("origin", before.Origin(), after.Origin())
	d.names("unique_key", before.UniqueKey, after.UniqueKey)
	d.field("duplicates.exact", before.Exact.String(), after.Exact.String())
	d.field("duplicates.conflicting", before.Conflicting.String(), after.Conflicting.String())
	d.field("schema_changes", before.schemaChanges(), after.schemaChanges())
	d.field("freshness", durationText(before.Freshness), durationText(after.Freshness))
	d.docs(&before.Docs, &after.Docs)
	return d
}

// DiffView is what differs from before to after, what they read included.
func DiffView(before, after *ViewVersion) Difference {
	d := Difference{WordsOnly: before.Fingerprint == after.Fingerprint}
	d.field("entity", before.Entity, after.Entity)
	if before.Entity == after.Entity && before.EntityVersion.Fingerprint != after.EntityVersion.Fingerprint {
		d.line("entity %s: version %d -> %d", after.Entity, before.EntityVersion.Version, after.EntityVersion.Version)
	}
	d.columns("feature", before.Features, after.Features)
	d.columns("attribute", before.Attributes, after.Attributes)
	d.field("ttl", durationText(before.TTL), durationText(after.TTL))
	d.field("grain", durationText(before.Grain), durationText(after.Grain))
	d.field("lookback", durationText(before.Lookback), durationText(after.Lookback))
	for _, s := range before.SourceVersions {
		switch now := findSource(after.SourceVersions, s.Name); {
		case now == nil:
			d.line("source %s: no longer read", s.Name)
		case now.Fingerprint != s.Fingerprint:
			d.line("source %s: version %d -> %d", s.Name, s.Version, now.Version)
		}
	}
	for _, s := range after.SourceVersions {
		if findSource(before.SourceVersions, s.Name) == nil {
			d.line("source %s: read now", s.Name)
		}
	}
	if before.SQL != nil && after.SQL != nil {
		d.sql("sql.query", before.SQL.Query, after.SQL.Query)
	}
	d.docs(&before.Docs, &after.Docs)
	return d
}

func findSource(list []*SourceVersion, name string) *SourceVersion {
	if i := slices.IndexFunc(list, func(s *SourceVersion) bool { return s.Name == name }); i >= 0 {
		return list[i]
	}
	return nil
}

// DiffService is what differs from before to after, pins included.
func DiffService(before, after *ServiceVersion) Difference {
	d := Difference{WordsOnly: before.Fingerprint == after.Fingerprint}
	d.field("serves_as_grant", fmt.Sprint(before.ServesAsGrant), fmt.Sprint(after.ServesAsGrant))
	for i := range before.Pins {
		old := &before.Pins[i]
		now := findPin(after.Pins, old.View.Name)
		if now == nil {
			d.line("view %s: no longer read", old.View.Name)
			continue
		}
		if old.View.Version != now.View.Version {
			d.line("view %s: version %d -> %d", old.View.Name, old.View.Version, now.View.Version)
			d.WordsOnly = false
		}
		d.names("features of "+old.View.Name, old.names(), now.names())
	}
	for i := range after.Pins {
		if now := &after.Pins[i]; findPin(before.Pins, now.View.Name) == nil {
			d.line("view %s: read now, at version %d: %s", now.View.Name, now.View.Version, strings.Join(now.names(), ", "))
		}
	}
	if len(d.Lines) == 0 && !d.WordsOnly {
		d.line("views: in another order")
	}
	d.docs(&before.Docs, &after.Docs)
	return d
}

func (p *ServicePin) names() []string {
	names := make([]string, len(p.Features))
	for i, at := range p.Features {
		names[i] = p.View.Features[at].Name
	}
	return names
}

func findPin(pins []ServicePin, view string) *ServicePin {
	for i := range pins {
		if pins[i].View.Name == view {
			return &pins[i]
		}
	}
	return nil
}

// DiffRole is what differs from before to after.
func DiffRole(before, after *RoleVersion) Difference {
	d := Difference{WordsOnly: before.Fingerprint == after.Fingerprint}
	old, now := before.grants(), after.grants()
	for _, g := range old {
		if !slices.Contains(now, g) {
			d.line("no longer: %s", g)
		}
	}
	for _, g := range now {
		if !slices.Contains(old, g) {
			d.line("new: %s", g)
		}
	}
	d.docs(&before.Docs, &after.Docs)
	return d
}

func (r *Role) grants() []string {
	var lines []string
	for i := range r.Grants {
		g := &r.Grants[i]
		effect := "allow"
		if g.Deny {
			effect = "deny"
		}
		var resources []string
		for _, p := range g.Resources {
			resources = append(resources, p.String())
		}
		lines = append(lines, fmt.Sprintf("%s %s on %s", effect,
			strings.Join(sortedSet(g.Actions), ", "), strings.Join(sortedSet(resources), ", ")))
	}
	return sortedSet(lines)
}

func (d *Difference) columns(what string, before, after []Column) {
	for i := range before {
		old := &before[i]
		now := findColumn(after, old.Name)
		if now == nil {
			d.line("%s %s: removed (was %s)", what, old.Name, old.Type)
			continue
		}
		d.field(what+" "+old.Name, old.Type.String(), now.Type.String())
		if old.Description != now.Description {
			d.line("%s %s: description", what, old.Name)
		}
		d.names("tags of "+what+" "+old.Name, old.Tags, now.Tags)
	}
	for i := range after {
		if now := &after[i]; findColumn(before, now.Name) == nil {
			d.line("%s %s: added (%s)", what, now.Name, now.Type)
		}
	}
	old, now := columnNames(before), columnNames(after)
	if !slices.Equal(old, now) && slices.Equal(sortedSet(old), sortedSet(now)) {
		d.line("%ss: in another order: %s -> %s", what, strings.Join(old, ", "), strings.Join(now, ", "))
	}
}

func (d *Difference) names(what string, before, after []string) {
	d.field(what, strings.Join(before, ", "), strings.Join(after, ", "))
}

func (d *Difference) docs(before, after *Docs) {
	if before.Description != after.Description {
		d.line("description")
	}
	d.field("owner", before.Owner, after.Owner)
	d.names("tags", before.Tags, after.Tags)
}

// sql tells where two SQL texts begin to differ.
func (d *Difference) sql(field, before, after string) {
	if before == after {
		return
	}
	old, _ := parseSQL(before)
	now, _ := parseSQL(after)
	a, b := old.Tokens(), now.Tokens()
	for i := range max(len(a), len(b)) {
		switch {
		case i >= len(a):
			d.line("%s: from line %d, column %d: %s was added", field, b[i].Line, b[i].Column, excerpt(b[i].Text))
			return
		case i >= len(b):
			d.line("%s: the end was removed, from %s", field, excerpt(a[i].Text))
			return
		case a[i].Kind != b[i].Kind || a[i].Canonical() != b[i].Canonical():
			d.line("%s: from line %d, column %d: %s -> %s", field, b[i].Line, b[i].Column, excerpt(a[i].Text), excerpt(b[i].Text))
			return
		}
	}
	d.line("%s: layout and comments only", field)
}

func excerpt(token string) string {
	const limit = 40
	if r := []rune(token); len(r) > limit {
		token = string(r[:limit]) + "…"
	}
	return "`" + token + "`"
}

func durationText(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}
