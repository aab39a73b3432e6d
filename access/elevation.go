package access

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
)

// Elevation is a role that a principal took for a time: break glass.
type Elevation struct {
	ID int64
	// Credential is that by which the role was taken. The principal has it by each of its credentials.
	Principal, Credential string
	Role, Reason          string
	From, Until           time.Time
	// EndedAt and EndedBy are set where it was ended before Until.
	EndedAt time.Time
	EndedBy string
}

const (
	// elevationsEvery is how often servers look who has taken a role: twice in RevocationBound.
	elevationsEvery = RevocationBound / 2
	// The writers of the records of elevations that begin and end, which are numbered by their ids.
	elevationWriter      = "elevation"
	elevationEndedWriter = "elevation-ended"
	maxReason            = 500
)

// elevatable finds the longest that one of the roles may take another for, and which does.
func (p *Policy) elevatable(roles []string, to string) (longest time.Duration, by string) {
	if p == nil {
		return 0, ""
	}
	for _, name := range roles {
		r := p.roles[name]
		if r == nil || r.broken != "" {
			continue
		}
		if d := r.elevations[to]; d > longest {
			longest, by = d, name
		}
	}
	return longest, by
}

// elevationsOf are the roles that holders of a role may take, with how long.
func elevationsOf(r *feature.Role) map[string]time.Duration {
	longest := r.MaxElevation
	if longest <= 0 {
		longest = feature.DefaultElevation
	}
	to := map[string]time.Duration{}
	for _, name := range r.MayElevateTo {
		to[name] = longest
	}
	return to
}

// RequireElevation decides whether the caller may take a role for a time, by the roles that it has without having taken any, and
// records that. A time that is too long is INVALID_ARGUMENT.
func (s *Session) RequireElevation(role string, d time.Duration) error {
	base := s.principal
	if base.elevated != nil {
		base = base.elevated
	}
	longest, by := s.policy.elevatable(base.Roles, role)
	v, beyond := base.beyond(ActionAdminister, KindRole, role)
	switch {
	case beyond:
	case longest == 0:
		v = Verdict{Reason: fmt.Sprintf("none of the roles %v may elevate to it", base.Roles)}
	default:
		v = Verdict{Allowed: true, Reason: fmt.Sprintf("role %s may elevate to %s for at most %s", by, role, longest)}
	}
	if err := s.settle(ActionAdminister, resource(KindRole, role), v); err != nil {
		return err
	}
	if d <= 0 || d > longest {
		return fault.New(fault.InvalidArgument, "found %s for an elevation to role %s, expected more than nothing and at most %s, as role %s says", d, role, longest, by)
	}
	return nil
}

// RequireEnd decides whether the caller may end what a principal has taken, and records that: its own it may.
func (s *Session) RequireEnd(principal string) error {
	if principal == s.principal.Name {
		return s.settle(ActionAdminister, resource(KindSystem, Whole), Verdict{Allowed: true, Reason: "whoever has taken a role may end that"})
	}
	return s.Require(ActionAdminister, KindSystem, Whole)
}

// Elevate takes a role for a time, in one commit with a record of its own. RequireElevation has allowed it.
func Elevate(ctx context.Context, tx pgx.Tx, p *Principal, role string, d time.Duration, reason string) (Elevation, error) {
	reason = strings.TrimSpace(reason)
	if reason == "" || len(reason) > maxReason || strings.ContainsFunc(reason, unicode.IsControl) || withoutSecrets(reason) != reason {
		return Elevation{}, fault.New(fault.InvalidArgument, "an elevation needs a reason").Violating(fault.Violation{
			Field: "reason", Description: fmt.Sprintf("found none that can be kept, expected 1 to %d bytes on one line, without secrets", maxReason),
		})
	}
	e := Elevation{Principal: p.Name, Credential: p.Credential, Role: role, Reason: reason, From: time.Now().UTC().Truncate(time.Microsecond)}
	e.Until = e.From.Add(d).Truncate(time.Microsecond)
	err := tx.QueryRow(ctx, `INSERT INTO headwater.elevation (principal, credential, role, reason, begins_at, until) VALUES ($1, $2, $3, $4, $5, $6) RETURNING id`,
		e.Principal, e.Credential, e.Role, e.Reason, e.From, e.Until).Scan(&e.ID)
	if err != nil {
		return Elevation{}, database.Fault(fmt.Errorf("insert an elevation: %w", err))
	}
	return e, WriteTx(ctx, tx, Record{
		Writer: elevationWriter, Number: e.ID, Principal: p.Name, Credential: p.Credential, Roles: p.Roles, Method: "elevate", Action: ActionAdminister,
		Resource: resource(KindRole, role), Decision: Allowed, Reason: fmt.Sprintf("%s%s; until %s", breakGlass, reason, e.Until.Format(time.RFC3339)),
	})
}

// breakGlass begins what records say while a role that was taken is in force.
const breakGlass = "break glass: "

// EndElevations ends what a principal has taken, each with a record of its own in the commit. Servers heed it within RevocationBound.
// It returns those that it ended.
func EndElevations(ctx context.Context, tx pgx.Tx, principal string, by *Principal) ([]Elevation, error) {
	now := time.Now().UTC()
	rows, err := tx.Query(ctx, `UPDATE headwater.elevation SET ended_at = $2, ended_by = $3 WHERE principal = $1 AND ended_at IS NULL AND until > $2
		RETURNING `+elevationColumns, principal, now, by.Name)
	if err != nil {
		return nil, database.Fault(fmt.Errorf("end elevations: %w", err))
	}
	ended, err := pgx.CollectRows(rows, scanElevation)
	if err != nil {
		return nil, database.Fault(fmt.Errorf("end elevations: %w", err))
	}
	for _, e := range ended {
		err := WriteTx(ctx, tx, Record{
			Writer: elevationEndedWriter, Number: e.ID, Principal: by.Name, Credential: by.Credential, Roles: by.Roles, Method: "elevate", Action: ActionAdminister,
			Resource: resource(KindRole, e.Role), Decision: Allowed, Reason: fmt.Sprintf("ended what %s had taken: %s%s", e.Principal, breakGlass, e.Reason),
		})
		if err != nil {
			return nil, err
		}
	}
	return ended, nil
}

const elevationColumns = `id, principal, credential, role, reason, begins_at, until, ended_at, coalesce(ended_by, '')`

func scanElevation(row pgx.CollectableRow) (e Elevation, err error) {
	var ended *time.Time
	err = row.Scan(&e.ID, &e.Principal, &e.Credential, &e.Role, &e.Reason, &e.From, &e.Until, &ended, &e.EndedBy)
	e.From, e.Until, e.EndedAt = e.From.UTC(), e.Until.UTC(), timeOf(ended)
	return e, err
}

// ListElevations returns the newest elevations, the newest last.
func ListElevations(ctx context.Context, db DB, limit int) ([]Elevation, error) {
	list, err := elevations(ctx, db, `TRUE ORDER BY id DESC LIMIT $1`, limit)
	slices.Reverse(list)
	return list, err
}

func elevations(ctx context.Context, db DB, which string, args ...any) ([]Elevation, error) {
	rows, err := db.Query(ctx, `SELECT `+elevationColumns+` FROM headwater.elevation WHERE `+which, args...)
	if err != nil {
		return nil, database.Fault(fmt.Errorf("list elevations: %w", err))
	}
	list, err := pgx.CollectRows(rows, scanElevation)
	if err != nil {
		return nil, database.Fault(fmt.Errorf("list elevations: %w", err))
	}
	return list, nil
}

// Elevations follows who has taken a role, so that a call need not ask. It may be used concurrently.
type Elevations struct {
	db  DB
	log *slog.Logger
	now func() time.Time

	active atomic.Pointer[activeElevations]
	// asked is when Postgres was last asked with an answer, since 1970; away: when it was tried since, it could not be reached.
	asked atomic.Int64
	away  atomic.Bool

	stop    context.CancelFunc
	stopped chan struct{}
}

// activeElevations are those that were in force when Postgres was asked. While that is the same, it is the same value.
type activeElevations struct {
	all        []Elevation
	principals lookup[*Principal, *elevatedPrincipal]
}

// elevatedPrincipal is a principal with what it has taken, until some of that ends.
type elevatedPrincipal struct {
	principal *Principal
	until     time.Time
}

// FollowElevations looks who has taken a role, and goes on until Close.
func FollowElevations(ctx context.Context, db DB, log *slog.Logger) (*Elevations, error) {
	e := &Elevations{db: db, log: log, now: time.Now, stopped: make(chan struct{})}
	if err := e.look(ctx); err != nil {
		return nil, err
	}
	ctx, e.stop = context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer close(e.stopped)
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(elevationsEvery):
			}
			if err := e.look(ctx); err != nil && ctx.Err() == nil {
				e.log.DebugContext(ctx, "looking who has taken a role", "error", err)
			}
		}
	}()
	return e, nil
}

// Close ends the following.
func (e *Elevations) Close() {
	e.stop()
	<-e.stopped
}

func (e *Elevations) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	asked := e.now()
	all, err := elevations(ctx, e.db, `ended_at IS NULL AND until > $1 ORDER BY id`, asked)
	if err != nil {
		e.away.Store(fault.ReasonOf(err) == fault.PostgresUnavailable)
		return err
	}
	if last := e.active.Load(); last == nil || !slices.Equal(last.all, all) {
		e.active.Store(&activeElevations{all: all})
		for _, of := range all {
			if last == nil || !slices.Contains(last.all, of) {
				e.log.WarnContext(ctx, "BREAK GLASS: a principal has taken a role for a time", "principal", of.Principal, "role", of.Role, "reason", of.Reason, "until", of.Until)
			}
		}
	}
	e.away.Store(false)
	e.asked.Store(asked.UnixNano())
	return nil
}

// Apply is the principal with the roles that it has taken at a time, or the principal itself. What was ended, or has, is not in force
// RevocationBound after that, or OutageBound where Postgres cannot be reached; what ends by itself ends then.
func (e *Elevations) Apply(p *Principal, now time.Time) *Principal {
	if e == nil {
		return p
	}
	active := e.active.Load()
	if len(active.all) == 0 {
		return p
	}
	age := now.Sub(time.Unix(0, e.asked.Load()))
	if age >= RevocationBound && !(e.away.Load() && age < OutageBound) {
		return p
	}
	if known, ok := active.principals.get(p); ok && now.Before(known.until) {
		return known.principal
	}
	var of []Elevation
	for _, one := range active.all {
		if one.Principal == p.Name && now.Before(one.Until) {
			of = append(of, one)
		}
	}
	if of == nil {
		return p
	}
	elevated := elevatedPrincipal{principal: p.with(of), until: of[0].Until}
	for _, one := range of {
		if one.Until.Before(elevated.until) {
			elevated.until = one.Until
		}
	}
	active.principals.put(p, &elevated, maxElevated, func(e *elevatedPrincipal) bool { return !now.Before(e.until) })
	return elevated.principal
}

// maxElevated bounds the principals, each by its credential, that are kept with what they have taken.
const maxElevated = 1000

// with is the principal with the roles that it has taken.
func (p *Principal) with(taken []Elevation) *Principal {
	elevated := *p
	elevated.elevated, elevated.Roles = p, slices.Clone(p.Roles)
	var reasons []string
	for _, e := range taken {
		if elevated.takenUntil.IsZero() || e.Until.Before(elevated.takenUntil) {
			elevated.takenUntil = e.Until
		}
		if !slices.Contains(elevated.Roles, e.Role) {
			elevated.Roles = append(elevated.Roles, e.Role)
		}
		if !slices.Contains(reasons, e.Reason) {
			reasons = append(reasons, e.Reason)
		}
	}
	elevated.taken = breakGlass + strings.Join(reasons, "; ")
	return newPrincipal(elevated)
}

// because is why something was decided, for a record, with why the principal has the roles that it has where it took some.
func (p *Principal) because(reason string) string {
	if p.taken == "" {
		return reason
	}
	return p.taken + "; " + reason
}

// ErrNotElevated says that there is nothing to end.
func ErrNotElevated(principal string) error {
	return fault.New(fault.NotFound, "%s has taken no role that is in force; `headwater access elevations` shows who has", withoutSecrets(principal)).
		Because(errors.New("no elevation in force"))
}
