-- +goose Up

-- What runs covered is a set of intervals, which may have gaps.
ALTER TABLE headwater.view_state
    ADD COLUMN covered tstzmultirange NOT NULL DEFAULT '{}',
    -- Up to where everything that the covered intervals could see is in the history: offline.Marks in JSON. NULL: nothing.
    ADD COLUMN consumed jsonb;
UPDATE headwater.view_state SET covered = tstzmultirange(tstzrange(covered_from, covered_to)) WHERE covered_from < covered_to;
ALTER TABLE headwater.view_state DROP COLUMN covered_from, DROP COLUMN covered_to;

ALTER TABLE headwater.run
    ADD COLUMN scope text NOT NULL DEFAULT 'interval' CHECK (scope IN ('incremental', 'interval', 'full')),
    -- The intervals that it computed. interval_start and interval_end are where they begin and end, NULL for none.
    ADD COLUMN spans tstzmultirange,
    -- offline.Plan in JSON, from when the run has looked at what there is to read.
    ADD COLUMN plan jsonb;
UPDATE headwater.run SET scope = 'full' WHERE asked_from IS NULL AND asked_to IS NULL;
UPDATE headwater.run SET spans = tstzmultirange(tstzrange(interval_start, interval_end)) WHERE interval_start IS NOT NULL;
ALTER TABLE headwater.run
    ALTER COLUMN scope DROP DEFAULT,
    DROP CONSTRAINT published_is_whole,
    ADD CONSTRAINT published_is_whole CHECK (
        (state = 'published') = (position IS NOT NULL)
        AND (state <> 'published' OR (seq IS NOT NULL AND digest IS NOT NULL AND spans IS NOT NULL))
    );
