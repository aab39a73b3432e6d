package dataset

import (
	"slices"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/read"
)

// StatusSuffix makes the name of a column of statuses from that of its feature.
const StatusSuffix = "__status"

// layout says what the columns of a result are: the spine's, then each feature with, where they were asked for, its status.
type layout struct {
	spine   []feature.Column
	plan    *read.Plan
	columns []feature.Column
	// each is how many columns a feature has.
	each int
}

// newLayout fails where two columns have one name.
func newLayout(spine []feature.Column, plan *read.Plan, withStatuses bool) (*layout, error) {
	l := &layout{spine: spine, plan: plan, each: 1}
	if withStatuses {
		l.each = 2
	}
	l.columns = append(l.columns, spine...)
	for _, c := range plan.Columns {
		l.columns = append(l.columns, feature.Column{Name: c.Name, Type: c.Type})
		if withStatuses {
			l.columns = append(l.columns, feature.Column{Name: c.Name + StatusSuffix, Type: feature.TypeString})
		}
	}
	if !withStatuses {
		return l, nil
	}
	for i := range plan.Columns {
		name := plan.Columns[i].Name + StatusSuffix
		other := ""
		switch {
		case hasColumn(spine, name):
			other = "a column of the spine"
		case slices.ContainsFunc(plan.Columns, func(c read.Column) bool { return c.Name == name }):
			other = "a feature"
		default:
			continue
		}
		return nil, fault.New(fault.InvalidArgument, "column %s: found it as %s and as the status of %s, expected each name once; rename the one, "+
			"or build without statuses", name, other, plan.Columns[i].Name)
	}
	return l, nil
}

func hasColumn(columns []feature.Column, name string) bool {
	return slices.ContainsFunc(columns, func(c feature.Column) bool { return c.Name == name })
}

// at is the position of the i-th feature of the plan.
func (l *layout) at(i int) int { return len(l.spine) + i*l.each }

// describe is the columns of the manifest before any row was seen.
func (l *layout) describe() []ManifestColumn {
	columns := make([]ManifestColumn, 0, len(l.columns))
	for _, c := range l.spine {
		columns = append(columns, ManifestColumn{Name: c.Name, Type: c.Type.String(), Origin: "spine"})
	}
	for i, c := range l.plan.Columns {
		columns = append(columns, ManifestColumn{Name: c.Name, Type: c.Type.String(), Origin: "feature:" + c.Ref()})
		if l.each == 2 {
			status := l.columns[l.at(i)+1]
			columns = append(columns, ManifestColumn{Name: status.Name, Type: status.Type.String(), Origin: "status:" + c.Ref()})
		}
	}
	return columns
}

// isStatus reports whether the column at a position is one of statuses.
func (l *layout) isStatus(i int) bool {
	return l.each == 2 && i >= len(l.spine) && (i-len(l.spine))%2 == 1
}

// fill makes the row of a row of the spine, and the statuses of its features.
func (l *layout) fill(row, spine []feature.Value, answers *read.Row, statuses []read.Status) {
	copy(row, spine)
	for i := range l.plan.Columns {
		at := l.at(i)
		row[at], statuses[i] = answers.Value(&l.plan.Columns[i])
		if l.each == 2 {
			row[at+1] = statusValues[statuses[i]]
		}
	}
}

// features are the positions of the features.
func (l *layout) features() []int {
	positions := make([]int, len(l.plan.Columns))
	for i := range positions {
		positions[i] = l.at(i)
	}
	return positions
}

// statusValues are the statuses as values, by number.
var statusValues = func() (values [read.Unavailable + 1]feature.Value) {
	for s := range values {
		values[s] = feature.String(read.Status(s).String())
	}
	return values
}()
