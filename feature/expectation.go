package feature

import (
	"slices"
	"strings"
	"time"
)

// Expectation is what rows are held to: each of them, or all that a run reads or makes together.
type Expectation struct {
	// Name is unique in its source or view. Definitions that write none have DefaultName.
	Name string
	// Column is the column it is about; of a view an output column. Empty for kinds about whole rows.
	Column string
	Kind   ExpectationKind
	// Min and Max are the bounds of ExpectRange, both within. nil: none.
	Min, Max Literal
	// Values are those of ExpectAcceptedValues.
	Values []Literal
	// Pattern is the text of ExpectRegex; see ParsePattern.
	Pattern string
	// MinLength and MaxLength are the bounds of ExpectLength. nil: none above.
	MinLength int64
	MaxLength *int64
	// Future is how far after the clock a time of ExpectPlausible may lie, NotBefore the time before which it may not. nil: any.
	Future    time.Duration
	NotBefore *Time
	// References is the other source of ExpectReferences, nil for other kinds.
	References *Reference
	// CEL is the expression of ExpectCEL.
	CEL string
	// Columns are those of ExpectUnique. Empty: the unique key of a source, join keys and times of a view.
	Columns []string
	// Runs is how many earlier runs ExpectRowCountRatio and ExpectCompletenessChange look at. Zero: DefaultEarlierRuns.
	Runs int
	// WarnAfter and ErrorAfter are the ages of ExpectFreshness. Zero: none.
	WarnAfter, ErrorAfter time.Duration
	// Bucket is the length of the buckets of ExpectCompleteness and ExpectRowsKept. Zero: all rows together.
	Bucket time.Duration
	// Quantile is that of ExpectQuantile, from 0 to 1.
	Quantile float64
	// OnFailure, WarnAbove and ErrorAbove are for kinds about each row: what becomes of one that fails, and the shares of
	// failing rows above which the check warns and fails. ErrorAbove nil: see ErrorThreshold.
	OnFailure  FailureAction
	WarnAbove  float64
	ErrorAbove *float64
	// Warn and Error are the bounds of the other kinds, outside of which the check warns and fails.
	Warn, Error Bounds
	Description string
}

// Reference is rows of another source that a row's values are to be among.
type Reference struct {
	// Source is a landing source.
	Source string
	// Columns holds for a column of the row the other source's. Empty: the expectation's column, by its name.
	Columns map[string]string
}

// Pairs are the columns of a reference: those of the row and, at the same places, those of the other source, by the row's.
func (e *Expectation) Pairs() (own, others []string) {
	if len(e.References.Columns) == 0 {
		return []string{e.Column}, []string{e.Column}
	}
	own = unionOfKeys(e.References.Columns, nil)
	for _, c := range own {
		others = append(others, e.References.Columns[c])
	}
	return own, others
}

// DefaultLeastShare is the least share in each bucket without a warning, of expectations by time that are written without bounds.
const DefaultLeastShare = 0.5

// Bounds of a number, both within. nil: none.
type Bounds struct{ Min, Max *float64 }

// IsEmpty reports whether every number lies within.
func (b Bounds) IsEmpty() bool { return b.Min == nil && b.Max == nil }

// Hold reports whether x lies within. NaN lies within no bounds.
func (b Bounds) Hold(x float64) bool {
	return (b.Min == nil || x >= *b.Min) && (b.Max == nil || x <= *b.Max)
}

// ExpectationKind is what an expectation looks at.
type ExpectationKind uint8

// The kinds up to ExpectUnique are about each row, the others about all rows together.
const (
	ExpectInvalid ExpectationKind = iota
	ExpectNotNull
	ExpectRange
	ExpectAcceptedValues
	ExpectRegex
	ExpectLength
	ExpectPlausible
	ExpectReferences
	ExpectCEL
	ExpectUnique
	ExpectRowCount
	ExpectRowCountRatio
	ExpectFreshness
	ExpectCompleteness
	ExpectCompletenessChange
	ExpectDistinctRatio
	ExpectMean
	ExpectQuantile
	ExpectSchemaUnchanged
	ExpectEntitiesKept
	ExpectRowsKept
)

var expectationNames = [...]string{
	"invalid", "not_null", "range", "accepted_values", "regex", "length", "plausible", "references", "cel", "unique", "row_count",
	"row_count_ratio", "freshness", "completeness", "completeness_change", "distinct_ratio", "mean", "quantile", "schema_unchanged",
	"entities_kept", "rows_kept",
}

// String is the kind as definitions write it.
func (k ExpectationKind) String() string { return expectationNames[k] }

// OfRows reports whether the kind is about each row.
func (k ExpectationKind) OfRows() bool { return k >= ExpectNotNull && k <= ExpectUnique }

// ofWhole reports whether the kind is about whole rows, or about no column of theirs.
func (k ExpectationKind) ofWhole() bool {
	switch k {
	case ExpectCEL, ExpectUnique, ExpectRowCount, ExpectRowCountRatio, ExpectFreshness, ExpectSchemaUnchanged, ExpectEntitiesKept, ExpectRowsKept:
		return true
	}
	return false
}

// FailureAction is what becomes of a row that fails an expectation.
type FailureAction uint8

const (
	// FailRun fails the run.
	FailRun FailureAction = iota
	// QuarantineRow leaves the row out and keeps it with its reasons.
	QuarantineRow
	// DropRow leaves the row out and counts it.
	DropRow
	// KeepRow only counts the row.
	KeepRow
)

var actionNames = [...]string{"fail", "quarantine", "drop", "keep"}

// String is the action as definitions write it.
func (a FailureAction) String() string { return actionNames[a] }

const (
	// DefaultEarlierRuns is how many runs a check looks back at.
	DefaultEarlierRuns = 7
	// DefaultQuarantineRatio is the share of rows above which quarantined ones fail a run.
	DefaultQuarantineRatio = 0.1
	// maxExpectationName bounds the names of expectations.
	maxExpectationName = 64
)

// DefaultName is the name of an expectation that is written without one: the column and the kind.
func (e *Expectation) DefaultName() string {
	switch {
	case e.Column != "":
		return e.Column + "_" + e.Kind.String()
	case e.Kind == ExpectUnique && len(e.Columns) > 0:
		return strings.Join(e.Columns, "_") + "_" + e.Kind.String()
	case e.Kind == ExpectReferences && e.References != nil && len(e.References.Columns) > 0:
		own, _ := e.Pairs()
		return strings.Join(own, "_") + "_" + e.Kind.String()
	}
	return e.Kind.String()
}

// LeavesOut reports whether rows that fail are left out, so that the expectation is part of what its source or view means.
func (e *Expectation) LeavesOut() bool {
	return e.Kind.OfRows() && (e.OnFailure == QuarantineRow || e.OnFailure == DropRow)
}

// ErrorThreshold is the share of failing rows above which a check of rows fails: 0 where failing rows fail the run, else 1.
func (e *Expectation) ErrorThreshold() float64 {
	switch {
	case e.ErrorAbove != nil:
		return *e.ErrorAbove
	case e.OnFailure == FailRun:
		return 0
	}
	return 1
}

// EarlierRuns is Runs with its default.
func (e *Expectation) EarlierRuns() int {
	if e.Runs == 0 {
		return DefaultEarlierRuns
	}
	return e.Runs
}

// Reads are the columns that an expectation about each row looks at, of those given.
func (e *Expectation) Reads(columns []Column) []string {
	switch {
	case e.Kind == ExpectCEL:
		var reads []string
		for i := range columns {
			if speaksOf(canonicalCEL(e.CEL), "row."+columns[i].Name) {
				reads = append(reads, columns[i].Name)
			}
		}
		return reads
	case e.Kind == ExpectUnique:
		return e.Columns
	case e.Kind == ExpectReferences:
		own, _ := e.Pairs()
		return own
	case e.Column != "":
		return []string{e.Column}
	}
	return nil
}

// QuarantineLimit is the share of the rows that a run reads of the source above which quarantined ones fail it.
func (s *Source) QuarantineLimit() float64 { return ratioOr(s.MaxQuarantineRatio) }

// QuarantineLimit is the share of the rows that a run of the view makes above which quarantined ones fail it.
func (v *View) QuarantineLimit() float64 { return ratioOr(v.MaxQuarantineRatio) }

func ratioOr(ratio *float64) float64 {
	if ratio == nil {
		return DefaultQuarantineRatio
	}
	return *ratio
}

// leavingOut are the encodings of the expectations whose rows are left out, without names, thresholds and whether the rows are
// kept: what is left out is the same. columns are those of the source or view.
func leavingOut(expectations []Expectation, columns []Column) []string {
	var encodings []string
	for i := range expectations {
		if e := &expectations[i]; e.LeavesOut() {
			encodings = append(encodings, e.canonical(columns))
		}
	}
	return encodings
}

func (e *Expectation) canonical(columns []Column) string {
	var enc encoding
	enc.text(e.Kind.String())
	enc.text(e.Column)
	var t Type
	if c := findColumn(columns, e.Column); c != nil {
		t = c.Type
	}
	value := func(l Literal) string {
		v, err := ValueOf(l, t)
		if err != nil {
			v = Null()
		}
		return string(v.AppendCanonical(nil))
	}
	switch e.Kind {
	case ExpectRange:
		enc.text(value(e.Min))
		enc.text(value(e.Max))
	case ExpectAcceptedValues:
		var values []string
		for _, l := range e.Values {
			values = append(values, value(l))
		}
		enc.texts(sortedSet(values))
	case ExpectRegex:
		enc.text(e.Pattern)
	case ExpectLength:
		enc.number(e.MinLength)
		enc.flag(e.MaxLength != nil)
		if e.MaxLength != nil {
			enc.number(*e.MaxLength)
		}
	case ExpectPlausible:
		enc.duration(e.Future)
		enc.flag(e.NotBefore != nil)
		if e.NotBefore != nil {
			enc.number(int64(*e.NotBefore))
		}
	case ExpectReferences:
		enc.text(e.References.Source)
		own, others := e.Pairs()
		enc.texts(own)
		enc.texts(others)
	case ExpectCEL:
		enc.text(canonicalCEL(e.CEL))
	}
	return string(enc.bytes)
}

// expectations is the rows that are left out. Nothing where none are.
func (e *encoding) expectations(list []Expectation, columns []Column) {
	encodings := leavingOut(list, columns)
	if len(encodings) == 0 {
		return
	}
	e.text("left out")
	e.texts(sortedSet(encodings))
}

// leftOutBy says that an expectation whose rows are left out looks at a column of the source.
func (s *Source) leftOutBy(column string) bool {
	return slices.ContainsFunc(s.Expectations, func(e Expectation) bool {
		return e.LeavesOut() && slices.Contains(e.Reads(s.Columns), column)
	})
}

// OutputColumns are the columns that a view outputs: its join keys, both times, features and attributes.
func (v *View) OutputColumns(joinKeys []Column) []Column {
	columns := slices.Clone(joinKeys)
	columns = append(columns, Column{Name: columnEventTime, Type: TypeTimestamp}, Column{Name: columnAvailableAt, Type: TypeTimestamp})
	return append(columns, v.Stored()...)
}
