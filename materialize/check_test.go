package materialize

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/localserver"
	"github.com/headwaterhq/headwater/online"
	"github.com/headwaterhq/headwater/read"
)

// check is what a check found, each difference as `KEY KIND: EXPECTED / FOUND`.
func (w *world) check(t testing.TB, v *feature.ViewVersion, show bool) (*OnlineCheck, string) {
	t.Helper()
	c, err := w.m.CheckOnline(context.Background(), v, 100, show)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, d := range c.Differences {
		lines = append(lines, fmt.Sprintf("%s %s: %s / %s", d.Key, d.Kind, d.Expected, d.Found))
	}
	return c, strings.Join(lines, "\n")
}

// put writes a row as something else than a load would.
func (w *world) put(t testing.TB, v *feature.ViewVersion, key string, h online.Header, value float64) {
	t.Helper()
	packed, err := online.NewLayout(v.Stored()).Append(nil, h, []feature.Value{feature.Float64(value), feature.Int64(1)})
	if err != nil {
		t.Fatal(err)
	}
	w.putBytes(t, v, key, packed)
}

func (w *world) putBytes(t testing.TB, v *feature.ViewVersion, key string, packed []byte) {
	t.Helper()
	if err := w.redis.HSet(context.Background(), "hw:sensor:"+key, fmt.Sprint(v.ID), packed).Err(); err != nil {
		t.Fatal(err)
	}
}

func TestCheckOnlineNamesDifferences(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	src := w.newSource(t)
	view := w.newView(t, src, latest, 0)
	other := w.newView(t, src, latest, 0)
	if c, err := w.m.CheckOnline(ctx, view, 100, true); c != nil || err != nil {
		t.Errorf("found %v and %v of a view without a run, expected nothing", c, err)
	}
	first := w.load(t, src, 0, append(sensors(6, hours(0), 1), reading("gone", 1, hours(0), 1), reading("back", 1, hours(0), 1))...)
	w.published(t, view, nil)
	w.published(t, other, nil)
	w.load(t, src, first, sensors(6, hours(0), 1)...)
	w.published(t, view, nil)
	if c, text := w.check(t, view, true); text != "" || c.Entities != 8 || c.Seq != 2 || c.PendingLoads != 0 {
		t.Fatalf("found %+v, expected no difference among 8 entities: %s", c, text)
	}

	at := online.Header{Epoch: 1, Seq: 1, EventTime: hours(0), AvailableAt: hours(0), RunSeq: 1}
	// As it was before: an earlier sequence, and the same row.
	w.put(t, view, "s00|1", at, 1)
	w.put(t, view, "s01|1", at, 7)
	if err := w.redis.HDel(ctx, "hw:sensor:s02|1", fmt.Sprint(view.ID)).Err(); err != nil {
		t.Fatal(err)
	}
	tombstone, err := online.AppendTombstone(nil, 1, 2, 2)
	if err != nil {
		t.Fatal(err)
	}
	w.putBytes(t, view, "s03|1", tombstone)
	w.putBytes(t, view, "s04|1", []byte("nonsense"))
	later := at
	later.Seq = 9
	w.put(t, view, "s05|1", later, 1)
	w.put(t, view, "gone|1", at, 1)
	// It is right that nothing is where nothing is to be.
	if err := w.redis.HDel(ctx, "hw:sensor:back|1", fmt.Sprint(view.ID)).Err(); err != nil {
		t.Fatal(err)
	}
	w.put(t, view, "unknown|1", at, 1)
	w.putBytes(t, view, "unknown|2", tombstone)

	const row = "event time 2024-01-01T00:00:00Z, available at 2024-01-01T00:00:00Z, of run 1 as of sequence "
	want := "gone|1 surplus: no row / " + row + "1, value 1, rows 1\n" +
		"s01|1 different: " + row + "2, value 1, rows 1 / " + row + "1, value 7, rows 1\n" +
		"s02|1 missing: " + row + "2, value 1, rows 1 / nothing\n" +
		"s03|1 missing: " + row + "2, value 1, rows 1 / a tombstone of run 2\n" +
		"s04|1 different: " + row + "2, value 1, rows 1 / a row that cannot be read: found row format version 110, expected 1\n" +
		"s05|1 different: " + row + "2, value 1, rows 1 / " + row + "9, value 1, rows 1, at epoch 1 and sequence 9, which are not those of any load\n" +
		"unknown|1 surplus: no row / " + row + "1, value 1, rows 1"
	c, text := w.check(t, view, true)
	if text != want || c.Missing != 2 || c.Different != 3 || c.Surplus != 2 {
		t.Errorf("found %+v\n%s\nexpected\n%s", c, text, want)
	}
	if _, text := w.check(t, view, false); strings.Contains(text, "value") || !strings.Contains(text, "s01|1 different: "+row+"2 / "+row+"1") {
		t.Errorf("found values: %s", text)
	}
	if c, err := w.m.CheckOnline(ctx, view, 1, true); err != nil || len(c.Differences) != 1 || c.Different != 3 {
		t.Errorf("found %+v and %v, expected one difference and all counts", c, err)
	}
	if _, text := w.check(t, other, true); text != "" {
		t.Errorf("found of another view %s", text)
	}
	// A rebuild puts right what the history knows of.
	if _, err := w.m.RebuildOnline(ctx, []*feature.ViewVersion{view}); err != nil {
		t.Fatal(err)
	}
	if c, text := w.check(t, view, true); c.Surplus != 1 || c.Missing+c.Different != 0 {
		t.Errorf("found after a rebuild %s", text)
	}
}

// A load that is at work while a check is, and ends meanwhile, leaves no difference; one that does not is told of.
func TestCheckOnlineWhileALoadRuns(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	src := w.newSource(t)
	view := w.newView(t, src, latest, 0)
	first := w.load(t, src, 0, sensors(4, hours(0), 1)...)
	w.published(t, view, nil)
	w.load(t, src, first, sensors(3, hours(0), 2)...)
	r := w.run(t, view, nil)
	c, _ := w.check(t, view, false)
	if c.Different != 3 || c.Surplus != 1 || c.PendingLoads != 1 {
		t.Errorf("found %+v, expected what the load is to bring, and that it is pending", c)
	}
	w.m.loader.batch, w.m.loader.lanes = 1, 1
	result, batches := make(chan *OnlineCheck, 1), 0
	w.reached = func(at string) error {
		if at == stepLoadBatch {
			if batches++; batches == 2 {
				began := make(chan struct{})
				go func() {
					close(began)
					c, err := w.m.CheckOnline(ctx, view, 10, false)
					if err != nil {
						t.Error(err)
					}
					result <- c
				}()
				<-began
			}
		}
		return nil
	}
	if err := w.m.loader.load(ctx, r.ID); err != nil {
		t.Fatal(err)
	}
	if c := <-result; c == nil || c.Missing+c.Different+c.Surplus != 0 || c.Seq != 2 {
		t.Errorf("found %+v, expected no difference", c)
	}
}

// `online rebuild` restores a Redis that was flushed, to the row.
func TestOnlineRebuildRestoresAFlushedRedis(t *testing.T) {
	ctx := context.Background()
	server, err := localserver.StartRedis(ctx, localserver.RedisConfig{Dir: filepath.Join(t.TempDir(), "redis")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop() })
	w := newWorld(t)
	w.useRedis(t, server.URL())
	src := w.newSource(t)
	views := []*feature.ViewVersion{w.newView(t, src, latest, 0), w.newWindowView(t, src, 1e9*3600)}
	w.at(hours(2))
	first := w.load(t, src, 0, append(sensors(50, hours(0.5), 1), reading("gone", 1, hours(0.5), 1), reading("s00", 1, hours(3), 9))...)
	for _, v := range views {
		w.published(t, v, nil)
	}
	w.load(t, src, first, append(sensors(50, hours(0.5), 2), reading("s00", 1, hours(3), 9))...)
	for _, v := range views {
		w.published(t, v, nil)
	}
	keys := append(sensorKeys(50), "gone|1")
	var before []string
	for _, v := range views {
		before = append(before, fmt.Sprint(w.online(t, v, keys...)))
	}
	if err := w.redis.FlushAll(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	if c, _ := w.check(t, views[0], false); c.Missing != 50 || c.Entities != 51 {
		t.Errorf("found %+v of a flushed Redis, expected 50 entities missing of 51", c)
	}
	// One that dies is asked for again.
	w.m.loader.batch, w.m.loader.lanes = 20, 1
	w.failAt(stepLoadBatch, 2)
	if _, err := w.m.RebuildOnline(ctx, views); !errors.Is(err, errBroken) {
		t.Fatalf("found %v", err)
	}
	w.steady()
	if _, err := w.m.RebuildOnline(ctx, views); err != nil {
		t.Fatal(err)
	}
	for i, v := range views {
		if after := fmt.Sprint(w.online(t, v, keys...)); after != before[i] {
			t.Errorf("%s: found\n%s\nexpected\n%s", v.Name, after, before[i])
		}
		if _, text := w.check(t, v, true); text != "" {
			t.Errorf("%s: found %s", v.Name, text)
		}
	}
	// What becomes current later is noted again too.
	w.at(hours(3))
	w.loadDue(t)
	if got := w.online(t, views[0], "s00|1")[0]; got.Status != read.Present || got.Values[0].Text() != "9" {
		t.Errorf("found %+v, expected the row that became current", got)
	}
}
