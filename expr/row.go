package expr

import (
	"fmt"

	"cel.dev/cel-go/common/ast"

	"github.com/headwaterhq/headwater/feature"
)

// rowName is what an expression about rows calls the row.
const rowName = "row"

// Row is a compiled expression about a row: `row.quantity * row.price >= 0.0`. Immutable, and safe for concurrent use.
type Row struct {
	// Columns are those that it names, in the order in which Holds takes the values.
	Columns []string

	expression *Expression
}

// CompileRow compiles an expression of type bool over the columns of a row. The problems have places in the CEL, and no field.
func CompileRow(text string, columns []feature.Column) (*Row, []feature.Problem) {
	return compileRow(text, columns, "is true for rows that are well")
}

// CompileLeaveOut is CompileRow for an expression that is true for rows to leave out.
func CompileLeaveOut(text string, columns []feature.Column) (*Row, []feature.Problem) {
	return compileRow(text, columns, "is true for rows to leave out")
}

func compileRow(text string, columns []feature.Column, meaning string) (*Row, []feature.Problem) {
	s := &scope{views: []scopeView{{name: rowName, features: columns, known: true}}, rows: meaning}
	x, problems := compile(text, s, feature.TypeBool)
	if len(problems) > 0 {
		return nil, problems
	}
	r := &Row{expression: x}
	for _, ref := range x.Reads {
		r.Columns = append(r.Columns, ref.Name)
	}
	return r, nil
}

// Holds reports whether the expression is true of a row, whose values are in the order of Columns. NULL counts as true, and an
// evaluation that fails as false.
func (r *Row) Holds(values []feature.Value) bool {
	value, failed := r.expression.Evaluate(values, 0)
	return !failed && (value.IsNull() || value.Bool())
}

// IsTrue reports whether the expression is true of a row, whose values are in the order of Columns: NULL is not. An error says
// why its evaluation failed.
func (r *Row) IsTrue(values []feature.Value) (bool, error) {
	value, err := r.expression.evaluate(values, 0)
	return err == nil && value.Bool(), err
}

// rowReference resolves row.COLUMN.
func (c *compilation) rowReference(owner ast.Expr, of, name string) (string, bool) {
	if of == principalName && c.scope.principal {
		if !attributeForm.MatchString(name) {
			c.at(owner.ID(), "found %s.%s, which no principal has, expected a name of lower-case letters, digits and single underscores",
				principalName, name)
			return "", false
		}
		return c.read(Ref{View: principalName, Name: name}, attributeType(name)), true
	}
	if of != rowName {
		c.at(owner.ID(), "found the name %s, expected %s%s", of, c.scope.rowNames(), suggestion(name, columnNames(c.scope.views[0].features), rowName+"."))
		return "", false
	}
	columns := c.scope.views[0].features
	column := findColumn(columns, name)
	if column == nil {
		c.at(owner.ID(), "found no column called %s%s", name, suggestion(name, columnNames(columns), rowName+"."))
		return "", false
	}
	return c.read(Ref{View: rowName, Name: name}, column.Type), true
}

// ExpectationProblems compiles the expressions about rows that definitions hold. entity finds an entity by name, or nil: what
// outputs a view then has is not known, and its expressions are left to whoever knows. What is wrong otherwise is left to
// Definitions.Validate.
func ExpectationProblems(d *feature.Definitions, entity func(name string) *feature.Entity) []feature.Problem {
	var problems []feature.Problem
	check := func(kind feature.Kind, at int, name string, list []feature.Expectation, columns []feature.Column) {
		for i := range list {
			if list[i].Kind != feature.ExpectCEL {
				continue
			}
			_, found := CompileRow(list[i].CEL, columns)
			for _, p := range found {
				p.Kind, p.Name, p.Field = kind, name, fmt.Sprintf("%s.expectations[%d].cel", kind.Path(at), i)
				problems = append(problems, p)
			}
		}
	}
	for i := range d.Sources {
		s := &d.Sources[i]
		check(feature.KindSource, i, s.Name, s.Expectations, s.Columns)
	}
	for i := range d.Views {
		v := &d.Views[i]
		if len(v.Expectations) == 0 {
			continue
		}
		if e := entity(v.Entity); e != nil {
			check(feature.KindView, i, v.Name, v.Expectations, v.OutputColumns(e.JoinKeys))
		}
	}
	return problems
}
