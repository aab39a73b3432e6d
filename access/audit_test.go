package access

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/internal/appendlog"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

func openAudit(t *testing.T, dir string, pool *pgxpool.Pool, o AuditOptions) *AuditLog {
	t.Helper()
	a, err := OpenAuditLog(dir, pool, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

func listed(t *testing.T, a *AuditLog, f AuditFilter) []Record {
	t.Helper()
	if err := a.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	records, err := a.List(context.Background(), f)
	if err != nil {
		t.Fatal(err)
	}
	return records
}

func TestRecordsReachPostgresWhole(t *testing.T) {
	a := openAudit(t, t.TempDir(), testenv.Postgres(t), AuditOptions{Durable: true})
	want := Record{
		Time:      time.Date(2026, 3, 1, 10, 0, 0, 123456789, time.FixedZone("", 3600)),
		Principal: "ml", Credential: "abc", Roles: []string{"model", "x"}, Method: "/headwater.v1.OnlineService/GetFeatures",
		Action: ActionReadOnline, Resource: "service:s", Decision: Denied, Reason: "no grant", Purpose: "fraud",
		ClientAddress: "10.0.0.1:1", ReadID: "rd_1",
	}
	if err := a.Write(want); err != nil {
		t.Fatal(err)
	}
	want.Time = time.Date(2026, 3, 1, 9, 0, 0, 123456000, time.UTC)
	want.Writer, want.Number, want.Calls = a.log.Writer(), 1, 1
	got := listed(t, a, AuditFilter{})
	if len(got) != 1 || fmt.Sprintf("%+v", got[0]) != fmt.Sprintf("%+v", want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestListFilters(t *testing.T) {
	a := openAudit(t, t.TempDir(), testenv.Postgres(t), AuditOptions{})
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for i := range 120 {
		r := Record{
			Time: at.Add(time.Duration(i) * time.Second), Principal: []string{"ann", "bob"}[i%2], Method: "m", Decision: Allowed,
			Resource: fmt.Sprintf("view:v%d", i%3), Reason: fmt.Sprint(i),
		}
		if err := a.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name  string
		f     AuditFilter
		n     int
		first string
		last  string
	}{
		{"the newest hundred", AuditFilter{}, 100, "20", "119"},
		{"all", AuditFilter{Limit: 1000}, 120, "0", "119"},
		{"principal", AuditFilter{Principal: "ann", Limit: 2}, 2, "116", "118"},
		{"resource", AuditFilter{Resource: "view:v1"}, 40, "1", "118"},
		{"since", AuditFilter{Since: at.Add(117 * time.Second)}, 3, "117", "119"},
		{"nobody", AuditFilter{Principal: "an"}, 0, "", ""},
	} {
		got := listed(t, a, c.f)
		if len(got) != c.n || c.n > 0 && (got[0].Reason != c.first || got[len(got)-1].Reason != c.last) {
			t.Errorf("%s: got %d records, want %d from %s to %s", c.name, len(got), c.n, c.first, c.last)
		}
	}
}

func TestAuditOutlastsAnOutageAndARestart(t *testing.T) {
	direct, dir := testenv.Postgres(t), t.TempDir()
	pool, outage := withOutage(t, direct)
	var out lockedBuffer
	a, err := OpenAuditLog(dir, pool, AuditOptions{Log: slog.New(slog.NewTextHandler(&out, nil))})
	if err != nil {
		t.Fatal(err)
	}
	write := func(reason string) {
		t.Helper()
		if err := a.Write(Record{Method: "m", Decision: Allowed, Reason: reason}); err != nil {
			t.Fatal(err)
		}
	}
	write("before")
	if err := a.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	outage.begin()
	write("during")
	if err := a.Flush(context.Background()); fault.ReasonOf(err) != fault.PostgresUnavailable {
		t.Errorf("Flush: got %v, want POSTGRES_UNAVAILABLE", err)
	}
	if n := a.Pending(); n != 1 {
		t.Errorf("pending: got %d, want 1", n)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "audit records are left for the next start") {
		t.Errorf("the log does not tell: %s", out.String())
	}

	outage.end()
	a = openAudit(t, dir, pool, AuditOptions{})
	write("after")
	var reasons []string
	for _, r := range listed(t, a, AuditFilter{}) {
		reasons = append(reasons, fmt.Sprintf("%d %s", r.Number, r.Reason))
	}
	if want := []string{"1 before", "2 during", "3 after"}; !slices.Equal(reasons, want) {
		t.Errorf("got %v, want %v", reasons, want)
	}
}

func TestRecordsAreDrainedInTheBackground(t *testing.T) {
	pool := testenv.Postgres(t)
	a := openAudit(t, t.TempDir(), pool, AuditOptions{})
	if err := a.Write(Record{Method: "m", Decision: Allowed}); err != nil {
		t.Fatal(err)
	}
	for a.Pending() > 0 {
		time.Sleep(time.Millisecond)
	}
	if got, err := a.List(context.Background(), AuditFilter{}); err != nil || len(got) != 1 {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestARecordDeliveredTwiceIsOne(t *testing.T) {
	a := openAudit(t, t.TempDir(), testenv.Postgres(t), AuditOptions{})
	records := []appendlog.Record{
		{Number: 7, Payload: []byte(`{"time":"2026-03-01T00:00:00Z","roles":[],"method":"m","decision":"allowed","reason":"first","calls":1}`)},
	}
	for range 2 {
		if err := a.insert(context.Background(), records); err != nil {
			t.Fatal(err)
		}
	}
	// What has the name of another record is neither left out nor put over it.
	records[0].Payload = bytes.ReplaceAll(records[0].Payload, []byte("first"), []byte("second"))
	want := fmt.Sprintf("insert audit records: record 7 of the append log in %s is another one in Postgres, so two logs have the id %s: its folder was "+
		"copied; keep the folder of the server that ran first, and move the other aside", a.dir, a.log.Writer())
	if err := a.insert(context.Background(), records); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if got := listed(t, a, AuditFilter{}); len(got) != 1 || got[0].Reason != "first" {
		t.Errorf("got %+v, want the first alone", got)
	}
}

func TestARecordIsPartOfItsTransaction(t *testing.T) {
	ctx, pool := context.Background(), testenv.Postgres(t)
	a := openAudit(t, t.TempDir(), pool, AuditOptions{})
	for number, end := range map[int64]func(context.Context, pgx.Tx) error{
		1: func(ctx context.Context, tx pgx.Tx) error { return tx.Rollback(ctx) },
		2: func(ctx context.Context, tx pgx.Tx) error { return tx.Commit(ctx) },
	} {
		tx, err := pool.Begin(ctx)
		if err != nil {
			t.Fatal(err)
		}
		r := Record{Writer: "publish-log", Number: number, Method: "publish", Resource: "run:v@1/1\x00", Decision: Allowed}
		if err := errors.Join(WriteTx(ctx, tx, r), WriteTx(ctx, tx, r), end(ctx, tx)); err != nil {
			t.Fatal(err)
		}
	}
	got := listed(t, a, AuditFilter{})
	if len(got) != 1 || got[0].Writer != "publish-log" || got[0].Number != 2 || got[0].Resource != "run:v@1/1\uFFFD" || got[0].Time.IsZero() {
		t.Errorf("got %+v, want the one that was committed", got)
	}
}

func TestWhatCallersSendCannotStopTheAudit(t *testing.T) {
	a := openAudit(t, t.TempDir(), testenv.Postgres(t), AuditOptions{})
	id, secret := newSecret()
	for _, name := range []string{
		"nul\x00here", "bad\xffutf8", strings.Repeat("é", 4<<20), "hw_" + id + "_" + secret, "hw_" + id + "_" + secret + "more",
	} {
		if err := a.Write(Record{Method: "m", Decision: Denied, Resource: "view:" + name, Purpose: name, Roles: []string{name}}); err != nil {
			t.Fatal(err)
		}
	}
	got := listed(t, a, AuditFilter{})
	want := []string{
		"view:nul\uFFFDhere", "view:bad\uFFFDutf8", "view:" + strings.Repeat("é", 509) + "…", "view:hw_" + id + "_…", "view:hw_" + id + "_…",
	}
	if len(got) != len(want) {
		t.Fatalf("got %d records, want %d", len(got), len(want))
	}
	for i, r := range got {
		if r.Resource != want[i] {
			t.Errorf("got %q, want %q", r.Resource, want[i])
		}
		if strings.Contains(fmt.Sprint(r), secret) {
			t.Errorf("the secret is in the record %v", r)
		}
	}
}

func TestAuditThatCannotBeWritten(t *testing.T) {
	a := openAudit(t, t.TempDir(), testenv.Postgres(t), AuditOptions{})
	if err := a.log.Close(); err != nil {
		t.Fatal(err)
	}
	err := a.Write(Record{Method: "m", Decision: Allowed})
	wantFault(t, err, fault.AuditUnavailable, "the decision cannot be recorded in the server's audit log, so the call is refused; "+
		"see the server's log, and whether its disk is full")
	if !errors.Is(err, appendlog.ErrClosed) {
		t.Errorf("the cause is lost: %v", errors.Unwrap(err))
	}
}

func TestAuditThatCannotBeOpened(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "CHECKPOINT")
	if err := os.WriteFile(path, []byte("something else"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := OpenAuditLog(dir, nil, AuditOptions{})
	if fault.ReasonOf(err) != fault.AuditUnavailable || !strings.Contains(err.Error(), path+" is damaged at offset 0") {
		t.Errorf("got %v, want AUDIT_UNAVAILABLE with the file and the offset", err)
	}
}

// What a record extends to is written whole in the first record of a day, and found by each.
func TestWhatRecordsExtendToIsKeptOnce(t *testing.T) {
	ctx, pool, dir := context.Background(), testenv.Postgres(t), t.TempDir()
	a := openAudit(t, dir, pool, AuditOptions{now: func() time.Time { return time.Date(2026, 3, 5, 0, 0, 0, 0, time.UTC) }})
	extent := func() *Extent {
		return &Extent{
			ResourceVersion: "service:s@3", Attributes: map[string][]string{"places": {"<ORD>", "nul\x00"}}, Asked: []string{"v@1.f", "v@1.g"},
			Returned: []string{"v@1.f"}, Masked: []string{"v@1.g"}, FilteredBy: []string{"v@1.place"}, SourceColumns: []string{"flights.delay"},
			PolicyVersion: 7, Rules: []string{"reader#1", "own_places@2"}, Use: "serving",
		}
	}
	day := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for i, after := range []time.Duration{0, time.Hour, 24 * time.Hour, 25 * time.Hour, -24 * time.Hour} {
		err := a.Write(Record{
			Time: day.Add(after), Method: "m", Decision: Allowed, Extent: extent(), RowsReturned: int64(i), RowsHidden: 2, EntitiesHash: "00ff",
			AsOf: "pos:3", Dataset: "ds_1",
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	got := listed(t, a, AuditFilter{})
	want := extent()
	want.Attributes["places"][1] = "nul\uFFFD"
	if len(got) != 5 {
		t.Fatalf("got %d records, want 5", len(got))
	}
	for _, r := range got {
		if fmt.Sprintf("%+v", r.Extent) != fmt.Sprintf("%+v", want) || r.RowsHidden != 2 || r.EntitiesHash != "00ff" || r.AsOf != "pos:3" || r.Dataset != "ds_1" {
			t.Errorf("got %+v of %+v", r.Extent, r)
		}
	}
	segment, err := os.ReadFile(filepath.Join(dir, "00000000000000000001.log"))
	if n := bytes.Count(segment, []byte(`"resource_version"`)); err != nil || n != 2 {
		t.Errorf("found it whole in %d records, %v, expected one of each of the two newest days", n, err)
	}
	var n int
	var last time.Time
	if err := pool.QueryRow(ctx, `SELECT count(*), max(last_day) FROM headwater.audit_extent`).Scan(&n, &last); err != nil {
		t.Fatal(err)
	}
	// It is kept as long as the last record that came here with it.
	if n != 1 || !last.Equal(time.Date(2026, 3, 5, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("got %d extents, the last of %s", n, last)
	}
	if _, err := pool.Exec(ctx, `UPDATE headwater.audit_extent SET body = '{}'`); err == nil {
		t.Error("what was hashed can be changed")
	}
}
