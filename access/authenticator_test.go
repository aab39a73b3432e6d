package access

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// clock is a time that tests move. Until it is stopped it goes on by itself too.
type clock struct {
	offset  atomic.Int64
	stopped atomic.Pointer[time.Time]
}

func (c *clock) now() time.Time {
	at := time.Now()
	if s := c.stopped.Load(); s != nil {
		at = *s
	}
	return at.Add(time.Duration(c.offset.Load()))
}

func (c *clock) advance(d time.Duration) { c.offset.Add(int64(d)) }

func (c *clock) stop() {
	at := time.Now()
	c.stopped.Store(&at)
}

// counted counts the queries that reach Postgres.
type counted struct {
	*pgxpool.Pool
	queries atomic.Int64
}

func (c *counted) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	c.queries.Add(1)
	return c.Pool.QueryRow(ctx, sql, args...)
}

func newAuthenticator(t *testing.T, pool *pgxpool.Pool) (*Authenticator, *clock, *counted) {
	t.Helper()
	db := &counted{Pool: pool}
	a := NewAuthenticator(db)
	t.Cleanup(a.Close)
	c := &clock{}
	a.now = c.now
	return a, c, db
}

func mustAuthenticate(t *testing.T, a *Authenticator, token string) *Principal {
	t.Helper()
	p, err := a.Authenticate(context.Background(), token)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const (
	noToken = "found no token, expected one; give it with --token or HEADWATER_TOKEN (`authorization: Bearer hw_…` in a call), " +
		"and have one made with `headwater token create`"
	malformedToken = "found something that is not a token, expected hw_, an id of 16 characters, _ and a secret of 43; " +
		"check that it was copied whole"
	unknownToken = "the token is not known here, or its secret is wrong; check that it was copied whole and that it was made on " +
		"this server, or have another made with `headwater token create`"
	uncheckedToken = "the token cannot be checked, for Postgres does not answer; try again, and if it goes on see the server's log"
)

func TestAuthenticate(t *testing.T) {
	ctx, pool := context.Background(), testenv.Postgres(t)
	a, clock, db := newAuthenticator(t, pool)
	// What is known is not looked up again for its age.
	clock.stop()
	token, text := createToken(t, pool, NewToken{Principal: "ml", Roles: []string{"model", "scientist"}})
	want := Principal{
		Name: "ml", Credential: token.ID, Roles: []string{"model", "scientist"}, policyKey: "2;5:model9:scientist",
		record: []byte("\x12\x02ml\x1a\x10" + token.ID + "\x22\x05model\x22\x09scientist"),
	}
	for range 3 {
		if got := mustAuthenticate(t, a, text); !reflect.DeepEqual(*got, want) {
			t.Errorf("got %v, want %v", *got, want)
		}
	}
	if n := db.queries.Load(); n != 1 {
		t.Errorf("asked Postgres %d times, want once", n)
	}

	id, secret, _ := parseToken(text)
	wrong := strings.Repeat("0", tokenSecretLength)
	for _, c := range []struct{ name, token, message string }{
		{"none", "", noToken},
		{"no token at all", "secret", malformedToken},
		{"cut", text[:len(text)-1], malformedToken},
		{"longer", text + "0", malformedToken},
		{"with a newline", text + "\n", malformedToken},
		{"unknown id", "hw_" + strings.Repeat("a", tokenIDLength) + "_" + secret, unknownToken},
		{"wrong secret", "hw_" + id + "_" + wrong, unknownToken},
	} {
		p, err := a.Authenticate(ctx, c.token)
		if p != nil {
			t.Errorf("%s: got the principal %v", c.name, p)
		}
		wantFault(t, err, fault.Unauthenticated, c.message)
	}
	before := db.queries.Load()
	for _, token := range []string{"hw_" + strings.Repeat("a", tokenIDLength) + "_" + secret, "hw_" + id + "_" + wrong} {
		for range 2 {
			if _, err := a.Authenticate(ctx, token); err == nil {
				t.Error("a wrong token was taken")
			}
		}
	}
	if n := db.queries.Load() - before; n != 4 {
		t.Errorf("wrong tokens asked Postgres %d times, want each time: an id that is known must cost what an unknown one does", n)
	}
}

func TestExpiredToken(t *testing.T) {
	ctx, pool := context.Background(), testenv.Postgres(t)
	a, clock, _ := newAuthenticator(t, pool)
	token, text := createToken(t, pool, NewToken{TTL: time.Hour})
	mustAuthenticate(t, a, text)
	clock.advance(time.Hour)
	want := fmt.Sprintf("token %s expired at %s; have another made with `headwater token create`",
		token.ID, token.ExpiresAt.Format(time.RFC3339))
	for range 2 {
		p, err := a.Authenticate(ctx, text)
		wantFault(t, err, fault.Unauthenticated, want)
		if p == nil || p.Name != "ml" || p.Credential != token.ID {
			t.Errorf("got %v, want whose token it was", p)
		}
	}
}

func TestRevokedTokenIsRefusedAfterTheBound(t *testing.T) {
	ctx, pool := context.Background(), testenv.Postgres(t)
	a, clock, _ := newAuthenticator(t, pool)
	token, text := createToken(t, pool, NewToken{})
	mustAuthenticate(t, a, text)
	revoked, err := RevokeToken(ctx, pool, token.ID)
	if err != nil {
		t.Fatal(err)
	}
	clock.advance(RevocationBound)
	want := fmt.Sprintf("token %s was revoked at %s; use another, or have one made with `headwater token create`",
		token.ID, revoked.RevokedAt.Format(time.RFC3339))
	for range 2 {
		_, err = a.Authenticate(ctx, text)
		wantFault(t, err, fault.Unauthenticated, want)
	}
	if a.known(a.tag(text)) != nil {
		t.Errorf("a revoked token is still cached")
	}
}

func TestDeletedTokenIsRefused(t *testing.T) {
	ctx, pool := context.Background(), testenv.Postgres(t)
	a, clock, _ := newAuthenticator(t, pool)
	_, text := createToken(t, pool, NewToken{})
	mustAuthenticate(t, a, text)
	if _, err := pool.Exec(ctx, `DELETE FROM headwater.token`); err != nil {
		t.Fatal(err)
	}
	clock.advance(RevocationBound)
	if _, err := a.Authenticate(ctx, text); fault.ReasonOf(err) != fault.Unauthenticated {
		t.Errorf("got %v, want UNAUTHENTICATED", err)
	}
	_, err := a.Authenticate(ctx, text)
	wantFault(t, err, fault.Unauthenticated, unknownToken)
}

func TestProvenTokensOutlastAnOutage(t *testing.T) {
	ctx, direct := context.Background(), testenv.Postgres(t)
	pool, outage := withOutage(t, direct)
	a, clock, _ := newAuthenticator(t, pool)
	_, text := createToken(t, direct, NewToken{})
	shortLived, expiring := createToken(t, direct, NewToken{TTL: time.Minute})
	other, unseen := createToken(t, direct, NewToken{})
	mustAuthenticate(t, a, text)
	mustAuthenticate(t, a, expiring)
	outage.begin()

	_, err := a.Authenticate(ctx, unseen)
	wantFault(t, err, fault.PostgresUnavailable, uncheckedToken)
	clock.advance(2 * RevocationBound)
	mustAuthenticate(t, a, text)
	mustAuthenticate(t, a, expiring)
	clock.advance(time.Minute)
	mustAuthenticate(t, a, text)
	if _, err := a.Authenticate(ctx, expiring); err == nil || !strings.Contains(err.Error(), shortLived.ID+" expired at") {
		t.Errorf("an expired token in an outage: got %v", err)
	}
	clock.advance(OutageBound)
	_, err = a.Authenticate(ctx, text)
	wantFault(t, err, fault.PostgresUnavailable, uncheckedToken)

	outage.end()
	clock.advance(RevocationBound)
	mustAuthenticate(t, a, text)
	if got := mustAuthenticate(t, a, unseen); got.Credential != other.ID {
		t.Errorf("got %v", got)
	}
}

func TestARevocationDuringAnOutageHoldsAfterIt(t *testing.T) {
	ctx, direct := context.Background(), testenv.Postgres(t)
	pool, outage := withOutage(t, direct)
	a, clock, _ := newAuthenticator(t, pool)
	token, text := createToken(t, direct, NewToken{})
	mustAuthenticate(t, a, text)
	outage.begin()
	clock.advance(2 * RevocationBound)
	mustAuthenticate(t, a, text)
	if _, err := RevokeToken(ctx, direct, token.ID); err != nil {
		t.Fatal(err)
	}
	outage.end()
	// Within the outage's memory the token still holds, and a lookup begins beside the call.
	clock.advance(RevocationBound)
	_, _ = a.Authenticate(ctx, text)
	a.background.Wait()
	if _, err := a.Authenticate(ctx, text); fault.ReasonOf(err) != fault.Unauthenticated {
		t.Errorf("got %v, want UNAUTHENTICATED", err)
	}
}

func TestABrokenTableIsNoOutage(t *testing.T) {
	ctx, pool := context.Background(), testenv.Postgres(t)
	a, clock, _ := newAuthenticator(t, pool)
	_, text := createToken(t, pool, NewToken{})
	mustAuthenticate(t, a, text)
	if _, err := pool.Exec(ctx, `ALTER TABLE headwater.token RENAME TO gone`); err != nil {
		t.Fatal(err)
	}
	clock.advance(RevocationBound)
	if _, err := a.Authenticate(ctx, text); fault.ReasonOf(err) != fault.Internal || err == nil {
		t.Errorf("got %v, want an error that refuses the token", err)
	}
}
