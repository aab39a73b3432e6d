package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
)

// A token is `hw_ID_SECRET`: the id names it in lists and in the audit log, the secret proves it. Neither alphabet has
// an underscore.
const (
	tokenIDLength     = 16
	tokenSecretLength = 43
)

var (
	tokenIDEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)
	tokenForm       = regexp.MustCompile(`^hw_([a-z2-7]{16})_([0-9A-Za-z]{43})$`)
)

// Token is what is known of a token: all but its secret.
type Token struct {
	ID        string
	Principal string
	Roles     []string
	// Attributes are those of its principal. nil: none.
	Attributes map[string][]string
	// Scopes bound what it may be used for. nil: nothing does.
	Scopes    []Scope
	CreatedAt time.Time
	CreatedBy string
	// ExpiresAt is zero for a token that does not expire, RevokedAt for one that was not revoked.
	ExpiresAt, RevokedAt time.Time

	// certificate: it is what a certificate is bound to.
	certificate bool
}

// NewToken is what a token is asked for with.
type NewToken struct {
	Principal string
	Roles     []string
	// Attributes are texts by name: lower-case letters, digits and single underscores. Their order means nothing.
	Attributes map[string][]string
	// Scopes bound what it may be used for, ACTION:KIND:PATTERN each. Empty: nothing does.
	Scopes []string
	// TTL is how long it is good for. Zero: for ever.
	TTL       time.Duration
	CreatedBy string
}

// DB is a pool or a transaction.
type DB interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// ReservedPrincipals begins the names under which Headwater acts by itself. No token has one, so that records and runs that
// show such a name are not of a caller.
const ReservedPrincipals = "headwater:"

// CreateToken makes a token and returns it with the text that a client sends, which is kept nowhere: the table has a
// SHA-256 of the secret, and the secret is random enough that a slower hash would add nothing. A role for which hasRole is
// false is INVALID_ARGUMENT, and so is a principal that holds a token or begins with ReservedPrincipals.
func CreateToken(ctx context.Context, db DB, n NewToken, hasRole func(string) bool) (Token, string, error) {
	if violations := unknownRoles(n.Roles, hasRole); violations != nil {
		return Token{}, "", fault.New(fault.InvalidArgument, "a token can only have roles that there are").Violating(violations...)
	}
	if withoutSecrets(n.Principal) != n.Principal {
		return Token{}, "", fault.New(fault.InvalidArgument, "a token cannot be for a token").Violating(fault.Violation{
			Field: "principal", Description: "found a token, which everybody who lists tokens would see; expected the name of who calls with it",
		})
	}
	if strings.HasPrefix(n.Principal, ReservedPrincipals) {
		return Token{}, "", fault.New(fault.InvalidArgument, "a token cannot be for a part of Headwater").Violating(fault.Violation{
			Field: "principal", Description: fmt.Sprintf("found %q; names that begin with %s are those of what Headwater does by itself, such as "+
				"runs on a schedule; expected the name of who calls with the token", n.Principal, ReservedPrincipals),
		})
	}
	attributes, violations := attributesOf(n.Attributes)
	scopes, more := scopesOf(n.Scopes)
	if violations = append(violations, more...); violations != nil {
		return Token{}, "", fault.New(fault.InvalidArgument, "a token cannot be like this").Violating(violations...)
	}
	id, secret := newSecret()
	t := Token{
		ID: id, Principal: n.Principal, Roles: slices.Clone(n.Roles), Attributes: attributes, Scopes: scopes, CreatedBy: n.CreatedBy,
		CreatedAt: time.Now().UTC().Truncate(time.Microsecond),
	}
	if n.TTL > 0 {
		t.ExpiresAt = t.CreatedAt.Add(n.TTL).Truncate(time.Microsecond)
	}
	hash := hashSecret(secret)
	_, err := db.Exec(ctx, `INSERT INTO headwater.token (id, principal, secret_hash, roles, attributes, scopes, created_at, created_by, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		t.ID, t.Principal, hash[:], t.Roles, stored(t.Attributes), ScopeTexts(t.Scopes), t.CreatedAt, t.CreatedBy, nullTime(t.ExpiresAt))
	if err != nil {
		return Token{}, "", database.Fault(fmt.Errorf("insert a token: %w", err))
	}
	return t, "hw_" + id + "_" + secret, nil
}

// unknownRoles are those for which hasRole is false.
func unknownRoles(roles []string, hasRole func(string) bool) (violations []fault.Violation) {
	for i, r := range roles {
		if !hasRole(r) {
			violations = append(violations, fault.Violation{
				Field: fmt.Sprintf("roles[%d]", i),
				Description: fmt.Sprintf("found role %q, which is not defined; `headwater list roles` shows those that are, and admin is built in",
					r),
			})
		}
	}
	return violations
}

func newSecret() (id, secret string) {
	var b [10 + 32]byte
	rand.Read(b[:])
	id = tokenIDEncoding.EncodeToString(b[:10])
	secret = new(big.Int).SetBytes(b[10:]).Text(62)
	return id, strings.Repeat("0", tokenSecretLength-len(secret)) + secret
}

func hashSecret(secret string) [sha256.Size]byte { return sha256.Sum256([]byte(secret)) }

// parseToken takes a token apart. It says nothing of whether there is one.
func parseToken(token string) (id, secret string, ok bool) {
	parts := tokenForm.FindStringSubmatch(token)
	if parts == nil {
		return "", "", false
	}
	return parts[1], parts[2], true
}

const tokenColumns = `id, principal, roles, attributes, scopes, created_at, created_by, expires_at, revoked_at`

func scanToken(row pgx.Row, more ...any) (Token, error) {
	var t Token
	var expires, revoked *time.Time
	var scopes []string
	err := row.Scan(append([]any{
		&t.ID, &t.Principal, &t.Roles, &t.Attributes, &scopes, &t.CreatedAt, &t.CreatedBy, &expires, &revoked,
	}, more...)...)
	if err != nil {
		return Token{}, err
	}
	if len(t.Attributes) == 0 {
		t.Attributes = nil
	}
	t.CreatedAt, t.ExpiresAt, t.RevokedAt = t.CreatedAt.UTC(), timeOf(expires), timeOf(revoked)
	for _, text := range scopes {
		scope, err := ParseScope(text)
		if err != nil {
			return Token{}, fmt.Errorf("scope of token %s: %w", t.ID, err)
		}
		t.Scopes = append(t.Scopes, scope)
	}
	return t, nil
}

// stored are attributes as their column has them.
func stored(attributes map[string][]string) map[string][]string {
	if attributes == nil {
		return map[string][]string{}
	}
	return attributes
}

// ListTokens returns all tokens, the oldest first, the expired and the revoked too.
func ListTokens(ctx context.Context, db DB) ([]Token, error) {
	rows, err := db.Query(ctx, `SELECT `+tokenColumns+` FROM headwater.token ORDER BY created_at, id`)
	if err != nil {
		return nil, database.Fault(fmt.Errorf("list tokens: %w", err))
	}
	tokens, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Token, error) { return scanToken(row) })
	if err != nil {
		return nil, database.Fault(fmt.Errorf("list tokens: %w", err))
	}
	return tokens, nil
}

// RevokeToken ends a token for good. Servers refuse it within RevocationBound of the commit. Revoking again changes
// nothing; NOT_FOUND when there is no such token.
func RevokeToken(ctx context.Context, db DB, id string) (Token, error) {
	t, err := scanToken(db.QueryRow(ctx, `UPDATE headwater.token SET revoked_at = coalesce(revoked_at, $2)
		WHERE id = $1 RETURNING `+tokenColumns, id, time.Now().UTC()))
	if errors.Is(err, pgx.ErrNoRows) {
		return Token{}, fault.New(fault.NotFound, "there is no token %q; `headwater token list` shows the ids", withoutSecrets(id))
	}
	if err != nil {
		return Token{}, database.Fault(fmt.Errorf("revoke a token: %w", err))
	}
	return t, nil
}

func nullTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func timeOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}
