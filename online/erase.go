package online

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// Count counts the entities, by their encoded keys, of which Redis has a row of a view version, a tombstone too.
func (w *Writer) Count(ctx context.Context, entity string, viewID int64, keys []string) (entities int64, err error) {
	return w.each(ctx, keys, func(pipe redis.Pipeliner, key string) pending {
		reply := pipe.HExists(ctx, w.key(entity, key), fieldOf(viewID))
		return func() (int64, error) {
			there, err := reply.Result()
			if there {
				return 1, err
			}
			return 0, err
		}
	})
}

// Erase takes entities out of Redis, with their rows of all views: no tombstone is left. The caller sees to it that no load has any
// of them on its way. It returns how many entities were there.
func (w *Writer) Erase(ctx context.Context, entity string, keys []string) (entities int64, err error) {
	return w.each(ctx, keys, func(pipe redis.Pipeliner, key string) pending { return pipe.Del(ctx, w.key(entity, key)).Result })
}

// Drop takes the rows of one view version of entities out of Redis, so that an older one may take their place. The caller sees to it
// that no load has any of them on its way.
func (w *Writer) Drop(ctx context.Context, entity string, viewID int64, keys []string) error {
	_, err := w.each(ctx, keys, func(pipe redis.Pipeliner, key string) pending {
		return pipe.HDel(ctx, w.key(entity, key), fieldOf(viewID)).Result
	})
	return err
}

func (w *Writer) key(entity, key string) string { return string(appendKey(nil, w.prefix, entity, key)) }

// pending is an answer that comes with its pipeline.
type pending func() (int64, error)

// each sends a command per key, and adds up the answers.
func (w *Writer) each(ctx context.Context, keys []string, command func(redis.Pipeliner, string) pending) (sum int64, err error) {
	for begin := 0; begin < len(keys); begin += maxItemsPerPipeline {
		pipe := w.client.Pipeline()
		var replies []pending
		for _, key := range keys[begin:min(begin+maxItemsPerPipeline, len(keys))] {
			replies = append(replies, command(pipe, key))
		}
		// The error is that of the first failed reply; each is looked at below.
		_, _ = pipe.Exec(ctx)
		for _, reply := range replies {
			n, err := reply()
			if err != nil {
				return sum, failed(ctx, w.client, err)
			}
			sum += n
		}
	}
	return sum, nil
}
