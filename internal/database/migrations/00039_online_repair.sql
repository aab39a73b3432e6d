-- +goose Up

-- When the load of a run ended. NULL: it has not, or did before this was noted.
ALTER TABLE headwater.run ADD COLUMN online_loaded_at timestamptz;
CREATE INDEX run_by_load ON headwater.run (view_id, online_loaded_at) WHERE online_loaded_at IS NOT NULL;

-- When the view version was last loaded as a whole. NULL: never, or before this was noted.
ALTER TABLE headwater.view_state ADD COLUMN online_rebuilt_at timestamptz;

-- The Redis that has what is online, as its servers were last seen: one row.
CREATE TABLE headwater.online_store (
    is_one  boolean PRIMARY KEY DEFAULT true CHECK (is_one),
    store   text NOT NULL,
    -- When it was last seen to be this one, or somewhat before.
    seen_at timestamptz NOT NULL
);

-- View versions of which Redis may have lost what it acknowledged, because another process has its data now: what was loaded
-- lately is loaded again. The last one of each stays.
CREATE TABLE headwater.online_repair (
    view_id    bigint PRIMARY KEY REFERENCES headwater.definition,
    noticed_at timestamptz NOT NULL,
    -- What was loaded from then on is loaded again.
    since      timestamptz NOT NULL,
    -- NULL: it is still to be done.
    ended_at   timestamptz,
    -- How many entities were offered.
    entities   bigint NOT NULL DEFAULT 0
);
CREATE INDEX online_repair_to_do ON headwater.online_repair (view_id) WHERE ended_at IS NULL;
