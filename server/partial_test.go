package server

import (
	"strings"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// One of three shards is gone: who allows it has the values of the others, and all that made them is loaded again when a shard is empty.
func TestPartialAnswers(t *testing.T) {
	cluster := testenv.StartCluster(t, false, "--cluster-require-full-coverage", "no")
	p := openProduct(t, testenv.PostgresURL(t), "redis://"+strings.Join(cluster.Addresses(), ","))
	p.apply(definitions())
	var rows [][]feature.Value
	var origins []string
	for _, first := range "ABCDEFGHIJKLMNOPQRSTUVWXYZ" {
		origin := string(first) + "AA"
		origins = append(origins, origin)
		rows = append(rows, flight(origin, 7, time.Now().Add(-time.Hour), feature.Float64(float64(first))))
	}
	p.ingest(flights(rows...), 0)
	p.materialize("delays", "recent", "traffic")
	ask := func(partial bool) (unavailable int, err error) {
		r, err := p.online.GetFeatures(p.admin, &headwaterv1.GetFeaturesRequest{
			Service: "small", AllowPartial: partial, Keys: map[string]*headwaterv1.KeyColumn{"origin": texts(origins...)},
		})
		if err != nil {
			return 0, err
		}
		v := r.GetFeatures()[0].GetValues()
		for i, first := range "ABCDEFGHIJKLMNOPQRSTUVWXYZ" {
			status := v.GetStatusOfAll()
			if len(v.GetStatus()) > 0 {
				status = v.GetStatus()[i]
			}
			switch {
			case status == headwaterv1.ValueStatus_VALUE_STATUS_UNAVAILABLE:
				unavailable++
			case status != headwaterv1.ValueStatus_VALUE_STATUS_PRESENT || v.GetFloat64S()[i] != float64(first):
				t.Errorf("found %v %v for %s", status, v.GetFloat64S(), origins[i])
			}
		}
		return unavailable, nil
	}
	if n, err := ask(false); err != nil || n != 0 {
		t.Fatalf("found %d unavailable (%v), expected none", n, err)
	}
	cluster.Masters[0].Kill()
	if n, err := ask(true); err != nil || n == 0 || n == len(origins) {
		t.Errorf("found %d of %d unavailable (%v), expected those of one shard", n, len(origins), err)
	}
	if _, err := ask(false); fault.FromError(err) == nil || fault.FromError(err).Reason != fault.RedisUnavailable {
		t.Errorf("found %v without leave to answer in part, expected REDIS_UNAVAILABLE", err)
	}

	// The shard comes back with nothing: reads say so of what they find, the check tells it, and a rebuild puts it right.
	cluster.Masters[0].Start(t)
	eventually(t, "the shard to be back", func() bool {
		return strings.Contains(cluster.Masters[0].Client.ClusterInfo(t.Context()).Val(), "cluster_state:ok")
	})
	eventually(t, "a rebuild to succeed", func() bool {
		_, err := p.materialization.RebuildOnline(p.admin, &headwaterv1.RebuildOnlineRequest{})
		return err == nil
	})
	eventually(t, "all values to be there", func() bool {
		n, err := ask(false)
		return err == nil && n == 0
	})
}
