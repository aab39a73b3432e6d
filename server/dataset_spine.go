package server

import (
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/dataset"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/materialize"
	"github.com/headwaterhq/headwater/offline"
)

// origin is where a build is to read its spine itself, nil where that is sent. The caller may read each of the sources.
func (s *datasetService) origin(ctx context.Context, header *headwaterv1.BuildDatasetHeader) (*offline.SpineScope, error) {
	query, events := header.GetQuery(), header.GetEvents()
	var refs []string
	field := "header.query.sources"
	switch {
	case query != nil:
		refs = query.GetSources()
	case events != nil:
		refs, field = []string{events.GetSource()}, "header.events.source"
	default:
		return nil, nil
	}
	// All are decided on before it is told whether there is such a source.
	for _, ref := range refs {
		name, _, _ := strings.Cut(ref, "@")
		if err := access.Require(ctx, access.ActionReadOffline, access.KindSource, shorten(name, maxShownName)); err != nil {
			return nil, err
		}
		if err := access.RequireTerms(ctx, feature.UseTraining, name); err != nil {
			return nil, err
		}
	}
	scope := &offline.SpineScope{SQL: query.GetSql(), Columns: events.GetColumns(), Bounds: s.bounds, Databases: s.databases,
		Validate: materialize.HoldSpine, Seen: map[string]*offline.Seen{}}
	seen := map[string]bool{}
	for _, ref := range refs {
		src, err := s.registry.Catalog().Source(ref)
		if err != nil {
			return nil, err
		}
		if seen[src.Name] {
			return nil, badOrigin(field, "found source "+src.Name+" a second time, expected each once")
		}
		seen[src.Name] = true
		scope.Sources = append(scope.Sources, src)
		seen, err := seenOf(ctx, src)
		if err != nil {
			return nil, err
		}
		if seen != nil {
			scope.Seen[src.Name] = seen
		}
	}
	if events == nil {
		return scope, nil
	}
	scope.From, scope.To = instantOf(events.GetFrom()), instantOf(events.GetTo())
	if scope.From != nil && scope.To != nil && *scope.From >= *scope.To {
		return nil, badOrigin("header.events.to", "found the interval ["+scope.From.String()+", "+scope.To.String()+"), expected an end after its start")
	}
	return scope, nil
}

// seenOf is what the caller sees of a source's own rows. nil: all.
func seenOf(ctx context.Context, src *feature.SourceVersion) (*offline.Seen, error) {
	restriction, err := access.RestrictSource(ctx, src)
	if err != nil || restriction == nil || len(restriction.Rules) == 0 {
		return nil, err
	}
	seen := &offline.Seen{Rules: restriction.Rules, Masks: map[string]*offline.SeenMask{}, Deny: func(reason string) error {
		return access.SessionFrom(ctx).Deny(access.ActionReadOffline, access.KindSource, src.Name, reason, "or ask who administers the policy")
	}}
	for _, f := range restriction.Filters {
		seen.Filters = append(seen.Filters, offline.SeenFilter{Bound: f.Bound, Columns: f.Columns})
	}
	for name, m := range restriction.Masks {
		seen.Masks[name] = &offline.SeenMask{Apply: m.Apply, SQL: access.MaskSQL(m.Mask, src.Column(name).Type), Policy: m.Policy}
	}
	return seen, nil
}

// spineSource is a source that a spine was read from, as it was, or as it is now; nil where there is none any more.
func (s *datasetService) spineSource(src *dataset.SpineSource) *feature.SourceVersion {
	catalog := s.registry.Catalog()
	if version, err := catalog.Source(fmt.Sprintf("%s@%d", src.Source, src.Version)); err == nil {
		return version
	}
	return catalog.NewestSource(src.Source)
}

func badOrigin(field, description string) error {
	return fault.New(fault.InvalidArgument, "spine: %s", description).Violating(fault.Violation{Field: field, Description: description})
}

// instantOf is the first instant, in microseconds, that is not before a time; nil for none.
func instantOf(t *timestamppb.Timestamp) *feature.Time {
	if t == nil {
		return nil
	}
	at := feature.TimeOf(t.AsTime().Add(time.Microsecond - time.Nanosecond))
	return &at
}

func spineOriginOf(o *dataset.SpineOrigin) *headwaterv1.SpineOrigin {
	if o == nil {
		return nil
	}
	out := &headwaterv1.SpineOrigin{Sql: o.SQL}
	if e := o.Events; e != nil {
		out.Events = &headwaterv1.SpineEvents{Source: e.Source, From: timestampOf(e.From), To: timestampOf(e.To), Columns: e.Columns}
	}
	for _, src := range o.Sources {
		source := &headwaterv1.SpineSource{
			Source: src.Source, Version: int32(src.Version), Fingerprint: src.Fingerprint, LoadNumber: src.LoadNumber, RowsRead: src.RowsRead,
		}
		for _, l := range src.LeftOut {
			source.LeftOut = append(source.LeftOut, &headwaterv1.SourceLeftOut{Bucket: l.Bucket, Reason: l.Reason, Rows: l.Rows})
		}
		source.Rules = appliedRules(src.Rules)
		out.Sources = append(out.Sources, source)
	}
	return out
}
