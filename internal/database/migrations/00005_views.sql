-- +goose Up

-- The sequences of other views that a run read.
CREATE TABLE headwater.run_view_input (
    run_id    bigint NOT NULL REFERENCES headwater.run,
    -- The view version that was read, at its last sequence published when the run began.
    view_id   bigint NOT NULL REFERENCES headwater.definition,
    seq       bigint NOT NULL CHECK (seq > 0),
    rows_read bigint NOT NULL CHECK (rows_read >= 0),
    PRIMARY KEY (run_id, view_id)
);
CREATE INDEX run_view_input_by_view ON headwater.run_view_input (view_id, seq);
