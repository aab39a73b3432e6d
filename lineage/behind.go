package lineage

import (
	"context"
	"fmt"

	"github.com/headwaterhq/headwater/internal/database"
)

// ViewsBehind are the versions of a view, or the one version, and all view versions that they read or ever read, by NAME@VERSION: each with the
// shortest way there, as nodes from the view on.
func ViewsBehind(ctx context.Context, q database.Querier, name string, version int) (map[string][]string, error) {
	type row struct {
		ID      int64
		Name    string
		Version int
		From    int64
	}
	paths, byID := map[string][]string{}, map[int64][]string{}
	level, err := collect[row](ctx, q, `
		SELECT id, name, version, 0::bigint FROM headwater.definition WHERE kind = 'view' AND name = $1 AND ($2 = 0 OR version = $2)`, name, version)
	for ; err == nil && len(level) > 0; level, err = collect[row](ctx, q, `
		SELECT DISTINCT ON (v.id) v.id, v.name, v.version, i.definition_id FROM headwater.definition_input i JOIN headwater.definition v ON v.id = i.view_id
		WHERE i.definition_id = ANY ($1) ORDER BY v.id, i.definition_id`, rowIDs(level, func(r row) int64 { return r.ID })) {
		for i := 0; i < len(level); {
			r := level[i]
			if _, met := byID[r.ID]; met {
				level = append(level[:i], level[i+1:]...)
				continue
			}
			path := append(append([]string{}, byID[r.From]...), NodeRef{Kind: View, Name: r.Name, Version: r.Version}.String())
			byID[r.ID], paths[fmt.Sprintf("%s@%d", r.Name, r.Version)] = path, path
			i++
		}
	}
	return paths, database.Fault(err)
}

func rowIDs[T any](rows []T, id func(T) int64) []int64 {
	ids := make([]int64, len(rows))
	for i, r := range rows {
		ids[i] = id(r)
	}
	return ids
}
