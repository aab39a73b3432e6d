-- +goose Up

-- Gates ask for the reports on a content.
CREATE INDEX ON headwater.bias_report (digest);
