-- +goose Up

-- When a run was published, as its publish_log says, so that whoever reads thousands of runs looks up each in one place. NULL: it was not, or by a
-- server of before this.
ALTER TABLE headwater.run ADD COLUMN published_at timestamptz;

-- +goose Down

ALTER TABLE headwater.run DROP COLUMN published_at;
