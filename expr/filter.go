package expr

import (
	"fmt"
	"regexp"
	"slices"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"

	"github.com/headwaterhq/headwater/feature"
)

// What a row filter may be. One evaluation costs at most as much as its nodes, each of which looks at one or two values.
const (
	maxFilterText  = 10_000
	maxFilterNodes = 2_000
	maxFilterDepth = 50
	// maxFilterPart bounds the text that startsWith, endsWith and contains look for, in bytes: looking for one text in another
	// costs, at worst, the product of their lengths.
	maxFilterPart = 1_000
)

const (
	principalName = "principal"
	// These two attributes every principal has.
	nameAttribute  = "name"
	rolesAttribute = "roles"
)

// Principal is what row filters know of who asks.
type Principal struct {
	Name string
	// Roles are `principal.roles`, in any order.
	Roles []string
	// Attributes are the others by their names, in any order. One that is not there is an empty list; name and roles are never
	// looked for here.
	Attributes map[string][]string
}

func (p *Principal) attribute(name string) []string {
	if name == rolesAttribute {
		return p.Roles
	}
	return p.Attributes[name]
}

// attributeForm is that of the names of attributes. No principal has one of another, whose list would be empty for everybody.
var attributeForm = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)

// attributeType is the type of `principal.NAME`.
func attributeType(name string) feature.Type {
	if name == nameAttribute {
		return feature.TypeString
	}
	return feature.ListType(feature.TypeString)
}

// Filter is a compiled row filter: a condition over the columns of a row and the attributes of who asks, which says whether
// they may see the row. Immutable, and safe for concurrent use.
type Filter struct {
	// Columns are those that it names, in the order in which Holds takes the values.
	Columns []string
	// Attributes are those of the principal that it names, sorted; name and roles are among them where they are named.
	Attributes []string

	types []feature.Type
	root  node
}

// CompileFilter compiles a row filter over the columns of a row. The problems have places in the CEL, and no field.
func CompileFilter(text string, columns []feature.Column) (*Filter, []feature.Problem) {
	c := newCompilation(&filters, &scope{
		views:     []scopeView{{name: rowName, features: columns, known: true}},
		rows:      "is true for rows to see",
		principal: true,
	})
	parsed := c.parse(text)
	if parsed == nil {
		return nil, c.problems
	}
	f := &Filter{}
	index := make(map[string]operand, len(c.reads))
	for i, r := range c.reads {
		switch {
		case r.View == rowName:
			index[r.String()] = operand{kind: operandColumn, column: len(f.Columns), typ: c.types[i]}
			f.Columns, f.types = append(f.Columns, r.Name), append(f.types, c.types[i])
		case r.Name == nameAttribute:
			index[r.String()] = operand{kind: operandName, typ: feature.TypeString}
			f.Attributes = append(f.Attributes, r.Name)
		default:
			index[r.String()] = operand{kind: operandAttribute, attribute: r.Name}
			f.Attributes = append(f.Attributes, r.Name)
		}
	}
	slices.Sort(f.Attributes)
	l := &lowering{compilation: c, index: index, factory: ast.NewExprFactory()}
	f.root = l.condition(c.ast.Expr())
	if len(c.problems) == 0 {
		// What was lowered must be CEL by CEL's own rules of types too.
		c.check(parsed)
	}
	if len(c.problems) > 0 {
		return nil, c.problems[:min(len(c.problems), maxIssues)]
	}
	return f, nil
}

// filters is the language of row filters: that of expressions without macros, and with few functions.
var filters = language{
	env: func() *cel.Env {
		env, err := base.Extend(cel.ClearMacros(), cel.ParserExpressionSizeLimit(maxFilterText), cel.ParserRecursionLimit(maxFilterDepth),
			cel.ExpressionNodeLimit(maxFilterNodes), cel.ExpressionNestingDepthLimit(maxFilterDepth))
		if err != nil {
			panic(err)
		}
		return env
	}(),
	text: maxFilterText, nodes: maxFilterNodes, depth: maxFilterDepth, smaller: "look for values with in, or make several filters of it",
	callable: func(name string) bool {
		return slices.Contains(filterFunctions, name) || slices.Contains(filterOperators, name)
	},
	unknown: unknownInFilter,
}

var (
	filterFunctions = []string{"timestamp", "decimal", "double", "startsWith", "endsWith", "contains"}
	filterOperators = []string{"!_", "_&&_", "_||_", "_?_:_", "_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "@in"}
)

// unknownInFilter is what to say of a call that a filter has not.
func unknownInFilter(name string) string {
	switch name {
	case "_+_", "_-_", "_*_", "_/_", "_%_", "-_":
		return fmt.Sprintf("found %s, expected a comparison: a filter does not compute; compute a column in the view's SQL, and compare that",
			operatorText(name))
	case "_[_]":
		return "found an index, expected row.COLUMN or principal.ATTRIBUTE; look into the principal's lists with in"
	case "has":
		return "found has(), expected a comparison: write row.COLUMN != null"
	case "all", "exists", "exists_one", "map", "filter":
		return fmt.Sprintf("found %s(), expected VALUE in LIST: a filter has no macros", name)
	case "matches":
		return "found matches(), expected startsWith(), endsWith() or contains(): Go and Postgres know patterns of different kinds"
	case "size":
		return `found size(), expected a comparison; compare a text with "", and look into the principal's lists with in`
	case "int", "uint", "string", "bool", "bytes", "duration", "dyn", "type":
		return fmt.Sprintf("found %s(), expected a column or a literal: a filter converts no values; compare those of one type", name)
	case "now", "today":
		return fmt.Sprintf("found %s(), expected row.COLUMN or principal.ATTRIBUTE: who sees a row does not depend on the clock", name)
	}
	message := fmt.Sprintf("found %s(), which a filter does not have", name)
	if near, ok := feature.Nearest(name, filterFunctions); ok {
		return message + "; did you mean " + near + "?"
	}
	return message + "; docs/row-filters.md lists what it has"
}

// Bind is the filter for one principal, whose attributes stand in it as they are now.
func (f *Filter) Bind(p *Principal) *Bound {
	b := &Bound{filter: f, root: f.root.bind(p, true)}
	b.test = b.root.test()
	return b
}

// Bound is a Filter for one principal. Immutable, and safe for concurrent use.
type Bound struct {
	filter *Filter
	root   node
	// test is root as a closure.
	test test
}

// Holds reports whether the principal may see a row, whose values are in the order of the filter's Columns: whether the
// condition is true, neither false nor NULL. A value that is not of the column's type is taken for NULL.
func (b *Bound) Holds(values []feature.Value) bool { return b.test(values) == isTrue }

// Columns is how many values Holds takes.
func (b *Bound) Columns() int { return len(b.filter.Columns) }

// Constant reports whether Holds says the same of every row, and what.
func (b *Bound) Constant() (holds, constant bool) {
	return b.root.truth == isTrue, b.root.op == opConstant
}
