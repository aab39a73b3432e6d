package materialize

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/reference"
)

// newJoin makes a view of two sources; query has %[1]s and %[2]s for their names.
func (w *world) newJoin(t *testing.T, left, right *feature.SourceVersion, query string, lookback time.Duration) *feature.ViewVersion {
	t.Helper()
	v := feature.View{
		Name: fmt.Sprintf("view%d", worldCounter.Add(1)), Entity: "sensor", Lookback: lookback,
		Features:   []feature.Column{{Name: "value", Type: feature.TypeFloat64}},
		Attributes: []feature.Column{{Name: "rows", Type: feature.TypeInt64}},
		SQL:        &feature.SQLTransform{Sources: []string{left.Name, right.Name}, Query: fmt.Sprintf(query, left.Name, right.Name)},
	}
	joined := &feature.ViewVersion{
		Version: 1, Fingerprint: feature.Digest{byte(worldCounter.Add(1))}, SourceVersions: []*feature.SourceVersion{left, right},
		EntityVersion: w.newView(t, left, latest, 0).EntityVersion, View: v,
	}
	w.createView(t, joined)
	return joined
}

func TestTheLedgerSaysWhatTheSQLLeavesOut(t *testing.T) {
	w := newWorld(t)
	left, right := w.newSource(t), w.newSource(t)
	rows := func(names ...string) (all []reference.SourceRow) {
		for i, name := range names {
			all = append(all, reading(name, 1, hours(float64(i)), float64(i)))
		}
		return all
	}
	w.load(t, left, 0, rows("a", "b", "c", "d", "e", "low")...)
	w.load(t, right, 0, append(rows("a", "b", "x"), reading("a", 2, hours(3), 7))...)
	const pairs = `SELECT l.name, l.room, l.event_time, greatest(l.available_at, max(r.available_at)) AS available_at, max(r.value) AS value, count(*) AS rows
		FROM %[1]s l JOIN %[2]s r ON r.name = l.name WHERE l.name <> 'low' AND r.room < 9 GROUP BY l.name, l.room, l.event_time, l.available_at`
	r := w.published(t, w.newJoin(t, left, right, pairs, 0), nil)
	if l := r.Ledger; l.Read != 10 || l.Used != 2+3 || l.Filtered != 5 || l.Unaccounted != 0 {
		t.Errorf("found %+v", l)
	}
	want := []LedgerReason{
		{"filtered", left.Name + ": WHERE of the query", 1},
		{"filtered", left.Name + ": no match in the join with " + right.Name, 3},
		{"filtered", right.Name + ": no match in the join with " + left.Name, 1},
	}
	if !slices.Equal(r.Reasons, want) {
		t.Errorf("found %+v, expected %+v", r.Reasons, want)
	}
	warning := fmt.Sprintf("source %s: an inner join lost 3 of 6 rows, which have no match in %s; if they are to count, write a LEFT JOIN, or bring "+
		"what is missing there", left.Name, right.Name)
	if !slices.Contains(r.Warnings, warning) {
		t.Errorf("found %q, expected %q among them", r.Warnings, warning)
	}

	const outer = `SELECT l.name, l.room, l.event_time, greatest(l.available_at, max(r.available_at)) AS available_at, max(r.value) AS value, count(*) AS rows
		FROM %[1]s l LEFT JOIN %[2]s r ON r.name = l.name GROUP BY l.name, l.room, l.event_time, l.available_at`
	r = w.published(t, w.newJoin(t, left, right, outer, 0), nil)
	if l := r.Ledger; l.Used != 6+3 || l.Filtered != 1 || len(r.Warnings) != 0 {
		t.Errorf("found %+v, warnings %q", l, r.Warnings)
	}

	const unknown = `SELECT l.name, l.room, l.event_time, l.available_at, l.value, 1::bigint AS rows FROM %[1]s l
		WHERE l.name IN (SELECT r.name FROM %[2]s r WHERE r.available_at <= l.available_at)`
	r = w.published(t, w.newJoin(t, left, right, unknown, 0), nil)
	if l := r.Ledger; l.Used != 2 || l.Filtered != 4 || l.Unaccounted != 4 || len(r.Warnings) != 1 {
		t.Errorf("found %+v, warnings %q", l, r.Warnings)
	}
}

// A row that an inner join matches several times, and one that a query with comments, quoted names and common table expressions
// reads, counts once.
func TestTheLedgerCountsRowsAndNotMatches(t *testing.T) {
	w := newWorld(t)
	left, right := w.newSource(t), w.newSource(t)
	var rows []reference.SourceRow
	for i, name := range []string{"a", "a", "b", "c", "d", "d"} {
		rows = append(rows, reading(name, 1, hours(float64(i)), float64(i)))
	}
	w.load(t, left, 0, rows...)
	// a has three matches, d two, c none, and b one that WHERE leaves out; z is asked for by nobody.
	w.load(t, right, 0, reading("a", 1, hours(0), 1), reading("a", 1, hours(0), 1), reading("a", 2, hours(0), 2), reading("d", 1, hours(0), 4),
		reading("d", 1, hours(0), -4), reading("b", 1, hours(0), -1), reading("z", 1, hours(0), 1))
	for name, query := range map[string]string{
		"plain": `SELECT l.name, l.room, l.event_time, greatest(l.available_at, max(r.available_at)) AS available_at, max(r.value) AS value, count(*) AS rows
			FROM %[1]s l JOIN %[2]s r ON r.name = l.name WHERE r.value > 0 AND r.available_at <= l.available_at GROUP BY l.name, l.room, l.event_time, l.available_at`,
		"quoted": `-- FROM nowhere WHERE true
			SELECT "Left".name, "Left".room, "Left".event_time, greatest("Left".available_at, max("r""x".available_at)) AS available_at, max("r""x".value) AS value, count(*) AS rows
			FROM "%[1]s" AS "Left" /* JOIN /* nested */ */ JOIN %[2]s "r""x" ON "r""x".name = "Left".name
			WHERE "r""x".value > 0 AND "r""x".available_at <= "Left".available_at AND 'WHERE -- x' <> $$FROM ; $$ GROUP BY 1, 2, 3, "Left".available_at -- end`,
		"with": `WITH l AS (SELECT * FROM %[1]s), r AS (SELECT name, available_at, value FROM %[2]s WHERE value > 0)
			SELECT l.name, l.room, l.event_time, greatest(l.available_at, max(r.available_at)) AS available_at, max(r.value) AS value, count(*) AS rows
			FROM l JOIN r ON r.name = l.name WHERE r.available_at <= l.available_at GROUP BY l.name, l.room, l.event_time, l.available_at`,
	} {
		r := w.published(t, w.newJoin(t, left, right, query, 0), nil)
		// Of the left: two of a and two of d. Of the right: three of a, one of d.
		if l := r.Ledger; l.Read != 13 || l.Used != 4+4 || l.Filtered != 5 || l.Unaccounted != 0 {
			t.Errorf("%s: found %+v %+v", name, l, r.Reasons)
		}
	}
}
