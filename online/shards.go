package online

import (
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// pools are a reader's connections, by the address of the process.
type pools struct {
	mu     sync.RWMutex
	of     map[string]*pool
	closed bool
}

// unusedFor is after how long the connections to a process are ended that nobody asks any more, as it has left its cluster.
const unusedFor = 30 * time.Minute

// pool is that of a client's process.
func (p *pools) pool(client *redis.Client) *pool {
	o := client.Options()
	p.mu.RLock()
	found := p.of[o.Addr]
	p.mu.RUnlock()
	if found != nil {
		return found
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if found = p.of[o.Addr]; found != nil {
		return found
	}
	for address, other := range p.of {
		if other.isUnused(time.Now().Add(-unusedFor)) {
			other.close()
			delete(p.of, address)
		}
	}
	if p.of == nil {
		p.of = map[string]*pool{}
	}
	found = newPool(o)
	found.closed = p.closed
	p.of[o.Addr] = found
	return found
}

func (p *pools) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, one := range p.of {
		one.close()
	}
}

// shard is what one master of a cluster is asked in a read.
type shard struct {
	master   *redis.Client
	commands []command
	replies  *replies
	err      error
}

// fetchShards asks each master for what it has, all at once. Who was asked in vain leaves its queries failed: a slot that moved is
// looked for by go-redis, and by MasterForKey the next time.
func (l *Lookup) fetchShards(ctx context.Context, cluster *redis.ClusterClient) {
	l.commands = l.commands[:0]
	for _, q := range l.sent {
		l.commands = q.commands(l.commands)
	}
	shards := l.shards[:0]
	for _, c := range l.commands {
		master, err := cluster.MasterForKey(ctx, unsafeString(c.query.key(c.key)))
		if err != nil {
			c.query.failed = true
			continue
		}
		n := 0
		for n < len(shards) && shards[n].master != master {
			n++
		}
		if n == len(shards) {
			shards = resize(shards, n+1)
			shards[n].master, shards[n].commands, shards[n].replies = master, shards[n].commands[:0], newReplies()
		}
		shards[n].commands = append(shards[n].commands, c)
	}
	l.shards = shards
	ask := func(s *shard) { s.err = l.reader.pools.pool(s.master).ask(ctx, s.commands, s.replies) }
	var others sync.WaitGroup
	for n := 1; n < len(shards); n++ {
		others.Go(func() { ask(&shards[n]) })
	}
	if len(shards) > 0 {
		ask(&shards[0])
	}
	others.Wait()
	for n := range shards {
		s := &shards[n]
		for i := range s.commands {
			if c := &s.commands[i]; s.err != nil || c.refused {
				c.query.failed = true
			}
		}
		// Each query may have rows of each shard.
		for _, q := range l.sent {
			q.answered(s.replies)
		}
		s.replies.release()
		clear(s.commands)
		*s = shard{commands: s.commands[:0]}
	}
}
