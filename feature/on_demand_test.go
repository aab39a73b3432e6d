package feature

import (
	"strings"
	"testing"
)

func TestValidateOnDemand(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*View)
		want   string
	}{
		{"whole", func(*View) {}, ""},
		{"an entity", func(v *View) { v.Entity = "route" }, "entity: found entity route, expected none: on-demand features belong to the " +
			"entities of the views that they read; leave it out"},
		{"attributes", func(v *View) { v.Attributes = []Column{{Name: "a", Type: TypeBool}} },
			"attributes: found attributes, expected none: nothing is stored of on-demand features; make them features, or leave them out"},
		{"a ttl", func(v *View) { v.TTL = 1000 }, "ttl: found a ttl, expected none: on-demand features are computed when they are read; leave it out"},
		{"nothing to read", func(v *View) { v.OnDemand.Inputs, v.OnDemand.Views = nil, nil },
			"on_demand: found neither inputs nor views, expected some: they say for whom a value is"},
		{"an input called time", func(v *View) { v.OnDemand.Inputs[0].Name = "time" },
			"on_demand.inputs[0].name: found an input called time, which is the time of the read; give it another name"},
		{"an input twice", func(v *View) { v.OnDemand.Inputs = append(v.OnDemand.Inputs, v.OnDemand.Inputs[0]) },
			"on_demand.inputs[1].name: found a second column called n (there is an input of that name), expected each name once"},
		{"a view of nothing", func(v *View) { v.OnDemand.Views[0].Name = "route_delay" },
			"on_demand.views[0]: found no view called route_delay; did you mean route_delays?"},
		{"an expression of nothing", func(v *View) { v.OnDemand.Expressions[0].Feature = "twise" },
			"on_demand.expressions[0].feature: found an expression for twise, which is no feature of the view; did you mean twice?\n" +
				"features[0].name: found no expression for feature twice, expected one in on_demand.expressions"},
		{"two expressions", func(v *View) { v.OnDemand.Expressions = append(v.OnDemand.Expressions, v.OnDemand.Expressions[0]) },
			"on_demand.expressions[1].feature: found a second expression for feature twice, expected one"},
		{"itself", func(v *View) { v.OnDemand.Views[0].Name = "o" }, "on_demand.views[0]: found a cycle: o reads o; a view cannot be made of " +
			"itself: take one of these references out, or name a version that is there already: NAME@VERSION"},
	} {
		d := flights()
		d.Views = append(d.Views, View{
			Name: "o", Features: []Column{{Name: "twice", Type: TypeInt64}},
			OnDemand: &OnDemand{
				Inputs: []Column{{Name: "n", Type: TypeInt64}}, Views: []ViewRef{{Name: "route_delays"}},
				Expressions: []OnDemandExpression{{Feature: "twice", CEL: "request.n * 2"}},
			},
		})
		c.change(&d.Views[1])
		var got []string
		for _, p := range d.Validate(nil) {
			got = append(got, strings.TrimPrefix(p.Field, "feature_views[1].")+": "+p.Message)
		}
		if found := strings.Join(got, "\n"); found != c.want {
			t.Errorf("%s: found %s\nexpected %s", c.name, found, c.want)
		}
	}
}
