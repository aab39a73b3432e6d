package read

import (
	"github.com/headwaterhq/headwater/expr"
	"github.com/headwaterhq/headwater/feature"
)

// computed is an on-demand feature of a plan.
type computed struct {
	expression *expr.Expression
	// arguments are in the order in which the expression takes them.
	arguments []argument
}

// argument is a position in Plan.reads or in Plan.Inputs; the other is -1.
type argument struct{ read, input int }

// answer is a value with its status.
type answer struct {
	value  feature.Value
	status Status
}

// Row makes the output of one row after another, be it a row of a spine or an entity of a request. It is not safe for
// concurrent use; a plan has any number of them.
type Row struct {
	plan     *Plan
	winners  []Winner
	computed []answer
	args     []feature.Value
}

// NewRow makes a Row for the plan.
func (p *Plan) NewRow() *Row {
	return &Row{plan: p, winners: make([]Winner, len(p.Views)), computed: make([]answer, len(p.computed))}
}

// Computes reports whether the plan has on-demand features.
func (p *Plan) Computes() bool { return len(p.computed) > 0 }

// Winner is where the admitted winner of a view of the plan is put before Compute.
func (r *Row) Winner(view int) *Winner { return &r.winners[view] }

// Compute evaluates the on-demand features. inputs are in the order of Plan.Inputs, and at is the time of the read, or of the
// spine's row.
func (r *Row) Compute(inputs []feature.Value, at feature.Time) {
	for i := range r.plan.computed {
		r.computed[i] = r.compute(&r.plan.computed[i], inputs, at)
	}
}

// compute evaluates one. Values that are missing, whatever the reason, are NULL in the expression, but for those of a shard
// that did not answer: nothing is computed of what is only not known now. What is made of a masked or stale value is masked
// or stale itself.
func (r *Row) compute(c *computed, inputs []feature.Value, at feature.Time) answer {
	r.args = r.args[:0]
	status := Present
	for _, a := range c.arguments {
		if a.input >= 0 {
			r.args = append(r.args, inputs[a.input])
			continue
		}
		v, s := r.Value(&r.plan.reads[a.read])
		switch s {
		case Unavailable:
			return answer{feature.Null(), Unavailable}
		case Masked:
			status = Masked
		case Stale:
			if status != Masked {
				status = Stale
			}
		}
		r.args = append(r.args, v)
	}
	v, failed := c.expression.Evaluate(r.args, at)
	switch {
	case failed:
		return answer{feature.Null(), Error}
	case v.IsNull() && status != Stale:
		return answer{feature.Null(), Null}
	}
	return answer{v, status}
}

// Value is what the caller gets in a column of the plan's: of a winner, or of what Compute found.
func (r *Row) Value(c *Column) (feature.Value, Status) {
	if c.View != Computed {
		return c.Value(&r.winners[c.View])
	}
	a := r.computed[c.computed]
	if a.status == Stale && a.value.IsNull() && c.Default != nil {
		return *c.Default, Default
	}
	if a.status == Present || a.status == Stale || a.status == Masked {
		if c.Mask != nil && !a.value.IsNull() {
			return c.Mask.Apply(a.value), Masked
		}
		return a.value, a.status
	}
	// A failure is told, whatever the default: it is a defect of the expression or of what it was given, and no missing value.
	if a.status == Null && c.Default != nil {
		return *c.Default, Default
	}
	return a.value, a.status
}
