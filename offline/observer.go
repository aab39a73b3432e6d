package offline

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/feature"
)

// Observer is told of the rows of a part of a run's output, as they are written. Each part has one of its own.
type Observer struct {
	// Row is called with each row and its canonical encoding, which are valid only during the call.
	Row func(r *feature.Row, encoding []byte)
	// End is called after the last row. What it returns is Written.Observed.
	End func() ([]byte, error)
}

// RowsNow reads the rows that a view shows as last published: in no order, each valid only during the call.
func RowsNow(ctx context.Context, pool *pgxpool.Pool, v *feature.ViewVersion, each func(*feature.Row) error) error {
	// A COPY that is broken off takes its connection with it.
	conn, err := pgx.ConnectConfig(ctx, pool.Config().ConnConfig.Copy())
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var seq int64
	err = conn.QueryRow(ctx, `SELECT coalesce((SELECT published_seq FROM headwater.view_state WHERE view_id = $1), 0)`, v.ID).Scan(&seq)
	if err != nil {
		return err
	}
	if err := CheckReadable(ctx, conn, []AsOf{{View: v, Seq: seq}}, false); err != nil {
		return err
	}
	stored := v.Stored()
	row := feature.Row{Values: make([]feature.Value, len(stored))}
	return copyOut(ctx, conn, fmt.Sprintf("SELECT %s FROM %s WHERE seq_from <= %d AND seq_to > %d", quoteAll("", historyColumns(v)), historyTable(v), seq, seq),
		func(fields [][]byte) error {
			if err := decodeHistory(&row, stored, fields); err != nil {
				return err
			}
			return each(&row)
		})
}
