package offline

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/read"
)

// Current asks what the online store is to hold of a view version: for each entity the winner at a time, without the view's
// TTL, which readers apply.
type Current struct {
	View *feature.ViewVersion
	// Seq is the last sequence that is visible.
	Seq int64
	// Now is the time of the winners.
	Now feature.Time
	// Touched is the run of whose rows, written or ended, the entities are; 0: of all rows there are.
	Touched int64
	// After leaves out the entities up to this one, itself included; nil: none.
	After *string
}

// Entity is one entity of a view version as it is current.
type Entity struct {
	// Key is the encoded join keys.
	Key string
	// Winner is Present, or NoRow when no row of the entity counts at the time asked for.
	Winner read.Winner
	// Due is when the next of the entity's rows begins to count, after the time asked for; nil: there is none that would
	// take the winner's place.
	Due *feature.Time
}

// Winners emits each entity once, by ascending key as bytes. An entity may be kept.
//
// It is one statement on conn, so that memory is bounded and what it reads is of one moment; conn can do nothing else
// until it ends.
func (c Current) Winners(ctx context.Context, conn *pgx.Conn, emit func(*Entity) error) error {
	entities, err := c.entities(ctx, conn)
	if err != nil {
		return err
	}
	return copyOut(ctx, conn, c.query(entities), func(fields [][]byte) error {
		e, err := c.decode(fields)
		if err != nil {
			return err
		}
		return emit(e)
	})
}

// Of finds those of the entities with keys that the history has rows of, at whatever sequence, by their key.
func (c Current) Of(ctx context.Context, q database.Querier, keys []string) (map[string]*Entity, error) {
	entities := fmt.Sprintf("SELECT DISTINCT entity_key FROM %s WHERE entity_key = ANY ($1)", historyTable(c.View))
	rows, err := q.Query(ctx, c.query(entities), pgx.QueryResultFormats{pgx.BinaryFormatCode}, keys)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found := make(map[string]*Entity, len(keys))
	for rows.Next() {
		e, err := c.decode(rows.RawValues())
		if err != nil {
			return nil, err
		}
		found[e.Key] = e
	}
	return found, rows.Err()
}

// Known says which of keys the history has rows of, at whatever sequence.
func (c Current) Known(ctx context.Context, q database.Querier, keys []string) (map[string]bool, error) {
	rows, err := q.Query(ctx, fmt.Sprintf("SELECT DISTINCT entity_key FROM %s WHERE entity_key = ANY ($1)", historyTable(c.View)), keys)
	if err != nil {
		return nil, err
	}
	known := make(map[string]bool, len(keys))
	var key string
	_, err = pgx.ForEachRow(rows, []any{&key}, func() error {
		known[key] = true
		return nil
	})
	return known, err
}

// manyRowsPerEntity is from when on looking each entity up costs less than reading the keys of all rows.
const manyRowsPerEntity = 16

// entities is the SQL of the entities, by ascending key.
func (c Current) entities(ctx context.Context, conn *pgx.Conn) (string, error) {
	table, after := historyTable(c.View), ""
	if c.After != nil {
		text, err := conn.PgConn().EscapeString(*c.After)
		if err != nil {
			return "", err
		}
		after = " AND entity_key > '" + text + "'"
	}
	if c.Touched != 0 {
		return fmt.Sprintf("SELECT DISTINCT entity_key FROM %s WHERE (seq_from = %d OR seq_to = %d)%s ORDER BY entity_key",
			table, c.Touched, c.Touched, after), nil
	}
	// Postgres reads a whole index for DISTINCT; this goes from each entity to the next.
	perEntity, err := rowsPerEntity(ctx, conn, c.View)
	if err != nil || perEntity < manyRowsPerEntity {
		return fmt.Sprintf("SELECT DISTINCT entity_key FROM %s WHERE true%s ORDER BY entity_key", table, after), err
	}
	return fmt.Sprintf(`WITH RECURSIVE one AS (
			(SELECT entity_key FROM %[1]s WHERE true%[2]s ORDER BY entity_key LIMIT 1)
			UNION ALL
			SELECT (SELECT n.entity_key FROM %[1]s n WHERE n.entity_key > one.entity_key ORDER BY n.entity_key LIMIT 1)
			FROM one WHERE one.entity_key IS NOT NULL)
		SELECT entity_key FROM one WHERE entity_key IS NOT NULL`, table, after), nil
}

// rowsPerEntity is about how many rows the history has per entity, as far as Postgres has looked; 0 when it has not.
func rowsPerEntity(ctx context.Context, conn *pgx.Conn, v *feature.ViewVersion) (n float64, err error) {
	// A negative n_distinct is a share of the rows.
	err = conn.QueryRow(ctx, `
		SELECT coalesce(max(CASE WHEN c.reltuples <= 0 OR s.n_distinct = 0 THEN 0
			WHEN s.n_distinct < 0 THEN -1 / s.n_distinct ELSE c.reltuples / s.n_distinct END), 0)::float8
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			LEFT JOIN pg_stats s ON s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = 'entity_key'
		WHERE n.nspname = $1 AND c.relname = $2`, historySchema, historyName(v)).Scan(&n)
	return n, err
}

func (c Current) query(entities string) string {
	as, now := AsOf{View: c.View, Seq: c.Seq}, timeLiteral(c.Now)
	columns := append([]string{eventTimeColumn, availableAtColumn, "seq_from"}, storedNames(c.View)...)
	// Of most entities the newest visible row counts already: then it is the winner, and Postgres does not begin with the
	// others. Else every visible row behind the winner in the order of the key is one that does not count yet.
	ahead := fmt.Sprintf("(n.event_time > %[1]s OR n.available_at > %[1]s)", now)
	chosen := make([]string, len(columns))
	for i, name := range columns {
		chosen[i] = fmt.Sprintf("CASE WHEN %s THEN w.%[2]s ELSE n.%[2]s END AS %[2]s", ahead, quote(name))
	}
	return fmt.Sprintf(`
		SELECT k.entity_key, d.due, %s
		FROM (%s) k
		LEFT JOIN LATERAL (
			SELECT %s FROM %s h WHERE %s ORDER BY h.event_time DESC, h.available_at DESC LIMIT 1
		) n ON true
		LEFT JOIN LATERAL (
			SELECT %s FROM %s h WHERE %s AND %s AND h.event_time <= %s AND h.available_at <= %s
			ORDER BY h.event_time DESC, h.available_at DESC LIMIT 1
		) w ON true
		LEFT JOIN LATERAL (
			SELECT min(greatest(h.event_time, h.available_at)) AS due FROM %s h WHERE %s AND %s
				AND (h.event_time, h.available_at) > (coalesce(w.event_time, '-infinity'), coalesce(w.available_at, '-infinity'))
		) d ON true
		CROSS JOIN LATERAL (SELECT %s) c`,
		winnerColumns(c.View, "c", fmt.Sprint(uint8(read.NoRow))), entities,
		quoteAll("h.", columns), historyTable(c.View), as.visible("k.entity_key"),
		quoteAll("h.", columns), historyTable(c.View), ahead, as.visible("k.entity_key"), now, now,
		historyTable(c.View), ahead, as.visible("k.entity_key"),
		strings.Join(chosen, ", "))
}

func (c Current) decode(fields [][]byte) (*Entity, error) {
	e := &Entity{Key: string(fields[0])}
	if fields[1] != nil {
		due, err := decodeTime(fields[1])
		if err != nil {
			return nil, err
		}
		e.Due = &due
	}
	var err error
	e.Winner, err = decodeWinner(c.View, fields[2:])
	return e, err
}
