package expr

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/checker"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"

	"github.com/headwaterhq/headwater/feature"
)

// Compile compiles the expressions of a view of on-demand features. features gives the features of a view that it reads, and
// whether that view is known: those of one that is not are not checked, and the View returned is then nil even without
// problems.
//
// Fields of the problems are paths from the view on, such as `on_demand.expressions[1].cel`, with the place in the CEL.
// The definition must be valid otherwise; what is not is left to Definitions.Validate.
func Compile(v *feature.View, features func(view string) ([]feature.Column, bool)) (*View, []feature.Problem) {
	s := &scope{inputs: v.OnDemand.Inputs}
	for _, r := range v.OnDemand.Views {
		columns, known := features(r.Name)
		s.views = append(s.views, scopeView{name: r.Name, features: columns, known: known})
	}
	var problems []feature.Problem
	compiled := &View{Features: make([]*Expression, len(v.Features))}
	whole := true
	for i := range v.OnDemand.Expressions {
		e := &v.OnDemand.Expressions[i]
		at := v.FeatureIndex(e.Feature)
		if at < 0 {
			whole = false
			continue
		}
		if refusal := resultRefusal(v.Features[at].Type); refusal != "" {
			problems = append(problems, feature.Problem{
				Kind: feature.KindView, Name: v.Name, Field: fmt.Sprintf("features[%d].type", at), Message: refusal,
			})
			continue
		}
		x, found := compile(e.CEL, s, v.Features[at].Type)
		for _, p := range found {
			p.Kind, p.Name, p.Field = feature.KindView, v.Name, fmt.Sprintf("on_demand.expressions[%d].cel", i)
			problems = append(problems, p)
		}
		compiled.Features[at] = x
		whole = whole && x != nil
	}
	if len(problems) > 0 || !whole || slices.Contains(compiled.Features, nil) {
		return nil, problems
	}
	return compiled, nil
}

type compilation struct {
	language *language
	scope    *scope
	ast      *ast.AST
	problems []feature.Problem
	reads    []Ref
	types    []feature.Type
	time     bool
	// unknown says that a view is read whose features are not known.
	unknown bool
	// variables are the names that macros bind.
	variables map[string]bool
	loops     bool
}

// compile returns no Expression when there are problems, or when it names features of views that are not known.
func compile(text string, s *scope, result feature.Type) (*Expression, []feature.Problem) {
	c := newCompilation(&expressions, s)
	parsed := c.parse(text)
	if parsed == nil {
		return nil, c.problems
	}
	env, checked := c.check(parsed)
	if checked == nil {
		return nil, c.problems
	}
	c.checked(checked.OutputType(), result)
	if len(c.problems) > 0 {
		return nil, c.problems
	}
	cost, err := env.EstimateCost(checked, sizes{c})
	if err != nil {
		c.add(1, 1, "cannot be estimated: %v", err)
		return nil, c.problems
	}
	if cost.Max > MaxCost {
		c.add(1, 1, "found an expression that may cost %s, with texts of %d characters and lists of %d, expected at most %d; make "+
			"it do less, or compute it in SQL", costText(cost.Max), assumedText, assumedList, MaxCost)
		return nil, c.problems
	}
	options := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize)}
	if c.unbounded() {
		options = append(options, cel.CostLimit(MaxCost))
	}
	program, err := env.Program(checked, options...)
	if err != nil {
		c.add(1, 1, "found a constant that always fails: %v", err)
		return nil, c.problems
	}
	x := &Expression{Reads: c.reads, program: program, result: result, index: map[string]int{}}
	for i, r := range c.reads {
		x.index[r.String()] = i
	}
	return x, nil
}

func newCompilation(l *language, s *scope) *compilation {
	return &compilation{language: l, scope: s, variables: map[string]bool{}}
}

// parse gives nothing when there are problems, or when features of views that are not known are named.
func (c *compilation) parse(text string) *cel.Ast {
	parsed, issues := c.language.env.Parse(text)
	if c.issues(issues); len(c.problems) > 0 {
		return nil
	}
	c.ast = parsed.NativeRep()
	if c.names(); len(c.problems) > 0 || c.unknown {
		return nil
	}
	return parsed
}

// check gives nothing when there are problems.
func (c *compilation) check(parsed *cel.Ast) (*cel.Env, *cel.Ast) {
	env, err := c.language.with(c.reads, c.types)
	if err != nil {
		c.add(1, 1, "cannot be checked: %v", err)
		return nil, nil
	}
	checked, issues := env.Check(parsed)
	if c.issues(issues); len(c.problems) > 0 {
		return nil, nil
	}
	c.ast = checked.NativeRep()
	return env, checked
}

func costText(n uint64) string {
	if n > 1_000_000_000 {
		return "more than 1000000000"
	}
	return fmt.Sprint(n)
}

func (c *compilation) add(line, column int, format string, args ...any) {
	c.problems = append(c.problems, feature.Problem{Line: line, Column: column, Message: fmt.Sprintf(format, args...)})
}

// at adds a problem of a node.
func (c *compilation) at(id int64, format string, args ...any) {
	l := c.ast.SourceInfo().GetStartLocation(id)
	c.add(max(l.Line(), 1), max(l.Column(), 0)+1, format, args...)
}

// maxIssues is how many things that are wrong with one expression are told.
const maxIssues = 5

// issues are what cel-go found, in the words of definitions.
func (c *compilation) issues(issues *cel.Issues) {
	for _, e := range issues.Errors() {
		line, column := 1, 1
		if e.Location != nil && e.Location.Line() > 0 {
			line, column = e.Location.Line(), max(e.Location.Column(), 0)+1
		}
		if len(c.problems) < maxIssues {
			c.add(line, column, "%s", c.language.issueText(e))
		}
	}
}

var (
	overloadIssue  = regexp.MustCompile(`^found no matching overload for '([^']*)' applied to '([^']*)'$`)
	referenceIssue = regexp.MustCompile(`^undeclared reference to '([^']*)'`)
)

func (l *language) issueText(e *common.Error) string {
	message := e.Message
	if m := overloadIssue.FindStringSubmatch(message); m != nil {
		return overloadText(m[1], m[2])
	}
	if m := referenceIssue.FindStringSubmatch(message); m != nil {
		return l.unknown(m[1])
	}
	if rest, ok := strings.CutPrefix(message, "Syntax error: "); ok {
		return "found what is no CEL: " + rest
	}
	if strings.Contains(message, "recursion") || strings.Contains(message, "depth") || strings.Contains(message, "node") {
		return fmt.Sprintf("found an expression that is too deep or too long (%s), expected at most %d levels and %d operations; %s",
			message, l.depth, l.nodes, l.smaller)
	}
	if strings.Contains(message, "size exceeds limit") {
		return fmt.Sprintf("found an expression of more than %d characters, expected less", l.text)
	}
	return "found CEL that cannot be: " + words.Replace(message)
}

// words turns CEL's names of types into those of definitions.
var words = strings.NewReplacer("google.protobuf.Timestamp", "timestamp", "google.protobuf.Duration", "duration")

var typeWords = map[string]string{
	"int": "int64", "double": "float64", "google.protobuf.Timestamp": "timestamp", "google.protobuf.Duration": "duration",
}

// overloadText is what to say of operands that do not go together.
func overloadText(function, operands string) string {
	list := strings.Split(strings.Trim(operands, "()"), ", ")
	numbers := 0
	for i, t := range list {
		if t == "int" || t == "double" {
			numbers++
		}
		if w, ok := typeWords[t]; ok {
			list[i] = w
		}
	}
	on := strings.Join(list, " and ")
	if len(list) > 2 {
		on = strings.Join(list, ", ")
	}
	name := function
	if operator := strings.Trim(function, "_"); !strings.ContainsAny(operator, "abcdefghijklmnopqrstuvwxyz") {
		name = operator
	} else {
		name += "()"
	}
	switch {
	case function == "_?_:_":
		return fmt.Sprintf("found a conditional of %s, expected a bool and two of one type", on)
	case numbers == 2 && len(list) == 2 && list[0] != list[1]:
		return fmt.Sprintf("found %s of %s, expected two of one type; convert one with double() or int(), and write 2.0 for a "+
			"float64", name, on)
	}
	return fmt.Sprintf("found %s of %s, which is not there; convert them, such as with string(), int() or double()", name, on)
}

// names goes through the parsed expression: it finds what is named, refuses what is not allowed, and puts names and calls
// in the place of VIEW.FEATURE and null.
func (c *compilation) names() {
	factory := ast.NewExprFactory()
	ast.PreOrderVisit(c.ast.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() == ast.ComprehensionKind {
			f := e.AsComprehension()
			c.loops = true
			c.variables[f.IterVar()], c.variables[f.AccuVar()] = true, true
			if name := f.IterVar(); name == requestName || c.scope.view(name) != nil || name == "math" {
				c.at(e.ID(), "found the variable %s, which is the name of something else here; call it otherwise", name)
			}
		}
	}))
	var visit func(e ast.Expr)
	visit = func(e ast.Expr) {
		switch e.Kind() {
		case ast.IdentKind:
			if name := e.AsIdent(); !c.variables[name] {
				c.loneName(e, name)
			}
		case ast.SelectKind:
			s := e.AsSelect()
			if o := s.Operand(); o.Kind() == ast.IdentKind && !c.variables[o.AsIdent()] {
				if name, ok := c.reference(o, s.FieldName()); ok {
					e.SetKindCase(factory.NewIdent(e.ID(), name))
				}
				return
			}
			visit(s.Operand())
		case ast.LiteralKind:
			if e.AsLiteral() == types.NullValue {
				e.SetKindCase(factory.NewCall(e.ID(), nullFunction))
			}
		case ast.StructKind:
			c.at(e.ID(), "found a message %s{…}, expected texts, numbers, lists and maps", e.AsStruct().TypeName())
		case ast.CallKind:
			c.call(e, factory, visit)
		case ast.ListKind:
			for _, item := range e.AsList().Elements() {
				visit(item)
			}
		case ast.MapKind:
			for _, entry := range e.AsMap().Entries() {
				visit(entry.AsMapEntry().Key())
				visit(entry.AsMapEntry().Value())
			}
		case ast.ComprehensionKind:
			f := e.AsComprehension()
			for _, part := range []ast.Expr{f.IterRange(), f.AccuInit(), f.LoopCondition(), f.LoopStep(), f.Result()} {
				visit(part)
			}
		}
	}
	visit(c.ast.Expr())
}

func (c *compilation) call(e ast.Expr, factory ast.ExprFactory, visit func(ast.Expr)) {
	call := e.AsCall()
	name, args := call.FunctionName(), call.Args()
	if call.IsMemberFunction() {
		if t := call.Target(); t.Kind() == ast.IdentKind && (t.AsIdent() == "math" || !c.variables[t.AsIdent()] && c.namespace(t.AsIdent())) {
			name = t.AsIdent() + "." + name
		} else {
			visit(t)
		}
	}
	if !c.language.callable(name) {
		c.at(e.ID(), "%s", c.language.unknown(name))
		if c.scope.principal {
			// What macros would bind, which a filter does not have, is in the arguments.
			return
		}
	}
	if (name == "_==_" || name == "_!=_") && len(args) == 2 {
		if other := comparedToNull(args); other != nil {
			visit(other)
			test := factory.NewCall(e.ID(), isNullFunction, other)
			if name == "_!=_" {
				id := ast.MaxID(c.ast) + 1
				inner := factory.NewCall(id, isNullFunction, other)
				c.ast.SourceInfo().SetOffsetRange(id, rangeOf(c.ast, e.ID()))
				test = factory.NewCall(e.ID(), "!_", inner)
			}
			e.SetKindCase(test)
			return
		}
	}
	for _, arg := range args {
		visit(arg)
	}
	switch {
	case name == "matches" && len(args) > 0:
		c.pattern(args[len(args)-1])
	case slices.Contains(zoned, name) && len(args) == 1:
		if z, ok := args[0].AsLiteral().(types.String); args[0].Kind() != ast.LiteralKind || !ok || !offset.MatchString(string(z)) {
			c.at(args[0].ID(), `found a time zone that is not an offset from UTC, expected one such as "+02:00", for the rules of `+
				"named zones change; write the offset, or compute the feature in SQL")
		}
	}
}

var offset = regexp.MustCompile(`^[+-][0-9]{2}:[0-9]{2}$`)

func rangeOf(a *ast.AST, id int64) ast.OffsetRange {
	r, _ := a.SourceInfo().GetOffsetRange(id)
	return r
}

// comparedToNull is the operand that stands beside a null, or nil.
func comparedToNull(args []ast.Expr) ast.Expr {
	isNull := func(e ast.Expr) bool { return e.Kind() == ast.LiteralKind && e.AsLiteral() == types.NullValue }
	switch {
	case isNull(args[1]):
		return args[0]
	case isNull(args[0]):
		return args[1]
	}
	return nil
}

// pattern checks what matches is given: a pattern that is known is compiled once, and its size is known.
func (c *compilation) pattern(e ast.Expr) {
	p, ok := types.String(""), false
	if e.Kind() == ast.LiteralKind {
		p, ok = e.AsLiteral().(types.String)
	}
	switch {
	case !ok:
		c.at(e.ID(), "found a pattern that is computed, expected one that is written out")
	case len(p) > maxPattern:
		c.at(e.ID(), "found a pattern of %d bytes, expected at most %d", len(p), maxPattern)
	default:
		if _, err := regexp.Compile(string(p)); err != nil {
			c.at(e.ID(), "found a pattern that RE2 does not know: %v", err)
		}
	}
}

// namespace reports whether a name before a call can only be meant as a part of the function's.
func (c *compilation) namespace(name string) bool {
	return name != requestName && c.scope.view(name) == nil
}

func (c *compilation) loneName(e ast.Expr, name string) {
	switch {
	case name == rowName && c.scope.rows != "":
		c.at(e.ID(), "found row alone, expected row.COLUMN")
	case name == principalName && c.scope.principal:
		c.at(e.ID(), "found principal alone, expected principal.name, principal.roles or principal.ATTRIBUTE")
	case name == requestName && c.scope.rows == "":
		c.at(e.ID(), "found request alone, expected request.NAME: %s", c.inputList())
	case c.scope.view(name) != nil:
		c.at(e.ID(), "found view %s alone, expected %s.FEATURE", name, name)
	default:
		message := fmt.Sprintf("found the name %s, expected request.NAME or VIEW.FEATURE", name)
		if c.scope.rows != "" {
			message = fmt.Sprintf("found the name %s, expected %s", name, c.scope.rowNames())
		}
		if findColumn(c.scope.inputs, name) != nil {
			message += "; did you mean request." + name + "?"
		} else {
			for i := range c.scope.views {
				if findColumn(c.scope.views[i].features, name) != nil {
					message += fmt.Sprintf("; did you mean %s.%s?", c.scope.views[i].name, name)
					break
				}
			}
		}
		c.at(e.ID(), "%s", message)
	}
}

// reference resolves OWNER.NAME to the name under which it is declared.
func (c *compilation) reference(owner ast.Expr, name string) (string, bool) {
	of := owner.AsIdent()
	if c.scope.rows != "" {
		return c.rowReference(owner, of, name)
	}
	if of == requestName {
		if name == timeName {
			c.time = true
			return requestName + "." + timeName, true
		}
		input := findColumn(c.scope.inputs, name)
		if input == nil {
			c.at(owner.ID(), "found no input called %s%s", name, suggestion(name, append(columnNames(c.scope.inputs), timeName), "request."))
			return "", false
		}
		return c.read(Ref{Name: name}, input.Type), true
	}
	v := c.scope.view(of)
	if v == nil {
		c.at(owner.ID(), "found no view called %s among those that the view reads%s", of,
			suggestion(of, append(c.scope.viewNames(), requestName), ""))
		return "", false
	}
	if !v.known {
		c.unknown = true
		return of + "." + name, true
	}
	f := findColumn(v.features, name)
	if f == nil {
		c.at(owner.ID(), "found no feature called %s in view %s%s", name, of, suggestion(name, columnNames(v.features), of+"."))
		return "", false
	}
	return c.read(Ref{View: of, Name: name}, f.Type), true
}

func (c *compilation) read(r Ref, t feature.Type) string {
	if !slices.Contains(c.reads, r) {
		c.reads, c.types = append(c.reads, r), append(c.types, t)
	}
	return r.String()
}

func (c *compilation) inputList() string {
	names := append(columnNames(c.scope.inputs), timeName)
	return "request." + strings.Join(names, ", request.")
}

// suggestion is the end of a message about a name that nothing has.
func suggestion(name string, candidates []string, prefix string) string {
	if near, ok := feature.Nearest(name, candidates); ok {
		return "; did you mean " + prefix + near + "?"
	}
	if n := len(candidates); n > 0 && n <= 8 {
		return "; there is " + prefix + strings.Join(candidates, ", "+prefix)
	}
	return ""
}

func findColumn(columns []feature.Column, name string) *feature.Column {
	if i := slices.IndexFunc(columns, func(c feature.Column) bool { return c.Name == name }); i >= 0 {
		return &columns[i]
	}
	return nil
}

func columnNames(columns []feature.Column) []string {
	names := make([]string, len(columns))
	for i := range columns {
		names[i] = columns[i].Name
	}
	return names
}

// checked looks at what only types tell.
func (c *compilation) checked(found *cel.Type, result feature.Type) {
	ast.PostOrderVisit(c.ast.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		switch t := c.ast.GetType(e.ID()); {
		case e.Kind() == ast.ComprehensionKind && c.ast.GetType(e.AsComprehension().IterRange().ID()).Kind() == types.MapKind:
			c.at(e.ID(), "found a macro over a map, whose order is not defined, expected one over a list")
		case e.Kind() == ast.CallKind && e.AsCall().FunctionName() == "_+_" && t.Kind() == types.ListKind && !c.appends(e.AsCall().Args()[0]):
			// Such a list costs nothing to make, however long it is, and much to look through.
			c.at(e.ID(), "found lists put together with +, expected one list, written out or made by a macro")
		case t != nil && dynamic(t) && e.Kind() == ast.ListKind && len(e.AsList().Elements()) > 0:
			c.at(e.ID(), "found a list of values of several types, expected one type; convert them")
		case t != nil && dynamic(t) && e.Kind() == ast.MapKind && len(e.AsMap().Entries()) > 0:
			c.at(e.ID(), "found a map of values of several types, expected one type; convert them")
		}
	}))
	if want := celType(result); len(c.problems) == 0 && !want.IsExactType(found) && !(found.Kind() == types.DynKind && c.isNull()) {
		message := fmt.Sprintf("found an expression of type %s, expected %s, the type of the feature", typeText(found), result)
		if c.scope.rows != "" {
			message = fmt.Sprintf("found an expression of type %s, expected one of type bool that %s", typeText(found), c.scope.rows)
		}
		switch {
		case result == feature.TypeFloat64 && found.Kind() == types.IntKind:
			message += "; write double(…)"
		case result == feature.TypeInt64 && found.Kind() == types.DoubleKind:
			message += "; write int(…), which cuts off what is behind the point"
		case result == feature.TypeString:
			message += "; write string(…)"
		}
		c.add(1, 1, "%s", message)
	}
}

// appends reports whether an operand is the list that a macro is making.
func (c *compilation) appends(e ast.Expr) bool {
	return e.Kind() == ast.IdentKind && strings.HasPrefix(e.AsIdent(), "@")
}

// isNull reports whether the expression is nothing but null.
func (c *compilation) isNull() bool {
	e := c.ast.Expr()
	return e.Kind() == ast.CallKind && e.AsCall().FunctionName() == nullFunction
}

func dynamic(t *cel.Type) bool {
	return t.Kind() == types.DynKind || slices.ContainsFunc(t.Parameters(), dynamic)
}

// unbounded reports whether the cost depends on how long texts and lists are.
func (c *compilation) unbounded() bool {
	return c.loops || slices.ContainsFunc(c.types, func(t feature.Type) bool {
		switch t.Kind() {
		case feature.TypeString, feature.TypeBytes, feature.TypeList, feature.TypeVector:
			return true
		}
		return false
	})
}

// sizes is what the estimate of the cost takes texts and lists to be.
type sizes struct{ c *compilation }

func (s sizes) EstimateSize(n checker.AstNode) *checker.SizeEstimate {
	switch n.Type().Kind() {
	case types.StructKind:
		// A decimal.
		return &checker.SizeEstimate{Min: 1, Max: 1}
	case types.StringKind, types.BytesKind:
		return &checker.SizeEstimate{Min: 0, Max: assumedText}
	case types.ListKind:
		if path := n.Path(); len(path) == 1 {
			for i, r := range s.c.reads {
				if t := s.c.types[i]; r.String() == path[0] && t.Kind() == feature.TypeVector {
					return &checker.SizeEstimate{Min: uint64(t.Dimension()), Max: uint64(t.Dimension())}
				}
			}
		}
		return &checker.SizeEstimate{Min: 0, Max: assumedList}
	}
	return nil
}

// EstimateCallCost is the cost of the functions of library that go through a text.
func (s sizes) EstimateCallCost(function, _ string, target *checker.AstNode, args []checker.AstNode) *checker.CallEstimate {
	switch function {
	case "charAt", "indexOf", "join", "lastIndexOf", "lowerAscii", "replace", "split", "substring", "trim", "upperAscii":
	default:
		return nil
	}
	cost := checker.CostEstimate{Min: 1, Max: 1 + assumedText/10}
	result := checker.SizeEstimate{Min: 0, Max: assumedText}
	if function == "split" {
		result.Max = assumedList
	}
	return &checker.CallEstimate{CostEstimate: cost, ResultSize: &result}
}
