package online

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// LogTo has what go-redis says by itself, of connections that it cannot make and the like, written to a log instead of the process's
// stderr: a line a second at most, each with how many were left out before it. It is of the whole process.
func LogTo(log *slog.Logger) { redis.SetLogger(&redisLog{log: log, now: time.Now}) }

type redisLog struct {
	log *slog.Logger
	now func() time.Time

	mu   sync.Mutex
	last time.Time
	left int
}

// Printf is what go-redis calls.
func (l *redisLog) Printf(ctx context.Context, format string, values ...any) {
	l.mu.Lock()
	now := l.now()
	if !l.last.IsZero() && now.Sub(l.last) < time.Second {
		l.left++
		l.mu.Unlock()
		return
	}
	left := l.left
	l.last, l.left = now, 0
	l.mu.Unlock()
	l.log.WarnContext(ctx, "redis client", "said", fmt.Sprintf(format, values...), "left_out", left)
}
