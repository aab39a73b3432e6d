package openlineage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
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

// world is a database with one source, about which messages are.
type world struct {
	t    *testing.T
	pool *pgxpool.Pool
	log  *logged
	// written is how many messages there were.
	written int
}

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

func newWorld(t *testing.T) *world {
	w := &world{t: t, pool: testenv.Postgres(t), log: &logged{}}
	w.exec(`INSERT INTO headwater.definition (kind, name, version, fingerprint, body, revision, applied_at, applied_by)
		VALUES ('source', 'flights', 1, sha256('flights'), '{"sources": [{"name": "flights", "eventTime": "date", "landing": {},
			"columns": [{"name": "date", "type": "timestamp"}]}]}', 1, now(), 'ada')`)
	return w
}

func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	if _, err := w.pool.Exec(context.Background(), sql, args...); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) count(sql string) (n int) {
	w.t.Helper()
	if err := w.pool.QueryRow(context.Background(), sql).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// write commits messages, one a subject, of which each has a time that tells it from others: its number in minutes.
func (w *world) write(subjects ...string) {
	w.t.Helper()
	for _, subject := range subjects {
		err := pgx.BeginFunc(context.Background(), w.pool, func(tx pgx.Tx) error {
			return outbox.Add(context.Background(), tx, outbox.Message{
				Topic: outbox.DefinitionApplied, Subject: subject, Payload: outbox.Definition{Kind: "source", Name: "flights", Version: 1},
				At: time.Now().UTC().Truncate(time.Hour).Add(time.Duration(w.written) * time.Millisecond),
			})
		})
		if err != nil {
			w.t.Fatal(err)
		}
		w.written++
	}
}

// start begins to send, until the test ends or what it returns is called.
func (w *world) start(c Config) (stop func()) {
	w.t.Helper()
	c.Pool, c.Version, c.Log, c.every = w.pool, "test", slog.New(slog.NewTextHandler(w.log, nil)), 5*time.Millisecond
	c.Names = Names{Namespace: DefaultNamespace, Postgres: Database{"postgres://db:5432", "headwater"}}
	s, err := Start(c)
	if err != nil {
		w.t.Fatal(err)
	}
	stop = sync.OnceFunc(s.Close)
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

// empty waits until nothing waits to be sent.
func (w *world) empty() {
	w.t.Helper()
	w.eventually("an empty outbox", func() bool { return w.count(`SELECT count(*) FROM headwater.outbox WHERE parked_at IS NULL`) == 0 })
}

// now makes what waits for another try due.
func (w *world) now() { w.exec(`UPDATE headwater.outbox SET not_before = NULL`) }

// endpoint takes events, and answers as it is told.
type endpoint struct {
	*httptest.Server
	mu sync.Mutex
	// asked are all events that came, taken those that were answered with 201, both by their numbers.
	asked, taken []int
	answer       func(w http.ResponseWriter, number, times int)
	times        map[int]int
	bodies       map[int][]byte
}

func newEndpoint(t *testing.T, answer func(w http.ResponseWriter, number, times int)) *endpoint {
	e := &endpoint{answer: answer, times: map[int]int{}, bodies: map[int][]byte{}}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		n := number(t, body)
		e.mu.Lock()
		if before := e.bodies[n]; before != nil && !bytes.Equal(before, body) {
			t.Errorf("found event %d again as\n%s\nexpected the bytes of before\n%s", n, body, before)
		}
		e.bodies[n] = body
		e.asked = append(e.asked, n)
		e.times[n]++
		times, answer := e.times[n], e.answer
		e.mu.Unlock()
		rec := httptest.NewRecorder()
		if answer != nil {
			answer(rec, n, times)
		} else {
			rec.WriteHeader(http.StatusCreated)
		}
		if rec.Code == http.StatusCreated {
			e.mu.Lock()
			e.taken = append(e.taken, n)
			e.mu.Unlock()
		}
		for name, values := range rec.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes())
	}))
	t.Cleanup(e.Close)
	return e
}

func number(t *testing.T, event []byte) int {
	var e Event
	if err := json.Unmarshal(event, &e); err != nil {
		t.Errorf("%v in %s", err, event)
		return -1
	}
	at, err := time.Parse(time.RFC3339Nano, e.EventTime)
	if err != nil {
		t.Errorf("%v in %s", err, event)
	}
	return int(at.Sub(at.Truncate(time.Hour)).Milliseconds())
}

func (e *endpoint) seen() (asked, taken string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return fmt.Sprint(e.asked), fmt.Sprint(e.taken)
}

func TestEventsAreDeliveredInTheOrderOfTheirSubject(t *testing.T) {
	w := newWorld(t)
	w.write("a", "b", "a", "a", "b")
	var ready atomic.Bool
	e := newEndpoint(t, func(w http.ResponseWriter, n, _ int) {
		// The first event of a is not taken at once, and those behind it wait for it; those of b do not.
		if n == 0 && !ready.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusCreated)
	})
	w.start(Config{URL: e.URL})
	for i := 1; i < 3; i++ {
		w.eventually("an attempt that fails", func() bool {
			return w.count(fmt.Sprintf(`SELECT count(*) FROM headwater.outbox WHERE attempts >= %d`, i)) == 1
		})
		w.now()
	}
	w.eventually("those of b", func() bool {
		_, taken := e.seen()
		return taken == "[1 4]"
	})
	ready.Store(true)
	w.now()
	w.empty()
	if _, taken := e.seen(); taken != "[1 4 0 2 3]" {
		t.Errorf("found %s taken, expected those of b, then those of a in their order", taken)
	}
	w.eventually("the log", func() bool { return strings.Contains(w.log.String(), "events are delivered again") })
	log := w.log.String()
	if n := strings.Count(log, "an event was not taken"); n != 1 {
		t.Errorf("found it logged %d times that events are not taken, expected once:\n%s", n, log)
	}
	if !strings.Contains(log, "status 500") {
		t.Errorf("found the log\n%s\nexpected the answer", log)
	}
}

func TestARefusedEventIsParked(t *testing.T) {
	w := newWorld(t)
	w.write("a", "a", "a")
	e := newEndpoint(t, func(w http.ResponseWriter, n, _ int) {
		if n == 1 {
			w.WriteHeader(http.StatusUnprocessableEntity)
			fmt.Fprint(w, "no such\x00 facet\nhere")
			return
		}
		w.WriteHeader(http.StatusCreated)
	})
	w.start(Config{URL: e.URL})
	w.empty()
	if asked, taken := e.seen(); asked != "[0 1 2]" || taken != "[0 2]" {
		t.Errorf("found %s sent and %s taken, expected each sent once, and all taken but 1", asked, taken)
	}
	var why string
	if err := w.pool.QueryRow(context.Background(), `SELECT error FROM headwater.outbox WHERE parked_at IS NOT NULL`).Scan(&why); err != nil {
		t.Fatal(err)
	}
	if want := "refused: status 422: no such facet here"; why != want || !strings.Contains(w.log.String(), want) {
		t.Errorf("found %q kept, and the log\n%s\nexpected %q in both", why, w.log, want)
	}
}

// Who may not send is the operator's to mend: no event is given up for it. Nor is any of an endpoint that hangs, or is not there.
func TestEventsWaitForTheirReceiver(t *testing.T) {
	// An attempt that is given up says nothing of the answer.
	const patient = 30 * time.Second
	hang := make(chan struct{})
	for name, c := range map[string]struct {
		answer  func(w http.ResponseWriter, n, times int)
		logged  string
		timeout time.Duration
	}{
		"unauthorized": {func(w http.ResponseWriter, _, _ int) { w.WriteHeader(http.StatusUnauthorized) }, "status 401", patient},
		"elsewhere": {func(w http.ResponseWriter, _, _ int) {
			http.Redirect(w, &http.Request{}, "http://127.0.0.1:1/", http.StatusFound)
		}, "status 302", patient},
		"hangs": {func(_ http.ResponseWriter, _, _ int) { <-hang }, "Client.Timeout", 100 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.write("a", "b")
			e := newEndpoint(t, c.answer)
			if name == "hangs" {
				// Before the endpoint is closed, which waits for its answers.
				t.Cleanup(func() { close(hang) })
			}
			stop := w.start(Config{URL: e.URL + "?token=hidden", APIKey: "hidden", Timeout: c.timeout})
			w.eventually("two attempts", func() bool {
				return w.count(`SELECT count(*) FROM headwater.outbox WHERE attempts > 0 AND error IS NOT NULL`) == 2
			})
			stop()
			if log := w.log.String(); !strings.Contains(log, c.logged) || strings.Contains(log, "hidden") {
				t.Errorf("found the log\n%s\nexpected %q, and no secret", log, c.logged)
			}
			// The next server delivers them.
			e.mu.Lock()
			e.answer = nil
			e.mu.Unlock()
			w.now()
			w.start(Config{URL: e.URL})
			w.empty()
			if _, taken := e.seen(); taken != "[0 1]" {
				t.Errorf("found %s taken, expected both", taken)
			}
		})
	}
}

// A server that dies between an answer and its record sends the event again, the same.
func TestAnEventIsSentAgainAsItWas(t *testing.T) {
	w := newWorld(t)
	w.write("a")
	e := newEndpoint(t, func(w http.ResponseWriter, _, times int) {
		w.WriteHeader([]int{http.StatusInternalServerError, http.StatusCreated}[min(times-1, 1)])
	})
	stop := w.start(Config{URL: e.URL})
	w.eventually("an attempt", func() bool { return w.count(`SELECT count(*) FROM headwater.outbox WHERE attempts > 0`) == 1 })
	stop()
	// Other words would make another event.
	w.exec(`UPDATE headwater.definition SET body = jsonb_set(body, '{sources,0,description}', '"other words"')`)
	w.now()
	w.start(Config{URL: e.URL})
	w.empty()
	if asked, _ := e.seen(); asked != "[0 0]" {
		t.Errorf("found %s sent, expected the event twice", asked)
	}
}

func TestOneOfManyServersSends(t *testing.T) {
	w := newWorld(t)
	for i := range 40 {
		w.write(fmt.Sprint("subject", i%3))
	}
	e := newEndpoint(t, nil)
	for range 3 {
		w.start(Config{URL: e.URL})
	}
	w.empty()
	var want []int
	for i := range 40 {
		want = append(want, i)
	}
	if asked, _ := e.seen(); asked != fmt.Sprint(want) {
		t.Errorf("found %s sent, expected each once, in order", asked)
	}
}

func TestOldEventsAreGivenUp(t *testing.T) {
	w := newWorld(t)
	w.write("a", "a", "b")
	w.exec(`UPDATE headwater.outbox SET created_at = now() - interval '8 days' WHERE subject = 'a'`)
	e := newEndpoint(t, func(w http.ResponseWriter, _, _ int) { w.WriteHeader(http.StatusServiceUnavailable) })
	w.start(Config{URL: e.URL})
	w.eventually("the end of what is old", func() bool { return w.count(`SELECT count(*) FROM headwater.outbox WHERE subject = 'a'`) == 0 })
	if n := w.count(`SELECT count(*) FROM headwater.outbox`); n != 1 {
		t.Errorf("found %d messages, expected the one that is not old", n)
	}
	w.eventually("the log", func() bool {
		return strings.Contains(w.log.String(), "events were given up, which nobody took for as long as they are kept")
	})
}

func TestAMessageOfWhichNoEventCanBeMadeIsParked(t *testing.T) {
	w := newWorld(t)
	w.write("a", "a")
	w.exec(`UPDATE headwater.outbox SET topic = 'nonsense' WHERE id = (SELECT min(id) FROM headwater.outbox)`)
	e := newEndpoint(t, nil)
	w.start(Config{URL: e.URL})
	w.empty()
	if _, taken := e.seen(); taken != "[1]" {
		t.Errorf("found %s taken, expected the other one", taken)
	}
	if want := `no event can be made of it: the topic \"nonsense\" is not known`; !strings.Contains(w.log.String(), want) {
		t.Errorf("found the log\n%s\nexpected %s", w.log, want)
	}
}

func TestEventsInAFile(t *testing.T) {
	w := newWorld(t)
	w.write("a", "b")
	file := filepath.Join(t.TempDir(), "events")
	// What a process that died left of a line.
	if err := os.WriteFile(file, []byte("{\"eventTime\":\"2001-01-01T00:00:00.009Z\"}\n{\"eventTi"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.start(Config{File: file})
	w.empty()
	read := func() (numbers []int) {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(content) {
			numbers = append(numbers, number(t, line))
		}
		return numbers
	}
	if got := fmt.Sprint(read()); got != "[9 0 1]" {
		t.Errorf("found %s in the file, expected what was whole, and both events behind it", got)
	}
	// It may be moved away.
	if err := os.Rename(file, file+".1"); err != nil {
		t.Fatal(err)
	}
	w.write("a")
	w.empty()
	if got := fmt.Sprint(read()); got != "[2]" {
		t.Errorf("found %s in the new file, expected 2", got)
	}
}

func TestCheckURL(t *testing.T) {
	for url, want := range map[string]string{
		"marquez:5000": "HEADWATER_OPENLINEAGE_URL (openlineage_url): found what is no URL of an endpoint, expected one whole, such as " +
			"http://marquez:5000/api/v1/lineage",
		"http://me:hidden@marquez": "HEADWATER_OPENLINEAGE_URL (openlineage_url): found a user in it, expected none; give what lets the server in as " +
			"HEADWATER_OPENLINEAGE_API_KEY, which is sent as a bearer token",
	} {
		var f *fault.Fault
		if err := CheckURL(url); !errors.As(err, &f) || f.Message != want {
			t.Errorf("%s: found %v, expected %s", url, err, want)
		}
	}
	if err := CheckURL("https://datahub/openapi/openlineage/api/v1/lineage"); err != nil {
		t.Error(err)
	}
}
