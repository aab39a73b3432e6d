package online

import (
	"context"
	"strconv"
	"sync"

	"github.com/redis/go-redis/v9"
)

const compactSetting = "hash-max-listpack-value"

// CompactBelow is the most bytes that a field of a hash may have for Redis to keep the hash in its compact form: the least of all
// masters. It reports false where that cannot be known, as where the user may not ask.
func CompactBelow(ctx context.Context, client redis.UniversalClient) (bytes int, ok bool) {
	var mu sync.Mutex
	err := eachMaster(ctx, client, func(ctx context.Context, node redis.Cmdable) error {
		settings, err := node.ConfigGet(ctx, compactSetting).Result()
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(settings[compactSetting])
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		if !ok || n < bytes {
			bytes, ok = n, true
		}
		return nil
	})
	return bytes, ok && err == nil
}

// MinSize is the bytes that a row has at least: its texts, bytes and lists come on top.
func (l *Layout) MinSize() int { return l.tail }
