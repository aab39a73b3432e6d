package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/headwaterhq/headwater/bench/report"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/online"
)

// pipeline is how many rows are sent at once, by the product and by the floor.
const pipeline = 4096

// online measures the load of a million entities. The Redis part is that phase of the run's record; the floor is HSET of the
// same keys, fields and bytes to an empty Redis, in pipelines of as many rows on one connection.
func (b *bench) online(ctx context.Context) error {
	if _, err := b.ingest(ctx, "people", 0, people(b.users), b.users); err != nil {
		return err
	}
	client, err := online.Open(ctx, b.servers.Redis.URL(), online.Options{})
	if err != nil {
		return err
	}
	defer client.Close()
	before, err := processorTime(ctx, client)
	if err != nil {
		return err
	}
	r, err := b.materialize(ctx, &headwaterv1.MaterializeRequest{Views: []string{"people_as_they_are"}, Full: true})
	if err != nil {
		return err
	}
	loading, err := processorTime(ctx, client)
	if err != nil {
		return err
	}
	loading -= before
	b.row("backfill of people", took(r), b.users)
	phases(r)
	items, err := b.packed(ctx, client)
	if err != nil {
		return err
	}
	if len(items) != b.users {
		return fmt.Errorf("found %d people in Redis, expected %d", len(items), b.users)
	}
	load := phase(r, "redis")
	if load == 0 {
		return fmt.Errorf("found no phase %q in the record of run %d", "redis", r.GetId())
	}
	floor, setting, err := emptied(ctx, client, func() error {
		for at := 0; at < len(items); at += pipeline {
			p := client.Pipeline()
			for _, item := range items[at:min(at+pipeline, len(items))] {
				p.HSet(ctx, online.DefaultPrefix+":person:"+item.Key, fmt.Sprint(item.ViewID), item.Packed)
			}
			if _, err := p.Exec(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	b.row("floor: HSET in pipelines", floor, b.users)
	b.row("the Redis part of the load", load, b.users)
	b.result["online_load_vs_hset"] = report.Round(floor.Seconds() / load.Seconds())
	fmt.Printf("    of the floor's rate: %.2f (0.40 or more)\n", b.result["online_load_vs_hset"])
	fmt.Printf("    processor time of Redis: %.2f, of the floor %.2f\n", loading.Seconds(), setting.Seconds())
	return nil
}

// emptied times what do does to an empty Redis, on the wall and on Redis's processor.
func emptied(ctx context.Context, client redis.UniversalClient, do func() error) (wall, processor time.Duration, err error) {
	if err := client.FlushDB(ctx).Err(); err != nil {
		return 0, 0, err
	}
	before, err := processorTime(ctx, client)
	if err != nil {
		return 0, 0, err
	}
	began := time.Now()
	if err := do(); err != nil {
		return 0, 0, err
	}
	wall = time.Since(began)
	after, err := processorTime(ctx, client)
	return wall, after - before, err
}

// processorTime is what Redis has used of its processors.
func processorTime(ctx context.Context, client redis.UniversalClient) (sum time.Duration, err error) {
	info, err := client.InfoMap(ctx, "cpu").Result()
	if err != nil {
		return 0, err
	}
	for _, name := range []string{"used_cpu_sys", "used_cpu_user"} {
		seconds, err := strconv.ParseFloat(info["CPU"][name], 64)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(seconds * float64(time.Second))
	}
	return sum, nil
}

// packed reads the rows of people that are in Redis.
func (b *bench) packed(ctx context.Context, client redis.UniversalClient) (items []online.Item, err error) {
	prefix := online.DefaultPrefix + ":person:"
	var cursor uint64
	for {
		var keys []string
		if keys, cursor, err = client.Scan(ctx, cursor, prefix+"*", pipeline).Result(); err != nil {
			return nil, err
		}
		p := client.Pipeline()
		rows := make([]*redis.MapStringStringCmd, len(keys))
		for i, key := range keys {
			rows[i] = p.HGetAll(ctx, key)
		}
		if _, err := p.Exec(ctx); err != nil && len(keys) > 0 {
			return nil, err
		}
		for i, key := range keys {
			for field, value := range rows[i].Val() {
				item := online.Item{Entity: "person", Key: strings.TrimPrefix(key, prefix), Packed: []byte(value)}
				if _, err := fmt.Sscan(field, &item.ViewID); err != nil {
					return nil, err
				}
				items = append(items, item)
			}
		}
		if cursor == 0 {
			return items, nil
		}
	}
}
