package server

import (
	"context"

	"github.com/headwaterhq/headwater/dataset"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/wire"
)

// defaultExamples is how many rows that differ are shown where a call does not say it.
const defaultExamples = 20

func (s *datasetService) DiffDatasets(ctx context.Context, req *headwaterv1.DiffDatasetsRequest) (*headwaterv1.DiffDatasetsResponse, error) {
	var sides [2]dataset.Side
	for i, ref := range []string{req.GetA(), req.GetB()} {
		m, plan, err := s.givenDataset(ctx, ref)
		if err != nil {
			return nil, err
		}
		sides[i] = dataset.Side{Manifest: m, Plan: plan}
	}
	examples := int(req.GetExamples())
	if examples == 0 {
		examples = defaultExamples
	}
	d, err := s.builder.Diff(ctx, sides[0], sides[1], examples)
	if err != nil {
		return nil, err
	}
	return diffOf(ctx, sides, d), nil
}

func diffOf(ctx context.Context, sides [2]dataset.Side, d *dataset.Difference) *headwaterv1.DiffDatasetsResponse {
	resp := &headwaterv1.DiffDatasetsResponse{
		A: manifestOf(ctx, sides[0].Manifest), B: manifestOf(ctx, sides[1].Manifest), Same: d.Same, MatchedBy: d.MatchedBy,
		RowsBoth: d.RowsBoth, RowsOnlyA: d.RowsOnlyA, RowsOnlyB: d.RowsOnlyB, RowsDiffer: d.RowsDiffer,
		ColumnsOnlyA: d.ColumnsOnlyA, ColumnsOnlyB: d.ColumnsOnlyB,
	}
	for _, c := range d.Columns {
		column := &headwaterv1.ColumnDifference{Column: c.Name, Rows: c.Rows, TypeA: c.TypeA, TypeB: c.TypeB}
		for _, r := range c.Runs {
			column.Runs = append(column.Runs, &headwaterv1.RunDifference{RunA: r.A, RunB: r.B, Rows: r.Rows})
		}
		resp.Columns = append(resp.Columns, column)
	}
	value := func(v feature.Value) *headwaterv1.Value {
		if v.IsNull() {
			return nil
		}
		return wire.ToValue(v)
	}
	status := func(s string) headwaterv1.ValueStatus {
		return headwaterv1.ValueStatus(headwaterv1.ValueStatus_value["VALUE_STATUS_"+s])
	}
	for _, e := range d.Examples {
		row := &headwaterv1.RowDifference{RowA: e.A, RowB: e.B, Key: map[string]*headwaterv1.Value{}}
		for name, v := range e.Key {
			if !v.IsNull() {
				row.Key[name] = wire.ToValue(v)
			}
		}
		for _, v := range e.Values {
			row.Values = append(row.Values, &headwaterv1.ValueDifference{
				Column: v.Column, A: value(v.A), B: value(v.B), StatusA: status(v.StatusA), StatusB: status(v.StatusB), RunA: v.RunA, RunB: v.RunB,
			})
		}
		resp.Examples = append(resp.Examples, row)
	}
	return resp
}
