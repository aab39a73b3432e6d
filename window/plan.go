package window

import (
	"slices"
	"time"

	"github.com/headwaterhq/headwater/feature"
)

// Plan is a view's aggregation with its names resolved. Immutable.
type Plan struct {
	Hop time.Duration
	// Columns are those of the source that aggregates read, each once.
	Columns []feature.Column
	// Filters are the conditions of single aggregates, each text once.
	Filters []string
	// Longest is the longest window.
	Longest time.Duration

	groups  []group
	outputs []output
}

// group is the aggregates that cover the same rows.
type group struct {
	window time.Duration
	// filter is a position in Plan.Filters, or -1.
	filter int
	cells  []cellPlan
	// outputs are positions in Plan.outputs.
	outputs []int
}

// cellPlan is what is kept of one column in one group.
type cellPlan struct {
	column                     int
	sum, squares               bool
	min, max, first, last, set bool
	// sketches holds the resolution of each quantile sketch; see resolution.
	sketches []int
}

// output is one stored column of the view.
type output struct {
	name     string
	typ      feature.Type
	function feature.AggregateFunction
	group    int
	// cell is a position in the group's cells, or -1: rows are counted.
	cell     int
	sketch   int
	quantile float64
}

// NewPlan makes the plan of a view, which must be valid, over its source.
func NewPlan(view *feature.View, source *feature.Source) *Plan {
	a := view.Aggregation
	p := &Plan{Hop: a.Hop}
	for _, stored := range view.Stored() {
		i := slices.IndexFunc(a.Aggregates, func(g feature.Aggregate) bool { return g.Feature == stored.Name })
		p.add(&stored, &a.Aggregates[i], source)
	}
	return p
}

func (p *Plan) add(stored *feature.Column, a *feature.Aggregate, source *feature.Source) {
	p.Longest = max(p.Longest, a.Window)
	filter := -1
	if a.Where != "" {
		if filter = slices.Index(p.Filters, a.Where); filter < 0 {
			filter = len(p.Filters)
			p.Filters = append(p.Filters, a.Where)
		}
	}
	g := slices.IndexFunc(p.groups, func(g group) bool { return g.window == a.Window && g.filter == filter })
	if g < 0 {
		g = len(p.groups)
		p.groups = append(p.groups, group{window: a.Window, filter: filter})
	}
	out := output{name: stored.Name, typ: stored.Type, function: a.Function, group: g, cell: -1, quantile: a.Quantile}
	if a.Column != "" {
		column := slices.IndexFunc(p.Columns, func(c feature.Column) bool { return c.Name == a.Column })
		if column < 0 {
			column = len(p.Columns)
			p.Columns = append(p.Columns, *source.Column(a.Column))
		}
		out.cell, out.sketch = p.groups[g].cell(column, a)
	}
	p.groups[g].outputs = append(p.groups[g].outputs, len(p.outputs))
	p.outputs = append(p.outputs, out)
}

// cell finds or makes the group's cell of a column, and has it keep what the aggregate needs.
func (g *group) cell(column int, a *feature.Aggregate) (at, sketch int) {
	at = slices.IndexFunc(g.cells, func(c cellPlan) bool { return c.column == column })
	if at < 0 {
		at = len(g.cells)
		g.cells = append(g.cells, cellPlan{column: column})
	}
	c := &g.cells[at]
	switch a.Function {
	case feature.Sum, feature.Mean:
		c.sum = true
	case feature.Stddev:
		c.sum, c.squares = true, true
	case feature.Min:
		c.min = true
	case feature.Max:
		c.max = true
	case feature.First:
		c.first = true
	case feature.Last:
		c.last = true
	case feature.CountDistinct:
		c.set = true
	case feature.Percentile:
		c.min, c.max = true, true
		r := resolution(a.ResolvedError())
		if sketch = slices.Index(c.sketches, r); sketch < 0 {
			sketch = len(c.sketches)
			c.sketches = append(c.sketches, r)
		}
	}
	return at, sketch
}

// Range is the grid points that a run computes: those after Start, up to End. Both are multiples of the hop.
type Range struct {
	Start, End feature.Time
	// Begins says that nothing before Start is kept by the view: the first point carries a row for each entity that has rows
	// in a window, whether or not its values changed there.
	Begins bool
}

// Reads is the event times of the rows that the values in r are made of, and those at its start, from which changes are
// told: after From, up to and with To.
func (p *Plan) Reads(r Range) (from, to feature.Time) { return r.Start.Add(-p.Longest), r.End }
