-- +goose Up

-- Versions of models, as they were registered. A row is never changed.
CREATE TABLE headwater.model (
    name          text NOT NULL,
    version       integer NOT NULL CHECK (version > 0),
    -- NULL: not known to Headwater.
    dataset_id    text REFERENCES headwater.dataset,
    service_id    bigint NOT NULL REFERENCES headwater.definition,
    run_uri       text NOT NULL,
    description   text NOT NULL,
    owner         text NOT NULL,
    registered_at timestamptz NOT NULL,
    registered_by text NOT NULL,
    PRIMARY KEY (name, version)
);
CREATE INDEX model_by_dataset ON headwater.model (dataset_id) WHERE dataset_id IS NOT NULL;
CREATE INDEX model_by_service ON headwater.model (service_id);
