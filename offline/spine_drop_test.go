package offline_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/read"
)

// A rollback is in Postgres's log only after the files of what it made are gone, and a recovery that begins between the two
// does not end; so a read that ends well must not end in one.
func TestASpineIsDroppedByACommit(t *testing.T) {
	v := &feature.ViewVersion{
		Version: 1,
		EntityVersion: &feature.EntityVersion{Version: 1, Entity: feature.Entity{
			Name: "sensor", JoinKeys: []feature.Column{{Name: "name", Type: feature.TypeString}},
		}},
		View: feature.View{Name: "dropped", Entity: "sensor", Features: []feature.Column{{Name: "n", Type: feature.TypeInt64}}},
	}
	conn := createHistory(t, v)
	other, err := pgx.ConnectConfig(t.Context(), conn.Config().Copy())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Close(context.Background()) })
	var transaction string
	spine := spineOf([]question{{key: "a", at: firstInstant}})
	err = offline.PointInTime(t.Context(), conn, "spine_of_a_test", []offline.AsOf{{View: v, Seq: 1}}, spine, func(int64, []read.Winner) error {
		return other.QueryRow(t.Context(), `SELECT backend_xid::text FROM pg_stat_activity WHERE pid = $1`,
			int32(conn.PgConn().PID())).Scan(&transaction)
	})
	if err != nil {
		t.Fatal(err)
	}
	var state string
	err = other.QueryRow(t.Context(), `SELECT pg_xact_status($1::text::xid8)`, transaction).Scan(&state)
	if err != nil || state != "committed" {
		t.Errorf("found the transaction %s %q, %v, expected it committed", transaction, state, err)
	}
	var left int
	err = other.QueryRow(t.Context(), `SELECT count(*) FROM pg_tables WHERE schemaname = 'headwater_staging'`).Scan(&left)
	if err != nil || left != 0 {
		t.Errorf("found %d staging tables, %v", left, err)
	}
}
