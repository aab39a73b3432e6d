package feature

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Difference is what differs between two definitions of one name.
type Difference struct {
	// Lines say it for people, one thing each: what the definition means first, then its words. Empty: nothing differs.
	Lines []string
	// Changes are the same, in the same order, as fields where a line is one.
	Changes []Change
	// WordsOnly says that the meaning, and so the fingerprint, is the same.
	WordsOnly bool
}

// Change is a field that differs, or, without Before and After, a line that says all.
type Change struct{ Name, Before, After string }

func (d *Difference) line(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	d.Lines, d.Changes = append(d.Lines, line), append(d.Changes, Change{Name: line})
}

func (d *Difference) field(name, before, after string) {
	switch {
	case before == after:
		return
	case before == "":
		d.line("%s: set to %s", name, after)
	case after == "":
		d.line("%s: was %s, now unset", name, before)
	default:
		d.line("%s: %s -> %s", name, before, after)
	}
	d.Changes[len(d.Changes)-1] = Change{name, before, after}
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
	d.field("postgres.change_column", before.Postgres.changeColumn(), after.Postgres.changeColumn())
	d.field("postgres.reread", before.Postgres.rereadText(), after.Postgres.rereadText())
	d.field("postgres.snapshot", before.Postgres.snapshotText(), after.Postgres.snapshotText())
	d.names("unique_key", before.UniqueKey, after.UniqueKey)
	d.field("duplicates.exact", before.Exact.String(), after.Exact.String())
	d.field("duplicates.conflicting", before.Conflicting.String(), after.Conflicting.String())
	d.field("schema_changes", before.schemaChanges(), after.schemaChanges())
	d.field("freshness", durationText(before.Freshness), durationText(after.Freshness))
	d.field("null_event_time", before.NullEventTime.String(), after.NullEventTime.String())
	d.field("allowed_lateness", durationText(before.AllowedLateness), durationText(after.AllowedLateness))
	d.field("delete_marker", before.DeleteMarker, after.DeleteMarker)
	d.expectations(before.Expectations, after.Expectations)
	d.field("max_quarantine_ratio", ratioText(before.MaxQuarantineRatio), ratioText(after.MaxQuarantineRatio))
	d.expectationWords(before.Expectations, after.Expectations)
	d.docs(&before.Docs, &after.Docs)
	return d
}

// DiffService is what differs from before to after, pins included.
func DiffService(before, after *ServiceVersion) Difference {
	d := Difference{WordsOnly: before.Fingerprint == after.Fingerprint}
	d.field("serves_as_grant", fmt.Sprint(before.ServesAsGrant), fmt.Sprint(after.ServesAsGrant))
	d.field("log", string(before.Log), string(after.Log))
	d.gates(&before.Gates, &after.Gates)
	d.columns("label", before.Labels, after.Labels)
	for i := range before.Pins {
		old := &before.Pins[i]
		now := findPin(after.Pins, old.View.Name)
		if now == nil {
			d.line("view %s: no longer read", old.View.Name)
			continue
		}
		// Where a service follows a view, versions come and go without it.
		if old.View.Version != now.View.Version && !(old.Published && now.Published) {
			d.line("view %s: version %d -> %d", old.View.Name, old.View.Version, now.View.Version)
			d.WordsOnly = false
		}
		d.names("features of "+old.View.Name, old.names(), now.names())
	}
	for i := range before.Views {
		old := &before.Views[i]
		if now := findServiceView(after.Views, old.View); now != nil {
			d.serviceView(old, now, samePin(before, after, old.View))
		}
	}
	for i := range after.Pins {
		if now := &after.Pins[i]; findPin(before.Pins, now.View.Name) == nil {
			d.line("view %s: read now, at version %d: %s", now.View.Name, now.View.Version, strings.Join(now.names(), ", "))
			if sv := findServiceView(after.Views, now.View.Name); sv != nil {
				d.serviceView(&ServiceView{View: sv.View}, sv, false)
			}
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

func samePin(before, after *ServiceVersion, view string) bool {
	a, b := findPin(before.Pins, view), findPin(after.Pins, view)
	return a != nil && b != nil && a.View.Version == b.View.Version
}

// serviceView is what differs in how a service shows a view, besides the pin and its features. pinned says that the pin is
// the same.
func (d *Difference) serviceView(before, after *ServiceView, pinned bool) {
	switch {
	case after.Published && !before.Published:
		d.line("view %s: follows the newest published version now", after.View)
	case before.Published && !after.Published:
		d.line("view %s: no longer follows the newest published version", after.View)
	case before.Version == after.Version || !pinned:
	case after.Version == 0:
		d.line("view %s: written without a version; it stays where it is pinned", after.View)
	case before.Version == 0:
		d.line("view %s: written as %s@%d", after.View, after.View, after.Version)
	}
	for _, feature := range unionOfKeys(before.Rename, after.Rename) {
		d.field("rename of "+after.View+"."+feature, before.Rename[feature], after.Rename[feature])
	}
	for _, feature := range unionOfKeys(before.Defaults, after.Defaults) {
		d.field("default of "+after.View+"."+feature, literalText(before.Defaults, feature), literalText(after.Defaults, feature))
	}
}

func findServiceView(list []ServiceView, view string) *ServiceView {
	for i := range list {
		if list[i].View == view {
			return &list[i]
		}
	}
	return nil
}

func literalText(literals map[string]Literal, name string) string {
	literal, ok := literals[name]
	if !ok {
		return ""
	}
	// What a YAML file holds has a JSON form.
	text, _ := json.Marshal(literal)
	return string(text)
}

func unionOfKeys[V any](a, b map[string]V) []string {
	return sortedSet(slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b)))
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
	for _, name := range unionOfKeys(before.Attributes, after.Attributes) {
		d.names("attributes."+name, sortedSet(before.Attributes[name]), sortedSet(after.Attributes[name]))
	}
	d.names("may_elevate_to", sortedSet(before.MayElevateTo), sortedSet(after.MayElevateTo))
	d.field("max_elevation", durationText(before.MaxElevation), durationText(after.MaxElevation))
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
		d.field("deprecated of "+what+" "+old.Name, old.Deprecated.text(), now.Deprecated.text())
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
	d.field("deprecated", before.Deprecated.text(), after.Deprecated.text())
}

// text is the deprecation in words, "" for nil.
func (d *Deprecation) text() string {
	switch {
	case d == nil:
		return ""
	case d.Replacement == "":
		return "from " + d.Date + " on"
	}
	return "from " + d.Date + " on, in favour of " + d.Replacement
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

// durationText is DurationText, "" for none.
func durationText(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return DurationText(d)
}

// DurationText is d as definitions write it: `24h`, not `24h0m0s`.
func DurationText(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
