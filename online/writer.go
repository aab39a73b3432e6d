package online

import (
	"cmp"
	"context"
	"crypto/sha1"
	_ "embed"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/headwaterhq/headwater/internal/fault"
)

const (
	// A call keeps Redis from answering reads for two to three microseconds per row.
	maxItemsPerCall = 128
	maxBytesPerCall = 1 << 20
	// A pipeline's rows are in memory twice, here and in Redis's input buffer.
	maxItemsPerPipeline = 4096
	maxBytesPerPipeline = 4 << 20
	// How often a pipeline may find that Redis has lost the script before it is given up.
	maxScriptLoads = 3
)

//go:embed accept.lua
var acceptScript string

var acceptSHA = func() string {
	sum := sha1.Sum([]byte(acceptScript))
	return hex.EncodeToString(sum[:])
}()

// Writer loads packed rows. Safe for concurrent use, by any number of processes on one Redis.
type Writer struct {
	client  redis.UniversalClient
	prefix  string
	cluster bool
}

// NewWriter makes a writer of rows under a prefix that CheckPrefix passes. A Redis Cluster must be given as the
// *redis.ClusterClient that Open makes of one.
func NewWriter(client redis.UniversalClient, prefix string) *Writer {
	return &Writer{client: client, prefix: prefix, cluster: isCluster(client)}
}

// Item is one row to write.
type Item struct {
	// Entity is the entity's name, Key its encoded join keys.
	Entity, Key string
	// ViewID is the ViewVersion.ID.
	ViewID int64
	// Packed is the row, of Layout.Append or AppendTombstone. It is not changed, and not kept after Write returns.
	Packed []byte
}

// Result counts what became of items: each is Written or Stale.
type Result struct {
	// Written took their place. A row that was there already, the same, counts as written.
	Written int64
	// Stale found a newer row there, and changed nothing.
	Stale int64
	// Added are those of Written that found nothing in their place.
	Added int64
}

func (r *Result) add(o Result) {
	r.Written += o.Written
	r.Stale += o.Stale
	r.Added += o.Added
}

// Write offers each item to Redis, which takes it unless the row there is newer. Items may be in any order, and of one
// entity and view more than once. After an error an unknown part of them was offered, and Result counts only what is
// known; to write all of them again is safe. An empty Write asks nothing of Redis.
func (w *Writer) Write(ctx context.Context, items []Item) (Result, error) {
	if err := checkItems(items); err != nil {
		return Result{}, err
	}
	return w.offer(ctx, items)
}

// Add does what Write does. It costs less where Redis has nothing in the place of most items, as in the first load of a view,
// and more where it has: each row is a command of its own that sets what is not there, and only rows that find something go
// through the script. In a Redis Cluster these commands go to each node at once, where the script is run per slot.
func (w *Writer) Add(ctx context.Context, items []Item) (Result, error) {
	if err := checkItems(items); err != nil {
		return Result{}, err
	}
	var total Result
	var there []Item
	for begin, bytes, n := 0, 0, 0; n < len(items); n++ {
		bytes += len(items[n].Key) + len(items[n].Packed)
		if n+1-begin < maxItemsPerPipeline && bytes < maxBytesPerPipeline && n+1 < len(items) {
			continue
		}
		added, err := w.set(ctx, items[begin:n+1], &there)
		total.add(Result{Written: added, Added: added})
		if err != nil {
			return total, err
		}
		begin, bytes = n+1, 0
	}
	result, err := w.offer(ctx, there)
	total.add(result)
	return total, err
}

// set sets the rows in whose place there is nothing, in one pipeline, and appends the others to there.
func (w *Writer) set(ctx context.Context, items []Item, there *[]Item) (added int64, err error) {
	pipe := w.client.Pipeline()
	replies := make([]*redis.BoolCmd, len(items))
	var viewID int64
	var field string
	for i := range items {
		if item := &items[i]; field == "" || viewID != item.ViewID {
			viewID, field = item.ViewID, fieldOf(item.ViewID)
		}
		replies[i] = pipe.HSetNX(ctx, string(appendKey(nil, w.prefix, items[i].Entity, items[i].Key)), field, items[i].Packed)
	}
	// The error is that of the first failed reply; each is looked at below.
	_, _ = pipe.Exec(ctx)
	var firstErr error
	for i, reply := range replies {
		switch set, err := reply.Result(); {
		case err != nil:
			if firstErr == nil {
				firstErr = err
			}
		case set:
			added++
		default:
			*there = append(*there, items[i])
		}
	}
	if firstErr != nil {
		return added, failed(ctx, w.client, firstErr)
	}
	return added, nil
}

func checkItems(items []Item) error {
	for i := range items {
		if p := items[i].Packed; len(p) < headerSize || p[offVersion] != FormatVersion {
			return fault.New(fault.Internal,
				"found %d bytes as the online row of entity %s key %q, expected a packed row", len(p), items[i].Entity, items[i].Key)
		}
	}
	return nil
}

// offer puts items through the script.
func (w *Writer) offer(ctx context.Context, items []Item) (total Result, err error) {
	var (
		b     batch
		order = w.bySlot(items)
	)
	for n := range items {
		item, slot := &items[n], uint16(0)
		if order != nil {
			item, slot = &items[order[n].index], order[n].slot
		}
		b.add(slot, string(appendKey(nil, w.prefix, item.Entity, item.Key)), item)
		if b.items == maxItemsPerPipeline || b.bytes >= maxBytesPerPipeline || n == len(items)-1 {
			result, err := w.send(ctx, b.calls)
			total.add(result)
			if err != nil {
				return total, err
			}
			total.Stale += int64(b.items) - result.Written
			b = batch{}
		}
	}
	return total, nil
}

// batch is the calls of one pipeline.
type batch struct {
	calls        []call
	items, bytes int
}

// call is the arguments of one run of the script: rows of one view version, and in a Redis Cluster of keys of one slot.
type call struct {
	slot   uint16
	viewID int64
	keys   []string
	args   []any
	bytes  int
}

func (b *batch) add(slot uint16, key string, item *Item) {
	last := len(b.calls) - 1
	if last < 0 || b.calls[last].slot != slot || b.calls[last].viewID != item.ViewID ||
		len(b.calls[last].keys) == maxItemsPerCall || b.calls[last].bytes >= maxBytesPerCall {
		b.calls = append(b.calls, call{slot: slot, viewID: item.ViewID, args: []any{fieldOf(item.ViewID)}})
		last++
	}
	c := &b.calls[last]
	c.keys = append(c.keys, key)
	c.args = append(c.args, item.Packed)
	c.bytes += len(key) + len(item.Packed)
	b.items++
	b.bytes += len(key) + len(item.Packed)
}

// send runs the calls in one pipeline and counts the rows that were taken. go-redis does not load a script that a
// pipelined EVALSHA misses, so send does; a server forgets scripts when it restarts, and a replica that took over may
// never have had them.
func (w *Writer) send(ctx context.Context, calls []call) (taken Result, err error) {
	for loads := 0; ; loads++ {
		if err := ctx.Err(); err != nil {
			return taken, failed(ctx, w.client, err)
		}
		pipe := w.client.Pipeline()
		replies := make([]*redis.Cmd, len(calls))
		for i := range calls {
			replies[i] = pipe.EvalSha(ctx, acceptSHA, calls[i].keys, calls[i].args...)
		}
		// The error is that of the first failed reply; each is looked at below.
		_, _ = pipe.Exec(ctx)
		var again []call
		var firstErr error
		for i, reply := range replies {
			counts, err := reply.Int64Slice()
			if err == nil && len(counts) != 2 {
				err = fmt.Errorf("found %d counts from the script, expected 2", len(counts))
			}
			if redis.HasErrorPrefix(err, "NOSCRIPT") && loads < maxScriptLoads {
				again = append(again, calls[i])
			} else if err == nil {
				taken.add(Result{Written: counts[0], Added: counts[1]})
			} else if firstErr == nil {
				firstErr = err
			}
		}
		if firstErr != nil {
			return taken, failed(ctx, w.client, firstErr)
		}
		if len(again) == 0 {
			return taken, nil
		}
		if err := w.client.ScriptLoad(ctx, acceptScript).Err(); err != nil {
			return taken, failed(ctx, w.client, err)
		}
		calls = again
	}
}

type slotted struct {
	slot  uint16
	index int
}

// bySlot orders items by the slot of their key, as a script in a Redis Cluster may touch one slot only; nil on a plain
// Redis.
func (w *Writer) bySlot(items []Item) []slotted {
	if !w.cluster {
		return nil
	}
	order := make([]slotted, len(items))
	var key []byte
	for i := range items {
		key = appendKey(key[:0], w.prefix, items[i].Entity, items[i].Key)
		order[i] = slotted{slot: slotOf(key), index: i}
	}
	slices.SortStableFunc(order, func(a, b slotted) int { return cmp.Compare(a.slot, b.slot) })
	return order
}
