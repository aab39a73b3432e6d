package materialize

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/internal/reference"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// waitFor waits for what a Redis Cluster does.
func waitFor(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited for %s in vain", what)
		}
	}
}

// A replica takes over that lacks what its master had acknowledged: what was loaded lately is loaded again, whoever notices it and
// however often, and the check tells of it.
func TestAFailoverThatLostWritesIsRepaired(t *testing.T) {
	ctx := context.Background()
	cluster := testenv.StartCluster(t, true, "--cluster-replica-validity-factor", "0", "--cluster-node-timeout", "60000")
	w := newWorld(t)
	w.useRedis(t, "redis://"+strings.Join(cluster.Addresses(), ","))
	src := w.newSource(t)
	view, quiet := w.newView(t, src, latest, 0), w.newView(t, src, latest, 0)
	const entities = 60
	var keys []string
	readings := func(value float64) (rows []reference.SourceRow) {
		for n := range entities {
			rows = append(rows, reading(fmt.Sprintf("n%d", n), 1, hours(0), value))
		}
		return rows
	}
	for n := range entities {
		keys = append(keys, fmt.Sprintf("n%d|1", n))
	}
	all := func(value string) string { return strings.TrimSpace(strings.Repeat(value+" ", entities)) }
	first := w.load(t, src, 0, readings(1)...)
	w.published(t, view, nil)
	w.published(t, quiet, nil)
	follow := func() {
		t.Helper()
		waitFor(t, "the Redis Cluster to answer", func() bool { return w.m.followStore(ctx) == nil })
	}
	follow()
	w.now = w.now.Add(time.Hour)
	follow()
	if n := w.count(t, `SELECT count(*) FROM headwater.online_repair`); n != 0 {
		t.Fatalf("found %d repairs while nothing changed", n)
	}

	// One replica does not hear of the second load.
	lost, replica := cluster.Masters[0], cluster.Replicas[0]
	if n, err := lost.Client.Do(ctx, "WAIT", 1, 30000).Int(); err != nil || n != 1 {
		t.Fatalf("found %d replicas with what was written (%v), expected 1", n, err)
	}
	replica.Pause(t)
	if err := lost.Client.Do(ctx, "CLIENT", "KILL", "TYPE", "replica").Err(); err != nil {
		t.Fatal(err)
	}
	w.load(t, src, first, readings(2)...)
	second := w.run(t, view, nil)
	// The client may ask the replica where slots are, and waits for that.
	waitFor(t, "the load to be acknowledged", func() bool { return w.m.loader.load(ctx, second.ID) == nil })
	waitFor(t, "the check to find it", func() bool {
		c, err := w.m.CheckOnline(ctx, view, 1, false)
		return err == nil && c.Different+c.Missing+c.Surplus == 0
	})
	lost.Kill()
	replica.Resume(t)
	if err := replica.Client.Do(ctx, "CLUSTER", "FAILOVER", "TAKEOVER").Err(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the replica to be asked", func() bool {
		_, err := w.m.loader.writer.Store(ctx)
		if err != nil {
			return false
		}
		c, err := w.m.CheckOnline(ctx, view, 1, false)
		return err == nil && c.Different > 0 && c.Missing == 0
	})

	// It is noticed, and who repairs it dies twice.
	for range 2 {
		w.failAt(stepRepaired, 1)
		waitFor(t, "the repair to break off", func() bool { return errors.Is(w.m.followStore(ctx), errBroken) })
		if n := w.count(t, `SELECT count(*) FROM headwater.online_repair WHERE ended_at IS NULL`); n != 2 {
			t.Fatalf("found %d repairs to do, expected those of both views", n)
		}
	}
	w.steady()
	w.m = w.materializer(t)
	follow()
	if found := w.served(t, view, keys...); found != all("2") {
		t.Errorf("found %s after the repair", found)
	}
	c, err := w.m.CheckOnline(ctx, view, 1, false)
	if err != nil || c.Different+c.Missing+c.Surplus != 0 || c.Repair == nil || c.Repair.EndedAt == nil || c.Repair.Entities != entities {
		t.Errorf("found %+v, %+v (%v), expected no difference and a repair of %d entities", c, c.Repair, err, entities)
	}
	// What was loaded long before is where it was.
	if c, err = w.m.CheckOnline(ctx, quiet, 1, false); err != nil || c.Different+c.Missing+c.Surplus != 0 || c.Repair.Entities != 0 || c.Repair.EndedAt == nil {
		t.Errorf("found %+v, %+v (%v), expected a repair of nothing", c, c.Repair, err)
	}
	follow()
	if n := w.count(t, `SELECT count(*) FROM headwater.online_repair WHERE ended_at IS NULL`); n != 0 {
		t.Errorf("found %d repairs to do when nothing changed since", n)
	}
}

// Rows that came due lately, and a rebuild, are lost as loads are.
func TestWhatARepairLoads(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	src := w.newSource(t)
	view := w.newView(t, src, latest, 0)
	at := hours(100)
	w.at(at)
	w.load(t, src, 0, reading("old", 1, hours(1), 1), reading("due", 1, at.Add(time.Hour), 1), reading("late", 1, at.Add(2*time.Hour), 1))
	w.published(t, view, nil)
	changes := func(entities int64) {
		t.Helper()
		if _, err := w.pool.Exec(ctx, `UPDATE headwater.online_store SET store = 'another'`); err != nil {
			t.Fatal(err)
		}
		if err := w.m.followStore(ctx); err != nil {
			t.Fatal(err)
		}
		c, err := w.m.CheckOnline(ctx, view, 1, false)
		if err != nil || c.Repair == nil || c.Repair.EndedAt == nil || c.Repair.Entities != entities {
			t.Errorf("found %+v (%v), expected a repair of %d entities", c.Repair, err, entities)
		}
	}
	if err := w.m.followStore(ctx); err != nil {
		t.Fatal(err)
	}
	// The run was loaded within the window.
	changes(3)
	w.at(at.Add(time.Hour))
	w.loadDue(t)
	if err := w.m.followStore(ctx); err != nil {
		t.Fatal(err)
	}
	w.at(at.Add(time.Hour + time.Minute))
	// Of rows that are yet to come nothing is online.
	changes(2)
	w.at(at.Add(3 * time.Hour))
	w.loadDue(t)
	if err := w.m.followStore(ctx); err != nil {
		t.Fatal(err)
	}
	changes(0)
	if _, err := w.m.loader.rebuild(ctx, view); err != nil {
		t.Fatal(err)
	}
	changes(3)
}
