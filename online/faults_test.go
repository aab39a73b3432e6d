package online

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
	"github.com/headwaterhq/headwater/read"
)

const (
	// faultRows are in Redis during the tests of faults: the value of key n is n, so that a row that is another's is seen.
	faultRows = 200
	// faultPatience is how long what a fault brings about may last.
	faultPatience = 90 * time.Second
)

// writeNumbered writes the rows.
func writeNumbered(t testing.TB, client redis.UniversalClient) *feature.ViewVersion {
	t.Helper()
	v := view(1, "delays", "airport", columns(feature.TypeInt64))
	var items []Item
	for n := range faultRows {
		items = append(items, Item{"airport", strconv.Itoa(n), 1, pack(t, v, Header{Seq: 1, RunSeq: 1}, feature.Int64(int64(n)))})
	}
	mustWrite(t, client, items...)
	return v
}

// load reads batches of rows, from several goroutines, until it is stopped.
type load struct {
	running sync.WaitGroup
	stop    chan struct{}
	// answered and failed count reads, wrong what was found in their answers that is not so.
	answered, failed atomic.Int64
	wrong            atomic.Pointer[string]
}

func startLoad(reader *Reader, v *feature.ViewVersion) *load {
	l := &load{stop: make(chan struct{})}
	plan := NewPlan(planOf(v))
	for range 4 {
		l.running.Go(func() {
			for {
				select {
				case <-l.stop:
					return
				default:
					l.once(reader, plan)
				}
			}
		})
	}
	return l
}

func (l *load) once(reader *Reader, plan *Plan) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	numbers := make([]int, 1+rand.IntN(40))
	keys := make([]Key, len(numbers))
	for i := range numbers {
		numbers[i] = rand.IntN(faultRows)
		keys[i] = key(strconv.Itoa(numbers[i]))
	}
	winners, err := reader.Read(ctx, plan, [][]Key{keys}, 0)
	if err != nil {
		l.failed.Add(1)
		if reason := fault.ReasonOf(err); reason != fault.RedisUnavailable && reason != fault.DeadlineExceeded {
			text := fmt.Sprintf("error %v, expected REDIS_UNAVAILABLE or DEADLINE_EXCEEDED", err)
			l.wrong.Store(&text)
		}
		return
	}
	for i, w := range winners[0] {
		if w.Status != read.Present || w.Values[0].Int64() != int64(numbers[i]) {
			text := fmt.Sprintf("%v %v for key %d", w.Status, w.Values, numbers[i])
			l.wrong.Store(&text)
		}
	}
	l.answered.Add(1)
}

// works waits until many reads in a row were answered.
func (l *load) works(t testing.TB, when string) {
	t.Helper()
	l.inARow(t, 50, when)
}

// inARow waits until n reads in a row were answered.
func (l *load) inARow(t testing.TB, n int64, when string) {
	t.Helper()
	eventually(t, "reads that are answered "+when, func() bool {
		answered, failed := l.answered.Load(), l.failed.Load()
		for l.answered.Load() < answered+n {
			if l.failed.Load() != failed {
				return false
			}
			time.Sleep(time.Millisecond)
		}
		return l.failed.Load() == failed
	})
}

// end stops the load. Nothing that it read was wrong.
func (l *load) end(t testing.TB) {
	t.Helper()
	close(l.stop)
	l.running.Wait()
	t.Logf("%d reads were answered, %d failed", l.answered.Load(), l.failed.Load())
	if w := l.wrong.Load(); w != nil {
		t.Errorf("found %s", *w)
	}
}

// eventually waits for what is to come.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(faultPatience); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("found no %s in %v", what, faultPatience)
		}
	}
}

func openCopies(t testing.TB, addresses []string) redis.UniversalClient {
	t.Helper()
	client, err := Open(context.Background(), "redis://"+strings.Join(addresses, ","), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// A shard of a cluster is gone. What the others have is served to who takes partial answers, and to who asks for that alone.
func TestPartialAnswers(t *testing.T) {
	// As configured by default, a cluster that lacks a shard answers for none.
	cluster := testenv.StartCluster(t, false, "--cluster-require-full-coverage", "no")
	client := openCopies(t, cluster.Addresses())
	v := writeNumbered(t, client)
	cached := view(2, "cached", "route", columns(feature.TypeInt64))
	cached.Cache = time.Hour
	mustWrite(t, client, Item{"route", "r", 2, pack(t, cached, Header{Seq: 1, RunSeq: 1}, feature.Int64(5))})
	plan := planOf(v, cached)
	compiled := NewPlan(plan)
	reader := NewReader(client, DefaultPrefix)
	shard := func(n int) int {
		return int(slotOf(appendKey(nil, DefaultPrefix, "airport", strconv.Itoa(n)))) * 3 / 16384
	}
	ask := func(partial bool, numbers []int, routes ...string) (*Lookup, error) {
		l := reader.Lookup(compiled)
		t.Cleanup(l.Close)
		if partial {
			l.AllowPartial()
		}
		for _, n := range numbers {
			l.addEncoded(0, []byte(strconv.Itoa(n)), true)
		}
		for _, r := range routes {
			l.addEncoded(1, []byte(r), true)
		}
		if err := l.Fetch(context.Background()); err != nil {
			return l, err
		}
		return l, l.Judge(0, nil)
	}
	// Into the cache.
	if _, err := ask(false, []int{1}, "r"); err != nil {
		t.Fatal(err)
	}
	cluster.Masters[1].Kill()

	var all, gone, left []int
	for n := range faultRows {
		all = append(all, n)
		if shard(n) == 1 {
			gone = append(gone, n)
		} else {
			left = append(left, n)
		}
	}
	winners := func(l *Lookup, v int) []read.Winner {
		t.Helper()
		w, err := l.Winners(v)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	l, err := ask(true, all, "r")
	if err != nil {
		t.Fatal(err)
	}
	found := winners(l, 0)
	for n, w := range found {
		if shard(n) == 1 {
			if w.Status != read.Unavailable || w.Values != nil || w.EventTime != 0 {
				t.Fatalf("key %d of the shard that is gone: found %+v, expected UNAVAILABLE", n, w)
			}
		} else if w.Status != read.Present || w.Values[0].Int64() != int64(n) {
			t.Fatalf("key %d: found %+v, expected its value", n, w)
		}
	}
	if w := winners(l, 1)[0]; w.Status != read.Present || w.Values[0].Int64() != 5 {
		t.Errorf("found %+v of a row in memory, expected it", w)
	}
	// What is not known is not put in memory as if there were no row.
	d := feature.Int64(9)
	column := read.Column{Type: feature.TypeInt64, Default: &d}
	if value, status := column.Value(&found[gone[0]]); status != read.Unavailable || !value.IsNull() {
		t.Errorf("found %v %v of a column with a default, expected UNAVAILABLE", value, status)
	}
	if _, err := ask(true, left); err != nil {
		t.Errorf("found %v for keys of the shards that are there", err)
	}
	if _, err := ask(true, gone[:1], "r"); err != nil {
		t.Errorf("found %v where something is in memory", err)
	}
	for _, partial := range []bool{false, true} {
		if _, err := ask(partial, gone); fault.ReasonOf(err) != fault.RedisUnavailable {
			t.Errorf("partial %v: found %v where nothing is known, expected REDIS_UNAVAILABLE", partial, err)
		}
	}
	if _, err := ask(false, all); fault.ReasonOf(err) != fault.RedisUnavailable {
		t.Errorf("found %v without leave to answer in part, expected REDIS_UNAVAILABLE", err)
	}
}

// A master of a cluster is killed under load, and its replica takes its place; slots move under load. No read finds another value
// than there is, replicas are never asked, and errors end.
func TestReadsWhileAClusterChanges(t *testing.T) {
	// A master that gets no processor for that long is failed over too. A replica that is not elected at first tries again after four times
	// that, which is within faultPatience.
	cluster := testenv.StartCluster(t, true, "--cluster-node-timeout", "5000", "--cluster-replica-validity-factor", "0")
	client := openCopies(t, cluster.Addresses())
	v := writeNumbered(t, client)
	copied(t, cluster)
	l := startLoad(NewReader(client, DefaultPrefix), v)
	l.works(t, "before anything happens")
	for _, replica := range cluster.Replicas {
		if n := calls(t, replica, "hmget"); n != 0 {
			t.Errorf("found %d HMGETs on a replica, expected none: it may lack what its master has", n)
		}
	}
	moveSlots(t, cluster)
	l.works(t, "after slots moved")

	copied(t, cluster)
	cluster.Masters[2].Kill()
	eventually(t, "replica that took the place of its master", func() bool {
		return strings.Contains(cluster.Replicas[2].Client.Info(context.Background(), "replication").Val(), "role:master")
	})
	promoted := l.failed.Load()
	l.works(t, "after a failover")
	t.Logf("%d reads failed after the replica had taken over", l.failed.Load()-promoted)
	l.inARow(t, 2000, "when errors have ended")
	l.end(t)
	if calls(t, cluster.Replicas[2], "hmget") == 0 {
		t.Error("found no HMGET on the new master, expected those of its slots")
	}
}

// copied waits until replicas have what was written.
func copied(t testing.TB, cluster *testenv.Cluster) {
	t.Helper()
	offset := func(n *testenv.Node, field string) string {
		_, rest, _ := strings.Cut(n.Client.Info(context.Background(), "replication").Val(), "\r\n"+field+":")
		value, _, _ := strings.Cut(rest, "\r\n")
		return value
	}
	for i, replica := range cluster.Replicas {
		eventually(t, "replica that has all of its master", func() bool {
			want := offset(cluster.Masters[i], "master_repl_offset")
			return want != "" && offset(replica, "slave_repl_offset") == want
		})
	}
}

// calls is how often a node was asked by a command.
func calls(t testing.TB, n *testenv.Node, command string) int {
	t.Helper()
	text, err := n.Client.Info(context.Background(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(text, "cmdstat_"+command+":calls=")
	if !ok {
		return 0
	}
	count, _, _ := strings.Cut(rest, ",")
	number, err := strconv.Atoi(count)
	if err != nil {
		t.Fatal(err)
	}
	return number
}

// moveSlots moves the slots of some keys of the first master to the second, with what is in them.
func moveSlots(t testing.TB, cluster *testenv.Cluster) {
	t.Helper()
	ctx := context.Background()
	from, to := cluster.Masters[0], cluster.Masters[1]
	id := func(n *testenv.Node) string {
		text, err := n.Client.Do(ctx, "CLUSTER", "MYID").Text()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	do := func(n *testenv.Node, args ...any) {
		t.Helper()
		if err := n.Client.Do(ctx, args...).Err(); err != nil {
			t.Fatalf("%v: %v", args, err)
		}
	}
	host, port, _ := strings.Cut(to.Address, ":")
	moved := 0
	for n := 0; n < faultRows && moved < 20; n++ {
		key := string(appendKey(nil, DefaultPrefix, "airport", strconv.Itoa(n)))
		slot := slotOf([]byte(key))
		if int(slot)*3/16384 != 0 || from.Client.Exists(ctx, key).Val() == 0 {
			continue
		}
		do(to, "CLUSTER", "SETSLOT", slot, "IMPORTING", id(from))
		do(from, "CLUSTER", "SETSLOT", slot, "MIGRATING", id(to))
		keys, err := from.Client.ClusterGetKeysInSlot(ctx, int(slot), 1000).Result()
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range keys {
			do(from, "MIGRATE", host, port, k, 0, 60000)
		}
		do(to, "CLUSTER", "SETSLOT", slot, "NODE", id(to))
		do(from, "CLUSTER", "SETSLOT", slot, "NODE", id(to))
		moved++
	}
	if moved == 0 {
		t.Fatal("found no slot to move")
	}
}

// Redis is killed and started again under load, with what it had saved: reads fail meanwhile, and none finds what is not so.
func TestReadsWhileRedisIsKilled(t *testing.T) {
	server := testenv.StartRedis(t)
	client := openCopies(t, []string{server.Address})
	v := writeNumbered(t, client)
	if err := client.Save(context.Background()).Err(); err != nil {
		t.Fatal(err)
	}
	l := startLoad(NewReader(client, DefaultPrefix), v)
	for range 2 {
		l.works(t, "while Redis is there")
		failed := l.failed.Load()
		server.Kill()
		eventually(t, "read that fails", func() bool { return l.failed.Load() > failed })
		server.Start(t)
	}
	l.works(t, "after Redis came back")
	l.end(t)
}

// A shard that takes questions and answers none costs those who ask it their deadline, and nobody else anything.
func TestAShardThatHangs(t *testing.T) {
	cluster := testenv.StartCluster(t, false, "--cluster-require-full-coverage", "no", "--cluster-node-timeout", "60000")
	client := openCopies(t, cluster.Addresses())
	v := writeNumbered(t, client)
	plan := NewPlan(planOf(v))
	reader := NewReader(client, DefaultPrefix)
	hung := func(n int) bool {
		return int(slotOf(appendKey(nil, DefaultPrefix, "airport", strconv.Itoa(n))))*3/16384 == 2
	}
	var all, others, gone []Key
	for n := range faultRows {
		all = append(all, key(strconv.Itoa(n)))
		if hung(n) {
			gone = append(gone, all[n])
		} else {
			others = append(others, all[n])
		}
	}
	within := func(keys []Key, partial bool) ([]read.Winner, error) {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		l := reader.Lookup(plan)
		defer l.Close()
		if partial {
			l.AllowPartial()
		}
		for _, k := range keys {
			l.addEncoded(0, []byte(k.Text), k.OK)
		}
		if err := l.Fetch(ctx); err != nil {
			return nil, err
		}
		if err := l.Judge(0, nil); err != nil {
			return nil, err
		}
		return l.Winners(0)
	}
	cluster.Masters[2].Pause(t)
	if _, err := within(gone, false); fault.ReasonOf(err) != fault.DeadlineExceeded && fault.ReasonOf(err) != fault.RedisUnavailable {
		t.Errorf("found %v of a shard that hangs, expected DEADLINE_EXCEEDED or REDIS_UNAVAILABLE", err)
	}
	eventually(t, "answer of the other shards", func() bool {
		_, err := within(others, false)
		return err == nil
	})
	eventually(t, "part of an answer before the deadline", func() bool {
		winners, err := within(all, true)
		if err != nil {
			return false
		}
		unavailable, wrong := 0, 0
		for n, w := range winners {
			switch {
			case w.Status == read.Unavailable:
				unavailable++
			case hung(n) || w.Status != read.Present || w.Values[0].Int64() != int64(n):
				wrong++
			}
		}
		if wrong > 0 {
			t.Errorf("found %d wrong values, expected none", wrong)
		}
		return unavailable == len(gone)
	})
	cluster.Masters[2].Resume(t)
	eventually(t, "answer when the shard goes on", func() bool {
		_, err := within(all, false)
		return err == nil
	})
}

// The one Redis hangs: reads that share its pipelines end at their own deadlines, and others are answered when it goes on.
func TestARedisThatHangs(t *testing.T) {
	server := testenv.StartRedis(t)
	client := openCopies(t, []string{server.Address})
	v := writeNumbered(t, client)
	l := startLoad(NewReader(client, DefaultPrefix), v)
	l.works(t, "before")
	server.Pause(t)
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	_, err := NewReader(client, DefaultPrefix).Read(ctx, NewPlan(planOf(v)), [][]Key{{key("1")}}, 0)
	if fault.ReasonOf(err) != fault.DeadlineExceeded {
		t.Errorf("found %v, expected DEADLINE_EXCEEDED", err)
	}
	server.Resume(t)
	l.works(t, "after")
	l.end(t)
}
