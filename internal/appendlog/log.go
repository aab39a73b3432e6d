// Package appendlog is the one local append log: records that must survive the process before they are anywhere else.
// The audit log writes each decision to one before it replies; a reader elsewhere gets the records by Drain.
//
// It knows nothing of what the records hold, and imports the standard library only.
//
// Invariant: a record whose Append has returned is delivered by Drain at least once, in order, under the same writer id
// and number, whenever the process is killed. The power going may take the records of the last moments, unless the log is
// opened with Sync; numbers that were delivered are never given to another record even then.
package appendlog

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Record is one appended payload.
type Record struct {
	// Number counts from 1 per writer, without gaps as long as no record is lost to a power failure.
	Number  int64
	Payload []byte
}

// Options of a log. The zero value is good.
type Options struct {
	// SegmentBytes is the size from which a new segment is begun. Default: 16 MiB.
	SegmentBytes int64
	// Sync makes Append wait until the record is on the disk, sharing the wait with other callers. Default: the disk is
	// synced in the background.
	Sync bool
	// SyncEvery is the least time between two background syncs. Default: 100 ms.
	SyncEvery time.Duration
	// BatchRecords and BatchBytes bound what Drain delivers at once; one record is delivered however long it is.
	// Defaults: 1,000 records, 4 MiB.
	BatchRecords int
	BatchBytes   int
}

func (o Options) withDefaults() Options {
	if o.SegmentBytes <= 0 {
		o.SegmentBytes = 16 << 20
	}
	if o.SyncEvery <= 0 {
		o.SyncEvery = 100 * time.Millisecond
	}
	if o.BatchRecords <= 0 {
		o.BatchRecords = 1000
	}
	if o.BatchBytes <= 0 {
		o.BatchBytes = 4 << 20
	}
	return o
}

var (
	// ErrClosed is returned by a log that was closed.
	ErrClosed = errors.New("the append log is closed")
	// ErrLocked is returned by Open when another process, or another Log of this one, has the directory.
	ErrLocked = errors.New("another process has the append log")
)

// Log is an open append log. Its methods may be called concurrently.
type Log struct {
	dir     string
	options Options
	writer  string
	lock    *os.File
	torn    int64

	mu sync.Mutex
	// segments are ordered; the last is the one written to, and there always is one.
	segments []segment
	file     *os.File
	next     int64
	// waiting are records that whoever came first of them is about to write, nil for none. They are numbered as if the group that is
	// written now, of writing records, came to be in the log. spare is memory for the next.
	waiting *group
	writing int64
	spare   []byte
	// broken is why no record can be appended any more, once a write could not be undone or a sync failed.
	broken error
	closed bool
	// delivered is the number of the first record that was not delivered.
	delivered int64

	// turn is held by whoever writes, begins a segment or closes the log; it is taken before mu.
	turn sync.Mutex

	syncing sync.Mutex
	// synced is the first number that may not be on the disk; guarded by syncing.
	synced int64

	dirty    chan struct{}
	stop     chan struct{}
	syncDone chan struct{}

	// draining holds one token; whoever has it owns drained.
	draining chan struct{}
	drained  cursor
}

// segment is a file of records.
type segment struct {
	path  string
	first int64
	// size counts the bytes of the header and of whole records.
	size int64
}

// cursor is a place between two records.
type cursor struct {
	// segment is the first number of the segment.
	segment int64
	offset  int64
	number  int64
}

const (
	lockName       = "LOCK"
	writerName     = "WRITER"
	checkpointName = "CHECKPOINT"
	segmentSuffix  = ".log"
)

// Open opens the log in a directory, which it makes when there is none, and locks it. A torn tail of the last segment is
// cut off; see TornBytes. Damage anywhere else is a *DamageError, and ErrLocked is returned when the directory is in use.
func Open(dir string, options Options) (*Log, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the append log's directory: %w", err)
	}
	lock, err := lockFile(filepath.Join(dir, lockName))
	if err != nil {
		return nil, err
	}
	l := &Log{
		dir: dir, options: options.withDefaults(), lock: lock,
		dirty: make(chan struct{}, 1), stop: make(chan struct{}), syncDone: make(chan struct{}),
		draining: make(chan struct{}, 1),
	}
	if err := l.recover(); err != nil {
		if l.file != nil {
			l.file.Close()
		}
		lock.Close()
		return nil, err
	}
	go l.syncInBackground()
	return l, nil
}

// recover brings the log to where its files are.
func (l *Log) recover() error {
	paths, err := filepath.Glob(filepath.Join(l.dir, "*"+segmentSuffix))
	if err != nil {
		return fmt.Errorf("list the append log's segments: %w", err)
	}
	slices.Sort(paths)
	checkpoint, err := readCheckpoint(filepath.Join(l.dir, checkpointName))
	if err != nil {
		return err
	}
	// With neither segments nor a checkpoint, what numbers the writer has used is not known: a new writer begins.
	if l.writer, err = l.loadWriter(len(paths) == 0 && checkpoint == 0); err != nil {
		return err
	}
	for i, path := range paths {
		if err := l.recoverSegment(path, checkpoint, i == len(paths)-1); err != nil {
			return err
		}
	}
	if len(l.segments) > 0 && checkpoint != 0 && checkpoint < l.segments[0].first {
		return &DamageError{File: l.segments[0].path, Offset: 0, Found: fmt.Sprintf(
			"it begins with record %d, but record %d has not been delivered and its file is missing",
			l.segments[0].first, checkpoint)}
	}
	if l.next < checkpoint || len(l.segments) == 0 {
		// Nothing undelivered is left, and the numbers up to the checkpoint are taken.
		l.next = max(checkpoint, 1)
		if err := l.beginSegment(); err != nil {
			return err
		}
		l.drained = cursor{segment: l.next, offset: segmentHeaderSize, number: l.next}
	} else if l.file, err = os.OpenFile(l.active().path, os.O_WRONLY|os.O_APPEND, 0); err != nil {
		return fmt.Errorf("open the append log's last segment: %w", err)
	}
	if l.drained.number == 0 {
		l.drained = cursor{segment: l.segments[0].first, offset: segmentHeaderSize, number: l.segments[0].first}
	}
	l.synced = l.drained.number
	return l.removeDrained()
}

func (l *Log) recoverSegment(path string, checkpoint int64, last bool) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("open an append log segment: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("stat an append log segment: %w", err)
	}
	header := make([]byte, min(segmentHeaderSize, info.Size()))
	if _, err := io.ReadFull(f, header); err != nil {
		return fmt.Errorf("read the header of %s: %w", path, err)
	}
	first, err := parseSegmentHeader(header)
	if errors.Is(err, errTorn) && last && info.Size() <= segmentHeaderSize {
		// The process ended while it began the segment. Its name still holds the number to go on with.
		l.torn += info.Size()
		if first, err = numberOfName(path); err != nil {
			return &DamageError{File: path, Offset: 0, Found: err.Error()}
		}
		if l.next != 0 && first != l.next {
			return &DamageError{File: path, Offset: 0, Found: fmt.Sprintf("its name says record %d, expected %d", first, l.next)}
		}
		if err := rewrite(f, appendSegmentHeader(nil, first)); err != nil {
			return fmt.Errorf("write the header of %s: %w", path, err)
		}
		info, err = f.Stat()
	}
	if err != nil {
		return &DamageError{File: path, Offset: 0, Found: err.Error()}
	}
	switch named, err := numberOfName(path); {
	case err != nil:
		return &DamageError{File: path, Offset: 0, Found: err.Error()}
	case named != first:
		return &DamageError{File: path, Offset: 0, Found: fmt.Sprintf("its header says record %d, its name %d", first, named)}
	case l.next != 0 && first != l.next:
		return &DamageError{File: path, Offset: 0, Found: fmt.Sprintf("it begins with record %d, expected %d", first, l.next)}
	}

	d := newDecoder(path, f, segmentHeaderSize, info.Size(), first)
	for {
		if d.number == checkpoint {
			l.drained = cursor{segment: first, offset: d.offset, number: d.number}
		}
		_, err := d.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if errors.Is(err, errTorn) {
			if !last {
				return d.damage("the segment ends within record %d, and a later segment follows", d.number)
			}
			l.torn += info.Size() - d.offset
			if err := cut(f, d.offset); err != nil {
				return fmt.Errorf("cut the torn tail of %s: %w", path, err)
			}
			break
		}
		if err != nil {
			return err
		}
	}
	l.segments = append(l.segments, segment{path: path, first: first, size: d.offset})
	l.next = d.number
	return nil
}

func numberOfName(path string) (int64, error) {
	name := strings.TrimSuffix(filepath.Base(path), segmentSuffix)
	n, err := strconv.ParseInt(name, 10, 64)
	if err != nil || n < 1 || len(name) != 20 {
		return 0, fmt.Errorf("found a segment named %q, expected the 20 digits of its first record's number", name)
	}
	return n, nil
}

func (l *Log) loadWriter(fresh bool) (string, error) {
	path := filepath.Join(l.dir, writerName)
	b, err := os.ReadFile(path)
	if err == nil && !fresh {
		id := strings.TrimSuffix(string(b), "\n")
		if raw, err := hex.DecodeString(id); err != nil || len(raw) != 16 {
			return "", &DamageError{File: path, Found: fmt.Sprintf("found %q, expected 32 hex digits", id)}
		}
		return id, nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("read the append log's writer id: %w", err)
	}
	if !fresh {
		return "", &DamageError{File: path, Found: "the file is missing, and the segments were written under its id"}
	}
	var id [16]byte
	rand.Read(id[:])
	text := hex.EncodeToString(id[:])
	return text, replaceFile(path, []byte(text+"\n"))
}

// Writer is the log's id: 32 hex digits, kept in the directory. With a record's number it names the record for ever.
func (l *Log) Writer() string { return l.writer }

// TornBytes is how much Open cut off the end: writes that never came to their end, so were never acknowledged, or that
// the power took.
func (l *Log) TornBytes() int64 { return l.torn }

// Append writes one record, of 1 to MaxPayload bytes, and returns its number. When it has returned, the record survives
// the end of the process; with Options.Sync, that of the machine. After an error the record is not in the log, except
// that a failed sync leaves open whether it is; the log then takes no more.
func (l *Log) Append(payload []byte) (int64, error) {
	return l.AppendAll([][]byte{payload})
}

// AppendAll is Append of several records, whose numbers follow each other, of which there is at least one, in one write. After an error
// none of them is in the log; where the process ends within the write, the first of them may be. It returns the number of the first.
func (l *Log) AppendAll(payloads [][]byte) (int64, error) {
	for _, payload := range payloads {
		if len(payload) == 0 || len(payload) > MaxPayload {
			return 0, fmt.Errorf("found a payload of %d bytes, expected 1 to %d", len(payload), MaxPayload)
		}
	}
	number, err := l.write(payloads)
	if err != nil {
		return 0, err
	}
	if l.options.Sync {
		return number, l.syncTo(number + int64(len(payloads)))
	}
	select {
	case l.dirty <- struct{}{}:
	default:
	}
	return number, nil
}

// group are records that are written at once.
type group struct {
	records int64
	buffer  []byte
	// done is closed when err says what became of them; nil where nobody waits but who writes them.
	done chan struct{}
	err  error
}

// write has records written with those that come at the same time: one write for all of them.
func (l *Log) write(payloads [][]byte) (int64, error) {
	l.mu.Lock()
	if err := l.usable(); err != nil {
		l.mu.Unlock()
		return 0, err
	}
	g, first := l.waiting, l.waiting == nil
	switch {
	case first:
		g = &group{buffer: l.spare[:0]}
		l.waiting, l.spare = g, nil
	case g.done == nil:
		g.done = make(chan struct{})
	}
	number := l.next + l.writing + g.records
	for _, payload := range payloads {
		g.buffer = appendRecord(g.buffer, l.next+l.writing+g.records, payload)
		g.records++
	}
	l.mu.Unlock()
	if !first {
		<-g.done
		return number, g.err
	}
	// Those who are about to append do so now.
	runtime.Gosched()
	return number, l.writeGroup(g)
}

// writeGroup writes a group that its caller is the first of.
func (l *Log) writeGroup(g *group) error {
	l.turn.Lock()
	defer l.turn.Unlock()
	l.mu.Lock()
	err := g.err
	if err == nil {
		l.waiting = nil
		err = l.prepare(int64(len(g.buffer)))
	}
	if err == nil {
		file := l.file
		l.writing = g.records
		l.mu.Unlock()
		_, err = file.Write(g.buffer)
		l.mu.Lock()
		if err != nil {
			err = l.undo(err)
		} else {
			l.next += g.records
			l.active().size += int64(len(g.buffer))
		}
		l.writing = 0
	}
	if err != nil && g.err == nil {
		g.err = err
		if later := l.waiting; later != nil && later != g {
			// They have numbers behind those that are not there.
			later.err, l.waiting = err, nil
		}
	}
	if cap(g.buffer) <= maxSpare {
		l.spare = g.buffer
	}
	l.mu.Unlock()
	if g.done != nil {
		close(g.done)
	}
	return g.err
}

// maxSpare is up to how many bytes the memory of a group is kept for the next.
const maxSpare = 64 << 10

// prepare begins a segment where so many bytes do not go into the one that is written to.
func (l *Log) prepare(size int64) error {
	if err := l.usable(); err != nil {
		return err
	}
	if a := l.active(); a.size > segmentHeaderSize && a.size+size > l.options.SegmentBytes {
		return l.rotate()
	}
	return nil
}

// undo takes back a write that failed, and is what is said of it.
func (l *Log) undo(err error) error {
	err = fmt.Errorf("append to %s: %w", l.active().path, err)
	if undo := l.file.Truncate(l.active().size); undo != nil {
		l.broken = fmt.Errorf("the append log takes no more records, for a write was left half done: %w", errors.Join(err, undo))
	}
	return err
}

func (l *Log) usable() error {
	if l.closed {
		return ErrClosed
	}
	return l.broken
}

func (l *Log) active() *segment { return &l.segments[len(l.segments)-1] }

// rotate begins the next segment. It is called with both turn and mu held. The one before is on the disk first, so that only a last segment can have a torn tail.
func (l *Log) rotate() error {
	old := l.file
	if err := old.Sync(); err != nil {
		l.broken = fmt.Errorf("the append log takes no more records, for a sync failed: %w", err)
		return l.broken
	}
	if err := l.beginSegment(); err != nil {
		return err
	}
	return old.Close()
}

// beginSegment makes a segment that begins with the next number the one written to. On an error nothing has changed.
func (l *Log) beginSegment() error {
	path := filepath.Join(l.dir, fmt.Sprintf("%020d%s", l.next, segmentSuffix))
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("begin an append log segment: %w", err)
	}
	_, err = f.Write(appendSegmentHeader(nil, l.next))
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = syncDirectory(l.dir)
	}
	if err != nil {
		f.Close()
		return errors.Join(fmt.Errorf("begin an append log segment: %w", err), os.Remove(path))
	}
	l.file = f
	l.segments = append(l.segments, segment{path: path, first: l.next, size: segmentHeaderSize})
	return nil
}

// Sync returns when all records appended before the call are on the disk.
func (l *Log) Sync() error {
	l.mu.Lock()
	next := l.next
	l.mu.Unlock()
	return l.syncTo(next)
}

// syncTo returns when the records before a number are on the disk. Callers that wait for each other share a sync.
func (l *Log) syncTo(number int64) error {
	l.syncing.Lock()
	defer l.syncing.Unlock()
	if l.synced >= number {
		return nil
	}
	l.mu.Lock()
	file, next, broken := l.file, l.next, l.broken
	l.mu.Unlock()
	if broken != nil {
		return broken
	}
	// A file that was closed meanwhile was synced before.
	if err := file.Sync(); err != nil && !errors.Is(err, os.ErrClosed) {
		// What a failed sync has lost, the next one does not report: nothing may be built on it.
		l.mu.Lock()
		defer l.mu.Unlock()
		l.broken = fmt.Errorf("the append log takes no more records, for a sync failed: %w", err)
		return l.broken
	}
	l.synced = next
	return nil
}

func (l *Log) syncInBackground() {
	defer close(l.syncDone)
	for {
		select {
		case <-l.stop:
			return
		case <-l.dirty:
		}
		// An error is kept in broken, for the next Append.
		_ = l.Sync()
		select {
		case <-l.stop:
			return
		case <-time.After(l.options.SyncEvery):
		}
	}
}

// Pending counts the records that have not been drained.
func (l *Log) Pending() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next - l.delivered
}

// Bytes is the room that the log's segments take on the disk, with what was delivered and not deleted yet.
func (l *Log) Bytes() (size int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.segments {
		size += l.segments[i].size
	}
	return size
}

// Close syncs and closes the log, and waits for a Drain that runs. Records that were not drained stay for the next Open.
func (l *Log) Close() error {
	l.draining <- struct{}{}
	defer func() { <-l.draining }()
	l.turn.Lock()
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		l.turn.Unlock()
		return nil
	}
	l.closed = true
	l.mu.Unlock()
	l.turn.Unlock()
	close(l.stop)
	<-l.syncDone
	return errors.Join(l.Sync(), l.file.Close(), l.lock.Close())
}
