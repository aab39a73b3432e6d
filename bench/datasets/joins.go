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

// rowNumberLimit is where a ROW_NUMBER join is cut off: far behind what 20 datasets take, also on a slow machine.
const rowNumberLimit = 5 * time.Minute

// earlier is every row of a history that is not later than a row of the spine, and belongs to its entity, beside the number of that
// row: what a ROW_NUMBER join begins with. The conditions are those of the floor.
func earlier(view string) string {
	return fmt.Sprintf(`SELECT s.row_number AS id, h.event_time, h.available_at, h.%s
		FROM bench.spine s JOIN %s h ON h.entity_key = s.entity_key AND h.event_time <= s.at AND h.available_at <= s.at
			AND h.seq_from <= 1 AND 1 < h.seq_to`, strings.Join(featureNames(), ", h."), historyTable(view))
}

// documented is the join that Feast documents of a source with a timestamp of creation, in its four steps: all earlier rows; of each
// event time the one that was created last; by ROW_NUMBER the latest of those; and the earlier rows again, joined to it. Feast numbers
// the rows of a spine by a text of their keys and time, which costs more than the numbers that they have here.
func documented(view string) string {
	return fmt.Sprintf(`WITH base AS (%s),
		dedup AS (SELECT id, event_time, max(available_at) AS available_at FROM base GROUP BY id, event_time),
		latest AS (
			SELECT id, event_time, available_at FROM (
				SELECT *, ROW_NUMBER() OVER (PARTITION BY id ORDER BY event_time DESC, available_at DESC) AS nth
				FROM base JOIN dedup USING (id, event_time, available_at)) numbered
			WHERE nth = 1),
		cleaned AS (SELECT base.* FROM base JOIN latest USING (id, event_time, available_at))
		SELECT s.row_number, c.%s FROM bench.spine s LEFT JOIN cleaned c ON c.id = s.row_number`,
		earlier(view), strings.Join(featureNames(), ", c."))
}

// onePass is what is left of it where all is done at once: the earlier rows are numbered, and the first is kept.
func onePass(view string) string {
	return fmt.Sprintf(`WITH numbered AS (
			SELECT *, ROW_NUMBER() OVER (PARTITION BY id ORDER BY event_time DESC, available_at DESC) AS nth FROM (%s) base)
		SELECT s.row_number, n.%s FROM bench.spine s LEFT JOIN numbered n ON n.id = s.row_number AND n.nth = 1`,
		earlier(view), strings.Join(featureNames(), ", n."))
}

// rowNumber measures the join that Feast documents, and its shortest form.
func (b *bench) rowNumber(ctx context.Context) error {
	for _, join := range []struct{ name, figure, query, goal string }{
		{"ROW_NUMBER as Feast documents it", "row_number_vs_pit_1m", documented(views[0]), "times the dataset's time, 20 or more"},
		{"ROW_NUMBER in one pass", "row_number_in_one_pass_vs_pit_1m", onePass(views[0]), "times the dataset's time"},
	} {
		took, ended, err := b.cutOff(ctx, join.query)
		if err != nil {
			return fmt.Errorf("%s: %w", join.name, err)
		}
		if !ended {
			join.name, join.goal = join.name+", cut off", join.goal+"; cut off, so that the ratio is more"
		}
		b.row(join.name, took, len(b.spine))
		if b.pit > 0 {
			b.ratio(join.figure, took.Seconds()/b.pit.Seconds(), join.goal)
		}
	}
	return nil
}

// cutOff is the time of a query, its rows COPYed out in the binary format and thrown away, and whether it ended before it was cut off.
func (b *bench) cutOff(ctx context.Context, query string) (took time.Duration, ended bool, err error) {
	conn, err := pgx.Connect(ctx, b.servers.Postgres.URL())
	if err != nil {
		return 0, false, err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, fmt.Sprintf(`SET jit = off; SET work_mem = '256MB'; SET statement_timeout = '%ds'`, int(rowNumberLimit.Seconds())))
	if err != nil {
		return 0, false, err
	}
	began := time.Now()
	tag, err := conn.PgConn().CopyTo(ctx, io.Discard, "COPY ("+query+") TO STDOUT (FORMAT binary)")
	took = time.Since(began)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "57014" {
		return took, false, nil
	}
	if err == nil && tag.RowsAffected() != int64(len(b.spine)) {
		err = fmt.Errorf("found %d rows, expected %d", tag.RowsAffected(), len(b.spine))
	}
	return took, true, err
}
