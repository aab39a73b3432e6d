package main

import (
	"context"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/headwaterhq/headwater/client"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/wire"
)

func newGet(a *app) *cobra.Command {
	var service, file, purpose string
	var entities, inputs, features, joins []string
	cmd := &cobra.Command{
		Use: "get --service S|--feature VIEW.FEATURE… --entity k=v…", Short: "Read the newest features of entities, as a model would", Args: takesNone,
		Long: `Reads the features of a service, or those that are listed, for one or more entities, with the status, event time and run of each value. An entity
names the join keys of all the service's views; a key that is left out of one entity, and not of others, is NULL. Inputs of
on-demand features are given once for all entities, or once for each; one that is left out is NULL.`,
		RunE: a.called(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			request := &headwaterv1.GetFeaturesRequest{WithProvenance: true}
			var rows []requestRow
			if file != "" {
				var err error
				if rows, err = readRequest(file, service != "" || len(features) > 0, request); err != nil {
					return err
				}
				if len(entities) > 0 || len(inputs) > 0 {
					return usagef("found --entity or --input beside --request-file, expected one of them")
				}
			}
			request.Service = first(service, request.Service)
			request.Purpose = first(purpose, request.Purpose)
			request.Features = append(request.Features, features...)
			joined, err := parseJoins(joins)
			if err != nil {
				return err
			}
			for _, j := range joined {
				request.Joins = append(request.Joins, &headwaterv1.FeatureJoin{Prefix: j.Prefix, KeyMapping: j.KeyMapping, Views: j.Views})
			}
			if request.Service == "" && len(request.Features) == 0 {
				return require(cmd, "service")
			}
			if rows != nil {
				if err := fillRequest(cmd.Context(), c, file, rows, request); err != nil {
					return err
				}
			}
			if file == "" {
				if len(inputs) == 0 {
					if err := require(cmd, "entity"); err != nil {
						return err
					}
				}
				var err error
				if request.Keys, err = keyColumns(cmd.Context(), c, request, entities); err != nil {
					return err
				}
				if request.Inputs, err = inputColumns(cmd.Context(), c, request, inputs, len(entities)); err != nil {
					return err
				}
			}
			response, err := c.Online.GetFeatures(cmd.Context(), request)
			if err != nil {
				return err
			}
			if a.output == "table" {
				of := counted(int64(len(response.Features)), "feature")
				if response.Service != "" {
					of = "service " + response.Service + "@" + number(response.ServiceVersion)
				}
				a.notef("read %s of %s at %s", response.ReadId, of, instant(response.ServedAt))
			}
			features, err := featureTable(request, response)
			if err != nil {
				return err
			}
			return a.print(response, features)
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&service, "service", "", "the service to read, NAME or NAME@VERSION")
	flags.StringSliceVar(&features, "feature", nil, "instead of a service: VIEW.FEATURE or VIEW@VERSION.FEATURE, or a view for all of its features; "+
		"again for more, or with commas")
	flags.StringArrayVar(&joins, "join", nil, "views to read by other columns, under a prefix: PREFIX:KEY=COLUMN[,KEY2=COLUMN2][@VIEW,VIEW2]; again for more")
	flags.StringArrayVar(&entities, "entity", nil, `join keys of one entity, k=v[,k2=v2]; again for more (a comma in a value is written \,)`)
	flags.StringArrayVar(&inputs, "input", nil, "inputs of on-demand features, k=v[,k2=v2]: once for all entities, or again for each")
	flags.StringVar(&file, "request-file", "", "file with a JSON object for each entity, its join keys and inputs by name (or a GetFeaturesRequest in "+
		"protobuf's JSON form), instead of --entity and --input; - is standard input")
	flags.StringVar(&purpose, "purpose", "", "why, kept with the read")
	return cmd
}

// readRequest reads a request file into request, or gives its rows.
func readRequest(path string, known bool, request *headwaterv1.GetFeaturesRequest) ([]requestRow, error) {
	read := func() ([]byte, error) { return os.ReadFile(path) }
	if path == "-" {
		read = func() ([]byte, error) { return io.ReadAll(os.Stdin) }
	}
	content, err := read()
	if err != nil {
		return nil, fault.New(fault.NotFound, "%s: the request cannot be read; check the path", path).Because(err)
	}
	if hasRows(content, known) {
		return parseRows(path, content)
	}
	if err := protojson.Unmarshal(content, request); err != nil {
		// protojson's own words, less the prefix that it varies on purpose.
		what := err.Error()
		if i := strings.IndexByte(what, '('); i >= 0 {
			what = what[i:]
		}
		return nil, fault.New(fault.InvalidArgument, "%s: found %s; expected a GetFeaturesRequest in JSON, such as "+
			`{"service": "NAME", "keys": {"origin": {"values": [{"string_value": "ORD"}]}}}, or with --service an object of join keys and `+
			`inputs for each entity, such as {"origin": "ORD"}`, path, what).Because(err)
	}
	return nil, nil
}

type keyValue struct{ key, value string }

// parseEntity reads the value of --entity.
func parseEntity(s string) ([]keyValue, error) {
	return parsePairs("entity", "origin=ORD,destination=LAX", s)
}

// parsePairs reads k=v[,k2=v2] of a flag, where a backslash takes the meaning from the comma or backslash after it.
func parsePairs(flag, example, s string) ([]keyValue, error) {
	var parts []string
	var part strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s) && (s[i+1] == ',' || s[i+1] == '\\'):
			i++
			part.WriteByte(s[i])
		case s[i] == ',':
			parts = append(parts, part.String())
			part.Reset()
		default:
			part.WriteByte(s[i])
		}
	}
	parts = append(parts, part.String())
	pairs := make([]keyValue, len(parts))
	for i, p := range parts {
		key, value, ok := strings.Cut(p, "=")
		if !ok || key == "" {
			return nil, usagef("found --%s %q, expected k=v[,k2=v2] such as %s", flag, s, example)
		}
		if slices.ContainsFunc(pairs[:i], func(kv keyValue) bool { return kv.key == key }) {
			return nil, usagef("found key %s twice in --%s %q, expected each once", key, flag, s)
		}
		pairs[i] = keyValue{key, value}
	}
	return pairs, nil
}

// keyColumns turns entities into columns of keys. A key that an entity does not name is NULL for it.
func keyColumns(ctx context.Context, c *client.Client, request *headwaterv1.GetFeaturesRequest, entities []string) (map[string]*headwaterv1.KeyColumn, error) {
	parsed := make([][]keyValue, len(entities))
	numeric := false
	for i, e := range entities {
		var err error
		if parsed[i], err = parseEntity(e); err != nil {
			return nil, err
		}
		for _, kv := range parsed[i] {
			numeric = numeric || isInteger(kv.value)
		}
	}
	// Only a value that looks like a number leaves open what type its key has.
	var types []feature.Column
	known := false
	if numeric {
		var err error
		if types, _, known, err = askedColumns(ctx, c, request); err != nil {
			return nil, err
		}
	}
	columns := map[string]*headwaterv1.KeyColumn{}
	for i, pairs := range parsed {
		for _, kv := range pairs {
			column := columns[kv.key]
			if column == nil {
				column = &headwaterv1.KeyColumn{}
				for range parsed {
					column.Values = append(column.Values, &headwaterv1.Value{})
				}
				columns[kv.key] = column
			}
			t, typed := keyType(types, kv.key)
			if !typed {
				t = feature.TypeString
				if !known && isInteger(kv.value) {
					t = feature.TypeInt64
				}
			}
			v, err := keyOf(kv, t)
			if err != nil {
				return nil, err
			}
			column.Values[i] = v
		}
	}
	return columns, nil
}

func keyOf(kv keyValue, t feature.Type) (*headwaterv1.Value, error) {
	if t == feature.TypeInt64 {
		n, err := strconv.ParseInt(kv.value, 10, 64)
		if err != nil {
			return nil, usagef("key %s: found %q, expected an int64: a whole number", kv.key, kv.value)
		}
		return &headwaterv1.Value{Kind: &headwaterv1.Value_Int64Value{Int64Value: n}}, nil
	}
	if !utf8.ValidString(kv.value) {
		return nil, usagef("key %s: found %q, expected UTF-8 text", kv.key, kv.value)
	}
	return &headwaterv1.Value{Kind: &headwaterv1.Value_StringValue{StringValue: kv.value}}, nil
}

// isInteger reports whether s is an int64 as it would be printed.
func isInteger(s string) bool {
	n, err := strconv.ParseInt(s, 10, 64)
	return err == nil && strconv.FormatInt(n, 10) == s
}

func featureTable(request *headwaterv1.GetFeaturesRequest, response *headwaterv1.GetFeaturesResponse) (table, error) {
	t := table{header: []string{"ENTITY", "FEATURE", "VALUE", "STATUS", "EVENT TIME", "RUN"}}
	entities := entityNames(request.Keys)
	if len(entities) == 0 {
		entities = entityNames(request.Inputs)
	}
	// A view that joins read has one for each, with whose prefix the names of its features begin.
	provenance := make([]*headwaterv1.ViewProvenance, len(response.Features))
	for k, f := range response.Features {
		for _, p := range response.Provenance {
			if p.View == f.View && p.ViewVersion == f.ViewVersion && strings.HasPrefix(f.Name, p.Prefix) &&
				(provenance[k] == nil || len(p.Prefix) > len(provenance[k].Prefix)) {
				provenance[k] = p
			}
		}
	}
	for i, entity := range entities {
		for k, f := range response.Features {
			if i >= wire.VectorLen(f.GetValues()) {
				continue
			}
			status := wire.StatusAt(f.Values, i)
			view := f.View + "@" + number(f.ViewVersion)
			at, run := "", ""
			if p := provenance[k]; p != nil && i < len(p.RunSeqs) && i < len(p.EventTimes) && p.RunSeqs[i] > 0 {
				at = feature.Time(p.EventTimes[i]).String()
				run = view + "/" + number(p.RunSeqs[i])
			}
			value, err := client.Value(f.Values, i)
			if err != nil {
				return t, err
			}
			t.add(entity, f.Name, value.Text(), strings.TrimPrefix(status.String(), "VALUE_STATUS_"), at, run)
		}
	}
	return t, nil
}

// entityNames is k=v,k2=v2 of each entity of a request, keys in order of their names.
func entityNames(keys map[string]*headwaterv1.KeyColumn) []string {
	var names []string
	for name := range keys {
		names = append(names, name)
	}
	slices.Sort(names)
	var result []string
	for i := 0; len(names) > 0 && i < len(keys[names[0]].GetValues()); i++ {
		var parts []string
		for _, name := range names {
			if values := keys[name].GetValues(); i < len(values) && values[i].GetKind() != nil {
				parts = append(parts, name+"="+valueText(values[i]))
			}
		}
		result = append(result, strings.Join(parts, ","))
	}
	return result
}

// valueText is a value of a key: of two types, and for what else a request file holds nothing.
func valueText(v *headwaterv1.Value) string {
	if list := v.GetListValue(); list != nil {
		parts := make([]string, len(list.GetValues()))
		for i, element := range list.GetValues() {
			parts[i] = valueText(element)
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	for _, t := range feature.PlainTypes() {
		if value, err := wire.FromValue(t, v); err == nil {
			return value.Text()
		}
	}
	return ""
}
