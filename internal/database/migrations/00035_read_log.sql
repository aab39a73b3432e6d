-- +goose Up

-- Online reads of services that keep a log of them: a partition per day, made by the servers.
CREATE TABLE headwater.read_log (
    -- The day of served_at in UTC.
    day             date NOT NULL,
    read_id         text COLLATE "C" NOT NULL,
    served_at       timestamptz NOT NULL,
    service         text NOT NULL,
    service_version integer NOT NULL,
    -- As the service had it: `all`, or `sample` and a share.
    log             text NOT NULL,
    position        bigint NOT NULL,
    principal       text NOT NULL,
    purpose         text NOT NULL,
    prediction_id   text NOT NULL,
    entities        integer NOT NULL,
    -- The first eight bytes of the keyed hash of each entity, each once.
    entity_hashes   bigint[] NOT NULL,
    -- A message headwater.v1.LoggedRead.
    record          bytea NOT NULL,
    PRIMARY KEY (read_id, day)
) PARTITION BY RANGE (day);
CREATE INDEX read_log_by_service ON headwater.read_log (service, served_at, read_id);
CREATE INDEX read_log_by_prediction ON headwater.read_log (prediction_id) WHERE prediction_id <> '';
CREATE INDEX read_log_by_entity ON headwater.read_log USING gin (entity_hashes);

-- How many logged reads had rows of which run.
CREATE TABLE headwater.read_log_count (
    day             date NOT NULL,
    service         text NOT NULL,
    service_version integer NOT NULL,
    view            text NOT NULL,
    view_version    integer NOT NULL,
    run_seq         bigint NOT NULL,
    reads           bigint NOT NULL,
    -- Rows of those reads whose value the run wrote.
    rows            bigint NOT NULL,
    PRIMARY KEY (day, service, service_version, view, view_version, run_seq)
);
CREATE INDEX read_log_count_by_run ON headwater.read_log_count (view, view_version, run_seq);

-- The secrets by which entities and sensitive values are hashed. The newest is used, the others are for what is there.
CREATE TABLE headwater.read_log_key (
    version integer PRIMARY KEY CHECK (version > 0),
    key     bytea NOT NULL CHECK (octet_length(key) = 32)
);

-- Entities that were erased: of reads that come from a server's disk only later, too.
CREATE TABLE headwater.read_log_erasure (
    entity       text NOT NULL,
    hash_version integer NOT NULL,
    hash         bytea NOT NULL CHECK (octet_length(hash) = 32),
    -- Reads that were answered before are meant.
    until        timestamptz NOT NULL,
    PRIMARY KEY (entity, hash_version, hash)
);

-- The append logs that may hold reads that are not here yet.
CREATE TABLE headwater.read_log_writer (
    writer     text PRIMARY KEY,
    -- Where the append log is: HOST:FOLDER.
    place      text NOT NULL,
    -- All reads that it was given before are here.
    drained_at timestamptz NOT NULL
);
