package access

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/appendlog"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func atNoon() time.Time { return noon }

// reading is what an online read is made of in these tests.
type reading struct {
	audit     *AuditLog
	policy    *Policy
	principal *Principal
	service   *feature.ServiceVersion
}

func newReading(a *AuditLog) *reading {
	service := &feature.ServiceVersion{Version: 3, Service: feature.Service{Name: "delay_model_v1", ServesAsGrant: true}}
	service.Pins = []feature.ServicePin{{View: &feature.ViewVersion{View: feature.View{Name: "route_delays"}}}}
	return &reading{a, storyPolicy(), &Principal{Name: "ml", Credential: "abc", Roles: []string{"model"}}, service}
}

// read is one call after noon, of so many entities.
func (r *reading) read(after time.Duration, id, purpose, address string, entities int) error {
	ctx, s := Begin(context.Background(), Call{
		Audit: r.audit, Principal: r.principal, Policy: r.policy, Method: "/m", Began: noon.Add(after), ReadID: id,
		Address: AddressOf(net.TCPAddrFromAddrPort(netip.MustParseAddrPort(address))),
	})
	s.SetPurpose(purpose)
	s.SetEntities(entities)
	err := RequireService(ctx, ActionReadOnline, r.service)
	if again := RequireService(ctx, ActionReadOnline, r.service); err == nil && again != nil {
		return again
	}
	return errors.Join(err, s.End(), s.End())
}

// minutes are the records as `TIME-TIME PRINCIPAL PURPOSE ADDRESS CALLS/ENTITIES FIRST-LAST`.
func minutes(records []Record) (all []string) {
	for _, r := range records {
		const clock = "15:04:05"
		last := ""
		if !r.LastTime.IsZero() {
			last = "-" + r.LastTime.Format(clock)
		}
		all = append(all, fmt.Sprintf("%s%s %s %s %s %d/%d %s-%s", r.Time.Format(clock), last, r.Principal, r.Purpose, r.ClientAddress,
			r.Calls, r.Entities, r.ReadID, r.LastReadID))
	}
	return all
}

func wantCounted(t *testing.T, got []Record, want ...string) {
	t.Helper()
	lines := minutes(got)
	slices.Sort(lines)
	slices.Sort(want)
	if !slices.Equal(lines, want) {
		t.Errorf("got\n  %s\nwant\n  %s", strings.Join(lines, "\n  "), strings.Join(want, "\n  "))
	}
}

func TestReadsOfAMinuteAreOneRecord(t *testing.T) {
	a := openAudit(t, t.TempDir(), testenv.Postgres(t), AuditOptions{now: atNoon})
	r := newReading(a)
	for i, read := range []struct {
		after            time.Duration
		purpose, address string
		entities         int
	}{
		{0, "fraud", "10.0.0.1:1", 1},
		{time.Second, "fraud", "10.0.0.1:2", 10},
		{59 * time.Second, "fraud", "[::ffff:10.0.0.1]:3", 100},
		{2 * time.Second, "fraud", "10.0.0.2:1", 1},
		{3 * time.Second, "scoring", "10.0.0.1:1", 1},
		// The next minute; a call that began before it and came later is counted there.
		{time.Minute, "fraud", "10.0.0.1:1", 1},
		{58 * time.Second, "fraud", "10.0.0.1:1", 5},
	} {
		if err := r.read(read.after, fmt.Sprintf("rd_%d", i), read.purpose, read.address, read.entities); err != nil {
			t.Fatal(err)
		}
	}
	got := listed(t, a, AuditFilter{})
	wantCounted(t, got,
		"12:00:00-12:00:59 ml fraud 10.0.0.1 3/111 rd_0-rd_2",
		"12:00:02-12:00:02 ml fraud 10.0.0.2 1/1 rd_3-rd_3",
		"12:00:03-12:00:03 ml scoring 10.0.0.1 1/1 rd_4-rd_4",
		"12:01:00-12:01:00 ml fraud 10.0.0.1 2/6 rd_5-rd_5",
	)
	for _, record := range got {
		if record.Resource != "service:delay_model_v1@3" || record.Action != ActionReadOnline || record.Decision != Allowed || record.Method != "/m" ||
			record.Credential != "abc" || !slices.Equal(record.Roles, []string{"model"}) || !strings.HasPrefix(record.Reason, "role model allows") {
			t.Errorf("the record does not say what was read by whom: %+v", record)
		}
	}
	// A record that counts calls of then began before.
	wantCounted(t, listed(t, a, AuditFilter{Since: noon.Add(30 * time.Second)}),
		"12:00:00-12:00:59 ml fraud 10.0.0.1 3/111 rd_0-rd_2", "12:01:00-12:01:00 ml fraud 10.0.0.1 2/6 rd_5-rd_5")
}

func TestReadsByOthersAreCountedApart(t *testing.T) {
	a := openAudit(t, t.TempDir(), testenv.Postgres(t), AuditOptions{now: atNoon})
	r := newReading(a)
	read := func(id string) {
		t.Helper()
		if err := r.read(0, id, "", "10.0.0.1:1", 1); err != nil {
			t.Fatal(err)
		}
	}
	read("rd_0")
	r.principal = &Principal{Name: "ml", Credential: "def", Roles: []string{"model"}}
	read("rd_1")
	r.principal = &Principal{Name: "ml", Credential: "abc", Roles: []string{"admin"}}
	read("rd_2")
	other := *r.service
	other.Version++
	r.service = &other
	read("rd_3")
	r.principal = &Principal{Name: "ml", Credential: "abc"}
	for range 2 {
		if err := r.read(0, "rd_4", "", "10.0.0.1:1", 1); fault.ReasonOf(err) != fault.PermissionDenied {
			t.Fatalf("got %v, want a denial", err)
		}
	}
	var reads, denials []Record
	for _, record := range listed(t, a, AuditFilter{}) {
		if record.Decision == Allowed {
			reads = append(reads, record)
		} else {
			denials = append(denials, record)
		}
	}
	if len(denials) != 2 || denials[0].ClientAddress != "10.0.0.1:1" || denials[0].Calls != 1 || !denials[0].LastTime.IsZero() || denials[0].ReadID != "rd_4" {
		t.Errorf("denials are recorded one by one, got %+v", denials)
	}
	wantCounted(t, reads,
		"12:00:00-12:00:00 ml  10.0.0.1 1/1 rd_0-rd_0", "12:00:00-12:00:00 ml  10.0.0.1 1/1 rd_1-rd_1",
		"12:00:00-12:00:00 ml  10.0.0.1 1/1 rd_2-rd_2", "12:00:00-12:00:00 ml  10.0.0.1 1/1 rd_3-rd_3",
	)
}

// killed is what the next process finds of an audit log whose process ends now.
func killed(t *testing.T, a *AuditLog, dir string) []Record {
	t.Helper()
	left := t.TempDir()
	if err := os.CopyFS(left, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	next := openAudit(t, left, testenv.Postgres(t), AuditOptions{now: atNoon})
	return listed(t, next, AuditFilter{})
}

func TestWhatAKilledServerLeavesOfItsCounts(t *testing.T) {
	dir := t.TempDir()
	// Nothing is drained, or written by itself, while Postgres is away and the test's clock stands.
	pool, outage := withOutage(t, testenv.Postgres(t))
	outage.begin()
	a := openAudit(t, dir, pool, AuditOptions{now: atNoon})
	r := newReading(a)
	if err := r.read(0, "rd_0", "", "10.0.0.1:1", 1); err != nil {
		t.Fatal(err)
	}
	wantCounted(t, killed(t, a, dir), "12:00:00-12:00:00 ml  10.0.0.1 1/1 rd_0-rd_0")
	for i := range 4 {
		if err := r.read(time.Duration(i+1)*time.Second, fmt.Sprintf("rd_%d", i+1), "", "10.0.0.1:1", 10); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.writeCounts(noon); err != nil {
		t.Fatal(err)
	}
	wantCounted(t, killed(t, a, dir), "12:00:00-12:00:04 ml  10.0.0.1 5/41 rd_0-rd_4")
	outage.end()
}

func TestCountsAreWrittenByThemselvesAndAtTheEnd(t *testing.T) {
	pool := testenv.Postgres(t)
	a, err := OpenAuditLog(t.TempDir(), pool, AuditOptions{now: atNoon})
	if err != nil {
		t.Fatal(err)
	}
	r := newReading(a)
	read := func() {
		t.Helper()
		if err := r.read(0, "rd", "", "10.0.0.1:1", 1); err != nil {
			t.Fatal(err)
		}
	}
	calls := func() (n int64) {
		records, err := a.List(context.Background(), AuditFilter{})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			n += r.Calls
		}
		return n
	}
	read()
	read()
	for calls() != 2 {
		time.Sleep(time.Millisecond)
	}
	for range 5 {
		read()
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if n := calls(); n != 7 {
		t.Errorf("got %d calls, want 7", n)
	}
}

func TestNoReadIsLostWhileMinutesEnd(t *testing.T) {
	a := openAudit(t, t.TempDir(), testenv.Postgres(t), AuditOptions{now: atNoon})
	r := newReading(a)
	const callers, each = 4, 500
	var readers, writer sync.WaitGroup
	stop := make(chan struct{})
	writer.Go(func() {
		for minute := 0; ; minute++ {
			select {
			case <-stop:
				return
			default:
			}
			// Every other time, all counts are of a minute that is over.
			if err := a.writeCounts(noon.Add(time.Duration(minute%2) * time.Minute)); err != nil {
				t.Error(err)
			}
		}
	})
	for range callers {
		readers.Go(func() {
			for i := range each {
				if err := r.read(time.Duration(i%3)*time.Minute, "rd", "", "10.0.0.1:1", 2); err != nil {
					t.Error(err)
				}
			}
		})
	}
	readers.Wait()
	close(stop)
	writer.Wait()
	var calls, entities int64
	for _, record := range listed(t, a, AuditFilter{Limit: 10_000}) {
		calls, entities = calls+record.Calls, entities+record.Entities
	}
	if calls != callers*each || entities != 2*callers*each {
		t.Errorf("got %d calls of %d entities, want %d of %d", calls, entities, callers*each, 2*callers*each)
	}
}

func TestBeyondTheBoundReadsAreRecordedOneByOne(t *testing.T) {
	a := openAudit(t, t.TempDir(), testenv.Postgres(t), AuditOptions{now: atNoon})
	a.counts.most = 2
	r := newReading(a)
	for i := range 8 {
		if err := r.read(0, fmt.Sprintf("rd_%d", i), fmt.Sprint("purpose", i%4), "10.0.0.1:1", 1); err != nil {
			t.Fatal(err)
		}
	}
	got := listed(t, a, AuditFilter{})
	var calls int64
	for _, record := range got {
		calls += record.Calls
	}
	if calls != 8 || len(got) != 6 {
		t.Errorf("got %d calls in %d records, want 8 in 6: %q", calls, len(got), minutes(got))
	}
}

func TestReadsThatCannotBeCountedAreRefused(t *testing.T) {
	a := openAudit(t, t.TempDir(), testenv.Postgres(t), AuditOptions{now: atNoon})
	r := newReading(a)
	read := func() error { return r.read(0, "rd", "", "10.0.0.1:1", 1) }
	if err := errors.Join(read(), read()); err != nil {
		t.Fatal(err)
	}
	if err := a.log.Close(); err != nil {
		t.Fatal(err)
	}
	if err := a.writeCounts(noon); !errors.Is(err, appendlog.ErrClosed) {
		t.Fatalf("got %v, want that the log is closed", err)
	}
	for range 2 {
		if err := read(); fault.ReasonOf(err) != fault.AuditUnavailable || !errors.Is(err, appendlog.ErrClosed) {
			t.Errorf("got %v, want AUDIT_UNAVAILABLE", err)
		}
	}
}

func TestACountDeliveredTwiceOrLateIsTheNewest(t *testing.T) {
	a := openAudit(t, t.TempDir(), testenv.Postgres(t), AuditOptions{now: atNoon})
	payload := func(text string) []byte { return []byte(text) }
	const last = `"last_time":"2026-03-01T12:00:09Z","last_read_id":"rd_9"}`
	records := []appendlog.Record{
		{Number: 7, Payload: payload(`{"time":"2026-03-01T12:00:00Z","roles":[],"method":"m","decision":"allowed","read_id":"rd_0","calls":1,"last_time":"2026-03-01T12:00:00Z"}`)},
		{Number: 8, Payload: payload(`{"time":"2026-03-01T12:00:05Z","continues":7,"calls":5,"entities":5,"last_time":"2026-03-01T12:00:05Z","last_read_id":"rd_5"}`)},
		{Number: 9, Payload: payload(`{"time":"2026-03-01T12:00:09Z","continues":7,"calls":9,"entities":90,` + last)},
	}
	for _, batch := range [][]appendlog.Record{records, records, records[:2], records[1:2]} {
		if err := a.insert(context.Background(), batch); err != nil {
			t.Fatal(err)
		}
	}
	wantCounted(t, listed(t, a, AuditFilter{}), "12:00:00-12:00:09    9/90 rd_0-rd_9")
}

func TestWithoutAnAuditLogNothingIsRecorded(t *testing.T) {
	pool := testenv.Postgres(t)
	a := NoAuditLog(pool)
	r := newReading(a)
	if err := errors.Join(r.read(0, "rd", "", "10.0.0.1:1", 1), a.Write(Record{Method: "m", Decision: Denied}), a.Flush(context.Background())); err != nil {
		t.Fatal(err)
	}
	if got := listed(t, a, AuditFilter{}); len(got) != 0 || a.Pending() != 0 {
		t.Errorf("got %v", got)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}
