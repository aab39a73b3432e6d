package definition

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// Test is a test of definitions, its names resolved and its values typed.
type Test struct {
	Name, Description string
	// File, Line and Column are where it stands.
	File         string
	Line, Column int
	// Set is what it applies: the definitions beside it, and its own in the place of those with the same names. Where the
	// test expects a refusal they need not be valid.
	Set     *Set
	Loads   []Arrival
	Views   []Holding
	Answers []Answer
	// Refused is a part of the message of a refusal; "" expects none.
	Refused string
}

// Arrival is one load into a landing source, or the retraction of one.
type Arrival struct {
	Source *feature.Source
	// Rows have a value for each of the source's columns.
	Rows [][]feature.Value
	// Replaces and Retracts are the positions, in Loads, of the load that this one ends; -1 for none.
	Replaces, Retracts int
	// Materialize names the views to run before the next load.
	Materialize []string
}

// Holding is all rows that a view is to hold.
type Holding struct {
	View   *feature.View
	Entity *feature.Entity
	// Rows hold the columns that are looked at: join keys, `event_time`, `available_at`, features and attributes.
	Rows []map[string]feature.Value
}

// Answer is what a service is to answer for one entity at one time.
type Answer struct {
	Service *feature.Service
	// Keys are the join keys of the service's views, and Inputs what those on demand ask for, each in the order of their
	// names. Entity has a value for each.
	Keys, Inputs []feature.Column
	Entity       map[string]feature.Value
	At           feature.Time
	// Features and Statuses hold what is looked at, by the feature's name in the output.
	Features map[string]feature.Value
	Statuses map[string]string
}

// Tests are the tests in the files of the set, in order. An error is one INVALID_DEFINITION fault.
func (s *Set) Tests() ([]*Test, error) {
	tests, violations := s.readTests()
	if len(violations) > 0 {
		return nil, Annotate(s, invalid(violations))
	}
	return tests, nil
}

// readTests returns violations whose fields are of the whole list.
func (s *Set) readTests() ([]*Test, []fault.Violation) {
	var tests []*Test
	var violations []fault.Violation
	seen := map[string]int{}
	problems := s.problems()
	for i, m := range s.tests {
		if len(violations) >= maxTold {
			break
		}
		r := testReader{set: s, problems: problems, at: indexed(testList, i), message: m, test: &Test{
			Name: m.GetName(), Description: m.GetDescription(), Refused: m.GetRefused(), Set: s,
		}}
		file, path, local, _ := s.origins.Resolve(r.at)
		r.document, r.local = s.documents[file], local
		r.test.File = path
		r.test.Line, r.test.Column, _ = r.document.place(local, 0, 0)
		if first, ok := seen[m.GetName()]; ok && m.GetName() != "" {
			_, path, local, _ := s.origins.Resolve(indexed(testList, first))
			line, column := s.Locate(local+".name", path)
			r.add(".name", "found a second test called %s, expected one of each name; rename or remove one; the other is at %s:%d:%d",
				m.GetName(), path, line, column)
		} else {
			seen[m.GetName()] = i
		}
		r.read()
		violations = append(violations, r.violations...)
		tests = append(tests, r.test)
	}
	return tests, violations
}

// testReader reads one test.
type testReader struct {
	set *Set
	// problems are those of the set.
	problems []feature.Problem
	message  *headwaterv1.DefinitionTest
	test     *Test
	// at is the test's field in the whole list, local that in its document.
	at, local  string
	document   *document
	violations []fault.Violation
}

// add adds a violation of a field of the test, such as `.loads[0].source`.
func (r *testReader) add(field, format string, args ...any) {
	if len(r.violations) < maxViolations {
		r.violations = append(r.violations, fault.Violation{Field: r.at + field, Description: fmt.Sprintf(format, args...)})
	}
}

func (r *testReader) read() {
	m := r.message
	if len(m.GetDefinitions().GetTests()) > 0 {
		r.add(".definitions.tests", "found tests within a test, expected definitions alone")
		return
	}
	if m.GetDefinitions() != nil {
		own := &document{path: r.document.path, lines: r.document.lines, file: m.GetDefinitions()}
		own.root, _ = r.document.locate(r.local + ".definitions")
		var wrong []fault.Violation
		if r.test.Set, wrong = r.set.with(own); len(wrong) > 0 {
			r.violations = append(r.violations, wrong...)
			return
		}
	}
	switch expects := len(m.GetViews()) + len(m.GetAnswers()); {
	case m.GetRefused() != "" && expects > 0:
		r.add(".refused", "found refused beside views or answers, expected one of them: what is refused answers nothing")
	case m.GetRefused() == "" && expects == 0:
		r.add("", "found a test that expects nothing, expected views, answers or refused")
	}
	problems := r.problems
	if m.GetDefinitions() != nil {
		problems = r.test.Set.problems()
	}
	switch {
	case m.GetRefused() != "" && len(problems) > 0:
		// The refusal that is expected; the rest of the test is not come to.
		return
	case len(problems) > 0 && m.GetDefinitions() != nil:
		for i := range problems {
			v := r.test.Set.violation(&problems[i])
			r.test.Set.annotate(&v)
			r.violations = append(r.violations, v)
		}
		return
	case len(problems) > 0:
		// They are told already, of the definitions themselves.
		return
	}
	r.loads()
	r.views()
	r.answers()
}

// with is the set with one more file, whose definitions stand in the place of those with the same names. Violations have
// their places.
func (s *Set) with(own *document) (*Set, []fault.Violation) {
	set := &Set{}
	taken := namesOf(own.file)
	for i, f := range s.Files {
		d := *s.documents[i]
		d.file = proto.Clone(f.GetFile()).(*headwaterv1.DefinitionFile)
		d.withhold(taken)
		set.documents = append(set.documents, &d)
		set.Files = append(set.Files, &headwaterv1.DefinitionSource{Path: f.GetPath(), File: d.file})
	}
	set.documents = append(set.documents, own)
	set.Files = append(set.Files, &headwaterv1.DefinitionSource{Path: own.path, File: own.file})
	var violations []fault.Violation
	set.Definitions, set.origins, violations = FromProto(set.Files)
	for i := range violations {
		set.annotate(&violations[i])
	}
	return set, violations
}

// forEachList calls f with each list of definitions of a file.
func forEachList(file *headwaterv1.DefinitionFile, f func(field protoreflect.FieldDescriptor, list protoreflect.List)) {
	m := file.ProtoReflect()
	for _, k := range kinds {
		field := m.Descriptor().Fields().ByName(protoreflect.Name(k.List()))
		if m.Has(field) {
			f(field, m.Mutable(field).List())
		}
	}
}

func nameIn(list protoreflect.List, i int) string {
	m := list.Get(i).Message()
	return m.Get(m.Descriptor().Fields().ByName("name")).String()
}

// namesOf are the names of a file's definitions, by the list they stand in.
func namesOf(file *headwaterv1.DefinitionFile) map[string]map[string]bool {
	names := map[string]map[string]bool{}
	forEachList(file, func(field protoreflect.FieldDescriptor, list protoreflect.List) {
		names[string(field.Name())] = map[string]bool{}
		for i := range list.Len() {
			names[string(field.Name())][nameIn(list, i)] = true
		}
	})
	return names
}

// withhold takes definitions out of the message and, so that what is left keeps its places, out of the tree.
func (d *document) withhold(taken map[string]map[string]bool) {
	if d.root != nil {
		root := *d.root
		root.Content = slices.Clone(root.Content)
		d.root = &root
	}
	forEachList(d.file, func(field protoreflect.FieldDescriptor, list protoreflect.List) {
		names := taken[string(field.Name())]
		var kept []int
		for i := range list.Len() {
			if !names[nameIn(list, i)] {
				kept = append(kept, i)
			}
		}
		for to, from := range kept {
			list.Set(to, list.Get(from))
		}
		list.Truncate(len(kept))
		if d.root == nil {
			return
		}
		for i := 0; i+1 < len(d.root.Content); i += 2 {
			if d.root.Content[i].Value == string(field.Name()) {
				items := *d.root.Content[i+1]
				var content []*yaml.Node
				for _, from := range kept {
					content = append(content, items.Content[from])
				}
				items.Content = content
				d.root.Content[i+1] = &items
			}
		}
	})
}

func (r *testReader) loads() {
	d := &r.test.Set.Definitions
	// earlier are the loads of each source, by their positions.
	earlier := map[string][]int{}
	for i, l := range r.message.GetLoads() {
		at := indexed(".loads", i)
		load := Arrival{Replaces: -1, Retracts: -1, Materialize: l.GetMaterialize()}
		load.Source = find(d.Sources, l.GetSource(), func(s *feature.Source) string { return s.Name })
		if load.Source == nil {
			r.add(at+".source", "found no source called %.60s%s", l.GetSource(),
				suggestion(l.GetSource(), d.Sources, func(s *feature.Source) string { return s.Name }))
			continue
		}
		if load.Source.Postgres != nil {
			r.add(at+".source", "found source %s, which is a table of others, expected a landing source: tests load nothing into other databases",
				load.Source.Name)
			continue
		}
		before := earlier[load.Source.Name]
		load.Replaces = r.loadBefore(at+".replaces", l.GetReplaces(), before)
		load.Retracts = r.loadBefore(at+".retracts", l.GetRetracts(), before)
		switch {
		case l.GetReplaces() > 0 && l.GetRetracts() > 0:
			r.add(at+".retracts", "found retracts beside replaces, expected one of them")
		case l.GetRetracts() > 0 && len(l.GetRows()) > 0:
			r.add(at+".rows", "found rows in a load that retracts another, expected none")
		case l.GetRetracts() == 0 && len(l.GetRows()) == 0:
			r.add(at, "found a load without rows, expected rows, or retracts and none")
		}
		for j, row := range l.GetRows() {
			values := r.values(indexed(at+".rows", j), row, load.Source.Columns, "source "+load.Source.Name)
			typed := make([]feature.Value, len(load.Source.Columns))
			for k, c := range load.Source.Columns {
				typed[k] = values[c.Name]
			}
			load.Rows = append(load.Rows, typed)
		}
		for j, name := range l.GetMaterialize() {
			r.view(indexed(at+".materialize", j), name)
		}
		earlier[load.Source.Name] = append(before, i)
		r.test.Loads = append(r.test.Loads, load)
	}
}

// loadBefore is the position of the n-th load of a source before this one, counted from 1; -1 for 0.
func (r *testReader) loadBefore(field string, n int32, before []int) int {
	switch {
	case n == 0:
		return -1
	case int(n) > len(before):
		r.add(field, "found load %d of a source of which %s before this one, expected one of them", n, countedLoads(len(before)))
		return -1
	}
	return before[n-1]
}

func countedLoads(n int) string {
	if n == 1 {
		return "1 load is"
	}
	return fmt.Sprintf("%d loads are", n)
}

// values types the values of a row; columns that it does not have are not in the result.
func (r *testReader) values(at string, row *structpb.Struct, columns []feature.Column, of string) map[string]feature.Value {
	values := map[string]feature.Value{}
	for _, name := range slices.Sorted(maps.Keys(row.GetFields())) {
		column := find(columns, name, func(c *feature.Column) string { return c.Name })
		if column == nil {
			r.add(at+"."+name, "found column %.60s, which %s does not have%s", name, of,
				suggestion(name, columns, func(c *feature.Column) string { return c.Name }))
			continue
		}
		value, err := literalOf(column.Type, row.GetFields()[name])
		if err != nil {
			r.add(at+"."+name, "column %s: %s", name, err)
			continue
		}
		values[name] = value
	}
	return values
}

// view finds a view that can be materialized, by NAME or NAME@1.
func (r *testReader) view(field, ref string) *feature.View {
	d := &r.test.Set.Definitions
	name, version, versioned := strings.Cut(ref, "@")
	v := find(d.Views, name, func(v *feature.View) string { return v.Name })
	switch {
	case v == nil:
		r.add(field, "found no view called %.60s%s", name, suggestion(name, d.Views, func(v *feature.View) string { return v.Name }))
	case versioned && version != "1":
		r.add(field, "found version %.20s of view %s, expected 1 or none: a test begins with an empty registry", version, name)
	case !v.Materialized():
		r.add(field, "found view %s, which is on demand, expected one that is materialized; ask a service for it under answers", name)
	default:
		return v
	}
	return nil
}

func (r *testReader) views() {
	for i, e := range r.message.GetViews() {
		at := indexed(".views", i)
		v := r.view(at+".view", e.GetView())
		if v == nil {
			continue
		}
		expected := Holding{View: v}
		expected.Entity = find(r.test.Set.Definitions.Entities, v.Entity, func(e *feature.Entity) string { return e.Name })
		columns := slices.Concat(expected.Entity.JoinKeys, []feature.Column{
			{Name: "event_time", Type: feature.TypeTimestamp}, {Name: "available_at", Type: feature.TypeTimestamp},
		}, v.Stored())
		for j, row := range e.GetRows() {
			values := r.values(indexed(at+".rows", j), row, columns, "view "+v.Name)
			for _, k := range expected.Entity.JoinKeys {
				if _, ok := row.GetFields()[k.Name]; !ok {
					r.add(indexed(at+".rows", j), "found no %s, expected each join key of entity %s", k.Name, v.Entity)
				}
			}
			expected.Rows = append(expected.Rows, values)
		}
		r.test.Views = append(r.test.Views, expected)
	}
}

func (r *testReader) answers() {
	d := &r.test.Set.Definitions
	for i, e := range r.message.GetAnswers() {
		at := indexed(".answers", i)
		service := find(d.Services, e.GetService(), func(s *feature.Service) string { return s.Name })
		if service == nil {
			r.add(at+".service", "found no service called %.60s%s", e.GetService(),
				suggestion(e.GetService(), d.Services, func(s *feature.Service) string { return s.Name }))
			continue
		}
		answer := Answer{Service: service, At: feature.TimeOf(e.GetAt().AsTime()), Statuses: e.GetStatuses()}
		answer.Keys, answer.Inputs = serviceKeys(d, service)
		of := "service " + service.Name
		asked := slices.Concat(answer.Keys, answer.Inputs)
		answer.Entity = r.values(at+".entity", e.GetEntity(), asked, of)
		for _, k := range asked {
			if _, ok := e.GetEntity().GetFields()[k.Name]; !ok {
				r.add(at+".entity", "found no %s, which %s reads by, expected each key, and null for none", k.Name, of)
			}
		}
		outputs := serviceOutputs(d, service)
		answer.Features = r.values(at+".features", e.GetFeatures(), outputs, of)
		for _, name := range slices.Sorted(maps.Keys(e.GetStatuses())) {
			status := e.GetStatuses()[name]
			_, known := headwaterv1.ValueStatus_value["VALUE_STATUS_"+status]
			switch {
			case find(outputs, name, func(c *feature.Column) string { return c.Name }) == nil:
				r.add(at+".statuses."+name, "found column %.60s, which %s does not have%s", name, of,
					suggestion(name, outputs, func(c *feature.Column) string { return c.Name }))
			case !known || status == "UNSPECIFIED":
				r.add(at+".statuses."+name, "found the status %.40q, expected one such as PRESENT, NULL, NO_ROW, EXPIRED or NOT_YET_KNOWN", status)
			}
		}
		if len(e.GetFeatures().GetFields())+len(e.GetStatuses()) == 0 {
			r.add(at, "found an answer of which nothing is expected, expected features or statuses")
		}
		r.test.Answers = append(r.test.Answers, answer)
	}
}

// serviceKeys are what one entity of a service's answers is told by: join keys, and inputs of on-demand features.
func serviceKeys(d *feature.Definitions, s *feature.Service) (joinKeys, inputs []feature.Column) {
	keys, asked := map[string]feature.Column{}, map[string]feature.Column{}
	seen := map[string]bool{}
	var add func(view string)
	add = func(view string) {
		v := find(d.Views, view, func(v *feature.View) string { return v.Name })
		if v == nil || seen[view] {
			return
		}
		seen[view] = true
		if e := find(d.Entities, v.Entity, func(e *feature.Entity) string { return e.Name }); e != nil {
			for _, k := range e.JoinKeys {
				keys[k.Name] = k
			}
		}
		if v.OnDemand == nil {
			return
		}
		for _, c := range v.OnDemand.Inputs {
			asked[c.Name] = c
		}
		for _, ref := range v.OnDemand.Views {
			add(ref.Name)
		}
	}
	for _, sv := range s.Views {
		add(sv.View)
	}
	return byName(keys), byName(asked)
}

func byName(columns map[string]feature.Column) []feature.Column {
	var list []feature.Column
	for _, name := range slices.Sorted(maps.Keys(columns)) {
		list = append(list, columns[name])
	}
	return list
}

// serviceOutputs are the features of a service, under their names in the output.
func serviceOutputs(d *feature.Definitions, s *feature.Service) []feature.Column {
	var outputs []feature.Column
	for i := range s.Views {
		sv := &s.Views[i]
		v := find(d.Views, sv.View, func(v *feature.View) string { return v.Name })
		if v == nil {
			continue
		}
		for _, f := range v.Features {
			if len(sv.Features) > 0 && !slices.Contains(sv.Features, f.Name) {
				continue
			}
			name, renamed := sv.Rename[f.Name]
			if !renamed {
				name = sv.View + "__" + f.Name
			}
			outputs = append(outputs, feature.Column{Name: name, Type: f.Type})
		}
	}
	return outputs
}

func find[T any](list []T, name string, nameOf func(*T) string) *T {
	for i := range list {
		if nameOf(&list[i]) == name {
			return &list[i]
		}
	}
	return nil
}

func suggestion[T any](name string, list []T, nameOf func(*T) string) string {
	var names []string
	for i := range list {
		names = append(names, nameOf(&list[i]))
	}
	if near, ok := feature.Nearest(name, names); ok {
		return "; did you mean " + near + "?"
	}
	return ""
}

// Column finds a column by name, or nil.
func Column(columns []feature.Column, name string) *feature.Column {
	return find(columns, name, func(c *feature.Column) string { return c.Name })
}

// Check is the fault of what is wrong with the definitions of the set as all there is, with its places, or nil.
func (s *Set) Check() error {
	problems := s.problems()
	if len(problems) == 0 {
		return nil
	}
	var violations []fault.Violation
	for i := range problems {
		violations = append(violations, s.violation(&problems[i]))
	}
	return Annotate(s, invalid(violations))
}

// Reach is the latest instant that a test speaks of: event times, and when it asks.
func (t *Test) Reach() feature.Time {
	var latest feature.Time
	add := func(v feature.Value) {
		if v.Type() == feature.TypeTimestamp {
			latest = max(latest, v.Timestamp())
		}
	}
	for _, l := range t.Loads {
		at := slices.IndexFunc(l.Source.Columns, func(c feature.Column) bool { return c.Name == l.Source.EventTime })
		for _, row := range l.Rows {
			add(row[at])
		}
	}
	for _, v := range t.Views {
		for _, row := range v.Rows {
			add(row["event_time"])
		}
	}
	for _, a := range t.Answers {
		latest = max(latest, a.At)
	}
	return latest
}

// Until is the end of the intervals over which a test runs a view: after the group that the latest instant lies in.
func (t *Test) Until(v *feature.View) time.Time {
	grain := v.RunGrain()
	if grain == 0 {
		return t.Reach().Add(time.Microsecond).Time()
	}
	return t.Reach().Floor(grain).Add(grain).Time()
}
