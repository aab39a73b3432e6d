-- +goose Up

-- How new what is online of each view version is, as far as Redis acknowledged it.
CREATE TABLE headwater.online_freshness (
    view_id       bigint PRIMARY KEY REFERENCES headwater.definition,
    -- The greatest event time of a row that is online; NULL: there is none, or it is not known.
    newest        timestamptz,
    -- False where rows that may have been the newest are gone, or loads came before this was noted: the next load looks at the
    -- history whole.
    exact         boolean NOT NULL,
    -- The newest run that is loaded; NULL: none is.
    loaded_seq    bigint,
    published_at  timestamptz
);

INSERT INTO headwater.online_freshness (view_id, exact, loaded_seq, published_at)
SELECT DISTINCT ON (r.view_id) r.view_id, false, r.seq, p.published_at
FROM headwater.run r JOIN headwater.publish_log p ON p.view_id = r.view_id AND p.seq = r.seq
WHERE r.online_state = 'loaded'
ORDER BY r.view_id, r.seq DESC;
