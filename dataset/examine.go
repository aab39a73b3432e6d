package dataset

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/read"
)

// Beside is a stored column of a view that is read beside a dataset, for its rows and as of its position.
type Beside struct {
	Version *feature.ViewVersion
	// Slot is a position in the view's stored columns: its features, then its attributes.
	Slot int
	// KeyColumns are those of the spine that hold the view's keys.
	KeyColumns []string
}

// Examiner is given a dataset row by row. Values are valid only during the call: those of the result's columns, then those that are read beside it.
type Examiner interface {
	Row(values []feature.Value) error
	// LeftOut is a row of the spine that a rule left out, as it would have been.
	LeftOut(values []feature.Value) error
}

// Examine computes a dataset again and shows all of it to x, with columns that are read beside it. Where it cannot be had again that is the error, and what x was given
// is to be thrown away.
func (b *Builder) Examine(ctx context.Context, m *Manifest, plan *read.Plan, beside []Beside, x Examiner) error {
	_, differences, err := b.again(ctx, m, plan, io.Discard, &examineTap{x: x}, beside...)
	if err == nil && len(differences) > 0 {
		err = fault.New(fault.DigestMismatch, "dataset %s cannot be had again: %s; nothing is told of it", m.ID, strings.Join(differences, "; "))
	}
	return err
}

// slotOf is where a column that is read beside a result is found: a view of the plan, and a slot of it.
type slotOf struct{ view, slot int }

// readBeside adds what is read beside the result to the assembly, which is prepared: the result is not told of it.
func (a *assembly) readBeside(ctx context.Context, q database.Querier, position int64, beside []Beside) error {
	if len(beside) == 0 {
		return nil
	}
	plan := *a.plan
	plan.Views = slices.Clone(plan.Views)
	a.beside = nil
	var added []offline.AsOf
	for _, of := range beside {
		for _, name := range of.KeyColumns {
			if !hasColumn(a.spine.columns, name) {
				return fault.New(fault.InvalidArgument, "found no column %s in the spine, expected the keys of view %s, of which %s is asked for; the spine has %s", name, of.Version.Name,
					of.name(), listColumns(a.spine.columns))
			}
		}
		at := slices.IndexFunc(plan.Views, func(v read.View) bool { return v.Version == of.Version && slices.Equal(v.KeyColumns, of.KeyColumns) })
		if at < 0 {
			published, err := offline.At(ctx, q, of.Version.ID, position)
			if err != nil {
				return err
			}
			if published.Seq == 0 {
				return fault.New(fault.NotMaterialized, "view %s: no run of it was published by position %d, at which the dataset was built, so every %s would be missing; build the dataset again "+
					"after `headwater materialize %s --wait`", of.Version.Ref(), position, of.name(), of.Version.Ref())
			}
			at = len(plan.Views)
			plan.Views = append(plan.Views, read.View{Version: of.Version, KeyColumns: of.KeyColumns, TTL: of.Version.TTL})
			view := offline.AsOf{View: of.Version, Seq: published.Seq, TTL: of.Version.TTL, AnyArrival: a.anyArrival}
			a.views, added = append(a.views, view), append(added, view)
		}
		a.beside = append(a.beside, slotOf{view: at, slot: of.Slot})
	}
	a.plan = &plan
	return offline.CheckReadable(ctx, q, added, false)
}

// name is `VIEW.COLUMN`.
func (b *Beside) name() string {
	column := ""
	if n := len(b.Version.Features); b.Slot < n {
		column = b.Version.Features[b.Slot].Name
	} else {
		column = b.Version.Attributes[b.Slot-n].Name
	}
	return fmt.Sprintf("%s.%s", b.Version.Name, column)
}

// slots are those that are wanted of a view of the plan.
func (a *assembly) slots(view int) []int {
	slots := a.plan.Slots(view)
	for _, of := range a.beside {
		if of.view == view {
			slots = append(slots, of.slot)
		}
	}
	slices.Sort(slots)
	return slices.Compact(slots)
}

// examineTap shows rows, and what is read beside them, to an examiner.
type examineTap struct {
	x      Examiner
	beside []slotOf
	row    []feature.Value
}

func (t *examineTap) spine(int64) {}

func (t *examineTap) begin(_ *layout, beside []slotOf) error {
	t.beside = beside
	return nil
}

func (t *examineTap) end() error { return nil }

func (t *examineTap) whole(row []feature.Value, answers *read.Row) []feature.Value {
	t.row = append(t.row[:0], row...)
	for _, of := range t.beside {
		v := feature.Null()
		if w := answers.Winner(of.view); w.Status == read.Present || w.Status == read.Stale {
			v = w.Values[of.slot]
		}
		t.row = append(t.row, v)
	}
	return t.row
}

func (t *examineTap) add(row []feature.Value, answers *read.Row) error {
	return t.x.Row(t.whole(row, answers))
}

func (t *examineTap) leftOut(row []feature.Value, answers *read.Row) error {
	return t.x.LeftOut(t.whole(row, answers))
}
