package access

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
)

// Binding says what whoever calls with a certificate may do.
type Binding struct {
	// Certificate is the name in it, as CertificateName has it, and the principal's.
	Certificate string
	Roles       []string
	// Attributes are those of the principal. nil: none.
	Attributes map[string][]string
	CreatedAt  time.Time
	CreatedBy  string
}

const (
	spiffePrefix = "spiffe://"
	dnsPrefix    = "dns:"
)

var (
	spiffeForm = regexp.MustCompile(`^spiffe://[a-z0-9][a-z0-9._-]*(/[a-zA-Z0-9._-]+)+$`)
	dnsForm    = regexp.MustCompile(`^dns:[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)
)

// isCertificateName reports whether a certificate may have this name.
func isCertificateName(name string) bool {
	return len(name) <= maxAttributeText && (dnsForm.MatchString(name) || spiffeForm.MatchString(name) && !strings.Contains(name, "/./") &&
		!strings.Contains(name+"/", "/../"))
}

// CertificateName is whose a client's certificate is: the SPIFFE id in it, spiffe://DOMAIN/PATH, else its DNS name, as dns:HOST. One
// with several of the kind, or with neither, is nobody's, and an UNAUTHENTICATED fault. Whether it is to be trusted is the handshake's
// to say.
func CertificateName(c *x509.Certificate) (string, error) {
	names := slices.Clone(c.DNSNames)
	for i := range names {
		names[i] = dnsPrefix + strings.ToLower(names[i])
	}
	if slices.ContainsFunc(c.URIs, func(u *url.URL) bool { return u.Scheme == "spiffe" }) {
		names = nil
		for _, u := range c.URIs {
			names = append(names, u.String())
		}
	}
	if len(names) != 1 || !isCertificateName(names[0]) {
		return "", fault.New(fault.Unauthenticated, "found a certificate with %d names, expected one SPIFFE id (spiffe://DOMAIN/PATH) and no other URI, or else one "+
			"DNS name without *, among its alternative names", len(names))
	}
	return names[0], nil
}

// Bind gives whoever has a certificate its roles and attributes, in place of those it had. A role for which hasRole is false, and a
// name that no certificate can have, are INVALID_ARGUMENT.
func Bind(ctx context.Context, db DB, b Binding, hasRole func(string) bool) (Binding, error) {
	violations := unknownRoles(b.Roles, hasRole)
	attributes, more := attributesOf(b.Attributes)
	if violations = append(violations, more...); !isCertificateName(b.Certificate) {
		violations = append(violations, fault.Violation{
			Field: "certificate", Description: fmt.Sprintf("found %q, expected spiffe://DOMAIN/PATH or dns:HOST, in lower case but for the path", withoutSecrets(b.Certificate)),
		})
	}
	if violations != nil {
		return Binding{}, fault.New(fault.InvalidArgument, "a certificate cannot be bound like this").Violating(violations...)
	}
	b.Attributes, b.CreatedAt = attributes, time.Now().UTC().Truncate(time.Microsecond)
	_, err := db.Exec(ctx, `INSERT INTO headwater.binding (certificate, roles, attributes, created_at, created_by) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (certificate) DO UPDATE SET roles = $2, attributes = $3, created_at = $4, created_by = $5`,
		b.Certificate, b.Roles, stored(attributes), b.CreatedAt, b.CreatedBy)
	if err != nil {
		return Binding{}, database.Fault(fmt.Errorf("bind a certificate: %w", err))
	}
	return b, nil
}

const bindingColumns = `certificate, roles, attributes, created_at, created_by`

func scanBinding(row pgx.Row) (Binding, error) {
	var b Binding
	err := row.Scan(&b.Certificate, &b.Roles, &b.Attributes, &b.CreatedAt, &b.CreatedBy)
	if len(b.Attributes) == 0 {
		b.Attributes = nil
	}
	b.CreatedAt = b.CreatedAt.UTC()
	return b, err
}

// Unbind ends what a certificate is good for, within RevocationBound of the commit. NOT_FOUND when it is not bound.
func Unbind(ctx context.Context, db DB, certificate string) (Binding, error) {
	b, err := scanBinding(db.QueryRow(ctx, `DELETE FROM headwater.binding WHERE certificate = $1 RETURNING `+bindingColumns, certificate))
	if errors.Is(err, pgx.ErrNoRows) {
		return Binding{}, fault.New(fault.NotFound, "the certificate %q is not bound; `headwater access bindings` shows those that are", withoutSecrets(certificate))
	}
	if err != nil {
		return Binding{}, database.Fault(fmt.Errorf("unbind a certificate: %w", err))
	}
	return b, nil
}

// ListBindings returns all bindings, by certificate.
func ListBindings(ctx context.Context, db DB) ([]Binding, error) {
	rows, err := db.Query(ctx, `SELECT `+bindingColumns+` FROM headwater.binding ORDER BY certificate COLLATE "C"`)
	if err != nil {
		return nil, database.Fault(fmt.Errorf("list bindings: %w", err))
	}
	bindings, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Binding, error) { return scanBinding(row) })
	if err != nil {
		return nil, database.Fault(fmt.Errorf("list bindings: %w", err))
	}
	return bindings, nil
}

// certificateKey is what a certificate is known by.
type certificateKey struct {
	fingerprint [sha256.Size]byte
	name        string
	// ends is when the certificate does, whatever it is bound to.
	ends time.Time
}

// maxCertificates bounds those that are known: they are made anew all the time.
const maxCertificates = 4096

// AuthenticateCertificate returns whose a certificate is that the handshake has verified, or an UNAUTHENTICATED fault, with whose it
// is where that is known. What it is bound to is looked up as tokens are.
func (a *Authenticator) AuthenticateCertificate(ctx context.Context, c *x509.Certificate) (*Principal, error) {
	began, fingerprint := a.now(), sha256.Sum256(c.Raw)
	known, ok := a.certificates.get(fingerprint)
	if ok {
		state, err := a.fresh(ctx, known, began)
		if err != nil {
			return nil, err
		}
		return state.principal, judge(&state.token, began)
	}
	name, err := CertificateName(c)
	if err != nil {
		return nil, err
	}
	key := tokenKey{certificate: &certificateKey{fingerprint: fingerprint, name: name, ends: c.NotAfter}}
	t, err := a.lookup(ctx, key)
	if err != nil {
		return &Principal{Name: name, Credential: key.certificate.credential()}, err
	}
	p := principalOf(&t)
	if err := judge(&t, began); err != nil {
		return p, err
	}
	known = &provenToken{key: key}
	known.state.Store(&tokenState{token: t, principal: p, asked: began})
	a.certificates.put(fingerprint, known, maxCertificates, func(k *provenToken) bool { return !began.Before(k.key.certificate.ends) })
	return p, nil
}

// credential names a certificate in records.
func (k *certificateKey) credential() string { return "cert:" + hex.EncodeToString(k.fingerprint[:8]) }

// bound asks Postgres what a certificate is bound to, as a token that ends when the certificate does.
func (k *certificateKey) bound(ctx context.Context, db DB) (Token, error) {
	b, err := scanBinding(db.QueryRow(ctx, `SELECT `+bindingColumns+` FROM headwater.binding WHERE certificate = $1`, k.name))
	if errors.Is(err, pgx.ErrNoRows) {
		return Token{}, errUnbound(k.name)
	}
	if err != nil {
		return Token{}, unchecked("certificate", database.Fault(err))
	}
	return Token{
		ID: k.credential(), Principal: k.name, Roles: b.Roles, Attributes: b.Attributes, CreatedAt: b.CreatedAt, CreatedBy: b.CreatedBy, ExpiresAt: k.ends, certificate: true,
	}, nil
}

func errUnbound(name string) error {
	return fault.New(fault.Unauthenticated, "the certificate of %s is bound to no roles; have that done with `headwater access bind --certificate %[1]s --role …`", name)
}
