package main

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/client"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/localserver"
	"github.com/headwaterhq/headwater/internal/testenv"
	"github.com/headwaterhq/headwater/internal/wire"
)

// stepsFolder names the folder by which a test stops the program at a step. The test makes a file `stop-STEP` there; the
// first process to reach the step renames it to `reached`, and waits until there is a file `go`, or until it is killed.
const stepsFolder = "HEADWATER_TEST_STEPS_FOLDER"

func stopAt(folder string) func(step string) error {
	return func(step string) error {
		if os.Rename(filepath.Join(folder, "stop-"+step), filepath.Join(folder, "reached")) != nil {
			return nil
		}
		for os.Remove(filepath.Join(folder, "go")) != nil {
			time.Sleep(time.Millisecond)
		}
		return nil
	}
}

// crashDefinitions have a view of each kind: one row of a row, groups, windows, and groups of another view.
const crashDefinitions = `entities:
  - name: shop
    join_keys: [{name: shop, type: string}]
sources:
  - name: sales
    columns:
      - {name: sale, type: int64}
      - {name: at, type: timestamp}
      - {name: shop, type: string}
      - {name: amount, type: int64}
    event_time: at
    unique_key: [sale]
    duplicates: {conflicting: newest}
    landing: {}
feature_views:
  - name: sale
    entity: shop
    features: [{name: amount, type: int64}]
    sql:
      sources: [sales]
      query: SELECT shop, event_time, available_at, amount FROM sales
  - name: hourly
    entity: shop
    grain: 1h
    features: [{name: total, type: int64}]
    sql:
      sources: [sales]
      query: |
        SELECT shop, date_trunc('hour', event_time) + interval '1 hour' AS event_time, max(available_at) AS available_at,
               sum(amount)::bigint AS total
        FROM sales GROUP BY shop, date_trunc('hour', event_time)
  - name: windows
    entity: shop
    features: [{name: day, type: int64}, {name: week, type: int64}]
    aggregation:
      source: sales
      hop: 1h
      aggregates:
        - {feature: day, function: sum, column: amount, window: 24h}
        - {feature: week, function: count, window: 168h}
  - name: daily
    entity: shop
    grain: 24h
    features: [{name: best, type: int64}]
    sql:
      views: [hourly]
      query: |
        SELECT shop, date_trunc('day', event_time - interval '1 hour') + interval '1 day' AS event_time,
               max(available_at) AS available_at, max(total) AS best
        FROM hourly GROUP BY shop, date_trunc('day', event_time - interval '1 hour')
feature_services:
  - name: crash_model
    views: [{view: sale}, {view: hourly}, {view: windows}, {view: daily}]
`

var crashViews = []string{"sale", "hourly", "windows", "daily"}

const crashShops = 40

// crashChunkRows is so few that a run of everything has several chunks.
const crashChunkRows = 100

// crashSales is the n-th file of sales: new ones, late ones, and corrections of those of the file before.
func crashSales(n int) string {
	var b strings.Builder
	b.WriteString("sale,at,shop,amount\n")
	begin := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	sale := func(id, amount int) {
		// The id makes the moment, so that no shop has two rows of one.
		at := begin.Add(time.Duration(id%997)*7*time.Minute + time.Duration(id)*time.Second)
		fmt.Fprintf(&b, "%d,%s,shop%d,%d\n", id, at.Format("2006-01-02 15:04:05"), id%crashShops, amount)
	}
	const each = 400
	for i := range each {
		sale(n*each+i, 1+(i*7+n)%50)
	}
	for i := 0; n > 0 && i < each; i += 9 {
		sale((n-1)*each+i, 100+i+n)
	}
	return b.String()
}

// twin is a server with the definitions of crash tests.
type twin struct {
	*serverProcess
	postgres string
	// ids are those of its loads, in order.
	ids []int64
}

func openTwin(t *testing.T, s *serverProcess, postgres string) *twin {
	t.Helper()
	w := &twin{serverProcess: s, postgres: postgres}
	w.must(t, "apply", file(t, "crash.yaml", crashDefinitions))
	return w
}

// load sends the next file of sales, in the place of an earlier one, so that there are never many.
func (w *twin) load(t *testing.T) {
	t.Helper()
	n := len(w.ids)
	args := []string{"ingest", "sales", file(t, fmt.Sprintf("sales%d.csv", n), crashSales(n))}
	if n >= 3 {
		args = append(args, "--replaces", strconv.FormatInt(w.ids[n-3], 10))
	}
	var sent headwaterv1.ListLoadsResponse
	w.ask(t, &sent, args...)
	w.ids = append(w.ids, sent.Loads[0].Id)
}

// settled waits until no run is under way and all are loaded.
func (w *twin) settled(t *testing.T) {
	t.Helper()
	await(t, "all runs have ended and are loaded", func() bool {
		r := w.run("runs", "list", "-o", "json")
		if r.code != exitDone {
			return false
		}
		var runs headwaterv1.ListRunsResponse
		parse(t, r.out, &runs)
		for _, r := range runs.Runs {
			if r.State < headwaterv1.RunState_RUN_STATE_PUBLISHED || r.OnlineState == headwaterv1.OnlineState_ONLINE_STATE_PENDING {
				return false
			}
			if r.State != headwaterv1.RunState_RUN_STATE_PUBLISHED {
				t.Fatalf("found run %s %s: %s", runName(r), r.State, r.Error)
			}
		}
		return true
	})
}

// offline is the history of each view without its sequences, and the newest run's digest and ledger.
func (w *twin) offline(t *testing.T) map[string]string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), w.postgres)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	state := map[string]string{}
	for _, view := range crashViews {
		var rows string
		err := conn.QueryRow(t.Context(), `SELECT md5(string_agg(r, E'\n' ORDER BY r)) || ' of ' || count(*) FROM (
			SELECT (to_jsonb(h) - 'seq_from' - 'seq_to')::text || (h.seq_to = 9223372036854775807)::text AS r
			FROM headwater_history.`+pgx.Identifier{view + "_v1"}.Sanitize()+` h) AS rows`).Scan(&rows)
		if err != nil {
			t.Fatal(err)
		}
		state[view+" rows"] = rows
		var runs headwaterv1.ListRunsResponse
		w.ask(t, &runs, "runs", "list", "--view", view, "--limit", "1")
		state[view+" digest"] = runs.Runs[0].Digest
		l := runs.Runs[0].Ledger
		state[view+" ledger"] = l.String()
	}
	var left int
	err = conn.QueryRow(t.Context(), `SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = 'headwater_staging' AND c.relkind = 'r'`).Scan(&left)
	if err != nil {
		t.Fatal(err)
	}
	state["staging tables"] = strconv.Itoa(left)
	return state
}

// online is what is served of each view for each shop.
func (w *twin) online(ctx context.Context, c *client.Client) (map[string]string, error) {
	keys := &headwaterv1.KeyColumn{}
	for i := range crashShops {
		keys.Values = append(keys.Values, &headwaterv1.Value{Kind: &headwaterv1.Value_StringValue{StringValue: fmt.Sprintf("shop%d", i)}})
	}
	read, err := c.Online.GetFeatures(ctx, &headwaterv1.GetFeaturesRequest{
		Service: "crash_model", Keys: map[string]*headwaterv1.KeyColumn{"shop": keys},
	})
	if err != nil {
		return nil, err
	}
	state := map[string]string{}
	for _, f := range read.Features {
		view, _, _ := strings.Cut(f.Name, "__")
		for i := range crashShops {
			text := wire.StatusAt(f.Values, i).String()
			if wire.StatusAt(f.Values, i) == headwaterv1.ValueStatus_VALUE_STATUS_PRESENT {
				v, err := client.Value(f.Values, i)
				if err != nil {
					return nil, err
				}
				text = v.Text()
			}
			state[fmt.Sprintf("%s shop%d", view, i)] += " " + text
		}
	}
	return state, nil
}

// served is online of a server that answers.
func (w *twin) served(t *testing.T) map[string]string {
	t.Helper()
	c, err := client.Dial(w.address, w.token, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	state, err := w.online(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// watch reads online until the function it returns is called, which returns all that was served of each view and shop. A
// server or a store that is away is waited for.
func (w *twin) watch(t *testing.T) (stop func() map[string]map[string]bool) {
	t.Helper()
	seen := map[string]map[string]bool{}
	ctx, cancel := context.WithCancel(t.Context())
	c, err := client.Dial(w.address, w.token, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var reading sync.WaitGroup
	reading.Go(func() {
		for ctx.Err() == nil {
			state, err := w.online(ctx, c)
			// Others need the processors too.
			time.Sleep(10 * time.Millisecond)
			if err != nil {
				continue
			}
			for key, text := range state {
				if seen[key] == nil {
					seen[key] = map[string]bool{}
				}
				seen[key][text] = true
			}
		}
	})
	return func() map[string]map[string]bool {
		cancel()
		reading.Wait()
		c.Close()
		return seen
	}
}

// crashing is the twin that is disturbed, with stores of its own that can be killed and started again where they were.
type crashing struct {
	*twin
	folder       string
	postgres     *localserver.Postgres
	redis        *localserver.Redis
	postgresPort int
	redisPort    int
	environment  []string
	steps        string
}

func portOf(t *testing.T, address string) int {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// environment is more of that of its server.
func openCrashing(t *testing.T, environment ...string) *crashing {
	t.Helper()
	w := &crashing{folder: passableFolder(t), steps: t.TempDir()}
	w.startPostgres(t)
	w.startRedis(t)
	t.Cleanup(func() { _, _ = w.postgres.Stop(), w.redis.Stop() })
	w.postgresPort, w.redisPort = portOf(t, w.postgres.URL()), portOf(t, w.redis.URL())
	token := filepath.Join(t.TempDir(), "admin.token")
	if r := runProgram(t, []string{"HEADWATER_POSTGRES_URL=" + w.postgres.URL()}, "migrate", "--admin-token-file", token); r.code != exitDone {
		t.Fatalf("migrate: found status %d and %s", r.code, r.err)
	}
	w.environment = []string{
		"HEADWATER_POSTGRES_URL=" + w.postgres.URL(), "HEADWATER_REDIS_URL=" + w.redis.URL(), "HEADWATER_LISTEN=" + freeAddress(t),
		"HEADWATER_AUDIT_DIR=" + filepath.Join(w.folder, "audit"), stepsFolder + "=" + w.steps,
	}
	w.environment = append(w.environment, environment...)
	w.twin = openTwin(t, w.startServer(t, strings.TrimSpace(string(readFile(t, token)))), w.postgres.URL())
	return w
}

func (w *crashing) startServer(t *testing.T, token string) *serverProcess {
	t.Helper()
	_, address, _ := strings.Cut(w.environment[2], "=")
	s := launch(t, program(t, w.environment, "serve"), func() bool {
		return headwater("list", "roles", "--server", address, "--token", token).code == exitDone
	})
	s.address, s.token = address, token
	return s
}

func (w *crashing) startPostgres(t *testing.T) {
	t.Helper()
	// Backends that outlive a killed postmaster for a moment keep the folder.
	await(t, "Postgres has started", func() bool {
		p, err := localserver.StartPostgres(context.Background(), localserver.PostgresConfig{
			Dir: filepath.Join(w.folder, "postgres"), Durable: true, Port: w.postgresPort,
		})
		if err == nil {
			w.postgres = p
		}
		return err == nil
	})
}

func (w *crashing) startRedis(t *testing.T) {
	t.Helper()
	var err error
	w.redis, err = localserver.StartRedis(context.Background(), localserver.RedisConfig{
		Dir: filepath.Join(w.folder, "redis"), Durable: true, Port: w.redisPort,
	})
	if err != nil {
		t.Fatal(err)
	}
}

// pidOf is the process of one of the stores.
func (w *crashing) pidOf(t *testing.T, store string) int {
	t.Helper()
	_, server, _ := strings.Cut(strings.TrimSpace(string(readFile(t, filepath.Join(w.folder, store, "lock")))), " ")
	pid, err := strconv.Atoi(server)
	if err != nil || pid <= 0 {
		t.Fatalf("found no process of %s in its lock", store)
	}
	return pid
}

// children are the processes that a process has started.
func children(pid int) []int {
	var list []int
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for _, field := range strings.Fields(string(text)) {
		if child, err := strconv.Atoi(field); err == nil {
			list = append(list, child)
		}
	}
	return list
}

// kill ends one of `server`, `postgres` and `redis` at once, and starts it again.
func (w *crashing) killAndStart(t *testing.T, which string) {
	t.Helper()
	goOn := func() {
		if err := os.WriteFile(filepath.Join(w.steps, "go"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	switch which {
	case "server":
		w.kill()
		w.serverProcess = w.startServer(t, w.token)
	case "postgres":
		pid := w.pidOf(t, "postgres")
		for _, p := range append([]int{pid}, children(pid)...) {
			_ = syscall.Kill(p, syscall.SIGKILL)
		}
		goOn()
		_ = w.postgres.Stop()
		w.startPostgres(t)
	case "redis":
		_ = syscall.Kill(w.pidOf(t, "redis"), syscall.SIGKILL)
		goOn()
		_ = w.redis.Stop()
		w.startRedis(t)
	}
}

// stopNext has the server stop at a step, and awaitReached waits until it has.
func (w *crashing) stopNext(t *testing.T, step string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(w.steps, "stop-"+step), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (w *crashing) awaitReached(t *testing.T) {
	t.Helper()
	await(t, "the step is reached", func() bool { return os.Remove(filepath.Join(w.steps, "reached")) == nil })
}

// crashSteps are the steps of a run and of an online load at which each of the three processes is killed in turn.
var crashSteps = []string{
	"begun", "planned", "read", "cut", "chunk", "chunk written", "chunk done", "chunks done", "written", "publishing", "published",
	"load_begun", "load_batch", "load_done",
}

// TestCrashesLeaveNoTrace kills the server, Postgres and Redis at each step of a run, starts them again, and holds the end
// state to that of an undisturbed twin: histories, digests, ledgers, what is served, nothing left behind, and no reader who
// saw anything but the state before a run or that after it. With the race detector it kills the server alone.
func TestCrashesLeaveNoTrace(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts servers by the dozen")
	}
	t.Parallel()
	url := testenv.EmptyPostgresURL(t)
	calm := openTwin(t, startServe(t, url, testenv.RedisURL(t)), url)
	w := openCrashing(t)
	// The first run of each view fills its history in another way than those after it.
	if !t.Run("first run", func(c *testing.T) { w.crash(t, c, calm, "chunk done", "server") }) {
		return
	}
	killed := []string{"server", "postgres", "redis"}
	if withRaceDetector {
		killed = killed[:1]
	}
	for i, step := range crashSteps {
		for j, which := range killed {
			var flags []string
			if (i+j)%2 == 1 {
				flags = []string{"--full"}
			}
			if !t.Run(step+" "+which, func(c *testing.T) { w.crash(t, c, calm, step, which, flags...) }) {
				return
			}
		}
	}
}

// crash loads the next file into both twins, materializes all views of both, and kills one process of w at a step. What it
// starts lives as long as whole does.
func (w *crashing) crash(whole, t *testing.T, calm *twin, step, which string, flags ...string) {
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the server said\n%s", w.said(whole))
		}
	})
	args := slices.Concat([]string{"materialize"}, crashViews, flags)
	before := calm.served(t)
	calm.load(t)
	calm.must(t, args...)
	calm.settled(t)
	after := calm.served(t)

	seen := w.watch(t)
	w.load(t)
	w.stopNext(t, step)
	w.must(t, args...)
	w.awaitReached(t)
	w.killAndStart(whole, which)
	w.settled(t)

	if found, want := w.offline(t), calm.offline(t); !maps.Equal(found, want) {
		t.Errorf("found offline\n%s\nexpected\n%s", lines(found), lines(want))
	}
	if found := w.served(t); !maps.Equal(found, after) {
		t.Errorf("found served\n%s\nexpected\n%s", lines(found), lines(after))
	}
	for key, texts := range seen() {
		for text := range texts {
			if text != before[key] && text != after[key] {
				t.Errorf("%s: a reader saw%s, expected%s or%s", key, text, before[key], after[key])
			}
		}
	}
}

// lines is a state to read.
func lines(state map[string]string) string {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(state)) {
		fmt.Fprintf(&b, "%s: %s\n", key, state[key])
	}
	return b.String()
}
