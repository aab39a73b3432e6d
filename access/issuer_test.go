package access

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// fakeIssuer is an OIDC issuer on this machine, with keys of its own.
type fakeIssuer struct {
	t      *testing.T
	server *httptest.Server
	now    func() time.Time
	// fetches counts what is asked of it, and away makes it answer nothing of use.
	fetches atomic.Int64
	away    atomic.Bool

	mu   sync.Mutex
	keys []jose.JSONWebKey
	// shown is answered in place of keys, where it is not empty; said in place of the discovery document.
	shown, said string
}

var testKeys struct {
	once        sync.Once
	rsa, other  *rsa.PrivateKey
	ec, another *ecdsa.PrivateKey
}

func keysOfTests(t *testing.T) (rsaKey, otherRSA *rsa.PrivateKey, ecKey, otherEC *ecdsa.PrivateKey) {
	t.Helper()
	testKeys.once.Do(func() {
		for _, k := range []**rsa.PrivateKey{&testKeys.rsa, &testKeys.other} {
			var err error
			if *k, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
				t.Fatal(err)
			}
		}
		for _, k := range []**ecdsa.PrivateKey{&testKeys.ec, &testKeys.another} {
			var err error
			if *k, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
				t.Fatal(err)
			}
		}
	})
	return testKeys.rsa, testKeys.other, testKeys.ec, testKeys.another
}

func newFakeIssuer(t *testing.T) *fakeIssuer {
	t.Helper()
	f := &fakeIssuer{t: t, now: time.Now}
	f.server = httptest.NewTLSServer(f)
	t.Cleanup(f.server.Close)
	rsaKey, _, ecKey, _ := keysOfTests(t)
	f.show(jose.JSONWebKey{Key: rsaKey.Public(), KeyID: "rsa", Use: "sig"}, jose.JSONWebKey{Key: ecKey.Public(), KeyID: "ec", Algorithm: "ES256"})
	return f
}

func (f *fakeIssuer) show(keys ...jose.JSONWebKey) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keys = keys
}

func (f *fakeIssuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.fetches.Add(1)
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.away.Load():
		w.WriteHeader(http.StatusServiceUnavailable)
	case r.URL.Path == "/moved":
		http.Redirect(w, r, "/keys", http.StatusFound)
	case r.URL.Path == "/.well-known/openid-configuration" && f.said != "":
		fmt.Fprint(w, f.said)
	case r.URL.Path == "/.well-known/openid-configuration":
		fmt.Fprintf(w, `{"issuer": %q, "jwks_uri": %q}`, f.server.URL, f.server.URL+"/keys")
	case r.URL.Path == "/keys" && f.shown != "":
		fmt.Fprint(w, f.shown)
	case r.URL.Path == "/keys":
		if err := json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: f.keys}); err != nil {
			f.t.Error(err)
		}
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// claims are those of a good token, with changes; nil takes one out.
func (f *fakeIssuer) claims(changes map[string]any) map[string]any {
	now := f.now()
	claims := map[string]any{
		"iss": f.server.URL, "sub": "ana", "aud": []string{"other", "headwater"}, "exp": now.Add(time.Hour).Unix(), "iat": now.Unix(), "nbf": now.Unix(),
		"groups": []string{"data-science", "staff"}, "department": "risk", "jti": "t-1",
	}
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return claims
}

func encoded(t *testing.T, v any) string {
	t.Helper()
	if text, ok := v.(string); ok {
		return base64.RawURLEncoding.EncodeToString([]byte(text))
	}
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// signedBy makes a JWT by hand, so that it can be as wrong as it likes. A header or claims that are a text are taken as they are.
func signedBy(t *testing.T, key crypto.Signer, header, claims any) string {
	t.Helper()
	text := encoded(t, header) + "." + encoded(t, claims)
	sum := sha256.Sum256([]byte(text))
	var signature []byte
	switch k := key.(type) {
	case *rsa.PrivateKey:
		var err error
		if signature, err = rsa.SignPKCS1v15(rand.Reader, k, crypto.SHA256, sum[:]); err != nil {
			t.Fatal(err)
		}
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, k, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		signature = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func rs256(kid string) map[string]any {
	return map[string]any{"alg": "RS256", "kid": kid, "typ": "JWT"}
}

// good is a token that is taken, with changes.
func (f *fakeIssuer) good(changes map[string]any) string {
	f.t.Helper()
	rsaKey, _, _, _ := keysOfTests(f.t)
	return signedBy(f.t, rsaKey, rs256("rsa"), f.claims(changes))
}

func (f *fakeIssuer) config() OIDC {
	return OIDC{
		Issuer: f.server.URL, Audiences: []string{"headwater"}, RolesClaim: "groups", Client: f.server.Client(),
		Roles:      map[string][]string{"data-science": {"scientist", "reader"}, "ops": {"admin"}},
		Attributes: map[string]string{"team": "department", "region": "geo.regions"},
	}
}

// trusting is an authenticator that takes the tokens of the issuer, with a clock that both hold.
func (f *fakeIssuer) trusting(config OIDC) (*Authenticator, *clock) {
	f.t.Helper()
	issuer, err := NewIssuer(config)
	if err != nil {
		f.t.Fatal(err)
	}
	a := NewAuthenticator(nil)
	a.Trust(issuer)
	f.t.Cleanup(a.Close)
	c := &clock{}
	a.now, issuer.now, f.now = c.now, c.now, c.now
	return a, c
}

func TestAJWTIsWhoItSays(t *testing.T) {
	f := newFakeIssuer(t)
	a, _ := f.trusting(f.config())
	token := f.good(map[string]any{"geo": map[string]any{"regions": []string{"UK", "FR"}}})
	first := mustAuthenticate(t, a, token)
	want := newPrincipal(Principal{
		Name: f.server.URL + "#ana", Credential: "jwt:t-1", Roles: []string{"reader", "scientist"},
		Attributes: map[string][]string{"team": {"risk"}, "region": {"FR", "UK"}},
	})
	if !reflect.DeepEqual(first, want) {
		t.Errorf("got %+v, want %+v", first, want)
	}
	if second := mustAuthenticate(t, a, token); second != first {
		t.Error("a JWT that was checked is checked again")
	}
	if n := f.fetches.Load(); n != 2 {
		t.Errorf("asked the issuer %d times, want for its discovery document and its keys", n)
	}

	_, _, ecKey, _ := keysOfTests(t)
	p := mustAuthenticate(t, a, signedBy(t, ecKey, map[string]any{"alg": "ES256", "typ": "at+jwt"}, f.claims(map[string]any{
		"aud": "headwater", "groups": nil, "department": nil, "jti": nil, "nbf": nil,
	})))
	if len(p.Roles) != 0 || p.Attributes != nil || !strings.HasPrefix(p.Credential, "jwt:") || len(p.Credential) != 20 {
		t.Errorf("got %+v of a token of ES256 without a kid, groups and jti", p)
	}
	if p := mustAuthenticate(t, a, f.good(map[string]any{"groups": "ops"})); !reflect.DeepEqual(p.Roles, []string{"admin"}) {
		t.Errorf("got %+v of one group", p)
	}
	if p := mustAuthenticate(t, a, f.good(map[string]any{"groups": []string{"admin", "*"}})); len(p.Roles) != 0 {
		t.Errorf("got %+v: what is not on the list of roles gives none", p)
	}

	config := f.config()
	config.PrincipalClaim, config.RolesClaim, config.KeysURL = "client_id", "realm_access.roles", f.server.URL+"/keys"
	config.Roles = map[string][]string{"*": {"guest"}, "boss": {"admin", "guest"}}
	a, _ = f.trusting(config)
	p = mustAuthenticate(t, a, f.good(map[string]any{"client_id": "app", "realm_access": map[string]any{"roles": []string{"boss"}}}))
	if p.Name != f.server.URL+"#app" || !reflect.DeepEqual(p.Roles, []string{"admin", "guest"}) {
		t.Errorf("got %+v", p)
	}
}

func TestJWTsThatAreRefused(t *testing.T) {
	f := newFakeIssuer(t)
	a, _ := f.trusting(f.config())
	rsaKey, otherRSA, _, otherEC := keysOfTests(t)
	claims := f.claims(nil)
	good := f.good(nil)
	mustAuthenticate(t, a, good)
	at := func(d time.Duration) int64 { return f.now().Add(d).Unix() }

	// A public key, as text and as bytes, taken for a shared one.
	shared := func(key []byte) string {
		text := encoded(t, map[string]any{"alg": "HS256", "kid": "rsa"}) + "." + encoded(t, f.claims(nil))
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(text))
		return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	}
	der, err := x509.MarshalPKIXPublicKey(rsaKey.Public())
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := (jose.JSONWebKey{Key: otherRSA.Public(), KeyID: "rsa"}).MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	embedded := func(more map[string]any) map[string]any {
		header := rs256("rsa")
		maps.Copy(header, more)
		return header
	}
	parts := strings.Split(good, ".")
	const (
		malformed = "found a JWT that is malformed, expected a header, claims and one signature; check that it was copied whole"
		algorithm = "found a JWT signed by an algorithm that is not taken here, expected one of [RS256 ES256]"
		forged    = "found a JWT whose signature is not its issuer's; check that it was copied whole"
		notShown  = "found a JWT signed by a key that its issuer does not show for this algorithm; have a new one issued, and if its key is new try again in 10s"
		noClaims  = "found a JWT whose claims are no JSON object, or are nested deeper than 32, or name one twice"
		ended     = "found a JWT that expired, or is older than this server takes, since "
		early     = "found a JWT that begins at "
	)
	issuer := f.server.URL
	for _, c := range []struct{ name, token, message string }{
		{"forged by another key", signedBy(t, otherRSA, rs256("rsa"), claims), forged},
		{"forged on the other curve point", signedBy(t, otherEC, map[string]any{"alg": "ES256", "kid": "ec"}, claims), forged},
		{"changed claims", parts[0] + "." + encoded(t, f.claims(map[string]any{"groups": "ops"})) + "." + parts[2], forged},
		{"changed header", encoded(t, map[string]any{"alg": "RS256", "kid": "rsa", "x": 1}) + "." + parts[1] + "." + parts[2], forged},
		{"signature of zeros", parts[0] + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 256)), forged},
		{"ECDSA signature of zeros", encoded(t, map[string]any{"alg": "ES256", "kid": "ec"}) + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 64)), forged},
		{"alg none", encoded(t, map[string]any{"alg": "none", "kid": "rsa"}) + "." + parts[1] + "." + parts[2], algorithm},
		{"alg None", encoded(t, map[string]any{"alg": "None"}) + "." + parts[1] + ".AA", algorithm},
		{"alg missing", encoded(t, map[string]any{"kid": "rsa"}) + "." + parts[1] + "." + parts[2], algorithm},
		{"HS256 by the public key in PEM", shared(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), algorithm},
		{"HS256 by the public key in DER", shared(der), algorithm},
		{"an algorithm that is not on the list", signedBy(t, rsaKey, map[string]any{"alg": "RS512", "kid": "rsa"}, claims), algorithm},
		{"an algorithm that is not the key's", signedBy(t, rsaKey, map[string]any{"alg": "ES256", "kid": "rsa"}, claims), notShown},
		{"kid of another key", signedBy(t, rsaKey, rs256("ec"), claims), notShown},
		{"kid of no key", signedBy(t, rsaKey, rs256("../../dev/null"), claims), notShown},
		{"embedded key", signedBy(t, otherRSA, embedded(map[string]any{"jwk": json.RawMessage(jwk)}), claims), forged},
		{"embedded key without a kid", signedBy(t, otherRSA, map[string]any{"alg": "RS256", "jwk": json.RawMessage(jwk)}, claims), forged},
		{"address of keys", signedBy(t, otherRSA, embedded(map[string]any{"jku": issuer + "/keys", "x5u": issuer + "/keys"}), claims), forged},
		{"something critical", signedBy(t, rsaKey, embedded(map[string]any{"crit": []string{"exp"}, "exp": 1}), claims), forged},
		{"a token for a logout", signedBy(t, rsaKey, map[string]any{"alg": "RS256", "kid": "rsa", "typ": "logout+jwt"}, claims), "found a JWT of another kind, expected typ JWT or at+jwt"},
		{"header with a key twice", signedBy(t, rsaKey, `{"alg":"RS256","alg":"none","kid":"rsa"}`, claims), malformed},
		{"header is no JSON", signedBy(t, rsaKey, `{"alg":`, claims), malformed},
		{"wrong issuer", f.good(map[string]any{"iss": issuer + "/"}), "found a JWT of another issuer, expected one of " + issuer},
		{"no issuer", f.good(map[string]any{"iss": nil}), "found a JWT of another issuer, expected one of " + issuer},
		{"wrong audience", f.good(map[string]any{"aud": []string{"headwaters"}}), `found a JWT for another audience, expected one of ["headwater"] in its aud`},
		{"no audience", f.good(map[string]any{"aud": nil}), `found a JWT for another audience, expected one of ["headwater"] in its aud`},
		{"audience is no text", f.good(map[string]any{"aud": map[string]any{"headwater": true}}), "found a JWT whose claim aud is no text, expected a text or a list of texts"},
		{"expired", f.good(map[string]any{"exp": at(-61 * time.Second)}), ended},
		{"no end", f.good(map[string]any{"exp": nil}), "found a JWT without a time in claim exp, expected seconds since 1970"},
		{"endless", f.good(map[string]any{"exp": 1e300}), "found a JWT without a time in claim exp, expected seconds since 1970"},
		{"end is a text", f.good(map[string]any{"exp": "9999999999"}), "found a JWT without a time in claim exp, expected seconds since 1970"},
		{"end before time", f.good(map[string]any{"exp": -1}), "found a JWT without a time in claim exp, expected seconds since 1970"},
		{"old", f.good(map[string]any{"iat": at(-24*time.Hour - 61*time.Second)}), ended},
		{"of no age", f.good(map[string]any{"iat": nil}), "found a JWT without a time in claim iat, expected seconds since 1970"},
		{"not yet valid", f.good(map[string]any{"nbf": at(2 * time.Minute)}), early},
		{"not yet issued", f.good(map[string]any{"iat": at(2 * time.Minute)}), early},
		{"no principal", f.good(map[string]any{"sub": nil}), "found a JWT with an empty text in claim sub, expected who its principal is, in 1 to 256 bytes without control characters"},
		{"a principal of two lines", f.good(map[string]any{"sub": "ana\nadmin"}), "found a JWT with a text with control characters in claim sub, expected who its principal is, in 1 to 256 bytes without control characters"},
		{"groups that are none", f.good(map[string]any{"groups": []any{"ops", 7}}), "found a JWT whose claim groups has something in it that is no text, expected a text or a list of texts"},
		{"an attribute that is none", f.good(map[string]any{"department": "a\x00"}), "found a JWT whose claim for team cannot be an attribute: found a text with control characters, expected a text of 1 to 256 bytes without control characters"},
		{"a claim twice", signedBy(t, rsaKey, rs256("rsa"), fmt.Sprintf(`{"iss":%q,"aud":"headwater","exp":%d,"iat":%d,"sub":"ana","sub":"root"}`, issuer, at(time.Hour), at(0))), noClaims},
		{"a claim twice, below", signedBy(t, rsaKey, rs256("rsa"), fmt.Sprintf(`{"iss":%q,"aud":"headwater","exp":%d,"iat":%d,"sub":"ana","geo":{"regions":"UK","regions":"US"}}`, issuer, at(time.Hour), at(0))), noClaims},
		{"claims of another case", signedBy(t, rsaKey, rs256("rsa"), fmt.Sprintf(`{"iss":%q,"aud":"headwater","EXP":%d,"iat":%d,"sub":"ana"}`, issuer, at(time.Hour), at(0))), "found a JWT without a time in claim exp, expected seconds since 1970"},
		{"deep", signedBy(t, rsaKey, rs256("rsa"), `{"x":`+strings.Repeat("[", 33)+strings.Repeat("]", 33)+"}"), noClaims},
		{"a list of claims", signedBy(t, rsaKey, rs256("rsa"), `[]`), noClaims},
		{"null", signedBy(t, rsaKey, rs256("rsa"), `null`), noClaims},
		{"no JSON", signedBy(t, rsaKey, rs256("rsa"), `x`), noClaims},
		{"huge", f.good(map[string]any{"x": strings.Repeat("x", maxJWT)}), "found a JWT of "},
		{"cut", good[:len(good)-4], forged},
		{"two parts", parts[0] + "." + parts[1], malformedToken},
		{"no signature", parts[0] + "." + parts[1] + ".", malformedToken},
		{"four parts", good + ".x", malformedToken},
		{"a line more", good + "\n", malformedToken},
		{"JSON serialization", `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`, malformedToken},
	} {
		p, err := a.Authenticate(context.Background(), c.token)
		got := fault.As(err)
		if got == nil || got.Reason != fault.Unauthenticated || got.Message != c.message && !(strings.HasSuffix(c.message, " ") && strings.HasPrefix(got.Message, c.message)) {
			t.Errorf("%s: got %v, %v, want %s", c.name, p, err, c.message)
		}
		if p != nil && !strings.HasPrefix(c.message, ended) && !strings.HasPrefix(c.message, early) {
			t.Errorf("%s: got the principal %v of what was not proven", c.name, p)
		}
		if err != nil && withoutSecrets(err.Error()) != err.Error() {
			t.Errorf("%s: the error shows a token: %v", c.name, err)
		}
	}
}

func TestAJWTEnds(t *testing.T) {
	f := newFakeIssuer(t)
	a, clock := f.trusting(f.config())
	token := f.good(map[string]any{"exp": f.now().Add(time.Minute).Unix()})
	mustAuthenticate(t, a, token)
	// The skew is granted, once.
	clock.advance(time.Minute + clockSkew/2)
	mustAuthenticate(t, a, token)
	clock.advance(clockSkew/2 + time.Second)
	for range 2 {
		p, err := a.Authenticate(context.Background(), token)
		if fault.ReasonOf(err) != fault.Unauthenticated || p == nil || p.Name != f.server.URL+"#ana" {
			t.Errorf("replayed after its end: got %v, %v, want whose it was, refused", p, err)
		}
	}
	// One that is to last longer than tokens may is refused when it is too old, known or not.
	long := f.good(map[string]any{"exp": f.now().Add(1000 * time.Hour).Unix()})
	mustAuthenticate(t, a, long)
	clock.advance(24*time.Hour + clockSkew)
	if p, err := a.Authenticate(context.Background(), long); fault.ReasonOf(err) != fault.Unauthenticated {
		t.Errorf("got %v, %v of an old token", p, err)
	}
}

func TestKeysAreRotated(t *testing.T) {
	f := newFakeIssuer(t)
	a, clock := f.trusting(f.config())
	rsaKey, otherRSA, _, _ := keysOfTests(t)
	old := f.good(nil)
	mustAuthenticate(t, a, old)
	fresh := signedBy(t, otherRSA, rs256("new"), f.claims(nil))

	// Tokens of unknown keys make the issuer be asked once in a while, however many they are.
	before := f.fetches.Load()
	for n := range 20 {
		if _, err := a.Authenticate(context.Background(), signedBy(t, otherRSA, rs256(fmt.Sprint(n)), f.claims(nil))); fault.ReasonOf(err) != fault.Unauthenticated {
			t.Fatal(err)
		}
	}
	if n := f.fetches.Load() - before; n != 0 {
		t.Errorf("asked the issuer %d times right after it was asked", n)
	}
	f.show(jose.JSONWebKey{Key: rsaKey.Public(), KeyID: "rsa"}, jose.JSONWebKey{Key: otherRSA.Public(), KeyID: "new"})
	clock.advance(keysPause)
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			if _, err := a.Authenticate(context.Background(), fresh); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if n := f.fetches.Load() - before; n != 2 {
		t.Errorf("asked the issuer %d times, want for its discovery document and its keys", n)
	}
	mustAuthenticate(t, a, old)

	// A key that the issuer does not show any more ends its tokens, those that are known too.
	f.show(jose.JSONWebKey{Key: otherRSA.Public(), KeyID: "new"})
	clock.advance(keysEvery)
	mustAuthenticate(t, a, fresh)
	a.issuer.background.Wait()
	if p, err := a.Authenticate(context.Background(), old); fault.ReasonOf(err) != fault.Unauthenticated {
		t.Errorf("got %v, %v of a token whose key was withdrawn", p, err)
	}
	mustAuthenticate(t, a, fresh)
}

func TestAnIssuerIsAway(t *testing.T) {
	f := newFakeIssuer(t)
	f.away.Store(true)
	a, clock := f.trusting(f.config())
	_, err := a.Authenticate(context.Background(), f.good(nil))
	const unchecked = "the JWT cannot be checked, for its issuer does not show its keys; try again, and if it goes on see the server's log"
	wantFault(t, err, fault.IssuerUnavailable, unchecked)
	before := f.fetches.Load()
	_, err = a.Authenticate(context.Background(), f.good(nil))
	wantFault(t, err, fault.IssuerUnavailable, unchecked)
	if n := f.fetches.Load() - before; n != 0 {
		t.Errorf("asked the issuer %d times, want it left alone for a while", n)
	}

	f.away.Store(false)
	clock.advance(keysPause)
	known := f.good(map[string]any{"exp": f.now().Add(100 * time.Hour).Unix()})
	mustAuthenticate(t, a, known)
	f.away.Store(true)
	clock.advance(keysEvery)
	mustAuthenticate(t, a, known)
	mustAuthenticate(t, a, f.good(map[string]any{"sub": "ben"}))
	a.issuer.background.Wait()
	// A key that may be new cannot be told from a forged one.
	clock.advance(keysPause)
	_, otherRSA, _, _ := keysOfTests(t)
	_, err = a.Authenticate(context.Background(), signedBy(t, otherRSA, rs256("new"), f.claims(nil)))
	wantFault(t, err, fault.IssuerUnavailable, unchecked)
	a.issuer.background.Wait()
	clock.advance(keysOutage - keysEvery - time.Minute)
	mustAuthenticate(t, a, f.good(map[string]any{"sub": "carl"}))
	clock.advance(time.Minute)
	_, err = a.Authenticate(context.Background(), f.good(map[string]any{"sub": "carl"}))
	wantFault(t, err, fault.IssuerUnavailable, unchecked)
}

func TestWhatAnIssuerShowsIsNotTakenBlindly(t *testing.T) {
	rsaKey, _, ecKey, _ := keysOfTests(t)
	key := func(k jose.JSONWebKey) string {
		text, err := k.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	good := key(jose.JSONWebKey{Key: rsaKey.Public(), KeyID: "rsa"})
	for name, c := range map[string]struct{ shown, said string }{
		"a shared key":             {shown: `{"keys":[{"kty":"oct","kid":"rsa","k":"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"}]}`},
		"a private key":            {shown: `{"keys":[` + key(jose.JSONWebKey{Key: rsaKey, KeyID: "rsa"}) + `]}`},
		"a weak key":               {shown: `{"keys":[` + key(jose.JSONWebKey{Key: weak.Public(), KeyID: "rsa"}) + `]}`},
		"a key for encryption":     {shown: `{"keys":[` + key(jose.JSONWebKey{Key: rsaKey.Public(), KeyID: "rsa", Use: "enc"}) + `]}`},
		"no keys":                  {shown: `{"keys":[]}`},
		"keys twice":               {shown: `{"keys":[` + good + `],"keys":[` + good + `]}`},
		"too many keys":            {shown: `{"keys":[` + strings.Repeat(good+",", maxKeys) + good + `]}`},
		"too much":                 {shown: `{"keys":[` + good + `],"x":"` + strings.Repeat("x", maxKeysBytes) + `"}`},
		"too deep":                 {shown: `{"keys":[` + good + `],"x":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`},
		"another issuer":           {said: `{"issuer":"https://example.com","jwks_uri":"https://example.com/keys"}`},
		"keys without encryption":  {said: `{"issuer":"ISSUER","jwks_uri":"http://example.com/keys"}`},
		"keys that moved":          {said: `{"issuer":"ISSUER","jwks_uri":"ISSUER/moved"}`},
		"keys elsewhere on a disk": {said: `{"issuer":"ISSUER","jwks_uri":"file:///etc/passwd"}`},
	} {
		f := newFakeIssuer(t)
		f.shown, f.said = c.shown, strings.ReplaceAll(c.said, "ISSUER", f.server.URL)
		a, _ := f.trusting(f.config())
		if p, err := a.Authenticate(context.Background(), f.good(nil)); fault.ReasonOf(err) != fault.IssuerUnavailable {
			t.Errorf("%s: got %v, %v, want ISSUER_UNAVAILABLE", name, p, err)
		}
	}
	// What is not known beside keys that are does no harm.
	f := newFakeIssuer(t)
	f.shown = `{"keys":[{"kty":"new","kid":"x"},{"kty":"EC","crv":"P-256"},` + good + `,` + key(jose.JSONWebKey{Key: ecKey.Public(), KeyID: "ec"}) + `]}`
	a, _ := f.trusting(f.config())
	mustAuthenticate(t, a, f.good(nil))
}

func TestIssuersThatCannotBe(t *testing.T) {
	good := OIDC{Issuer: "https://login.example.com/realm", Audiences: []string{"headwater"}}
	for _, c := range []struct {
		change  func(*OIDC)
		message string
	}{
		{func(c *OIDC) { c.Issuer = "" }, `found issuer "", expected a URL such as https://login.example.com/realm`},
		{func(c *OIDC) { c.Issuer = "https://x/?a=b" }, `found issuer "https://x/?a=b", expected a URL such as https://login.example.com/realm`},
		{func(c *OIDC) { c.Issuer = "http://login.example.com" }, `found issuer "http://login.example.com", expected https: whoever stands between could show keys of their own`},
		{func(c *OIDC) { c.KeysURL = "http://x/keys" }, `found URL of keys "http://x/keys", expected https: whoever stands between could show keys of their own`},
		{func(c *OIDC) { c.Audiences = nil }, `found no audience, expected what tokens for this server have in aud: without it a token for any other service of the issuer would be taken`},
		{func(c *OIDC) { c.Algorithms = []string{"RS256", "none"} }, `found algorithm "none", expected some of [RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA]; none, and those with a shared key (HS256), are never taken`},
		{func(c *OIDC) { c.Algorithms = []string{"HS256"} }, `found algorithm "HS256", expected some of [RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA]; none, and those with a shared key (HS256), are never taken`},
		{func(c *OIDC) { c.Attributes = map[string]string{"Team": "x"} }, `found attribute "Team", expected lower-case letters, digits and single underscores between them, a letter first`},
	} {
		config := good
		c.change(&config)
		if _, err := NewIssuer(config); err == nil || err.Error() != c.message {
			t.Errorf("got %v, want %s", err, c.message)
		}
	}
	local := good
	local.Issuer = "http://127.0.0.1:8080"
	i, err := NewIssuer(local)
	if err != nil {
		t.Fatal(err)
	}
	i.Close()
}

func TestAServerWithoutAnIssuerTakesNoJWT(t *testing.T) {
	a, _, _ := newAuthenticator(t, testenv.Postgres(t))
	_, err := a.Authenticate(context.Background(), "eyJhbGciOiJub25lIn0.e30.eA")
	wantFault(t, err, fault.Unauthenticated, "found a JWT, and this server takes none; call with a token of its own (hw_…), or have it told of the issuer (HEADWATER_OIDC_ISSUER)")
}

func TestKnownJWTsAreBounded(t *testing.T) {
	var shard lookup[uint64, *provenJWT]
	now := time.Now()
	over := func(p *provenJWT) bool { return p.ended(now) != nil }
	for n := range uint64(10) {
		shard.put(n, &provenJWT{verified: verified{until: now.Add(-time.Second)}}, 8, over)
	}
	for n := range uint64(100) {
		shard.put(100+n, &provenJWT{verified: verified{until: now.Add(time.Hour)}}, 8, over)
		if _, ok := shard.get(100 + n); !ok || shard.len() > 8 {
			t.Fatalf("the newest is there: %v, of %d", ok, shard.len())
		}
	}
}

func FuzzJWT(f *testing.F) {
	issuer, err := NewIssuer(OIDC{Issuer: "https://login.example.com", Audiences: []string{"headwater"}, RolesClaim: "groups"})
	if err != nil {
		f.Fatal(err)
	}
	defer issuer.Close()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	issuer.keys.Store(&issuerKeys{keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k"}}})
	issuer.fetched.Store(time.Now().UnixNano())
	// Nothing is fetched.
	issuer.tried = time.Now().Add(time.Hour)
	f.Add(`{"alg":"ES256","kid":"k"}`, `{"iss":"https://login.example.com","aud":"headwater","sub":"a","exp":1,"iat":1,"groups":["x"]}`, true)
	f.Add(`{"alg":"ES256"}`, fmt.Sprintf(`{"iss":"https://login.example.com","aud":"headwater","sub":"a","exp":%d,"iat":%d}`, time.Now().Unix()+9999999, time.Now().Unix()), true)
	f.Add(`{"alg":"none"}`, `{}`, false)
	f.Fuzz(func(t *testing.T, header, claims string, sign bool) {
		text := encoded(t, header) + "." + encoded(t, claims)
		token := text + ".AAAA"
		if sign {
			sum := sha256.Sum256([]byte(text))
			r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
			if err != nil {
				t.Fatal(err)
			}
			token = text + "." + base64.RawURLEncoding.EncodeToString(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
		}
		proven, err := issuer.verify(context.Background(), token)
		if err == nil && (!sign || proven.principal == nil || !strings.HasPrefix(proven.principal.Name, "https://login.example.com#")) {
			t.Errorf("took %s for %v", token, proven.principal)
		}
		if err != nil && fault.ReasonOf(err) == fault.Internal {
			t.Errorf("%v is not for a caller", err)
		}
		if err == nil && strings.Contains(withoutSecrets("x "+token+" y"), text) {
			t.Errorf("%s was left in a text", token)
		}
	})
}
