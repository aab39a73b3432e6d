package materialize

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/read"
)

// What one of the stores could not hold, or Postgres cannot compute, ends the run at once, with a message that says what it
// is: the same rows would fail every further attempt.
func TestRowsBeyondTheLimitsAreRefused(t *testing.T) {
	// 32 digits of md5 per part, which do not compress to less than an index takes.
	const long = `(SELECT string_agg(md5(g::text), '' ORDER BY g) FROM generate_series(1, %d) g)`
	for _, c := range []struct{ name, query, message string }{
		{"a long key", `SELECT ` + fmt.Sprintf(long, 100) + ` AS name, room, event_time, available_at, 'x' AS value, 1 AS rows FROM %s`,
			"found join keys of 3202 bytes, which begin with"},
		{"much text", `SELECT name, room, event_time, available_at, repeat('x', 16 << 20) AS value, 1 AS rows FROM %s`,
			"with 16777216 bytes of text, bytes, lists and vectors in its features and attributes, expected at most"},
		{"more than Postgres computes", `SELECT name, room, event_time, available_at, 'x' AS value, length(repeat('xy', 2000000000)) AS rows FROM %s`,
			"its SQL failed on the rows of this run: requested length too large"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			src := w.newSource(t)
			view := w.newTextView(t, src, c.query)
			w.load(t, src, 0, reading("a", 1, hours(0), 1))
			if r := w.run(t, view, nil); r.State != Failed || !strings.Contains(r.Error, c.message) || r.Seq != 1 {
				t.Fatalf("found the run %s after attempt %d: %q, expected it failed: %q", r.State, r.Seq, r.Error, c.message)
			}
		})
	}
}

func TestRowsAtTheLimitsReachBothStores(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	const key = `(SELECT string_agg(md5(g::text), '' ORDER BY g) FROM generate_series(1, 63) g) || repeat('k', 30)`
	view := w.newTextView(t, src, fmt.Sprintf(
		`SELECT %s AS name, room, event_time, available_at, repeat('x', %d) AS value, 1 AS rows FROM %%s`, key, feature.MaxRowText))
	w.load(t, src, 0, reading("a", 1, hours(0), 1))
	w.published(t, view, nil)
	var text string
	err := w.pool.QueryRow(t.Context(), `SELECT entity_key FROM `+pgx.Identifier{"headwater_history", view.Name + "_v1"}.Sanitize()).Scan(&text)
	if err != nil || len(text) != feature.MaxKeyBytes {
		t.Fatalf("found a key of %d bytes, expected %d: %v", len(text), feature.MaxKeyBytes, err)
	}
	got := w.online(t, view, text)[0]
	if got.Status != read.Present || len(got.Values[0].Str()) != feature.MaxRowText {
		t.Fatalf("found %s online, expected the row", got.Status)
	}
}
