package online

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// partialWait is how long a read that takes a partial answer waits for a shard that does not answer, where its caller set no deadline.
const partialWait = 2 * time.Second

// AllowPartial has Fetch go without what does not answer: the rows of its keys are Unavailable. A read of which nothing is known
// fails as it would without.
//
// What does not answer is waited for no longer than three quarters of the time that the deadline leaves, so that the rest is
// answered within it.
func (l *Lookup) AllowPartial() { l.partial = true }

// partialContext ends while there is time left to answer with what was found.
func partialContext(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithTimeout(ctx, partialWait)
	}
	return context.WithTimeout(ctx, time.Until(deadline)/4*3)
}

// execParts sends commands, to each master of a cluster by a pipeline of its own: go-redis gives all commands of a pipeline the error of
// a context that ends while it waits to ask one node again. Each command has its own error afterwards.
func (r *Reader) execParts(ctx context.Context, commands []*redis.SliceCmd) {
	parts := [][]*redis.SliceCmd{commands}
	if cluster, ok := r.client.(*redis.ClusterClient); ok {
		parts = byMaster(ctx, cluster, commands)
	}
	var running sync.WaitGroup
	for _, part := range parts {
		running.Go(func() {
			pipe := r.client.Pipeline()
			for _, c := range part {
				// It only takes the command into the pipeline.
				_ = pipe.Process(ctx, c)
			}
			_, _ = pipe.Exec(ctx)
		})
	}
	running.Wait()
}

// byMaster takes commands apart by the master that has the key now, or leaves them together where that cannot be told.
func byMaster(ctx context.Context, cluster *redis.ClusterClient, commands []*redis.SliceCmd) [][]*redis.SliceCmd {
	at := map[*redis.Client]int{}
	var parts [][]*redis.SliceCmd
	for _, c := range commands {
		master, err := cluster.MasterForKey(ctx, c.Args()[1].(string))
		if err != nil {
			return [][]*redis.SliceCmd{commands}
		}
		n, ok := at[master]
		if !ok {
			n = len(parts)
			at[master] = n
			parts = append(parts, nil)
		}
		parts[n] = append(parts[n], c)
	}
	return parts
}

// isAway reports whether an error says that a shard does not answer now, and not that it refuses the command.
func isAway(err error) bool {
	var reply redis.Error
	if !errors.As(err, &reply) {
		return true
	}
	return redis.IsClusterDownError(err) || redis.IsMasterDownError(err) || redis.IsTryAgainError(err) || redis.IsLoadingError(err) ||
		redis.IsMaxClientsError(err) || redis.HasErrorPrefix(err, "MOVED") || redis.HasErrorPrefix(err, "ASK")
}

// setAway notes that nothing is known of key k.
func (q *query) setAway(k int) {
	if q.away == nil {
		q.away = make([]bool, len(q.ends))
	}
	q.away[k] = true
}

// isAway reports whether nothing is known of key k.
func (q *query) isAway(k int) bool { return q.away != nil && q.away[k] }

// knowsNothing reports whether all keys of a read are away.
func (l *Lookup) knowsNothing() bool {
	for _, q := range l.queries {
		for k := range q.ends {
			if !q.isAway(k) {
				return false
			}
		}
	}
	return true
}
