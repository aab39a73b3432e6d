package materialize

import (
	"context"
	"strconv"

	"github.com/headwaterhq/headwater/lineage"
	"github.com/headwaterhq/headwater/online"
)

// readAtOnce is how many keys have all of their rows read in one round trip.
const readAtOnce = 200

// OnlineRows lists which runs wrote what Redis has of an entity, a batch at a time, as lineage.Check asks.
func (m *Materializer) OnlineRows(ctx context.Context, entity string, list func([]lineage.OnlineRow) error) error {
	return m.config.Reader.Keys(ctx, entity, func(keys []string) error {
		for len(keys) > 0 {
			n := min(readAtOnce, len(keys))
			all, err := m.config.Reader.All(ctx, entity, keys[:n])
			if err != nil {
				return err
			}
			keys = keys[n:]
			var rows []lineage.OnlineRow
			for _, fields := range all {
				for field, row := range fields {
					r := lineage.OnlineRow{Field: field}
					if id, err := strconv.ParseInt(field, 10, 64); err == nil {
						r.View = id
					}
					var h online.Header
					if h, r.Broken = online.DecodeHeader(row); r.Broken == nil {
						r.Seq, r.Run = h.Seq, h.RunSeq
					}
					rows = append(rows, r)
				}
			}
			if err := list(rows); err != nil {
				return err
			}
		}
		return nil
	})
}
