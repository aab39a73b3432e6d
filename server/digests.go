package server

import (
	"context"
	"strings"

	"github.com/headwaterhq/headwater/access"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/lineage"
)

// A digest of rows tells whoever knows all of them but one value what that value is: it is tried out. So digests are for who may read the
// rows, with nothing of them hidden.

// loadWithoutDigests takes the digests of a load from who may not read its source.
func loadWithoutDigests(ctx context.Context, l *headwaterv1.Load) *headwaterv1.Load {
	if !access.AllowsRows(ctx, access.KindSource, l.GetSource()) {
		l.FileSha256, l.RowsDigest = "", ""
	}
	return l
}

// runWithoutDigests takes the digests of a run from who may not read its view, and those of what it read from who may not read that.
func runWithoutDigests(ctx context.Context, r *headwaterv1.Run) *headwaterv1.Run {
	if !access.AllowsRows(ctx, access.KindView, r.GetView()) {
		r.Digest = ""
		erasuresWithoutDigests(r.GetErasures())
	}
	for _, in := range r.GetInputs() {
		if in.GetSource() == "" || access.AllowsRows(ctx, access.KindSource, in.GetSource()) {
			continue
		}
		in.RowsDigest = ""
		for _, l := range in.GetLoads() {
			l.FileSha256 = ""
		}
	}
	return r
}

// nodeWithoutDigests is the same of a node, on which access goes by kind and name. Which policies a dataset was built under is not known here:
// where there are any, it is left to the dataset's manifest.
func nodeWithoutDigests(ctx context.Context, n *lineage.Node, kind access.Kind, name string) {
	switch {
	case kind == access.KindDataset:
		if access.SessionFrom(ctx).Policy().Restricts() {
			n.WithoutDigests()
		}
	case (kind == access.KindSource || kind == access.KindView) && !access.AllowsRows(ctx, kind, name):
		n.WithoutDigests()
	}
	for property := range n.Properties {
		if source, found := strings.CutPrefix(property, lineage.RowsDigest+"source:"); found && !access.AllowsRows(ctx, access.KindSource, source) {
			delete(n.Properties, property)
		}
	}
}

func erasuresWithoutDigests(erasures []*headwaterv1.Erasure) {
	for _, e := range erasures {
		e.OldDigest, e.NewDigest, e.OldSpineDigest, e.NewSpineDigest = "", "", "", ""
	}
}

// withoutValues takes the values of rows out of a manifest, and what they could be guessed by: they are for who may read the dataset.
func withoutValues(m *headwaterv1.Manifest) *headwaterv1.Manifest {
	m.SpineDigest, m.ContentDigest, m.ArrowSha256 = "", "", ""
	erasuresWithoutDigests(m.GetErasures())
	for _, c := range m.Columns {
		if c.Summary != nil {
			c.Summary = &headwaterv1.ColumnSummary{}
		}
	}
	return m
}
