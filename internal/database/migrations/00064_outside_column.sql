-- +goose Up

-- What columns of others are made of, in what way, and while it was so. Rows from before that was kept are values.
ALTER TABLE headwater.outside_column
    -- 1: value, 2: filter, 3: join, 4: group, 5: order, as column_edge has them.
    ADD COLUMN kind smallint NOT NULL DEFAULT 1 CHECK (kind BETWEEN 1 AND 5),
    -- Set when a newer event of the job says otherwise.
    ADD COLUMN valid_to timestamptz NOT NULL DEFAULT 'infinity' CHECK (valid_to >= told_at);
COMMENT ON COLUMN headwater.outside_column.column_name IS 'Empty: all columns of the table depend on it.';
ALTER TABLE headwater.outside_column
    DROP CONSTRAINT outside_column_pkey,
    ADD PRIMARY KEY (table_id, column_name, from_id, from_column, kind, job_id, told_at);

-- When, by its own clock, the newest event was that said what the columns of a table are made of which a job writes. NULL: none did.
ALTER TABLE headwater.outside_edge ADD COLUMN columns_at timestamptz;
CREATE INDEX outside_column_by_from ON headwater.outside_column (from_id, from_column);
