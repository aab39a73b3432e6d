package server

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/wire"
	"github.com/headwaterhq/headwater/read"
)

// takeInputs checks the request's inputs against the plan, and gives them by row, in the plan's order. n is how many entities
// the keys are of; without keys, 0, the inputs say it.
func takeInputs(plan *read.Plan, columns map[string]*headwaterv1.KeyColumn, n int) (rows [][]feature.Value, entities int, err error) {
	// In the order of their names, so that the same request gets the same answer.
	for _, name := range slices.Sorted(maps.Keys(columns)) {
		if !slices.ContainsFunc(plan.Inputs, func(c feature.Column) bool { return c.Name == name }) {
			return nil, 0, badInput(name, "%s has no input of this name; leave it out%s", plan.Service.Title(), inputList(plan))
		}
		if err := checkLists(name, columns[name], badInput); err != nil {
			return nil, 0, err
		}
		found := lengthOf(columns[name])
		if n == 0 {
			n = found
		}
		if found != n {
			return nil, 0, badInput(name, "found %d values, expected as many as there are entities, %d", found, n)
		}
		if n < 1 || n > maxEntities {
			return nil, 0, badInput(name, "found %d values, expected 1 to %d", n, maxEntities)
		}
	}
	for i := range plan.Inputs {
		if in := &plan.Inputs[i]; columns[in.Name] == nil {
			return nil, 0, badInput(in.Name, "found none, expected values of type %s, which on-demand features of %s take", in.Type, plan.Service.Title())
		}
	}
	if len(plan.Inputs) == 0 {
		return nil, n, nil
	}
	rows = make([][]feature.Value, n)
	values := make([]feature.Value, n*len(plan.Inputs))
	for i := range rows {
		rows[i] = values[i*len(plan.Inputs) : (i+1)*len(plan.Inputs)]
	}
	for k := range plan.Inputs {
		in := &plan.Inputs[k]
		for i := range n {
			v, err := wire.FromValue(in.Type, valueAt(columns[in.Name], i))
			if err != nil {
				return nil, 0, badInput(in.Name, "value %d: %v", i+1, err)
			}
			rows[i][k] = v
		}
	}
	return rows, n, nil
}

func inputList(plan *read.Plan) string {
	if len(plan.Inputs) == 0 {
		return ""
	}
	names := make([]string, len(plan.Inputs))
	for i := range plan.Inputs {
		names[i] = plan.Inputs[i].Name
	}
	return "; there is " + strings.Join(names, ", ")
}

func badInput(name, format string, args ...any) error {
	name = shorten(name, maxShownName)
	description := fmt.Sprintf(format, args...)
	return fault.New(fault.InvalidArgument, "inputs: %s: %s", name, description).
		Violating(fault.Violation{Field: fmt.Sprintf("inputs[%q]", name), Description: description})
}

// computedValues are the on-demand features of an answer, by row and by column of the plan.
type computedValues struct {
	columns  int
	values   []feature.Value
	statuses []read.Status
}

func (c *computedValues) column(i int) func(row int) (feature.Value, read.Status) {
	return func(row int) (feature.Value, read.Status) {
		at := row*c.columns + i
		return c.values[at], c.statuses[at]
	}
}

// compute evaluates the on-demand features of each entity, all at one time. winners are admitted.
func compute(ctx context.Context, plan *read.Plan, winners [][]read.Winner, inputs [][]feature.Value, n int, at feature.Time) (*computedValues, error) {
	if !plan.Computes() {
		return nil, nil
	}
	columns := len(plan.Columns)
	c := &computedValues{columns: columns, values: make([]feature.Value, n*columns), statuses: make([]read.Status, n*columns)}
	row := plan.NewRow()
	for i := range n {
		// An expression is bounded, and a thousand entities of hundreds of them are much.
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		for v := range plan.Views {
			*row.Winner(v) = winners[v][i]
		}
		var given []feature.Value
		if inputs != nil {
			given = inputs[i]
		}
		row.Compute(given, at)
		for k := range plan.Columns {
			if column := &plan.Columns[k]; column.View == read.Computed {
				c.values[i*columns+k], c.statuses[i*columns+k] = row.Value(column)
			}
		}
	}
	return c, nil
}
