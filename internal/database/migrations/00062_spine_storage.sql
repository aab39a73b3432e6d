-- +goose Up
-- Spines come compressed: to compress them again takes time and gains nothing.
ALTER TABLE headwater.dataset_spine ALTER COLUMN data SET STORAGE EXTERNAL;
