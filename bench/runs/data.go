package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"math/rand/v2"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// definitions are what is measured: rows as they are through SQL, windows of the same rows, and a million entities to serve.
const definitions = `
entities:
  - name: card
    join_keys: [{name: card, type: string}]
  - name: person
    join_keys: [{name: person, type: string}]
sources:
  - name: payments
    columns:
      - {name: card, type: string}
      - {name: at, type: timestamp}
      - {name: seen, type: timestamp}
      - {name: amount, type: float64}
      - {name: items, type: int64}
      - {name: shop, type: string}
      - {name: distance, type: float64}
    event_time: at
    arrival_time: {column: seen}
    landing: {}
    expectations:
      - {column: card, not_null: {}, on_failure: quarantine}
      - {column: amount, not_null: {}, on_failure: quarantine}
      - {column: amount, range: {min: 0, max: 100000}, on_failure: quarantine}
      - {row_count: {}, error: {min: 1}}
  - name: people
    columns:
      - {name: person, type: string}
      - {name: at, type: timestamp}
      - {name: score, type: float64}
      - {name: visits, type: int64}
      - {name: region, type: string}
      - {name: spent, type: float64}
      - {name: active, type: bool}
    event_time: at
    landing: {}
feature_views:
  - name: payments_as_they_are
    entity: card
    features:
      - {name: amount, type: float64}
      - {name: items, type: int64}
      - {name: shop, type: string}
      - {name: distance, type: float64}
    sql:
      sources: [payments]
      query: SELECT card, event_time, available_at, amount, items, shop, distance FROM payments
  - name: payments_in_windows
    entity: card
    features:
      - {name: count_1h, type: int64}
      - {name: sum_7d, type: float64}
      - {name: mean_30d, type: float64}
    aggregation:
      source: payments
      hop: 1h
      aggregates:
        - {feature: count_1h, function: count, window: 1h}
        - {feature: sum_7d, function: sum, column: amount, window: 168h}
        - {feature: mean_30d, function: mean, column: amount, window: 720h}
  - name: people_as_they_are
    entity: person
    features:
      - {name: score, type: float64}
      - {name: visits, type: int64}
      - {name: region, type: string}
      - {name: spent, type: float64}
      - {name: active, type: bool}
    sql:
      sources: [people]
      query: SELECT person, event_time, available_at, score, visits, region, spent, active FROM people
`

// days is how long the payments go on.
const days = 60

// perHour is how many payments a card that is used within an hour has in it.
const perHour = 10

const batchRows = 10_000

var start = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()

var microseconds = &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}

// payments are rows in the order of time, no two of one card at one time. Every tenth arrives late, by up to three hours.
// In each hour some cards are used several times, so that windows have something to add up.
func payments(rows, cards int) client.Rows {
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "card", Type: arrow.BinaryTypes.String}, {Name: "at", Type: microseconds}, {Name: "seen", Type: microseconds},
		{Name: "amount", Type: arrow.PrimitiveTypes.Float64}, {Name: "items", Type: arrow.PrimitiveTypes.Int64},
		{Name: "shop", Type: arrow.BinaryTypes.String}, {Name: "distance", Type: arrow.PrimitiveTypes.Float64},
	}, nil)
	const hours = days * 24
	inHour := max(rows/hours/perHour, 1)
	step := int64(days) * 24 * 3_600_000_000 / int64(rows)
	random := rand.New(rand.NewPCG(1, 2))
	return batches(schema, rows, func(b *array.RecordBuilder, i int) {
		at := start + int64(i)*step
		seen := at
		if i%10 == 0 {
			seen += random.Int64N(3 * 3_600_000_000)
		}
		card := (i/(inHour*perHour)*inHour + i%inHour) % cards
		b.Field(0).(*array.StringBuilder).Append(fmt.Sprintf("card%07d", card))
		b.Field(1).(*array.TimestampBuilder).Append(arrow.Timestamp(at))
		b.Field(2).(*array.TimestampBuilder).Append(arrow.Timestamp(seen))
		b.Field(3).(*array.Float64Builder).Append(float64(random.IntN(100_000)) / 100)
		b.Field(4).(*array.Int64Builder).Append(int64(random.IntN(50)))
		b.Field(5).(*array.StringBuilder).Append(fmt.Sprintf("shop%04d", random.IntN(5000)))
		b.Field(6).(*array.Float64Builder).Append(random.Float64() * 1000)
	})
}

// people are one row each.
func people(rows int) client.Rows {
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "person", Type: arrow.BinaryTypes.String}, {Name: "at", Type: microseconds},
		{Name: "score", Type: arrow.PrimitiveTypes.Float64}, {Name: "visits", Type: arrow.PrimitiveTypes.Int64},
		{Name: "region", Type: arrow.BinaryTypes.String}, {Name: "spent", Type: arrow.PrimitiveTypes.Float64},
		{Name: "active", Type: arrow.FixedWidthTypes.Boolean},
	}, nil)
	random := rand.New(rand.NewPCG(3, 4))
	return batches(schema, rows, func(b *array.RecordBuilder, i int) {
		b.Field(0).(*array.StringBuilder).Append(fmt.Sprintf("person%08d", i))
		b.Field(1).(*array.TimestampBuilder).Append(arrow.Timestamp(start + int64(i)*1000))
		b.Field(2).(*array.Float64Builder).Append(random.Float64())
		b.Field(3).(*array.Int64Builder).Append(int64(random.IntN(1000)))
		b.Field(4).(*array.StringBuilder).Append(fmt.Sprintf("region%03d", random.IntN(200)))
		b.Field(5).(*array.Float64Builder).Append(float64(random.IntN(1_000_000)) / 100)
		b.Field(6).(*array.BooleanBuilder).Append(random.IntN(2) == 1)
	})
}

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

// ingest sends rows as one load of a source, in the place of another unless that is 0.
func (b *bench) ingest(ctx context.Context, source string, replaces int64, rows client.Rows, count int) (int64, error) {
	sum := sha256.Sum256([]byte(source))
	began := time.Now()
	reply, err := b.client.Ingest(ctx, source, &headwaterv1.IngestHeader{
		FileName: source + ".arrow", FileSha256: hex.EncodeToString(sum[:]), Replaces: replaces,
	}, rows)
	if err != nil {
		return 0, err
	}
	load := reply.GetLoad()
	if load.GetRows() != int64(count) {
		return 0, fmt.Errorf("found a load of %d rows, expected %d", load.GetRows(), count)
	}
	b.row("ingest of "+source, time.Since(began), count)
	return load.GetId(), nil
}
