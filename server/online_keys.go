package server

import (
	"fmt"
	"maps"
	"slices"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/wire"
	"github.com/headwaterhq/headwater/online"
	"github.com/headwaterhq/headwater/read"
)

// lengthOf is how many values a column has.
func lengthOf(c *headwaterv1.KeyColumn) int {
	return max(len(c.GetValues()), len(c.GetStrings()), len(c.GetInt64S()))
}

// checkLists refuses a column with values in more than one of its lists. bad makes the fault.
func checkLists(name string, c *headwaterv1.KeyColumn, bad func(name, format string, args ...any) error) error {
	if len(c.GetValues())+len(c.GetStrings())+len(c.GetInt64S()) > lengthOf(c) {
		return bad(name, "found several lists of values, expected one of values, strings and int64s")
	}
	return nil
}

// countOf is how many entities the columns of keys are of: as the first of them by name says; 0 without any.
func countOf(columns map[string]*headwaterv1.KeyColumn) int {
	first, n := "", 0
	for name, column := range columns {
		if first == "" || name < first {
			first, n = name, lengthOf(column)
		}
	}
	return n
}

// addKeys checks the request's key columns against the plan, and gives the lookup the key of each of n entities for each view.
func addKeys(l *online.Lookup, plan *compiledPlan, columns map[string]*headwaterv1.KeyColumn, n int) error {
	for name, column := range columns {
		if found := lengthOf(column); !slices.Contains(plan.keyColumns, name) || found != n || n < 1 || n > maxEntities {
			return keyFault(plan, columns, n)
		}
	}
	var room [4]feature.Value
	for v := range plan.read.Views {
		if plan.online.KeysLike(v) >= 0 {
			l.SameKeys(v)
			continue
		}
		view := &plan.read.Views[v]
		entity := view.Version.EntityVersion
		for _, name := range view.KeyColumns {
			if columns[name] == nil {
				return keyFault(plan, columns, n)
			}
		}
		for i := range n {
			values := room[:0]
			for k, name := range view.KeyColumns {
				column := columns[name]
				value, err := keyAt(&entity.JoinKeys[k], column, i)
				if err != nil {
					return keyFault(plan, columns, n)
				}
				values = append(values, value)
			}
			if err := l.AddKey(v, values); err != nil {
				return keyFault(plan, columns, n)
			}
		}
	}
	return nil
}

// keyFault is what is wrong with the keys.
func keyFault(plan *compiledPlan, columns map[string]*headwaterv1.KeyColumn, n int) error {
	if _, err := encodeKeys(plan.read, columns, n); err != nil {
		return err
	}
	return fault.New(fault.Internal, "found keys that were refused without a reason")
}

// encodeKeys checks key columns against a plan and encodes, for each view, the key of each of n entities. It looks at columns in
// the order of their names, so that the same request gets the same answer.
func encodeKeys(plan *read.Plan, columns map[string]*headwaterv1.KeyColumn, n int) (keys [][]online.Key, err error) {
	names := slices.Sorted(maps.Keys(columns))
	for _, name := range names {
		if !slices.ContainsFunc(plan.Views, func(v read.View) bool { return slices.Contains(v.KeyColumns, name) }) {
			return nil, badKey(name, "no view of %s has a join key of this name; leave it out, or map a join key to it "+
				"in key_mapping", plan.Service.Title())
		}
		found := lengthOf(columns[name])
		if found != n {
			return nil, badKey(name, "found %d values, expected as many as in %s, %d", found, names[0], n)
		}
		if n < 1 || n > maxEntities {
			return nil, badKey(name, "found %d values, expected 1 to %d", n, maxEntities)
		}
	}
	keys = make([][]online.Key, len(plan.Views))
	for v := range plan.Views {
		view := &plan.Views[v]
		entity := view.Version.EntityVersion
		for k, name := range view.KeyColumns {
			key := &entity.JoinKeys[k]
			if columns[name] == nil {
				return nil, badKey(name, "found none, expected the join key %s of entity %s, which view %s needs",
					key.Name, entity.Name, view.Version.Name)
			}
			for i := range n {
				if _, err := keyAt(key, columns[name], i); err != nil {
					return nil, badKey(name, "value %d: %v, the type of join key %s of entity %s", i+1, err, key.Name, entity.Name)
				}
			}
		}
		keys[v] = make([]online.Key, n)
		for i := range n {
			var values []feature.Value
			for k, name := range view.KeyColumns {
				// Checked above.
				value, _ := keyAt(&entity.JoinKeys[k], columns[name], i)
				values = append(values, value)
			}
			key, ok, err := entity.AppendKey(nil, values)
			if err != nil {
				return nil, fault.New(fault.InvalidArgument, "keys: entity %d: %v", i+1, err)
			}
			if ok {
				keys[v][i] = online.Key{Text: string(key), OK: true}
			}
		}
	}
	return keys, nil
}

// keyAt is the i-th value of a column, as one of a join key. What text may hold is for AppendKey to say.
func keyAt(key *feature.Column, c *headwaterv1.KeyColumn, i int) (feature.Value, error) {
	switch {
	case len(c.GetStrings()) > 0:
		if key.Type == feature.TypeString {
			return feature.String(c.Strings[i]), nil
		}
	case len(c.GetInt64S()) > 0:
		if key.Type == feature.TypeInt64 {
			return feature.Int64(c.Int64S[i]), nil
		}
	default:
		if s, ok := c.Values[i].GetKind().(*headwaterv1.Value_StringValue); ok && key.Type == feature.TypeString {
			return feature.String(s.StringValue), nil
		}
	}
	return wire.FromValue(key.Type, valueAt(c, i))
}

// valueAt is the i-th value of a column, whichever list it is in.
func valueAt(c *headwaterv1.KeyColumn, i int) *headwaterv1.Value {
	switch {
	case len(c.GetStrings()) > 0:
		return &headwaterv1.Value{Kind: &headwaterv1.Value_StringValue{StringValue: c.Strings[i]}}
	case len(c.GetInt64S()) > 0:
		return &headwaterv1.Value{Kind: &headwaterv1.Value_Int64Value{Int64Value: c.Int64S[i]}}
	}
	return c.Values[i]
}

func badKey(name, format string, args ...any) error {
	name = shorten(name, maxShownName)
	description := fmt.Sprintf(format, args...)
	return fault.New(fault.InvalidArgument, "keys: column %s: %s", name, description).
		Violating(fault.Violation{Field: fmt.Sprintf("keys[%q]", name), Description: description})
}
