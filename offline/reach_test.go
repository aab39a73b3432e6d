package offline

import (
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// Rows of tables of others are counted for a plan, here and there, unless they are long in coming.
func TestRowsOfOthersAreCountedForAPlan(t *testing.T) {
	pool, url := testenv.Postgres(t), testenv.EmptyPostgresURL(t)
	other, err := database.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	d, err := NewDatabases(map[string]string{"warehouse": url})
	if err != nil {
		t.Fatal(err)
	}
	const rows = `; INSERT INTO shop.orders VALUES ('2024-01-01 10:00+00', 'a', 1), ('2024-01-02 10:00+00', 'b', 2)`
	at := time.Date(2024, 1, 1, 10, 0, 0, 0, time.UTC)
	want := Span{Start: feature.TimeOf(at), End: feature.TimeOf(at.Add(24*time.Hour)) + 1}
	for name, in := range map[string]*struct {
		exec func(string) error
		lock func() (pgx.Tx, error)
	}{
		"":          {func(s string) error { _, err := pool.Exec(t.Context(), s); return err }, func() (pgx.Tx, error) { return pool.Begin(t.Context()) }},
		"warehouse": {func(s string) error { _, err := other.Exec(t.Context(), s); return err }, func() (pgx.Tx, error) { return other.Begin(t.Context()) }},
	} {
		if err := in.exec(makeOrders + rows); err != nil {
			t.Fatal(err)
		}
		v := viewOf("")
		v.SourceVersions = []*feature.SourceVersion{ordersSource(name, "shop", "orders")}
		tx, err := pool.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if n, span, err := d.Reach(t.Context(), tx, v); err != nil || n != 2 || span != want {
			t.Errorf("%q: found %d rows in %v, %v, expected 2 in %v", name, n, span, err, want)
		}
		holder, err := in.lock()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := holder.Exec(t.Context(), "LOCK TABLE shop.orders"); err != nil {
			t.Fatal(err)
		}
		if _, _, err := d.Reach(t.Context(), tx, v); !errors.Is(err, ErrNotCounted) {
			t.Errorf("%q: found %v of a locked table, expected %v", name, err, ErrNotCounted)
		}
		// The transaction goes on, as it was.
		var timeout string
		if err := tx.QueryRow(t.Context(), "SELECT current_setting('statement_timeout')").Scan(&timeout); err != nil || timeout != "0" {
			t.Errorf("%q: found %s, %v", name, timeout, err)
		}
		if err := errors.Join(holder.Rollback(t.Context()), tx.Rollback(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
}
