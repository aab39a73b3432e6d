package offline

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
)

// A view's SQL is text of whoever may register views. The check when it is applied keeps it to its sources; so does, should
// that check ever miss something, the role that it runs as: database.ViewRole, which has no right but to read the temporary
// views of the declared sources and views. Those read the tables behind them with the rights of their owner, the server.

// Bounds are what one execution of a view's SQL may take. They cannot change its result, and so are no part of a
// fingerprint.
type Bounds struct {
	// Timeout ends a query that runs for longer. Default DefaultTimeout.
	Timeout time.Duration
	// WorkMemory is the bytes that each sort and each hash of the query may use before it goes to disk. Default
	// DefaultWorkMemory.
	WorkMemory int64
	// TempFiles is the bytes that the query may have on disk for sorts and hashes. 0: as Postgres is configured. Other values
	// need the right to set temp_file_limit, which CheckBounds looks for.
	TempFiles int64
}

const (
	DefaultTimeout    = time.Hour
	DefaultWorkMemory = 64 << 20
)

func (b Bounds) orDefault() Bounds {
	if b.Timeout == 0 {
		b.Timeout = DefaultTimeout
	}
	if b.WorkMemory == 0 {
		b.WorkMemory = DefaultWorkMemory
	}
	return b
}

// Limits of Postgres's own settings.
const (
	maxTimeout    = 24 * 24 * time.Hour
	minWorkMemory = 64 << 10
	maxWorkMemory = 2 << 40
)

// Check says which bound is not one that Postgres can hold.
func (b Bounds) Check() error {
	switch {
	case b.Timeout < time.Millisecond || b.Timeout > maxTimeout:
		return fault.New(fault.InvalidArgument, "the timeout of views' SQL: found %s, expected from 1ms to %s", b.Timeout, maxTimeout)
	case b.WorkMemory < minWorkMemory || b.WorkMemory >= maxWorkMemory:
		return fault.New(fault.InvalidArgument, "the work memory of views' SQL: found %d bytes, expected from 64kB to 2047GB", b.WorkMemory)
	case b.TempFiles < 0 || b.TempFiles >= maxWorkMemory || b.TempFiles > 0 && b.TempFiles < 1<<10:
		return fault.New(fault.InvalidArgument, "the temporary files of views' SQL: found %d bytes, expected from 1kB to 2047GB, or none", b.TempFiles)
	}
	return nil
}

// CheckBounds returns a FAILED_PRECONDITION fault when the connection's user may not set what the bounds need.
func CheckBounds(ctx context.Context, q database.Querier, b Bounds) error {
	if b.TempFiles == 0 {
		return nil
	}
	var user string
	var may bool
	err := q.QueryRow(ctx, `SELECT current_user::text, has_parameter_privilege('temp_file_limit', 'SET')`).Scan(&user, &may)
	if err != nil || may {
		return err
	}
	return fault.New(fault.FailedPrecondition, "a limit of temporary files is given for the SQL of views, which user %q of the connection URL "+
		"may not set; let an administrator of this Postgres run: GRANT SET ON PARAMETER temp_file_limit TO %s", user, quote(user))
}

// set bounds the statements of the rest of the transaction, which waits while the run writes.
func (b Bounds) set(ctx context.Context, tx pgx.Tx) error {
	settings := [][2]string{
		{"work_mem", strconv.FormatInt(b.WorkMemory>>10, 10) + "kB"},
		{"hash_mem_multiplier", "1"},
		{"statement_timeout", strconv.FormatInt(b.Timeout.Milliseconds(), 10) + "ms"},
		{"idle_in_transaction_session_timeout", "0"},
	}
	if b.TempFiles > 0 {
		settings = append(settings, [2]string{"temp_file_limit", strconv.FormatInt(b.TempFiles>>10, 10) + "kB"})
	}
	for _, s := range settings {
		if _, err := tx.Exec(ctx, `SELECT set_config($1, $2, true)`, s[0], s[1]); err != nil {
			return err
		}
	}
	return nil
}

// become gives the rest of the transaction, which only reads, to database.ViewRole, after granting it the inputs. Nothing in a query
// can take it back: that needs a statement of its own, or set_config, which no view's SQL may call.
func become(ctx context.Context, tx pgx.Tx, inputs []string) error {
	for _, name := range inputs {
		if _, err := tx.Exec(ctx, "GRANT SELECT ON "+temporary(name)+" TO "+database.ViewRole); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(ctx, "SET TRANSACTION READ ONLY"); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, "SET LOCAL ROLE "+database.ViewRole)
	return err
}

// inputNames are the relations that the SQL of a view may read.
func inputNames(v *feature.ViewVersion) []string {
	var names []string
	for _, src := range v.SourceVersions {
		names = append(names, src.Name)
	}
	for _, input := range v.ViewVersions {
		names = append(names, input.Name)
	}
	return names
}

// checkRole has Postgres begin the view's SQL as the role that runs it, over the empty inputs: a function that the role may
// not call is found here, and not in the first run.
func checkRole(ctx context.Context, tx pgx.Tx, v *feature.ViewVersion) error {
	query, _ := feature.ParseQuery(v.SQL.Query)
	if err := become(ctx, tx, inputNames(v)); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, "EXPLAIN "+outputSelect(v, "("+query.Render(0, 1)+"\n) AS "+outputView))
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == notAllowed {
		return sqlFault(v, 0, 0, fmt.Sprintf("found that %s for the role %s, as which it runs; read declared sources and views only, or have the "+
			"right granted to PUBLIC", pg.Message, database.ViewRole), err)
	}
	if lasting(err) != nil {
		// Planning computes constants, which may fail as rows may: that is for a run to tell.
		return nil
	}
	return err
}

// Codes of Postgres's errors.
const (
	notAllowed     = "42501"
	queryCancelled = "57014"
	limitReached   = "53400"
)

// beyondBounds is the fault of a query that did, or took, what it may not; nil for all other errors.
func (t *Transform) beyondBounds(ctx context.Context, err error, took time.Duration) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return nil
	}
	switch {
	case pg.Code == notAllowed:
		return t.refused(err, "its SQL runs as the role %s, which may read "+t.may()+" and nothing else: %s",
			database.ViewRole, pg.Message)
	case pg.Code == queryCancelled && ctx.Err() == nil && took >= t.bounds.Timeout:
		return t.refused(err, "its SQL ran for longer than %s, which is all that a view may take on this server; "+
			t.less()+", or raise HEADWATER_VIEW_TIMEOUT where the server runs", t.bounds.Timeout)
	case pg.Code == limitReached:
		return t.refused(err, "its SQL needs more room for temporary files than it may take: %s; "+t.less()+", or raise "+
			"HEADWATER_VIEW_TEMP_FILES where the server runs, or temp_file_limit of its Postgres", pg.Message)
	}
	return nil
}

func (t *Transform) refused(cause error, format string, args ...any) error {
	reason := fault.RunRefused
	if t.View == nil {
		reason = fault.FailedPrecondition
	}
	return fault.New(reason, "%s: %s", t.reader(), fmt.Sprintf(format, args...)).Because(cause)
}

// reader is what messages call who reads: a view, or a spine, which is none.
func (t *Transform) reader() string {
	if t.View == nil {
		return "spine"
	}
	return "view " + t.View.Ref()
}

// may is what the SQL may read, for a message.
func (t *Transform) may() string {
	if t.View == nil {
		return "the sources that it names"
	}
	return "its declared sources and views"
}

// less is how the SQL comes to read less, for a message.
func (t *Transform) less() string {
	if t.View == nil {
		return "let it read less, such as a shorter time"
	}
	return "run shorter intervals (--from, --to)"
}
