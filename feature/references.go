package feature

import (
	"fmt"
	"slices"
	"strings"
)

// viewRefs checks the views that a view reads: that they are there, each once.
func (v *validation) viewRefs(field string, refs []ViewRef) {
	for i, r := range refs {
		at := fmt.Sprintf("%s[%d]", field, i)
		if slices.ContainsFunc(refs[:i], func(other ViewRef) bool { return other.Name == r.Name }) {
			v.add(at, "found view %s a second time, expected each once", r.Name)
		}
		if v.findView(r.Name) == nil && !v.known.Views[r.Name] {
			v.add(at, "found no view called %s%s", r.Name, didYouMean(r.Name, v.viewNames()))
		}
	}
}

// RefsField is where the views that a view reads stand in it: `sql.views`.
func (v *View) RefsField() string {
	if v.OnDemand != nil {
		return "on_demand.views"
	}
	return "sql.views"
}

// OrderViews sorts views so that each comes after those of the list that it reads, and is otherwise in the list's order.
// made says of a reference to a view of the list that it stands for what is being made, not for a version that is there
// already; nil: of all without a version. Cycles are problems, at the first reference of each, and then the order is of no
// use.
func OrderViews(views []View, made func(ViewRef) bool) (order []int, problems []Problem) {
	if made == nil {
		made = func(r ViewRef) bool { return r.Version == 0 }
	}
	at := map[string]int{}
	for i := range views {
		if _, twice := at[views[i].Name]; !twice {
			at[views[i].Name] = i
		}
	}
	o := viewOrder{views: views, made: made, at: at, state: make([]uint8, len(views))}
	for i := range views {
		if o.state[i] == 0 {
			o.visit(i)
		}
	}
	return o.order, o.problems
}

type viewOrder struct {
	views []View
	made  func(ViewRef) bool
	at    map[string]int
	// state of each view: 0 not seen yet, 1 on the path, 2 done.
	state    []uint8
	path     []int
	order    []int
	problems []Problem
}

func (o *viewOrder) visit(i int) {
	o.state[i] = 1
	o.path = append(o.path, i)
	for _, r := range o.views[i].ViewRefs() {
		next, ok := o.at[r.Name]
		if !ok || !o.made(r) {
			continue
		}
		switch o.state[next] {
		case 0:
			o.visit(next)
		case 1:
			o.cycle(o.path[slices.Index(o.path, next):])
		}
	}
	o.path = o.path[:len(o.path)-1]
	o.state[i] = 2
	o.order = append(o.order, i)
}

// cycle tells of a cycle from the view of it that comes first in the list.
func (o *viewOrder) cycle(path []int) {
	start := 0
	for i := range path {
		if path[i] < path[start] {
			start = i
		}
	}
	text := o.views[path[start]].Name
	for i := range path {
		text += " reads " + o.views[path[(start+i+1)%len(path)]].Name
	}
	from, to := &o.views[path[start]], o.views[path[(start+1)%len(path)]].Name
	i := slices.IndexFunc(from.ViewRefs(), func(r ViewRef) bool { return r.Name == to })
	o.problems = append(o.problems, Problem{
		Kind: KindView, Name: from.Name, Field: fmt.Sprintf("%s.%s[%d]", KindView.Path(path[start]), from.RefsField(), i),
		Message: "found a cycle: " + text + "; a view cannot be made of itself: take one of these references out, or name a version " +
			"that is there already: NAME@VERSION",
	})
}

// DeprecatedUse is a use of something that is deprecated, in words.
func DeprecatedUse(what string, d *Deprecation) string {
	text := fmt.Sprintf("uses %s, which is deprecated from %s on", what, d.Date)
	if d.Replacement != "" {
		text += "; use " + strings.TrimSpace(d.Replacement) + " instead"
	}
	return text
}

// UsesColumn reports whether the view uses a column of what it reads, by the name it has there. Of an on-demand view it is
// whether an expression speaks of it; a view whose SQL was not analysed is not known to use any.
func (v *ViewVersion) UsesColumn(relation, column string) bool {
	switch {
	case v.Analysis != nil:
		return slices.Contains(v.Analysis.Uses[relation], column)
	case v.Aggregation != nil:
		return slices.ContainsFunc(v.Aggregation.Aggregates, func(a Aggregate) bool { return a.Column == column })
	case v.OnDemand != nil:
		return slices.ContainsFunc(v.OnDemand.Expressions, func(e OnDemandExpression) bool {
			return speaksOf(e.CEL, relation+"."+column)
		})
	}
	return false
}

// speaksOf reports whether a name stands in an expression as a whole.
func speaksOf(expression, name string) bool {
	part := func(c byte) bool { return isWordPart(c) || c == '.' }
	for at := 0; ; {
		i := strings.Index(expression[at:], name)
		if i < 0 {
			return false
		}
		start, end := at+i, at+i+len(name)
		if (start == 0 || !part(expression[start-1])) && (end == len(expression) || !isWordPart(expression[end])) {
			return true
		}
		at = start + 1
	}
}
