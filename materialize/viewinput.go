package materialize

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/offline"
)

// ViewInput is what the run read of another view.
type ViewInput struct {
	ViewID  int64
	View    string
	Version int
	// Seq is the view's last published sequence when the run began. Rows that the run left unchanged may have been made of an
	// earlier one: their run says which.
	Seq int64
	// Rows is the number of rows that it showed.
	Rows int64
}

// Ref is the run of the view that was the last one published, as `VIEW@VERSION/SEQ`.
func (in *ViewInput) Ref() string { return fmt.Sprintf("%s@%d/%d", in.View, in.Version, in.Seq) }

func describeViewInputs(inputs []*offline.ViewInput) []ViewInput {
	var described []ViewInput
	for _, in := range inputs {
		described = append(described, ViewInput{
			ViewID: in.View.ID, View: in.View.Name, Version: in.View.Version, Seq: in.Seq, Rows: in.Rows,
		})
	}
	return described
}

func insertViewInputs(ctx context.Context, tx pgx.Tx, r *Run) error {
	for _, in := range r.ViewInputs {
		_, err := tx.Exec(ctx, `INSERT INTO headwater.run_view_input (run_id, view_id, seq, rows_read) VALUES ($1, $2, $3, $4)`,
			r.ID, in.ViewID, in.Seq, in.Rows)
		if err != nil {
			return err
		}
	}
	return nil
}

func listViewInputs(ctx context.Context, q database.Querier, run int64) ([]ViewInput, error) {
	rows, err := q.Query(ctx, `
		SELECT i.view_id, d.name, d.version, i.seq, i.rows_read
		FROM headwater.run_view_input i JOIN headwater.definition d ON d.id = i.view_id
		WHERE i.run_id = $1 ORDER BY d.name`, run)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[ViewInput])
}
