-- +goose Up

-- What a run was computed by, of its last attempt: materialize.Engine in JSON. NULL: it has not begun, or is from before this was kept.
ALTER TABLE headwater.run ADD COLUMN engine jsonb;
