package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// addLeaveOutFlags adds the flags of rules, which one header keeps in the order in which they are given.
func addLeaveOutFlags(flags *pflag.FlagSet, header *headwaterv1.BuildDatasetHeader) {
	missing := func(all string, rule func(*headwaterv1.LeaveOutMissing) *headwaterv1.LeaveOutRule) func(string) error {
		return func(text string) error {
			m := &headwaterv1.LeaveOutMissing{}
			if text != all {
				m.Columns = strings.Split(text, ",")
			}
			if slices.Contains(m.Columns, "") {
				return usagef("expected COLUMN[,COLUMN2], or %s for all features", all)
			}
			header.LeaveOut = append(header.LeaveOut, rule(m))
			return nil
		}
	}
	flags.Var(rule{missing("any", func(m *headwaterv1.LeaveOutMissing) *headwaterv1.LeaveOutRule {
		return &headwaterv1.LeaveOutRule{Rule: &headwaterv1.LeaveOutRule_AnyMissing{AnyMissing: m}}
	}), "columns"}, "leave-out-missing", "leave out rows in which any of these columns is missing, COLUMN[,COLUMN2], or any: any feature")
	flags.Var(rule{missing("all", func(m *headwaterv1.LeaveOutMissing) *headwaterv1.LeaveOutRule {
		return &headwaterv1.LeaveOutRule{Rule: &headwaterv1.LeaveOutRule_AllMissing{AllMissing: m}}
	}), "columns"}, "leave-out-all-missing", "leave out rows in which all of these columns are missing, COLUMN[,COLUMN2], or all: all features")
	flags.Var(rule{func(text string) error {
		header.LeaveOut = append(header.LeaveOut, &headwaterv1.LeaveOutRule{Rule: &headwaterv1.LeaveOutRule_Condition{Condition: text}})
		return nil
	}, "cel"}, "leave-out-where", "leave out rows for which this CEL is true, such as row.label == null; rules count rows in the order given")
}

// rule is a flag that may be given any number of times.
type rule struct {
	add  func(string) error
	form string
}

func (r rule) Set(text string) error { return r.add(text) }
func (r rule) String() string        { return "" }
func (r rule) Type() string          { return r.form }

// leftOutText is a rule for people.
func leftOutText(r *headwaterv1.LeaveOutRule) string {
	of := func(m *headwaterv1.LeaveOutMissing) string {
		if len(m.GetColumns()) == 0 {
			return "features"
		}
		return strings.Join(m.GetColumns(), ", ")
	}
	switch r := r.GetRule().(type) {
	case *headwaterv1.LeaveOutRule_AnyMissing:
		return "any missing of " + of(r.AnyMissing)
	case *headwaterv1.LeaveOutRule_AllMissing:
		return "all missing of " + of(r.AllMissing)
	case *headwaterv1.LeaveOutRule_Condition:
		return "where " + r.Condition
	}
	return ""
}

// resultFacts are what a manifest says of its rows and of what made them, where it says that.
func resultFacts(facts *section, m *headwaterv1.Manifest) {
	if len(m.GetLeftOut()) > 0 {
		facts.add("spine rows", number(m.GetSpineRows()))
	}
	if m.GetWithStatuses() {
		facts.add("statuses", "a column behind each feature")
	}
}

// madeFacts are the software and the roles that made a dataset.
func madeFacts(facts *section, m *headwaterv1.Manifest) {
	var made []string
	for _, v := range []struct{ of, version string }{
		{"CEL", m.GetVersions().GetCel()}, {"time zones", m.GetVersions().GetTzdata()}, {"Postgres", m.GetVersions().GetPostgres()},
	} {
		if v.version != "" {
			made = append(made, v.of+" "+v.version)
		}
	}
	if len(made) > 0 {
		facts.add("made with", strings.Join(made, ", "))
	}
	if roles := m.GetPolicy().GetRoles(); len(roles) > 0 {
		facts.add("roles", strings.Join(roles, ", "))
	}
	if m.GetPolicy().GetWithheld() {
		facts.add("roles", "not shown: that takes read_audit on system:*")
	}
	attributes := m.GetPolicy().GetAttributes()
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		facts.add("attribute "+name, strings.Join(attributes[name].GetValues(), ", "))
	}
}

// resultSections are what was left out of a dataset, and the values of its columns.
func resultSections(m *headwaterv1.Manifest) []section {
	left := section{title: "left out", table: table{header: []string{"RULE", "ROWS#"}}}
	for _, l := range m.GetLeftOut() {
		left.add(leftOutText(l.GetRule()), number(l.GetRows()))
	}
	values := section{title: "values", table: table{header: []string{"COLUMN", "MIN", "MAX", "MEAN#", "NANS#", "DISTINCT#"}}}
	for _, c := range m.GetColumns() {
		if s := c.GetSummary(); s != nil {
			mean := ""
			if s.Mean != nil {
				mean = strconv.FormatFloat(*s.Mean, 'g', 8, 64)
			}
			values.add(c.GetName(), boundText(s.GetMin()), boundText(s.GetMax()), mean, number(s.GetNans()), number(s.GetDistinct()))
		}
	}
	policies := section{title: "policies", table: table{header: []string{"POLICY", "ABOUT", "DOES"}}}
	for _, r := range m.GetPolicy().GetRules() {
		does := r.GetDoes()
		if v := r.GetKeyVersion(); v > 0 {
			does += fmt.Sprintf(", version %d", v)
		}
		policies.add(r.GetPolicy(), r.GetAbout(), does)
	}
	return []section{left, policies, values}
}

// boundText is a least or greatest value, as much of it as a table has room for.
func boundText(v *headwaterv1.Value) string {
	text := []rune(valueText(v))
	if d := v.GetDecimalValue(); d != "" {
		return d
	}
	const most = 30
	if len(text) > most {
		return string(text[:most-1]) + "…"
	}
	return string(text)
}

// runsText is the sequences of runs, those that follow each other as a range: 1-3, 7.
func runsText(seqs []int64) string {
	var ranges []string
	for i := 0; i < len(seqs); {
		end := i
		for end+1 < len(seqs) && seqs[end+1] == seqs[end]+1 {
			end++
		}
		text := number(seqs[i])
		if end > i {
			text += "-" + number(seqs[end])
		}
		ranges = append(ranges, text)
		i = end + 1
	}
	const most = 8
	if len(ranges) > most {
		ranges = append(ranges[:most], "…")
	}
	return strings.Join(ranges, ", ")
}
