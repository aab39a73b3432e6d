package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/bench/servers"
	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

const (
	// tracedRows are rows of the source, of tracedEntities over 30 days, in tracedFiles.
	tracedRows     = 100_000
	tracedEntities = 1000
	tracedFiles    = 20
	// otherReads and otherRuns are records beside those of what is traced.
	otherReads = 1_000_000
	otherRuns  = 1_000_000
)

// tracing is what is traced: a view of hours and one over it, served with a log. Of the third only the records of runs are there.
const tracing = `
entities:
  - name: shop
    join_keys: [{name: shop, type: int64}]
sources:
  - name: sales
    columns: [{name: at, type: timestamp}, {name: shop, type: int64}, {name: amount, type: float64}]
    event_time: at
    landing: {}
feature_views:
  - name: hours
    entity: shop
    grain: 1h
    features: [{name: amount, type: float64}, {name: sales, type: int64}]
    sql:
      sources: [sales]
      query: |
        SELECT shop, date_trunc('hour', event_time) + interval '1 hour' AS event_time, max(available_at) AS available_at,
          sum(amount ORDER BY amount) AS amount, count(*) AS sales FROM sales GROUP BY shop, date_trunc('hour', event_time)
  - name: copies
    entity: shop
    features: [{name: amount, type: float64}]
    sql:
      views: [hours]
      query: SELECT shop, event_time, available_at, amount FROM hours
  - name: beside
    entity: shop
    features: [{name: amount, type: float64}]
    sql:
      sources: [sales]
      query: SELECT shop, event_time, available_at, amount FROM sales
feature_services:
  - name: traced
    log: all
    views: [{view: hours}, {view: copies}]
`

// trace is the median time in milliseconds of traces of logged reads, from the call to the answer, among the records of very many reads and
// runs.
func trace(ctx context.Context, s *servers.Servers, c *client.Client, traces int) (median float64, err error) {
	ids, err := serveTraced(ctx, s, c, traces+1)
	if err != nil {
		return 0, err
	}
	var times []float64
	rows := 0
	for i, id := range ids {
		began := time.Now()
		r, err := c.Lineage.TraceRead(ctx, &headwaterv1.TraceReadRequest{ReadId: id})
		if err != nil {
			return 0, err
		}
		if i > 0 {
			times = append(times, float64(time.Since(began).Microseconds())/1000)
		}
		for _, f := range r.GetFeatures() {
			if f.GetVerdict() != "match" {
				return 0, fmt.Errorf("read %s: found %v, expected a match", id, f)
			}
		}
		for _, run := range r.GetRuns() {
			for _, in := range run.GetInputs() {
				rows += len(in.GetRows())
			}
		}
	}
	if rows == 0 {
		return 0, errors.New("no trace led to a row of a source")
	}
	slices.Sort(times)
	median = times[len(times)/2]
	fmt.Printf("%d traces of logged reads, beside %d reads and %d runs: median %.1f ms, most %.1f ms\n\n", len(times), otherReads, otherRuns, median, times[len(times)-1])
	return median, nil
}

// serveTraced makes what is traced, and returns the ids of reads of it.
func serveTraced(ctx context.Context, s *servers.Servers, c *client.Client, reads int) (ids []string, err error) {
	if err := s.Apply(ctx, c, tracing); err != nil {
		return nil, err
	}
	begin := time.Now().UTC().Truncate(time.Hour).Add(-31 * 24 * time.Hour).UnixMicro()
	const step, rows = 30 * 24 * int64(time.Hour/time.Microsecond) / tracedRows, tracedRows / tracedFiles
	for file := range int64(tracedFiles) {
		err := ingest(ctx, c, "sales", fmt.Sprintf("sales%d", file), rowsOf(schemaOf("shop", "amount"), rows, func(b *array.RecordBuilder, i int64) {
			i += file * rows
			b.Field(0).(*array.TimestampBuilder).Append(arrow.Timestamp(begin + i*step))
			b.Field(1).(*array.Int64Builder).Append(i % tracedEntities)
			b.Field(2).(*array.Float64Builder).Append(float64(i % 97))
		}))
		if err != nil {
			return nil, err
		}
	}
	for _, view := range []string{"hours", "copies"} {
		if _, err := materialize(ctx, c, view); err != nil {
			return nil, err
		}
	}
	for n := range reads {
		shop := &headwaterv1.KeyColumn{Int64S: []int64{int64(n * 7 % tracedEntities)}}
		r, err := c.Online.GetFeatures(ctx, &headwaterv1.GetFeaturesRequest{Service: "traced", Keys: map[string]*headwaterv1.KeyColumn{"shop": shop}})
		if err != nil {
			return nil, err
		}
		ids = append(ids, r.GetReadId())
	}
	// It is answered when all reads from before it are in Postgres.
	if _, err := c.Reads.ListReads(ctx, &headwaterv1.ListReadsRequest{Service: "traced", Until: timestamppb.Now()}); err != nil {
		return nil, err
	}
	conn, err := pgx.Connect(ctx, s.Postgres.URL())
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	for _, q := range []struct {
		sql       string
		arguments []any
	}{
		{`INSERT INTO headwater.read_log (day, read_id, served_at, service, service_version, log, position, principal, purpose, prediction_id, entities, entity_hashes, record)
		SELECT r.day, 'rd_' || md5(n::text), r.served_at - n * interval '1 microsecond', r.service, r.service_version, r.log, r.position, r.principal, r.purpose, '',
			r.entities, ARRAY[n::bigint], r.record
		FROM (SELECT * FROM headwater.read_log WHERE read_id = $1) r, generate_series(1, $2) n`, []any{ids[0], otherReads}},
		{`INSERT INTO headwater.run (view_id, seq, state, scope, position, interval_start, interval_end, fingerprint, digest, principal, queued_at, started_at, ended_at,
			rows_read, accepted, used, computed, produced, inserted, live_after, spans)
		SELECT d.id, n, 'published', 'interval', 1000000 + n, t, t + interval '1 hour', d.fingerprint, d.fingerprint, 'bench', t, t, t,
			100, 100, 100, 100, 100, 100, 100, tstzmultirange(tstzrange(t, t + interval '1 hour'))
		FROM headwater.definition d, generate_series(1, $1::int) n, LATERAL (SELECT timestamptz '2024-01-01Z' + n * interval '1 minute' AS t) x
		WHERE d.kind = 'view' AND d.name = 'beside'`, []any{otherRuns}},
		{`INSERT INTO headwater.run_span (run_id, view_id, seq, ended, live_rows)
		SELECT r.id, r.view_id, r.seq, r.seq + 3, 0 FROM headwater.run r JOIN headwater.definition d ON d.id = r.view_id WHERE d.name = 'beside'`, nil},
		{`ANALYZE headwater.read_log, headwater.run, headwater.run_span`, nil},
	} {
		if _, err := conn.Exec(ctx, q.sql, q.arguments...); err != nil {
			return nil, err
		}
	}
	return ids, nil
}
