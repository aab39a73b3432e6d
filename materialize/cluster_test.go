package materialize

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/reference"
	"github.com/headwaterhq/headwater/internal/testenv"
	"github.com/headwaterhq/headwater/read"
)

// What a Redis does, a Redis Cluster does: rows are loaded to all of its masters, a later load follows, and a rebuild brings
// back what one of them lost.
func TestLoadingARedisCluster(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	w.useRedis(t, "redis://"+strings.Join(testenv.RedisCluster(t), ","))
	nodes := masters(t, w.redis)
	src := w.newSource(t)
	view := w.newView(t, src, latest, 0)

	const entities = 300
	readings := func(value float64) (rows []reference.SourceRow) {
		for n := range entities {
			rows = append(rows, reading(fmt.Sprintf("n%d", n), 1, hours(0), value))
		}
		return rows
	}
	var keys []string
	for n := range entities {
		keys = append(keys, fmt.Sprintf("n%d|1", n))
	}
	are := func(what, value string) {
		t.Helper()
		for i, winner := range w.online(t, view, keys...) {
			if winner.Status != read.Present || winner.Values[0].Text() != value {
				t.Fatalf("%s: %s is %+v, expected the value %s", what, keys[i], winner, value)
			}
		}
		c, err := w.m.CheckOnline(ctx, view, 1, true)
		if err != nil || c.Entities != entities || c.Missing+c.Different+c.Surplus != 0 {
			t.Fatalf("%s: the check found %+v (%v), expected no difference of %d entities", what, c, err, entities)
		}
	}
	first := w.load(t, src, 0, readings(1)...)
	if r := w.get(t, w.published(t, view, nil).ID); r.OnlineWritten != entities {
		t.Errorf("the first load wrote %d rows, expected %d", r.OnlineWritten, entities)
	}
	are("after the first load", "1")
	for i, node := range nodes {
		if size, err := node.DBSize(ctx).Result(); err != nil || size == 0 {
			t.Errorf("found %d keys (%v) on master %d, expected some of %d on each", size, err, i+1, entities)
		}
	}
	w.load(t, src, first, readings(2)...)
	w.published(t, view, nil)
	are("after a later load", "2")

	if err := nodes[1].FlushDB(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	for epoch := int64(2); epoch <= 3; epoch++ {
		rebuilt, err := w.m.RebuildOnline(ctx, []*feature.ViewVersion{view})
		want := Rebuild{View: view, Epoch: epoch, Seq: 2, Written: entities}
		if err != nil || len(rebuilt) != 1 || *rebuilt[0] != want {
			t.Fatalf("found %+v (%v), expected %+v", rebuilt, err, want)
		}
		are(fmt.Sprintf("after the rebuild of epoch %d", epoch), "2")
	}
}

// masters are clients of the masters of a cluster, in an order that stays.
func masters(t *testing.T, client redis.UniversalClient) (nodes []*redis.Client) {
	t.Helper()
	shards, err := client.ClusterSlots(context.Background()).Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range shards {
		node := redis.NewClient(&redis.Options{Addr: s.Nodes[0].Addr})
		t.Cleanup(func() { node.Close() })
		nodes = append(nodes, node)
	}
	return nodes
}
