package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/outbox"
	"github.com/headwaterhq/headwater/internal/testenv"
)

const secret = "whsec_c2VjcmV0IG9mIGEgd2ViaG9vaw=="

type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// endpoint takes notices, and answers as it is told.
type endpoint struct {
	*httptest.Server
	mu     sync.Mutex
	answer func(e *event, times int) int
	// hangs: nobody is answered who waits for it.
	hangs bool
	// asked is what was found of each notice that came, and taken of each that was answered with 200; bodies by id.
	asked, taken []string
	bodies       map[string][]byte
	times        map[string]int
}

func newEndpoint(t *testing.T, answer func(e *event, times int) int) *endpoint {
	p := &endpoint{answer: answer, bodies: map[string][]byte{}, times: map[string]int{}}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var e event
		if err != nil || json.Unmarshal(body, &e) != nil {
			t.Errorf("found %s, %v", body, err)
			return
		}
		seconds, err := strconv.ParseInt(r.Header.Get("webhook-timestamp"), 10, 64)
		if err != nil || r.Header.Get("webhook-id") != e.ID || r.Header.Get("webhook-signature") != Sign([]byte("secret of a webhook"), e.ID, time.Unix(seconds, 0), body) {
			t.Errorf("found the headers %v with %s, expected its id and signature", r.Header, body)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		if before := p.bodies[e.ID]; before != nil && !bytes.Equal(before, body) {
			t.Errorf("found %s again as %s", before, body)
		}
		p.bodies[e.ID] = body
		p.times[e.ID]++
		p.asked = append(p.asked, e.Data.Found)
		if p.hangs {
			<-r.Context().Done()
			return
		}
		status := http.StatusOK
		if p.answer != nil {
			status = p.answer(&e, p.times[e.ID])
		}
		if status == http.StatusOK {
			p.taken = append(p.taken, e.Data.Found)
		}
		w.Header().Set("Location", "http://127.0.0.1:1/")
		w.WriteHeader(status)
		fmt.Fprint(w, strings.Repeat("said by the receiver ", 10000))
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *endpoint) seen() (asked, taken []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.asked), slices.Clone(p.taken)
}

type world struct {
	t    *testing.T
	pool *pgxpool.Pool
	log  *logged
}

func newWorld(t *testing.T) *world {
	w := &world{t, testenv.Postgres(t), &logged{}}
	w.exec(`INSERT INTO headwater.definition (kind, name, version, fingerprint, body, revision, applied_at, applied_by)
		VALUES ('view', 'delays', 1, sha256('delays'), '{"featureViews": [{"name": "delays", "owner": "team-one"}]}', 1, now(), 'ada'),
			('view', 'delays', 2, sha256('delays2'), '{"featureViews": [{"name": "delays", "owner": "team-two"}]}', 2, now(), 'ada')`)
	return w
}

func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	if _, err := w.pool.Exec(context.Background(), sql, args...); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) count(where string) (n int) {
	w.t.Helper()
	if err := w.pool.QueryRow(context.Background(), `SELECT count(*) FROM headwater.outbox WHERE `+where).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

func notice(node, found string) Notice {
	return Notice{Kind: RunFailed, Node: node, OwnedKind: "view", OwnedName: "delays", Found: found, Expected: "a run", Remedy: "headwater runs show 1"}
}

// write commits notices, `NODE FOUND` each, one after the other.
func (w *world) write(notices ...string) {
	w.t.Helper()
	for _, text := range notices {
		node, found, _ := strings.Cut(text, " ")
		err := pgx.BeginFunc(context.Background(), w.pool, func(tx pgx.Tx) error { return Add(context.Background(), tx, notice(node, found)) })
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

// start delivers, and is patient: an attempt that is given up comes again.
func (w *world) start(hooks ...Webhook) (stop func()) {
	w.t.Helper()
	return w.startWithin(30*time.Second, hooks...)
}

// startWithin delivers, with a bound for each attempt.
func (w *world) startWithin(timeout time.Duration, hooks ...Webhook) (stop func()) {
	w.t.Helper()
	n, err := Start(Config{Pool: w.pool, Webhooks: hooks, Log: slog.New(slog.NewTextHandler(w.log, nil)), Timeout: timeout, Every: 5 * time.Millisecond})
	if err != nil {
		w.t.Fatal(err)
	}
	stop = sync.OnceFunc(n.Close)
	w.t.Cleanup(stop)
	return stop
}

func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("waited for %s in vain; the log:\n%s", what, w.log)
		}
	}
}

func (w *world) empty() {
	w.t.Helper()
	w.eventually("an empty outbox", func() bool { return w.count(`parked_at IS NULL`) == 0 })
}

// A notice says whose it is by the newest version, and nothing of rows; one that is rolled back is none.
func TestANoticeSaysWhoseItIsAndNothingOfRows(t *testing.T) {
	w := newWorld(t)
	e := newEndpoint(t, nil)
	err := pgx.BeginFunc(t.Context(), w.pool, func(tx pgx.Tx) error {
		return Add(t.Context(), tx, notice("view:delays@1", "key "+fault.Data("K-secret")+" is there twice"))
	})
	if err != nil {
		t.Fatal(err)
	}
	rolledBack := fmt.Errorf("rolled back")
	err = pgx.BeginFunc(t.Context(), w.pool, func(tx pgx.Tx) error {
		if err := Add(t.Context(), tx, notice("view:delays@1", "never")); err != nil {
			return err
		}
		return rolledBack
	})
	if err != rolledBack {
		t.Fatal(err)
	}
	w.start(Webhook{Name: "one", URL: e.URL, Secret: secret})
	w.empty()
	var found map[string]any
	for id, body := range e.bodies {
		if err := json.Unmarshal(body, &found); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(body), "K-secret") || found["id"] != id || found["version"] != 1.0 || found["type"] != "run.failed" || !strings.HasSuffix(found["timestamp"].(string), "Z") {
			t.Errorf("found %s", body)
		}
	}
	data, _ := found["data"].(map[string]any)
	if len(e.bodies) != 1 || data["node"] != "view:delays@1" || fmt.Sprint(data["owners"]) != "[team-two]" || data["found"] != "key "+fault.HiddenData+" is there twice" || data["expected"] != "a run" || data["remedy"] != "headwater runs show 1" {
		t.Errorf("found %v", found)
	}
}

// Each webhook has the notices that it wants, in the order of their nodes, whatever another one does; one that is away is told when it is back.
func TestWebhooksAreToldInOrder(t *testing.T) {
	w := newWorld(t)
	away := newEndpoint(t, func(e *event, _ int) int { return http.StatusServiceUnavailable })
	var ready atomic.Bool
	fine := newEndpoint(t, func(e *event, _ int) int {
		if e.Data.Found == "1" && !ready.Load() {
			return http.StatusFound
		}
		return http.StatusOK
	})
	picky := newEndpoint(t, nil)
	w.write("a 1", "b 2", "a 3", "b 4")
	hooks := []Webhook{{Name: "away", URL: away.URL, Secret: secret}, {Name: "fine", URL: fine.URL + "?key=hidden", Secret: secret}, {Name: "picky", URL: picky.URL, Secret: secret, Kinds: []Kind{ScoreLow}}}
	stop := w.start(hooks...)
	for i := 1; i < 3; i++ {
		w.eventually("an attempt that fails", func() bool { return w.count(fmt.Sprintf(`channel = 'webhook:fine' AND attempts >= %d`, i)) == 1 })
		w.exec(`UPDATE headwater.outbox SET not_before = NULL WHERE channel = 'webhook:fine'`)
	}
	w.eventually("those of b", func() bool {
		_, taken := fine.seen()
		return len(taken) == 2
	})
	ready.Store(true)
	w.exec(`UPDATE headwater.outbox SET not_before = NULL WHERE channel = 'webhook:fine'`)
	w.eventually("the others", func() bool { return w.count(`channel = 'webhook:fine'`) == 0 })
	if _, taken := fine.seen(); fmt.Sprint(taken) != "[2 4 1 3]" {
		t.Errorf("found %v taken, expected those of b, and those of a in their order", taken)
	}
	if asked, _ := picky.seen(); len(asked) != 0 {
		t.Errorf("found %v told to whom wants others", asked)
	}
	w.eventually("an attempt", func() bool { return w.count(`channel = 'webhook:away' AND attempts > 0`) > 0 })
	stop()
	if n := w.count(`channel = 'webhook:away'`); n != 4 {
		t.Errorf("found %d notices for who is away, expected 4 to wait", n)
	}
	// Another server, and the receiver is back.
	away.mu.Lock()
	away.answer = nil
	away.mu.Unlock()
	w.exec(`UPDATE headwater.outbox SET not_before = NULL`)
	w.start(hooks...)
	w.empty()
	if _, taken := away.seen(); len(taken) != 4 || slices.Index(taken, "1") > slices.Index(taken, "3") || slices.Index(taken, "2") > slices.Index(taken, "4") {
		t.Errorf("found %v taken", taken)
	}
	if log := w.log.String(); strings.Contains(log, "hidden") || strings.Contains(log, "secret of") || strings.Contains(log, secret) || !strings.Contains(log, "status 302") {
		t.Errorf("found the log\n%s\nexpected no secret in it, and that a redirect is not followed", log)
	}
}

// What is written before anybody delivers, or by a server that dies before it does, is delivered by the next; several servers deliver each once.
func TestOneOfManyServersTells(t *testing.T) {
	w := newWorld(t)
	e := newEndpoint(t, nil)
	var want []string
	for i := range 40 {
		want = append(want, fmt.Sprint(i))
		w.write(fmt.Sprintf("node%d %d", i%3, i))
	}
	for range 3 {
		w.start(Webhook{Name: "one", URL: e.URL, Secret: secret})
	}
	w.empty()
	if asked, _ := e.seen(); fmt.Sprint(asked) != fmt.Sprint(want) {
		t.Errorf("found %v, expected each once, in order", asked)
	}
}

// A notice whose answer was lost comes again, as it was, with its id.
func TestANoticeComesAgainWithItsID(t *testing.T) {
	w := newWorld(t)
	e := newEndpoint(t, nil)
	e.hangs = true
	w.write("a 1")
	stop := w.startWithin(200*time.Millisecond, Webhook{Name: "one", URL: e.URL, Secret: secret})
	w.eventually("an attempt that came and was given up", func() bool {
		asked, _ := e.seen()
		return len(asked) > 0 && w.count(`attempts > 0`) == 1
	})
	stop()
	e.mu.Lock()
	e.hangs = false
	lost := len(e.asked)
	e.mu.Unlock()
	w.exec(`UPDATE headwater.outbox SET not_before = NULL`)
	w.start(Webhook{Name: "one", URL: e.URL, Secret: secret})
	w.empty()
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.asked) != lost+1 || len(e.taken) != 1 || len(e.bodies) != 1 {
		t.Errorf("found %d notices with %d ids, %d of them taken, expected one that was lost %d times, and then taken", len(e.asked), len(e.bodies), len(e.taken), lost)
	}
}

// One that is refused, or that nobody takes for long, is parked, and holds up none behind it until it is sent again by somebody.
func TestANoticeIsParkedAndSentAgain(t *testing.T) {
	w := newWorld(t)
	e := newEndpoint(t, func(e *event, _ int) int {
		switch e.Data.Found {
		case "1":
			return http.StatusUnprocessableEntity
		case "2":
			return http.StatusInternalServerError
		}
		return http.StatusOK
	})
	w.write("a 1", "a 2", "a 3")
	w.start(Webhook{Name: "one", URL: e.URL, Secret: secret})
	w.eventually("an attempt", func() bool { return w.count(`attempts > 0 AND parked_at IS NULL`) == 1 })
	w.exec(`UPDATE headwater.outbox SET not_before = NULL, created_at = created_at - interval '25 hours' WHERE parked_at IS NULL`)
	w.empty()
	if _, taken := e.seen(); fmt.Sprint(taken) != "[3]" || w.count(`parked_at IS NOT NULL`) != 2 || w.count(`error LIKE 'refused: status 422: said by%' AND length(error) < 400`) != 1 || w.count(`error LIKE 'not taken for 24h0m0s: status 500%'`) != 1 {
		t.Errorf("found %v taken, and the log\n%s", taken, w.log)
	}
	waiting, err := outbox.ReadWaiting(t.Context(), w.pool, 0, 10)
	if err != nil || len(waiting.Subjects) != 1 || waiting.Parked != 2 || waiting.Subjects[0].Receiver != "webhook:one" || waiting.Subjects[0].Subject != "a" {
		t.Errorf("found %+v, %v", waiting, err)
	}
	e.mu.Lock()
	e.answer = nil
	e.mu.Unlock()
	for receiver, want := range map[string]int64{"openlineage": 0, "webhook:two": 0} {
		if n, err := outbox.Resend(t.Context(), w.pool, []string{"a"}, receiver); err != nil || n != want {
			t.Errorf("found %d, %v sent again for %s", n, err, receiver)
		}
	}
	if n, err := outbox.Resend(t.Context(), w.pool, []string{"a"}, "webhook:one"); err != nil || n != 2 {
		t.Errorf("found %d, %v sent again", n, err)
	}
	w.empty()
	if _, taken := e.seen(); fmt.Sprint(taken) != "[3 1 2]" {
		t.Errorf("found %v taken", taken)
	}
}

// A node that comes into a state is told of once, however many servers see it, and again once it has been out of it.
func TestANodeIsToldOfWhenItComesIntoAState(t *testing.T) {
	w := newWorld(t)
	turn := func(in bool) {
		t.Helper()
		err := pgx.BeginFunc(t.Context(), w.pool, func(tx pgx.Tx) error { return Turn(t.Context(), tx, []State{{notice("view:delays@1", "low"), in}}) })
		if err != nil {
			t.Fatal(err)
		}
	}
	for i, c := range []struct {
		in   bool
		told int
	}{{false, 0}, {true, 1}, {true, 1}, {false, 1}, {true, 2}} {
		if turn(c.in); w.count(`channel = 'notice'`) != c.told {
			t.Errorf("step %d: found %d notices, expected %d", i, w.count(`channel = 'notice'`), c.told)
		}
	}
	w.exec(`DELETE FROM headwater.alarm`)
	var servers sync.WaitGroup
	for range 4 {
		servers.Go(func() { turn(true) })
	}
	servers.Wait()
	if n := w.count(`channel = 'notice'`); n != 3 {
		t.Errorf("found %d notices, expected one more", n)
	}
}

func TestWebhooksAreChecked(t *testing.T) {
	for _, c := range []struct {
		hook Webhook
		want string
	}{
		{Webhook{Name: "a", URL: "https://example.com/x", Secret: secret}, ""},
		{Webhook{Name: "a", URL: "http://localhost:8080", Secret: "sixteen bytes ok"}, ""},
		{Webhook{Name: "a", URL: "example.com/hidden", Secret: secret}, "webhook a: found what is no URL of an endpoint"},
		{Webhook{Name: "a", URL: "https://hidden@example.com", Secret: secret}, "webhook a: found a user in its URL"},
		{Webhook{Name: "a", URL: "http://example.com/hidden", Secret: secret}, "webhook a: found http to another machine, expected https"},
		{Webhook{Name: "a", URL: "https://example.com", Secret: "hidden"}, "webhook a: found no secret, or one that is too short"},
		{Webhook{Name: "a", URL: "https://example.com", Secret: "whsec_hidden!"}, "webhook a: found no secret, or one that is too short"},
		{Webhook{Name: "a", URL: "https://example.com", Secret: secret, Kinds: []Kind{"run.odd"}}, `webhook a: found the event "run.odd", expected some of run.failed, `},
	} {
		err := c.hook.Check()
		if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hidden")) {
			t.Errorf("%s: found %v, expected %q", c.hook.URL, err, c.want)
		}
	}
}

// The example of the specification Standard Webhooks.
func TestSignatureIsThatOfTheSpecification(t *testing.T) {
	w := Webhook{Secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
	key, err := w.key()
	if err != nil {
		t.Fatal(err)
	}
	if got := Sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`)); got != "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" {
		t.Errorf("found %s", got)
	}
}
