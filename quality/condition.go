package quality

import (
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/expr"
	"github.com/headwaterhq/headwater/feature"
)

// Condition is an expectation about each row, compiled to SQL or Go, or both with one meaning. A row in which the column is
// NULL fails only not_null. Immutable, and safe for concurrent use.
type Condition struct {
	Expectation *feature.Expectation
	// Place is that of the expectation in the list that it was compiled from.
	Place int

	// columns are those that it reads, at the positions in the list that it was compiled for.
	columns   []feature.Column
	positions []int
	low, high feature.Value
	accepted  map[string]bool
	values    []feature.Value
	pattern   *feature.Pattern
	cel       *expr.Row
}

// Conditions compiles the expectations about each row among those of a source or view, in their order; unique, which is about
// several rows, is left out. columns are those of the source, or what the view outputs. The expectations must be valid.
func Conditions(list []feature.Expectation, columns []feature.Column) ([]*Condition, error) {
	var conditions []*Condition
	for i := range list {
		e := &list[i]
		if !e.Kind.OfRows() || e.Kind == feature.ExpectUnique {
			continue
		}
		c := &Condition{Expectation: e, Place: i}
		if err := c.compile(columns); err != nil {
			return nil, fmt.Errorf("expectation %s: %w", e.Name, err)
		}
		conditions = append(conditions, c)
	}
	return conditions, nil
}

func (c *Condition) compile(columns []feature.Column) (err error) {
	e := c.Expectation
	reads := e.Reads(columns)
	if e.Kind == feature.ExpectCEL {
		row, problems := expr.CompileRow(e.CEL, columns)
		if len(problems) > 0 {
			return fmt.Errorf("line %d, column %d: %s", problems[0].Line, problems[0].Column, problems[0].Message)
		}
		c.cel, reads = row, row.Columns
	}
	for _, name := range reads {
		at := slices.IndexFunc(columns, func(c feature.Column) bool { return c.Name == name })
		if at < 0 {
			return fmt.Errorf("found no column called %s", name)
		}
		c.columns, c.positions = append(c.columns, columns[at]), append(c.positions, at)
	}
	switch e.Kind {
	case feature.ExpectRange:
		if c.low, err = feature.ValueOf(e.Min, c.columns[0].Type); err == nil {
			c.high, err = feature.ValueOf(e.Max, c.columns[0].Type)
		}
	case feature.ExpectAcceptedValues:
		c.accepted = map[string]bool{}
		for _, l := range e.Values {
			var v feature.Value
			if v, err = feature.ValueOf(l, c.columns[0].Type); err != nil {
				return err
			}
			c.values = append(c.values, v)
			c.accepted[string(v.AppendCanonical(nil))] = true
		}
	case feature.ExpectRegex:
		c.pattern, err = feature.ParsePattern(e.Pattern)
	}
	return err
}

// Columns are those that the condition reads.
func (c *Condition) Columns() []feature.Column { return c.columns }

// InGo reports whether Holds knows the condition: all but references.
func (c *Condition) InGo() bool { return c.Expectation.Kind != feature.ExpectReferences }

// InSQL reports whether Fails knows the condition: all but expressions of CEL.
func (c *Condition) InSQL() bool { return c.Expectation.Kind != feature.ExpectCEL }

// Holds reports whether a row meets the condition. values are in the order of the columns that it was compiled for; clock is
// what plausible times are held to.
func (c *Condition) Holds(values []feature.Value, clock feature.Time) bool {
	e := c.Expectation
	switch e.Kind {
	case feature.ExpectCEL:
		args := make([]feature.Value, len(c.positions))
		for i, at := range c.positions {
			args[i] = values[at]
		}
		return c.cel.Holds(args)
	case feature.ExpectNotNull:
		return !values[c.positions[0]].IsNull()
	}
	v := values[c.positions[0]]
	if v.IsNull() {
		return true
	}
	switch e.Kind {
	case feature.ExpectRange:
		return (v.Type() != feature.TypeFloat64 || !math.IsNaN(v.Float64())) && (c.low.IsNull() || v.Compare(c.low) >= 0) &&
			(c.high.IsNull() || v.Compare(c.high) <= 0)
	case feature.ExpectAcceptedValues:
		return c.accepted[string(v.AppendCanonical(nil))]
	case feature.ExpectRegex:
		return c.pattern.Match(v.Str())
	case feature.ExpectLength:
		n := int64(lengthOf(v))
		return n >= e.MinLength && (e.MaxLength == nil || n <= *e.MaxLength)
	case feature.ExpectPlausible:
		return v.Timestamp() <= clock.Add(e.Future) && (e.NotBefore == nil || v.Timestamp() >= *e.NotBefore)
	}
	return true
}

func lengthOf(v feature.Value) int {
	switch v.Type().Kind() {
	case feature.TypeString:
		return utf8.RuneCountInString(v.Str())
	case feature.TypeBytes:
		return len(v.Str())
	}
	return v.Len()
}

// Evaluator finds, of a row's values in the order of the columns that conditions were compiled for, those that it does not
// meet, by their place among conditions. Conditions that Go does not know are passed over. The slice is valid until the next
// call; nil: the row meets all. An evaluator is for one goroutine.
func Evaluator(conditions []*Condition, clock feature.Time) func(values []feature.Value) (failed []int) {
	var failed []int
	return func(values []feature.Value) []int {
		failed = failed[:0]
		for i, c := range conditions {
			if c.InGo() && !c.Holds(values, clock) {
				failed = append(failed, i)
			}
		}
		if len(failed) == 0 {
			return nil
		}
		return failed
	}
}

// Relation is rows as SQL sees them.
type Relation struct {
	// Name is what stands before the point of its columns, unquoted.
	Name string
	// Clock is SQL of type timestamptz that plausible times are held to.
	Clock string
	// Other is of another source what stands after FROM, and the condition that its rows meet which are there. The condition may
	// name columns alone. nil: references are not known.
	Other func(source string) (table, where string)
}

// Fails is SQL of type boolean, never NULL, that is true for a row of the relation that does not meet the condition. It calls
// nothing but what is in pg_catalog, which must come first in the search_path. "" for what SQL does not know.
func (c *Condition) Fails(r Relation) string {
	e := c.Expectation
	if !c.InSQL() {
		return ""
	}
	column := func(i int) string { return quote(r.Name, c.columns[i].Name) }
	switch e.Kind {
	case feature.ExpectNotNull:
		return "(" + column(0) + " IS NULL)"
	case feature.ExpectRange:
		return isTrue(c.outside(column(0)))
	case feature.ExpectAcceptedValues:
		literals := make([]string, len(c.values))
		for i, v := range c.values {
			literals[i] = literal(v)
		}
		return isTrue(fmt.Sprintf("%s <> ALL (ARRAY[%s])", collated(column(0), c.columns[0].Type), strings.Join(literals, ", ")))
	case feature.ExpectRegex:
		return isTrue(collated(column(0), c.columns[0].Type) + " !~ " + textLiteral(c.pattern.Postgres()))
	case feature.ExpectLength:
		length := map[feature.Type]string{
			feature.TypeString: "char_length", feature.TypeBytes: "octet_length", feature.TypeList: "cardinality",
		}[c.columns[0].Type.Kind()] + "(" + column(0) + ")"
		var parts []string
		if e.MinLength > 0 {
			parts = append(parts, fmt.Sprintf("%s < %d", length, e.MinLength))
		}
		if e.MaxLength != nil {
			parts = append(parts, fmt.Sprintf("%s > %d", length, *e.MaxLength))
		}
		return isTrue(strings.Join(parts, " OR "))
	case feature.ExpectPlausible:
		condition := fmt.Sprintf("%s > %s + INTERVAL '%d microseconds'", column(0), r.Clock, e.Future.Microseconds())
		if e.NotBefore != nil {
			condition += fmt.Sprintf(" OR %s < %s", column(0), literal(feature.Timestamp(*e.NotBefore)))
		}
		return isTrue(condition)
	case feature.ExpectReferences:
		if r.Other == nil {
			return ""
		}
		table, where := r.Other(e.References.Source)
		_, others := e.Pairs()
		parts := make([]string, 0, len(others))
		equal := []string{"(" + where + ")"}
		for i, other := range others {
			parts = append(parts, column(i)+" IS NOT NULL")
			equal = append(equal, quote("_other", other)+" = "+column(i))
		}
		return fmt.Sprintf("(%s AND NOT EXISTS (SELECT FROM %s AS _other WHERE %s))", strings.Join(parts, " AND "), table, strings.Join(equal, " AND "))
	}
	return ""
}

// outside is that a value lies outside of the bounds. Postgres has NaN above all other floats; here it lies within no bounds.
func (c *Condition) outside(column string) string {
	t := c.columns[0].Type
	column = collated(column, t)
	var parts []string
	if !c.low.IsNull() {
		parts = append(parts, column+" < "+literal(c.low))
	}
	if !c.high.IsNull() {
		parts = append(parts, column+" > "+literal(c.high))
	}
	if t == feature.TypeFloat64 {
		parts = append(parts, column+" = 'NaN'::double precision")
	}
	return strings.Join(parts, " OR ")
}

func isTrue(condition string) string { return "((" + condition + ") IS TRUE)" }

// collated has texts compared by their bytes, whatever the column's collation.
func collated(column string, t feature.Type) string {
	if t == feature.TypeString {
		return column + ` COLLATE "C"`
	}
	return column
}

func quote(parts ...string) string { return pgx.Identifier(parts).Sanitize() }

// textLiteral is a text as SQL that reads the same under any setting.
func textLiteral(s string) string {
	return "E'" + strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(s) + "'::text"
}

// literal is a value that is not NULL, nor a list or vector, as SQL that reads the same under any setting.
func literal(v feature.Value) string {
	switch v.Type().Kind() {
	case feature.TypeBool:
		return strconv.FormatBool(v.Bool())
	case feature.TypeInt64:
		return "'" + v.Text() + "'::bigint"
	case feature.TypeFloat64:
		switch f := v.Float64(); {
		case math.IsInf(f, 1):
			return "'Infinity'::double precision"
		case math.IsInf(f, -1):
			return "'-Infinity'::double precision"
		}
		return "'" + v.Text() + "'::double precision"
	case feature.TypeString:
		return textLiteral(v.Str())
	case feature.TypeTimestamp:
		return "TIMESTAMPTZ '" + feature.SQLTime(v.Timestamp()) + "'"
	case feature.TypeDecimal:
		return "'" + v.Text() + "'::numeric"
	case feature.TypeBytes:
		return `E'\\x` + hex.EncodeToString([]byte(v.Str())) + "'::bytea"
	}
	return "NULL"
}
