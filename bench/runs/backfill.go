package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/bench/report"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// backfill measures a SQL view of rows as they are, beside its floor.
func (b *bench) backfill(ctx context.Context) error {
	if err := b.events(ctx); err != nil {
		return err
	}
	floor, err := b.floor(ctx)
	if err != nil {
		return err
	}
	const view = "payments_as_they_are"
	first, err := b.materialize(ctx, &headwaterv1.MaterializeRequest{Views: []string{view}, Full: true})
	if err != nil {
		return err
	}
	if n := first.GetLedger().GetInserted(); n != int64(b.rows) {
		return fmt.Errorf("found %d rows inserted by the first backfill, expected %d", n, b.rows)
	}
	b.row("first backfill of a SQL view", took(first), b.rows)
	phases(first)
	b.result["sql_view_vs_copy"] = report.Round(took(first).Seconds() / floor.Seconds())
	fmt.Printf("    times the floor: %.2f (2.0 or less)\n", b.result["sql_view_vs_copy"])

	began := time.Now()
	nothing, err := b.materialize(ctx, &headwaterv1.MaterializeRequest{Views: []string{view}})
	if err != nil {
		return err
	}
	if l := nothing.GetLedger(); l.GetInserted()+l.GetWithdrawn() != 0 {
		return fmt.Errorf("found %d rows inserted and %d withdrawn by a run with nothing new, expected none", l.GetInserted(), l.GetWithdrawn())
	}
	b.row("a run with nothing new, asked for to ended", time.Since(began), 0)
	b.result["nothing_new_s"] = report.Round(time.Since(began).Seconds())

	if b.load, err = b.ingest(ctx, "payments", b.load, payments(b.rows, b.entities), b.rows); err != nil {
		return err
	}
	replaced, err := b.materialize(ctx, &headwaterv1.MaterializeRequest{Views: []string{view}})
	if err != nil {
		return err
	}
	if l := replaced.GetLedger(); l.GetUnchanged() != int64(b.rows) || replaced.GetDigest() != first.GetDigest() {
		return fmt.Errorf("found %d rows unchanged by the replaced load, expected %d, and the digest of the first run", l.GetUnchanged(), b.rows)
	}
	b.row("the same rows again, with --replaces", took(replaced), b.rows)
	phases(replaced)
	b.result["replaced_vs_first"] = report.Round(took(replaced).Seconds() / took(first).Seconds())
	fmt.Printf("    times the first backfill: %.2f (1.0 or less)\n", b.result["replaced_vs_first"])
	return nil
}

// events sends the payments, once.
func (b *bench) events(ctx context.Context) (err error) {
	if b.load == 0 {
		b.load, err = b.ingest(ctx, "payments", 0, payments(b.rows, b.entities), b.rows)
	}
	return err
}

// pipeBytes is how much the floor moves at once between its two COPYs.
const pipeBytes = 1 << 20

// floor copies the rows of a first backfill out of the landing table and into a table of a history's shape, whose key is
// built after. As with a first history, the transaction that fills the table also made it, which spares a Postgres without
// replicas the log of its rows, and both ends of the pipe move large pieces.
func (b *bench) floor(ctx context.Context) (time.Duration, error) {
	if err := b.checkpoint(ctx); err != nil {
		return 0, err
	}
	reader, err := pgx.Connect(ctx, b.servers.Postgres.URL())
	if err != nil {
		return 0, err
	}
	defer reader.Close(ctx)
	began := time.Now()
	_, err = b.admin.Exec(ctx, `
		BEGIN;
		CREATE SCHEMA bench;
		CREATE TABLE bench.floor (entity_key text COLLATE "C" NOT NULL, event_time timestamptz NOT NULL, available_at timestamptz NOT NULL,
			seq_from bigint NOT NULL DEFAULT 1, seq_to bigint NOT NULL DEFAULT 9223372036854775807,
			amount double precision, items bigint, shop text COLLATE "C", distance double precision)`)
	if err != nil {
		return 0, err
	}
	r, w := io.Pipe()
	buffered := bufio.NewWriterSize(w, pipeBytes)
	sent := make(chan error, 1)
	go func() {
		_, err := reader.PgConn().CopyTo(ctx, buffered, `COPY (SELECT card, at, seen, amount, items, shop, distance FROM headwater_landing.payments)
			TO STDOUT (FORMAT binary)`)
		if err == nil {
			err = buffered.Flush()
		}
		w.CloseWithError(err)
		sent <- err
	}()
	tag, err := b.admin.PgConn().CopyFrom(ctx, r, `COPY bench.floor (entity_key, event_time, available_at, amount, items, shop, distance)
		FROM STDIN (FORMAT binary)`)
	r.CloseWithError(err)
	if outErr := <-sent; err == nil {
		err = outErr
	}
	if err != nil {
		return 0, err
	}
	if tag.RowsAffected() != int64(b.rows) {
		return 0, fmt.Errorf("found %d rows copied by the floor, expected %d", tag.RowsAffected(), b.rows)
	}
	copied := time.Since(began)
	if _, err := b.admin.Exec(ctx, `ALTER TABLE bench.floor ADD PRIMARY KEY (entity_key, event_time, available_at, seq_from); COMMIT`); err != nil {
		return 0, err
	}
	all := time.Since(began)
	b.row("floor: COPY out, COPY in, key", all, b.rows)
	fmt.Printf("    %-40s %10.2f\n    %-40s %10.2f\n", "copy", copied.Seconds(), "key", (all - copied).Seconds())
	_, err = b.admin.Exec(ctx, `DROP SCHEMA bench CASCADE`)
	return all, err
}

// windows measures aggregations over three windows of the same payments.
func (b *bench) windows(ctx context.Context) error {
	if err := b.events(ctx); err != nil {
		return err
	}
	r, err := b.materialize(ctx, &headwaterv1.MaterializeRequest{Views: []string{"payments_in_windows"}, Full: true})
	if err != nil {
		return err
	}
	b.row("three windows, hop 1 hour", took(r), b.rows)
	phases(r)
	transform := phase(r, "transform")
	if transform == 0 {
		return fmt.Errorf("found no phase %q in the record of run %d", "transform", r.GetId())
	}
	b.result["windows_rows_per_s"] = float64(int64(float64(b.rows) / transform.Seconds()))
	fmt.Printf("    %d rows of history; source rows/s apart from their writing: %.0f (1000000 or more)\n", r.GetLedger().GetProduced(),
		b.result["windows_rows_per_s"])
	return nil
}
