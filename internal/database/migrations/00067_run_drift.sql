-- +goose Up

-- What holding the output of a published run to the baseline of its view version came to: the verdicts by column. NULL: it has no profile, or is from
-- before that was kept.
ALTER TABLE headwater.run ADD COLUMN drift jsonb;
