package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"iter"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/read"
)

// asOf is a view as the engine reads it.
func asOf(view string) offline.AsOf {
	v := &feature.ViewVersion{Version: 1, View: feature.View{Name: view}}
	for i, name := range featureNames() {
		c := feature.Column{Name: name, Type: feature.TypeFloat64}
		if i >= floats {
			c.Type = feature.TypeInt64
		}
		v.Features = append(v.Features, c)
	}
	return offline.AsOf{View: v, Seq: 1}
}

func encoded(rows []spineRow) iter.Seq2[offline.SpineRow, error] {
	return func(yield func(offline.SpineRow, error) bool) {
		for i, r := range rows {
			if !yield(offline.SpineRow{Number: int64(i), Key: []byte(entityKey(r.entity)), At: feature.Time(r.at)}, nil) {
				return
			}
		}
	}
}

// found is the time in which the engine found the winners of a spine, and a sum over them.
func (b *bench) found(ctx context.Context, joiner *offline.Joiner, view string, rows []spineRow) (time.Duration, uint64, error) {
	sum := fnv.New64a()
	var buf []byte
	began := time.Now()
	err := joiner.PointInTime(ctx, offline.Join{Name: "bench", Views: []offline.AsOf{asOf(view)}, Rows: int64(len(rows))}, encoded(rows),
		func(number int64, winners []read.Winner) error {
			buf = binary.BigEndian.AppendUint64(buf[:0], uint64(number))
			for _, v := range winners[0].Values {
				buf = v.AppendCanonical(buf)
			}
			sum.Write(buf)
			return nil
		})
	return time.Since(began), sum.Sum64(), err
}

// strategies measures each strategy at several ratios of spine and history, in this process, and says which one the cost rule
// takes there. Here packed histories may take what they need, so that it is seen what the bound on their memory costs.
func (b *bench) strategies(ctx context.Context) error {
	connect := func(ctx context.Context) (*pgx.Conn, error) { return pgx.Connect(ctx, b.servers.Postgres.URL()) }
	lateral := offline.NewJoiner(connect, offline.Options{Strategy: offline.Lateral})
	scan := offline.NewJoiner(connect, offline.Options{Strategy: offline.Scan, ScanBytes: 8 << 30})
	rows := len(b.spine)
	fmt.Printf("\n%-14s %12s %12s %12s %12s  %s\n", "spine/history", "spine", "history", "lateral s", "scan s", "chosen")
	right := true
	for _, at := range []struct {
		ratio       float64
		spine       int
		view        string
		repetitions int
	}{
		{0.001, b.history / 1000, "readings_a", 1}, {0.1, rows, "readings_a", 1},
		{1, rows, "readings_tenth", b.rounds}, {10, rows, "readings_hundredth", b.rounds},
	} {
		history := b.rowsOf(at.view)
		spine := spine(at.spine, history/perEntity)
		var laterals, scans figure
		for range at.repetitions {
			took, expected, err := b.found(ctx, lateral, at.view, spine)
			if err != nil {
				return err
			}
			laterals.times = append(laterals.times, took)
			took, sum, err := b.found(ctx, scan, at.view, spine)
			if err != nil {
				return err
			}
			if scans.times = append(scans.times, took); sum != expected {
				return fmt.Errorf("%s: the strategies found other winners", at.view)
			}
		}
		chosen := offline.Cheapest(int64(at.spine), int64(history), 0, floats+integers)
		best := offline.Lateral
		if scans.median() < laterals.median() {
			best = offline.Scan
		}
		verdict := "right"
		if chosen != best {
			verdict, right = "wrong", false
		}
		fmt.Printf("%-14g %12d %12d %12.2f %12.2f  %s (%s)\n", at.ratio, at.spine, history, laterals.median().Seconds(),
			scans.median().Seconds(), chosen, verdict)
	}
	fmt.Println()
	b.result["cost_rule_right"] = right
	return nil
}
