package online

import (
	"github.com/headwaterhq/headwater/read"
)

// Plan is a read plan with all that does not change from one read to the next worked out: make one per read.Plan, and keep
// both together. Immutable.
type Plan struct {
	views  []viewPlan
	groups []group
}

type viewPlan struct {
	*read.View
	layout *Layout
	// field is the position of the view's row in the group's replies.
	field int
}

// group is the views of one entity, whose rows come with one command per key.
type group struct {
	entity string
	views  []int
	// fields are ready to be sent.
	fields []any
}

// NewPlan compiles p.
func NewPlan(p *read.Plan) *Plan {
	plan := &Plan{views: make([]viewPlan, len(p.Views))}
	byEntity := map[string]int{}
	for i := range p.Views {
		v := &p.Views[i]
		entity := v.Version.Entity
		n, ok := byEntity[entity]
		if !ok {
			n = len(plan.groups)
			byEntity[entity] = n
			plan.groups = append(plan.groups, group{entity: entity})
		}
		g := &plan.groups[n]
		plan.views[i] = viewPlan{View: v, layout: NewLayout(v.Version.Stored()), field: len(g.fields)}
		g.views = append(g.views, i)
		g.fields = append(g.fields, fieldOf(v.Version.ID))
	}
	return plan
}
