-- +goose Up

-- Of a deleted dataset only the manifest is left.
ALTER TABLE headwater.dataset
    DROP CONSTRAINT dataset_state_check,
    ADD CONSTRAINT dataset_state_check CHECK (state IN ('built', 'released', 'deleted'));

-- Rows of the history that ended at this sequence or before may be gone. Before it the view version can only be read at the
-- sequences of datasets. It never goes back.
ALTER TABLE headwater.view_state ADD COLUMN horizon_seq bigint NOT NULL DEFAULT 0 CHECK (horizon_seq <= published_seq);

-- Which sequences of a view version datasets protect.
CREATE INDEX dataset_view_by_view ON headwater.dataset_view (view_id, seq);
