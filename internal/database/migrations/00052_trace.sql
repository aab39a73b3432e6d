-- +goose Up

-- What a view was at a position, and around it, is looked for by the position: runs of a view are published in the order of their sequences,
-- but nothing tells Postgres so.
CREATE INDEX publish_log_by_view ON headwater.publish_log (view_id, position);
