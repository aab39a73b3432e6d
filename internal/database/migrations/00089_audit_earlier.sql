-- +goose Up

-- Online reads that differ in nothing but what each has of its own, and came together, are one row from now on: the newest is the row's, and those
-- recorded with it are lists, by the order in which they came. Their numbers in the chain are those before the row's own, without gaps. NULL: the row
-- is one record.
ALTER TABLE headwater.audit_record
    -- In the append log of the server.
    ADD COLUMN earlier_logged          bigint[],
    ADD COLUMN earlier_times           timestamptz[],
    ADD COLUMN earlier_addresses       text[],
    ADD COLUMN earlier_read_ids        text[],
    ADD COLUMN earlier_entities        bigint[],
    ADD COLUMN earlier_rows_returned   bigint[],
    ADD COLUMN earlier_rows_hidden     bigint[],
    ADD COLUMN earlier_entities_hashes text[],
    -- What is random is not worth compressing.
    ALTER COLUMN earlier_logged          SET STORAGE EXTERNAL,
    ALTER COLUMN earlier_times           SET STORAGE EXTERNAL,
    ALTER COLUMN earlier_addresses       SET STORAGE EXTERNAL,
    ALTER COLUMN earlier_read_ids        SET STORAGE EXTERNAL,
    ALTER COLUMN earlier_entities        SET STORAGE EXTERNAL,
    ALTER COLUMN earlier_rows_returned   SET STORAGE EXTERNAL,
    ALTER COLUMN earlier_rows_hidden     SET STORAGE EXTERNAL,
    ALTER COLUMN earlier_entities_hashes SET STORAGE EXTERNAL;

CREATE OR REPLACE VIEW headwater.access_history AS
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
WHERE r.continues = 0 AND r.witnessed IS NULL
UNION ALL
SELECT r.writer, r.number - cardinality(r.earlier_times) - 1 + o.n, r.day, o.time, r.principal, r.credential, r.roles, e.body->'attributes', r.method, r.action,
    r.resource, coalesce(e.body->>'resource_version', ''), r.decision, r.reason, headwater.audit_texts(e.body->'rules'),
    coalesce((e.body->>'policy_version')::bigint, 0), r.purpose, coalesce(e.body->>'use', ''), o.client_address,
    headwater.audit_texts(e.body->'asked'), headwater.audit_texts(e.body->'returned'),
    headwater.audit_texts(e.body->'masked'), headwater.audit_texts(e.body->'filtered_by'),
    headwater.audit_texts(e.body->'source_columns'),
    o.rows_returned, o.rows_hidden, o.entities_hash, r.as_of, r.dataset, o.read_id, r.calls, o.entities, NULL, ''
FROM headwater.audit_record r
LEFT JOIN headwater.audit_extent e ON e.digest = r.extent
CROSS JOIN LATERAL unnest(r.earlier_times, r.earlier_addresses, r.earlier_read_ids, r.earlier_entities, r.earlier_rows_returned, r.earlier_rows_hidden,
    r.earlier_entities_hashes) WITH ORDINALITY AS o (time, client_address, read_id, entities, rows_returned, rows_hidden, entities_hash, n)
WHERE r.earlier_times IS NOT NULL;
