package server

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/online"
	"github.com/headwaterhq/headwater/read"
	"github.com/headwaterhq/headwater/readlog"
	"github.com/headwaterhq/headwater/registry"
)

// answeredRead is an online read whose answer is known and has not been sent. Nothing of it is used once logRead has returned.
type answeredRead struct {
	session *access.Session
	plan    *read.Plan
	request *headwaterv1.GetFeaturesRequest
	// keys()[v][i] is the entity of row i of n, for view v of the plan. For a read that is kept.
	keys func() [][]online.Key
	n    int
	now  time.Time
	// position is the newest of the publish log that the server knew of.
	position int64
	// response is the answer with a vector for each feature, whatever encoding was asked for, and with provenance. Called at most
	// once, for a read that is kept; what it returns is the caller's to change.
	response func() (*headwaterv1.GetFeaturesResponse, error)
}

// logRead keeps a read, where its service says so. An error means that the answer must not be sent.
func (o *onlineService) logRead(_ context.Context, r *answeredRead) error {
	declared := o.log.declared()
	service := r.plan.Service
	log, ok := declared.logs[serviceVersion{service.Name, service.Version}]
	if !ok || !readlog.Sampled(r.session.ReadID(), log.share) {
		return nil
	}
	logged, err := o.log.record(r, declared, log)
	if err != nil {
		return err
	}
	if log.text.All() {
		return o.log.reads.Append(logged)
	}
	o.log.reads.Offer(logged)
	return nil
}

// maxLoggedValues is how many bytes the values of a logged read may take. Those of larger ones are kept as digests.
const maxLoggedValues = 1 << 20

// readLogger makes the records of the read log.
type readLogger struct {
	reads    *readlog.Log
	registry *registry.Registry
	newest   atomic.Pointer[declaredLogs]
}

type serviceVersion struct {
	name    string
	version int
}

type declaredLog struct {
	text  feature.ReadLog
	share float64
}

// declaredLogs are what the definitions of a catalog say of read logs. Neither makes a new version, so plans do not know it.
type declaredLogs struct {
	catalog *registry.Catalog
	// logs are those of service versions that have one.
	logs map[serviceVersion]declaredLog
	// What is sensitive in any version, by effective tags: entities are names, features VIEW.FEATURE, inputs VIEW.INPUT.
	entities, features, inputs map[string]bool
}

func (l *readLogger) declared() *declaredLogs {
	catalog := l.registry.Catalog()
	if s := l.newest.Load(); s != nil && s.catalog == catalog {
		return s
	}
	s := &declaredLogs{catalog: catalog, logs: map[serviceVersion]declaredLog{}, entities: map[string]bool{}, features: map[string]bool{}, inputs: map[string]bool{}}
	for _, v := range catalog.ServiceVersions() {
		// What cannot be read was refused when it was applied.
		if share, err := v.Log.Share(); err == nil && share > 0 {
			s.logs[serviceVersion{v.Name, v.Version}] = declaredLog{v.Log, share}
		}
	}
	tags := catalog.Tags()
	for _, v := range catalog.ViewVersions() {
		if e := v.EntityVersion; e != nil && slices.ContainsFunc(e.JoinKeys, func(k feature.Column) bool { return tags.Sensitive(v, k.Name) }) {
			s.entities[e.Name] = true
		}
		for i := range v.Features {
			if tags.Sensitive(v, v.Features[i].Name) {
				s.features[v.Name+"."+v.Features[i].Name] = true
			}
		}
		if v.OnDemand == nil {
			continue
		}
		for i := range v.OnDemand.Inputs {
			if v.OnDemand.Inputs[i].Sensitive() {
				s.inputs[v.Name+"."+v.OnDemand.Inputs[i].Name] = true
			}
		}
	}
	l.newest.Store(s)
	return s
}

// input reports whether an input of a plan is sensitive to one of the views that take it.
func (s *declaredLogs) input(plan *read.Plan, name string) bool {
	return slices.ContainsFunc(plan.OnDemand, func(v *feature.ViewVersion) bool { return s.inputs[v.Name+"."+name] })
}

// record is what is kept of a read. It shares memory with the request.
func (l *readLogger) record(r *answeredRead, tags *declaredLogs, log declaredLog) (*headwaterv1.LoggedRead, error) {
	answer, err := r.response()
	if err != nil {
		return nil, err
	}
	service := r.plan.Service
	logged := &headwaterv1.LoggedRead{
		ReadId: r.session.ReadID(), ServedAt: timestamppb.New(r.now), Service: service.Name, ServiceVersion: int32(service.Version), Log: string(log.text),
		Position: r.position, Principal: r.session.Principal().Name, Purpose: r.request.GetPurpose(), PredictionId: r.request.GetPredictionId(),
		Entities: int32(r.n), KeyMapping: r.request.GetKeyMapping(), Joins: r.request.GetJoins(), HashVersion: l.reads.HashVersion(),
		Provenance: answer.GetProvenance(), Keys: l.keysOf(r, tags),
	}
	if rules := r.plan.Rules(); len(rules) > 0 {
		logged.Policy = appliedPolicy(r.session.Principal().Roles, rules, r.session.Attributes())
	}
	for _, p := range logged.Provenance {
		p.Ages = nil
	}
	if inputs := r.request.GetInputs(); len(inputs) > 0 {
		logged.Inputs = make(map[string]*headwaterv1.KeyColumn, len(inputs))
		for name, column := range inputs {
			logged.Inputs[name] = &headwaterv1.KeyColumn{}
			if !tags.input(r.plan, name) {
				logged.Inputs[name] = compactColumn(column)
			}
		}
	}
	size := 0
	for _, f := range answer.GetFeatures() {
		size += proto.Size(f)
	}
	logged.Features = make([]*headwaterv1.LoggedFeature, len(answer.GetFeatures()))
	for i, f := range answer.GetFeatures() {
		of := &headwaterv1.LoggedFeature{Name: f.GetName(), View: f.GetView(), ViewVersion: f.GetViewVersion(), Feature: f.GetFeature(), Values: f.GetValues()}
		if size > maxLoggedValues || tags.features[f.GetView()+"."+f.GetFeature()] {
			if of.Digest, err = l.reads.Digest(logged.HashVersion, of.Values, r.n); err != nil {
				return nil, err
			}
			of.Values = &headwaterv1.ValueVector{Type: of.Values.Type, TypeName: of.Values.TypeName, Status: of.Values.Status}
		}
		logged.Features[i] = of
	}
	return logged, nil
}

// compactColumn is a column as it was sent: the decoder of requests may have added to it.
func compactColumn(c *headwaterv1.KeyColumn) *headwaterv1.KeyColumn {
	switch {
	case len(c.GetStrings()) > 0:
		return &headwaterv1.KeyColumn{Strings: c.GetStrings()}
	case len(c.GetInt64S()) > 0:
		return &headwaterv1.KeyColumn{Int64S: c.GetInt64S()}
	}
	return &headwaterv1.KeyColumn{Values: c.GetValues()}
}

// keysOf are the keys of a read, once for each entity and set of columns.
func (l *readLogger) keysOf(r *answeredRead, tags *declaredLogs) (list []*headwaterv1.LoggedKeys) {
	keys := r.keys()
	for v := range r.plan.Views {
		view := &r.plan.Views[v]
		if slices.ContainsFunc(list, func(k *headwaterv1.LoggedKeys) bool {
			return k.Entity == view.Version.Entity && slices.Equal(k.Columns, view.KeyColumns)
		}) {
			continue
		}
		k := &headwaterv1.LoggedKeys{
			Entity: view.Version.Entity, EntityVersion: int32(view.Version.EntityVersion.Version), Columns: view.KeyColumns,
		}
		hashed := tags.entities[k.Entity]
		if hashed {
			k.Hashes = make([][]byte, r.n)
		} else {
			k.Keys = make([]string, r.n)
		}
		for i, key := range keys[v] {
			switch {
			case !key.OK:
				k.Without = append(k.Without, int32(i))
			case hashed:
				k.Hashes[i] = l.reads.Hash(l.reads.HashVersion(), k.Entity, key.Text)
			default:
				k.Keys[i] = key.Text
			}
		}
		list = append(list, k)
	}
	return list
}
