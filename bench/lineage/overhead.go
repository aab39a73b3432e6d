package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/headwaterhq/headwater/bench/servers"
	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

const overheadDefinitions = `
entities:
  - name: sensor
    join_keys: [{name: sensor, type: int64}]
sources:
  - name: readings
    columns: [{name: sensor, type: int64}, {name: at, type: timestamp}, {name: value, type: float64}]
    event_time: at
    landing: {}
feature_views:
  - name: latest
    entity: sensor
    features: [{name: value, type: float64}]
    sql:
      sources: [readings]
      query: SELECT sensor, event_time, available_at, value FROM readings
`

// overheadLoads follow each other, each with rows of its own and a run that takes them.
const (
	overheadLoads = 12
	overheadRows  = 20_000
)

// served starts a server, with a Postgres and a Redis of its own, and calls do with a client of it.
func served(ctx context.Context, program string, do func(s *servers.Servers, c *client.Client) error) (err error) {
	s, err := servers.Start(ctx, servers.Config{Program: program})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	c, err := client.Dial(s.Address, s.Token, client.Options{})
	if err != nil {
		return err
	}
	defer c.Close()
	return do(s, c)
}

// ingest sends one file.
func ingest(ctx context.Context, c *client.Client, source, name string, rows client.Rows) error {
	sum := sha256.Sum256([]byte(name))
	_, err := c.Ingest(ctx, source, &headwaterv1.IngestHeader{FileName: name, FileSha256: hex.EncodeToString(sum[:])}, rows)
	return err
}

// materialize runs a view, and returns the run when it has ended, its rows online.
func materialize(ctx context.Context, c *client.Client, view string) (*headwaterv1.Run, error) {
	begun, err := c.Materialization.Materialize(ctx, &headwaterv1.MaterializeRequest{Views: []string{view}})
	if err != nil {
		return nil, err
	}
	r, err := c.WatchRun(ctx, begun.GetRuns()[0].GetId(), nil)
	if err == nil && r.GetState() != headwaterv1.RunState_RUN_STATE_PUBLISHED {
		err = fmt.Errorf("run %d of %s is %s: %s", r.GetId(), view, r.GetState(), r.GetError())
	}
	return r, err
}

// overhead is the share of the time of runs in which they write their lineage and what others are told. Each takes one load.
func overhead(ctx context.Context, s *servers.Servers, c *client.Client) (share float64, err error) {
	if err := s.Apply(ctx, c, overheadDefinitions); err != nil {
		return 0, err
	}
	var whole, lineage time.Duration
	for n := range overheadLoads {
		if err := ingest(ctx, c, "readings", fmt.Sprintf("readings%d", n), readings(n)); err != nil {
			return 0, err
		}
		r, err := materialize(ctx, c, "latest")
		if err != nil {
			return 0, err
		}
		if r.GetLedger().GetInserted() != overheadRows {
			return 0, fmt.Errorf("run %d inserted %d rows, expected %d: %s", r.GetId(), r.GetLedger().GetInserted(), overheadRows, r.GetError())
		}
		whole += r.GetEndedAt().AsTime().Sub(r.GetStartedAt().AsTime())
		for _, p := range r.GetPhases() {
			if p.GetName() == "lineage" {
				lineage += time.Duration(p.GetDurationMicros()) * time.Microsecond
			}
		}
	}
	fmt.Printf("%d runs of %d rows took %.2f s, of which %.1f ms to write their lineage and what others are told\n\n", overheadLoads, overheadRows, whole.Seconds(),
		float64(lineage.Microseconds())/1000)
	return lineage.Seconds() / whole.Seconds(), nil
}

// readings are the rows of one load.
func readings(load int) client.Rows {
	schema := schemaOf("sensor", "value")
	at := time.Date(2001, 1, 1, load, 0, 0, 0, time.UTC).UnixMicro()
	return rowsOf(schema, overheadRows, func(b *array.RecordBuilder, i int64) {
		b.Field(0).(*array.TimestampBuilder).Append(arrow.Timestamp(at + i))
		b.Field(1).(*array.Int64Builder).Append(i)
		b.Field(2).(*array.Float64Builder).Append(float64(i) / 2)
	})
}

// schemaOf is that of rows of a time, a key and a value.
func schemaOf(key, value string) *arrow.Schema {
	return arrow.NewSchema([]arrow.Field{
		{Name: "at", Type: &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}}, {Name: key, Type: arrow.PrimitiveTypes.Int64},
		{Name: value, Type: arrow.PrimitiveTypes.Float64},
	}, nil)
}

// rowsOf are so many rows, each of which row appends, in one batch.
func rowsOf(schema *arrow.Schema, rows int, row func(b *array.RecordBuilder, i int64)) client.Rows {
	return client.Rows{Schema: schema, Batches: func(yield func(arrow.RecordBatch, error) bool) {
		b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
		defer b.Release()
		for i := range int64(rows) {
			row(b, i)
		}
		batch := b.NewRecordBatch()
		defer batch.Release()
		yield(batch, nil)
	}}
}
