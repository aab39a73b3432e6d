package appendlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Drain delivers the records that were appended before the call and not delivered yet, in order, in batches. A batch for
// which deliver returns nil is not delivered again, except when the process ends before the checkpoint is written: the
// receiver MUST take a record of the same writer and number twice without harm. An error of deliver is returned as it is,
// and the batch stays. One Drain runs at a time; others wait for it, or for ctx.
func (l *Log) Drain(ctx context.Context, deliver func(context.Context, []Record) error) error {
	select {
	case l.draining <- struct{}{}:
		defer func() { <-l.draining }()
	case <-ctx.Done():
		return ctx.Err()
	}
	l.mu.Lock()
	end, closed := l.next, l.closed
	l.mu.Unlock()
	if closed {
		return ErrClosed
	}
	if l.drained.number == end {
		return nil
	}
	// A number that a receiver has seen must not be given again after the power has gone.
	if err := l.syncTo(end); err != nil {
		return err
	}
	for l.drained.number < end {
		if err := ctx.Err(); err != nil {
			return err
		}
		batch, after, err := l.readBatch(end)
		if err != nil {
			return err
		}
		if err := deliver(ctx, batch); err != nil {
			return err
		}
		if err := writeCheckpoint(filepath.Join(l.dir, checkpointName), after.number); err != nil {
			return err
		}
		l.drained = after
		if err := l.removeDrained(); err != nil {
			return err
		}
	}
	return nil
}

// readBatch reads from the drained cursor on, within one segment, and returns the cursor after the batch. There is at
// least one record to read.
func (l *Log) readBatch(end int64) ([]Record, cursor, error) {
	at := l.drained
	l.mu.Lock()
	var s segment
	for i := range l.segments {
		// A cursor at the end of a segment that is no longer written to stands for the beginning of the next.
		if next := i + 1; l.segments[i].first == at.segment && next < len(l.segments) && l.segments[next].first == at.number {
			at = cursor{segment: at.number, offset: segmentHeaderSize, number: at.number}
		}
		if l.segments[i].first == at.segment {
			s = l.segments[i]
		}
	}
	l.mu.Unlock()

	f, err := os.Open(s.path)
	if err != nil {
		return nil, at, fmt.Errorf("read the append log: %w", err)
	}
	defer f.Close()
	d := newDecoder(s.path, f, at.offset, s.size, at.number)
	var batch []Record
	for bytes := 0; d.number < end && len(batch) < l.options.BatchRecords && bytes < l.options.BatchBytes; {
		r, err := d.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if errors.Is(err, errTorn) {
			return nil, at, d.damage("record %d is torn", d.number)
		}
		if err != nil {
			return nil, at, err
		}
		batch = append(batch, r)
		bytes += len(r.Payload)
	}
	if len(batch) == 0 {
		return nil, at, d.damage("record %d is missing", d.number)
	}
	return batch, cursor{segment: at.segment, offset: d.offset, number: d.number}, nil
}

// Trim deletes what was delivered also of the last segment, where nothing in the log is undelivered: a new segment takes its place.
func (l *Log) Trim() error {
	l.draining <- struct{}{}
	defer func() { <-l.draining }()
	l.turn.Lock()
	l.mu.Lock()
	err := l.usable()
	if err == nil && l.drained.number == l.next && l.active().size > segmentHeaderSize {
		err = l.rotate()
	}
	l.mu.Unlock()
	l.turn.Unlock()
	if err != nil {
		return err
	}
	return l.removeDrained()
}

// removeDrained counts what was delivered, and deletes the segments that hold nothing undelivered, but never the last: it holds the numbering.
func (l *Log) removeDrained() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.delivered = l.drained.number
	for len(l.segments) > 1 && l.segments[1].first <= l.drained.number {
		if err := os.Remove(l.segments[0].path); err != nil {
			return fmt.Errorf("delete a drained append log segment: %w", err)
		}
		if l.drained.segment == l.segments[0].first {
			l.drained = cursor{segment: l.segments[1].first, offset: segmentHeaderSize, number: l.drained.number}
		}
		l.segments = l.segments[1:]
	}
	return nil
}
