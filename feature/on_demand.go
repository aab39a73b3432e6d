package feature

import (
	"fmt"
	"slices"
)

// What expressions call the request and the time of the read.
const (
	requestName = "request"
	timeName    = "time"
)

// onDemand checks all of a view of on-demand features but its CEL, which package expr compiles.
func (v *validation) onDemand(w *View) {
	t := w.OnDemand
	if w.Entity != "" {
		v.add("entity", "found entity %s, expected none: on-demand features belong to the entities of the views that they read; leave it out", w.Entity)
	}
	if len(w.Attributes) > 0 {
		v.add("attributes", "found attributes, expected none: nothing is stored of on-demand features; make them features, or leave them out")
	}
	for _, d := range []struct {
		field string
		set   bool
	}{{"ttl", w.TTL != 0}, {"grain", w.Grain != 0}, {"lookback", w.Lookback != 0}} {
		if d.set {
			v.add(d.field, "found a %s, expected none: on-demand features are computed when they are read; leave it out", d.field)
		}
	}
	if len(t.Inputs)+len(t.Views) == 0 {
		v.add("on_demand", "found neither inputs nor views, expected some: they say for whom a value is")
	}
	v.columns("on_demand.inputs", "input", t.Inputs, map[string]string{}, reservedColumns...)
	for i := range t.Inputs {
		if t.Inputs[i].Name == timeName {
			v.add(fmt.Sprintf("on_demand.inputs[%d].name", i), "found an input called time, which is the time of the read; give it another name")
		}
	}
	for i, r := range t.Views {
		if r.Name == requestName {
			v.add(fmt.Sprintf("on_demand.views[%d]", i), "found a view called request, which is what expressions call the inputs; rename the view")
		}
	}
	for i := range t.Expressions {
		name := t.Expressions[i].Feature
		field := fmt.Sprintf("on_demand.expressions[%d].feature", i)
		if w.FeatureIndex(name) < 0 {
			v.add(field, "found an expression for %s, which is no feature of the view%s", name, didYouMean(name, columnNames(w.Features)))
		}
		if slices.ContainsFunc(t.Expressions[:i], func(e OnDemandExpression) bool { return e.Feature == name }) {
			v.add(field, "found a second expression for feature %s, expected one", name)
		}
	}
	for i := range w.Features {
		name := w.Features[i].Name
		if !slices.ContainsFunc(t.Expressions, func(e OnDemandExpression) bool { return e.Feature == name }) {
			v.add(fmt.Sprintf("features[%d].name", i), "found no expression for feature %s, expected one in on_demand.expressions", name)
		}
	}
}
