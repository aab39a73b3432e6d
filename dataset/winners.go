package dataset

import (
	"context"
	"io"
	"slices"
	"strings"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/read"
)

// Winner is a row of a history that a row of a dataset was given.
type Winner struct {
	// View is the position of the view in the plan, and Key the entity's, encoded.
	View      int
	Key       string
	EventTime feature.Time
	Seq       int64
}

// winnersTap takes what rows were given.
type winnersTap struct {
	plan *read.Plan
	keys [][]int
	do   func(row int64, winners []Winner) error
	rows int64

	found  []Winner
	values []feature.Value
	buffer []byte
}

// Winners computes a dataset again and gives, of each row of its result, the rows of histories that it was given to do, which keeps no
// part of them.
func (b *Builder) Winners(ctx context.Context, of Side, do func(row int64, winners []Winner) error) error {
	if err := of.Manifest.CheckKept(); err != nil {
		return err
	}
	_, differences, err := b.again(ctx, of.Manifest, of.Plan, io.Discard, &winnersTap{plan: of.Plan, do: do})
	if err == nil && len(differences) > 0 {
		err = fault.New(fault.DigestMismatch, "dataset %s cannot be had again: %s", of.Manifest.ID, strings.Join(differences, "; "))
	}
	return err
}

func (t *winnersTap) begin(l *layout, _ []slotOf) error {
	for i := range t.plan.Views {
		var key []int
		for _, name := range t.plan.Views[i].KeyColumns {
			key = append(key, slices.IndexFunc(l.columns, func(c feature.Column) bool { return c.Name == name }))
		}
		t.keys = append(t.keys, key)
	}
	return nil
}

func (t *winnersTap) add(row []feature.Value, answers *read.Row) error {
	t.rows++
	t.found = t.found[:0]
	for i := range t.plan.Views {
		w := answers.Winner(i)
		if w.Status != read.Present && w.Status != read.Stale {
			continue
		}
		t.values = t.values[:0]
		for _, at := range t.keys[i] {
			t.values = append(t.values, row[at])
		}
		key, ok, err := t.plan.Views[i].Version.EntityVersion.AppendKey(t.buffer[:0], t.values)
		if err != nil {
			return err
		}
		if t.buffer = key; ok {
			t.found = append(t.found, Winner{View: i, Key: string(key), EventTime: w.EventTime, Seq: w.RunSeq})
		}
	}
	if len(t.found) == 0 {
		return nil
	}
	return t.do(t.rows, t.found)
}

func (t *winnersTap) leftOut([]feature.Value, *read.Row) error { return nil }

func (t *winnersTap) end() error { return nil }

func (t *winnersTap) spine(rows int64) {}
