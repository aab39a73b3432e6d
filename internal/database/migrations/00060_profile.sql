-- +goose Up

-- What columns of the output of published runs and of datasets are like: the encoding of package quality/profile, packed by Zstandard.
CREATE TABLE headwater.profile (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id     bigint UNIQUE REFERENCES headwater.run ON DELETE CASCADE,
    dataset_id text UNIQUE REFERENCES headwater.dataset ON DELETE CASCADE,
    rows       bigint NOT NULL CHECK (rows >= 0),
    -- SHA-256 of the encoding as it was made. What an erasure takes away is not digested again.
    digest     bytea NOT NULL CHECK (length(digest) = 32),
    profile    bytea,
    -- When an erasure took it away, since values of it may have been the entity's.
    erased_at  timestamptz,
    CHECK ((run_id IS NULL) <> (dataset_id IS NULL)),
    CHECK ((profile IS NULL) = (erased_at IS NOT NULL))
);
ALTER TABLE headwater.profile ALTER COLUMN profile SET STORAGE EXTERNAL;

-- That of a chunk's output, until its run is published.
ALTER TABLE headwater.run_chunk ADD COLUMN profile bytea;
ALTER TABLE headwater.run_chunk ALTER COLUMN profile SET STORAGE EXTERNAL;
