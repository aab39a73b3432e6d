package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
	"github.com/headwaterhq/headwater/materialize"
)

// stopAt stops whoever reaches a step first. reached is closed then, and goOn lets him go on; it may be called twice.
func (p *product) stopAt(step string) (reached <-chan struct{}, goOn func()) {
	at, on := make(chan struct{}), make(chan struct{})
	var first, once sync.Once
	do := func(s string) error {
		if s == step {
			first.Do(func() {
				close(at)
				<-on
			})
		}
		return nil
	}
	p.step.Store(&do)
	goOn = func() { once.Do(func() { close(on) }) }
	p.t.Cleanup(goOn)
	return at, goOn
}

// await waits until a step is reached.
func await(t testing.TB, what string, reached <-chan struct{}) {
	t.Helper()
	select {
	case <-reached:
	case <-time.After(time.Minute):
		t.Fatalf("waited for %s in vain", what)
	}
}

// bookings sends bookings of a passenger, one a day from a day on.
func (w *forgetWorld) bookings(who string, flight int64, from time.Time, days int) {
	w.t.Helper()
	rows := table{columns: passengers().Sources[0].Columns}
	for n := range days {
		at := from.Add(time.Duration(n) * 24 * time.Hour)
		rows.rows = append(rows.rows, []feature.Value{feature.Timestamp(feature.TimeOf(at)), feature.Int64(flight + int64(n)), feature.String(who),
			feature.String("ORD"), feature.Float64(1000)})
	}
	content := rows.arrow(w.t)
	if _, err := w.send(w.admin, "bookings", w.header(content, 0), content, 1000); err != nil {
		w.t.Fatal(fault.FromError(err))
	}
}

// erased is what a call of Forget comes to.
type erased struct {
	record *headwaterv1.ErasureRecord
	err    error
}

// forgetting calls Forget beside the test.
func (w *forgetWorld) forgetting(id string) <-chan erased {
	done := make(chan erased, 1)
	go func() {
		e, err := w.forgetPassenger(id, "request 12", false)
		done <- erased{e, err}
	}()
	return done
}

// ended waits for a call of Forget, and for the runs that it queued.
func (w *forgetWorld) ended(done <-chan erased) *headwaterv1.ErasureRecord {
	w.t.Helper()
	e := <-done
	if e.err != nil {
		w.t.Fatal(fault.FromError(e.err))
	}
	if e.record.GetDoneAt() == nil {
		w.t.Errorf("found %v, expected that it is done", e.record)
	}
	w.settle(e.record)
	return e.record
}

// A run that has read a person's rows, and has written chunks of them, is waited for: afterwards nothing of them is anywhere, its record says
// what became of it, and what it made of them is computed anew, in views that hold no key too.
func TestForgetWhileARunIsAtWork(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a store")
	}
	t.Parallel()
	p := openProductWith(t, Config{PostgresURL: testenv.PostgresURL(t), RedisURL: testenv.RedisURL(t), RunChunkRows: 2})
	d := passengers()
	number := []feature.Column{{Name: "total", Type: feature.TypeFloat64}}
	d.Views = append(d.Views,
		// Nothing of it is a key of a person, nor does it read a source.
		feature.View{Name: "totals", Entity: "airport", Grain: 24 * time.Hour, Features: number, SQL: &feature.SQLTransform{Views: []feature.ViewRef{{Name: "trips"}},
			Query: `SELECT origin, date_trunc('day', event_time) + interval '1 day' AS event_time, max(available_at) AS available_at, sum(price::numeric)::float8 AS total
				FROM trips GROUP BY origin, date_trunc('day', event_time)`}},
		feature.View{Name: "doubled", Entity: "airport", Features: number, SQL: &feature.SQLTransform{Views: []feature.ViewRef{{Name: "totals"}},
			Query: "SELECT origin, event_time, available_at, 2 * total AS total FROM totals WHERE event_time >= {{interval.start}} AND event_time < {{interval.end}}"}},
	)
	w := forgetWorldOf(p, d)
	flight := int64(1000)
	for _, c := range []struct{ view, step string }{{"totals", "chunk done"}, {"doubled", "read"}, {"trips", "chunk written"}, {"takings", "read"}, {"home", "planned"}} {
		t.Run(c.view, func(t *testing.T) {
			// A day of its own for each, so that what is computed was not covered before.
			w.bookings(forgotten, flight, w.at.Add(time.Duration(flight)*time.Hour/100), 3)
			w.bookings("alice", flight+10, w.at.Add(time.Duration(flight)*time.Hour/100+time.Minute), 3)
			flight += 100
			switch c.view {
			case "totals":
				p.materialize("trips")
			case "doubled":
				p.materialize("trips", "totals")
			}
			reached, goOn := p.stopAt(c.step)
			r, err := p.materialization.Materialize(p.admin, &headwaterv1.MaterializeRequest{Views: []string{c.view}, Full: true})
			if err != nil {
				t.Fatal(fault.FromError(err))
			}
			id := r.GetRuns()[0].GetId()
			await(t, "the run to be in the middle", reached)
			done := w.forgetting(forgotten)
			eventually(t, "the rows of the source to go", func() bool {
				return p.count(`SELECT count(*) FROM headwater_landing.bookings WHERE passenger_id = $1`, forgotten) == 0
			})
			goOn()
			w.ended(done)
			p.step.Store(nil)
			run, err := p.watch(p.admin, id)
			if err != nil || run.GetState() != headwaterv1.RunState_RUN_STATE_PUBLISHED || run.GetOnlineState() != headwaterv1.OnlineState_ONLINE_STATE_LOADED {
				t.Fatalf("found %v, %v", run, err)
			}
			if left := w.found(); len(left) > 0 {
				t.Errorf("the person is still in %q", left)
			}
			w.runs = map[string]*headwaterv1.Run{fmt.Sprintf("%s/%d", run.GetView(), run.GetSeq()): run}
			w.verifyRuns()
			// What is live now is what the rows that are left give.
			for view, of := range map[string]string{
				"totals": `SELECT origin, date_trunc('day', event_time) + interval '1 day', sum(price::numeric)::float8 FROM headwater_history.trips_v1
					WHERE seq_to = 9223372036854775807 GROUP BY 1, 2`,
				"doubled": `SELECT entity_key, event_time, 2 * total FROM headwater_history.totals_v1 WHERE seq_to = 9223372036854775807`,
			} {
				if n := p.count(`SELECT count(*) FROM (SELECT entity_key, event_time, total FROM headwater_history.` + view + `_v1
					WHERE seq_to = 9223372036854775807 EXCEPT ` + of + `) AS x`); n > 0 {
					t.Errorf("%d live rows of %s are not what the rows that are left give", n, view)
				}
			}
			if n := p.count(`SELECT count(*) FROM headwater_history.takings_v1 t WHERE seq_to = 9223372036854775807 AND entity_key = 'ORD'
				AND week > (SELECT coalesce(sum(price), 0) FROM headwater_landing.bookings b WHERE origin = 'ORD' AND booked_at > t.event_time - interval '7 days'
					AND booked_at <= t.event_time) + 0.5`); n > 0 {
				t.Errorf("%d live windows are of more than the rows that are left", n)
			}
		})
	}
}

// Rows that are still to become current are noted by their key. Who loads an entity that is due as the erasure begins notes when it is due again: that goes too.
func TestForgetWhatIsDue(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a store")
	}
	w := newForgetWorld(t)
	// Far enough ahead that nothing becomes current before it is noted, however slow the machine is.
	w.bookings(forgotten, 500, time.Now().UTC().Add(time.Hour), 2)
	reached, goOn := w.stopAt("due_batch")
	w.materialize("trips")
	if n := w.count(`SELECT count(*) FROM headwater.online_due WHERE entity_key LIKE 'Mallory%'`); n != 1 {
		t.Fatalf("found %d entities that are due, expected one", n)
	}
	// Who finds the entity due notes the row ahead again, in the place of this.
	if _, err := w.pool.Exec(t.Context(), `UPDATE headwater.online_due SET due = now() - interval '1 second' WHERE entity_key LIKE 'Mallory%'`); err != nil {
		t.Fatal(err)
	}
	await(t, "the entity to be loaded as due", reached)
	done := w.forgetting(forgotten)
	eventually(t, "the erasure to wait for who loads what is due", func() bool {
		return w.count(`SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'DELETE FROM headwater.online_due%'
			AND datname = current_database()`) > 0
	})
	goOn()
	w.ended(done)
	if left := w.found(); len(left) > 0 {
		t.Errorf("the person is still in %q", left)
	}
}

func TestTwoForgetsAtOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a store")
	}
	t.Parallel()
	w := newForgetWorld(t)
	// One is in the middle of it when the others come: of the same person, and of one who shares sources and views.
	reached, goOn := w.stopAt(materialize.StepErasingView)
	first := w.forgetting(forgotten)
	await(t, "the first erasure to be in the middle", reached)
	second, other := w.forgetting(forgotten), w.forgetting("alice")
	eventually(t, "the others to wait", func() bool {
		return w.count(`SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND classid = $1`, 0x48574552) == 2
	})
	goOn()
	a, b, c := w.ended(first), w.ended(second), w.ended(other)
	if a.GetId() != b.GetId() || a.GetId() == c.GetId() {
		t.Errorf("found the erasures %s and %s of one person, %s of another", a.GetId(), b.GetId(), c.GetId())
	}
	if left := w.found(); len(left) > 0 {
		t.Errorf("the person is still in %q", left)
	}
	for _, name := range []string{"landing.bookings", "history.trips_v1", "history.home_v1", "history.spend_v1", "history.last_seen_v1", "history.seats_v1"} {
		if n := w.count(`SELECT count(*) FROM headwater_` + name + ` x WHERE position('alice' IN x::text) > 0`); n > 0 {
			t.Errorf("found %d rows of the other in %s", n, name)
		}
	}
	// What both had a part in is that of whom is left.
	if n := w.count(`SELECT count(*) FROM headwater_history.takings_v1 WHERE seq_to = 9223372036854775807 AND week IS NOT NULL AND week NOT IN (0, 20)`); n > 0 {
		t.Errorf("found %d windows with rows of those who are erased", n)
	}
	if got := w.verdict(w.with) + w.verdict(w.without) + w.verdict(w.ports); got != "ERASEDERASEDERASED" {
		t.Errorf("found %s", got)
	}
	w.verifyRuns()
}

func TestForgetInARedisCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a store")
	}
	t.Parallel()
	p := openProduct(t, testenv.PostgresURL(t), "redis://"+strings.Join(testenv.RedisCluster(t), ","))
	w := forgetWorldOf(p, passengers())
	// Many seats, so that entities which go are on all masters.
	w.bookings(forgotten, 1000, w.at.Add(50*time.Hour), 60)
	w.materialize("seats")
	before := w.found()
	if n := len(slices.DeleteFunc(before, func(place string) bool { return !strings.HasPrefix(place, "redis hw:seat:") })); n != 62 {
		t.Fatalf("found %d seats in Redis, expected 62", n)
	}
	e := w.ended(w.forgetting(forgotten))
	if !slices.Contains(placesOf(e), "online seats@1 62") {
		t.Errorf("found no seats in %q", placesOf(e))
	}
	if left := w.found(); len(left) > 0 {
		t.Errorf("the person is still in %q", left)
	}
	if got := w.passengerOnline("alice"); !strings.Contains(got, "30/PRESENT") {
		t.Errorf("found %s of another", got)
	}
	eventually(t, "the aggregates online", func() bool { return strings.Contains(w.portOnline("JFK"), `"bob"/PRESENT`) })
}

func (w *forgetWorld) vectorOnline(service, column, key string) string {
	w.t.Helper()
	r, err := w.online.GetFeatures(w.admin, &headwaterv1.GetFeaturesRequest{Service: service, Keys: map[string]*headwaterv1.KeyColumn{column: texts(key)}})
	if err != nil {
		w.t.Fatal(fault.FromError(err))
	}
	return strings.ReplaceAll(strings.TrimSpace(vectors(r)), "\n", ", ")
}

func (w *forgetWorld) passengerOnline(key string) string {
	return w.vectorOnline("person", "passenger_id", key)
}

func (w *forgetWorld) portOnline(key string) string { return w.vectorOnline("port", "origin", key) }

// gc collects all history that ended.
func (w *forgetWorld) gc() (rows int64, err error) {
	r, err := w.retention.CollectHistory(w.admin, &headwaterv1.CollectHistoryRequest{OlderThan: durationpb.New(0)})
	for _, v := range r.GetViews() {
		rows += v.GetRowsCollected()
	}
	return rows, err
}

// What was collected is gone before, and what is left of runs before the horizon is not known; collecting in the middle changes nothing.
func TestForgetAndCollect(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a store")
	}
	t.Parallel()
	w := newForgetWorld(t)
	// Bookings of the person that a later run withdraws end in the history.
	w.bookings(forgotten, 700, w.at.Add(60*time.Hour), 2)
	w.materializeAll()
	last := w.count(`SELECT max(id) FROM headwater.load WHERE source = 'bookings'`)
	if _, err := w.loads.RetractLoad(w.admin, &headwaterv1.RetractLoadRequest{Id: last, Reason: "wrong"}); err != nil {
		t.Fatal(fault.FromError(err))
	}
	w.materializeAll()
	if rows, err := w.gc(); err != nil || rows == 0 {
		t.Fatalf("collected %d rows, %v", rows, err)
	}
	// Between two views the history of all is collected again: of the one that is at work, and of those that are still to come.
	reached, goOn := w.stopAt(materialize.StepErasingView)
	done := w.forgetting(forgotten)
	await(t, "the erasure to be in the middle", reached)
	collected := make(chan error, 1)
	go func() {
		_, err := w.gc()
		collected <- err
	}()
	goOn()
	e := w.ended(done)
	if err := <-collected; err != nil {
		t.Fatal(fault.FromError(err))
	}
	if left := w.found(); len(left) > 0 {
		t.Errorf("the person is still in %q", left)
	}
	if got := w.verdict(w.with) + w.verdict(w.without) + w.verdict(w.ports) + w.verdict(w.airports); got != "ERASEDSAMEERASEDSAME" {
		t.Errorf("found %s", got)
	}
	if again, _, err := w.fetch(w.admin, w.without.GetId()); err != nil || string(again) != string(w.other) {
		t.Errorf("a dataset without the entity has other bytes, %v", err)
	}
	// Runs from the horizon on are verified as ever. Of those before it nothing was made up.
	for name := range w.runs {
		view, seq, _ := strings.Cut(name, "/")
		var old int64
		fmt.Sscan(seq, &old)
		var horizon int64
		err := w.pool.QueryRow(context.Background(), `SELECT s.horizon_seq FROM headwater.view_state s JOIN headwater.definition d ON d.id = s.view_id
			WHERE d.kind = 'view' AND d.name = $1`, view).Scan(&horizon)
		if err != nil {
			t.Fatal(err)
		}
		// A run of windows goes on from the history before it.
		if old > horizon || old == horizon && view != "spend" && view != "takings" {
			continue
		}
		delete(w.runs, name)
		if n := w.count(`SELECT count(*) FROM headwater.run_erasure x JOIN headwater.run r ON r.id = x.run_id JOIN headwater.definition d ON d.id = r.view_id
			WHERE d.name = $1 AND r.seq = $2 AND x.erasure_id = $3 AND x.rows > 0 AND x.new_digest IS NOT NULL AND r.seq < $4`, view, old, e.GetId(), horizon); n > 0 {
			t.Errorf("run %s is before the horizon %d, and has a digest of what is left", name, horizon)
		}
	}
	if len(w.runs) == 0 {
		t.Fatal("no run is left to be verified")
	}
	w.verifyRuns()
}

// An erasure that dies after a history lost the person, and before Redis did, is followed in Redis by any server, without being asked again.
func TestForgetIsFollowedInRedis(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a store")
	}
	t.Parallel()
	w := newForgetWorld(t)
	killed := errors.New("killed")
	do := func(step string) error {
		if step == materialize.StepErasedView {
			return killed
		}
		return nil
	}
	w.step.Store(&do)
	if _, err := w.forget(false); err == nil {
		t.Fatal("the erasure was not broken off")
	}
	// The first view that is looked at is that of trips: only its values went.
	eventually(t, "Redis to lose what the history has lost", func() bool {
		return w.count(`SELECT count(*) FROM headwater.online_erase`) == 0 && strings.HasPrefix(w.passengerOnline(forgotten), "trips__price 0/NO_ROW")
	})
	if got := w.passengerOnline(forgotten); !strings.Contains(got, "again__price 400/PRESENT") {
		t.Errorf("found %s, expected what is not erased yet", got)
	}
	w.step.Store(nil)
	w.ended(w.forgetting(forgotten))
	if left := w.found(); len(left) > 0 {
		t.Errorf("the person is still in %q", left)
	}
}
