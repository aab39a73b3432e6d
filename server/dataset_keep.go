package server

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/access"
	"github.com/headwaterhq/headwater/dataset"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// keepResults opens the folder of kept results, if one is configured, and looks after it until the server is closed.
func (s *Server) keepResults() (err error) {
	if s.config.ResultsDir == "" {
		return nil
	}
	s.kept, err = dataset.OpenKept(dataset.KeptConfig{
		Dir: s.config.ResultsDir, Bytes: s.config.ResultsBytes, Age: s.config.ResultsAge, Metrics: s.metrics.registry, Log: s.config.Log,
	})
	if err != nil {
		return err
	}
	s.sweeping.Go(func() {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		go func() {
			<-s.closing
			cancel()
		}()
		s.kept.Follow(ctx, s.pool)
	})
	return nil
}

// deleteWriter begins the writer of the audit record that a deletion is; the dataset's id is the rest of it.
const deleteWriter = "dataset-deleted:"

func (s *datasetService) DeleteDataset(ctx context.Context, req *headwaterv1.DeleteDatasetRequest) (*headwaterv1.DeleteDatasetResponse, error) {
	m, err := s.deletable(ctx, req.GetDataset())
	if err != nil {
		return nil, err
	}
	if req.GetReason() == "" {
		return nil, fault.New(fault.InvalidArgument, "reason: found none, expected one: it is kept with the manifest").
			Violating(fault.Violation{Field: "reason", Description: "found none, expected one"})
	}
	principal := access.PrincipalFrom(ctx).Name
	m, err = s.builder.Delete(ctx, m.ID, principal, req.GetReason(), func(ctx context.Context, tx pgx.Tx, m *dataset.Manifest) error {
		return access.WriteTx(ctx, tx, access.Record{
			Writer: deleteWriter + m.ID, Number: 1, Principal: principal, Method: "delete", Action: access.ActionAdminister,
			Resource: "dataset:" + m.Name, Decision: access.Allowed, Reason: "deleted " + m.ID + ", " + m.Ref() + ": " + req.GetReason(),
		})
	})
	if err != nil {
		return nil, err
	}
	// It is deleted, whatever may be shown of it.
	shown, err := s.shownTo(ctx, m)
	if err != nil {
		shown = withoutValues(manifestOf(ctx, m))
	}
	return &headwaterv1.DeleteDatasetResponse{Manifest: shown}, nil
}

// deletable reads the manifest of a dataset that the caller may delete: who may ADMINISTER it, and who built it and may read still
// what it was built of.
func (s *datasetService) deletable(ctx context.Context, ref string) (*dataset.Manifest, error) {
	m, err := dataset.Find(ctx, s.pool, ref)
	if err != nil {
		return nil, missing(ctx, access.ActionAdminister, access.KindDataset, err)
	}
	administers := access.Allows(ctx, access.ActionAdminister, access.KindDataset, m.Name)
	switch {
	case !administers && m.Principal == access.PrincipalFrom(ctx).Name:
		_, err = s.builtOf(ctx, m)
	case !administers && access.Allows(ctx, access.ActionList, access.KindDataset, m.Name):
		err = access.Require(ctx, access.ActionAdminister, access.KindDataset, m.Name)
	default:
		err = requireOr(ctx, access.ActionAdminister, access.KindDataset, m.Name, dataset.Missing(ref))
	}
	return m, err
}
