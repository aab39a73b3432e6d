package materialize

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/headwaterhq/headwater/online"
)

// buffer is written to by many and read by one.
type buffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *buffer) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.String()
}

// A load that Redis does not take waits, which nobody who looks at the run can tell from one that is slow.
func TestALoadThatWaitsIsLogged(t *testing.T) {
	w := newWorld(t)
	src := w.newSource(t)
	view := w.newView(t, src, latest, 0)
	w.load(t, src, 0, reading("a", 1, hours(0), 1))
	var log buffer
	away := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1})
	defer away.Close()
	config := w.m.config
	config.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	config.Writer = online.NewWriter(away, online.DefaultPrefix)
	m, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := m.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	r := w.enqueue(t, view, nil)
	for deadline := time.Now().Add(time.Minute); !strings.Contains(log.text(), "is not reachable: connection refused"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the log says %q", log.text())
		}
	}
	if text := log.text(); !strings.Contains(text, "kind=load_online") || !strings.Contains(text, "attempt=1") {
		t.Errorf("found %s", text)
	}
	if got := w.get(t, r.ID); got.State != Published || got.OnlineState != OnlinePending {
		t.Errorf("found the run %s, online %s", got.State, got.OnlineState)
	}
}
