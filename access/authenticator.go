package access

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
)

const (
	// RevocationBound is the longest time for which a server that reaches Postgres takes a token that was revoked.
	RevocationBound = time.Second
	// OutageBound is the longest time for which a token that was good when Postgres was last asked is taken while Postgres
	// cannot be reached: online reads need no Postgres, and outlast a restart of it. Expiry is checked all the same, and
	// tokens that this process has not seen are refused.
	OutageBound = 5 * time.Minute

	// A token in use is looked up again from this age on, beside the calls that use it.
	refreshAge    = RevocationBound / 2
	lookupTimeout = 2 * time.Second
)

// Authenticator tells who a token belongs to. It may be used concurrently.
type Authenticator struct {
	db  DB
	now func() time.Time
	// decoy is compared with when there is no such token, so that the work is the same.
	decoy [sha256.Size]byte

	mu sync.RWMutex
	// proven holds the tokens that were good, by all of the token: a wrong secret never finds one, and is looked up as an
	// unknown id is.
	proven map[tokenKey]*provenToken

	background sync.WaitGroup
	closing    context.Context
	stop       context.CancelFunc
}

type tokenKey struct {
	id   string
	hash [sha256.Size]byte
}

type provenToken struct {
	state atomic.Pointer[tokenState]

	mu sync.Mutex
	// running is closed when the lookup under way is done; nil: none is.
	running chan struct{}
}

// tokenState is what Postgres last said of a token. Immutable.
type tokenState struct {
	token Token
	// asked is when the lookup began.
	asked time.Time
	// failed is why the last lookup since had no answer, and failedAt when it ended.
	failed   error
	failedAt time.Time
}

// holds reports whether the state is good enough for a call that began at a time.
func (s *tokenState) holds(began time.Time) bool {
	age := began.Sub(s.asked)
	return age < RevocationBound || age < OutageBound && s.outage()
}

// outage reports whether Postgres could not be reached when it was last tried.
func (s *tokenState) outage() bool {
	return s.failed != nil && fault.ReasonOf(s.failed) == fault.PostgresUnavailable
}

// NewAuthenticator makes an Authenticator that looks into headwater.token. Close ends its background lookups.
func NewAuthenticator(db DB) *Authenticator {
	a := &Authenticator{db: db, now: time.Now, proven: map[tokenKey]*provenToken{}}
	a.closing, a.stop = context.WithCancel(context.Background())
	return a
}

// Close waits for the lookups that go on in the background.
func (a *Authenticator) Close() {
	a.stop()
	a.background.Wait()
}

// Authenticate returns whose token it is, or an UNAUTHENTICATED fault: one for no token, one for a text that is no token,
// one for a token that is not known or whose secret is wrong (which of the two is not said, and takes the same work), and
// one each for an expired and a revoked token, with the principal that it was of, for the record. When Postgres must be
// asked and cannot be, the token is refused with the fault that says so. ClientAddress is left empty.
func (a *Authenticator) Authenticate(ctx context.Context, token string) (*Principal, error) {
	if token == "" {
		return nil, fault.New(fault.Unauthenticated, "found no token, expected one; give it with --token or HEADWATER_TOKEN "+
			"(`authorization: Bearer hw_…` in a call), and have one made with `headwater token create`")
	}
	id, secret, ok := parseToken(token)
	if !ok {
		return nil, fault.New(fault.Unauthenticated, "found something that is not a token, expected hw_, an id of %d characters, "+
			"_ and a secret of %d; check that it was copied whole", tokenIDLength, tokenSecretLength)
	}
	key := tokenKey{id: id, hash: hashSecret(secret)}
	a.mu.RLock()
	known := a.proven[key]
	a.mu.RUnlock()
	if known == nil {
		return a.first(ctx, key)
	}
	state, err := a.fresh(ctx, key, known)
	if err != nil {
		return nil, err
	}
	return a.judge(state.token)
}

// judge refuses a token whose secret was right.
func (a *Authenticator) judge(t Token) (*Principal, error) {
	p := &Principal{Name: t.Principal, Credential: t.ID, Roles: t.Roles}
	switch {
	case !t.RevokedAt.IsZero():
		return p, fault.New(fault.Unauthenticated, "token %s was revoked at %s; use another, or have one made with "+
			"`headwater token create`", t.ID, t.RevokedAt.Format(time.RFC3339))
	case !t.ExpiresAt.IsZero() && !a.now().Before(t.ExpiresAt):
		return p, fault.New(fault.Unauthenticated, "token %s expired at %s; have another made with `headwater token create`",
			t.ID, t.ExpiresAt.Format(time.RFC3339))
	}
	return p, nil
}

func errUnknown() error {
	return fault.New(fault.Unauthenticated, "the token is not known here, or its secret is wrong; check that it was copied whole "+
		"and that it was made on this server, or have another made with `headwater token create`")
}

// first looks a token up that was not proven yet.
func (a *Authenticator) first(ctx context.Context, key tokenKey) (*Principal, error) {
	asked := a.now()
	t, err := a.lookup(ctx, key)
	if err != nil {
		return nil, err
	}
	p, err := a.judge(t)
	if err != nil {
		return p, err
	}
	known := &provenToken{}
	known.state.Store(&tokenState{token: t, asked: asked})
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.proven[key] == nil {
		a.proven[key] = known
	}
	return p, nil
}

// lookup asks Postgres.
func (a *Authenticator) lookup(ctx context.Context, key tokenKey) (Token, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	var stored []byte
	t, err := scanToken(a.db.QueryRow(ctx, `SELECT `+tokenColumns+`, secret_hash FROM headwater.token WHERE id = $1`, key.id), &stored)
	if errors.Is(err, pgx.ErrNoRows) {
		stored, err = a.decoy[:], nil
	}
	if err != nil {
		err = database.Fault(err)
		switch fault.ReasonOf(err) {
		case fault.PostgresUnavailable, fault.DeadlineExceeded:
			// Where Postgres is, is not for those to know who have not said who they are.
			err = fault.New(fault.PostgresUnavailable, "the token cannot be checked, for Postgres does not answer; try again, and "+
				"if it goes on see the server's log").Because(err)
		}
		return Token{}, err
	}
	if subtle.ConstantTimeCompare(stored, key.hash[:]) != 1 {
		return Token{}, errUnknown()
	}
	return t, nil
}

// fresh returns what Postgres says of a proven token, or said within RevocationBound, or within OutageBound while it
// cannot be asked.
func (a *Authenticator) fresh(ctx context.Context, key tokenKey, known *provenToken) (*tokenState, error) {
	began := a.now()
	s := known.state.Load()
	if began.Sub(s.asked) < refreshAge || s.outage() && s.holds(began) && began.Sub(s.failedAt) < refreshAge {
		return s, nil
	}
	// The first of two lookups may have been under way when the call began, and be too old for it.
	for range 2 {
		done := a.refreshInBackground(key, known)
		if s.holds(began) {
			return s, nil
		}
		select {
		case <-done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if s = known.state.Load(); s.holds(began) {
			return s, nil
		}
	}
	return nil, s.failed
}

// refreshInBackground begins a lookup unless one is under way, and returns what is closed when it is done.
func (a *Authenticator) refreshInBackground(key tokenKey, known *provenToken) <-chan struct{} {
	known.mu.Lock()
	defer known.mu.Unlock()
	if known.running != nil {
		return known.running
	}
	done := make(chan struct{})
	known.running = done
	a.background.Go(func() {
		a.refresh(key, known)
		known.mu.Lock()
		defer known.mu.Unlock()
		known.running = nil
		close(done)
	})
	return done
}

func (a *Authenticator) refresh(key tokenKey, known *provenToken) {
	next := &tokenState{asked: a.now()}
	var err error
	next.token, err = a.lookup(a.closing, key)
	switch {
	case err == nil:
		if _, refused := a.judge(next.token); refused != nil {
			a.forget(key)
		}
	case fault.ReasonOf(err) == fault.Unauthenticated:
		// The row is gone, or has another secret.
		next.token = known.state.Load().token
		next.token.RevokedAt = next.asked
		a.forget(key)
	default:
		last := known.state.Load()
		next = &tokenState{token: last.token, asked: last.asked, failed: err, failedAt: a.now()}
	}
	known.state.Store(next)
}

func (a *Authenticator) forget(key tokenKey) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.proven, key)
}
