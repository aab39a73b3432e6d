-- +goose Up

-- What was measured of published runs, and outlives their profiles: later runs of the same reach are held to it.
CREATE TABLE headwater.run_metric (
    run_id      bigint NOT NULL REFERENCES headwater.run ON DELETE CASCADE,
    view_id     bigint NOT NULL REFERENCES headwater.definition,
    -- As of headwater.check_result.
    reach       text NOT NULL,
    -- `rows`, `filtered`, `quarantined`, `completeness:COLUMN`, `mean:COLUMN`.
    metric      text NOT NULL,
    value       double precision NOT NULL,
    measured_at timestamptz NOT NULL,
    PRIMARY KEY (run_id, metric)
);
CREATE INDEX run_metric_by_view ON headwater.run_metric (view_id, reach, run_id);

-- Metrics of the run that are unlike those of the runs before it. NULL: it is from before that was looked at, or was not published.
ALTER TABLE headwater.run ADD COLUMN anomalies jsonb;
