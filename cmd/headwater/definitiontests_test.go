package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/headwaterhq/headwater/definition"
	"github.com/headwaterhq/headwater/feature"
)

// The tests of the examples hold.
func TestExamplesHold(t *testing.T) {
	r := headwater("test", "../../examples")
	if r.code != exitDone || strings.Contains(r.out, "FAILED") || strings.Count(r.out, "holds") < 11 ||
		!regexp.MustCompile(`^\d+ tests, all hold \([0-9.ms]+\)\n$`).MatchString(r.err) {
		t.Errorf("found status %d, %s%s", r.code, r.out, r.err)
	}
}

// A test of one row that is set aside among two is no matter of shares, unless the source says one.
func TestRowsThatAreSetAsideInATest(t *testing.T) {
	const file = `entities:
  - {name: shop, join_keys: [{name: shop, type: string}]}
sources:
  - name: sales
    columns: [{name: shop, type: string}, {name: at, type: timestamp}, {name: amount, type: float64}]
    event_time: at
    landing: {}
    expectations: [{column: amount, range: {min: 0}, on_failure: quarantine}]
feature_views:
  - name: last_sale
    entity: shop
    features: [{name: amount, type: float64}]
    sql: {sources: [sales], query: "SELECT shop, event_time, available_at, amount FROM sales"}
tests:
  - name: negative_amounts_do_not_count
    loads:
      - source: sales
        rows: [{shop: a, at: "2024-01-01T00:00:00Z", amount: 5}, {shop: a, at: "2024-01-02T00:00:00Z", amount: -5}]
    views: [{view: last_sale, rows: [{shop: a, event_time: "2024-01-01T00:00:00Z", amount: 5}]}]
`
	for name, c := range map[string]struct {
		file string
		code int
		want string
	}{
		"a default":      {file, exitDone, "holds"},
		"one of its own": {strings.Replace(file, "    landing: {}", "    landing: {}\n    max_quarantine_ratio: 0.2", 1), exitNotHeld, "expected at most 20% of rows quarantined"},
	} {
		path := filepath.Join(t.TempDir(), "sales.yaml")
		if err := os.WriteFile(path, []byte(c.file), 0o600); err != nil {
			t.Fatal(err)
		}
		if r := headwater("test", path); r.code != c.code || !strings.Contains(r.out, c.want) {
			t.Errorf("%s: found status %d, %s%s", name, r.code, r.out, r.err)
		}
	}
}

// shopTests are tests of the shop, most of which do not hold.
const shopTests = `tests:
  - name: rows
    loads:
      - source: sales
        rows:
          - {at: 2001-01-01T10:05:00Z, shop: a, amount: 1, kind: ok}
          - {at: 2001-01-01T11:05:00Z, shop: a, amount: 4, kind: ok}
          - {at: 2001-01-01T11:05:00Z, shop: b, amount: 5, kind: ok}
    views:
      - view: totals
        rows:
          - {shop: a, event_time: 2001-01-01T11:00:00Z, amount: 2}
          - {shop: a, amount: 4}
          - {shop: c, event_time: 2001-01-01T12:00:00Z, amount: 6}
      - {view: ratios, rows: [{shop: a, ratio: 100}, {shop: b, ratio: 20}, {shop: a, ratio: 25}]}
  - name: answers
    loads:
      - {source: sales, rows: [{at: 2001-01-01T10:05:00Z, shop: a, amount: 3, kind: ok}]}
    answers:
      - service: shop_model
        entity: {shop: a}
        at: 2001-01-01T11:00:00Z
        features: {totals__amount: 4, ratios__ratio: null}
        statuses: {totals__amount: PRESENT, ratios__ratio: PRESENT}
      - service: shop_model
        entity: {shop: b}
        at: 2001-01-01T11:00:00Z
        features: {totals__amount: null}
        statuses: {ratios__ratio: EXPIRED}
  - name: nothing_is_refused
    loads:
      - {source: sales, rows: [{at: 2001-01-01T10:05:00Z, shop: a, amount: 3, kind: ok}]}
    refused: no such thing
  - name: a_run_is_refused
    loads:
      - {source: sales, rows: [{at: 2001-01-01T10:05:00Z, shop: a, amount: 0, kind: ok}]}
    refused: division by zero
  - name: another_refusal
    definitions:
      feature_views:
        - name: ratios
          entity: shop
          features: [{name: ratio, type: float64}]
          sql: {sources: [sales], query: "SELECT shop, event_time, available_at, random() AS ratio FROM sales"}
    refused: no such thing
  - name: a_refusal_that_nobody_expects
    loads:
      - {source: sales, rows: [{shop: a}]}
    views: [{view: ratios, rows: []}]
`

func TestWhatDoesNotHoldIsShown(t *testing.T) {
	definitions, tests := file(t, "shop.yaml", shopDefinitions), file(t, "tests.yaml", shopTests)
	r := headwater("test", definitions, tests)
	want := "FAILED  rows  (TESTS:2)\n" +
		"  view totals: found other rows than expected\n" +
		"    ROW         SHOP  EVENT TIME            COLUMN  EXPECTED  FOUND\n" +
		"    differs     a     2001-01-01T11:00:00Z  amount  2         1\n" +
		"    unexpected  b     2001-01-01T12:00:00Z                    available_at=2001-01-01T11:05:00Z, amount=5\n" +
		"    missing     c     2001-01-01T12:00:00Z          amount=6\n" +
		"FAILED  answers  (TESTS:16)\n" +
		"  answer 1, of service shop_model: found another answer than expected at 2001-01-01T11:00:00Z\n" +
		"    FEATURE         EXPECTED  FOUND\n" +
		"    ratios__ratio   NULL      33 (PRESENT)\n" +
		"    totals__amount  4         3 (PRESENT)\n" +
		"  answer 2, of service shop_model: found another answer than expected at 2001-01-01T11:00:00Z\n" +
		"    FEATURE        EXPECTED  FOUND\n" +
		"    ratios__ratio  EXPIRED   NO_ROW\n" +
		"FAILED  nothing_is_refused  (TESTS:30)\n" +
		"  refused: found that nothing was refused, expected a refusal that says \"no such thing\"\n" +
		"holds   a_run_is_refused\n" +
		"FAILED  another_refusal  (TESTS:38)\n" +
		"  refused: found a refusal of the definitions that says:\n" +
		"    found 1 problem in the definitions\n" +
		"      TESTS:44:"
	found := strings.ReplaceAll(r.out, tests, "TESTS")
	if r.code != exitNotHeld || !strings.HasPrefix(found, want) {
		t.Errorf("found status %d, %s\nexpected %s", r.code, found, want)
	}
	for _, part := range []string{
		"random()", "\n  expected one that says \"no such thing\"\n",
		"FAILED  a_refusal_that_nobody_expects  (TESTS:46)\n  load 1, of source sales: found a refusal, expected none:\n    a_refusal_that_nobody_expects, load 1: row 1: column at is the event time",
	} {
		if !strings.Contains(found, part) {
			t.Errorf("found %s\nexpected %s", found, part)
		}
	}
	if !strings.HasPrefix(r.err, "6 tests, of which 5 do not hold (") {
		t.Errorf("found %s", r.err)
	}
}

func TestTestsThatAreNotRun(t *testing.T) {
	definitions, tests := file(t, "shop.yaml", shopDefinitions), file(t, "tests.yaml", shopTests)
	headwater("test", definitions).expect(t, exitNotFound, "", "headwater: found no test in "+definitions+
		", expected some under tests: in a file of definitions\n")
	headwater("test", definitions, tests, "--run", "b$").expect(t, exitUsage, "", "headwater: --run: found no test whose name matches \"b$\", expected "+
		"one of rows, answers, nothing_is_refused, a_run_is_refused, another_refusal, a_refusal_that_nobody_expects\n")
	headwater("test", definitions, tests, "--run", "(").expect(t, exitUsage, "", "headwater: --run: found \"(\", expected a regular "+
		"expression: missing closing ): `(`\n")
	headwater("test", definitions, tests, "--timeout", "0s").expect(t, exitUsage, "", "headwater: --timeout: found 0s, expected more than none\n")
	bad := file(t, "bad.yaml", strings.Replace(shopTests, "view: totals", "view: total", 1))
	headwater("test", definitions, bad).expect(t, exitFailed, "", "headwater: found 1 problem in the definitions\n  "+bad+
		":10:15: found no view called total; did you mean totals?\n")
}

func TestATestThatDoesNotEnd(t *testing.T) {
	definitions := file(t, "shop.yaml", strings.Replace(shopDefinitions, "FROM sales\nfeature_services", "FROM sales, (SELECT pg_sleep(3600)) s\nfeature_services", 1))
	tests := file(t, "tests.yaml", shopTests)
	r := headwater("test", definitions, tests, "--run", "^answers$", "--timeout", "1ms")
	want := "FAILED  answers  (" + tests + ":16)\n  time: found no end after 1ms, expected one; look at what the test does, or give it longer with --timeout\n"
	if r.code != exitNotHeld || r.out != want || !strings.HasPrefix(r.err, "1 test, of which 1 does not hold (") {
		t.Errorf("found status %d, %s%s\nexpected %s", r.code, r.out, r.err, want)
	}
}

func TestFormsOfTestResults(t *testing.T) {
	differences := table{header: []string{"ROW", "EVENT TIME"}}
	differences.add("missing", "2001-01-01T00:00:00Z")
	results := []testResult{
		{Name: "a", File: "t.yaml", Line: 1, Holds: true, Seconds: 1.5},
		{Name: "b", File: "t.yaml", Line: 5, Problems: []problem{withDifferences("view v", "found other rows", differences)}},
	}
	var out bytes.Buffer
	a := &app{streams: streams{out: &out, err: &out}, output: "csv"}
	if err := a.printResults(results); err != nil {
		t.Fatal(err)
	}
	if want := "test,file,line,result,problem\na,t.yaml,1,holds,\nb,t.yaml,5,failed,view v: found other rows\n"; out.String() != want {
		t.Errorf("found %s, expected %s", out.String(), want)
	}
	out.Reset()
	a.output = "json"
	if err := a.printResults(results); err != nil {
		t.Fatal(err)
	}
	var read struct{ Tests []testResult }
	if err := json.Unmarshal(out.Bytes(), &read); err != nil {
		t.Fatal(err)
	}
	if b := read.Tests[1]; len(read.Tests) != 2 || !read.Tests[0].Holds || read.Tests[0].Seconds != 1.5 || b.Holds ||
		b.Problems[0].What != "view v" || b.Problems[0].Differences[0]["event_time"] != "2001-01-01T00:00:00Z" {
		t.Errorf("found %s", out.String())
	}
}

// As many rows are paired as can be, whatever their order: the first expected row takes either, the second only one.
func TestRowsArePaired(t *testing.T) {
	row := func(amount, kind int64) map[string]feature.Value {
		return map[string]feature.Value{"shop": feature.String("a"), "amount": feature.Int64(amount), "kind": feature.Int64(kind)}
	}
	either := map[string]feature.Value{"shop": feature.String("a"), "amount": feature.Int64(1)}
	e := &definition.Holding{
		View:   &feature.View{Name: "v", Features: []feature.Column{{Name: "amount", Type: feature.TypeInt64}, {Name: "kind", Type: feature.TypeInt64}}},
		Entity: &feature.Entity{Name: "shop", JoinKeys: []feature.Column{{Name: "shop", Type: feature.TypeString}}},
		Rows:   []map[string]feature.Value{either, row(1, 1)},
	}
	if p := compareRows(e, []map[string]feature.Value{row(1, 1), row(1, 2)}); p != nil {
		t.Errorf("found %+v, expected rows to be paired", p)
	}
	// A row that is there twice is expected twice.
	if p := compareRows(e, []map[string]feature.Value{row(1, 1), row(1, 1), row(1, 1)}); p == nil || p.table.rows[0][0] != "unexpected" {
		t.Errorf("found %+v, expected one row too many", p)
	}
}
