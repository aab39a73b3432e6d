-- +goose Up

-- What Postgres made of a view's SQL: which columns each output column depends on, what of each relation is used, and the
-- functions of users with digests of their bodies. NULL for all else, and for versions from before it was kept.
ALTER TABLE headwater.definition ADD COLUMN analysis jsonb;

-- Every change of the registry: what became of which definition, by whom and from where. Never changed itself. The last
-- of 'remove', 'retire' and 'revive' says whether a name is in use: without one it is.
CREATE TABLE headwater.definition_change (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind       text NOT NULL CHECK (kind IN ('entity', 'source', 'view', 'service', 'role')),
    name       text NOT NULL,
    -- The version after the change.
    version    integer NOT NULL CHECK (version > 0),
    change     text NOT NULL CHECK (change IN ('add', 'new_version', 'update', 'remove', 'retire', 'revive')),
    revision   bigint NOT NULL,
    changed_at timestamptz NOT NULL,
    changed_by text NOT NULL,
    origin     text NOT NULL
);
CREATE INDEX definition_change_by_name ON headwater.definition_change (kind, name, id);
