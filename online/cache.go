package online

import (
	"encoding/binary"
	"hash/maphash"
	"strings"
	"sync"
	"time"
)

// DefaultCacheBytes bounds what one reader keeps of rows in memory, over all views that declare a cache, unless BoundCache says it.
const DefaultCacheBytes = 64 << 20

// rowCache keeps rows as they are stored, of views that declare for how long: filters, masks, TTLs and times are applied to each
// read anew. An entry is of the views that one plan reads of one entity, so what plans of other callers see is no part of it.
//
// A row is served for at most as long as its view says from when it was asked for, not from when it came: so a value that was
// replaced in Redis is not served later than that after it was.
type rowCache struct {
	shards [cacheShards]cacheShard
	// most is how many bytes a shard keeps.
	most int
}

const cacheShards = 16

// cacheShard drops all that was put in before the last half of its bytes.
type cacheShard struct {
	mu         sync.Mutex
	young, old map[string]cached
	// bytes and oldBytes are about what young and old take.
	bytes, oldBytes int
	hits, misses    int64
}

// CacheStats are of the rows that a Reader keeps in memory.
type CacheStats struct {
	// Hits and Misses are entities that were looked for, each with all views that a read has of it.
	Hits, Misses int64
	// Bytes is about what is kept, of at most Most.
	Bytes, Most int
}

// BoundCache sets how many bytes of rows are kept in memory, instead of DefaultCacheBytes. It is called before the first read.
func (r *Reader) BoundCache(bytes int) { r.cache = newRowCache(bytes) }

// CacheStats are those of now.
func (r *Reader) CacheStats() CacheStats {
	stats := CacheStats{Most: r.cache.most * cacheShards}
	for i := range r.cache.shards {
		s := &r.cache.shards[i]
		s.mu.Lock()
		stats.Hits += s.hits
		stats.Misses += s.misses
		stats.Bytes += s.bytes + s.oldBytes
		s.mu.Unlock()
	}
	return stats
}

type cached struct {
	rows  []storedRow
	asked time.Time
}

// entryBytes and rowBytes are about what an entry takes beside its texts.
const (
	entryBytes = 128
	rowBytes   = 24
)

func newRowCache(most int) *rowCache { return &rowCache{most: most / cacheShards} }

func (c *rowCache) shard(key []byte) *cacheShard {
	return &c.shards[maphash.Bytes(hashSeed, key)%cacheShards]
}

// get is what was kept under a key and is not older than its group allows, or nil.
func (c *rowCache) get(key []byte, g *group, now time.Time) []storedRow {
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.young[string(key)]
	if !ok {
		e = s.old[string(key)]
	}
	if e.rows == nil || now.Sub(e.asked) >= g.cache {
		s.misses++
		return nil
	}
	s.hits++
	return e.rows
}

// put keeps rows, with memory of their own, that were asked for at a time, and returns them.
func (c *rowCache) put(key []byte, rows []storedRow, asked time.Time) []storedRow {
	own := make([]storedRow, len(rows))
	bytes := entryBytes + len(key)
	for i, r := range rows {
		own[i] = storedRow{strings.Clone(r.row), r.ok}
		bytes += rowBytes + len(r.row)
	}
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.young == nil || s.bytes+bytes > c.most/2 {
		s.old, s.oldBytes, s.young, s.bytes = s.young, s.bytes, map[string]cached{}, 0
	}
	if bytes > c.most/2 {
		return own
	}
	if before, ok := s.young[string(key)]; ok && before.asked.After(asked) {
		// A read that was asked for later is newer.
		return own
	}
	s.young[string(key)] = cached{own, asked}
	s.bytes += bytes
	return own
}

// appendCacheKey appends the key of an entry.
func appendCacheKey(dst []byte, g *group, key []byte) []byte {
	return append(binary.BigEndian.AppendUint64(dst, g.id), key...)
}

// missing is the keys of a query that are not in the cache.
type missing struct {
	of *query
	// at are their positions in it.
	at []int
	// asked is when they were looked for.
	asked time.Time
}

// takeCached puts what is in the cache in its place in q, and returns a query of the keys that are not, or nil.
func (l *Lookup) takeCached(q *query, now time.Time) (*query, *missing) {
	width := len(q.group.fields)
	q.stored = append(q.stored, make([]storedRow, width*len(q.ends))...)
	m := &missing{of: q, asked: now}
	var rest *query
	for k := range q.ends {
		l.key = appendCacheKey(l.key[:0], q.group, q.key(k))
		if rows := l.reader.cache.get(l.key, q.group, now); rows != nil {
			copy(q.stored[k*width:], rows)
			continue
		}
		if rest == nil {
			rest = q.group.newQuery()
		}
		rest.text = append(rest.text, q.key(k)...)
		rest.ends = append(rest.ends, len(rest.text))
		m.at = append(m.at, k)
	}
	return rest, m
}

// keep puts what was found for missing keys in its place, and into the cache.
func (l *Lookup) keep(found *query, m *missing) {
	width := len(found.group.fields)
	for i, k := range m.at {
		if found.isAway(i) {
			m.of.setAway(k)
			continue
		}
		l.key = appendCacheKey(l.key[:0], found.group, found.key(i))
		copy(m.of.stored[k*width:], l.reader.cache.put(l.key, found.stored[i*width:(i+1)*width], m.asked))
	}
}
