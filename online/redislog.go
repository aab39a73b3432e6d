package online

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// LogTo has what go-redis says by itself, of connections that it cannot make and the like, written to a log instead of the process's
// stderr: a line a second at most, each with how many were left out before it. It is of the whole process. Until serving is called, the
// lines are at level DEBUG: a process that cannot start for want of its Redis says so once, in the error that it ends with.
func LogTo(log *slog.Logger) (serving func()) {
	l := &redisLog{log: log, now: time.Now}
	redis.SetLogger(l)
	return func() { l.serving.Store(true) }
}

type redisLog struct {
	log     *slog.Logger
	now     func() time.Time
	serving atomic.Bool

	mu   sync.Mutex
	last time.Time
	left int
}

// Printf is what go-redis calls.
func (l *redisLog) Printf(ctx context.Context, format string, values ...any) {
	if !l.serving.Load() {
		l.log.DebugContext(ctx, "redis client", "said", fmt.Sprintf(format, values...))
		return
	}
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
