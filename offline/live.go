package offline

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/read"
)

// LiveRows calls emit with each row of a view version that no run has ended, by entity, event time and availability: all
// that its last published run left, while no other is at work. emit may keep what it gets.
func LiveRows(ctx context.Context, conn *pgx.Conn, v *feature.ViewVersion, emit func(key string, w *read.Winner) error) error {
	query := fmt.Sprintf("SELECT h.entity_key, %s FROM %s h WHERE h.seq_to = %d ORDER BY h.entity_key, h.event_time, h.available_at",
		winnerColumns(AsOf{View: v}, "h", "NULL"), historyTable(v), int64(SeqLive))
	return copyOut(ctx, conn, query, func(fields [][]byte) error {
		w, err := decodeWinner(&AsOf{View: v}, fields[1:], newValues)
		if err != nil {
			return err
		}
		return emit(string(fields[0]), &w)
	})
}
