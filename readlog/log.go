package readlog

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/protobuf/proto"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/appendlog"
	"github.com/headwaterhq/headwater/internal/fault"
)

// Options of a log. The zero value is good.
type Options struct {
	// Bytes is the room that reads may take on the disk while they wait for Postgres. 0: DefaultBytes.
	Bytes int64
	// Retention is how long reads are kept in Postgres, in whole days. 0: DefaultRetention.
	Retention time.Duration
	// Queue is how many sampled reads may wait to be written to the disk, beside those that are about to be. 0: 1,024.
	Queue int
	// Log is told of outages. Default: nobody is.
	Log *slog.Logger
	// Metrics may be nil.
	Metrics *Metrics
	// Now is the clock. Default: time.Now.
	Now func() time.Time

	segmentBytes int64
	drainEvery   time.Duration
}

const (
	// DefaultBytes is 1 GiB.
	DefaultBytes = 1 << 30
	// DefaultRetention is 90 days.
	DefaultRetention = 90 * day

	day = 24 * time.Hour

	// drainEvery is how long reads wait for others that go with them to Postgres, for each drain waits for the disk several times, whatever it brings;
	// and how often a server says up to when all of its reads are there.
	drainEvery = time.Second
	// drainFrom is how many reads do not wait.
	drainFrom = 4096
	// Sampled reads are written at once that come within gatherFor of the first: the scheduler of Go looks after each write of a file for a while.
	gatherFor   = 50 * time.Millisecond
	gatherReads = 256
	gatherBytes = 1 << 20

	drainTimeout = 30 * time.Second
	closeTimeout = 5 * time.Second
	// trimEvery is how long what is in Postgres may still be on the disk, about.
	trimEvery = 10 * time.Second
	tendEvery = time.Hour
)

// Log takes reads and brings them to Postgres. Its methods may be called concurrently.
type Log struct {
	log     *appendlog.Log
	dir     string
	pool    *pgxpool.Pool
	options Options
	secrets *secrets

	// queue has sampled reads, and requests to be told when all before them are written.
	queue chan queued
	// dropping is set while sampled reads are dropped, so that it is logged once.
	dropping atomic.Bool
	full     atomic.Bool

	// days are those whose partition is known to be there; of the drain alone.
	days map[string]bool

	// pressing is told of reads that are not to wait for Postgres any longer. gathered counts those since the last drain began.
	pressing chan struct{}
	gathered atomic.Int64
	// composing counts the sampled reads that wait to be written with others.
	composing atomic.Int64
	stop      context.CancelFunc
	working   sync.WaitGroup
	writing   sync.WaitGroup
}

// queued is a read, or with done somebody who waits for all before it; with neither the end.
type queued struct {
	read []byte
	done chan<- struct{}
}

// Open opens the append log in a directory, which no other process may have open, and begins to drain it.
func Open(ctx context.Context, dir string, pool *pgxpool.Pool, o Options) (*Log, error) {
	if o.Bytes <= 0 {
		o.Bytes = DefaultBytes
	}
	if o.Retention <= 0 {
		o.Retention = DefaultRetention
	}
	if o.Queue <= 0 {
		o.Queue = 1024
	}
	if o.drainEvery <= 0 {
		o.drainEvery = drainEvery
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	secrets, err := loadSecrets(ctx, pool)
	if err != nil {
		return nil, err
	}
	log, err := appendlog.Open(dir, appendlog.Options{SegmentBytes: o.segmentBytes})
	if err != nil {
		return nil, fault.New(fault.ReadLogUnavailable, "the read log in %s cannot be opened: %v", dir, err).Because(err)
	}
	if n := log.TornBytes(); n > 0 {
		o.Log.Warn("cut an unfinished write off the read log", "directory", dir, "bytes", n)
	}
	if absolute, err := filepath.Abs(dir); err == nil {
		dir = absolute
	}
	background, stop := context.WithCancel(context.Background())
	l := &Log{
		log: log, dir: dir, pool: pool, options: o, secrets: secrets, queue: make(chan queued, o.Queue), days: map[string]bool{},
		pressing: make(chan struct{}, 1), stop: stop,
	}
	if err := l.enter(ctx); err != nil {
		stop()
		return nil, errors.Join(err, log.Close())
	}
	o.Metrics.follow(l)
	l.writing.Go(l.writeQueue)
	l.working.Go(func() { l.drainInBackground(background) })
	l.working.Go(func() { l.tendInBackground(background) })
	return l, nil
}

// Sampled reports whether a read is kept by a service that keeps a share of its reads, 0 to 1: whether the first eight bytes of
// the SHA-256 of its id, as a number, are below that share of all numbers. So it can be told later of any id.
func Sampled(readID string, share float64) bool {
	if share >= 1 {
		return true
	}
	sum := sha256.Sum256([]byte(readID))
	return float64(binary.BigEndian.Uint64(sum[:8])) < share*math.Exp2(64)
}

// Append keeps a read. When it has returned, the read survives the process. A READ_LOG_UNAVAILABLE fault means that it is not
// kept, and must not be answered.
func (l *Log) Append(r *headwaterv1.LoggedRead) error {
	payload, err := proto.Marshal(r)
	if err == nil {
		err = l.append(payload)
	}
	if err != nil {
		l.options.Metrics.count(refused)
		return fault.New(fault.ReadLogUnavailable, "service %s keeps all of its reads, and this one cannot be kept: %s, so it is not answered; "+
			"see the server's log, and the disk of its read log folder", r.GetService(), whyNot(err)).Because(err)
	}
	l.options.Metrics.count(kept)
	return nil
}

// errFull is the bound of the log.
var errFull = errors.New("the log holds as many reads as it may, for Postgres does not take them")

func whyNot(err error) string {
	if errors.Is(err, errFull) {
		return errFull.Error()
	}
	return "the server cannot write it to its disk"
}

func (l *Log) append(payloads ...[]byte) error {
	size := int64(0)
	for _, payload := range payloads {
		size += int64(len(payload))
	}
	if l.log.Bytes()+size > l.options.Bytes {
		if !l.full.Swap(true) {
			l.options.Log.Error("the read log is full: services that keep all reads are not answered, sampled reads are dropped",
				"directory", l.dir, "bytes", l.options.Bytes, "pending", l.log.Pending())
			l.press()
		}
		return errFull
	}
	if l.full.Load() && l.full.Swap(false) {
		l.options.Log.Info("the read log takes reads again", "directory", l.dir)
	}
	if _, err := l.log.AppendAll(payloads); err != nil {
		return err
	}
	n := int64(len(payloads))
	if all := l.gathered.Add(n); all >= drainFrom && all-n < drainFrom {
		l.press()
	}
	return nil
}

// Offer keeps a sampled read, unless too many wait: then it is counted as dropped. It does not wait.
func (l *Log) Offer(r *headwaterv1.LoggedRead) {
	payload, err := proto.Marshal(r)
	if err != nil {
		l.drop(err.Error())
		return
	}
	select {
	case l.queue <- queued{read: payload}:
	default:
		l.drop("more reads are sampled than can be written")
	}
}

func (l *Log) drop(why string) {
	l.options.Metrics.count(dropped)
	if !l.dropping.Swap(true) {
		l.options.Log.Warn("sampled reads are dropped from the read log", "why", why, "directory", l.dir)
	}
}

// writeQueue writes sampled reads until the end, those of a moment at once.
func (l *Log) writeQueue() {
	var reads [][]byte
	var late <-chan time.Time
	bytes := 0
	write := func() {
		l.writeReads(reads)
		clear(reads)
		reads, late, bytes = reads[:0], nil, 0
		l.composing.Store(0)
	}
	for {
		select {
		case q := <-l.queue:
			switch {
			case q.done != nil:
				write()
				close(q.done)
				continue
			case q.read == nil:
				write()
				return
			}
			reads, bytes = append(reads, q.read), bytes+len(q.read)
			l.composing.Store(int64(len(reads)))
			switch {
			case len(reads) == gatherReads || bytes >= gatherBytes:
				write()
			case len(reads) == 1:
				late = time.After(gatherFor)
			}
		case <-late:
			write()
		}
	}
}

// writeReads writes sampled reads in one write, or where that fails each by itself: what is said of all of them may be so of one alone.
func (l *Log) writeReads(reads [][]byte) {
	if len(reads) == 0 {
		return
	}
	err := l.append(reads...)
	if err != nil && len(reads) > 1 {
		for i := range reads {
			l.writeReads(reads[i : i+1])
		}
		return
	}
	for range reads {
		if err != nil {
			l.drop(err.Error())
			continue
		}
		l.options.Metrics.count(kept)
		l.dropping.Store(false)
	}
}

func (l *Log) press() {
	select {
	case l.pressing <- struct{}{}:
	default:
	}
}

// Pending counts the reads that are on the disk and not in Postgres yet.
func (l *Log) Pending() int64 { return l.log.Pending() }

// Flush returns when all reads that were kept before the call, sampled ones too, are in Postgres.
func (l *Log) Flush(ctx context.Context) error {
	done := make(chan struct{})
	select {
	case l.queue <- queued{done: done}:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-done:
	case <-ctx.Done():
		return ctx.Err()
	}
	return l.drain(ctx)
}

// Trim deletes from this server's disk what is in Postgres.
func (l *Log) Trim() error { return l.log.Trim() }

// place tells where the append log is.
func (l *Log) place() string {
	host, err := os.Hostname()
	if err != nil {
		host = "?"
	}
	return fmt.Sprintf("%s:%s", host, l.dir)
}

// Close writes what is queued, drains once more, as long as a few seconds allow, and closes the append log. What is left is
// drained after the next Open. Sampled reads that are offered later are not kept.
func (l *Log) Close() error {
	l.queue <- queued{}
	l.writing.Wait()
	l.stop()
	l.working.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	err := l.drain(ctx)
	if err == nil {
		err = l.leave(ctx)
	}
	if err != nil {
		l.options.Log.Warn("reads are left for the next start", "pending", l.log.Pending(), "error", err)
	} else if err := l.log.Trim(); err != nil {
		l.options.Log.Warn("what is in Postgres stays on the disk", "directory", l.dir, "error", err)
	}
	return l.log.Close()
}
