package server

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/access"
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
	plans    planCache
}

// compiledPlan is a read plan with what the online store made of it.
type compiledPlan struct {
	read   *read.Plan
	online *online.Plan
}

// planCache keeps the plans of service versions. A version is immutable, so its plan is; an old catalog's plans go with
// the process.
type planCache struct{ plans sync.Map }

// planKey is not the fingerprint: versions pinned to two versions of a view that mean the same have one fingerprint, and
// rows of their own.
type planKey struct {
	service string
	version int
}

func (c *planCache) get(s *feature.ServiceVersion, mapping map[string]string) *compiledPlan {
	if len(mapping) > 0 {
		return compilePlan(s, mapping)
	}
	key := planKey{s.Name, s.Version}
	if p, ok := c.plans.Load(key); ok {
		return p.(*compiledPlan)
	}
	p, _ := c.plans.LoadOrStore(key, compilePlan(s, nil))
	return p.(*compiledPlan)
}

func compilePlan(s *feature.ServiceVersion, mapping map[string]string) *compiledPlan {
	p := read.NewPlan(s, mapping, "")
	return &compiledPlan{read: p, online: online.NewPlan(p)}
}

func (o *onlineService) GetFeatures(ctx context.Context, req *headwaterv1.GetFeaturesRequest) (*headwaterv1.GetFeaturesResponse, error) {
	service, err := o.registry.Catalog().Service(req.GetService())
	if err != nil {
		return nil, err
	}
	if len(req.GetInputs()) > 0 {
		return nil, fault.New(fault.Unimplemented, "inputs: found request inputs; features computed when they are read are not "+
			"available in this version")
	}
	plan := o.plans.get(service, req.GetKeyMapping())
	keys, n, err := encodeKeys(plan.read, req.GetKeys())
	if err != nil {
		return nil, err
	}
	now := time.Now()
	winners, err := o.reader.Read(ctx, plan.online, keys, feature.TimeOf(now))
	if err != nil {
		return nil, err
	}
	for v := range plan.read.Views {
		for i := range winners[v] {
			plan.read.Views[v].Admit(&winners[v][i])
		}
	}
	resp := &headwaterv1.GetFeaturesResponse{
		ReadId:         access.SessionFrom(ctx).ReadID(),
		Service:        service.Name,
		ServiceVersion: int32(service.Version),
		Features:       make([]*headwaterv1.FeatureVector, len(plan.read.Columns)),
		ServedAt:       timestamppb.New(now),
		Position:       o.head.position.Load(),
	}
	for i := range plan.read.Columns {
		c := &plan.read.Columns[i]
		resp.Features[i] = &headwaterv1.FeatureVector{Name: c.Name, Values: vectorOf(c, winners[c.View], n)}
	}
	if req.GetWithProvenance() {
		for v := range plan.read.Views {
			resp.Provenance = append(resp.Provenance, provenanceOf(&plan.read.Views[v], winners[v]))
		}
	}
	return resp, nil
}

// vectorOf is one column of the answer.
func vectorOf(c *read.Column, winners []read.Winner, n int) *headwaterv1.ValueVector {
	out := &headwaterv1.ValueVector{
		Type: headwaterv1.ValueType(c.Type), Status: make([]headwaterv1.ValueStatus, n),
	}
	switch c.Type {
	case feature.TypeBool:
		out.Bools = make([]bool, n)
	case feature.TypeInt64:
		out.Int64S = make([]int64, n)
	case feature.TypeFloat64:
		out.Float64S = make([]float64, n)
	case feature.TypeString:
		out.Strings = make([]string, n)
	case feature.TypeTimestamp:
		out.Timestamps = make([]int64, n)
	}
	for i := range winners {
		v, status := c.Value(&winners[i])
		out.Status[i] = headwaterv1.ValueStatus(status)
		if v.IsNull() {
			continue
		}
		switch c.Type {
		case feature.TypeBool:
			out.Bools[i] = v.Bool()
		case feature.TypeInt64:
			out.Int64S[i] = v.Int64()
		case feature.TypeFloat64:
			out.Float64S[i] = v.Float64()
		case feature.TypeString:
			out.Strings[i] = v.Str()
		case feature.TypeTimestamp:
			out.Timestamps[i] = int64(v.Timestamp())
		}
	}
	return out
}

func provenanceOf(v *read.View, winners []read.Winner) *headwaterv1.ViewProvenance {
	p := &headwaterv1.ViewProvenance{
		View: v.Version.Name, ViewVersion: int32(v.Version.Version),
		EventTimes: make([]int64, len(winners)), AvailableAts: make([]int64, len(winners)), RunSeqs: make([]int64, len(winners)),
	}
	for i := range winners {
		if winners[i].Status == read.Present {
			p.EventTimes[i], p.AvailableAts[i] = int64(winners[i].EventTime), int64(winners[i].AvailableAt)
			p.RunSeqs[i] = winners[i].RunSeq
		}
	}
	return p
}

// encodeKeys checks the request's key columns against the plan and encodes, for each view, the key of each entity.
func encodeKeys(plan *read.Plan, columns map[string]*headwaterv1.KeyColumn) (keys [][]online.Key, n int, err error) {
	n = -1
	for name, c := range columns {
		if !slices.ContainsFunc(plan.Views, func(v read.View) bool { return slices.Contains(v.KeyColumns, name) }) {
			return nil, 0, badKey(name, "no view of service %s has a join key of this name; leave it out, or map a join key to it "+
				"in key_mapping", plan.Service.Name)
		}
		if n < 0 {
			n = len(c.GetValues())
		}
		if len(c.GetValues()) != n {
			return nil, 0, badKey(name, "found %d values, expected as many as in the other key columns, %d", len(c.GetValues()), n)
		}
		if n < 1 || n > maxEntities {
			return nil, 0, badKey(name, "found %d values, expected 1 to %d", n, maxEntities)
		}
	}
	keys = make([][]online.Key, len(plan.Views))
	values := make([]feature.Value, 0, 4)
	var buf []byte
	for v := range plan.Views {
		view := &plan.Views[v]
		entity := view.Version.EntityVersion
		for k, name := range view.KeyColumns {
			if columns[name] == nil {
				return nil, 0, badKey(name, "found none, expected the join key %s of entity %s, which view %s needs",
					entity.JoinKeys[k].Name, entity.Name, view.Version.Name)
			}
		}
		keys[v] = make([]online.Key, n)
		for i := range n {
			values = values[:0]
			for _, name := range view.KeyColumns {
				values = append(values, valueOf(columns[name].GetValues()[i]))
			}
			var ok bool
			if buf, ok, err = entity.AppendKey(buf[:0], values); err != nil {
				return nil, 0, fault.New(fault.InvalidArgument, "entity %d: %v", i+1, err)
			}
			if ok {
				keys[v][i] = online.Key{Text: string(buf), OK: true}
			}
		}
	}
	return keys, n, nil
}

func badKey(name, format string, args ...any) error {
	what := fmt.Sprintf(format, args...)
	return fault.New(fault.InvalidArgument, "keys: column %s: %s", name, what).Violating(fault.Violation{
		Field: fmt.Sprintf("keys[%q]", name), Description: what,
	})
}
