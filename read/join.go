package read

import (
	"fmt"
	"slices"

	"github.com/headwaterhq/headwater/feature"
)

// Join has views read by other columns of the caller's, each under the join's prefix: `home_airport` and `away_airport` are
// both an airport.
type Join struct {
	// Prefix stands before the names of the columns. Distinct within a plan, and not empty.
	Prefix string
	// KeyMapping gives, for a join key on the left, the caller's column on the right. A key that is absent is taken as the
	// caller's own mapping says.
	KeyMapping map[string]string
	// Views are those that are read so, `NAME` or `NAME@VERSION`. Empty: each that has one of the keys of KeyMapping.
	Views []string
}

// Reads reports whether the join reads a view with a history.
func (j *Join) Reads(v *feature.ViewVersion) bool {
	if len(j.Views) > 0 {
		return slices.Contains(j.Views, v.Name) || slices.Contains(j.Views, v.Ref())
	}
	return slices.ContainsFunc(v.EntityVersion.JoinKeys, func(k feature.Column) bool { return j.KeyMapping[k.Name] != "" })
}

// touches reports whether the join reads the view, or one that its on-demand features are computed of. A nil join touches none.
func (j *Join) touches(v *feature.ViewVersion) bool {
	return j != nil && slices.ContainsFunc(v.Histories(), j.Reads)
}

// prefix is empty for a nil join.
func (j *Join) prefix() string {
	if j == nil {
		return ""
	}
	return j.Prefix
}

// KeyColumns name, for each join key of a view with a history, the caller's column that holds it: as a join maps it, else as the
// caller's own mapping does, else the one of the key's name. The join may be nil.
func KeyColumns(v *feature.ViewVersion, mapping map[string]string, join *Join) []string {
	columns := make([]string, len(v.EntityVersion.JoinKeys))
	for i, k := range v.EntityVersion.JoinKeys {
		columns[i] = k.Name
		if mapped, ok := mapping[k.Name]; ok {
			columns[i] = mapped
		}
		if join == nil {
			continue
		}
		if mapped, ok := join.KeyMapping[k.Name]; ok {
			columns[i] = mapped
		}
	}
	return columns
}

// MixedJoins is the error of an on-demand view that is computed for a join, and reads a view that other joins read and this
// one does not: which of the entities is meant cannot be known.
type MixedJoins struct {
	View *feature.ViewVersion
	// Join and Other are prefixes.
	Join  string
	Reads *feature.ViewVersion
	Other string
}

func (m *MixedJoins) Error() string {
	return fmt.Sprintf("on-demand view %s is computed for join %s and reads view %s, which join %s reads and %s does not, expected it to read both, "+
		"or the view to be in no join; add %s to the views of join %s", m.View.Ref(), m.Join, m.Reads.Ref(), m.Other, m.Join, m.Reads.Name, m.Join)
}
