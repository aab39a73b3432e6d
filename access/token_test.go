package access

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

func anyRole(string) bool { return true }

func createToken(t *testing.T, db DB, n NewToken) (Token, string) {
	t.Helper()
	if n.Principal == "" {
		n.Principal = "ml"
	}
	if n.Roles == nil {
		n.Roles = []string{"model"}
	}
	n.CreatedBy = "tester"
	token, text, err := CreateToken(context.Background(), db, n, anyRole)
	if err != nil {
		t.Fatal(err)
	}
	return token, text
}

func TestTokenIsKeptAsAHash(t *testing.T) {
	ctx, pool := context.Background(), testenv.Postgres(t)
	token, text := createToken(t, pool, NewToken{Principal: "ml", Roles: []string{"model", "admin"}, TTL: time.Hour})
	id, secret, ok := parseToken(text)
	if !ok || id != token.ID {
		t.Fatalf("the token %q does not hold its id %q", text, token.ID)
	}
	var row string
	var hash []byte
	err := pool.QueryRow(ctx, `SELECT t::text, secret_hash FROM headwater.token t`).Scan(&row, &hash)
	if err != nil {
		t.Fatal(err)
	}
	if want := sha256.Sum256([]byte(secret)); string(hash) != string(want[:]) {
		t.Errorf("stored %x, want %x", hash, want)
	}
	if strings.Contains(row, secret) {
		t.Errorf("the secret is in the table: %s", row)
	}
	listed, err := ListTokens(ctx, pool)
	if err != nil {
		t.Fatal(err)
	}
	want := Token{
		ID: id, Principal: "ml", Roles: []string{"model", "admin"}, CreatedAt: token.CreatedAt, CreatedBy: "tester",
		ExpiresAt: token.CreatedAt.Add(time.Hour),
	}
	if len(listed) != 1 || fmt.Sprint(listed[0]) != fmt.Sprint(want) || fmt.Sprint(token) != fmt.Sprint(want) {
		t.Errorf("listed %v and returned %v, want %v", listed, token, want)
	}
}

func TestTokensDiffer(t *testing.T) {
	var seen []string
	for range 100 {
		id, secret := newSecret()
		if _, _, ok := parseToken("hw_" + id + "_" + secret); !ok {
			t.Errorf("hw_%s_%s is not a token", id, secret)
		}
		if slices.Contains(seen, id) || slices.Contains(seen, secret) {
			t.Errorf("made twice: %s or %s", id, secret)
		}
		seen = append(seen, id, secret)
	}
}

func TestTokenWithUnknownRoles(t *testing.T) {
	ctx, pool := context.Background(), testenv.Postgres(t)
	_, _, err := CreateToken(ctx, pool, NewToken{Principal: "ml", Roles: []string{"model", "modle", "x"}, CreatedBy: "tester"},
		func(r string) bool { return r == "model" })
	wantFault(t, err, fault.InvalidArgument, "a token can only have roles that there are\n"+
		"  roles[1]: found role \"modle\", which is not defined; `headwater list roles` shows those that are, and admin is built in\n"+
		"  roles[2]: found role \"x\", which is not defined; `headwater list roles` shows those that are, and admin is built in")
	if tokens, err := ListTokens(ctx, pool); err != nil || len(tokens) != 0 {
		t.Errorf("got %v, %v, want no token", tokens, err)
	}
}

func TestRevokeToken(t *testing.T) {
	ctx, pool := context.Background(), testenv.Postgres(t)
	token, _ := createToken(t, pool, NewToken{})
	first, err := RevokeToken(ctx, pool, token.ID)
	if err != nil || first.RevokedAt.IsZero() {
		t.Fatalf("got %v, %v", first, err)
	}
	again, err := RevokeToken(ctx, pool, token.ID)
	if err != nil || !again.RevokedAt.Equal(first.RevokedAt) {
		t.Errorf("revoked at %v, then at %v (%v)", first.RevokedAt, again.RevokedAt, err)
	}
	_, err = RevokeToken(ctx, pool, "nosuch")
	wantFault(t, err, fault.NotFound, "there is no token \"nosuch\"; `headwater token list` shows the ids")
}

func TestARevocationIsPartOfItsTransaction(t *testing.T) {
	ctx, pool := context.Background(), testenv.Postgres(t)
	token, _ := createToken(t, pool, NewToken{})
	tx, err := pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := RevokeToken(ctx, tx, token.ID); err != nil {
		t.Fatal(err)
	}
	if err := tx.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	tokens, err := ListTokens(ctx, pool)
	if err != nil || len(tokens) != 1 || !tokens[0].RevokedAt.IsZero() {
		t.Errorf("got %v, %v, want a token that is not revoked", tokens, err)
	}
}

func FuzzParseToken(f *testing.F) {
	f.Add("hw_abcdefghijklmnop_" + strings.Repeat("0", 43))
	f.Add("hw__")
	f.Add("hw_abcdefghijklmnop_" + strings.Repeat("0", 43) + "\n")
	f.Fuzz(func(t *testing.T, s string) {
		id, secret, ok := parseToken(s)
		if ok && "hw_"+id+"_"+secret != s {
			t.Errorf("%q was taken for %q and %q", s, id, secret)
		}
		if ok && strings.Contains(withoutSecrets("x"+s+"y"), secret) {
			t.Errorf("the secret of %q was left in the text", s)
		}
	})
}
