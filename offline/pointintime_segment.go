package offline

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"slices"

	"github.com/headwaterhq/headwater/feature"
)

// segment is rows of a spine that follow one another, and what was found for each.
type segment struct {
	numbers []int64
	at      []feature.Time
	// keys are those of the rows one after another, ends where each ends.
	keys []byte
	ends []int
	// joined is closed when all of the answers are there.
	joined chan struct{}

	// where says of each row's answer where it lies and how long it is: in memory, or behind it in the file. An answer is a
	// row as Postgres sends it, without the count of its fields.
	where  []span
	memory []byte
	// most is the bytes of answers that memory holds.
	most int
	file *spill
	// order is room to sort the rows in.
	order []sortedRow
}

type span struct {
	at     int64
	length int32
}

// sortedRow is a row by its key's bytes behind those that all keys of the segment share, and its time.
type sortedRow struct {
	prefix uint64
	at     feature.Time
	row    int32
}

func (s *segment) begin(most int) {
	s.joined, s.most = make(chan struct{}), most
}

func (s *segment) add(row SpineRow) {
	s.numbers = append(s.numbers, row.Number)
	s.at = append(s.at, row.At)
	s.keys = append(s.keys, row.Key...)
	s.ends = append(s.ends, len(s.keys))
}

func (s *segment) key(row int) []byte {
	from := 0
	if row > 0 {
		from = s.ends[row-1]
	}
	return s.keys[from:s.ends[row]]
}

// reset forgets the rows and keeps the room.
func (s *segment) reset() {
	s.numbers, s.at, s.keys, s.ends = s.numbers[:0], s.at[:0], s.keys[:0], s.ends[:0]
	s.where, s.memory = s.where[:0], s.memory[:0]
	if s.file != nil {
		s.file.reset()
	}
}

func (s *segment) close() {
	if s.file != nil {
		s.file.close()
		s.file = nil
	}
}

// sorted are the rows by key and time: so near ones of the history are looked up after each other.
func (s *segment) sorted() []sortedRow {
	first := s.key(0)
	shared := len(first)
	for i := range s.numbers {
		key := s.key(i)
		shared = min(shared, len(key))
		for shared > 0 && !bytes.Equal(key[:shared], first[:shared]) {
			shared--
		}
	}
	s.order = s.order[:0]
	for i := range s.numbers {
		var prefix [8]byte
		copy(prefix[:], s.key(i)[shared:])
		s.order = append(s.order, sortedRow{prefix: binary.BigEndian.Uint64(prefix[:]), at: s.at[i], row: int32(i)})
	}
	slices.SortFunc(s.order, func(a, b sortedRow) int {
		if a.prefix != b.prefix {
			return cmp.Compare(a.prefix, b.prefix)
		}
		if c := bytes.Compare(s.key(int(a.row)), s.key(int(b.row))); c != 0 {
			return c
		}
		return cmp.Compare(a.at, b.at)
	})
	return s.order
}

// expect makes room for an answer to each row.
func (s *segment) expect() {
	s.where = slices.Grow(s.where, len(s.numbers))[:len(s.numbers)]
	for i := range s.where {
		s.where[i] = span{length: -1}
	}
}

var errAnswer = errors.New("point in time: found an answer to no row of the spine, or a second one")

// keep takes the answer to a row.
func (s *segment) keep(row int64, answer []byte) error {
	if row < 0 || row >= int64(len(s.where)) || s.where[row].length >= 0 || len(answer) > math.MaxInt32 {
		return errAnswer
	}
	at := int64(len(s.memory))
	if len(s.memory)+len(answer) <= s.most {
		s.memory = append(s.memory, answer...)
	} else {
		// No later answer is put into memory, or places in the file would move.
		s.most = len(s.memory)
		if s.file == nil {
			var err error
			if s.file, err = newSpill(); err != nil {
				return err
			}
		}
		at += s.file.size
		if err := s.file.add(answer); err != nil {
			return err
		}
	}
	s.where[row] = span{at: at, length: int32(len(answer))}
	return nil
}

// kept is called after the last answer.
func (s *segment) kept() error {
	if s.file == nil {
		return nil
	}
	return s.file.flush()
}

// winners is the answer to a row, nil when there is none. room is used for those in the file.
func (s *segment) winners(row int, room *[]byte) ([]byte, error) {
	w := s.where[row]
	if w.length < 0 {
		return nil, nil
	}
	if w.at < int64(len(s.memory)) {
		return s.memory[w.at : w.at+int64(w.length)], nil
	}
	*room = slices.Grow((*room)[:0], int(w.length))[:w.length]
	_, err := s.file.ReadAt(*room, w.at-int64(len(s.memory)))
	return *room, err
}

// spill is a file of what does not fit into memory. It has no name once it is open.
type spill struct {
	*os.File
	size int64
	buf  []byte
}

const spillBuffer = 256 << 10

func newSpill() (*spill, error) {
	file, err := os.CreateTemp("", "headwater-*")
	if err != nil {
		return nil, err
	}
	// Where an open file cannot be removed, close does it.
	_ = os.Remove(file.Name())
	return &spill{File: file, buf: make([]byte, 0, spillBuffer)}, nil
}

func (f *spill) add(b []byte) error {
	if len(f.buf)+len(b) > spillBuffer {
		if err := f.flush(); err != nil {
			return err
		}
	}
	f.size += int64(len(b))
	if len(b) > spillBuffer {
		_, err := f.Write(b)
		return err
	}
	f.buf = append(f.buf, b...)
	return nil
}

func (f *spill) flush() error {
	_, err := f.Write(f.buf)
	f.buf = f.buf[:0]
	return err
}

// reset is for a file that is to be written from its start again.
func (f *spill) reset() {
	f.size, f.buf = 0, f.buf[:0]
	_, _ = f.Seek(0, io.SeekStart)
}

func (f *spill) close() {
	f.File.Close()
	_ = os.Remove(f.Name())
}
