package server

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/materialize"
	"github.com/headwaterhq/headwater/registry"
)

// retentionService erases what is to be forgotten, and collects history that nobody can ask for.
type retentionService struct {
	headwaterv1.UnimplementedRetentionServiceServer
	registry     *registry.Registry
	pool         *pgxpool.Pool
	materializer *materialize.Materializer
	// historyRetention is how long rows that ended are kept where a call does not say it; 0: it must.
	historyRetention time.Duration
}

func (s *retentionService) Forget(context.Context, *headwaterv1.ForgetRequest) (*headwaterv1.ForgetResponse, error) {
	return nil, fault.New(fault.Unimplemented, "this version of Headwater does not erase entities yet")
}

func (s *retentionService) ListErasures(context.Context, *headwaterv1.ListErasuresRequest) (*headwaterv1.ListErasuresResponse, error) {
	return nil, fault.New(fault.Unimplemented, "this version of Headwater does not erase entities yet")
}
