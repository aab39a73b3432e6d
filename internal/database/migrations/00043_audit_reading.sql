-- +goose Up

-- What decisions extend to: by which rules they were made, and what was read under them. It is the same for all reads by one plan, so it is
-- kept once, and found by its SHA-256. body is the text that was hashed, a JSON object whose fields are those of AuditRecord.
CREATE TABLE headwater.audit_extent (
    digest   bytea PRIMARY KEY,
    body     json NOT NULL,
    -- The newest day, in UTC, of a record that has it: it is needed as long as records of that day are kept.
    last_day date NOT NULL,
    CONSTRAINT audit_extent_digest CHECK (digest = sha256(convert_to(body::text, 'UTF8')))
);

ALTER TABLE headwater.audit_record
    -- In audit_extent. NULL: the record is from before there was any, or of a call that ended before anything was decided on.
    ADD COLUMN extent bytea CHECK (octet_length(extent) = 32),
    -- Rows of views and sources of which values were given out, and rows that a filter hid. Where calls are counted, in all.
    ADD COLUMN rows_returned bigint NOT NULL DEFAULT 0 CHECK (rows_returned >= 0),
    ADD COLUMN rows_hidden   bigint NOT NULL DEFAULT 0 CHECK (rows_hidden >= 0),
    -- Keyed hash of the entities that were asked for, in base 16.
    ADD COLUMN entities_hash text NOT NULL DEFAULT '',
    -- As it was asked for.
    ADD COLUMN as_of         text NOT NULL DEFAULT '',
    -- The id of what was built, or given out again.
    ADD COLUMN dataset       text NOT NULL DEFAULT '';
