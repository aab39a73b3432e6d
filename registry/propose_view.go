package registry

import (
	"fmt"

	"github.com/headwaterhq/headwater/feature"
)

// view resolves a view, finds whether it means what the newest version does, and for that has it analysed where its
// definition or anything it reads is another than then.
func (p *proposal) view(field string, w *feature.View) {
	name := nameOf{feature.KindView, w.Name}
	v, resolved, uses := p.resolveView(name, field, w)
	if v == nil {
		p.broken[w.Name] = true
		return
	}
	old := p.base.views.last(w.Name)
	v.Version = 1
	if old != nil {
		v.Version = old.Version + 1
	}
	moved := p.analyse(name, field, v, old)
	s := settling{
		nameOf: name, field: field, difference: func() feature.Difference { return feature.DiffView(old, v) },
		fingerprint: v.Fingerprint, after: feature.Definitions{Views: []feature.View{*w}}, moved: moved,
	}
	if old != nil {
		s.before.Views, s.old = []feature.View{old.View}, old.Version
	}
	var c *proposed
	v.Version, c = p.settle(s)
	p.views[w.Name] = v
	if c == nil {
		return
	}
	if c.fresh {
		v.ID = 0
	}
	if c.fresh || c.moved {
		c.view, c.resolved = v, resolved
	}
	p.use(c, uses)
}

// resolveView finds what the names of a view stand for. nil: something is wrong with that, or with what it reads.
func (p *proposal) resolveView(name nameOf, field string, w *feature.View) (*feature.ViewVersion, resolution, []use) {
	v := &feature.ViewVersion{View: *w}
	resolved := resolution{Sources: map[string]int{}}
	var uses []use
	if w.Entity != "" {
		v.EntityVersion = p.entityNow(w.Entity)
		v.Derive()
		resolved.Entity = v.EntityVersion.Version
		uses = append(uses, use{name, field + ".entity", nameOf{feature.KindEntity, w.Entity}})
	}
	for i, source := range w.SourceNames() {
		s := p.sourceNow(source)
		v.SourceVersions = append(v.SourceVersions, s)
		resolved.Sources[source] = s.Version
		at := fmt.Sprintf("%s.sql.sources[%d]", field, i)
		switch {
		case w.Aggregation != nil:
			at = field + ".aggregation.source"
		case w.Push != nil:
			at = field + ".push.source"
		}
		uses = append(uses, use{name, at, nameOf{feature.KindSource, source}})
	}
	ok := true
	for i, r := range w.ViewRefs() {
		at := fmt.Sprintf("%s.%s[%d]", field, w.RefsField(), i)
		if p.broken[r.Name] {
			// What is wrong with it is told there.
			ok = false
			continue
		}
		input, why := p.viewNow(r.Name), ""
		if r.Version > 0 {
			input, why = p.viewAt(r.Name, r.Version)
		}
		if input == nil {
			p.problems = append(p.problems, feature.Problem{Kind: feature.KindView, Name: w.Name, Field: at, Message: why})
			ok = false
			continue
		}
		v.ViewVersions = append(v.ViewVersions, input)
		if resolved.Views == nil {
			resolved.Views = map[string]int{}
		}
		resolved.Views[r.Name] = input.Version
		uses = append(uses, use{name, at, nameOf{feature.KindView, r.Name}})
	}
	if !ok {
		return nil, resolved, nil
	}
	return v, resolved, uses
}

// analyse gives a view its analysis and fingerprint. Where it means what old does, it has old's fingerprint and ID, and moved
// says that it has been resolved to other versions all the same.
func (p *proposal) analyse(name nameOf, field string, v, old *feature.ViewVersion) (moved bool) {
	if old != nil && v.Unchanged(old) {
		v.Analysis, v.Fingerprint, v.ID = old.Analysis, old.Fingerprint, old.ID
		v.EntityVersion, v.SourceVersions, v.ViewVersions = old.EntityVersion, old.SourceVersions, old.ViewVersions
		return false
	}
	if p.checks.view != nil {
		analysis, err := p.checks.view(v)
		if !p.judge(name, field, "sql.query", err) {
			p.broken[name.name] = true
			return false
		}
		v.Analysis = analysis
	}
	v.Fingerprint = v.Meaning()
	if old == nil || !v.SameMeaning(old) {
		return false
	}
	v.ID = old.ID
	if v.Fingerprint != old.Fingerprint {
		// One of an earlier format is kept for good, with the versions that it was made of.
		v.Analysis, v.Fingerprint = old.Analysis, old.Fingerprint
		v.EntityVersion, v.SourceVersions, v.ViewVersions = old.EntityVersion, old.SourceVersions, old.ViewVersions
		return false
	}
	return true
}
