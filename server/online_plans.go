package server

import (
	"encoding/binary"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/online"
	"github.com/headwaterhq/headwater/read"
	"github.com/headwaterhq/headwater/registry"
)

// compiledPlan is a read plan with what the online store and the answer's encoding made of it.
type compiledPlan struct {
	read   *read.Plan
	online *online.Plan
	// frames are those of the plan's columns, in their order.
	frames []columnFrame
	// keyColumns are the columns that a request has keys in.
	keyColumns []string
}

// planCache keeps the plans of service versions, by name and version: such a version never changes. Not by fingerprint: a view
// that goes back to what it was gets a version with rows of its own, and its fingerprint again.
type planCache struct {
	plans sync.Map
	// asked is how requests find them.
	asked atomic.Pointer[askedPlans]
}

type serviceKey struct {
	name    string
	version int
	// followed are the versions of the views that the service follows.
	followed string
}

// askedPlans are plans by what requests say, while the catalog is the one, and the view versions that are served are those.
// Immutable.
type askedPlans struct {
	catalog  *registry.Catalog
	versions *map[int64]bool
	plans    map[string]*compiledPlan
}

// maxAskedPlans bounds how many are kept: callers choose mappings as they like.
const maxAskedPlans = 1000

// of is the plan for a service and mapping as a request has them, made by compile the first time.
func (c *planCache) of(catalog *registry.Catalog, versions *map[int64]bool, service string, mapping map[string]string, compile func() (*compiledPlan, error)) (*compiledPlan, error) {
	var room [128]byte
	key := appendAsked(room[:0], service, mapping)
	known := c.asked.Load()
	current := known != nil && known.catalog == catalog && known.versions == versions
	if current {
		if plan := known.plans[string(key)]; plan != nil {
			return plan, nil
		}
	}
	plan, err := compile()
	if err != nil {
		return nil, err
	}
	next := &askedPlans{catalog: catalog, versions: versions, plans: map[string]*compiledPlan{}}
	if current && len(known.plans) < maxAskedPlans {
		next.plans = maps.Clone(known.plans)
	}
	next.plans[string(key)] = plan
	// Of two requests at once one may be forgotten, and is made again.
	c.asked.CompareAndSwap(known, next)
	return plan, nil
}

// appendAsked appends a service and a mapping, each text behind its length, so that no two requests are the same: what was decided
// on is the service that the request names.
func appendAsked(dst []byte, service string, mapping map[string]string) []byte {
	dst = append(binary.AppendUvarint(dst, uint64(len(service))), service...)
	if len(mapping) == 0 {
		return dst
	}
	for _, key := range slices.Sorted(maps.Keys(mapping)) {
		for _, text := range []string{key, mapping[key]} {
			dst = append(binary.AppendUvarint(dst, uint64(len(text))), text...)
		}
	}
	return dst
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
	compiled := &compiledPlan{read: p, online: online.NewPlan(p), frames: framesOf(p)}
	for i := range p.Views {
		compiled.keyColumns = append(compiled.keyColumns, p.Views[i].KeyColumns...)
	}
	slices.Sort(compiled.keyColumns)
	compiled.keyColumns = slices.Compact(compiled.keyColumns)
	return compiled, nil
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
