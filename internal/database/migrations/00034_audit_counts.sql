-- +goose Up

-- Online reads of one minute that were decided on alike are one record, which grows while the minute goes on.
ALTER TABLE headwater.audit_record
    -- How many calls the record stands for.
    ADD COLUMN calls bigint NOT NULL DEFAULT 1 CHECK (calls > 0),
    -- How many entities they asked for, in all.
    ADD COLUMN entities bigint NOT NULL DEFAULT 0 CHECK (entities >= 0),
    -- Of the last of several calls; time and read_id are those of the first. NULL: the record does not count calls.
    ADD COLUMN last_time timestamptz,
    ADD COLUMN last_read_id text NOT NULL DEFAULT '',
    ADD CONSTRAINT audit_record_counts CHECK (last_time IS NOT NULL OR calls = 1);
