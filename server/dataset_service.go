package server

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"google.golang.org/grpc"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/dataset"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/read"
	"github.com/headwaterhq/headwater/readlog"
	"github.com/headwaterhq/headwater/registry"
)

// datasetService builds datasets and has them again.
type datasetService struct {
	headwaterv1.UnimplementedDatasetServiceServer
	registry *registry.Registry
	pool     *pgxpool.Pool
	builder  *dataset.Builder
	// databases and bounds are for spines that the server reads itself.
	databases *offline.Databases
	bounds    offline.Bounds
	// policies are for datasets that are computed again without a caller.
	policies access.Policies
	// reads has the secret of hashes of entities.
	reads *readlog.Log
	log   *slog.Logger
}

func (s *datasetService) BuildDataset(stream grpc.BidiStreamingServer[headwaterv1.BuildDatasetRequest, headwaterv1.BuildDatasetResponse]) error {
	ctx := stream.Context()
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	header := first.GetHeader()
	service, features, err := s.asked(ctx, first)
	if err != nil {
		return err
	}
	origin, err := s.origin(ctx, header)
	if err != nil {
		return err
	}
	if err := checkMapping(service, header.GetKeyMapping(), "header.key_mapping"); err != nil {
		return err
	}
	joins, err := dataset.ResolveJoins(service, joinsOf(header.GetJoins()), "header.joins")
	if err != nil {
		return err
	}
	// Of a service that follows views there is another one than at first.
	var newest *read.Plan
	var restriction *access.Restriction
	plan := func(service *feature.ServiceVersion) (_ *read.Plan, err error) {
		newest, restriction, err = restrictPlan(ctx, service, header.GetKeyMapping(), joins, header.GetPurpose())
		return newest, err
	}
	spine := &arrowParts{part: first.GetArrow(), next: func() ([]byte, error) {
		m, err := stream.Recv()
		if err == nil && (m.GetService() != "" || m.GetHeader() != nil) {
			return nil, fault.New(fault.InvalidArgument, "found a second header in a build, expected one, in the first message")
		}
		return m.GetArrow(), err
	}}
	out := &chunkWriter{send: stream.SendMsg}
	request := dataset.Request{
		Follow: s.follow(service, plan), Name: header.GetName(), TimestampColumn: header.GetTimestampColumn(), AsOf: header.GetAsOf(),
		KeyMapping: header.GetKeyMapping(), Joins: joins, Features: features, AllowPartial: header.GetAllowPartial(), Principal: access.PrincipalFrom(ctx).Name, Origin: origin,
		Tags: func(m *dataset.Manifest, spine []feature.Column, plan *read.Plan) ([]dataset.ImpactTag, error) {
			declared := s.declared(plan.Service)
			if err := refuseUndeclared(plan, declared, spine, m.TimestampColumn); err != nil {
				return nil, err
			}
			if err := s.notedGates(ctx, m, plan, declared, header.GetAsOf()); err != nil {
				return nil, err
			}
			var sources []*feature.SourceVersion
			if origin != nil {
				sources = origin.Sources
			}
			return s.impactTags(plan, spine, header.GetEvents(), sources), nil
		},
		Give:  func(m *dataset.Manifest) error { return s.given(ctx, m, newest, restriction, header.GetAsOf()) },
		Roles: access.PrincipalFrom(ctx).Roles, Attributes: access.SessionFrom(ctx).Attributes(), WithStatuses: header.GetWithStatuses(), LeaveOut: leaveOutOf(header.GetLeaveOut()),
	}
	if header.GetUse() != feature.UseTraining {
		request.Use = header.GetUse()
	}
	if header.GetKnowledge() == headwaterv1.KnowledgeMode_KNOWLEDGE_MODE_EVENT {
		request.Knowledge = dataset.KnowledgeEvent
	}
	if request.Plan, err = plan(service); err != nil {
		return err
	}
	manifest, err := s.builder.Build(ctx, request, spine, out)
	if err != nil {
		return err
	}
	if err := out.flush(); err != nil {
		return err
	}
	shown := manifestOf(ctx, manifest)
	if err := s.gatesNow(ctx, manifest, shown); err != nil {
		return err
	}
	return stream.Send(&headwaterv1.BuildDatasetResponse{Part: &headwaterv1.BuildDatasetResponse_Manifest{Manifest: shown}})
}

func (s *datasetService) FetchDataset(req *headwaterv1.FetchDatasetRequest, stream grpc.ServerStreamingServer[headwaterv1.FetchDatasetResponse]) error {
	ctx := stream.Context()
	m, plan, err := s.givenDataset(ctx, req.GetDataset())
	if err != nil {
		return err
	}
	out := &chunkWriter{send: stream.SendMsg}
	fetch := s.builder.Fetch
	if req.GetAcceptErased() {
		fetch = s.builder.FetchLeft
	}
	if m, err = fetch(ctx, m, plan, out); err != nil {
		return err
	}
	if err := out.flush(); err != nil {
		return err
	}
	return stream.Send(&headwaterv1.FetchDatasetResponse{
		Part: &headwaterv1.FetchDatasetResponse_Manifest{Manifest: manifestOf(ctx, m)},
	})
}

func (s *datasetService) VerifyDataset(ctx context.Context, req *headwaterv1.VerifyDatasetRequest) (*headwaterv1.VerifyDatasetResponse, error) {
	m, plan, err := s.permittedDataset(ctx, req.GetDataset())
	if err != nil {
		return nil, err
	}
	v, err := s.builder.Verify(ctx, m, plan)
	if err != nil {
		return nil, err
	}
	verdict := headwaterv1.DatasetVerdict_DATASET_VERDICT_SAME
	switch {
	case len(v.Differences) > 0:
		verdict = headwaterv1.DatasetVerdict_DATASET_VERDICT_DIFFERENT
	case len(m.Erasures) > 0:
		verdict = headwaterv1.DatasetVerdict_DATASET_VERDICT_ERASED
	}
	return &headwaterv1.VerifyDatasetResponse{
		Manifest: manifestOf(ctx, m), Verdict: verdict, Same: verdict == headwaterv1.DatasetVerdict_DATASET_VERDICT_SAME, FoundContentDigest: hexOf(v.ContentDigest),
		FoundArrowSha256: hexOf(v.ArrowSHA256), Differences: v.Differences,
	}, nil
}

// permittedDataset reads the manifest of a dataset whose values the caller may read, with the plan that it was built by.
func (s *datasetService) permittedDataset(ctx context.Context, ref string) (*dataset.Manifest, *read.Plan, error) {
	return s.permitted(ctx, ref, false)
}

// permitted is permittedDataset, and refuses one that is held where it is asked for to give out its rows.
func (s *datasetService) permitted(ctx context.Context, ref string, rows bool) (*dataset.Manifest, *read.Plan, error) {
	m, err := dataset.Find(ctx, s.pool, ref)
	if err != nil {
		return nil, nil, missingDataset(ctx, err)
	}
	service, err := s.builtOf(ctx, m)
	if err != nil {
		return nil, nil, s.refusedDataset(ctx, ref, m, err)
	}
	if err := m.CheckKept(); err != nil {
		return nil, nil, err
	}
	restriction, err := mayHave(ctx, service, m)
	if err != nil {
		return nil, nil, s.refusedDataset(ctx, ref, m, err)
	}
	plan, err := planAsBuilt(s.registry.Catalog(), access.SessionFrom(ctx).Policy(), service, m)
	if err != nil {
		return nil, nil, err
	}
	if rows {
		if err := s.refuseHeld(ctx, m); err != nil {
			return nil, nil, err
		}
	}
	return m, plan, s.given(ctx, m, plan, restriction, "")
}

// givenDataset is permittedDataset of one whose rows are to be given out: one that is held is refused.
func (s *datasetService) givenDataset(ctx context.Context, ref string) (*dataset.Manifest, *read.Plan, error) {
	return s.permitted(ctx, ref, true)
}

// given records that a dataset is about to be given out, and the rows of sources in its spine. Whom it is about is told by its spine.
func (s *datasetService) given(ctx context.Context, m *dataset.Manifest, plan *read.Plan, restriction *access.Restriction, asOf string) error {
	session := access.SessionFrom(ctx)
	spine := s.reads.AppendEntitiesHash(nil, func(yield func(string, []byte) bool) { yield("", []byte(m.SpineDigest)) })
	err := session.Read(&access.Read{
		Plan: plan, Restriction: restriction, Rows: m.RowsFound, Hidden: m.RowsHidden, EntitiesHash: string(spine), AsOf: asOf, Dataset: m.ID,
	})
	if err != nil || m.SpineOrigin == nil {
		return err
	}
	for _, of := range m.SpineOrigin.Sources {
		shown := access.Shown{Kind: access.KindSource, Ref: fmt.Sprintf("%s@%d", of.Source, of.Version), Rows: of.RowsRead, Hidden: of.RowsHidden, Applied: of.Rules, Dataset: m.ID}
		if source, err := s.registry.Catalog().PastSource(shown.Ref); err == nil {
			shown.SourceColumns = columnsOf(source, m.SpineOrigin)
		}
		if err := session.Show(&shown); err != nil {
			return err
		}
	}
	return nil
}

// columnsOf are the columns of a source that a spine may have, SOURCE.COLUMN: all, for a query may take any, or those that the spine of its
// events does.
func columnsOf(source *feature.SourceVersion, origin *dataset.SpineOrigin) (columns []string) {
	for i := range source.Columns {
		name := source.Columns[i].Name
		if origin == nil || origin.Events == nil || len(origin.Events.Columns) == 0 || name == source.EventTime || slices.Contains(origin.Events.Columns, name) {
			columns = append(columns, source.Name+"."+name)
		}
	}
	return columns
}

// refusedDataset is what is told to a caller who may not read a dataset. Who may know of it, and who built it, are told what is
// missing. Of an id nobody can guess it is no secret that there is one. By its name it looks like one that is not there.
func (s *datasetService) refusedDataset(ctx context.Context, ref string, m *dataset.Manifest, err error) error {
	caller := access.PrincipalFrom(ctx).Name
	switch {
	case fault.ReasonOf(err) != fault.PermissionDenied, m.Principal == caller, access.Allows(ctx, access.ActionList, access.KindDataset, m.Name):
		return err
	case ref == m.ID:
		return fault.New(fault.PermissionDenied, "%s may not read_offline all that dataset %s was built of; whoever administers the roles can change that",
			caller, m.ID).Because(err)
	}
	return missingDataset(ctx, dataset.Missing(ref))
}

func (s *datasetService) GetDataset(ctx context.Context, req *headwaterv1.GetDatasetRequest) (*headwaterv1.GetDatasetResponse, error) {
	m, err := dataset.Find(ctx, s.pool, req.GetDataset())
	if err != nil {
		return nil, missing(ctx, access.ActionList, access.KindDataset, err)
	}
	err = requireOr(ctx, access.ActionList, access.KindDataset, m.Name, dataset.Missing(req.GetDataset()))
	if err != nil {
		return nil, err
	}
	shown, err := s.shownTo(ctx, m)
	if err == nil {
		err = s.gatesNow(ctx, m, shown)
	}
	if err != nil {
		return nil, err
	}
	return &headwaterv1.GetDatasetResponse{Manifest: shown}, nil
}

func (s *datasetService) ListDatasets(ctx context.Context, req *headwaterv1.ListDatasetsRequest) (*headwaterv1.ListDatasetsResponse, error) {
	all, err := dataset.List(ctx, s.pool, req.GetName())
	if err != nil {
		return nil, err
	}
	shown, err := access.Filter(ctx, access.ActionList, access.KindDataset, all, func(m *dataset.Manifest) string { return m.Name })
	if err != nil {
		return nil, err
	}
	resp := &headwaterv1.ListDatasetsResponse{}
	for _, m := range shown {
		listed := manifestOf(ctx, m)
		if !s.readableTo(ctx, m) {
			listed = withoutValues(listed)
		}
		resp.Datasets = append(resp.Datasets, withoutDetails(listed))
	}
	return resp, nil
}
