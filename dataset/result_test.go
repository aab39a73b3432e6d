package dataset

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/quality/profile"
	"github.com/headwaterhq/headwater/read"
)

// columnsOf are the cells of some columns of a result, a line per row.
func columnsOf(t *testing.T, stream []byte, names ...string) []string {
	t.Helper()
	columns, rows := readResult(t, stream)
	var lines []string
	for _, row := range rows {
		cells := strings.Split(row, " ")
		var line []string
		for _, name := range names {
			line = append(line, cells[slices.IndexFunc(columns, func(c feature.Column) bool { return c.Name == name })])
		}
		lines = append(lines, strings.Join(line, " "))
	}
	return lines
}

func TestStatusesOnRequest(t *testing.T) {
	w := newWorld(t)
	w.publishAll(t)
	s := someFlights()
	plain, _ := w.build(t, s, "")
	m, out, err := w.tryBuild(s.arrow(t, 4), Request{WithStatuses: true})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"2 PRESENT 0.7 PRESENT", "4 PRESENT ∅ NOT_YET_KNOWN", "∅ NOT_YET_KNOWN 0.7 PRESENT", "∅ NO_KEY ∅ NO_KEY", "∅ NULL ∅ EXPIRED",
		"2 PRESENT ∅ NO_KEY", "2 PRESENT 0.7 PRESENT", "∅ NO_ROW ∅ NO_ROW", "∅ NULL 0.7 PRESENT",
	}
	if got := columnsOf(t, out, "delays__departures", "delays__departures__status", "traffic__load", "traffic__load__status"); !slices.Equal(got, want) {
		t.Errorf("found\n%s\nexpected\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if len(m.Columns) != 16 || !m.WithStatuses || m.ContentDigest == plain.ContentDigest || m.SpineDigest != plain.SpineDigest {
		t.Errorf("found %d columns, with statuses %v", len(m.Columns), m.WithStatuses)
	}
	status := m.Columns[5]
	if status.Name != "delays__departures__status" || status.Origin != "status:delays@1.departures" || status.Type != "string" || status.Nulls != 0 ||
		status.Summary != nil || status.Statuses != nil {
		t.Errorf("found %+v", status)
	}
	if got, want := fmt.Sprint(m.Columns[4].Statuses), fmt.Sprint(plain.Columns[4].Statuses); got != want {
		t.Errorf("found %s, expected %s", got, want)
	}
	if differences := w.verify(t, m.ID); len(differences) > 0 {
		t.Errorf("found %q", differences)
	}
	if _, again, err := w.fetch(t, m.ID); err != nil || !bytes.Equal(again, out) {
		t.Errorf("fetched other bytes, %v", err)
	}
}

func TestStatusesWhoseNamesAreTaken(t *testing.T) {
	w := newWorld(t)
	w.publishAll(t)
	s := someFlights()
	s.columns = slices.Clone(s.columns)
	s.columns[0].Name = "weather__wet__status"
	_, _, err := w.tryBuild(s.arrow(t, 4), Request{WithStatuses: true})
	wantFault(t, err, fault.InvalidArgument, "column weather__wet__status: found it as a column of the spine and as the status of weather__wet, expected "+
		"each name once; rename the one, or build without statuses")
	if _, _, err := w.tryBuild(s.arrow(t, 4), Request{}); err != nil {
		t.Error(err)
	}
	plan := w.plan()
	plan.Columns[1].Name = "delays__departures__status"
	_, err = newLayout(someFlights().columns, plan, true)
	wantFault(t, err, fault.InvalidArgument, "column delays__departures__status: found it as a feature and as the status of delays__departures, expected "+
		"each name once; rename the one, or build without statuses")
}

func TestLeftOutRowsAreCountedByTheFirstRule(t *testing.T) {
	w := newWorld(t)
	w.publishAll(t)
	s := someFlights()
	all, _ := w.build(t, s, "")
	rules := []LeaveOut{
		{Kind: AllMissing},
		{Kind: Condition, Condition: "row.label > 3.5 && row.traffic__load == null"},
		{Kind: AnyMissing, Columns: []string{"delays__departures", "number"}},
		{Kind: Condition, Condition: `row.origin == "nowhere"`},
	}
	m, out, err := w.tryBuild(s.arrow(t, 4), Request{LeaveOut: rules})
	if err != nil {
		t.Fatal(err)
	}
	// Rows 4 and 8 have no feature, row 5 (label 4) and 6 (label 8) no load, rows 3 and 9 no departures.
	if got := columnsOf(t, out, "label"); !slices.Equal(got, []string{"1", "2", "1"}) {
		t.Errorf("found the rows of labels %v", got)
	}
	var counts []string
	for _, l := range m.LeftOut {
		counts = append(counts, fmt.Sprint(l.LeaveOut.String(), ": ", l.Rows))
	}
	want := []string{"all missing of features: 2", "where row.label > 3.5 && row.traffic__load == null: 2", "any missing of delays__departures, number: 2",
		`where row.origin == "nowhere": 0`}
	if !slices.Equal(counts, want) {
		t.Errorf("found %q, expected %q", counts, want)
	}
	if m.Rows != 3 || m.SpineRows != 9 || m.SpineDigest != all.SpineDigest || all.SpineRows != 9 || len(all.LeftOut) != 0 {
		t.Errorf("found %d rows of %d", m.Rows, m.SpineRows)
	}
	// What is said of columns is of the rows that are left.
	if c := m.Columns[6]; c.Nulls != 1 || fmt.Sprint(c.Statuses) != "map[NOT_YET_KNOWN:1 PRESENT:2]" || c.Summary.Distinct != 1 {
		t.Errorf("found %+v and %s", c, c.Summary)
	}
	if differences := w.verify(t, m.ID); len(differences) > 0 {
		t.Errorf("found %q", differences)
	}
	if _, again, err := w.fetch(t, m.ID); err != nil || !bytes.Equal(again, out) {
		t.Errorf("fetched other bytes, %v", err)
	}
	w.exec(t, `UPDATE headwater.dataset SET manifest = jsonb_set(manifest, '{left_out,1,rows}', '3') WHERE id = $1`, m.ID)
	if got := w.verify(t, m.ID); len(got) != 1 || got[0] != "left out where row.label > 3.5 && row.traffic__load == null: found 2 rows, expected 3" {
		t.Errorf("found %q", got)
	}

	// All of them, and none of them.
	if m, out, err := w.tryBuild(s.arrow(t, 4), Request{LeaveOut: []LeaveOut{{Kind: Condition, Condition: "true"}}}); err != nil || m.Rows != 0 || m.LeftOut[0].Rows != 9 {
		t.Errorf("found %v, %v", m, err)
	} else if _, rows := readResult(t, out); len(rows) > 0 {
		t.Errorf("found %v", rows)
	}
	if m, _, err := w.tryBuild(s.arrow(t, 4), Request{LeaveOut: []LeaveOut{{Kind: Condition, Condition: "row.label > 100.0"}}}); err != nil || m.ContentDigest != all.ContentDigest {
		t.Errorf("found %v, %v", m, err)
	}
	// Statuses are columns that rules may look at.
	m, out, err = w.tryBuild(s.arrow(t, 4), Request{WithStatuses: true, LeaveOut: []LeaveOut{
		{Kind: Condition, Condition: `row.traffic__load__status != "PRESENT"`},
	}})
	if err != nil || m.LeftOut[0].Rows != 5 || !slices.Equal(columnsOf(t, out, "label"), []string{"1", "3", "1", "6"}) {
		t.Errorf("found %v, %v", m, err)
	}
}

func TestRulesThatAreRefused(t *testing.T) {
	w := newWorld(t)
	w.publishAll(t)
	for _, c := range []struct {
		rule        LeaveOut
		field, want string
	}{
		{LeaveOut{Kind: AnyMissing, Columns: []string{"label", "delays__men"}}, "header.leave_out[1].any_missing.columns[1]",
			"the result has no column delays__men; did you mean delays__mean?"},
		{LeaveOut{Kind: Condition, Condition: "row.lable > 1.0"}, "header.leave_out[1].condition", "line 1, column 1: found no column called lable; did you mean row.label?"},
		{LeaveOut{Kind: Condition, Condition: "row.label"}, "header.leave_out[1].condition",
			"line 1, column 1: found an expression of type float64, expected one of type bool that is true for rows to leave out"},
		{LeaveOut{Kind: Condition, Condition: `row.delays__mean__status == "NULL"`}, "header.leave_out[1].condition",
			"line 1, column 1: found no column called delays__mean__status; statuses have columns where the build asks for them"},
		{LeaveOut{}, "header.leave_out[1]", "found none of any_missing, all_missing and condition, expected one of them"},
	} {
		// The spine is not taken in for it.
		_, out, err := w.tryBuild(someFlights().arrow(t, 4)[:900], Request{LeaveOut: []LeaveOut{{Kind: AllMissing}, c.rule}})
		wantFault(t, err, fault.InvalidArgument, "rule 2 of what to leave out: "+c.want)
		if f := fault.As(err); f == nil || len(f.Violations) != 1 || f.Violations[0].Field != c.field || len(out) > 0 {
			t.Errorf("found %+v", f)
		}
	}
	w.leavesNothing(t, func() {
		_, out, err := w.tryBuild(someFlights().arrow(t, 4), Request{LeaveOut: []LeaveOut{{Kind: Condition, Condition: "100 / (row.number - 8) > 1"}}})
		wantFault(t, err, fault.InvalidArgument, "spine: row 2: rule 1 of what to leave out, 100 / (row.number - 8) > 1, cannot be evaluated: division by "+
			"zero; write it so that it has a value for each row")
		if len(out) > 0 {
			t.Errorf("found %d bytes of a dataset that was refused", len(out))
		}
	})
}

func TestRunsOfADataset(t *testing.T) {
	w := newWorld(t)
	w.publishAll(t)
	rows := append(someDelays(), row("LAX", hours(1), hours(1), feature.Float64(3), feature.Int64(3)))
	w.publish(t, "delays", rows...)
	rows[0].Values = []feature.Value{feature.Float64(99), feature.Int64(99)}
	w.publish(t, "delays", append(rows, row("JFK", hours(1.5), hours(1.5), feature.Float64(5), feature.Int64(5)))...)
	m, _ := w.build(t, flights(flight(1, "ORD", hours(4), 7), flight(1, "JFK", hours(4), 7), flight(1, "nowhere", hours(4), 7)), "")
	for _, c := range []struct {
		view string
		want string
	}{{"delays", "[1 3]"}, {"traffic", "[1]"}, {"weather", "[1]"}} {
		if got := fmt.Sprint(m.view(w.view(c.view)).Runs); got != c.want {
			t.Errorf("%s: found values of runs %s, expected %s", c.view, got, c.want)
		}
	}
	// Rows that are left out have none.
	m, _, err := w.tryBuild(flights(flight(1, "ORD", hours(4), 7), flight(2, "JFK", hours(4), 7)).arrow(t, 1),
		Request{LeaveOut: []LeaveOut{{Kind: Condition, Condition: "row.label == 2.0"}}})
	if got := fmt.Sprint(m.view(w.view("delays")).Runs); err != nil || got != "[1]" {
		t.Errorf("found values of runs %s, %v", got, err)
	}
	if list := (sequences{1 << 63, 5}).list(); fmt.Sprint(list) != "[63 64 66]" {
		t.Errorf("found %v", list)
	}
}

func TestWhatMadeADataset(t *testing.T) {
	w := newWorld(t)
	w.publishAll(t)
	m, _, err := w.tryBuild(someFlights().arrow(t, 4), Request{Roles: []string{"trainer"}})
	if err != nil {
		t.Fatal(err)
	}
	var postgres string
	if err := w.pool.QueryRow(context.Background(), "SHOW server_version").Scan(&postgres); err != nil || m.Versions.Postgres != postgres {
		t.Errorf("found Postgres %q, expected %q, %v", m.Versions.Postgres, postgres, err)
	}
	if fmt.Sprint(m.Roles) != "[trainer]" || m.Summarizer != Summarizer {
		t.Errorf("found %+v", m)
	}
	folder, other := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "tzdata.zi"), []byte("# version 2026a\n# This zic input"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(other, "+VERSION"), []byte("2025c\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := []string{tzdataVersionIn("", folder, other), tzdataVersionIn(t.TempDir(), other), tzdataVersionIn(t.TempDir())}; !slices.Equal(got, []string{"2026a", "2025c", ""}) {
		t.Errorf("found time zones %q", got)
	}
}

// A manifest of before there were summaries is had again and verified by what it says.
func TestManifestsWithoutSummaries(t *testing.T) {
	w := newWorld(t)
	w.publishAll(t)
	m, out := w.build(t, someFlights(), "")
	w.exec(t, `UPDATE headwater.dataset SET manifest = (manifest - '{summarizer,spine_rows,versions,roles}'::text[])
		#- '{views,0,runs}' #- '{columns,4,summary}' WHERE id = $1`, m.ID)
	if differences := w.verify(t, m.ID); len(differences) > 0 {
		t.Errorf("found %q", differences)
	}
	if _, again, err := w.fetch(t, m.ID); err != nil || !bytes.Equal(again, out) {
		t.Errorf("fetched other bytes, %v", err)
	}
	// Summaries that were made otherwise are not compared.
	w.exec(t, `UPDATE headwater.dataset SET manifest = jsonb_set(manifest || '{"summarizer": "0", "spine_rows": 9}', '{views,0,runs}', '[1]') WHERE id = $1`, m.ID)
	if differences := w.verify(t, m.ID); len(differences) > 0 {
		t.Errorf("found %q", differences)
	}
}

func TestSummaries(t *testing.T) {
	decimal := feature.DecimalType(5, 2)
	price := func(text string) feature.Value {
		v, err := feature.ParseDecimal(decimal, text)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	list := func(texts ...string) feature.Value {
		var elements []feature.Value
		for _, s := range texts {
			elements = append(elements, feature.String(s))
		}
		v, err := feature.List(feature.ListType(feature.TypeString), elements)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	vector := func(floats ...float32) feature.Value {
		v, err := feature.Vector(feature.VectorType(2), floats)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	null, inf := feature.Null(), feature.Float64(math.Inf(1))
	for name, c := range map[string]struct {
		typ    feature.Type
		values []feature.Value
		want   string
	}{
		"nothing":    {feature.TypeInt64, []feature.Value{null, null}, "least none, greatest none, mean none, 0 NaN, 0 distinct"},
		"bools":      {feature.TypeBool, []feature.Value{feature.Bool(true), null, feature.Bool(false), feature.Bool(true)}, "least false, greatest true, mean none, 0 NaN, 2 distinct"},
		"one bool":   {feature.TypeBool, []feature.Value{feature.Bool(false)}, "least false, greatest false, mean none, 0 NaN, 1 distinct"},
		"integers":   {feature.TypeInt64, []feature.Value{feature.Int64(math.MaxInt64), feature.Int64(0), feature.Int64(0)}, "least 0, greatest 9223372036854775807, mean 3.0744573456182584e+18, 0 NaN, 2 distinct"},
		"floats":     {feature.TypeFloat64, []feature.Value{feature.Float64(math.NaN()), feature.Float64(0), feature.Float64(math.Copysign(0, -1)), feature.Float64(3)}, "least 0, greatest 3, mean 1, 1 NaN, 2 distinct"},
		"infinities": {feature.TypeFloat64, []feature.Value{feature.Float64(1), inf}, "least 1, greatest Infinity, mean none, 0 NaN, 2 distinct"},
		"only NaN":   {feature.TypeFloat64, []feature.Value{feature.Float64(math.NaN())}, "least none, greatest none, mean none, 1 NaN, 0 distinct"},
		"texts":      {feature.TypeString, []feature.Value{feature.String("é"), feature.String(""), feature.String("z")}, "least , greatest é, mean none, 0 NaN, 3 distinct"},
		"long texts": {feature.TypeString, []feature.Value{feature.String("a"), feature.String(strings.Repeat("b", 257))}, "least a, greatest none, mean none, 0 NaN, 2 distinct"},
		"times": {feature.TypeTimestamp, []feature.Value{feature.Timestamp(hours(1)), feature.Timestamp(math.MaxInt64 - 1)},
			"least 2001-01-01T01:00:00Z, greatest 9999-12-31T23:59:59.999999Z, mean none, 0 NaN, 2 distinct"},
		"decimals": {decimal, []feature.Value{price("-1.50"), price("100"), price("0.01"), price("100.00")}, "least -1.50, greatest 100.00, mean 49.6275, 0 NaN, 3 distinct"},
		"bytes":    {feature.TypeBytes, []feature.Value{feature.Bytes("\x00"), feature.Bytes(""), feature.Bytes("\x00")}, "least none, greatest none, mean none, 0 NaN, 2 distinct"},
		"lists":    {feature.ListType(feature.TypeString), []feature.Value{list("a", "bc"), list("ab", "c"), list(), list("a", "bc")}, "least none, greatest none, mean none, 0 NaN, 3 distinct"},
		"vectors":  {feature.VectorType(2), []feature.Value{vector(1, 2), vector(2, 1), vector(1, 2)}, "least none, greatest none, mean none, 0 NaN, 2 distinct"},
	} {
		p, err := profile.New([]profile.Spec{{Name: "column", Type: c.typ}})
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range c.values {
			p.Add(0, uint64(i), []feature.Value{v})
		}
		found := summaryOf(p.Columns()[0])
		if found.String() != c.want {
			t.Errorf("%s: found %s, expected %s", name, found, c.want)
		}
		// What a manifest keeps of it is read again as it was.
		for _, l := range []feature.Literal{found.Min, found.Max} {
			if l == nil || name == "times" {
				continue
			}
			if v, err := feature.ValueOf(l, c.typ); err != nil || !slices.ContainsFunc(c.values, v.Equal) {
				t.Errorf("%s: found %v again as %s, %v", name, l, v.Text(), err)
			}
		}
	}
}

// The cost of what a manifest says of each row: a million rows of ten columns are 1e6 iterations.
func BenchmarkTally(b *testing.B) {
	l, _, statuses := benchLayout()
	shape := rowShape{columns: len(l.columns), statuses: len(statuses), runs: len(l.plan.Views)}
	batch := &rowBatch{
		shape: shape, values: make([]feature.Value, fanoutRows*shape.columns),
		statuses: make([]read.Status, fanoutRows*shape.statuses), runs: make([]int64, fanoutRows*shape.runs),
	}
	for n := range fanoutRows {
		_, of, _ := batch.at(n)
		copy(of, statuses)
	}
	hashes := make([]uint64, fanoutRows)
	tally, err := newTally(l, "t")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for i := range b.N {
		row, _, _ := batch.at(batch.rows)
		for c := range row {
			switch l.columns[c].Type {
			case feature.TypeTimestamp:
				row[c] = feature.Timestamp(feature.Time(i) * 1_000_000)
			case feature.TypeInt64:
				row[c] = feature.Int64(int64(mix(uint64(i)) % 100_000))
			case feature.TypeFloat64:
				row[c] = feature.Float64(float64(mix(uint64(i))%1_000_000) / 64)
			case feature.TypeString:
				row[c] = benchTexts[mix(uint64(i))%uint64(len(benchTexts))]
			}
		}
		hashes[batch.rows] = mix(uint64(i))
		if batch.rows++; batch.rows == fanoutRows {
			tally.add(batch, hashes)
			batch.rows = 0
		}
	}
}

// mix spreads the bits of a number (the finalizer of SplitMix64).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// The same rows without a tally, to take away from it.
func BenchmarkNoTally(b *testing.B) {
	l, row, _ := benchLayout()
	for i := range b.N {
		for c := range row {
			switch l.columns[c].Type {
			case feature.TypeTimestamp:
				row[c] = feature.Timestamp(feature.Time(i) * 1_000_000)
			case feature.TypeInt64:
				row[c] = feature.Int64(int64(mix(uint64(i)) % 100_000))
			case feature.TypeFloat64:
				row[c] = feature.Float64(float64(mix(uint64(i))%1_000_000) / 64)
			case feature.TypeString:
				row[c] = benchTexts[mix(uint64(i))%uint64(len(benchTexts))]
			}
		}
	}
}

var benchTexts = func() []feature.Value {
	texts := make([]feature.Value, 5000)
	for i := range texts {
		texts[i] = feature.String(fmt.Sprintf("airport %d", i))
	}
	return texts
}()

func benchLayout() (*layout, []feature.Value, []read.Status) {
	view := &feature.ViewVersion{View: feature.View{Name: "v", Entity: "e"}, EntityVersion: &feature.EntityVersion{}}
	plan := &read.Plan{Views: []read.View{{Version: view}}}
	for i := range 10 {
		typ := []feature.Type{feature.TypeFloat64, feature.TypeFloat64, feature.TypeInt64, feature.TypeFloat64, feature.TypeString}[i%5]
		view.Features = append(view.Features, feature.Column{Name: fmt.Sprint("f", i), Type: typ})
		plan.Columns = append(plan.Columns, read.Column{Name: fmt.Sprint("f", i), Version: view, Feature: i, Type: typ})
	}
	l, err := newLayout([]feature.Column{{Name: "t", Type: feature.TypeTimestamp}}, plan, false)
	if err != nil {
		panic(err)
	}
	statuses := make([]read.Status, 10)
	for i := range statuses {
		statuses[i] = read.Present
	}
	return l, make([]feature.Value, 11), statuses
}
