package offline

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// A collection that is stopped at any of its transactions leaves what can be read as it was, and the next one ends it.
func TestACollectionThatIsStoppedGoesOn(t *testing.T) {
	ctx := context.Background()
	pool := testenv.Postgres(t)
	v := &feature.ViewVersion{Version: 1, View: feature.View{Name: "things", Entity: "thing", Features: []feature.Column{{Name: "n", Type: feature.TypeInt64}}}}
	v.EntityVersion = &feature.EntityVersion{Version: 1, Entity: feature.Entity{Name: "thing", JoinKeys: []feature.Column{{Name: "k", Type: feature.TypeString}}}}
	conn, err := pgx.ConnectConfig(ctx, pool.Config().ConnConfig.Copy())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := conn.Exec(ctx, sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	count := func(where string) (n int64) {
		t.Helper()
		if err := conn.QueryRow(ctx, "SELECT count(*) FROM "+historyTable(v)+" WHERE "+where).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	err = conn.QueryRow(ctx, `INSERT INTO headwater.definition (kind, name, version, fingerprint, body, revision, applied_at, applied_by)
		VALUES ('view', 'things', 1, $1, '{}', 1, clock_timestamp(), 'test') RETURNING id`, v.Fingerprint[:]).Scan(&v.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return CreateHistory(ctx, tx, v) }); err != nil {
		t.Fatal(err)
	}
	exec(`INSERT INTO headwater.view_state (view_id, last_seq, published_seq) VALUES ($1, 4, 4) ON CONFLICT (view_id) DO UPDATE SET published_seq = 4`, v.ID)
	// Of each of 5 entities, of keys that collate otherwise elsewhere and times before the common era: rows [1,2), [2,3), [3,4) and [4,∞).
	exec("INSERT INTO " + historyTable(v) + ` (entity_key, event_time, available_at, n, seq_from, seq_to)
		SELECT k, t, t, s, s, CASE s WHEN 4 THEN 9223372036854775807 ELSE s + 1 END
		FROM unnest(ARRAY['a', 'B', 'é', 'a|', '']) k, unnest(ARRAY['0044-03-15 BC'::timestamptz, '2024-01-01 00:00:00.000001']) t, generate_series(1, 4) s`)
	exec(`INSERT INTO headwater.dataset (id, name, version, state, service, service_version, position, manifest, created_at)
		VALUES ('ds_1', 'd', 1, 'released', 's', 1, 1, '{}', clock_timestamp())`)
	exec(`INSERT INTO headwater.dataset_view (dataset_id, view_id, seq) VALUES ('ds_1', $1, 2)`, v.ID)

	stopped := errors.New("stopped")
	all := int64(0)
	for at := 1; ; at++ {
		calls := 0
		c, err := collect(ctx, conn, v, 3, 2, func(context.Context, pgx.Tx) error {
			if calls++; calls == at {
				return stopped
			}
			return nil
		})
		for seq := int64(1); seq <= 4; seq++ {
			ok, horizon, rerr := Readable(ctx, pool, v.ID, seq, false)
			if rerr != nil {
				t.Fatal(rerr)
			}
			if n := count(fmt.Sprintf("seq_from <= %d AND %[1]d < seq_to", seq)); ok && n != 10 {
				t.Errorf("stopped at %d: sequence %d shows %d rows and is said to be readable with horizon %d", at, seq, n, horizon)
			}
		}
		if err == nil {
			if c.Horizon != 3 || c.Protected != 10 {
				t.Errorf("found %+v, expected that what the dataset reads stays", *c)
			}
			break
		}
		if !errors.Is(err, stopped) || c != nil {
			t.Fatal(err)
		}
		all = count("true")
	}
	if n := count("true"); n != 30 || all < n {
		t.Errorf("%d rows are left, expected 30", n)
	}
	for seq, want := range map[int64]bool{0: true, 1: false, 2: true, 3: true, 4: true} {
		if ok, _, err := Readable(ctx, pool, v.ID, seq, false); err != nil || ok != want {
			t.Errorf("sequence %d: found readable %t (%v), expected %t", seq, ok, err, want)
		}
	}
	exec(`DELETE FROM headwater.dataset_view`)
	if c, err := collect(ctx, conn, v, 0, 2, func(context.Context, pgx.Tx) error { return nil }); err != nil || c.Rows != 10 || c.Horizon != 3 || count("true") != 20 {
		t.Errorf("found %+v (%v), expected that what was released went, and the horizon did not go back", c, err)
	}
	// However often it is collected, there is one index of the rows that ended, and it finds those alone.
	var indexes int64
	var definition string
	err = conn.QueryRow(ctx, `SELECT count(*), min(pg_get_indexdef(indexrelid)) FROM pg_index WHERE indrelid = $1::text::regclass AND indpred IS NOT NULL`,
		historyTable(v)).Scan(&indexes, &definition)
	if want := "(seq_to, entity_key, event_time, available_at, seq_from) WHERE (seq_to < '9223372036854775807'::bigint)"; err != nil || indexes != 1 ||
		!strings.HasSuffix(definition, want) {
		t.Errorf("found %d indexes, %s (%v), expected one with %s", indexes, definition, err, want)
	}
}
