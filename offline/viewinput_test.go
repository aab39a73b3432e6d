package offline

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// SQL cuts a key into what it was made of, whatever is in it.
func TestJoinKeysInSQL(t *testing.T) {
	pool := testenv.Postgres(t)
	text, number := feature.TypeString, feature.TypeInt64
	for _, types := range [][]feature.Type{
		{text}, {number}, {text, text}, {number, text}, {text, number}, {number, number, number}, {text, number, text, number, text},
	} {
		e := &feature.Entity{Name: "thing"}
		var selects []string
		for i, typ := range types {
			e.JoinKeys = append(e.JoinKeys, feature.Column{Name: fmt.Sprintf("k%d", i), Type: typ})
		}
		for i := range types {
			selects = append(selects, joinKey(e, i))
		}
		query := "SELECT " + strings.Join(selects, ", ") + ` FROM (SELECT $1::text COLLATE "C" AS entity_key) h`
		rapid.Check(t, func(rt *rapid.T) {
			want := make([]feature.Value, len(types))
			into := make([]any, len(types))
			for i, typ := range types {
				if typ == number {
					want[i], into[i] = feature.Int64(rapid.Int64().Draw(rt, "number")), new(int64)
				} else {
					want[i], into[i] = feature.String(rapid.StringMatching(`[a|\\\n.é]{0,6}`).Draw(rt, "text")), new(string)
				}
			}
			key, _, err := e.AppendKey(nil, want)
			if err != nil {
				rt.Fatal(err)
			}
			if err := pool.QueryRow(t.Context(), query, string(key)).Scan(into...); err != nil {
				rt.Fatalf("%q: %v", key, err)
			}
			for i, v := range want {
				found := feature.Null()
				switch p := into[i].(type) {
				case *int64:
					found = feature.Int64(*p)
				case *string:
					found = feature.String(*p)
				}
				if !found.Equal(v) {
					rt.Fatalf("%q: key %d: found %q, expected %q", key, i, found.Text(), v.Text())
				}
			}
		})
	}
}

// over is a view whose SQL reads delays, and flights.
func over(query string) *feature.ViewVersion {
	v := viewOf(query)
	v.Name = "over"
	input := viewOf("SELECT")
	input.EntityVersion = &feature.EntityVersion{Version: 1, Entity: feature.Entity{Name: "gate", JoinKeys: []feature.Column{
		{Name: "origin", Type: feature.TypeString}, {Name: "gate", Type: feature.TypeInt64},
	}}}
	input.Attributes = []feature.Column{{Name: "late", Type: feature.TypeBool}}
	v.ViewVersions = []*feature.ViewVersion{input}
	v.SQL.Views = []feature.ViewRef{{Name: "delays"}}
	return v
}

func TestCheckViewOverAView(t *testing.T) {
	pool := testenv.Postgres(t)
	check := func(v *feature.ViewVersion) error {
		return inRolledBack(t, pool, func(tx pgx.Tx) error {
			_, err := CheckView(t.Context(), tx, v)
			return err
		})
	}
	const all = `SELECT origin, event_time, max(available_at) AS available_at, sum(CASE WHEN late THEN n * gate END)::bigint AS n
		FROM delays GROUP BY origin, event_time`
	if err := check(over(all)); err != nil {
		t.Error(err)
	}
	if err := check(over(`SELECT d.origin, d.event_time, greatest(d.available_at, f.available_at) AS available_at, f.delay AS n FROM delays d JOIN flights f USING (origin)`)); err != nil {
		t.Error(err)
	}
	only := over(all)
	only.SourceVersions, only.SQL.Sources = nil, nil
	if err := check(only); err != nil {
		t.Error(err)
	}
	// What the history has besides, and what is behind it, is not shown.
	for query, want := range map[string]string{
		`SELECT entity_key AS origin, event_time, available_at, n FROM delays`:          `column "entity_key" does not exist`,
		`SELECT origin, event_time, available_at, seq_from AS n FROM delays`:            `column "seq_from" does not exist`,
		`SELECT origin, event_time, available_at, n FROM pg_temp._delays`:               `column "origin" does not exist`,
		`SELECT entity_key AS origin, event_time, available_at, n FROM pg_temp._delays`: "found a read of pg_temp_",
		`SELECT o.origin, o.event_time, o.available_at, o.n FROM other o`:               `relation "other" does not exist`,
	} {
		err := check(over(query))
		if fault.ReasonOf(err) != fault.InvalidSQL || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\nfound    %v\nexpected %s", query, err, want)
		}
	}
	onDemand := over(all)
	onDemand.ViewVersions[0].SQL, onDemand.ViewVersions[0].OnDemand = nil, &feature.OnDemand{}
	err := check(onDemand)
	want := "view over: found view delays, whose features are computed when they are read, expected a view with a history; compute them in " +
		"this SQL, or read what they are made of"
	if fault.ReasonOf(err) != fault.InvalidDefinition || err.Error() != want {
		t.Errorf("found    %v\nexpected %s", err, want)
	}
}
