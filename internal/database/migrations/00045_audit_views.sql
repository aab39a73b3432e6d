-- +goose Up

-- +goose StatementBegin
CREATE FUNCTION headwater.audit_texts(list json) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(array_agg(t ORDER BY n), '{}') FROM json_array_elements_text(list) WITH ORDINALITY AS e (t, n)
$$;
-- +goose StatementEnd

-- One row for each decision, and for the online reads of a minute that were decided on alike, with what became of it and what it extends to.
CREATE VIEW headwater.access_history AS
SELECT r.writer, r.number, r.day, r.time, r.principal, r.credential, r.roles, e.body->'attributes' AS attributes, r.method, r.action, r.resource,
    coalesce(e.body->>'resource_version', '') AS resource_version, r.decision, r.reason, headwater.audit_texts(e.body->'rules') AS rules,
    coalesce((e.body->>'policy_version')::bigint, 0) AS policy_version, r.purpose, coalesce(e.body->>'use', '') AS use, r.client_address,
    headwater.audit_texts(e.body->'asked') AS asked, headwater.audit_texts(e.body->'returned') AS returned,
    headwater.audit_texts(e.body->'masked') AS masked, headwater.audit_texts(e.body->'filtered_by') AS filtered_by,
    headwater.audit_texts(e.body->'source_columns') AS source_columns,
    coalesce(t.rows_returned, r.rows_returned) AS rows_returned, r.rows_hidden, r.entities_hash, r.as_of, r.dataset, r.read_id,
    coalesce(t.calls, r.calls) AS calls, coalesce(t.entities, r.entities) AS entities, coalesce(t.last_time, r.last_time) AS last_time,
    coalesce(t.last_read_id, r.last_read_id) AS last_read_id
FROM headwater.audit_record r
LEFT JOIN headwater.audit_extent e ON e.digest = r.extent
LEFT JOIN LATERAL (
    SELECT c.calls, c.entities, c.last_time, c.last_read_id, c.rows_returned FROM headwater.audit_record c
    WHERE c.writer = r.writer AND c.continues = r.logged AND c.continues > 0 AND c.day >= r.day
    UNION ALL
    SELECT c.calls, coalesce((c.record->>'entities')::bigint, 0), c.last_time, coalesce(c.record->>'last_read_id', ''), coalesce((c.record->>'rows_returned')::bigint, 0)
    FROM headwater.audit_count c WHERE c.writer = r.writer AND c.continues = r.logged
    ORDER BY calls DESC LIMIT 1
) t ON r.last_time IS NOT NULL
WHERE r.continues = 0 AND r.witnessed IS NULL;

-- One row for each reading of data that was allowed: what somebody was given, and what a run that was published had read.
CREATE VIEW headwater.query_history AS
SELECT h.writer, h.number, h.day, h.time, h.last_time, h.principal, h.roles, h.purpose, h.use,
    CASE h.action WHEN 'read_online' THEN 'online' ELSE 'offline' END AS store,
    CASE h.resource_version WHEN '' THEN h.resource ELSE h.resource_version END AS resource, h.dataset, h.read_id, h.as_of, h.calls, h.rows_returned,
    h.returned AS features, h.masked, h.source_columns,
    ARRAY(SELECT DISTINCT split_part(c, '.', 1) FROM unnest(h.source_columns) AS s (c) ORDER BY 1) AS sources
FROM headwater.access_history h
WHERE h.decision = 'allowed' AND h.action IN ('read_online', 'read_offline') AND (cardinality(h.returned) > 0 OR cardinality(h.source_columns) > 0)
UNION ALL
SELECT r.writer, r.number, r.day, r.time, NULL, r.principal, r.roles, r.purpose, 'materialize', 'offline', r.resource, '', '', '', 1,
    (SELECT coalesce(sum(i.rows_read), 0)::bigint FROM headwater.run_input i WHERE i.run_id = p.run_id), '{}', '{}', '{}',
    ARRAY(SELECT i.source FROM headwater.run_input i WHERE i.run_id = p.run_id ORDER BY i.source)
FROM headwater.audit_record r
JOIN headwater.publish_log p ON p.position = r.number
WHERE r.writer = 'publish-log';
