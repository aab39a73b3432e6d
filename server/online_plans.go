package server

import (
	"encoding/binary"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/dataset"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
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
	// fresh are the views that declare a freshness. Of a plan that a request found: as its catalog has them.
	fresh []*feature.ViewVersion
	// restriction is what its readers are held to. nil: to nothing.
	restriction *access.Restriction
	// reads are what reads by it extend to, for the audit.
	reads *access.Reads
}

// of is the plan with what a catalog says of its views.
func (p *compiledPlan) of(catalog *registry.Catalog) *compiledPlan {
	fresh := declaredFresh(catalog, p.read)
	if len(fresh) == 0 {
		return p
	}
	of := *p
	of.fresh = fresh
	return &of
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
	plans    map[string]askedPlan
}

type askedPlan struct {
	*compiledPlan
	// by is the name of the principal whose request it was made for.
	by string
}

// maxAskedPlans bounds how many are kept: callers choose mappings and purposes as they like.
const maxAskedPlans = 1000

// with are the plans and another one. Where they would be too many, one goes of the principal for whom most were made: so whoever asks in
// ever new ways pushes out its own.
func (a *askedPlans) with(key string, plan askedPlan, most int) map[string]askedPlan {
	plans := maps.Clone(a.plans)
	if plans == nil {
		plans = map[string]askedPlan{}
	}
	plans[key] = plan
	if len(plans) <= most {
		return plans
	}
	of, worst := map[string]int{}, plan.by
	for _, p := range plans {
		if of[p.by]++; of[p.by] > of[worst] {
			worst = p.by
		}
	}
	for k, p := range plans {
		if p.by == worst && k != key {
			delete(plans, k)
			break
		}
	}
	return plans
}

// of is the plan for what a request asks for, made by compile the first time. The session is of who reads, and for what, where that makes a
// difference.
func (c *planCache) of(catalog *registry.Catalog, versions *map[int64]bool, session *access.Session, req *headwaterv1.GetFeaturesRequest, compile func() (*compiledPlan, error)) (*compiledPlan, error) {
	var room [256]byte
	// What stands for the reading is behind what is asked, whose end is known.
	key := session.AppendReadingKey(appendAsked(room[:0], req), feature.UseServing)
	known := c.asked.Load()
	current := known != nil && known.catalog == catalog && known.versions == versions
	if current {
		if plan, ok := known.plans[string(key)]; ok {
			return plan.compiledPlan, nil
		}
	}
	plan, err := compile()
	if err != nil {
		return nil, err
	}
	next := &askedPlans{catalog: catalog, versions: versions}
	if current {
		next.plans = known.plans
	}
	next.plans = next.with(string(key), askedPlan{plan, session.Principal().Name}, maxAskedPlans)
	// Of two requests at once one may be forgotten, and is made again.
	c.asked.CompareAndSwap(known, next)
	return plan, nil
}

// appendAsked appends what a plan is made of: a service, references, a mapping and joins, each text behind its length, so that no two
// requests are the same: what was decided on is what the request names.
func appendAsked(dst []byte, req *headwaterv1.GetFeaturesRequest) []byte {
	dst = appendTexts(appendText(dst, req.GetService()), req.GetFeatures())
	dst = appendMapping(dst, req.GetKeyMapping())
	for _, j := range req.GetJoins() {
		dst = appendMapping(appendTexts(appendText(dst, j.GetPrefix()), j.GetViews()), j.GetKeyMapping())
	}
	return dst
}

func appendText(dst []byte, text string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(text))), text...)
}

func appendTexts(dst []byte, texts []string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(texts)))
	for _, text := range texts {
		dst = appendText(dst, text)
	}
	return dst
}

func appendMapping(dst []byte, mapping map[string]string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(mapping)))
	if len(mapping) == 0 {
		return dst
	}
	for _, key := range slices.Sorted(maps.Keys(mapping)) {
		dst = appendText(appendText(dst, key), mapping[key])
	}
	return dst
}

// get is the plan of a service, or of what stands for one that has no name, by a mapping and joins that were checked.
func (c *planCache) get(r *access.Restriction, s *feature.ServiceVersion, mapping map[string]string, joins []dataset.Join) (*compiledPlan, error) {
	if r != nil || s.Name == "" || len(mapping) > 0 || len(joins) > 0 {
		return compilePlan(r, s, mapping, joins)
	}
	key := serviceKey{s.Name, s.Version, followedVersions(s)}
	if p, ok := c.plans.Load(key); ok {
		return p.(*compiledPlan), nil
	}
	compiled, err := compilePlan(nil, s, nil, nil)
	if err != nil {
		return nil, err
	}
	p, _ := c.plans.LoadOrStore(key, compiled)
	return p.(*compiledPlan), nil
}

func compilePlan(r *access.Restriction, s *feature.ServiceVersion, mapping map[string]string, joins []dataset.Join) (*compiledPlan, error) {
	p, err := dataset.NewReadPlan(r.Reads(), s, mapping, joins, "")
	if err != nil {
		return nil, err
	}
	compiled := &compiledPlan{read: p, online: online.NewPlan(p), frames: framesOf(p), restriction: r, reads: &access.Reads{}}
	for i := range p.Views {
		compiled.keyColumns = append(compiled.keyColumns, p.Views[i].KeyColumns...)
	}
	slices.Sort(compiled.keyColumns)
	compiled.keyColumns = slices.Compact(compiled.keyColumns)
	return compiled, nil
}
