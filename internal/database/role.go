package database

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/headwaterhq/headwater/internal/fault"
)

// ViewRole is the role that the SQL of views runs as. It is one for all databases of a Postgres, has no privilege of its
// own and is a member of nothing: a run grants it what it may read, on relations that end with the run's transaction.
const ViewRole = "headwater_view"

// schemas are those of which nothing is for the role.
var schemas = []string{"headwater", "headwater_landing", "headwater_history", "headwater_staging", JobsSchema}

// viewRole is how ViewRole stands, seen by the connection's user.
type viewRole struct {
	// Server is Postgres's server_version_num.
	Server int
	User   string
	Exists bool
	// Powers are attributes that it should not have; MemberOf are the roles that it is a member of.
	Powers, MemberOf []string
	// Settable reports whether the user may SET ROLE to it.
	Settable bool
	// Schemas are those of ours that it may use.
	Schemas []string
}

func findViewRole(ctx context.Context, q Querier) (r viewRole, err error) {
	err = q.QueryRow(ctx, `
		SELECT current_setting('server_version_num')::int, current_user::text, r.oid IS NOT NULL,
			array_remove(ARRAY[
				CASE WHEN r.rolsuper THEN 'SUPERUSER' END, CASE WHEN r.rolcreaterole THEN 'CREATEROLE' END,
				CASE WHEN r.rolcreatedb THEN 'CREATEDB' END, CASE WHEN r.rolreplication THEN 'REPLICATION' END,
				CASE WHEN r.rolbypassrls THEN 'BYPASSRLS' END, CASE WHEN r.rolcanlogin THEN 'LOGIN' END], NULL),
			ARRAY(SELECT g.rolname::text FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid ORDER BY 1),
			coalesce(pg_has_role(current_user, r.oid,
				CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END), false),
			ARRAY(SELECT n.nspname::text FROM pg_namespace n
				WHERE n.nspname = ANY ($2) AND r.oid IS NOT NULL AND has_schema_privilege(r.oid, n.oid, 'USAGE') ORDER BY 1)
		FROM (SELECT) here LEFT JOIN pg_roles r ON r.rolname = $1`,
		ViewRole, schemas).Scan(&r.Server, &r.User, &r.Exists, &r.Powers, &r.MemberOf, &r.Settable, &r.Schemas)
	if err != nil {
		return r, Fault(fmt.Errorf("look for role %s: %w", ViewRole, err))
	}
	return r, nil
}

// statements make the role as it has to be, for whoever may: at most two.
func (r *viewRole) statements() []string {
	var list []string
	if !r.Exists {
		list = append(list, "CREATE ROLE "+ViewRole+" NOLOGIN")
	}
	if !r.Settable {
		grant := "GRANT " + ViewRole + " TO " + pgx.Identifier{r.User}.Sanitize()
		if r.Server >= 160000 {
			grant += " WITH SET TRUE, INHERIT FALSE"
		}
		list = append(list, grant)
	}
	return list
}

// makeViewRole makes the role, and lets the connection's user become it, as far as that is not so already. Other databases
// of the same Postgres may do so at the same time.
func makeViewRole(ctx context.Context, conn *pgx.Conn) error {
	var err error
	for range 5 {
		r, findErr := findViewRole(ctx, conn)
		if findErr != nil {
			return findErr
		}
		list := r.statements()
		if len(list) == 0 {
			return nil
		}
		// One at a time: who made the role on 16 and later may become it only once that is granted.
		_, err = conn.Exec(ctx, list[0])
		var refused *pgconn.PgError
		switch {
		case errors.As(err, &refused) && refused.Code == "42501":
			return fault.New(fault.FailedPrecondition, "user %q of the connection URL may not make the role %s, under which the SQL of "+
				"views runs; let an administrator of this Postgres run: %s", r.User, ViewRole, strings.Join(list, "; ")).Because(err)
		case err != nil && (refused == nil || !slices.Contains(metAnother, refused.Code)):
			return Fault(fmt.Errorf("make role %s: %w", ViewRole, err))
		}
	}
	return Fault(fmt.Errorf("make role %s: %w", ViewRole, err))
}

// metAnother are the errors of who makes what another one makes at the same time: it is there already, or was just changed.
var metAnother = []string{"42710", "23505", "XX000"}

// CheckViewRole returns a FAILED_PRECONDITION fault unless the SQL of views can run as ViewRole, and can do nothing more
// as that than what a run grants it.
func CheckViewRole(ctx context.Context, q Querier) error {
	r, err := findViewRole(ctx, q)
	if err != nil {
		return err
	}
	if list := r.statements(); len(list) > 0 {
		return fault.New(fault.FailedPrecondition, "the SQL of views runs as the role %s, which user %q of the connection URL cannot become; "+
			"run `headwater migrate`, or let an administrator of this Postgres run: %s", ViewRole, r.User, strings.Join(list, "; "))
	}
	if len(r.Powers) > 0 {
		off := "NO" + strings.Join(r.Powers, " NO")
		return fault.New(fault.FailedPrecondition, "the SQL of views runs as the role %s: found it with %s, expected no power of its own; "+
			"let an administrator of this Postgres run: ALTER ROLE %s %s", ViewRole, strings.Join(r.Powers, ", "), ViewRole, off)
	}
	if len(r.MemberOf) > 0 {
		return fault.New(fault.FailedPrecondition, "the SQL of views runs as the role %s: found it a member of %s, expected of none; "+
			"let an administrator of this Postgres run: REVOKE %s FROM %s", ViewRole, strings.Join(r.MemberOf, ", "),
			sanitizeAll(r.MemberOf), ViewRole)
	}
	if len(r.Schemas) > 0 {
		return fault.New(fault.FailedPrecondition, "the SQL of views runs as the role %s: found that it may use schema %s, expected none of "+
			"Headwater's; run: REVOKE ALL ON SCHEMA %s FROM %s, PUBLIC", ViewRole, strings.Join(r.Schemas, ", "),
			sanitizeAll(r.Schemas), ViewRole)
	}
	return nil
}

func sanitizeAll(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = pgx.Identifier{n}.Sanitize()
	}
	return strings.Join(quoted, ", ")
}
