-- +goose Up

-- Certificates of clients, by the name in them: what whoever has one may do.
CREATE TABLE headwater.binding (
    -- spiffe://DOMAIN/PATH or dns:HOST.
    certificate text PRIMARY KEY,
    roles       text[] NOT NULL CHECK (cardinality(roles) > 0),
    attributes  jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(attributes) = 'object'),
    created_at  timestamptz NOT NULL,
    created_by  text NOT NULL
);

-- Roles that principals took for a time, each with a reason. Nothing is deleted.
CREATE TABLE headwater.elevation (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    principal  text NOT NULL,
    credential text NOT NULL,
    role       text NOT NULL,
    reason     text NOT NULL CHECK (reason <> ''),
    begins_at  timestamptz NOT NULL,
    until      timestamptz NOT NULL CHECK (until > begins_at),
    -- When it was ended before that, and by whom. NULL: it was not.
    ended_at   timestamptz,
    ended_by   text,
    CHECK ((ended_at IS NULL) = (ended_by IS NULL))
);
CREATE INDEX elevation_active ON headwater.elevation (until) WHERE ended_at IS NULL;
