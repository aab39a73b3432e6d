package server

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"google.golang.org/grpc"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/dataset"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/online"
	"github.com/headwaterhq/headwater/read"
	"github.com/headwaterhq/headwater/registry"
)

// maxEntities is how many entities one request may ask for.
const maxEntities = 1000

// onlineService answers online reads.
type onlineService struct {
	headwaterv1.UnimplementedOnlineServiceServer
	registry *registry.Registry
	reader   *online.Reader
	head     *head
	served   *served
	plans    planCache
	log      *readLogger
	// guard takes the reads of a stream one by one, and closing is closed when the server is about to stop.
	guard   *Guard
	closing <-chan struct{}
}

// registerOnline registers the service with a GetFeatures whose answers are bytes.
func registerOnline(s grpc.ServiceRegistrar, o *onlineService) {
	desc := headwaterv1.OnlineService_ServiceDesc
	desc.Methods = slices.Clone(desc.Methods)
	for i := range desc.Methods {
		if desc.Methods[i].MethodName == "GetFeatures" {
			desc.Methods[i].Handler = getFeatures
		}
	}
	s.RegisterService(&desc, o)
}

// getFeatures is what the generated code has for the method, but for the type of the answer.
func getFeatures(service any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
	request := &headwaterv1.GetFeaturesRequest{}
	if err := decode(requestReader{request}); err != nil {
		return nil, err
	}
	handle := func(ctx context.Context, request any) (any, error) {
		return service.(*onlineService).encoded(ctx, request.(*headwaterv1.GetFeaturesRequest))
	}
	if interceptor == nil {
		return handle(ctx, request)
	}
	return interceptor(ctx, request, &grpc.UnaryServerInfo{Server: service, FullMethod: headwaterv1.OnlineService_GetFeatures_FullMethodName}, handle)
}

// encoded is the answer to a request as bytes.
func (o *onlineService) encoded(ctx context.Context, req *headwaterv1.GetFeaturesRequest) (*encoded, error) {
	var buffer *[]byte
	err := o.read(ctx, req, func(a *answer) (err error) {
		buffer = answerBuffers.Get(a.n * len(a.plan.read.Columns) * 9)
		*buffer, err = a.append(*buffer, req.GetWithProvenance(), req.GetEncoding())
		return err
	})
	if err != nil {
		return nil, err
	}
	return &encoded{buffer}, nil
}

// GetFeatures is the answer to a request as a message, for callers within the server.
func (o *onlineService) GetFeatures(ctx context.Context, req *headwaterv1.GetFeaturesRequest) (response *headwaterv1.GetFeaturesResponse, err error) {
	err = o.read(ctx, req, func(a *answer) (err error) {
		response, err = a.response(req.GetWithProvenance(), req.GetEncoding())
		return err
	})
	return response, err
}

// read finds what a request asks for, and hands it to use, which keeps nothing of it.
func (o *onlineService) read(ctx context.Context, req *headwaterv1.GetFeaturesRequest, use func(*answer) error) error {
	w := watchFrom(ctx)
	if req.GetService() == "" && len(req.GetFeatures()) == 0 {
		if err := access.RequireAny(ctx, access.ActionReadOnline, access.KindService); err != nil {
			return err
		}
	}
	if err := checkAsked(req); err != nil {
		return err
	}
	for name, column := range req.GetKeys() {
		if err := checkLists(name, column, badKey); err != nil {
			return err
		}
	}
	plan, err := o.plan(ctx, req)
	if err != nil {
		return err
	}
	inputs, n, err := takeInputs(plan.read, req.GetInputs(), countOf(req.GetKeys()))
	if err != nil {
		return err
	}
	lookup := o.reader.Lookup(plan.online)
	defer lookup.Close()
	if req.GetAllowPartial() {
		lookup.AllowPartial()
	}
	if err := addKeys(lookup, plan, req.GetKeys(), n); err != nil {
		return err
	}
	now := feature.TimeOf(time.Now())
	late, err := o.head.checkFresh(plan.fresh, now)
	if err != nil {
		return err
	}
	a := &answer{
		plan: plan, lookup: lookup, n: n, now: now, position: o.head.position.Load(), readID: access.SessionFrom(ctx).ReadID(),
		late: late,
	}
	w.done(phasePlan)
	if err := lookup.Fetch(ctx); err != nil {
		return err
	}
	w.done(phaseFetch)
	stale := func(v *read.View) bool { return o.head.isStale(v.Version, a.now) }
	if err := lookup.Judge(a.now, stale); err != nil {
		return err
	}
	w.found(lookup, plan.read.Service, a.now)
	w.done(phaseJudge)
	if a.position == 0 && lookup.Found() {
		// A row is of a publication, the first of which the server has not heard of yet.
		a.position = firstPosition
	}
	if plan.read.Computes() {
		winners, err := a.allUnpacked()
		if err != nil {
			return err
		}
		if a.computed, err = compute(ctx, plan.read, winners, inputs, n, a.now); err != nil {
			return err
		}
		w.done(phaseCompute)
	}
	err = o.logRead(ctx, &answeredRead{
		session: access.SessionFrom(ctx), plan: plan.read, request: req, keys: a.keys, n: n, now: a.now.Time(), position: a.position,
		response: func() (*headwaterv1.GetFeaturesResponse, error) {
			logged := *a
			logged.whole = true
			return logged.response(true, 0)
		},
	})
	if err != nil {
		return err
	}
	rows, hidden := lookup.Rows()
	err = access.SessionFrom(ctx).Served(&access.Served{
		Reads: plan.reads, Plan: plan.read, Restriction: plan.restriction, Rows: rows, Hidden: hidden,
		AppendHash: func(dst []byte) []byte { return o.log.reads.AppendEntitiesHash(dst, lookup.Entities) },
	})
	if err != nil {
		return err
	}
	w.done(phaseLog)
	if err := use(a); err != nil {
		return err
	}
	w.done(phaseEncode)
	return nil
}

// plan is that of what a request asks for. Who asks by references is let read their views here; a service was decided on before.
func (o *onlineService) plan(ctx context.Context, req *headwaterv1.GetFeaturesRequest) (*compiledPlan, error) {
	catalog, versions := o.registry.Catalog(), o.served.versions.Load()
	session := access.SessionFrom(ctx)
	plan, err := o.plans.of(catalog, versions, session, req, func() (*compiledPlan, error) {
		var service *feature.ServiceVersion
		var err error
		if req.GetService() != "" {
			service, err = catalog.Service(req.GetService())
		} else if err = requireReferenced(ctx, access.ActionReadOnline, catalog, req.GetFeatures()); err == nil {
			service, _, err = referenced(req.GetFeatures(), "features", catalog.View)
		}
		if err != nil {
			return nil, err
		}
		if service.Name == "" {
			// Before anything is told of what its views are.
			if err := access.RequireViews(ctx, access.ActionReadOnline, service); err != nil {
				return nil, err
			}
		}
		if err := checkMapping(service, req.GetKeyMapping(), "key_mapping"); err != nil {
			return nil, err
		}
		joins, err := dataset.ResolveJoins(service, joinsOf(req.GetJoins()), "joins")
		if err != nil {
			return nil, err
		}
		if service, err = o.served.follow(catalog, service); err != nil {
			return nil, err
		}
		restriction, err := session.Restrict(access.ActionReadOnline, feature.UseServing, service)
		if err != nil {
			return nil, err
		}
		compiled, err := o.plans.get(restriction, service, req.GetKeyMapping(), joins)
		if err != nil {
			return nil, err
		}
		return compiled.of(catalog), nil
	})
	if err == nil && req.GetService() == "" {
		err = access.RequireViews(ctx, access.ActionReadOnline, plan.read.Service)
	}
	return plan, err
}

// checkAsked refuses a request that does not say one thing that it is about, and an encoding that there is none of.
func checkAsked(req *headwaterv1.GetFeaturesRequest) error {
	switch named, listed := req.GetService() != "", len(req.GetFeatures()) > 0; {
	case !named && !listed:
		return fault.New(fault.InvalidArgument, "the request does not say what it is about").
			Violating(fault.Violation{Field: "service", Description: "found nothing, expected the name of a service, or features"})
	case named && listed:
		return fault.New(fault.InvalidArgument, "the request has both a service and features, expected one of the two").
			Violating(fault.Violation{Field: "features", Description: "found them beside a service, expected one of the two"})
	case headwaterv1.FeatureEncoding_name[int32(req.GetEncoding())] == "":
		description := fmt.Sprintf("found %d, expected 0 for vectors, or 1 for Arrow", req.GetEncoding())
		return fault.New(fault.InvalidArgument, "encoding: %s", description).Violating(fault.Violation{Field: "encoding", Description: description})
	}
	return nil
}

// checkMapping refuses a mapping of what is no join key of the service, which would do nothing. field names it in the request.
func checkMapping(service *feature.ServiceVersion, mapping map[string]string, field string) error {
	for _, key := range slices.Sorted(maps.Keys(mapping)) {
		if mapping[key] == "" {
			return badMapping(field, key, "found no column for it, expected the name of one")
		}
		if !slices.ContainsFunc(service.Pins, func(p feature.ServicePin) bool {
			return slices.ContainsFunc(p.View.Histories(), func(v *feature.ViewVersion) bool {
				return slices.ContainsFunc(v.EntityVersion.JoinKeys, func(c feature.Column) bool { return c.Name == key })
			})
		}) {
			return badMapping(field, key, fmt.Sprintf("no view of %s has a join key of this name; leave it out, or correct it: "+
				"a join key stands on the left, the column to take on the right", service.Title()))
		}
	}
	return nil
}

func badMapping(field, key, description string) error {
	key = shorten(key, maxShownName)
	return fault.New(fault.InvalidArgument, "key mapping: %s: %s", key, description).
		Violating(fault.Violation{Field: fmt.Sprintf("%s[%q]", field, key), Description: description})
}
