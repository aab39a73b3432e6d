package dataset

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/read"
)

var origins = []string{"ORD", "JFK", "A|1", `A\`, "Zürich", "A", ""}

// randomHistory publishes a few runs of random rows with ties, late arrivals and corrections.
func (w *world) randomHistory(t testing.TB, r *rand.Rand) {
	t.Helper()
	value := func(typ feature.Type) feature.Value {
		switch {
		case r.IntN(4) == 0:
			return feature.Null()
		case typ == feature.TypeBool:
			return feature.Bool(r.IntN(2) == 0)
		case typ == feature.TypeInt64:
			return feature.Int64(r.Int64())
		case typ == feature.TypeFloat64:
			return feature.Float64([]float64{r.NormFloat64(), math.NaN(), math.Inf(-1), 0}[r.IntN(4)])
		case typ == feature.TypeString:
			return feature.String([]string{"", "x", "NULL", `\N`, "日本"}[r.IntN(5)])
		}
		return feature.Timestamp(hours(float64(r.IntN(50))))
	}
	for range 3 {
		for _, pin := range w.service.Pins {
			var rows []feature.Row
			seen := map[string]bool{}
			for range 120 {
				key := origins[r.IntN(len(origins))]
				if pin.View.Entity == "route" {
					key = strings.NewReplacer(`\`, `\\`, `|`, `\|`).Replace(key) + fmt.Sprintf("|%d", r.IntN(3))
				} else {
					key = strings.NewReplacer(`\`, `\\`, `|`, `\|`).Replace(key)
				}
				event := hours(float64(r.IntN(20)))
				available := event + feature.Time(r.IntN(4))*hour
				moment := fmt.Sprint(key, event, available)
				if seen[moment] {
					continue
				}
				seen[moment] = true
				next := row(key, event, available)
				for _, c := range pin.View.Stored() {
					next.Values = append(next.Values, value(c.Type))
				}
				rows = append(rows, next)
			}
			w.publish(t, pin.View.Name, rows...)
		}
	}
}

// randomSpine has n rows in no order, with duplicates, NULL keys and keys that there are not.
func randomSpine(r *rand.Rand, n int) spine {
	s := flights()
	for i := range n {
		if i > 0 && r.IntN(10) == 0 {
			s.rows = append(s.rows, s.rows[r.IntN(i)])
			continue
		}
		f := flight(r.NormFloat64(), append(origins, "nobody")[r.IntN(len(origins)+1)], hours(float64(r.IntN(48))/2), int64(r.IntN(4)))
		for _, c := range []int{0, 1, 3} {
			if r.IntN(12) == 0 {
				f[c] = feature.Null()
			}
		}
		s.rows = append(s.rows, f)
	}
	return s
}

// Whatever the data and however it is cut: one row per spine row in the spine's order, as the reference has it.
func TestDatasetsAreTheReference(t *testing.T) {
	w := newWorld(t)
	r := rand.New(rand.NewPCG(1, 2))
	w.randomHistory(t, r)
	for _, n := range []int{0, 1, 2, stageBatch - 1, stageBatch, stageBatch + 1, 8191, 8192, 8193, 20_001} {
		s := randomSpine(r, n)
		m, out := w.build(t, s, "")
		w.expect(t, s, m, out)
		sum := sha256.Sum256(out)
		if hex.EncodeToString(sum[:]) != m.ArrowSHA256 {
			t.Errorf("%d rows: the manifest has another SHA-256 than the bytes", n)
		}
		// The same spine in other batches, from a source that gives other pieces.
		for _, batch := range []int{1, 7, 4096, n + 1} {
			if n > 1000 && batch < 100 || n > 9000 && batch > 5000 {
				continue
			}
			cut := s.arrow(t, batch)
			var again bytes.Buffer
			m2, err := w.builder.Build(context.Background(), Request{Plan: w.plan(), AsOf: fmt.Sprint("pos:", m.Position)},
				iotest.HalfReader(bytes.NewReader(cut)), &again)
			if err != nil {
				t.Fatal(err)
			}
			if m2.SpineDigest != m.SpineDigest || m2.ContentDigest != m.ContentDigest || !bytes.Equal(again.Bytes(), out) {
				t.Errorf("%d rows in batches of %d: found other digests or bytes than in batches of 1000", n, batch)
			}
		}
		sent, fetched, err := w.fetch(t, m.ID)
		if err != nil || !bytes.Equal(fetched, out) || sent.ArrowSHA256 != m.ArrowSHA256 {
			t.Errorf("%d rows: fetched other bytes, %v", n, err)
		}
	}
}

// An order that nobody asked for must not be what makes a result right.
func TestPhysicalOrderAndPlansDoNotMatter(t *testing.T) {
	w := newWorld(t)
	r := rand.New(rand.NewPCG(3, 4))
	w.randomHistory(t, r)
	s := randomSpine(r, 1500)
	m, out := w.build(t, s, "")
	for _, pin := range w.service.Pins {
		table := historyTable(pin.View)
		w.exec(t, "CREATE TABLE shuffled AS SELECT * FROM "+table+" ORDER BY random()")
		w.exec(t, "TRUNCATE "+table)
		w.exec(t, "INSERT INTO "+table+" SELECT * FROM shuffled")
		w.exec(t, "DROP TABLE shuffled")
		w.exec(t, "ANALYZE "+table)
	}
	off := func(names ...string) map[string]string {
		settings := map[string]string{}
		for _, name := range names {
			settings[name] = "off"
		}
		return settings
	}
	for _, settings := range []map[string]string{
		{}, off("enable_indexscan", "enable_indexonlyscan", "enable_bitmapscan"), off("enable_seqscan", "enable_sort"),
		off("enable_nestloop", "enable_memoize"), off("enable_incremental_sort", "enable_material"),
		{
			"max_parallel_workers_per_gather": "4", "min_parallel_table_scan_size": "0", "min_parallel_index_scan_size": "0",
			"parallel_setup_cost": "0", "parallel_tuple_cost": "0",
		},
		{"max_parallel_workers_per_gather": "0", "random_page_cost": "100", "cursor_tuple_fraction": "1"},
	} {
		config := w.pool.Config().Copy()
		for name, value := range settings {
			config.ConnConfig.RuntimeParams[name] = value
		}
		config.ConnConfig.RuntimeParams["work_mem"] = "64kB"
		pool, err := pgxpool.NewWithConfig(context.Background(), config)
		if err != nil {
			t.Fatal(err)
		}
		for name, options := range waysToJoin {
			var again bytes.Buffer
			_, err = builderOf(pool, options).Fetch(context.Background(), m, w.plan(), &again)
			if err != nil || !bytes.Equal(again.Bytes(), out) {
				t.Errorf("%s with %v: found other bytes, %v", name, settings, err)
			}
		}
		pool.Close()
	}
}

// waysToJoin find the same winners: on one connection, in segments of a few rows on several, in packed histories, and in what
// seems to cost least.
var waysToJoin = map[string]offline.Options{
	"chosen":     {},
	"one lane":   {Strategy: offline.Lateral, Lanes: 1},
	"four lanes": {Strategy: offline.Lateral, Lanes: 4, SegmentRows: 100, SegmentMemory: 4 << 10},
	"scan":       {Strategy: offline.Scan},
}

// builderOf is a builder that joins in one of those ways.
func builderOf(pool *pgxpool.Pool, options offline.Options) *Builder {
	b := NewBuilder(pool, "test")
	b.joiner = offline.NewJoiner(func(ctx context.Context) (*pgx.Conn, error) {
		return pgx.ConnectConfig(ctx, pool.Config().ConnConfig.Copy())
	}, options)
	return b
}

// Law 6: what arrives after every spine row is seen by none.
func TestNothingFromTheFuture(t *testing.T) {
	w := newWorld(t)
	r := rand.New(rand.NewPCG(5, 6))
	w.randomHistory(t, r)
	s := randomSpine(r, 600)
	last := hours(100)
	for name, h := range w.histories {
		var rows []feature.Row
		for _, r := range h.LiveRows() {
			r.AvailableAt += last
			rows = append(rows, r)
		}
		w.publish(t, name, rows...)
	}
	chosen := w.builder
	for way, options := range waysToJoin {
		w.builder = builderOf(w.pool, options)
		m, out := w.build(t, s, "")
		w.expect(t, s, m, out)
		for _, c := range m.Columns[len(s.columns):] {
			if c.Nulls != m.Rows || c.Statuses["PRESENT"]+c.Statuses["NULL"]+c.Statuses["EXPIRED"] > 0 || c.Statuses["NOT_YET_KNOWN"] == 0 {
				t.Errorf("%s: column %s: found %v and %d missing of %d", way, c.Name, c.Statuses, c.Nulls, m.Rows)
			}
		}
	}
	w.builder = chosen
	// An instant more or less at the border.
	w.publish(t, "delays", row("ORD", hours(1), hours(2), feature.Float64(1), feature.Int64(1)))
	s = flights(flight(0, "ORD", hours(2)-1, 0), flight(0, "ORD", hours(2), 0))
	m, out := w.build(t, s, "")
	w.expect(t, s, m, out)
	if got := m.Columns[4].Statuses; fmt.Sprint(got) != "map[NOT_YET_KNOWN:1 PRESENT:1]" {
		t.Errorf("found %v", got)
	}
}

func TestEveryStatus(t *testing.T) {
	w := newWorld(t)
	w.publishAll(t)
	s := someFlights()
	m, out := w.build(t, s, "")
	w.expect(t, s, m, out)
	_, rows := readResult(t, out)
	want := []string{
		"1 ORD 2001-01-01T04:00:00Z 7 2 20 0.7 true räin 2001-01-01T00:00:00Z",
		"2 JFK 2001-01-01T02:00:00Z 8 4 -0.5 ∅ ∅  ∅",
		"3 ORD 2001-01-01T01:00:00Z 7 ∅ ∅ 0.7 true räin 2001-01-01T00:00:00Z",
		"9 ∅ 2001-01-01T04:00:00Z 7 ∅ ∅ ∅ ∅ ∅ ∅",
		"4 ORD 2001-01-01T09:00:00Z 7 ∅ 30 ∅ true räin 2001-01-01T00:00:00Z",
		"8 ORD 2001-01-01T04:00:00Z ∅ 2 20 ∅ true räin 2001-01-01T00:00:00Z",
		"1 ORD 2001-01-01T04:00:00Z 7 2 20 0.7 true räin 2001-01-01T00:00:00Z",
		"5 nowhere 2001-01-01T04:00:00Z 7 ∅ ∅ ∅ ∅ ∅ ∅",
		"6 ORD 2001-01-01T05:00:00Z 7 ∅ 30 0.7 true räin 2001-01-01T00:00:00Z",
	}
	if !slices.Equal(rows, want) {
		t.Errorf("found\n%s\nexpected\n%s", strings.Join(rows, "\n"), strings.Join(want, "\n"))
	}
	got := ""
	for _, c := range m.Columns {
		got += fmt.Sprintf("%s %s %s %d %v\n", c.Name, c.Type, c.Origin, c.Nulls, c.Statuses)
	}
	wanted := `label float64 spine 0 map[]
origin string spine 1 map[]
timestamp timestamp spine 0 map[]
number int64 spine 1 map[]
delays__departures int64 feature:delays@1.departures 5 map[NOT_YET_KNOWN:1 NO_KEY:1 NO_ROW:1 NULL:2 PRESENT:4]
delays__mean float64 feature:delays@1.mean 3 map[NOT_YET_KNOWN:1 NO_KEY:1 NO_ROW:1 PRESENT:6]
traffic__load float64 feature:traffic@1.load 5 map[EXPIRED:1 NOT_YET_KNOWN:1 NO_KEY:2 NO_ROW:1 PRESENT:4]
weather__wet bool feature:weather@1.wet 3 map[NO_KEY:1 NO_ROW:1 NULL:1 PRESENT:6]
weather__words string feature:weather@1.words 2 map[NO_KEY:1 NO_ROW:1 PRESENT:7]
weather__seen timestamp feature:weather@1.seen 3 map[NO_KEY:1 NO_ROW:1 NULL:1 PRESENT:6]
`
	if got != wanted {
		t.Errorf("found\n%s\nexpected\n%s", got, wanted)
	}
}

func TestKeyMapping(t *testing.T) {
	w := newWorld(t)
	w.publishAll(t)
	s := someFlights()
	m, plain := w.build(t, s, "")
	renamed := spine{columns: slices.Clone(s.columns), rows: s.rows}
	renamed.columns[1].Name, renamed.columns[2].Name = "from", "at"
	mapped, out, err := w.tryBuild(renamed.arrow(t, 3), Request{KeyMapping: map[string]string{"origin": "from"}, TimestampColumn: "at", Name: "mapped"})
	if err != nil {
		t.Fatal(err)
	}
	_, want := readResult(t, plain)
	columns, rows := readResult(t, out)
	if !slices.Equal(rows, want) || columns[1].Name != "from" {
		t.Errorf("found %v %q, expected %q", columns, rows, want)
	}
	if mapped.ContentDigest == m.ContentDigest || mapped.Ref() != "mapped@1" || mapped.KeyMapping["origin"] != "from" || mapped.TimestampColumn != "at" {
		t.Errorf("found %+v", mapped)
	}
	// The mapping is part of what is had again.
	var again bytes.Buffer
	if _, err := w.builder.Fetch(context.Background(), mapped, planOf(w.service, mapped.KeyMapping), &again); err != nil || !bytes.Equal(again.Bytes(), out) {
		t.Errorf("fetched other bytes, %v", err)
	}
}

func TestAsOf(t *testing.T) {
	w := newWorld(t)
	w.publishAll(t)
	s := someFlights()
	before, first := w.build(t, s, "")
	time.Sleep(2 * time.Millisecond)
	between := time.Now()
	time.Sleep(2 * time.Millisecond)
	corrected := someDelays()
	corrected[1].Values = []feature.Value{feature.Float64(21), feature.Int64(22)}
	w.publish(t, "delays", corrected[1:]...)
	after, second := w.build(t, s, "")
	w.expect(t, s, after, second)
	if before.Position != 3 || after.Position != 4 || before.ContentDigest == after.ContentDigest {
		t.Fatalf("found positions %d and %d, and digests %s and %s", before.Position, after.Position, before.ContentDigest, after.ContentDigest)
	}
	for _, c := range []struct {
		asOf string
		want *Manifest
		out  []byte
	}{
		{"pos:3", before, first}, {"pos:4", after, second}, {"run:delays@1/2", after, second}, {"run:traffic@1/1", before, first},
		{between.UTC().Format(time.RFC3339Nano), before, first}, {time.Now().Add(time.Hour).Format(time.RFC3339), after, second},
	} {
		m, out := w.build(t, s, c.asOf)
		if m.Position != c.want.Position || m.ContentDigest != c.want.ContentDigest || !bytes.Equal(out, c.out) {
			t.Errorf("as of %s: found position %d and digest %s, expected %d and %s", c.asOf, m.Position, m.ContentDigest, c.want.Position, c.want.ContentDigest)
		}
	}
	for asOf, want := range map[string]string{
		"pos:5":          "position 5 is not reached yet; the newest is 4",
		"pos:-1":         "as-of: found \"pos:-1\", expected `pos:N`, `run:VIEW@VERSION/SEQ` or a time such as 2001-02-01T00:00:00Z",
		"yesterday":      "as-of: found \"yesterday\", expected `pos:N`, `run:VIEW@VERSION/SEQ` or a time such as 2001-02-01T00:00:00Z",
		"run:delays@1/3": "no run delays@1/3 was published; see `headwater runs list --view delays`",
		"run:delays/3":   "as-of: found \"run:delays/3\", expected `pos:N`, `run:VIEW@VERSION/SEQ` or a time such as 2001-02-01T00:00:00Z",
		"pos:2": "view traffic@1: no run of it was published by position 2, so every value would be missing; " +
			"run `headwater materialize traffic@1 --wait` first",
		"2000-01-01T00:00:00Z": "view delays@1: no run of it was published by position 0, so every value would be missing; " +
			"run `headwater materialize delays@1 --wait` first\n" +
			"view traffic@1: no run of it was published by position 0, so every value would be missing; " +
			"run `headwater materialize traffic@1 --wait` first\n" +
			"view weather@1: no run of it was published by position 0, so every value would be missing; " +
			"run `headwater materialize weather@1 --wait` first",
	} {
		_, out, err := w.tryBuild(s.arrow(t, 10), Request{AsOf: asOf})
		if err == nil || err.Error() != want || fault.As(err) == nil || len(out) > 0 {
			t.Errorf("as of %s: found %v, expected %s", asOf, err, want)
		}
	}
}

// Law 7, after every kind of later run.
func TestADatasetIsHadAgain(t *testing.T) {
	w := newWorld(t)
	w.publishAll(t)
	s := someFlights()
	m, out := w.build(t, s, "")
	rows := someDelays()
	rows[0].Values = []feature.Value{feature.Float64(99), feature.Int64(99)}
	w.publish(t, "delays", append(rows, row("ORD", hours(3.5), hours(3.5), feature.Float64(1), feature.Int64(1)))...)
	w.publish(t, "delays")
	w.publish(t, "delays", someDelays()...)
	w.publish(t, "traffic")
	// A run that was not published, and is not undone yet.
	w.exec(t, `UPDATE headwater_history.weather_v1 SET seq_to = 2 WHERE seq_from = 1`)
	w.exec(t, `INSERT INTO headwater_history.weather_v1 (entity_key, event_time, available_at, seq_from, words) VALUES ('ORD', $1, $1, 2, 'later')`, hours(3).Time())
	for _, ref := range []string{m.ID, m.Ref()} {
		if differences := w.verify(t, ref); len(differences) > 0 {
			t.Errorf("%s: found %q", ref, differences)
		}
		sent, again, err := w.fetch(t, ref)
		if err != nil || !bytes.Equal(again, out) || sent.ArrowSHA256 != m.ArrowSHA256 || sent.ContentDigest != m.ContentDigest {
			t.Errorf("%s: fetched other bytes, %v", ref, err)
		}
	}
	kept, err := Find(context.Background(), w.pool, m.ID)
	if err != nil || fmt.Sprintf("%+v", kept.Columns) != fmt.Sprintf("%+v", m.Columns) || kept.Position != 3 || !kept.CreatedAt.Equal(m.CreatedAt) {
		t.Errorf("found the manifest %+v, %v", kept, err)
	}
	if later, _ := w.build(t, s, ""); later.ContentDigest == m.ContentDigest {
		t.Error("the history changed and the newest dataset did not")
	}
	if _, err := Find(context.Background(), w.pool, "model@9"); fault.ReasonOf(err) != fault.NotFound {
		t.Errorf("found %v", err)
	}
}

// The same content written by another version of the writer is the same dataset, in bytes of its own.
func TestBytesOfAnotherWriter(t *testing.T) {
	w := newWorld(t)
	w.publishAll(t)
	m, out := w.build(t, someFlights(), "")
	w.exec(t, `UPDATE headwater.dataset SET manifest = manifest || '{"arrow_writer": "another", "arrow_sha256": "00"}' WHERE id = $1`, m.ID)
	sent, again, err := w.fetch(t, m.ID)
	if err != nil || !bytes.Equal(again, out) {
		t.Fatalf("found other bytes, %v", err)
	}
	if sent.ArrowWriter != ArrowWriter || sent.ArrowSHA256 != m.ArrowSHA256 || sent.ContentDigest != m.ContentDigest {
		t.Errorf("found the manifest %+v, expected this writer and what its bytes sum to", sent)
	}
	if kept, err := Find(context.Background(), w.pool, m.ID); err != nil || kept.ArrowWriter != "another" {
		t.Errorf("found the kept manifest %+v, %v", kept, err)
	}
}

func TestWhatWasTamperedWithIsNotSent(t *testing.T) {
	for name, c := range map[string]struct {
		sql  string
		want []string
	}{
		"a value": {`UPDATE headwater_history.delays_v1 SET mean = 21 WHERE entity_key = 'ORD' AND mean = 20`,
			[]string{"found content digest ", "found Arrow SHA-256 ", "column delays__mean: found least -0.5, greatest 30, mean 20.416666666666668, " +
				"0 NaN, 3 distinct, expected least -0.5, greatest 30, mean 19.916666666666668, 0 NaN, 3 distinct"}},
		"a value gone": {`UPDATE headwater_history.delays_v1 SET mean = NULL WHERE entity_key = 'ORD' AND mean = 20`,
			[]string{"found content digest ", "found Arrow SHA-256 ", "column delays__mean: found 6 missing values, expected 3",
				"column delays__mean: found NOT_YET_KNOWN in 1 rows, NO_KEY in 1 rows, NO_ROW in 1 rows, NULL in 3 rows, PRESENT in 3 rows, " +
					"expected NOT_YET_KNOWN in 1 rows, NO_KEY in 1 rows, NO_ROW in 1 rows, PRESENT in 6 rows",
				"column delays__mean: found least -0.5, greatest 30, mean 19.833333333333332, 0 NaN, 2 distinct, expected least -0.5, greatest 30, mean "}},
		"a row gone": {`DELETE FROM headwater_history.traffic_v1 WHERE entity_key = 'JFK|8'`,
			[]string{"column traffic__load: found EXPIRED in 1 rows, NO_KEY in 2 rows, NO_ROW in 2 rows, PRESENT in 4 rows, " +
				"expected EXPIRED in 1 rows, NOT_YET_KNOWN in 1 rows, NO_KEY in 2 rows, NO_ROW in 1 rows, PRESENT in 4 rows"}},
		"the spine gone": {`DELETE FROM headwater.dataset_spine`, []string{"kept spine: found it damaged, expected digest "}},
		"the spine cut off": {`UPDATE headwater.dataset_spine SET data = substring(data for length(data) - 8)`,
			[]string{"kept spine: found it damaged, expected digest "}},
		"another spine": {`UPDATE headwater.dataset_spine SET data = o.data FROM (SELECT data FROM headwater.dataset_spine WHERE dataset_id =
			(SELECT id FROM headwater.dataset WHERE name = 'other')) o`, []string{"kept spine: found digest "}},
		"a spine without its time": {`UPDATE headwater.dataset_spine SET data = o.data FROM (SELECT data FROM headwater.dataset_spine WHERE dataset_id =
			(SELECT id FROM headwater.dataset WHERE name = 'renamed')) o`, []string{"kept spine: found it damaged, expected digest "}},
		"a summary": {`UPDATE headwater.dataset SET manifest = jsonb_set(manifest, '{columns,5,summary,max}', '31')`,
			[]string{"column delays__mean: found least -0.5, greatest 30, mean 19.916666666666668, 0 NaN, 3 distinct, expected least -0.5, greatest 31, mean"}},
		"the runs": {`UPDATE headwater.dataset SET manifest = jsonb_set(manifest, '{views,0,runs}', '[1, 7]')`,
			[]string{"view delays@1: found values of runs 1, expected runs 1, 7"}},
		"the rows of the spine": {`UPDATE headwater.dataset SET manifest = jsonb_set(manifest, '{spine_rows}', '8')`,
			[]string{"found 9 rows of the spine, expected 8"}},
		"the fingerprint": {`UPDATE headwater.dataset SET manifest = jsonb_set(manifest, '{views,0,fingerprint}', '"00"')`,
			[]string{"view: found delays@1 with fingerprint 01"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.publishAll(t)
			m, _ := w.build(t, someFlights(), "")
			if strings.Contains(c.sql, "'other'") {
				if _, _, err := w.tryBuild(flights(flight(1, "ORD", hours(4), 7)).arrow(t, 1), Request{Name: "other"}); err != nil {
					t.Fatal(err)
				}
			}
			if strings.Contains(c.sql, "'renamed'") {
				s := someFlights()
				s.columns[2].Name = "at"
				if _, _, err := w.tryBuild(s.arrow(t, 1), Request{Name: "renamed", TimestampColumn: "at"}); err != nil {
					t.Fatal(err)
				}
			}
			w.exec(t, c.sql)
			differences := w.verify(t, m.ID)
			if len(differences) != len(c.want) {
				t.Fatalf("found the differences %q, expected %d", differences, len(c.want))
			}
			for i, d := range differences {
				if !strings.HasPrefix(d, c.want[i]) {
					t.Errorf("found %q, expected %q", d, c.want[i])
				}
			}
			_, sent, err := w.fetch(t, m.ID)
			if len(sent) > 0 {
				t.Errorf("found %d bytes sent", len(sent))
			}
			wantFault(t, err, fault.DigestMismatch, "dataset "+m.ID+" cannot be had again: "+strings.Join(differences, "; ")+"; nothing was sent")
		})
	}
}

// Whichever byte of a kept spine changes: the dataset is the same, or it is said not to be.
func TestEveryByteOfAKeptSpine(t *testing.T) {
	w := newWorld(t)
	w.publishAll(t)
	m, out := w.build(t, someFlights(), "")
	n := w.count(t, `SELECT length(data) FROM headwater.dataset_spine`)
	found := 0
	for at := int64(0); at < n; at += 29 {
		const flip = `UPDATE headwater.dataset_spine SET data = set_byte(data, $1, get_byte(data, $1) # 129)`
		w.exec(t, flip, at)
		spine, difference, err := loadSpine(context.Background(), w.pool, m)
		switch {
		case err != nil:
			t.Errorf("byte %d: found %v, expected a difference or none", at, err)
		case difference != "":
			found++
		default:
			spine.close()
			if _, again, err := w.fetch(t, m.ID); err != nil || !bytes.Equal(again, out) {
				t.Errorf("byte %d: fetched other bytes, %v", at, err)
			}
		}
		w.exec(t, flip, at)
	}
	if found == 0 {
		t.Error("found no byte that matters")
	}
}

func TestConcurrentBuildsAreNumbered(t *testing.T) {
	w := newWorld(t)
	w.publishAll(t)
	stream := someFlights().arrow(t, 2)
	const n = 12
	versions := make([]int, n)
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() {
			m, _, err := w.tryBuild(stream, Request{Name: "same"})
			if err != nil {
				t.Error(err)
				return
			}
			versions[i] = m.Version
		})
	}
	group.Wait()
	slices.Sort(versions)
	for i, v := range versions {
		if v != i+1 {
			t.Fatalf("found versions %v, expected 1 to %d", versions, n)
		}
	}
	all, err := List(context.Background(), w.pool, "same")
	if err != nil || len(all) != n || all[0].Version != n || all[n-1].Version != 1 {
		t.Errorf("found %d, %v, expected the newest first", len(all), err)
	}
	if none, err := List(context.Background(), w.pool, "other"); err != nil || len(none) != 0 {
		t.Errorf("found %v, %v", none, err)
	}
}

// waiting is a reader that stays where it is when its bytes are used up, until ctx ends.
type waiting struct {
	ctx     context.Context
	r       io.Reader
	reached chan struct{}
}

func (r *waiting) Read(b []byte) (int, error) {
	n, err := r.r.Read(b)
	if err == io.EOF {
		close(r.reached)
		<-r.ctx.Done()
		return 0, r.ctx.Err()
	}
	return n, err
}

func TestACancelledBuildLeavesNothing(t *testing.T) {
	w := newWorld(t)
	w.randomHistory(t, rand.New(rand.NewPCG(7, 8)))
	stream := randomSpine(rand.New(rand.NewPCG(9, 10)), 30_000).arrow(t, 1000)
	t.Run("while the spine comes", func(t *testing.T) {
		w.leavesNothing(t, func() {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			in := &waiting{ctx, bytes.NewReader(stream[:len(stream)/2]), make(chan struct{})}
			go func() {
				<-in.reached
				cancel()
			}()
			if _, err := w.builder.Build(ctx, Request{Plan: w.plan()}, in, io.Discard); !errors.Is(err, context.Canceled) {
				t.Errorf("found %v", err)
			}
		})
	})
	t.Run("while it is assembled", func(t *testing.T) {
		w.leavesNothing(t, func() {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			// A lock on one history holds its stage where it is.
			tx, err := w.pool.Begin(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			defer tx.Rollback(context.Background())
			if _, err := tx.Exec(context.Background(), "LOCK TABLE headwater_history.traffic_v1"); err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() {
				_, err := w.builder.Build(ctx, Request{Plan: w.plan()}, bytes.NewReader(stream), io.Discard)
				done <- err
			}()
			for w.count(t, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`) == 0 {
				time.Sleep(5 * time.Millisecond)
			}
			cancel()
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Errorf("found %v", err)
			}
			if err := tx.Rollback(context.Background()); err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("while nobody reads", func(t *testing.T) {
		w.leavesNothing(t, func() {
			out := newBlocked()
			go func() {
				<-out.reached
				close(out.released)
			}()
			if _, err := w.builder.Build(context.Background(), Request{Plan: w.plan()}, bytes.NewReader(stream), out); !errors.Is(err, errGone) {
				t.Errorf("found %v", err)
			}
		})
	})
	t.Run("by the source", func(t *testing.T) {
		w.leavesNothing(t, func() {
			in := io.MultiReader(bytes.NewReader(stream[:len(stream)/2]), iotest.ErrReader(errGone))
			if _, err := w.builder.Build(context.Background(), Request{Plan: w.plan()}, in, io.Discard); err != errGone {
				t.Errorf("found %v, expected what the source said", err)
			}
		})
	})
}

// Clients that do not read keep nobody from building.
func TestClientsThatStopReading(t *testing.T) {
	w := newWorld(t)
	w.publishAll(t)
	stream := someFlights().arrow(t, 2)
	var group sync.WaitGroup
	var stuck []*blocked
	for range maxAssemblies + 1 {
		out := newBlocked()
		stuck = append(stuck, out)
		group.Go(func() {
			if _, err := w.builder.Build(context.Background(), Request{Plan: w.plan()}, bytes.NewReader(stream), out); !errors.Is(err, errGone) {
				t.Errorf("found %v", err)
			}
		})
		<-out.reached
	}
	if n := w.count(t, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'`); n > 0 {
		t.Errorf("found %d transactions that wait for clients", n)
	}
	m, _ := w.build(t, someFlights(), "")
	if m.Version != 1 {
		t.Errorf("found version %d", m.Version)
	}
	for _, out := range stuck {
		close(out.released)
	}
	group.Wait()
	if n := w.count(t, `SELECT count(*) FROM headwater.dataset`); n != 1 {
		t.Errorf("found %d datasets, expected the one that was read", n)
	}
}

func TestAFailingStageIsOneError(t *testing.T) {
	w := newWorld(t)
	w.randomHistory(t, rand.New(rand.NewPCG(11, 12)))
	s := randomSpine(rand.New(rand.NewPCG(13, 14)), 5000)
	m, _ := w.build(t, s, "")
	for _, c := range []struct{ sql, view string }{
		{"DROP TABLE headwater_history.traffic_v1", "traffic@1"},
		{"ALTER TABLE headwater_history.weather_v1 RENAME COLUMN words TO other", "delays@1 or weather@1"},
	} {
		w.leavesNothing(t, func() {
			w.exec(t, c.sql)
			want := "the history of " + c.view + " cannot be read: a table or a column of it is not there; bring it back, for runs do not make it again"
			_, out, err := w.tryBuild(s.arrow(t, 999), Request{})
			if len(out) > 0 {
				t.Errorf("found %d bytes of a build that failed", len(out))
			}
			if c.view == "traffic@1" {
				wantFault(t, err, fault.FailedPrecondition, want)
				_, err = w.builder.Verify(context.Background(), m, w.plan())
				wantFault(t, err, fault.FailedPrecondition, want)
				_, out, err := w.fetch(t, m.ID)
				wantFault(t, err, fault.FailedPrecondition, want)
				if len(out) > 0 {
					t.Errorf("found %d bytes of a fetch that failed", len(out))
				}
			} else if fault.ReasonOf(err) != fault.FailedPrecondition {
				t.Errorf("found %v", err)
			}
		})
	}
}

func TestAPanicInAStageIsAnError(t *testing.T) {
	w := newWorld(t)
	w.publishAll(t)
	plan := w.plan()
	plan.Views[1].Filter = &read.Filter{Holds: func([]feature.Value) bool { panic("a filter") }}
	_, out, err := w.tryBuild(someFlights().arrow(t, 2), Request{Plan: plan})
	if err == nil || fault.As(err) != nil || !strings.Contains(err.Error(), "a filter") || len(out) > 0 {
		t.Errorf("found %v and %d bytes", err, len(out))
	}
}
