package access

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/headwaterhq/headwater/feature"
)

// tagPrefix begins a pattern that is about whatever has a tag: `view:tag=pii`.
const tagPrefix = "tag="

// Tagged tells grants by tag which tags there are.
type Tagged struct {
	// Tags are those of columns.
	Tags *feature.Tags
	// Of is a definition's own tags by kind and name, of the newest version. nil: it has none, or is not there.
	Of func(kind Kind, name string) []string
	// View is the newest version of a view, or nil.
	View func(name string) *feature.ViewVersion
}

// WithTags gives the policy what tags there are, before it decides anything. Without, a grant by tag allows nothing, and a deny
// by tag denies all of its kind.
func (p *Policy) WithTags(t Tagged) *Policy {
	p.tagged = &t
	return p
}

// tagsOf are the tags of a resource. Of a feature, VIEW.NAME, they are its effective ones in the newest version of the view.
func (p *Policy) tagsOf(kind Kind, name string) []string {
	switch {
	case p.tagged == nil || name == "" || name == Whole:
		return nil
	case kind == KindFeature:
		view, column, _ := strings.Cut(name, ".")
		if v := p.tagged.View(view); v != nil {
			return p.columnTags(v, column)
		}
		return nil
	}
	return p.tagged.Of(kind, name)
}

func (p *Policy) columnTags(v *feature.ViewVersion, column string) []string {
	if p.tagged == nil {
		return nil
	}
	var tags []string
	for _, t := range p.tagged.Tags.Column(v, column) {
		tags = append(tags, t.Tag)
	}
	return tags
}

// covers reports whether a rule is about a resource. tags gives those of the resource, and is asked only where the rule is about one.
func (r *rule) covers(name string, tags func() []string) bool {
	pattern, byTag := strings.CutPrefix(r.pattern, tagPrefix)
	if !byTag {
		return feature.MatchesPattern(r.pattern, name)
	}
	return slices.ContainsFunc(tags(), func(tag string) bool { return feature.MatchesPattern(pattern, tag) })
}

// denies reports whether a rule that denies is about a resource: one by tag is about all where nobody said what tags there are.
func (p *Policy) denies(r *rule, name string, tags func() []string) bool {
	return p.tagged == nil && strings.HasPrefix(r.pattern, tagPrefix) || r.covers(name, tags)
}

// viewUse is what reading a service takes of one view.
type viewUse struct {
	view *feature.ViewVersion
	// columns are features, and columns that on-demand features are computed of; each once.
	columns []string
}

// uses are the views of viewsRead with what is taken of each.
func uses(s *feature.ServiceVersion) []viewUse {
	var list []viewUse
	for _, v := range viewsRead(s) {
		list = append(list, viewUse{view: v})
	}
	var take func(v *feature.ViewVersion, column string)
	take = func(v *feature.ViewVersion, column string) {
		use := &list[slices.IndexFunc(list, func(u viewUse) bool { return u.view == v })]
		if slices.Contains(use.columns, column) {
			return
		}
		use.columns = append(use.columns, column)
		if v.OnDemand == nil {
			return
		}
		for _, w := range v.ViewVersions {
			if v.Analysis == nil {
				// What is not known is taken for all.
				for i := range w.Features {
					take(w, w.Features[i].Name)
				}
				continue
			}
			for _, in := range v.Analysis.Inputs {
				if in.Column == column && in.Kind == feature.InputValue && in.Relation == w.Name {
					take(w, in.InputColumn)
				}
			}
		}
	}
	for i := range s.Pins {
		pin := &s.Pins[i]
		for _, at := range pin.Features {
			take(pin.View, pin.View.Features[at].Name)
		}
	}
	return list
}

// decideUse decides on reading columns of a view: each must be allowed by its view or as a feature, and neither may be denied. A
// service that serves as the grant needs no allow.
func (p *Policy) decideUse(roles []string, action Action, use *viewUse, granted bool) Verdict {
	v := use.view
	if denial, denied := p.denied(roles, action, KindView, v.Name); denied {
		return denial
	}
	for _, column := range use.columns {
		if denial, denied := p.deniedColumn(roles, action, v, column); denied {
			return denial
		}
	}
	if granted {
		return Verdict{Allowed: true}
	}
	whole := p.allowed(roles, action, KindView, bare(v.Name), func() []string { return p.tagsOf(KindView, v.Name) })
	if whole.Allowed {
		return whole
	}
	var by Verdict
	var rules []string
	for _, column := range use.columns {
		if v.FeatureIndex(column) < 0 {
			continue
		}
		by = p.allowed(roles, action, KindFeature, v.Name+"."+column, func() []string { return p.columnTags(v, column) })
		if !by.Allowed {
			// Where no grant is about features, what is missing is one on the view.
			if !p.aboutFeatures(roles, action) {
				return whole
			}
			return by
		}
		rules = withRules(rules, by.rules)
	}
	if by.Allowed {
		by.rules = rules
		return by
	}
	return whole
}

// AllowsWholeView reports, without a record, whether all features of a view are allowed the caller: by the view or by themselves, and none denied.
func AllowsWholeView(ctx context.Context, action Action, view *feature.ViewVersion) bool {
	s := SessionFrom(ctx)
	return s != nil && s.decideReference(action, view.Name, "", view).Allowed
}

// decideReference decides on a feature of a view by its name, or on all of them, before it is told whether there is such a view.
func (s *Session) decideReference(action Action, name, picked string, view *feature.ViewVersion) Verdict {
	if v, beyond := s.principal.beyond(action, KindView, name); beyond {
		return v
	}
	p, roles := s.policy, s.principal.Roles
	if view == nil || picked != "" && view.FeatureIndex(picked) < 0 {
		return p.Decide(roles, action, KindView, name)
	}
	use := viewUse{view: view, columns: []string{picked}}
	if picked == "" {
		use.columns = nil
		for i := range view.Features {
			use.columns = append(use.columns, view.Features[i].Name)
		}
	}
	v := p.decideUse(roles, action, &use, false)
	if !v.Allowed && v.missing != "" {
		// Which feature lacks a grant would tell that there is one.
		return p.allowed(roles, action, KindView, name, func() []string { return nil })
	}
	return v
}

// deniedColumn looks for what denies reading a column as a feature.
func (p *Policy) deniedColumn(roles []string, action Action, v *feature.ViewVersion, column string) (Verdict, bool) {
	for _, r := range roles {
		compiled := p.roles[r]
		if compiled == nil {
			continue
		}
		rules := compiled.deny[permission{action, KindFeature}]
		for i := range rules {
			if p.denies(&rules[i], v.Name+"."+column, func() []string { return p.columnTags(v, column) }) {
				return Verdict{Reason: fmt.Sprintf("%s, which %s.%s is", rules[i].reason, v.Name, column), rules: []string{rules[i].id}}, true
			}
		}
	}
	return Verdict{}, false
}

// deniedWithin looks for what denies any feature of a view that is read as a whole.
func (p *Policy) deniedWithin(roles []string, action Action, name string) (Verdict, bool) {
	if p.tagged == nil || action != ActionReadOnline && action != ActionReadOffline {
		return Verdict{}, false
	}
	if v := p.tagged.View(name); v != nil {
		for i := range v.Features {
			if denial, denied := p.deniedColumn(roles, action, v, v.Features[i].Name); denied {
				return denial, true
			}
		}
	}
	return Verdict{}, false
}

func (p *Policy) aboutFeatures(roles []string, action Action) bool {
	return slices.ContainsFunc(roles, func(r string) bool {
		return p.roles[r] != nil && len(p.roles[r].allow[permission{action, KindFeature}]) > 0
	})
}
