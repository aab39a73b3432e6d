package online

import (
	"cmp"
	"context"
	"crypto/sha1"
	_ "embed"
	"encoding/hex"
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

// Result counts what became of items: each is one or the other.
type Result struct {
	// Written took their place. A row that was there already, the same, counts as written.
	Written int64
	// Stale found a newer row there, and changed nothing.
	Stale int64
}

// Write offers each item to Redis, which takes it unless the row there is newer. Items may be in any order, and of one
// entity and view more than once. After an error an unknown part of them was offered, and Result counts only what is
// known; to write all of them again is safe. An empty Write asks nothing of Redis.
func (w *Writer) Write(ctx context.Context, items []Item) (Result, error) {
	for i := range items {
		if p := items[i].Packed; len(p) < headerSize || p[offVersion] != FormatVersion {
			return Result{}, fault.New(fault.Internal,
				"found %d bytes as the online row of entity %s key %q, expected a packed row", len(p), items[i].Entity, items[i].Key)
		}
	}
	var (
		total Result
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
			written, err := w.send(ctx, b.calls)
			total.Written += written
			if err != nil {
				return total, err
			}
			total.Stale += int64(b.items) - written
			b = batch{}
		}
	}
	return total, nil
}

// batch is the calls of one pipeline.
type batch struct {
	calls        []call
	items, bytes int
	viewID       int64
	field        any
}

// call is the arguments of one run of the script. In a Redis Cluster all its keys are of one slot.
type call struct {
	slot  uint16
	keys  []string
	args  []any
	bytes int
}

func (b *batch) add(slot uint16, key string, item *Item) {
	last := len(b.calls) - 1
	if last < 0 || b.calls[last].slot != slot || len(b.calls[last].keys) == maxItemsPerCall ||
		b.calls[last].bytes >= maxBytesPerCall {
		b.calls = append(b.calls, call{slot: slot})
		last++
	}
	if b.field == nil || b.viewID != item.ViewID {
		b.viewID, b.field = item.ViewID, fieldOf(item.ViewID)
	}
	c := &b.calls[last]
	c.keys = append(c.keys, key)
	c.args = append(c.args, b.field, item.Packed)
	c.bytes += len(key) + len(item.Packed)
	b.items++
	b.bytes += len(key) + len(item.Packed)
}

// send runs the calls in one pipeline and returns how many rows were taken. go-redis does not load a script that a
// pipelined EVALSHA misses, so send does; a server forgets scripts when it restarts, and a replica that took over may
// never have had them.
func (w *Writer) send(ctx context.Context, calls []call) (written int64, err error) {
	for loads := 0; ; loads++ {
		if err := ctx.Err(); err != nil {
			return written, failed(ctx, w.client, err)
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
			n, err := reply.Int64()
			written += n
			if redis.HasErrorPrefix(err, "NOSCRIPT") && loads < maxScriptLoads {
				again = append(again, calls[i])
			} else if err != nil && firstErr == nil {
				firstErr = err
			}
		}
		if firstErr != nil {
			return written, failed(ctx, w.client, firstErr)
		}
		if len(again) == 0 {
			return written, nil
		}
		if err := w.client.ScriptLoad(ctx, acceptScript).Err(); err != nil {
			return written, failed(ctx, w.client, err)
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
