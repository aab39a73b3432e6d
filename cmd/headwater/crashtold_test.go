package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// eventsTaken is an endpoint that takes OpenLineage events, unless it is away.
type eventsTaken struct {
	*httptest.Server
	away atomic.Bool
	mu   sync.Mutex
	all  [][]byte
}

func takeEvents(t *testing.T) *eventsTaken {
	e := &eventsTaken{}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || e.away.Load() {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		e.mu.Lock()
		e.all = append(e.all, body)
		e.mu.Unlock()
		w.WriteHeader(http.StatusCreated)
	}))
	t.Cleanup(e.Close)
	return e
}

// ofParent is, for each run of Headwater in order, what was told of its attempts: the types of the events of each, in order. An event that was
// sent twice counts once, where it is the same.
func (e *eventsTaken) ofParent(t *testing.T, job string) (runs [][]string) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	type event struct {
		EventType string `json:"eventType"`
		Run       struct {
			RunID  string `json:"runId"`
			Facets struct {
				Parent struct {
					Run struct {
						RunID string `json:"runId"`
					} `json:"run"`
				} `json:"parent"`
			} `json:"facets"`
		} `json:"run"`
		Job struct{ Name string } `json:"job"`
	}
	var parents, attempts []string
	at := map[string]int{}
	for i, body := range e.all {
		if slices.ContainsFunc(e.all[:i], func(b []byte) bool { return bytes.Equal(b, body) }) {
			continue
		}
		var ev event
		if err := json.Unmarshal(body, &ev); err != nil {
			t.Fatal(err)
		}
		if ev.Job.Name != job || ev.EventType == "" {
			continue
		}
		parent, id := ev.Run.Facets.Parent.Run.RunID, ev.Run.RunID
		run := slices.Index(parents, parent)
		if run < 0 {
			run, parents, runs = len(parents), append(parents, parent), append(runs, nil)
		}
		if !slices.Contains(attempts, id) {
			attempts = append(attempts, id)
			at[id], runs[run] = len(runs[run]), append(runs[run], "")
		}
		runs[run][at[id]] = strings.TrimSpace(runs[run][at[id]] + " " + ev.EventType)
	}
	return runs
}

// A server that is killed while a run is at work leaves an ABORT of the attempt, told by the next server, and a record that says so; and an
// event that was committed is delivered, whoever was killed or away in between.
func TestKilledRunsAreToldOf(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts servers by the dozen")
	}
	t.Parallel()
	events := takeEvents(t)
	w := openCrashing(t, "HEADWATER_OPENLINEAGE_URL="+events.URL)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the server said\n%s", w.said(t))
		}
	})
	killed := []string{"START RUNNING ABORT", "START RUNNING COMPLETE"}
	for n, c := range []struct {
		step string
		want []string
		says bool
	}{
		{"begun", []string{"START ABORT", "START RUNNING COMPLETE"}, true},
		{"written", killed, true},
		{"chunk done", killed, true},
		{"publishing", killed, true},
		{"published", []string{"START RUNNING COMPLETE"}, false},
	} {
		w.load(t)
		w.stopNext(t, c.step)
		var begun headwaterv1.MaterializeResponse
		w.ask(t, &begun, "materialize", "sale")
		w.awaitReached(t)
		// Nothing is delivered between the commit and the death of the server.
		events.away.Store(true)
		w.killAndStart(t, "server")
		w.settled(t)
		events.away.Store(false)
		await(t, "all is told", func() bool {
			runs := events.ofParent(t, "sale@1")
			return len(runs) == n+1 && strings.Contains(strings.Join(runs[n], " "), "COMPLETE")
		})
		if got := events.ofParent(t, "sale@1")[n]; !slices.Equal(got, c.want) {
			t.Errorf("killed at %s: found %q told, expected %q", c.step, got, c.want)
		}
		var shown headwaterv1.ListRunsResponse
		w.ask(t, &shown, "runs", "list", "--view", "sale", "--limit", "1")
		if says := slices.ContainsFunc(shown.Runs[0].Warnings, func(s string) bool {
			return strings.HasPrefix(s, "attempt 1 ended with its server, and was found so at ")
		}); says != c.says {
			t.Errorf("killed at %s: found warnings %q, expected that one says so: %t", c.step, shown.Runs[0].Warnings, c.says)
		}
	}
}
