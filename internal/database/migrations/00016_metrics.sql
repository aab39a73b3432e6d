-- +goose Up

-- Runs that have not ended, and those that are not in the online store yet: what gauges and recovery look for.
CREATE INDEX run_unended ON headwater.run (view_id) WHERE state IN ('queued', 'running') OR online_state = 'pending';
-- Runs by their end, for statistics.
CREATE INDEX run_by_end ON headwater.run (view_id, ended_at);
