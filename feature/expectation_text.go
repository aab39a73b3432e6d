package feature

import (
	"fmt"
	"strconv"
	"strings"
)

// maxShownValues is how many accepted values, and maxShownText how many characters of a pattern or expression, a text shows.
const (
	maxShownValues = 8
	maxShownText   = 120
)

// Expected says what the expectation holds of a row, or of all rows: `revenue from 0 to 100`, `status one of "paid", "open"`.
func (e *Expectation) Expected() string {
	text := e.subject()
	if e.Kind.OfRows() {
		return text
	}
	if bounds := e.boundsText(); bounds != "" {
		text += " " + bounds
	}
	return text
}

func (e *Expectation) subject() string {
	switch e.Kind {
	case ExpectNotNull:
		return e.Column + " not NULL"
	case ExpectRange:
		return e.Column + " " + between(e.Min != nil, e.Max != nil, literalShown(e.Min), literalShown(e.Max))
	case ExpectAcceptedValues:
		var shown []string
		for _, v := range e.Values[:min(len(e.Values), maxShownValues)] {
			shown = append(shown, literalShown(v))
		}
		text := e.Column + " one of " + strings.Join(shown, ", ")
		if n := len(e.Values) - maxShownValues; n > 0 {
			text += fmt.Sprintf(" and %d more", n)
		}
		return text
	case ExpectRegex:
		return e.Column + " matching " + cutText(e.Pattern)
	case ExpectLength:
		most := ""
		if e.MaxLength != nil {
			most = strconv.FormatInt(*e.MaxLength, 10)
		}
		return "length of " + e.Column + " " + between(e.MinLength > 0, e.MaxLength != nil, strconv.FormatInt(e.MinLength, 10), most)
	case ExpectPlausible:
		text := e.Column + " not in the future"
		if e.Future > 0 {
			text = e.Column + " at most " + durationText(e.Future) + " in the future"
		}
		if e.NotBefore != nil {
			text += ", not before " + e.NotBefore.String()
		}
		return text
	case ExpectReferences:
		own, others := e.Pairs()
		return strings.Join(own, ", ") + " in " + e.References.Source + " (" + strings.Join(others, ", ") + ")"
	case ExpectCEL:
		return cutText(e.CEL)
	case ExpectUnique:
		if len(e.Columns) == 0 {
			return "no two rows of one key"
		}
		return "no two rows with the same " + strings.Join(e.Columns, ", ")
	case ExpectRowCount:
		return "row count"
	case ExpectRowCountRatio:
		return fmt.Sprintf("row count, divided by the median of %d earlier runs,", e.EarlierRuns())
	case ExpectFreshness:
		return "age of the newest row"
	case ExpectCompleteness:
		if e.Bucket > 0 {
			return fmt.Sprintf("share of rows with %s in each %s", e.Column, durationText(e.Bucket))
		}
		return "share of rows with " + e.Column
	case ExpectCompletenessChange:
		return fmt.Sprintf("share of rows with %s, less the median of %d earlier runs,", e.Column, e.EarlierRuns())
	case ExpectDistinctRatio:
		return "distinct values of " + e.Column + ", divided by rows with one,"
	case ExpectMean:
		return "mean of " + e.Column
	case ExpectQuantile:
		return fmt.Sprintf("quantile %g of %s", e.Quantile, e.Column)
	case ExpectSchemaUnchanged:
		return "columns and types of the run before"
	case ExpectEntitiesKept:
		return "share of the inputs' entities in the output"
	case ExpectRowsKept:
		if e.Bucket > 0 {
			return fmt.Sprintf("rows made, divided by rows accepted, in each %s", durationText(e.Bucket))
		}
		return "rows made, divided by rows accepted,"
	}
	return e.Kind.String()
}

func (e *Expectation) boundsText() string {
	if e.Kind == ExpectFreshness {
		return thresholdText("at most "+durationText(e.WarnAfter), "at most "+durationText(e.ErrorAfter), e.WarnAfter > 0, e.ErrorAfter > 0)
	}
	return thresholdText(e.Warn.String(), e.Error.String(), !e.Warn.IsEmpty(), !e.Error.IsEmpty())
}

func thresholdText(warn, failing string, warns, fails bool) string {
	switch {
	case warns && fails:
		return failing + ", else it fails, and " + warn + ", else it warns"
	case fails:
		return failing
	case warns:
		return warn + ", else it warns"
	}
	return ""
}

// String is the bounds in words: `from 0 to 1`. "" without any.
func (b Bounds) String() string {
	if b.IsEmpty() {
		return ""
	}
	low, high := "", ""
	if b.Min != nil {
		low = strconv.FormatFloat(*b.Min, 'g', -1, 64)
	}
	if b.Max != nil {
		high = strconv.FormatFloat(*b.Max, 'g', -1, 64)
	}
	return between(b.Min != nil, b.Max != nil, low, high)
}

func between(hasLow, hasHigh bool, low, high string) string {
	switch {
	case hasLow && hasHigh:
		return "from " + low + " to " + high
	case hasLow:
		return "at least " + low
	case hasHigh:
		return "at most " + high
	}
	return "of any value"
}

func cutText(s string) string {
	if r := []rune(s); len(r) > maxShownText {
		return string(r[:maxShownText]) + "…"
	}
	return s
}

// text is all that an expectation says, but for its name and description.
func (e *Expectation) text() string {
	text := e.Kind.String() + ": " + e.Expected()
	if !e.Kind.OfRows() {
		return text
	}
	text += ", on failure " + e.OnFailure.String()
	if e.WarnAbove > 0 {
		text += fmt.Sprintf(", warn above %g", e.WarnAbove)
	}
	if e.ErrorAbove != nil {
		text += fmt.Sprintf(", error above %g", *e.ErrorAbove)
	}
	return text
}

// whole is text with what text cuts short.
func (e *Expectation) whole() string {
	all := e.text() + "\x00" + e.Pattern + "\x00" + e.CEL
	for _, v := range e.Values {
		all += "\x00" + literalShown(v)
	}
	return all
}

func (d *Difference) expectations(before, after []Expectation) {
	find := func(list []Expectation, name string) *Expectation {
		for i := range list {
			if list[i].Name == name {
				return &list[i]
			}
		}
		return nil
	}
	for i := range before {
		old := &before[i]
		switch now := find(after, old.Name); {
		case now == nil:
			d.line("expectation %s: removed (was %s)", old.Name, old.text())
		case old.text() != now.text():
			d.line("expectation %s: %s -> %s", old.Name, old.text(), now.text())
		case old.whole() != now.whole():
			d.line("expectation %s: %s, in a part that is not shown", old.Name, now.text())
		}
	}
	for i := range after {
		if find(before, after[i].Name) == nil {
			d.line("expectation %s: added (%s)", after[i].Name, after[i].text())
		}
	}
}

// expectationWords is what differs in the descriptions, and in the order, which says of several reasons for a row which counts.
func (d *Difference) expectationWords(before, after []Expectation) {
	var old, now []string
	described := map[string]string{}
	for i := range before {
		old = append(old, before[i].Name)
		described[before[i].Name] = before[i].Description
	}
	for i := range after {
		e := &after[i]
		now = append(now, e.Name)
		if was, ok := described[e.Name]; ok && was != e.Description {
			d.line("description of expectation %s", e.Name)
		}
	}
	if strings.Join(old, ", ") != strings.Join(now, ", ") && strings.Join(sortedSet(old), ",") == strings.Join(sortedSet(now), ",") {
		d.line("expectations: in another order: %s", strings.Join(now, ", "))
	}
}

func ratioText(ratio *float64) string {
	if ratio == nil {
		return ""
	}
	return strconv.FormatFloat(*ratio, 'g', -1, 64)
}
