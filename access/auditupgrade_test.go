package access

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// beforeChains is the schema's version before audit records were chained.
const beforeChains = 43

// Records from before there were chains are kept as they were by the migration, and vouched for by the first server that starts.
func TestRecordsOfBeforeChainsAreVerified(t *testing.T) {
	ctx := context.Background()
	pool, err := database.Open(ctx, testenv.EmptyPostgresURL(t))
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if _, to, err := database.MigrateTo(ctx, pool, beforeChains); err != nil || to != beforeChains {
		t.Fatalf("migrated to %d, %v", to, err)
	}
	log, now := strings.Repeat("0f", 16), time.Now().UTC().Truncate(time.Microsecond)
	for i, r := range []struct {
		writer string
		number int64
		age    time.Duration
		calls  int64
	}{
		{log, 1, 30 * 24 * time.Hour, 1}, {log, 2, 24 * time.Hour, 7}, {log, 4, time.Minute, 1}, {"publish-log", 1, 30 * 24 * time.Hour, 1}, {"publish-log", 2, 0, 1},
	} {
		at := now.Add(-r.age)
		var last *time.Time
		if r.calls > 1 {
			last = &at
		}
		_, err := pool.Exec(ctx, `INSERT INTO headwater.audit_record (writer, number, time, principal, credential, roles, method, action, resource, decision, reason, purpose,
				client_address, read_id, calls, last_time) VALUES ($1, $2, $3, 'ann', '', '{admin}', '/m', 'list', 'view:v', 'allowed', $4, '', '', '', $5, $6)`,
			r.writer, r.number, at, fmt.Sprint("reason ", i), r.calls, last)
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, to, err := database.Migrate(ctx, pool); err != nil || to != database.KnownVersion() {
		t.Fatalf("migrated to %d, %v", to, err)
	}
	if chains := wantWhole(t, pool, AuditVerification{}); len(chains) != 0 {
		t.Errorf("found chains %+v before a server started", chains)
	}
	key := testKey(t)
	dir := t.TempDir()
	a := openAudit(t, dir, pool, AuditOptions{Key: key})
	var reasons []string
	for _, r := range listed(t, a, AuditFilter{}) {
		reasons = append(reasons, fmt.Sprintf("%s/%d %s x%d", r.Writer, r.Number, r.Reason, r.Calls))
	}
	slices.Sort(reasons)
	want := []string{log + "/1 reason 0 x1", log + "/2 reason 1 x7", log + "/4 reason 2 x1", "publish-log/1 reason 3 x1", "publish-log/2 reason 4 x1"}
	if !slices.Equal(reasons, want) {
		t.Errorf("found\n%s\nexpected\n%s", strings.Join(reasons, "\n"), strings.Join(want, "\n"))
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	trusting := AuditVerification{Keys: []AuditPublicKey{key.Public()}}
	chains := wantWhole(t, pool, trusting)
	if len(chains) != 2 || chains[0].Writer == "" || chains[0].SignedTo != chains[0].Last || chains[1].Writer != "" || chains[1].Records != int64(len(want)) {
		t.Errorf("found %+v, expected a chain that vouches for %d records, signed to its end", chains, len(want))
	}
	for _, c := range []struct{ statement, problem string }{
		{`UPDATE headwater.audit_record SET principal = 'bob' WHERE writer = '` + log + `' AND number = 2`, "changed " + log + "/2: "},
		{`DELETE FROM headwater.audit_record WHERE writer = 'publish-log' AND number = 1`, "missing publish-log/1: "},
	} {
		tamper(t, pool, c.statement)
		if problems, _ := verifyAll(t, pool, trusting); len(problems) == 0 || !slices.ContainsFunc(problems, func(p string) bool { return strings.HasPrefix(p, c.problem) }) {
			t.Errorf("%s: found %q, expected %q", c.statement, problems, c.problem)
		}
	}
}

// A server that is given another key goes on with its chain: who trusts both has it verified to its end, and who trusts one is told of what the other signed.
func TestAKeyOfTheAuditIsRotated(t *testing.T) {
	pool, dir := testenv.Postgres(t), t.TempDir()+"/audit"
	old, next := testKey(t), testKey(t)
	write := func(pool *pgxpool.Pool, key *AuditKey) {
		t.Helper()
		a := openAudit(t, dir, pool, AuditOptions{Key: key})
		writeMany(t, a, 5)
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
	write(pool, old)
	write(pool, next)
	both := wantWhole(t, pool, AuditVerification{Keys: []AuditPublicKey{old.Public(), next.Public()}})
	kept := wantWhole(t, pool, AuditVerification{})
	for _, chains := range [][]AuditChain{both, kept} {
		if len(chains) != 1 || chains[0].First != 1 || chains[0].Last < 10 || chains[0].SignedTo != chains[0].Last || chains[0].KeyID != next.ID || chains[0].Checkpoints < 2 {
			t.Errorf("found %+v, expected one chain, signed to its end by %s", chains, next.ID)
		}
	}
	for _, c := range []struct{ trusted, other *AuditKey }{{old, next}, {next, old}} {
		problems, _ := verifyAll(t, pool, AuditVerification{Keys: []AuditPublicKey{c.trusted.Public()}})
		if !slices.ContainsFunc(problems, func(p string) bool {
			return strings.HasPrefix(p, "bad_signature ") && strings.HasSuffix(p, " by the key "+c.other.ID+", expected one by a key that is trusted")
		}) {
			t.Errorf("found %q, expected that the key %s is not trusted", problems, c.other.ID)
		}
	}
	keys, err := ListAuditKeys(context.Background(), pool)
	if err != nil || len(keys) != 2 || !slices.ContainsFunc(keys, func(k AuditPublicKey) bool { return k.ID == old.ID }) ||
		!slices.ContainsFunc(keys, func(k AuditPublicKey) bool { return k.ID == next.ID }) {
		t.Errorf("found the keys %+v, %v", keys, err)
	}
	// What was signed by the key of before is held to it still.
	tamper(t, pool, `UPDATE headwater.audit_record SET reason = 'x' WHERE number = 2`)
	if problems, _ := verifyAll(t, pool, AuditVerification{}); len(problems) == 0 || !strings.HasPrefix(problems[0], "changed ") {
		t.Errorf("found %q", problems)
	}
}
