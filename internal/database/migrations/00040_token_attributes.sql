-- +goose Up

ALTER TABLE headwater.token
    -- What is known of the principal besides its roles: lists of texts by name.
    ADD COLUMN attributes jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(attributes) = 'object'),
    -- What the token may be used for at most, ACTION:KIND:PATTERN each. Empty: whatever its roles allow.
    ADD COLUMN scopes text[] NOT NULL DEFAULT '{}';
