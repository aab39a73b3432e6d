package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/dataset"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/registry"
)

// featureRef is `VIEW.FEATURE` or `VIEW@VERSION.FEATURE` taken apart. feature is empty for all of the view's.
func featureRef(ref string) (view, feature string) {
	view, feature, _ = strings.Cut(ref, ".")
	return view, feature
}

// referenced is what is read by feature references: a service without a name, and each feature as `VIEW@VERSION.FEATURE`. find
// finds a view by NAME or NAME@VERSION, and field is where the request has the references.
func referenced(refs []string, field string, find func(string) (*feature.ViewVersion, error)) (*feature.ServiceVersion, []string, error) {
	service := &feature.ServiceVersion{}
	var features []string
	for i, ref := range refs {
		name, picked := featureRef(ref)
		if name == "" || picked == "" && strings.HasSuffix(ref, ".") {
			return nil, nil, badFeature(field, i, "found %q, expected VIEW.FEATURE, VIEW@VERSION.FEATURE, or a view for all of its features", shorten(ref, maxShownName))
		}
		view, err := find(name)
		if err != nil {
			return nil, nil, err
		}
		at := view.FeatureIndex(picked)
		first, last := at, at
		switch {
		case picked == "":
			first, last = 0, len(view.Features)-1
		case at < 0:
			return nil, nil, badFeature(field, i, "found no feature called %q in view %s%s", shorten(picked, maxShownName), view.Ref(), guessFeature(picked, view))
		}
		// References to one view, one behind the other, are one pin.
		if n := len(service.Pins); n == 0 || service.Pins[n-1].View != view {
			service.Pins = append(service.Pins, feature.ServicePin{View: view})
		}
		pin := &service.Pins[len(service.Pins)-1]
		for at := first; at <= last; at++ {
			full := view.Ref() + "." + view.Features[at].Name
			if slices.Contains(features, full) {
				return nil, nil, badFeature(field, i, "found %s a second time, expected each feature once", full)
			}
			features = append(features, full)
			pin.Features = append(pin.Features, at)
		}
	}
	for _, p := range service.OutputProblems() {
		return nil, nil, fault.New(fault.InvalidArgument, "features: %s", p.Message).
			Violating(fault.Violation{Field: field, Description: p.Message})
	}
	return service, features, nil
}

func guessFeature(name string, view *feature.ViewVersion) string {
	var names []string
	for _, f := range view.Features {
		names = append(names, f.Name)
	}
	if near, ok := feature.Nearest(name, names); ok {
		return "; did you mean " + near + "?"
	}
	if len(names) > 8 {
		return fmt.Sprintf("; `headwater describe view %s` shows the %d there are", view.Name, len(names))
	}
	return "; there is " + strings.Join(names, ", ")
}

func badFeature(field string, i int, format string, args ...any) error {
	description := fmt.Sprintf(format, args...)
	return fault.New(fault.InvalidArgument, "features: %s", description).
		Violating(fault.Violation{Field: fmt.Sprintf("%s[%d]", field, i), Description: description})
}

// headerFeatures is where a build has its references.
const headerFeatures = "header.features"

// requireReferenced decides on the features of each reference, before it is told whether there are such.
func requireReferenced(ctx context.Context, action access.Action, catalog *registry.Catalog, refs []string) error {
	for _, ref := range refs {
		name, picked := featureRef(ref)
		view, _ := catalog.View(name)
		if err := access.RequireReference(ctx, action, shorten(name, maxShownName), picked, view); err != nil {
			return err
		}
	}
	return nil
}

// asked is what a build is to read: the service that it names, or the features that it lists, with these by version.
func (s *datasetService) asked(ctx context.Context, first *headwaterv1.BuildDatasetRequest) (*feature.ServiceVersion, []string, error) {
	header, catalog := first.GetHeader(), s.registry.Catalog()
	refs := header.GetFeatures()
	if header == nil || (first.GetService() == "") == (len(refs) == 0) {
		found := "no header, expected one"
		switch {
		case header == nil:
		case len(refs) == 0:
			found = "neither a service nor features, expected one of the two"
		default:
			found = "both a service and features, expected one of the two"
		}
		err := fault.New(fault.InvalidArgument, "the first message of a build has %s", found)
		if first.GetService() == "" {
			return nil, nil, errors.Join(requireAnyRead(ctx), err)
		}
		return nil, nil, err
	}
	if len(refs) == 0 {
		service, err := catalog.Service(first.GetService())
		return service, nil, err
	}
	if err := requireReferenced(ctx, access.ActionReadOffline, catalog, refs); err != nil {
		return nil, nil, err
	}
	service, features, err := referenced(refs, headerFeatures, catalog.View)
	if err != nil {
		return nil, nil, err
	}
	if header.GetName() == "" {
		return nil, nil, fault.New(fault.InvalidArgument, "name: found none, expected one: a dataset of features by reference has no service to "+
			"be called after").Violating(fault.Violation{Field: "header.name", Description: "found none, expected one"})
	}
	return service, features, access.RequireViews(ctx, access.ActionReadOffline, service)
}

// requireAnyRead decides whether there may be a dataset that the caller may read: of any service, or of any view.
func requireAnyRead(ctx context.Context) error {
	if access.AllowsAny(ctx, access.ActionReadOffline, access.KindView) && !access.AllowsAny(ctx, access.ActionReadOffline, access.KindService) {
		return access.RequireAny(ctx, access.ActionReadOffline, access.KindView)
	}
	return access.RequireAny(ctx, access.ActionReadOffline, access.KindService)
}

// missingDataset is the error of a dataset that was looked for by who wants to read it.
func missingDataset(ctx context.Context, err error) error {
	if fault.ReasonOf(err) != fault.NotFound {
		return err
	}
	return errors.Join(requireAnyRead(ctx), err)
}

// builtOf is what a dataset was built of, by service or by references, at the versions that it reads, for who may read it: all
// that its build needed. A spine that the server read holds rows of its sources.
func (s *datasetService) builtOf(ctx context.Context, m *dataset.Manifest) (*feature.ServiceVersion, error) {
	service, err := s.builtBy(m)
	if err != nil {
		return nil, err
	}
	if service.Name == "" {
		err = access.RequireViews(ctx, access.ActionReadOffline, service)
	} else {
		err = access.RequireService(ctx, access.ActionReadOffline, service)
	}
	if err != nil {
		return nil, err
	}
	if err := s.requireSpine(ctx, m); err != nil {
		return nil, err
	}
	if service.Name == "" {
		return service, nil
	}
	return s.followed(service, m)
}

// requireSpine decides whether the caller may have the rows of the sources that a spine was read from, as its builder saw them.
func (s *datasetService) requireSpine(ctx context.Context, m *dataset.Manifest) error {
	if m.SpineOrigin == nil {
		return nil
	}
	for i := range m.SpineOrigin.Sources {
		src := &m.SpineOrigin.Sources[i]
		version := s.spineSource(src)
		var err error
		if version == nil {
			err = access.Require(ctx, access.ActionReadOffline, access.KindSource, src.Source)
		} else {
			err = access.RequireSource(ctx, version, src.Rules)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// allowsSpine is requireSpine without a record.
func (s *datasetService) allowsSpine(ctx context.Context, m *dataset.Manifest) bool {
	return m.SpineOrigin == nil || !slices.ContainsFunc(m.SpineOrigin.Sources, func(src dataset.SpineSource) bool {
		if version := s.spineSource(&src); version != nil {
			return !access.MayHaveSource(ctx, version, src.Rules)
		}
		return !access.Allows(ctx, access.ActionReadOffline, access.KindSource, src.Source)
	})
}

// builtBy is the service of a dataset, or what stands for one that has no name, before it is decided who may read it.
func (s *datasetService) builtBy(m *dataset.Manifest) (*feature.ServiceVersion, error) {
	catalog := s.registry.Catalog()
	if len(m.Features) > 0 {
		service, _, err := referenced(m.Features, headerFeatures, catalog.PastView)
		return service, err
	}
	return catalog.PastService(fmt.Sprintf("%s@%d", m.Service, m.ServiceVersion))
}

// shownTo is a manifest as the caller may see it who may know of it: values are for who may read the dataset.
func (s *datasetService) shownTo(ctx context.Context, m *dataset.Manifest) (*headwaterv1.Manifest, error) {
	if !s.readableTo(ctx, m) {
		return withoutValues(manifestOf(ctx, m)), nil
	}
	if _, err := s.builtOf(ctx, m); err != nil {
		return nil, err
	}
	return manifestOf(ctx, m), nil
}

// readableTo reports, without a record, whether the caller may read a dataset.
func (s *datasetService) readableTo(ctx context.Context, m *dataset.Manifest) bool {
	service, err := s.builtBy(m)
	if err == nil && service.Name != "" {
		// Policies are about the versions that were read.
		service, err = s.followed(service, m)
	}
	return err == nil && access.AllowsService(ctx, access.ActionReadOffline, service) && access.SessionFrom(ctx).MayHave(service, m.Policies) && s.allowsSpine(ctx, m)
}

// askedJoin is a join as a request has it.
type askedJoin interface {
	GetPrefix() string
	GetKeyMapping() map[string]string
	GetViews() []string
}

func joinsOf[J askedJoin](joins []J) []dataset.Join {
	var list []dataset.Join
	for _, j := range joins {
		list = append(list, dataset.Join{Prefix: j.GetPrefix(), KeyMapping: j.GetKeyMapping(), Views: j.GetViews()})
	}
	return list
}

func manifestJoins(joins []dataset.Join) []*headwaterv1.DatasetJoin {
	var list []*headwaterv1.DatasetJoin
	for _, j := range joins {
		list = append(list, &headwaterv1.DatasetJoin{Prefix: j.Prefix, KeyMapping: j.KeyMapping, Views: j.Views})
	}
	return list
}
