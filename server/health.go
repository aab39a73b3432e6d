package server

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

const (
	healthEvery   = time.Second
	healthTimeout = time.Second
	// healthMisses in a row make a store one that is away: a slow moment does not.
	healthMisses = 2
)

// healthReport tells gRPC's health service what each service of ours can do: OnlineService needs Redis, and all others Postgres.
// The server as a whole, the service without a name, serves until it is about to end, whatever its stores do: to start it again
// would not help them.
type healthReport struct {
	server  *health.Server
	stop    context.CancelFunc
	stopped sync.WaitGroup
}

// reportHealth begins with every service serving, for the stores were reached a moment ago.
func reportHealth(services map[string]grpc.ServiceInfo, pool *pgxpool.Pool, stores redis.UniversalClient) *healthReport {
	h := &healthReport{server: health.NewServer()}
	var online, others []string
	for name := range services {
		switch {
		case name == headwaterv1.OnlineService_ServiceDesc.ServiceName:
			online = append(online, name)
		case strings.HasPrefix(name, ownPackage+"."):
			others = append(others, name)
		}
	}
	h.set(online, true)
	h.set(others, true)
	ctx, stop := context.WithCancel(context.Background())
	h.stop = stop
	h.stopped.Go(func() { h.follow(ctx, online, func(ctx context.Context) error { return pingRedis(ctx, stores) }) })
	h.stopped.Go(func() { h.follow(ctx, others, pool.Ping) })
	return h
}

// follow keeps the status of services by whether their store answers.
func (h *healthReport) follow(ctx context.Context, services []string, ping func(context.Context) error) {
	misses := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(healthEvery):
		}
		asked, cancel := context.WithTimeout(ctx, healthTimeout)
		err := ping(asked)
		cancel()
		if err == nil {
			misses = 0
		} else {
			misses++
		}
		h.set(services, misses < healthMisses)
	}
}

func (h *healthReport) set(services []string, serving bool) {
	status := healthv1.HealthCheckResponse_NOT_SERVING
	if serving {
		status = healthv1.HealthCheckResponse_SERVING
	}
	for _, name := range services {
		h.server.SetServingStatus(name, status)
	}
}

// pingRedis reports whether any part of Redis answers: a read says itself which part does not.
func pingRedis(ctx context.Context, stores redis.UniversalClient) error {
	cluster, ok := stores.(*redis.ClusterClient)
	if !ok {
		return stores.Ping(ctx).Err()
	}
	var mu sync.Mutex
	answered := false
	err := cluster.ForEachMaster(ctx, func(ctx context.Context, master *redis.Client) error {
		err := master.Ping(ctx).Err()
		mu.Lock()
		defer mu.Unlock()
		answered = answered || err == nil
		return err
	})
	if answered {
		return nil
	}
	return err
}

// drain says of every service that it does not serve, for good, so that whoever asks goes elsewhere.
func (h *healthReport) drain() { h.server.Shutdown() }

func (h *healthReport) close() {
	h.stop()
	h.stopped.Wait()
}
