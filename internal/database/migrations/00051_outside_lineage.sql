-- +goose Up

-- What others told of how the tables and files came about that sources are: of jobs that are not Headwater's, what they read and wrote.
CREATE TABLE headwater.outside_table (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    namespace text NOT NULL,
    name      text NOT NULL,
    -- What a source calls it: `SCHEMA.TABLE`, `DATABASE:SCHEMA.TABLE`, or `file:NAME`. NULL: no source can be it.
    relation  text,
    UNIQUE (namespace, name)
);
CREATE INDEX outside_table_by_relation ON headwater.outside_table (relation) WHERE relation IS NOT NULL;

-- Every name of a table: its own, and those that it was told to have too.
CREATE TABLE headwater.outside_alias (
    namespace text NOT NULL,
    name      text NOT NULL,
    table_id  bigint NOT NULL REFERENCES headwater.outside_table,
    PRIMARY KEY (namespace, name)
);

CREATE TABLE headwater.outside_job (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    namespace   text NOT NULL,
    name        text NOT NULL,
    -- Of the newest event: when, what, of which run, and who told it.
    event_time  timestamptz NOT NULL,
    event_type  text NOT NULL,
    run_id      text NOT NULL,
    told_by     text NOT NULL,
    UNIQUE (namespace, name)
);

CREATE TABLE headwater.outside_edge (
    job_id   bigint NOT NULL REFERENCES headwater.outside_job,
    table_id bigint NOT NULL REFERENCES headwater.outside_table,
    -- The job writes the table, or else reads it.
    writes   boolean NOT NULL,
    told_at  timestamptz NOT NULL,
    PRIMARY KEY (job_id, table_id, writes)
);
CREATE INDEX outside_edge_by_table ON headwater.outside_edge (table_id, writes);

-- What a column of a table is made of, as a job's events say.
CREATE TABLE headwater.outside_column (
    job_id      bigint NOT NULL REFERENCES headwater.outside_job,
    table_id    bigint NOT NULL REFERENCES headwater.outside_table,
    column_name text NOT NULL,
    from_id     bigint NOT NULL REFERENCES headwater.outside_table,
    from_column text NOT NULL,
    told_at     timestamptz NOT NULL,
    PRIMARY KEY (table_id, column_name, from_id, from_column, job_id)
);
