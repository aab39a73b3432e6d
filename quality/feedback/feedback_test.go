package feedback

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// An outcome that was looked at before an erasure and is kept after it is erased with the others.
func TestErasuresWaitForOutcomesOnTheirWay(t *testing.T) {
	pool := testenv.Postgres(t)
	s := Open(pool, Options{})
	defer s.Close()
	hash := []byte("0123456789abcdef0123456789abcdef")
	class := "late"
	for _, readID := range []string{"", "rd_1"} {
		id := "of " + readID
		p := Prediction{ID: id, At: time.Now(), ModelVersion: 1, ReadID: readID, Entities: [][]byte{hash}, Answer: Answer{Class: &class}, Digest: hash, IDHashes: [][]byte{[]byte(id)}}
		if done, err := s.Log(t.Context(), "m", []Prediction{p}); err != nil || len(done.New) != 1 {
			t.Fatal(done, err)
		}
		if err := s.ensure(t.Context(), outcomes, time.Now()); err != nil {
			t.Fatal(err)
		}
		tx, err := pool.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback(context.Background())
		// One reports: it has found no erasure.
		if err := alone(t.Context(), tx, "m"); err != nil {
			t.Fatal(err)
		}
		e := Erasing{
			Entities: [][]byte{hash}, Hash: func(_, id string) []byte { return append([]byte(id), hash...)[:32] },
			Record: func(context.Context, pgx.Tx, string, int64) error { return nil },
		}
		erased := make(chan error, 1)
		go func() {
			if readID == "" {
				erased <- s.Erase(context.Background(), e)
				return
			}
			erased <- pgx.BeginFunc(context.Background(), pool, func(tx pgx.Tx) error { return e.EraseRows(context.Background(), tx, readID, []int32{0}) })
		}()
		for waits := false; !waits; {
			if err := pool.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))`).Scan(&waits); err != nil {
				t.Fatal(err)
			}
			select {
			case err := <-erased:
				t.Fatalf("%s: the erasure ended while an outcome was on its way: %v", id, err)
			default:
			}
		}
		if _, err := tx.Exec(t.Context(), `INSERT INTO headwater.outcome (day, model, prediction_id, known_at, reported_at, principal, class)
			VALUES ((now() AT TIME ZONE 'UTC')::date, 'm', $1, now(), now(), 'p', 'late')`, id); err != nil {
			t.Fatal(err)
		}
		if err := tx.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-erased; err != nil {
			t.Fatal(err)
		}
		var left int
		if err := pool.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM headwater.outcome) + (SELECT count(*) FROM headwater.prediction)`).Scan(&left); err != nil || left != 0 {
			t.Errorf("%s: found %d left, %v", id, left, err)
		}
	}
}
