package main

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/internal/testenv"
)

// The audit holds until somebody who may do everything in Postgres changes it.
func TestAuditVerify(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a server")
	}
	t.Parallel()
	folder := t.TempDir()
	key := auditKey(t, folder, "audit")
	url := testenv.EmptyPostgresURL(t)
	s := startServe(t, url, testenv.RedisURL(t), "HEADWATER_AUDIT_KEY="+key)
	s.must(t, "list", "roles")
	trusted := filepath.Join(folder, "trusted.pem")
	if err := os.WriteFile(trusted, []byte(s.must(t, "audit", "key")), 0o600); err != nil {
		t.Fatal(err)
	}
	if lines := spaced(s.must(t, "audit", "verify", "--public-key", trusted)); len(lines) != 2 || !strings.HasSuffix(lines[1], keyID(t, trusted)) {
		t.Errorf("found %q, expected one chain, signed by the key of the server", lines)
	}

	ctx := context.Background()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	change := `UPDATE headwater.audit_record SET principal = 'somebody else' WHERE method LIKE '%/ListDefinitions' AND number =
		(SELECT min(number) FROM headwater.audit_record WHERE method LIKE '%/ListDefinitions')`
	if _, err := conn.Exec(ctx, change); err == nil || !strings.Contains(err.Error(), "neither changed nor removed") {
		t.Errorf("found %v, expected that Postgres refuses", err)
	}
	if tag, err := conn.Exec(ctx, `SET session_replication_role = replica`); err != nil {
		t.Fatal(tag, err)
	}
	if tag, err := conn.Exec(ctx, change); err != nil || tag.RowsAffected() != 1 {
		t.Fatalf("changed %d records, %v", tag.RowsAffected(), err)
	}
	r := s.run("audit", "verify")
	if lines := spaced(r.out); r.code != exitNotHeld || len(lines) != 2 || !strings.HasPrefix(lines[1], "changed ") {
		t.Errorf("found status %d and\n%s", r.code, r.out)
	}
	if want := "headwater: ALARM: the audit does not hold (problems: 1); look at the lines above, and at who may write to this Postgres\n"; r.err != want {
		t.Errorf("found %q, expected %q", r.err, want)
	}
}

// keyID is that of the first key that `audit key` printed to a file.
func keyID(t *testing.T, file string) string {
	t.Helper()
	text, _, found := strings.Cut(strings.TrimPrefix(string(readFile(t, file)), "key "), ",")
	if !found {
		t.Fatalf("found no key in %s", file)
	}
	return text
}

// auditKey makes a private key that a server can sign checkpoints with, in a file of a folder.
func auditKey(t *testing.T, folder, name string) string {
	t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(folder, name+".key")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// A server that is started with another key goes on with its chain. Who trusts both keys finds that it holds; who trusts the new one alone is told of what the
// old one signed.
func TestAuditKeysAreRotated(t *testing.T) {
	if testing.Short() {
		t.Skip("starts servers")
	}
	t.Parallel()
	folder := t.TempDir()
	postgres, redis := testenv.EmptyPostgresURL(t), testenv.RedisURL(t)
	first := startServeIn(t, folder, postgres, redis, "HEADWATER_AUDIT_KEY="+auditKey(t, folder, "old"))
	first.must(t, "list", "roles")
	before := first.must(t, "audit", "key")
	if strings.Count(before, "BEGIN PUBLIC KEY") != 1 {
		t.Fatalf("found the keys\n%s\nexpected one", before)
	}
	if code := first.signal(t, syscall.SIGTERM); code != exitDone {
		t.Fatalf("found status %d at the end, expected %d", code, exitDone)
	}

	second := startServeIn(t, folder, postgres, redis, "HEADWATER_AUDIT_KEY="+auditKey(t, folder, "new"))
	second.must(t, "list", "roles")
	keys := second.must(t, "audit", "key")
	if strings.Count(keys, "BEGIN PUBLIC KEY") != 2 || !strings.Contains(keys, before) {
		t.Fatalf("found the keys\n%s\nexpected the one of before, and another", keys)
	}
	both, onlyNew := filepath.Join(folder, "both.pem"), filepath.Join(folder, "new.pem")
	for file, text := range map[string]string{both: keys, onlyNew: strings.Replace(keys, before, "", 1)} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{nil, {"--public-key", both}} {
		if lines := spaced(second.must(t, append([]string{"audit", "verify"}, args...)...)); len(lines) != 2 || !strings.HasSuffix(lines[1], keyID(t, onlyNew)) {
			t.Errorf("%q: found %q, expected one chain, signed last by the new key", args, lines)
		}
	}
	r := second.run("audit", "verify", "--public-key", onlyNew)
	if r.code != exitNotHeld || !strings.Contains(r.out, "bad_signature") || !strings.Contains(r.out, strings.Fields(before)[1][:8]) {
		t.Errorf("found status %d and\n%s%s\nexpected that what the old key signed is told", r.code, r.out, r.err)
	}
}
