package server

import (
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/materialize"
	"github.com/headwaterhq/headwater/quality/feedback"
	"github.com/headwaterhq/headwater/readlog"
	"github.com/headwaterhq/headwater/registry"
)

// retentionService erases what is to be forgotten, and collects history that nobody can ask for.
type retentionService struct {
	headwaterv1.UnimplementedRetentionServiceServer
	registry     *registry.Registry
	pool         *pgxpool.Pool
	materializer *materialize.Materializer
	datasets     *datasetService
	reads        *readlog.Log
	feedback     *feedback.Store
	// historyRetention is how long rows that ended are kept where a call does not say it; 0: it must.
	historyRetention time.Duration
	step             steps
}

// steps is told of each step of a call before it is taken, so that tests can stop the process there. An error ends the call. nil: nothing is.
type steps func(step string) error

func (s steps) reached(step string) error {
	if s == nil {
		return nil
	}
	return s(step)
}
