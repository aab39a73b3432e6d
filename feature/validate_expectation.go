package feature

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// expected is what expectations are held to: a source, or a view with the columns that it outputs.
type expected struct {
	source  *Source
	view    *View
	columns []Column
	// what is the source or view in words.
	what string
}

func (v *validation) sourceExpectations(s *Source) {
	v.expectations(expected{source: s, columns: s.Columns, what: "source " + s.Name}, s.Expectations)
	v.quarantineRatio(s.MaxQuarantineRatio)
}

func (v *validation) viewExpectations(w *View) {
	v.quarantineRatio(w.MaxQuarantineRatio)
	if w.OnDemand != nil {
		if len(w.Expectations) > 0 {
			v.add("expectations", "found expectations of a view of on-demand features, expected none: it has no runs, whose rows they would be held to")
		}
		if w.MaxQuarantineRatio != nil {
			v.add("max_quarantine_ratio", "found a ratio for a view of on-demand features, expected none: it has no runs")
		}
		return
	}
	var keys []Column
	if e := v.findEntity(w.Entity); e != nil {
		keys = e.JoinKeys
	}
	v.expectations(expected{view: w, columns: w.OutputColumns(keys), what: "view " + w.Name}, w.Expectations)
}

func (v *validation) quarantineRatio(ratio *float64) {
	if ratio != nil && !(*ratio >= 0 && *ratio <= 1) {
		v.add("max_quarantine_ratio", "found %g, expected a share from 0 to 1", *ratio)
	}
}

func (v *validation) expectations(of expected, list []Expectation) {
	first := map[string]int{}
	for i := range list {
		e := &list[i]
		at := fmt.Sprintf("expectations[%d]", i)
		if v.expectationName(at, e, first) {
			first[e.Name] = i
		}
		if e.Kind == ExpectInvalid {
			// A rule of the proto says so.
			continue
		}
		v.expectationFits(at, e, of)
		v.thresholds(at, e)
		if c := v.expectationColumn(at, e, of); c != nil && c.Type.IsValid() {
			v.expectationOf(at, e, c)
		}
		switch e.Kind {
		case ExpectUnique:
			v.uniqueExpectation(at, e, of)
		case ExpectReferences:
			v.reference(at, e, of)
		case ExpectFreshness:
			v.ages(at, e)
		case ExpectRowCountRatio, ExpectCompletenessChange:
			if e.Runs < 0 || e.Runs > 1000 {
				v.add(at+"."+e.Kind.String()+".runs", "found %d, expected from 1 to 1000 earlier runs; leave it out for %d", e.Runs, DefaultEarlierRuns)
			}
		}
	}
}

// expectationName reports whether the name is that of a new expectation.
func (v *validation) expectationName(at string, e *Expectation, first map[string]int) bool {
	written := e.Name != e.DefaultName()
	i, twice := first[e.Name]
	switch {
	case len(e.Name) > maxExpectationName:
		v.add(at+".name", "found the name %.40q… of %d characters, which is made of columns and kind, expected at most %d; write a name", e.Name,
			len(e.Name), maxExpectationName)
	case twice && written:
		v.add(at+".name", "found a second expectation called %s (the first is number %d), expected each name once", e.Name, i+1)
	case twice:
		v.add(at+".name", "found no name, and %s, which is made of column and kind, is that of expectation number %d, expected each name "+
			"once; write a name", e.Name, i+1)
	case written && checkName(e.Name) != "":
		v.add(at+".name", "%s", checkName(e.Name))
	default:
		return true
	}
	return false
}

// expectationFits refuses kinds that say nothing about what they are declared for.
func (v *validation) expectationFits(at string, e *Expectation, of expected) {
	at += "." + e.Kind.String()
	if e.Kind == ExpectRowsKept {
		v.bucket(at+".bucket", e.Bucket)
	}
	switch {
	case e.Kind == ExpectSchemaUnchanged && of.source == nil:
		v.add(at, "found schema_unchanged for a view, expected it for a source: the columns of a view are those of its version")
	case (e.Kind == ExpectEntitiesKept || e.Kind == ExpectRowsKept) && of.view == nil:
		v.add(at, "found %s for a source, expected it for a view: it compares what a run makes with what it reads", e.Kind)
	case e.Kind == ExpectReferences && of.view != nil && of.view.Aggregation != nil:
		v.add(at, "found references for windowed aggregations, expected it for the source that they read, or for a view of SQL")
	case e.Kind == ExpectUnique && of.view != nil && of.view.Aggregation != nil:
		v.add(at, "found unique for windowed aggregations, expected it for a view of SQL: these have one row for each key and time already")
	}
}

// minBucket is the least width of buckets of time.
const minBucket = time.Minute

// bucket takes the width of buckets of time, zero for none: with less there is about one for each row, which says nothing.
func (v *validation) bucket(field string, d time.Duration) {
	if d > 0 && d < minBucket {
		v.add(field, "found %s, expected at least 1m: a finer bucket has about one row, whose share says nothing; write a wider one, such as 24h, or leave it out", d)
		return
	}
	v.duration(field, d)
}

// expectationColumn finds the column of an expectation. nil: it has none, or something is wrong with it.
func (v *validation) expectationColumn(at string, e *Expectation, of expected) *Column {
	switch {
	case e.Kind.ofWhole():
		if e.Column != "" {
			v.add(at+".column", "found column %s for %s, which is about whole rows, expected none; leave it out", shown(e.Column), e.Kind)
		}
		return nil
	case e.Kind == ExpectReferences && e.References != nil && len(e.References.Columns) > 0:
		if e.Column != "" {
			v.add(at+".column", "found a column beside references.columns, expected one of them")
		}
		return nil
	case e.Column == "":
		v.add(at+".column", "found no column, expected that which %s is about", e.Kind)
		return nil
	}
	return v.columnOf(at+".column", e.Column, of)
}

func (v *validation) columnOf(field, name string, of expected) *Column {
	c := findColumn(of.columns, name)
	if c == nil {
		v.add(field, "found no column called %s in %s%s", shown(name), of.what, didYouMean(name, columnNames(of.columns)))
	}
	return c
}

// expectationOf checks what the expectation says of values of the column's type.
func (v *validation) expectationOf(at string, e *Expectation, c *Column) {
	kind := at + "." + e.Kind.String()
	typed := func(what string, ok bool) bool {
		if !ok {
			v.add(at+".column", "found column %s of type %s for %s, expected %s", c.Name, c.Type, e.Kind, what)
		}
		return ok
	}
	k := c.Type.Kind()
	numeric := k == TypeInt64 || k == TypeFloat64 || k == TypeDecimal
	switch e.Kind {
	case ExpectRange:
		if typed("a number, a text or a timestamp", numeric || k == TypeString || k == TypeTimestamp) {
			v.rangeBounds(kind, e, c.Type)
		}
	case ExpectAcceptedValues:
		if !typed("one whose values are no lists and no vectors", k != TypeList && k != TypeVector) {
			return
		}
		if len(e.Values) == 0 {
			v.add(kind+".values", "found no values, expected at least one")
		}
		seen := map[string]bool{}
		for i, l := range e.Values {
			field := fmt.Sprintf("%s.values[%d]", kind, i)
			value, err := ValueOf(l, c.Type)
			switch {
			case err != nil:
				v.add(field, "%s", err)
			case value.IsNull():
				v.add(field, "found null, expected a value: rows without one fail only not_null")
			case seen[string(value.AppendCanonical(nil))]:
				v.add(field, "found %s a second time, expected each value once", literalShown(l))
			default:
				seen[string(value.AppendCanonical(nil))] = true
			}
			if v.enough() {
				return
			}
		}
	case ExpectRegex:
		if typed("a text", k == TypeString) {
			if _, err := ParsePattern(e.Pattern); err != nil {
				v.add(kind, "%s", err)
			}
		}
	case ExpectLength:
		if !typed("a text, bytes or a list", k == TypeString || k == TypeBytes || k == TypeList) {
			return
		}
		switch {
		case e.MinLength == 0 && e.MaxLength == nil:
			v.add(kind, "found no bounds, expected min or max")
		case e.MinLength < 0 || e.MaxLength != nil && *e.MaxLength < 0:
			v.add(kind, "found a length below zero, expected one from 0 on")
		case e.MaxLength != nil && *e.MaxLength < e.MinLength:
			v.add(kind, "found min %d above max %d, expected it at most as great", e.MinLength, *e.MaxLength)
		}
	case ExpectPlausible:
		typed("a timestamp", k == TypeTimestamp)
		v.duration(kind+".future", e.Future)
	case ExpectMean, ExpectQuantile:
		typed("a number", numeric)
		if e.Kind == ExpectQuantile && !(e.Quantile >= 0 && e.Quantile <= 1) {
			v.add(kind+".q", "found %g, expected a number from 0 to 1, such as 0.5 for the median", e.Quantile)
		}
	case ExpectCompleteness:
		v.bucket(kind+".bucket", e.Bucket)
	}
}

func (v *validation) rangeBounds(kind string, e *Expectation, t Type) {
	if e.Min == nil && e.Max == nil {
		v.add(kind, "found no bounds, expected min or max")
		return
	}
	var bounds [2]Value
	for i, l := range []Literal{e.Min, e.Max} {
		field := kind + [...]string{".min", ".max"}[i]
		value, err := ValueOf(l, t)
		if err != nil {
			v.add(field, "%s", err)
			return
		}
		if t == TypeFloat64 && math.IsNaN(value.Float64()) {
			v.add(field, "found NaN, expected a number: nothing lies within it")
			return
		}
		bounds[i] = value
	}
	if !bounds[0].IsNull() && !bounds[1].IsNull() && bounds[0].Compare(bounds[1]) > 0 {
		v.add(kind, "found min %s above max %s, expected it at most as great: no value lies within", literalShown(e.Min), literalShown(e.Max))
	}
}

// uniqueExpectation checks the columns. Which of several rows is left out is for the unique key of a source to say, which looks
// at all rows that are there and not only at those of a run.
func (v *validation) uniqueExpectation(at string, e *Expectation, of expected) {
	if e.LeavesOut() {
		v.add(at+".on_failure", "found %s for unique, expected fail or keep: which of several rows counts is for unique_key and duplicates of the "+
			"source to say", e.OnFailure)
	}
	if len(e.Columns) == 0 && of.source != nil && len(of.source.UniqueKey) == 0 {
		v.add(at+".unique", "found no columns, and the source has no unique_key, expected one of them")
	}
	for i, name := range e.Columns {
		field := fmt.Sprintf("%s.unique.columns[%d]", at, i)
		v.columnOf(field, name, of)
		if slices.Contains(e.Columns[:i], name) {
			v.add(field, "found column %s a second time, expected each once", name)
		}
	}
}

func (v *validation) reference(at string, e *Expectation, of expected) {
	at += ".references"
	if e.References == nil {
		return
	}
	if of.view != nil && e.LeavesOut() {
		v.add(strings.TrimSuffix(at, ".references")+".on_failure", "found %s for references of a view, expected fail or keep: leave the rows of its source out "+
			"that refer to nothing", e.OnFailure)
	}
	s := v.findSource(e.References.Source)
	switch {
	case s == nil:
		v.add(at+".source", "found no source called %s%s", shown(e.References.Source), didYouMean(e.References.Source, v.sourceNames()))
		return
	case s.Postgres != nil:
		v.add(at+".source", "found source %s, whose rows others keep, expected a landing source: of others nothing says what was there when",
			s.Name)
		return
	}
	if len(e.References.Columns) == 0 && e.Column == "" {
		// It is said of the column.
		return
	}
	own, others := e.Pairs()
	for i := range own {
		field := at + ".columns"
		if len(e.References.Columns) > 0 {
			field = fmt.Sprintf("%s.columns[%q]", at, own[i])
			if v.columnOf(field, own[i], of) == nil {
				continue
			}
		}
		mine, other := findColumn(of.columns, own[i]), s.Column(others[i])
		switch {
		case other == nil:
			v.add(field, "found no column called %s in source %s%s", shown(others[i]), s.Name, didYouMean(others[i], columnNames(s.Columns)))
		case mine != nil && mine.Type.IsValid() && other.Type.IsValid() && mine.Type != other.Type:
			v.add(field, "found column %s of type %s and column %s of source %s of type %s, expected one type", own[i], mine.Type, others[i], s.Name,
				other.Type)
		}
	}
}

func (v *validation) ages(at string, e *Expectation) {
	at += ".freshness"
	v.duration(at+".warn_after", e.WarnAfter)
	v.duration(at+".error_after", e.ErrorAfter)
	switch {
	case e.WarnAfter == 0 && e.ErrorAfter == 0:
		v.add(at, "found no age, expected warn_after or error_after")
	case e.WarnAfter > 0 && e.ErrorAfter > 0 && e.WarnAfter >= e.ErrorAfter:
		v.add(at+".warn_after", "found %s, at which error_after has failed the run already, expected less than %s", e.WarnAfter, e.ErrorAfter)
	}
}

// thresholds checks when the check warns and when it fails.
func (v *validation) thresholds(at string, e *Expectation) {
	if e.Kind.OfRows() {
		v.rowThresholds(at, e)
		return
	}
	switch {
	case e.OnFailure != FailRun:
		v.add(at+".on_failure", "found %s for %s, which is about all rows together, expected none; give it bounds: warn, error", e.OnFailure, e.Kind)
	case e.WarnAbove != 0:
		v.add(at+".warn_above", "found a share of rows for %s, which is about all rows together, expected bounds: warn", e.Kind)
	case e.ErrorAbove != nil:
		v.add(at+".error_above", "found a share of rows for %s, which is about all rows together, expected bounds: error", e.Kind)
	}
	if e.Kind == ExpectFreshness || e.Kind == ExpectSchemaUnchanged {
		for _, b := range []struct {
			name   string
			bounds Bounds
		}{{"warn", e.Warn}, {"error", e.Error}} {
			if !b.bounds.IsEmpty() && e.Kind == ExpectFreshness {
				v.add(at+"."+b.name, "found bounds of freshness, expected ages: warn_after, error_after")
			} else if !b.bounds.IsEmpty() {
				v.add(at+"."+b.name, "found bounds of schema_unchanged, expected none: a schema that has changed fails the run")
			}
		}
		return
	}
	if e.Warn.IsEmpty() && e.Error.IsEmpty() {
		v.add(at, "found no bounds for %s, expected warn, error or both, such as error: {min: 1}", e.Kind)
	}
	v.bounds(at+".warn", e, e.Warn)
	v.bounds(at+".error", e, e.Error)
	if narrower(e.Error.Min, e.Warn.Min) || narrower(negated(e.Error.Max), negated(e.Warn.Max)) {
		v.add(at+".warn", "found bounds that are wider than those of error, at which the run has failed already, expected them within")
	}
}

// narrower reports whether a lower bound is reached before that of the warning.
func narrower(failing, warning *float64) bool {
	return failing != nil && warning != nil && *warning < *failing
}

func negated(f *float64) *float64 {
	if f == nil {
		return nil
	}
	n := -*f
	return &n
}

func (v *validation) bounds(at string, e *Expectation, b Bounds) {
	least, most := 0.0, math.Inf(1)
	switch e.Kind {
	case ExpectMean, ExpectQuantile:
		least = math.Inf(-1)
	case ExpectCompleteness, ExpectDistinctRatio, ExpectEntitiesKept:
		most = 1
	case ExpectCompletenessChange:
		least, most = -1, 1
	}
	for i, f := range []*float64{b.Min, b.Max} {
		field := at + [...]string{".min", ".max"}[i]
		switch {
		case f == nil:
		case math.IsNaN(*f) || math.IsInf(*f, 0):
			v.add(field, "found %g, expected a number; leave it out for no bound", *f)
		case most == 1 && (*f < least || *f > 1):
			v.add(field, "found %g, expected a share from %g to 1", *f, least)
		case *f < least:
			v.add(field, "found %g, expected %g or more: there is nothing below", *f, least)
		}
	}
	if b.Min != nil && b.Max != nil && *b.Min > *b.Max {
		v.add(at, "found min %g above max %g, expected it at most as great: nothing lies within", *b.Min, *b.Max)
	}
}

func (v *validation) rowThresholds(at string, e *Expectation) {
	if !e.Warn.IsEmpty() {
		v.add(at+".warn", "found bounds for %s, which is about each row, expected a share of failing rows: warn_above", e.Kind)
	}
	if !e.Error.IsEmpty() {
		v.add(at+".error", "found bounds for %s, which is about each row, expected a share of failing rows: error_above", e.Kind)
	}
	shares := true
	for _, s := range []struct {
		name  string
		share float64
	}{{"warn_above", e.WarnAbove}, {"error_above", e.ErrorThreshold()}} {
		if !(s.share >= 0 && s.share <= 1) {
			v.add(at+"."+s.name, "found %g, expected a share of rows from 0 to 1", s.share)
			shares = false
		}
	}
	if shares && e.WarnAbove > 0 && e.WarnAbove >= e.ErrorThreshold() {
		remedy := "expected it below error_above"
		if e.ErrorAbove == nil && e.OnFailure == FailRun {
			remedy = "as any failing row does unless error_above or another on_failure is given, expected it below error_above"
		}
		v.add(at+".warn_above", "found %g, at which the run has failed already, %s", e.WarnAbove, remedy)
	}
	if e.OnFailure == FailRun && e.ErrorAbove != nil && *e.ErrorAbove == 1 {
		v.add(at+".error_above", "found 1, above which no share is, beside on_failure fail, expected less; write on_failure: keep to only count")
	}
}
