package server

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
	"github.com/headwaterhq/headwater/materialize"
	"github.com/headwaterhq/headwater/quality"
)

// forgotten is the key that is planted everywhere, forgottenText what else only the person has.
const (
	forgotten     = "Mallory-77|x"
	forgottenText = "Xanadu-9"
)

// passengers are sources of two kinds, and every kind of view of them.
func passengers() *feature.Definitions {
	all := 1.0
	number := func(name string) feature.Column { return feature.Column{Name: name, Type: feature.TypeFloat64} }
	text := func(name string) feature.Column { return feature.Column{Name: name, Type: feature.TypeString} }
	sql := func(sources []string, query string) *feature.SQLTransform {
		return &feature.SQLTransform{Sources: sources, Query: query}
	}
	const interval = "event_time >= {{interval.start}} AND event_time < {{interval.end}}"
	const day = 24 * time.Hour
	return &feature.Definitions{
		Entities: []feature.Entity{
			{Name: "passenger", JoinKeys: []feature.Column{text("passenger_id")}},
			{Name: "airport", JoinKeys: []feature.Column{text("origin")}},
			{Name: "seat", JoinKeys: []feature.Column{{Name: "flight_no", Type: feature.TypeInt64}, text("holder")}},
		},
		Sources: []feature.Source{
			{Name: "bookings", EventTime: "booked_at", UniqueKey: []string{"passenger_id", "flight_no"}, NullEventTime: feature.QuarantineNull, MaxQuarantineRatio: &all, Columns: []feature.Column{
				{Name: "booked_at", Type: feature.TypeTimestamp}, {Name: "flight_no", Type: feature.TypeInt64}, text("passenger_id"), text("origin"), number("price"),
			}, Expectations: []feature.Expectation{
				{Name: "price_range", Column: "price", Kind: feature.ExpectRange, Min: 0.0, OnFailure: feature.QuarantineRow},
			}},
			{Name: "profiles", EventTime: "seen_at", Columns: []feature.Column{{Name: "seen_at", Type: feature.TypeTimestamp}, text("who"), text("country")}},
		},
		Views: []feature.View{
			{Name: "trips", Entity: "passenger", Features: []feature.Column{number("price"), text("origin")}, SQL: sql([]string{"bookings"},
				"SELECT passenger_id, event_time, available_at, price, origin FROM bookings WHERE "+interval)},
			{Name: "home", Entity: "passenger", Lookback: 30 * day, Features: []feature.Column{text("country"), number("price")}, SQL: sql([]string{"bookings", "profiles"}, `
				SELECT b.passenger_id, b.event_time, greatest(b.available_at, max(p.available_at)) AS available_at, max(p.country) AS country, max(b.price) AS price
				FROM bookings b JOIN profiles p ON p.who = b.passenger_id AND p.event_time <= b.event_time
				WHERE b.event_time >= {{interval.start}} AND b.event_time < {{interval.end}} GROUP BY b.passenger_id, b.flight_no, b.event_time, b.available_at`)},
			{Name: "spend", Entity: "passenger", Features: []feature.Column{number("week")}, Aggregation: &feature.Aggregation{Source: "bookings", Hop: day,
				Aggregates: []feature.Aggregate{{Feature: "week", Function: feature.Sum, Column: "price", Window: 7 * day}}}},
			{Name: "takings", Entity: "airport", Features: []feature.Column{number("week")}, Aggregation: &feature.Aggregation{Source: "bookings", Hop: day,
				Aggregates: []feature.Aggregate{{Feature: "week", Function: feature.Sum, Column: "price", Window: 7 * day}}}},
			{Name: "last_seen", Entity: "airport", Features: []feature.Column{text("passenger"), number("price")}, SQL: sql([]string{"bookings"},
				"SELECT origin, event_time, available_at, max(passenger_id) AS passenger, max(price) AS price FROM bookings WHERE "+interval+
					" GROUP BY origin, event_time, available_at")},
			{Name: "seats", Entity: "seat", Features: []feature.Column{number("price")}, SQL: sql([]string{"bookings"},
				"SELECT flight_no, passenger_id AS holder, event_time, available_at, price FROM bookings WHERE "+interval)},
			{Name: "again", Entity: "passenger", Features: []feature.Column{number("price")}, SQL: &feature.SQLTransform{Views: []feature.ViewRef{{Name: "trips"}},
				Query: "SELECT passenger_id, event_time, available_at, 2 * price AS price FROM trips WHERE " + interval}},
			{Name: "computed", Entity: "passenger", Features: []feature.Column{number("price")}, SQL: sql([]string{"bookings"},
				"SELECT passenger_id || '' AS passenger_id, event_time, available_at, price FROM bookings WHERE "+interval)},
		},
		Services: []feature.Service{
			{Name: "person", Views: []feature.ServiceView{{View: "trips"}, {View: "home"}, {View: "again"}}},
			{Name: "port", Views: []feature.ServiceView{{View: "takings"}, {View: "last_seen"}}},
			{Name: "money", Views: []feature.ServiceView{{View: "spend"}}},
			{Name: "takers", Views: []feature.ServiceView{{View: "takings"}}},
		},
	}
}

var passengerViews = []string{"trips", "home", "spend", "takings", "last_seen", "seats", "again", "computed"}

type forgetWorld struct {
	*product
	at        time.Time
	retention headwaterv1.RetentionServiceClient
	// with has the person in its spine, without does not, ports reads a feature that is a person's key, airports aggregates.
	with, without, ports, airports *headwaterv1.Manifest
	other                          []byte
	runs                           map[string]*headwaterv1.Run
}

func newForgetWorld(t *testing.T) *forgetWorld {
	t.Helper()
	w := forgetWorldOf(newProduct(t), loggingAll(passengers()))
	w.read("person", "passenger_id", forgotten, "alice")
	w.read("port", "origin", "ORD", "JFK")
	return w
}

// forgetWorldOf is a world in a store that is empty. The definitions are those of passengers, and perhaps more.
func forgetWorldOf(p *product, d *feature.Definitions) *forgetWorld {
	t := p.t
	t.Helper()
	p.apply(d)
	w := &forgetWorld{product: p, at: time.Now().UTC().Truncate(24 * time.Hour).Add(-10 * 24 * time.Hour), runs: map[string]*headwaterv1.Run{}}
	w.retention = headwaterv1.NewRetentionServiceClient(p.conn)
	stamp := func(at time.Time) feature.Value { return feature.Timestamp(feature.TimeOf(at)) }
	booking := func(at feature.Value, flight int64, who, origin string, price float64) []feature.Value {
		return []feature.Value{at, feature.Int64(flight), feature.String(who), feature.String(origin), feature.Float64(price)}
	}
	hour := func(n int) feature.Value { return stamp(w.at.Add(time.Duration(n) * time.Hour)) }
	send := func(source string, rows ...[]feature.Value) {
		t.Helper()
		i := slices.IndexFunc(d.Sources, func(s feature.Source) bool { return s.Name == source })
		content := table{columns: d.Sources[i].Columns, rows: rows}.arrow(t)
		if _, err := p.send(p.admin, source, p.header(content, 0), content, 1000); err != nil {
			t.Fatal(fault.FromError(err))
		}
	}
	send("profiles", []feature.Value{hour(0), feature.String(forgotten), feature.String(forgottenText)}, []feature.Value{hour(0), feature.String("alice"), feature.String("US")})
	send("bookings", booking(hour(1), 1, forgotten, "ORD", 100), booking(hour(2), 2, "alice", "ORD", 10), booking(hour(3), 3, forgotten, "JFK", -5),
		booking(hour(4), 4, "bob", "JFK", 20), booking(feature.Null(), 5, forgotten, "JFK", 1))
	send("bookings", booking(hour(30), 6, forgotten, "ORD", 200), booking(hour(5), 7, "alice", "LAX", 1))
	w.materializeAll()
	// What a later run corrects stays in the history.
	send("bookings", booking(hour(40), 8, "alice", "ORD", 30))
	w.materializeAll()
	passenger := func(who string, at time.Time) []feature.Value { return []feature.Value{feature.String(who), stamp(at)} }
	spine := func(column string, rows ...[]feature.Value) []byte {
		return table{rows: rows, columns: []feature.Column{{Name: column, Type: feature.TypeString}, {Name: "timestamp", Type: feature.TypeTimestamp}}}.arrow(t)
	}
	build := func(service string, spine []byte) (*headwaterv1.Manifest, []byte) {
		t.Helper()
		content, m, err := p.build(p.admin, service, &headwaterv1.BuildDatasetHeader{}, spine)
		if err != nil {
			t.Fatal(fault.FromError(err))
		}
		return m, content
	}
	late := w.at.Add(48 * time.Hour)
	w.with, _ = build("person", spine("passenger_id", passenger(forgotten, late), passenger("alice", late), passenger(forgotten, w.at)))
	w.without, w.other = build("person", spine("passenger_id", passenger("alice", late), passenger("bob", late)))
	w.ports, _ = build("port", spine("origin", passenger("ORD", w.at.Add(31*time.Hour)), passenger("JFK", late)))
	w.airports, _ = build("takers", spine("origin", passenger("ORD", late)))
	// What somebody named is erased from as what it was made of.
	for view, r := range map[string]*headwaterv1.Run{"trips": w.runs["trips/1"], "seats": w.runs["seats/2"]} {
		w.setBaseline(view, fmt.Sprintf("run:%s@%d/%d", r.GetView(), r.GetViewVersion(), r.GetSeq()))
	}
	w.setBaseline("person", "dataset:"+w.with.GetId())
	w.setBaseline("port", "dataset:"+w.ports.GetId())
	return w
}

func (w *forgetWorld) setBaseline(name, node string) {
	w.t.Helper()
	if _, err := headwaterv1.NewQualityServiceClient(w.conn).SetBaseline(w.admin, &headwaterv1.SetBaselineRequest{Name: name, Node: node}); err != nil {
		w.t.Fatal(fault.FromError(err))
	}
}

func (w *forgetWorld) materializeAll() {
	w.t.Helper()
	// Side by side, and then what reads one of them.
	before := slices.DeleteFunc(slices.Clone(passengerViews), func(view string) bool { return view == "again" })
	for _, views := range [][]string{before, {"again"}} {
		for _, r := range w.materialize(views...) {
			w.runs[fmt.Sprintf("%s/%d", r.GetView(), r.GetSeq())] = r
		}
	}
}

func (w *forgetWorld) forget(dry bool) (*headwaterv1.ErasureRecord, error) {
	return w.forgetPassenger(forgotten, "request 12", dry)
}

func (w *forgetWorld) forgetPassenger(id, reason string, dry bool) (*headwaterv1.ErasureRecord, error) {
	r, err := w.retention.Forget(w.admin, &headwaterv1.ForgetRequest{
		Entity: "passenger", Keys: map[string]*headwaterv1.Value{"passenger_id": {Kind: &headwaterv1.Value_StringValue{StringValue: id}}},
		Reason: reason, DryRun: dry,
	})
	return r.GetErasure(), err
}

// found is where the key is: in which tables of Headwater's schemas, in Redis, and in the append log.
func (w *forgetWorld) found() (places []string) {
	w.t.Helper()
	ctx := context.Background()
	// What calls before this one were recorded as is in Postgres a moment after them.
	if err := w.server.audit.Flush(ctx); err != nil {
		w.t.Fatal(err)
	}
	rows, err := w.pool.Query(ctx, `SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname LIKE 'headwater%' AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1`)
	if err != nil {
		w.t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		w.t.Fatal(err)
	}
	// As they are, as their parts, as entity keys write them, and as bytes.
	texts := []string{forgotten, "Mallory", hex.EncodeToString([]byte("Mallory")), forgottenText, hex.EncodeToString([]byte(forgottenText))}
	for _, name := range tables {
		if n := w.count(`SELECT count(*) FROM `+name+` x WHERE EXISTS (SELECT FROM unnest($1::text[]) AS t WHERE position(t IN x::text) > 0)`, texts); n > 0 {
			places = append(places, fmt.Sprintf("%s %d", name, n))
		}
	}
	tells := func(text string) bool {
		return slices.ContainsFunc(texts, func(t string) bool { return strings.Contains(text, t) })
	}
	// Profiles are packed.
	rows, err = w.pool.Query(ctx, `SELECT profile FROM headwater.profile WHERE profile IS NOT NULL UNION ALL SELECT profile FROM headwater.run_chunk WHERE profile IS NOT NULL
		UNION ALL SELECT profile FROM headwater.baseline WHERE profile IS NOT NULL`)
	if err != nil {
		w.t.Fatal(err)
	}
	profiles, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	if err != nil {
		w.t.Fatal(err)
	}
	for _, packed := range profiles {
		p, err := quality.UnpackProfile(packed)
		if err != nil {
			w.t.Fatal(err)
		}
		if tells(string(p.AppendCanonical(nil))) {
			places = append(places, "profile")
		}
	}
	for _, key := range w.redisKeys() {
		values, err := w.server.redis.HGetAll(ctx, key).Result()
		if err != nil {
			w.t.Fatal(err)
		}
		if tells(key) || tells(fmt.Sprint(values)) {
			places = append(places, "redis "+key)
		}
	}
	for _, of := range []struct{ what, folder string }{
		{"append log", w.server.config.AuditDir}, {"results", w.server.config.ResultsDir}, {"read log", w.server.config.ReadLogDir},
	} {
		if of.folder == "" {
			continue
		}
		for _, text := range testenv.Files(w.t, of.folder) {
			if tells(text) {
				places = append(places, of.what)
			}
		}
	}
	if tells(w.log.String()) {
		places = append(places, "log")
	}
	return places
}

// redisKeys are all keys of a Redis, or of all masters of a cluster.
func (w *forgetWorld) redisKeys() (all []string) {
	w.t.Helper()
	ctx := context.Background()
	var mu sync.Mutex
	collect := func(ctx context.Context, c redis.UniversalClient) error {
		keys, err := c.Keys(ctx, "*").Result()
		mu.Lock()
		defer mu.Unlock()
		all = append(all, keys...)
		return err
	}
	var err error
	if cluster, ok := w.server.redis.(*redis.ClusterClient); ok {
		err = cluster.ForEachMaster(ctx, func(ctx context.Context, c *redis.Client) error { return collect(ctx, c) })
	} else {
		err = collect(ctx, w.server.redis)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	slices.Sort(all)
	return all
}

// settle waits for the runs that an erasure queued.
func (w *forgetWorld) settle(e *headwaterv1.ErasureRecord) {
	w.t.Helper()
	for _, ref := range e.GetRecomputing() {
		var id int64
		fmt.Sscanf(ref, "run:%d", &id)
		r, err := w.watch(w.admin, id)
		if err != nil || r.GetState() != headwaterv1.RunState_RUN_STATE_PUBLISHED {
			w.t.Errorf("%s of %s ended %s: %s, %v", ref, r.GetView(), r.GetState(), r.GetError(), err)
		}
	}
}

func (w *forgetWorld) verifyRuns() map[string]string {
	w.t.Helper()
	req := &headwaterv1.VerifyRunsRequest{}
	for ref := range w.runs {
		view, seq, _ := strings.Cut(ref, "/")
		req.Runs = append(req.Runs, view+"@1/"+seq)
	}
	slices.Sort(req.Runs)
	stream, err := w.materialization.VerifyRuns(w.admin, req)
	if err != nil {
		w.t.Fatal(err)
	}
	verdicts := map[string]string{}
	for {
		r, err := stream.Recv()
		if err != nil {
			return verdicts
		}
		ref := fmt.Sprintf("%s/%d", r.GetRun().GetView(), r.GetRun().GetSeq())
		verdicts[ref] = strings.TrimPrefix(r.GetVerdict().String(), "VERDICT_")
		if verdicts[ref] != "ERASED" && verdicts[ref] != "SAME" {
			w.t.Errorf("%s: %s %q", ref, verdicts[ref], r.GetDetails())
		}
	}
}

func placesOf(e *headwaterv1.ErasureRecord) (list []string) {
	for _, d := range e.GetErased() {
		list = append(list, fmt.Sprintf("%s %s %d", d.GetPlace(), d.GetName(), d.GetRows()))
	}
	return list
}

func (w *forgetWorld) verdict(m *headwaterv1.Manifest) string {
	w.t.Helper()
	v, err := w.datasets.VerifyDataset(w.admin, &headwaterv1.VerifyDatasetRequest{Dataset: m.GetId()})
	if err != nil {
		w.t.Fatal(fault.FromError(err))
	}
	return strings.TrimPrefix(v.GetVerdict().String(), "DATASET_VERDICT_") + strings.Join(v.GetDifferences(), "; ")
}

func TestForget(t *testing.T) {
	w := newForgetWorld(t)
	for ref, verdict := range w.verifyRuns() {
		if verdict != "SAME" {
			t.Fatalf("before: %s is %s", ref, verdict)
		}
	}
	// What is on the way from the disk to Postgres is in two places for a moment.
	before := w.found()
	for deadline := time.Now().Add(time.Minute); slices.Contains(before, "read log") && time.Now().Before(deadline); before = w.found() {
		time.Sleep(10 * time.Millisecond)
	}
	if len(before) < 8 || !slices.Contains(before, "profile") {
		t.Fatalf("found the key only in %q", before)
	}
	dry, err := w.forget(true)
	if err != nil {
		t.Fatal(fault.FromError(err))
	}
	if now := w.found(); !slices.Equal(now, before) || dry.GetId() != "" {
		t.Errorf("a dry run left %q of %q, and %v", now, before, dry)
	}
	e, err := w.forget(false)
	if err != nil {
		t.Fatal(fault.FromError(err))
	}
	if got, want := placesOf(e), placesOf(dry); !slices.Equal(got, want) {
		t.Errorf("erased\n%s\nexpected, as the dry run says,\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	want := []string{
		"examples trips@1 2", "history again@1 2", "history home@1 2", "history last_seen@1 2", "history computed@1 2", "history seats@1 2", "history trips@1 2",
		"landing bookings 3", "landing profiles 1", "online trips@1 1", "online again@1 1", "online seats@1 2", "quarantine bookings 1", "quarantine trips@1 1", "read log person 1", "spine " + w.with.GetId() + " 2",
	}
	for _, place := range want {
		if !slices.Contains(placesOf(e), place) {
			t.Errorf("found no %q in %q", place, placesOf(e))
		}
	}
	if left := w.found(); len(left) > 0 {
		t.Errorf("the key is still in %q", left)
	}
	w.settle(e)
	if left := w.found(); len(left) > 0 {
		t.Errorf("after the runs the key is in %q", left)
	}
	if e.GetDoneAt() == nil || len(e.GetKeyHash()) != 64 || !slices.Contains(e.GetTouched(), "dataset:"+w.with.GetId()) || !slices.Contains(e.GetTouched(), "run:trips@1/1") ||
		slices.Contains(e.GetTouched(), "dataset:"+w.without.GetId()) {
		t.Errorf("found %v", e)
	}
	// The key of this one is computed, so somebody must look for what it was computed of.
	if i := slices.IndexFunc(e.GetErased(), func(d *headwaterv1.ErasedFrom) bool {
		return strings.Contains(d.GetNote(), "view computed@1 computes passenger_id")
	}); i < 0 {
		t.Errorf("found no note of view computed in %v", e.GetErased())
	}

	// What its rows had gone into is computed anew.
	value := func(service, column, key string) string {
		t.Helper()
		r, err := w.online.GetFeatures(w.admin, &headwaterv1.GetFeaturesRequest{Service: service, Keys: map[string]*headwaterv1.KeyColumn{column: texts(key)}})
		if err != nil {
			t.Fatal(fault.FromError(err))
		}
		return strings.ReplaceAll(strings.TrimSpace(vectors(r)), "\n", ", ")
	}
	eventually(t, "the aggregates online", func() bool { return strings.Contains(value("port", "origin", "JFK"), `"bob"/PRESENT`) })
	if n := w.count(`SELECT count(*) FROM headwater_history.takings_v1 WHERE seq_to = 9223372036854775807 AND entity_key = 'ORD' AND week > 40`); n > 0 {
		t.Errorf("found %d live aggregates with the erased rows", n)
	}
	if got := value("person", "passenger_id", forgotten); strings.Contains(got, "PRESENT") || !strings.Contains(got, "NO_ROW") {
		t.Errorf("found %s online", got)
	}
	if got := value("person", "passenger_id", "alice"); !strings.Contains(got, "30/PRESENT") {
		t.Errorf("found %s online", got)
	}

	// Runs and datasets say what became of them.
	verdicts := w.verifyRuns()
	for ref, want := range map[string]string{"trips/1": "ERASED", "trips/2": "ERASED", "home/1": "ERASED", "spend/1": "ERASED", "takings/1": "ERASED", "again/2": "ERASED",
		"seats/2": "ERASED", "last_seen/1": "ERASED"} {
		if verdicts[ref] != want {
			t.Errorf("%s: found %s, expected %s", ref, verdicts[ref], want)
		}
	}
	if got := w.verdict(w.with); got != "ERASED" {
		t.Errorf("found %s", got)
	}
	if got := w.verdict(w.ports); got != "ERASED" {
		t.Errorf("found %s of a dataset with the key as a feature", got)
	}
	for _, m := range []*headwaterv1.Manifest{w.without, w.airports} {
		if got := w.verdict(m); got != "SAME" {
			t.Errorf("found %s of %s", got, m.GetName())
		}
	}
	if again, _, err := w.fetch(w.admin, w.without.GetId()); err != nil || !bytes.Equal(again, w.other) {
		t.Errorf("a dataset without the entity has other bytes, %v", err)
	}
	_, _, err = w.fetch(w.admin, w.with.GetId())
	if f := fault.FromError(err); f == nil || f.Reason != fault.FailedPrecondition || !strings.Contains(f.Message, "headwater dataset fetch "+w.with.GetId()+" --accept-erased") {
		t.Errorf("found %v", err)
	}
	stream, err := w.datasets.FetchDataset(w.admin, &headwaterv1.FetchDatasetRequest{Dataset: w.with.GetId(), AcceptErased: true})
	if err != nil {
		t.Fatal(err)
	}
	content, m, err := collect(stream.Recv)
	if err != nil || len(readRows(t, content)) != 1 || !strings.HasPrefix(readRows(t, content)[0], "alice ") {
		t.Fatalf("found %q, %v", readRows(t, content), err)
	}
	if es := m.GetErasures(); len(es) != 1 || es[0].GetId() != e.GetId() || es[0].GetRows() != 2 || es[0].GetOldDigest() != w.with.GetContentDigest() ||
		es[0].GetNewDigest() == es[0].GetOldDigest() || m.GetContentDigest() != w.with.GetContentDigest() || m.GetRows() != 1 {
		t.Errorf("found the manifest %v", m)
	}
	r, err := w.materialization.GetRun(w.admin, &headwaterv1.GetRunRequest{Run: "trips@1/1"})
	if err != nil {
		t.Fatal(err)
	}
	if es := r.GetRun().GetErasures(); len(es) != 1 || es[0].GetRows() != 2 || es[0].GetOldDigest() != r.GetRun().GetDigest() || es[0].GetNewDigest() == es[0].GetOldDigest() {
		t.Errorf("found %v", es)
	}

	// Asked for again it finds that nothing is left; what was changed by other means is still told.
	again, err := w.forget(false)
	if err != nil || again.GetId() != e.GetId() {
		t.Errorf("found %v, %v", again, err)
	}
	if _, err := w.pool.Exec(w.admin, `UPDATE headwater_history.trips_v1 SET price = 9 WHERE entity_key = 'bob'`); err != nil {
		t.Fatal(err)
	}
	vs, err := w.materialization.VerifyRuns(w.admin, &headwaterv1.VerifyRunsRequest{Runs: []string{"trips@1/1"}})
	if err != nil {
		t.Fatal(err)
	}
	if v, err := vs.Recv(); err != nil || v.GetVerdict() != headwaterv1.Verdict_VERDICT_DIFFERENT {
		t.Errorf("found %v, %v", v, err)
	}
	list, err := w.retention.ListErasures(w.admin, &headwaterv1.ListErasuresRequest{})
	if err != nil || len(list.GetErasures()) != 1 {
		t.Errorf("found %v, %v", list, err)
	}
	w.materializeAll()
}

// An erasure that was broken off, wherever it was, goes on when it is asked for again, and leaves what an undisturbed one does.
func TestForgetGoesOn(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a store")
	}
	t.Parallel()
	w := newForgetWorld(t)
	dry, err := w.forget(true)
	if err != nil {
		t.Fatal(fault.FromError(err))
	}
	killed := errors.New("killed")
	steps := []string{
		stepErasureBegun, materialize.StepErasingLanding, materialize.StepErasedLanding, materialize.StepErasingView, materialize.StepErasedView,
		materialize.StepErasedOnline, materialize.StepErasingTexts, stepErasingDataset, stepErasingRead, materialize.StepEraseQueued, stepErasureEnds,
	}
	var id string
	killedAt := map[string]bool{}
	// Each attempt ends at the first step, by how often it was taken, at which none did before.
	for nth := 1; ; nth++ {
		seen := map[string]int{}
		do := func(step string) error {
			// Runs that the erasure queued reach steps of their own beside it.
			if !slices.Contains(steps, step) {
				return nil
			}
			seen[step]++
			at := fmt.Sprint(step, seen[step])
			if killedAt[at] {
				return nil
			}
			killedAt[step], killedAt[at] = true, true
			return killed
		}
		w.step.Store(&do)
		_, failed := w.forget(false)
		list, err := w.retention.ListErasures(w.admin, &headwaterv1.ListErasuresRequest{})
		if err != nil || len(list.GetErasures()) != 1 || (list.GetErasures()[0].GetDoneAt() == nil) != (failed != nil) {
			t.Fatalf("attempt %d: found %v, %v", nth, list, err)
		}
		id = list.GetErasures()[0].GetId()
		if failed == nil {
			break
		}
	}
	for _, step := range steps {
		if !killedAt[step] {
			t.Errorf("no attempt ended at %q", step)
		}
	}
	w.step.Store(nil)
	e, err := w.forget(false)
	if err != nil || e.GetId() != id || e.GetDoneAt() == nil {
		t.Fatalf("found %v, %v", e, err)
	}
	if got, want := placesOf(e), placesOf(dry); !slices.Equal(got, want) {
		t.Errorf("erased\n%s\nexpected\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	w.settle(e)
	if left := w.found(); len(left) > 0 {
		t.Errorf("the key is in %q", left)
	}
	if got := w.verdict(w.with) + w.verdict(w.ports) + w.verdict(w.without); got != "ERASEDERASEDSAME" {
		t.Errorf("found %s", got)
	}
	w.verifyRuns()
	w.materializeAll()
}

// Of a table of others that runs kept rows of, those are erased, and who keeps the table is told to.
func TestForgetWhatRunsKept(t *testing.T) {
	t.Parallel()
	p := newProduct(t)
	if _, err := p.pool.Exec(p.admin, `CREATE SCHEMA crm; CREATE TABLE crm.people (id text, seen timestamptz, city text);
		INSERT INTO crm.people VALUES ('`+forgotten+`', '2024-01-01', 'Nice'), ('alice', '2024-01-02', 'Rome')`); err != nil {
		t.Fatal(err)
	}
	text := func(name string) feature.Column { return feature.Column{Name: name, Type: feature.TypeString} }
	p.apply(&feature.Definitions{
		Entities: []feature.Entity{{Name: "passenger", JoinKeys: []feature.Column{text("passenger_id")}}},
		Sources: []feature.Source{{Name: "people", EventTime: "seen", Postgres: &feature.PostgresOrigin{Schema: "crm", Table: "people", Snapshot: true},
			Columns: []feature.Column{text("id"), {Name: "seen", Type: feature.TypeTimestamp}, text("city")}}},
		Views: []feature.View{{Name: "residence", Entity: "passenger", Features: []feature.Column{text("city")}, SQL: &feature.SQLTransform{Sources: []string{"people"},
			Query: "SELECT id AS passenger_id, event_time, available_at, city FROM people WHERE event_time >= {{interval.start}} AND event_time < {{interval.end}}"}}},
		Services: []feature.Service{{Name: "person", Views: []feature.ServiceView{{View: "residence"}}}},
	})
	p.materialize("residence")
	w := &forgetWorld{product: p, retention: headwaterv1.NewRetentionServiceClient(p.conn), runs: map[string]*headwaterv1.Run{"residence/1": nil}}
	dry, err := w.forget(true)
	if err != nil {
		t.Fatal(fault.FromError(err))
	}
	e, err := w.forget(false)
	if err != nil {
		t.Fatal(fault.FromError(err))
	}
	want := []string{"history residence@1 1", "online residence@1 1", "snapshot people 1", "table of others people 0"}
	if got := placesOf(e); !slices.Equal(got, want) || !slices.Equal(placesOf(dry), want) {
		t.Errorf("found %q and %q, expected %q", got, placesOf(dry), want)
	}
	const note = "its rows are in crm.people, which Headwater only reads: whoever keeps it is to erase those in which id is the key"
	if got := e.GetErased()[3].GetNote(); got != note {
		t.Errorf("found %q, expected %q", got, note)
	}
	if left := w.found(); len(left) > 0 {
		t.Errorf("the key is in %q", left)
	}
	if got := w.verifyRuns()["residence/1"]; got != "ERASED" {
		t.Errorf("found %s", got)
	}
}

func TestForgetRefuses(t *testing.T) {
	p := newProduct(t)
	p.apply(passengers())
	w := headwaterv1.NewRetentionServiceClient(p.conn)
	key := func(v *headwaterv1.Value) map[string]*headwaterv1.Value {
		return map[string]*headwaterv1.Value{"passenger_id": v}
	}
	secret := &headwaterv1.Value{Kind: &headwaterv1.Value_StringValue{StringValue: "Mallory"}}
	for _, c := range []struct {
		entity, reason string
		keys           map[string]*headwaterv1.Value
		want           string
	}{
		{"passengers", "r", key(secret), `found no entity called "passengers"; did you mean passenger?`},
		{"passenger", "r", map[string]*headwaterv1.Value{"id": secret}, "join key id of entity passenger: found no join key of this name; there is passenger_id"},
		{"passenger", "r", key(&headwaterv1.Value{}), "join key passenger_id of entity passenger: found a value that is no string, expected one"},
		{"passenger", "r", key(&headwaterv1.Value{Kind: &headwaterv1.Value_Int64Value{Int64Value: 7}}),
			"join key passenger_id of entity passenger: found a value that is no string, expected one"},
		{"passenger", "Mallory asked for it", key(secret), "reason: found a value of the key in it, expected none: the reason is kept, and must not say who was " +
			"erased; name the request or the case instead"},
		{"seat", "r", map[string]*headwaterv1.Value{"holder": secret}, "join key flight_no of entity seat: found no value, expected one: an entity is told by all of its join keys"},
	} {
		_, err := w.Forget(p.admin, &headwaterv1.ForgetRequest{Entity: c.entity, Keys: c.keys, Reason: c.reason})
		f := fault.FromError(err)
		if f == nil || strings.SplitN(f.Error(), "\n", 2)[0] != c.want {
			t.Errorf("found %v, expected %s", f, c.want)
		}
	}
	if p.count(`SELECT count(*) FROM headwater.erasure`) > 0 {
		t.Error("a refused call left an erasure")
	}
}
