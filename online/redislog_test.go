package online

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/headwaterhq/headwater/internal/testenv"
)

func TestTheRedisClientSpeaksThroughOurLog(t *testing.T) {
	var b bytes.Buffer
	now := time.Unix(100, 0)
	l := &redisLog{log: slog.New(slog.NewTextHandler(&b, nil)), now: func() time.Time { return now }}
	l.Printf(context.Background(), "pool: no dial")
	if b.Len() > 0 {
		t.Errorf("found %q before the server serves, expected nothing at this level", b.String())
	}
	l.serving.Store(true)
	for range 3 {
		l.Printf(context.Background(), "pool: %d of %s", 7, "them")
	}
	now = now.Add(time.Second)
	l.Printf(context.Background(), "again")
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], `level=WARN msg="redis client" said="pool: 7 of them" left_out=0`) || !strings.Contains(lines[1], "said=again left_out=2") {
		t.Errorf("found %q, expected the first, and the first of the next second", lines)
	}
}

// The client itself is told, and not only our own calls.
func TestTheRedisClientIsToldOfTheLog(t *testing.T) {
	var b bytes.Buffer
	LogTo(slog.New(slog.NewTextHandler(&b, nil)))()
	t.Cleanup(func() { redis.SetLogger(&logging.VoidLogger{}) })
	// A command of which it has something to say.
	if err := testenv.Redis(t).Expire(context.Background(), "k", time.Millisecond).Err(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), `msg="redis client" said="specified duration is 1ms, but minimal supported value is 1s`) {
		t.Errorf("found %q, expected what the client says", b.String())
	}
}
