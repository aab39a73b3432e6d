-- +goose Up

-- From which sequence of its view version to which a published run is behind what is read: up to where the last of its rows ended,
-- and at its own sequence always. Written by publishing, so that nobody has to look through a history for it. Erased rows count as if
-- they had ended when they were erased.
CREATE TABLE headwater.run_span (
    run_id    bigint PRIMARY KEY REFERENCES headwater.run,
    view_id   bigint NOT NULL REFERENCES headwater.definition,
    seq       bigint NOT NULL CHECK (seq > 0),
    -- The first sequence at which none of its rows is visible; the greatest bigint while some are live.
    ended     bigint NOT NULL CHECK (ended > seq),
    live_rows bigint NOT NULL CHECK (live_rows >= 0),
    UNIQUE (view_id, seq)
);
CREATE INDEX run_span_by_end ON headwater.run_span (view_id, ended, seq);

-- How many live rows of an earlier run of the view version a published run ended.
CREATE TABLE headwater.run_correction (
    run_id       bigint NOT NULL REFERENCES headwater.run,
    corrected_id bigint NOT NULL REFERENCES headwater.run,
    rows         bigint NOT NULL CHECK (rows > 0),
    PRIMARY KEY (run_id, corrected_id)
);
CREATE INDEX run_correction_by_corrected ON headwater.run_correction (corrected_id);

-- The same of a chunk, by the sequence of the earlier run.
ALTER TABLE headwater.run_chunk ADD COLUMN corrected jsonb NOT NULL DEFAULT '{}';

-- How many loads had rows in what a run read of a source: 0 also for a table of others.
ALTER TABLE headwater.run_input ADD COLUMN loads integer NOT NULL DEFAULT 0 CHECK (loads >= 0);
UPDATE headwater.run_input i SET loads = n.loads FROM (
    SELECT rl.run_id, l.source, count(*) AS loads FROM headwater.run_load rl JOIN headwater.load l ON l.id = rl.load_id GROUP BY 1, 2
) n WHERE n.run_id = i.run_id AND n.source = i.source;
CREATE INDEX run_input_without_loads ON headwater.run_input (source) WHERE loads = 0;

-- A time is a position: that of the last run published by then.
CREATE INDEX publish_log_by_time ON headwater.publish_log (published_at, position);

-- Of the runs that there are, as far as the histories still hold the rows. What a run that is at work has ended is live.
-- +goose StatementBegin
DO $$
DECLARE
    v record;
BEGIN
    FOR v IN SELECT d.id, c.oid::regclass AS history FROM headwater.definition d
        JOIN pg_class c ON c.relname = d.name || '_v' || d.version
        JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'headwater_history'
        WHERE d.kind = 'view' AND c.relkind IN ('r', 'p')
    LOOP
        EXECUTE format('CREATE TEMPORARY TABLE run_rows ON COMMIT DROP AS
            SELECT h.seq_from, coalesce(p.seq, 9223372036854775807) AS seq_to, p.run_id, h.rows
            FROM (SELECT seq_from, seq_to, count(*) AS rows FROM %s GROUP BY 1, 2) h
            LEFT JOIN headwater.publish_log p ON p.view_id = %s AND p.seq = h.seq_to', v.history, v.id);
        INSERT INTO headwater.run_span (run_id, view_id, seq, ended, live_rows)
        SELECT p.run_id, p.view_id, p.seq, greatest(p.seq + 1, h.ended), coalesce(h.live, 0)
        FROM headwater.publish_log p LEFT JOIN (
            SELECT seq_from, max(seq_to) AS ended, sum(rows) FILTER (WHERE seq_to = 9223372036854775807) AS live FROM run_rows GROUP BY 1
        ) h ON h.seq_from = p.seq
        WHERE p.view_id = v.id;
        INSERT INTO headwater.run_correction (run_id, corrected_id, rows)
        SELECT r.run_id, p.run_id, sum(r.rows) FROM run_rows r JOIN headwater.publish_log p ON p.view_id = v.id AND p.seq = r.seq_from
        WHERE r.run_id IS NOT NULL GROUP BY 1, 2;
        DROP TABLE run_rows;
    END LOOP;
END $$;
-- +goose StatementEnd
