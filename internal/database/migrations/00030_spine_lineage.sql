-- +goose Up

-- The sources that the server read a dataset's spine from, and the rows that it read of each. Of a dataset from before this the rows are
-- not known.
CREATE TABLE headwater.dataset_source (
    dataset_id text NOT NULL REFERENCES headwater.dataset ON DELETE CASCADE,
    source     text NOT NULL,
    rows       bigint NOT NULL CHECK (rows >= 0),
    PRIMARY KEY (dataset_id, source)
);
CREATE INDEX dataset_source_by_source ON headwater.dataset_source (source);

INSERT INTO headwater.dataset_source (dataset_id, source, rows)
SELECT DISTINCT d.id, s->>'source', 0
FROM headwater.dataset d CROSS JOIN LATERAL jsonb_array_elements(d.manifest->'spine_origin'->'sources') AS s;

-- The loads that had rows in what the server read for the spine.
CREATE TABLE headwater.dataset_load (
    dataset_id text NOT NULL REFERENCES headwater.dataset ON DELETE CASCADE,
    load_id    bigint NOT NULL REFERENCES headwater.load,
    rows       bigint NOT NULL CHECK (rows > 0),
    PRIMARY KEY (dataset_id, load_id)
);
CREATE INDEX dataset_load_by_load ON headwater.dataset_load (load_id);
