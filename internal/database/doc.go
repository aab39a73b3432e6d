// Package database owns the way into Postgres: the pool, the schema's versions, transactions, what an error of Postgres
// means to a caller, and the one place where tables are made at run time.
//
// It imports internal/fault, the driver, goose and River's migrations; it knows nothing of what the tables hold.
//
// The invariant: no schema that this program does not know is ever written to. Migrate and CheckVersion refuse one that is
// newer, and CheckVersion one that is older.
package database
