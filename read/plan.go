// Package read owns the compiled read plan that both stores follow (columns, keys, mapping, inputs, filter, masks, defaults,
// on-demand features, purpose) and the statuses a value can have.
//
// It may import feature and expr and nothing else of ours. Invariant: the two stores only find the winner of the
// point-in-time rule; what becomes of a winner (row filter, then masks, then defaults, then on-demand features of what is
// left, then masks and defaults of those) is decided here, once, so training data and online reads cannot disagree.
package read

import (
	"fmt"
	"slices"
	"time"

	"github.com/headwaterhq/headwater/expr"
	"github.com/headwaterhq/headwater/feature"
)

// Plan is all that a read needs, made once per service version, versions that it follows, role set and policy version.
// Immutable.
type Plan struct {
	// Service has no name where it stands for features that are read by reference.
	Service *feature.ServiceVersion
	// Views are those with a history, read once each, or once per join: the service's in its order, then those that only its
	// on-demand features read.
	Views []View
	// Columns are the output, in order.
	Columns []Column
	// OnDemand are the views whose expressions are evaluated.
	OnDemand []*feature.ViewVersion
	// Inputs are what the caller gives with each entity or spine row, each name once.
	Inputs []feature.Column
	// Purpose is what the caller stated, recorded with the read.
	Purpose string

	// reads are the features that on-demand features read, as those see them.
	reads []Column
	// computed are the on-demand features, each behind those that it reads.
	computed []computed
}

// View is one view of a plan: read by the caller's own mapping of keys, or by that of a join.
type View struct {
	Version *feature.ViewVersion
	// Prefix is that of the join, or empty.
	Prefix string
	// KeyColumns name, for each join key of the entity, the caller's column that holds it.
	KeyColumns []string
	// TTL is how long after its event time a row may be used; zero: for ever.
	TTL time.Duration
	// Filter decides on the winning row's own columns whether the caller may see it. nil: it may.
	Filter *Filter
	// Times says what is shown of a row's times. nil: they are.
	Times *Times
}

// Column is one output column.
type Column struct {
	// Name is `VIEW__FEATURE`, or what the service calls it, behind the prefix of the join that it is read by.
	Name string
	// Prefix is that of the join, or empty.
	Prefix string
	// Version and Feature say which feature it is: a position in Version.Features.
	Version *feature.ViewVersion
	Feature int
	Type    feature.Type
	// View is a position in Plan.Views, Slot one in the view's stored columns. View is Computed for on-demand features.
	View, Slot int
	// Mask changes what the caller sees. nil: nothing does.
	Mask *Mask
	// Default stands in for a missing value. nil: none does.
	Default *feature.Value

	// computed is a position in Plan.computed, of on-demand features.
	computed int
}

// Computed is the View of columns that are computed when they are read.
const Computed = -1

// Ref is `VIEW@VERSION.FEATURE`.
func (c *Column) Ref() string { return c.Version.Ref() + "." + c.Version.Features[c.Feature].Name }

// ViewsOf is the views of whose rows a column of the plan is made, as positions in Views, in their order, each once: its own, or those
// that an on-demand feature reads, itself or through others.
func (p *Plan) ViewsOf(c *Column) []int {
	var views []int
	var follow func(c *Column)
	follow = func(c *Column) {
		if c.View != Computed {
			views = append(views, c.View)
			return
		}
		for _, a := range p.computed[c.computed].arguments {
			if a.read >= 0 {
				follow(&p.reads[a.read])
			}
		}
	}
	follow(c)
	slices.Sort(views)
	return slices.Compact(views)
}

// Masks reports whether what the caller sees of a column of the plan is masked: itself, or something that it is computed of.
func (p *Plan) Masks(c *Column) bool {
	if c.Mask != nil || c.View != Computed {
		return c.Mask != nil
	}
	return slices.ContainsFunc(p.computed[c.computed].arguments, func(a argument) bool { return a.read >= 0 && p.Masks(&p.reads[a.read]) })
}

// Reads are the features that on-demand features of the plan are computed of.
func (p *Plan) Reads() []Column { return p.reads }

// ColumnName is feature.OutputName.
func ColumnName(view, name string) string { return feature.OutputName(view, name) }

// NewPlan is the plan of a service without policies. keyMapping gives, for a join key on the left, the caller's column
// on the right; a key that is absent is taken from the column of its own name. Each feature is a column, or one for each of
// the joins that it is read by, in their order. The error is of an on-demand view whose expressions this version of Headwater
// cannot compile, or a *MixedJoins.
func NewPlan(s *feature.ServiceVersion, keyMapping map[string]string, purpose string, joins ...Join) (*Plan, error) {
	return NewRestrictedPlan(nil, s, keyMapping, purpose, joins...)
}

// NewRestrictedPlan is NewPlan for a reader who is held to restrictions.
func NewRestrictedPlan(r *Restrictions, s *feature.ServiceVersion, keyMapping map[string]string, purpose string, joins ...Join) (*Plan, error) {
	b := builder{
		plan: &Plan{Service: s, Purpose: purpose}, restrictions: r, mapping: keyMapping, joins: joins, views: map[string]int{}, computed: map[string]int{},
	}
	for i := range s.Pins {
		if v := s.Pins[i].View; v.OnDemand == nil {
			for _, join := range b.joinsOf(v) {
				b.view(v, join)
			}
		}
	}
	for i := range s.Pins {
		pin := &s.Pins[i]
		joins := b.joinsOf(pin.View)
		for j, at := range pin.Features {
			for _, join := range joins {
				c, err := b.column(pin.View, at, join)
				if err != nil {
					return nil, err
				}
				c.Name = join.prefix() + pin.Name(j)
				if d := pin.Default(j); !d.IsNull() {
					c.Default = &d
				}
				b.plan.Columns = append(b.plan.Columns, c)
			}
		}
	}
	b.plan.hideTimes(b.restrictions)
	return b.plan, nil
}

// builder makes a plan.
type builder struct {
	plan         *Plan
	restrictions *Restrictions
	mapping      map[string]string
	joins        []Join
	// views and computed are positions in the plan's lists, by prefix with VIEW@VERSION and VIEW@VERSION.FEATURE.
	views, computed map[string]int
}

// joinsOf is what a view is read by, or computed for: joins, or nil for the caller's own mapping.
func (b *builder) joinsOf(v *feature.ViewVersion) []*Join {
	var joins []*Join
	for i := range b.joins {
		if b.joins[i].touches(v) {
			joins = append(joins, &b.joins[i])
		}
	}
	if joins == nil {
		joins = []*Join{nil}
	}
	return joins
}

// view is the position of a view with a history, read by a join or, nil, by the caller's own mapping.
func (b *builder) view(version *feature.ViewVersion, join *Join) int {
	at := join.prefix() + "\x00" + version.Ref()
	if i, ok := b.views[at]; ok {
		return i
	}
	i := len(b.plan.Views)
	b.views[at] = i
	b.plan.Views = append(b.plan.Views, View{
		Version: version, Prefix: join.prefix(), KeyColumns: KeyColumns(version, b.mapping, join), TTL: version.TTL,
		Filter: b.restrictions.filter(version),
	})
	return i
}

// column is a feature of a view as it is without a name and a default of the service's.
func (b *builder) column(v *feature.ViewVersion, at int, join *Join) (Column, error) {
	f := &v.Features[at]
	c := Column{Name: ColumnName(v.Name, f.Name), Prefix: join.prefix(), Version: v, Feature: at, Type: f.Type, View: Computed, Mask: b.restrictions.mask(v, at)}
	if v.OnDemand == nil {
		c.View, c.Slot = b.view(v, join), at
		return c, nil
	}
	var err error
	c.computed, err = b.compute(v, at, join)
	return c, err
}

// compute is the position of an on-demand feature, after those it reads.
func (b *builder) compute(v *feature.ViewVersion, at int, join *Join) (int, error) {
	ref := join.prefix() + "\x00" + v.Ref() + "." + v.Features[at].Name
	if i, ok := b.computed[ref]; ok {
		return i, nil
	}
	compiled, err := expr.Of(v)
	if err != nil {
		return 0, err
	}
	if !slices.ContainsFunc(b.plan.OnDemand, func(w *feature.ViewVersion) bool { return w.Ref() == v.Ref() }) {
		b.plan.OnDemand = append(b.plan.OnDemand, v)
	}
	e := compiled.Features[at]
	c := computed{expression: e}
	for _, r := range e.Reads {
		a := argument{read: -1, input: -1}
		if r.View == "" {
			a.input, err = b.input(v, r.Name)
		} else {
			a.read, err = b.read(v, at, r, join)
		}
		if err != nil {
			return 0, err
		}
		c.arguments = append(c.arguments, a)
	}
	i := len(b.plan.computed)
	b.computed[ref] = i
	b.plan.computed = append(b.plan.computed, c)
	return i, nil
}

// input is the position of a request input.
func (b *builder) input(v *feature.ViewVersion, name string) (int, error) {
	if i := slices.IndexFunc(b.plan.Inputs, func(c feature.Column) bool { return c.Name == name }); i >= 0 {
		return i, nil
	}
	i := slices.IndexFunc(v.OnDemand.Inputs, func(c feature.Column) bool { return c.Name == name })
	if i < 0 {
		return 0, fmt.Errorf("view %s has no input %s", v.Ref(), name)
	}
	b.plan.Inputs = append(b.plan.Inputs, v.OnDemand.Inputs[i])
	return len(b.plan.Inputs) - 1, nil
}

// read is the position of a feature that an on-demand feature reads. It is seen as the service shows it, default included,
// when the service picks it of the same version. Under a join it is that join's, or where the join does not touch it, the one
// that no join does: what another join reads is of another entity.
func (b *builder) read(v *feature.ViewVersion, at int, r expr.Ref, join *Join) (int, error) {
	from := slices.IndexFunc(v.ViewVersions, func(w *feature.ViewVersion) bool { return w.Name == r.View })
	if from < 0 || v.ViewVersions[from].FeatureIndex(r.Name) < 0 {
		return 0, fmt.Errorf("view %s reads %s, which it is not resolved to", v.Ref(), r)
	}
	of := v.ViewVersions[from]
	if !join.touches(of) {
		if other := b.joinsOf(of)[0]; other != nil {
			return 0, &MixedJoins{View: v, Join: join.prefix(), Reads: of, Other: other.Prefix}
		}
		join = nil
	}
	c, err := b.column(of, of.FeatureIndex(r.Name), join)
	if err != nil {
		return 0, err
	}
	if c.Mask != nil && !c.Mask.hides(v, at) {
		// Feature at of view v is computed of the value as it is.
		c.Mask = nil
	}
	if i := slices.IndexFunc(b.plan.reads, func(o Column) bool { return o.Prefix == c.Prefix && o.Ref() == c.Ref() && o.Mask == c.Mask }); i >= 0 {
		return i, nil
	}
	for i := range b.plan.Service.Pins {
		pin := &b.plan.Service.Pins[i]
		if j := slices.Index(pin.Features, c.Feature); pin.View.Ref() == of.Ref() && j >= 0 && !pin.Default(j).IsNull() {
			d := pin.Default(j)
			c.Default = &d
		}
	}
	b.plan.reads = append(b.plan.reads, c)
	return len(b.plan.reads) - 1, nil
}
