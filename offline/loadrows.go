package offline

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
)

// ChangedLoad is a load whose rows are held to the digests that were taken when they came.
type ChangedLoad struct {
	Source string
	Load   *Load
	// Unknown says, in words that follow "because", why its rows cannot be held to them. Empty: they are others than those that came.
	Unknown string
}

// ChangedLoads are the loads that t read rows of whose rows are not those that came, or of which that is not known. It reads all rows
// of the loads, so it is for when something else tells that one has changed. Read has been called.
func (t *Transform) ChangedLoads(ctx context.Context) ([]ChangedLoad, error) {
	var changed []ChangedLoad
	for _, in := range t.Inputs {
		if in.foreign != nil {
			continue
		}
		for _, l := range in.Loads {
			load, err := GetLoad(ctx, t.tx, l.ID)
			if err == nil && load.Erased > 0 {
				// Of what was left, nothing tells whether it is what came.
				continue
			}
			if err != nil {
				return nil, err
			}
			same, unknown, err := holdToDigests(ctx, t.tx, in.Source, load)
			if err != nil {
				return nil, err
			}
			if !same {
				changed = append(changed, ChangedLoad{Source: in.Source.Name, Load: load, Unknown: unknown})
			}
		}
	}
	return changed, nil
}

// cameBatch is as many rows, in their order, as a digest was taken of.
type cameBatch struct {
	Rows   int64
	Digest []byte
}

// holdToDigests reports whether the rows of a load are those that came.
func holdToDigests(ctx context.Context, tx pgx.Tx, src *feature.SourceVersion, load *Load) (same bool, unknown string, err error) {
	if load.Quarantined+load.Dropped > 0 {
		return false, "rows that were set aside or left out when they came are in its digest", nil
	}
	batches := []cameBatch{{Rows: load.Rows, Digest: load.RowsDigest[:]}}
	switch {
	case load.Batches > 0:
		rows, err := tx.Query(ctx, `SELECT rows, digest FROM headwater.load_batch WHERE load_id = $1 ORDER BY number`, load.ID)
		if err != nil {
			return false, "", err
		}
		if batches, err = pgx.CollectRows(rows, pgx.RowToStructByPos[cameBatch]); err != nil {
			return false, "", err
		}
	case load.RowsDigest.IsZero():
		return false, "it came before digests of rows were kept", nil
	}
	if others, err := valuesBeside(ctx, tx, src, load.ID); err != nil || others {
		return false, fmt.Sprintf("it has values in columns that version %d of the source does not have", src.Version), err
	}
	columns := make([]string, len(src.Columns))
	for i, c := range src.Columns {
		columns[i] = c.Name
	}
	same = true
	digest, left := newRowsDigest(src), batches[0].Rows
	end := func() {
		sum := digest.sum()
		same = same && left == 0 && string(sum[:]) == string(batches[0].Digest)
		batches = batches[1:]
		if digest = newRowsDigest(src); len(batches) > 0 {
			left = batches[0].Rows
		}
	}
	query := fmt.Sprintf("SELECT %s FROM %s WHERE _load = %d ORDER BY _row", quoteAll("", columns), quote(landingSchema, src.Name), load.ID)
	err = Stream(ctx, tx.Conn(), query, src.Columns, 0, func(values []feature.Value, _ []string) error {
		for left == 0 && len(batches) > 0 {
			end()
		}
		if len(batches) == 0 {
			same = false
			return nil
		}
		digest.add(values)
		left--
		return nil
	})
	for len(batches) > 0 {
		end()
	}
	return same, "", err
}

// valuesBeside reports whether rows of a load have values in columns of the landing table that a version of the source does not have.
func valuesBeside(ctx context.Context, tx pgx.Tx, src *feature.SourceVersion, load int64) (there bool, err error) {
	rows, err := tx.Query(ctx, `SELECT attname::text FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped`,
		quote(landingSchema, src.Name))
	if err != nil {
		return false, err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return false, err
	}
	var set []string
	for _, name := range names {
		if name != "_load" && name != "_row" && src.Column(name) == nil {
			set = append(set, quote(name)+" IS NOT NULL")
		}
	}
	if len(set) == 0 {
		return false, nil
	}
	err = tx.QueryRow(ctx, fmt.Sprintf("SELECT EXISTS (SELECT FROM %s WHERE _load = %d AND (%s))", quote(landingSchema, src.Name), load,
		strings.Join(set, " OR "))).Scan(&there)
	return there, err
}

// LoadsErased is how many rows of each of some loads were erased.
func LoadsErased(ctx context.Context, q database.Querier, loads []int64) (map[int64]int64, error) {
	rows, err := q.Query(ctx, `SELECT load_id, sum(rows)::bigint FROM headwater.load_erasure WHERE load_id = ANY ($1) GROUP BY 1 HAVING sum(rows) > 0`, loads)
	if err != nil {
		return nil, err
	}
	erased := map[int64]int64{}
	var id, n int64
	_, err = pgx.ForEachRow(rows, []any{&id, &n}, func() error { erased[id] = n; return nil })
	return erased, err
}
