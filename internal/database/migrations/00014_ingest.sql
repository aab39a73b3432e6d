-- +goose Up

ALTER TABLE headwater.load
    -- Of the rows as they came, in their order; NULL for retractions, loads of batches, and loads from before it was kept.
    ADD COLUMN rows_digest bytea CHECK (octet_length(rows_digest) = 32),
    -- How many batches it is made of, 0 for a file.
    ADD COLUMN batches integer NOT NULL DEFAULT 0 CHECK (batches >= 0),
    -- Rows that came without what tells where they belong, besides rows: set aside, and left out.
    ADD COLUMN quarantined bigint NOT NULL DEFAULT 0 CHECK (quarantined >= 0),
    ADD COLUMN dropped bigint NOT NULL DEFAULT 0 CHECK (dropped >= 0),
    -- An array of {"bucket", "reason", "rows"} that says why.
    ADD COLUMN reasons jsonb NOT NULL DEFAULT '[]';

-- The batches of loads. A key is in one live load of a source at most, which the row lock on headwater.landing under which
-- loads take their number makes true.
CREATE TABLE headwater.load_batch (
    load_id bigint NOT NULL REFERENCES headwater.load,
    number  integer NOT NULL CHECK (number > 0),
    source  text NOT NULL,
    key     text NOT NULL,
    rows    bigint NOT NULL CHECK (rows > 0),
    digest  bytea NOT NULL CHECK (octet_length(digest) = 32),
    PRIMARY KEY (load_id, number)
);
CREATE INDEX load_batch_by_key ON headwater.load_batch (source, key);

-- Rows that were set aside when they came: they lie in no interval, so no landing table has them.
CREATE TABLE headwater.load_set_aside (
    load_id bigint NOT NULL REFERENCES headwater.load DEFERRABLE INITIALLY DEFERRED,
    row     bigint NOT NULL CHECK (row > 0),
    reason  text NOT NULL,
    -- The row, as a JSON object of its columns.
    body    json NOT NULL,
    PRIMARY KEY (load_id, row)
);
