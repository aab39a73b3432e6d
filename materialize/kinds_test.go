package materialize

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/anyvalue"
	"github.com/headwaterhq/headwater/internal/reference"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/read"
)

// newKindsView makes a source with a column of each kind of type, and a view that shows them as they are.
func (w *world) newKindsView(t testing.TB) (*feature.SourceVersion, *feature.ViewVersion) {
	t.Helper()
	src := &feature.SourceVersion{Version: 1, Source: feature.Source{
		Name: fmt.Sprintf("readings%d", worldCounter.Add(1)), EventTime: "at",
		Columns: []feature.Column{{Name: "at", Type: feature.TypeTimestamp}, {Name: "name", Type: feature.TypeString}},
	}}
	name := fmt.Sprintf("view%d", worldCounter.Add(1))
	v := &feature.ViewVersion{
		Version: 1, Fingerprint: sha256.Sum256([]byte(name)), SourceVersions: []*feature.SourceVersion{src},
		EntityVersion: &feature.EntityVersion{Version: 1, Entity: feature.Entity{Name: "sensor", JoinKeys: src.Columns[1:2:2]}},
		View:          feature.View{Name: name, Entity: "sensor"},
	}
	var names []string
	for i, typ := range anyvalue.Kinds() {
		c := feature.Column{Name: fmt.Sprintf("c%d", i), Type: typ}
		src.Columns, v.Features, names = append(src.Columns, c), append(v.Features, c), append(names, c.Name)
	}
	v.SQL = &feature.SQLTransform{Sources: []string{src.Name}, Query: fmt.Sprintf(`
		SELECT name, event_time, available_at, %s FROM %s
		WHERE event_time >= {{interval.start}} AND event_time < {{interval.end}}`, strings.Join(names, ", "), src.Name)}
	w.inTx(t, func(ctx context.Context, tx pgx.Tx) error { return offline.CreateSource(ctx, tx, nil, src) })
	w.createView(t, v)
	return src, v
}

// otherBits is an equal value of other bits, where there is one: a run that produces it changes nothing.
func otherBits(v feature.Value) feature.Value {
	switch f := v.Float64(); {
	case v.Type() != feature.TypeFloat64:
		return v
	case f == 0:
		return feature.Float64(math.Copysign(0, -1))
	case f != f:
		return feature.Float64(math.Float64frombits(0xfff8000000000123))
	}
	return v
}

// Values of all kinds come out of both stores as they went in, and a run that produces equal ones changes nothing.
func TestAllKindsAreTheReference(t *testing.T) {
	w := newWorld(t)
	setChecks(t, "10")
	conn, err := pgx.ConnectConfig(context.Background(), w.pool.Config().ConnConfig.Copy())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	rapid.Check(t, func(rt *rapid.T) {
		src, view := w.newKindsView(t)
		history := &reference.History{}
		var rows []feature.Row
		for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d"}), 2, 4, func(s string) string { return s }).Draw(rt, "names") {
			at := hours(float64(rapid.IntRange(0, 3).Draw(rt, "hour")))
			row := feature.Row{Key: name, EventTime: at, AvailableAt: at}
			for _, c := range view.Features {
				row.Values = append(row.Values, anyvalue.OrNull(c.Type).Draw(rt, c.Name))
			}
			rows = append(rows, row)
		}
		load := w.load(t, src, 0, landed(rows)...)
		checkKinds(rt, t, w, conn, view, history, rows)
		for i := range rows {
			rows[i].Values = slices.Clone(rows[i].Values)
			for j, c := range view.Features {
				rows[i].Values[j] = otherBits(rows[i].Values[j])
				if i > 0 && rapid.IntRange(0, 9).Draw(rt, "change") == 0 {
					rows[i].Values[j] = anyvalue.OrNull(c.Type).Draw(rt, c.Name)
				}
			}
		}
		w.load(t, src, load, landed(rows)...)
		checkKinds(rt, t, w, conn, view, history, rows)
	})
}

func landed(rows []feature.Row) []reference.SourceRow {
	var landed []reference.SourceRow
	for _, r := range rows {
		values := append([]feature.Value{feature.Timestamp(r.EventTime), feature.String(r.Key)}, r.Values...)
		landed = append(landed, reference.SourceRow{EventTime: r.EventTime, AvailableAt: r.AvailableAt, Values: values})
	}
	return landed
}

// checkKinds runs the view, whose output is rows, and holds both stores to the reference.
func checkKinds(rt *rapid.T, t *testing.T, w *world, conn *pgx.Conn, view *feature.ViewVersion, history *reference.History, rows []feature.Row) {
	r := w.published(t, view, nil)
	ledger, err := history.ApplyRun(r.Seq, reference.Interval{Start: r.Interval.Start, End: r.Interval.End}, 0, rows)
	if err != nil {
		rt.Fatal(err)
	}
	if r.Ledger.Unchanged != ledger.Unchanged || r.Ledger.Inserted != ledger.Inserted || r.Ledger.Withdrawn != ledger.Withdrawn {
		rt.Fatalf("found the ledger %+v, expected %s", r.Ledger, ledger)
	}
	if want := reference.Digest(rows); r.Digest != want {
		rt.Fatalf("found digest %s, expected %s", r.Digest, want)
	}
	now := feature.TimeOf(w.now)
	keys := make([]string, len(rows))
	want := make([]string, len(rows))
	for i := range rows {
		keys[i] = rows[i].Key
		winner := history.PointInTime(keys[i], now, 0, r.Seq)
		want[i] = reference.Describe(&winner)
	}
	for i, found := range w.online(t, view, keys...) {
		if got := reference.Describe(&found); got != want[i] {
			rt.Fatalf("online row of %s: found %s, expected %s", keys[i], got, want[i])
		}
	}
	spine := func(yield func(offline.SpineRow, error) bool) {
		for i, k := range keys {
			if !yield(offline.SpineRow{Number: int64(i), Key: []byte(k), At: now}, nil) {
				return
			}
		}
	}
	err = offline.PointInTime(context.Background(), conn, "kinds", []offline.AsOf{{View: view, Seq: r.Seq}}, spine,
		func(number int64, winners []read.Winner) error {
			if got := reference.Describe(&winners[0]); got != want[number] {
				rt.Fatalf("offline row of %s: found %s, expected %s", keys[number], got, want[number])
			}
			return nil
		})
	if err != nil {
		rt.Fatal(err)
	}
}

// What a type does not hold fails the run, and the message names column, row and what is wrong.
func TestValuesThatDoNotFitAreRefused(t *testing.T) {
	for _, c := range []struct {
		typ            feature.Type
		value, message string
	}{
		{feature.DecimalType(4, 1), "1.25", "column value of a row (name a, room 1, event_time 2024-01-01T00:00:00Z, available_at 2024-01-01T00:00:00Z): " +
			"found 1.25, with 2 digits behind the point, expected at most 1, as decimal(4, 1) has; round it where it is made"},
		{feature.ListType(feature.TypeString), "ARRAY['x', NULL]", "found NULL as element 2 of an array, expected none: lists and vectors hold no NULL; " +
			"leave it out with array_remove(…, NULL)"},
		{feature.VectorType(3), "ARRAY[1, 2]::real[]", "found 2 floats, expected 3, as vector(3) has"},
	} {
		t.Run(c.typ.String(), func(t *testing.T) {
			w := newWorld(t)
			src := w.newSource(t)
			view := w.newViewOf(t, c.typ, src, `SELECT name, room, event_time, available_at, `+c.value+` AS value, 1 AS rows FROM %s`, 0)
			w.load(t, src, 0, reading("a", 1, hours(0), 1))
			if r := w.run(t, view, nil); r.State != Failed || !strings.Contains(r.Error, c.message) {
				t.Fatalf("found the run %s: %q, expected it failed: %q", r.State, r.Error, c.message)
			}
		})
	}
}
