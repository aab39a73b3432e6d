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
	// Recent leaves out entities that what was loaded lately does not touch; nil: none of them.
	Recent *Recent
	// After leaves out the entities up to this one, itself included; nil: none.
	After *string
}

// Recent is what the online store was given lately: the rows of runs, written or ended, and rows that came to count.
type Recent struct {
	// Seq is the first of the runs; 0: there are none.
	Seq int64
	// After is from when on rows came to count. Those that do not count yet are included.
	After feature.Time
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
	perEntity := 0.0
	if c.Touched == 0 && c.Recent == nil {
		var err error
		if perEntity, err = rowsPerEntity(ctx, conn, c.View); err != nil {
			return err
		}
	}
	if perEntity > 0 && perEntity < fewRowsPerEntity {
		return c.foldRows(ctx, conn, emit)
	}
	entities, err := c.entities(conn, perEntity)
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

// Newest is the greatest event time among the winners of all entities, nil where there is none. It reads the history whole.
func (c Current) Newest(ctx context.Context, q database.Querier) (*feature.Time, error) {
	// The winner of an entity is the newest of its rows that count.
	var micros *int64
	err := q.QueryRow(ctx, fmt.Sprintf(`SELECT (extract(epoch FROM max(event_time)) * 1000000)::bigint FROM %s
		WHERE seq_from <= %[2]d AND %[2]d < seq_to AND event_time <= %[3]s AND available_at <= %[3]s`,
		historyTable(c.View), c.Seq, timeLiteral(c.Now))).Scan(&micros)
	if err != nil || micros == nil {
		return nil, err
	}
	at := feature.Time(*micros)
	return &at, nil
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

const (
	// fewRowsPerEntity is up to when reading all rows costs less than looking for the winner of each entity: a look costs as
	// much as some five rows that are only sent.
	fewRowsPerEntity = 4
	// manyRowsPerEntity is from when on looking each entity up costs less than reading the keys of all rows.
	manyRowsPerEntity = 16
)

// after is the SQL of which entities are asked for, as a further condition.
func (c Current) after(conn *pgx.Conn) (string, error) {
	if c.After == nil {
		return "", nil
	}
	text, err := conn.PgConn().EscapeString(*c.After)
	return " AND entity_key > '" + text + "'", err
}

// foldRows finds the winners as Winners does, in one walk over all rows in the order of the history's key: of an entity the
// last row that counts is the winner, and each visible one behind it is yet to count.
func (c Current) foldRows(ctx context.Context, conn *pgx.Conn, emit func(*Entity) error) error {
	after, err := c.after(conn)
	if err != nil {
		return err
	}
	// A row that is not visible says only that there is the entity.
	missing := fmt.Sprintf("CASE WHEN seq_from <= %[1]d AND %[1]d < seq_to THEN NULL ELSE %[2]d END::bigint", c.Seq, uint8(read.NoRow))
	columns := append([]string{eventTimeColumn, availableAtColumn, "seq_from"}, AsOf{View: c.View}.wantedNames()...)
	query := fmt.Sprintf("SELECT entity_key, %s, %s FROM %s WHERE true%s ORDER BY entity_key, event_time, available_at",
		missing, quoteAll("", columns), historyTable(c.View), after)
	var e *Entity
	err = copyOut(ctx, conn, query, func(fields [][]byte) error {
		if e == nil || string(fields[0]) != e.Key {
			if e != nil {
				if err := emit(e); err != nil {
					return err
				}
			}
			e = &Entity{Key: string(fields[0]), Winner: read.Winner{Status: read.NoRow}}
		}
		w, err := decodeWinner(&AsOf{View: c.View}, fields[1:], newValues)
		if err != nil || w.Status != read.Present {
			return err
		}
		counts := max(w.EventTime, w.AvailableAt)
		switch {
		case counts <= c.Now:
			e.Winner, e.Due = w, nil
		case e.Due == nil || counts < *e.Due:
			e.Due = &counts
		}
		return nil
	})
	if err == nil && e != nil {
		err = emit(e)
	}
	return err
}

// entities is the SQL of the entities, by ascending key.
func (c Current) entities(conn *pgx.Conn, perEntity float64) (string, error) {
	table := historyTable(c.View)
	after, err := c.after(conn)
	if err != nil {
		return "", err
	}
	if c.Touched != 0 {
		return fmt.Sprintf("SELECT DISTINCT entity_key FROM %s WHERE (seq_from = %d OR seq_to = %d)%s ORDER BY entity_key",
			table, c.Touched, c.Touched, after), nil
	}
	if r := c.Recent; r != nil {
		which := fmt.Sprintf("event_time > %[1]s OR available_at > %[1]s", timeLiteral(r.After))
		if r.Seq > 0 {
			which = fmt.Sprintf("seq_from >= %[1]d OR seq_to BETWEEN %[1]d AND %[2]d OR %[3]s", r.Seq, c.Seq, which)
		}
		return fmt.Sprintf("SELECT DISTINCT entity_key FROM %s WHERE (%s)%s ORDER BY entity_key", table, which, after), nil
	}
	// Postgres reads a whole index for DISTINCT; this goes from each entity to the next.
	if perEntity < manyRowsPerEntity {
		return fmt.Sprintf("SELECT DISTINCT entity_key FROM %s WHERE true%s ORDER BY entity_key", table, after), nil
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
	columns := append([]string{eventTimeColumn, availableAtColumn, "seq_from"}, as.wantedNames()...)
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
		winnerColumns(as, "c", fmt.Sprint(uint8(read.NoRow))), entities,
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
	e.Winner, err = decodeWinner(&AsOf{View: c.View}, fields[2:], newValues)
	return e, err
}
