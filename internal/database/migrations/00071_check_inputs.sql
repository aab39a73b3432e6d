-- +goose Up

-- What a check that failed had looked at, hex: what an approval to waive it is for. Empty: it did not fail, or cannot be waived.
ALTER TABLE headwater.check_result ADD COLUMN inputs text NOT NULL DEFAULT '';
