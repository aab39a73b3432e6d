package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/headwaterhq/headwater/client"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/wire"
)

// requestRow is an object of a request file: the join keys and inputs of one entity, by name.
type requestRow struct {
	line   int
	values map[string]any
}

// hasRows reports whether a request file is of rows and not a GetFeaturesRequest, whose keys and inputs are objects.
// Unless what to read is known from elsewhere, an object that names one is a request.
func hasRows(content []byte, known bool) bool {
	var first map[string]json.RawMessage
	if json.NewDecoder(bytes.NewReader(content)).Decode(&first) != nil || len(first) == 0 || !known && first["service"] != nil {
		return false
	}
	for _, v := range first {
		if v[0] == '{' {
			return false
		}
	}
	return true
}

// parseRows reads one JSON object after another, each most often in a line of its own.
func parseRows(path string, content []byte) ([]requestRow, error) {
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.UseNumber()
	var rows []requestRow
	for {
		at := int(decoder.InputOffset())
		at += len(content[at:]) - len(bytes.TrimLeft(content[at:], " \t\r\n"))
		row := requestRow{line: 1 + bytes.Count(content[:at], []byte("\n"))}
		err := decoder.Decode(&row.values)
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil || row.values == nil {
			return nil, fault.New(fault.InvalidArgument, "%s:%d: found what is no JSON object, expected one for each entity, such as "+
				`{"origin": "ORD", "forecast": 12.5}`, path, row.line).Because(err)
		}
		rows = append(rows, row)
	}
}

// fillRequest turns the rows of a file into columns of keys and inputs. What a row leaves out is NULL for it.
func fillRequest(ctx context.Context, c *client.Client, path string, rows []requestRow, request *headwaterv1.GetFeaturesRequest) error {
	keys, inputs, known, err := askedColumns(ctx, c, request)
	if err != nil {
		return err
	}
	request.Keys, request.Inputs = map[string]*headwaterv1.KeyColumn{}, map[string]*headwaterv1.KeyColumn{}
	column := func(columns map[string]*headwaterv1.KeyColumn, name string) *headwaterv1.KeyColumn {
		if columns[name] == nil {
			columns[name] = &headwaterv1.KeyColumn{}
			for range rows {
				columns[name].Values = append(columns[name].Values, &headwaterv1.Value{})
			}
		}
		return columns[name]
	}
	for _, input := range inputs {
		column(request.Inputs, input.Name)
	}
	for i, row := range rows {
		for name, value := range row.values {
			t, isKey := keyType(keys, name)
			columns := request.Keys
			if !isKey {
				var isInput bool
				switch t, isInput = keyType(inputs, name); {
				case isInput:
					columns = request.Inputs
				case known:
					return fault.New(fault.InvalidArgument, "%s:%d: found %s, expected a join key or an input of %s: %s", path, row.line,
						name, askedTitle(request), strings.Join(slices.Concat(columnNames(keys), columnNames(inputs)), ", "))
				default:
					// Who may not see the service's definition can still give keys, whose values say of what type they are.
					t = feature.TypeString
					if _, number := value.(json.Number); number {
						t = feature.TypeInt64
					}
				}
			}
			v, err := feature.ValueOf(literal(value, t), t)
			if err != nil {
				return fault.New(fault.InvalidArgument, "%s:%d: %s: %v", path, row.line, name, err)
			}
			column(columns, name).Values[i] = wire.ToValue(v)
		}
	}
	return nil
}

// askedTitle is what a request reads, for a message.
func askedTitle(r *headwaterv1.GetFeaturesRequest) string {
	if r.GetService() == "" {
		return "the features"
	}
	return "service " + r.GetService()
}

// literal is a value of JSON as one of a definition. The digits of whole numbers and decimals are kept.
func literal(value any, t feature.Type) feature.Literal {
	switch v := value.(type) {
	case json.Number:
		if k := t.Kind(); k == feature.TypeDecimal || k == feature.TypeInt64 && isInteger(v.String()) {
			return v.String()
		}
		if f, err := v.Float64(); err == nil {
			return f
		}
		return v.String()
	case []any:
		elements := make([]any, len(v))
		for i := range v {
			elements[i] = literal(v[i], t.Elem())
		}
		return elements
	case map[string]any:
		return fmt.Sprint("{", strings.Join(slices.Sorted(maps.Keys(v)), ", "), "}")
	}
	return value
}
