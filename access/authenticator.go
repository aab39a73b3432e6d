package access

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"hash/maphash"
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

	// proven holds the tokens that were good, by the first half of their tags: a wrong secret finds none, and is looked up as
	// an unknown id is.
	proven [provenShards]lookup[uint64, *provenToken]
	// issuer checks JWTs; nil: none are taken. jwts are those that were good, as proven has tokens.
	issuer *Issuer
	jwts   [provenShards]lookup[uint64, *provenJWT]
	// certificates are those that were bound to something, by their SHA-256.
	certificates lookup[[sha256.Size]byte, *provenToken]
	// seeds are drawn when the process starts, and never leave it.
	seeds [2]maphash.Seed

	background sync.WaitGroup
	closing    context.Context
	stop       context.CancelFunc
}

// provenShards keeps small what is copied when a token is seen for the first time.
const provenShards = 64

// tokenTag is 128 bits by which a token that was proven is known again, at a tenth of what its SHA-256 takes. It proves as
// much: whoever does not have a token of 256 random bits can only guess at one, and a guess has the tag of a proven token once
// in 2^128; the seeds are secret, so what tags have in common cannot be told from how long lookups take. A tag is worth nothing
// to whoever reads the memory of another process, and no token is kept.
type tokenTag struct{ index, check uint64 }

func (a *Authenticator) tag(token string) tokenTag {
	return tokenTag{maphash.String(a.seeds[0], token), maphash.String(a.seeds[1], token)}
}

// maxJWTs bounds the JWTs that are known in a shard: issuers make new ones all the time.
const maxJWTs = 256

type provenJWT struct {
	check uint64
	verified
}

type tokenKey struct {
	id   string
	hash [sha256.Size]byte
	// certificate is set in place of these for what a certificate is bound to.
	certificate *certificateKey
}

type provenToken struct {
	tag   tokenTag
	key   tokenKey
	state atomic.Pointer[tokenState]

	mu sync.Mutex
	// running is closed when the lookup under way is done; nil: none is.
	running chan struct{}
}

// tokenState is what Postgres last said of a token. Immutable.
type tokenState struct {
	token Token
	// principal is whose token it is. It stays the same value as long as the token says the same.
	principal *Principal
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
	a := &Authenticator{db: db, now: time.Now, seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}}
	a.closing, a.stop = context.WithCancel(context.Background())
	return a
}

// Trust makes it take JWTs of an issuer too. It is called before the first Authenticate.
func (a *Authenticator) Trust(issuer *Issuer) { a.issuer = issuer }

// Close waits for the lookups that go on in the background.
func (a *Authenticator) Close() {
	a.stop()
	a.background.Wait()
	if a.issuer != nil {
		a.issuer.Close()
	}
}

// Authenticate returns whose token it is, a token of ours or a JWT, or an UNAUTHENTICATED fault: one for no token, one for a text that is no token,
// one for a token that is not known or whose secret is wrong (which of the two is not said, and takes the same work), and
// one each for an expired and a revoked token, with the principal that it was of, for the record. When Postgres must be
// asked and cannot be, the token is refused with the fault that says so. The principal is shared and MUST NOT be changed.
func (a *Authenticator) Authenticate(ctx context.Context, token string) (*Principal, error) {
	tag := a.tag(token)
	if known := a.known(tag); known != nil {
		began := a.now()
		state, err := a.fresh(ctx, known, began)
		if err != nil {
			return nil, err
		}
		return state.principal, judge(&state.token, began)
	}
	if known := a.knownJWT(tag); known != nil {
		return known.principal, known.ended(a.now())
	}
	if token == "" {
		return nil, fault.New(fault.Unauthenticated, "found no token, expected one; give it with --token or HEADWATER_TOKEN "+
			"(`authorization: Bearer hw_…` in a call), and have one made with `headwater token create`")
	}
	id, secret, ok := parseToken(token)
	if !ok && isCompactJWS(token) {
		return a.jwt(ctx, tag, token)
	}
	if !ok {
		return nil, fault.New(fault.Unauthenticated, "found something that is not a token, expected hw_, an id of %d characters, "+
			"_ and a secret of %d; check that it was copied whole", tokenIDLength, tokenSecretLength)
	}
	return a.first(ctx, tag, tokenKey{id: id, hash: hashSecret(secret)})
}

// knownJWT finds a JWT that was checked with the keys that its issuer shows still, or nil.
func (a *Authenticator) knownJWT(tag tokenTag) *provenJWT {
	if a.issuer == nil {
		return nil
	}
	known, ok := a.jwts[tag.index%provenShards].get(tag.index)
	if !ok || (known.check^tag.check) != 0 || known.keys != a.issuer.known(a.now()) {
		return nil
	}
	return known
}

// jwt returns whose a JWT is that is not known.
func (a *Authenticator) jwt(ctx context.Context, tag tokenTag, token string) (*Principal, error) {
	if a.issuer == nil {
		return nil, fault.New(fault.Unauthenticated, "found a JWT, and this server takes none; call with a token of its own (hw_…), or have it told of the "+
			"issuer (HEADWATER_OIDC_ISSUER)")
	}
	now := a.now()
	proven, err := a.issuer.verify(ctx, token)
	if err != nil {
		return proven.principal, err
	}
	a.jwts[tag.index%provenShards].put(tag.index, &provenJWT{check: tag.check, verified: proven}, maxJWTs, func(p *provenJWT) bool { return p.ended(now) != nil })
	return proven.principal, nil
}

// known finds a proven token by its tag, or nil.
func (a *Authenticator) known(tag tokenTag) *provenToken {
	known, ok := a.shard(tag).get(tag.index)
	// The half that the map was asked for is compared in the map's time, the other in constant time.
	if !ok || (known.tag.check^tag.check) != 0 {
		return nil
	}
	return known
}

func (a *Authenticator) shard(tag tokenTag) *lookup[uint64, *provenToken] {
	return &a.proven[tag.index%provenShards]
}

// judge refuses a token whose secret was right.
func judge(t *Token, now time.Time) error {
	switch {
	case t.certificate && !t.RevokedAt.IsZero():
		return errUnbound(t.Principal)
	case t.certificate && !now.Before(t.ExpiresAt):
		return fault.New(fault.Unauthenticated, "the certificate of %s expired at %s; connect with a new one", t.Principal, t.ExpiresAt.UTC().Format(time.RFC3339))
	case !t.RevokedAt.IsZero():
		return fault.New(fault.Unauthenticated, "token %s was revoked at %s; use another, or have one made with "+
			"`headwater token create`", t.ID, t.RevokedAt.Format(time.RFC3339))
	case !t.ExpiresAt.IsZero() && !now.Before(t.ExpiresAt):
		return fault.New(fault.Unauthenticated, "token %s expired at %s; have another made with `headwater token create`",
			t.ID, t.ExpiresAt.Format(time.RFC3339))
	}
	return nil
}

func errUnknown() error {
	return fault.New(fault.Unauthenticated, "the token is not known here, or its secret is wrong; check that it was copied whole "+
		"and that it was made on this server, or have another made with `headwater token create`")
}

// first looks a token up that was not proven yet.
func (a *Authenticator) first(ctx context.Context, tag tokenTag, key tokenKey) (*Principal, error) {
	asked := a.now()
	t, err := a.lookup(ctx, key)
	if err != nil {
		return nil, err
	}
	p := principalOf(&t)
	if err := judge(&t, a.now()); err != nil {
		return p, err
	}
	known := &provenToken{tag: tag, key: key}
	known.state.Store(&tokenState{token: t, principal: p, asked: asked})
	a.shard(tag).add(tag.index, known)
	return p, nil
}

func principalOf(t *Token) *Principal {
	return newPrincipal(Principal{Name: t.Principal, Credential: t.ID, Roles: t.Roles, Attributes: t.Attributes, scopes: t.Scopes})
}

// lookup asks Postgres.
func (a *Authenticator) lookup(ctx context.Context, key tokenKey) (Token, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	if key.certificate != nil {
		return key.certificate.bound(ctx, a.db)
	}
	var stored []byte
	t, err := scanToken(a.db.QueryRow(ctx, `SELECT `+tokenColumns+`, secret_hash FROM headwater.token WHERE id = $1`, key.id), &stored)
	if errors.Is(err, pgx.ErrNoRows) {
		stored, err = a.decoy[:], nil
	}
	if err != nil {
		return Token{}, unchecked("token", database.Fault(err))
	}
	if subtle.ConstantTimeCompare(stored, key.hash[:]) != 1 {
		return Token{}, errUnknown()
	}
	return t, nil
}

// unchecked is why a token or a certificate could not be looked up, for its holder.
func unchecked(what string, err error) error {
	switch fault.ReasonOf(err) {
	case fault.PostgresUnavailable, fault.DeadlineExceeded:
		// Where Postgres is, is not for those to know who have not said who they are.
		return fault.New(fault.PostgresUnavailable, "the %s cannot be checked, for Postgres does not answer; try again, and "+
			"if it goes on see the server's log", what).Because(err)
	}
	return err
}

// fresh returns what Postgres says of a proven token, or said within RevocationBound of when the call began, or within
// OutageBound while it cannot be asked.
func (a *Authenticator) fresh(ctx context.Context, known *provenToken, began time.Time) (*tokenState, error) {
	s := known.state.Load()
	if began.Sub(s.asked) < refreshAge || s.outage() && s.holds(began) && began.Sub(s.failedAt) < refreshAge {
		return s, nil
	}
	// The first of two lookups may have been under way when the call began, and be too old for it.
	for range 2 {
		done := a.refreshInBackground(known)
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
func (a *Authenticator) refreshInBackground(known *provenToken) <-chan struct{} {
	known.mu.Lock()
	defer known.mu.Unlock()
	if known.running != nil {
		return known.running
	}
	done := make(chan struct{})
	known.running = done
	a.background.Go(func() {
		a.refresh(known)
		known.mu.Lock()
		defer known.mu.Unlock()
		known.running = nil
		close(done)
	})
	return done
}

func (a *Authenticator) refresh(known *provenToken) {
	last := known.state.Load()
	next := &tokenState{asked: a.now(), principal: last.principal}
	var err error
	next.token, err = a.lookup(a.closing, known.key)
	switch {
	case err == nil:
		if p := principalOf(&next.token); p.Name != last.principal.Name || p.key() != last.principal.key() {
			next.principal = p
		}
		if judge(&next.token, a.now()) != nil {
			a.forget(known)
		}
	case fault.ReasonOf(err) == fault.Unauthenticated:
		// The row is gone, or has another secret.
		next.token = last.token
		next.token.RevokedAt = next.asked
		a.forget(known)
	default:
		next = &tokenState{token: last.token, principal: last.principal, asked: last.asked, failed: err, failedAt: a.now()}
	}
	known.state.Store(next)
}

func (a *Authenticator) forget(known *provenToken) {
	if key := known.key.certificate; key != nil {
		a.certificates.remove(key.fingerprint, known)
		return
	}
	a.shard(known.tag).remove(known.tag.index, known)
}
