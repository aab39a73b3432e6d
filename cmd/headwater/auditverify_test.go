package main

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/internal/testenv"
)

// The audit holds until somebody who may do everything in Postgres changes it.
func TestAuditVerify(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a server")
	}
	folder := t.TempDir()
	key := filepath.Join(folder, "audit.key")
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
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
