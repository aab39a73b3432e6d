package feature

import (
	"slices"
	"strings"
	"testing"
)

func TestNamesThatPostgresKeeps(t *testing.T) {
	d := flights()
	d.Sources[0].Name = "pg_class"
	d.Sources[0].Columns[0].Name = "xmin"
	d.Views[0].Features[0].Name = "ctid"
	d.Views[0].Attributes[0].Name = "tableoid"
	d.Entities[0].JoinKeys[0].Name = "cmax"
	problems := d.Validate(nil)
	for field, message := range map[string]string{
		"sources[0].name":                     "expected a name that does not begin with pg_",
		"sources[0].columns[0].name":          "found a column called xmin, which Postgres keeps in every table for itself",
		"feature_views[0].features[0].name":   "found a feature called ctid",
		"feature_views[0].attributes[0].name": "found a attribute called tableoid",
		"entities[0].join_keys[0].name":       "found a join key called cmax",
	} {
		if !slices.ContainsFunc(problems, func(p Problem) bool { return p.Field == field && strings.Contains(p.Message, message) }) {
			t.Errorf("found %+v\nexpected %s: %s", problems, field, message)
		}
	}
}
