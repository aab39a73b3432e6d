-- +goose Up

-- The loads of which a run counted the rows that were set aside when they came. Such rows lie in no interval, and are the run's with those
-- that it set aside itself.
ALTER TABLE headwater.quarantine_run ADD COLUMN loads bigint[] NOT NULL DEFAULT '{}';

-- Ids of one sequence have both kinds of rows lie in one order.
ALTER TABLE headwater.load_set_aside
    ADD COLUMN id bigint NOT NULL DEFAULT nextval(pg_get_serial_sequence('headwater.quarantined_row', 'id'));
