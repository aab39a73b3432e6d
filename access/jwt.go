package access

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"

	"github.com/headwaterhq/headwater/internal/fault"
)

const (
	// clockSkew is how far the issuer's clock and ours may be apart.
	clockSkew = time.Minute
	// maxJWT bounds the text of a token, in bytes, and maxJSONDepth how deep its claims are nested.
	maxJWT       = 16 << 10
	maxJSONDepth = 32
	// maxTime bounds seconds since 1970 in claims, far below where times overflow.
	maxTime = 1e11
)

// verified is what a JWT proves.
type verified struct {
	principal *Principal
	// until is when it ends, the skew included.
	until time.Time
	// keys are those that it was checked with.
	keys *issuerKeys
}

// verify returns what a JWT proves, or an UNAUTHENTICATED fault that says what is wrong with it, with the principal where the
// signature is the issuer's and the token only ended, or ISSUER_UNAVAILABLE. Nothing of a token is believed before its signature is.
func (i *Issuer) verify(ctx context.Context, token string) (verified, error) {
	refuse := func(format string, args ...any) (verified, error) {
		return verified{}, fault.New(fault.Unauthenticated, "found a JWT "+format, args...)
	}
	if len(token) > maxJWT {
		return refuse("of %d bytes, expected at most %d; have its issuer put less into it", len(token), maxJWT)
	}
	if !isCompactJWS(token) {
		return refuse("that is malformed, expected three parts of base64url with dots between them; check that it was copied whole")
	}
	signed, err := jose.ParseSignedCompact(token, i.algorithms)
	var algorithm *jose.ErrUnexpectedSignatureAlgorithm
	switch {
	case errors.As(err, &algorithm):
		return refuse("signed by an algorithm that is not taken here, expected one of %v", i.algorithms)
	case err != nil || len(signed.Signatures) != 1:
		return refuse("that is malformed, expected a header, claims and one signature; check that it was copied whole")
	}
	header := signed.Signatures[0].Protected
	if typ, ok := header.ExtraHeaders[jose.HeaderType]; ok && !isAccess(typ) {
		return refuse("of another kind, expected typ JWT or at+jwt")
	}
	key, keys, err := i.find(ctx, header.KeyID, header.Algorithm)
	switch {
	case err != nil:
		return verified{}, err
	case key == nil:
		return refuse("signed by a key that its issuer does not show for this algorithm; have a new one issued, and if its key is new try again in %s", keysPause)
	}
	// What the header has of keys, or of where they are, is not looked at.
	payload, err := signed.Verify(key.Key)
	if err != nil {
		return refuse("whose signature is not its issuer's; check that it was copied whole")
	}
	var claims map[string]any
	if tooDeep(payload) || json.Unmarshal(payload, &claims) != nil || claims == nil {
		return refuse("whose claims are no JSON object, or are nested deeper than %d, or name one twice", maxJSONDepth)
	}
	proven, err := i.judge(token, claims)
	if err != nil {
		return proven, err
	}
	proven.keys = keys
	return proven, nil
}

// judge checks claims that the issuer signed.
func (i *Issuer) judge(token string, claims map[string]any) (verified, error) {
	refuse := func(format string, args ...any) (verified, error) {
		return verified{}, fault.New(fault.Unauthenticated, "found a JWT "+format, args...)
	}
	if claims["iss"] != i.config.Issuer {
		return refuse("of another issuer, expected one of %s", i.config.Issuer)
	}
	audiences, err := texts(claims, "aud")
	if err != nil {
		return refuse("%v", err)
	}
	if !slices.ContainsFunc(audiences, func(a string) bool { return slices.Contains(i.config.Audiences, a) }) {
		return refuse("for another audience, expected one of %q in its aud", i.config.Audiences)
	}
	expires, err := moment(claims, "exp", true)
	if err != nil {
		return refuse("%v", err)
	}
	issued, err := moment(claims, "iat", true)
	if err != nil {
		return refuse("%v", err)
	}
	begins, err := moment(claims, "nbf", false)
	if err != nil {
		return refuse("%v", err)
	}
	principal, err := i.principal(token, claims)
	if err != nil {
		return refuse("%v", err)
	}
	now := i.now()
	proven := verified{principal: principal, until: expires.Add(clockSkew)}
	if oldest := issued.Add(i.config.MaxAge + clockSkew); oldest.Before(proven.until) {
		proven.until = oldest
	}
	if latest := now.Add(clockSkew); begins.After(latest) || issued.After(latest) {
		return proven, fault.New(fault.Unauthenticated, "found a JWT that begins at %s, which is yet to come; try again then, or set the clocks of "+
			"its issuer and of this server right", later(begins, issued).UTC().Format(time.RFC3339))
	}
	return proven, proven.ended(now)
}

// ended refuses what a JWT proved, once it has ended.
func (v *verified) ended(now time.Time) error {
	if now.Before(v.until) {
		return nil
	}
	return fault.New(fault.Unauthenticated, "found a JWT that expired, or is older than this server takes, since %s; have a new one issued",
		v.until.UTC().Format(time.RFC3339))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// principal is who the claims are about.
func (i *Issuer) principal(token string, claims map[string]any) (*Principal, error) {
	name, _ := claims[i.config.PrincipalClaim].(string)
	if found := notAName(name); found != "" {
		return nil, fmt.Errorf("with %s in claim %s, expected who its principal is, in 1 to %d bytes without control characters", found, i.config.PrincipalClaim, maxAttributeText)
	}
	p := Principal{Name: i.config.Issuer + "#" + name, Credential: credentialOf(token, claims), Roles: slices.Clone(i.config.Roles["*"])}
	if i.config.RolesClaim != "" {
		values, err := texts(claims, i.config.RolesClaim)
		if err != nil {
			return nil, err
		}
		for _, value := range values {
			if value != "*" {
				p.Roles = append(p.Roles, i.config.Roles[value]...)
			}
		}
	}
	slices.Sort(p.Roles)
	p.Roles = slices.Compact(p.Roles)
	given := map[string][]string{}
	for _, attribute := range slices.Sorted(maps.Keys(i.config.Attributes)) {
		claim := i.config.Attributes[attribute]
		values, err := texts(claims, claim)
		if err != nil {
			return nil, err
		}
		if len(values) > 0 {
			given[attribute] = values
		}
	}
	var violations []fault.Violation
	if p.Attributes, violations = attributesOf(given); violations != nil {
		return nil, fmt.Errorf("whose claim for %s cannot be an attribute: %s", strings.TrimPrefix(violations[0].Field, "attributes."), violations[0].Description)
	}
	return newPrincipal(p), nil
}

// credentialOf names a JWT in records: by what its issuer calls it, else by a hash of it.
func credentialOf(token string, claims map[string]any) string {
	if id, ok := claims["jti"].(string); ok && notAName(id) == "" && len(id) <= 64 {
		return "jwt:" + id
	}
	sum := sha256.Sum256([]byte(token))
	return "jwt:" + hex.EncodeToString(sum[:8])
}

// texts are what a claim says: a text, a list of texts, or none where it is missing or null. A claim of that very name goes before one
// that is found by its path, such as `realm_access.roles`.
func texts(claims map[string]any, claim string) ([]string, error) {
	value, ok := claims[claim]
	for rest, at := claim, claims; !ok && at != nil; {
		name, after, deeper := strings.Cut(rest, ".")
		if !deeper {
			value = at[rest]
			break
		}
		at, _ = at[name].(map[string]any)
		rest = after
	}
	switch value := value.(type) {
	case nil:
		return nil, nil
	case string:
		return []string{value}, nil
	case []any:
		list := make([]string, 0, len(value))
		for _, v := range value {
			text, ok := v.(string)
			if !ok {
				return nil, fmt.Errorf("whose claim %s has something in it that is no text, expected a text or a list of texts", claim)
			}
			list = append(list, text)
		}
		return list, nil
	}
	return nil, fmt.Errorf("whose claim %s is no text, expected a text or a list of texts", claim)
}

// moment is a time in seconds since 1970. Missing, it is zero where it may be.
func moment(claims map[string]any, claim string, needed bool) (time.Time, error) {
	value, ok := claims[claim]
	if !ok && !needed {
		return time.Time{}, nil
	}
	seconds, isNumber := value.(float64)
	if !isNumber || !(seconds >= 0 && seconds < maxTime) {
		return time.Time{}, fmt.Errorf("without a time in claim %s, expected seconds since 1970", claim)
	}
	return time.Unix(int64(seconds), 0), nil
}

// isAccess reports whether a typ is that of tokens that let somebody in, and not of those for a logout, for a proof or the like.
func isAccess(typ any) bool {
	text, _ := typ.(string)
	text = strings.TrimPrefix(strings.ToLower(text), "application/")
	return text == "jwt" || text == "at+jwt"
}

// isCompactJWS reports whether a text is three parts of base64url.
func isCompactJWS(token string) bool {
	dots := 0
	for i := range len(token) {
		switch c := token[i]; {
		case c == '.' && i > 0 && token[i-1] != '.':
			dots++
		case c >= '0' && c <= '9', c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c == '-', c == '_':
		default:
			return false
		}
	}
	return dots == 2 && token[len(token)-1] != '.'
}

// tooDeep reports whether JSON is nested deeper than maxJSONDepth, as far as it is JSON.
func tooDeep(document []byte) bool {
	depth, inText, escaped := 0, false, false
	for _, c := range document {
		switch {
		case escaped:
			escaped = false
		case inText:
			escaped, inText = c == '\\', c != '"'
		case c == '"':
			inText = true
		case c == '{' || c == '[':
			if depth++; depth > maxJSONDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}
