package materialize

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/localserver"
	"github.com/headwaterhq/headwater/internal/reference"
	"github.com/headwaterhq/headwater/online"
	"github.com/headwaterhq/headwater/read"
)

var errBroken = errors.New("broken")

// sensors is n readings of one moment, of as many sensors.
func sensors(n int, at feature.Time, value float64) []reference.SourceRow {
	rows := make([]reference.SourceRow, n)
	for i := range rows {
		rows[i] = reading(sensorName(i), 1, at, value)
	}
	return rows
}

func sensorName(i int) string { return fmt.Sprintf("s%02d", i) }

func sensorKeys(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = sensorName(i) + "|1"
	}
	return keys
}

// served is the values of keys online, "" for none.
func (w *world) served(t testing.TB, v *feature.ViewVersion, keys ...string) string {
	t.Helper()
	values := make([]string, len(keys))
	for i, winner := range w.online(t, v, keys...) {
		if winner.Status == read.Present {
			values[i] = winner.Values[0].Text()
		}
	}
	return strings.Join(values, " ")
}

// wantLoaded holds a run to what was counted of its load.
func (w *world) wantLoaded(t testing.TB, id int64, written, stale, tombstones int64) {
	t.Helper()
	r := w.get(t, id)
	if r.OnlineState != OnlineLoaded || r.OnlineWritten != written || r.OnlineStale != stale || r.OnlineTombstones != tombstones {
		t.Errorf("found run %s %s with %d written, %d stale, %d tombstones, expected it loaded with %d, %d, %d", r.Ref(), r.OnlineState,
			r.OnlineWritten, r.OnlineStale, r.OnlineTombstones, written, stale, tombstones)
	}
	if n := w.count(t, `SELECT count(*) FROM headwater.online_load`); n != 0 {
		t.Errorf("found the progress of %d loads, expected none", n)
	}
}

// failAt ends what reaches the step for the nth time.
func (w *world) failAt(step string, nth int) {
	w.reached = func(at string) error {
		if at == step {
			if nth--; nth == 0 {
				return errBroken
			}
		}
		return nil
	}
}

func (w *world) steady() { w.reached = func(string) error { return nil } }

// A load that dies, at whatever step, goes on behind what was acknowledged and noted, and counts each entity once.
func TestLoadGoesOnWhereItDied(t *testing.T) {
	const n, batch = 10, 3
	for _, c := range []struct {
		step string
		nth  int
		// noted is how many entities need not be loaded again.
		noted int
	}{
		{stepLoadBegun, 1, 0}, {stepLoadBatch, 1, 0}, {stepLoadBatch, 3, 6}, {stepLoadBatch, 4, 9}, {stepLoadDone, 1, 10},
	} {
		t.Run(fmt.Sprint(c.step, c.nth), func(t *testing.T) {
			ctx := context.Background()
			w := newWorld(t)
			src := w.newSource(t)
			view := w.newView(t, src, latest, 0)
			w.load(t, src, 0, append(sensors(n, hours(0), 1), reading("gone", 1, hours(0), 1))...)
			first := w.published(t, view, nil)
			w.wantLoaded(t, first.ID, n+1, 0, 0)
			w.load(t, src, 1, sensors(n-1, hours(0), 2)...)
			r := w.run(t, view, nil)
			w.m.loader.batch, w.m.loader.lanes = batch, 1
			w.failAt(c.step, c.nth)
			// Twice: what is there must not be counted again.
			for range 2 {
				if err := w.m.loader.load(ctx, r.ID); !errors.Is(err, errBroken) {
					t.Fatalf("found %v, expected the load to end at %s", err, c.step)
				}
				w.failAt(c.step, 1)
			}
			w.steady()
			// Entities that were noted are not offered again: so what is taken away of them stays away.
			all := append([]string{"gone|1"}, sensorKeys(n)...)
			for _, key := range all {
				if err := w.redis.Del(ctx, "hw:sensor:"+key).Err(); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.m.loader.load(ctx, r.ID); err != nil {
				t.Fatal(err)
			}
			// Those that the second attempt noted before it died are none, as it died at its first such step.
			there := 0
			for _, row := range w.stored(t, view, all) {
				if row != "" {
					there++
				}
			}
			if want := n + 1 - c.noted; c.step != stepLoadDone && there != want || c.step == stepLoadDone && there != 0 {
				t.Errorf("found %d entities loaded by the last attempt, expected %d", there, want)
			}
			w.wantLoaded(t, r.ID, n+1, 0, 2)
			// Doing it again changes nothing, counts included.
			if err := w.m.loader.load(ctx, r.ID); err != nil {
				t.Fatal(err)
			}
			w.wantLoaded(t, r.ID, n+1, 0, 2)
			if _, err := w.m.RebuildOnline(ctx, []*feature.ViewVersion{view}); err != nil {
				t.Fatal(err)
			}
			if got, want := w.served(t, view, all...), " 2 2 2 2 2 2 2 2 2 "; got != want {
				t.Errorf("found the values %q, expected %q", got, want)
			}
		})
	}
}

// stored is the packed rows of keys.
func (w *world) stored(t testing.TB, v *feature.ViewVersion, keys []string) []string {
	t.Helper()
	rows, err := online.NewReader(w.redis, online.DefaultPrefix).Stored(context.Background(), v.Entity, v.ID, keys)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// Two servers that load one run do it one after the other, and the second finds that there is nothing left to do.
func TestTwoServersLoadOneRun(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	view := w.newView(t, src, latest, 0)
	w.load(t, src, 0, sensors(20, hours(0), 1)...)
	r := w.run(t, view, nil)
	servers := []*Materializer{w.m, w.materializer(t)}
	begun := 0
	w.reached = func(at string) error {
		// The steps of one load are not reached while another is at work.
		if at == stepLoadBegun {
			begun++
		}
		return nil
	}
	var both sync.WaitGroup
	for _, m := range servers {
		m.loader.batch = 3
		both.Go(func() {
			if err := m.loader.load(context.Background(), r.ID); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	w.wantLoaded(t, r.ID, 20, 0, 0)
	if begun != 1 {
		t.Errorf("found %d loads that began, expected 1", begun)
	}
}

// A load that began before a later run was published, and whose server lost the lock without knowing it, writes what is stale
// and notes nothing.
func TestOlderLoadAfterANewerOne(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	src := w.newSource(t)
	view := w.newView(t, src, latest, 0)
	first := w.load(t, src, 0, sensors(4, hours(0), 1)...)
	r1 := w.run(t, view, nil)
	var r2 *Run
	w.m.loader.batch = 4
	w.reached = func(at string) error {
		if at != stepLoadBegun {
			return nil
		}
		w.steady()
		// Its winners are those of the first publication: the state was read.
		w.load(t, src, first, sensors(3, hours(0), 2)...)
		r2 = w.run(t, view, nil)
		n := w.count(t, `
			SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_locks
			WHERE locktype = 'advisory' AND classid = $1::bigint::oid AND objid = $2::bigint::oid
				AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`, int64(loadClass), view.ID)
		if n != 1 {
			t.Errorf("found %d holders of the load lock, expected 1", n)
		}
		if err := w.materializer(t).loader.load(ctx, r2.ID); err != nil {
			t.Error(err)
		}
		return nil
	}
	if err := w.m.loader.load(ctx, r1.ID); err == nil {
		t.Error("found no error of the load that lost the lock")
	}
	w.wantStillServed(t, view, "2 2 2 ")
	if r := w.get(t, r1.ID); r.OnlineState != OnlinePending || r.OnlineWritten != 0 {
		t.Errorf("found run %s %s with %d written, expected it pending", r.Ref(), r.OnlineState, r.OnlineWritten)
	}
	// Its next attempt loads at the newest sequence.
	if err := w.m.loader.load(ctx, r1.ID); err != nil {
		t.Fatal(err)
	}
	w.wantStillServed(t, view, "2 2 2 ")
	w.wantLoaded(t, r1.ID, 4, 0, 1)
}

func (w *world) wantStillServed(t testing.TB, view *feature.ViewVersion, want string) {
	t.Helper()
	if got := w.served(t, view, sensorKeys(4)...); got != want {
		t.Errorf("found the values %q, expected %q", got, want)
	}
}

// A rebuild that raises the epoch between two attempts at a load leaves its own rows standing, and the load goes on in its epoch.
func TestEpochRaisedWithinALoad(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	src := w.newSource(t)
	view := w.newView(t, src, latest, 0)
	w.load(t, src, 0, sensors(4, hours(0), 1)...)
	r := w.run(t, view, nil)
	w.m.loader.batch, w.m.loader.lanes = 2, 1
	w.failAt(stepLoadBatch, 2)
	if err := w.m.loader.load(ctx, r.ID); !errors.Is(err, errBroken) {
		t.Fatalf("found %v", err)
	}
	w.steady()
	if err := w.redis.FlushDB(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	got, err := w.m.RebuildOnline(ctx, []*feature.ViewVersion{view})
	if err != nil || got[0].Written != 4 || got[0].Epoch != 2 {
		t.Fatalf("found %+v and %v", got, err)
	}
	if err := w.m.loader.load(ctx, r.ID); err != nil {
		t.Fatal(err)
	}
	w.wantLoaded(t, r.ID, 4, 0, 0)
	w.wantStillServed(t, view, "1 1 1 1")
	for i, row := range w.stored(t, view, sensorKeys(4)) {
		if h, err := online.DecodeHeader(row); err != nil || h.Epoch != 2 {
			t.Errorf("entity %d: found %+v and %v, expected epoch 2", i, h, err)
		}
	}
	// One of the old epoch that was on its way is stale.
	state, err := getViewState(ctx, w.pool, view.ID)
	if err != nil {
		t.Fatal(err)
	}
	state.OnlineEpoch, state.PublishedSeq = 1, 99
	old := &packer{view: view, layout: online.NewLayout(view.Stored()), state: state, withdrew: 1}
	packed, err := old.append(nil, noEntity(sensorKeys(1)[0]))
	if err != nil {
		t.Fatal(err)
	}
	result, err := w.m.config.Writer.Write(ctx, []online.Item{{Entity: view.Entity, Key: sensorKeys(1)[0], ViewID: view.ID, Packed: packed}})
	if err != nil || result.Stale != 1 {
		t.Errorf("found %+v and %v, expected it stale", result, err)
	}
}

// Redis is killed while a load is at work. What it lost is loaded again once it is back, also what it had acknowledged.
func TestRedisKilledWithinALoad(t *testing.T) {
	ctx := context.Background()
	for _, durable := range []bool{false, true} {
		t.Run(fmt.Sprint("durable ", durable), func(t *testing.T) {
			config := localserver.RedisConfig{Dir: filepath.Join(t.TempDir(), "redis"), Durable: durable}
			server, err := localserver.StartRedis(ctx, config)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = server.Stop() })
			w := newWorld(t)
			w.useRedis(t, server.URL())
			src := w.newSource(t)
			view := w.newView(t, src, latest, 0)
			w.load(t, src, 0, sensors(20, hours(0), 1)...)
			r := w.run(t, view, nil)
			w.m.loader.batch, w.m.loader.lanes = 4, 1
			batches := 0
			w.reached = func(at string) error {
				if at == stepLoadBatch {
					if batches++; batches == 2 {
						kill(t, w.redis, server)
					}
				}
				return nil
			}
			if err := w.m.loader.load(ctx, r.ID); err == nil {
				t.Fatal("found no error of a load without Redis")
			}
			if n := w.count(t, `SELECT written FROM headwater.online_load WHERE run_id = $1`, r.ID); n < 4 || n >= 20 {
				t.Errorf("found %d entities noted, expected some and not all", n)
			}
			config.Port = portOf(t, server.URL())
			again, err := localserver.StartRedis(ctx, config)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = again.Stop() })
			w.steady()
			if err := w.m.loader.load(ctx, r.ID); err != nil {
				t.Fatal(err)
			}
			w.wantLoaded(t, r.ID, 20, 0, 0)
			if got, want := w.served(t, view, sensorKeys(20)...), strings.TrimSuffix(strings.Repeat("1 ", 20), " "); got != want {
				t.Errorf("found the values %q, expected %q", got, want)
			}
		})
	}
}

// A Redis that comes back so fast that no write fails is noticed at the end of the load.
func TestRedisStartedAgainWithinALoad(t *testing.T) {
	ctx := context.Background()
	config := localserver.RedisConfig{Dir: filepath.Join(t.TempDir(), "redis")}
	server, err := localserver.StartRedis(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop() })
	w := newWorld(t)
	w.useRedis(t, server.URL())
	src := w.newSource(t)
	view := w.newView(t, src, latest, 0)
	w.load(t, src, 0, sensors(4, hours(0), 1)...)
	r := w.run(t, view, nil)
	w.m.loader.batch, w.m.loader.lanes = 4, 1
	w.reached = func(at string) error {
		if at == stepLoadBatch {
			kill(t, w.redis, server)
			config.Port = portOf(t, server.URL())
			again, err := localserver.StartRedis(ctx, config)
			if err != nil {
				return err
			}
			t.Cleanup(func() { _ = again.Stop() })
		}
		return nil
	}
	if err := w.m.loader.load(ctx, r.ID); !errors.Is(err, errStoreChanged) {
		t.Fatalf("found %v, expected %v", err, errStoreChanged)
	}
	w.steady()
	if err := w.m.loader.load(ctx, r.ID); err != nil {
		t.Fatal(err)
	}
	w.wantLoaded(t, r.ID, 4, 0, 0)
	w.wantStillServed(t, view, "1 1 1 1")
}

// useRedis has the world write to another Redis.
func (w *world) useRedis(t *testing.T, at string) {
	t.Helper()
	client, err := online.Open(context.Background(), at, online.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	w.redis = client
	w.m = w.materializer(t)
}

// kill ends a Redis with the signal that nothing can catch, and returns when it is gone.
func kill(t *testing.T, client redis.UniversalClient, server *localserver.Redis) {
	t.Helper()
	info, err := client.Info(context.Background(), "server").Result()
	if err != nil {
		t.Error(err)
		return
	}
	_, rest, _ := strings.Cut(info, "process_id:")
	line, _, _ := strings.Cut(rest, "\r\n")
	pid, err := strconv.Atoi(line)
	if err != nil || pid <= 1 || pid == os.Getpid() {
		t.Errorf("found the process id %q of Redis", line)
		return
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	<-server.Done()
	// Gives the lock of the data directory back.
	_ = server.Stop()
}

func portOf(t *testing.T, at string) int {
	t.Helper()
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		t.Fatal(err)
	}
	return port
}
