package access

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/headwaterhq/headwater/expr"
	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/read"
)

// Question is a decision that is asked about, not made.
type Question struct {
	Reading
	Action Action
	Kind   Kind
	// Name may be NAME@VERSION.
	Name string
	// Service is what a reading takes: a service, or one without a name of what is read by reference. nil: no reading, or of what is
	// not known. Then grants alone are asked.
	Service *feature.ServiceVersion
	// Known says that there is what is asked about, as far as whoever asks may know. Else policies, which look at it, are not asked.
	Known bool
}

// Explanation is what would be decided, and by what.
type Explanation struct {
	Verdict
	// Views are those that a reading takes, each decided on.
	Views []ExplainedView
	// What follows is of a reading that grants allow.
	Requirements []ExplainedRequirement
	Filters      []ExplainedFilter
	Masks        []read.Rule
	// Policies are those that were asked, NAME@VERSION.
	Policies []string
}

// Missing is the permission that no grant gives, ACTION on KIND:NAME. Empty: none is.
func (e *Explanation) Missing() string { return e.missing }

// Hiding are the policies that hide rows or mask values, NAME@VERSION, sorted, each once.
func (e *Explanation) Hiding() []string {
	var policies []string
	for _, f := range e.Filters {
		if !f.HidesNothing {
			policies = append(policies, f.Policy)
		}
	}
	for _, m := range e.Masks {
		policies = append(policies, m.Policy)
	}
	slices.Sort(policies)
	return slices.Compact(policies)
}

// ExplainedView is the decision on a view that a reading takes.
type ExplainedView struct {
	View *feature.ViewVersion
	Verdict
}

// ExplainedRequirement is what a policy requires of a reading.
type ExplainedRequirement struct {
	Policy, About, Requires string
	// Refusal is why it is not met. Empty: it is.
	Refusal string
}

// ExplainedFilter is which rows of a view a policy shows to a reader.
type ExplainedFilter struct {
	Policy, About, Words string
	// SQL is over `r`, a row of the view.
	SQL string
	// Parameters are those of the SQL, as text.
	Parameters []string
	// HidesNothing: it is true of every row.
	HidesNothing bool
}

// Explain is what is decided on a question, and by what rules. It decides by the same functions as calls are decided by, and touches no
// data. An error says that what is asked about cannot be read by anybody.
func (p *Policy) Explain(q Question) (*Explanation, error) {
	e := &Explanation{}
	p.explainGrants(q, e)
	if !e.Allowed || !q.Known {
		return e, nil
	}
	if q.Service == nil {
		if q.Kind == KindSource && q.Action == ActionReadOffline {
			p.explainSource(q, e)
		}
		return e, nil
	}
	return e, p.explainPolicies(q, e)
}

func (p *Policy) explainGrants(q Question, e *Explanation) {
	s, roles := q.Service, q.Principal.Roles
	if s == nil {
		e.Verdict = p.decideFor(q.Principal, q.Action, q.Kind, q.Name)
		return
	}
	if s.Name != "" {
		e.Verdict = p.decideServiceFor(q.Principal, q.Action, s)
	}
	list := uses(s)
	for i := range list {
		var v Verdict
		if s.Name != "" {
			v = p.decideUse(roles, q.Action, &list[i], s.ServesAsGrant)
			if v.Allowed && s.ServesAsGrant {
				v.Reason = resource(KindService, s.Name) + " serves as the grant of its views"
			}
		} else {
			v = p.decideUseFor(q.Principal, q.Action, &list[i])
			named := slices.ContainsFunc(s.Pins, func(pin feature.ServicePin) bool { return pin.View == list[i].view })
			if named && !v.Allowed && v.missing != "" {
				// As decideReference says it.
				v = p.allowed(roles, q.Action, KindView, list[i].view.Name, func() []string { return nil })
			}
			if i == 0 || e.Allowed && !v.Allowed {
				e.Verdict = v
			}
		}
		e.Views = append(e.Views, ExplainedView{list[i].view, v})
	}
}

// explainSource explains a reading of a source's own rows, as a spine that the server reads has them.
func (p *Policy) explainSource(q Question, e *Explanation) {
	source := p.sourceOf(q.Name)
	if source == nil || !p.Restricts() {
		return
	}
	r, refused := p.restrictSource(q.Reading, source)
	if refused == nil {
		refused = p.terms(q.Reading, source.Name)
	}
	if refused != nil {
		e.Verdict = *refused
		return
	}
	if r == nil {
		return
	}
	e.Policies = r.Policies
	// The rules of filters come first, in their order.
	for i, f := range r.Filters {
		e.Filters = append(e.Filters, explainedFilter(f.Bound, f.Columns, r.Rules[i].Policy, r.Rules[i].About))
	}
	e.Masks = r.Rules[len(r.Filters):]
}

// sourceOf is the newest version of a source, or nil.
func (p *Policy) sourceOf(name string) *feature.SourceVersion {
	if p.rules.Source == nil {
		return nil
	}
	return p.rules.Source(bare(name))
}

func (p *Policy) explainPolicies(q Question, e *Explanation) error {
	if !p.Restricts() {
		return nil
	}
	views := viewsRead(q.Service)
	for _, v := range p.rules.Policies {
		if !v.HoldsFor(q.Principal.Roles) {
			continue
		}
		switch {
		case v.Require != nil:
			about := p.requirementAbout(v, q.Service, views)
			if about == "" {
				continue
			}
			one := ExplainedRequirement{Policy: ref(v), About: about, Requires: requires(v.Require)}
			if refused := p.requires(v, about, q.Reading); refused != nil {
				one.Refusal = refused.Reason
			}
			e.Requirements = append(e.Requirements, one)
		case v.RowFilter != "":
			for _, view := range views {
				if view.OnDemand != nil || !p.rowsAbout(v, view) {
					continue
				}
				// One that cannot be compiled refuses the reading, below.
				if one, err := p.explainFilter(v, view, q.Principal); err == nil {
					e.Filters = append(e.Filters, one)
				}
			}
		}
	}
	restriction, refused := p.restrict(q.Reading, q.Service)
	if refused != nil {
		e.Verdict = *refused
		return nil
	}
	if restriction != nil {
		e.Policies = restriction.Policies
	}
	plan, err := read.NewRestrictedPlan(restriction.Reads(), q.Service, nil, "")
	if err != nil {
		return err
	}
	for _, rule := range plan.Rules() {
		if strings.Contains(rule.About, ".") {
			e.Masks = append(e.Masks, rule)
		}
	}
	return nil
}

func (p *Policy) explainFilter(v *feature.PolicyVersion, view *feature.ViewVersion, principal *Principal) (ExplainedFilter, error) {
	filter, _, err := compiledFilter(v, view)
	if err != nil {
		return ExplainedFilter{}, err
	}
	return explainedFilter(filter.Bind(p.reader(principal)), filter.Columns, ref(v), view.Ref()), nil
}

func explainedFilter(bound *expr.Bound, columns []string, policy, about string) ExplainedFilter {
	one := ExplainedFilter{Policy: policy, About: about, Words: bound.Words()}
	holds, constant := bound.Constant()
	one.HidesNothing = constant && holds
	sql, args := bound.SQL(func(i int) string { return "r." + columns[i] }, 1)
	one.SQL = sql
	for _, arg := range args {
		one.Parameters = append(one.Parameters, parameterText(arg))
	}
	return one
}

// parameterText is a parameter of SQL for people.
func parameterText(arg any) string {
	switch arg := arg.(type) {
	case time.Time:
		return arg.UTC().Format(time.RFC3339Nano)
	case []byte:
		return `\x` + hex.EncodeToString(arg)
	}
	// JSON has no NaN and no infinities.
	if text, err := json.Marshal(arg); err == nil {
		return string(text)
	}
	return fmt.Sprint(arg)
}

// requires says what a requirement asks for, in words.
func requires(q *feature.Requirement) string {
	var all []string
	for _, one := range []struct {
		what   string
		values []string
	}{{"a purpose of", q.Purposes}, {"a use for", q.Uses}, {"a server in", q.Regions}} {
		if len(one.values) > 0 {
			all = append(all, one.what+" "+strings.Join(one.values, ", "))
		}
	}
	if q.Licence != "" {
		all = append(all, "its terms: "+q.Licence)
	}
	return strings.Join(all, "; ")
}
