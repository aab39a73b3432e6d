package database

import (
	"context"
	"fmt"

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
	// SQL is the CREATE TABLE statement, with any further statements on the new table after it, and without parameters.
	SQL string
	// DistributionColumn is set for History, Spine and Staging, never for Registry, and as it fits for Landing.
	DistributionColumn string
}

// CreateTable makes a table in tx. Every table made at run time is made here: this is where a distributed Postgres would be
// told of it (create_distributed_table, in the same transaction).
func CreateTable(ctx context.Context, tx pgx.Tx, t Table) error {
	name := pgx.Identifier{t.Schema, t.Name}.Sanitize()
	switch t.Kind {
	case History, Spine, Staging:
		if t.DistributionColumn == "" {
			return fmt.Errorf("create %s table %s: no distribution column", t.Kind, name)
		}
	case Registry:
		if t.DistributionColumn != "" {
			return fmt.Errorf("create %s table %s: a local table has no distribution column", t.Kind, name)
		}
	case Landing:
	default:
		return fmt.Errorf("create table %s: unknown kind %s", name, t.Kind)
	}
	if _, err := tx.Exec(ctx, t.SQL); err != nil {
		return Fault(fmt.Errorf("create %s table %s: %w", t.Kind, name, err))
	}
	// A statement that made another table than it was said to would leave that one undistributed, unseen.
	var made bool
	err := tx.QueryRow(ctx, `
		SELECT to_regclass($1) IS NOT NULL AND ($2 = '' OR EXISTS (
			SELECT FROM pg_attribute WHERE attrelid = to_regclass($1) AND attname = $2 AND NOT attisdropped))`,
		name, t.DistributionColumn).Scan(&made)
	if err != nil {
		return Fault(fmt.Errorf("create %s table %s: %w", t.Kind, name, err))
	}
	if !made {
		return fmt.Errorf("create %s table %s: its statement made no such table with column %q",
			t.Kind, name, t.DistributionColumn)
	}
	return nil
}
