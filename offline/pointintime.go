package offline

import (
	"context"
	"fmt"
	"iter"
	"runtime/debug"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/semaphore"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/read"
)

// AsOf is a view version at one of its sequences.
type AsOf struct {
	View *feature.ViewVersion
	// Seq is the last sequence that is visible, 0 for none.
	Seq int64
	// TTL is how long after its event time a row may be used; zero: for ever.
	TTL time.Duration
	// AnyArrival counts rows from their event time on, whenever they arrived: nothing is NOT_YET_KNOWN.
	AnyArrival bool
	// Wanted are positions in View.Stored(), ascending: the columns to read. The others are NULL in the winners. nil: all.
	Wanted []int
	// NoTimes tells that nothing is made of the times of winners: they may be zero.
	NoTimes bool
}

// wanted are the positions of the columns to read.
func (v AsOf) wanted() []int {
	if v.Wanted != nil {
		return v.Wanted
	}
	all := make([]int, len(v.View.Features)+len(v.View.Attributes))
	for i := range all {
		all[i] = i
	}
	return all
}

// SpineRow asks for the winners of one entity at one time.
type SpineRow struct {
	// Number orders the answers: ascending within a spine.
	Number int64
	// Key is the entity's encoded join keys. Used only until the next row.
	Key []byte
	At  feature.Time
}

// Join asks for the winners of a spine.
type Join struct {
	// Name is that of no other join that is at work: tables are named after it.
	Name string
	// Views are all of one entity.
	Views []AsOf
	// Rows is how many the spine has, as far as is known: it decides on the strategy, and on nothing else.
	Rows int64
}

// Joiner finds winners. It bounds what all joins of a process use at once, so a process has one. Safe for concurrent use.
type Joiner struct {
	connect func(context.Context) (*pgx.Conn, error)
	// kept has connections that are used again; nil: each is opened, and closed.
	kept    *pgxpool.Pool
	options Options
	// scans is the bytes that packed histories may take, segments those that segments may, lanes the connections that joins
	// have beyond their first.
	scans, segments, lanes *semaphore.Weighted
}

// Options are what a Joiner may use. Zero stands for the default.
type Options struct {
	// Strategy is the one to find all winners with. Empty: the one that is expected to cost least, view by view.
	Strategy Strategy
	// ScanBytes is what the packed histories of all joins may take. 128 MiB.
	ScanBytes int64
	// SegmentRows is the most rows of a spine that are joined at once, and SegmentBytes the most that their winners are
	// expected to take: 262,144 and 64 MiB. SegmentMemory is what of that is kept in memory: 8 MiB. A join has up to Lanes+2
	// segments.
	SegmentRows, SegmentBytes, SegmentMemory int
	// SegmentsMemory is what the segments of all joins may take, 128 MiB. Where others have it, a join makes do with smaller
	// segments.
	SegmentsMemory int64
	// Lanes is the most connections on which one join has Postgres look winners up at once. 2.
	Lanes int
	// SampleRows is about how many rows of a spine are looked up to see how far back winners lie. 512.
	SampleRows int
	// SpareLanes is the most connections that all joins have for that beyond their first. 4.
	SpareLanes int64
}

func (o Options) withDefaults() Options {
	if o.ScanBytes == 0 {
		o.ScanBytes = 128 << 20
	}
	if o.SegmentRows == 0 {
		o.SegmentRows = 256 << 10
	}
	if o.SegmentBytes == 0 {
		o.SegmentBytes = 64 << 20
	}
	if o.SegmentMemory == 0 {
		o.SegmentMemory = 8 << 20
	}
	if o.SegmentsMemory == 0 {
		o.SegmentsMemory = 128 << 20
	}
	if o.Lanes == 0 {
		o.Lanes = 2
	}
	if o.SampleRows == 0 {
		o.SampleRows = 512
	}
	if o.SpareLanes == 0 {
		o.SpareLanes = 4
	}
	return o
}

// NewJoiner makes a Joiner. connect opens connections that are its own.
func NewJoiner(connect func(context.Context) (*pgx.Conn, error), options Options) *Joiner {
	options = options.withDefaults()
	return &Joiner{
		connect: connect, options: options,
		scans: semaphore.NewWeighted(options.ScanBytes), segments: semaphore.NewWeighted(options.SegmentsMemory), lanes: semaphore.NewWeighted(options.SpareLanes),
	}
}

// Keep has joins take their connections from a pool, and leave them there for the next: a process of Postgres finds each page of its shared
// memory anew, and a join meets most pages of a history. As many as joins ask for must be to be had, for a join that has one waits for
// another. It is called before the Joiner is used.
func (j *Joiner) Keep(pool *pgxpool.Pool) { j.kept = pool }

// connected calls do with a connection of its own, which nobody uses again after an error: a COPY may have been broken off on it.
func (j *Joiner) connected(ctx context.Context, do func(*pgx.Conn) error) error {
	if j.kept == nil {
		conn, err := j.connect(ctx)
		if err != nil {
			return err
		}
		defer conn.Close(context.WithoutCancel(ctx))
		return do(conn)
	}
	c, err := j.kept.Acquire(ctx)
	if err != nil {
		return err
	}
	defer c.Release()
	done := false
	defer func() {
		if !done {
			c.Conn().Close(context.WithoutCancel(ctx))
		}
	}()
	if err := do(c.Conn()); err != nil {
		return err
	}
	done = true
	return nil
}

// PointInTime finds, for each row of a spine and each of the views, the winner of the point-in-time rule: of the rows with
// the spine row's key that are visible at the view's sequence, with event_time <= t, available_at <= t unless arrival does
// not matter and, for a view with a TTL, event_time >= t - ttl, the one with the greatest (event_time, available_at).
//
// emit is called once per spine row, in the spine's order, with a winner per view; it may keep the winners. The spine is read
// once. All that is read of the histories is of one snapshot. Memory is bounded, whatever the sizes.
func (j *Joiner) PointInTime(ctx context.Context, join Join, spine iter.Seq2[SpineRow, error],
	emit func(number int64, winners []read.Winner) error,
) error {
	return j.snapshot(ctx, "", func(tx pgx.Tx) error {
		p := &pass{join: join, options: j.options, scanned: make([]*packed, len(join.Views))}
		if err := j.scan(ctx, tx, p); err != nil {
			return err
		}
		defer j.release(p)
		for i, packed := range p.scanned {
			if packed == nil {
				p.lateral = append(p.lateral, i)
			}
		}
		p.size()
		run := func() error {
			defer j.takeSegments(p)()
			return p.run(ctx, spine, emit)
		}
		if len(p.lateral) == 0 {
			return run()
		}
		return j.withLanes(ctx, tx, p, run)
	})
}

// takeSegments takes what the segments of a pass need of memory, and makes them smaller until that can be had. What they need at
// least is not asked for.
func (j *Joiner) takeSegments(p *pass) (release func()) {
	for {
		needed := int64(len(p.lanes)+2) * int64(p.memory+p.rows*segmentRowBytes)
		if j.segments.TryAcquire(needed) {
			return func() { j.segments.Release(needed) }
		}
		if p.rows <= leastRows && p.memory <= leastMemory {
			return func() {}
		}
		p.rows, p.memory = max(p.rows/2, min(p.rows, leastRows)), max(p.memory/2, min(p.memory, leastMemory))
	}
}

// withLanes calls do with the lanes of a pass: tx, and as many more as its spine fills and other joins leave.
func (j *Joiner) withLanes(ctx context.Context, tx pgx.Tx, p *pass, do func() error) error {
	p.lanes = append(p.lanes, newLane(p, tx))
	if len(p.lanes) == j.options.Lanes || int64(p.rows*len(p.lanes)) >= p.join.Rows || !j.lanes.TryAcquire(1) {
		return do()
	}
	defer j.lanes.Release(1)
	return j.beside(ctx, p.lanes[0].tx, func(tx pgx.Tx) error { return j.withLanes(ctx, tx, p, do) })
}

// beside calls do with a transaction on another connection, which sees what tx sees.
func (j *Joiner) beside(ctx context.Context, tx pgx.Tx, do func(pgx.Tx) error) error {
	var snapshot string
	if err := tx.QueryRow(ctx, "SELECT pg_export_snapshot()").Scan(&snapshot); err != nil {
		return err
	}
	return j.snapshot(ctx, snapshot, do)
}

// snapshot is inSnapshot on a connection of its own.
func (j *Joiner) snapshot(ctx context.Context, snapshot string, do func(pgx.Tx) error) error {
	return j.connected(ctx, func(conn *pgx.Conn) error { return inSnapshot(ctx, conn, snapshot, do) })
}

// PointInTime is what a Joiner does for one view or more on one connection, in Postgres, whatever else may cost less. name is
// that of no other call that is at work.
func PointInTime(ctx context.Context, conn *pgx.Conn, name string, views []AsOf, spine iter.Seq2[SpineRow, error],
	emit func(number int64, winners []read.Winner) error,
) error {
	return inSnapshot(ctx, conn, "", func(tx pgx.Tx) error {
		p := &pass{join: Join{Name: name, Views: views}, options: Options{}.withDefaults(), scanned: make([]*packed, len(views))}
		for i := range views {
			p.lateral = append(p.lateral, i)
		}
		p.size()
		p.lanes = append(p.lanes, newLane(p, tx))
		return p.run(ctx, spine, emit)
	})
}

// inSnapshot calls do in a transaction that sees what snapshot does, which another transaction exported; empty: one of its own.
// It is committed, not rolled back, for what do made and dropped: see lane.end.
func inSnapshot(ctx context.Context, conn *pgx.Conn, snapshot string, do func(pgx.Tx) error) error {
	return pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{IsoLevel: pgx.RepeatableRead}, func(tx pgx.Tx) error {
		if snapshot != "" {
			if _, err := tx.Exec(ctx, "SET TRANSACTION SNAPSHOT '"+snapshot+"'"); err != nil {
				return err
			}
		}
		return do(tx)
	})
}

// pass is one join at work.
type pass struct {
	join    Join
	options Options
	// scanned are the histories that are looked up in memory, by view; nil: in Postgres. lateral are the positions of those.
	scanned []*packed
	lateral []int
	lanes   []*lane
	// rows is how many rows of the spine a segment has, memory how many bytes of answers it keeps in memory, width about how many
	// an answer takes.
	rows, memory, width int
}

// piece is some rows of a segment, in their order.
type piece struct {
	segment *segment
	rows    []int32
}

// winnersBatch is how many rows' winners are made room for at once.
const winnersBatch = 512

// run cuts the spine into segments, has lanes find winners of several of them at once, and emits them one after another.
func (p *pass) run(ctx context.Context, spine iter.Seq2[SpineRow, error], emit func(number int64, winners []read.Winner) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var working sync.WaitGroup
	start := func(do func() error) {
		working.Go(func() {
			if err := protected(do); err != nil {
				cancel(err)
			}
		})
	}
	// One is filled and one emitted while the lanes have theirs.
	segments := make([]segment, len(p.lanes)+2)
	free := make(chan *segment, len(segments))
	for i := range segments {
		free <- &segments[i]
		defer segments[i].close()
	}
	// There is room for all segments there are.
	filled, ordered := make(chan piece, len(segments)*len(p.lanes)), make(chan *segment, len(segments))
	start(func() error {
		defer close(filled)
		defer close(ordered)
		return p.fill(ctx, spine, free, func(s *segment) {
			ordered <- s
			if len(p.lanes) == 0 {
				close(s.joined)
				return
			}
			s.sort()
			s.expect(min(p.memory, 2*(p.width+answerHeader)*max(len(s.numbers), leastBucketRows)))
			// The lanes share each segment, so that all have something to do until the last is joined.
			for _, rows := range s.cut(len(p.lanes)) {
				filled <- piece{s, rows}
			}
		})
	})
	for _, l := range p.lanes {
		start(func() error {
			for piece := range filled {
				if err := l.join(ctx, piece.segment, piece.rows); err != nil {
					return err
				}
				if err := piece.segment.done(); err != nil {
					return err
				}
			}
			if ctx.Err() != nil {
				return nil
			}
			return l.end(ctx)
		})
	}
	if err := p.emit(ctx, ordered, free, emit); err != nil {
		cancel(err)
	}
	working.Wait()
	return context.Cause(ctx)
}

// protected turns a panic into an error: in a goroutine of its own it would end the process.
func protected(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return do()
}

// emit emits the winners of segments when they are there.
func (p *pass) emit(ctx context.Context, ordered <-chan *segment, free chan<- *segment,
	emit func(number int64, winners []read.Winner) error,
) error {
	e := &emitter{pass: p, emit: emit}
	for _, i := range p.lateral {
		e.counts = append(e.counts, winnerFields(p.join.Views[i]))
	}
	for s := range ordered {
		select {
		case <-s.joined:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := e.segment(ctx, s); err != nil {
			return err
		}
		s.reset()
		free <- s
	}
	return nil
}

// fill reads the spine into segments.
func (p *pass) fill(ctx context.Context, spine iter.Seq2[SpineRow, error], free <-chan *segment, full func(*segment)) error {
	var s *segment
	rows := 0
	for row, err := range spine {
		if err != nil {
			return err
		}
		if err := checkTime(row.At); err != nil {
			return fault.New(fault.InvalidSpine, "spine: row %d: %v", row.Number+1, err)
		}
		if s == nil {
			select {
			case s = <-free:
				s.begin()
			case <-ctx.Done():
				return ctx.Err()
			}
			rows = p.segmentRows(p.join.Rows - row.Number)
		}
		s.add(row)
		if len(s.numbers) == rows || len(s.keys) >= p.memory {
			full(s)
			s = nil
		}
	}
	if s != nil {
		full(s)
	}
	return ctx.Err()
}

// segmentRows is how many rows the next segment has, where about left are: half of the last ones, and half of the rest, for while the answers to
// the last segment are made use of, nothing is looked up.
func (p *pass) segmentRows(left int64) int {
	if left > int64(p.rows) || left <= int64(min(p.rows, p.options.SegmentRows/smallestPart)) {
		return p.rows
	}
	return int(left+1) / 2
}

// smallestPart of the largest segment is what a spine is cut down to.
const smallestPart = 8

const (
	// leastRows and leastMemory are what a segment has at least, unless the options say less.
	leastRows, leastMemory = 4 << 10, 256 << 10
	// segmentRowBytes is about what a row of a segment takes without its answer: number, time, key, and place when sorted.
	segmentRowBytes = 64
)

// size says how large segments are to be. The more rows they have, the more of them meet the same pages of the history; the
// fewer, the more is done of one while others are joined.
func (p *pass) size() {
	const pieces = 4
	p.rows, p.memory = min(leastRows, p.options.SegmentRows), p.options.SegmentMemory
	for _, i := range p.lateral {
		p.width += winnerBytes(p.join.Views[i])
	}
	if p.width == 0 {
		return
	}
	rows := p.options.SegmentRows
	if p.join.Rows > 0 {
		rows = min(rows, max(int(p.join.Rows/pieces), rows/smallestPart))
	}
	p.rows = max(p.rows, min(rows, p.options.SegmentBytes/p.width))
	// Guesses of widths may be wrong by a factor.
	p.memory = min(p.memory, 2*(p.width+answerHeader)*p.rows)
}

// emitter makes winners of what was found, in the order of the spine.
type emitter struct {
	pass *pass
	emit func(number int64, winners []read.Winner) error
	// counts are the fields that Postgres sends of each view.
	counts []int
	// winners and values are room for those of rows to come.
	winners []read.Winner
	values  []feature.Value
	fields  [][]byte
}

func (e *emitter) segment(ctx context.Context, s *segment) error {
	views := e.pass.join.Views
	for i, number := range s.numbers {
		if i%winnersBatch == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if len(e.winners) < len(views) {
			e.winners = make([]read.Winner, winnersBatch*len(views))
		}
		winners := e.winners[:len(views):len(views)]
		e.winners = e.winners[len(views):]
		for v, packed := range e.pass.scanned {
			if packed == nil {
				continue
			}
			if err := packed.winner(&winners[v], s.key(i), s.at[i], e.room); err != nil {
				return err
			}
		}
		if len(e.pass.lateral) > 0 {
			if err := e.found(s, i, winners); err != nil {
				return err
			}
		}
		if err := e.emit(number, winners); err != nil {
			return err
		}
	}
	return nil
}

// found decodes the winners that Postgres sent of a row.
func (e *emitter) found(s *segment, row int, winners []read.Winner) (err error) {
	raw, err := s.answer(row)
	if err != nil {
		return err
	}
	e.fields = appendFields(e.fields[:0], raw)
	at := 1
	for nth, i := range e.pass.lateral {
		v, n := &e.pass.join.Views[i], e.counts[nth]
		if len(e.fields) < at+n {
			return fmt.Errorf("point in time: row %d of the spine has %d fields, expected more", s.numbers[row]+1, len(e.fields))
		}
		if winners[i], err = decodeWinner(v, e.fields[at:at+n], e.room); err != nil {
			return err
		}
		at += n
	}
	return nil
}

// room is memory for n values, NULL at first.
func (e *emitter) room(n int) []feature.Value {
	if len(e.values) < n {
		e.values = make([]feature.Value, winnersBatch*n)
	}
	values := e.values[:n:n]
	e.values = e.values[n:]
	return values
}
