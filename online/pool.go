package online

import (
	"context"
	"errors"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/headwaterhq/headwater/internal/rawconn"
)

// pool is connections to one Redis process that are for reads alone. Who reads has a connection to itself while it writes its commands
// and reads the replies, with no goroutine between. go-redis has connections of its own, for all else, and for reads that
// fail here: this one knows HMGET, asks once, and follows nothing.
type pool struct {
	options *redis.Options
	// places has an element for each connection that somebody has.
	places chan struct{}
	// restsUntil is until when nobody is to ask here, in nanoseconds since 1970: after a failure, whose words and remedy are go-redis's.
	restsUntil atomic.Int64
	// asked is when somebody came to ask, likewise.
	asked atomic.Int64

	mu sync.Mutex
	// idle are the connections that nobody has, the last one that was used at the end.
	idle   []*conn
	closed bool
}

// conn is a connection that waits for no reply.
type conn struct {
	net.Conn
	out []byte
	// used is when it was given back.
	used time.Time
}

// rest is how long a process is left to go-redis after a failure.
const rest = 250 * time.Millisecond

var (
	errRests  = errors.New("the connections for reads rest after a failure")
	errGreets = errors.New("the server refused the user, the password or the database")
)

// newPool makes a pool of connections as a client of go-redis has them, by its options.
func newPool(o *redis.Options) *pool {
	p := &pool{options: o, places: make(chan struct{}, max(1, o.PoolSize))}
	p.asked.Store(time.Now().UnixNano())
	return p
}

// fetch asks for the keys of queries in one pipeline. It puts the commands behind those it is given, for their memory to be used again.
func (p *pool) fetch(ctx context.Context, queries []*query, commands []command) []command {
	for _, q := range queries {
		commands = q.commands(commands)
	}
	r := newReplies()
	err := p.ask(ctx, commands, r)
	for _, q := range queries {
		q.answered(r)
		q.failed = err != nil
	}
	settle(commands)
	r.release()
	return commands
}

// settle notes at their queries which commands were refused.
func settle(commands []command) {
	for i := range commands {
		if commands[i].refused {
			commands[i].query.failed = true
		}
	}
}

// ask sends commands in one pipeline and reads the replies. The error is of the connection, or of ctx.
func (p *pool) ask(ctx context.Context, commands []command, r *replies) error {
	if p.rests() {
		return errRests
	}
	select {
	case p.places <- struct{}{}:
	default:
		select {
		case p.places <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	defer func() { <-p.places }()
	now := time.Now()
	p.asked.Store(now.UnixNano())
	c, err := p.take(ctx, now)
	if err == nil {
		end := now.Add(p.options.ReadTimeout)
		deadline, ok := ctx.Deadline()
		hurry := ok && deadline.Before(end)
		if hurry {
			end = deadline
		}
		c.used = now
		if err = c.ask(commands, r, end); err == nil {
			p.give(c)
			return nil
		}
		// Where it is in its replies is not known.
		_ = c.Close()
		if hurry && errors.Is(err, os.ErrDeadlineExceeded) {
			// That says nothing of other connections. The context ends now too.
			<-ctx.Done()
			return ctx.Err()
		}
	}
	if ctx.Err() == nil {
		p.fail()
	}
	return err
}

func (p *pool) rests() bool {
	until := p.restsUntil.Load()
	return until != 0 && time.Now().UnixNano() < until
}

// fail has the pool rest, and ends its connections: what one of them met the others are about to.
func (p *pool) fail() {
	p.restsUntil.Store(time.Now().Add(rest).UnixNano())
	p.end(p.takeAll(false))
}

// take is the connection that was used last, or a new one.
func (p *pool) take(ctx context.Context, now time.Time) (*conn, error) {
	p.mu.Lock()
	var c *conn
	if n := len(p.idle); n > 0 {
		c, p.idle[n-1], p.idle = p.idle[n-1], nil, p.idle[:n-1]
	}
	closed := p.closed
	p.mu.Unlock()
	switch {
	case closed:
		return nil, redis.ErrClosed
	case c == nil:
		return p.dial(ctx)
	case p.options.ConnMaxIdleTime > 0 && now.Sub(c.used) > p.options.ConnMaxIdleTime:
		// Those below it were not used for longer.
		p.end(append(p.takeAll(false), c))
		return p.dial(ctx)
	}
	return c, nil
}

func (p *pool) give(c *conn) {
	p.mu.Lock()
	closed := p.closed
	if !closed {
		p.idle = append(p.idle, c)
	}
	p.mu.Unlock()
	if closed {
		_ = c.Close()
	}
}

// takeAll takes the connections that nobody has, for good or until there are new ones.
func (p *pool) takeAll(forGood bool) []*conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.idle
	p.idle = nil
	p.closed = p.closed || forGood
	return all
}

func (p *pool) end(all []*conn) {
	for _, c := range all {
		_ = c.Close()
	}
}

// close ends the connections. Those that somebody has are ended when they are given back.
func (p *pool) close() { p.end(p.takeAll(true)) }

// isUnused reports whether nobody came to ask since a time, and nobody waits for an answer.
func (p *pool) isUnused(since time.Time) bool {
	return len(p.places) == 0 && p.asked.Load() < since.UnixNano()
}

// dial makes a connection and says who the user is.
func (p *pool) dial(ctx context.Context) (*conn, error) {
	o := p.options
	raw, err := o.Dialer(ctx, o.Network, o.Addr)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: rawconn.Wrap(raw)}
	if err := c.greet(o, time.Now().Add(o.DialTimeout)); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// greet sends what is to be said before anything else. A connection speaks RESP2 until it is told otherwise.
func (c *conn) greet(o *redis.Options, deadline time.Time) error {
	var out []byte
	n := 0
	say := func(words ...string) {
		out = append(strconv.AppendInt(append(out, '*'), int64(len(words)), 10), lineEnd...)
		for _, w := range words {
			out = appendBulk(out, w)
		}
		n++
	}
	if o.Password != "" {
		if o.Username != "" {
			say("AUTH", o.Username, o.Password)
		} else {
			say("AUTH", o.Password)
		}
	}
	if o.DB > 0 {
		say("SELECT", strconv.Itoa(o.DB))
	}
	if n == 0 {
		return nil
	}
	if err := c.SetDeadline(deadline); err != nil {
		return err
	}
	if _, err := c.Write(out); err != nil {
		return err
	}
	r := newReplies()
	defer r.release()
	for range n {
		refused, err := r.begin(c, []byte("+OK\r\n"))
		if err != nil {
			return err
		}
		if refused {
			return errGreets
		}
	}
	if r.at < len(r.b) {
		return errReply
	}
	return nil
}

// ask writes commands at once, and reads what is answered.
func (c *conn) ask(commands []command, r *replies, deadline time.Time) error {
	if err := c.SetDeadline(deadline); err != nil {
		return err
	}
	out := c.out[:0]
	for i := range commands {
		out = commands[i].append(out)
	}
	if cap(out) <= maxKeptBytes {
		c.out = out
	}
	if _, err := c.Write(out); err != nil {
		return err
	}
	return r.read(c, commands)
}

// command is an HMGET for a key of a query.
type command struct {
	query *query
	key   int
	// refused is that Redis answered with an error.
	refused bool
}

// append appends the command as it is sent.
func (c *command) append(dst []byte) []byte {
	g := c.query.group
	dst = append(dst, g.begin...)
	dst = appendBulk(dst, unsafeString(c.query.key(c.key)))
	return append(dst, g.end...)
}

// appendBulk appends a text of any bytes.
func appendBulk(dst []byte, s string) []byte {
	dst = strconv.AppendInt(append(dst, '$'), int64(len(s)), 10)
	dst = append(dst, lineEnd...)
	dst = append(dst, s...)
	return append(dst, lineEnd...)
}
