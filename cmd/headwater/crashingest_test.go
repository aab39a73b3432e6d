package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// TestCrashesOfIngest kills the server in the midst of what it takes in: while rows are copied, when all are and nothing is committed, and
// after the commit before the client has heard of it. Whoever sends again, the client by itself or another, has each row there once.
func TestCrashesOfIngest(t *testing.T) {
	if testing.Short() {
		t.Skip("it kills servers")
	}
	t.Parallel()
	w := openCrashing(t)
	conn, err := pgx.Connect(t.Context(), w.twin.postgres)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	c, err := client.Dial(w.address, w.token, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()

	// atWork waits until the server does something in Postgres.
	atWork := func(t *testing.T, what, condition string) {
		t.Helper()
		await(t, what, func() bool {
			var n int
			err := conn.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND `+condition).Scan(&n)
			return err == nil && n > 0
		})
	}
	const batches, rows = 3, 200
	writer := func(t *testing.T, name string) *client.BatchWriter {
		t.Helper()
		b := c.NewBatchWriter("sales", "sale", "at", "shop", "amount")
		// The server is away for as long as it takes to start.
		b.Attempts = 1000
		for n := range batches {
			for i := range rows {
				if err := b.Append(n*rows+i, time.Date(2001, 1, 1, 0, 0, i, 0, time.UTC), name, i); err != nil {
					t.Fatal(err)
				}
			}
			if err := b.Cut(fmt.Sprintf("%s/%d", name, n)); err != nil {
				t.Fatal(err)
			}
		}
		return b
	}
	type flushed struct {
		response *headwaterv1.IngestResponse
		err      error
	}
	flush := func(b *client.BatchWriter) <-chan flushed {
		done := make(chan flushed, 1)
		go func() {
			r, err := b.Flush(context.Background())
			done <- flushed{r, err}
		}()
		return done
	}
	once := func(t *testing.T, name string, loads int) {
		t.Helper()
		var landed, sales, of int
		err := conn.QueryRow(t.Context(), `SELECT count(*), count(DISTINCT sale), count(DISTINCT _load) FROM headwater_landing.sales WHERE shop = $1`, name).
			Scan(&landed, &sales, &of)
		if err != nil || landed != batches*rows || sales != landed || of != loads {
			t.Errorf("found %d rows of %d sales in %d loads (%v), expected %d, each once, in %d", landed, sales, of, err, batches*rows, loads)
		}
		var kept int64
		err = conn.QueryRow(t.Context(), `SELECT coalesce(sum(b.rows), 0) FROM headwater.load_batch b WHERE b.key LIKE $1 || '/%'`, name).Scan(&kept)
		if err != nil || kept != batches*rows {
			t.Errorf("found batches of %d rows (%v), expected %d", kept, err, batches*rows)
		}
	}
	ended := func(t *testing.T, done <-chan flushed, duplicate int64) {
		t.Helper()
		f := <-done
		if f.err != nil {
			t.Fatal(fault.FromError(f.err))
		}
		if f.response.Duplicate != duplicate || f.response.Accepted != batches*rows-duplicate {
			t.Errorf("found %d rows accepted and %d there already, expected %d there", f.response.Accepted, f.response.Duplicate, duplicate)
		}
	}

	t.Run("while rows are copied", func(c2 *testing.T) {
		// A client that has sent one batch, and goes on only once the server is gone.
		stream, err := c.Loads.Ingest(c2.Context())
		if err != nil {
			c2.Fatal(err)
		}
		first := &headwaterv1.Batch{IdempotencyKey: "copied/0", Columns: []string{"sale", "at", "shop", "amount"}}
		for i := range rows {
			first.Rows = append(first.Rows, &headwaterv1.IngestRow{Values: []*headwaterv1.Value{
				{Kind: &headwaterv1.Value_Int64Value{Int64Value: int64(i)}},
				{Kind: &headwaterv1.Value_TimestampValue{TimestampValue: timestamppb.New(time.Date(2001, 1, 1, 0, 0, i, 0, time.UTC))}},
				{Kind: &headwaterv1.Value_StringValue{StringValue: "copied"}}, {Kind: &headwaterv1.Value_Int64Value{Int64Value: 1}},
			}})
		}
		for _, m := range []*headwaterv1.IngestRequest{{Source: "sales", Header: &headwaterv1.IngestHeader{Batches: true}}, {Batch: first}} {
			if err := stream.Send(m); err != nil {
				c2.Fatal(err)
			}
		}
		atWork(c2, "rows are copied", `state = 'active' AND query ILIKE 'COPY%headwater_landing%'`)
		w.killAndStart(t, "server")
		if _, err := stream.CloseAndRecv(); err == nil {
			c2.Fatal("a killed server has answered")
		}
		ended(c2, flush(writer(c2, "copied")), 0)
		once(c2, "copied", 1)
	})
	t.Run("before the commit", func(c2 *testing.T) {
		// All rows are there when the load takes its number, for which it waits here.
		holder, err := pgx.Connect(c2.Context(), w.twin.postgres)
		if err != nil {
			c2.Fatal(err)
		}
		defer holder.Close(context.Background())
		tx, err := holder.Begin(c2.Context())
		if err != nil {
			c2.Fatal(err)
		}
		if _, err := tx.Exec(c2.Context(), `SELECT FROM headwater.landing WHERE source = 'sales' FOR UPDATE`); err != nil {
			c2.Fatal(err)
		}
		done := flush(writer(c2, "uncommitted"))
		atWork(c2, "the load waits", `wait_event_type = 'Lock' AND query ILIKE '%UPDATE headwater.landing%'`)
		w.kill()
		if err := tx.Rollback(c2.Context()); err != nil {
			c2.Fatal(err)
		}
		w.serverProcess = w.startServer(t, w.token)
		ended(c2, done, 0)
		once(c2, "uncommitted", 1)
	})
	t.Run("after the commit", func(c2 *testing.T) {
		w.stopNext(c2, "ingested")
		done := flush(writer(c2, "committed"))
		w.awaitReached(c2)
		w.killAndStart(t, "server")
		ended(c2, done, batches*rows)
		once(c2, "committed", 1)
	})
	t.Run("after the commit of a file", func(c2 *testing.T) {
		// The command line does not send a file again by itself; who does is told that it is there.
		sales := file(c2, "sales.csv", "sale,at,shop,amount\n1,2001-01-01 00:00:00,filed,1\n2,2001-01-01 00:00:01,filed,1\n")
		w.stopNext(c2, "ingested")
		first := make(chan result, 1)
		go func() { first <- w.run("ingest", "sales", sales) }()
		w.awaitReached(c2)
		w.killAndStart(t, "server")
		if r := <-first; r.code == exitDone {
			c2.Errorf("found %s of a killed server", r.out)
		}
		r := w.run("ingest", "sales", sales)
		var landed int
		err := conn.QueryRow(c2.Context(), `SELECT count(*) FROM headwater_landing.sales WHERE shop = 'filed'`).Scan(&landed)
		if err != nil || landed != 2 || !strings.Contains(r.out+r.err, "same SHA-256") {
			c2.Errorf("found %d rows (%v), expected 2; the second time: %d %s%s", landed, err, r.code, r.out, r.err)
		}
	})
}
