package server

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// retentionService erases what is to be forgotten, and collects history that nobody can ask for.
type retentionService struct {
	headwaterv1.UnimplementedRetentionServiceServer
	pool *pgxpool.Pool
}

func (s *retentionService) Forget(context.Context, *headwaterv1.ForgetRequest) (*headwaterv1.ForgetResponse, error) {
	return nil, fault.New(fault.Unimplemented, "this version of Headwater does not erase entities yet")
}

func (s *retentionService) ListErasures(context.Context, *headwaterv1.ListErasuresRequest) (*headwaterv1.ListErasuresResponse, error) {
	return nil, fault.New(fault.Unimplemented, "this version of Headwater does not erase entities yet")
}

func (s *retentionService) CollectHistory(context.Context, *headwaterv1.CollectHistoryRequest) (*headwaterv1.CollectHistoryResponse, error) {
	return nil, fault.New(fault.Unimplemented, "this version of Headwater does not collect history yet")
}
