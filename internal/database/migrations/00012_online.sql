-- +goose Up

-- How far the load of a published run into the online store is. The row is there from its first attempt to its end, when
-- what it counts goes to the run.
CREATE TABLE headwater.online_load (
    run_id         bigint PRIMARY KEY REFERENCES headwater.run,
    -- Which Redis acknowledged it: what another one has is not known.
    store          text NOT NULL,
    -- All entities of the run up to this one, in this order, are in the online store; NULL: none is.
    after_key      text COLLATE "C",
    written        bigint NOT NULL DEFAULT 0,
    stale          bigint NOT NULL DEFAULT 0,
    tombstones     bigint NOT NULL DEFAULT 0,
    winners_micros bigint NOT NULL DEFAULT 0,
    redis_micros   bigint NOT NULL DEFAULT 0
);

-- Entities of which a row becomes current later, and when the next one does. They are loaded then, and the entry gives
-- way to the next. One that is no longer true does no harm: the winner is found anew.
CREATE TABLE headwater.online_due (
    view_id    bigint NOT NULL REFERENCES headwater.definition,
    entity_key text COLLATE "C" NOT NULL,
    due        timestamptz NOT NULL,
    PRIMARY KEY (view_id, entity_key)
);
CREATE INDEX online_due_by_time ON headwater.online_due (due);
