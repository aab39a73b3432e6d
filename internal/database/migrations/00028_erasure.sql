-- +goose Up

-- The key under which it is told whether two erasures are of one entity. Made once, at the first erasure.
CREATE TABLE headwater.erasure_key (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    key      bytea NOT NULL CHECK (octet_length(key) = 32)
);

-- Entities that were erased. Who it was is kept as a keyed hash only.
CREATE TABLE headwater.erasure (
    number     bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    id         text PRIMARY KEY,
    entity     text NOT NULL,
    key_hash   bytea NOT NULL CHECK (octet_length(key_hash) = 32),
    reason     text NOT NULL,
    principal  text NOT NULL,
    started_at timestamptz NOT NULL,
    -- NULL: it goes on when it is asked for again.
    done_at    timestamptz,
    -- The runs that were queued to compute anew what the rows had gone into. NULL: none were queued yet.
    recomputing bigint[]
);
-- One of an entity is under way at most.
CREATE UNIQUE INDEX erasure_under_way ON headwater.erasure (entity, key_hash) WHERE done_at IS NULL;

-- What was erased where: a row in the transaction that erases it there.
CREATE TABLE headwater.erasure_place (
    erasure_id text NOT NULL REFERENCES headwater.erasure,
    place      text NOT NULL,
    name       text NOT NULL,
    rows       bigint NOT NULL CHECK (rows >= 0),
    -- What is to be known of the place besides.
    note       text NOT NULL DEFAULT '',
    -- The first and last event time that is to be computed anew for it. NULL: none is.
    first      timestamptz,
    last       timestamptz,
    PRIMARY KEY (erasure_id, place, name)
);

-- How many rows of a load were erased. The load's own record stays as it was.
CREATE TABLE headwater.load_erasure (
    load_id    bigint NOT NULL REFERENCES headwater.load,
    erasure_id text NOT NULL REFERENCES headwater.erasure,
    -- Of its rows, and of those that were set aside when they came.
    rows       bigint NOT NULL CHECK (rows >= 0),
    set_aside  bigint NOT NULL DEFAULT 0 CHECK (set_aside >= 0),
    PRIMARY KEY (load_id, erasure_id)
);

-- What an erasure did to a published run. The run's own record stays as it was.
CREATE TABLE headwater.run_erasure (
    run_id     bigint NOT NULL REFERENCES headwater.run,
    erasure_id text NOT NULL REFERENCES headwater.erasure,
    -- How many of the rows that it produced were erased; 0: only rows that it read were.
    rows       bigint NOT NULL CHECK (rows >= 0),
    -- Of what it produced, before and after. NULL: not known, for some of it was collected before.
    old_digest bytea CHECK (octet_length(old_digest) = 32),
    new_digest bytea CHECK (octet_length(new_digest) = 32),
    PRIMARY KEY (run_id, erasure_id)
);
CREATE INDEX run_erasure_by_erasure ON headwater.run_erasure (erasure_id);

-- The datasets that an erasure touched; what it did to them is in their manifests.
CREATE TABLE headwater.dataset_erasure (
    dataset_id text NOT NULL REFERENCES headwater.dataset ON DELETE CASCADE,
    erasure_id text NOT NULL REFERENCES headwater.erasure,
    PRIMARY KEY (dataset_id, erasure_id)
);

-- Raised before the kept datasets are looked through: a build that began before and has not committed is refused.
CREATE TABLE headwater.erasure_head (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    number   bigint NOT NULL
);
INSERT INTO headwater.erasure_head (number) VALUES (0);
