-- +goose Up

-- What models predicted: a partition per day, made by the servers.
CREATE TABLE headwater.prediction (
    -- The day of predicted_at in UTC.
    day           date NOT NULL,
    model         text NOT NULL,
    -- Newest when it was logged, or as the caller said.
    model_version integer NOT NULL,
    -- The caller's own, one for each prediction of the model.
    id            text COLLATE "C" NOT NULL,
    predicted_at  timestamptz NOT NULL,
    logged_at     timestamptz NOT NULL,
    principal     text NOT NULL,
    service       text NOT NULL,
    -- The online read that it was made of, and which of its entities. Empty: it was logged by keys.
    read_id       text COLLATE "C" NOT NULL,
    read_row      integer NOT NULL CHECK (read_row >= 0),
    -- The keyed hashes of its entities, as the log of reads makes them. Keys are not kept.
    entity_hashes bytea[] NOT NULL,
    -- A class as text, or a number. Neither: there is only a score.
    class         text,
    number        double precision,
    score         double precision CHECK (score BETWEEN 0 AND 1),
    -- SHA-256 of what was logged: the same again is known by it.
    digest        bytea NOT NULL CHECK (octet_length(digest) = 32),
    PRIMARY KEY (model, id, day),
    CHECK (class IS NULL OR number IS NULL),
    CHECK (class IS NOT NULL OR number IS NOT NULL OR score IS NOT NULL)
) PARTITION BY RANGE (day);
CREATE INDEX prediction_by_time ON headwater.prediction (model, predicted_at, id);
CREATE INDEX prediction_by_read ON headwater.prediction (read_id) WHERE read_id <> '';
CREATE INDEX prediction_by_entity ON headwater.prediction USING gin (entity_hashes);

-- What became of what was predicted: every revision of it, and a partition per day of UTC on which it was reported. One of which the
-- prediction is not here waits for it.
CREATE TABLE headwater.outcome (
    day           date NOT NULL,
    number        bigint GENERATED ALWAYS AS IDENTITY,
    model         text NOT NULL,
    prediction_id text COLLATE "C" NOT NULL,
    -- When it was known. Of two revisions the later known counts, of two known at one time the later reported.
    known_at      timestamptz NOT NULL,
    reported_at   timestamptz NOT NULL,
    principal     text NOT NULL,
    -- A class as text, or a number. Neither: it was taken back.
    class         text,
    value         double precision,
    PRIMARY KEY (model, prediction_id, day, number),
    CHECK (class IS NULL OR value IS NULL)
) PARTITION BY RANGE (day);

-- Predictions that were erased, by the keyed hash of model and id: what is told of them later is not kept.
CREATE TABLE headwater.prediction_erasure (
    hash      bytea PRIMARY KEY CHECK (octet_length(hash) = 32),
    erased_at timestamptz NOT NULL
);
