package main

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/headwaterhq/headwater/client"
	"github.com/headwaterhq/headwater/definition"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/wire"
)

// compareRows holds the rows of a view to those expected, in any order; nil: they are the same. Of an expected row only the
// columns that it has are looked at.
func compareRows(e *definition.Holding, found []map[string]feature.Value) *problem {
	// Rows are told apart first by their keys, so that a test with many rows is compared in reasonable time.
	expectedOf, foundOf := byKeys(e, e.Rows), byKeys(e, found)
	groups := map[string]bool{}
	for k := range expectedOf {
		groups[k] = true
	}
	for k := range foundOf {
		groups[k] = true
	}
	t := table{header: []string{"ROW"}}
	for _, k := range e.Entity.JoinKeys {
		t.header = append(t.header, strings.ToUpper(k.Name))
	}
	t.header = append(t.header, "EVENT TIME", "COLUMN", "EXPECTED", "FOUND")
	for _, k := range slices.Sorted(maps.Keys(groups)) {
		compareGroup(e, expectedOf[k], foundOf[k], &t)
	}
	if len(t.rows) == 0 {
		return nil
	}
	p := withDifferences("view "+e.View.Name, "found other rows than expected", t)
	return &p
}

func byKeys(e *definition.Holding, rows []map[string]feature.Value) map[string][]map[string]feature.Value {
	groups := map[string][]map[string]feature.Value{}
	for _, row := range rows {
		var id []byte
		for _, k := range e.Entity.JoinKeys {
			id = row[k.Name].AppendJSON(id)
			id = append(id, ' ')
		}
		groups[string(id)] = append(groups[string(id)], row)
	}
	return groups
}

// compareGroup adds what differs among rows of the same keys to a table.
func compareGroup(e *definition.Holding, expected, found []map[string]feature.Value, t *table) {
	pairs := match(expected, found)
	var missing, unexpected []map[string]feature.Value
	taken := map[int]bool{}
	for i, row := range expected {
		if pairs[i] < 0 {
			missing = append(missing, row)
		} else {
			taken[pairs[i]] = true
		}
	}
	for j, row := range found {
		if !taken[j] {
			unexpected = append(unexpected, row)
		}
	}
	add := func(what string, row map[string]feature.Value, column, expected, found string) {
		cells := []string{what}
		for _, k := range e.Entity.JoinKeys {
			cells = append(cells, shownValue(row[k.Name]))
		}
		at := ""
		if v, ok := row["event_time"]; ok {
			at = shownValue(v)
		}
		t.add(append(cells, at, column, expected, found)...)
	}
	for _, row := range missing {
		j := slices.IndexFunc(unexpected, func(other map[string]feature.Value) bool {
			at, told := row["event_time"]
			return !told || at.Equal(other["event_time"])
		})
		if j < 0 {
			add("missing", row, "", describeRow(e, row), "")
			continue
		}
		other := unexpected[j]
		unexpected = slices.Delete(unexpected, j, j+1)
		for _, name := range columnOrder(e) {
			if v, told := row[name]; told && !v.Equal(other[name]) {
				add("differs", other, name, shownValue(v), shownValue(other[name]))
			}
		}
	}
	for _, row := range unexpected {
		add("unexpected", row, "", "", describeRow(e, row))
	}
}

// match pairs as many expected rows as can be with found rows that they describe; -1 is for those without one.
func match(expected, found []map[string]feature.Value) []int {
	pairs := make([]int, len(expected))
	of := make([]int, len(found))
	for i := range pairs {
		pairs[i] = -1
	}
	for j := range of {
		of[j] = -1
	}
	// Each expected row in turn takes a found one, and whoever had that looks for another.
	var place func(i int, tried []bool) bool
	place = func(i int, tried []bool) bool {
		for j := range found {
			if tried[j] || !describes(expected[i], found[j]) {
				continue
			}
			tried[j] = true
			if of[j] < 0 || place(of[j], tried) {
				pairs[i], of[j] = j, i
				return true
			}
		}
		return false
	}
	for i := range expected {
		place(i, make([]bool, len(found)))
	}
	return pairs
}

func describes(expected, found map[string]feature.Value) bool {
	for name, v := range expected {
		if !v.Equal(found[name]) {
			return false
		}
	}
	return true
}

// columnOrder is the columns of a view's rows after the join keys.
func columnOrder(e *definition.Holding) []string {
	names := []string{"event_time", "available_at"}
	for _, c := range e.View.Stored() {
		names = append(names, c.Name)
	}
	return names
}

func describeRow(e *definition.Holding, row map[string]feature.Value) string {
	var parts []string
	for _, name := range columnOrder(e)[1:] {
		if v, told := row[name]; told {
			parts = append(parts, name+"="+shownValue(v))
		}
	}
	return strings.Join(parts, ", ")
}

// shownValue is a value for a table, in which NULL and the empty text are to be told apart.
func shownValue(v feature.Value) string {
	switch {
	case v.IsNull():
		return "NULL"
	case v.Text() == "", v.Text() == "NULL":
		return `"` + v.Text() + `"`
	}
	return v.Text()
}

// compareAnswer holds an answer to what is expected of it; nil: it is so.
func compareAnswer(what string, a *definition.Answer, found answered) *problem {
	t := table{header: []string{"FEATURE", "EXPECTED", "FOUND"}}
	names := map[string]bool{}
	for name := range a.Features {
		names[name] = true
	}
	for name := range a.Statuses {
		names[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		f := found[name]
		if v, told := a.Features[name]; told && !v.Equal(f.value) {
			t.add(name, shownValue(v), shownValue(f.value)+" ("+f.status+")")
			continue
		}
		if status, told := a.Statuses[name]; told && status != f.status {
			t.add(name, status, f.status)
		}
	}
	if len(t.rows) == 0 {
		return nil
	}
	p := withDifferences(what, "found another answer than expected at "+a.At.String(), t)
	return &p
}

// compareOnline holds the online store to the history: what it answers for an entity now is what a dataset does for now.
func (t *testRun) compareOnline(ctx context.Context, what string, a *definition.Answer) error {
	if t.dependsOnTheClock(a.Service) {
		return nil
	}
	now := time.Now()
	offline, err := t.dataset(ctx, a, feature.TimeOf(now))
	if err == nil {
		var online answered
		if online, err = t.online(ctx, a); err == nil {
			differences := table{header: []string{"FEATURE", "HISTORY", "ONLINE"}}
			for _, name := range slices.Sorted(maps.Keys(offline)) {
				h, o := offline[name], online[name]
				if h.text != o.text || onlineStatus(h.status) != onlineStatus(o.status) {
					differences.add(name, h.text+" ("+h.status+")", o.text+" ("+o.status+")")
				}
			}
			if len(differences.rows) > 0 {
				t.problems = append(t.problems, withDifferences(what, "found that the online store does not answer for now what the history does", differences))
			}
			return nil
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	t.differ(what, "found a refusal of a read for now, expected an answer:\n  %s", indented(err.Error()))
	return nil
}

// onlineStatus is a status as the online store can tell it: only rows that count now are there.
func onlineStatus(s string) string {
	if s == "NOT_YET_KNOWN" {
		return "NO_ROW"
	}
	return s
}

// dependsOnTheClock reports whether a service's answers for now may differ between two reads, or cannot be had: windows end
// with the last run, and on-demand features may ask for the time.
func (t *testRun) dependsOnTheClock(s *feature.Service) bool {
	d := &t.Set.Definitions
	seen := map[string]bool{}
	var depends func(name string) bool
	depends = func(name string) bool {
		v := d.View(name)
		if v == nil || seen[name] {
			return false
		}
		seen[name] = true
		switch {
		case v.Aggregation != nil:
			return true
		case v.OnDemand == nil:
			return false
		}
		if slices.ContainsFunc(v.OnDemand.Expressions, func(e feature.OnDemandExpression) bool { return strings.Contains(e.CEL, "request.time") }) {
			return true
		}
		return slices.ContainsFunc(v.OnDemand.Views, func(r feature.ViewRef) bool { return depends(r.Name) })
	}
	return slices.ContainsFunc(s.Views, func(sv feature.ServiceView) bool { return depends(sv.View) })
}

// online asks as inference does.
func (t *testRun) online(ctx context.Context, a *definition.Answer) (answered, error) {
	request := &headwaterv1.GetFeaturesRequest{Service: a.Service.Name, Keys: map[string]*headwaterv1.KeyColumn{}}
	for _, k := range a.Keys {
		request.Keys[k.Name] = &headwaterv1.KeyColumn{Values: []*headwaterv1.Value{wire.ToValue(a.Entity[k.Name])}}
	}
	for _, c := range a.Inputs {
		if request.Inputs == nil {
			request.Inputs = map[string]*headwaterv1.KeyColumn{}
		}
		request.Inputs[c.Name] = &headwaterv1.KeyColumn{Values: []*headwaterv1.Value{wire.ToValue(a.Entity[c.Name])}}
	}
	response, err := t.client.Online.GetFeatures(ctx, request)
	if err != nil {
		return nil, err
	}
	found := answered{}
	for _, vector := range response.Features {
		if wire.VectorLen(vector.GetValues()) != 1 {
			continue
		}
		f := found[vector.Name]
		value, err := client.Value(vector.Values, 0)
		if err != nil {
			return nil, err
		}
		f.text, f.status = value.Text(), statusName(wire.StatusAt(vector.Values, 0))
		found[vector.Name] = f
	}
	return found, nil
}
