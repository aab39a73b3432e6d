package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// The features of every view: seven floats and three integers.
const (
	floats   = 7
	integers = 3
)

// The views that histories are filled for. Those of a tenth and of a hundredth have as much less.
var views = []string{"readings_a", "readings_b", "readings_c", "readings_tenth", "readings_hundredth"}

func featureNames() (names []string) {
	for i := range floats {
		names = append(names, fmt.Sprintf("f%d", i+1))
	}
	for i := range integers {
		names = append(names, fmt.Sprintf("n%d", i+1))
	}
	return names
}

// definitions are a source of a few rows, the views over it, and a service of one of them and one of three.
func definitions() string {
	columns, features := "", ""
	for i, name := range featureNames() {
		kind := "float64"
		if i >= floats {
			kind = "int64"
		}
		columns += fmt.Sprintf("      - {name: %s, type: %s}\n", name, kind)
		features += fmt.Sprintf("      - {name: %s, type: %s}\n", name, kind)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `entities:
  - name: card
    join_keys: [{name: card, type: string}]
sources:
  - name: readings
    columns:
      - {name: card, type: string}
      - {name: at, type: timestamp}
      - {name: seen, type: timestamp}
%s    event_time: at
    arrival_time: {column: seen}
    landing: {}
feature_views:
`, columns)
	for _, view := range views {
		fmt.Fprintf(&b, `  - name: %s
    entity: card
    features:
%s    sql:
      sources: [readings]
      query: SELECT card, event_time, available_at, %s FROM readings
`, view, features, strings.Join(featureNames(), ", "))
	}
	b.WriteString(`feature_services:
  - name: one
    views: [{view: readings_a}]
  - name: tenth
    views: [{view: readings_tenth}]
  - name: wide
    views: [{view: readings_a}, {view: readings_b}, {view: readings_c}, {view: readings_tenth, features: [f1, f2, f3, f4, f5, f6, f7]}]
  - name: three
    views: [{view: readings_a}, {view: readings_b}, {view: readings_c}]
`)
	return b.String()
}

// perEntity is how many rows of a history each entity has.
const perEntity = 100

// days is how long the histories go on.
const days = 60

var start = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

func entityKey(n int) string { return fmt.Sprintf("card%07d", n) }

// seed has each view published by a run of its own, of a few rows.
func (b *bench) seed(ctx context.Context) error {
	schema := arrow.NewSchema(append([]arrow.Field{
		{Name: "card", Type: arrow.BinaryTypes.String}, {Name: "at", Type: microseconds}, {Name: "seen", Type: microseconds},
	}, featureFields()...), nil)
	const rows = 100
	_, err := b.client.Ingest(ctx, "readings", &headwaterv1.IngestHeader{}, batches(schema, rows, func(b *array.RecordBuilder, i int) {
		b.Field(0).(*array.StringBuilder).Append(entityKey(i))
		at := arrow.Timestamp(start.UnixMicro())
		b.Field(1).(*array.TimestampBuilder).Append(at)
		b.Field(2).(*array.TimestampBuilder).Append(at)
		for f := range floats + integers {
			b.Field(3 + f).AppendNull()
		}
	}))
	if err != nil {
		return err
	}
	reply, err := b.client.Materialization.Materialize(ctx, &headwaterv1.MaterializeRequest{Views: views, Full: true})
	if err != nil {
		return err
	}
	for _, r := range reply.GetRuns() {
		r, err := b.client.WatchRun(ctx, r.GetId(), nil)
		if err != nil {
			return err
		}
		if r.GetState() != headwaterv1.RunState_RUN_STATE_PUBLISHED {
			return fmt.Errorf("run %d is %s: %s", r.GetId(), r.GetState(), r.GetError())
		}
	}
	return nil
}

func featureFields() (fields []arrow.Field) {
	for i, name := range featureNames() {
		field := arrow.Field{Name: name, Type: arrow.PrimitiveTypes.Float64, Nullable: true}
		if i >= floats {
			field.Type = arrow.PrimitiveTypes.Int64
		}
		fields = append(fields, field)
	}
	return fields
}

func historyTable(view string) string {
	return pgx.Identifier{"headwater_history", view + "_v1"}.Sanitize()
}

// fillHistory makes rows of a view's history, as its published run would have written them: in the order of their time, the
// entities of each round in an order of its own; every tenth arrives up to two hours late, and one value in fifty is NULL. The
// key is built behind them, as a first run does it.
func (b *bench) fillHistory(ctx context.Context, view string, salt, rows int) error {
	table := historyTable(view)
	entities := rows / perEntity
	values := make([]string, 0, floats+integers)
	for f := range floats {
		values = append(values, fmt.Sprintf("CASE WHEN (i + %d) %% 50 <> 0 THEN (hashint8extended(i, %d) & 1048575) / 1024.0::float8 END", f*7+salt, salt*100+f))
	}
	for f := range integers {
		values = append(values, fmt.Sprintf("CASE WHEN (i + %d) %% 50 <> 0 THEN hashint8extended(i, %d) & 1023 END", f*11+salt, salt*100+50+f))
	}
	step := int64(days) * 24 * 3_600_000_000 / int64(rows)
	conn, err := pgx.Connect(ctx, b.servers.Postgres.URL())
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for _, statement := range []string{
		"BEGIN",
		"SET LOCAL maintenance_work_mem = '256MB'",
		"TRUNCATE " + table,
		fmt.Sprintf("ALTER TABLE %s DROP CONSTRAINT %s", table, pgx.Identifier{b.keys[view]}.Sanitize()),
		fmt.Sprintf(`INSERT INTO %s (entity_key, event_time, available_at, seq_from, seq_to, %s)
			SELECT 'card' || lpad(((i * 7919 + i / %[3]d * 31) %% %[3]d)::text, 7, '0'), t.at,
				t.at + CASE WHEN i %% 10 = %[4]d THEN (hashint8extended(i, %[5]d) & 8191) * interval '880 milliseconds' ELSE interval '0' END,
				1, 9223372036854775807, %[6]s
			FROM generate_series(0::bigint, %[7]d) i, LATERAL (SELECT timestamptz '2024-01-01 00:00:00+00' + i * interval '%[8]d microseconds' AS at) t`,
			table, strings.Join(featureNames(), ", "), entities, salt%10, salt, strings.Join(values, ", "), rows-1, step),
		fmt.Sprintf("ALTER TABLE %s ADD CONSTRAINT %s PRIMARY KEY (entity_key, event_time, available_at, seq_from)", table,
			pgx.Identifier{b.keys[view]}.Sanitize()),
		"COMMIT",
		"VACUUM (ANALYZE, FREEZE) " + table,
	} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", view, err)
		}
	}
	return nil
}

// rowsOf is how many rows the history of a view has.
func (b *bench) rowsOf(view string) int {
	switch view {
	case "readings_tenth":
		return b.history / 10
	case "readings_hundredth":
		return b.history / 100
	}
	return b.history
}

// fill makes all histories, unless the folder has them from before.
func (b *bench) fill(ctx context.Context) error {
	b.keys = map[string]string{}
	began := time.Now()
	filled := 0
	for i, view := range views {
		rows := b.rowsOf(view)
		var key string
		err := b.admin.QueryRow(ctx, `SELECT conname FROM pg_constraint WHERE conrelid = $1::regclass AND contype = 'p'`, historyTable(view)).Scan(&key)
		if err != nil {
			return err
		}
		b.keys[view] = key
		var last *time.Time
		if err := b.admin.QueryRow(ctx, fmt.Sprintf("SELECT event_time FROM %s OFFSET %d LIMIT 1", historyTable(view), rows-1)).Scan(&last); err == nil {
			continue
		} else if !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		if err := b.fillHistory(ctx, view, i+1, rows); err != nil {
			return err
		}
		filled += rows
	}
	if filled > 0 {
		b.row("histories made, with their keys", time.Since(began), filled)
	}
	return b.checkpoint(ctx)
}

var microseconds = &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}

// spineRow is the entity and the time of one row of the spine, in microseconds.
type spineRow struct {
	entity int
	at     int64
}

// spine is rows in random order over a history of some entities: each row's entity and time are random, and so the rows of
// an entity lie anywhere.
func spine(rows, entities int) []spineRow {
	random := rand.New(rand.NewPCG(5, 6))
	spine := make([]spineRow, rows)
	for i := range spine {
		spine[i] = spineRow{entity: random.IntN(entities), at: start.UnixMicro() + random.Int64N(days*24*3_600_000_000)}
	}
	return spine
}

// arrowOf is a spine as a client sends it: its keys, times, and a label.
func arrowOf(rows []spineRow) client.Rows {
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "card", Type: arrow.BinaryTypes.String}, {Name: "timestamp", Type: microseconds},
		{Name: "label", Type: arrow.PrimitiveTypes.Int64},
	}, nil)
	return batches(schema, len(rows), func(b *array.RecordBuilder, i int) {
		b.Field(0).(*array.StringBuilder).Append(entityKey(rows[i].entity))
		b.Field(1).(*array.TimestampBuilder).Append(arrow.Timestamp(rows[i].at))
		b.Field(2).(*array.Int64Builder).Append(int64(i))
	})
}

// stage puts a spine into a table of the floors', in its order.
func (b *bench) stage(ctx context.Context, rows []spineRow) error {
	_, err := b.admin.Exec(ctx, `CREATE SCHEMA IF NOT EXISTS bench; DROP TABLE IF EXISTS bench.spine;
		CREATE UNLOGGED TABLE bench.spine (row_number bigint NOT NULL, entity_key text COLLATE "C" NOT NULL, at timestamptz NOT NULL)`)
	if err != nil {
		return err
	}
	_, err = b.admin.CopyFrom(ctx, pgx.Identifier{"bench", "spine"}, []string{"row_number", "entity_key", "at"},
		pgx.CopyFromSlice(len(rows), func(i int) ([]any, error) {
			return []any{int64(i), entityKey(rows[i].entity), time.UnixMicro(rows[i].at)}, nil
		}))
	if err != nil {
		return err
	}
	_, err = b.admin.Exec(ctx, `VACUUM ANALYZE bench.spine`)
	return err
}

const batchRows = 10_000

// batches cuts rows into record batches.
func batches(schema *arrow.Schema, rows int, row func(b *array.RecordBuilder, i int)) client.Rows {
	return client.Rows{Schema: schema, Batches: iter.Seq2[arrow.RecordBatch, error](func(yield func(arrow.RecordBatch, error) bool) {
		builder := array.NewRecordBuilder(memory.DefaultAllocator, schema)
		defer builder.Release()
		for i := range rows {
			row(builder, i)
			if (i+1)%batchRows != 0 && i+1 < rows {
				continue
			}
			batch := builder.NewRecordBatch()
			more := yield(batch, nil)
			batch.Release()
			if !more {
				return
			}
		}
	})}
}
