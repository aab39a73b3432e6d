package server

import (
	"context"
	"time"

	"github.com/headwaterhq/headwater/access"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/online"
	"github.com/headwaterhq/headwater/read"
)

// answeredRead is an online read whose answer is known and has not been sent. Nothing of it is used once logRead has returned.
type answeredRead struct {
	session *access.Session
	plan    *read.Plan
	request *headwaterv1.GetFeaturesRequest
	// keys[v][i] is the entity of row i of n, for view v of the plan.
	keys [][]online.Key
	n    int
	now  time.Time
	// position is the newest of the publish log that the server knew of.
	position int64
	// response is the answer with a vector for each feature, whatever encoding was asked for, and with provenance. Called at most
	// once, for a read that is kept.
	response func() (*headwaterv1.GetFeaturesResponse, error)
}

// logRead keeps a read, where its service says so. An error means that the answer must not be sent.
func (o *onlineService) logRead(_ context.Context, r *answeredRead) error {
	if r.plan.Service.Log == "" {
		return nil
	}
	return fault.New(fault.Unimplemented, "service %s has a read log, and online reads do not know it yet", r.plan.Service.Ref())
}
