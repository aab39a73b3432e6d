-- +goose Up

-- Up to when the rows in the online store are known, for view versions that have a hop: beyond it they are stale. Apart from
-- view_state, whose rows are locked for as long as a run writes.
CREATE TABLE headwater.online_coverage (
    view_id    bigint PRIMARY KEY REFERENCES headwater.definition,
    covered_to timestamptz NOT NULL
);
