package main

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/headwaterhq/headwater/client"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/wire"
)

// inputColumns turns --input flags into columns of inputs, for as many entities as there are; without entities, each flag is
// one. An input that is left out of a flag is NULL.
func inputColumns(ctx context.Context, c *client.Client, request *headwaterv1.GetFeaturesRequest, flags []string, entities int) (map[string]*headwaterv1.KeyColumn, error) {
	if len(flags) == 0 {
		return nil, nil
	}
	if entities == 0 {
		entities = len(flags)
	}
	if len(flags) != 1 && len(flags) != entities {
		return nil, usagef("found %d --input for %d entities, expected one for all, or one for each", len(flags), entities)
	}
	_, types, known, err := askedColumns(ctx, c, request)
	if err != nil {
		return nil, err
	}
	columns := map[string]*headwaterv1.KeyColumn{}
	column := func(name string) *headwaterv1.KeyColumn {
		if columns[name] == nil {
			columns[name] = &headwaterv1.KeyColumn{}
			for range entities {
				columns[name].Values = append(columns[name].Values, &headwaterv1.Value{})
			}
		}
		return columns[name]
	}
	for _, t := range types {
		column(t.Name)
	}
	for i := range entities {
		flag := flags[min(i, len(flags)-1)]
		pairs, err := parsePairs("input", "hour=5,note=late", flag)
		if err != nil {
			return nil, err
		}
		for _, kv := range pairs {
			t, typed := keyType(types, kv.key)
			switch {
			case !typed && known:
				return nil, usagef("found the input %s, expected one of %s: %s", kv.key, askedTitle(request), strings.Join(columnNames(types), ", "))
			case !typed:
				t = guessedType(kv.value)
			}
			v, err := parseInput(kv.value, t)
			if err != nil {
				return nil, usagef("input %s: %v", kv.key, err)
			}
			column(kv.key).Values[i] = v
		}
	}
	return columns, nil
}

// guessedType is the type of a value that nobody says the type of.
func guessedType(s string) feature.Type {
	_, err := strconv.ParseFloat(s, 64)
	switch {
	case s == "true" || s == "false":
		return feature.TypeBool
	case isInteger(s):
		return feature.TypeInt64
	case err == nil:
		return feature.TypeFloat64
	}
	return feature.TypeString
}

// parseInput reads a value as one writes it on a command line: a list or vector as JSON.
func parseInput(s string, t feature.Type) (*headwaterv1.Value, error) {
	var literal feature.Literal = s
	switch t.Kind() {
	case feature.TypeBool, feature.TypeFloat64, feature.TypeList, feature.TypeVector:
		var parsed any
		if json.Unmarshal([]byte(s), &parsed) == nil {
			literal = parsed
		}
	}
	v, err := feature.ValueOf(literal, t)
	if err != nil {
		return nil, err
	}
	return wire.ToValue(v), nil
}
