-- +goose Up

ALTER TABLE headwater.outbox
    -- Whom it is for: '' for those who are told in OpenLineage's events, `webhook:NAME` for a webhook, and `notice` for one that is yet to be given to the webhooks that want it.
    ADD COLUMN channel text NOT NULL DEFAULT '';
DROP INDEX headwater.outbox_by_subject;
CREATE INDEX outbox_by_subject ON headwater.outbox (channel, subject, id) WHERE parked_at IS NULL;
CREATE INDEX outbox_by_channel ON headwater.outbox (channel, id) WHERE parked_at IS NULL;

-- What nodes are told to be in: one that is there was told of, and is again once it has been out of it.
CREATE TABLE headwater.alarm (
    node  text NOT NULL,
    kind  text NOT NULL,
    since timestamptz NOT NULL,
    PRIMARY KEY (node, kind)
);
