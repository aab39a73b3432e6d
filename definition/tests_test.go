package definition

import (
	"slices"
	"strings"
	"testing"

	"github.com/headwaterhq/headwater/feature"
)

// tested is definitions with a test that has everything.
const tested = good + `tests:
  - name: late_flights
    loads:
      - source: flights
        rows:
          - {date: "2024-01-01T10:30:00Z", origin: JFK}
        materialize: [delays]
      - source: flights
        replaces: 1
        rows:
          - {date: "2024-01-01T10:40:00Z"}
      - {source: flights, retracts: 2}
    views:
      - view: delays
        rows:
          - {origin: JFK, event_time: "2024-01-01T11:00:00Z", departures: 9007199254740993}
    answers:
      - service: model
        entity: {origin: null}
        at: 2024-01-01T12:00:00Z
        features: {delays__departures: 1}
        statuses: {delays__departures: PRESENT}
`

func readTests(t *testing.T, text string) []*Test {
	t.Helper()
	write(t, map[string]string{"a.yaml": text})
	set, err := Load([]string{"a.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	tests, err := set.Tests()
	if err != nil {
		t.Fatal(err)
	}
	return tests
}

func TestTestsAreRead(t *testing.T) {
	tests := readTests(t, tested)
	if len(tests) != 1 {
		t.Fatalf("found %d tests", len(tests))
	}
	x := tests[0]
	if x.Name != "late_flights" || x.File != "a.yaml" || x.Line != 34 || x.Column != 5 || len(x.Set.Files[0].File.Tests) != 0 {
		t.Errorf("found %+v", x)
	}
	at := func(text string) feature.Value {
		v, err := literalOf(feature.TypeTimestamp, literal(t, text))
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if l := x.Loads[1]; l.Replaces != 0 || l.Retracts != -1 || !l.Rows[0][0].Equal(at("2024-01-01T10:40:00Z")) || !l.Rows[0][1].IsNull() {
		t.Errorf("found the load %+v", l)
	}
	if l := x.Loads[2]; l.Retracts != 1 || l.Replaces != -1 || len(l.Rows) != 0 {
		t.Errorf("found the load %+v", l)
	}
	if !slices.Equal(x.Loads[0].Materialize, []string{"delays"}) {
		t.Errorf("found %v to materialize", x.Loads[0].Materialize)
	}
	row := x.Views[0].Rows[0]
	if _, there := row["available_at"]; there || len(row) != 3 || row["departures"].Int64() != 9007199254740993 {
		t.Errorf("found the row %v", row)
	}
	a := x.Answers[0]
	if len(a.Keys) != 1 || !a.Entity["origin"].IsNull() || a.Features["delays__departures"].Int64() != 1 || a.Statuses["delays__departures"] != "PRESENT" {
		t.Errorf("found the answer %+v", a)
	}
	if x.Reach() != a.At {
		t.Errorf("found a reach to %s, expected %s", x.Reach(), a.At)
	}
	// A view by itself ends after the last instant; one of groups after the group.
	view := *x.Views[0].View
	if until := feature.TimeOf(x.Until(&view)).String(); until != "2024-01-01T12:00:00.000001Z" {
		t.Errorf("found the end %s", until)
	}
	view.Grain = 3_600_000_000_000
	if until := feature.TimeOf(x.Until(&view)).String(); until != "2024-01-01T13:00:00Z" {
		t.Errorf("found the end %s", until)
	}
}

func TestOwnDefinitionsStandInThePlaceOfOthers(t *testing.T) {
	own := tested + `    definitions:
      sources:
        - name: flights
          event_time: date
          landing: {}
          columns:
            - {name: date, type: timestamp}
            - {name: origin, type: string}
            - {name: extra, type: bool}
`
	x := readTests(t, own)[0]
	d := x.Set.Definitions
	if len(d.Sources) != 1 || len(d.Sources[0].Columns) != 3 || len(d.Views) != 1 || len(x.Set.Files) != 2 {
		t.Fatalf("found %+v", d)
	}
	// What is left has its places, and what is the test's own has those of the test.
	for field, want := range map[string][2]int{
		"feature_views[0].entity": {14, 13}, "sources[0].columns[2].type": {63, 35},
	} {
		file, _, local, ok := x.Set.origins.Resolve(field)
		if line, column, _ := x.Set.documents[file].place(local, 0, 0); !ok || [2]int{line, column} != want {
			t.Errorf("%s is at %d:%d, expected %v", field, line, column, want)
		}
	}
	// The definitions themselves are as they were.
	set, err := Load([]string{"a.yaml"})
	if err != nil || len(set.Definitions.Sources[0].Columns) != 2 {
		t.Errorf("found %v, %v", set, err)
	}
}

func TestARefusalMayBeOfTheDefinitions(t *testing.T) {
	x := readTests(t, good+`tests:
  - name: no_such_entity
    definitions:
      feature_views:
        - {name: delays, entity: airprt, features: [{name: departures, type: int64}], sql: {sources: [flights], query: SELECT 1}}
    refused: found no entity called airprt
`)[0]
	if x.Refused == "" || len(x.Set.Definitions.Views) != 1 || len(x.Set.Definitions.Validate(nil)) != 1 {
		t.Errorf("found %+v", x)
	}
}

func TestTestsThatCannotBeRun(t *testing.T) {
	for _, c := range []struct{ old, now, want string }{
		{"- source: flights\n        rows", "- source: fligts\n        rows", "a.yaml:36:17: found no source called fligts; did you mean flights?"},
		{"materialize: [delays]", "materialize: [delay]", "a.yaml:39:23: found no view called delay; did you mean delays?"},
		{"materialize: [delays]", "materialize: [delays@2]", "a.yaml:39:23: found version 2 of view delays, expected 1 or none: a test begins with an empty registry"},
		{"replaces: 1", "replaces: 2", "a.yaml:41:19: found load 2 of a source of which 1 load is before this one, expected one of them"},
		{"retracts: 2", "retracts: 3", "a.yaml:44:37: found load 3 of a source of which 2 loads are before this one, expected one of them"},
		{"retracts: 2", "retracts: 2, replaces: 1", "a.yaml:44:37: found retracts beside replaces, expected one of them"},
		{"retracts: 2", "retracts: 2, rows: [{origin: JFK}]", "a.yaml:44:46: found rows in a load that retracts another, expected none"},
		{", retracts: 2", "", "a.yaml:44:9: found a load without rows, expected rows, or retracts and none"},
		{"origin: JFK}\n        mat", "orign: JFK}\n        mat", "a.yaml:38:51: found column orign, which source flights does not have; did you mean origin?"},
		{"origin: JFK}\n        mat", "origin: 5}\n        mat", "a.yaml:38:52: column origin: found the number 5, expected a text; put it in quotes"},
		{`date: "2024-01-01T10:30:00Z"`, "date: soon", `a.yaml:38:20: column date: found "soon", expected a timestamp such as 2001-01-31T10:05:00Z, 2001-01-31 10:05:00.25 or 2001-01-31 (UTC where no offset is given)`},
		{`date: "2024-01-01T10:30:00Z"`, "date: true", "a.yaml:38:20: column date: found true, expected a timestamp such as 2001-01-31T10:05:00Z"},
		{"- view: delays\n        rows", "- view: delay\n        rows", "a.yaml:46:15: found no view called delay; did you mean delays?"},
		{"origin: JFK, event_time", "event_time", "a.yaml:48:13: found no origin, expected each join key of entity airport"},
		{"departures: 9007199254740993", "departures: 1.5", "a.yaml:48:75: column departures: found the number 1.5, expected an int64: a whole number, in quotes beyond 2^53"},
		{"departures: 9007199254740993", "departurs: 1", "a.yaml:48:74: found column departurs, which view delays does not have; did you mean departures?"},
		{"- service: model", "- service: modl", "a.yaml:50:18: found no service called modl; did you mean model?"},
		{"entity: {origin: null}", "entity: {orign: JFK}", "a.yaml:51:25: found column orign, which service model does not have; did you mean origin?"},
		{"entity: {origin: null}", "entity: {}", "a.yaml:51:17: found no origin, which service model reads by, expected each key, and null for none"},
		{"features: {delays__departures: 1}", "features: {departures: 1}", "a.yaml:53:32: found column departures, which service model does not have"},
		{"features: {delays__departures: 1}", "features: {delays__departures: a}", `a.yaml:53:40: column delays__departures: found the text "a", expected an int64: a whole number, in quotes beyond 2^53`},
		{"statuses: {delays__departures: PRESENT}", "statuses: {delays: PRESENT}", "a.yaml:54:28: found column delays, which service model does not have"},
		{"PRESENT", "present", `a.yaml:54:40: found the status "present", expected one such as PRESENT, NULL, NO_ROW, EXPIRED or NOT_YET_KNOWN`},
		{"        features: {delays__departures: 1}\n        statuses: {delays__departures: PRESENT}\n", "", "a.yaml:50:9: found an answer of which nothing is expected, expected features or statuses"},
		{"    answers:", "    refused: x\n    answers:", "a.yaml:49:14: found refused beside views or answers, expected one of them: what is refused answers nothing"},
		{tested[strings.Index(tested, "    views:\n      - view: delays\n        rows"):], "", "a.yaml:34:5: found a test that expects nothing, expected views, answers or refused"},
		{"    answers:", "  - name: late_flights\n    answers:", "a.yaml:49:11: found a second test called late_flights, expected one of each name; rename or remove one; the other is at a.yaml:34:11"},
		{"    answers:", "    definitions: {tests: [{name: x}]}\n    answers:", "a.yaml:49:26: found tests within a test, expected definitions alone"},
		{"    answers:", "    definitions: {entities: [{name: airport, join_keys: [{name: origin, type: int46}]}]}\n    answers:", `a.yaml:49:79: found type "int46", expected one of bool, int64`},
		{"    answers:", "    definitions: {roles: [{name: admin}]}\n    answers:", "a.yaml:49:34: found the role admin, which is built in"},
		{"    answers:", "    definitions: {roles: [{name: 5}]}\n    answers:", "a.yaml:49:34: found the number 5 for name, expected text; put it in quotes"},
		{"name: late_flights", "name: Late flights", `a.yaml:34:11: found the name "Late flights", expected lower-case letters, digits and underscores, a letter first`},
	} {
		text := strings.Replace(tested, c.old, c.now, 1)
		if text == tested {
			t.Fatalf("%q is not in the text", c.old)
		}
		write(t, map[string]string{"a.yaml": text})
		if found := refused(t, "a.yaml").Error(); !strings.Contains(found, c.want) {
			t.Errorf("%s: found    %s\nexpected %s", c.now, found, c.want)
		}
		// What is wrong with tests does not keep definitions from being applied, but for what cannot be read.
		if _, err := Read([]string{"a.yaml"}); err != nil && !strings.Contains(c.want, "name") {
			t.Errorf("%s: found %v, expected tests to be left alone", c.now, err)
		}
	}
}
