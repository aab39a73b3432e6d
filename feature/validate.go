package feature

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Problem is something wrong with a definition.
type Problem struct {
	Kind Kind
	Name string
	// Field is the path from Definitions as files write it: `feature_views[0].features[2].type` is the type of the third
	// feature of Definitions.Views[0].
	Field string
	// Line and Column are the place inside the text that Field names, when that is SQL. Both count from 1.
	Line, Column int
	// Also is the path of another definition that the problem is about, such as the first of two with one name.
	Also string
	// Message says what was found, what was expected and what to try.
	Message string
}

// Known is what exists beside the definitions that are validated.
type Known struct {
	Entities map[string]*Entity
	Sources  map[string]*Source
	// Views and Services hold the names that exist.
	Views, Services map[string]bool
}

// lists are the names of Definitions' lists in files.
var lists = [...]string{
	KindEntity: "entities", KindSource: "sources", KindView: "feature_views", KindService: "feature_services", KindRole: "roles",
	KindPolicy: "policies", KindConsumer: "consumers",
}

// List is the name of the list that definitions of the kind stand in: `feature_views`.
func (k Kind) List() string { return lists[k] }

// Path is where the i-th definition of a kind stands: `feature_views[3]`.
func (k Kind) Path(i int) string { return fmt.Sprintf("%s[%d]", lists[k], i) }

// Validate reports what is wrong with the definitions, in their order. known is what their names may stand for besides
// each other. Without it (nil) the definitions must be whole by themselves, and the features a service picks of a view
// without a version are looked for in the definition; with it they are for ResolvePin to find.
func (d *Definitions) Validate(known *Known) []Problem {
	v := validation{definitions: d, known: known, whole: known == nil}
	if known == nil {
		v.known = &Known{}
	}
	v.run()
	return v.problems
}

// maxProblems is where Validate has found enough: what is wrong with so much is seldom as much.
const maxProblems = 1000

type validation struct {
	definitions *Definitions
	known       *Known
	whole       bool
	problems    []Problem
	kind        Kind
	name, path  string
	// first are the positions of the definitions that have a name first, by kind and name.
	first map[Kind]map[string]int
}

// enough reports whether there are problems enough to stop.
func (v *validation) enough() bool { return len(v.problems) >= maxProblems }

func (v *validation) run() {
	d := v.definitions
	for i := 0; i < len(d.Entities) && !v.enough(); i++ {
		v.begin(KindEntity, i, d.Entities[i].Name)
		v.entity(&d.Entities[i])
	}
	for i := 0; i < len(d.Sources) && !v.enough(); i++ {
		v.begin(KindSource, i, d.Sources[i].Name)
		v.source(&d.Sources[i])
	}
	for i := 0; i < len(d.Views) && !v.enough(); i++ {
		v.begin(KindView, i, d.Views[i].Name)
		v.view(&d.Views[i])
	}
	_, cycles := OrderViews(d.Views, nil)
	v.problems = append(v.problems, cycles...)
	for i := 0; i < len(d.Services) && !v.enough(); i++ {
		v.begin(KindService, i, d.Services[i].Name)
		v.service(&d.Services[i])
	}
	for i := 0; i < len(d.Roles) && !v.enough(); i++ {
		v.begin(KindRole, i, d.Roles[i].Name)
		v.role(&d.Roles[i])
	}
	for i := 0; i < len(d.Policies) && !v.enough(); i++ {
		v.begin(KindPolicy, i, d.Policies[i].Name)
		v.policy(&d.Policies[i])
	}
	for i := 0; i < len(d.Consumers) && !v.enough(); i++ {
		v.begin(KindConsumer, i, d.Consumers[i].Name)
		v.consumer(&d.Consumers[i])
	}
}

// begin turns to the i-th definition of a kind and checks its name.
func (v *validation) begin(k Kind, i int, name string) {
	v.kind, v.name, v.path = k, name, k.Path(i)
	if message := checkName(name); message != "" {
		v.add("name", "%s", message)
	}
	if v.first == nil {
		v.first = map[Kind]map[string]int{}
	}
	if v.first[k] == nil {
		v.first[k] = map[string]int{}
	}
	if j, ok := v.first[k][name]; !ok {
		v.first[k][name] = i
	} else if name != "" {
		v.add("name", "found a second %s called %s, expected one of each name; rename or remove one", k, name)
		v.problems[len(v.problems)-1].Also = k.Path(j) + ".name"
	}
}

func (v *validation) add(field, format string, args ...any) {
	v.problems = append(v.problems, Problem{
		Kind: v.kind, Name: v.name, Field: v.path + "." + field, Message: fmt.Sprintf(format, args...),
	})
}

func (v *validation) addSQL(field string, problems []SQLProblem) {
	for _, p := range problems {
		v.problems = append(v.problems, Problem{
			Kind: v.kind, Name: v.name, Field: v.path + "." + field, Line: p.Line, Column: p.Column, Message: p.Message,
		})
	}
}

// checkName says what is wrong with a name, or "". Outputs call a feature VIEW__FEATURE, so no name may hold a double
// underscore or end in one.
func checkName(name string) string {
	switch {
	case name == "":
		return "found no name, expected one"
	case strings.Contains(name, "__"):
		return fmt.Sprintf("found the name %q, expected no double underscore: outputs are called VIEW__FEATURE", name)
	case strings.HasPrefix(name, "_"):
		return fmt.Sprintf("found the name %q, expected one that does not begin with an underscore: those are kept for columns of the system", name)
	case strings.HasSuffix(name, "_"):
		return fmt.Sprintf("found the name %q, expected no underscore at its end: outputs are called VIEW__FEATURE", name)
	case name[0] < 'a' || name[0] > 'z' || !plain(name):
		return fmt.Sprintf("found the name %q, expected lower-case letters, digits and underscores, a letter first", name)
	}
	return ""
}

func plain(name string) bool {
	for i := range len(name) {
		if c := name[i]; c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

const (
	columnEventTime   = "event_time"
	columnAvailableAt = "available_at"
)

// reservedColumns are the fixed columns of history tables.
var reservedColumns = []string{"entity_key", columnEventTime, columnAvailableAt, "seq_from", "seq_to"}

// maxStored is how many features and attributes a row of a history table holds, whatever their types.
const maxStored = 512

// systemColumns are those that Postgres gives every table.
var systemColumns = []string{"tableoid", "ctid", "xmin", "xmax", "cmin", "cmax"}

// columns checks the names and types of one list. taken maps the names used so far to what uses them, and grows.
func (v *validation) columns(field, what string, columns []Column, taken map[string]string, allowed ...string) {
	for i := range columns {
		c := &columns[i]
		at := fmt.Sprintf("%s[%d]", field, i)
		switch {
		case checkName(c.Name) != "":
			v.add(at+".name", "%s", checkName(c.Name))
		case slices.Contains(reservedColumns, c.Name) && !slices.Contains(allowed, c.Name):
			v.add(at+".name", "found a %s called %s, which is a column of every history table; give it another name", what, c.Name)
		case slices.Contains(systemColumns, c.Name):
			v.add(at+".name", "found a %s called %s, which Postgres keeps in every table for itself; give it another name", what, c.Name)
		}
		if other, ok := taken[c.Name]; ok && c.Name != "" {
			v.add(at+".name", "found a second column called %s (there is %s of that name), expected each name once", c.Name, other)
		} else {
			taken[c.Name] = article(what) + what
		}
		if !c.Type.IsValid() {
			v.add(at+".type", "found no type, expected one of %s", TypeNames())
		}
	}
}

func article(what string) string {
	if strings.ContainsRune("aeiou", rune(what[0])) {
		return "an "
	}
	return "a "
}

func (v *validation) entity(e *Entity) {
	if len(e.JoinKeys) == 0 {
		v.add("join_keys", "found no join key, expected at least one: the column that identifies one %s", e.Name)
	}
	v.columns("join_keys", "join key", e.JoinKeys, map[string]string{})
	for i := range e.JoinKeys {
		if t := e.JoinKeys[i].Type; t != TypeString && t != TypeInt64 && t != TypeInvalid {
			v.add(fmt.Sprintf("join_keys[%d].type", i), "found a join key of type %s, expected string or int64: "+
				"only their values have one spelling", t)
		}
	}
}

func (v *validation) view(w *View) {
	v.declassify(w)
	taken := map[string]string{}
	if w.OnDemand != nil {
		// Its keys are those of the views it reads.
	} else if e := v.findEntity(w.Entity); e != nil {
		for i := range e.JoinKeys {
			taken[e.JoinKeys[i].Name] = "a join key"
		}
	} else {
		v.add("entity", "found no entity called %s%s", w.Entity, didYouMean(w.Entity, v.entityNames()))
	}
	if len(w.Features) == 0 {
		v.add("features", "found no features, expected at least one")
	}
	v.columns("features", "feature", w.Features, taken)
	v.columns("attributes", "attribute", w.Attributes, taken)
	if n := len(w.Features) + len(w.Attributes); n > maxStored {
		v.add("attributes", "found %d features and attributes together, expected at most %d; make several views of them", n, maxStored)
	}
	if n := w.VectorBytes(); n > MaxRowText {
		v.add("features", "found vectors of %d bytes in each row, four for each of their floats, expected at most %d; make several views of them", n, MaxRowText)
	}
	v.duration("ttl", w.TTL)
	v.duration("grain", w.Grain)
	v.duration("lookback", w.Lookback)
	v.viewExpectations(w)
	v.schedule(w)
	v.freshness(w)
	v.drift(w)
	v.viewGates(w)

	kinds := 0
	if w.Push != nil {
		kinds++
		v.push(w)
	}
	// That of one that pushes is made of it.
	if w.SQL != nil && w.Push == nil {
		kinds++
		v.sql(w.SQL)
	}
	if w.Aggregation != nil {
		kinds++
		v.aggregation(w)
	}
	if w.OnDemand != nil {
		kinds++
		v.viewRefs("on_demand.views", w.OnDemand.Views)
		v.onDemand(w)
	}
	if kinds != 1 {
		v.add("sql", "found %d of sql, aggregation, on_demand and push, expected exactly one", kinds)
	}
}

func (v *validation) duration(field string, d time.Duration) {
	switch {
	case d < 0:
		v.add(field, "found %s, expected a duration that is not negative", d)
	case d%time.Microsecond != 0:
		v.add(field, "found %s, expected whole microseconds: no store holds less", d)
	}
}

func (v *validation) sql(t *SQLTransform) {
	for i, name := range t.Sources {
		at := fmt.Sprintf("sql.sources[%d]", i)
		if slices.Contains(t.Sources[:i], name) {
			v.add(at, "found source %s a second time, expected each once", name)
		}
		if v.findSource(name) == nil {
			v.add(at, "found no source called %s%s", name, didYouMean(name, v.sourceNames()))
		}
	}
	v.viewRefs("sql.views", t.Views)
	v.sqlViews(t)
	_, problems := ParseQuery(t.Query)
	v.addSQL("sql.query", problems)
}

func (sv *ServiceView) features(view *View, ref string) ([]int, []Problem) {
	var positions []int
	if len(sv.Features) == 0 {
		for i := range view.Features {
			positions = append(positions, i)
		}
		return positions, nil
	}
	var problems []Problem
	for i, name := range sv.Features {
		position := view.FeatureIndex(name)
		if position >= 0 {
			positions = append(positions, position)
			continue
		}
		problems = append(problems, Problem{Field: fmt.Sprintf("features[%d]", i), Message: view.MissingFeature(name, ref)})
	}
	return positions, problems
}

func columnNames(columns []Column) []string {
	names := make([]string, len(columns))
	for i := range columns {
		names[i] = columns[i].Name
	}
	return names
}

func (v *validation) role(r *Role) {
	if r.Name == AdminRole {
		v.add("name", "found the role admin, which is built in and may do everything, expected another name")
	}
	v.roleAttributes(r)
	for i := range r.Grants {
		g := &r.Grants[i]
		at := fmt.Sprintf("grants[%d]", i)
		if len(g.Actions) == 0 {
			v.add(at+".actions", "found no actions, expected some of %s", strings.Join(actions, ", "))
		}
		for j, a := range g.Actions {
			if !slices.Contains(actions, a) {
				v.add(fmt.Sprintf("%s.actions[%d]", at, j), "found the action %s, expected one of %s%s",
					a, strings.Join(actions, ", "), near(a, actions))
			}
		}
		if len(g.Resources) == 0 {
			v.add(at+".resources", "found no resources, expected some, such as view:*")
		}
		for j, p := range g.Resources {
			field := fmt.Sprintf("%s.resources[%d]", at, j)
			if !slices.Contains(resourceKinds, p.Kind) {
				v.add(field, "found a resource of kind %s, expected one of %s%s",
					p.Kind, strings.Join(resourceKinds, ", "), near(p.Kind, resourceKinds))
			} else if message := p.check(); message != "" {
				v.add(field, "%s", message)
			}
		}
	}
}

func near(name string, candidates []string) string {
	if c, ok := Nearest(name, candidates); ok {
		return "; did you mean " + c + "?"
	}
	return ""
}

func (v *validation) findEntity(name string) *Entity {
	for i := range v.definitions.Entities {
		if e := &v.definitions.Entities[i]; e.Name == name {
			return e
		}
	}
	return v.known.Entities[name]
}

func (v *validation) findSource(name string) *Source {
	for i := range v.definitions.Sources {
		if s := &v.definitions.Sources[i]; s.Name == name {
			return s
		}
	}
	return v.known.Sources[name]
}

func (v *validation) findView(name string) *View {
	for i := range v.definitions.Views {
		if w := &v.definitions.Views[i]; w.Name == name {
			return w
		}
	}
	return nil
}

func (v *validation) entityNames() []string {
	var names []string
	for i := range v.definitions.Entities {
		names = append(names, v.definitions.Entities[i].Name)
	}
	for name := range v.known.Entities {
		names = append(names, name)
	}
	return sortedSet(names)
}

func (v *validation) sourceNames() []string {
	var names []string
	for i := range v.definitions.Sources {
		names = append(names, v.definitions.Sources[i].Name)
	}
	for name := range v.known.Sources {
		names = append(names, name)
	}
	return sortedSet(names)
}

func (v *validation) viewNames() []string {
	var names []string
	for i := range v.definitions.Views {
		names = append(names, v.definitions.Views[i].Name)
	}
	for name := range v.known.Views {
		names = append(names, name)
	}
	return sortedSet(names)
}
