package quality

import (
	"fmt"
	"slices"
	"strings"
)

// State is what came of a check.
type State string

// The states. The list is closed, and mirrors the proto's CheckState.
const (
	Passed State = "PASSED"
	Warned State = "WARNED"
	Failed State = "FAILED"
	// Errored is a check that broke, so that nothing is known of what it guards.
	Errored State = "ERRORED"
	// NoBaseline has no earlier run to compare with.
	NoBaseline State = "NO_BASELINE"
	Skipped    State = "SKIPPED"
)

// Blocks reports whether a run with such a result is not published.
func (s State) Blocks() bool { return s == Failed || s == Errored }

// Output is the subject of checks of what a run made. That of a source is SourceSubject.
const Output = "output"

const sourcePrefix = "source:"

// SourceSubject is the subject of checks of a source's rows: `source:NAME`.
func SourceSubject(name string) string { return sourcePrefix + name }

// SourceOf is the source that a subject is about. false: it is the output.
func SourceOf(subject string) (name string, ok bool) { return strings.CutPrefix(subject, sourcePrefix) }

// MaxExamples is how many keys of rows that failed a result has.
const MaxExamples = 5

// maxExampleValue is how many characters of a value an example shows.
const maxExampleValue = 80

// shownCharacters is how many characters of a value an example keeps at most.
const shownCharacters = 4 * maxExampleValue

// Field is a column of an example with its value as text.
type Field struct {
	Column string `json:"column"`
	Value  string `json:"value"`
}

// Example is the key of a row that failed.
type Example []Field

// String is `COLUMN VALUE, COLUMN VALUE`.
func (e Example) String() string {
	parts := make([]string, len(e))
	for i, f := range e {
		value := f.Value
		if runes := []rune(value); len(runes) > maxExampleValue {
			value = string(runes[:maxExampleValue]) + "…"
		}
		parts[i] = f.Column + " " + value
	}
	return strings.Join(parts, ", ")
}

// Result is what one check of a run found. Expected, Found, Look and Metric tell of columns, counts and shares, never of a value of
// a row: those are in Examples alone, for who may read the subject's rows, and so are means, quantiles, the newest event time and the time of
// a bucket.
type Result struct {
	Name string
	// Subject is `source:NAME` or Output.
	Subject         string
	State           State
	Expected, Found string
	// Look says where to look, as a command or in words. Empty where nothing is wrong.
	Look     string
	Examples []Example
	// RowsFailed is how many rows did not meet a condition about each row.
	RowsFailed int64
	// Action is what became of them: `quarantine`, `drop`, `fail` or `keep`. Empty for checks of all rows together.
	Action string
	// Metric is what was held to the bounds. nil: it is no number, or was not measured.
	Metric *float64
	// Measure names what was measured of the subject, and Measured and MeasuredText are what later runs are compared with. Empty
	// and nil: nothing.
	Measure      string
	Measured     *float64
	MeasuredText *string
	// Inputs is a digest of what a check that failed had looked at, hex: what an approval to waive it is for. Empty: it cannot be waived.
	Inputs string
}

// String is the result in one sentence, without examples.
func (r *Result) String() string {
	text := fmt.Sprintf("%s of %s: expected %s, found %s", r.Name, r.Subject, r.Expected, r.Found)
	if r.State == Errored {
		text = fmt.Sprintf("%s of %s broke, so that nothing is known of it: expected %s, found %s", r.Name, r.Subject, r.Expected, r.Found)
	}
	if r.Look != "" {
		text += " (" + r.Look + ")"
	}
	return text
}

// Blocking are the results for which a run is not published, in their order.
func Blocking(results []Result) []Result {
	return slices.DeleteFunc(slices.Clone(results), func(r Result) bool { return !r.State.Blocks() })
}

// Summary counts results by state, the worst first: `1 failed, 11 passed`.
func Summary(results []Result) string {
	var parts []string
	for _, s := range []State{Errored, Failed, Warned, NoBaseline, Skipped, Passed} {
		n := 0
		for _, r := range results {
			if r.State == s {
				n++
			}
		}
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, strings.ReplaceAll(strings.ToLower(string(s)), "_", " ")))
		}
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}
