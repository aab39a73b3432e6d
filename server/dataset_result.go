package server

import (
	"github.com/headwaterhq/headwater/dataset"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/wire"
)

// leaveOutOf is rules as the domain has them; one that says nothing has no kind.
func leaveOutOf(rules []*headwaterv1.LeaveOutRule) []dataset.LeaveOut {
	var list []dataset.LeaveOut
	for _, r := range rules {
		rule := dataset.LeaveOut{}
		switch r := r.GetRule().(type) {
		case *headwaterv1.LeaveOutRule_AnyMissing:
			rule.Kind, rule.Columns = dataset.AnyMissing, r.AnyMissing.GetColumns()
		case *headwaterv1.LeaveOutRule_AllMissing:
			rule.Kind, rule.Columns = dataset.AllMissing, r.AllMissing.GetColumns()
		case *headwaterv1.LeaveOutRule_Condition:
			rule.Kind, rule.Condition = dataset.Condition, r.Condition
		}
		list = append(list, rule)
	}
	return list
}

func manifestLeftOut(rules []dataset.LeftOut) []*headwaterv1.LeftOut {
	var list []*headwaterv1.LeftOut
	for _, r := range rules {
		rule := &headwaterv1.LeaveOutRule{}
		switch missing := (&headwaterv1.LeaveOutMissing{Columns: r.Columns}); r.Kind {
		case dataset.AnyMissing:
			rule.Rule = &headwaterv1.LeaveOutRule_AnyMissing{AnyMissing: missing}
		case dataset.AllMissing:
			rule.Rule = &headwaterv1.LeaveOutRule_AllMissing{AllMissing: missing}
		default:
			rule.Rule = &headwaterv1.LeaveOutRule_Condition{Condition: r.Condition}
		}
		list = append(list, &headwaterv1.LeftOut{Rule: rule, Rows: r.Rows})
	}
	return list
}

// addTallies adds what a manifest says of its rows and of what made them. An older one says less.
func addTallies(out *headwaterv1.Manifest, m *dataset.Manifest) {
	out.WithStatuses, out.LeftOut = m.WithStatuses, manifestLeftOut(m.LeftOut)
	if out.SpineRows = m.SpineRows; m.Summarizer == "" {
		// Before rows could be left out, all were kept.
		out.SpineRows = m.Rows
	}
	out.Versions = &headwaterv1.SoftwareVersions{Server: m.ServerVersion}
	if v := m.Versions; v != nil {
		out.Versions.Cel, out.Versions.Tzdata, out.Versions.Postgres = v.CEL, v.TZData, v.Postgres
		out.Policy = appliedPolicy(m.Roles, m.Policies, m.Attributes)
	}
}

// columnSummary is nil for nil. What a type cannot hold is left out: only a manifest that somebody changed by hand has it.
func columnSummary(s *dataset.Summary, t feature.Type) *headwaterv1.ColumnSummary {
	if s == nil {
		return nil
	}
	value := func(l feature.Literal) *headwaterv1.Value {
		v, err := feature.ValueOf(l, t)
		if l == nil || err != nil {
			return nil
		}
		return wire.ToValue(v)
	}
	return &headwaterv1.ColumnSummary{Min: value(s.Min), Max: value(s.Max), Mean: s.Mean, Nans: s.NaNs, Distinct: s.Distinct}
}

// withoutDetails takes out of a manifest what is too much for a list of them.
func withoutDetails(m *headwaterv1.Manifest) *headwaterv1.Manifest {
	for _, c := range m.Columns {
		c.Summary = nil
	}
	for _, v := range m.Views {
		v.Runs = nil
	}
	return m
}
