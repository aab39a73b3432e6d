package database

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// InTx runs do in a transaction (READ COMMITTED), which is committed when do returns nil and rolled back otherwise. The
// error is do's or the commit's, through Fault. After a commit that broke off, nobody knows whether it happened.
func InTx(ctx context.Context, pool *pgxpool.Pool, do func(pgx.Tx) error) error {
	return Fault(pgx.BeginFunc(ctx, pool, do))
}
