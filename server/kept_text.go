package server

import (
	"context"
	"fmt"

	"github.com/headwaterhq/headwater/access"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/materialize"
	"github.com/headwaterhq/headwater/registry"
)

// runFor is runOf with its error as the caller may see it.
func runFor(ctx context.Context, catalog *registry.Catalog, r *materialize.Run) (*headwaterv1.Run, error) {
	out := runWithoutDigests(ctx, runOf(r))
	var err error
	out.Error, err = textFor(ctx, catalog, r.View, r.ViewVersion, r.KeptError)
	return out, err
}

// textFor is a text about a view's rows that was kept, as the caller may see it: keys and values are for who may read the view
// and all of its sources, whose values they may be.
func textFor(ctx context.Context, catalog *registry.Catalog, name string, version int, kept string) (string, error) {
	if !fault.HoldsData(kept) {
		return kept, nil
	}
	type resource struct {
		kind access.Kind
		name string
	}
	read := []resource{{access.KindView, name}}
	view, err := catalog.PastView(fmt.Sprintf("%s@%d", name, version))
	if err != nil {
		return fault.Hidden(kept), nil
	}
	for _, s := range view.SourceVersions {
		read = append(read, resource{access.KindSource, s.Name})
	}
	for _, r := range read {
		if !access.AllowsRows(ctx, r.kind, r.name) {
			return fault.Hidden(kept), nil
		}
	}
	for _, r := range read {
		if err := access.RequireRows(ctx, r.kind, r.name); err != nil {
			return "", err
		}
	}
	return fault.Shown(kept), nil
}
