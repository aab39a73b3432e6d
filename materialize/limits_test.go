package materialize

import (
	"fmt"
	"strings"
	"testing"

	"github.com/headwaterhq/headwater/feature"
)

// What a view's SQL meets again at every attempt ends its run at the first one, and says what it was.
func TestRunEndsAtWhatNoAttemptGetsPast(t *testing.T) {
	for _, c := range []struct{ name, query, message string }{
		{"nested too deep", `SELECT name, room, event_time, available_at, length(repeat('[', 1000000)::json::text)::float8 AS value, 1 AS rows FROM %s`,
			"its SQL failed on the rows of this run: stack depth limit exceeded"},
		{"more than a value may be", `SELECT name, room, event_time, available_at,
			length(repeat('x', room::int * 600000000) || repeat('y', 600000000))::float8 AS value, 1 AS rows FROM %s`,
			"its SQL failed on the rows of this run: invalid memory alloc request size"},
		{"a key that no index takes", `SELECT repeat(md5(name), 65) AS name, room, event_time, available_at, value, 1 AS rows FROM %s`,
			"join key name of entity sensor: found a key of 2080 bytes up to here, expected at most 2048"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			src := w.newSource(t)
			view := w.newView(t, src, latest, 0)
			w.load(t, src, 0, reading("a", 1, hours(0), 1))
			view.SQL = &feature.SQLTransform{Sources: []string{src.Name}, Query: fmt.Sprintf(c.query, src.Name)}
			r := w.run(t, view, nil)
			if r.State != Failed || !strings.Contains(r.Error, c.message) {
				t.Errorf("found the run %s: %q, expected it failed: %q", r.State, r.Error, c.message)
			}
		})
	}
}

// The longest key is written to the history, indexed, and loaded.
func TestLongestKey(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	// Postgres compresses what it can, so the key is what it cannot.
	view := w.newView(t, src, `SELECT (SELECT left(string_agg(md5(name || i), '' ORDER BY i), 2046) FROM generate_series(1, 70) i) AS name,
		room, event_time, available_at, value, 1 AS rows FROM %s`, 0)
	w.load(t, src, 0, reading("a", 1, hours(0), 1))
	r := w.published(t, view, nil)
	if n := w.count(t, fmt.Sprintf(`SELECT length(entity_key) FROM headwater_history.%s_v1`, view.Name)); n != feature.MaxKeyBytes {
		t.Errorf("found a key of %d bytes, expected %d", n, feature.MaxKeyBytes)
	}
	if r = w.get(t, r.ID); r.OnlineState != OnlineLoaded || r.OnlineWritten != 1 {
		t.Errorf("found the online store %s with %d rows written", r.OnlineState, r.OnlineWritten)
	}
}
