package registry

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/headwaterhq/headwater/feature"
)

// refuseProtected finds features that would become ones of protected values: by what the files say of views, or by a tag that they put on what
// a view is made of already. What has been so before is left to whoever mends it.
func (p *proposal) refuseProtected() {
	tags := feature.NewTags(p.entityNow, p.sourceNow, p.viewNow)
	told := map[string]bool{}
	for _, v := range p.base.Views() {
		p.refuseProtectedView(tags, p.viewNow(v.Name), told)
	}
	for _, name := range slices.Sorted(maps.Keys(p.views)) {
		p.refuseProtectedView(tags, p.views[name], told)
	}
	// Services may be pinned to versions that are not the newest.
	for _, s := range p.base.Services() {
		for i := range p.serviceNow(s.Name).Pins {
			p.refuseProtectedView(tags, p.serviceNow(s.Name).Pins[i].View, told)
		}
	}
}

func (p *proposal) refuseProtectedView(tags *feature.Tags, v *feature.ViewVersion, told map[string]bool) {
	// Where none is analysed nothing is known. One of before analyses were kept has the tags of all that it reads.
	if told[v.Ref()] || p.broken[v.Name] || v.Analysis == nil && v.OnDemand == nil && p.checks.view == nil {
		return
	}
	told[v.Ref()] = true
	was := p.base.views.at(v.Name, v.Version)
	for i := range v.Features {
		name := v.Features[i].Name
		at := slices.IndexFunc(tags.Column(v, name), func(t feature.ColumnTag) bool { return t.Tag == feature.ProtectedTag })
		if at < 0 || was != nil && p.base.Tags().Has(was, name, feature.ProtectedTag) {
			continue
		}
		origins := tags.Column(v, name)[at].From
		var from []string
		own := false
		for _, o := range origins {
			from = append(from, o.String())
			own = own || o.Kind == feature.KindView && o.Name == v.Name && o.Column == name
		}
		message := fmt.Sprintf("found the tag %s on feature %s of view %s, from %s, expected none on what can be served; make it an attribute, which can be looked at in bias reports", feature.ProtectedTag, name,
			v.Ref(), strings.Join(from, ", "))
		switch {
		case own:
			message += ", or take the tag off the feature"
		case p.viewNow(v.Name).Version != v.Version:
			message += fmt.Sprintf("; a service is pinned to that version: move it to %s", p.viewNow(v.Name).Ref())
		default:
			message += fmt.Sprintf(", or declare why it is served: declassify: [{column: %s, tags: [%s], reason: ...}], which takes administer on tag:%[2]s", name, feature.ProtectedTag)
		}
		p.problems = append(p.problems, p.placed(v, i, origins, message))
	}
}

// placed is a problem with a feature, where the files say it: at the feature, else where a tag is written that it has, else at whatever is given.
func (p *proposal) placed(v *feature.ViewVersion, i int, origins []feature.TagOrigin, message string) feature.Problem {
	if field, ok := p.given[nameOf{feature.KindView, v.Name}]; ok && p.viewNow(v.Name) == v {
		return feature.Problem{Kind: feature.KindView, Name: v.Name, Field: fmt.Sprintf("%s.features[%d]", field, i), Message: message}
	}
	for _, o := range origins {
		field, ok := p.given[nameOf{o.Kind, o.Name}]
		if !ok {
			continue
		}
		if s := p.sources[o.Name]; o.Kind == feature.KindSource && s != nil {
			field += fmt.Sprintf(".columns[%d]", slices.IndexFunc(s.Columns, func(c feature.Column) bool { return c.Name == o.Column }))
		}
		return feature.Problem{Kind: o.Kind, Name: o.Name, Field: field, Message: message}
	}
	return feature.Problem{Kind: feature.KindView, Name: v.Name, Message: message}
}
