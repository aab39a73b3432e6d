package offline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Strategy is a way to find winners. All find the same ones.
type Strategy string

const (
	// Lateral has Postgres look each row of the spine up in the history's key.
	Lateral Strategy = "lateral"
	// Scan reads all rows of the history at the sequence into memory and looks the spine's rows up there.
	Scan Strategy = "scan"
)

// What the strategies take, in microseconds of Postgres and of this process together, as `make bench-datasets` finds them on one
// machine. Their ratios are what decides, and those carry over.
const (
	// lateralRow is what a row of the spine takes in Postgres: to be staged, looked up and sent.
	lateralRow = 5.0
	// scanRow and scanColumn are what a row of the history takes to be read, sent and packed, skippedRow what one takes that is
	// not visible; lookupRow is what a row of the spine takes to be looked up.
	scanRow, scanColumn, skippedRow, lookupRow = 0.55, 0.05, 0.06, 0.5
	// lateralStart is what a table to stage in takes to be made and dropped.
	lateralStart = 10_000.0
)

// Cheapest is the strategy that is expected to take less for one view, of whose history visible rows are read and skipped ones are
// not.
func Cheapest(spineRows, visible, skipped int64, columns int) Strategy {
	lateral := lateralStart + lateralRow*float64(spineRows)
	scan := (scanRow+scanColumn*float64(columns))*float64(visible) + skippedRow*float64(skipped) +
		lookupRow*float64(spineRows)
	if scan < lateral {
		return Scan
	}
	return Lateral
}

// scan packs the histories of a pass for which that is the strategy. Where memory does not suffice, Postgres looks up.
func (j *Joiner) scan(ctx context.Context, tx pgx.Tx, p *pass) error {
	for i, v := range p.join.Views {
		strategy, rows, skipped := j.options.Strategy, int64(0), int64(0)
		if strategy != Lateral {
			var err error
			if rows, skipped, err = historyRows(ctx, tx, v); err != nil {
				return err
			}
		}
		if strategy == "" {
			strategy = Cheapest(p.join.Rows, rows, skipped, len(v.wanted()))
			// A history that is known not to fit is not read to find that out.
			if rows*int64(rowBytes+packedBytes(v)) > j.options.ScanBytes {
				strategy = Lateral
			}
		}
		if strategy == Lateral {
			continue
		}
		packed, err := j.pack(ctx, tx, v, rows)
		switch {
		case err == nil:
			p.scanned[i] = packed
		case !errors.Is(err, errMemory):
			j.release(p)
			return err
		case j.options.Strategy == Scan:
			j.release(p)
			return fmt.Errorf("view %s: %w; leave the choice of the strategy to the cost rule", v.View.Ref(), err)
		}
	}
	return nil
}

// pack reads a history that is seen as tx sees it, on a connection of its own: one on which a COPY was broken off is of no use.
func (j *Joiner) pack(ctx context.Context, tx pgx.Tx, v AsOf, rows int64) (packed *packed, err error) {
	err = j.beside(ctx, tx, func(tx pgx.Tx) error {
		packed, err = pack(ctx, tx, v, rows, j.scans)
		return err
	})
	if err != nil && packed != nil {
		packed.release()
		packed = nil
	}
	return packed, err
}

// release gives back the memory of packed histories.
func (j *Joiner) release(p *pass) {
	for _, packed := range p.scanned {
		if packed != nil {
			packed.release()
		}
	}
}

// historyRows is about how many rows of a history are visible at the sequence, and how many more it has, as Postgres expects it.
func historyRows(ctx context.Context, tx pgx.Tx, v AsOf) (visible, skipped int64, err error) {
	var plan []struct {
		Plan struct {
			Rows float64 `json:"Plan Rows"`
		}
	}
	var text []byte
	if err := tx.QueryRow(ctx, "EXPLAIN (FORMAT JSON) "+scanQuery(v)).Scan(&text); err != nil {
		return 0, 0, err
	}
	if err := json.Unmarshal(text, &plan); err != nil || len(plan) == 0 {
		return 0, 0, fmt.Errorf("view %s: found no plan of its scan: %w", v.View.Ref(), err)
	}
	visible = int64(plan[0].Plan.Rows)
	var all int64
	err = tx.QueryRow(ctx, "SELECT reltuples::bigint FROM pg_class WHERE oid = $1::regclass", historyTable(v.View)).Scan(&all)
	return visible, max(all-visible, 0), err
}
