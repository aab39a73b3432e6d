package server

import (
	"context"
	"slices"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// maxTracedColumns bounds the edges that are told of one feature.
const maxTracedColumns = 500

var inputKinds = map[feature.InputKind]headwaterv1.LineageEdgeKind{
	feature.InputValue:  headwaterv1.LineageEdgeKind_LINEAGE_EDGE_KIND_VALUE,
	feature.InputFilter: headwaterv1.LineageEdgeKind_LINEAGE_EDGE_KIND_FILTER,
	feature.InputJoin:   headwaterv1.LineageEdgeKind_LINEAGE_EDGE_KIND_JOIN,
	feature.InputGroup:  headwaterv1.LineageEdgeKind_LINEAGE_EDGE_KIND_GROUP,
	feature.InputOrder:  headwaterv1.LineageEdgeKind_LINEAGE_EDGE_KIND_ORDER,
}

// columnsBehind are the columns that a column of a view is made of, as those of a view version, up to those of sources: the catalog has them
// all, so that nothing is asked of Postgres. What the caller may not read the lineage of is left out with its edges, and what is behind it is not.
func columnsBehind(ctx context.Context, view *feature.ViewVersion, column string) []*headwaterv1.LineageEdge {
	w := columnWalk{ctx: ctx, met: map[string]bool{}}
	w.up(view, column)
	return w.edges
}

type columnWalk struct {
	ctx   context.Context
	met   map[string]bool
	edges []*headwaterv1.LineageEdge
}

func viewColumn(v *feature.ViewVersion, column string) string {
	return "view:" + v.Ref() + "#" + column
}

func (w *columnWalk) up(v *feature.ViewVersion, column string) {
	to := viewColumn(v, column)
	if w.met[to] || v.Analysis == nil || len(w.edges) >= maxTracedColumns {
		return
	}
	w.met[to] = true
	for _, in := range v.Analysis.Inputs {
		if in.Column != column {
			continue
		}
		if i := slices.IndexFunc(v.ViewVersions, func(o *feature.ViewVersion) bool { return o.Name == in.Relation }); i >= 0 {
			of := v.ViewVersions[i]
			w.edge(access.KindView, of.Name, viewColumn(of, in.InputColumn), v, to, in.Kind)
			w.up(of, in.InputColumn)
			continue
		}
		if i := slices.IndexFunc(v.SourceVersions, func(o *feature.SourceVersion) bool { return o.Name == in.Relation }); i >= 0 {
			of := v.SourceVersions[i]
			w.edge(access.KindSource, of.Name, "source:"+of.Name+"#"+clockColumn(of, in.InputColumn), v, to, in.Kind)
		}
	}
}

func (w *columnWalk) edge(kind access.Kind, name, from string, v *feature.ViewVersion, to string, how feature.InputKind) {
	if access.Allows(w.ctx, access.ActionReadLineage, kind, name) && access.Allows(w.ctx, access.ActionReadLineage, access.KindView, v.Name) {
		w.edges = append(w.edges, &headwaterv1.LineageEdge{From: from, To: to, Kind: inputKinds[how]})
	}
}

// clockColumn is a column of a source as SQL sees it, by its own name: the clocks are shown under names of ours.
func clockColumn(s *feature.SourceVersion, column string) string {
	if s.Column(column) != nil {
		return column
	}
	switch {
	case column == "available_at" && s.ArrivalColumn != "":
		return s.ArrivalColumn
	case column == "event_time", column == "available_at" && s.ArrivalExpression == "":
		return s.EventTime
	}
	return column
}
