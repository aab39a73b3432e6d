package materialize

import (
	"context"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/online"
	"github.com/headwaterhq/headwater/read"
)

// A rebuild brings back what Redis lost, and puts right what it holds wrongly, whatever sequence that claims.
func TestRebuildOnline(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	view := w.newView(t, src, latest, 0)
	never := w.newView(t, src, latest, time.Hour)
	first := w.load(t, src, 0, reading("a", 1, hours(0), 1), reading("b", 1, hours(0), 1))
	w.published(t, view, nil)
	w.load(t, src, first, reading("a", 1, hours(0), 2))
	w.published(t, view, nil)

	if n, err := w.redis.Del(context.Background(), w.redis.Keys(context.Background(), "*").Val()...).Result(); err != nil || n != 2 {
		t.Fatalf("deleted %d keys: %v", n, err)
	}
	wrong, err := online.NewLayout(view.Stored()).Append(nil, online.Header{
		Epoch: 1, Seq: 99, EventTime: hours(9), AvailableAt: hours(9), RunSeq: 98,
	}, []feature.Value{feature.Float64(666), feature.Int64(1)})
	if err != nil {
		t.Fatal(err)
	}
	item := online.Item{Entity: view.Entity, Key: "b|1", ViewID: view.ID, Packed: wrong}
	if _, err := w.m.config.Writer.Write(context.Background(), []online.Item{item}); err != nil {
		t.Fatal(err)
	}
	for epoch := int64(2); epoch <= 3; epoch++ {
		got, err := w.m.RebuildOnline(context.Background(), []*feature.ViewVersion{view, never})
		if err != nil {
			t.Fatal(err)
		}
		want := Rebuild{View: view, Epoch: epoch, Seq: 2, Written: 2, Tombstones: 1}
		if len(got) != 1 || *got[0] != want {
			t.Fatalf("found %+v, expected only %+v", got, want)
		}
		winners := w.online(t, view, "a|1", "b|1")
		if winners[0].Status != read.Present || winners[0].Values[0].Text() != "2" || winners[0].RunSeq != 2 {
			t.Errorf("a is %+v, expected the value 2 of run 2", winners[0])
		}
		if winners[1].Status != read.NoRow {
			t.Errorf("b is %+v, expected no row: it was withdrawn", winners[1])
		}
	}
	// A later run is of the new epoch.
	w.load(t, src, 0, reading("b", 1, hours(1), 3))
	w.published(t, view, nil)
	if got := w.online(t, view, "b|1")[0]; got.Status != read.Present || got.Values[0].Text() != "3" {
		t.Errorf("b is %+v after a later run, expected the value 3", got)
	}
}
