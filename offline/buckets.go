package offline

import (
	"fmt"

	"github.com/headwaterhq/headwater/feature"
)

// maxBuckets bounds the digests that a run keeps of one table of others.
const maxBuckets = 256

// Buckets are digests of the rows that a run read of a table of others, by their event time: where the rows have changed since,
// they say when. Bucket n holds the rows of [Start + n Width, Start + (n + 1) Width).
type Buckets struct {
	Start feature.Time `json:"start"`
	// Width is in microseconds.
	Width int64 `json:"width"`
	// Filled are the buckets with rows, by their number.
	Filled map[int]Bucket `json:"filled"`
}

// Bucket is the rows of one.
type Bucket struct {
	Rows int64 `json:"rows"`
	// Digest is that of the rows in any order; hex.
	Digest string `json:"digest"`
}

// bucketCounter adds rows up to buckets.
type bucketCounter struct {
	start   feature.Time
	width   int64
	rows    [maxBuckets]int64
	digests [maxBuckets]feature.SetDigest
}

func newBucketCounter(read Spans) *bucketCounter {
	hull := read.Hull()
	length := max(int64(hull.End-hull.Start), 1)
	return &bucketCounter{start: hull.Start, width: (length + maxBuckets - 1) / maxBuckets}
}

func (c *bucketCounter) add(at feature.Time, encoding []byte) {
	n := min(max(int64(at-c.start)/c.width, 0), maxBuckets-1)
	c.rows[n]++
	c.digests[n].Add(encoding)
}

func (c *bucketCounter) buckets() *Buckets {
	b := &Buckets{Start: c.start, Width: c.width, Filled: map[int]Bucket{}}
	for n, rows := range c.rows {
		if rows > 0 {
			b.Filled[n] = Bucket{Rows: rows, Digest: c.digests[n].Digest().String()}
		}
	}
	return b
}

// total is the digest of all rows.
func (c *bucketCounter) total() feature.Digest {
	var sum feature.SetDigest
	for n, rows := range c.rows {
		if rows > 0 {
			sum.AddDigest(c.digests[n].Digest())
		}
	}
	return sum.Digest()
}

// Differences says in which spans the rows now are others than those that were read, in order.
func (b *Buckets) Differences(now *Buckets) []string {
	if b.Start != now.Start || b.Width != now.Width {
		return nil
	}
	var lines []string
	for n := range maxBuckets {
		was, is := b.Filled[n], now.Filled[n]
		if was == is {
			continue
		}
		start := b.Start + feature.Time(int64(n)*b.Width)
		lines = append(lines, fmt.Sprintf("rows of [%s, %s): it read %d, there are %d now", start, start+feature.Time(b.Width), was.Rows, is.Rows))
	}
	return lines
}
