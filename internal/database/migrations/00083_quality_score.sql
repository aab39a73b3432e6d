-- +goose Up

-- How good a view version, a service version or a source was: of each hour the lowest score, with its parts as of then.
CREATE TABLE headwater.quality_score (
    -- `view:NAME@VERSION`, `service:NAME@VERSION`, `source:NAME`.
    node  text NOT NULL,
    hour  timestamptz NOT NULL,
    score double precision NOT NULL CHECK (score BETWEEN 0 AND 100),
    -- Of package quality/score, in JSON: names, values and words, none of rows.
    parts jsonb NOT NULL,
    at    timestamptz NOT NULL,
    PRIMARY KEY (node, hour)
);
CREATE INDEX quality_score_by_hour ON headwater.quality_score (hour);

-- What was found for the entities of online reads that were measured, which are a sample: rows by service version, hour and status.
CREATE TABLE headwater.read_status (
    service text NOT NULL,
    version integer NOT NULL,
    hour    timestamptz NOT NULL,
    status  text NOT NULL,
    rows    bigint NOT NULL CHECK (rows > 0),
    PRIMARY KEY (service, version, hour, status)
);
CREATE INDEX read_status_by_hour ON headwater.read_status (hour);

-- What the newest skew of each model came to, in numbers of features.
CREATE TABLE headwater.skew_verdict (
    model           text NOT NULL,
    model_version   integer NOT NULL,
    service         text NOT NULL,
    service_version integer NOT NULL,
    measured_at     timestamptz NOT NULL,
    ok              integer NOT NULL CHECK (ok >= 0),
    warned          integer NOT NULL CHECK (warned >= 0),
    failed          integer NOT NULL CHECK (failed >= 0),
    PRIMARY KEY (model, model_version)
);
CREATE INDEX skew_verdict_by_service ON headwater.skew_verdict (service, service_version);

-- Of rows_read, those that were set aside, left out, and too late; and the newest event time of a row, read or not. NULL: it is from before that was kept.
ALTER TABLE headwater.run_input
    ADD COLUMN quarantined bigint,
    ADD COLUMN dropped bigint,
    ADD COLUMN too_late bigint,
    ADD COLUMN newest timestamptz;
