-- +goose Up

-- Digests of the rows read from a table of others by time: offline.Buckets in JSON. NULL for landing, and for runs before this.
ALTER TABLE headwater.run_input ADD COLUMN buckets jsonb;
