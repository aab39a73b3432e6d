-- +goose Up

-- How outcomes in datasets differ between groups of people, as it was found of the content that has the digest.
CREATE TABLE headwater.bias_report (
    id         text PRIMARY KEY,
    dataset_id text NOT NULL REFERENCES headwater.dataset ON DELETE CASCADE,
    -- SHA-256 of the content of the dataset, hex.
    digest     text NOT NULL,
    -- What was asked, and what was found: a kept quality.BiasReport.
    question   jsonb NOT NULL,
    findings   jsonb,
    principal  text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- When an erasure took away what was found, since rows of it were the entity's.
    erased_at  timestamptz,
    CHECK ((findings IS NULL) = (erased_at IS NOT NULL))
);
CREATE INDEX ON headwater.bias_report (dataset_id, created_at);
