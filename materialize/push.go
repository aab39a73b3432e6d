package materialize

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
)

// SourceChanged queues, in the transaction of a load into a source or of a retraction there, a run of each of the views that
// takes the source's rows as they come, and returns their ids. Others of the views are left alone. Each run sees the load: it
// can begin only when the transaction has committed.
func (m *Materializer) SourceChanged(ctx context.Context, tx pgx.Tx, source string, views []*feature.ViewVersion, principal string) ([]int64, error) {
	var ids []int64
	for _, v := range views {
		if v.Push == nil || v.Push.Source != source {
			continue
		}
		id, err := insertQueued(ctx, tx, Request{View: v, Principal: principal})
		if err != nil {
			return nil, err
		}
		if _, err := tx.Exec(ctx, `UPDATE headwater.run SET trigger = $2 WHERE id = $1`, id, string(ByPush)); err != nil {
			return nil, err
		}
		if _, err := m.jobs.InsertTx(ctx, tx, runArgs{RunID: id}, nil); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}
