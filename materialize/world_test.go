package materialize

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/reference"
	"github.com/headwaterhq/headwater/internal/testenv"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/online"
	"github.com/headwaterhq/headwater/read"
)

// world is a database and a Redis with sources and views to run.
type world struct {
	pool  *pgxpool.Pool
	redis redis.UniversalClient
	views map[int64]*feature.ViewVersion
	now   time.Time
	// reached and audit are called by every Materializer of the world.
	reached func(step string) error
	audit   func(r *Run) error
	m       *Materializer
	// chunkRows is about how many rows a chunk of a run reads. 0: as outside of tests.
	chunkRows int64
}

var worldCounter atomic.Int64

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		pool: testenv.Postgres(t), redis: testenv.Redis(t), views: map[int64]*feature.ViewVersion{},
		now:     time.Date(2024, 6, 1, 0, 0, 0, 0, time.UTC),
		reached: func(string) error { return nil },
		audit:   func(*Run) error { return nil },
	}
	w.m = w.materializer(t)
	return w
}

// newChunkedWorld is newWorld whose runs are cut into chunks of about so many rows.
func newChunkedWorld(t *testing.T, rows int64) *world {
	t.Helper()
	w := newWorld(t)
	w.chunkRows = rows
	w.m = w.materializer(t)
	return w
}

func (w *world) materializer(t *testing.T) *Materializer {
	t.Helper()
	m, err := New(Config{
		Pool: w.pool, Writer: online.NewWriter(w.redis, online.DefaultPrefix), Reader: online.NewReader(w.redis, online.DefaultPrefix), Log: slog.New(slog.DiscardHandler),
		View:  func(id int64) *feature.ViewVersion { return w.views[id] },
		Audit: func(_ context.Context, _ pgx.Tx, r *Run) error { return w.audit(r) },
		Now:   func() time.Time { return w.now },
		Scheduled: func() []*feature.ViewVersion {
			return slices.Collect(maps.Values(w.views))
		},
		Reached: func(step string) error { return w.reached(step) }, ChunkRows: w.chunkRows,
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// start lets River work until the test ends.
func (w *world) start(t *testing.T) {
	t.Helper()
	m := w.materializer(t)
	if err := m.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := m.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
}

// The transforms that tests run: SQL, and the same in Go.

// latest keeps one row per key and moment: the greatest value, and how many there were.
const latest = `
	SELECT name, room, event_time, available_at, max(value) AS value, count(*) AS rows
	FROM %s
	WHERE event_time >= {{interval.start}} AND event_time < {{interval.end}} AND name IS NOT NULL AND room IS NOT NULL
	GROUP BY name, room, event_time, available_at`

// hourly is the mean of each hour, true at its end and known when the last of its rows is.
const hourly = `
	SELECT name, room, date_trunc('hour', event_time) + interval '1 hour' AS event_time,
		greatest(date_trunc('hour', event_time) + interval '1 hour', max(available_at)) AS available_at,
		max(value) AS value, count(*) AS rows
	FROM %s
	WHERE event_time >= {{interval.start}} AND event_time < {{interval.end}} AND name IS NOT NULL AND room IS NOT NULL
	GROUP BY name, room, date_trunc('hour', event_time)`

// newSource makes a source of readings with a name of its own.
func (w *world) newSource(t testing.TB) *feature.SourceVersion {
	t.Helper()
	return w.newSourceWith(t, func(*feature.Source) {})
}

// newSourceWith is newSource, changed before it is made.
func (w *world) newSourceWith(t testing.TB, change func(*feature.Source)) *feature.SourceVersion {
	t.Helper()
	src := &feature.SourceVersion{Version: 1, Source: feature.Source{
		Name: fmt.Sprintf("readings%d", worldCounter.Add(1)),
		Columns: []feature.Column{
			{Name: "at", Type: feature.TypeTimestamp}, {Name: "seen", Type: feature.TypeTimestamp},
			{Name: "name", Type: feature.TypeString}, {Name: "room", Type: feature.TypeInt64},
			{Name: "value", Type: feature.TypeFloat64},
		},
		EventTime: "at", ArrivalColumn: "seen",
	}}
	change(&src.Source)
	w.inTx(t, func(ctx context.Context, tx pgx.Tx) error { return offline.CreateSource(ctx, tx, nil, src) })
	return src
}

// newView makes a view of src; query has a %s for the source's name.
func (w *world) newView(t testing.TB, src *feature.SourceVersion, query string, grain time.Duration) *feature.ViewVersion {
	t.Helper()
	return w.newViewOf(t, feature.TypeFloat64, src, query, grain)
}

// newTextView is newView with a value of type string, of rows as they are.
func (w *world) newTextView(t testing.TB, src *feature.SourceVersion, query string) *feature.ViewVersion {
	t.Helper()
	return w.newViewOf(t, feature.TypeString, src, query, 0)
}

func (w *world) newViewOf(t testing.TB, value feature.Type, src *feature.SourceVersion, query string, grain time.Duration) *feature.ViewVersion {
	t.Helper()
	return w.add(t, src, feature.View{
		Grain:      grain,
		Features:   []feature.Column{{Name: "value", Type: value}},
		Attributes: []feature.Column{{Name: "rows", Type: feature.TypeInt64}},
		SQL:        &feature.SQLTransform{Sources: []string{src.Name}, Query: fmt.Sprintf(query, src.Name)},
	})
}

// add makes a view of sensors over src, with a name of its own.
func (w *world) add(t testing.TB, src *feature.SourceVersion, view feature.View) *feature.ViewVersion {
	t.Helper()
	view.Name, view.Entity = fmt.Sprintf("view%d", worldCounter.Add(1)), "sensor"
	v := &feature.ViewVersion{
		Version: 1, Fingerprint: sha256.Sum256([]byte(view.Name)), SourceVersions: []*feature.SourceVersion{src},
		EntityVersion: &feature.EntityVersion{Version: 1, Entity: feature.Entity{Name: "sensor", JoinKeys: []feature.Column{
			{Name: "name", Type: feature.TypeString}, {Name: "room", Type: feature.TypeInt64},
		}}},
		View: view,
	}
	w.createView(t, v)
	return v
}

// createView does for a view what an apply does.
func (w *world) createView(t testing.TB, v *feature.ViewVersion) {
	t.Helper()
	w.inTx(t, func(ctx context.Context, tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `
			INSERT INTO headwater.definition (kind, name, version, fingerprint, body, revision, applied_at, applied_by)
			VALUES ('view', $1, 1, $2, '{}', 1, now(), 'test') RETURNING id`, v.Name, v.Fingerprint[:]).Scan(&v.ID)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO headwater.view_state (view_id) VALUES ($1)`, v.ID); err != nil {
			return err
		}
		if _, err := offline.CheckView(ctx, tx, v); err != nil {
			return err
		}
		return offline.CreateHistory(ctx, tx, v)
	})
	w.views[v.ID] = v
}

func (w *world) inTx(t testing.TB, do func(context.Context, pgx.Tx) error) {
	t.Helper()
	ctx := context.Background()
	if err := pgx.BeginFunc(ctx, w.pool, func(tx pgx.Tx) error { return do(ctx, tx) }); err != nil {
		t.Fatal(err)
	}
}

// day is the instants that rows of tests lie around.
var day = feature.TimeOf(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC))

func hours(n float64) feature.Time { return day + feature.Time(n*float64(time.Hour/time.Microsecond)) }

// reading is one row of the source, known as soon as it is true.
func reading(name string, room int64, at feature.Time, value float64) reference.SourceRow {
	return lateReading(name, room, at, at, feature.Float64(value))
}

func lateReading(name string, room int64, at, seen feature.Time, value feature.Value) reference.SourceRow {
	return reference.SourceRow{EventTime: at, AvailableAt: seen, Values: []feature.Value{
		feature.Timestamp(at), feature.Timestamp(seen), feature.String(name), feature.Int64(room), value,
	}}
}

// load appends rows, in the place of load replaces unless that is 0, and returns the load's id.
func (w *world) load(t testing.TB, src *feature.SourceVersion, replaces int64, rows ...reference.SourceRow) int64 {
	t.Helper()
	load, err := w.tryLoad(src, replaces, slices.Values(rows))
	if err != nil {
		t.Fatal(err)
	}
	return load.ID
}

func (w *world) tryLoad(src *feature.SourceVersion, replaces int64, rows iter.Seq[reference.SourceRow]) (*offline.Load, error) {
	file := fmt.Sprintf("file%d", worldCounter.Add(1))
	req := offline.LoadRequest{
		Source: src, FileName: file, FileSHA256: sha256.Sum256([]byte(file)), Replaces: replaces, Principal: "test",
	}
	return offline.AppendLoad(context.Background(), w.pool, req, func(yield func([]feature.Value, error) bool) {
		for r := range rows {
			if !yield(r.Values, nil) {
				return
			}
		}
	})
}

// enqueue records a run as asked for; nil bounds reach as far as the source.
func (w *world) enqueue(t testing.TB, v *feature.ViewVersion, interval *reference.Interval) *Run {
	t.Helper()
	req := Request{View: v, Principal: "test", Full: interval == nil}
	if interval != nil {
		from, to := interval.Start.Time(), interval.End.Time()
		req.From, req.To = &from, &to
	}
	runs, err := w.m.Enqueue(context.Background(), []Request{req})
	if err != nil {
		t.Fatal(err)
	}
	return runs[0]
}

// run carries a run to its end here, without River.
func (w *world) run(t testing.TB, v *feature.ViewVersion, interval *reference.Interval) *Run {
	t.Helper()
	r := w.enqueue(t, v, interval)
	if err := w.work(r.ID); err != nil {
		t.Fatalf("run: %v", err)
	}
	return w.get(t, r.ID)
}

// runIncremental is run for an incremental run.
func (w *world) runIncremental(t testing.TB, v *feature.ViewVersion) *Run {
	t.Helper()
	runs, err := w.m.Enqueue(context.Background(), []Request{{View: v, Principal: "test"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.work(runs[0].ID); err != nil {
		t.Fatalf("run: %v", err)
	}
	return w.get(t, runs[0].ID)
}

// published is run, for one that must succeed, loaded online.
func (w *world) published(t testing.TB, v *feature.ViewVersion, interval *reference.Interval) *Run {
	t.Helper()
	r := w.run(t, v, interval)
	if r.State != Published {
		t.Fatalf("found run %s %s (%s), expected it published", r.Ref(), r.State, r.Error)
	}
	if err := w.m.loader.load(context.Background(), r.ID); err != nil {
		t.Fatalf("load of run %s: %v", r.Ref(), err)
	}
	return r
}

// work works on a run as a job does: while the lease is held it asks again. Where a run was broken off, Postgres may see the end of
// its connection, and so of its lease, a moment later.
func (w *world) work(id int64) error {
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		err := w.m.runner.run(context.Background(), id)
		if !errors.Is(err, errLeaseHeld) || time.Now().After(deadline) {
			return err
		}
	}
}

func (w *world) get(t testing.TB, id int64) *Run {
	t.Helper()
	r, err := Get(context.Background(), w.pool, id)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// await waits until a run has ended and, when published, is loaded.
func (w *world) await(t testing.TB, id int64) *Run {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		r := w.get(t, id)
		if r.State.Ended() && (r.State != Published || r.OnlineState == OnlineLoaded) {
			return r
		}
		if time.Now().After(deadline) {
			t.Fatalf("run %d is still %s (%s)", id, r.State, r.OnlineState)
		}
	}
}

// history is every row of the view's history table, in a fixed order.
func (w *world) history(t testing.TB, v *feature.ViewVersion) []reference.HistoryRow {
	t.Helper()
	rows, err := w.pool.Query(context.Background(), fmt.Sprintf(`
		SELECT entity_key, event_time, available_at, seq_from, seq_to, value, rows FROM headwater_history.%s_v1
		ORDER BY entity_key, event_time, available_at, seq_from`, v.Name))
	if err != nil {
		t.Fatal(err)
	}
	history, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r reference.HistoryRow, err error) {
		var event, available time.Time
		var value *float64
		var count *int64
		err = row.Scan(&r.Key, &event, &available, &r.SeqFrom, &r.SeqTo, &value, &count)
		r.EventTime, r.AvailableAt = feature.TimeOf(event), feature.TimeOf(available)
		r.Values = []feature.Value{feature.Null(), feature.Null()}
		if count != nil {
			r.Values[1] = feature.Int64(*count)
		}
		if value != nil {
			r.Values[0] = feature.Float64(*value)
		}
		return r, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return history
}

// describe is a history as text that is the same for equal histories, whatever their order.
func describe(rows []reference.HistoryRow) string {
	lines := make([]string, len(rows))
	for i := range rows {
		r := &rows[i]
		to := "live"
		if r.SeqTo != reference.Live {
			to = fmt.Sprint(r.SeqTo)
		}
		w := read.Winner{Status: read.Present, EventTime: r.EventTime, AvailableAt: r.AvailableAt, RunSeq: r.SeqFrom, Values: r.Values}
		lines[i] = fmt.Sprintf("%q [%d, %s) %s\n", r.Key, r.SeqFrom, to, reference.Describe(&w))
	}
	slices.Sort(lines)
	return fmt.Sprint(lines)
}

// online is what a read at now says of keys.
func (w *world) online(t testing.TB, v *feature.ViewVersion, keys ...string) []read.Winner {
	t.Helper()
	plan, err := read.NewPlan(&feature.ServiceVersion{Pins: []feature.ServicePin{{View: v, Features: []int{0}}}}, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	asked := make([]online.Key, len(keys))
	for i, k := range keys {
		asked[i] = online.Key{Text: k, OK: true}
	}
	winners, err := online.NewReader(w.redis, online.DefaultPrefix).Read(context.Background(), online.NewPlan(plan),
		[][]online.Key{asked}, feature.TimeOf(w.now))
	if err != nil {
		t.Fatal(err)
	}
	return winners[0]
}

func (w *world) count(t testing.TB, query string, args ...any) (n int64) {
	t.Helper()
	if err := w.pool.QueryRow(context.Background(), query, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// digestOf tells histories apart in few bytes.
func digestOf(rows []reference.HistoryRow, seq int64) feature.Digest {
	var d feature.SetDigest
	for i := range rows {
		if rows[i].Visible(seq) {
			d.Add(binary.BigEndian.AppendUint64(rows[i].AppendCanonical(nil), uint64(rows[i].SeqFrom)))
		}
	}
	return d.Digest()
}
