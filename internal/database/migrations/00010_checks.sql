-- +goose Up

-- The results of the checks of a run, in the order of its record; also those of runs that failed. What later runs are compared
-- with is read from here.
CREATE TABLE headwater.check_result (
    run_id      bigint NOT NULL REFERENCES headwater.run,
    place       integer NOT NULL CHECK (place > 0),
    view_id     bigint NOT NULL REFERENCES headwater.definition,
    name        text NOT NULL,
    -- `source:NAME`, or `output`.
    subject     text NOT NULL,
    state       text NOT NULL CHECK (state IN ('PASSED', 'WARNED', 'FAILED', 'ERRORED', 'NO_BASELINE', 'SKIPPED')),
    expected    text NOT NULL,
    found       text NOT NULL,
    look        text NOT NULL DEFAULT '',
    -- An array of lists of {"column", "value"}: the keys of rows that failed. They are data.
    examples    jsonb NOT NULL DEFAULT '[]',
    rows_failed bigint NOT NULL DEFAULT 0 CHECK (rows_failed >= 0),
    action      text NOT NULL DEFAULT '',
    metric      double precision,
    -- What was measured of the rows, as later runs are compared with it: a number or, of a schema, a text. NULL: nothing was.
    measure     text NOT NULL DEFAULT '',
    measured    double precision,
    measured_text text,
    -- Which runs it is compared with: those that compute all there is, those that follow what is new, those of an interval.
    reach       text NOT NULL CHECK (reach IN ('all', 'new', 'interval')),
    checked_at  timestamptz NOT NULL,
    PRIMARY KEY (run_id, place)
);
CREATE INDEX check_result_by_check ON headwater.check_result (view_id, name, run_id);
CREATE INDEX check_result_by_measure ON headwater.check_result (view_id, subject, measure, run_id) WHERE measure <> '';

INSERT INTO headwater.check_result (run_id, place, view_id, name, subject, state, expected, found, reach, checked_at)
SELECT r.id, c.place, r.view_id, c.result ->> 'name', 'output', c.result ->> 'state', c.result ->> 'expected', c.result ->> 'found',
    CASE WHEN r.asked_from IS NULL AND r.asked_to IS NULL THEN 'all' ELSE 'interval' END, coalesce(r.ended_at, r.queued_at)
FROM headwater.run r CROSS JOIN LATERAL jsonb_array_elements(r.checks) WITH ORDINALITY AS c (result, place);

ALTER TABLE headwater.run DROP COLUMN checks;

-- What the view's expectations found in the rows of a chunk.
ALTER TABLE headwater.run_chunk ADD COLUMN screened jsonb NOT NULL DEFAULT '{}';

-- What the view's own expectations left out of what it computed.
ALTER TABLE headwater.run
    ADD COLUMN computed bigint NOT NULL DEFAULT 0,
    ADD COLUMN output_quarantined bigint NOT NULL DEFAULT 0,
    ADD COLUMN output_dropped bigint NOT NULL DEFAULT 0;
UPDATE headwater.run SET computed = produced;
ALTER TABLE headwater.run ADD CONSTRAINT ledger_of_rows_computed CHECK (
    state <> 'published' OR computed = produced + output_quarantined + output_dropped
);
