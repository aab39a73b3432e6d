package database

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// Querier is what a pool, a connection and a transaction have in common: what a function takes that only reads, and does
// not care in which transaction.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}
