package server

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// A check names what Redis lost to who may materialize, with values only to who may read them, and a rebuild puts it right.
func TestCheckOnline(t *testing.T) {
	p := newProduct(t)
	d := onDemand()
	d.Roles = []feature.Role{
		role("engineer", "materialize on view:delays"),
		role("reader", "read_offline on view:delays"),
	}
	p.apply(d)
	at := time.Now().Add(-3 * time.Hour).Truncate(time.Microsecond)
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(3)), flight("JFK", 8, at, feature.Float64(0))), 0)
	p.materialize("delays", "traffic")
	check := func(ctx context.Context, views ...string) ([]*headwaterv1.CheckOnlineResponse, error) {
		stream, err := p.materialization.CheckOnline(ctx, &headwaterv1.CheckOnlineRequest{Views: views})
		if err != nil {
			return nil, err
		}
		var checks []*headwaterv1.CheckOnlineResponse
		for {
			r, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return checks, nil
			}
			if err != nil {
				return nil, err
			}
			checks = append(checks, r)
		}
	}
	all, err := check(p.admin)
	if err != nil || len(all) != 2 {
		t.Fatalf("found %v and %v, expected a check of both views that have a history", all, err)
	}
	for _, c := range all {
		if c.GetEntities() == 0 || c.GetMissing()+c.GetDifferent()+c.GetSurplus()+c.GetPendingLoads() != 0 || c.GetSeq() != 1 {
			t.Errorf("found %v, expected no difference", c)
		}
	}
	ctx := context.Background()
	if err := p.server.redis.FlushDB(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		roles  []string
		values bool
	}{{[]string{"engineer"}, false}, {[]string{"engineer", "reader"}, true}} {
		found, err := check(p.as("eve", c.roles...), "delays")
		if err != nil {
			t.Fatal(err)
		}
		if len(found) != 1 || found[0].GetMissing() == 0 || found[0].GetMissing() != found[0].GetEntities() || len(found[0].GetDifferences()) == 0 {
			t.Fatalf("found %v, expected that all entities are missing", found)
		}
		first := found[0].GetDifferences()[0]
		if !strings.HasPrefix(first.GetKey(), "origin ") || first.GetKind() != "missing" || first.GetFound() != "nothing" ||
			!strings.HasPrefix(first.GetExpected(), "event time ") {
			t.Errorf("found the difference %v", first)
		}
		if shown := strings.Contains(first.GetExpected(), "sequence 1, "); shown != c.values {
			t.Errorf("%v: found %q, expected values: %t", c.roles, first.GetExpected(), c.values)
		}
	}
	_, err = check(p.as("eve", "reader"), "delays")
	wantFault(t, err, fault.PermissionDenied, "eve may not materialize view:delays: no grant of materialize on view:delays in roles [reader]; "+
		"whoever administers the roles can change that")
	if _, err := p.materialization.RebuildOnline(p.admin, &headwaterv1.RebuildOnlineRequest{}); err != nil {
		t.Fatal(err)
	}
	if all, err = check(p.admin); err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		if c.GetMissing()+c.GetDifferent()+c.GetSurplus() != 0 {
			t.Errorf("found %v after a rebuild, expected no difference", c)
		}
	}
}
