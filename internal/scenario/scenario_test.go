package scenario_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/headwaterhq/headwater/internal/scenario"
	"github.com/headwaterhq/headwater/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func parse(t *testing.T, path string) []scenario.Step {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	steps, err := scenario.Parse(file)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return steps
}

// The same files through every engine.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("found %d scenarios: %v", len(files), err)
	}
	engines := []struct {
		name string
		open func(*testing.T) scenario.Engine
	}{
		{"reference", func(*testing.T) scenario.Engine { return &scenario.Model{} }},
		{"store", func(t *testing.T) scenario.Engine { return newStore(t) }},
	}
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			for _, engine := range engines {
				t.Run(engine.name, func(t *testing.T) {
					err := scenario.Run(parse(t, path), engine.open(t), t.TempDir(), func(line int, problem string) {
						t.Errorf("%s:%d: %s", path, line, problem)
					})
					if err != nil {
						t.Fatalf("%s: %v", path, err)
					}
				})
			}
		})
	}
}

// What a file expects is looked at: each wrong expectation is reported, at its line.
func TestWrongExpectationsAreReported(t *testing.T) {
	const head = `definitions
  entities: [{name: sensor, join_keys: [{name: name, type: string}]}]
  sources:
    - {name: readings, columns: [{name: at, type: timestamp}, {name: name, type: string}, {name: value, type: float64}], event_time: at, landing: {}}
  feature_views:
    - name: last
      entity: sensor
      features: [{name: value, type: float64}]
      sql: {sources: [readings], query: "SELECT name, event_time, available_at, value FROM readings"}
view last is computed by rows
load one into readings
  at    name value
  10:00 a    1
`
	for _, c := range []struct{ name, text, want string }{
		{"ledger", "materialize last\n  produced 2\n", "line 14: found produced 1, expected 2"},
		{"status", "materialize last\n  live 1\nspine last\n  name at | status\n  a 11:00 | NO_ROW\n", "expected status NO_ROW"},
		{"value", "materialize last\n  live 1\nspine last\n  name at | status value\n  a 11:00 | PRESENT 2\n", `expected value "2"`},
		{"event time", "materialize last\n  live 1\nspine last\n  name at | status event\n  a 11:00 | PRESENT 10:01\n", "expected event time 2024-01-01T10:01:00Z"},
		{"run", "materialize last\n  live 1\nspine last\n  name at | status run\n  a 11:00 | PRESENT 2\n", "expected run 2"},
		{"online", "materialize last\n  live 1\nonline last\n  name | status\n  a | PRESENT\n", "found NO_ROW, expected status PRESENT"},
		{"unknown count", "materialize last\n  lives 1\n", `found the count "lives"`},
		{"unknown column", "spine last\n  name at | status vlaue\n  a 11:00 | PRESENT 2\n", "found the column vlaue"},
		{"unknown status", "spine last\n  name at | status\n  a 11:00 | GONE\n", `found the status "GONE"`},
		{"second view", "materialize last\n  live 1\nspine last last\n  name at | status | status\n  a 11:00 | PRESENT | NO_ROW\n", "line 18: found PRESENT"},
		{"a bar too few", "spine last last\n  name at | status\n  a 11:00 | NO_ROW\n", "line 15: found 1 bars, expected the question and, for each view, `|` and the answer"},
		{"unknown view", "spine lost\n  name at | status\n  a 11:00 | NO_ROW\n", "found no view called lost"},
		{"no time", "spine last\n  name | status\n  a | NO_ROW\n", "found no column at"},
		{"a cell too few", "load two into readings\n  at name value\n  10:00 a\n", "line 16: found 2 cells, expected 3"},
		{"a value that is none", "load two into readings\n  at name value\n  10:00 a x\n", "line 16: column value"},
	} {
		t.Run(c.name, func(t *testing.T) {
			steps, err := scenario.Parse(strings.NewReader(head + c.text))
			if err != nil {
				t.Fatal(err)
			}
			var found []string
			err = scenario.Run(steps, &scenario.Model{}, t.TempDir(), func(line int, problem string) {
				found = append(found, fmt.Sprintf("line %d: %s", line, problem))
			})
			if err != nil {
				found = append(found, err.Error())
			}
			if len(found) != 1 || !strings.Contains(found[0], c.want) {
				t.Errorf("found %q, expected one with %q", found, c.want)
			}
		})
	}
}

func TestParseProblems(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"matrialize last\n", "line 1: found `matrialize last`, expected one of: definitions | view VIEW"},
		{"# a comment\n\n  block\n", "line 3: found a block before any command"},
		{"retract one\n  two\n", "line 1: line 2: found \"  two\", expected no block"},
		{"retract one\n\ttwo\n", "line 2: found a tab, expected spaces"},
		{"clock noon\n", `found the time "noon", expected HH:MM`},
		{"materialize last\n", "found no counts, expected the run's ledger"},
		{"materialize last\n  produced\n", "expected counts such as"},
		{"materialize last from 10:00\n", "expected one of"},
		{"spine last as of now\n  a | b\n  c | d\n", `found the position "now"`},
		{"online last\n  a | b\n", "found no rows"},
		{"spine last\n", "found no rows"},
		{"spine\n  a | b\n  c | d\n", "expected one of"},
		{"load a into b\n  c\n", "found no rows"},
		{"retract \"one\n", "found a quote that does not close"},
	} {
		if _, err := scenario.Parse(strings.NewReader(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: found %v, expected %q", c.text, err, c.want)
		}
	}
}

func TestParseTime(t *testing.T) {
	for text, want := range map[string]string{
		"10:00": "2024-01-01T10:00:00Z", "34:00:01.5": "2024-01-02T10:00:01.5Z", "0:00:00.000001": "2024-01-01T00:00:00.000001Z",
		"1969-12-31T23:59:59.999999Z": "1969-12-31T23:59:59.999999Z",
	} {
		if got, err := scenario.ParseTime(text); err != nil || got.String() != want {
			t.Errorf("%s: found %s, %v, expected %s", text, got, err, want)
		}
	}
}
