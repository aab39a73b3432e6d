-- +goose Up

-- Rows that runs read of tables of others whose sources ask for a snapshot, each once however many runs read it.
CREATE TABLE headwater.kept_row (
    id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source text NOT NULL,
    -- Of the row, as Postgres sends it.
    sha256 bytea NOT NULL CHECK (octet_length(sha256) = 32),
    -- The columns by their texts, in the order that the run keeps with its input.
    row    text[] NOT NULL,
    UNIQUE (source, sha256)
);

-- Which rows a run read. Foreign keys would be looked up for each of a million rows: a row goes with the last run that read it, under a
-- lock that no run that adds rows holds with it, and a run goes with what it kept.
CREATE TABLE headwater.run_kept_row (
    run_id bigint NOT NULL,
    row_id bigint NOT NULL,
    copies bigint NOT NULL CHECK (copies > 0),
    PRIMARY KEY (run_id, row_id)
);
CREATE INDEX run_kept_row_by_row ON headwater.run_kept_row (row_id);

-- offline.Kept in JSON. NULL: none of the rows are kept.
ALTER TABLE headwater.run_input ADD COLUMN kept jsonb;
