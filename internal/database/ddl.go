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
	_, err := tx.Exec(ctx, "CREATE TABLE "+name+" (LIKE "+table+" INCLUDING ALL)")
	if err == nil {
		_, err = tx.Exec(ctx, fmt.Sprintf("ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM ('%s') TO ('%s')", table, name,
			from.Format(time.DateOnly), from.Add(24*time.Hour).Format(time.DateOnly)))
	}
	if err != nil {
		return Fault(fmt.Errorf("create partition %s: %w", p.Name(), err))
	}
	return nil
}
