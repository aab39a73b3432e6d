package offline

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// A run does not wait for ever for a table of another database.
func TestReadingAnotherDatabaseIsBounded(t *testing.T) {
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
	holder, err := other.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = holder.Rollback(t.Context()) }()
	if _, err := other.Exec(t.Context(), makeOrders); err != nil {
		t.Fatal(err)
	}
	if _, err := holder.Exec(t.Context(), "LOCK TABLE shop.orders"); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.ConnectConfig(t.Context(), pool.Config().ConnConfig.Copy())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	v := viewOf("SELECT")
	v.SourceVersions = []*feature.SourceVersion{ordersSource("warehouse", "shop", "orders")}
	_, err = BeginTransform(t.Context(), conn, Scope{View: v, Databases: d, Bounds: Bounds{Timeout: 200 * time.Millisecond}})
	const want = "source orders: reading warehouse:shop.orders was cancelled, by its database or after 200ms, which is all that a view may take " +
		"on this server; see who locks it, run shorter intervals (--from, --to), or raise HEADWATER_VIEW_TIMEOUT where the server runs"
	if f := fault.As(err); f == nil || f.Message != want {
		t.Errorf("found    %v\nexpected %s", err, want)
	}
}
