package materialize

import (
	"cmp"
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
)

// SourceChanged queues, in the transaction of a load into a source or of a retraction there, a run of each of the views that
// takes the source's rows as they come, and of each that is to run after what it reads, and returns their ids. Each run sees the load: it
// can begin only when the transaction has committed. Loads that come while a run of such a view waits share that run, so that many small
// ones make few runs: of views that take rows as they come its id is returned again.
func (m *Materializer) SourceChanged(ctx context.Context, tx pgx.Tx, source string, views []*feature.ViewVersion, principal string) ([]int64, error) {
	views = slices.DeleteFunc(slices.Clone(views), func(v *feature.ViewVersion) bool { return v.Push == nil || v.Push.Source != source })
	// Who locks several does so in one order.
	slices.SortFunc(views, func(a, b *feature.ViewVersion) int { return cmp.Compare(a.ID, b.ID) })
	var ids []int64
	for _, v := range views {
		id, _, err := m.queueOrJoin(ctx, tx, v, ByPush, principal)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	dependents, err := m.queueDependents(ctx, tx, readsSource(source))
	return append(ids, dependents...), err
}
