-- +goose Up

-- What a run of many rows is cut into. A chunk that is done is in the history under the run's sequence, so that another process
-- that takes the run up goes on at the first that is not. Kept with a published run; gone with what an undone one wrote.
CREATE TABLE headwater.run_chunk (
    run_id      bigint NOT NULL REFERENCES headwater.run,
    chunk       integer NOT NULL CHECK (chunk > 0),
    -- The event times, less grain, that it computes.
    spans       tstzmultirange NOT NULL,
    -- NULL: not done, and of the others nothing holds.
    done_at     timestamptz,
    produced    bigint NOT NULL DEFAULT 0,
    inserted    bigint NOT NULL DEFAULT 0,
    withdrawn   bigint NOT NULL DEFAULT 0,
    live_change bigint NOT NULL DEFAULT 0,
    digest      bytea CHECK (octet_length(digest) = 32),
    transform_micros bigint NOT NULL DEFAULT 0,
    write_micros     bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (run_id, chunk),
    CONSTRAINT done_has_digest CHECK ((done_at IS NULL) = (digest IS NULL))
);

-- Histories that there are get the index that new ones have, by which runs of a part of the time find it.
-- +goose StatementBegin
DO $$
DECLARE
    history regclass;
BEGIN
    FOR history IN SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'headwater_history' AND c.relkind = 'r'
    LOOP
        EXECUTE format('CREATE INDEX ON %s USING brin (event_time)', history);
    END LOOP;
END $$;
-- +goose StatementEnd
