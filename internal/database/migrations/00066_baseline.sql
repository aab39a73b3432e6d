-- +goose Up

-- Profiles that somebody named, for what is held to them. Each has its own copy, so that it outlives what it was made of.
CREATE TABLE headwater.baseline (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text NOT NULL,
    -- Of the name.
    version    integer NOT NULL CHECK (version > 0),
    -- What is held to it: `view:NAME@VERSION`, `service:NAME@VERSION` or `model:NAME@VERSION`.
    subject    text NOT NULL,
    run_id     bigint REFERENCES headwater.run ON DELETE SET NULL,
    dataset_id text REFERENCES headwater.dataset ON DELETE SET NULL,
    -- What it was made of, as it is written.
    node       text NOT NULL,
    reason     text NOT NULL,
    -- As of headwater.profile.
    rows       bigint NOT NULL CHECK (rows >= 0),
    digest     bytea NOT NULL CHECK (length(digest) = 32),
    profile    bytea,
    erased_at  timestamptz,
    set_at     timestamptz NOT NULL,
    set_by     text NOT NULL,
    -- When it was replaced or removed, and by whom.
    ended_at   timestamptz,
    ended_by   text,
    UNIQUE (name, version),
    CHECK ((profile IS NULL) = (erased_at IS NOT NULL)),
    CHECK ((ended_at IS NULL) = (ended_by IS NULL))
);
ALTER TABLE headwater.baseline ALTER COLUMN profile SET STORAGE EXTERNAL;
CREATE UNIQUE INDEX baseline_by_name ON headwater.baseline (name) WHERE ended_at IS NULL;
CREATE UNIQUE INDEX baseline_by_subject ON headwater.baseline (subject) WHERE ended_at IS NULL;
CREATE INDEX baseline_by_run ON headwater.baseline (run_id) WHERE run_id IS NOT NULL;
CREATE INDEX baseline_by_dataset ON headwater.baseline (dataset_id) WHERE dataset_id IS NOT NULL;
