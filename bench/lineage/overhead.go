package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/headwaterhq/headwater/bench/servers"
	"github.com/headwaterhq/headwater/client"
	"github.com/headwaterhq/headwater/definition"
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

// overhead is the share of the time of runs, on a server of its own, in which they write their lineage and what others are told. Each
// takes one load.
func overhead(ctx context.Context, program string) (share float64, err error) {
	s, err := servers.Start(ctx, servers.Config{Program: program})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	c, err := client.Dial(s.Address, s.Token, client.Options{})
	if err != nil {
		return 0, err
	}
	defer c.Close()
	file := s.Folder + "/overhead.yaml"
	if err := os.WriteFile(file, []byte(overheadDefinitions), 0o600); err != nil {
		return 0, err
	}
	set, err := definition.Load([]string{file})
	if err != nil {
		return 0, err
	}
	if _, err := c.Registry.Apply(ctx, &headwaterv1.ApplyRequest{Files: set.Files}); err != nil {
		return 0, err
	}
	var whole, lineage time.Duration
	for n := range overheadLoads {
		name := fmt.Sprintf("readings%d", n)
		sum := sha256.Sum256([]byte(name))
		if _, err := c.Ingest(ctx, "readings", &headwaterv1.IngestHeader{FileName: name, FileSha256: hex.EncodeToString(sum[:])}, readings(n)); err != nil {
			return 0, err
		}
		begun, err := c.Materialization.Materialize(ctx, &headwaterv1.MaterializeRequest{Views: []string{"latest"}})
		if err != nil {
			return 0, err
		}
		r, err := c.WatchRun(ctx, begun.GetRuns()[0].GetId(), nil)
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
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "sensor", Type: arrow.PrimitiveTypes.Int64}, {Name: "at", Type: &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}},
		{Name: "value", Type: arrow.PrimitiveTypes.Float64},
	}, nil)
	return client.Rows{Schema: schema, Batches: func(yield func(arrow.RecordBatch, error) bool) {
		b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
		defer b.Release()
		at := time.Date(2001, 1, 1, load, 0, 0, 0, time.UTC).UnixMicro()
		for i := range int64(overheadRows) {
			b.Field(0).(*array.Int64Builder).Append(i)
			b.Field(1).(*array.TimestampBuilder).Append(arrow.Timestamp(at + i))
			b.Field(2).(*array.Float64Builder).Append(float64(i) / 2)
		}
		batch := b.NewRecordBatch()
		defer batch.Release()
		yield(batch, nil)
	}}
}
