package main

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/headwaterhq/headwater/client"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/tabular"
	"github.com/headwaterhq/headwater/read"
)

func parseMapping(s string) (map[string]string, error) {
	if s == "" {
		return nil, nil
	}
	mapping, ok := mappingOf(s)
	if !ok {
		return nil, usagef("found --key-mapping %q, expected KEY=COLUMN[,KEY2=COLUMN2], each key once", s)
	}
	return mapping, nil
}

func mappingOf(s string) (map[string]string, bool) {
	mapping := map[string]string{}
	for _, pair := range strings.Split(s, ",") {
		key, column, ok := strings.Cut(pair, "=")
		if !ok || key == "" || column == "" || mapping[key] != "" {
			return nil, false
		}
		mapping[key] = column
	}
	return mapping, true
}

// parseJoins reads PREFIX:KEY=COLUMN[,KEY2=COLUMN2][@VIEW[,VIEW2]].
func parseJoins(texts []string) ([]*headwaterv1.DatasetJoin, error) {
	var joins []*headwaterv1.DatasetJoin
	for _, text := range texts {
		prefix, rest, ok := strings.Cut(text, ":")
		keys, views, listed := strings.Cut(rest, "@")
		j := &headwaterv1.DatasetJoin{Prefix: prefix}
		if listed {
			j.Views = strings.Split(views, ",")
		}
		mapped := keys == "" && listed
		if !mapped {
			j.KeyMapping, mapped = mappingOf(keys)
		}
		if !ok || prefix == "" || !mapped || slices.Contains(j.Views, "") {
			return nil, usagef("found --join %q, expected PREFIX:KEY=COLUMN[,KEY2=COLUMN2][@VIEW,VIEW2], such as home_:airport=home_airport", text)
		}
		joins = append(joins, j)
	}
	return joins, nil
}

type spineFile struct {
	path   string
	format tabular.Format
}

// open reads a spine's columns: its timestamp as a timestamp, its keys as the entities of what is read have them, its inputs
// as on-demand features take them, and the rest as the file has it.
func (s spineFile) open(ctx context.Context, a *app, c *client.Client, service string, header *headwaterv1.BuildDatasetHeader) (*tabular.File, *tabular.Reader, error) {
	typed, err := spineColumns(ctx, c, service, header)
	if err != nil {
		return nil, nil, err
	}
	file, err := tabular.Open(s.path, a.in, s.format)
	if err != nil {
		return nil, nil, spineFault(err)
	}
	columns, err := file.Columns(typed)
	if err == nil {
		var rows *tabular.Reader
		if rows, err = file.Read(columns, header.TimestampColumn); err == nil {
			return file, rows.AllowEmpty(), nil
		}
	}
	_ = file.Close()
	return nil, nil, spineFault(err)
}

// spineColumns are the columns that a spine must have, as far as the caller may know them.
func spineColumns(ctx context.Context, c *client.Client, service string, header *headwaterv1.BuildDatasetHeader) ([]feature.Column, error) {
	typed := []feature.Column{{Name: header.TimestampColumn, Type: feature.TypeTimestamp}}
	l, err := lookUpColumns(ctx, c, service, header.Features)
	if l == nil || err != nil {
		return typed, err
	}
	of := "service " + service
	if service == "" {
		of = "the features"
	}
	checkKeys := func(flag string, mapping map[string]string) error {
		for _, key := range slices.Sorted(maps.Keys(mapping)) {
			if _, ok := keyType(l.keys, key); !ok {
				return usagef("%s: found key %s, expected one of %s: %s", flag, key, of, strings.Join(columnNames(l.keys), ", "))
			}
		}
		return nil
	}
	if err := checkKeys("--key-mapping", header.KeyMapping); err != nil {
		return nil, err
	}
	add := func(column feature.Column) {
		if _, ok := keyType(typed, column.Name); !ok {
			typed = append(typed, column)
		}
	}
	var joins []*read.Join
	for _, j := range header.Joins {
		if err := checkKeys("--join "+j.Prefix, j.KeyMapping); err != nil {
			return nil, err
		}
		joins = append(joins, &read.Join{Prefix: j.Prefix, KeyMapping: j.KeyMapping, Views: j.Views})
	}
	for _, v := range l.histories {
		by := slices.DeleteFunc(slices.Clone(joins), func(j *read.Join) bool { return !j.Reads(v) })
		if len(by) == 0 {
			by = []*read.Join{nil}
		}
		for _, join := range by {
			for i, name := range read.KeyColumns(v, header.KeyMapping, join) {
				add(feature.Column{Name: name, Type: v.EntityVersion.JoinKeys[i].Type})
			}
		}
	}
	for _, in := range l.inputs {
		add(in)
	}
	return typed, nil
}

func columnNames(columns []feature.Column) []string {
	var names []string
	for _, c := range columns {
		names = append(names, c.Name)
	}
	slices.Sort(names)
	return names
}

// spineFault is the fault of a file that is to be a spine.
func spineFault(err error) error {
	f := fault.As(err)
	if f == nil || f.Reason != fault.InvalidRows {
		return err
	}
	again := *f
	again.Reason = fault.InvalidSpine
	again.Message = "spine " + f.Message
	return &again
}
