package profile

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zeebo/xxh3"

	"github.com/headwaterhq/headwater/feature"
)

var update = flag.Bool("update", false, "write the golden files")

var price = feature.DecimalType(20, 2)

var anySpecs = []Spec{
	{Name: "user", Type: feature.TypeString, Key: true},
	{Name: "amount", Type: feature.TypeFloat64},
	{Name: "items", Type: feature.TypeInt64},
	{Name: "price", Type: price},
	{Name: "shop", Type: feature.TypeString},
	{Name: "region", Type: feature.TypeString, Group: true},
	{Name: "fraud", Type: feature.TypeBool, Group: true},
	{Name: "seen", Type: feature.TypeTimestamp},
	{Name: "raw", Type: feature.TypeBytes},
	{Name: "tags", Type: feature.ListType(feature.TypeString)},
	{Name: "face", Type: feature.VectorType(2)},
}

type row struct {
	at     feature.Time
	values []feature.Value
}

func (r *row) hash() uint64 {
	var b []byte
	for _, v := range r.values {
		b = v.AppendCanonical(b)
	}
	return xxh3.Hash(b)
}

// anyRows are rows in which everything happens: few values and many, narrow ranges and all of float64.
func anyRows(t *testing.T, r *rand.Rand, n int) []row {
	wide, many := r.IntN(2) == 0, 1<<r.IntN(14)
	hours := 1 << r.IntN(20)
	rows := make([]row, n)
	for i := range rows {
		null := func(v feature.Value) feature.Value {
			if r.IntN(7) == 0 {
				return feature.Null()
			}
			return v
		}
		f := float64(r.IntN(many)) / 8
		if wide {
			f = math.Float64frombits(r.Uint64())
		}
		switch r.IntN(50) {
		case 0:
			f = math.NaN()
		case 1:
			f = math.Inf(r.IntN(2)*2 - 1)
		case 2:
			f = math.Copysign(0, -1)
		}
		c, err := feature.Decimal(price, feature.Int128Of(r.Int64N(int64(many)*100)-int64(many)*50))
		if err != nil {
			t.Fatal(err)
		}
		tags := make([]feature.Value, r.IntN(3))
		for k := range tags {
			tags[k] = feature.String(fmt.Sprint(r.IntN(many)))
		}
		list, err := feature.List(anySpecs[9].Type, tags)
		if err != nil {
			t.Fatal(err)
		}
		face, err := feature.Vector(anySpecs[10].Type, []float32{float32(r.IntN(many)), 1})
		if err != nil {
			t.Fatal(err)
		}
		at := feature.TimeOf(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)).Add(time.Duration(r.IntN(hours)) * time.Hour)
		if wide && r.IntN(4) == 0 {
			at = feature.Time(r.Uint64())
		}
		rows[i] = row{at, []feature.Value{
			feature.String(fmt.Sprintf("user%d", r.IntN(many))), null(feature.Float64(f)), null(feature.Int64(int64(r.IntN(many)) - 3)), null(c),
			null(feature.String(strings.Repeat("x", r.IntN(2)*r.IntN(300)) + fmt.Sprint(r.IntN(many)))),
			null(feature.String(fmt.Sprintf("region%d", r.IntN(min(many, 70))))), null(feature.Bool(r.IntN(3) == 0)),
			null(feature.Timestamp(at)), null(feature.Bytes(strings.Repeat("\xff", r.IntN(3)))), null(list), null(face),
		}}
	}
	return rows
}

func profileOf(t testing.TB, specs []Spec, rows []row) *Profile {
	t.Helper()
	p, err := New(specs)
	if err != nil {
		t.Fatal(err)
	}
	for i := range rows {
		p.Add(rows[i].at, rows[i].hash(), rows[i].values)
	}
	return p
}

// However rows are ordered, cut into parts, and the parts encoded and merged, the bytes are the same.
func TestMergesInAnyOrder(t *testing.T) {
	for seed := range uint64(24) {
		r := rand.New(rand.NewPCG(seed, 1))
		rows := anyRows(t, r, 1+r.IntN(4000))
		whole := profileOf(t, anySpecs, rows)
		want := whole.AppendCanonical(nil)
		r.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		var parts []*Profile
		for rest := rows; len(rest) > 0; {
			n := 1 + r.IntN(len(rest))
			parts, rest = append(parts, profileOf(t, anySpecs, rest[:n])), rest[n:]
		}
		for len(parts) > 1 {
			i, j := r.IntN(len(parts)), r.IntN(len(parts))
			if i == j {
				continue
			}
			decoded, err := Decode(parts[j].AppendCanonical(nil))
			if err != nil {
				t.Fatal(err)
			}
			if err := parts[i].Merge(decoded); err != nil {
				t.Fatal(err)
			}
			parts = slices.Delete(parts, j, j+1)
		}
		if found := parts[0].AppendCanonical(nil); !bytes.Equal(found, want) {
			t.Fatalf("seed %d: found %d bytes, expected %d: %s", seed, len(found), len(want), differences(parts[0], whole))
		}
		decoded, err := Decode(want)
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range decoded.Columns() {
			if found, want := c.Describe(), whole.Columns()[i].Describe(); !reflect.DeepEqual(found, want) {
				t.Fatalf("seed %d: column %s: found %+v, expected %+v", seed, c.Name, found, want)
			}
		}
	}
}

// Rows that are added together, beside columns that nothing is described of, make the bytes that they make one by one.
func TestRowsAddedTogether(t *testing.T) {
	for seed := range uint64(24) {
		r := rand.New(rand.NewPCG(seed, 2))
		rows := anyRows(t, r, 1+r.IntN(4000))
		together, err := New(anySpecs)
		if err != nil {
			t.Fatal(err)
		}
		// Columns lie in another order, every other one of a row is not described.
		at, width := r.Perm(len(anySpecs)), 2*len(anySpecs)
		for i := range at {
			at[i] *= 2
		}
		for rest := rows; len(rest) > 0; {
			n := min(len(rest), r.IntN(300))
			batch := Rows{Values: make([]feature.Value, n*width), Width: width, At: at}
			for i, one := range rest[:n] {
				batch.Times, batch.Hashes = append(batch.Times, one.at), append(batch.Hashes, one.hash())
				for c, v := range one.values {
					batch.Values[i*width+at[c]] = v
				}
			}
			together.AddRows(batch)
			rest = rest[n:]
		}
		alone := profileOf(t, anySpecs, rows)
		if found, want := together.AppendCanonical(nil), alone.AppendCanonical(nil); !bytes.Equal(found, want) {
			t.Fatalf("seed %d: found %d bytes, expected %d: %s", seed, len(found), len(want), differences(together, alone))
		}
	}
}

func differences(a, b *Profile) string {
	for i := range a.columns {
		if !bytes.Equal(a.columns[i].appendTo(nil), b.columns[i].appendTo(nil)) {
			return "column " + a.columns[i].Name
		}
	}
	return "no column"
}

// What a profile says is what counting all rows says.
func TestAgainstAllRows(t *testing.T) {
	for seed := range uint64(16) {
		r := rand.New(rand.NewPCG(seed, 2))
		rows := anyRows(t, r, 1+r.IntN(3000))
		p := profileOf(t, anySpecs, rows)
		for i, c := range p.Columns() {
			d := c.Describe()
			fail := func(what string, found, want any) {
				t.Helper()
				t.Errorf("seed %d: column %s: found %s %v, expected %v", seed, c.Name, what, found, want)
			}
			var nulls, nans, empty int64
			counts := map[string]int64{}
			var numbers []float64
			var sum, squares float64
			for _, row := range rows {
				v := row.values[i]
				switch {
				case v.IsNull():
					nulls++
					continue
				case v.Type() == feature.TypeFloat64 && math.IsNaN(v.Float64()):
					nans++
					continue
				}
				counts[string(v.AppendCanonical(nil))]++
				switch v.Type().Kind() {
				case feature.TypeString, feature.TypeBytes:
					if len(v.Str()) == 0 {
						empty++
					}
				case feature.TypeList:
					if v.Len() == 0 {
						empty++
					}
				case feature.TypeFloat64:
					if !math.IsInf(v.Float64(), 0) {
						numbers = append(numbers, v.Float64())
					}
				case feature.TypeInt64:
					numbers = append(numbers, float64(v.Int64()))
				}
			}
			if d.Nulls != nulls || d.NaNs != nans || !c.Key && d.Empty != empty {
				fail("NULL, NaN, empty", []int64{d.Nulls, d.NaNs, d.Empty}, []int64{nulls, nans, empty})
			}
			if share := math.Abs(float64(d.Distinct)/float64(max(len(counts), 1)) - 1); len(counts) > 0 && share > 0.03 ||
				d.DistinctExact && d.Distinct != int64(len(counts)) {
				fail("distinct values", d.Distinct, len(counts))
			}
			if c.Key {
				if d.Values != nil || len(c.sample.rows) > 0 {
					fail("values of a key", d.Values, "none")
				}
				continue
			}
			if v := d.Values; v.TopExact && len(v.Top) > 0 {
				var most int64
				for _, n := range counts {
					most = max(most, n)
				}
				if v.Top[0].Rows != most {
					fail("rows of the most frequent", v.Top[0].Rows, most)
				}
			}
			if len(numbers) == 0 {
				continue
			}
			slices.Sort(numbers)
			for k, q := range Quantiles {
				want := numbers[int(q*float64(len(numbers)-1))]
				if found := d.Values.Quantiles[k]; math.Abs(found-want) > d.Values.QuantileError*math.Abs(want)*(1+1e-12) {
					fail(fmt.Sprintf("quantile %v", q), found, want)
				}
			}
			for _, f := range numbers {
				sum += f / float64(len(numbers))
			}
			for _, f := range numbers {
				squares += (f - sum) * (f - sum)
			}
			if found := *d.Values.Mean; math.Abs(found-sum) > 1e-9*max(math.Abs(numbers[0]), math.Abs(numbers[len(numbers)-1])) {
				fail("mean", found, sum)
			}
			if len(numbers) > 1 && !math.IsInf(squares, 0) {
				want := math.Sqrt(squares / float64(len(numbers)-1))
				if off := math.Abs(*d.Values.StdDev - want); off > 1e-9*want && off > 1e-9*math.Abs(sum) {
					fail("standard deviation", *d.Values.StdDev, want)
				}
			}
			edges := c.Edges(10)
			if !slices.IsSorted(edges) {
				fail("edges", edges, "ascending ones")
			}
			want := make([]int64, len(edges)+1)
			for _, f := range numbers {
				at, same := slices.BinarySearch(edges, f)
				if same {
					at++
				}
				want[at]++
			}
			if found := c.Counts(edges); !slices.Equal(found, want) {
				fail("counts between edges", found, want)
			}
		}
		grain, steps := p.ByTime()
		var total int64
		for _, s := range steps {
			var rowsOf, there int64
			for _, row := range rows {
				if at := row.at.Time(); !at.Before(s.From) && at.Before(s.To) {
					rowsOf++
					if !row.values[4].IsNull() {
						there++
					}
				}
			}
			if s.Rows != rowsOf || s.Present[4] != there {
				t.Errorf("seed %d: %s from %v: found %d rows and %d values, expected %d and %d", seed, grain, s.From, s.Rows, s.Present[4], rowsOf, there)
			}
			total += s.Rows
		}
		if total != int64(len(rows)) || len(steps) > maxCells {
			t.Errorf("seed %d: found %d rows in %d steps of time, expected %d", seed, total, len(steps), len(rows))
		}
		list, ok := p.ByGroup("fraud")
		if !ok {
			t.Fatal("found no groups")
		}
		for _, g := range list {
			var rowsOf int64
			for _, row := range rows {
				if v := row.values[6]; v.IsNull() == (g.Group == nil) && (v.IsNull() || v.Bool() == g.Group) {
					rowsOf++
				}
			}
			if g.Rows != rowsOf {
				t.Errorf("seed %d: group %v: found %d rows, expected %d", seed, g.Group, g.Rows, rowsOf)
			}
		}
	}
}

// A value that a quarter of many rows has is told, with about that many.
func TestFrequentAmongMany(t *testing.T) {
	p, err := New([]Spec{{Name: "shop", Type: feature.TypeString}})
	if err != nil {
		t.Fatal(err)
	}
	const rows = 20_000
	for i := range rows {
		v := feature.String(fmt.Sprintf("shop%d", i))
		if i%4 == 0 {
			v = feature.String("the one")
		}
		p.Add(0, mix(uint64(i)), []feature.Value{v})
	}
	v := p.Columns()[0].Describe().Values
	if len(v.Top) != 1 || v.TopExact || v.Top[0].Value != "the one" || math.Abs(float64(v.Top[0].Rows)/rows-0.25) > 0.08 {
		t.Errorf("found %+v, exact %v, expected one that a quarter has", v.Top, v.TopExact)
	}
}

func TestRefusals(t *testing.T) {
	for want, specs := range map[string][]Spec{
		"column tags: found a list(string) to group by, expected bool, int64 or string, and no key": {{Name: "tags", Type: anySpecs[9].Type, Group: true}},
		"column e: found more than 4 columns to group by": {
			{Name: "a", Type: feature.TypeBool, Group: true}, {Name: "b", Type: feature.TypeBool, Group: true}, {Name: "c", Type: feature.TypeBool, Group: true},
			{Name: "d", Type: feature.TypeBool, Group: true}, {Name: "e", Type: feature.TypeBool, Group: true},
		},
	} {
		if _, err := New(specs); err == nil || err.Error() != want {
			t.Errorf("found %v, expected %s", err, want)
		}
	}
	p := profileOf(t, anySpecs, nil)
	if err := p.Merge(profileOf(t, anySpecs[:3], nil)); err == nil || !strings.Contains(err.Error(), "found a profile of columns") {
		t.Errorf("found %v, expected a refusal", err)
	}
}

// golden are profiles whose bytes may not change while the format is 1.
func golden(t testing.TB) map[string]*Profile {
	r := rand.New(rand.NewPCG(1, 3))
	specs := []Spec{{Name: "card", Type: feature.TypeString, Key: true}, {Name: "n", Type: feature.TypeInt64}, {Name: "f", Type: feature.TypeFloat64},
		{Name: "p", Type: price}, {Name: "s", Type: feature.TypeString}, {Name: "b", Type: feature.TypeBool, Group: true}, {Name: "t", Type: feature.TypeTimestamp}}
	rows := make([]row, 12)
	for i := range rows {
		p, err := feature.Decimal(price, feature.Int128Of(int64(i*125)-300))
		if err != nil {
			t.Fatal(err)
		}
		f := math.Ldexp(float64(i-5), r.IntN(9))
		if i == 11 {
			f = math.NaN()
		}
		at := feature.TimeOf(time.Date(2024, 1, 1+i, 0, 0, 0, 0, time.UTC))
		values := []feature.Value{feature.String(fmt.Sprint("c", i%4)), feature.Int64(int64(i * i)), feature.Float64(f), p,
			feature.String(strings.Repeat("é", i%3)), feature.Bool(i%2 == 0), feature.Timestamp(at)}
		if i%5 == 0 {
			values[4] = feature.Null()
		}
		rows[i] = row{at, values}
	}
	return map[string]*Profile{"none": profileOf(t, specs, nil), "few": profileOf(t, specs, rows)}
}

func TestGolden(t *testing.T) {
	for name, p := range golden(t) {
		file := filepath.Join("testdata", name+".hex")
		b := p.AppendCanonical(nil)
		if *update {
			if err := os.WriteFile(file, []byte(hex.EncodeToString(b)+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want, err := hex.DecodeString(strings.TrimSpace(string(text)))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(b, want) {
			t.Errorf("%s: found %x, expected %x", name, b, want)
		}
		if _, err := Decode(want); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is not an encoding is refused, and what is decoded is what it was.
func FuzzDecode(f *testing.F) {
	for _, p := range golden(f) {
		f.Add(p.AppendCanonical(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Decode(b)
		if err != nil {
			return
		}
		if again := p.AppendCanonical(nil); !bytes.Equal(again, b) {
			t.Fatalf("found %x, expected %x", again, b)
		}
		for _, c := range p.Columns() {
			c.Describe()
		}
		if err := p.Merge(p2(t, b)); err != nil {
			t.Fatal(err)
		}
	})
}

func p2(t *testing.T, b []byte) *Profile {
	p, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A histogram beside another one has its edges, and what lies outside of them has a bin of its own.
func TestHistogramsOnABaselinesEdges(t *testing.T) {
	of := func(typ feature.Type, values ...float64) *Column {
		p, err := New([]Spec{{Name: "c", Type: typ}})
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range values {
			v := feature.Float64(f)
			if typ == feature.TypeInt64 {
				v = feature.Int64(int64(f))
			}
			p.Add(0, mix(uint64(i)), []feature.Value{v})
		}
		return p.Columns()[0]
	}
	upTo := func(from, to int) (values []float64) {
		for i := from; i <= to; i++ {
			values = append(values, float64(i))
		}
		return values
	}
	float, whole := feature.TypeFloat64, feature.TypeInt64
	for _, c := range []struct {
		name          string
		baseline, one *Column
		want          string
	}{
		{"both sides", of(float, 0, 100), of(float, -8, 0, 2, 52, 100, 104), "-8 to 0: 1, 0 to 5: 2, 50 to 55: 1, 95 to 100: 1, 100 to 104: 1"},
		{"all above", of(float, 0, 100), of(float, 1e300, 1e300), "100 to 1e+300: 2"},
		{"within", of(float, 0, 100), of(float, 52), "50 to 55: 1"},
		{"a constant", of(float, 7), of(float, 6, 7, 7, 8), "6 to 7: 1, 7 to 7: 2, 7 to 8: 1"},
		{"whole numbers", of(whole, upTo(1, 3)...), of(whole, upTo(1, 4)...), "1 to 2: 1, 2 to 3: 1, 3 to 4: 1, 3 to 4: 1"},
		{"whole numbers and others", of(whole, upTo(0, 40)...), of(float, 1.5, 39.5), "0 to 2: 1, 38 to 40: 1"},
		{"no numbers", of(float), of(float, 1), ""},
		{"none of no numbers", of(float, 1), of(float), ""},
	} {
		var found []string
		for _, b := range c.one.HistogramOn(c.baseline) {
			if b.Rows > 0 {
				found = append(found, fmt.Sprintf("%v to %v: %d", b.From, b.To, b.Rows))
			}
		}
		if got := strings.Join(found, ", "); got != c.want {
			t.Errorf("%s: found %s, expected %s", c.name, got, c.want)
		}
	}
	values := of(float, upTo(1, 2000)...)
	if found, want := values.HistogramOn(values), values.Describe().Values.Histogram; !reflect.DeepEqual(found, want) {
		t.Errorf("found %v on its own edges, expected %v", found, want)
	}
}
