-- +goose Up

ALTER TABLE headwater.definition DROP CONSTRAINT definition_kind_check,
    ADD CONSTRAINT definition_kind_check CHECK (kind IN ('entity', 'source', 'view', 'service', 'role', 'policy'));
ALTER TABLE headwater.definition_change DROP CONSTRAINT definition_change_kind_check,
    ADD CONSTRAINT definition_change_kind_check CHECK (kind IN ('entity', 'source', 'view', 'service', 'role', 'policy'));
