package server

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/definition"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/materialize"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/registry"
)

// registryService plans, applies and shows definitions.
type registryService struct {
	headwaterv1.UnimplementedRegistryServiceServer
	registry  *registry.Registry
	pool      *pgxpool.Pool
	databases *offline.Databases
	served    *served
}

// kindResources are the kinds of definitions as grants name them.
var kindResources = map[feature.Kind]access.Kind{
	feature.KindEntity:   access.KindEntity,
	feature.KindSource:   access.KindSource,
	feature.KindView:     access.KindView,
	feature.KindService:  access.KindService,
	feature.KindRole:     access.KindRole,
	feature.KindPolicy:   access.KindPolicy,
	feature.KindConsumer: access.KindConsumer,
}

func (s *registryService) Plan(ctx context.Context, req *headwaterv1.PlanRequest) (*headwaterv1.PlanResponse, error) {
	if err := s.requireRegister(ctx, req.GetFiles()); err != nil {
		return nil, err
	}
	request, err := pruning(ctx, req)
	if err != nil {
		return nil, err
	}
	changes, revision, err := s.registry.Plan(ctx, request)
	if err != nil {
		return nil, err
	}
	return &headwaterv1.PlanResponse{Changes: changesOf(changes), RegistryRevision: revision}, nil
}

func (s *registryService) Apply(ctx context.Context, req *headwaterv1.ApplyRequest) (*headwaterv1.ApplyResponse, error) {
	if err := s.requireRegister(ctx, req.GetFiles()); err != nil {
		return nil, err
	}
	request, err := pruning(ctx, req)
	if err != nil {
		return nil, err
	}
	changes, revision, err := s.registry.Apply(ctx, registry.ApplyRequest{
		Request: request, ExpectedRevision: req.ExpectedRegistryRevision, Origin: req.GetOrigin(), Principal: access.PrincipalFrom(ctx).Name,
	})
	if err != nil {
		return nil, s.held(ctx, err)
	}
	return &headwaterv1.ApplyResponse{Changes: changesOf(changes), RegistryRevision: revision}, nil
}

// pruning is a plan or an apply for the registry, with the caller's right to end what is not in the files, and to know of
// what depends on them.
func pruning(ctx context.Context, req interface {
	GetFiles() []*headwaterv1.DefinitionSource
	GetPrune() bool
	GetRetire() bool
}) (registry.Request, error) {
	if req.GetRetire() && !req.GetPrune() {
		return registry.Request{}, fault.New(fault.InvalidArgument, "found retire without prune, expected both: it says what becomes of "+
			"what pruning cannot remove").Violating(fault.Violation{Field: "retire", Description: "found retire without prune, expected both"})
	}
	return registry.Request{
		Files: req.GetFiles(), Prune: req.GetPrune(), Retire: req.GetRetire(),
		MayEnd: func(kind feature.Kind, name string) error {
			err := access.Require(ctx, access.ActionRegister, kindResources[kind], name)
			if err != nil && !access.Allows(ctx, access.ActionList, kindResources[kind], name) {
				return fault.New(fault.PermissionDenied, "the registry has definitions that are not in the files and that %s may neither "+
					"register nor list, so --prune cannot end them; leave it out, or ask whoever may", access.PrincipalFrom(ctx).Name)
			}
			return err
		},
		MayLoosen: func(kind, name string) error { return access.RequireLoosen(ctx, access.Kind(kind), name) },
		Shows:     func(kind, name string) bool { return access.Allows(ctx, access.ActionList, access.Kind(kind), name) },
	}, nil
}

// requireRegister decides on every definition in the files, whether it would change or not.
func (s *registryService) requireRegister(ctx context.Context, files []*headwaterv1.DefinitionSource) error {
	named := false
	for _, f := range files {
		for _, d := range definedNames(f.GetFile()) {
			named = true
			if err := access.Require(ctx, access.ActionRegister, kindResources[d.kind], d.name); err != nil {
				return err
			}
		}
		if err := s.requireUse(ctx, files, f.GetFile()); err != nil {
			return err
		}
	}
	if !named {
		if err := access.RequireAny(ctx, access.ActionRegister, access.KindView); err != nil {
			return err
		}
		return fault.New(fault.InvalidArgument, "found no definition in the request, expected at least one")
	}
	return nil
}

// requireUse decides on what the definitions of a file would open: who applies a service that serves as the grant of its
// views, or a view whose SQL reads others, gives away what is in them, and must be able to read it.
func (s *registryService) requireUse(ctx context.Context, files []*headwaterv1.DefinitionSource, f *headwaterv1.DefinitionFile) error {
	if err := s.requireDeclassify(ctx, f); err != nil {
		return err
	}
	for _, v := range f.GetFeatureViews() {
		for _, ref := range v.GetSql().GetViews() {
			if err := requireRead(ctx, ref); err != nil {
				return err
			}
		}
		if err := s.requireInputs(ctx, v); err != nil {
			return err
		}
	}
	for _, service := range f.GetFeatureServices() {
		if !service.GetServesAsGrant() {
			continue
		}
		for _, v := range service.GetViews() {
			for _, name := range s.computedOf(files, v.GetView()) {
				if err := requireRead(ctx, name); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// requireInputs decides on what a view is made of, unless it is applied already and nothing of it but its words is another: what is made of
// rows shows what is hidden of them.
func (s *registryService) requireInputs(ctx context.Context, v *headwaterv1.FeatureView) error {
	if s.unchanged(v) {
		return nil
	}
	for _, ref := range v.GetSql().GetViews() {
		if err := access.RequireMaterial(ctx, access.KindView, nameOf(ref)); err != nil {
			return err
		}
	}
	for _, ref := range slices.Concat(v.GetSql().GetSources(), []string{v.GetAggregation().GetSource(), v.GetPush().GetSource()}) {
		if ref == "" {
			continue
		}
		if err := access.RequireMaterial(ctx, access.KindSource, nameOf(ref)); err != nil {
			return err
		}
	}
	// On-demand features are computed of what each reader sees, but for those that a mask leaves out.
	var computed []string
	for _, f := range v.GetFeatures() {
		computed = append(computed, v.GetName()+"."+f.GetName())
	}
	for _, ref := range v.GetOnDemand().GetViews() {
		if err := access.RequireInput(ctx, nameOf(ref), computed); err != nil {
			return err
		}
	}
	return nil
}

// nameOf is the name in NAME or NAME@VERSION.
func nameOf(ref string) string {
	name, _, _ := strings.Cut(ref, "@")
	return name
}

// requireDeclassify decides on each tag that a view stops, unless it is applied already and nothing of the view but its words is
// another: of other SQL something else would come out untagged.
func (s *registryService) requireDeclassify(ctx context.Context, f *headwaterv1.DefinitionFile) error {
	for _, v := range f.GetFeatureViews() {
		if len(v.GetDeclassify()) == 0 || s.unchanged(v) {
			continue
		}
		for _, d := range v.GetDeclassify() {
			for _, tag := range d.GetTags() {
				if err := access.Require(ctx, access.ActionAdminister, access.KindTag, tag); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// unchanged reports whether the newest version of a view says the same, but for its words.
func (s *registryService) unchanged(v *headwaterv1.FeatureView) bool {
	newest, err := s.registry.Catalog().View(v.GetName())
	if err != nil {
		return false
	}
	given, _, violations := definition.FromProto([]*headwaterv1.DefinitionSource{{File: &headwaterv1.DefinitionFile{FeatureViews: []*headwaterv1.FeatureView{v}}}})
	if len(violations) > 0 || len(given.Views) != 1 {
		return false
	}
	wordless := func(v feature.View) proto.Message {
		v.Docs = feature.Docs{}
		return definition.ToProto(&feature.Definitions{Views: []feature.View{v}})
	}
	return proto.Equal(wordless(given.Views[0]), wordless(newest.View))
}

// requireRead decides on both ways to read a view, NAME or NAME@VERSION.
func requireRead(ctx context.Context, ref string) error {
	name, _, _ := strings.Cut(ref, "@")
	for _, action := range []access.Action{access.ActionReadOnline, access.ActionReadOffline} {
		if err := access.Require(ctx, action, access.KindView, name); err != nil {
			return err
		}
	}
	return nil
}

// computedOf is a view and those that its on-demand features are computed of, by name, in the files and in all versions
// of the registry, one of which the service may name: whoever reads what is computed of a value may learn the value.
func (s *registryService) computedOf(files []*headwaterv1.DefinitionSource, view string) []string {
	name, _, _ := strings.Cut(view, "@")
	names := []string{name}
	for i := 0; i < len(names); i++ {
		for _, read := range s.onDemandReads(files, names[i]) {
			if name, _, _ := strings.Cut(read, "@"); !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// onDemandReads are the views that a view of on-demand features reads, as it is written and as it was applied.
func (s *registryService) onDemandReads(files []*headwaterv1.DefinitionSource, view string) []string {
	var reads []string
	for _, f := range files {
		for _, v := range f.GetFile().GetFeatureViews() {
			if v.GetName() == view {
				reads = append(reads, v.GetOnDemand().GetViews()...)
			}
		}
	}
	for _, v := range s.registry.Catalog().VersionsOf(view) {
		if v.OnDemand != nil {
			for _, r := range v.OnDemand.Views {
				reads = append(reads, r.Name)
			}
		}
	}
	return reads
}

type definedName struct {
	kind feature.Kind
	name string
}

// definedNames are the definitions of a file, in its order.
func definedNames(f *headwaterv1.DefinitionFile) []definedName {
	var names []definedName
	for _, e := range f.GetEntities() {
		names = append(names, definedName{feature.KindEntity, e.GetName()})
	}
	for _, e := range f.GetSources() {
		names = append(names, definedName{feature.KindSource, e.GetName()})
	}
	for _, e := range f.GetFeatureViews() {
		names = append(names, definedName{feature.KindView, e.GetName()})
	}
	for _, e := range f.GetFeatureServices() {
		names = append(names, definedName{feature.KindService, e.GetName()})
	}
	for _, e := range f.GetRoles() {
		names = append(names, definedName{feature.KindRole, e.GetName()})
	}
	for _, e := range f.GetPolicies() {
		names = append(names, definedName{feature.KindPolicy, e.GetName()})
	}
	for _, e := range f.GetConsumers() {
		names = append(names, definedName{feature.KindConsumer, e.GetName()})
	}
	return names
}

func changesOf(changes []registry.Change) []*headwaterv1.Change {
	out := make([]*headwaterv1.Change, len(changes))
	for i, c := range changes {
		out[i] = &headwaterv1.Change{
			Kind: headwaterv1.ChangeKind(c.Kind), DefinitionKind: headwaterv1.DefinitionKind(c.DefinitionKind), Name: c.Name,
			Version: int32(c.Version), Fingerprint: c.Fingerprint.String(), Details: c.Details, Dependents: c.Dependents,
			Warnings: c.Warnings,
		}
		if w := c.DataWork; w != nil {
			out[i].DataWork = &headwaterv1.DataWork{SourceRows: w.Rows, PreviousRows: w.PreviousRows}
			if !w.From.IsZero() {
				out[i].DataWork.From, out[i].DataWork.To = timestamppb.New(w.From), timestamppb.New(w.To)
			}
		}
	}
	return out
}

func (s *registryService) ListDefinitions(ctx context.Context, req *headwaterv1.ListDefinitionsRequest) (*headwaterv1.ListDefinitionsResponse, error) {
	kind := feature.Kind(req.GetKind())
	shown, err := access.Filter(ctx, access.ActionList, kindResources[kind], s.registry.Catalog().Summaries(kind),
		func(d registry.Summary) string { return d.Name })
	if err != nil {
		return nil, err
	}
	resp := &headwaterv1.ListDefinitionsResponse{}
	for i := range shown {
		resp.Definitions = append(resp.Definitions, summaryOf(&shown[i]))
	}
	return resp, nil
}

func summaryOf(d *registry.Summary) *headwaterv1.DefinitionSummary {
	return &headwaterv1.DefinitionSummary{
		Kind: headwaterv1.DefinitionKind(d.Kind), Name: d.Name, Version: int32(d.Version), Fingerprint: d.Fingerprint.String(),
		Description: d.Description, Owner: d.Owner, AppliedAt: timestamppb.New(d.AppliedAt), AppliedBy: d.AppliedBy,
		Origin: d.Origin, Retired: d.Retired, Removed: d.Removed, Deprecated: deprecationOf(d.Deprecated),
	}
}

func deprecationOf(d *feature.Deprecation) *headwaterv1.Deprecation {
	if d == nil {
		return nil
	}
	return &headwaterv1.Deprecation{Date: d.Date, Replacement: d.Replacement}
}

func (s *registryService) DiffDefinitions(ctx context.Context, req *headwaterv1.DiffDefinitionsRequest) (*headwaterv1.DiffDefinitionsResponse, error) {
	kind := feature.Kind(req.GetKind())
	for _, ref := range []string{req.GetBefore(), req.GetAfter()} {
		if err := access.Require(ctx, access.ActionList, kindResources[kind], ref); err != nil {
			return nil, err
		}
	}
	before, after, difference, err := s.registry.Catalog().Diff(kind, req.GetBefore(), req.GetAfter())
	if err != nil {
		return nil, err
	}
	return &headwaterv1.DiffDefinitionsResponse{
		Before: summaryOf(&before.Summary), After: summaryOf(&after.Summary), Details: difference.Lines, WordsOnly: difference.WordsOnly,
	}, nil
}

func (s *registryService) GetDefinition(ctx context.Context, req *headwaterv1.GetDefinitionRequest) (*headwaterv1.GetDefinitionResponse, error) {
	kind := feature.Kind(req.GetKind())
	if err := access.Require(ctx, access.ActionList, kindResources[kind], req.GetName()); err != nil {
		return nil, err
	}
	d, err := s.registry.Catalog().Definition(kind, req.GetName())
	if err != nil {
		return nil, err
	}
	resp := &headwaterv1.GetDefinitionResponse{
		Summary: summaryOf(&d.Summary), Definition: definition.ToProto(&d.Definitions), Inputs: d.Inputs,
	}
	for _, in := range d.ColumnInputs {
		resp.ColumnInputs = append(resp.ColumnInputs, &headwaterv1.ColumnInput{
			Column: in.Column, Kind: headwaterv1.ColumnInputKind(in.Kind), Input: in.Relation, InputColumn: in.InputColumn,
		})
	}
	for _, c := range d.ColumnTags {
		for _, t := range c.Tags {
			tag := &headwaterv1.ColumnTag{Column: c.Column, Tag: t.Tag}
			for _, o := range t.From {
				if access.Allows(ctx, access.ActionList, kindResources[o.Kind], o.Name) {
					tag.From = append(tag.From, o.String())
				}
			}
			resp.ColumnTags = append(resp.ColumnTags, tag)
		}
	}
	// Its inputs are in the definition itself; what others made of it is theirs.
	for _, node := range d.Dependents {
		kind, name, _ := strings.Cut(node, ":")
		if access.Allows(ctx, access.ActionList, access.Kind(kind), name) {
			resp.Dependents = append(resp.Dependents, node)
		}
	}
	switch kind {
	case feature.KindView:
		if d.Definitions.Views[0].Materialized() {
			resp.ViewState, err = s.viewState(ctx, &d.Definitions.Views[0], d.Version)
		}
	case feature.KindService:
		for _, f := range s.served.describe(s.registry.Catalog(), fmt.Sprintf("%s@%d", d.Name, d.Version)) {
			resp.Followed = append(resp.Followed, &headwaterv1.FollowedView{View: f.view, Version: int32(f.version), PassedOver: f.passedOver})
		}
	case feature.KindSource:
		resp.SourceState, err = s.sourceState(ctx, &feature.SourceVersion{Version: d.Version, Source: d.Definitions.Sources[0]})
	}
	return resp, err
}

// sourceState says how new the rows of a source are, with their event time to who may read them. That they cannot be read is part of
// the answer.
func (s *registryService) sourceState(ctx context.Context, src *feature.SourceVersion) (*headwaterv1.SourceState, error) {
	out := &headwaterv1.SourceState{Origin: src.Origin()}
	newest, err := s.databases.NewestRow(ctx, s.pool, src)
	if err != nil {
		if f := fault.As(database.Fault(err)); f != nil && ctx.Err() == nil {
			out.Problem = f.Message
			return out, nil
		}
		return nil, err
	}
	if newest == nil {
		out.Late = src.Freshness > 0
		return out, nil
	}
	age := offline.Age(feature.TimeOf(time.Now()), *newest)
	out.Late = src.Freshness > 0 && age > src.Freshness
	if out.NewestHidden = !access.AllowsRows(ctx, access.KindSource, src.Name); out.NewestHidden {
		return out, nil
	}
	if err := access.RequireRows(ctx, access.KindSource, src.Name); err != nil {
		return nil, err
	}
	out.NewestRow, out.Age = timestamppb.New(newest.Calendar()), durationpb.New(age)
	return out, nil
}

func (s *registryService) viewState(ctx context.Context, view *feature.View, version int) (*headwaterv1.ViewState, error) {
	state, err := materialize.GetViewState(ctx, s.pool, view.Name, version)
	if err != nil {
		return nil, err
	}
	out := &headwaterv1.ViewState{LastSeq: state.PublishedSeq, LastPosition: state.Position, LiveRows: state.LiveRows, CoveredIntervals: int32(len(state.Covered)),
		LastPublishedAt: timestampOf(state.PublishedAt)}
	if covered := state.Covered.Hull(); !covered.IsEmpty() {
		out.CoveredFrom = timestamppb.New(covered.Start.Calendar())
		out.CoveredTo = timestamppb.New(covered.End.Calendar())
	}
	return out, describeFresh(ctx, out, view, &state.Online)
}
