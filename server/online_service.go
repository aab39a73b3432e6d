package server

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/wire"
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
}

// compiledPlan is a read plan with what the online store made of it.
type compiledPlan struct {
	read   *read.Plan
	online *online.Plan
}

// planCache keeps the plans of service versions, by name and version: such a version never changes. Not by fingerprint: a view
// that goes back to what it was gets a version with rows of its own, and its fingerprint again.
type planCache struct{ plans sync.Map }

type serviceKey struct {
	name    string
	version int
	// followed are the versions of the views that the service follows.
	followed string
}

func (c *planCache) get(s *feature.ServiceVersion, mapping map[string]string) (*compiledPlan, error) {
	if len(mapping) > 0 {
		return compilePlan(s, mapping)
	}
	key := serviceKey{s.Name, s.Version, followedVersions(s)}
	if p, ok := c.plans.Load(key); ok {
		return p.(*compiledPlan), nil
	}
	compiled, err := compilePlan(s, nil)
	if err != nil {
		return nil, err
	}
	p, _ := c.plans.LoadOrStore(key, compiled)
	return p.(*compiledPlan), nil
}

func compilePlan(s *feature.ServiceVersion, mapping map[string]string) (*compiledPlan, error) {
	p, err := planOf(s, mapping)
	if err != nil {
		return nil, err
	}
	return &compiledPlan{read: p, online: online.NewPlan(p)}, nil
}

// planOf is read.NewPlan with its error for a caller.
func planOf(s *feature.ServiceVersion, mapping map[string]string) (*read.Plan, error) {
	p, err := read.NewPlan(s, mapping, "")
	if err != nil {
		return nil, fault.New(fault.FailedPrecondition, "service %s cannot be read by this version of Headwater: %v; apply a new version of "+
			"the view", s.Ref(), err)
	}
	return p, nil
}

func (o *onlineService) GetFeatures(ctx context.Context, req *headwaterv1.GetFeaturesRequest) (*headwaterv1.GetFeaturesResponse, error) {
	if req.GetService() == "" {
		if err := access.RequireAny(ctx, access.ActionReadOnline, access.KindService); err != nil {
			return nil, err
		}
	}
	if err := unbuilt(req); err != nil {
		return nil, err
	}
	for name, column := range req.GetKeys() {
		if err := spread(name, column); err != nil {
			return nil, err
		}
	}
	service, err := o.registry.Catalog().Service(req.GetService())
	if err != nil {
		return nil, err
	}
	if err := checkMapping(service, req.GetKeyMapping(), "key_mapping"); err != nil {
		return nil, err
	}
	if service, err = o.served.follow(o.registry.Catalog(), service); err != nil {
		return nil, err
	}
	plan, err := o.plans.get(service, req.GetKeyMapping())
	if err != nil {
		return nil, err
	}
	inputs, n, err := takeInputs(plan.read, req.GetInputs(), countOf(req.GetKeys()))
	if err != nil {
		return nil, err
	}
	keys, err := encodeKeys(plan.read, req.GetKeys(), n)
	if err != nil {
		return nil, err
	}
	now, position := time.Now(), o.head.position.Load()
	winners, err := o.reader.Read(ctx, plan.online, keys, feature.TimeOf(now))
	if err != nil {
		return nil, err
	}
	for v := range plan.read.Views {
		stale := o.head.isStale(plan.read.Views[v].Version, feature.TimeOf(now))
		for i := range winners[v] {
			plan.read.Views[v].Admit(&winners[v][i])
			if stale && winners[v][i].Status == read.Present {
				winners[v][i].Status = read.Stale
			}
		}
	}
	computed, err := compute(ctx, plan.read, winners, inputs, n, feature.TimeOf(now))
	if err != nil {
		return nil, err
	}
	answer := func(provenance bool) *headwaterv1.GetFeaturesResponse {
		resp := &headwaterv1.GetFeaturesResponse{
			ReadId:         access.SessionFrom(ctx).ReadID(),
			Service:        service.Name,
			ServiceVersion: int32(service.Version),
			Features:       make([]*headwaterv1.FeatureVector, len(plan.read.Columns)),
			ServedAt:       timestamppb.New(now),
			Position:       position,
		}
		for i := range plan.read.Columns {
			c := &plan.read.Columns[i]
			value := func(row int) (feature.Value, read.Status) { return c.Value(&winners[c.View][row]) }
			if c.View == read.Computed {
				value = computed.column(i)
			}
			resp.Features[i] = &headwaterv1.FeatureVector{
				Name: c.Name, Values: vectorOf(c, value, n),
				View: c.Version.Name, ViewVersion: int32(c.Version.Version), Feature: c.Version.Features[c.Feature].Name,
			}
		}
		if provenance {
			for v := range plan.read.Views {
				resp.Provenance = append(resp.Provenance, provenanceOf(&plan.read.Views[v], winners[v], feature.TimeOf(now)))
			}
		}
		return resp
	}
	err = o.logRead(ctx, &answeredRead{
		session: access.SessionFrom(ctx), plan: plan.read, request: req, keys: keys, n: n, now: now, position: position,
		response: func() (*headwaterv1.GetFeaturesResponse, error) { return answer(true), nil },
	})
	if err != nil {
		return nil, err
	}
	return answer(req.GetWithProvenance()), nil
}

// spread turns typed lists of a key column into values.
func spread(name string, c *headwaterv1.KeyColumn) error {
	lists := 0
	for _, n := range []int{len(c.GetValues()), len(c.GetStrings()), len(c.GetInt64S())} {
		if n > 0 {
			lists++
		}
	}
	if lists > 1 {
		return badKey(name, "found several lists of values, expected one of values, strings and int64s")
	}
	for _, text := range c.GetStrings() {
		c.Values = append(c.Values, &headwaterv1.Value{Kind: &headwaterv1.Value_StringValue{StringValue: text}})
	}
	for _, number := range c.GetInt64S() {
		c.Values = append(c.Values, &headwaterv1.Value{Kind: &headwaterv1.Value_Int64Value{Int64Value: number}})
	}
	return nil
}

// unbuilt refuses what requests may say and this version does not do.
func unbuilt(req *headwaterv1.GetFeaturesRequest) error {
	what := ""
	switch {
	case len(req.GetFeatures()) > 0:
		what = "features by reference"
	case len(req.GetJoins()) > 0:
		what = "joins"
	case req.GetAllowPartial():
		what = "partial answers"
	case req.GetEncoding() != 0:
		what = "Arrow"
	case req.GetService() == "":
		return fault.New(fault.InvalidArgument, "the request does not say what it is about").
			Violating(fault.Violation{Field: "service", Description: "found nothing, expected the name of a service"})
	default:
		return nil
	}
	return fault.New(fault.Unimplemented, "online reads do not know %s yet", what)
}

// vectorOf is one column of the answer.
func vectorOf(c *read.Column, value func(row int) (feature.Value, read.Status), n int) *headwaterv1.ValueVector {
	out := wire.NewVector(c.Type, n)
	for i := range n {
		v, status := value(i)
		out.Status[i] = headwaterv1.ValueStatus(status)
		wire.SetVector(out, i, v)
	}
	return out
}

func provenanceOf(v *read.View, winners []read.Winner, now feature.Time) *headwaterv1.ViewProvenance {
	p := &headwaterv1.ViewProvenance{
		View: v.Version.Name, ViewVersion: int32(v.Version.Version), Prefix: v.Prefix,
		EventTimes: make([]int64, len(winners)), AvailableAts: make([]int64, len(winners)), RunSeqs: make([]int64, len(winners)),
		Ages: make([]int64, len(winners)),
	}
	for i := range winners {
		if s := winners[i].Status; s == read.Present || s == read.Stale {
			p.EventTimes[i], p.AvailableAts[i] = int64(winners[i].EventTime), int64(winners[i].AvailableAt)
			p.RunSeqs[i], p.Ages[i] = winners[i].RunSeq, int64(now-winners[i].EventTime)
		}
	}
	return p
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
			of := "service " + service.Name
			if service.Name == "" {
				of = "the dataset"
			}
			return badMapping(field, key, fmt.Sprintf("no view of %s has a join key of this name; leave it out, or correct it: "+
				"a join key stands on the left, the column to take on the right", of))
		}
	}
	return nil
}

func badMapping(field, key, description string) error {
	key = shorten(key, maxShownName)
	return fault.New(fault.InvalidArgument, "key mapping: %s: %s", key, description).
		Violating(fault.Violation{Field: fmt.Sprintf("%s[%q]", field, key), Description: description})
}

// countOf is how many entities the columns of keys are of: as the first of them by name says; 0 without any.
func countOf(columns map[string]*headwaterv1.KeyColumn) int {
	names := slices.Sorted(maps.Keys(columns))
	if len(names) == 0 {
		return 0
	}
	return len(columns[names[0]].GetValues())
}

// encodeKeys checks the request's key columns against the plan and encodes, for each view, the key of each of n entities.
func encodeKeys(plan *read.Plan, columns map[string]*headwaterv1.KeyColumn, n int) (keys [][]online.Key, err error) {
	// In the order of their names, so that the same request gets the same answer.
	names := slices.Sorted(maps.Keys(columns))
	for _, name := range names {
		if !slices.ContainsFunc(plan.Views, func(v read.View) bool { return slices.Contains(v.KeyColumns, name) }) {
			return nil, badKey(name, "no view of service %s has a join key of this name; leave it out, or map a join key to it "+
				"in key_mapping", plan.Service.Name)
		}
		found := len(columns[name].GetValues())
		if found != n {
			return nil, badKey(name, "found %d values, expected as many as in %s, %d", found, names[0], n)
		}
		if n < 1 || n > maxEntities {
			return nil, badKey(name, "found %d values, expected 1 to %d", n, maxEntities)
		}
	}
	keys = make([][]online.Key, len(plan.Views))
	values := make([]feature.Value, 0, 4)
	var buf []byte
	for v := range plan.Views {
		view := &plan.Views[v]
		entity := view.Version.EntityVersion
		for k, name := range view.KeyColumns {
			key := &entity.JoinKeys[k]
			if columns[name] == nil {
				return nil, badKey(name, "found none, expected the join key %s of entity %s, which view %s needs",
					key.Name, entity.Name, view.Version.Name)
			}
			for i, value := range columns[name].GetValues() {
				if _, err := keyOf(key, value); err != nil {
					return nil, badKey(name, "value %d: %v, the type of join key %s of entity %s", i+1, err, key.Name, entity.Name)
				}
			}
		}
		keys[v] = make([]online.Key, n)
		for i := range n {
			values = values[:0]
			for k, name := range view.KeyColumns {
				// Checked above.
				value, _ := keyOf(&entity.JoinKeys[k], columns[name].GetValues()[i])
				values = append(values, value)
			}
			var ok bool
			if buf, ok, err = entity.AppendKey(buf[:0], values); err != nil {
				return nil, fault.New(fault.InvalidArgument, "keys: entity %d: %v", i+1, err)
			}
			if ok {
				keys[v][i] = online.Key{Text: string(buf), OK: true}
			}
		}
	}
	return keys, nil
}

// keyOf is a value of a join key. What text may hold is for AppendKey to say.
func keyOf(key *feature.Column, v *headwaterv1.Value) (feature.Value, error) {
	if s, ok := v.GetKind().(*headwaterv1.Value_StringValue); ok && key.Type == feature.TypeString {
		return feature.String(s.StringValue), nil
	}
	return wire.FromValue(key.Type, v)
}

func badKey(name, format string, args ...any) error {
	name = shorten(name, maxShownName)
	description := fmt.Sprintf(format, args...)
	return fault.New(fault.InvalidArgument, "keys: column %s: %s", name, description).
		Violating(fault.Violation{Field: fmt.Sprintf("keys[%q]", name), Description: description})
}
