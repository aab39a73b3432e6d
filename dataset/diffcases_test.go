package dataset

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/read"
)

// diffOf compares datasets of any plans.
func (w *world) diffOf(t *testing.T, a, b Side, examples int) *Difference {
	t.Helper()
	d, err := w.builder.Diff(context.Background(), a, b, examples)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (w *world) buildSide(t *testing.T, s spine, r Request) Side {
	t.Helper()
	m, _, err := w.tryBuild(s.arrow(t, 1000), r)
	if err != nil {
		t.Fatal(err)
	}
	plan := r.Plan
	if plan == nil {
		plan = planOf(w.service, r.KeyMapping)
	}
	return Side{m, plan}
}

// What is computed names the runs of the rows that it is computed of, and a status those of its feature.
func TestComputedColumnsNameTheirRuns(t *testing.T) {
	w := newWorld(t)
	w.publishAll(t)
	s := flights(flight(1, "ORD", hours(4), 7), flight(2, "JFK", hours(2), 8), flight(3, "nowhere", hours(2), 8))
	plan := planOf(w.onDemandOf(), nil)
	build := func() Side { return w.buildSide(t, s, Request{Plan: plan, WithStatuses: true}) }
	a := build()
	rows := someDelays()
	rows[1].Values = []feature.Value{feature.Float64(20), feature.Int64(3)}
	w.publish(t, "delays", append(rows[:3:3], row("nowhere", hours(1), hours(1), feature.Float64(1), feature.Int64(9)))...)
	b := build()
	wantText(t, w.diffOf(t, a, b, 5).text(), "same false by row number: both 3, only 0 and 0, differ 2",
		"loud__label 2", `  "delays@1/1" "" 1`, `  "delays@1/1" "delays@1/2" 1`,
		"loud__label__status 1", `  "delays@1/1" "" 1`,
		"mix__label 2", `  "delays@1/1" "" 1`, `  "delays@1/1" "delays@1/2" 1`,
		"mix__label__status 1", `  "delays@1/1" "" 1`,
		"1/1 ORD loud__label 2/räin/7! PRESENT/PRESENT 3/räin/7! mix__label 2/räin/7 PRESENT/PRESENT 3/räin/7",
		"2/2 JFK loud__label 4//8! PRESENT/NULL  loud__label__status PRESENT / NULL mix__label 4//8 PRESENT/NULL  mix__label__status PRESENT / NULL")
	e := w.diffOf(t, a, b, 5).Examples[0].Values[0]
	if e.RunA != "delays@1/1, weather@1/1" || e.RunB != "delays@1/2, weather@1/1" {
		t.Errorf("found runs %q and %q, expected those of both views", e.RunA, e.RunB)
	}

	// Where the spine makes the difference, the runs are the same.
	other := flights(flight(1, "ORD", hours(4), 6))
	d := w.diffOf(t, w.buildSide(t, other, Request{Plan: plan}), w.buildSide(t, flights(s.rows[0]), Request{Plan: plan}), 0)
	wantText(t, d.text(), "same false by origin, timestamp: both 1, only 0 and 0, differ 1", "number 1",
		"loud__label 1", `  "delays@1/2" "delays@1/2" 1`, `  "weather@1/1" "weather@1/1" 1`,
		"mix__label 1", `  "delays@1/2" "delays@1/2" 1`, `  "weather@1/1" "weather@1/1" 1`)
}

// Columns of one dataset alone, of other types, in another order, and times of another name.
func TestDatasetsOfOtherColumnsAreCompared(t *testing.T) {
	w := newWorld(t)
	w.publishAll(t)
	a := w.buildSide(t, flights(flight(1, "ORD", hours(4), 7), flight(2, "JFK", hours(2), 8)), Request{})
	only := func(pins ...feature.ServicePin) *read.Plan {
		return planOf(&feature.ServiceVersion{Version: 1, Service: feature.Service{Name: "other"}, Pins: pins}, nil)
	}
	s := spine{
		columns: []feature.Column{
			{Name: "seen", Type: feature.TypeTimestamp}, {Name: "origin", Type: feature.TypeString}, {Name: "label", Type: feature.TypeString},
			{Name: "note", Type: feature.TypeString},
		},
		rows: [][]feature.Value{
			{feature.Timestamp(hours(2)), feature.String("JFK"), feature.String("2"), feature.Null()},
			{feature.Timestamp(hours(4)), feature.String("ORD"), feature.String("1"), feature.String("x")},
			{feature.Timestamp(hours(4)), feature.String("ORD"), feature.String("1"), feature.String("x")},
		},
	}
	// The features of delays in another order, and one of weather.
	b := w.buildSide(t, s, Request{TimestampColumn: "seen", Plan: only(feature.ServicePin{View: w.view("weather"), Features: []int{1}},
		feature.ServicePin{View: w.view("delays"), Features: []int{0, 1}})})
	want := []string{
		"same false by origin, timestamp: both 2, only 0 and 1, differ 0",
		"columns [timestamp number traffic__load weather__wet weather__seen], [seen note]", "label 0 float64 string", "0/3 ORD",
	}
	wantText(t, w.diffOf(t, a, b, 5).text(), want...)
	back := w.diffOf(t, b, a, 5)
	wantText(t, back.text(), "same false by origin, seen: both 2, only 1 and 0, differ 0",
		"columns [seen note], [timestamp number traffic__load weather__wet weather__seen]", "label 0 string float64", "3/0 ORD")

	// Nothing in common but times: a key of another type brings no rows together.
	numbers := spine{columns: []feature.Column{{Name: "timestamp", Type: feature.TypeTimestamp}, {Name: "origin", Type: feature.TypeInt64}, {Name: "code", Type: feature.TypeString}},
		rows: [][]feature.Value{{feature.Timestamp(hours(2)), feature.Int64(1), feature.String("JFK")}}}
	plan, err := read.NewPlan(&feature.ServiceVersion{Version: 1, Service: feature.Service{Name: "other"}, Pins: []feature.ServicePin{{View: w.view("delays"), Features: []int{0}}}},
		map[string]string{"origin": "code"}, "")
	if err != nil {
		t.Fatal(err)
	}
	c := w.buildSide(t, numbers, Request{Plan: plan, KeyMapping: map[string]string{"origin": "code"}})
	d := w.diffOf(t, a, c, 5)
	if d.MatchedBy != "timestamp" || d.RowsBoth != 1 || d.RowsOnlyA != 1 || d.RowsOnlyB != 0 || d.RowsDiffer != 0 {
		t.Errorf("found\n%s", d.text())
	}
}

// Rows with equal keys go together in their order, however many there are and however small the parts are that are in memory.
func TestManyEqualKeysAreCompared(t *testing.T) {
	w := newWorld(t)
	w.publishAll(t)
	random := rand.New(rand.NewPCG(1, 2))
	origins := []string{"ORD", "ORD", "ORD", "JFK", "nowhere"}
	var rowsA, rowsB [][]feature.Value
	for i := range 3000 {
		f := flight(float64(i), origins[random.IntN(len(origins))], hours(4), 7)
		if i%10 > 0 {
			rowsA = append(rowsA, f)
		}
		switch {
		case i%7 == 0:
		case i%5 == 0:
			other := slices.Clone(f)
			other[0] = feature.Float64(-1)
			rowsB = append(rowsB, other)
		default:
			rowsB = append(rowsB, f)
		}
	}
	random.Shuffle(len(rowsB), func(i, j int) { rowsB[i], rowsB[j] = rowsB[j], rowsB[i] })
	a, b := w.buildSide(t, flights(rowsA...), Request{}), w.buildSide(t, flights(rowsB...), Request{})

	// The n-th row of a key goes with the n-th.
	byKey := func(rows [][]feature.Value) map[string][]float64 {
		m := map[string][]float64{}
		for _, r := range rows {
			m[r[1].Str()] = append(m[r[1].Str()], r[0].Float64())
		}
		return m
	}
	ofA, ofB := byKey(rowsA), byKey(rowsB)
	var both, onlyA, onlyB, differ int64
	for _, origin := range []string{"ORD", "JFK", "nowhere"} {
		la, lb := ofA[origin], ofB[origin]
		n := min(len(la), len(lb))
		both, onlyA, onlyB = both+int64(n), onlyA+int64(len(la)-n), onlyB+int64(len(lb)-n)
		for i := range n {
			if la[i] != lb[i] {
				differ++
			}
		}
	}
	want := fmt.Sprintf("same false by number, origin, timestamp: both %d, only %d and %d, differ %d", both, onlyA, onlyB, differ)
	whole := w.diffOf(t, a, b, 0)
	if len(whole.Examples) != 0 || whole.Columns[0].Name != "label" {
		t.Errorf("found %v", whole)
	}
	wantText(t, whole.text(), want, fmt.Sprintf("label %d", differ))
	examples := w.diffOf(t, a, b, 100).text()
	w.builder.diffPart = 1
	if parts := w.diffOf(t, a, b, 100).text(); parts != examples {
		t.Errorf("found in parts\n%s\nand else\n%s", parts, examples)
	}
	if same := w.diffOf(t, a, w.buildSide(t, flights(rowsA...), Request{}), 0); !same.Same {
		t.Errorf("found\n%s", same.text())
	}
}
