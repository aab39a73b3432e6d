package online

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// Store names the Redis processes that have the data, and their histories of writes, such that another name means that what was
// acknowledged before may be lost: a process that was started again, or a replica that took over. A master has another name
// too once it gets its first replica, and so has a cluster with another set of masters.
func (w *Writer) Store(ctx context.Context) (string, error) {
	var mu sync.Mutex
	var ids []string
	err := eachMaster(ctx, w.client, func(ctx context.Context, node redis.Cmdable) error {
		info, err := node.Info(ctx, "server", "replication").Result()
		if err != nil {
			return err
		}
		said := map[string]string{}
		lines := bufio.NewScanner(strings.NewReader(info))
		for lines.Scan() {
			if name, value, ok := strings.Cut(lines.Text(), ":"); ok {
				said[name] = value
			}
		}
		if said["role"] != "master" {
			return fmt.Errorf("found a server with the role %q where a master was", said["role"])
		}
		mu.Lock()
		defer mu.Unlock()
		// A master that was a replica for a while has its process, and another history of writes.
		ids = append(ids, said["run_id"]+"/"+said["master_replid"])
		return lines.Err()
	})
	if err != nil {
		return "", failed(ctx, w.client, err)
	}
	slices.Sort(ids)
	return strings.Join(ids, " "), nil
}

// eachMaster calls do for the one Redis, or at once for each master of a Redis Cluster.
func eachMaster(ctx context.Context, client redis.UniversalClient, do func(ctx context.Context, node redis.Cmdable) error) error {
	if cluster, ok := client.(*redis.ClusterClient); ok {
		return cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error { return do(ctx, node) })
	}
	return do(ctx, client)
}

// Stored reads the packed rows of a view version as they are, those of keys in their order; "" where there is none. One
// round trip.
func (r *Reader) Stored(ctx context.Context, entity string, viewID int64, keys []string) ([]string, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	pipe, field := r.client.Pipeline(), fieldOf(viewID)
	replies := make([]*redis.StringCmd, len(keys))
	for i, key := range keys {
		replies[i] = pipe.HGet(ctx, string(appendKey(nil, r.prefix, entity, key)), field)
	}
	// The error is that of the first failed reply; each is looked at below.
	_, _ = pipe.Exec(ctx)
	rows := make([]string, len(keys))
	for i, reply := range replies {
		row, err := reply.Result()
		if err != nil && !errors.Is(err, redis.Nil) {
			return nil, failed(ctx, r.client, err)
		}
		rows[i] = row
	}
	return rows, nil
}

// All reads all packed rows of keys as they are, by field, which is the id of a view version, in their order. One round trip.
func (r *Reader) All(ctx context.Context, entity string, keys []string) ([]map[string]string, error) {
	pipe := r.client.Pipeline()
	replies := make([]*redis.MapStringStringCmd, len(keys))
	for i, key := range keys {
		replies[i] = pipe.HGetAll(ctx, string(appendKey(nil, r.prefix, entity, key)))
	}
	// The error is that of the first failed reply; each is looked at below.
	_, _ = pipe.Exec(ctx)
	rows := make([]map[string]string, len(keys))
	for i, reply := range replies {
		row, err := reply.Result()
		if err != nil {
			return nil, failed(ctx, r.client, err)
		}
		rows[i] = row
	}
	return rows, nil
}

// scanCount is how many keys of all that it has Redis looks at for one answer.
const scanCount = 1000

// Keys lists the encoded keys of which the store has anything of an entity, a few at a time, in no order. What is there
// from the beginning to the end is listed at least once, what comes or goes meanwhile may be. list is never called twice at
// once, and does not keep keys.
func (r *Reader) Keys(ctx context.Context, entity string, list func(keys []string) error) error {
	begin := string(appendKey(nil, r.prefix, entity, ""))
	var mu sync.Mutex
	var listErr error
	err := eachMaster(ctx, r.client, func(ctx context.Context, node redis.Cmdable) error {
		for cursor := uint64(0); ; {
			// Neither a prefix nor the name of an entity has a character that means something in a pattern.
			found, next, err := node.Scan(ctx, cursor, begin+"*", scanCount).Result()
			if err != nil {
				return err
			}
			for i := range found {
				found[i] = strings.TrimPrefix(found[i], begin)
			}
			mu.Lock()
			if listErr == nil && len(found) > 0 {
				listErr = list(found)
			}
			err = listErr
			mu.Unlock()
			if cursor = next; err != nil || cursor == 0 {
				return err
			}
		}
	})
	if listErr != nil {
		return listErr
	}
	if err != nil {
		return failed(ctx, r.client, err)
	}
	return nil
}
