-- +goose Up

-- Builds of datasets that are under way: who is told of outside messages was told that they began.
CREATE TABLE headwater.dataset_build (
    -- That of the dataset that will be.
    id      text PRIMARY KEY,
    -- outbox.Dataset in JSON.
    about   jsonb NOT NULL,
    -- When the server that builds it last said so.
    seen_at timestamptz NOT NULL
);
CREATE INDEX dataset_build_by_seen ON headwater.dataset_build (seen_at);
