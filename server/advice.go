package server

import (
	"context"
	"slices"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/online"
)

// Longer rows are copied whole with each change of a hash in the compact form, so for them it is not advised.
const (
	leastCompact = 1024
	mostCompact  = 4096
)

// adviseRedis says in the log when Redis keeps the rows of a view in a form that takes more memory than it must. Where Redis does not
// tell how it is configured, there is nothing to say.
func (s *Server) adviseRedis(ctx context.Context) {
	var largest *feature.ViewVersion
	size := 0
	for _, v := range s.registry.Catalog().Views() {
		if v.OnDemand != nil {
			continue
		}
		if n := online.NewLayout(v.Stored()).MinSize(); n > size && n <= mostCompact {
			largest, size = v, n
		}
	}
	if largest == nil {
		return
	}
	below, ok := online.CompactBelow(ctx, s.redis)
	if !ok || below >= size {
		return
	}
	advised := slices.Max([]int{leastCompact, (size + leastCompact - 1) / leastCompact * leastCompact})
	s.config.Log.WarnContext(ctx, "Redis keeps hashes compact only while no field of theirs is longer than its hash-max-listpack-value, and rows "+
		"are longer: they take more memory than they must; raise it in redis.conf and by CONFIG SET, before the rows are loaded",
		"view", largest.Ref(), "row_bytes", size, "found", below, "advised", advised)
}
