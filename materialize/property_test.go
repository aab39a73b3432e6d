package materialize

import (
	"context"
	"errors"
	"flag"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/reference"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/read"
)

// model is a world's source and view, as the reference has them.
type model struct {
	source  reference.Source
	history reference.History
	online  reference.Online
	grain   time.Duration
	// windows is set for a view of aggregations, whose hop is the grain; begins says whether the run that was owned last
	// begins its coverage.
	windows *reference.Aggregation
	begins  bool
	seq     int64
	covered reference.Interval
	// ids are those of the loads, by number.
	ids []int64
	// rows draws those of a load, drawReadings when it is nil.
	rows *rapid.Generator[[]reference.SourceRow]
	// seen is what a reader at each sequence saw when it was published.
	seen map[int64]feature.Digest
}

// transform is `latest`, or with a grain `hourly`, in Go.
func (m *model) transform(rows []reference.SourceRow) []feature.Row {
	var out []feature.Row
	for _, r := range rows {
		if r.Values[2].IsNull() || r.Values[3].IsNull() {
			continue
		}
		key, _, err := sensor.AppendKey(nil, r.Values[2:4])
		if err != nil {
			panic(err)
		}
		event, available := r.EventTime, r.AvailableAt
		if m.grain > 0 {
			event = event.Floor(m.grain).Add(m.grain)
			available = max(available, event)
		}
		i := slices.IndexFunc(out, func(o feature.Row) bool {
			return o.Key == string(key) && o.EventTime == event && (m.grain > 0 || o.AvailableAt == available)
		})
		if i < 0 {
			out = append(out, feature.Row{
				Key: string(key), EventTime: event, AvailableAt: available, Values: []feature.Value{r.Values[4], feature.Int64(1)},
			})
			continue
		}
		o := &out[i]
		o.AvailableAt = max(o.AvailableAt, available)
		o.Values = []feature.Value{greater(o.Values[0], r.Values[4]), feature.Int64(o.Values[1].Int64() + 1)}
	}
	return out
}

// greater is max(): NULLs are not looked at, and NaN is the greatest.
func greater(a, b feature.Value) feature.Value {
	switch {
	case a.IsNull():
		return b
	case b.IsNull():
		return a
	case math.IsNaN(b.Float64()):
		return b
	case b.Float64() > a.Float64():
		return b
	}
	return a
}

var sensor = &feature.Entity{Name: "sensor", JoinKeys: []feature.Column{
	{Name: "name", Type: feature.TypeString}, {Name: "room", Type: feature.TypeInt64},
}}

// owned is the span of a run that was asked for interval.
func (m *model) owned(interval *reference.Interval) reference.Interval {
	if m.windows != nil {
		return m.ownedWindows(interval)
	}
	if interval != nil {
		return reference.Interval{Start: interval.Start.Floor(m.grain), End: interval.End.Floor(m.grain)}
	}
	reach, ok := m.source.Reach(len(m.source.Loads))
	if !ok {
		return m.covered
	}
	return m.union(reference.Interval{Start: reach.Start.Floor(m.grain), End: reach.End.Ceil(m.grain)})
}

// reads is the interval that a run reads its source over, and output what it makes of the rows.
func (m *model) reads(owned reference.Interval) reference.Interval {
	if m.windows == nil {
		return owned
	}
	return reference.Interval{Start: owned.Start.Add(-longestWindow) + 1, End: owned.End + 1}
}

func (m *model) output(owned reference.Interval, rows []reference.SourceRow) []feature.Row {
	if m.windows != nil {
		return m.windows.Rows(rows, owned, m.begins, m.history.LiveRows())
	}
	return m.transform(rows)
}

func (m *model) union(i reference.Interval) reference.Interval {
	if m.covered.Start == m.covered.End {
		return i
	}
	return reference.Interval{Start: min(i.Start, m.covered.Start), End: max(i.End, m.covered.End)}
}

var drawSensors = rapid.SampledFrom([][2]feature.Value{
	{feature.String("1"), feature.Int64(23)}, {feature.String("12"), feature.Int64(3)}, {feature.String("a|"), feature.Int64(1)},
	{feature.String("a"), feature.Int64(1)}, {feature.String("é"), feature.Int64(-1)}, {feature.Null(), feature.Int64(1)},
	{feature.String(""), feature.Int64(0)}, {feature.String("a"), feature.Null()},
})

var drawReading = rapid.Custom(func(t *rapid.T) reference.SourceRow {
	key := drawSensors.Draw(t, "sensor")
	at := hours(float64(rapid.IntRange(0, 16).Draw(t, "quarters")) / 4)
	seen := at.Add(time.Duration(rapid.SampledFrom([]int{0, 0, 10, 90}).Draw(t, "late by")) * time.Minute)
	value := rapid.SampledFrom([]feature.Value{
		feature.Null(), feature.Float64(0), feature.Float64(math.Copysign(0, -1)), feature.Float64(math.NaN()), feature.Float64(1.5),
		feature.Float64(-2),
	}).Draw(t, "value")
	return reference.SourceRow{EventTime: at, AvailableAt: seen, Values: []feature.Value{
		feature.Timestamp(at), feature.Timestamp(seen), key[0], key[1], value,
	}}
})

var drawReadings = rapid.SliceOfN(drawReading, 1, 8)

// Loads, replacements, retractions and runs of any interval, in any order: after each run history, ledger, digest and
// online rows are the reference's, every earlier sequence reads as it did, and at the end one run over everything leaves
// what computing all from the live rows gives.
func TestRunsAreTheReference(t *testing.T) {
	w := newWorld(t)
	setChecks(t, "20")
	for _, c := range []struct {
		name  string
		query string
		grain time.Duration
	}{{"rows", latest, 0}, {"groups", hourly, time.Hour}, {"windows", "", 30 * time.Minute}} {
		t.Run(c.name, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				src := w.newSource(t)
				m := &model{grain: c.grain, seen: map[int64]feature.Digest{}}
				var view *feature.ViewVersion
				if c.query == "" {
					view = w.newWindowView(t, src, c.grain)
					m.windows = &reference.Aggregation{View: &view.View, Source: &src.Source, Entity: sensor, Holds: isPositive}
				} else {
					view = w.newView(t, src, c.query, c.grain)
				}
				m.load(rt, w, t, src, 0)
				for range rapid.IntRange(1, 6).Draw(rt, "steps") {
					m.step(rt, w, t, src, view)
				}
				m.run(rt, w, t, view, nil)
				m.begins = true
				rows, _, _, _ := m.source.Resolved(len(m.source.Loads), m.reads(m.covered))
				all := m.output(m.covered, rows)
				if got, want := reference.Digest(m.history.LiveRows()), reference.Digest(all); got != want {
					rt.Fatalf("the live rows are not those of one run over everything")
				}
			})
		})
	}
}

func duplicatesOf(reasons []LedgerReason) []LedgerReason {
	return slices.DeleteFunc(slices.Clone(reasons), func(r LedgerReason) bool { return r.Bucket != "duplicate" })
}

// setChecks sets how many cases are drawn, unless the command line does.
func setChecks(t *testing.T, n string) {
	t.Helper()
	f := flag.Lookup("rapid.checks")
	was := f.Value.String()
	if was != f.DefValue {
		return
	}
	if err := f.Value.Set(n); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Value.Set(was) })
}

func (m *model) step(rt *rapid.T, w *world, t *testing.T, src *feature.SourceVersion, view *feature.ViewVersion) {
	live := m.source.LiveLoads(len(m.source.Loads))
	ended := func() int { return rapid.SampledFrom(live).Draw(rt, "ended") }
	switch what := rapid.SampledFrom([]string{"run", "incremental", "incremental", "load", "replace", "retract"}).Draw(rt, "what"); {
	case what == "incremental":
		m.runIncremental(rt, w, t, view)
	case what == "load" || (what != "run" && len(live) == 0):
		m.load(rt, w, t, src, 0)
	case what == "replace":
		m.load(rt, w, t, src, ended())
	case what == "retract":
		number := ended()
		if _, err := offline.RetractLoad(context.Background(), w.pool, m.ids[number-1], "wrong", "test"); err != nil {
			rt.Fatal(err)
		}
		m.ids = append(m.ids, 0)
		m.source.Append(reference.Load{Ends: number})
	case rapid.Bool().Draw(rt, "everything"):
		m.run(rt, w, t, view, nil)
	default:
		from := rapid.IntRange(-1, 5).Draw(rt, "from")
		to := from + rapid.IntRange(1, 4).Draw(rt, "hours")
		m.run(rt, w, t, view, &reference.Interval{Start: hours(float64(from)), End: hours(float64(to))})
	}
}

func (m *model) draw() *rapid.Generator[[]reference.SourceRow] {
	if m.rows == nil {
		return drawReadings
	}
	return m.rows
}

func (m *model) load(rt *rapid.T, w *world, t *testing.T, src *feature.SourceVersion, replaces int) {
	rows := m.draw().Draw(rt, "rows")
	var id int64
	if replaces > 0 {
		id = m.ids[replaces-1]
	}
	m.ids = append(m.ids, w.load(t, src, id, rows...))
	m.source.Append(reference.Load{Ends: replaces, Rows: rows})
}

// run is a run of an interval, or a full one.
func (m *model) run(rt *rapid.T, w *world, t *testing.T, view *feature.ViewVersion, interval *reference.Interval) {
	// The clock stands among the rows' own times.
	w.now = hours(rapid.Float64Range(0, 6).Draw(rt, "now")).Time()
	owned := m.owned(interval)
	r := w.run(t, view, interval)
	if r.State == Published {
		if found := (reference.Interval{Start: r.Interval.Start, End: r.Interval.End}); found != owned {
			rt.Fatalf("found the interval %v, expected %v", found, owned)
		}
	}
	m.ran(rt, w, t, view, r, []reference.Interval{owned})
}

// runIncremental is an incremental run: what it leaves is what a full one would.
func (m *model) runIncremental(rt *rapid.T, w *world, t *testing.T, view *feature.ViewVersion) {
	w.now = hours(rapid.Float64Range(0, 6).Draw(rt, "now")).Time()
	whole := m.owned(nil)
	r := w.runIncremental(t, view)
	if r.Plan == nil {
		// It found nothing to plan for.
		m.ran(rt, w, t, view, r, []reference.Interval{whole})
		return
	}
	var owned []reference.Interval
	for _, s := range r.Plan.Owned {
		owned = append(owned, reference.Interval{Start: s.Start, End: s.End})
		m.begins = m.covered.Start == m.covered.End || s.Start <= m.covered.Start
	}
	m.ran(rt, w, t, view, r, owned)
	if r.State != Published {
		return
	}
	was := m.begins
	m.begins = true
	rows, _, _, err := m.source.Resolved(len(m.source.Loads), m.reads(whole))
	if err != nil {
		rt.Fatalf("a full run would be refused: %v", err)
	}
	if got, want := m.history.LiveRows(), m.output(whole, rows); reference.Digest(got) != reference.Digest(want) {
		rt.Fatalf("found live rows after an incremental run of %v, which were covered up to %v:\n%s\nexpected those of a full run:\n%s",
			r.Spans, r.Plan.Covered, describeRows(got), describeRows(want))
	}
	m.begins = was
}

func describeRows(rows []feature.Row) string {
	list := make([]reference.HistoryRow, len(rows))
	for i := range rows {
		list[i].Row = rows[i]
	}
	return describe(list)
}

// ran holds a run, which computed owned, to the reference.
func (m *model) ran(rt *rapid.T, w *world, t *testing.T, view *feature.ViewVersion, r *Run, owned []reference.Interval) {
	var inputs []reference.SourceRow
	var exact, conflicting, read int
	var rows []feature.Row
	var refused error
	empty := false
	for _, span := range owned {
		found, e, c, err := m.source.Resolved(len(m.source.Loads), m.reads(span))
		exact, conflicting, read = exact+e, conflicting+c, read+len(m.source.Rows(len(m.source.Loads), m.reads(span)))
		inputs = append(inputs, found...)
		if empty = span.Start == span.End; !empty && err == nil {
			m.begins = m.covered.Start == m.covered.End || span.Start <= m.covered.Start
			rows = append(rows, m.output(span, found)...)
		}
		refused = errors.Join(refused, err)
	}
	if empty || refused != nil {
		if r.State != Failed {
			rt.Fatalf("found a run of nothing, or of what is refused (%v), %s", refused, r.State)
		}
		m.seq = r.Seq
		return
	}
	if r.State != Published {
		rt.Fatalf("found run %s %s: %s", r.Ref(), r.State, r.Error)
	}
	m.seq++
	if r.Seq != m.seq {
		rt.Fatalf("found sequence %d, expected %d", r.Seq, m.seq)
	}
	ledger, err := m.history.Apply(r.Seq, owned, m.grain, rows)
	if err != nil {
		rt.Fatal(err)
	}
	for _, span := range owned {
		m.covered = m.union(span)
	}
	found := reference.Ledger{
		Produced: r.Ledger.Produced, Unchanged: r.Ledger.Unchanged, Inserted: r.Ledger.Inserted, Withdrawn: r.Ledger.Withdrawn,
		Live: r.Ledger.LiveAfter,
	}
	if found != ledger {
		rt.Fatalf("found the ledger %v, expected %v", found, ledger)
	}
	if r.Ledger.Read != int64(read) {
		rt.Fatalf("found %d rows read, expected %d", r.Ledger.Read, read)
	}
	if want := duplicateReasons(int64(exact), int64(conflicting)); !slices.Equal(duplicatesOf(r.Reasons), want) {
		rt.Fatalf("found duplicates %v, expected %v", r.Reasons, want)
	}
	if want := reference.Digest(rows); r.Digest != want {
		rt.Fatalf("found digest %s, expected %s", r.Digest, want)
	}
	history := w.history(t, view)
	if got, want := describe(history), describe(m.history.Rows); got != want {
		rt.Fatalf("found history\n%s\nexpected\n%s", got, want)
	}
	m.checkKnown(rt, w, view, r)
	m.seen[r.Seq] = digestOf(history, r.Seq)
	for seq, digest := range m.seen {
		if digestOf(history, seq) != digest {
			rt.Fatalf("sequence %d reads otherwise after run %d", seq, r.Seq)
		}
	}
	for _, span := range owned {
		if m.windows != nil {
			m.checkWindows(rt, span, inputs)
		}
	}
	m.checkOnline(rt, w, t, view, r)
}

// checkKnown holds what the records say of live rows to the rows: of what the run computed they say it.
func (m *model) checkKnown(rt *rapid.T, w *world, view *feature.ViewVersion, r *Run) {
	from := rapid.IntRange(-3, 6).Draw(rt, "known from")
	some := offline.Span{Start: hours(float64(from)), End: hours(float64(from + rapid.IntRange(1, 6).Draw(rt, "known hours")))}
	for _, spans := range []offline.Spans{r.Spans, offline.NewSpans(some), r.Spans.Union(offline.NewSpans(some))} {
		known, err := knownLive(context.Background(), w.pool, view.ID, r.Seq, spans)
		if err != nil {
			rt.Fatal(err)
		}
		if known == nil {
			if slices.Equal(spans, r.Spans) {
				rt.Fatalf("found nothing known of what run %d computed", r.Seq)
			}
			continue
		}
		var live []feature.Row
		for _, row := range m.history.LiveRows() {
			if spans.Contains(row.EventTime.Add(-m.grain)) {
				live = append(live, row)
			}
		}
		if want := reference.Digest(live); known.Rows != int64(len(live)) || known.Digest != want {
			rt.Fatalf("found %d rows known to be live of %v after run %d, digest %s; expected %d, digest %s", known.Rows, spans, r.Seq,
				known.Digest, len(live), want)
		}
	}
}

// checkWindows holds what readers get at each point that the run owned to what its rows make there, whatever the runs
// before it left.
func (m *model) checkWindows(rt *rapid.T, owned reference.Interval, rows []reference.SourceRow) {
	for _, last := range m.history.LiveRows() {
		for g := owned.Start.Add(m.grain); g <= owned.End; g = g.Add(m.grain) {
			found, want := m.history.PointInTime(last.Key, g, 0, m.seq), m.windows.At(rows, last.Key, g)
			if found.Status == read.NoRow {
				found.Values = m.windows.At(nil, last.Key, g)
			}
			if !slices.EqualFunc(found.Values, want, feature.Value.Equal) {
				rt.Fatalf("%q at %s: found %v, expected %v", last.Key, g, found.Values, want)
			}
		}
	}
}

func (m *model) checkOnline(rt *rapid.T, w *world, t *testing.T, view *feature.ViewVersion, r *Run) {
	if err := w.m.loader.load(context.Background(), r.ID); err != nil {
		rt.Fatal(err)
	}
	m.online.Load(&m.history, r.Seq, feature.TimeOf(w.now))
	var keys []string
	for i := range m.history.Rows {
		keys = append(keys, m.history.Rows[i].Key)
	}
	slices.Sort(keys)
	keys = append(slices.Compact(keys), "nobody|1")
	for i, found := range w.online(t, view, keys...) {
		want := m.online.Get(keys[i], feature.TimeOf(w.now), view.TTL)
		if got, want := reference.Describe(&found), reference.Describe(&want); got != want {
			rt.Fatalf("online row of %q after run %d: found %s, expected %s", keys[i], r.Seq, got, want)
		}
	}
}
