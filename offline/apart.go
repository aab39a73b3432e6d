package offline

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/offline/analysis"
)

// Apart is the sources and views of which rows have no part in a view version's rows of other keys: of each, by join key, the column of it that
// is the key. Of one that is not there, a row may have a part in rows of any key. Leaves tx as it was.
func Apart(ctx context.Context, tx pgx.Tx, v *feature.ViewVersion) (found map[string]map[string]string, err error) {
	if v.Aggregation != nil {
		columns := map[string]string{}
		for _, k := range v.EntityVersion.JoinKeys {
			columns[k.Name] = v.Aggregation.KeyColumn(k.Name)
		}
		return map[string]map[string]string{v.SourceVersions[0].Name: columns}, nil
	}
	if v.SQL == nil || v.EntityVersion == nil {
		return nil, nil
	}
	sp, err := tx.Begin(ctx)
	if err != nil {
		return nil, err
	}
	in, err := emptyOutput(ctx, sp, v)
	if err == nil {
		var keys []string
		for _, k := range v.EntityVersion.JoinKeys {
			keys = append(keys, k.Name)
		}
		found, err = analysis.Apart(ctx, sp, in, keys)
	}
	return found, errors.Join(err, sp.Rollback(context.WithoutCancel(ctx)))
}
