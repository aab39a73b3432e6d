package database

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/headwaterhq/headwater/internal/fault"
)

// JobsSchema is the schema of River's tables.
const JobsSchema = "headwater_jobs"

const (
	versionTable = "headwater.schema_migration"
	// migrationLock is the advisory lock that makes migrations of one database one at a time.
	migrationLock = 0x6865_6164_7761_7465
)

//go:embed migrations/*.sql
var migrations embed.FS

// KnownVersion is the newest schema version that this program knows.
func KnownVersion() int64 {
	var newest int64
	for _, name := range migrationNames() {
		// Goose refuses other names when it reads them in Migrate.
		if version, err := goose.NumericComponent(name); err == nil {
			newest = max(newest, version)
		}
	}
	return newest
}

// MigrationsHash changes whenever a freshly migrated database would be another one: with our migrations, and with River's.
func MigrationsHash() (string, error) {
	hash := sha256.New()
	for _, name := range migrationNames() {
		text, err := migrations.ReadFile(name)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(hash, "%s %d\n", name, len(text))
		hash.Write(text)
	}
	jobs, err := jobMigrator(nil)
	if err != nil {
		return "", err
	}
	for _, m := range jobs.AllVersions() {
		fmt.Fprintf(hash, "%d %d\n%s", m.Version, len(m.SQLUp), m.SQLUp)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

func migrationNames() []string {
	// The pattern is a constant, and well formed.
	names, _ := fs.Glob(migrations, "migrations/*.sql")
	return names
}

// Migrate brings the database to KnownVersion, and River's tables to the version of the River in this program. It returns
// the schema version before and after; 0 is an empty database. It also makes ViewRole, or says who has to. Any number of programs may do so at once: one works, the
// others wait and then find nothing to do. Each migration is one transaction, so an interrupted Migrate is resumed by the
// next. A schema that is newer than the program is refused, as a SCHEMA_VERSION fault, and left alone.
func Migrate(ctx context.Context, pool *pgxpool.Pool) (from, to int64, err error) {
	return MigrateTo(ctx, pool, KnownVersion())
}

// MigrateTo is Migrate up to a version of the schema, for tests of what later ones make of what is there.
func MigrateTo(ctx context.Context, pool *pgxpool.Pool, version int64) (from, to int64, err error) {
	// A connection of its own, so that a pool of one connection is enough.
	conn, err := pgx.ConnectConfig(ctx, pool.Config().ConnConfig)
	if err != nil {
		return 0, 0, Fault(err)
	}
	// Closing the session gives the lock back.
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", int64(migrationLock)); err != nil {
		return 0, 0, Fault(fmt.Errorf("wait for other migrations: %w", err))
	}
	found, err := foundVersions(ctx, pool)
	if err != nil {
		return 0, 0, err
	}
	if err := found.refuseNewer(); err != nil {
		return found.schema, found.schema, err
	}
	if _, err := conn.Exec(ctx, "CREATE SCHEMA IF NOT EXISTS headwater; CREATE SCHEMA IF NOT EXISTS "+JobsSchema); err != nil {
		return 0, 0, schemasNotMade(conn.Config(), err)
	}
	if err := makeViewRole(ctx, conn); err != nil {
		return found.schema, found.schema, err
	}
	if to, err = migrateSchema(ctx, pool, version); err != nil {
		return found.schema, 0, err
	}
	jobs, err := jobMigrator(pool)
	if err != nil {
		return found.schema, to, err
	}
	if _, err := jobs.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return found.schema, to, Fault(fmt.Errorf("migrate the job tables: %w", err))
	}
	return found.schema, to, nil
}

func schemasNotMade(config *pgx.ConnConfig, err error) error {
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == "42501" {
		return fault.New(fault.FailedPrecondition, "user %q of the connection URL may not make schemas in database %q; connect as "+
			"the database's owner, or let its owner run: GRANT CREATE ON DATABASE %s TO %s", config.User, config.Database,
			pgx.Identifier{config.Database}.Sanitize(), pgx.Identifier{config.User}.Sanitize()).Because(err)
	}
	return Fault(fmt.Errorf("create the schemas: %w", err))
}

func migrateSchema(ctx context.Context, pool *pgxpool.Pool, to int64) (int64, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return 0, err
	}
	db := stdlib.OpenDBFromPool(pool)
	defer db.Close()
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files,
		goose.WithTableName(versionTable), goose.WithDisableGlobalRegistry(true), goose.WithSlog(slog.New(slog.DiscardHandler)))
	if err != nil {
		return 0, fmt.Errorf("read the migrations: %w", err)
	}
	if _, err := provider.UpTo(ctx, to); err != nil {
		return 0, Fault(fmt.Errorf("migrate the schema: %w", err))
	}
	version, err := provider.GetDBVersion(ctx)
	if err != nil {
		return 0, Fault(fmt.Errorf("read the schema version: %w", err))
	}
	return version, nil
}

// CheckVersion returns a SCHEMA_VERSION fault unless the database's schema is exactly the one this program knows.
func CheckVersion(ctx context.Context, pool *pgxpool.Pool) error {
	found, err := foundVersions(ctx, pool)
	if err != nil {
		return err
	}
	if err := found.refuseNewer(); err != nil {
		return err
	}
	return found.refuseOlder()
}

// versions are those that a database has and those that this program knows, of our tables and of River's.
type versions struct {
	schema, knownSchema int64
	jobs, knownJobs     int64
}

func (v versions) refuseNewer() error {
	switch {
	case v.schema > v.knownSchema:
		return fault.New(fault.SchemaVersion,
			"the database's schema is version %d, and this headwater knows versions up to %d; "+
				"use the headwater that migrated it, or a later one", v.schema, v.knownSchema)
	case v.jobs > v.knownJobs:
		return fault.New(fault.SchemaVersion,
			"the database's job tables are version %d, and this headwater knows versions up to %d; "+
				"use the headwater that migrated them, or a later one", v.jobs, v.knownJobs)
	}
	return nil
}

func (v versions) refuseOlder() error {
	switch {
	case v.schema == 0:
		return fault.New(fault.SchemaVersion, "the database has no Headwater schema; run `headwater migrate` to make it")
	case v.schema < v.knownSchema:
		return fault.New(fault.SchemaVersion,
			"the database's schema is version %d, and this headwater needs version %d; run `headwater migrate`",
			v.schema, v.knownSchema)
	case v.jobs < v.knownJobs:
		return fault.New(fault.SchemaVersion,
			"the database's job tables are version %d, and this headwater needs version %d; run `headwater migrate`",
			v.jobs, v.knownJobs)
	}
	return nil
}

func foundVersions(ctx context.Context, pool *pgxpool.Pool) (versions, error) {
	v := versions{knownSchema: KnownVersion()}
	jobs, err := jobMigrator(pool)
	if err != nil {
		return versions{}, err
	}
	for _, m := range jobs.AllVersions() {
		v.knownJobs = max(v.knownJobs, int64(m.Version))
	}
	v.schema, err = newest(ctx, pool, "SELECT coalesce(max(version_id), 0) FROM "+versionTable+" WHERE is_applied")
	if err != nil {
		return versions{}, err
	}
	v.jobs, err = newest(ctx, pool, "SELECT coalesce(max(version), 0) FROM "+JobsSchema+".river_migration")
	return v, err
}

// newest is what query finds, 0 when its table is not there.
func newest(ctx context.Context, pool *pgxpool.Pool, query string) (int64, error) {
	var version int64
	err := pool.QueryRow(ctx, query).Scan(&version)
	if undefined := (*pgconn.PgError)(nil); errors.As(err, &undefined) && undefined.Code == "42P01" {
		return 0, nil
	}
	if err != nil {
		return 0, Fault(fmt.Errorf("read the schema version: %w", err))
	}
	return version, nil
}

// jobMigrator is River's. Without a pool it only knows versions.
func jobMigrator(pool *pgxpool.Pool) (*rivermigrate.Migrator[pgx.Tx], error) {
	m, err := rivermigrate.New(riverpgxv5.New(pool),
		&rivermigrate.Config{Schema: JobsSchema, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, fmt.Errorf("read the job migrations: %w", err)
	}
	return m, nil
}
