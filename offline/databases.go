package offline

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
)

// Databases are the other Postgres databases that sources may name. nil has none. It keeps no connections: a check or a run
// opens what it needs, and closes it.
type Databases struct{ configs map[string]*pgx.ConnConfig }

// NewDatabases reads the connection URL of each name, without connecting. No error has a URL in it.
func NewDatabases(urls map[string]string) (*Databases, error) {
	d := &Databases{configs: map[string]*pgx.ConnConfig{}}
	for _, name := range slices.Sorted(maps.Keys(urls)) {
		config, err := database.ConnConfig(urls[name])
		if err != nil {
			return nil, databaseFault(name, err)
		}
		d.configs[name] = config
	}
	return d, nil
}

// DatabaseVariable is the environment variable that holds the URL of another database.
func DatabaseVariable(name string) string {
	return "HEADWATER_SOURCE_" + strings.ToUpper(name) + "_URL"
}

func (d *Databases) config(name string) (*pgx.ConnConfig, error) {
	var names []string
	if d != nil {
		if config := d.configs[name]; config != nil {
			return config, nil
		}
		names = slices.Sorted(maps.Keys(d.configs))
	}
	expected := "expected one that it names, and it names none"
	if len(names) > 0 {
		expected = "expected one of " + strings.Join(names, ", ")
	}
	return nil, fault.New(fault.FailedPrecondition, "found database %s, which the server's configuration does not name, %s; give the server "+
		"its URL in %s, or correct the name", name, expected, DatabaseVariable(name))
}

// begin opens a read-only snapshot of another database. The caller closes the connection.
func (d *Databases) begin(ctx context.Context, name string) (*pgx.Conn, pgx.Tx, error) {
	config, err := d.config(name)
	if err != nil {
		return nil, nil, err
	}
	conn, err := pgx.ConnectConfig(ctx, config.Copy())
	if err != nil {
		return nil, nil, databaseFault(name, err)
	}
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err == nil {
		err = pinSession(ctx, tx)
	}
	if err != nil {
		return nil, nil, errors.Join(databaseFault(name, err), conn.Close(context.WithoutCancel(ctx)))
	}
	return conn, tx, nil
}

// with calls do with a source's table of others, in a snapshot that ends after it. tx is a transaction in Headwater's own
// database, whose session is pinned.
func (d *Databases) with(ctx context.Context, tx pgx.Tx, src *feature.SourceVersion, do func(*relation) error) error {
	if src.Postgres.Database == "" {
		return do(&relation{source: src, conn: tx.Conn(), tx: tx})
	}
	conn, remote, err := d.begin(ctx, src.Postgres.Database)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return do(&relation{source: src, conn: conn, tx: remote, remote: true})
}

// CheckSource is the function CheckSource, and for a table of others looks at it: it must be there, the server's user may
// read it, and its columns fit what the source declares. Violations have fields of the source.
func (d *Databases) CheckSource(ctx context.Context, tx pgx.Tx, src *feature.SourceVersion) error {
	if err := CheckSource(ctx, tx, src); err != nil || src.Postgres == nil {
		return err
	}
	if name := src.Postgres.Database; name != "" {
		if _, err := d.config(name); err != nil {
			f := fault.As(err)
			return fault.New(fault.InvalidDefinition, "source %s: %s", src.Name, f.Message).
				Violating(fault.Violation{Field: "postgres.database", Description: f.Message})
		}
	}
	sp, err := tx.Begin(ctx)
	if err != nil {
		return err
	}
	err = func() error {
		if err := pinSession(ctx, sp); err != nil {
			return err
		}
		return d.with(ctx, sp, src, func(r *relation) error {
			_, violations, err := r.look(ctx)
			if err != nil {
				return r.passing(err)
			}
			if len(violations) > 0 {
				return fault.New(fault.InvalidDefinition, "source %s: %s", src.Name, violations[0].Description).Violating(violations...)
			}
			return nil
		})
	}()
	return errors.Join(err, sp.Rollback(ctx))
}

// newestTimeout is how long it may take to find out how new a table of others is.
const newestTimeout = 5 * time.Second

// NewestRow is the event time of a source's newest row, or nil when it has none. A table of others that cannot be read
// is a fault.
func (d *Databases) NewestRow(ctx context.Context, pool *pgxpool.Pool, src *feature.SourceVersion) (newest *feature.Time, err error) {
	if src.Postgres == nil {
		var at *time.Time
		err := pool.QueryRow(ctx, `
			SELECT max(l.event_time_max) FROM headwater.load l
			WHERE l.source = $1 AND l.retract_reason IS NULL AND NOT EXISTS (SELECT FROM headwater.load e WHERE e.ends = l.id)`,
			src.Name).Scan(&at)
		if err == nil && at != nil {
			t := feature.TimeOf(*at)
			newest = &t
		}
		return newest, err
	}
	ctx, cancel := context.WithTimeout(ctx, newestTimeout)
	defer cancel()
	err = pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if err := pinSession(ctx, tx); err != nil {
			return err
		}
		return d.with(ctx, tx, src, func(r *relation) error {
			columns, err := r.seen(ctx)
			if err != nil {
				return err
			}
			span, err := r.bounds(ctx, columns)
			if err == nil && !span.IsEmpty() {
				at := span.End - 1
				newest = &at
			}
			return err
		})
	})
	return newest, err
}

// seen is look for a run: what is wrong is a fault.
func (r *relation) seen(ctx context.Context) ([]relationColumn, error) {
	columns, violations, err := r.look(ctx)
	if err != nil {
		return nil, r.failed(err)
	}
	if len(violations) > 0 {
		texts := make([]string, len(violations))
		for i, v := range violations {
			texts[i] = v.Description
		}
		return nil, fault.New(fault.RunRefused, "source %s does not fit its table any longer: %s", r.source.Name, strings.Join(texts, "; "))
	}
	return columns, nil
}

// RefuseForeign refuses loads of a source whose rows others keep. what says in words what is wrong: `takes no rows`, `has no
// loads`.
func RefuseForeign(src *feature.SourceVersion, what string) error {
	if src.Postgres == nil {
		return nil
	}
	return fault.New(fault.FailedPrecondition, "source %s %s: its rows are those of %s, which others keep; write them there, and the next run "+
		"reads them", src.Name, what, src.Postgres)
}
