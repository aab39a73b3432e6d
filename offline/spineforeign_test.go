package offline

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// Tables of others are read for a spine as they are for a run: of this database, and of another one.
func TestSpineOfATableOfOthers(t *testing.T) {
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
	const rows = `INSERT INTO shop.orders VALUES ('2001-01-02Z', 'b', 2), ('2001-01-01Z', 'c', 1), ('2001-01-02Z', 'a', 3), ('2001-01-03Z', NULL, 4)`
	for _, err := range []error{execute(t, pool, makeOrders+"; "+rows), execute(t, other, makeOrders+"; "+rows)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	conn, err := pgx.ConnectConfig(t.Context(), pool.Config().ConnConfig.Copy())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	read := func(scope SpineScope) (string, error) {
		scope.Databases = d
		s, err := OpenSpine(t.Context(), conn, scope)
		if err != nil {
			return "", err
		}
		defer func() {
			if err := s.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}()
		if err := s.Read(t.Context()); err != nil {
			return "", err
		}
		var lines []string
		err = s.Rows(t.Context(), func(values []feature.Value) error {
			lines = append(lines, values[0].Text()+" "+values[1].Text())
			return nil
		})
		return strings.Join(lines, "\n"), err
	}
	to := feature.Time(978_480_000_000_000)
	for _, name := range []string{"", "warehouse"} {
		one := []*feature.SourceVersion{ordersSource(name, "shop", "orders")}
		got, err := read(SpineScope{Sources: one, To: &to, Columns: []string{"at", "customer"}})
		if want := "2001-01-01T00:00:00Z c\n2001-01-02T00:00:00Z a\n2001-01-02T00:00:00Z b"; err != nil || got != want {
			t.Errorf("%s: found\n%s\n%v\nexpected\n%s", name, got, err, want)
		}
		got, err = read(SpineScope{Sources: one, SQL: "SELECT customer, sum(pieces)::bigint AS n FROM orders WHERE customer < 'c' GROUP BY customer ORDER BY customer"})
		if want := "a 3\nb 2"; err != nil || got != want {
			t.Errorf("%s: found\n%s\n%v\nexpected\n%s", name, got, err, want)
		}
		one[0].Postgres.Table = "gone"
		if _, err = read(SpineScope{Sources: one}); fault.ReasonOf(err) != fault.FailedPrecondition || !strings.HasPrefix(err.Error(), "source orders does not fit its table any longer: ") {
			t.Errorf("%s: found %v", name, err)
		}
	}
}

func execute(t *testing.T, q database.Querier, sql string) error {
	t.Helper()
	rows, err := q.Query(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		return err
	}
	rows.Close()
	return rows.Err()
}
