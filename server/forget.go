package server

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/dataset"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/wire"
	"github.com/headwaterhq/headwater/materialize"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/read"
	"github.com/headwaterhq/headwater/registry"
	"github.com/headwaterhq/headwater/retention"
)

// Forget erases an entity wherever it is. No error, log line or record of it holds a value of its key.
func (s *retentionService) Forget(ctx context.Context, req *headwaterv1.ForgetRequest) (*headwaterv1.ForgetResponse, error) {
	entity, err := entityOf(s.registry.Catalog(), req.GetEntity())
	if err != nil {
		return nil, err
	}
	values, key, err := forgottenKey(entity, req.GetKeys())
	if err != nil {
		return nil, err
	}
	if err := refuseNaming(req.GetReason(), values); err != nil {
		return nil, err
	}
	f := &forgetting{retentionService: s, catalog: s.registry.Catalog(), principal: access.PrincipalFrom(ctx).Name}
	if f.trace, err = f.traceOf(ctx, entity, key, values); err != nil {
		return nil, err
	}
	if req.GetDryRun() {
		erased, err := f.count(ctx)
		if err != nil {
			return nil, err
		}
		e := &retention.Erasure{Entity: entity.Name, Reason: req.GetReason(), Principal: f.principal, Erased: erased}
		if e.KeyHash, err = retention.HashKey(ctx, s.pool, entity.Name, key); err != nil {
			return nil, err
		}
		return &headwaterv1.ForgetResponse{Erasure: erasureOf(e)}, nil
	}
	e, err := f.erase(ctx, req.GetReason())
	if err != nil {
		return nil, err
	}
	return &headwaterv1.ForgetResponse{Erasure: erasureOf(e)}, nil
}

func (s *retentionService) ListErasures(ctx context.Context, _ *headwaterv1.ListErasuresRequest) (*headwaterv1.ListErasuresResponse, error) {
	list, err := retention.List(ctx, s.pool)
	if err != nil {
		return nil, err
	}
	resp := &headwaterv1.ListErasuresResponse{}
	for _, e := range list {
		resp.Erasures = append(resp.Erasures, erasureOf(e))
	}
	return resp, nil
}

// entityOf finds an entity, also one that is no longer in use and of which there are views still.
func entityOf(catalog *registry.Catalog, name string) (*feature.EntityVersion, error) {
	entity, err := catalog.Entity(name)
	if err == nil {
		return entity, nil
	}
	for _, v := range slices.Backward(catalog.ViewVersions()) {
		if v.Materialized() && v.Entity == name {
			return v.EntityVersion, nil
		}
	}
	return nil, err
}

// forgottenKey is the values of the join keys, in the entity's order, and the encoding of them.
func forgottenKey(entity *feature.EntityVersion, keys map[string]*headwaterv1.Value) ([]feature.Value, string, error) {
	refuse := func(name, description string) error {
		return fault.New(fault.InvalidArgument, "join key %s of entity %s: %s", name, entity.Name, description).
			Violating(fault.Violation{Field: "keys", Description: name + ": " + description})
	}
	for _, name := range slices.Sorted(maps.Keys(keys)) {
		if !slices.ContainsFunc(entity.JoinKeys, func(k feature.Column) bool { return k.Name == name }) {
			var names []string
			for _, k := range entity.JoinKeys {
				names = append(names, k.Name)
			}
			return nil, "", refuse(name, "found no join key of this name; there is "+strings.Join(names, ", "))
		}
	}
	var values []feature.Value
	for _, k := range entity.JoinKeys {
		sent, ok := keys[k.Name]
		if !ok {
			return nil, "", refuse(k.Name, "found no value, expected one: an entity is told by all of its join keys")
		}
		value, err := wire.FromValue(k.Type, sent)
		if err != nil || value.IsNull() {
			return nil, "", refuse(k.Name, fmt.Sprintf("found a value that is no %s, expected one", k.Type))
		}
		values = append(values, value)
	}
	key, ok, err := entity.AppendKey(nil, values)
	if err != nil || !ok {
		return nil, "", fault.New(fault.InvalidArgument, "entity %s: found a key that no entity can have, expected UTF-8 text without a NUL character", entity.Name)
	}
	return values, string(key), nil
}

// refuseNaming refuses a reason that says who is erased: it is kept.
func refuseNaming(reason string, values []feature.Value) error {
	if !retention.Named(reason, values) {
		return nil
	}
	return fault.New(fault.InvalidArgument, "reason: found a value of the key in it, expected none: the reason is kept, and must not say who was erased; "+
		"name the request or the case instead").Violating(fault.Violation{Field: "reason", Description: "found a value of the key in it, expected none"})
}

// forgetting is one call.
type forgetting struct {
	*retentionService
	catalog   *registry.Catalog
	trace     *retention.Trace
	principal string
}

// histories are all view versions that have one.
func histories(catalog *registry.Catalog) []*feature.ViewVersion {
	return slices.DeleteFunc(catalog.ViewVersions(), func(v *feature.ViewVersion) bool { return !v.Materialized() })
}

// traceOf looks for the key in all definitions that there were.
func (f *forgetting) traceOf(ctx context.Context, entity *feature.EntityVersion, key string, values []feature.Value) (trace *retention.Trace, err error) {
	err = pgx.BeginFunc(ctx, f.pool, func(tx pgx.Tx) error {
		trace, err = retention.NewTrace(entity, key, values, retention.Catalog{
			Views: histories(f.catalog),
			Source: func(name string) *feature.SourceVersion {
				for _, v := range slices.Backward(f.catalog.ViewVersions()) {
					for _, s := range v.SourceVersions {
						if s.Name == name {
							if newest, err := f.catalog.Source(name); err == nil {
								return newest
							}
							return s
						}
					}
				}
				return nil
			},
			Copies: func(v *feature.ViewVersion) (map[string]feature.CopiedColumn, error) { return copiesOf(ctx, tx, v) },
		})
		return err
	})
	return trace, err
}

// copiesOf is what the columns of a view are copied from.
func copiesOf(ctx context.Context, tx pgx.Tx, v *feature.ViewVersion) (map[string]feature.CopiedColumn, error) {
	found, err := offline.Copies(ctx, tx, v)
	if f := fault.As(database.Fault(err)); err != nil && ctx.Err() == nil && f != nil && f.Reason == fault.InvalidSQL {
		// Postgres makes nothing of it any more: what was kept of it says less.
		return keptCopies(v), nil
	}
	return found, err
}

// keptCopies is what the kept analysis of a view says of what its columns are made of, computed or not.
func keptCopies(v *feature.ViewVersion) map[string]feature.CopiedColumn {
	found := map[string]feature.CopiedColumn{}
	if v.Analysis == nil {
		return found
	}
	for _, in := range v.Analysis.Inputs {
		if in.Kind == feature.InputValue {
			c := found[in.Column]
			c.From = append(c.From, feature.CopiedFrom{Relation: in.Relation, Column: in.InputColumn})
			found[in.Column] = c
		}
	}
	return found
}

// notes are what cannot be followed, as places of which nothing is erased.
func (f *forgetting) notes() (erased []retention.Erased) {
	for _, n := range f.trace.Notes {
		erased = append(erased, retention.Erased{Place: n.Place, Name: n.Name, Note: n.Text})
	}
	return erased
}

// count says what would be erased, in the order of places and names.
func (f *forgetting) count(ctx context.Context) ([]retention.Erased, error) {
	all := f.notes()
	for _, src := range f.trace.Sources {
		found, err := f.materializer.EraseLanding(ctx, "", f.trace, src)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	for _, v := range materialize.Erasable(f.trace, histories(f.catalog)) {
		found, err := f.materializer.CountView(ctx, f.trace, v)
		if err != nil {
			return nil, err
		}
		online, err := f.materializer.CountOnline(ctx, f.trace, v)
		if err != nil {
			return nil, err
		}
		all = append(append(all, found...), online...)
	}
	texts, err := f.materializer.EraseTexts(ctx, "", f.trace)
	if err != nil {
		return nil, err
	}
	all = append(all, texts...)
	err = f.eachDataset(ctx, func(m *dataset.Manifest, plan *read.Plan, _ error) error {
		rows, err := f.datasets.builder.CountErased(ctx, m, plan, f.trace)
		if err == nil && rows > 0 {
			all = append(all, retention.Erased{Place: dataset.PlaceSpine, Name: m.ID, Rows: rows})
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	manifests, err := f.datasets.builder.EraseManifests(ctx, "", f.trace, f.mayHaveRead, nil)
	if err != nil {
		return nil, err
	}
	reads, err := f.countReads(ctx)
	if err != nil {
		return nil, err
	}
	told, err := f.countFeedback(ctx)
	all = slices.Concat(all, manifests, reads, told)
	// A place may be known twice: by its rows, and by a note.
	slices.SortStableFunc(all, func(a, b retention.Erased) int {
		return cmp.Or(cmp.Compare(a.Place, b.Place), cmp.Compare(a.Name, b.Name))
	})
	var merged []retention.Erased
	for _, e := range all {
		if n := len(merged); n > 0 && merged[n-1].Place == e.Place && merged[n-1].Name == e.Name {
			merged[n-1].Rows += e.Rows
			merged[n-1].Note = cmp.Or(e.Note, merged[n-1].Note)
			continue
		}
		merged = append(merged, e)
	}
	return merged, err
}

// eachDataset calls do with each dataset that reads what is traced, and with why its policies cannot be followed any more, if they cannot:
// the plan is without them then.
func (f *forgetting) eachDataset(ctx context.Context, do func(m *dataset.Manifest, plan *read.Plan, lost error) error) error {
	list, err := dataset.List(ctx, f.pool, "")
	if err != nil {
		return err
	}
	for _, m := range list {
		// What was deleted has no spine.
		if m.State == dataset.Deleted {
			continue
		}
		plan, lost, err := f.datasets.planOf(m)
		if err != nil {
			return err
		}
		if !dataset.ReadsTraced(f.trace, m, plan) {
			continue
		}
		if err := do(m, plan, lost); err != nil {
			return err
		}
	}
	return nil
}

// planOf is the plan that a dataset was built by, whoever may read it. Where its policies cannot be followed any more, lost says why, and the
// plan is without them: good for where rows are, and not for what they are.
func (s *datasetService) planOf(m *dataset.Manifest) (plan *read.Plan, lost, err error) {
	catalog := s.registry.Catalog()
	var service *feature.ServiceVersion
	if len(m.Features) > 0 {
		service, _, err = referenced(m.Features, headerFeatures, catalog.PastView)
	} else if service, err = catalog.PastService(fmt.Sprintf("%s@%d", m.Service, m.ServiceVersion)); err == nil {
		service, err = s.followed(service, m)
	}
	if err != nil {
		return nil, nil, err
	}
	if plan, lost = planAsBuilt(catalog, s.policies(), service, m); lost == nil {
		return plan, nil, nil
	}
	plan, err = dataset.NewPlan(nil, service, m.KeyMapping, m.Joins, m.Purpose)
	return plan, lost, err
}

// Steps of an erasure, beside those of package materialize, before which a process may die.
const (
	stepErasureBegun   = "erasure begun"
	stepErasingDataset = "erasing dataset"
	// stepErasingManifest is before what is left in a manifest is committed to be gone.
	stepErasingManifest = "erasing manifest"
	stepErasureEnds     = "erasure ends"
)

// erase erases, or goes on where an erasure of the same entity stopped. One process erases at a time; others wait.
func (f *forgetting) erase(ctx context.Context, reason string) (*retention.Erasure, error) {
	conn, err := pgx.ConnectConfig(ctx, f.pool.Config().ConnConfig.Copy())
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := retention.Lock(ctx, conn); err != nil {
		return nil, err
	}
	hash, err := retention.HashKey(ctx, conn, f.trace.Entity.Name, f.trace.Key)
	if err != nil {
		return nil, err
	}
	e, err := retention.Find(ctx, conn, f.trace.Entity.Name, hash)
	if err != nil {
		return nil, err
	}
	if e != nil && e.DoneAt != nil {
		left, err := f.count(ctx)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(left, func(d retention.Erased) bool { return d.Rows > 0 }) {
			return e, nil
		}
		// Rows of it came again.
		e = nil
	}
	if e == nil {
		e = &retention.Erasure{Entity: f.trace.Entity.Name, KeyHash: hash, Reason: reason, Principal: f.principal}
		if err := retention.Begin(ctx, conn, e); err != nil {
			return nil, err
		}
	}
	before := rowsErased(e)
	if err := retention.Record(ctx, conn, e.ID, f.notes()...); err != nil {
		return nil, err
	}
	if err := f.step.reached(stepErasureBegun); err != nil {
		return nil, err
	}
	// The order counts: what is read goes before what is made of it, and datasets last, so that nothing brings a row back.
	//
	// Whatever else comes to keep rows of entities, or their keys, has its place in this list, and in count. Logs of online reads come last:
	// as long as Redis has the entity, reads see it and are logged, and what waits in an append log is to be drained first. Such a place
	// erases in transactions that each record what they did (retention.Record), changes nothing when it is asked again, and names a step
	// before its commit, at which tests end it.
	for _, place := range []func(context.Context, *retention.Erasure) error{f.eraseSources, f.eraseViews, f.eraseTexts, f.eraseDatasets, f.eraseOnline, f.eraseReads, f.eraseFeedback} {
		if err := place(ctx, e); err != nil {
			return nil, err
		}
	}
	if e, err = retention.Get(ctx, conn, e.ID); err != nil {
		return nil, err
	}
	if err := f.recompute(ctx, conn, e, rowsErased(e) > before); err != nil {
		return nil, err
	}
	if err := f.step.reached(stepErasureEnds); err != nil {
		return nil, err
	}
	if err := retention.End(ctx, conn, e.ID); err != nil {
		return nil, err
	}
	return retention.Get(ctx, conn, e.ID)
}

func rowsErased(e *retention.Erasure) (rows int64) {
	for _, d := range e.Erased {
		rows += d.Rows
	}
	return rows
}

func (f *forgetting) eraseSources(ctx context.Context, e *retention.Erasure) error {
	for _, src := range f.trace.Sources {
		if _, err := f.materializer.EraseLanding(ctx, e.ID, f.trace, src); err != nil {
			return err
		}
	}
	return nil
}

func (f *forgetting) eraseViews(ctx context.Context, e *retention.Erasure) error {
	for _, v := range materialize.Erasable(f.trace, histories(f.catalog)) {
		if err := f.materializer.EraseView(ctx, e.ID, f.trace, v); err != nil {
			return err
		}
	}
	return nil
}

func (f *forgetting) eraseTexts(ctx context.Context, e *retention.Erasure) error {
	_, err := f.materializer.EraseTexts(ctx, e.ID, f.trace)
	return err
}

func (f *forgetting) eraseDatasets(ctx context.Context, e *retention.Erasure) error {
	if err := retention.RaiseHead(ctx, f.pool); err != nil {
		return err
	}
	erasing := func() error { return f.step.reached(stepErasingDataset) }
	err := f.eachDataset(ctx, func(m *dataset.Manifest, plan *read.Plan, lost error) error {
		return f.datasets.builder.Erase(ctx, m, plan, lost, f.trace, e, erasing)
	})
	if err != nil {
		return err
	}
	_, err = f.datasets.builder.EraseManifests(ctx, e.ID, f.trace, f.mayHaveRead, func() error { return f.step.reached(stepErasingManifest) })
	return err
}

// mayHaveRead reports whether a dataset of which only the manifest is left may have had rows of the entity: also where what it read is gone.
func (f *forgetting) mayHaveRead(m *dataset.Manifest) bool {
	plan, _, err := f.datasets.planOf(m)
	return err != nil || dataset.ReadsTraced(f.trace, m, plan)
}

func (f *forgetting) eraseOnline(ctx context.Context, e *retention.Erasure) error {
	return f.materializer.EraseOnline(ctx, e.ID, f.trace)
}

// recompute queues runs, once for all that was erased.
func (f *forgetting) recompute(ctx context.Context, conn *pgx.Conn, e *retention.Erasure, more bool) error {
	if e.Recomputing != nil && !more {
		return nil
	}
	var views []*feature.ViewVersion
	for _, v := range f.catalog.Views() {
		for _, version := range f.catalog.VersionsOf(v.Name) {
			if version.Materialized() {
				views = append(views, version)
			}
		}
	}
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if err := f.materializer.EraseReads(ctx, tx, e.ID); err != nil {
			return err
		}
		ids, err := f.materializer.Recompute(ctx, tx, e, views, f.principal)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE headwater.erasure SET recomputing = coalesce(recomputing, '{}') || $2::bigint[] WHERE id = $1`, e.ID, ids); err != nil {
			return err
		}
		return f.step.reached(materialize.StepEraseQueued)
	})
}

func erasureOf(e *retention.Erasure) *headwaterv1.ErasureRecord {
	out := &headwaterv1.ErasureRecord{
		Id: e.ID, Entity: e.Entity, KeyHash: e.HashText(), Reason: e.Reason, Principal: e.Principal, DoneAt: timestampOf(e.DoneAt), Touched: e.Touched,
	}
	if !e.StartedAt.IsZero() {
		out.StartedAt = timestamppb.New(e.StartedAt)
	}
	for _, d := range e.Erased {
		out.Erased = append(out.Erased, &headwaterv1.ErasedFrom{Place: d.Place, Name: d.Name, Rows: d.Rows, Note: d.Note})
	}
	for _, id := range e.Recomputing {
		out.Recomputing = append(out.Recomputing, fmt.Sprintf("run:%d", id))
	}
	return out
}
