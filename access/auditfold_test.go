package access

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"github.com/headwaterhq/headwater/internal/appendlog"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// oneOfMany is the i-th of reads that differ in what each has of its own. Those of a principal did not come in the order of their times.
func oneOfMany(principal string, i int) Record {
	return Record{
		Time: noon.Add(time.Duration(i^1) * time.Millisecond), Principal: principal, Credential: "abc", Roles: []string{"model", "x"}, Method: "/m",
		Action: ActionReadOnline, Resource: "service:s@1", Decision: Allowed, Reason: "under rows@1", Purpose: "fraud", Calls: 1,
		ClientAddress: fmt.Sprintf("10.0.0.%d:1", i%3), ReadID: fmt.Sprintf("rd_%s_%d", principal, i), Entities: int64(i),
		RowsReturned: int64(2 * i), RowsHidden: int64(i % 5), EntitiesHash: fmt.Sprintf("%064x", i),
	}
}

// batchOf is records as the append log has them, numbered from one on.
func batchOf(t *testing.T, from int64, records ...Record) (batch []appendlog.Record) {
	t.Helper()
	for i := range records {
		r := records[i]
		r.clean()
		p := payload{Record: &r}
		batch = append(batch, appendlog.Record{Number: from + int64(i), Payload: p.append(nil)})
	}
	return batch
}

// Reads that differ in nothing but their own take few rows, and each is a record with all that it had.
func TestReadsAreKeptTogetherAndShownEach(t *testing.T) {
	ctx, pool := context.Background(), testenv.Postgres(t)
	a := openAudit(t, t.TempDir(), pool, AuditOptions{now: atNoon})
	const each = 130
	var written []Record
	for i := range each {
		written = append(written, oneOfMany("ann", i), oneOfMany("bob", i))
	}
	denied := oneOfMany("eve", 7)
	denied.Decision, denied.Reason = Denied, "no grant"
	again := oneOfMany("ann", 500)
	again.AsOf = "pos:3"
	written = slices.Insert(written, 100, denied, again)
	if err := a.insert(ctx, batchOf(t, 41, written...)); err != nil {
		t.Fatal(err)
	}
	var rows int
	if err := pool.QueryRow(ctx, `SELECT count(*) FROM headwater.audit_record`).Scan(&rows); err != nil || rows != 2*2+2 {
		t.Errorf("got %d rows, %v, want two for each principal, whose reads are more than one row has, and one for each of the others", rows, err)
	}
	got := listed(t, a, AuditFilter{Limit: 1000})
	numbers := map[int64]bool{}
	byID := map[string]Record{}
	for i, r := range got {
		numbers[r.Number], byID[r.ReadID] = true, r
		if i > 0 && r.Time.Before(got[i-1].Time) {
			t.Errorf("record %d is before the one before it", r.Number)
		}
	}
	for n := range int64(len(written)) {
		if !numbers[n+1] {
			t.Errorf("no record has the number %d", n+1)
		}
	}
	for _, want := range written {
		found := byID[want.ReadID]
		found.Writer, found.Number = "", 0
		if fmt.Sprintf("%+v", found) != fmt.Sprintf("%+v", want) {
			t.Errorf("got\n%+v\nwant\n%+v", found, want)
		}
	}
	if len(got) != len(written) {
		t.Errorf("got %d records, want %d", len(got), len(written))
	}
	for _, c := range []struct {
		filter AuditFilter
		want   int
	}{
		{AuditFilter{Principal: "ann", Limit: 1000}, each + 1},
		{AuditFilter{Resource: "service:s@1", Limit: 7}, 7},
		// The times of 120 to 129 are those of the last ten.
		{AuditFilter{Principal: "bob", Since: noon.Add(120 * time.Millisecond), Limit: 1000}, 10},
	} {
		found := listed(t, a, c.filter)
		if len(found) != c.want {
			t.Errorf("%+v: got %d records, want %d", c.filter, len(found), c.want)
		}
		for _, r := range found {
			if !c.filter.Since.IsZero() && r.Time.Before(c.filter.Since) {
				t.Errorf("%+v: got one of %s", c.filter, r.Time)
			}
		}
	}
	var history, sum, hidden int64
	err := pool.QueryRow(ctx, `SELECT count(DISTINCT (number, read_id, time, entities_hash)), sum(rows_returned), sum(rows_hidden) FROM headwater.access_history
		WHERE principal IN ('ann', 'bob') AND as_of = '' AND read_id = 'rd_' || principal || '_' || entities AND entities_hash = lpad(to_hex(entities), 64, '0')
			AND calls = 1 AND last_time IS NULL AND client_address = '10.0.0.' || entities % 3 || ':1'`).Scan(&history, &sum, &hidden)
	if err != nil || history != 2*each || sum != 2*each*(each-1) || hidden != 2*2*each {
		t.Errorf("access_history has %d reads with %d rows and %d hidden ones, %v", history, sum, hidden, err)
	}
	if chains := wantWhole(t, pool, AuditVerification{}); len(chains) != 1 || chains[0].Records != int64(len(written)) || chains[0].Last != chains[0].Records {
		t.Errorf("got %+v, want a chain of %d records", chains, len(written))
	}
	// What one of them had is held to the hash, and a row that is removed is missed with all its records.
	var number, first int64
	err = pool.QueryRow(ctx, `SELECT number, number - cardinality(earlier_times) FROM headwater.audit_record WHERE principal = 'bob' ORDER BY number DESC LIMIT 1`).
		Scan(&number, &first)
	if err != nil {
		t.Fatal(err)
	}
	of := fmt.Sprintf(" WHERE writer = '%s' AND number = %d", a.log.Writer(), number)
	tamper(t, pool, "UPDATE headwater.audit_record SET earlier_rows_hidden[3] = earlier_rows_hidden[3] + 1"+of)
	want := fmt.Sprintf("changed %s/%d: found the hash ", a.log.Writer(), number)
	if problems, _ := verifyAll(t, pool, AuditVerification{}); len(problems) != 1 || !strings.HasPrefix(problems[0], want) ||
		!strings.HasSuffix(problems[0], fmt.Sprintf("behind record %d", first-1)) {
		t.Errorf("got %q, want one that begins with %q", problems, want)
	}
	tamper(t, pool, "DELETE FROM headwater.audit_record"+of)
	want = fmt.Sprintf("missing %s/%d: found no records %d to %d, ", a.log.Writer(), first, first, number)
	if problems, _ := verifyAll(t, pool, AuditVerification{}); len(problems) == 0 || !strings.HasPrefix(problems[0], want) {
		t.Errorf("got %q, want %q", problems, want)
	}
}

// Reads that are delivered twice are there once, whichever others come with them, and another one of a number is not taken for the first.
func TestReadsThatAreDeliveredTwiceAreThereOnce(t *testing.T) {
	ctx := context.Background()
	a := openAudit(t, t.TempDir(), testenv.Postgres(t), AuditOptions{now: atNoon})
	var written []Record
	for i := range 30 {
		written = append(written, oneOfMany("ann", i))
	}
	batch := batchOf(t, 1, written...)
	for _, some := range [][]appendlog.Record{batch[:20], batch[:20], batch} {
		if err := a.insert(ctx, some); err != nil {
			t.Fatal(err)
		}
	}
	numbers, ids := map[int64]bool{}, map[string]bool{}
	got := listed(t, a, AuditFilter{})
	for _, r := range got {
		numbers[r.Number], ids[r.ReadID] = true, true
	}
	if len(got) != 30 || len(numbers) != 30 || len(ids) != 30 || !numbers[1] || !numbers[30] {
		t.Errorf("got %d records with the numbers %v of %d reads, want each of 30 once", len(got), numbers, len(ids))
	}
	// None of these is the newest of its row.
	for _, n := range []int{3, 12, 23} {
		other := written[n]
		other.RowsReturned++
		err := a.insert(ctx, append(slices.Clone(batch[n-1:n]), batchOf(t, int64(n+1), other)...))
		if want := fmt.Sprintf("record %d of the append log in ", n+1); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	wantWhole(t, a.pool, AuditVerification{})
}

// What reads have in common is found in any record, the same whether or not it is known already, and nothing is lost of one that is split.
func TestReadsAreSplitWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := func(name string) string { return rapid.StringN(0, 4, -1).Draw(t, name) }
		number := func(name string) int64 { return rapid.Int64Range(0, 300).Draw(t, name) }
		r := Record{
			Time: time.UnixMicro(rapid.Int64Range(-1<<50, 1<<52).Draw(t, "time")), Principal: text("principal"), Credential: text("credential"),
			Roles: rapid.SliceOfN(rapid.String(), 0, 3).Draw(t, "roles"), Method: "m" + text("method"), Action: Action(text("action")),
			Resource: text("resource"), Decision: Denied, Reason: text("reason"), Purpose: text("purpose"), ClientAddress: text("address"),
			ReadID: text("read id"), Entities: number("entities"), RowsReturned: number("returned"), RowsHidden: number("hidden"),
			EntitiesHash: text("hash"), AsOf: rapid.SampledFrom([]string{"", "pos:3"}).Draw(t, "as of"), Calls: rapid.Int64Range(1, 2).Draw(t, "calls"),
		}
		r.clean()
		p := payload{Record: &r}
		if rapid.Bool().Draw(t, "extends") {
			p.Digest = strings.Repeat("0f", 32)
		}
		l := logged{number: 9, payload: p.append(nil)}
		l.split(nil)
		if fit := r.ReadID != "" && r.AsOf == "" && r.Calls == 1; fit != (l.fixed != nil) {
			t.Fatalf("%+v: got that it is kept with others: %t, want %t", r, l.fixed != nil, fit)
		}
		if l.fixed == nil {
			return
		}
		for name, like := range map[string][]byte{"the same": l.fixed, "a part": l.fixed[:2+int(l.fixed[1])], "another": []byte("\x12\x01?")} {
			if l.fixed[1] >= 0x80 {
				continue
			}
			other := logged{number: 9, payload: l.payload}
			if other.split(like); string(other.fixed) != string(l.fixed) || other.own != l.own {
				t.Fatalf("by %s: got %q and %+v, want %q and %+v", name, other.fixed, other.own, l.fixed, l.own)
			}
		}
		var f folding
		if err := f.add(&l, nil); err != nil {
			t.Fatal(err)
		}
		err := f.flush(func(k *kept) error {
			if k.logged != 9 || string(k.Record.appendCanonical(nil)) != string(r.appendCanonical(nil)) {
				t.Fatalf("got %+v, want %+v", k.Record, r)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// Who makes a chain anew cannot get round a checkpoint by a row that goes over it, nor give records in one row numbers that others have.
func TestARowThatGoesOverACheckpointIsFound(t *testing.T) {
	ctx, pool, dir, key := context.Background(), testenv.Postgres(t), t.TempDir(), testKey(t)
	a, err := OpenAuditLog(dir, pool, AuditOptions{Key: key})
	if err != nil {
		t.Fatal(err)
	}
	w := a.log.Writer()
	if err := a.insert(ctx, batchOf(t, 1, oneOfMany("ann", 0))); err != nil {
		t.Fatal(err)
	}
	if err := a.checkpoint(ctx); err != nil {
		t.Fatal(err)
	}
	if err := a.insert(ctx, batchOf(t, 2, oneOfMany("bob", 0), oneOfMany("ann", 1))); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	// What is behind the last checkpoint.
	if a, err = OpenAuditLog(dir, pool, AuditOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := a.insert(ctx, batchOf(t, 4, oneOfMany("ann", 2))); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	mine := AuditVerification{Keys: []AuditPublicKey{key.Public()}}
	if chains := wantWhole(t, pool, mine); len(chains) != 1 || chains[0].SignedTo != 3 || chains[0].Last != 4 {
		t.Fatalf("got %+v, want a chain of 4 records, of which 3 are signed", chains)
	}
	rows, err := pool.Query(ctx, `SELECT `+selectRecord+` FROM headwater.audit_record r WHERE r.writer = $1 ORDER BY r.number`, w)
	if err != nil {
		t.Fatal(err)
	}
	records, err := pgx.CollectRows(rows, scanKept)
	if err != nil || len(records) != 4 {
		t.Fatalf("got %d rows, %v, want 4", len(records), err)
	}
	changed, last, third := records[1], records[3], records[2].own()
	for _, c := range []struct {
		earlier []own
		want    string
	}{
		{[]own{third}, "changed W/3: found it within a row of the records 3 to 4, expected a row that ends with it, as was signed at "},
		{[]own{third, third}, "inserted W/4: found records 2 to 4 in one row, expected none before 3, as the row before ends with 2"},
	} {
		changed.Reason, last.Earlier = "nothing of note", Earlier{}
		for i := range c.earlier {
			last.Earlier.add(&c.earlier[i])
		}
		of := fmt.Sprintf(" WHERE writer = '%s' AND number ", w)
		tamper(t, pool, "DELETE FROM headwater.audit_record"+of+"> 1")
		at := Hash(records[0].hash)
		for _, r := range []*kept{changed, last} {
			at = r.hashAfter(at)
			r.hash = slices.Clone(at[:])
			if _, err := pool.Exec(ctx, insertRecord, r.values()...); err != nil {
				t.Fatal(err)
			}
		}
		tamper(t, pool, fmt.Sprintf(`UPDATE headwater.audit_writer SET hash = '\x%x' WHERE writer = '%s'`, at, w))
		problems, _ := verifyAll(t, pool, mine)
		if len(problems) == 0 || !strings.HasPrefix(strings.ReplaceAll(problems[0], w, "W"), c.want) {
			t.Errorf("got %q, want %q", problems, c.want)
		}
	}
}

// From a checkpoint on, of its row its own record alone is counted. Lists that were changed so that they cannot be read, or are of other lengths, are told,
// and break nothing.
func TestPartsOfARow(t *testing.T) {
	ctx, pool, key := context.Background(), testenv.Postgres(t), testKey(t)
	a := openAudit(t, t.TempDir(), pool, AuditOptions{Key: key})
	var batch []appendlog.Record
	for i := range 5 {
		batch = append(batch, batchOf(t, int64(i+1), oneOfMany("ann", i))...)
	}
	if err := a.insert(ctx, batch); err != nil {
		t.Fatal(err)
	}
	if err := a.checkpoint(ctx); err != nil {
		t.Fatal(err)
	}
	if chains := wantWhole(t, pool, AuditVerification{Since: time.Now().Add(time.Minute)}); len(chains) != 1 || chains[0].First != 5 || chains[0].Records != 1 {
		t.Errorf("got %+v, want the record of the checkpoint alone", chains)
	}
	if _, err := pool.Exec(ctx, `CREATE TABLE kept AS SELECT * FROM headwater.audit_record`); err != nil {
		t.Fatal(err)
	}
	const changed, gone = "changed %s/5: found the hash ", "missing %s/1: found no records 1 to "
	for _, c := range []struct {
		change, want string
		listed       int
	}{
		{"earlier_read_ids = earlier_read_ids[2:]", changed, 5},
		// These leave NULL within a list.
		{"roles = array_append(roles, NULL)", changed, 5},
		{"earlier_addresses[6] = 'x'", changed, 7},
		{"earlier_entities[2] = NULL", changed, 5},
		{"earlier_times[3] = NULL", changed, 5},
		{"earlier_times = NULL", gone + "4", 5},
		{"earlier_times[3] = 'infinity'", changed, 5},
		{"earlier_times[3] = '-infinity'", changed, 5},
		{"time = 'infinity'", changed, 5},
		{"last_time = '-infinity'", changed, 5},
		{"number = -9223372036854775808", gone + "5", 5},
		// What witnesses others is not listed.
		{"witnessed = 'null'", changed, 0},
		{"witnessed = '[]'", changed, 0},
		{"witnessed = '5'", changed, 0},
		{"witnessed = '[5]'", changed, 0},
		{`witnessed = '[{"writer": "x", "number": 1, "day": "2026-02-31", "hash": ""}]'`, changed, 0},
	} {
		tamper(t, pool, "DELETE FROM headwater.audit_record", "INSERT INTO headwater.audit_record SELECT * FROM kept", "UPDATE headwater.audit_record SET "+c.change)
		want := fmt.Sprintf(c.want, a.log.Writer())
		if problems, _ := verifyAll(t, pool, AuditVerification{}); len(problems) == 0 || !strings.HasPrefix(problems[0], want) {
			t.Errorf("%s: got %q, want %q", c.change, problems, want)
		}
		if records, err := a.List(ctx, AuditFilter{}); err != nil || len(records) != c.listed {
			t.Errorf("%s: got %d records, %v, want %d", c.change, len(records), err, c.listed)
		}
	}
	// So it is where a record that was written in a transaction is looked for among what others witness.
	tamper(t, pool, "UPDATE headwater.audit_record SET hash = NULL")
	if problems, _ := verifyAll(t, pool, AuditVerification{}); !slices.ContainsFunc(problems, func(p string) bool {
		return strings.Contains(p, "a record that no chain has witnessed")
	}) {
		t.Errorf("got %q, want a record that no chain has witnessed", problems)
	}
	tamper(t, pool, "DELETE FROM headwater.audit_record", "INSERT INTO headwater.audit_record SELECT * FROM kept")
	tamper(t, pool, "UPDATE headwater.audit_record SET earlier_read_ids = earlier_read_ids[2:], earlier_times = (SELECT earlier_times FROM kept)")
	if err := a.insert(ctx, batch); err != nil {
		t.Error(err)
	}
}
