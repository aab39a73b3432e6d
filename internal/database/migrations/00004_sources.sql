-- +goose Up

-- A table of others has no loads: what a run read of it is known by its rows' digest.
ALTER TABLE headwater.run_input
    -- Where the rows were: NULL for landing, else `SCHEMA.TABLE` or `DATABASE:SCHEMA.TABLE`.
    ADD COLUMN relation text,
    -- Of the rows read, in any order; NULL where loads say what they were.
    ADD COLUMN rows_digest bytea CHECK (octet_length(rows_digest) = 32),
    -- Of rows_read, those that were left out as duplicates.
    ADD COLUMN duplicates bigint NOT NULL DEFAULT 0 CHECK (duplicates BETWEEN 0 AND rows_read);

-- Columns of the file that the source does not have, and that were left out.
ALTER TABLE headwater.load ADD COLUMN ignored_columns text[] NOT NULL DEFAULT '{}';
