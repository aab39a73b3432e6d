package feature

import (
	"fmt"
	"slices"
	"strings"
)

// DiffView is what differs from before to after, what they read included.
func DiffView(before, after *ViewVersion) Difference {
	d := Difference{WordsOnly: after.sameViews(before) && before.Fingerprint == after.Fingerprint || after.SameMeaning(before)}
	d.field("entity", before.Entity, after.Entity)
	if before.Entity == after.Entity && before.EntityVersion != nil && after.EntityVersion != nil &&
		before.EntityVersion.Fingerprint != after.EntityVersion.Fingerprint {
		d.line("entity %s: version %d -> %d", after.Entity, before.EntityVersion.Version, after.EntityVersion.Version)
	}
	d.columns("feature", before.Features, after.Features)
	d.columns("attribute", before.Attributes, after.Attributes)
	d.field("ttl", durationText(before.TTL), durationText(after.TTL))
	d.field("grain", durationText(before.Grain), durationText(after.Grain))
	d.field("lookback", durationText(before.Lookback), durationText(after.Lookback))
	d.field("computed by", before.kind(), after.kind())
	d.sources(before, after)
	d.views(before, after)
	switch {
	case before.Push != nil && after.Push != nil:
		for _, k := range unionOfKeys(before.Push.Keys, after.Push.Keys) {
			d.field("push.keys."+k, before.Push.KeyColumn(k), after.Push.KeyColumn(k))
		}
	case before.SQL != nil && after.SQL != nil:
		d.sql("sql.query", before.SQL.Query, after.SQL.Query)
		d.functions(before, after)
	case before.Aggregation != nil && after.Aggregation != nil:
		d.aggregation(before, after)
	case before.OnDemand != nil && after.OnDemand != nil:
		d.onDemand(before.OnDemand, after.OnDemand)
	}
	d.expectations(before.Expectations, after.Expectations)
	if len(d.Lines) == 0 && !d.WordsOnly {
		d.line("settings of sessions: others than before")
	}
	d.field("max_quarantine_ratio", ratioText(before.MaxQuarantineRatio), ratioText(after.MaxQuarantineRatio))
	d.expectationWords(before.Expectations, after.Expectations)
	d.field("schedule", before.Schedule.text(), after.Schedule.text())
	d.field("freshness", before.Freshness.text(), after.Freshness.text())
	d.field("drift", before.Drift.text(), after.Drift.text())
	d.gates(&before.Gates, &after.Gates)
	d.field("cache", durationText(before.Cache), durationText(after.Cache))
	d.names("declassify", declassified(before.Declassify), declassified(after.Declassify))
	d.docs(&before.Docs, &after.Docs)
	return d
}

func (v *View) kind() string {
	switch {
	case v.Push != nil:
		return "push"
	case v.SQL != nil:
		return "sql"
	case v.Aggregation != nil:
		return "aggregation"
	case v.OnDemand != nil:
		return "on_demand"
	}
	return ""
}

func (d *Difference) sources(before, after *ViewVersion) {
	find := func(list []*SourceVersion, name string) *SourceVersion {
		if i := slices.IndexFunc(list, func(s *SourceVersion) bool { return s.Name == name }); i >= 0 {
			return list[i]
		}
		return nil
	}
	for _, s := range before.SourceVersions {
		switch now := find(after.SourceVersions, s.Name); {
		case now == nil:
			d.line("source %s: no longer read", s.Name)
		case now.Version != s.Version || now.Fingerprint != s.Fingerprint:
			d.line("source %s: version %d -> %d", s.Name, s.Version, now.Version)
		}
	}
	for _, s := range after.SourceVersions {
		if find(before.SourceVersions, s.Name) == nil {
			d.line("source %s: read now", s.Name)
		}
	}
}

func (d *Difference) views(before, after *ViewVersion) {
	find := func(list []*ViewVersion, name string) *ViewVersion {
		if i := slices.IndexFunc(list, func(v *ViewVersion) bool { return v.Name == name }); i >= 0 {
			return list[i]
		}
		return nil
	}
	for _, v := range before.ViewVersions {
		switch now := find(after.ViewVersions, v.Name); {
		case now == nil:
			d.line("view %s: no longer read", v.Name)
		case now.Version != v.Version:
			d.line("view %s: version %d -> %d", v.Name, v.Version, now.Version)
		}
	}
	for _, v := range after.ViewVersions {
		if find(before.ViewVersions, v.Name) == nil {
			d.line("view %s: read now, at version %d", v.Name, v.Version)
		}
	}
}

// functions are those of users: which are allowed, and what they do.
func (d *Difference) functions(before, after *ViewVersion) {
	find := func(v *ViewVersion, name string) *FunctionAllowance {
		for i := range v.SQL.Functions {
			if v.SQL.Functions[i].Function == name {
				return &v.SQL.Functions[i]
			}
		}
		return nil
	}
	for _, f := range before.SQL.Functions {
		switch now := find(after, f.Function); {
		case now == nil:
			d.line("function %s: no longer allowed", f.Function)
		case now.Reason != f.Reason:
			d.line("function %s: reason", f.Function)
		}
	}
	for _, f := range after.SQL.Functions {
		if find(before, f.Function) == nil {
			d.line("function %s: allowed now", f.Function)
		}
	}
	if before.Analysis == nil || after.Analysis == nil {
		return
	}
	for _, f := range before.Analysis.Functions {
		for _, now := range after.Analysis.Functions {
			if now.Function == f.Function && now.Body != f.Body {
				d.line("function %s: its body changed in Postgres", f.Function)
			}
		}
	}
}

func (d *Difference) aggregation(before, after *ViewVersion) {
	old, now := before.Aggregation, after.Aggregation
	if before.EntityVersion != nil && after.EntityVersion != nil {
		for _, k := range after.EntityVersion.JoinKeys {
			if findColumn(before.EntityVersion.JoinKeys, k.Name) != nil {
				d.field("key "+k.Name, "column "+old.KeyColumn(k.Name), "column "+now.KeyColumn(k.Name))
			}
		}
	}
	d.field("hop", durationText(old.Hop), durationText(now.Hop))
	d.sql("where", old.Where, now.Where)
	find := func(list []Aggregate, feature string) *Aggregate {
		for i := range list {
			if list[i].Feature == feature {
				return &list[i]
			}
		}
		return nil
	}
	for i := range old.Aggregates {
		a := &old.Aggregates[i]
		b := find(now.Aggregates, a.Feature)
		if b == nil {
			d.line("aggregate %s: removed (was %s)", a.Feature, a.text())
			continue
		}
		d.field("aggregate "+a.Feature, a.text(), b.text())
		d.sql("where of aggregate "+a.Feature, a.Where, b.Where)
	}
	for i := range now.Aggregates {
		if b := &now.Aggregates[i]; find(old.Aggregates, b.Feature) == nil {
			d.line("aggregate %s: added (%s)", b.Feature, b.text())
			d.sql("where of aggregate "+b.Feature, "", b.Where)
		}
	}
}

// text is the aggregate without its condition: `mean(delay) over 1h`.
func (a *Aggregate) text() string {
	text := fmt.Sprintf("%s(%s) over %s", a.Function, a.Column, durationText(a.Window))
	if a.Function == Percentile {
		text += fmt.Sprintf(", quantile %g, relative error %g", a.Quantile, a.ResolvedError())
	}
	return text
}

func (d *Difference) onDemand(before, after *OnDemand) {
	d.columns("input", before.Inputs, after.Inputs)
	find := func(list []OnDemandExpression, feature string) (string, bool) {
		for _, e := range list {
			if e.Feature == feature {
				return e.CEL, true
			}
		}
		return "", false
	}
	for _, e := range before.Expressions {
		if now, ok := find(after.Expressions, e.Feature); !ok {
			d.line("expression of %s: removed (was %s)", e.Feature, excerpt(e.CEL))
		} else if now != e.CEL {
			d.line("expression of %s: %s -> %s", e.Feature, excerpt(e.CEL), excerpt(now))
		}
	}
	for _, e := range after.Expressions {
		if _, ok := find(before.Expressions, e.Feature); !ok {
			d.line("expression of %s: added (%s)", e.Feature, excerpt(e.CEL))
		}
	}
}

// DiffLines compares two texts line by line: lines only in before begin with "- ", lines only in after with "+ ", and those
// in both, of which three around each change are kept, with "  ". Where lines are left out stands "…". Empty: they are equal.
func DiffLines(before, after string) []string {
	if before == after {
		return nil
	}
	a, b := strings.Split(before, "\n"), strings.Split(after, "\n")
	if len(a)*len(b) > maxDiffCells {
		return []string{fmt.Sprintf("… too long to compare line by line: %d lines before, %d after", len(a), len(b))}
	}
	// common[i][j] is the length of the longest common subsequence of a[i:] and b[j:].
	common := make([][]int, len(a)+1)
	for i := range common {
		common[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var lines []string
	for i, j := 0, 0; i < len(a) || j < len(b); {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			lines = append(lines, "  "+a[i])
			i, j = i+1, j+1
		case i < len(a) && (j == len(b) || common[i+1][j] >= common[i][j+1]):
			lines = append(lines, "- "+a[i])
			i++
		default:
			lines = append(lines, "+ "+b[j])
			j++
		}
	}
	return around(lines)
}

// maxDiffCells bounds the memory of DiffLines: two texts of two thousand lines.
const maxDiffCells = 4 << 20

// around leaves of the lines that are in both only those near a change.
func around(lines []string) []string {
	const near = 3
	kept := make([]bool, len(lines))
	for i, l := range lines {
		if l[0] != ' ' {
			for j := max(0, i-near); j < min(len(lines), i+near+1); j++ {
				kept[j] = true
			}
		}
	}
	var shown []string
	for i, l := range lines {
		switch {
		case kept[i]:
			shown = append(shown, l)
		case i == 0 || kept[i-1]:
			shown = append(shown, "…")
		}
	}
	return shown
}
