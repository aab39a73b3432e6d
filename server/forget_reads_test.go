package server

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// loggingAll is definitions whose services keep all of their reads.
func loggingAll(d *feature.Definitions) *feature.Definitions {
	for i := range d.Services {
		d.Services[i].Log = "all"
	}
	return d
}

// read reads entities of one join key.
func (p *product) read(service, column string, keys ...string) *headwaterv1.GetFeaturesResponse {
	p.t.Helper()
	return p.readModel(&headwaterv1.GetFeaturesRequest{Service: service, Keys: map[string]*headwaterv1.KeyColumn{column: texts(keys...)}})
}

// newReadsWorld is a world whose services keep their reads, and in which the person is the last who was seen at an airport.
func newReadsWorld(p *product) *forgetWorld {
	t := p.t
	t.Helper()
	d := loggingAll(passengers())
	d.Services = append(d.Services, feature.Service{Name: "seating", Log: "all", Views: []feature.ServiceView{{View: "seats"}}})
	w := forgetWorldOf(p, d)
	stamp := feature.Timestamp(feature.TimeOf(w.at.Add(50 * time.Hour)))
	content := table{columns: d.Sources[0].Columns, rows: [][]feature.Value{
		{stamp, feature.Int64(9), feature.String(forgotten), feature.String("LAX"), feature.Float64(7)},
	}}.arrow(t)
	if _, err := p.send(p.admin, "bookings", p.header(content, 0), content, 1000); err != nil {
		t.Fatal(fault.FromError(err))
	}
	w.materializeAll()
	w.settled(p)
	return w
}

// settled waits until a server knows what the runs cover: until then values of windows are STALE.
func (w *forgetWorld) settled(p *product) {
	w.t.Helper()
	eventually(w.t, "the server to know of all runs", func() bool { return !strings.Contains(vectors(p.read("takers", "origin", "ORD")), "STALE") })
}

// readThem reads the person by its key, by a part of a key, and by a feature that is its key, each beside others.
func (w *forgetWorld) readThem(p *product) (person, seat, port string) {
	w.t.Helper()
	asked := &headwaterv1.GetFeaturesRequest{
		Service: "person", PredictionId: "p-7", Keys: map[string]*headwaterv1.KeyColumn{"who": texts(forgotten, "alice", forgotten, "bob")},
		KeyMapping: map[string]string{"passenger_id": "who"},
	}
	seats := &headwaterv1.GetFeaturesRequest{Service: "seating", Keys: map[string]*headwaterv1.KeyColumn{
		"flight_no": numbers(2, 1), "holder": texts("alice", forgotten),
	}}
	return p.readModel(asked).GetReadId(), p.readModel(seats).GetReadId(), p.read("port", "origin", "LAX", "ORD").GetReadId()
}

// rowTexts are the rows of a logged read: the keys and values of each.
func rowTexts(r *headwaterv1.LoggedRead) []string {
	rows := make([]string, r.GetEntities())
	response := &headwaterv1.GetFeaturesResponse{}
	for _, f := range r.GetFeatures() {
		response.Features = append(response.Features, &headwaterv1.FeatureVector{Name: f.GetName(), Values: f.GetValues()})
	}
	for i := range rows {
		for _, k := range r.GetKeys() {
			rows[i] += fmt.Sprintf("%q ", k.GetKeys()[i])
		}
		for _, p := range r.GetProvenance() {
			rows[i] += fmt.Sprint(p.GetRunSeqs()[i], p.GetEventTimes()[i], p.GetAvailableAts()[i], " ")
		}
	}
	for _, line := range strings.Split(strings.TrimSpace(vectors(response)), "\n") {
		name, values, _ := strings.Cut(line, " ")
		for i, value := range strings.Fields(values) {
			rows[i%len(rows)] += name + "=" + value + " "
		}
	}
	return rows
}

// holdErased holds a read that rows were erased of to what it was before.
func (w *forgetWorld) holdErased(before *headwaterv1.LoggedRead, erased ...int32) {
	w.t.Helper()
	after := w.loggedRead(before.GetReadId()).GetRead()
	if !slices.Equal(after.GetErased(), erased) {
		w.t.Errorf("%s: found the rows %v erased, expected %v", before.GetService(), after.GetErased(), erased)
	}
	was, is := rowTexts(before), rowTexts(after)
	for i := range was {
		if gone := slices.Contains(erased, int32(i)); gone == (was[i] == is[i]) {
			w.t.Errorf("%s, row %d, erased %v: found\n%s\nwhere there was\n%s", before.GetService(), i, gone, is[i], was[i])
		}
	}
	v, err := w.reads().VerifyRead(w.admin, &headwaterv1.VerifyReadRequest{ReadId: before.GetReadId()})
	if err != nil {
		w.t.Fatal(fault.FromError(err))
	}
	unknown, all := int64(len(erased)*len(before.GetFeatures())), int64(int(before.GetEntities())*len(before.GetFeatures()))
	if v.GetNotChecked() != unknown || v.GetMatching() != all-unknown || v.GetDifferent() != 0 || v.GetLagging() != 0 {
		w.t.Errorf("%s: verified %v, expected %d values not checked of %d, and the others the same", before.GetService(), v, unknown, all)
	}
	for _, d := range v.GetDifferences() {
		if d.GetWhy() != "the entity was erased" || !slices.Contains(erased, d.GetRow()) || d.GetServed() != "" || d.GetRecomputed() != "" {
			w.t.Errorf("%s: found %v", before.GetService(), d)
		}
	}
}

func TestForgetLoggedReads(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a store")
	}
	t.Parallel()
	w := newReadsWorld(newProduct(t))
	ctx := context.Background()
	listed := func() int {
		t.Helper()
		list, err := w.reads().ListReads(w.admin, &headwaterv1.ListReadsRequest{Entity: "passenger", Keys: map[string]*headwaterv1.Value{"passenger_id": texts(forgotten).Values[0]}})
		if err != nil {
			t.Fatal(fault.FromError(err))
		}
		return len(list.GetReads())
	}
	person, seat, port := w.readThem(w.product)
	alone := w.readModel(&headwaterv1.GetFeaturesRequest{Service: "person", PredictionId: forgottenText, Keys: map[string]*headwaterv1.KeyColumn{"passenger_id": texts(forgotten)}}).GetReadId()
	others := w.read("person", "passenger_id", "alice", "bob").GetReadId()
	before := map[string]*headwaterv1.LoggedRead{}
	for _, id := range []string{person, seat, port, alone, others} {
		before[id] = w.loggedRead(id).GetRead()
		w.holdErased(before[id])
	}
	if n := listed(); n != 2 {
		t.Errorf("found %d reads of the person, expected 2", n)
	}
	if values := rowTexts(before[port])[0]; !strings.Contains(values, forgotten) {
		t.Fatalf("found %s, expected the person to be a feature in it", values)
	}

	// No drain gets on while this is held, so these stay on the disk.
	tx, err := w.pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(ctx)
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(x'4857524c'::int, 0)`); err != nil {
		t.Fatal(err)
	}
	personOnDisk, seatOnDisk, portOnDisk := w.readThem(w.product)
	if n, places := w.server.reads.Pending(), w.found(); n != 3 || !slices.Contains(places, "read log") {
		t.Errorf("found %d reads on the disk, and the key in %q", n, places)
	}
	if err := tx.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	e, err := w.forget(false)
	if err != nil {
		t.Fatal(fault.FromError(err))
	}
	for _, place := range []string{"read log person 5", "read log seating 2", "read log port 2"} {
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
	w.holdErased(before[person], 0, 2)
	w.holdErased(before[seat], 1)
	w.holdErased(before[port], 0)
	w.holdErased(before[alone], 0)
	for id, drained := range map[string]string{personOnDisk: person, seatOnDisk: seat, portOnDisk: port} {
		same := proto.Clone(before[drained]).(*headwaterv1.LoggedRead)
		same.ReadId = id
		w.holdErased(same, w.loggedRead(drained).GetRead().GetErased()...)
	}
	if r := w.loggedRead(others).GetRead(); !proto.Equal(r, before[others]) {
		t.Errorf("found a read of others as\n%v\nexpected\n%v", r, before[others])
	}
	w.holdErased(before[others])
	// It may name the person only where nobody else is in the read.
	if a, b := w.loggedRead(person).GetRead().GetPredictionId(), w.loggedRead(alone).GetRead().GetPredictionId(); a != "p-7" || b != "" {
		t.Errorf("found the prediction ids %q and %q", a, b)
	}
	if n := listed(); n != 0 {
		t.Errorf("found %d reads of the person, expected none", n)
	}
	if again, err := w.forget(false); err != nil || again.GetId() != e.GetId() {
		t.Errorf("asked for again, found %v, %v", again, err)
	}
}

// A NULL that is STALE is one in a verified read too, and nothing else is.
func TestAVerifiedReadKnowsAStaleNull(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a store")
	}
	t.Parallel()
	w := newReadsWorld(newProduct(t))
	// The only booking there is older than the window.
	r := w.loggedRead(w.read("takers", "origin", "JFK").GetReadId()).GetRead()
	values := r.GetFeatures()[0].GetValues()
	verify := func(value float64, nulls ...uint32) *headwaterv1.VerifyReadResponse {
		t.Helper()
		values.Status, values.Float64S = []headwaterv1.ValueStatus{headwaterv1.ValueStatus_VALUE_STATUS_STALE}, []float64{value}
		values.Nulls = nulls
		w.keepAgain(r)
		v, err := w.reads().VerifyRead(w.admin, &headwaterv1.VerifyReadRequest{ReadId: r.GetReadId()})
		if err != nil {
			t.Fatal(fault.FromError(err))
		}
		return v
	}
	if v := verify(0, 0); v.GetMatching() != 1 {
		t.Errorf("found %v", v)
	}
	if v := verify(0); v.GetDifferent() != 1 || v.GetDifferences()[0].GetServed() != "0 STALE" {
		t.Errorf("found %v", v)
	}
	if v := verify(5); v.GetDifferent() != 1 || v.GetDifferences()[0].GetServed() != "5 STALE" || v.GetDifferences()[0].GetRecomputed() != "NULL" {
		t.Errorf("found %v", v)
	}
}

// Reads that wait on the disk of a server that has no Postgres are told of, come without the person, and what only a feature tells goes when
// the erasure is asked for again.
func TestForgetReadsOnTheDiskOfAnotherServer(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a store")
	}
	t.Parallel()
	w := newReadsWorld(newProduct(t))
	between, way := newProxy(t, w.url)
	other := openProductWith(t, Config{PostgresURL: way, RedisURL: w.redisURL})
	w.settled(other)
	folder := other.server.config.ReadLogDir
	before := map[string]*headwaterv1.LoggedRead{}
	person, seat, port := w.readThem(other)
	for _, id := range []string{person, seat, port} {
		before[id] = other.loggedRead(id).GetRead()
	}
	between.setGone(true)
	personLate, seatLate, portLate := w.readThem(other)
	if n := other.server.reads.Pending(); n != 3 {
		t.Errorf("found %d reads on the disk, expected 3", n)
	}
	e, err := w.forget(false)
	if err != nil {
		t.Fatal(fault.FromError(err))
	}
	i := slices.IndexFunc(e.GetErased(), func(d *headwaterv1.ErasedFrom) bool {
		return d.GetPlace() == placeReads && strings.HasSuffix(d.GetName(), folder)
	})
	if i < 0 || !strings.Contains(e.GetErased()[i].GetNote(), "then ask for the erasure again") {
		t.Errorf("found no note of %s in %v", folder, e.GetErased())
	}
	w.settle(e)
	between.setGone(false)
	eventually(t, "the other server's reads to be in Postgres", func() bool { return other.server.reads.Pending() == 0 })
	again, err := w.forget(false)
	if err != nil {
		t.Fatal(fault.FromError(err))
	}
	if got, want := placesOf(again), []string{"read log port 1"}; again.GetId() == e.GetId() || !slices.ContainsFunc(got, func(p string) bool { return p == want[0] }) {
		t.Errorf("asked for again, found %q erased, expected %q", got, want)
	}
	w.settle(again)
	for early, late := range map[string]string{person: personLate, seat: seatLate, port: portLate} {
		w.holdErased(before[early], map[string][]int32{person: {0, 2}, seat: {1}, port: {0}}[early]...)
		same := proto.Clone(before[early]).(*headwaterv1.LoggedRead)
		same.ReadId = late
		w.holdErased(same, w.loggedRead(early).GetRead().GetErased()...)
	}
	if left := w.found(); len(left) > 0 {
		t.Errorf("the key is still in %q", left)
	}
	// What is in Postgres leaves the disk, at the end at the latest.
	other.close()
	noFileHolds(t, folder, "Mallory")
}

// Reads are answered while Postgres is away, and each is there once when it is back.
func TestPostgresGoneWhileReadsAreLogged(t *testing.T) {
	t.Parallel()
	direct := testenv.PostgresURL(t)
	between, way := newProxy(t, direct)
	p := openProduct(t, way, testenv.RedisURL(t))
	p.apply(logging("all", "small"))
	p.ingest(flights(flight("ORD", 7, time.Now().Add(-time.Hour), feature.Float64(1))), 0)
	p.materialize("delays")
	var ids []string
	read := func() { ids = append(ids, p.read("small", "origin", "ORD", "JFK").GetReadId()) }
	for range 3 {
		// Connections end wherever a drain just is.
		read()
		read()
		between.setGone(true)
		for range 10 {
			read()
		}
		if n := p.server.reads.Pending(); n < 10 {
			t.Errorf("found %d reads on the disk while Postgres is away, expected 10 or more", n)
		}
		between.setGone(false)
		eventually(t, "the reads to be in Postgres", func() bool { return p.server.reads.Pending() == 0 })
	}
	if n := p.count(`SELECT count(*) FROM headwater.read_log`); n != int64(len(ids)) {
		t.Errorf("found %d logged reads, expected %d", n, len(ids))
	}
	for _, id := range ids {
		if n := p.count(`SELECT count(*) FROM headwater.read_log WHERE read_id = $1`, id); n != 1 {
			t.Errorf("read %s is logged %d times", id, n)
		}
	}
	if n := p.count(`SELECT sum(rows)::bigint FROM headwater.read_log_count`); n != int64(len(ids)) {
		t.Errorf("found %d rows counted, expected %d", n, len(ids))
	}
}
