-- +goose Up

ALTER TABLE headwater.definition DROP CONSTRAINT definition_kind_check,
    ADD CONSTRAINT definition_kind_check CHECK (kind IN ('entity', 'source', 'view', 'service', 'role', 'policy', 'consumer'));
ALTER TABLE headwater.definition_change DROP CONSTRAINT definition_change_kind_check,
    ADD CONSTRAINT definition_change_kind_check CHECK (kind IN ('entity', 'source', 'view', 'service', 'role', 'policy', 'consumer'));

-- What versions of consumers outside read, by name: what that is at a time goes by what there was then. A row is never changed but for
-- valid_to, which is set when a newer version says otherwise, or the consumer is removed.
CREATE TABLE headwater.consumer_input (
    definition_id bigint NOT NULL REFERENCES headwater.definition,
    kind          text NOT NULL CHECK (kind IN ('service', 'view', 'feature', 'dataset', 'model')),
    -- Of a feature: its view.
    name          text NOT NULL,
    -- NULL: whatever is the newest.
    version       integer CHECK (version > 0),
    feature       text NOT NULL CHECK ((kind = 'feature') = (feature <> '')),
    valid_from    timestamptz NOT NULL,
    valid_to      timestamptz NOT NULL DEFAULT 'infinity' CHECK (valid_to >= valid_from)
);
CREATE INDEX consumer_input_by_definition ON headwater.consumer_input (definition_id);
CREATE INDEX consumer_input_by_name ON headwater.consumer_input (name);

-- Notes what a consumer reads from a time on: what its newest version says, or nothing once it was removed. Done again for the same it
-- changes nothing.
-- +goose StatementBegin
CREATE FUNCTION headwater.note_consumer(consumer text, at timestamptz) RETURNS void LANGUAGE sql AS $$
    WITH newest AS (
        SELECT d.id, d.body -> 'consumers' -> 0 -> 'reads' AS reads FROM headwater.definition d
        WHERE d.kind = 'consumer' AND d.name = consumer AND NOT coalesce((
            SELECT c.change = 'remove' FROM headwater.definition_change c
            WHERE c.kind = 'consumer' AND c.name = consumer AND c.change IN ('remove', 'retire', 'revive') ORDER BY c.id DESC LIMIT 1), false)
        ORDER BY d.version DESC LIMIT 1
    ), inputs AS MATERIALIZED (
        SELECT n.id, l.kind, split_part(split_part(r.ref, '.', 1), '@', 1) AS name,
            nullif(split_part(split_part(r.ref, '.', 1), '@', 2), '')::int AS version, split_part(r.ref, '.', 2) AS feature
        FROM newest n, (VALUES ('service', 'services'), ('view', 'views'), ('feature', 'features'), ('dataset', 'datasets'), ('model', 'models')) AS l (kind, list),
            jsonb_array_elements_text(n.reads -> l.list) AS r (ref)
    ), ended AS (
        UPDATE headwater.consumer_input i SET valid_to = at FROM headwater.definition d
        WHERE d.kind = 'consumer' AND d.name = consumer AND i.definition_id = d.id AND i.valid_to = 'infinity' AND NOT EXISTS (
            SELECT FROM inputs n WHERE (n.id, n.kind, n.name, n.version, n.feature)
                IS NOT DISTINCT FROM (i.definition_id, i.kind, i.name, i.version, i.feature))
    )
    INSERT INTO headwater.consumer_input (definition_id, kind, name, version, feature, valid_from)
    SELECT n.id, n.kind, n.name, n.version, n.feature, at FROM inputs n WHERE NOT EXISTS (
        SELECT FROM headwater.consumer_input i WHERE i.definition_id = n.id AND i.valid_to = 'infinity'
            AND (n.kind, n.name, n.version, n.feature) IS NOT DISTINCT FROM (i.kind, i.name, i.version, i.feature))
$$;
-- +goose StatementEnd
