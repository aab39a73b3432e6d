package database

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Kind says where a distributed Postgres would keep a table.
type Kind int

const (
	// Registry tables are local to one node: definitions, runs, access, jobs.
	Registry Kind = iota + 1
	// Landing tables hold what was ingested into a source.
	Landing
	// History tables are colocated by entity_key.
	History
	// Spine tables are colocated with the histories they are joined to.
	Spine
	// Staging tables are colocated with the history they are loaded into.
	Staging
)

func (k Kind) String() string {
	switch k {
	case Registry:
		return "registry"
	case Landing:
		return "landing"
	case History:
		return "history"
	case Spine:
		return "spine"
	case Staging:
		return "staging"
	}
	return fmt.Sprintf("Kind(%d)", int(k))
}

// Table is a table to be made.
type Table struct {
	Schema, Name string
	Kind         Kind
	// Columns are the column definitions and constraints, as they stand between the parentheses of CREATE TABLE.
	Columns string
	// DistributionColumn is entity_key for History, Spine and Staging, never set for Registry, and as it fits for Landing.
	DistributionColumn string
}

// colocation is the column by which rows of one entity lie on one node.
const colocation = "entity_key"

// CreateTable makes a table in tx. Every table made at run time is made here, but for temporary ones: this is where a
// distributed Postgres would be told of it (create_distributed_table, in the same transaction). Spine and Staging tables are
// not logged: the transaction that makes one drops it, or fails.
func CreateTable(ctx context.Context, tx pgx.Tx, t Table) error {
	name := pgx.Identifier{t.Schema, t.Name}.Sanitize()
	create := "CREATE TABLE "
	switch t.Kind {
	case Spine, Staging:
		create = "CREATE UNLOGGED TABLE "
		fallthrough
	case History:
		if t.DistributionColumn != colocation {
			return fmt.Errorf("create %s table %s: found the distribution column %q, expected %s: these tables are joined by it",
				t.Kind, name, t.DistributionColumn, colocation)
		}
	case Registry:
		if t.DistributionColumn != "" {
			return fmt.Errorf("create %s table %s: a local table has no distribution column", t.Kind, name)
		}
	case Landing:
	default:
		return fmt.Errorf("create table %s: unknown kind %s", name, t.Kind)
	}
	if _, err := tx.Exec(ctx, create+name+" ("+t.Columns+")"); err != nil {
		return Fault(fmt.Errorf("create %s table %s: %w", t.Kind, name, err))
	}
	return nil
}

// Partition is a part of a table that holds the rows whose partition key, a date, is Day in UTC.
type Partition struct {
	Schema, Table string
	Day           time.Time
}

// Name is `TABLE_YYYYMMDD`.
func (p Partition) Name() string { return p.Table + "_" + p.Day.UTC().Format("20060102") }

// CreatePartition makes the partition in tx. There must be none, and one caller at a time. The partitioned table is local to one node, as its
// partitions are. Neither those who read the table nor those who write to it wait.
func CreatePartition(ctx context.Context, tx pgx.Tx, p Partition) error {
	from := p.Day.UTC().Truncate(24 * time.Hour)
	table, name := pgx.Identifier{p.Schema, p.Table}.Sanitize(), pgx.Identifier{p.Schema, p.Name()}.Sanitize()
	_, err := tx.Exec(ctx, "CREATE TABLE "+name+" (LIKE "+table+" INCLUDING ALL EXCLUDING IDENTITY)")
	if err == nil {
		_, err = tx.Exec(ctx, fmt.Sprintf("ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM ('%s') TO ('%s')", table, name,
			from.Format(time.DateOnly), from.Add(24*time.Hour).Format(time.DateOnly)))
	}
	if err != nil {
		return Fault(fmt.Errorf("create partition %s: %w", p.Name(), err))
	}
	return nil
}

// Beginner is a pool or a connection.
type Beginner interface {
	Begin(context.Context) (pgx.Tx, error)
}

// EnsurePartition makes the partition where there is none, under an advisory lock that all who make and drop those of the table take.
func EnsurePartition(ctx context.Context, pool Beginner, p Partition, lock int32) error {
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1, 0)`, lock); err != nil {
			return err
		}
		var there bool
		err := tx.QueryRow(ctx, `SELECT to_regclass($1) IS NOT NULL`, pgx.Identifier{p.Schema, p.Name()}.Sanitize()).Scan(&there)
		if err != nil || there {
			return err
		}
		return CreatePartition(ctx, tx, p)
	})
}

// DropPartitionsBefore drops those of the table's partitions that are of days before p.Day, each in a transaction of its own, and returns which.
func DropPartitionsBefore(ctx context.Context, pool Beginner, p Partition, lock int32) (dropped []time.Time, err error) {
	var names []string
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = to_regclass($1) ORDER BY c.relname`,
			pgx.Identifier{p.Schema, p.Table}.Sanitize())
		if err != nil {
			return err
		}
		names, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		d, err := time.Parse(p.Table+"_20060102", name)
		if err != nil || !d.Before(p.Day) {
			continue
		}
		err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			// Reads of the table that take long are not to hold up others that wait behind this.
			if _, err := tx.Exec(ctx, `SET LOCAL lock_timeout = '3s'`); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1, 0)`, lock); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `DROP TABLE IF EXISTS `+pgx.Identifier{p.Schema, name}.Sanitize())
			return err
		})
		if err != nil {
			return dropped, fmt.Errorf("drop %s of %s: %w", p.Table, d.Format(time.DateOnly), err)
		}
		dropped = append(dropped, d)
	}
	return dropped, nil
}
