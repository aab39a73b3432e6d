package offline

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"os"
	"slices"
	"sync"

	"github.com/headwaterhq/headwater/feature"
)

// segment is rows of a spine that follow one another, and what was found for each.
type segment struct {
	numbers []int64
	at      []feature.Time
	// keys are those of the rows one after another, ends where each ends.
	keys []byte
	ends []int32
	// order is the rows by key and time, sorting the room that they were sorted in.
	order   []int32
	sorting []sortedRow
	// mu is for what lanes change: answers, and pieces that were not joined yet.
	mu     sync.Mutex
	pieces int
	// joined is closed when all of the answers are there.
	joined chan struct{}

	// Answers come in the order of the sorted rows, and are had in that of the spine. Each bucket takes those of bucketRows
	// rows of the spine: in its part of memory and, whenever that is full, in the file.
	memory     []byte
	buckets    []bucket
	bucketRows int
	answers    int
	file       *spill
	// loaded is the bucket whose answers can be had, -1 for none: where each lies in content, which is in room if it was in the file.
	loaded        int
	where         []span
	content, room []byte
}

// bucket is the answers to some rows, each as its row, its length, and itself: a row as Postgres sends it, without the count of
// its fields.
type bucket struct {
	memory []byte
	// extents are the parts of the file that have what came before.
	extents []extent
}

type extent struct {
	at     int64
	length int
}

type span struct{ from, to int }

const (
	// bucketsPerSegment is how many buckets a segment of many rows has.
	bucketsPerSegment = 32
	// leastBucketRows keeps small segments from having many.
	leastBucketRows = 256
	// answerHeader is the row and the length of an answer.
	answerHeader = 8
)

// begin makes the segment ready for rows.
func (s *segment) begin() { s.joined = make(chan struct{}) }

func (s *segment) add(row SpineRow) {
	s.numbers = append(s.numbers, row.Number)
	s.at = append(s.at, row.At)
	s.keys = append(s.keys, row.Key...)
	s.ends = append(s.ends, int32(len(s.keys)))
}

func (s *segment) key(row int) []byte {
	from := int32(0)
	if row > 0 {
		from = s.ends[row-1]
	}
	return s.keys[from:s.ends[row]]
}

// reset forgets the rows and keeps the room.
func (s *segment) reset() {
	s.numbers, s.at, s.keys, s.ends = s.numbers[:0], s.at[:0], s.keys[:0], s.ends[:0]
	if s.file != nil {
		s.file.size = 0
	}
}

func (s *segment) close() {
	if s.file != nil {
		s.file.close()
		s.file = nil
	}
}

// sortedRow is a row by its key's bytes behind those that all keys of the segment share, and its time.
type sortedRow struct {
	prefix uint64
	at     feature.Time
	row    int32
}

// sort puts the rows in the order of their keys and times: so near ones of the history are looked up after each other.
func (s *segment) sort() {
	first := s.key(0)
	shared, longest := len(first), 0
	for i := range s.numbers {
		key := s.key(i)
		longest = max(longest, len(key))
		shared = min(shared, len(key))
		for shared > 0 && !bytes.Equal(key[:shared], first[:shared]) {
			shared--
		}
	}
	room := slices.Grow(s.sorting[:0], len(s.numbers))
	for i := range s.numbers {
		var prefix [8]byte
		copy(prefix[:], s.key(i)[shared:])
		room = append(room, sortedRow{prefix: binary.BigEndian.Uint64(prefix[:]), at: s.at[i], row: int32(i)})
	}
	// Nothing but the time it takes hangs on the order, so keys that differ in zeros at their ends may be taken for equal.
	whole := longest <= shared+8
	slices.SortFunc(room, func(a, b sortedRow) int {
		if a.prefix != b.prefix {
			return cmp.Compare(a.prefix, b.prefix)
		}
		if !whole {
			if c := bytes.Compare(s.key(int(a.row)), s.key(int(b.row))); c != 0 {
				return c
			}
		}
		return cmp.Compare(a.at, b.at)
	})
	s.order = s.order[:0]
	for i := range room {
		s.order = append(s.order, room[i].row)
	}
	s.sorting = room
}

// cut is the rows in their order in as many pieces, of which none is empty.
func (s *segment) cut(pieces int) (cut [][]int32) {
	for part := range slices.Chunk(s.order, (len(s.order)+pieces-1)/pieces) {
		cut = append(cut, part)
	}
	s.pieces = len(cut)
	return cut
}

// done tells that a piece was joined.
func (s *segment) done() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pieces--; s.pieces > 0 {
		return nil
	}
	if s.answers != len(s.numbers) {
		return errAnswers
	}
	close(s.joined)
	return nil
}

// expect makes ready for an answer to each row, of which most bytes are kept in memory.
func (s *segment) expect(most int) {
	s.bucketRows = max((len(s.numbers)+bucketsPerSegment-1)/bucketsPerSegment, leastBucketRows)
	count := (len(s.numbers) + s.bucketRows - 1) / s.bucketRows
	s.memory = slices.Grow(s.memory[:0], most)[:most]
	s.buckets = slices.Grow(s.buckets[:0], count)[:count]
	part := most / count
	for i := range s.buckets {
		b := &s.buckets[i]
		b.memory, b.extents = s.memory[i*part:i*part:(i+1)*part], b.extents[:0]
	}
	s.answers, s.loaded = 0, -1
}

var errAnswers = errors.New("point in time: the answers are not one to each row of the spine")

// keep takes the answer to a row. Lanes may call it at once.
func (s *segment) keep(row int64, answer []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if row < 0 || row >= int64(len(s.numbers)) {
		return errAnswers
	}
	b := &s.buckets[row/int64(s.bucketRows)]
	if len(b.memory)+answerHeader+len(answer) > cap(b.memory) {
		if err := s.spill(b); err != nil {
			return err
		}
	}
	whole := b.memory
	whole = binary.BigEndian.AppendUint32(whole, uint32(row))
	whole = binary.BigEndian.AppendUint32(whole, uint32(len(answer)))
	whole = append(whole, answer...)
	s.answers++
	if len(whole) <= cap(b.memory) {
		b.memory = whole
		return nil
	}
	// It is larger than all that the bucket has of memory, which is empty.
	return s.write(b, whole)
}

// spill moves what a bucket has in memory to the file.
func (s *segment) spill(b *bucket) error {
	if len(b.memory) == 0 {
		return nil
	}
	err := s.write(b, b.memory)
	b.memory = b.memory[:0]
	return err
}

func (s *segment) write(b *bucket, part []byte) error {
	if s.file == nil {
		var err error
		if s.file, err = newSpill(); err != nil {
			return err
		}
	}
	b.extents = append(b.extents, extent{at: s.file.size, length: len(part)})
	_, err := s.file.WriteAt(part, s.file.size)
	s.file.size += int64(len(part))
	return err
}

// answer is the answer to a row. It is valid until that to a row of another bucket is asked for.
func (s *segment) answer(row int) ([]byte, error) {
	if nth := row / s.bucketRows; nth != s.loaded {
		if err := s.load(nth); err != nil {
			return nil, err
		}
	}
	w := s.where[row%s.bucketRows]
	if w.to == 0 {
		return nil, errAnswers
	}
	return s.content[w.from:w.to], nil
}

// load finds where the answers of a bucket lie.
func (s *segment) load(nth int) error {
	b := &s.buckets[nth]
	s.content = b.memory
	if len(b.extents) > 0 {
		s.room = s.room[:0]
		for _, e := range b.extents {
			from := len(s.room)
			s.room = slices.Grow(s.room, e.length)[:from+e.length]
			if _, err := s.file.ReadAt(s.room[from:], e.at); err != nil {
				return err
			}
		}
		s.room = append(s.room, b.memory...)
		s.content = s.room
	}
	s.where = slices.Grow(s.where[:0], s.bucketRows)[:s.bucketRows]
	clear(s.where)
	for at := 0; at < len(s.content); {
		row := int(binary.BigEndian.Uint32(s.content[at:])) - nth*s.bucketRows
		length := int(binary.BigEndian.Uint32(s.content[at+4:]))
		if at += answerHeader; s.where[row].to != 0 {
			return errAnswers
		}
		s.where[row] = span{from: at, to: at + length}
		at += length
	}
	s.loaded = nth
	return nil
}

// spill is a file of what does not fit into memory. It has no name once it is open.
type spill struct {
	*os.File
	size int64
}

func newSpill() (*spill, error) {
	file, err := os.CreateTemp("", "headwater-*")
	if err != nil {
		return nil, err
	}
	// Where an open file cannot be removed, close does it.
	_ = os.Remove(file.Name())
	return &spill{File: file}, nil
}

func (f *spill) close() {
	f.File.Close()
	_ = os.Remove(f.Name())
}
