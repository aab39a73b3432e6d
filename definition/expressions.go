package definition

import (
	"slices"

	"github.com/headwaterhq/headwater/expr"
	"github.com/headwaterhq/headwater/feature"
)

// expressionProblems compiles the on-demand features and the expressions about rows of definitions, the first against the views that they read as these define them.
// A reference to a version is to what a registry has, and left for it to check.
func expressionProblems(d *feature.Definitions) []feature.Problem {
	var problems []feature.Problem
	for i := range d.Views {
		v := &d.Views[i]
		if v.OnDemand == nil {
			continue
		}
		_, found := expr.Compile(v, func(name string) ([]feature.Column, bool) {
			r := slices.IndexFunc(v.OnDemand.Views, func(r feature.ViewRef) bool { return r.Name == name })
			w := slices.IndexFunc(d.Views, func(w feature.View) bool { return w.Name == name })
			if r < 0 || w < 0 || v.OnDemand.Views[r].Version != 0 {
				return nil, false
			}
			return d.Views[w].Features, true
		})
		for _, p := range found {
			p.Field = feature.KindView.Path(i) + "." + p.Field
			problems = append(problems, p)
		}
	}
	return append(problems, expr.ExpectationProblems(d, func(name string) *feature.Entity {
		i := slices.IndexFunc(d.Entities, func(e feature.Entity) bool { return e.Name == name })
		if i < 0 {
			return nil
		}
		return &d.Entities[i]
	})...)
}
