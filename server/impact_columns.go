package server

import (
	"regexp"
	"slices"
	"strings"

	"github.com/headwaterhq/headwater/feature"
)

// ways is in which ways a column is computed from others, a bit for each kind.
type ways uint8

func way(k feature.InputKind) ways { return 1 << k }

func (w ways) String() string {
	var names []string
	for _, k := range []feature.InputKind{feature.InputValue, feature.InputFilter, feature.InputJoin, feature.InputGroup, feature.InputOrder} {
		if w&way(k) != 0 {
			names = append(names, k.String())
		}
	}
	return strings.Join(names, ", ")
}

// reach is what columns of view versions are computed from a source, or a column of one. The catalog has all of it.
type reach struct {
	source, column string
	known          map[int64]map[string]ways
}

// columns are those of a view version that are computed from it.
func (r *reach) columns(v *feature.ViewVersion) map[string]ways {
	if known := r.known[v.ID]; known != nil {
		return known
	}
	found := map[string]ways{}
	r.known[v.ID] = found
	if v.Analysis == nil {
		return found
	}
	for _, in := range v.Analysis.Inputs {
		if i := slices.IndexFunc(v.ViewVersions, func(o *feature.ViewVersion) bool { return o.Name == in.Relation }); i >= 0 {
			if below := r.columns(v.ViewVersions[i])[in.InputColumn]; below != 0 && in.Kind == feature.InputValue {
				found[in.Column] |= below
			} else if below != 0 {
				found[in.Column] |= way(in.Kind)
			}
			continue
		}
		i := slices.IndexFunc(v.SourceVersions, func(o *feature.SourceVersion) bool { return o.Name == in.Relation })
		if i >= 0 && in.Relation == r.source && r.means(v.SourceVersions[i], in.InputColumn) {
			found[in.Column] |= way(in.Kind)
		}
	}
	return found
}

// means reports whether a column, as SQL sees it, is the one that is asked for.
func (r *reach) means(s *feature.SourceVersion, column string) bool {
	if r.column == "" || column == r.column || clockColumn(s, column) == r.column {
		return true
	}
	if column != "available_at" || s.Column(column) != nil || s.ArrivalExpression == "" {
		return false
	}
	named, err := regexp.MatchString(`(?i)\b`+regexp.QuoteMeta(r.column)+`\b`, s.ArrivalExpression)
	return err == nil && named
}

// attributes reports whether an attribute of a view version is computed from it.
func (r *reach) attributes(v *feature.ViewVersion) bool {
	columns := r.columns(v)
	return slices.ContainsFunc(v.Attributes, func(c feature.Column) bool { return columns[c.Name] != 0 })
}

// features are those of a view version that are computed from it, or that rows have which are found, or chosen, by what is. unknown: it
// is not known what they are computed from.
func (r *reach) features(v *feature.ViewVersion) (found map[string]ways, unknown bool) {
	found = map[string]ways{}
	columns := r.columns(v)
	var all ways
	if v.EntityVersion != nil {
		for _, k := range v.EntityVersion.JoinKeys {
			if columns[k.Name] != 0 {
				all |= way(feature.InputJoin)
			}
		}
		// What is aggregated has rows where any of its values changes, and each value is of its own rows.
		if v.Aggregation == nil && columns["event_time"]|columns["available_at"] != 0 {
			all |= way(feature.InputOrder)
		}
	}
	for _, f := range v.Features {
		if how := columns[f.Name]; how != 0 {
			found[f.Name] = how
		} else if all != 0 {
			found[f.Name] = all
		}
	}
	return found, v.Analysis == nil
}
