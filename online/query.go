package online

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/redis/go-redis/v9"
)

// query is the distinct keys of one group of a read, the commands that ask for them, and what Redis answered. It is made by one
// read; reads that ask for the same while it waits to be sent share it. Everything in it is used again, so a query is held
// by those that need it, and goes back to its group with the last of them.
type query struct {
	group *group
	// text is the Redis keys after each other, and ends where each of them ends.
	text []byte
	ends []int
	// keys are the same, as texts that share text's memory. Commands point at them.
	keys []string
	// seen finds a key by its hash: 1 more than its position, or 0.
	seen []int32
	// commands are made once, as many as were ever needed.
	commands []redis.Cmder
	replies  replyBuffer

	// stored are the fields of all replies, in order: of key k there are those from k*len(group.fields) on.
	stored []storedRow
	// away are the keys that nothing is known of, because what has them did not answer; nil for none.
	away   []bool
	parsed sync.Once
	// failed is why there is no usable reply to one of the commands.
	failed error

	holders atomic.Int32
	// kept says that someone keeps texts that share the memory of replies.
	kept atomic.Bool
}

// storedRow is the row in a field, if there is one.
type storedRow struct {
	row string
	ok  bool
}

// replyBuffer takes replies as they came, one behind the other.
type replyBuffer struct{ b []byte }

func (r *replyBuffer) Write(p []byte) (int, error) {
	r.b = append(r.b, p...)
	return len(p), nil
}

// ReadFrom reads what go-redis hands over of a bulk string, in one piece.
func (r *replyBuffer) ReadFrom(from io.Reader) (int64, error) {
	limited, ok := from.(*io.LimitedReader)
	if !ok {
		b := bytes.NewBuffer(r.b)
		n, err := b.ReadFrom(from)
		r.b = b.Bytes()
		return n, err
	}
	begin := len(r.b)
	if room := cap(r.b) - begin; int64(room) < limited.N {
		r.b = append(r.b, make([]byte, limited.N)...)
	}
	r.b = r.b[:begin+int(limited.N)]
	n, err := io.ReadFull(limited.R, r.b[begin:])
	r.b = r.b[:begin+n]
	limited.N -= int64(n)
	return int64(n), err
}

// maxKeptBytes is how large what a query, or the buffer of an answer, holds may be for it to be used again: one huge answer
// should not stay in memory.
const maxKeptBytes = 1 << 20

// newQuery is an empty query, held once.
func (g *group) newQuery() *query {
	q, _ := g.queries.Get().(*query)
	if q == nil {
		q = &query{group: g}
	}
	q.holders.Store(1)
	return q
}

// release gives up one hold.
func (q *query) release() {
	if q.holders.Add(-1) > 0 {
		return
	}
	// After a failure its commands hold errors.
	if q.kept.Load() || q.failed != nil || cap(q.replies.b) > maxKeptBytes || cap(q.text) > maxKeptBytes {
		return
	}
	q.text, q.ends, q.keys = q.text[:0], q.ends[:0], q.keys[:0]
	q.replies.b, q.stored, q.away, q.parsed = q.replies.b[:0], q.stored[:0], nil, sync.Once{}
	clear(q.seen)
	q.group.queries.Put(q)
}

var hashSeed = maphash.MakeSeed()

// add adds a key and returns its position. key appends what stands behind the prefix to a text.
func (q *query) add(prefix string, key []byte) int {
	begin := len(q.text)
	q.text = appendKey(q.text, prefix, q.group.entity, unsafeString(key))
	n := len(q.ends)
	if 2*(n+1) > len(q.seen) {
		q.grow()
	}
	mask := uint64(len(q.seen) - 1)
	for at := maphash.Bytes(hashSeed, q.text[begin:]) & mask; ; at = (at + 1) & mask {
		k := q.seen[at] - 1
		if k < 0 {
			q.seen[at] = int32(n + 1)
			q.ends = append(q.ends, len(q.text))
			return n
		}
		if bytes.Equal(q.key(int(k)), q.text[begin:]) {
			q.text = q.text[:begin]
			return int(k)
		}
	}
}

func (q *query) grow() {
	q.seen = make([]int32, max(16, 2*len(q.seen)))
	mask := uint64(len(q.seen) - 1)
	for k := range q.ends {
		at := maphash.Bytes(hashSeed, q.key(k)) & mask
		for q.seen[at] != 0 {
			at = (at + 1) & mask
		}
		q.seen[at] = int32(k + 1)
	}
}

// key is the k-th Redis key.
func (q *query) key(k int) []byte {
	if k == 0 {
		return q.text[:q.ends[0]]
	}
	return q.text[q.ends[k-1]:q.ends[k]]
}

// entityKey is the k-th key as a message shows it: without the prefix.
func (q *query) entityKey(k int, prefix string) string {
	return string(q.key(k)[len(prefix)+len(q.group.entity)+2:])
}

// same reports whether two queries ask for the same.
func (q *query) same(o *query) bool {
	return q.group == o.group && slices.Equal(q.ends, o.ends) && bytes.Equal(q.text, o.text)
}

func (q *query) hash() uint64 { return maphash.Bytes(hashSeed, q.text) }

// ready makes the commands for the keys that were added.
func (q *query) ready() {
	for k := range q.ends {
		q.keys = append(q.keys, unsafeString(q.key(k)))
	}
	if len(q.commands) < len(q.keys) {
		// The arguments of a command point at its key. They are all made anew, for the keys may have moved.
		keys := make([]string, max(len(q.keys), 2*len(q.commands)))
		copy(keys, q.keys)
		q.keys = keys[:len(q.keys)]
		width := 2 + len(q.group.fields)
		args := make([]any, 0, width*len(keys))
		q.commands = make([]redis.Cmder, len(keys))
		for k := range keys {
			args = append(args, "hmget", &keys[k])
			args = append(args, q.group.fields...)
			q.commands[k] = redis.NewRawWriteToCmd(context.Background(), &q.replies, args[k*width:(k+1)*width:(k+1)*width]...)
		}
	}
}

// sent looks at what became of the commands.
func (q *query) sent() {
	for _, command := range q.commands[:len(q.keys)] {
		if err := command.Err(); err != nil {
			q.failed = err
			return
		}
	}
}

// parse takes the replies apart, once.
func (q *query) parse() error {
	q.parsed.Do(func() {
		if q.failed != nil {
			return
		}
		rest := unsafeString(q.replies.b)
		fields := len(q.group.fields)
		for range q.keys {
			n, after, err := replyNumber(rest, '*')
			if err != nil || n != fields {
				q.failed = fmt.Errorf("found %q, expected %d fields", rest[:min(len(rest), 60)], fields)
				return
			}
			rest = after
			for range fields {
				var s storedRow
				if s, rest, err = replyField(rest); err != nil {
					q.failed = err
					return
				}
				q.stored = append(q.stored, s)
			}
		}
		if rest != "" {
			q.failed = errReply
		}
	})
	return q.failed
}

var errReply = errors.New("found a reply of another form than HMGET's")

// replyNumber reads a line of a reply: its kind and a number.
func replyNumber(s string, kind byte) (n int, rest string, err error) {
	if len(s) < 4 || s[0] != kind {
		return 0, s, errReply
	}
	at := 1
	for ; at < len(s) && s[at] >= '0' && s[at] <= '9' && at < 11; at++ {
		n = 10*n + int(s[at]-'0')
	}
	if at == 1 || len(s) < at+2 || s[at] != '\r' || s[at+1] != '\n' {
		return 0, s, errReply
	}
	return n, s[at+2:], nil
}

const (
	nullOfRESP2 = "$-1\r\n"
	nullOfRESP3 = "_\r\n"
)

func replyField(s string) (field storedRow, rest string, err error) {
	switch {
	case len(s) >= len(nullOfRESP3) && s[:len(nullOfRESP3)] == nullOfRESP3:
		return storedRow{}, s[len(nullOfRESP3):], nil
	case len(s) >= len(nullOfRESP2) && s[:len(nullOfRESP2)] == nullOfRESP2:
		return storedRow{}, s[len(nullOfRESP2):], nil
	}
	n, rest, err := replyNumber(s, '$')
	if err != nil || len(rest) < n+2 || rest[n] != '\r' || rest[n+1] != '\n' {
		return storedRow{}, s, errReply
	}
	return storedRow{row: rest[:n], ok: true}, rest[n+2:], nil
}

// unsafeString is b as a text that shares its memory: b must not change while the text is used.
func unsafeString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
