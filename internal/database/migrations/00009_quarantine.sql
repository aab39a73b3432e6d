-- +goose Up

-- Rows that runs set aside, of each view version as its history is kept: from the sequence of the run that found one to that of
-- the run that looked at its event time again and did not. So a row is there once however many runs meet it, and a run's are
-- those that are there at its sequence, within the event times that it looked at. Nothing is read of a sequence that is not published;
-- what an attempt wrote is undone with what it wrote to the history.
CREATE TABLE headwater.quarantined_row (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    view_id        bigint NOT NULL REFERENCES headwater.definition,
    -- `source:NAME`, or `output`.
    subject        text NOT NULL,
    -- 0 for output.
    source_version integer NOT NULL DEFAULT 0,
    -- The load and row that it came with. Of tables of others and of output the load is 0, and the row counts rows that are equal.
    load_id        bigint NOT NULL DEFAULT 0,
    row_number     bigint NOT NULL DEFAULT 0,
    event_time     timestamptz,
    -- All expectations that it failed, in the order of the definition.
    reasons        text[] NOT NULL CHECK (cardinality(reasons) > 0),
    row            jsonb NOT NULL,
    -- Of all that tells it from others of the subject: equal ones are the same.
    identity       bytea NOT NULL CHECK (length(identity) = 32),
    run_id         bigint NOT NULL REFERENCES headwater.run,
    seq_from       bigint NOT NULL,
    -- Equal to seq_from for rows of a run that failed, of which some are kept to be looked at.
    seq_to         bigint NOT NULL DEFAULT 9223372036854775807 CHECK (seq_to >= seq_from),
    quarantined_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX quarantined_row_live ON headwater.quarantined_row (view_id, subject, identity) WHERE seq_to = 9223372036854775807;
CREATE INDEX quarantined_row_by_end ON headwater.quarantined_row (view_id, seq_to) WHERE seq_to < 9223372036854775807;
CREATE INDEX quarantined_row_by_run ON headwater.quarantined_row (run_id, id);

-- What a run looked at of a subject that sets rows aside, and how many it found there.
CREATE TABLE headwater.quarantine_run (
    run_id      bigint NOT NULL REFERENCES headwater.run,
    subject     text NOT NULL,
    view_id     bigint NOT NULL REFERENCES headwater.definition,
    seq         bigint NOT NULL,
    -- The event times that it looked at.
    spans       tstzmultirange NOT NULL,
    rows        bigint NOT NULL DEFAULT 0,
    -- Rows by each of their reasons: {"amount_range": 12}.
    reasons     jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (run_id, subject)
);
CREATE INDEX quarantine_run_by_view ON headwater.quarantine_run (view_id, seq);
