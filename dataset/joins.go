package dataset

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/read"
)

// Join is a read.Join as manifests keep it.
type Join struct {
	Prefix     string            `json:"prefix"`
	KeyMapping map[string]string `json:"key_mapping,omitempty"`
	Views      []string          `json:"views"`
}

// NewPlan is the plan of a dataset of a service's features, or of those of a service without a name, for who is held to restrictions. joins are those that
// ResolveJoins gives.
func NewPlan(r *read.Restrictions, s *feature.ServiceVersion, keyMapping map[string]string, joins []Join, purpose string) (*read.Plan, error) {
	plan, err := NewReadPlan(r, s, keyMapping, joins, purpose)
	if err != nil {
		return nil, err
	}
	sets := map[string]bool{}
	for i := range plan.Views {
		sets[plan.Views[i].Version.Entity+"\x00"+strings.Join(plan.Views[i].KeyColumns, "\x00")] = true
	}
	if len(joins) > 0 && len(sets) > maxStages {
		return nil, fault.New(fault.InvalidArgument, "joins: found views read by %d sets of key columns, expected at most %d, as each is looked up on a "+
			"connection of its own; build some of the joins as another dataset of the same spine", len(sets), maxStages)
	}
	return plan, nil
}

// NewReadPlan is NewPlan of reads of either store, which takes as many sets of key columns as there are.
func NewReadPlan(r *read.Restrictions, s *feature.ServiceVersion, keyMapping map[string]string, joins []Join, purpose string) (*read.Plan, error) {
	reads := make([]read.Join, len(joins))
	for i, j := range joins {
		reads[i] = read.Join(j)
	}
	plan, err := read.NewRestrictedPlan(r, s, keyMapping, purpose, reads...)
	var mixed *read.MixedJoins
	switch {
	case errors.As(err, &mixed):
		return nil, fault.New(fault.InvalidArgument, "joins: %v", err)
	case err != nil:
		return nil, fault.New(fault.FailedPrecondition, "%s cannot be read by this version of Headwater: %v; apply a new version of the view",
			strings.TrimSpace("service "+s.Ref()), err)
	}
	refs := map[string]string{}
	for i := range plan.Columns {
		c := &plan.Columns[i]
		ref := c.Ref()
		if c.Prefix != "" {
			ref += " of join " + c.Prefix
		}
		if other, ok := refs[c.Name]; ok {
			return nil, fault.New(fault.InvalidArgument, "column %s: found %s and %s of this name, expected each name once; give the join another "+
				"prefix, or leave one of the two out", c.Name, other, ref)
		}
		refs[c.Name] = ref
	}
	return plan, nil
}

// ResolveJoins checks the joins of a request against what they are of, and says of each which views it reads. Fields of
// faults are paths from field on.
func ResolveJoins(s *feature.ServiceVersion, joins []Join, field string) ([]Join, error) {
	var histories []*feature.ViewVersion
	for i := range s.Pins {
		for _, v := range s.Pins[i].View.Histories() {
			if !slices.Contains(histories, v) {
				histories = append(histories, v)
			}
		}
	}
	resolved := slices.Clone(joins)
	for i := range resolved {
		j := &resolved[i]
		refuse := func(format string, args ...any) error {
			description := fmt.Sprintf(format, args...)
			return fault.New(fault.InvalidArgument, "join %s: %s", j.Prefix, description).
				Violating(fault.Violation{Field: fmt.Sprintf("%s[%d]", field, i), Description: description})
		}
		if slices.ContainsFunc(resolved[:i], func(o Join) bool { return o.Prefix == j.Prefix }) {
			return nil, refuse("found this prefix a second time, expected each once")
		}
		if len(j.KeyMapping) == 0 && len(j.Views) == 0 {
			return nil, refuse("found neither keys nor views, expected a mapping of keys, such as origin=home_airport")
		}
		for k, name := range j.Views {
			if slices.Contains(j.Views[:k], name) {
				return nil, refuse("found view %s a second time, expected each once", name)
			}
			if slices.ContainsFunc(histories, func(v *feature.ViewVersion) bool { return v.Name == name || v.Ref() == name }) {
				continue
			}
			if slices.ContainsFunc(s.Pins, func(p feature.ServicePin) bool { return p.View.Name == name || p.View.Ref() == name }) {
				return nil, refuse("found view %s, whose features are computed on demand, expected a view with a history; they are computed "+
					"for each join that reads a view which they are made of", name)
			}
			return nil, refuse("%s reads no view %s%s", s.Title(), name, guess(name, namesOf(histories)))
		}
		var views []string
		var keys []string
		for _, v := range histories {
			if !(*read.Join)(j).Reads(v) {
				continue
			}
			if !slices.Contains(views, v.Name) {
				views = append(views, v.Name)
			}
			for _, key := range v.EntityVersion.JoinKeys {
				keys = append(keys, key.Name)
			}
		}
		if len(j.Views) == 0 {
			// Any key may have been meant.
			keys = nil
			for _, v := range histories {
				for _, key := range v.EntityVersion.JoinKeys {
					keys = append(keys, key.Name)
				}
			}
			j.Views = views
		}
		for _, key := range slices.Sorted(maps.Keys(j.KeyMapping)) {
			switch {
			case !slices.Contains(keys, key):
				of := "view of " + s.Title()
				if len(joins[i].Views) > 0 {
					of = "view that it reads"
				}
				return nil, refuse("%s: no %s has a join key of this name%s", key, of, guess(key, keys))
			case j.KeyMapping[key] == "":
				return nil, refuse("%s: found no column for it, expected the name of one", key)
			}
		}
	}
	return resolved, nil
}

func namesOf(views []*feature.ViewVersion) []string {
	var names []string
	for _, v := range views {
		if !slices.Contains(names, v.Name) {
			names = append(names, v.Name)
		}
	}
	return names
}

// guess is what may have been meant by a name, or all there is.
func guess(name string, candidates []string) string {
	if near, ok := feature.Nearest(name, candidates); ok {
		return "; did you mean " + near + "?"
	}
	sorted := slices.Compact(slices.Sorted(slices.Values(candidates)))
	if n := len(sorted); n == 0 || n > 8 {
		return ""
	}
	return "; there is " + strings.Join(sorted, ", ")
}
