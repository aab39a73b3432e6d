package access

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/internal/testenv"
)

// tamper does what a superuser can, with the triggers off.
func tamper(t *testing.T, pool *pgxpool.Pool, statements ...string) {
	t.Helper()
	ctx := context.Background()
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		for _, s := range append([]string{"SET LOCAL session_replication_role = replica"}, statements...) {
			if _, err := tx.Exec(ctx, s); err != nil {
				return fmt.Errorf("%s: %w", s, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

var auditTables = []string{"audit_record", "audit_waiting", "audit_writer", "audit_count", "audit_key", "audit_checkpoint", "audit_extent"}

// forge has the records of a chain made anew from a number on, as one can who knows how they are hashed.
func forge(t *testing.T, pool *pgxpool.Pool, writer string, from int64, change func(*kept)) {
	t.Helper()
	ctx := context.Background()
	rows, err := pool.Query(ctx, `SELECT `+selectRecord+` FROM headwater.audit_record r WHERE writer = $1 AND number >= $2 - 1 ORDER BY number`, writer, from)
	if err != nil {
		t.Fatal(err)
	}
	records, err := pgx.CollectRows(rows, scanKept)
	if err != nil {
		t.Fatal(err)
	}
	at := Hash(records[0].hash)
	for _, r := range records[1:] {
		change(r)
		at = r.hashAfter(at)
		tamper(t, pool, fmt.Sprintf(`UPDATE headwater.audit_record SET hash = '\x%x', reason = '%s' WHERE writer = '%s' AND number = %d`, at, r.Reason, writer, r.Number))
	}
	tamper(t, pool, fmt.Sprintf(`UPDATE headwater.audit_writer SET hash = '\x%x' WHERE writer = '%s'`, at, writer))
}

func TestWhatWasTamperedWithIsFound(t *testing.T) {
	ctx, pool := context.Background(), testenv.Postgres(t)
	key, other := testKey(t), testKey(t)
	a, err := OpenAuditLog(t.TempDir(), pool, AuditOptions{Key: key})
	if err != nil {
		t.Fatal(err)
	}
	w := a.log.Writer()
	writeTx(t, pool, 1)
	writeTx(t, pool, 2)
	writeMany(t, a, 10)
	if err := a.keepAll(ctx); err != nil {
		t.Fatal(err)
	}
	writeMany(t, a, 9)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	// Who has witnessed the transactions, before or among the records, is as it came.
	var last int64
	var signed string
	if err := pool.QueryRow(ctx, `SELECT max(number) FROM headwater.audit_record WHERE writer = $1`, w).Scan(&last); err != nil {
		t.Fatal(err)
	}
	for _, table := range auditTables {
		if _, err := pool.Exec(ctx, `CREATE TABLE kept_`+table+` AS SELECT * FROM headwater.`+table); err != nil {
			t.Fatal(err)
		}
	}
	ids := func(which string) (id int64) {
		if err := pool.QueryRow(ctx, `SELECT id, to_char(time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') FROM headwater.audit_checkpoint ORDER BY id `+which+` LIMIT 1`).Scan(&id, &signed); err != nil {
			t.Fatal(err)
		}
		return id
	}
	first := ids("")
	ids("DESC")
	of := func(text string, args ...any) string { return fmt.Sprintf(text, args...) }
	row := func(number int64) string { return of("writer = '%s' AND number = %d", w, number) }
	set := func(what, where string) string {
		return "UPDATE headwater.audit_record SET " + what + " WHERE " + where
	}
	mine := []AuditPublicKey{key.Public()}
	for _, c := range []struct {
		name string
		do   func()
		keys []AuditPublicKey
		want []string
	}{
		{"nothing", func() {}, mine, nil},
		{"a record is changed", func() { tamper(t, pool, set("principal = 'bob'", row(7))) }, nil, []string{"changed W/7: found the hash "}},
		{"its time is, by a microsecond", func() { tamper(t, pool, set("time = time + interval '1 microsecond'", row(7))) }, nil, []string{"changed W/7: found the hash "}},
		{"its roles are", func() { tamper(t, pool, set("roles = '{admin}'", row(7))) }, nil, []string{"changed W/7: found the hash "}},
		{"it is moved to another day", func() { tamper(t, pool, set("day = day + 1", row(7))) }, nil, []string{"changed W/7: found the hash "}},
		{"it is changed, and its hash is made anew", func() {
			tamper(t, pool, set("reason = 'x'", row(7)))
			var r *kept
			rows, _ := pool.Query(ctx, `SELECT `+selectRecord+` FROM headwater.audit_record r WHERE `+row(7))
			r, err := pgx.CollectExactlyOneRow(rows, scanKept)
			if err != nil {
				t.Fatal(err)
			}
			var before []byte
			if err := pool.QueryRow(ctx, `SELECT hash FROM headwater.audit_record WHERE `+row(6)).Scan(&before); err != nil {
				t.Fatal(err)
			}
			tamper(t, pool, set(of(`hash = '\x%x'`, r.hashAfter(Hash(before))), row(7)))
		}, nil, []string{"changed W/8: found the hash "}},
		{"all hashes are made anew", func() {
			forge(t, pool, w, 7, func(r *kept) {
				if r.Number == 7 {
					r.Reason = "x"
				}
			})
		}, nil, []string{"changed W/", "changed W/"}},
		{"a record is removed", func() { tamper(t, pool, "DELETE FROM headwater.audit_record WHERE "+row(7)) }, nil,
			[]string{"missing W/7: found no record 7, expected no gap"}},
		{"the first records are", func() { tamper(t, pool, "DELETE FROM headwater.audit_record WHERE number < 4 AND writer = '"+w+"'") }, nil,
			[]string{"missing W/1: found no records 1 to 3, expected no gap"}},
		{"two records change places", func() {
			tamper(t, pool, "ALTER TABLE headwater.audit_record DISABLE TRIGGER USER", set("number = -1", row(5)), set("number = 5", row(9)), set("number = 9", row(-1)),
				"ALTER TABLE headwater.audit_record ENABLE TRIGGER USER")
		}, nil, []string{"reordered W/5: found what was recorded under number 9, expected what was recorded under this one",
			"reordered W/9: found what was recorded under number 5, expected what was recorded under this one"}},
		{"two that follow each other do", func() {
			tamper(t, pool, set("number = -1", row(5)), set("number = 5", row(6)), set("number = 6", row(-1)))
		}, nil, []string{"reordered W/5: found what was recorded under number 6, ", "reordered W/6: found what was recorded under number 5, "}},
		{"what two say is exchanged", func() {
			tamper(t, pool, of(`UPDATE headwater.audit_record r SET reason = o.reason, time = o.time, logged = o.logged FROM kept_audit_record o
				WHERE r.writer = '%s' AND o.writer = r.writer AND r.number + o.number = 14 AND r.number IN (5, 9)`, w))
		}, nil, []string{"reordered W/5: found what was recorded under number 9, ", "reordered W/9: found what was recorded under number 5, "}},
		{"a record is put in twice", func() {
			tamper(t, pool, "CREATE TEMPORARY TABLE more ON COMMIT DROP AS SELECT * FROM headwater.audit_record WHERE "+row(7),
				"UPDATE more SET day = day + 1, reason = 'x'", "INSERT INTO headwater.audit_record SELECT * FROM more")
		}, nil, []string{"inserted W/7: found another record of that number, of "}},
		{"one is put behind the last", func() {
			tamper(t, pool, "CREATE TEMPORARY TABLE more ON COMMIT DROP AS SELECT * FROM headwater.audit_record WHERE "+row(7),
				of("UPDATE more SET number = %d", last+1), "INSERT INTO headwater.audit_record SELECT * FROM more")
		}, nil, []string{of("changed W/%d: found the hash", last+1), of("inserted W/%d: found records up to %d, expected none behind %d, where the chain ends", last+1, last+1, last)}},
		{"the tail is cut off", func() {
			tamper(t, pool, of("DELETE FROM headwater.audit_record WHERE writer = '%s' AND number > %d", w, last-2))
		}, nil,
			[]string{of("missing W/%d: found no records %d to %d, expected records up to %d at least, as was signed at %s", last-1, last-1, last, last, signed)}},
		{"the tail and the end of the chain are cut off", func() {
			tamper(t, pool, of("DELETE FROM headwater.audit_record WHERE writer = '%s' AND number > %d", w, last-2),
				of("UPDATE headwater.audit_writer SET number = %d, hash = (SELECT hash FROM headwater.audit_record WHERE %s)", last-2, row(last-2)))
		}, nil, []string{of("missing W/%d: found no records %d to %d, expected records up to %d at least, as was signed at ", last-1, last-1, last, last)}},
		{"a whole chain is removed", func() {
			tamper(t, pool, "DELETE FROM headwater.audit_record WHERE writer = '"+w+"'", "DELETE FROM headwater.audit_writer")
		}, nil, []string{"missing W/0: found no row in audit_writer", of("missing W/1: found no records 1 to %d, ", last), "inserted publish-log/1", "inserted publish-log/2"}},
		{"a checkpoint says another hash", func() {
			tamper(t, pool, of(`UPDATE headwater.audit_checkpoint SET hash = '\x%064d' WHERE id = %d`, 0, first))
		}, nil, []string{"bad_signature W/"}},
		{"a checkpoint is signed by another key", func() {
			c := checkpoint{kind: kindCheckpoint, writer: w, end: end1(last), day: time.Now(), time: time.Now()}
			other.sign(&c)
			b := &pgx.Batch{}
			c.queue(b)
			if err := pool.SendBatch(ctx, b).Close(); err != nil {
				t.Fatal(err)
			}
		}, nil, []string{"bad_signature W/"}},
		{"another key is among those that are known, and signs a chain that was made anew", func() {
			forge(t, pool, w, 7, func(r *kept) {
				if r.Number == 7 {
					r.Reason = "x"
				}
			})
			public := other.Public()
			tamper(t, pool, "DELETE FROM headwater.audit_checkpoint", of(`INSERT INTO headwater.audit_key VALUES ('%s', '\x%x', now())`, public.ID, []byte(public.Public)))
			c := checkpoint{kind: kindCheckpoint, writer: w, day: time.Now(), time: time.Now()}
			var hash []byte
			if err := pool.QueryRow(ctx, `SELECT number, hash FROM headwater.audit_writer`).Scan(&c.number, &hash); err != nil {
				t.Fatal(err)
			}
			c.hash = Hash(hash)
			other.sign(&c)
			b := &pgx.Batch{}
			c.queue(b)
			if err := pool.SendBatch(ctx, b).Close(); err != nil {
				t.Fatal(err)
			}
			wantWhole(t, pool, AuditVerification{})
		}, mine, []string{"bad_signature W/", "unsigned W/"}},
		{"the checkpoints are removed", func() { tamper(t, pool, "DELETE FROM headwater.audit_checkpoint") }, mine, []string{"unsigned W/"}},
		{"what a transaction recorded is changed", func() { tamper(t, pool, set("reason = 'x'", "writer = 'publish-log' AND number = 2")) }, nil,
			[]string{"changed publish-log/2: found another record, expected that of "}},
		{"it is removed", func() {
			tamper(t, pool, "DELETE FROM headwater.audit_record WHERE writer = 'publish-log' AND number = 2")
		}, nil,
			[]string{"missing publish-log/2: found no record, expected that of "}},
		{"another is put in", func() {
			tamper(t, pool, "CREATE TEMPORARY TABLE more ON COMMIT DROP AS SELECT * FROM headwater.audit_record WHERE writer = 'publish-log' AND number = 2",
				"UPDATE more SET number = 3", "INSERT INTO headwater.audit_record SELECT * FROM more")
		}, nil, []string{"inserted publish-log/3: found a record that no chain has witnessed, nor is any to"}},
		{"one is removed while it waits", func() {
			writeTx(t, pool, 4)
			tamper(t, pool, "DELETE FROM headwater.audit_record WHERE writer = 'publish-log' AND number = 4")
		}, nil, []string{"missing publish-log/4: found no record, expected that of "}},
		{"a day is dropped", func() {
			tamper(t, pool, of("UPDATE headwater.audit_record SET day = day + 1 WHERE writer = '%s' AND number > 7", w))
			tamper(t, pool, "DELETE FROM headwater.audit_record WHERE day = (SELECT min(day) FROM headwater.audit_record) AND hash IS NOT NULL")
		}, nil, []string{"missing W/1: found no records 1 to 7, expected no gap"}},
	} {
		c.do()
		problems, _ := verifyAll(t, pool, AuditVerification{Keys: c.keys})
		for i := range problems {
			problems[i] = strings.ReplaceAll(problems[i], w, "W")
		}
		ok := len(problems) >= len(c.want) && (len(c.want) > 0 || len(problems) == 0)
		for i, want := range c.want {
			ok = ok && strings.HasPrefix(problems[i], want)
		}
		if !ok {
			t.Errorf("%s:\nfound\n  %s\nexpected\n  %s", c.name, strings.Join(problems, "\n  "), strings.Join(c.want, "\n  "))
		}
		for _, table := range auditTables {
			overriding := ""
			if table == "audit_checkpoint" || table == "audit_waiting" {
				overriding = " OVERRIDING SYSTEM VALUE"
			}
			tamper(t, pool, "DELETE FROM headwater."+table, "INSERT INTO headwater."+table+overriding+" SELECT * FROM kept_"+table)
		}
	}
	if problems, _ := verifyAll(t, pool, AuditVerification{Keys: []AuditPublicKey{other.Public()}}); len(problems) == 0 || !strings.HasPrefix(problems[0], "bad_signature ") {
		t.Errorf("got %q, want that the key is not trusted", problems)
	}
	// From a checkpoint on, what is before it is not looked at.
	tamper(t, pool, set("reason = 'x'", row(2)))
	if problems, _ := verifyAll(t, pool, AuditVerification{}); len(problems) != 1 {
		t.Errorf("got %q, want one", problems)
	}
	if chains := wantWhole(t, pool, AuditVerification{Since: time.Now(), Writer: w}); len(chains) != 1 || chains[0].First != last || chains[0].Records != 1 {
		t.Errorf("got %+v, want the record of the last checkpoint alone", chains)
	}
}

func end1(number int64) end { return end{number: number} }

// A server that finds the end of its chain elsewhere than where it left it says so, in the log and in the chain.
func TestAServerSeesThatItsChainWasMoved(t *testing.T) {
	ctx, pool := context.Background(), testenv.Postgres(t)
	var out lockedBuffer
	a := openAudit(t, t.TempDir(), pool, AuditOptions{Log: slog.New(slog.NewTextHandler(&out, nil))})
	writeMany(t, a, 3)
	at := end{3, Hash{}}
	var hash []byte
	if err := pool.QueryRow(ctx, `SELECT hash FROM headwater.audit_writer`).Scan(&hash); err != nil {
		t.Fatal(err)
	}
	at.hash = Hash(hash)
	// One more record, as the server would have written it.
	r := &kept{Record: Record{Writer: a.log.Writer(), Number: 4, Time: noon, Roles: []string{}, Method: "m", Decision: Allowed, Calls: 1}, day: noon.Truncate(day)}
	if err := createAuditDay(ctx, pool, r.day); err != nil {
		t.Fatal(err)
	}
	forged := r.hashAfter(at.hash)
	r.hash = forged[:]
	if _, err := pool.Exec(ctx, insertRecord, r.values()...); err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Exec(ctx, `UPDATE headwater.audit_writer SET number = 4, hash = $1`, forged[:]); err != nil {
		t.Fatal(err)
	}
	wantWhole(t, pool, AuditVerification{})
	writeMany(t, a, 1)
	if !strings.Contains(out.String(), "THE AUDIT RECORDS OF THIS SERVER WERE CHANGED IN POSTGRES") {
		t.Errorf("the log does not tell: %s", out.String())
	}
	problems, _ := verifyAll(t, pool, AuditVerification{})
	want := fmt.Sprintf("inserted %s/5: found the chain ended at record 4 with %x when the server had written up to record 3 with %x, expected that the chain ends where the server left it",
		a.log.Writer(), forged[:8], at.hash[:8])
	if len(problems) != 1 || problems[0] != want {
		t.Errorf("got %q, want %q", problems, want)
	}
}

// Whole days are dropped, it is said and signed where the chains go on, and a day that somebody else dropped is missed.
func TestDaysAreDroppedAndChainsGoOn(t *testing.T) {
	ctx, pool, dir := context.Background(), testenv.Postgres(t), t.TempDir()
	key := testKey(t)
	// Of a day that the clock of those below has long behind it.
	writeTx(t, pool, 1)
	var clock atomic.Pointer[time.Time]
	start := time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	clock.Store(&start)
	now := func() time.Time { return *clock.Load() }
	var out lockedBuffer
	a := openAudit(t, dir, pool, AuditOptions{
		Key: key, Retention: 3 * day, now: now, Log: slog.New(slog.NewTextHandler(&out, nil)),
	})
	gone := openAudit(t, t.TempDir(), pool, AuditOptions{Key: key, Retention: 3 * day, now: now})
	writeMany(t, gone, 2)
	// Its chain has no checkpoint until the log sees to it by itself, which those below do not wait for.
	if err := gone.keepAll(ctx); err != nil {
		t.Fatal(err)
	}
	for d := range 6 {
		today := start.AddDate(0, 0, d)
		clock.Store(&today)
		writeMany(t, a, 4)
		if err := a.keepAll(ctx); err != nil {
			t.Fatal(err)
		}
		if err := a.tend(ctx); err != nil {
			t.Fatal(err)
		}
		wantWhole(t, pool, AuditVerification{Keys: []AuditPublicKey{key.Public()}})
	}
	var days string
	err := pool.QueryRow(ctx, `SELECT string_agg(DISTINCT to_char(day, 'MM-DD'), ' ' ORDER BY to_char(day, 'MM-DD')) FROM headwater.audit_record WHERE hash IS NOT NULL`).Scan(&days)
	if err != nil || days != "03-04 03-05 03-06" {
		t.Errorf("got the days %s, %v, want the last three", days, err)
	}
	var first int64
	if err := pool.QueryRow(ctx, `SELECT min(number) FROM headwater.audit_record WHERE writer = $1`, a.log.Writer()).Scan(&first); err != nil || first < 13 {
		t.Errorf("got the first number %d, %v, want that of the fourth day", first, err)
	}
	if !strings.Contains(out.String(), "kind=dropped") || !strings.Contains(out.String(), "dropped audit records, for they are older than they are kept") {
		t.Errorf("the log does not tell: %s", out.String())
	}
	// By hand, without a note.
	if _, err := pool.Exec(ctx, `DROP TABLE headwater.audit_record_20270304`); err != nil {
		t.Fatal(err)
	}
	problems, _ := verifyAll(t, pool, AuditVerification{})
	want := fmt.Sprintf("missing %s/%d: found no records %d to %d, expected no gap", a.log.Writer(), first, first, first+3)
	if len(problems) != 1 || problems[0] != want {
		t.Errorf("got %q, want %q", problems, want)
	}
	// With a note that nobody signed.
	tamper(t, pool, fmt.Sprintf(`INSERT INTO headwater.audit_checkpoint (kind, writer, number, hash, day, time, key_id, signature)
		SELECT 'dropped', writer, number, hash, '2027-03-04', now() + interval '1 year', '', '' FROM headwater.audit_checkpoint WHERE writer = '%s' AND number = %d`, a.log.Writer(), first+3))
	if problems, _ := verifyAll(t, pool, AuditVerification{}); len(problems) == 0 || !strings.HasPrefix(problems[0], "unsigned ") {
		t.Errorf("got %q, want that the note is not signed", problems)
	}
}

// What SQL users ask is one query: which sources were read for this, by whom.
func TestHistoriesInSQL(t *testing.T) {
	ctx, pool := context.Background(), testenv.Postgres(t)
	a := openAudit(t, t.TempDir(), pool, AuditOptions{now: atNoon})
	read := func(principal, dataset string, action Action, calls int64, columns ...string) {
		t.Helper()
		r := Record{
			Time: noon, Principal: principal, Method: "/m", Action: action, Resource: "view:v", Decision: Allowed, Dataset: dataset, RowsReturned: 2,
			Extent: &Extent{ResourceVersion: "view:v@1", Returned: []string{"v@1.f"}, SourceColumns: columns, Use: "training", Rules: []string{"r#1"}},
		}
		if calls > 1 {
			r.LastTime = noon
		}
		number, err := a.append(r)
		if err == nil && calls > 1 {
			_, err = a.append(Record{Time: noon, Continues: number, Calls: calls, Entities: 9, RowsReturned: 7, LastTime: noon.Add(time.Second), LastReadID: "rd_9"})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	read("ann", "ds_1", ActionReadOffline, 1, "flights.delay", "weather.wind")
	read("bob", "ds_2", ActionReadOffline, 1, "flights.delay")
	read("model", "", ActionReadOnline, 5, "flights.delay")
	if err := a.Write(Record{Time: noon, Principal: "eve", Method: "/m", Action: ActionReadOffline, Resource: "view:v", Decision: Denied}); err != nil {
		t.Fatal(err)
	}
	writeTx(t, pool, 1)
	rows := func(query string) string {
		t.Helper()
		var text string
		if err := pool.QueryRow(ctx, `SELECT coalesce(string_agg(q::text, ' ' ORDER BY q::text), '') FROM (`+query+`) q`).Scan(&text); err != nil {
			t.Fatal(err)
		}
		return text
	}
	for _, over := range []bool{false, true} {
		if err := a.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		if over {
			if err := a.keepAll(ctx); err != nil {
				t.Fatal(err)
			}
		}
		for query, want := range map[string]string{
			`SELECT DISTINCT principal, use, resource, source FROM headwater.query_history, unnest(sources) AS s (source) WHERE dataset = 'ds_1'`: "(ann,training,view:v@1,flights) (ann,training,view:v@1,weather)",
			`SELECT principal, store, calls, rows_returned, features FROM headwater.query_history WHERE 'flights.delay' = ANY (source_columns)`:   "(ann,offline,1,2,{v@1.f}) (bob,offline,1,2,{v@1.f}) (model,online,5,7,{v@1.f})",
			`SELECT principal, decision, calls, entities, last_read_id, rules FROM headwater.access_history WHERE method = '/m'`:                  "(ann,allowed,1,0,\"\",{r#1}) (bob,allowed,1,0,\"\",{r#1}) (eve,denied,1,0,\"\",{}) (model,allowed,5,9,rd_9,{r#1})",
			`SELECT count(*) FROM headwater.access_history`: "(5)",
		} {
			if got := rows(query); got != want {
				t.Errorf("%s (the minute is over: %t)\ngot  %s\nwant %s", query, over, got, want)
			}
		}
	}
}
