package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/online"
)

// redisFloor asks Redis for the rows that the product asks it for, with the same client and its options: one pipeline for each
// request, an HMGET of all views' fields for each entity. Answers are read, and nothing is made of them.
type redisFloor struct {
	client redis.UniversalClient
	// fields are the views', as the product calls them.
	fields []any
}

func newRedisFloor(ctx context.Context, client redis.UniversalClient) (*redisFloor, error) {
	names, err := client.HKeys(ctx, redisKey(0)).Result()
	if err != nil {
		return nil, err
	}
	if len(names) != len(views) {
		return nil, fmt.Errorf("found %d rows of entity 0 in Redis, expected %d", len(names), len(views))
	}
	ids := make([]int, len(names))
	for i, name := range names {
		if ids[i], err = strconv.Atoi(name); err != nil {
			return nil, err
		}
	}
	f := &redisFloor{client: client}
	// Views are numbered in the order of the file.
	for _, id := range slices.Sorted(slices.Values(ids)) {
		f.fields = append(f.fields, strconv.Itoa(id))
	}
	return f, nil
}

func redisKey(entity int) string {
	return string(appendEntityKey([]byte(online.DefaultPrefix+":"+entityName+":"), entity))
}

func (f *redisFloor) ask(int, int) asker { return &redisAsker{floor: f} }

type redisAsker struct {
	floor *redisFloor
	kept  [][]any
}

func (a *redisAsker) call(ctx context.Context, entities []int, keep bool) error {
	pipe := a.floor.client.Pipeline()
	commands := make([]*redis.SliceCmd, len(entities))
	for i, entity := range entities {
		args := make([]any, 0, 2+len(a.floor.fields))
		args = append(append(args, "hmget", redisKey(entity)), a.floor.fields...)
		commands[i] = redis.NewSliceCmd(ctx, args...)
		if err := pipe.Process(ctx, commands[i]); err != nil {
			return err
		}
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return err
	}
	if keep {
		for _, c := range commands {
			a.kept = append(a.kept, c.Val())
		}
	}
	return nil
}

// check decodes the rows.
func (a *redisAsker) check(entities []int) error {
	stored := make([]feature.Column, len(kinds))
	for i, t := range kinds {
		stored[i] = feature.Column{Name: featureName(i), Type: t}
	}
	layout := online.NewLayout(stored)
	values := make([]feature.Value, len(kinds))
	for i, entity := range entities {
		for v, reply := range a.kept[i] {
			row, ok := reply.(string)
			if !ok {
				return fmt.Errorf("found no row of %s for entity %d in Redis", views[v], entity)
			}
			if _, err := layout.Decode(row, values); err != nil {
				return err
			}
			for k, found := range values {
				if want := valueOf(entity, v*len(kinds)+k); !found.Equal(want) {
					return fmt.Errorf("found %s in Redis as %s of entity %d, expected %s", found.Text(), columnName(v*len(kinds)+k), entity, want.Text())
				}
			}
		}
	}
	return nil
}
