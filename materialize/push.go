package materialize

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
)

// SourceChanged queues, in the transaction of a load into a source or of a retraction there, a run of each of the views that
// takes the source's rows as they come, and of each that is to run after what it reads, and returns their ids. Each run sees the load: it
// can begin only when the transaction has committed.
func (m *Materializer) SourceChanged(ctx context.Context, tx pgx.Tx, source string, views []*feature.ViewVersion, principal string) ([]int64, error) {
	var ids []int64
	for _, v := range views {
		if v.Push == nil || v.Push.Source != source {
			continue
		}
		id, err := m.queue(ctx, tx, Request{View: v, Trigger: ByPush, Principal: principal})
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	dependents, err := m.queueDependents(ctx, tx, readsSource(source))
	return append(ids, dependents...), err
}
