package access

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// fill makes every field of a value something that is not zero and hard to store, and no two the same.
func fill(v reflect.Value, n *int) {
	*n++
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprintf("é<%d>\u2028\"", *n))
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(int64(*n) << 33)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range 2 {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			fill(key, n)
			fill(value, n)
			v.SetMapIndex(key, value)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Date(2026, 3, 1, 0, 0, 0, 123456789, time.FixedZone("", 3600)).Add(time.Duration(*n) * time.Hour)))
			return
		}
		for _, f := range fieldsOf(v.Type()) {
			fill(v.FieldByIndex(f.Index), n)
		}
	}
}

// What a record has is kept, and all that is kept is in its hash: it comes back from Postgres as it was hashed, and is another one with any other value. A
// field that is added to Record and forgotten elsewhere fails here.
func TestAllThatIsKeptIsInTheHash(t *testing.T) {
	ctx, pool := context.Background(), testenv.Postgres(t)
	a := openAudit(t, t.TempDir(), pool, AuditOptions{})
	n := 0
	r := kept{logged: 99, extent: make([]byte, 32)}
	fill(reflect.ValueOf(&r.Record).Elem(), &n)
	r.Decision = Denied
	r.clean()
	if _, err := pool.Exec(ctx, `ALTER TABLE headwater.audit_record DROP CONSTRAINT audit_record_counts`); err != nil {
		t.Fatal(err)
	}
	if err := a.extend(ctx, func(_ pgx.Tx, l *link) error { return l.add(&r) }); err != nil {
		t.Fatal(err)
	}
	rows, err := pool.Query(ctx, `SELECT `+selectRecord+` FROM headwater.audit_record r`)
	if err != nil {
		t.Fatal(err)
	}
	back, err := pgx.CollectExactlyOneRow(rows, scanKept)
	if err != nil {
		t.Fatal(err)
	}
	whole := back.hashAfter(beginning(a.log.Writer(), 0))
	if !back.sameAs(&r) || whole != Hash(r.hash) || !slices.Equal(back.hash, r.hash) {
		t.Errorf("kept\n%+v\nand got back\n%+v", r.Record, back.Record)
	}
	before := beginning(a.log.Writer(), 0)
	for i := range reflect.TypeFor[Record]().NumField() {
		f := reflect.TypeFor[Record]().Field(i)
		if f.Name == "Extent" {
			// Its digest is hashed, see below.
			continue
		}
		for _, zero := range []bool{false, true} {
			changed := *back
			v := reflect.ValueOf(&changed.Record).Elem().Field(i)
			if n += 1000; zero {
				v.SetZero()
			} else {
				fill(v, &n)
			}
			if changed.hashAfter(before) == whole || changed.hashAlone() == back.hashAlone() {
				t.Errorf("a record with another %s (zero: %t) has the same hash", f.Name, zero)
			}
			if got, want := changed.Record.appendCanonical(nil), appendCanonical(nil, reflect.ValueOf(changed.Record)); !bytes.Equal(got, want) {
				t.Errorf("a record with another %s (zero: %t) is written as\n%q\nwant, by its fields,\n%q", f.Name, zero, got, want)
			}
		}
	}
	for name, change := range map[string]func(*kept){
		"day": func(r *kept) { r.day = r.day.Add(day) }, "logged": func(r *kept) { r.logged++ }, "extent": func(r *kept) { r.extent[0]++ },
	} {
		changed := *back
		changed.extent = slices.Clone(back.extent)
		if change(&changed); changed.hashAfter(before) == whole {
			t.Errorf("a record with another %s has the same hash", name)
		}
	}
	// What a record is kept in, and nothing besides, is there.
	rows, err = pool.Query(ctx, `SELECT attname FROM pg_attribute WHERE attrelid = 'headwater.audit_record'::regclass AND attnum > 0 AND NOT attisdropped`)
	if err != nil {
		t.Fatal(err)
	}
	there, err := pgx.CollectRows(rows, pgx.RowTo[string])
	slices.Sort(there)
	want := slices.Sorted(slices.Values(columnNames))
	if err != nil || !slices.Equal(there, want) {
		t.Errorf("the table has the columns %v, want those of a record, %v", there, want)
	}
}

// The encoding of a record is the same for good.
func TestTheEncodingOfARecordStays(t *testing.T) {
	r := kept{Record: Record{
		Writer: "w", Number: 3, Time: time.Date(2026, 3, 1, 12, 0, 0, 1000, time.UTC), Principal: "ml", Roles: []string{"a", "b"}, Method: "/m",
		Action: ActionReadOnline, Resource: "view:v", Decision: Allowed, Calls: 2, Entities: 300, LastTime: time.Date(2026, 3, 1, 12, 0, 1, 0, time.UTC),
		Witnessed: []Witness{{Writer: "x", Number: 1, Day: "2026-03-01", Hash: "00"}},
	}, day: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), logged: 7}
	for got, want := range map[string]string{
		fmt.Sprintf("%q", r.appendTo(nil)):                       goldenRecord,
		fmt.Sprintf("%x", r.hashAfter(beginning("w", 2))):        goldenHash,
		fmt.Sprintf("%x", (&kept{Record: Record{}}).hashAlone()): goldenAlone,
	} {
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

const (
	goldenRecord = `"\x01w\x06\n2026-03-01\x0e\x00r\x06actions\vread_online\x05callsi\x04\bdecisions\aallowed\bentitiesi\xd8\x04` +
		`\tlast_timet\x80\xc9\xf2ۦ\xfd\xa5\x06\x06methods\x02/m\tprincipals\x02ml\bresources\x06view:v\x05rolesl\x02s\x01as\x01b\x04time` +
		`t\x82\xc0\xf8ڦ\xfd\xa5\x06\twitnessedl\x01r\x03days\n2026-03-01\x04hashs\x0200\x06numberi\x02\x06writers\x01x\x00\x00"`
	goldenHash  = `3a6c668709da50b07c628590f6fedc80e2b575067d75de3f9b367a481c5b6905`
	goldenAlone = `56b963c7bfda561c80a5c96a014dd89eeb1c21c9957c732a8fd29299f3e7e721`
)

// verifyAll returns the problems of what is in Postgres, as `KIND WRITER/NUMBER: found FOUND, expected EXPECTED`, and the chains.
func verifyAll(t *testing.T, pool *pgxpool.Pool, v AuditVerification) (problems []string, chains []AuditChain) {
	t.Helper()
	v.Problem = func(p AuditProblem) error {
		problems = append(problems, fmt.Sprintf("%s %s/%d: found %s, expected %s", p.Kind, p.Writer, p.Number, p.Found, p.Expected))
		return nil
	}
	v.Chain = func(c AuditChain) error {
		chains = append(chains, c)
		return nil
	}
	v.Progress = func(int64, int64) error { return nil }
	if err := VerifyAudit(context.Background(), pool, v); err != nil {
		t.Fatal(err)
	}
	return problems, chains
}

func wantWhole(t *testing.T, pool *pgxpool.Pool, v AuditVerification) []AuditChain {
	t.Helper()
	problems, chains := verifyAll(t, pool, v)
	if len(problems) > 0 {
		t.Errorf("found\n%s", strings.Join(problems, "\n"))
	}
	return chains
}

func testKey(t *testing.T) *AuditKey {
	t.Helper()
	k, err := MakeAuditKey(t.TempDir() + "/audit.key")
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func writeMany(t *testing.T, a *AuditLog, n int) {
	t.Helper()
	for i := range n {
		if err := a.Write(Record{Method: "m", Decision: Allowed, Principal: "ann", Reason: fmt.Sprint("reason ", i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func writeTx(t *testing.T, pool *pgxpool.Pool, number int64) {
	t.Helper()
	err := pgx.BeginFunc(context.Background(), pool, func(tx pgx.Tx) error {
		return WriteTx(context.Background(), tx, Record{Writer: "publish-log", Number: number, Method: "publish", Decision: Allowed})
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Two servers write and witness at once, and transactions record while they do.
func TestTwoServersHaveTwoChains(t *testing.T) {
	ctx, pool := context.Background(), testenv.Postgres(t)
	logs := []*AuditLog{openAudit(t, t.TempDir(), pool, AuditOptions{Key: testKey(t)}), openAudit(t, t.TempDir(), pool, AuditOptions{Key: testKey(t)})}
	var all sync.WaitGroup
	const each = 60
	for _, a := range logs {
		all.Go(func() {
			for i := range each {
				if err := a.Write(Record{Method: "m", Decision: Allowed}); err != nil {
					t.Error(err)
				}
				if i%20 == 0 {
					if _, err := a.witness(ctx); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	all.Go(func() {
		for i := range each {
			writeTx(t, pool, int64(i+1))
		}
	})
	all.Wait()
	ignore := func(AuditProblem) error { return nil }
	v := AuditVerification{Problem: ignore, Chain: func(AuditChain) error { return nil }, Progress: func(int64, int64) error { return nil }}
	for _, a := range logs {
		if err := a.Verify(ctx, v); err != nil {
			t.Fatal(err)
		}
	}
	chains := wantWhole(t, pool, AuditVerification{})
	if len(chains) != 3 || chains[2].Writer != "" || chains[2].Records != each {
		t.Errorf("got %+v, want two chains and %d records with a witness each", chains, each)
	}
	var records int64
	for _, c := range chains[:2] {
		records += c.Records
		if c.SignedTo != c.Last || c.First != 1 || c.Checkpoints == 0 {
			t.Errorf("got %+v, want it signed to its end", c)
		}
	}
	var witnesses int64
	if err := pool.QueryRow(ctx, `SELECT count(*) FROM headwater.audit_record WHERE witnessed IS NOT NULL`).Scan(&witnesses); err != nil || records != 2*each+witnesses {
		t.Errorf("got %d records, want %d and %d that witness, %v", records, 2*each, witnesses, err)
	}
}

// A transaction that is open holds up neither chains nor other transactions, and has its witness when it is over.
func TestALongTransactionHoldsUpNobody(t *testing.T) {
	ctx, pool := context.Background(), testenv.Postgres(t)
	a := openAudit(t, t.TempDir(), pool, AuditOptions{})
	// Nothing is witnessed but when the test says so.
	a.stop()
	a.drained.Wait()
	tx, err := pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := WriteTx(ctx, tx, Record{Writer: "publish-log", Number: 1, Decision: Allowed}); err != nil {
		t.Fatal(err)
	}
	writeMany(t, a, 3)
	writeTx(t, pool, 2)
	if _, err := a.witness(ctx); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	if problems, chains := verifyAll(t, pool, AuditVerification{}); len(problems) > 0 || chains[len(chains)-1].Records != 1 {
		t.Errorf("got %q and %+v, want one witnessed and one that waits", problems, chains)
	}
	if _, err := a.witness(ctx); err != nil {
		t.Fatal(err)
	}
	if chains := wantWhole(t, pool, AuditVerification{}); chains[len(chains)-1].Records != 2 {
		t.Errorf("got %+v, want two witnessed", chains)
	}
}

// The database refuses what nobody is to do.
func TestRecordsAreNeitherChangedNorRemoved(t *testing.T) {
	ctx, pool := context.Background(), testenv.Postgres(t)
	a := openAudit(t, t.TempDir(), pool, AuditOptions{Key: testKey(t)})
	writeMany(t, a, 2)
	if err := a.checkpoint(ctx); err != nil {
		t.Fatal(err)
	}
	partition := database.Partition{Table: "audit_record", Day: time.Now()}.Name()
	for _, table := range []string{"audit_record", partition, "audit_checkpoint", "audit_key"} {
		column := "id"
		if strings.HasPrefix(table, "audit_record") {
			column = "reason"
		}
		statements := []string{"DELETE FROM headwater." + table, "TRUNCATE headwater." + table}
		if table != "audit_checkpoint" {
			statements = append(statements, "UPDATE headwater."+table+" SET "+column+" = 'x'")
		} else {
			statements = append(statements, "UPDATE headwater."+table+" SET writer = 'x'")
		}
		for _, s := range statements {
			if _, err := pool.Exec(ctx, s); err == nil || !strings.Contains(err.Error(), "what was recorded is neither changed nor removed") {
				t.Errorf("%s: got %v, want that it is refused", s, err)
			}
		}
	}
}

// A count that goes on is no record yet, and one when its minute is over, or when the server that was killed comes again.
func TestACountBecomesARecordWhenItsMinuteIsOver(t *testing.T) {
	ctx, pool, dir := context.Background(), testenv.Postgres(t), t.TempDir()
	a, err := OpenAuditLog(dir, pool, AuditOptions{now: atNoon})
	if err != nil {
		t.Fatal(err)
	}
	r := newReading(a)
	for i := range 5 {
		if err := r.read(time.Duration(i)*time.Second, fmt.Sprintf("rd_%d", i), "", "10.0.0.1:1", 1); err != nil {
			t.Fatal(err)
		}
		wantCounted(t, listed(t, a, AuditFilter{}), fmt.Sprintf("12:00:00-12:00:0%d ml  10.0.0.1 %d/%d rd_0-rd_%d", i, i+1, i+1, i))
	}
	rows := func() (records, counts int) {
		err := pool.QueryRow(ctx, `SELECT (SELECT count(*) FROM headwater.audit_record), (SELECT count(*) FROM headwater.audit_count)`).Scan(&records, &counts)
		if err != nil {
			t.Fatal(err)
		}
		return records, counts
	}
	if err := a.endCounts(ctx, noon.Add(-time.Minute)); err != nil {
		t.Fatal(err)
	}
	if records, counts := rows(); records != 1 || counts != 1 {
		t.Errorf("got %d records and %d counts, want the first call's and the count of the minute", records, counts)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if records, counts := rows(); records != 2 || counts != 0 {
		t.Errorf("got %d records and %d counts, want that the count is a record", records, counts)
	}
	wantWhole(t, pool, AuditVerification{})
	next := openAudit(t, dir, pool, AuditOptions{now: atNoon})
	wantCounted(t, listed(t, next, AuditFilter{}), "12:00:00-12:00:04 ml  10.0.0.1 5/5 rd_0-rd_4")
}

// crashDirectory tells the test binary to be the server that is killed, and where its append log is; crashURL where its Postgres is.
const (
	crashDirectory = "ACCESS_CRASH_DIRECTORY"
	crashURL       = "ACCESS_CRASH_URL"
)

// auditUntilKilled records, drains, witnesses and signs at once, and prints each record after it was acknowledged.
func auditUntilKilled(dir string) {
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, os.Getenv(crashURL))
	if err != nil {
		fmt.Println("pool:", err)
		os.Exit(1)
	}
	key, err := MakeAuditKey(dir + ".key")
	if err != nil {
		fmt.Println("key:", err)
		os.Exit(1)
	}
	a, err := OpenAuditLog(dir, pool, AuditOptions{Key: key})
	if err != nil {
		fmt.Println("open:", err)
		os.Exit(1)
	}
	go func() {
		for {
			if err := errors.Join(a.Flush(ctx), a.keepAll(ctx)); err != nil {
				fmt.Println("keep:", err)
				os.Exit(1)
			}
		}
	}()
	for i := 0; ; i++ {
		if err := a.Write(Record{Method: "m", Decision: Allowed, Reason: fmt.Sprintf("%d of %d", i, os.Getpid())}); err != nil {
			fmt.Println("write:", err)
			os.Exit(1)
		}
		fmt.Printf("record %d of %d\n", i, os.Getpid())
		if i%50 == 0 {
			err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
				return WriteTx(ctx, tx, Record{Writer: fmt.Sprintf("tx-%d", os.Getpid()), Number: int64(i + 1), Decision: Allowed})
			})
			if err != nil {
				fmt.Println("transaction:", err)
				os.Exit(1)
			}
		}
	}
}

func TestAChainOutlastsKill(t *testing.T) {
	pool, dir := testenv.Postgres(t), t.TempDir()+"/audit"
	acknowledged := map[string]bool{}
	for round := range 3 {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), crashDirectory+"="+dir, crashURL+"="+pool.Config().ConnString())
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		killAfter := len(acknowledged) + 700 + 137*round
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			text, ok := strings.CutPrefix(lines.Text(), "record ")
			if !ok {
				t.Fatalf("the child said %q", lines.Text())
			}
			acknowledged[text] = true
			if len(acknowledged) == killAfter {
				if err := child.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := child.Wait(); err == nil || child.ProcessState.ExitCode() != -1 {
			t.Fatalf("the child was not killed: %v", child.ProcessState)
		}
		if problems, _ := verifyAll(t, pool, AuditVerification{}); len(problems) > 0 {
			t.Errorf("after a kill:\n%s", strings.Join(problems, "\n"))
		}
	}
	key, err := MakeAuditKey(dir + ".key")
	if err != nil {
		t.Fatal(err)
	}
	a := openAudit(t, dir, pool, AuditOptions{Key: key})
	for _, r := range listed(t, a, AuditFilter{Limit: 1 << 20}) {
		delete(acknowledged, r.Reason)
	}
	for text := range acknowledged {
		t.Errorf("acknowledged and lost: %s", text)
	}
	if err := a.Verify(context.Background(), AuditVerification{
		Keys:    []AuditPublicKey{key.Public()},
		Problem: func(p AuditProblem) error { return fmt.Errorf("found %+v", p) },
		Chain: func(c AuditChain) error {
			if c.Writer != "" && c.SignedTo != c.Last {
				return fmt.Errorf("got %+v, want it signed to its end", c)
			}
			return nil
		},
		Progress: func(int64, int64) error { return nil },
	}); err != nil {
		t.Error(err)
	}
}
