package dataset

import (
	"fmt"
	"slices"
	"strings"

	"github.com/headwaterhq/headwater/expr"
	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
)

// LeaveOutKind is what a rule looks at.
type LeaveOutKind string

const (
	// AnyMissing leaves out rows in which any of the columns is missing, AllMissing those in which all are.
	AnyMissing LeaveOutKind = "any_missing"
	AllMissing LeaveOutKind = "all_missing"
	// Condition leaves out rows for which the condition is true.
	Condition LeaveOutKind = "condition"
)

// LeaveOut is a rule by which rows of the spine are left out of the result.
type LeaveOut struct {
	Kind LeaveOutKind `json:"kind"`
	// Columns of the result. Empty: all features.
	Columns []string `json:"columns,omitempty"`
	// Condition is CEL over the columns of the result, `row.NAME`.
	Condition string `json:"condition,omitempty"`
}

// LeftOut is a rule and the rows that it left out: those that it was the first to match.
type LeftOut struct {
	LeaveOut
	Rows int64 `json:"rows"`
}

// String is the rule for a message.
func (r *LeaveOut) String() string {
	columns := strings.Join(r.Columns, ", ")
	if columns == "" {
		columns = "features"
	}
	switch r.Kind {
	case AnyMissing:
		return "any missing of " + columns
	case AllMissing:
		return "all missing of " + columns
	}
	return "where " + r.Condition
}

// leaveOut is a rule made ready for rows of one layout.
type leaveOut struct {
	rule LeaveOut
	// place is that of the rule in the request, from 0.
	place     int
	columns   []int
	condition *expr.Row
	args      []feature.Value
	rows      int64
}

// compileLeaveOut makes rules ready. Fields of faults are those of a build's request.
func compileLeaveOut(rules []LeaveOut, l *layout) ([]*leaveOut, error) {
	compiled := make([]*leaveOut, len(rules))
	for i, rule := range rules {
		c := &leaveOut{rule: rule, place: i}
		refuse := func(field, format string, args ...any) error {
			description := fmt.Sprintf(format, args...)
			return fault.New(fault.InvalidArgument, "rule %d of what to leave out: %s", i+1, description).
				Violating(fault.Violation{Field: fmt.Sprintf("header.leave_out[%d]%s", i, field), Description: description})
		}
		switch rule.Kind {
		case AnyMissing, AllMissing:
			for k, name := range rule.Columns {
				at := slices.IndexFunc(l.columns, func(c feature.Column) bool { return c.Name == name })
				if at < 0 {
					return nil, refuse(fmt.Sprintf(".%s.columns[%d]", rule.Kind, k), "the result has no column %s%s", name, guess(name, columnNames(l.columns)))
				}
				c.columns = append(c.columns, at)
			}
			if len(rule.Columns) == 0 {
				c.columns = l.features()
			}
		case Condition:
			row, problems := expr.CompileLeaveOut(rule.Condition, l.columns)
			if len(problems) > 0 {
				p := problems[0]
				hint := ""
				if l.each == 1 && strings.Contains(p.Message, StatusSuffix) {
					hint = "; statuses have columns where the build asks for them"
				}
				return nil, refuse(".condition", "line %d, column %d: %s%s", p.Line, p.Column, p.Message, hint)
			}
			c.condition = row
			for _, name := range row.Columns {
				c.columns = append(c.columns, slices.IndexFunc(l.columns, func(c feature.Column) bool { return c.Name == name }))
			}
			c.args = make([]feature.Value, len(c.columns))
		default:
			return nil, refuse("", "found none of any_missing, all_missing and condition, expected one of them")
		}
		compiled[i] = c
	}
	return compiled, nil
}

func columnNames(columns []feature.Column) []string {
	names := make([]string, len(columns))
	for i := range columns {
		names[i] = columns[i].Name
	}
	return names
}

// matches reports whether the rule leaves a row of the result out, the one of a row of the spine.
func (c *leaveOut) matches(row []feature.Value, spineRow int64) (bool, error) {
	switch c.rule.Kind {
	case AnyMissing:
		for _, at := range c.columns {
			if row[at].IsNull() {
				return true, nil
			}
		}
		return false, nil
	case AllMissing:
		for _, at := range c.columns {
			if !row[at].IsNull() {
				return false, nil
			}
		}
		return true, nil
	}
	for i, at := range c.columns {
		c.args[i] = row[at]
	}
	matches, err := c.condition.IsTrue(c.args)
	if err != nil {
		return false, fault.New(fault.InvalidArgument, "spine: row %d: rule %d of what to leave out, %s, cannot be evaluated: %s; write it so that "+
			"it has a value for each row", spineRow+1, c.place+1, c.rule.Condition, err).Because(err)
	}
	return matches, nil
}

// leavesOut counts a row for the first of the rules that matches it, and reports whether there is one.
func leavesOut(rules []*leaveOut, row []feature.Value, spineRow int64) (bool, error) {
	for _, c := range rules {
		matches, err := c.matches(row, spineRow)
		if err != nil {
			return false, err
		}
		if matches {
			c.rows++
			return true, nil
		}
	}
	return false, nil
}

// leaveOutOf are the rules of a manifest.
func (m *Manifest) leaveOutOf() []LeaveOut {
	var rules []LeaveOut
	for i := range m.LeftOut {
		rules = append(rules, m.LeftOut[i].LeaveOut)
	}
	return rules
}
