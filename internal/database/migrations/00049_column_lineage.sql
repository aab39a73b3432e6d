-- +goose Up

-- What definitions read and what their columns are made of, as a graph that can be followed both ways. Written when they are applied,
-- by headwater.note_definition. A row is never changed but for valid_to, which is set when the version is resolved to other
-- versions, or, of a source, when a newer version has it otherwise.

-- The columns of versions of sources and views, in their order.
CREATE TABLE headwater.definition_column (
    definition_id bigint NOT NULL REFERENCES headwater.definition,
    number        integer NOT NULL,
    name          text NOT NULL,
    -- Of a source: column, and time for event_time and available_at where they stand for columns of other names. Of a view: key, time,
    -- feature, attribute.
    role          text NOT NULL CHECK (role IN ('column', 'key', 'time', 'feature', 'attribute')),
    type          text NOT NULL,
    PRIMARY KEY (definition_id, name)
);

-- What view and service versions read: a source, of whatever version, or a view version.
CREATE TABLE headwater.definition_input (
    definition_id bigint NOT NULL REFERENCES headwater.definition,
    source        text,
    view_id       bigint REFERENCES headwater.definition,
    valid_from    timestamptz NOT NULL,
    valid_to      timestamptz NOT NULL DEFAULT 'infinity' CHECK (valid_to >= valid_from),
    CHECK ((source IS NULL) <> (view_id IS NULL))
);
CREATE INDEX definition_input_by_definition ON headwater.definition_input (definition_id);
CREATE INDEX definition_input_by_source ON headwater.definition_input (source) WHERE source IS NOT NULL;
CREATE INDEX definition_input_by_view ON headwater.definition_input (view_id) WHERE view_id IS NOT NULL;

-- A column is made of another: of a view version, of a source, or, with an empty to_column, what a service version reads.
CREATE TABLE headwater.column_edge (
    -- The version that has it.
    definition_id bigint NOT NULL REFERENCES headwater.definition,
    -- The source that the column is of; NULL: it is of the version itself.
    to_source     text,
    to_column     text NOT NULL,
    -- 1 value, 2 filter, 3 join, 4 group, 5 order.
    kind          smallint NOT NULL CHECK (kind BETWEEN 1 AND 5),
    from_source   text,
    from_view     bigint REFERENCES headwater.definition,
    from_column   text NOT NULL,
    valid_from    timestamptz NOT NULL,
    valid_to      timestamptz NOT NULL DEFAULT 'infinity' CHECK (valid_to >= valid_from),
    CHECK ((from_source IS NULL) <> (from_view IS NULL))
);
CREATE INDEX column_edge_by_definition ON headwater.column_edge (definition_id, to_column);
CREATE INDEX column_edge_to_source ON headwater.column_edge (to_source, to_column) WHERE to_source IS NOT NULL;
CREATE INDEX column_edge_from_source ON headwater.column_edge (from_source, from_column) WHERE from_source IS NOT NULL;
CREATE INDEX column_edge_from_view ON headwater.column_edge (from_view, from_column) WHERE from_view IS NOT NULL;

-- The datasets of a service version.
CREATE INDEX dataset_by_service ON headwater.dataset (service, service_version);

-- The features of datasets that were asked for by reference, VIEW@VERSION.FEATURE.
CREATE TABLE headwater.dataset_feature (
    dataset_id text NOT NULL REFERENCES headwater.dataset ON DELETE CASCADE,
    view_id    bigint NOT NULL REFERENCES headwater.definition,
    feature    text NOT NULL,
    PRIMARY KEY (dataset_id, view_id, feature)
);
CREATE INDEX dataset_feature_by_view ON headwater.dataset_feature (view_id, feature);
INSERT INTO headwater.dataset_feature (dataset_id, view_id, feature)
SELECT DISTINCT ds.id, v.id, split_part(f.ref, '.', 2) FROM headwater.dataset ds
CROSS JOIN LATERAL jsonb_array_elements_text(CASE jsonb_typeof(ds.manifest -> 'features') WHEN 'array' THEN ds.manifest -> 'features' END) AS f (ref)
JOIN headwater.definition v ON v.kind = 'view' AND v.name || '@' || v.version = split_part(f.ref, '.', 1);

-- The columns of a version, as its body says.
-- +goose StatementBegin
CREATE FUNCTION headwater.columns_of(version headwater.definition)
RETURNS TABLE (number bigint, name text, role text, type text) LANGUAGE sql STABLE AS $$
    WITH body AS (
        SELECT version.body -> 'sources' -> 0 AS source, version.body -> 'featureViews' -> 0 AS view
    ), listed AS (
        SELECT 1 AS part, o AS place, c ->> 'name' AS name, 'column' AS role, c ->> 'type' AS type
        FROM body, jsonb_array_elements(source -> 'columns') WITH ORDINALITY AS x (c, o) WHERE version.kind = 'source'
        UNION ALL
        SELECT 1, o, k ->> 'name', 'key', k ->> 'type'
        FROM body JOIN headwater.definition e ON e.kind = 'entity' AND e.name = view ->> 'entity'
            AND e.version = (version.resolved ->> 'entity')::int,
            jsonb_array_elements(e.body -> 'entities' -> 0 -> 'joinKeys') WITH ORDINALITY AS x (k, o) WHERE version.kind = 'view'
        UNION ALL
        SELECT 2, o, t, 'time', 'timestamp' FROM body, unnest(ARRAY['event_time', 'available_at']) WITH ORDINALITY AS x (t, o)
        WHERE version.kind = 'source'
            AND NOT EXISTS (SELECT FROM jsonb_array_elements(source -> 'columns') AS c WHERE c ->> 'name' = t)
            OR version.kind = 'view' AND view ->> 'entity' <> '' AND NOT view ? 'onDemand'
        UNION ALL
        SELECT 3, o, f ->> 'name', 'feature', f ->> 'type'
        FROM body, jsonb_array_elements(view -> 'features') WITH ORDINALITY AS x (f, o) WHERE version.kind = 'view'
        UNION ALL
        SELECT 4, o, a ->> 'name', 'attribute', a ->> 'type'
        FROM body, jsonb_array_elements(view -> 'attributes') WITH ORDINALITY AS x (a, o) WHERE version.kind = 'view'
    )
    SELECT row_number() OVER (ORDER BY part, place), name, role, coalesce(type, '') FROM listed
$$;
-- +goose StatementEnd

-- What the columns of a version are made of, as its analysis and its body say. The columns of what it reads are noted already.
-- +goose StatementBegin
CREATE FUNCTION headwater.column_edges_of(version headwater.definition)
RETURNS TABLE (to_source text, to_column text, kind smallint, from_source text, from_view bigint, from_column text) LANGUAGE sql STABLE AS $$
    WITH body AS (
        SELECT version.body -> 'sources' -> 0 AS source, version.body -> 'featureServices' -> 0 AS service
    ), views AS (
        SELECT v.name, v.id FROM jsonb_each_text(version.resolved -> 'views') AS r (name, number)
        JOIN headwater.definition v ON v.kind = 'view' AND v.name = r.name AND v.version = r.number::int
    )
    -- A view's columns are made of those that its analysis found.
    SELECT DISTINCT NULL::text, i."column", array_position(ARRAY['value', 'filter', 'join', 'group', 'order'], i.kind)::smallint,
        CASE WHEN v.id IS NULL THEN i.relation END, v.id, i.input_column
    FROM jsonb_to_recordset(version.analysis -> 'inputs') AS i ("column" text, kind text, relation text, input_column text)
    LEFT JOIN views v ON v.name = i.relation
    WHERE version.kind = 'view'
    UNION ALL
    -- A source shows its event time by that name, and when a row could be known: by a column, or by what an expression names.
    SELECT version.name, 'event_time', 1::smallint, version.name, NULL, source ->> 'eventTime' FROM body
    WHERE version.kind = 'source' AND source ->> 'eventTime' <> 'event_time'
    UNION ALL
    SELECT version.name, 'available_at', 1::smallint, version.name, NULL, c ->> 'name'
    FROM body, jsonb_array_elements(source -> 'columns') AS c
    WHERE version.kind = 'source' AND NOT EXISTS (SELECT FROM jsonb_array_elements(source -> 'columns') AS a WHERE a ->> 'name' = 'available_at')
        AND CASE WHEN source -> 'arrivalTime' ? 'expression' THEN source -> 'arrivalTime' ->> 'expression' ~* ('\m' || (c ->> 'name') || '\M')
            ELSE c ->> 'name' = coalesce(source -> 'arrivalTime' ->> 'column', source ->> 'eventTime') END
    UNION ALL
    -- A service serves the features that it picks, finds them by their keys, and takes the newest that could be known.
    SELECT NULL, '', CASE c.role WHEN 'feature' THEN 1 WHEN 'key' THEN 3 ELSE 5 END::smallint, NULL, v.id, c.name
    FROM views v JOIN headwater.definition_column c ON c.definition_id = v.id
    WHERE version.kind = 'service' AND (c.role IN ('key', 'time') OR c.role = 'feature' AND EXISTS (
        SELECT FROM body, jsonb_array_elements(service -> 'views') AS p WHERE split_part(p ->> 'view', '@', 1) = v.name
            AND (coalesce(jsonb_array_length(p -> 'features'), 0) = 0 OR p -> 'features' ? c.name)))
$$;
-- +goose StatementEnd

-- Notes a version that was applied, or resolved anew, at a time. Done again for the same it changes nothing.
-- +goose StatementBegin
CREATE FUNCTION headwater.note_definition(noted bigint, at timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    version headwater.definition;
BEGIN
    SELECT * INTO version FROM headwater.definition WHERE id = noted;
    INSERT INTO headwater.definition_column (definition_id, number, name, role, type)
    SELECT noted, c.number, c.name, c.role, c.type FROM headwater.columns_of(version) c ON CONFLICT DO NOTHING;

    IF version.kind IN ('view', 'service') THEN
        WITH inputs AS MATERIALIZED (
            SELECT s AS source, NULL::bigint AS view_id FROM jsonb_object_keys(version.resolved -> 'sources') AS s
            UNION ALL
            SELECT NULL, v.id FROM jsonb_each_text(version.resolved -> 'views') AS r (name, number)
            JOIN headwater.definition v ON v.kind = 'view' AND v.name = r.name AND v.version = r.number::int
        ), ended AS (
            UPDATE headwater.definition_input i SET valid_to = at WHERE i.definition_id = noted AND i.valid_to = 'infinity'
                AND NOT EXISTS (SELECT FROM inputs n WHERE (n.source, n.view_id) IS NOT DISTINCT FROM (i.source, i.view_id))
        )
        INSERT INTO headwater.definition_input (definition_id, source, view_id, valid_from)
        SELECT noted, n.source, n.view_id, at FROM inputs n WHERE NOT EXISTS (
            SELECT FROM headwater.definition_input i WHERE i.definition_id = noted AND i.valid_to = 'infinity'
                AND (n.source, n.view_id) IS NOT DISTINCT FROM (i.source, i.view_id));
    END IF;

    WITH edges AS MATERIALIZED (
        SELECT * FROM headwater.column_edges_of(version)
    ), open AS MATERIALIZED (
        SELECT e.ctid AS place, e.* FROM headwater.column_edge e
        WHERE e.definition_id = noted AND e.to_source IS NULL AND e.valid_to = 'infinity'
        UNION ALL
        SELECT e.ctid, e.* FROM headwater.column_edge e
        WHERE version.kind = 'source' AND e.to_source = version.name AND e.valid_to = 'infinity'
    ), ended AS (
        UPDATE headwater.column_edge e SET valid_to = at FROM open o WHERE e.ctid = o.place AND NOT EXISTS (
            SELECT FROM edges n WHERE (n.to_column, n.kind, n.from_source, n.from_view, n.from_column)
                IS NOT DISTINCT FROM (o.to_column, o.kind, o.from_source, o.from_view, o.from_column))
    )
    INSERT INTO headwater.column_edge (definition_id, to_source, to_column, kind, from_source, from_view, from_column, valid_from)
    SELECT noted, n.to_source, n.to_column, n.kind, n.from_source, n.from_view, n.from_column, at FROM edges n WHERE NOT EXISTS (
        SELECT FROM open o WHERE (n.to_column, n.kind, n.from_source, n.from_view, n.from_column)
            IS NOT DISTINCT FROM (o.to_column, o.kind, o.from_source, o.from_view, o.from_column));
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
DO $$
BEGIN
    PERFORM headwater.note_definition(id, applied_at) FROM (
        SELECT id, applied_at FROM headwater.definition WHERE kind IN ('source', 'view', 'service') ORDER BY id) d;
END $$;
-- +goose StatementEnd
