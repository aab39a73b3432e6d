package online

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/read"
)

// Reader answers online reads. Safe for concurrent use.
type Reader struct {
	client redis.UniversalClient
	prefix string
	pools  pools
	// batcher is nil for a Redis Cluster: there a pipeline would have everyone wait for the slowest node. cluster is nil for another.
	batcher *batcher
	cluster *redis.ClusterClient
	cache   *rowCache
	now     func() time.Time
}

// NewReader makes a reader of the rows under a prefix; see NewWriter. For what Lookups ask it has connections of its own, made by the
// client's options; the caller closes it.
func NewReader(client redis.UniversalClient, prefix string) *Reader {
	r := &Reader{client: client, prefix: prefix, cache: newRowCache(DefaultCacheBytes), now: time.Now}
	switch c := client.(type) {
	case *redis.Client:
		r.batcher = newBatcher(r.pools.pool(c))
	case *redis.ClusterClient:
		r.cluster = c
	}
	return r
}

// Close ends the reader's own connections, those of reads under way when they end. The client stays its caller's.
func (r *Reader) Close() { r.pools.close() }

// Key is the entity of one row of a request, for one view.
type Key struct {
	// Text is the encoded join keys.
	Text string
	// OK is false when a join key is NULL: such an entity has no key.
	OK bool
}

// Read is a Lookup of which all is unpacked. keys[v][i] is the entity of row i for view v of the plan, and winners[v][i] is what
// was found for it.
func (r *Reader) Read(ctx context.Context, plan *Plan, keys [][]Key, now feature.Time) (winners [][]read.Winner, err error) {
	if len(keys) != len(plan.views) {
		return nil, fault.New(fault.Internal, "found keys for %d views, expected %d", len(keys), len(plan.views))
	}
	l := r.Lookup(plan)
	defer l.Close()
	for _, g := range plan.groups {
		for _, v := range g.views {
			for _, k := range keys[v] {
				l.addEncoded(v, []byte(k.Text), k.OK)
			}
		}
	}
	if err := l.Fetch(ctx); err != nil {
		return nil, err
	}
	if err := l.Judge(now, nil); err != nil {
		return nil, err
	}
	winners = make([][]read.Winner, len(plan.views))
	for v := range winners {
		if winners[v], err = l.Winners(v); err != nil {
			return nil, err
		}
	}
	return winners, nil
}
