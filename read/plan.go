// Package read owns the compiled read plan that both stores follow (columns, keys, mapping, filter, masks, defaults,
// purpose) and the statuses a value can have.
//
// It may import feature and nothing else of ours. Invariant: the two stores only find the winner of the point-in-time
// rule; what becomes of a winner (row filter, then masks, then defaults) is decided here, once, so training data and
// online reads cannot disagree.
package read

import (
	"time"

	"github.com/headwaterhq/headwater/feature"
)

// Plan is all that a read needs, made once per service version, role set and policy version. Immutable.
type Plan struct {
	Service *feature.ServiceVersion
	// Views are read once each, in the service's order.
	Views []View
	// Columns are the output, in order.
	Columns []Column
	// Purpose is what the caller stated, recorded with the read.
	Purpose string
}

// View is one view of a plan.
type View struct {
	Version *feature.ViewVersion
	// KeyColumns name, for each join key of the entity, the caller's column that holds it.
	KeyColumns []string
	// TTL is how long after its event time a row may be used; zero: for ever.
	TTL time.Duration
	// Filter decides on the winning row's own columns whether the caller may see it. nil: it may.
	Filter func(stored []feature.Value) bool
}

// Column is one output column.
type Column struct {
	// Name is `VIEW__FEATURE`.
	Name string
	// View is a position in Plan.Views, Slot one in the view's stored columns.
	View, Slot int
	Type       feature.Type
	// Mask changes what the caller sees. nil: nothing does.
	Mask func(feature.Value) feature.Value
	// Default stands in for a missing value. nil: none does.
	Default *feature.Value
}

// ColumnName is the name of a feature in every output. Names of views and features hold no double underscore, so no two
// features share one.
func ColumnName(view, name string) string { return view + "__" + name }

// NewPlan is the plan of a service without policies. keyMapping gives, for a join key on the left, the caller's column
// on the right; a key that is absent is taken from the column of its own name.
func NewPlan(s *feature.ServiceVersion, keyMapping map[string]string, purpose string) *Plan {
	p := &Plan{Service: s, Purpose: purpose}
	for i, pin := range s.Pins {
		v := View{Version: pin.View, TTL: pin.View.TTL}
		for _, k := range pin.View.EntityVersion.JoinKeys {
			name := k.Name
			if mapped, ok := keyMapping[name]; ok {
				name = mapped
			}
			v.KeyColumns = append(v.KeyColumns, name)
		}
		p.Views = append(p.Views, v)
		for _, slot := range pin.Features {
			f := &pin.View.Features[slot]
			p.Columns = append(p.Columns, Column{
				Name: ColumnName(pin.View.Name, f.Name), View: i, Slot: slot, Type: f.Type,
			})
		}
	}
	return p
}
