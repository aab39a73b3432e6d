package feature

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

func float(f float64) *float64 { return &f }

// expecting gives expectations the names that they have in files.
func expecting(list ...Expectation) []Expectation {
	for i := range list {
		if list[i].Name == "" {
			list[i].Name = list[i].DefaultName()
		}
	}
	return list
}

// every has an expectation of each kind, in a source or a view.
func everyOfSource() []Expectation {
	most := int64(3)
	at := Time(0)
	return expecting(
		Expectation{Column: "origin", Kind: ExpectNotNull, OnFailure: QuarantineRow},
		Expectation{Column: "delay", Kind: ExpectRange, Min: -60.0, Max: 1440.0, OnFailure: DropRow, WarnAbove: 0.1, ErrorAbove: float(0.5)},
		Expectation{Column: "origin", Kind: ExpectAcceptedValues, Values: []Literal{"AMS", "JFK"}, OnFailure: QuarantineRow},
		Expectation{Column: "origin", Kind: ExpectRegex, Pattern: "^[A-Z]{3}$", OnFailure: QuarantineRow},
		Expectation{Column: "origin", Kind: ExpectLength, MinLength: 3, MaxLength: &most, OnFailure: QuarantineRow},
		Expectation{Column: "date", Kind: ExpectPlausible, Future: time.Hour, NotBefore: &at, OnFailure: QuarantineRow},
		Expectation{Column: "carrier", Kind: ExpectReferences, References: &Reference{Source: "flights", Columns: nil}, OnFailure: QuarantineRow},
		Expectation{Name: "late", Kind: ExpectCEL, CEL: "row.delay < 600.0", OnFailure: DropRow},
		Expectation{Kind: ExpectUnique, Columns: []string{"origin", "carrier", "date"}, OnFailure: KeepRow},
		Expectation{Kind: ExpectRowCount, Error: Bounds{Min: float(1)}},
		Expectation{Kind: ExpectRowCountRatio, Warn: Bounds{Min: float(0.5), Max: float(2)}},
		Expectation{Kind: ExpectFreshness, WarnAfter: time.Hour, ErrorAfter: 2 * time.Hour},
		Expectation{Column: "delay", Kind: ExpectCompleteness, Bucket: 24 * time.Hour, Warn: Bounds{Min: float(0.9)}, Error: Bounds{Min: float(0.5)}},
		Expectation{Column: "delay", Kind: ExpectCompletenessChange, Runs: 3, Warn: Bounds{Min: float(-0.1), Max: float(0.1)}},
		Expectation{Column: "delay", Kind: ExpectDistinctRatio, Warn: Bounds{Min: float(0.1)}},
		Expectation{Column: "delay", Kind: ExpectMean, Warn: Bounds{Min: float(-5), Max: float(60)}},
		Expectation{Column: "delay", Kind: ExpectQuantile, Quantile: 0.5, Warn: Bounds{Max: float(60)}},
		Expectation{Kind: ExpectSchemaUnchanged},
	)
}

func everyOfView() []Expectation {
	return expecting(
		Expectation{Column: "departures", Kind: ExpectRange, Min: 0.0, OnFailure: QuarantineRow},
		Expectation{Column: "event_time", Kind: ExpectPlausible, OnFailure: KeepRow},
		Expectation{Column: "origin", Kind: ExpectNotNull},
		Expectation{Kind: ExpectEntitiesKept, Error: Bounds{Min: float(0.9)}},
		Expectation{Kind: ExpectRowsKept, Warn: Bounds{Min: float(0.1)}},
		Expectation{Kind: ExpectUnique, ErrorAbove: float(0.5)},
	)
}

func TestExpectationsOfEachKindAreValid(t *testing.T) {
	d := flights()
	d.Sources[0].Expectations, d.Views[0].Expectations = everyOfSource(), everyOfView()
	d.Sources[0].MaxQuarantineRatio, d.Views[0].MaxQuarantineRatio = float(0), float(1)
	if problems := d.Validate(nil); len(problems) > 0 {
		t.Fatal(problems)
	}
}

func TestExpectationsTellWhatIsWrong(t *testing.T) {
	negative, one := int64(-1), int64(1)
	for _, c := range []struct {
		name    string
		e       Expectation
		field   string
		message string
	}{
		{"column of nothing", Expectation{Column: "orgin", Kind: ExpectNotNull}, "column", `found no column called "orgin" in source flights; did you mean origin?`},
		{"no column", Expectation{Kind: ExpectMean, Warn: Bounds{Min: float(1)}}, "column", "found no column, expected that which mean is about"},
		{"column of whole rows", Expectation{Column: "delay", Kind: ExpectCEL, CEL: "true"}, "column", `found column "delay" for cel, which is about whole rows`},
		{"range of a bool", Expectation{Column: "cancelled", Kind: ExpectRange, Min: 1.0}, "column",
			"found column cancelled of type bool for range, expected a number, a text or a timestamp"},
		{"bound of another type", Expectation{Column: "carrier", Kind: ExpectRange, Min: "x"}, "range.min", `found "x", expected an int64`},
		{"bound with parts", Expectation{Column: "carrier", Kind: ExpectRange, Max: 1.5}, "range.max", "found 1.5, expected a whole number"},
		{"NaN", Expectation{Column: "delay", Kind: ExpectRange, Max: "NaN"}, "range.max", "found NaN, expected a number: nothing lies within it"},
		{"no bounds", Expectation{Column: "delay", Kind: ExpectRange}, "range", "found no bounds, expected min or max"},
		{"bounds that cross", Expectation{Column: "delay", Kind: ExpectRange, Min: 2.0, Max: 1.0}, "range", "found min 2 above max 1"},
		{"null among values", Expectation{Column: "origin", Kind: ExpectAcceptedValues, Values: []Literal{"a", nil}}, "accepted_values.values[1]",
			"found null, expected a value: rows without one fail only not_null"},
		{"values twice", Expectation{Column: "delay", Kind: ExpectAcceptedValues, Values: []Literal{0.0, math.Copysign(0, -1)}}, "accepted_values.values[1]",
			"a second time, expected each value once"},
		{"word boundary", Expectation{Column: "origin", Kind: ExpectRegex, Pattern: `\ba`}, "regex", "found a word boundary"},
		{"lines", Expectation{Column: "origin", Kind: ExpectRegex, Pattern: `(?m)^a`}, "regex", "found the flag m"},
		{"look-ahead", Expectation{Column: "origin", Kind: ExpectRegex, Pattern: `(?=a)`}, "regex", `found "(?=", which is no pattern (invalid or unsupported Perl syntax), expected the syntax of RE2`},
		{"unclosed", Expectation{Column: "origin", Kind: ExpectRegex, Pattern: `(a`}, "regex", `found "(a", which is no pattern (missing closing ))`},
		{"many times", Expectation{Column: "origin", Kind: ExpectRegex, Pattern: `a{300}`}, "regex", "found a repetition of 300 times, expected at most 255"},
		{"too many steps", Expectation{Column: "origin", Kind: ExpectRegex, Pattern: strings.Repeat("(ab){250}", 30)}, "regex", "steps once its repetitions are written out"},
		{"nothing matches", Expectation{Column: "origin", Kind: ExpectRegex, Pattern: `[^\x00-\x{10FFFF}]`}, "regex", "found a part that matches nothing"},
		{"long pattern", Expectation{Column: "origin", Kind: ExpectRegex, Pattern: strings.Repeat("a", 1001)}, "regex", "found a pattern of 1001 bytes"},
		{"pattern of a number", Expectation{Column: "delay", Kind: ExpectRegex, Pattern: `a`}, "column", "expected a text"},
		{"length of a number", Expectation{Column: "delay", Kind: ExpectLength, MinLength: 1}, "column", "expected a text, bytes or a list"},
		{"no length", Expectation{Column: "origin", Kind: ExpectLength}, "length", "found no bounds, expected min or max"},
		{"lengths below zero", Expectation{Column: "origin", Kind: ExpectLength, MinLength: negative}, "length", "found a length below zero"},
		{"lengths that cross", Expectation{Column: "origin", Kind: ExpectLength, MinLength: 2, MaxLength: &one}, "length", "found min 2 above max 1"},
		{"plausible text", Expectation{Column: "origin", Kind: ExpectPlausible}, "column", "expected a timestamp"},
		{"reference to nothing", Expectation{Column: "origin", Kind: ExpectReferences, References: &Reference{Source: "flihgts"}}, "references.source",
			`found no source called "flihgts"; did you mean flights?`},
		{"reference of another type", Expectation{Kind: ExpectReferences, References: &Reference{Source: "flights", Columns: map[string]string{"origin": "carrier"}}},
			`references.columns["origin"]`, "found column origin of type string and column carrier of source flights of type int64, expected one type"},
		{"reference to no column", Expectation{Kind: ExpectReferences, References: &Reference{Source: "flights", Columns: map[string]string{"origin": "place"}}},
			`references.columns["origin"]`, `found no column called "place" in source flights`},
		{"reference twice", Expectation{Column: "origin", Kind: ExpectReferences, References: &Reference{Source: "flights", Columns: map[string]string{"origin": "origin"}}},
			"column", "found a column beside references.columns, expected one of them"},
		{"unique leaves out", Expectation{Kind: ExpectUnique, Columns: []string{"origin"}, OnFailure: DropRow}, "on_failure", "found drop for unique, expected fail or keep"},
		{"unique of nothing", Expectation{Kind: ExpectUnique}, "unique", "found no columns, and the source has no unique_key"},
		{"kept entities of a source", Expectation{Kind: ExpectEntitiesKept, Error: Bounds{Min: float(1)}}, "entities_kept", "found entities_kept for a source"},
		{"set without bounds", Expectation{Kind: ExpectRowCount}, "", "found no bounds for row_count, expected warn, error or both"},
		{"set that quarantines", Expectation{Kind: ExpectRowCount, OnFailure: QuarantineRow, Error: Bounds{Min: float(1)}}, "on_failure", "about all rows together"},
		{"set with shares", Expectation{Kind: ExpectRowCount, ErrorAbove: float(0.1), Error: Bounds{Min: float(1)}}, "error_above", "expected bounds: error"},
		{"row with bounds", Expectation{Column: "origin", Kind: ExpectNotNull, Warn: Bounds{Min: float(1)}}, "warn", "expected a share of failing rows: warn_above"},
		{"warn after fail", Expectation{Column: "origin", Kind: ExpectNotNull, WarnAbove: 0.1}, "warn_above",
			"found 0.1, at which the run has failed already, as any failing row does unless error_above or another on_failure is given"},
		{"warn above error", Expectation{Column: "origin", Kind: ExpectNotNull, OnFailure: DropRow, WarnAbove: 0.2, ErrorAbove: float(0.1)}, "warn_above",
			"found 0.2, at which the run has failed already, expected it below error_above"},
		{"fail that never does", Expectation{Column: "origin", Kind: ExpectNotNull, ErrorAbove: float(1)}, "error_above", "write on_failure: keep"},
		{"share of NaN", Expectation{Column: "origin", Kind: ExpectNotNull, ErrorAbove: float(math.NaN())}, "error_above", "found NaN, expected a share of rows from 0 to 1"},
		{"per cent", Expectation{Column: "delay", Kind: ExpectCompleteness, Error: Bounds{Min: float(95)}}, "error.min", "found 95, expected a share from 0 to 1"},
		{"below nothing", Expectation{Kind: ExpectRowCount, Error: Bounds{Min: float(-1)}}, "error.min", "found -1, expected 0 or more"},
		{"infinite bound", Expectation{Column: "delay", Kind: ExpectMean, Error: Bounds{Max: float(math.Inf(1))}}, "error.max", "leave it out for no bound"},
		{"warn wider than error", Expectation{Kind: ExpectRowCount, Warn: Bounds{Min: float(1)}, Error: Bounds{Min: float(2)}}, "warn", "wider than those of error"},
		{"ages that cross", Expectation{Kind: ExpectFreshness, WarnAfter: time.Hour, ErrorAfter: time.Minute}, "freshness.warn_after", "at which error_after has failed"},
		{"no age", Expectation{Kind: ExpectFreshness}, "freshness", "expected warn_after or error_after"},
		{"quantile beyond", Expectation{Column: "delay", Kind: ExpectQuantile, Quantile: 2, Warn: Bounds{Max: float(1)}}, "quantile.q", "such as 0.5 for the median"},
		{"bounds of a schema", Expectation{Kind: ExpectSchemaUnchanged, Warn: Bounds{Max: float(1)}}, "warn", "a schema that has changed fails the run"},
		{"fine bucket of completeness", Expectation{Column: "delay", Kind: ExpectCompleteness, Bucket: time.Microsecond, Error: Bounds{Min: float(1)}}, "completeness.bucket",
			"found 1µs, expected at least 1m: a finer bucket has about one row, whose share says nothing; write a wider one, such as 24h, or leave it out"},
		{"fine bucket of rows", Expectation{Kind: ExpectRowsKept, Bucket: 59 * time.Second, Error: Bounds{Min: float(1)}}, "rows_kept.bucket",
			"found 59s, expected at least 1m: a finer bucket has about one row, whose share says nothing; write a wider one, such as 24h, or leave it out"},
		{"many runs", Expectation{Kind: ExpectRowCountRatio, Runs: 2000, Warn: Bounds{Max: float(1)}}, "row_count_ratio.runs", "expected from 1 to 1000"},
		{"name of outputs", Expectation{Name: "a__b", Column: "origin", Kind: ExpectNotNull}, "name", "no double underscore"},
		{"long default name", Expectation{Kind: ExpectUnique, Columns: slices.Repeat([]string{"cancelled"}, 7), OnFailure: KeepRow}, "name", "write a name"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := flights()
			d.Sources[0].Expectations = expecting(c.e)
			want := strings.TrimSuffix("sources[0].expectations[0]."+c.field, ".")
			problems := d.Validate(nil)
			if !slices.ContainsFunc(problems, func(p Problem) bool { return p.Field == want && strings.Contains(p.Message, c.message) }) {
				t.Errorf("found %+v\nexpected %s: %s", problems, want, c.message)
			}
		})
	}
}

func TestExpectationsOfViewsTellWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		name           string
		change         func(d *Definitions)
		field, message string
	}{
		{"two of one name", func(d *Definitions) {
			d.Views[0].Expectations = expecting(Expectation{Column: "origin", Kind: ExpectNotNull}, Expectation{Column: "origin", Kind: ExpectNotNull})
		}, "expectations[1].name", "found no name, and origin_not_null, which is made of column and kind, is that of expectation number 1"},
		{"two written names", func(d *Definitions) {
			d.Views[0].Expectations = expecting(Expectation{Name: "a", Column: "origin", Kind: ExpectNotNull}, Expectation{Name: "a", Column: "region", Kind: ExpectNotNull})
		}, "expectations[1].name", "found a second expectation called a (the first is number 1)"},
		{"schema of a view", func(d *Definitions) { d.Views[0].Expectations = expecting(Expectation{Kind: ExpectSchemaUnchanged}) },
			"expectations[0].schema_unchanged", "the columns of a view are those of its version"},
		{"column that it does not output", func(d *Definitions) {
			d.Views[0].Expectations = expecting(Expectation{Column: "delay", Kind: ExpectNotNull})
		},
			"expectations[0].column", `found no column called "delay" in view route_delays`},
		{"ratio beyond one", func(d *Definitions) { d.Views[0].MaxQuarantineRatio = float(1.5) }, "max_quarantine_ratio", "found 1.5, expected a share from 0 to 1"},
		{"references of others", func(d *Definitions) {
			d.Sources[0].Postgres = &PostgresOrigin{Schema: "public", Table: "t"}
			d.Views[0].Expectations = expecting(Expectation{Column: "origin", Kind: ExpectReferences, References: &Reference{Source: "flights"}})
		}, "expectations[0].references.source", "whose rows others keep, expected a landing source"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := flights()
			c.change(d)
			want := "feature_views[0]." + c.field
			problems := d.Validate(nil)
			if !slices.ContainsFunc(problems, func(p Problem) bool { return p.Field == want && strings.Contains(p.Message, c.message) }) {
				t.Errorf("found %+v\nexpected %s: %s", problems, want, c.message)
			}
		})
	}
}

// What leaves rows out is in the fingerprints, each part of it; all else is not.
func TestFingerprintOfExpectationsGolden(t *testing.T) {
	lines := []string{}
	seen := map[Digest]string{}
	add := func(name string, d Digest) {
		lines = append(lines, name+" "+d.String())
		if other, ok := seen[d]; ok {
			t.Errorf("%s and %s have one fingerprint", name, other)
		}
		seen[d] = name
	}
	add("none", flights().Sources[0].Fingerprint())
	for i, e := range everyOfSource() {
		s := flights().Sources[0]
		s.Expectations = []Expectation{e}
		if e.LeavesOut() {
			add(e.Name, s.Fingerprint())
		} else if s.Fingerprint() != flights().Sources[0].Fingerprint() {
			t.Errorf("%d %s: changed the fingerprint, though it leaves no row out", i, e.Name)
		}
	}
	d := flights()
	d.Sources[0].Expectations, d.Views[0].Expectations = everyOfSource(), everyOfView()
	add("all", d.Sources[0].Fingerprint())
	add("view", fingerprints(d)[KindView])
	golden(t, "expectation_fingerprints.txt", lines)
}

func TestFingerprintOfExpectationsIgnoresWhatLeavesTheSameRowsOut(t *testing.T) {
	d := flights()
	d.Sources[0].Expectations, d.Views[0].Expectations = everyOfSource(), everyOfView()
	want := fingerprints(d)
	for name, change := range map[string]func(list []Expectation){
		"names":           func(list []Expectation) { list[0].Name, list[0].Description = "other", "words" },
		"thresholds":      func(list []Expectation) { list[0].WarnAbove, list[0].ErrorAbove = 0.2, float(0.3) },
		"what is kept":    func(list []Expectation) { list[0].OnFailure = DropRow },
		"order":           func(list []Expectation) { list[0], list[1] = list[1], list[0] },
		"spelling":        func(list []Expectation) { list[1].Min, list[1].Max = -60.0, 1440.0 },
		"layout of CEL":   func(list []Expectation) { list[7].CEL = " row.delay<600.0 // late" },
		"order of values": func(list []Expectation) { list[2].Values = []Literal{"JFK", "AMS"} },
	} {
		d := flights()
		d.Sources[0].Expectations, d.Views[0].Expectations = everyOfSource(), everyOfView()
		change(d.Sources[0].Expectations)
		if got := fingerprints(d); got[KindSource] != want[KindSource] || got[KindView] != want[KindView] {
			t.Errorf("%s: changed the fingerprints", name)
		}
	}
	for name, change := range map[string]func(list []Expectation){
		"a bound":        func(list []Expectation) { list[1].Max = 1441.0 },
		"no bound":       func(list []Expectation) { list[1].Max = nil },
		"a value":        func(list []Expectation) { list[2].Values = []Literal{"AMS"} },
		"a pattern":      func(list []Expectation) { list[3].Pattern = "^[A-Z]+$" },
		"a length":       func(list []Expectation) { list[4].MaxLength = nil },
		"a clock":        func(list []Expectation) { list[5].Future = 0 },
		"another source": func(list []Expectation) { list[6].References = &Reference{Source: "others"} },
		"another column": func(list []Expectation) {
			list[6].References = &Reference{Source: "flights", Columns: map[string]string{"carrier": "x"}}
		},
		"an expression":   func(list []Expectation) { list[7].CEL = "row.delay < 601.0" },
		"rows are let in": func(list []Expectation) { list[0].OnFailure = KeepRow },
	} {
		d := flights()
		d.Sources[0].Expectations, d.Views[0].Expectations = everyOfSource(), everyOfView()
		change(d.Sources[0].Expectations)
		if got := fingerprints(d); got[KindSource] == want[KindSource] || got[KindView] == want[KindView] {
			t.Errorf("%s: kept the fingerprints", name)
		}
	}
}

func TestDiffOfExpectations(t *testing.T) {
	source := func(change func(list []Expectation) []Expectation) *SourceVersion {
		s := flights().Sources[0]
		s.Expectations = change(everyOfSource())
		return &SourceVersion{Version: 1, Fingerprint: s.Fingerprint(), Source: s}
	}
	for _, c := range []struct {
		name   string
		change func(list []Expectation) []Expectation
		words  bool
		lines  []string
	}{
		{"threshold", func(list []Expectation) []Expectation { list[0].ErrorAbove = float(0.01); return list }, true,
			[]string{"expectation origin_not_null: not_null: origin not NULL, on failure quarantine -> not_null: origin not NULL, on failure quarantine, error above 0.01"}},
		{"bound", func(list []Expectation) []Expectation { list[1].Max = 10.0; return list }, false,
			[]string{"expectation delay_range: range: delay from -60 to 1440, on failure drop, warn above 0.1, error above 0.5 -> " +
				"range: delay from -60 to 10, on failure drop, warn above 0.1, error above 0.5"}},
		{"removed and added", func(list []Expectation) []Expectation {
			return append(list[:len(list)-1], expecting(Expectation{Column: "landed", Kind: ExpectNotNull})...)
		}, true, []string{"expectation schema_unchanged: removed (was schema_unchanged: columns and types of the run before)",
			"expectation landed_not_null: added (not_null: landed not NULL, on failure fail)"}},
		{"description", func(list []Expectation) []Expectation { list[0].Description = "x"; return list }, true,
			[]string{"description of expectation origin_not_null"}},
		{"order", func(list []Expectation) []Expectation { return append(expecting(list[1], list[0]), list[2:]...) }, true,
			[]string{"expectations: in another order: "}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := DiffSource(source(func(l []Expectation) []Expectation { return l }), source(c.change))
			same := len(got.Lines) == len(c.lines)
			for i := range c.lines {
				same = same && strings.HasPrefix(got.Lines[i], c.lines[i])
			}
			if got.WordsOnly != c.words || !same {
				t.Fatalf("found %t %q\nexpected %t %q", got.WordsOnly, got.Lines, c.words, c.lines)
			}
		})
	}
}

func TestExpectedSaysWhatIsHeld(t *testing.T) {
	for i, want := range []string{
		"origin not NULL", "delay from -60 to 1440", `origin one of "AMS", "JFK"`, "origin matching ^[A-Z]{3}$", "length of origin from 3 to 3",
		"date at most 1h in the future, not before 1970-01-01T00:00:00Z", "carrier in flights (carrier)", "row.delay < 600.0",
		"no two rows with the same origin, carrier, date", "row count at least 1", "row count, divided by the median of 7 earlier runs, from 0.5 to 2, else it warns",
		"age of the newest row at most 2h, else it fails, and at most 1h, else it warns",
		"share of rows with delay in each 24h at least 0.5, else it fails, and at least 0.9, else it warns",
	} {
		if got := everyOfSource()[i].Expected(); got != want {
			t.Errorf("found %q, expected %q", got, want)
		}
	}
}
