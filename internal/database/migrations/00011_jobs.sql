-- +goose Up

-- How far runs are that have not ended, and online loads. Apart from the run, whose row publishing and cancelling lock. Lost
-- when Postgres crashes, as the attempts that it tells of are.
CREATE UNLOGGED TABLE headwater.run_progress (
    run_id       bigint PRIMARY KEY,
    phase        text NOT NULL,
    rows_done    bigint NOT NULL,
    -- 0: not known.
    rows_total   bigint NOT NULL,
    chunks_done  integer NOT NULL,
    chunks_total integer NOT NULL,
    updated_at   timestamptz NOT NULL
);

ALTER TABLE headwater.run
    ADD COLUMN trigger text NOT NULL DEFAULT 'request' CHECK (trigger IN ('request', 'schedule', 'inputs', 'push', 'quarantine')),
    -- 1 first, 4 last.
    ADD COLUMN priority smallint NOT NULL DEFAULT 2 CHECK (priority BETWEEN 1 AND 4),
    -- How many attempts there were, and how many there may be. One that a stop of its server ended does not count.
    ADD COLUMN attempt integer NOT NULL DEFAULT 0,
    ADD COLUMN attempts integer NOT NULL DEFAULT 8 CHECK (attempts > 0),
    -- When a queued run that failed is tried again.
    ADD COLUMN not_before timestamptz,
    -- The view versions that it reads: it begins after older runs of them.
    ADD COLUMN reads_views bigint[] NOT NULL DEFAULT '{}',
    ADD COLUMN cancel_requested_at timestamptz,
    ADD COLUMN cancelled_by text,
    ADD COLUMN cancel_reason text;

-- Up to when the ticks of a view version's schedule were seen to. Whoever holds a row's lock sees to the next.
CREATE TABLE headwater.view_schedule (
    view_id   bigint PRIMARY KEY REFERENCES headwater.definition,
    seen_to   timestamptz NOT NULL
);
