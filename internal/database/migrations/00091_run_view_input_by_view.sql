-- +goose Up

-- A walk down asks which runs read a view at some sequences: the index answers that by itself, without a look at each of the rows, which lie apart.
DROP INDEX headwater.run_view_input_by_view;
CREATE INDEX run_view_input_by_view ON headwater.run_view_input (view_id, seq) INCLUDE (run_id);

-- +goose Down

DROP INDEX headwater.run_view_input_by_view;
CREATE INDEX run_view_input_by_view ON headwater.run_view_input (view_id, seq);
