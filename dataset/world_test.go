package dataset

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/reference"
	"github.com/headwaterhq/headwater/internal/tabular"
	"github.com/headwaterhq/headwater/internal/testenv"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/read"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// world is a database with three views of two entities, whose history is that of the reference model.
type world struct {
	pool    *pgxpool.Pool
	builder *Builder
	service *feature.ServiceVersion
	log     reference.Log
	// histories are by the name of the view.
	histories map[string]*reference.History
}

const (
	second = feature.Time(1_000_000)
	hour   = 3600 * second
	// day is where the tests' times begin.
	day = feature.Time(978_307_200) * second
)

func hours(n float64) feature.Time { return day + feature.Time(n*float64(hour)) }

// newWorld has the views delays and weather of airports, and traffic, with a TTL of six hours, of routes.
func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{pool: testenv.Postgres(t), histories: map[string]*reference.History{}}
	w.builder = NewBuilder(w.pool, "test")
	airport := &feature.EntityVersion{Version: 1, Entity: feature.Entity{Name: "airport", JoinKeys: []feature.Column{
		{Name: "origin", Type: feature.TypeString},
	}}}
	route := &feature.EntityVersion{Version: 1, Entity: feature.Entity{Name: "route", JoinKeys: []feature.Column{
		{Name: "origin", Type: feature.TypeString}, {Name: "number", Type: feature.TypeInt64},
	}}}
	delays := w.addView(t, airport, feature.View{Name: "delays", Features: []feature.Column{
		{Name: "mean", Type: feature.TypeFloat64}, {Name: "departures", Type: feature.TypeInt64},
	}})
	weather := w.addView(t, airport, feature.View{Name: "weather", Features: []feature.Column{
		{Name: "wet", Type: feature.TypeBool}, {Name: "words", Type: feature.TypeString}, {Name: "seen", Type: feature.TypeTimestamp},
	}, Attributes: []feature.Column{{Name: "station", Type: feature.TypeInt64}}})
	traffic := w.addView(t, route, feature.View{Name: "traffic", TTL: 6 * time.Hour, Features: []feature.Column{
		{Name: "load", Type: feature.TypeFloat64},
	}})
	w.service = &feature.ServiceVersion{Version: 1, Fingerprint: feature.Digest{1}, Service: feature.Service{Name: "model"},
		// Views of one entity apart from each other, and features in another order than the view's.
		Pins: []feature.ServicePin{{View: delays, Features: []int{1, 0}}, {View: traffic, Features: []int{0}}, {View: weather, Features: []int{0, 1, 2}}}}
	return w
}

func (w *world) addView(t testing.TB, entity *feature.EntityVersion, view feature.View) *feature.ViewVersion {
	t.Helper()
	ctx := context.Background()
	view.Entity = entity.Name
	v := &feature.ViewVersion{Version: 1, Fingerprint: feature.Digest{byte(len(w.histories) + 1)}, View: view, EntityVersion: entity}
	err := pgx.BeginFunc(ctx, w.pool, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `
			INSERT INTO headwater.definition (kind, name, version, fingerprint, body, revision, applied_at, applied_by)
			VALUES ('view', $1, 1, $2, '{}', 1, clock_timestamp(), 'test') RETURNING id`, v.Name, v.Fingerprint[:]).Scan(&v.ID)
		if err != nil {
			return err
		}
		return offline.CreateHistory(ctx, tx, v)
	})
	if err != nil {
		t.Fatal(err)
	}
	w.histories[v.Name] = &reference.History{}
	return v
}

func (w *world) view(name string) *feature.ViewVersion {
	for _, pin := range w.service.Pins {
		if pin.View.Name == name {
			return pin.View
		}
	}
	panic("no view " + name)
}

func (w *world) plan() *read.Plan { return planOf(w.service, nil) }

func planOf(service *feature.ServiceVersion, mapping map[string]string) *read.Plan {
	plan, err := read.NewPlan(service, mapping, "")
	if err != nil {
		panic(err)
	}
	return plan
}

func row(key string, event, available feature.Time, values ...feature.Value) feature.Row {
	return feature.Row{Key: key, EventTime: event, AvailableAt: available, Values: values}
}

// publish makes the whole of a view's history equal to rows, as its next run, and returns the position.
func (w *world) publish(t testing.TB, name string, rows ...feature.Row) int64 {
	t.Helper()
	v, h := w.view(name), w.histories[name]
	seq := w.log.SeqAt(name, int64(len(w.log.Publications))) + 1
	if _, err := h.ApplyRun(seq, reference.Interval{Start: 0, End: reference.Live}, 0, rows); err != nil {
		t.Fatal(err)
	}
	position := w.log.Publish(name, seq)
	ctx := context.Background()
	err := pgx.BeginFunc(ctx, w.pool, func(tx pgx.Tx) error {
		if err := w.fill(ctx, tx, v, h); err != nil {
			return err
		}
		var run int64
		err := tx.QueryRow(ctx, `
			INSERT INTO headwater.run (view_id, seq, state, position, fingerprint, digest, principal, queued_at, interval_start, interval_end,
				scope, spans)
			VALUES ($1, $2, 'published', $3, $4, $4, 'test', clock_timestamp(), $5, $6, 'interval', tstzmultirange(tstzrange($5, $6))) RETURNING id`,
			v.ID, seq, position, v.Fingerprint[:], hours(0).Time(), hours(240).Time()).Scan(&run)
		if err != nil {
			return err
		}
		published, err := offline.Publish(ctx, tx, v.ID, seq, run)
		if err == nil && published != position {
			err = fmt.Errorf("published at %d, expected %d", published, position)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return position
}

func historyTable(v *feature.ViewVersion) string {
	return pgx.Identifier{"headwater_history", fmt.Sprintf("%s_v%d", v.Name, v.Version)}.Sanitize()
}

// fill makes the history table hold exactly the rows of h, with those of a run that is not published.
func (w *world) fill(ctx context.Context, tx pgx.Tx, v *feature.ViewVersion, h *reference.History) error {
	if _, err := tx.Exec(ctx, "TRUNCATE "+historyTable(v)); err != nil {
		return err
	}
	columns := []string{"entity_key", "event_time", "available_at", "seq_from", "seq_to"}
	for _, c := range v.Stored() {
		columns = append(columns, c.Name)
	}
	table := pgx.Identifier{"headwater_history", fmt.Sprintf("%s_v%d", v.Name, v.Version)}
	_, err := tx.CopyFrom(ctx, table, columns, pgx.CopyFromSlice(len(h.Rows), func(i int) ([]any, error) {
		r := &h.Rows[i]
		fields := []any{r.Key, r.EventTime.Time(), r.AvailableAt.Time(), r.SeqFrom, r.SeqTo}
		for _, value := range r.Values {
			fields = append(fields, plain(value))
		}
		return fields, nil
	}))
	return err
}

func plain(v feature.Value) any {
	switch v.Type() {
	case feature.TypeBool:
		return v.Bool()
	case feature.TypeInt64:
		return v.Int64()
	case feature.TypeFloat64:
		return v.Float64()
	case feature.TypeString:
		return v.Str()
	case feature.TypeTimestamp:
		return v.Timestamp().Time()
	}
	return nil
}

func (w *world) exec(t testing.TB, sql string, args ...any) {
	t.Helper()
	tag, err := w.pool.Exec(context.Background(), sql, args...)
	if err != nil {
		t.Fatal(err)
	}
	if tag.Update() && tag.RowsAffected() == 0 {
		t.Fatalf("%s: changed nothing", sql)
	}
}

func (w *world) count(t testing.TB, sql string, args ...any) (n int64) {
	t.Helper()
	if err := w.pool.QueryRow(context.Background(), sql, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// spine is a table that a client sends.
type spine struct {
	columns []feature.Column
	rows    [][]feature.Value
}

// flights is a spine of origin, number, timestamp and a label.
func flights(rows ...[]feature.Value) spine {
	return spine{
		columns: []feature.Column{
			{Name: "label", Type: feature.TypeFloat64}, {Name: "origin", Type: feature.TypeString},
			{Name: "timestamp", Type: feature.TypeTimestamp}, {Name: "number", Type: feature.TypeInt64},
		},
		rows: rows,
	}
}

func flight(label float64, origin string, at feature.Time, number int64) []feature.Value {
	return []feature.Value{feature.Float64(label), feature.String(origin), feature.Timestamp(at), feature.Int64(number)}
}

// arrow is the spine as an Arrow IPC stream in batches of so many rows.
func (s spine) arrow(t testing.TB, batch int) []byte {
	t.Helper()
	schema := tabular.ArrowSchema(s.columns)
	builder := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer builder.Release()
	var b bytes.Buffer
	w := ipc.NewWriter(&b, ipc.WithSchema(schema))
	for from := 0; from < len(s.rows); from += batch {
		for _, row := range s.rows[from:min(from+batch, len(s.rows))] {
			for i, v := range row {
				tabular.Append(builder.Field(i), v)
			}
		}
		record := builder.NewRecordBatch()
		if err := w.Write(record); err != nil {
			t.Fatal(err)
		}
		record.Release()
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// build builds a dataset of the world's service.
func (w *world) build(t testing.TB, s spine, asOf string) (*Manifest, []byte) {
	t.Helper()
	m, out, err := w.tryBuild(s.arrow(t, 1000), Request{AsOf: asOf})
	if err != nil {
		t.Fatal(err)
	}
	return m, out
}

func (w *world) tryBuild(spine []byte, r Request) (*Manifest, []byte, error) {
	if r.Plan == nil {
		r.Plan = planOf(w.service, r.KeyMapping)
	}
	r.Principal = "test"
	var out bytes.Buffer
	m, err := w.builder.Build(context.Background(), r, bytes.NewReader(spine), &out)
	return m, out.Bytes(), err
}

// fetch has a dataset again by its reference.
func (w *world) fetch(t testing.TB, ref string) (*Manifest, []byte, error) {
	t.Helper()
	m, err := Find(context.Background(), w.pool, ref)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	sent, err := w.builder.Fetch(context.Background(), m, w.plan(), &out)
	return sent, out.Bytes(), err
}

func (w *world) verify(t testing.TB, ref string) []string {
	t.Helper()
	m, err := Find(context.Background(), w.pool, ref)
	if err != nil {
		t.Fatal(err)
	}
	v, err := w.builder.Verify(context.Background(), m, w.plan())
	if err != nil {
		t.Fatal(err)
	}
	if len(v.Differences) == 0 && (v.ContentDigest.String() != m.ContentDigest || v.ArrowSHA256.String() != m.ArrowSHA256) {
		t.Error("the verification found no difference and other digests")
	}
	return v.Differences
}

// read is a result as text, a line per row, with its columns.
func readResult(t testing.TB, stream []byte) (columns []feature.Column, rows []string) {
	t.Helper()
	r, err := tabular.NewStreamReader(bytes.NewReader(stream))
	if err != nil {
		t.Fatal(err)
	}
	for row, err := range r.Rows() {
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, rowText(row))
	}
	return r.Columns, rows
}

func rowText(row []feature.Value) string {
	texts := make([]string, len(row))
	for i, v := range row {
		texts[i] = v.Text()
		if v.IsNull() {
			texts[i] = "∅"
		}
	}
	return strings.Join(texts, " ")
}

// naive is what a dataset must be: each spine row alone, by the reference model. statuses are by output column.
func (w *world) naive(plan *read.Plan, s spine, m *Manifest) (rows []string, statuses []map[string]int64) {
	statuses = make([]map[string]int64, len(plan.Columns))
	for i := range statuses {
		statuses[i] = map[string]int64{}
	}
	named := func(row []feature.Value, name string) feature.Value {
		for i, c := range s.columns {
			if c.Name == name {
				return row[i]
			}
		}
		panic("no column " + name)
	}
	for _, row := range s.rows {
		out := append([]feature.Value(nil), row...)
		at := named(row, "timestamp").Timestamp()
		for i, c := range plan.Columns {
			view := plan.Views[c.View].Version
			var key []feature.Value
			for _, name := range plan.Views[c.View].KeyColumns {
				key = append(key, named(row, name))
			}
			encoded, ok, err := view.EntityVersion.AppendKey(nil, key)
			winner := read.Winner{Status: read.NoKey}
			if err != nil {
				panic(err)
			}
			if ok {
				pointInTime := w.histories[view.Name].PointInTime
				if m.Knowledge == KnowledgeEvent {
					pointInTime = w.histories[view.Name].PointInEventTime
				}
				winner = pointInTime(string(encoded), at, view.TTL, w.log.SeqAt(view.Name, m.Position))
			}
			value, status := c.Value(&winner)
			out = append(out, value)
			statuses[i][status.String()]++
		}
		rows = append(rows, rowText(out))
	}
	return rows, statuses
}

// expect holds a result to the naive computation.
func (w *world) expect(t testing.TB, s spine, m *Manifest, stream []byte) {
	t.Helper()
	w.expectOf(t, w.plan(), s, m, stream)
}

func (w *world) expectOf(t testing.TB, plan *read.Plan, s spine, m *Manifest, stream []byte) {
	t.Helper()
	columns, rows := readResult(t, stream)
	want, statuses := w.naive(plan, s, m)
	if len(rows) != len(want) || m.Rows != int64(len(want)) {
		t.Fatalf("found %d rows and %d in the manifest, expected %d", len(rows), m.Rows, len(want))
	}
	for i := range rows {
		if rows[i] != want[i] {
			t.Fatalf("row %d:\nfound    %s\nexpected %s", i+1, rows[i], want[i])
		}
	}
	if len(columns) != len(m.Columns) {
		t.Fatalf("found %d columns, the manifest has %d", len(columns), len(m.Columns))
	}
	for i, c := range columns {
		if m.Columns[i].Name != c.Name || m.Columns[i].Type != c.Type.String() {
			t.Errorf("column %d: found %s %s, the manifest has %s %s", i, c.Name, c.Type, m.Columns[i].Name, m.Columns[i].Type)
		}
	}
	for i, status := range statuses {
		if got := m.Columns[len(s.columns)+i].Statuses; fmt.Sprint(got) != fmt.Sprint(status) {
			t.Errorf("column %s: found statuses %v, expected %v", m.Columns[len(s.columns)+i].Name, got, status)
		}
	}
}

// leavesNothing runs do, and expects that no file and no table of it stay.
func (w *world) leavesNothing(t *testing.T, do func()) {
	t.Helper()
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	datasets := w.count(t, `SELECT count(*) FROM headwater.dataset`)
	do()
	files, err := os.ReadDir(temp)
	if err != nil || len(files) > 0 {
		t.Errorf("found %v left behind, %v", files, err)
	}
	if now := w.count(t, `SELECT count(*) FROM headwater.dataset`); now != datasets {
		t.Errorf("found %d datasets, expected %d", now, datasets)
	}
	for _, table := range []string{"dataset_spine", "dataset_view"} {
		if n := w.count(t, `SELECT count(*) FROM headwater.`+table+` s WHERE NOT EXISTS (SELECT FROM headwater.dataset d WHERE d.id = s.dataset_id)`); n > 0 {
			t.Errorf("found %d rows of no dataset in %s", n, table)
		}
	}
	// A connection that is closed ends its transaction in a moment.
	deadline := time.Now().Add(20 * time.Second)
	for w.count(t, `SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'headwater_staging'`) > 0 ||
		w.count(t, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%headwater_staging%' AND pid <> pg_backend_pid()`) > 0 {
		if time.Now().After(deadline) {
			t.Fatal("a staging table or a query on one was left")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func wantFault(t testing.TB, err error, reason fault.Reason, message string) {
	t.Helper()
	f := fault.As(err)
	if f == nil || f.Reason != reason || f.Error() != message {
		t.Errorf("found    %s %v\nexpected %s %s", fault.ReasonOf(err), err, reason, message)
	}
}

// someDelays are rows of the view delays that the tests correct.
func someDelays() []feature.Row {
	return []feature.Row{
		row("ORD", hours(1), hours(1.5), feature.Float64(10), feature.Int64(1)),
		row("ORD", hours(2), hours(2), feature.Float64(20), feature.Int64(2)),
		row("ORD", hours(3), hours(5), feature.Float64(30), feature.Null()),
		row("JFK", hours(1), hours(1), feature.Float64(-0.5), feature.Int64(4)),
	}
}

// publishAll publishes something of each view.
func (w *world) publishAll(t testing.TB) {
	t.Helper()
	w.publish(t, "delays", someDelays()...)
	w.publish(t, "weather",
		row("ORD", hours(0.5), hours(0.5), feature.Bool(true), feature.String("räin"), feature.Timestamp(hours(0)), feature.Int64(7)),
		row("JFK", hours(2), hours(2), feature.Null(), feature.String(""), feature.Null(), feature.Null()))
	w.publish(t, "traffic", row("ORD|7", hours(1), hours(1), feature.Float64(0.7)), row("JFK|8", hours(1), hours(30), feature.Float64(0.8)))
}

// someFlights is a small spine that meets every status.
func someFlights() spine {
	null := flight(9, "", hours(4), 7)
	null[1] = feature.Null()
	half := flight(8, "ORD", hours(4), 0)
	half[3] = feature.Null()
	return flights(flight(1, "ORD", hours(4), 7), flight(2, "JFK", hours(2), 8), flight(3, "ORD", hours(1), 7), null, flight(4, "ORD", hours(9), 7),
		half, flight(1, "ORD", hours(4), 7), flight(5, "nowhere", hours(4), 7), flight(6, "ORD", hours(5), 7))
}

// blocked is a writer that takes nothing until it is released, and then fails.
type blocked struct {
	reached  chan struct{}
	released chan struct{}
}

func newBlocked() *blocked { return &blocked{make(chan struct{}, 1), make(chan struct{})} }

var errGone = errors.New("the client went away")

func (b *blocked) Write([]byte) (int, error) {
	select {
	case b.reached <- struct{}{}:
	default:
	}
	<-b.released
	return 0, errGone
}

var _ io.Writer = (*blocked)(nil)
