package offline_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/reference"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/read"
)

// currentOf is what the reference says of an entity: its winner, and the first instant at which another row is.
func currentOf(h *reference.History, key string, now feature.Time, seq int64) string {
	w := h.PointInTime(key, now, 0, seq)
	if w.Status != read.Present {
		w = read.Winner{Status: read.NoRow}
	}
	text := reference.Describe(&w)
	for at := now + 1; at < firstInstant+2*instants; at++ {
		if next := h.PointInTime(key, at, 0, seq); next.Status == read.Present && reference.Describe(&next) != text {
			return fmt.Sprint(text, " until ", at)
		}
	}
	return text
}

func describeEntity(e *offline.Entity) string {
	text := reference.Describe(&e.Winner)
	if e.Due != nil {
		text = fmt.Sprint(text, " until ", *e.Due)
	}
	return text
}

// What is current is the reference's winner, of the entities asked for and no others, in order of their keys, and each
// says when that changes.
func TestCurrentIsTheReference(t *testing.T) {
	ctx := context.Background()
	view := wideView()
	conn := createHistory(t, view)
	// What Postgres tells of the rows per entity: nothing, few, some, or many.
	tuples := []string{"-1", "%[1]s * 1.5", "%[1]s * 8", "1e9"}
	const distinct = `(SELECT greatest(count(DISTINCT entity_key), 1) FROM headwater_history.wide_v1)`
	tell := func(n int) {
		for _, sql := range []string{
			`UPDATE pg_class SET reltuples = ` + strings.ReplaceAll(tuples[n], "%[1]s", distinct) + ` WHERE relname = 'wide_v1'`,
			`UPDATE pg_statistic s SET stadistinct = ` + distinct + ` FROM pg_attribute a WHERE a.attrelid = s.starelid
				AND a.attnum = s.staattnum AND a.attname = 'entity_key' AND s.starelid = 'headwater_history.wide_v1'::regclass`,
		} {
			if _, err := conn.Exec(ctx, sql); err != nil {
				t.Fatal(err)
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		h, last := drawHistory(t, view)
		if err := fill(ctx, conn, view, h); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exec(ctx, `ANALYZE headwater_history.wide_v1`); err != nil {
			t.Fatal(err)
		}
		tell(rapid.IntRange(0, len(tuples)-1).Draw(t, "rows per entity"))
		setPlan(t, conn)
		c := offline.Current{View: view, Seq: rapid.Int64Range(1, last).Draw(t, "seq"), Now: drawInstant.Draw(t, "now")}
		all := map[string]bool{}
		for i := range h.Rows {
			all[h.Rows[i].Key] = true
		}
		which := slices.Sorted(maps.Keys(all))
		if rapid.Bool().Draw(t, "of a run") {
			c.Touched = rapid.Int64Range(1, last).Draw(t, "touched")
			which = slices.Sorted(slices.Values(h.Touched(c.Touched)))
		}
		if rapid.Bool().Draw(t, "goes on") {
			after := rapid.SampledFrom(append(keys, "", "b'; --|1")).Draw(t, "after")
			c.After = &after
			which = slices.DeleteFunc(which, func(key string) bool { return key <= after })
		}
		var want []string
		for _, key := range which {
			want = append(want, key+": "+currentOf(h, key, c.Now, c.Seq))
		}
		var found []string
		err := c.Winners(ctx, conn, func(e *offline.Entity) error {
			found = append(found, e.Key+": "+describeEntity(e))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(found, want) {
			t.Errorf("found %q\nexpected %q", found, want)
		}

		asked := rapid.SliceOfDistinct(rapid.SampledFrom(append(keys, "nothing|1")), rapid.ID[string]).Draw(t, "asked")
		of, err := c.Of(ctx, conn, asked)
		if err != nil {
			t.Fatal(err)
		}
		known, err := c.Known(ctx, conn, asked)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range asked {
			if known[key] != all[key] || (of[key] != nil) != all[key] {
				t.Errorf("key %q: found %t and %v, expected %t", key, known[key], of[key], all[key])
			}
			if e := of[key]; e != nil && describeEntity(e) != currentOf(h, key, c.Now, c.Seq) {
				t.Errorf("key %q: found %q, expected %q", key, describeEntity(e), currentOf(h, key, c.Now, c.Seq))
			}
		}
	})
}
