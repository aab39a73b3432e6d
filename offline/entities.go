package offline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
)

// OutputRows is what stands after FROM for the live rows of a view version in spans of event times less grain, with the
// columns that the view outputs. For the run that holds the lease, before it is published, that is its output there.
func OutputRows(v *feature.ViewVersion, spans Spans) string {
	return "(" + viewSelect(v, liveRows(v, spans)) + ") AS output"
}

func liveRows(v *feature.ViewVersion, spans Spans) string {
	return fmt.Sprintf("(SELECT * FROM %s WHERE seq_to = %d AND %s)", historyTable(v), int64(SeqLive),
		spans.shift(v.RunGrain()).Condition(eventTimeColumn))
}

// NewestRow is the event time of the newest live row of a view version, nil for none.
func NewestRow(ctx context.Context, q database.Querier, v *feature.ViewVersion) (*feature.Time, error) {
	var micros *int64
	err := q.QueryRow(ctx, fmt.Sprintf("SELECT (extract(epoch FROM max(event_time)) * 1000000)::bigint FROM %s WHERE seq_to = %d",
		historyTable(v), int64(SeqLive))).Scan(&micros)
	if err != nil || micros == nil {
		return nil, err
	}
	at := feature.Time(*micros)
	return &at, nil
}

// maxMissing is how many entities that are missing are named.
const maxMissing = 5

// EntitiesKept counts, of the entities that the inputs have rows of in what the run owns, those of which the output has any, and
// names a few of the others by their keys. Rows that do not count, or lack a join key, are left out. reason says why it cannot
// be counted. What it makes on conn, which is not the transform's, is gone afterwards.
func (t *Transform) EntitiesKept(ctx context.Context, conn *pgx.Conn) (kept, of int64, missing []string, reason string, err error) {
	queries := t.entityQueries()
	if len(queries) == 0 {
		names := make([]string, len(t.View.EntityVersion.JoinKeys))
		for i, k := range t.View.EntityVersion.JoinKeys {
			names[i] = k.Name
		}
		return 0, 0, nil, "no input has the join keys " + strings.Join(names, ", "), nil
	}
	tx, err := conn.Begin(ctx)
	if err != nil {
		return 0, 0, nil, "", err
	}
	defer func() { err = errors.Join(err, rolledBack(ctx, tx)) }()
	name := fmt.Sprintf("entities_%d_%d", t.View.ID, conn.PgConn().PID())
	err = database.CreateTable(ctx, tx, database.Table{
		Kind: database.Staging, Schema: stagingSchema, Name: name, Columns: `entity_key text COLLATE "C" NOT NULL`, DistributionColumn: "entity_key",
	})
	if err != nil {
		return 0, 0, nil, "", err
	}
	table := quote(stagingSchema, name)
	for _, query := range queries {
		err := copyIn(ctx, conn, table, []string{"entity_key"}, func(e *copyEncoder) error {
			return t.keys(ctx, query, func(key []byte) error {
				e.beginRow(1)
				e.bytes(key)
				return e.err
			})
		})
		if err != nil {
			return 0, 0, nil, "", err
		}
	}
	found := fmt.Sprintf("(SELECT i.entity_key, EXISTS (SELECT FROM %s h WHERE h.entity_key = i.entity_key) AS kept FROM (SELECT DISTINCT entity_key FROM %s) i)",
		liveRows(t.View, t.Plan.Owned), table)
	var keys []string
	err = tx.QueryRow(ctx, fmt.Sprintf(`
		WITH _found AS MATERIALIZED %s
		SELECT count(*) FILTER (WHERE kept), count(*), ARRAY(SELECT entity_key FROM _found WHERE NOT kept ORDER BY entity_key LIMIT %d) FROM _found`,
		found, maxMissing)).Scan(&kept, &of, &keys)
	return kept, of, keys, "", err
}

func rolledBack(ctx context.Context, tx pgx.Tx) error {
	if tx.Conn().IsClosed() {
		return nil
	}
	if err := tx.Rollback(context.WithoutCancel(ctx)); err != nil && !errors.Is(err, pgx.ErrTxClosed) {
		return err
	}
	return nil
}

// entityQueries select the join keys of rows in what the run owns, of each input that has them.
func (t *Transform) entityQueries() []string {
	var queries []string
	keys := t.View.EntityVersion.JoinKeys
	for _, in := range t.Inputs {
		var columns []string
		for _, k := range keys {
			name := k.Name
			if t.View.Aggregation != nil {
				name = t.View.Aggregation.KeyColumn(k.Name)
			}
			if c := in.Source.Column(name); c != nil && c.Type == k.Type {
				columns = append(columns, quote(name))
			}
		}
		if len(columns) == len(keys) {
			queries = append(queries, fmt.Sprintf("SELECT DISTINCT %s FROM %s AS %s WHERE %s", strings.Join(columns, ", "), in.table,
				quote(in.Source.Name), in.Considered(t.Plan.Owned)))
		}
	}
	for _, in := range t.ViewInputs {
		has := true
		for _, k := range keys {
			has = has && slices.ContainsFunc(in.View.EntityVersion.JoinKeys, func(c feature.Column) bool { return c.Name == k.Name && c.Type == k.Type })
		}
		if has {
			names := make([]string, len(keys))
			for i, k := range keys {
				names[i] = k.Name
			}
			queries = append(queries, fmt.Sprintf("SELECT DISTINCT %s FROM (%s) AS shown", quoteAll("", names), in.query(t.View, t.Plan.Owned)))
		}
	}
	return queries
}

// keys encodes the entities that a query selects the join keys of.
func (t *Transform) keys(ctx context.Context, query string, emit func(key []byte) error) error {
	columns := t.View.EntityVersion.JoinKeys
	values := make([]feature.Value, len(columns))
	var key []byte
	return copyOut(ctx, t.conn, query, func(fields [][]byte) error {
		for i, f := range fields {
			values[i] = feature.Null()
			if f == nil {
				continue
			}
			v, err := decodeValue(columns[i].Type, f)
			if err != nil {
				return err
			}
			values[i] = v
		}
		var whole bool
		var err error
		if key, whole, err = t.View.EntityVersion.AppendKey(key[:0], values); err != nil || !whole {
			return err
		}
		return emit(key)
	})
}
