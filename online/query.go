package online

import (
	"bytes"
	"hash/maphash"
	"slices"
	"sync/atomic"
)

// query is the distinct keys of one group of a read, and what Redis answered. It is made by one read; reads that ask for the same
// while it waits to be sent share it. Everything in it is used again, so a query is held by those that need it, and goes back to
// its group with the last of them.
type query struct {
	group *group
	// text is the Redis keys after each other, and ends where each of them ends.
	text []byte
	ends []int
	// seen finds a key by its hash: 1 more than its position, or 0.
	seen []int32

	// stored are the fields of all replies, in order: of key k there are those from k*len(group.fields) on.
	stored []storedRow
	// replies have the memory that stored shares.
	replies []*replies
	// away are the keys that nothing is known of, because what has them did not answer; nil for none.
	away []bool
	// failed is that some of its replies are not there.
	failed bool

	holders atomic.Int32
	// kept says that someone keeps texts that share the memory of replies.
	kept atomic.Bool
}

// storedRow is the row in a field, if there is one.
type storedRow struct {
	row string
	ok  bool
}

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
	if q.kept.Load() {
		return
	}
	for i, r := range q.replies {
		r.release()
		q.replies[i] = nil
	}
	if cap(q.text) > maxKeptBytes {
		return
	}
	clear(q.stored)
	q.text, q.ends, q.stored, q.replies = q.text[:0], q.ends[:0], q.stored[:0], q.replies[:0]
	q.away, q.failed = nil, false
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

// commands appends those that ask for the query's keys, and makes places for the rows.
func (q *query) commands(dst []command) []command {
	q.stored = slices.Grow(q.stored, len(q.ends)*len(q.group.fields))[:len(q.ends)*len(q.group.fields)]
	for k := range q.ends {
		dst = append(dst, command{query: q, key: k})
	}
	return dst
}

// rowsOf is the places of the rows of key k.
func (q *query) rowsOf(k int) []storedRow {
	fields := len(q.group.fields)
	return q.stored[k*fields : (k+1)*fields]
}

// answered notes that replies have rows of the query. It holds them.
func (q *query) answered(r *replies) {
	r.holders.Add(1)
	q.replies = append(q.replies, r)
}
