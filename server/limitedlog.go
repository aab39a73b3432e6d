package server

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// logBurst is how many lines of one limitedLog there are in a second.
const logBurst = 10

// limitedLog is a log of what may happen at every read: of the lines of one second the first logBurst are written, and the first of
// a later second says how many were left out.
type limitedLog struct {
	log *slog.Logger

	mu      sync.Mutex
	second  int64
	written int
	left    int64
}

func (l *limitedLog) say(ctx context.Context, level slog.Level, message string, attributes ...slog.Attr) {
	if !l.log.Enabled(ctx, level) {
		return
	}
	left, ok := l.take(time.Now().Unix())
	if !ok {
		return
	}
	if left > 0 {
		attributes = append(attributes, slog.Int64("left_out", left))
	}
	l.log.LogAttrs(ctx, level, message, attributes...)
}

// take reports whether a line of this second is written, and how many before it were not.
func (l *limitedLog) take(second int64) (left int64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.second != second {
		l.second, l.written = second, 0
	}
	if l.written == logBurst {
		l.left++
		return 0, false
	}
	l.written++
	left, l.left = l.left, 0
	return left, true
}
