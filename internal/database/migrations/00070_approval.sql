-- +goose Up

-- Gates that people opened, each for exactly what was looked at. Nothing is deleted.
CREATE TABLE headwater.approval (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- What was looked at: the id of a dataset or of a run.
    kind         text NOT NULL CHECK (kind IN ('dataset', 'run')),
    subject      text NOT NULL,
    -- KIND:NAME that the approver needed the action approve on.
    resource     text NOT NULL,
    -- What it holds for, hex: a dataset's content, or all that a run read.
    inputs       text NOT NULL CHECK (inputs <> ''),
    gate         text NOT NULL CHECK (gate <> ''),
    found        text NOT NULL,
    author       text NOT NULL,
    approver     text NOT NULL,
    credential   text NOT NULL,
    reason       text NOT NULL CHECK (reason <> ''),
    -- Why the approver had taken a role for a time. Empty: it had taken none, and is not the author.
    break_glass  text NOT NULL,
    approved_at  timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL CHECK (expires_at > approved_at),
    withdrawn_at timestamptz,
    withdrawn_by text,
    withdraw_reason text,
    CHECK (approver <> author OR break_glass <> ''),
    CHECK ((withdrawn_at IS NULL) = (withdrawn_by IS NULL) AND (withdrawn_at IS NULL) = (withdraw_reason IS NULL))
);
CREATE INDEX approval_by_inputs ON headwater.approval (resource, gate, inputs);
CREATE INDEX approval_by_subject ON headwater.approval (kind, subject);
