-- +goose Up

-- Nothing has delivered what was written until now, and nothing can: it does not say which attempt it is about.
DELETE FROM headwater.outbox;

-- A message is there until it was delivered.
ALTER TABLE headwater.outbox
    DROP COLUMN delivered_at,
    -- What it is about: `run:17`. Messages of one subject are delivered in the order of their ids.
    ADD COLUMN subject text NOT NULL,
    -- What is sent, made before it is sent for the first time. NULL: it is not made yet.
    ADD COLUMN event bytea,
    ADD COLUMN attempts integer NOT NULL DEFAULT 0,
    -- When it is tried again, after an attempt that failed.
    ADD COLUMN not_before timestamptz,
    -- Why the last attempt failed.
    ADD COLUMN error text,
    -- Set for one that its receiver refuses: it is not tried again, and does not hold up those behind it.
    ADD COLUMN parked_at timestamptz;
CREATE INDEX outbox_by_subject ON headwater.outbox (subject, id) WHERE parked_at IS NULL;

-- The lease under which an attempt of the run began that nobody has seen the end of. NULL: there is none.
ALTER TABLE headwater.run ADD COLUMN open_attempt bigint;

-- Names this installation, so that ids that are made of its numbers are nobody else's.
CREATE TABLE headwater.installation (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    id       uuid NOT NULL
);
INSERT INTO headwater.installation (id) VALUES (gen_random_uuid());
