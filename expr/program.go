package expr

import (
	"cmp"
	"slices"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"

	"github.com/headwaterhq/headwater/feature"
)

// View is the compiled expressions of a view of on-demand features. Immutable, and safe for concurrent use.
type View struct {
	// Features are in the order of the view's.
	Features []*Expression
}

// Expression is a compiled expression.
type Expression struct {
	// Reads is what it names, in the order in which Evaluate takes the values.
	Reads []Ref

	program cel.Program
	result  feature.Type
	index   map[string]int
}

// Ref names what an expression reads.
type Ref struct {
	// View is the view by its name; empty for inputs of the request.
	View string
	// Name is that of the feature or input.
	Name string
}

// String is the reference as expressions write it: `VIEW.FEATURE` or `request.NAME`.
func (r Ref) String() string {
	if r.View == "" {
		return requestName + "." + r.Name
	}
	return r.View + "." + r.Name
}

// Evaluate gives the value of the expression for arguments in the order of Reads, at the time of the read or of the spine's
// row. failed says that it has none because its evaluation failed; the value is NULL then.
func (e *Expression) Evaluate(args []feature.Value, at feature.Time) (value feature.Value, failed bool) {
	value, err := e.evaluate(args, at)
	if err != nil {
		return feature.Null(), true
	}
	return value, false
}

func (e *Expression) evaluate(args []feature.Value, at feature.Time) (feature.Value, error) {
	a := arguments.Get().(*activation)
	*a = activation{expression: e, args: args, at: at}
	v, _, err := e.program.Eval(a)
	*a = activation{}
	arguments.Put(a)
	if err != nil {
		return feature.Null(), err
	}
	return fromCEL(v, e.result)
}

var arguments = sync.Pool{New: func() any { return new(activation) }}

// activation gives an expression its arguments by name.
type activation struct {
	expression *Expression
	args       []feature.Value
	at         feature.Time
}

func (a *activation) ResolveName(name string) (any, bool) {
	if i, ok := a.expression.index[name]; ok {
		return toCEL(a.args[i]), true
	}
	if name == requestName+"."+timeName {
		return types.Timestamp{Time: a.at.Time()}, true
	}
	return nil, false
}

func (a *activation) Parent() cel.Activation { return nil }

// Analysis says what the features of the view are made of: each depends on the features that its expression names. What
// comes from the request is no column of anything.
func (v *View) Analysis(features []feature.Column) *feature.Analysis {
	a := &feature.Analysis{Uses: map[string][]string{}}
	for i, e := range v.Features {
		for _, r := range e.Reads {
			if r.View == "" {
				continue
			}
			a.Inputs = append(a.Inputs, feature.ColumnInput{
				Column: features[i].Name, Kind: feature.InputValue, Relation: r.View, InputColumn: r.Name,
			})
			a.Uses[r.View] = append(a.Uses[r.View], r.Name)
		}
	}
	sortAnalysis(a)
	return a
}

func sortAnalysis(a *feature.Analysis) {
	slices.SortFunc(a.Inputs, func(x, y feature.ColumnInput) int {
		return cmp.Or(cmp.Compare(x.Column, y.Column), cmp.Compare(x.Kind, y.Kind), cmp.Compare(x.Relation, y.Relation),
			cmp.Compare(x.InputColumn, y.InputColumn))
	})
	for relation, columns := range a.Uses {
		slices.Sort(columns)
		a.Uses[relation] = slices.Compact(columns)
	}
}
