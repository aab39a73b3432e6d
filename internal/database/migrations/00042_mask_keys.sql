-- +goose Up

-- The secrets by which masks hash. Versions of one are never changed or deleted: what was hashed by an older one is read again by it.
CREATE TABLE headwater.mask_key (
    name       text NOT NULL CHECK (name ~ '^[a-z][a-z0-9_]{0,62}$'),
    version    integer NOT NULL CHECK (version > 0),
    secret     bytea NOT NULL CHECK (octet_length(secret) = 32),
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL,
    PRIMARY KEY (name, version)
);
