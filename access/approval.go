package access

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
)

// Approval is a gate that somebody opened, for exactly what was looked at. It counts for what has the same resource, gate and inputs, also
// where that was made again, but not where its approver made that. One by a role that was taken for a time counts for its dataset alone.
type Approval struct {
	ID int64
	// Kind and Subject are what was looked at: KindDataset or KindRun and its id, or KindService and NAME@VERSION.
	Kind    Kind
	Subject string
	// Resource is what its approver needs ActionApprove on: `dataset:NAME`, `view:NAME` or `service:NAME`.
	Resource string
	// Inputs is what it holds for, hex: the digest of a dataset's content, of all that a run read, or of what a version of a service would serve.
	Inputs string
	Gate   string
	// Found is what the gate had found.
	Found string
	// Author had made what was looked at. Approver is another, unless BreakGlass says why that one had taken a role for a time. It is empty where the approver might
	// approve what another made without that.
	Author, Approver, Credential string
	Reason                       string
	BreakGlass                   string
	ApprovedAt, ExpiresAt        time.Time
	// WithdrawnAt is zero where it was not.
	WithdrawnAt                 time.Time
	WithdrawnBy, WithdrawReason string
}

// InForce reports whether it is neither expired nor withdrawn.
func (a *Approval) InForce(now time.Time) bool {
	return a.WithdrawnAt.IsZero() && now.Before(a.ExpiresAt)
}

// counts reports whether it opens its gate of a subject that author made, at a time. What breaks glass is for its own subject; a run
// that failed is made again as another, of the same inputs.
func (a *Approval) counts(subject, author string, now time.Time) bool {
	if a.BreakGlass != "" {
		return a.InForce(now) && (a.Kind == KindRun || a.Subject == subject)
	}
	return a.InForce(now) && a.Approver != author
}

// breaksGlass reports whether it takes a role that was taken for a time to approve a resource, or what author made.
func breaksGlass(ctx context.Context, p *Principal, resource, author string) bool {
	if p.elevated == nil {
		return false
	}
	kind, name, _ := strings.Cut(resource, ":")
	return author == p.Name || !SessionFrom(ctx).Policy().Decide(p.elevated.Roles, ActionApprove, Kind(kind), name).Allowed
}

// MaxApproval is how far ahead an approval may expire.
const MaxApproval = 366 * 24 * time.Hour

// The writers of the records of approvals that are given and withdrawn, which are numbered by their ids.
const (
	approvalWriter          = "approval"
	approvalWithdrawnWriter = "approval-withdrawn"
)

// keptReason is a reason as it can be kept.
func keptReason(reason, of string) (string, error) {
	reason = strings.TrimSpace(reason)
	if reason == "" || len(reason) > maxReason || strings.ContainsFunc(reason, unicode.IsControl) || withoutSecrets(reason) != reason {
		return "", fault.New(fault.InvalidArgument, "%s needs a reason", of).Violating(fault.Violation{
			Field: "reason", Description: fmt.Sprintf("found none that can be kept, expected 1 to %d bytes on one line, without secrets", maxReason),
		})
	}
	return reason, nil
}

// Approve opens a gate, in one commit with a record of its own. Whether the principal may approve the resource is decided before. The
// author's own approval is a PERMISSION_DENIED fault, unless it has taken a role for a time: then the gate is opened until that ends at
// the latest, and the record says so. Of two at once one is refused.
func Approve(ctx context.Context, tx pgx.Tx, p *Principal, a Approval) (_ Approval, err error) {
	if a.Reason, err = keptReason(a.Reason, "an approval"); err != nil {
		return Approval{}, err
	}
	if a.Author == p.Name && p.taken == "" {
		return Approval{}, fault.New(fault.PermissionDenied, "%s made %s %s itself, and an approval is by somebody else; in an emergency take a role for a time, "+
			"which opens it and is told of: headwater access elevate", withoutSecrets(p.Name), a.Kind, a.Subject)
	}
	_, err = tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('headwater.approval.' || $1 || '.' || $2 || '.' || $3, 0))`, a.Resource, a.Gate, a.Inputs)
	if err != nil {
		return Approval{}, database.Fault(fmt.Errorf("lock approvals: %w", err))
	}
	// By the clock of the database, which all servers share.
	if err := tx.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&a.ApprovedAt); err != nil {
		return Approval{}, database.Fault(err)
	}
	a.ApprovedAt, a.ExpiresAt = a.ApprovedAt.UTC(), a.ExpiresAt.UTC().Truncate(time.Microsecond)
	breaks := breaksGlass(ctx, p, a.Resource, a.Author)
	if breaks && a.ExpiresAt.After(p.takenUntil) {
		a.ExpiresAt = p.takenUntil.UTC().Truncate(time.Microsecond)
	}
	if most := a.ApprovedAt.Add(MaxApproval); !a.ExpiresAt.After(a.ApprovedAt) || a.ExpiresAt.After(most) {
		return Approval{}, fault.New(fault.InvalidArgument, "an approval expires").Violating(fault.Violation{
			Field: "expires_at", Description: fmt.Sprintf("found %s, expected a time after now and at most %d days ahead", a.ExpiresAt.Format(time.RFC3339), int(MaxApproval.Hours()/24)),
		})
	}
	there, err := approvals(ctx, tx, `resource = $1 AND gate = $2 AND inputs = $3 AND withdrawn_at IS NULL AND expires_at > $4 ORDER BY id`, a.Resource, a.Gate, a.Inputs, a.ApprovedAt)
	if err != nil {
		return Approval{}, err
	}
	for i := range there {
		if there[i].counts(a.Subject, a.Author, a.ApprovedAt) {
			return Approval{}, fault.New(fault.AlreadyExists, "gate %s of %s %s is approved already, by %s until %s (approval %d)", a.Gate, a.Kind, a.Subject,
				there[i].Approver, there[i].ExpiresAt.Format(time.RFC3339), there[i].ID)
		}
	}
	a.Approver, a.Credential, a.BreakGlass = p.Name, p.Credential, ""
	if breaks {
		a.BreakGlass = p.BreakGlass()
	}
	err = tx.QueryRow(ctx, `INSERT INTO headwater.approval (kind, subject, resource, inputs, gate, found, author, approver, credential, reason, break_glass, approved_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) RETURNING id`,
		a.Kind, a.Subject, a.Resource, a.Inputs, a.Gate, a.Found, a.Author, a.Approver, a.Credential, a.Reason, a.BreakGlass, a.ApprovedAt, a.ExpiresAt).Scan(&a.ID)
	if err != nil {
		return Approval{}, database.Fault(fmt.Errorf("insert an approval: %w", err))
	}
	return a, WriteTx(ctx, tx, a.record(approvalWriter, p, "approve", fmt.Sprintf("approved gate %s of %s %s, made by %s, until %s: %s; it had found %s",
		a.Gate, a.Kind, a.Subject, a.Author, a.ExpiresAt.Format(time.RFC3339), a.Reason, a.Found)))
}

func (a *Approval) record(writer string, p *Principal, method, reason string) Record {
	r := Record{
		Writer: writer, Number: a.ID, Principal: p.Name, Credential: p.Credential, Roles: p.Roles, Method: method, Action: ActionApprove, Resource: a.Resource,
		Decision: Allowed, Reason: p.because(reason),
	}
	if a.Kind == KindDataset {
		r.Dataset = a.Subject
	}
	return r
}

// Withdraw takes an approval back, in one commit with a record of its own. Whether the principal may is decided before. One that is
// expired or withdrawn is a FAILED_PRECONDITION fault.
func Withdraw(ctx context.Context, tx pgx.Tx, p *Principal, id int64, reason string) (Approval, error) {
	reason, err := keptReason(reason, "what is withdrawn")
	if err != nil {
		return Approval{}, err
	}
	list, err := approvals(ctx, tx, `id = $1 FOR UPDATE`, id)
	if err != nil {
		return Approval{}, err
	}
	if len(list) == 0 {
		return Approval{}, MissingApproval(id)
	}
	a := list[0]
	if !a.WithdrawnAt.IsZero() {
		return Approval{}, fault.New(fault.FailedPrecondition, "approval %d was withdrawn by %s at %s", id, a.WithdrawnBy, a.WithdrawnAt.Format(time.RFC3339))
	}
	a.WithdrawnBy, a.WithdrawReason = p.Name, reason
	err = tx.QueryRow(ctx, `UPDATE headwater.approval SET withdrawn_at = clock_timestamp(), withdrawn_by = $2, withdraw_reason = $3 WHERE id = $1 RETURNING withdrawn_at`,
		id, a.WithdrawnBy, a.WithdrawReason).Scan(&a.WithdrawnAt)
	if err != nil {
		return Approval{}, database.Fault(fmt.Errorf("withdraw an approval: %w", err))
	}
	a.WithdrawnAt = a.WithdrawnAt.UTC()
	return a, WriteTx(ctx, tx, a.record(approvalWithdrawnWriter, p, "withdraw",
		fmt.Sprintf("withdrew approval %d, by %s, of gate %s of %s %s: %s", id, a.Approver, a.Gate, a.Kind, a.Subject, reason)))
}

// MissingApproval is the fault for an approval that is not there, or looks so to the caller.
func MissingApproval(id int64) error {
	return fault.New(fault.NotFound, "there is no approval %d; `headwater approvals list` shows those there are", id)
}

// ApprovalOf finds what opens a gate of a subject that author made, by its resource and inputs; the one that holds longest. nil: nothing does. In the
// transaction of what goes by it, the approval stays in force until that ends.
func ApprovalOf(ctx context.Context, db database.Querier, resource, gate, inputs, subject, author string) (*Approval, error) {
	list, err := approvals(ctx, db, `resource = $1 AND gate = $2 AND inputs = $3 AND withdrawn_at IS NULL AND expires_at > clock_timestamp()
		AND CASE break_glass WHEN '' THEN approver <> $4 ELSE kind = $6 OR subject = $5 END ORDER BY expires_at DESC, id LIMIT 1 FOR SHARE`, resource, gate, inputs, author, subject, KindRun)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return &list[0], nil
}

// GetApproval reads one approval, or a NOT_FOUND fault.
func GetApproval(ctx context.Context, db database.Querier, id int64) (Approval, error) {
	list, err := approvals(ctx, db, `id = $1`, id)
	if err == nil && len(list) == 0 {
		err = MissingApproval(id)
	}
	if err != nil {
		return Approval{}, err
	}
	return list[0], nil
}

// ListApprovals returns the newest approvals first, of those with an id less than before: those of one subject, `KIND:ID`, or of one resource, `KIND:NAME`; empty: all.
func ListApprovals(ctx context.Context, db database.Querier, of string, before int64, limit int) ([]Approval, error) {
	return approvals(ctx, db, `($1 = '' OR kind || ':' || subject = $1 OR resource = $1) AND id < $2 ORDER BY id DESC LIMIT $3`, of, before, limit)
}

func approvals(ctx context.Context, db database.Querier, which string, args ...any) ([]Approval, error) {
	rows, err := db.Query(ctx, `SELECT id, kind, subject, resource, inputs, gate, found, author, approver, credential, reason, break_glass, approved_at, expires_at,
		withdrawn_at, coalesce(withdrawn_by, ''), coalesce(withdraw_reason, '') FROM headwater.approval WHERE `+which, args...)
	if err != nil {
		return nil, database.Fault(fmt.Errorf("list approvals: %w", err))
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (a Approval, err error) {
		var withdrawn *time.Time
		err = row.Scan(&a.ID, &a.Kind, &a.Subject, &a.Resource, &a.Inputs, &a.Gate, &a.Found, &a.Author, &a.Approver, &a.Credential, &a.Reason, &a.BreakGlass,
			&a.ApprovedAt, &a.ExpiresAt, &withdrawn, &a.WithdrawnBy, &a.WithdrawReason)
		a.ApprovedAt, a.ExpiresAt, a.WithdrawnAt = a.ApprovedAt.UTC(), a.ExpiresAt.UTC(), timeOf(withdrawn)
		return a, err
	})
	if err != nil {
		return nil, database.Fault(fmt.Errorf("list approvals: %w", err))
	}
	return list, nil
}

// RolesFor are the roles that by themselves may do something to a resource, sorted, the built-in one last.
func (p *Policy) RolesFor(action Action, kind Kind, name string) []string {
	var roles []string
	if p != nil {
		for role := range p.roles {
			if p.Decide([]string{role}, action, kind, name).Allowed {
				roles = append(roles, role)
			}
		}
	}
	slices.Sort(roles)
	return append(roles, feature.AdminRole)
}

// maxHolders is how many principals are named.
const maxHolders = 10

// Holders are principals with one of the roles by a token that is good and has no scopes, or by a certificate that is bound, by name, without
// one of them. Those that come with a JWT are not known. more says that there are others.
func Holders(ctx context.Context, db database.Querier, roles []string, without string) (names []string, more bool, err error) {
	rows, err := db.Query(ctx, `SELECT principal FROM headwater.token
			WHERE roles && $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp()) AND cardinality(scopes) = 0 AND principal <> $2
		UNION SELECT certificate FROM headwater.binding WHERE roles && $1 AND certificate <> $2 ORDER BY 1 LIMIT $3`, roles, without, maxHolders+1)
	if err == nil {
		names, err = pgx.CollectRows(rows, pgx.RowTo[string])
	}
	if err != nil {
		return nil, false, database.Fault(errors.Join(errors.New("list who has roles"), err))
	}
	if more = len(names) > maxHolders; more {
		names = names[:maxHolders]
	}
	return names, more, nil
}

// Because is why something was done, for a record that a transaction writes, with why the principal has taken roles where it has.
func (p *Principal) Because(reason string) string { return p.because(reason) }

// BreakGlass is why the principal has the roles that it took for a time, or empty.
func (p *Principal) BreakGlass() string { return strings.TrimPrefix(p.taken, breakGlass) }
