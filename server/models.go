package server

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/dataset"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/lineage"
)

// modelWriter begins the writer of the audit records that models are; the model's name is the rest of it, and the number its version.
const modelWriter = "model-registered:"

// modelNames are those of the models that were registered, for plans.
func modelNames(ctx context.Context, tx pgx.Tx) ([]string, error) {
	models, err := lineage.NewestModels(ctx, tx)
	names := make([]string, len(models))
	for i, m := range models {
		names[i] = m.Name
	}
	return names, err
}

// versioned reads `NAME` or `NAME@VERSION` out of the field of a request that is called as the kind is.
func versioned(kind lineage.NodeKind, text string) (lineage.NodeRef, error) {
	ref, err := lineage.Parse(kind.String() + ":" + text)
	if err == nil && ref.Kind == kind {
		return ref, nil
	}
	list := fmt.Sprintf("list %ss", kind)
	if kind == lineage.Model {
		list = "model list"
	}
	description := fmt.Sprintf("found %q, expected `NAME` or `NAME@VERSION`, with names in lower case; `headwater %s` shows those there are", text, list)
	return ref, fault.New(fault.InvalidArgument, "%s: %s", kind, description).Violating(fault.Violation{Field: kind.String(), Description: description})
}

// RegisterModel is for who may register the model and list what it names. What may not be listed looks as if it were not there.
func (s *lineageService) RegisterModel(ctx context.Context, req *headwaterv1.RegisterModelRequest) (*headwaterv1.RegisterModelResponse, error) {
	m := &lineage.ModelVersion{
		Name: req.GetName(), RunURI: req.GetRunUri(), Description: req.GetDescription(), Owner: req.GetOwner(),
		RegisteredBy: access.PrincipalFrom(ctx).Name,
	}
	ref, err := versioned(lineage.Service, req.GetService())
	if err != nil {
		return nil, err
	}
	none := lineage.NotFound(ref)
	service, err := s.registry.Catalog().Service(req.GetService())
	if fault.ReasonOf(err) == fault.NotFound {
		return nil, missing(ctx, access.ActionList, access.KindService, none)
	}
	if err := requireOr(ctx, access.ActionList, access.KindService, ref.Name, none); err != nil {
		return nil, err
	}
	if err != nil {
		return nil, err
	}
	m.Service, m.ServiceVersion = service.Name, service.Version
	if ref := req.GetDataset(); ref != "" {
		d, err := dataset.Find(ctx, s.pool, ref)
		if err != nil {
			return nil, missing(ctx, access.ActionList, access.KindDataset, database.Fault(err))
		}
		if err := requireOr(ctx, access.ActionList, access.KindDataset, d.Name, dataset.Missing(ref)); err != nil {
			return nil, err
		}
		m.Dataset, m.DatasetName = d.ID, d.Name
	}
	registered := false
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if registered, err = lineage.RegisterModel(ctx, tx, m); err != nil || !registered {
			return err
		}
		return access.WriteTx(ctx, tx, access.Record{
			Writer: modelWriter + m.Name, Number: int64(m.Version), Principal: m.RegisteredBy, Method: "register", Action: access.ActionRegister,
			Resource: "model:" + m.Name, Decision: access.Allowed,
			Reason: fmt.Sprintf("registered version %d, which reads service %s", m.Version, service.Ref()),
		})
	})
	if err != nil {
		return nil, database.Fault(err)
	}
	return &headwaterv1.RegisterModelResponse{Model: modelOf(ctx, m), Registered: registered}, nil
}

func (s *lineageService) GetModel(ctx context.Context, req *headwaterv1.GetModelRequest) (*headwaterv1.GetModelResponse, error) {
	ref, err := versioned(lineage.Model, req.GetModel())
	if err != nil {
		return nil, err
	}
	if err := access.Require(ctx, access.ActionList, access.KindModel, ref.Name); err != nil {
		return nil, err
	}
	versions, err := lineage.Models(ctx, s.pool, ref.Name, 0)
	if err != nil {
		return nil, database.Fault(err)
	}
	resp := &headwaterv1.GetModelResponse{}
	for _, m := range versions {
		shown := modelOf(ctx, m)
		resp.Versions = append(resp.Versions, shown)
		if resp.Model == nil && (ref.Version == 0 || ref.Version == m.Version) {
			resp.Model = shown
		}
	}
	if resp.Model == nil {
		return nil, lineage.NotFound(ref)
	}
	return resp, nil
}

func (s *lineageService) ListModels(ctx context.Context, _ *headwaterv1.ListModelsRequest) (*headwaterv1.ListModelsResponse, error) {
	models, err := lineage.NewestModels(ctx, s.pool)
	if err != nil {
		return nil, database.Fault(err)
	}
	models, err = access.Filter(ctx, access.ActionList, access.KindModel, models, func(m *lineage.ModelVersion) string { return m.Name })
	if err != nil {
		return nil, err
	}
	resp := &headwaterv1.ListModelsResponse{}
	for _, m := range models {
		resp.Models = append(resp.Models, modelOf(ctx, m))
	}
	return resp, nil
}

// modelOf is a model with what the caller may list of what it names.
func modelOf(ctx context.Context, m *lineage.ModelVersion) *headwaterv1.Model {
	out := &headwaterv1.Model{
		Name: m.Name, Version: int32(m.Version), RunUri: m.RunURI, Description: m.Description, Owner: m.Owner,
		RegisteredAt: timestamppb.New(m.RegisteredAt), RegisteredBy: m.RegisteredBy,
	}
	if access.Allows(ctx, access.ActionList, access.KindService, m.Service) {
		out.Service = fmt.Sprintf("%s@%d", m.Service, m.ServiceVersion)
	}
	if m.Dataset != "" && access.Allows(ctx, access.ActionList, access.KindDataset, m.DatasetName) {
		out.Dataset = m.Dataset
	}
	return out
}
