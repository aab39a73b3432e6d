package readlog

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/appendlog"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func open(t *testing.T, dir string, o Options) *Log {
	t.Helper()
	l, err := Open(context.Background(), dir, testenv.Postgres(t), o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// readAt is a read of two shops, of which the second has no row.
func readAt(id string, at time.Time) *headwaterv1.LoggedRead {
	return &headwaterv1.LoggedRead{
		ReadId: id, ServedAt: timestamppb.New(at), Service: "s", ServiceVersion: 1, Log: "all", Entities: 2, HashVersion: 1, PredictionId: "p",
		Keys: []*headwaterv1.LoggedKeys{{Entity: "shop", Columns: []string{"shop"}, Keys: []string{"a", "b"}}},
		Features: []*headwaterv1.LoggedFeature{{Name: "v__x", View: "v", ViewVersion: 1, Feature: "x", Values: &headwaterv1.ValueVector{
			Type: headwaterv1.ValueType_VALUE_TYPE_INT64, TypeName: "int64", Int64S: []int64{7, 0},
			Status: []headwaterv1.ValueStatus{headwaterv1.ValueStatus_VALUE_STATUS_PRESENT, headwaterv1.ValueStatus_VALUE_STATUS_NO_ROW},
		}}},
		Provenance: []*headwaterv1.ViewProvenance{{View: "v", ViewVersion: 1, EventTimes: []int64{5, 0}, AvailableAts: []int64{5, 0}, RunSeqs: []int64{3, 0}}},
	}
}

func TestReadsOfAllDaysComeOnceAndLeaveByDay(t *testing.T) {
	ctx := context.Background()
	// So far ahead that the log itself drops none of it.
	now := time.Date(2931, 5, 4, 23, 59, 59, 0, time.UTC)
	l := open(t, t.TempDir(), Options{})
	defer l.Close()
	for i, at := range []time.Time{now, now.Add(time.Second), now.Add(-2 * day), now} {
		// The last is the first once more.
		if err := l.Append(readAt(fmt.Sprint("rd_", i%3), at)); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	days := func() (list string) {
		t.Helper()
		err := l.pool.QueryRow(ctx, `SELECT string_agg(c.relname || ' ' || r.read_id, ', ' ORDER BY r.read_id) FROM headwater.read_log r JOIN pg_class c ON c.oid = r.tableoid`).Scan(&list)
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	if got, want := days(), "read_log_29310504 rd_0, read_log_29310505 rd_1, read_log_29310502 rd_2"; got != want {
		t.Errorf("found    %s\nexpected %s", got, want)
	}
	if err := l.dropBefore(ctx, now.Truncate(day)); err != nil {
		t.Fatal(err)
	}
	if got, want := days(), "read_log_29310504 rd_0, read_log_29310505 rd_1"; got != want {
		t.Errorf("found    %s\nexpected %s", got, want)
	}
	var counted int64
	if err := l.pool.QueryRow(ctx, `SELECT sum(reads) FROM headwater.read_log_count WHERE run_seq = 3`).Scan(&counted); err != nil || counted != 2 {
		t.Errorf("found %d reads counted, %v", counted, err)
	}
}

func TestAnErasedEntityDoesNotComeFromADisk(t *testing.T) {
	ctx := context.Background()
	l := open(t, t.TempDir(), Options{})
	defer l.Close()
	at := time.Now()
	if err := l.Append(readAt("rd_before", at)); err != nil {
		t.Fatal(err)
	}
	if err := l.Erase(ctx, Erasing{Entity: "shop", Key: "a"}); err != nil {
		t.Fatal(err)
	}
	// As from the disk of a server that was away.
	if err := l.Append(readAt("rd_late", at)); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"rd_before", "rd_late"} {
		r, err := l.Find(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(r.GetErased(), []int32{0}) || !slices.Equal(r.GetKeys()[0].GetKeys(), []string{"", "b"}) || !slices.Equal(r.GetFeatures()[0].GetValues().GetInt64S(), []int64{0, 0}) ||
			r.GetProvenance()[0].GetRunSeqs()[0] != 0 || r.GetPredictionId() != "p" {
			t.Errorf("%s: found %v", id, r)
		}
	}
	for key, want := range map[string]int{"a": 0, "b": 2} {
		if list, _, err := l.List(ctx, Filter{Entity: "shop", Key: key, Limit: 10}); err != nil || len(list) != want {
			t.Errorf("%s: found %v, %v", key, list, err)
		}
	}
}

// More than are written at once, and fewer than are drained at once: each comes once, as it was.
func TestSampledReadsComeWhole(t *testing.T) {
	ctx := context.Background()
	l := open(t, t.TempDir(), Options{Queue: 2 * gatherReads})
	defer l.Close()
	at := time.Now()
	const many = gatherReads + 3
	for i := range many {
		l.Offer(readAt(fmt.Sprint("rd_", i), at))
	}
	if err := l.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	for i := range many {
		want := readAt(fmt.Sprint("rd_", i), at)
		if found, err := l.Find(ctx, want.GetReadId()); err != nil || !proto.Equal(found, want) {
			t.Errorf("found %v, %v\nexpected %v", found, err, want)
		}
	}
	var rows int
	if err := l.pool.QueryRow(ctx, `SELECT count(*) FROM headwater.read_log`).Scan(&rows); err != nil || rows != many {
		t.Errorf("found %d rows, %v, expected %d", rows, err, many)
	}
}

// Nobody flushes, and few come.
func TestSampledReadsDoNotWaitForOthersForLong(t *testing.T) {
	l := open(t, t.TempDir(), Options{drainEvery: time.Hour})
	defer l.Close()
	l.Offer(readAt("rd_", time.Now()))
	eventually(t, func() bool { return l.Pending() == 1 })
}

func TestASampledReadThatCannotBeWrittenTakesNoOtherWithIt(t *testing.T) {
	ctx := context.Background()
	l := open(t, t.TempDir(), Options{})
	defer l.Close()
	huge := readAt("rd_huge", time.Now())
	huge.Purpose = strings.Repeat("x", appendlog.MaxPayload)
	for _, r := range []*headwaterv1.LoggedRead{readAt("rd_before", time.Now()), huge, readAt("rd_after", time.Now())} {
		l.Offer(r)
	}
	if err := l.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	var ids string
	if err := l.pool.QueryRow(ctx, `SELECT string_agg(read_id, ' ' ORDER BY read_id) FROM headwater.read_log`).Scan(&ids); err != nil || ids != "rd_after rd_before" {
		t.Errorf("found %s, %v", ids, err)
	}
}

// Another server learns that all reads from before a time are in Postgres, though nobody flushes.
func TestALogSaysUpToWhenItsReadsAreInPostgres(t *testing.T) {
	ctx := context.Background()
	l := open(t, t.TempDir(), Options{drainEvery: 10 * time.Millisecond})
	defer l.Close()
	other, err := Open(ctx, t.TempDir(), l.pool, Options{drainEvery: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := l.Append(readAt("rd_", time.Now())); err != nil {
		t.Fatal(err)
	}
	var now time.Time
	if err := l.pool.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&now); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool {
		places, err := other.Undrained(ctx, now)
		if err != nil {
			t.Fatal(err)
		}
		return len(places) == 0
	})
	if l.Pending() != 0 {
		t.Errorf("found %d reads that are not in Postgres", l.Pending())
	}
}

func eventually(t *testing.T, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it is not so after a minute")
		}
	}
}

func TestManyReadsDoNotWaitToBeDrained(t *testing.T) {
	l := open(t, t.TempDir(), Options{drainEvery: time.Hour})
	defer l.Close()
	if err := l.Append(readAt("rd_", time.Now())); err != nil {
		t.Fatal(err)
	}
	payload, err := proto.Marshal(readAt("rd_again", time.Now()))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.append(slices.Repeat([][]byte{payload}, drainFrom)...); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return l.Pending() == 0 })
}

func TestAppendRefusesWithoutAFolder(t *testing.T) {
	l := open(t, t.TempDir(), Options{})
	if err := l.log.Close(); err != nil {
		t.Fatal(err)
	}
	err := l.Append(readAt("rd_1", time.Now()))
	if fault.ReasonOf(err) != fault.ReadLogUnavailable || err.Error() != "service s keeps all of its reads, and this one cannot be kept: the server cannot write it to its disk, "+
		"so it is not answered; see the server's log, and the disk of its read log folder" {
		t.Errorf("found %v", err)
	}
	l.Offer(readAt("rd_2", time.Now()))
	if err := l.Close(); err != nil && err != appendlog.ErrClosed {
		t.Error(err)
	}
}

func TestSampledIsTheShare(t *testing.T) {
	kept := 0
	for i := range 20000 {
		if Sampled(fmt.Sprint("rd_", i), 0.1) {
			kept++
		}
	}
	// Of a fixed list of ids, so that it is the same each time.
	if kept < 1900 || kept > 2100 || !Sampled("rd_", 1) || Sampled("rd_", 0) {
		t.Errorf("found %d of 20000", kept)
	}
}

// An erasure knows of a log from its start until it has ended with nothing left.
func TestALogIsKnownFromItsStart(t *testing.T) {
	ctx := context.Background()
	l := open(t, t.TempDir(), Options{})
	defer l.Close()
	// All that any log has said is before.
	before := time.Date(2931, 5, 4, 0, 0, 0, 0, time.UTC)
	known := func() []string {
		t.Helper()
		places, err := l.Undrained(ctx, before)
		if err != nil {
			t.Fatal(err)
		}
		return places
	}
	if places := known(); len(places) != 0 {
		t.Errorf("found %q, expected none but its own", places)
	}
	other, err := Open(ctx, t.TempDir(), l.pool, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if places := known(); !slices.Equal(places, []string{other.place()}) {
		t.Errorf("found %q, expected %q", places, other.place())
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	if places := known(); len(places) != 0 {
		t.Errorf("found %q after the end", places)
	}
}
