package materialize

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/online"
	"github.com/headwaterhq/headwater/read"
)

func noEntity(key string) *offline.Entity {
	return &offline.Entity{Key: key, Winner: read.Winner{Status: read.NoRow}}
}

// at sets the world's clock.
func (w *world) at(t feature.Time) { w.now = t.Time() }

func (w *world) loadDue(t testing.TB) {
	t.Helper()
	if err := w.m.loader.loadAllDue(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// dueAt is the due list, in the order of its keys.
func (w *world) dueAt(t testing.TB) []string {
	t.Helper()
	rows, err := w.pool.Query(context.Background(), `SELECT entity_key, due FROM headwater.online_due ORDER BY view_id, entity_key`)
	if err != nil {
		t.Fatal(err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (string, error) {
		var key string
		var due time.Time
		err := row.Scan(&key, &due)
		return key + " " + feature.TimeOf(due).String(), err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// A row of tomorrow is not served today, and is served tomorrow without a run, whether its event lies ahead or its arrival;
// by a server that was started since.
func TestRowOfTomorrowIsServedTomorrow(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	view := w.newView(t, src, latest, 0)
	today, tomorrow := hours(12), hours(36)
	w.at(today)
	w.load(t, src, 0,
		reading("a", 1, hours(1), 1), reading("a", 1, tomorrow, 2), reading("a", 1, tomorrow+1, 3),
		lateReading("b", 1, hours(2), tomorrow, feature.Float64(2)),
		reading("c", 1, hours(3), 1), lateReading("c", 1, hours(2), tomorrow, feature.Float64(2)),
	)
	w.published(t, view, nil)
	keys := []string{"a|1", "b|1", "c|1"}
	check := func(when, want string) {
		t.Helper()
		w.loadDue(t)
		if got := w.served(t, view, keys...); got != want {
			t.Errorf("%s: found the values %q, expected %q", when, got, want)
		}
	}
	check("today", "1  1")
	// The row of c that is known tomorrow is older than the one there is, and never counts.
	if got, want := w.dueAt(t), []string{"a|1 2024-01-02T12:00:00Z", "b|1 2024-01-02T12:00:00Z"}; !slices.Equal(got, want) {
		t.Errorf("found due %q, expected %q", got, want)
	}
	w.at(tomorrow - 1)
	check("a microsecond before", "1  1")
	w.at(tomorrow)
	w.m = w.materializer(t)
	check("tomorrow", "2 2 1")
	if got, want := w.dueAt(t), []string{"a|1 2024-01-02T12:00:00.000001Z"}; !slices.Equal(got, want) {
		t.Errorf("found due %q, expected %q", got, want)
	}
	w.at(tomorrow + 1)
	check("a microsecond after", "3 2 1")
	if got := w.dueAt(t); len(got) != 0 {
		t.Errorf("found due %q, expected nothing", got)
	}
}

// A server that was started looks by itself.
func TestServersLoadWhatIsDue(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	view := w.newView(t, src, latest, 0)
	w.at(hours(0))
	w.load(t, src, 0, reading("a", 1, hours(1), 1))
	w.published(t, view, nil)
	w.at(hours(1))
	w.start(t)
	w.start(t)
	deadline := time.Now().Add(time.Minute)
	for w.served(t, view, "a|1") != "1" {
		if time.Now().After(deadline) {
			t.Fatal("the row that became current is not served")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// What was withdrawn or corrected before it was due is not served then: the entry only says when to look.
func TestDueRowThatWasWithdrawn(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	view := w.newView(t, src, latest, 0)
	w.at(hours(0))
	first := w.load(t, src, 0, reading("a", 1, hours(0), 1), reading("a", 1, hours(2), 2), reading("b", 1, hours(2), 2))
	w.published(t, view, nil)
	w.load(t, src, first, reading("a", 1, hours(0), 1), reading("b", 1, hours(2), 3))
	w.published(t, view, nil)
	w.at(hours(2))
	w.loadDue(t)
	if got, want := w.served(t, view, "a|1", "b|1"), "1 3"; got != want {
		t.Errorf("found the values %q, expected %q", got, want)
	}
	if got := w.dueAt(t); len(got) != 0 {
		t.Errorf("found due %q, expected nothing", got)
	}
}

// What is due stays noted when the process dies after Redis took it, and when a rebuild comes in between.
func TestDueRowsOfADeadServer(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	view := w.newView(t, src, latest, 0)
	w.at(hours(0))
	w.load(t, src, 0, reading("a", 1, hours(0), 1), reading("a", 1, hours(2), 2))
	w.published(t, view, nil)
	w.at(hours(2))
	w.failAt(stepDueBatch, 1)
	if err := w.m.loader.loadAllDue(context.Background()); !errors.Is(err, errBroken) {
		t.Fatalf("found %v", err)
	}
	if got := w.dueAt(t); len(got) != 1 {
		t.Errorf("found due %q, expected the entity still to be", got)
	}
	w.steady()
	w.at(hours(1))
	if _, err := w.m.RebuildOnline(context.Background(), []*feature.ViewVersion{view}); err != nil {
		t.Fatal(err)
	}
	if got := w.served(t, view, "a|1"); got != "1" {
		t.Errorf("found the value %q, expected that of the time", got)
	}
	w.at(hours(2))
	w.loadDue(t)
	if got := w.served(t, view, "a|1"); got != "2" {
		t.Errorf("found the value %q, expected the one that became current", got)
	}
}

// Entities that one server is at work on are passed over by another.
func TestTwoServersShareWhatIsDue(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	view := w.newView(t, src, latest, 0)
	w.at(hours(0))
	w.load(t, src, 0, sensors(4, hours(1), 1)...)
	w.published(t, view, nil)
	w.at(hours(1))
	within := false
	w.reached = func(at string) error {
		if at == stepDueBatch && !within {
			within = true
			if n, err := w.materializer(t).loader.loadDue(context.Background()); err != nil || n != 0 {
				t.Errorf("found %d entities due to the second server, and %v, expected none", n, err)
			}
		}
		return nil
	}
	w.loadDue(t)
	w.wantStillServed(t, view, "1 1 1 1")
	if !within {
		t.Error("nothing was due")
	}
}

// TTL means the same in both stores: a row may be used up to the TTL after its event time, that instant included, and not a
// microsecond longer. Of an aggregation the event time is the point of the grid at which a value changed last, so a value
// that stays what it was expires like a row that nothing follows.
func TestTTLIsTheSameOfflineAndOnline(t *testing.T) {
	const ttl = 3 * time.Hour
	w := newWorld(t)
	src := w.newSource(t)
	rows := w.add(t, src, feature.View{
		TTL:        ttl,
		Features:   []feature.Column{{Name: "value", Type: feature.TypeFloat64}},
		Attributes: []feature.Column{{Name: "rows", Type: feature.TypeInt64}},
		SQL:        &feature.SQLTransform{Sources: []string{src.Name}, Query: fmt.Sprintf(latest, src.Name)},
	})
	windows := w.add(t, src, feature.View{
		TTL:        ttl,
		Features:   []feature.Column{{Name: "value", Type: feature.TypeFloat64}},
		Attributes: []feature.Column{{Name: "rows", Type: feature.TypeInt64}},
		Aggregation: &feature.Aggregation{Source: src.Name, Hop: time.Hour, Aggregates: []feature.Aggregate{
			{Feature: "value", Function: feature.Mean, Column: "value", Window: 10 * time.Hour},
			{Feature: "rows", Function: feature.Count, Window: 10 * time.Hour},
		}},
	})
	w.load(t, src, 0, reading("a", 1, hours(1), 1))
	for _, view := range []*feature.ViewVersion{rows, windows} {
		r := w.published(t, view, nil)
		for _, c := range []struct {
			at   feature.Time
			want read.Status
		}{
			{hours(1), read.Present},
			{hours(1).Add(ttl) - 1, read.Present},
			{hours(1).Add(ttl), read.Present},
			{hours(1).Add(ttl) + 1, read.Expired},
			{hours(9), read.Expired},
		} {
			w.at(c.at)
			if got := w.online(t, view, "a|1")[0].Status; got != c.want {
				t.Errorf("%s at %s: found %s online, expected %s", view.Name, c.at, got, c.want)
			}
			if got := w.pointInTime(t, view, r.Seq, "a|1", c.at).Status; got != c.want {
				t.Errorf("%s at %s: found %s offline, expected %s", view.Name, c.at, got, c.want)
			}
		}
		// Whatever the TTL, what is loaded is the newest row: readers judge its age.
		w.at(hours(9))
		if _, err := w.m.RebuildOnline(context.Background(), []*feature.ViewVersion{view}); err != nil {
			t.Fatal(err)
		}
		if h, err := online.DecodeHeader(w.stored(t, view, []string{"a|1"})[0]); err != nil || h.Tombstone || h.EventTime != hours(1) {
			t.Errorf("%s: found %+v and %v, expected the row of %s", view.Name, h, err, hours(1))
		}
	}
}

// pointInTime is the winner that a dataset has.
func (w *world) pointInTime(t testing.TB, v *feature.ViewVersion, seq int64, key string, at feature.Time) (winner read.Winner) {
	t.Helper()
	ctx := context.Background()
	conn, err := connect(ctx, w.pool)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	spine := func(yield func(offline.SpineRow, error) bool) { yield(offline.SpineRow{Key: []byte(key), At: at}, nil) }
	err = offline.PointInTime(ctx, conn, "ttl_spine", []offline.AsOf{{View: v, Seq: seq, TTL: v.TTL}}, spine,
		func(_ int64, winners []read.Winner) error {
			winner = winners[0]
			return nil
		})
	if err != nil {
		t.Fatal(err)
	}
	return winner
}
