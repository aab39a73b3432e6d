package access

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"

	"github.com/headwaterhq/headwater/internal/fault"
)

const (
	// keysEvery is how often the keys of an issuer that is in use are fetched again, so that one that it withdrew ends.
	keysEvery = 5 * time.Minute
	// keysOutage is how long keys are used that were fetched last, while the issuer cannot be reached.
	keysOutage = 24 * time.Hour
	// keysPause lies between two fetches, whoever asks with tokens of unknown keys.
	keysPause = 10 * time.Second
	// keysTimeout bounds one fetch.
	keysTimeout = 5 * time.Second
	// maxKeys and maxKeysBytes bound what is taken of an issuer.
	maxKeys      = 100
	maxKeysBytes = 1 << 20
	// leastRSABits is what RFC 7518 asks of keys.
	leastRSABits = 2048
)

// signatures are the algorithms that a server can be told to take. Those without a key, and those whose key both sides know, are none
// of them: a public key could be taken for such a key.
var signatures = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// OIDC says whose JWTs are taken, and what they say.
type OIDC struct {
	// Issuer is `iss` as tokens have it, a URL of https, or of http on this machine.
	Issuer string
	// Audiences are those of which a token has to name one.
	Audiences []string
	// Algorithms are those that a token may be signed by. Default: RS256 and ES256.
	Algorithms []string
	// KeysURL is where the issuer's keys are. Default: as its discovery document says.
	KeysURL string
	// PrincipalClaim is the claim that names the principal. Default: `sub`.
	PrincipalClaim string
	// RolesClaim is a claim of texts, and Roles the roles that each of them gives; `*` gives to every token. Other texts give none.
	RolesClaim string
	Roles      map[string][]string
	// Attributes are claims of texts by the attributes that they become.
	Attributes map[string]string
	// MaxAge is how old a token may be, whatever it says of its end. Default: 24 h.
	MaxAge time.Duration
	// Log is told of an issuer that is away. Default: nobody is.
	Log *slog.Logger
	// Client fetches. Default: one that follows the environment's proxies. It is never redirected.
	Client *http.Client
}

// Issuer checks JWTs with the keys of an OIDC issuer. It may be used concurrently.
type Issuer struct {
	config     OIDC
	algorithms []jose.SignatureAlgorithm
	client     http.Client
	now        func() time.Time

	// keys are those that were fetched last; nil: none ever were. While the issuer shows the same, they are the same value.
	keys atomic.Pointer[issuerKeys]
	// fetched is when they were, since 1970.
	fetched atomic.Int64

	mu sync.Mutex
	// running is closed when the fetch under way is done; nil: none is.
	running chan struct{}
	tried   time.Time
	failing bool

	background sync.WaitGroup
	closing    context.Context
	stop       context.CancelFunc
}

// issuerKeys are public keys that may verify signatures. Immutable.
type issuerKeys struct {
	shown string
	keys  []jose.JSONWebKey
}

// NewIssuer makes an Issuer, which fetches keys when the first token comes. An error says what of the configuration cannot be.
// Close ends it.
func NewIssuer(c OIDC) (*Issuer, error) {
	i := &Issuer{config: c, now: time.Now}
	if err := checkIssuerURL("issuer", c.Issuer); err != nil {
		return nil, err
	}
	if c.KeysURL != "" {
		if err := checkIssuerURL("URL of keys", c.KeysURL); err != nil {
			return nil, err
		}
	}
	if len(c.Audiences) == 0 || slices.Contains(c.Audiences, "") {
		return nil, errors.New("found no audience, expected what tokens for this server have in aud: without it a token for any other service of the " +
			"issuer would be taken")
	}
	if c.Algorithms == nil {
		i.algorithms = []jose.SignatureAlgorithm{jose.RS256, jose.ES256}
	}
	for _, name := range c.Algorithms {
		if !slices.Contains(signatures, jose.SignatureAlgorithm(name)) {
			return nil, fmt.Errorf("found algorithm %q, expected some of %v; none, and those with a shared key (HS256), are never taken", name, signatures)
		}
		i.algorithms = append(i.algorithms, jose.SignatureAlgorithm(name))
	}
	for attribute := range c.Attributes {
		if !attributeForm.MatchString(attribute) {
			return nil, fmt.Errorf("found attribute %q, expected lower-case letters, digits and single underscores between them, a letter first", attribute)
		}
	}
	if len(c.Attributes) > maxAttributes {
		return nil, fmt.Errorf("found %d attributes, expected at most %d", len(c.Attributes), maxAttributes)
	}
	if c.PrincipalClaim == "" {
		i.config.PrincipalClaim = "sub"
	}
	if c.MaxAge == 0 {
		i.config.MaxAge = 24 * time.Hour
	}
	if c.Log == nil {
		i.config.Log = slog.New(slog.DiscardHandler)
	}
	if c.Client != nil {
		i.client = *c.Client
	}
	i.client.Timeout = keysTimeout
	i.client.CheckRedirect = func(*http.Request, []*http.Request) error {
		return errors.New("it redirects, which is not followed")
	}
	i.closing, i.stop = context.WithCancel(context.Background())
	return i, nil
}

// Close waits for the fetches that go on in the background.
func (i *Issuer) Close() {
	i.stop()
	i.background.Wait()
}

// checkIssuerURL takes a URL from which keys can be had unforged.
func checkIssuerURL(what, text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Fragment != "" || u.RawQuery != "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("found %s %q, expected a URL such as https://login.example.com/realm", what, withoutSecrets(text))
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return fmt.Errorf("found %s %q, expected https: whoever stands between could show keys of their own", what, text)
	}
	return nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// known are the keys to check with, or nil where there are none that are new enough. Keys that are older than keysEvery are fetched
// again beside the call.
func (i *Issuer) known(now time.Time) *issuerKeys {
	age := now.Sub(time.Unix(0, i.fetched.Load()))
	if age >= keysEvery {
		i.refetch(now)
	}
	if age >= keysOutage {
		return nil
	}
	return i.keys.Load()
}

// find is the key that a token is signed by, as it says itself. Where the issuer may have shown a new one since, it is asked, once in
// keysPause at most for all tokens. nil: it shows no such key, or, with a fault, does not answer.
func (i *Issuer) find(ctx context.Context, id, algorithm string) (*jose.JSONWebKey, *issuerKeys, error) {
	now := i.now()
	keys := i.known(now)
	if key := keys.find(id, algorithm); key != nil {
		return key, keys, nil
	}
	if done := i.refetch(now); done != nil {
		select {
		case <-done:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
	keys = i.known(i.now())
	if key := keys.find(id, algorithm); key != nil {
		return key, keys, nil
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if keys == nil || i.failing {
		return nil, nil, fault.New(fault.IssuerUnavailable, "the JWT cannot be checked, for its issuer does not show its keys; try again, and if it "+
			"goes on see the server's log")
	}
	return nil, nil, nil
}

// find is the one key that fits, or nil. A token that names no key is signed by the only one of its algorithm.
func (k *issuerKeys) find(id, algorithm string) *jose.JSONWebKey {
	if k == nil {
		return nil
	}
	var found *jose.JSONWebKey
	for i := range k.keys {
		key := &k.keys[i]
		if id != "" && key.KeyID != id || !verifies(key, algorithm) {
			continue
		}
		if found != nil {
			return nil
		}
		found = key
	}
	return found
}

// verifies reports whether a key is for signatures of an algorithm.
func verifies(key *jose.JSONWebKey, algorithm string) bool {
	if key.Algorithm != "" && key.Algorithm != algorithm {
		return false
	}
	switch k := key.Key.(type) {
	case *rsa.PublicKey:
		return strings.HasPrefix(algorithm, "RS") || strings.HasPrefix(algorithm, "PS")
	case *ecdsa.PublicKey:
		return map[string]int{"ES256": 256, "ES384": 384, "ES512": 521}[algorithm] == k.Curve.Params().BitSize
	case ed25519.PublicKey:
		return algorithm == string(jose.EdDSA)
	}
	return false
}

// refetch begins a fetch, unless one is under way or was a moment ago, and returns what is closed when it is done. nil: none is.
func (i *Issuer) refetch(now time.Time) <-chan struct{} {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.running != nil {
		return i.running
	}
	if now.Sub(i.tried) < keysPause {
		return nil
	}
	i.tried = now
	done := make(chan struct{})
	i.running = done
	i.background.Go(func() {
		ctx, cancel := context.WithTimeout(i.closing, keysTimeout)
		defer cancel()
		keys, err := i.fetch(ctx)
		i.mu.Lock()
		defer i.mu.Unlock()
		switch {
		case err == nil:
			if last := i.keys.Load(); last == nil || last.shown != keys.shown {
				i.keys.Store(keys)
			}
			i.fetched.Store(now.UnixNano())
			if i.failing {
				i.config.Log.Info("the issuer of JWTs shows its keys again", "issuer", i.config.Issuer)
			}
		case i.closing.Err() == nil && !i.failing:
			i.config.Log.Error("the issuer of JWTs does not show its keys; those that it showed last are used for a day", "issuer", i.config.Issuer, "error", err)
		}
		i.failing = err != nil
		i.running = nil
		close(done)
	})
	return done
}

// fetch gets the keys that the issuer shows.
func (i *Issuer) fetch(ctx context.Context) (*issuerKeys, error) {
	from := i.config.KeysURL
	if from == "" {
		var found struct {
			Issuer  string `json:"issuer"`
			JWKSURI string `json:"jwks_uri"`
		}
		where := strings.TrimSuffix(i.config.Issuer, "/") + "/.well-known/openid-configuration"
		document, err := i.get(ctx, where)
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(document, &found); err != nil {
			return nil, fmt.Errorf("%s: not a discovery document: %w", where, err)
		}
		if found.Issuer != i.config.Issuer {
			return nil, fmt.Errorf("%s: found the issuer %q, expected %q", where, found.Issuer, i.config.Issuer)
		}
		if err := checkIssuerURL("jwks_uri", found.JWKSURI); err != nil {
			return nil, fmt.Errorf("%s: %w", where, err)
		}
		from = found.JWKSURI
	}
	document, err := i.get(ctx, from)
	if err != nil {
		return nil, err
	}
	keys, err := parseKeys(document)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", from, err)
	}
	return keys, nil
}

// get reads a small document.
func (i *Issuer) get(ctx context.Context, from string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json")
	response, err := i.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: answers %s", from, response.Status)
	}
	document, err := io.ReadAll(io.LimitReader(response.Body, maxKeysBytes+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", from, err)
	case len(document) > maxKeysBytes:
		return nil, fmt.Errorf("%s: answers with more than %d bytes", from, maxKeysBytes)
	case tooDeep(document):
		return nil, fmt.Errorf("%s: answers with JSON nested deeper than %d", from, maxJSONDepth)
	}
	return document, nil
}

// parseKeys reads a JWKS, and leaves out what cannot verify a signature: shared keys, weak ones, those for another use, and those of
// kinds that are not known.
func parseKeys(document []byte) (*issuerKeys, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(document, &set); err != nil {
		return nil, fmt.Errorf("not a set of keys: %w", err)
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("found %d keys, expected at most %d", len(set.Keys), maxKeys)
	}
	parsed := &issuerKeys{shown: string(document)}
	for _, text := range set.Keys {
		var key jose.JSONWebKey
		if json.Unmarshal(text, &key) != nil || key.Use != "" && key.Use != "sig" || !key.Valid() {
			continue
		}
		switch k := key.Key.(type) {
		case *rsa.PublicKey:
			if k.N.BitLen() < leastRSABits {
				continue
			}
		case *ecdsa.PublicKey, ed25519.PublicKey:
		default:
			// Private and shared keys among them: one that is shown to all proves nothing.
			continue
		}
		parsed.keys = append(parsed.keys, key)
	}
	if len(parsed.keys) == 0 {
		return nil, errors.New("found no key that can verify a signature")
	}
	return parsed, nil
}
