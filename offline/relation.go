package offline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
)

// relation is a table or view that others keep, as one snapshot shows it. Others may change it at any time, so each run
// looks at it anew.
type relation struct {
	source *feature.SourceVersion
	// conn has the transaction that the snapshot belongs to: the run's own, or one in another database.
	conn *pgx.Conn
	tx   pgx.Tx
	// remote tells that it is in another database.
	remote bool
	// timeout is how long a statement of a run may take there. 0: no bound that messages tell of.
	timeout time.Duration
}

// rows is what stands after FROM for the relation's rows: the declared columns, in the types that columnType has for them.
// What a column cannot hold without loss is for asTheyAre to find.
func (r *relation) rows() string { return r.rowsOf(columnType) }

// asTheyAre is rows in types without limits, so that no value was rounded to fit.
func (r *relation) asTheyAre() string { return r.rowsOf(castType) }

func (r *relation) rowsOf(typeOf func(feature.Type) string) string {
	columns := make([]string, len(r.source.Columns))
	for i, c := range r.source.Columns {
		columns[i] = quote(c.Name) + "::" + typeOf(c.Type) + " AS " + quote(c.Name)
	}
	return "(SELECT " + strings.Join(columns, ", ") + " FROM " + quote(r.source.Postgres.Schema, r.source.Postgres.Table) + ")"
}

// relationTypes lists, for a feature type, the Postgres types that a column of others may have: those that become it without
// loss, the same in every session, and numeric, of which a run refuses what does not fit. A domain counts as the type it is
// made of.
func relationTypes(t feature.Type) []string {
	switch {
	case t == feature.TypeString:
		return []string{"text", "varchar", "bpchar", "name", "uuid", enumType}
	case t == feature.ListType(feature.TypeString):
		return []string{"_text", "_varchar", "_bpchar", "_name", "_uuid"}
	}
	return outputTypes(t)
}

// enumType stands for every type of enumerated labels.
const enumType = "an enum"

// relationColumn is a column of a table of others.
type relationColumn struct {
	Name string
	// Type is as Postgres writes it; Base is the name of the type behind it.
	Type, Base string
	// Readable tells whether the user of the connection may read it.
	Readable bool
	NotNull  bool
}

// look finds the relation and what is wrong with it as the source declares it. The violations' fields are paths from the
// source on. The transaction's search_path must be pinned.
func (r *relation) look(ctx context.Context) ([]relationColumn, []fault.Violation, error) {
	o := r.source.Postgres
	var found struct {
		oid         uint32
		kind        string
		temporary   bool
		schemaUsage bool
	}
	err := r.tx.QueryRow(ctx, `
		SELECT c.oid, c.relkind::text, c.relpersistence = 't', has_schema_privilege(n.oid, 'USAGE')
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2`,
		o.Schema, o.Table).Scan(&found.oid, &found.kind, &found.temporary, &found.schemaUsage)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, []fault.Violation{{Field: "postgres.table", Description: fmt.Sprintf(
			"found no table or view %s in database %s, expected one; create it, or correct postgres.schema and postgres.table", quote(o.Schema, o.Table),
			r.database())}}, nil
	}
	if err != nil {
		return nil, nil, err
	}
	problem := ""
	switch {
	case found.temporary:
		problem = "a temporary table, which is gone when its session ends"
	case found.kind == "f":
		problem = "a foreign table, whose rows are read in another server's snapshot"
	case !strings.Contains("rpvm", found.kind):
		problem = "something else of that name"
	default:
		problem, err = r.behind(ctx, found.oid)
	}
	if err != nil {
		return nil, nil, err
	}
	if problem != "" {
		return nil, []fault.Violation{{Field: "postgres.table", Description: fmt.Sprintf(
			"found %s: %s, expected a table, view or materialized view over tables of the same database", r.name(), problem)}}, nil
	}
	rows, err := r.tx.Query(ctx, `
		SELECT a.attname::text, format_type(a.atttypid, a.atttypmod),
			CASE WHEN b.typtype = 'e' THEN $2 ELSE b.typname::text END, has_column_privilege(a.attrelid, a.attnum, 'SELECT'), a.attnotnull
		FROM pg_attribute a CROSS JOIN LATERAL (
			WITH RECURSIVE base (oid, depth) AS (
				SELECT a.atttypid, 0
				UNION ALL
				SELECT t.typbasetype, base.depth + 1 FROM base JOIN pg_type t ON t.oid = base.oid WHERE t.typtype = 'd')
			SELECT t.typtype, t.typname FROM base JOIN pg_type t ON t.oid = base.oid ORDER BY base.depth DESC LIMIT 1) b
		WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`, found.oid, enumType)
	if err != nil {
		return nil, nil, err
	}
	columns, err := pgx.CollectRows(rows, pgx.RowToStructByPos[relationColumn])
	if err != nil {
		return nil, nil, err
	}
	return columns, r.compare(columns, found.schemaUsage), nil
}

// behind says what the relation reads, through views or as its partitions, that a source may not. Empty when there is
// nothing. What a materialized view was made of is looked at for whose it is only: its rows are stored. The functions of a view
// run as who reads it: in Headwater's own database that may do anything, so that none may be in the hands of others.
func (r *relation) behind(ctx context.Context, oid uint32) (found string, err error) {
	err = r.tx.QueryRow(ctx, `
		WITH RECURSIVE reads (oid, stored) AS (
			SELECT $1::oid, false
			UNION
			SELECT d.oid, r.stored OR c.relkind = 'm'
			FROM reads r JOIN pg_class c ON c.oid = r.oid CROSS JOIN LATERAL (
				SELECT m[1]::oid FROM pg_rewrite w CROSS JOIN LATERAL regexp_matches(w.ev_action::text, ':relid (\d+)', 'g') m
				WHERE w.ev_class = c.oid AND c.relkind IN ('v', 'm')
				UNION ALL
				SELECT i.inhrelid FROM pg_inherits i WHERE i.inhparent = c.oid) d (oid)
			WHERE d.oid <> 0),
		problem (rank, what, name) AS (
			SELECT 1, 'it reads ' || n.nspname || '.' || c.relname || ', which is Postgres''s or Headwater''s own', c.relname
			FROM reads JOIN pg_class c USING (oid) JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE n.nspname ~ '^(pg_|information_schema$|headwater(_|$))'
			UNION ALL
			SELECT 2, 'it reads the foreign table ' || n.nspname || '.' || c.relname || ', whose rows are read in another server''s snapshot',
				c.relname
			FROM reads JOIN pg_class c USING (oid) JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'f' AND NOT stored
			UNION ALL
			SELECT 3, 'it calls ' || p.oid::regprocedure::text || ', which is volatile', p.proname
			FROM reads JOIN pg_class c USING (oid) JOIN pg_rewrite w ON w.ev_class = c.oid
				CROSS JOIN LATERAL regexp_matches(w.ev_action::text, ':(?:funcid|opfuncid|aggfnoid|winfnoid) (\d+)', 'g') m
				JOIN pg_proc p ON p.oid = m[1]::oid
			WHERE c.relkind = 'v' AND NOT stored AND p.provolatile = 'v'
			UNION ALL
			SELECT 4, 'it calls ' || p.oid::regprocedure::text || ', which ' || quote_ident(o.rolname) || ' may change and which runs with the rights '
				'of the server''s user (materialize the view, or read it as another user, by a name and a URL for this database)', p.proname
			FROM reads JOIN pg_class c USING (oid) JOIN pg_rewrite w ON w.ev_class = c.oid
				CROSS JOIN LATERAL regexp_matches(w.ev_action::text, ':(?:funcid|opfuncid|aggfnoid|winfnoid) (\d+)', 'g') m
				JOIN pg_proc p ON p.oid = m[1]::oid JOIN pg_roles o ON o.oid = p.proowner
			WHERE c.relkind = 'v' AND NOT stored AND NOT $2 AND NOT o.rolsuper AND o.rolname <> current_user)
		SELECT what FROM problem ORDER BY rank, name LIMIT 1`, oid, r.remote).Scan(&found)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	return found, err
}

// compare holds the columns that are there to those declared.
func (r *relation) compare(found []relationColumn, usage bool) []fault.Violation {
	var violations []fault.Violation
	add := func(field, format string, args ...any) {
		violations = append(violations, fault.Violation{Field: field, Description: fmt.Sprintf(format, args...)})
	}
	var names, hidden []string
	for _, c := range found {
		names = append(names, c.Name)
	}
	for i := range r.source.Columns {
		c := &r.source.Columns[i]
		field := fmt.Sprintf("columns[%d]", i)
		j := slices.Index(names, c.Name)
		switch {
		case j < 0:
			add(field+".name", "found no column %s in %s, expected one of type %s; it has %s", c.Name, r.name(), c.Type, shownNames(names))
		case !slices.Contains(relationTypes(c.Type), found[j].Base):
			add(field+".type", "found column %s of %s of type %s, expected one that is %s without loss (%s); declare another type, or name a "+
				"view that casts it", c.Name, r.name(), found[j].Type, c.Type, shownTypes(relationTypes(c.Type)))
		case !found[j].Readable:
			hidden = append(hidden, c.Name)
		}
	}
	switch {
	case !usage:
		add("postgres.schema", "found schema %s of database %s, which the server's user may not use, expected that it may: GRANT USAGE ON "+
			"SCHEMA %s TO %s", r.source.Postgres.Schema, r.database(), quote(r.source.Postgres.Schema), r.user())
	case len(hidden) > 0:
		add("postgres.table", "found %s, of which the server's user may not read %s, expected that it may: GRANT SELECT ON %s TO %s",
			r.name(), shownNames(hidden), quote(r.source.Postgres.Schema, r.source.Postgres.Table), r.user())
	}
	if r.source.IgnoreNewColumns {
		return violations
	}
	var extra []string
	for _, name := range names {
		if r.source.Column(name) == nil {
			extra = append(extra, name)
		}
	}
	if len(extra) > 0 {
		add("columns", "found columns of %s that the source does not declare: %s; declare them, or write schema_changes: ignore_new_columns",
			r.name(), shownNames(extra))
	}
	return violations
}

func shownTypes(types []string) string {
	shown := make([]string, len(types))
	for i, t := range types {
		shown[i] = typeShown(t)
	}
	return strings.Join(shown, ", ")
}

// maxShownNames is how many names a message lists.
const maxShownNames = 20

func shownNames(names []string) string {
	if n := len(names) - maxShownNames; n > 0 {
		return strings.Join(names[:maxShownNames], ", ") + fmt.Sprintf(" and %d more", n)
	}
	return strings.Join(names, ", ")
}

// name is what messages call it.
func (r *relation) name() string { return r.source.Postgres.String() }

// database is what messages call the database that it is in.
func (r *relation) database() string {
	if r.remote {
		return r.source.Postgres.Database
	}
	return r.conn.Config().Database
}

func (r *relation) user() string { return quote(r.conn.Config().User) }

// failed is what an error of a query over the relation becomes: nothing of what Postgres says, which may hold values, but
// its SQLSTATE.
func (r *relation) failed(err error) error {
	if fault.As(err) != nil {
		return err
	}
	var late *pgconn.PgError
	if errors.As(err, &late) && late.Code == queryCancelled && r.timeout > 0 {
		return fault.New(fault.RunRefused, "source %s: reading %s was cancelled, by its database or after %s, which is all that a view may take "+
			"on this server; see who locks it, run shorter intervals (--from, --to), or raise HEADWATER_VIEW_TIMEOUT where the server runs",
			r.source.Name, r.name(), r.timeout).Because(err)
	}
	if pg := lasting(err); pg != nil {
		return fault.New(fault.RunRefused, "source %s: reading %s failed (SQLSTATE %s); the log of its database says why, such as a row "+
			"that the view divides by zero for", r.source.Name, r.name(), pg.Code).Because(err)
	}
	return r.passing(err)
}

// passing is failed for an error that comes of the connection.
func (r *relation) passing(err error) error {
	if err == nil || !r.remote {
		return err
	}
	return databaseFault(r.source.Postgres.Database, err)
}

// databaseFault names the other database that an error comes of. What may pass is POSTGRES_UNAVAILABLE.
func databaseFault(name string, err error) error {
	var pg *pgconn.PgError
	f := fault.As(database.Fault(err))
	switch {
	case f != nil:
		return fault.New(f.Reason, "database %s (%s): %s", name, DatabaseVariable(name), f.Message).Because(err)
	case errors.As(err, &pg):
		return fault.New(fault.PostgresUnavailable, "database %s (%s) did not finish (SQLSTATE %s); try again, and if it goes on look into "+
			"its log", name, DatabaseVariable(name), pg.Code).Because(err)
	}
	return err
}

// bounds is the span of the event times that are there.
func (r *relation) bounds(ctx context.Context, columns []relationColumn) (span Span, err error) {
	at, table := quote(r.source.EventTime), quote(r.source.Postgres.Schema, r.source.Postgres.Table)
	if i := slices.IndexFunc(columns, func(c relationColumn) bool { return c.Name == r.source.EventTime }); i < 0 || !columns[i].NotNull {
		var missing bool
		err := r.tx.QueryRow(ctx, fmt.Sprintf(`SELECT EXISTS (SELECT FROM %s WHERE %s IS NULL)`, table, at)).Scan(&missing)
		if err != nil {
			return span, r.failed(err)
		}
		if missing {
			return span, fault.New(fault.RunRefused, "source %s: found rows of %s whose event time %s is NULL, expected an instant: they belong to "+
				"no interval; fill it in, or name a view that leaves such rows out", r.source.Name, r.name(), r.source.EventTime)
		}
	}
	var first, last *int64
	var finite bool
	err = r.tx.QueryRow(ctx, fmt.Sprintf(`
		SELECT isfinite(low) AND isfinite(high), CASE WHEN isfinite(low) THEN (extract(epoch FROM low) * 1000000)::bigint END,
			CASE WHEN isfinite(high) THEN (extract(epoch FROM high) * 1000000)::bigint END
		FROM (SELECT coalesce(min(%s), 'epoch') AS low, coalesce(max(%s), 'epoch') AS high FROM %s) AS bounds
		WHERE EXISTS (SELECT FROM %s)`, at, at, table, table)).Scan(&finite, &first, &last)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Span{}, nil
	case err != nil:
		return span, r.failed(err)
	case !finite || checkTime(feature.Time(*first)) != nil || checkTime(feature.Time(*last)) != nil:
		return span, fault.New(fault.RunRefused, "source %s: %s, column %s: %v; correct the row, or name a view that leaves it out",
			r.source.Name, r.name(), r.source.EventTime, errNoInstant)
	}
	return Span{Start: feature.Time(*first), End: feature.Time(*last) + 1}, nil
}
