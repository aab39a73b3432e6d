package server

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// governed is a product with two mask policies over rows that are in both stores.
func governed(t *testing.T, c Config) *product {
	t.Helper()
	p := openProductWith(t, c)
	p.apply(readers(policy("rounded", "feature:traffic.delay,feature:delays.delay", roundTo("10")), policy("own_places", "view:delays", ownPlaces)))
	at := time.Now().Add(-3 * time.Hour).Truncate(time.Microsecond)
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(34)), flight("JFK", 7, at, feature.Float64(8))), 0)
	p.materialize("delays", "recent", "traffic")
	return p
}

// A read that policies govern is given out when it is recorded, and not else: one by one, on a stream, and as a dataset.
func TestWhatIsGovernedIsNotServedUnrecorded(t *testing.T) {
	t.Parallel()
	p := governed(t, Config{PostgresURL: testenv.PostgresURL(t), RedisURL: testenv.RedisURL(t)})
	ctx := p.as("amy", "reader", "west")
	request := &headwaterv1.GetFeaturesRequest{Service: "model", Keys: map[string]*headwaterv1.KeyColumn{"origin": texts("ORD"), "number": numbers(7)}}
	if before, err := p.online.GetFeatures(ctx, request); err != nil || len(before.GetFeatures()) == 0 {
		t.Fatalf("found %v with %v, expected values while they can be recorded", before, err)
	}
	stream, err := p.online.StreamFeatures(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.server.audit.Close(); err != nil {
		t.Fatal(err)
	}
	const unrecorded = "the decision cannot be recorded in the server's audit log, so the call is refused; see the server's log, and whether its disk is full"
	answer, err := p.online.GetFeatures(ctx, request)
	wantFault(t, err, fault.AuditUnavailable, unrecorded)
	if answer != nil {
		t.Errorf("found %v, expected nothing", answer)
	}
	if err := stream.Send(&headwaterv1.StreamFeaturesRequest{Request: request}); err != nil {
		t.Fatal(err)
	}
	if one, err := stream.Recv(); len(one.GetResponse().GetFeatures()) > 0 {
		t.Errorf("found %v with %v on a stream, expected no values", one, err)
	}
	rows, m, err := p.build(ctx, "model", &headwaterv1.BuildDatasetHeader{Name: "d", AllowPartial: true}, spineOf(asked("ORD", 7, time.Now())).arrow(t))
	wantFault(t, err, fault.AuditUnavailable, unrecorded)
	if len(rows) > 0 || m != nil {
		t.Errorf("found %d bytes of a dataset and %v, expected nothing", len(rows), m)
	}
}

// What an explanation or a matrix says is of policies and definitions: they are given while nobody can read a history, a landing table or Redis.
func TestExplanationsTouchNoData(t *testing.T) {
	t.Parallel()
	gone, redisURL := newProxy(t, testenv.RedisURL(t))
	p := governed(t, Config{PostgresURL: testenv.PostgresURL(t), RedisURL: redisURL})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	tx, err := p.pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx))
	rows, err := tx.Query(ctx, `SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'p') AND n.nspname IN ('headwater_history', 'headwater_landing') ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(tables) < 4 {
		t.Fatalf("found the tables %q with %v, expected those of three views and a source", tables, err)
	}
	for _, table := range tables {
		if _, err := tx.Exec(ctx, "LOCK TABLE "+table+" IN ACCESS EXCLUSIVE MODE"); err != nil {
			t.Fatal(err)
		}
	}
	gone.setGone(true)
	asks := p.as("amy", "reader", "west")
	deadline, cancel := context.WithTimeout(asks, 30*time.Second)
	defer cancel()
	for _, resource := range []string{"service:model", "view:delays", "feature:traffic.delay", "source:flights"} {
		for _, action := range []headwaterv1.Action{readOnline, readOffline} {
			e, err := p.access.ExplainAccess(deadline, &headwaterv1.ExplainAccessRequest{Action: action, Resource: resource})
			if err != nil || len(e.String()) == 0 {
				t.Errorf("%s of %s: found %v, expected an explanation", action, resource, fault.FromError(err))
			}
		}
	}
	admin, cancel := context.WithTimeout(p.admin, 30*time.Second)
	defer cancel()
	if m, err := p.access.GetAccessMatrix(admin, &headwaterv1.GetAccessMatrixRequest{}); err != nil || len(m.GetCells()) == 0 {
		t.Errorf("found %d cells with %v, expected a matrix", len(m.GetCells()), fault.FromError(err))
	}
	// The locks are what keeps others from the rows.
	short, cancel := context.WithTimeout(p.admin, 3*time.Second)
	defer cancel()
	if _, _, err := p.build(short, "model", &headwaterv1.BuildDatasetHeader{Name: "d", AllowPartial: true}, spineOf(asked("ORD", 7, time.Now())).arrow(t)); err == nil {
		t.Error("found a dataset, expected that it waits for the rows")
	}
}
