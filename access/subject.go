package access

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
)

// Subject is a principal that is asked about, who need not call.
type Subject struct {
	*Principal
	// KnownBy says where its roles and attributes are from: `caller`, `token:ID`, `certificate`, or `request`.
	KnownBy string
}

// RequireExplain decides whether the caller may ask what is decided on a principal, and records that. About itself, as it is, it may.
func (s *Session) RequireExplain(itself bool) error {
	if itself {
		return s.settle(ActionAdminister, resource(KindSystem, Whole), Verdict{Allowed: true, Reason: "whoever calls may ask what is decided on itself"})
	}
	return s.Require(ActionAdminister, KindSystem, Whole)
}

// GivenSubject is a principal that has the roles and attributes given, and no other. A role for which hasRole is false is
// INVALID_ARGUMENT.
func GivenSubject(name string, roles []string, given map[string][]string, hasRole func(string) bool) (Subject, error) {
	violations := unknownRoles(roles, hasRole)
	attributes, more := attributesOf(given)
	if violations = append(violations, more...); violations != nil {
		return Subject{}, fault.New(fault.InvalidArgument, "nobody can be like this").Violating(violations...)
	}
	return Subject{NewPrincipal(name, roles, attributes), "request"}, nil
}

// FindSubject is a principal as its newest token that is good says, or else the certificate that is bound, with the roles that it has
// taken. NOT_FOUND: it has neither.
func FindSubject(ctx context.Context, db DB, name string) (Subject, error) {
	now := time.Now().UTC()
	found := Subject{}
	t, err := scanToken(db.QueryRow(ctx, `SELECT `+tokenColumns+` FROM headwater.token
		WHERE principal = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2) ORDER BY created_at DESC, id DESC LIMIT 1`, name, now))
	switch {
	case err == nil:
		found = Subject{principalOf(&t), "token:" + t.ID}
	case !errors.Is(err, pgx.ErrNoRows):
		return Subject{}, database.Fault(fmt.Errorf("find a token of a principal: %w", err))
	default:
		b, err := scanBinding(db.QueryRow(ctx, `SELECT `+bindingColumns+` FROM headwater.binding WHERE certificate = $1`, name))
		if errors.Is(err, pgx.ErrNoRows) {
			return Subject{}, fault.New(fault.NotFound, "%q has no token that is good and no certificate that is bound, so its roles are not known; say them with --role",
				withoutSecrets(name))
		}
		if err != nil {
			return Subject{}, database.Fault(fmt.Errorf("find the binding of a principal: %w", err))
		}
		found = Subject{NewPrincipal(name, b.Roles, b.Attributes), "certificate"}
	}
	taken, err := elevations(ctx, db, `principal = $1 AND ended_at IS NULL AND until > $2 ORDER BY id`, name, now)
	if err != nil {
		return Subject{}, err
	}
	if len(taken) > 0 {
		found.Principal = found.with(taken)
	}
	return found, nil
}
