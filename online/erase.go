package online

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// Count counts the entities, by their encoded keys, of which Redis has any row.
func (w *Writer) Count(ctx context.Context, entity string, keys []string) (entities int64, err error) {
	return w.each(ctx, keys, func(pipe redis.Pipeliner, key string) *redis.IntCmd { return pipe.Exists(ctx, w.key(entity, key)) })
}

// Erase takes entities out of Redis, with their rows of all views: no tombstone is left. The caller sees to it that no load has any
// of them on its way. It returns how many entities were there.
func (w *Writer) Erase(ctx context.Context, entity string, keys []string) (entities int64, err error) {
	return w.each(ctx, keys, func(pipe redis.Pipeliner, key string) *redis.IntCmd { return pipe.Del(ctx, w.key(entity, key)) })
}

// Drop takes the rows of one view version of entities out of Redis, so that an older one may take their place. The caller sees to it
// that no load has any of them on its way.
func (w *Writer) Drop(ctx context.Context, entity string, viewID int64, keys []string) error {
	_, err := w.each(ctx, keys, func(pipe redis.Pipeliner, key string) *redis.IntCmd {
		return pipe.HDel(ctx, w.key(entity, key), fieldOf(viewID))
	})
	return err
}

func (w *Writer) key(entity, key string) string { return string(appendKey(nil, w.prefix, entity, key)) }

// each sends a command per key, and adds up the answers.
func (w *Writer) each(ctx context.Context, keys []string, command func(redis.Pipeliner, string) *redis.IntCmd) (sum int64, err error) {
	for begin := 0; begin < len(keys); begin += maxItemsPerPipeline {
		pipe := w.client.Pipeline()
		var replies []*redis.IntCmd
		for _, key := range keys[begin:min(begin+maxItemsPerPipeline, len(keys))] {
			replies = append(replies, command(pipe, key))
		}
		// The error is that of the first failed reply; each is looked at below.
		_, _ = pipe.Exec(ctx)
		for _, reply := range replies {
			n, err := reply.Result()
			if err != nil {
				return sum, failed(ctx, w.client, err)
			}
			sum += n
		}
	}
	return sum, nil
}
