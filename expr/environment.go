package expr

import (
	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/headwaterhq/headwater/feature"
)

// What an expression may be and cost. Cost is counted as CEL does: about one for each operation, a tenth for each
// character of a text that is gone through.
const (
	// MaxCost is what one evaluation may cost, by the estimate of its worst case when it is compiled, and again when it is
	// evaluated on texts and lists longer than the estimate takes them to be.
	MaxCost = 100_000
	// assumedText and assumedList are how long the estimate takes texts and lists to be.
	assumedText = 1_000
	assumedList = 100
	maxText     = 100_000
	maxNodes    = 10_000
	maxDepth    = 200
	// maxResultText bounds the bytes of a text or bytes that an expression makes.
	maxResultText = 1 << 20
	// maxPattern bounds the pattern of matches, in bytes.
	maxPattern        = 1_000
	maxPatternProgram = 10_000
)

// scope is what an expression can name.
type scope struct {
	inputs []feature.Column
	// views are those that the view reads, in its order, with their features; nil features are of a view that is not known
	// here.
	views []scopeView
	// rows is set where the expression is about the columns of a row, which stand as the features of a view called row: it says
	// what the expression does for which rows.
	rows string
	// principal is set where the attributes of who asks can be named beside the columns of a row.
	principal bool
}

// rowNames is what can be named where the expression is about the columns of a row.
func (s *scope) rowNames() string {
	if s.principal {
		return rowName + ".COLUMN or " + principalName + ".ATTRIBUTE"
	}
	return rowName + ".COLUMN"
}

type scopeView struct {
	name     string
	features []feature.Column
	known    bool
}

func (s *scope) view(name string) *scopeView {
	for i := range s.views {
		if s.views[i].name == name {
			return &s.views[i]
		}
	}
	return nil
}

func (s *scope) viewNames() []string {
	names := make([]string, len(s.views))
	for i := range s.views {
		names[i] = s.views[i].name
	}
	return names
}

const (
	requestName = "request"
	timeName    = "time"
	// These two are put where an expression has null; nobody can write them.
	nullFunction   = "@null"
	isNullFunction = "@is_null"
)

// null is NULL within CEL.
var null = types.NewUnknown(0, nil)

// base is what every environment has: made once, for it is costly.
var base = func() *cel.Env {
	env, err := cel.NewCustomEnv(append([]cel.EnvOption{
		cel.StdLib(),
		// has(x.y) is about fields of messages, of which there are none.
		cel.ClearMacros(),
		cel.Macros(cel.AllMacro, cel.ExistsMacro, cel.ExistsOneMacro, cel.MapMacro, cel.MapFilterMacro, cel.FilterMacro),
		cel.CrossTypeNumericComparisons(true),
		cel.EnableIdentifierEscapeSyntax(),
		cel.DefaultUTCTimeZone(true),
		cel.ParserExpressionSizeLimit(maxText),
		cel.ParserRecursionLimit(maxDepth),
		cel.ParserErrorRecoveryLimit(5),
		cel.ExpressionNodeLimit(maxNodes),
		cel.ExpressionNestingDepthLimit(maxDepth),
		cel.RegexProgramSizeLimit(maxPatternProgram),
		cel.Function(nullFunction, cel.Overload("null_any", nil, cel.TypeParamType("A"),
			cel.FunctionBinding(func(...ref.Val) ref.Val { return null }))),
		cel.Function(isNullFunction, cel.Overload("is_null_any", []*cel.Type{cel.TypeParamType("A")}, cel.BoolType,
			cel.OverloadIsNonStrict(), cel.UnaryBinding(func(v ref.Val) ref.Val {
				if types.IsError(v) {
					return v
				}
				return types.Bool(types.IsUnknown(v))
			}))),
	}, append(library(), decimals()...)...)...)
	if err != nil {
		panic(err)
	}
	return env
}()

// language is what may be written. Expressions, of features and about rows, have one, and row filters another.
type language struct {
	env *cel.Env
	// text, nodes and depth are the limits of env.
	text, nodes, depth int
	// smaller says what to do about what is beyond them.
	smaller string
	// callable reports whether a function, by the name that parsing gives it, may be called, and unknown is what to say of one
	// that may not.
	callable func(name string) bool
	unknown  func(name string) string
}

var expressions = language{
	env: base, text: maxText, nodes: maxNodes, depth: maxDepth, smaller: "make several features of it",
	callable: callable, unknown: unknownFunction,
}

// with is the language's environment with the names that reads has, and the time of the read, declared.
func (l *language) with(reads []Ref, typeOf []feature.Type) (*cel.Env, error) {
	options := []cel.EnvOption{cel.Variable(requestName+"."+timeName, cel.TimestampType)}
	for i, r := range reads {
		options = append(options, cel.Variable(r.String(), celType(typeOf[i])))
	}
	return l.env.Extend(options...)
}
