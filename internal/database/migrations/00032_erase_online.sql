-- +goose Up

-- Entities of which an erasure took rows out of the history of a view version, and that Redis may still have as they were. They are written
-- in the transaction that takes the rows, and go once Redis has what is left, by whichever server comes to it first.
CREATE TABLE headwater.online_erase (
    view_id    bigint NOT NULL REFERENCES headwater.definition,
    entity_key text COLLATE "C" NOT NULL,
    PRIMARY KEY (view_id, entity_key)
);
