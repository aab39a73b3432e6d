-- +goose Up

-- Audit records are by day from now on, so that whole days can be dropped; and those of a server are a chain.
ALTER TABLE headwater.audit_record RENAME TO audit_record_before;
ALTER TABLE headwater.audit_record_before RENAME CONSTRAINT audit_record_pkey TO audit_record_before_pkey;
CREATE TABLE headwater.audit_record (
    LIKE headwater.audit_record_before INCLUDING DEFAULTS INCLUDING CONSTRAINTS,
    -- The day, in UTC, on which the record came here; in a chain never before that of the record before.
    day       date NOT NULL,
    -- The number that the record has in its server's append log, which numbers more than what is kept. 0: it did not come from one.
    logged    bigint NOT NULL DEFAULT 0 CHECK (logged >= 0),
    -- The one whose calls, entities, last_time and the like have become these, by its `logged`. 0: the record stands by itself.
    continues bigint NOT NULL DEFAULT 0 CHECK (continues >= 0),
    -- What a server saw that transactions had recorded, and its hash.
    witnessed jsonb,
    -- SHA-256 of the hash of the record before, of the same writer, and of all that is kept of this one. NULL: it was recorded in a
    -- transaction, or before there were chains, and a record with `witnessed` has its hash.
    hash      bytea CHECK (octet_length(hash) = 32),
    PRIMARY KEY (writer, number, day)
) PARTITION BY RANGE (day);

-- What was recorded and has no witness yet.
CREATE TABLE headwater.audit_waiting (
    id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    writer text NOT NULL,
    number bigint NOT NULL,
    day    date NOT NULL
);

-- The end of each chain.
CREATE TABLE headwater.audit_writer (
    writer      text PRIMARY KEY,
    -- The number before that of the chain's first record.
    began_after bigint NOT NULL,
    number      bigint NOT NULL CHECK (number >= began_after),
    -- Up to where the server's append log is here.
    logged      bigint NOT NULL,
    hash        bytea NOT NULL CHECK (octet_length(hash) = 32),
    day         date NOT NULL
);

-- Counts of minutes that may go on: each becomes a record that continues another, when its minute is over.
CREATE TABLE headwater.audit_count (
    writer    text NOT NULL,
    continues bigint NOT NULL,
    logged    bigint NOT NULL,
    calls     bigint NOT NULL,
    last_time timestamptz NOT NULL,
    -- As a record of the append log, whose fields have the names of audit_record's columns.
    record    jsonb NOT NULL,
    PRIMARY KEY (writer, continues)
);

-- Public keys by which checkpoints were signed.
CREATE TABLE headwater.audit_key (
    id         text PRIMARY KEY,
    public_key bytea NOT NULL CHECK (octet_length(public_key) = 32),
    created_at timestamptz NOT NULL
);

-- What chains were at some time, signed.
CREATE TABLE headwater.audit_checkpoint (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- dropped: the records of the writer up to the number were dropped with the days up to `day`; without a writer: those days were dropped.
    kind      text NOT NULL CHECK (kind IN ('checkpoint', 'dropped')),
    writer    text NOT NULL,
    number    bigint NOT NULL,
    hash      bytea NOT NULL CHECK (octet_length(hash) = 32),
    day       date NOT NULL,
    time      timestamptz NOT NULL,
    -- Empty: the server had no key.
    key_id    text NOT NULL,
    -- Ed25519, of the text that docs/format/audit-chain.md has.
    signature bytea NOT NULL CHECK (octet_length(signature) = CASE key_id WHEN '' THEN 0 ELSE 64 END),
    CHECK (kind = 'dropped' OR key_id <> '')
);
CREATE INDEX audit_checkpoint_by_number ON headwater.audit_checkpoint (writer, number);

-- +goose StatementBegin
CREATE FUNCTION headwater.audit_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of %: what was recorded is neither changed nor removed', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege', HINT = 'Days that are older than audit_retention are dropped by the servers.';
END $$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE FUNCTION headwater.audit_drops() RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT coalesce(current_setting('headwater.audit_drops', true), '') = 'on'
$$;
-- +goose StatementEnd

-- The partitions of the days that there are, and of today and tomorrow; the servers make the others.
-- +goose StatementBegin
DO $$
DECLARE d date;
BEGIN
    FOR d IN SELECT DISTINCT (time AT TIME ZONE 'UTC')::date FROM headwater.audit_record_before
        UNION SELECT (now() AT TIME ZONE 'UTC')::date UNION SELECT (now() AT TIME ZONE 'UTC')::date + 1
    LOOP
        EXECUTE format('CREATE TABLE headwater.%I PARTITION OF headwater.audit_record FOR VALUES FROM (%L) TO (%L)',
            'audit_record_' || to_char(d, 'YYYYMMDD'), d, d + 1);
        EXECUTE format('CREATE TRIGGER is_kept_whole BEFORE TRUNCATE ON headwater.%I EXECUTE FUNCTION headwater.audit_is_kept()',
            'audit_record_' || to_char(d, 'YYYYMMDD'));
    END LOOP;
END $$;
-- +goose StatementEnd

-- The columns of before are the first ones of now, in the same order. The writers that are append logs have ids of 32 digits.
INSERT INTO headwater.audit_record
SELECT r.*, (r.time AT TIME ZONE 'UTC')::date, CASE WHEN r.writer ~ '^[0-9a-f]{32}$' THEN r.number ELSE 0 END FROM headwater.audit_record_before r;
DROP TABLE headwater.audit_record_before;
CREATE INDEX audit_record_by_time ON headwater.audit_record (time);
CREATE INDEX audit_record_by_log ON headwater.audit_record (writer, logged) WHERE logged > 0;
CREATE INDEX audit_record_by_continued ON headwater.audit_record (writer, continues) WHERE continues > 0;
INSERT INTO headwater.audit_waiting (writer, number, day) SELECT writer, number, day FROM headwater.audit_record ORDER BY time;

CREATE TRIGGER is_kept BEFORE UPDATE OR DELETE ON headwater.audit_record FOR EACH ROW EXECUTE FUNCTION headwater.audit_is_kept();
CREATE TRIGGER is_kept_whole BEFORE TRUNCATE ON headwater.audit_record EXECUTE FUNCTION headwater.audit_is_kept();
CREATE TRIGGER is_kept BEFORE UPDATE ON headwater.audit_checkpoint FOR EACH ROW EXECUTE FUNCTION headwater.audit_is_kept();
CREATE TRIGGER is_kept_until BEFORE DELETE ON headwater.audit_checkpoint FOR EACH ROW WHEN (NOT headwater.audit_drops())
    EXECUTE FUNCTION headwater.audit_is_kept();
CREATE TRIGGER is_kept_whole BEFORE TRUNCATE ON headwater.audit_checkpoint EXECUTE FUNCTION headwater.audit_is_kept();
CREATE TRIGGER is_kept BEFORE UPDATE OR DELETE ON headwater.audit_key FOR EACH ROW EXECUTE FUNCTION headwater.audit_is_kept();
CREATE TRIGGER is_kept_whole BEFORE TRUNCATE ON headwater.audit_key EXECUTE FUNCTION headwater.audit_is_kept();
