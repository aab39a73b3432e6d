package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/headwaterhq/headwater/bench/report"
	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// figure is what was measured several times.
type figure struct{ times []time.Duration }

func (f *figure) median() time.Duration { return report.Median(f.times) }

// lateral is the query that somebody who knows Postgres would write for one view: the spine sorted, so that the history's pages
// are met in their order, and for each of its rows the newest row that was known.
func lateral(view string) string {
	features := featureNames()
	return fmt.Sprintf(`SELECT s.row_number, v.%s
		FROM (SELECT * FROM bench.spine ORDER BY entity_key, at) s LEFT JOIN LATERAL (
			SELECT %s FROM %s h
			WHERE h.entity_key = s.entity_key AND h.event_time <= s.at AND h.available_at <= s.at AND h.seq_from <= 1 AND 1 < h.seq_to
			ORDER BY h.event_time DESC, h.available_at DESC LIMIT 1) v ON true`,
		strings.Join(features, ", v."), strings.Join(features, ", "), historyTable(view))
}

// floor is the time of the hand-written query, on one connection, its rows COPYed out in the binary format and thrown away.
// The spine lies in a table already, in its random order.
func (b *bench) floor(ctx context.Context, view string) (time.Duration, error) {
	conn, err := pgx.Connect(ctx, b.servers.Postgres.URL())
	if err != nil {
		return 0, err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, `SET jit = off; SET work_mem = '256MB'`); err != nil {
		return 0, err
	}
	// With its session ended, Postgres counts its processor time.
	began := time.Now()
	tag, err := conn.PgConn().CopyTo(ctx, io.Discard, "COPY ("+lateral(view)+") TO STDOUT (FORMAT binary)")
	if err == nil && tag.RowsAffected() != int64(len(b.spine)) {
		err = fmt.Errorf("found %d rows of the floor, expected %d", tag.RowsAffected(), len(b.spine))
	}
	return time.Since(began), err
}

// built is the time from the call to the last byte of the result on the client's disk.
func (b *bench) built(ctx context.Context, service string, rows []spineRow) (time.Duration, *headwaterv1.Manifest, error) {
	path := filepath.Join(b.servers.Folder, "result.arrows")
	began := time.Now()
	d, err := b.client.BuildDataset(ctx, service, &headwaterv1.BuildDatasetHeader{TimestampColumn: "timestamp"}, arrowOf(rows))
	if err != nil {
		return 0, nil, err
	}
	defer d.Close()
	m, err := save(d, path)
	if err == nil && m.GetRows() != int64(len(rows)) {
		err = fmt.Errorf("found a dataset of %d rows, expected %d", m.GetRows(), len(rows))
	}
	return time.Since(began), m, err
}

func save(d *client.Dataset, path string) (*headwaterv1.Manifest, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{file}, d, make([]byte, 1<<20))
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	return d.Manifest()
}

// measured prints the time of one round, and what of the processors the servers took in it.
func (b *bench) measured(name string, do func() (time.Duration, error)) error {
	serverBefore, postgresBefore, err := b.servers.CPU()
	if err != nil {
		return err
	}
	took, err := do()
	if err != nil {
		return err
	}
	server, postgres, err := b.servers.CPU()
	fmt.Printf("    %-40s %10.2f    processor: server %.2f s, Postgres %.2f s\n", name, took.Seconds(),
		(server - serverBefore).Seconds(), (postgres - postgresBefore).Seconds())
	return err
}

// datasets measures the product beside the floor, of one view and of three.
func (b *bench) datasets(ctx context.Context) error {
	var one, three, floorOne, floorThree figure
	for range b.rounds {
		all := time.Duration(0)
		for i, view := range views[:3] {
			err := b.measured("floor of "+view, func() (took time.Duration, err error) {
				took, err = b.floor(ctx, view)
				if all += took; i == 0 {
					floorOne.times = append(floorOne.times, took)
				}
				return took, err
			})
			if err != nil {
				return err
			}
		}
		floorThree.times = append(floorThree.times, all)
		for _, built := range []struct {
			service string
			figure  *figure
		}{{"one", &one}, {"three", &three}} {
			err := b.measured("dataset of service "+built.service, func() (time.Duration, error) {
				took, _, err := b.built(ctx, built.service, b.spine)
				built.figure.times = append(built.figure.times, took)
				return took, err
			})
			if err != nil {
				return err
			}
		}
	}
	// What the cost rule has the server read into memory is in its peak too.
	if _, _, err := b.built(ctx, "tenth", b.spine); err != nil {
		return err
	}
	b.pit = one.median()
	rows := len(b.spine)
	b.row("floor: LATERAL by hand, one view", floorOne.median(), rows)
	b.row("dataset of one view", one.median(), rows)
	b.ratio("pit_vs_lateral", one.median().Seconds()/floorOne.median().Seconds(), "times the floor, 1.3 or less")
	b.row("floor: LATERAL by hand, three views", floorThree.median(), rows)
	b.row("dataset of three views", three.median(), rows)
	b.ratio("three_views_vs_lateral", three.median().Seconds()/floorThree.median().Seconds(), "times the floor, 1.3 or less")
	return nil
}

// rowNumberLimit is where the ROW_NUMBER join is cut off: far behind what it takes, also on a slow machine, so that the ratio is a real one.
const rowNumberLimit = 8 * time.Minute

// rowNumber measures what Feast documents of its join: every row of the history that is not later than the spine's row and
// belongs to its entity is joined to it, they are numbered by time, and the first is kept.
func (b *bench) rowNumber(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, b.servers.Postgres.URL())
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, fmt.Sprintf(`SET jit = off; SET work_mem = '256MB'; SET statement_timeout = '%ds'`, int(rowNumberLimit.Seconds())))
	if err != nil {
		return err
	}
	features := featureNames()
	query := fmt.Sprintf(`WITH joined AS (
			SELECT s.row_number AS id, h.*, ROW_NUMBER() OVER (PARTITION BY s.row_number ORDER BY h.event_time DESC, h.available_at DESC) AS nth
			FROM bench.spine s JOIN %s h ON h.entity_key = s.entity_key AND h.event_time <= s.at AND h.available_at <= s.at
				AND h.seq_from <= 1 AND 1 < h.seq_to)
		SELECT s.row_number, j.%s FROM bench.spine s LEFT JOIN joined j ON j.id = s.row_number AND j.nth = 1`,
		historyTable(views[0]), strings.Join(features, ", j."))
	began := time.Now()
	_, err = conn.PgConn().CopyTo(ctx, io.Discard, "COPY ("+query+") TO STDOUT (FORMAT binary)")
	took := time.Since(began)
	name := "ROW_NUMBER over all earlier rows"
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "57014" {
		name, err = name+", cut off, so that the ratio is more", nil
	}
	if err != nil {
		return err
	}
	b.row(name, took, len(b.spine))
	if b.pit > 0 {
		b.ratio("row_number_vs_pit_1m", took.Seconds()/b.pit.Seconds(), "times the dataset's time, 20 or more")
	}
	return nil
}
