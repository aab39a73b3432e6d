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
	// scanRow and scanColumn are what a row of the history takes to be read, sent and packed; lookupRow is what a row of the
	// spine takes to be looked up.
	scanRow, scanColumn, lookupRow = 0.55, 0.05, 0.5
	// lateralStart is what a table to stage in takes to be made and dropped.
	lateralStart = 10_000.0
)

// Cheapest is the strategy that is expected to take less for one view.
func Cheapest(spineRows, historyRows int64, columns int) Strategy {
	lateral := lateralStart + lateralRow*float64(spineRows)
	scan := (scanRow+scanColumn*float64(columns))*float64(historyRows) + lookupRow*float64(spineRows)
	if scan < lateral {
		return Scan
	}
	return Lateral
}

// scan packs the histories of a pass for which that is the strategy. Where memory does not suffice, Postgres looks up.
func (j *Joiner) scan(ctx context.Context, tx pgx.Tx, p *pass) error {
	for i, v := range p.join.Views {
		strategy, rows := j.options.Strategy, int64(0)
		if strategy != Lateral {
			var err error
			if rows, err = visibleRows(ctx, tx, v); err != nil {
				return err
			}
		}
		if strategy == "" {
			strategy = Cheapest(p.join.Rows, rows, len(v.wanted()))
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

// visibleRows is about how many rows of a history are visible at the sequence, as Postgres expects it.
func visibleRows(ctx context.Context, tx pgx.Tx, v AsOf) (int64, error) {
	var plan []struct {
		Plan struct {
			Rows float64 `json:"Plan Rows"`
		}
	}
	var text []byte
	if err := tx.QueryRow(ctx, "EXPLAIN (FORMAT JSON) "+scanQuery(v)).Scan(&text); err != nil {
		return 0, err
	}
	if err := json.Unmarshal(text, &plan); err != nil || len(plan) == 0 {
		return 0, fmt.Errorf("view %s: found no plan of its scan: %w", v.View.Ref(), err)
	}
	return int64(plan[0].Plan.Rows), nil
}
