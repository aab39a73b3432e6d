-- +goose Up

-- A version of a service is approved, too. It is not there yet when it is: its subject is NAME@VERSION.
ALTER TABLE headwater.approval DROP CONSTRAINT approval_kind_check;
ALTER TABLE headwater.approval ADD CONSTRAINT approval_kind_check CHECK (kind IN ('dataset', 'run', 'service'));

-- Definitions that were refused because of a gate on serving: what there is to approve, and who applied last.
CREATE TABLE headwater.held_service (
    service    text NOT NULL,
    version    integer NOT NULL,
    gate       text NOT NULL,
    -- What was to be served, and what the gate had found, hex.
    inputs     text NOT NULL CHECK (inputs <> ''),
    found      text NOT NULL,
    principal  text NOT NULL,
    refused_at timestamptz NOT NULL,
    PRIMARY KEY (service, gate, inputs)
);
CREATE INDEX held_service_by_time ON headwater.held_service (refused_at);
