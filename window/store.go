package window

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/headwaterhq/headwater/feature"
)

// partitions is how many parts the entities are cut into by a hash of their keys. Parts are swept one by one, so the memory
// that a sweep takes is that of the rows of a part.
const partitions = 256

// pageBytes is how much of a part is written to the spill file at once.
const pageBytes = 64 << 10

// store holds rows in a compact form, in parts. What is more than the budget goes to a file without a name.
type store struct {
	parts  [partitions]part
	memory int64
	budget int64
	folder string
	file   *os.File
	end    int64
}

type part struct {
	buffer []byte
	rows   int
	spilt  []segment
}

type segment struct {
	at     int64
	length int
}

// Row is one row of the source.
type Row struct {
	// Key is the entity's encoded join keys; nil: one of them is NULL.
	Key                    []byte
	EventTime, AvailableAt feature.Time
	// Kept is whether the view's where is true of the row.
	Kept bool
	// Filters is whether each of Plan.Filters is.
	Filters []bool
	// Values are those of Plan.Columns.
	Values []feature.Value
}

// add appends a row to its part: its key, event time, delay, flags, and the codes of its values.
func (s *store) add(p *Plan, r *Row) error {
	return s.write(r.Key, func(b []byte) []byte {
		b = binary.LittleEndian.AppendUint64(b, uint64(r.EventTime))
		b = binary.AppendVarint(b, int64(r.AvailableAt-r.EventTime))
		b = appendFlags(b, len(r.Filters), func(i int) bool { return r.Filters[i] })
		b = appendFlags(b, len(r.Values), func(i int) bool { return r.Values[i].IsNull() })
		for i := range r.Values {
			if v := r.Values[i]; !v.IsNull() {
				b = appendValue(b, p.Columns[i].Type, v)
			}
		}
		return b
	})
}

// write appends a key, and what is appended of it, to the key's part.
func (s *store) write(key []byte, rest func([]byte) []byte) error {
	pt := &s.parts[hash(key)%partitions]
	before := len(pt.buffer)
	b := binary.AppendUvarint(pt.buffer, uint64(len(key)))
	b = rest(append(b, key...))
	pt.buffer = b
	pt.rows++
	s.memory += int64(len(b) - before)
	if s.memory > s.budget {
		return s.spill()
	}
	return nil
}

func appendFlags(b []byte, n int, flag func(i int) bool) []byte {
	for i := 0; i < n; i += 8 {
		var bits byte
		for j := i; j < min(n, i+8); j++ {
			if flag(j) {
				bits |= 1 << (j - i)
			}
		}
		b = append(b, bits)
	}
	return b
}

// hash is FNV-1a.
func hash(key []byte) uint32 {
	h := uint32(2166136261)
	for _, c := range key {
		h = (h ^ uint32(c)) * 16777619
	}
	return h ^ h>>16
}

// spill writes the buffers that are worth a write to the file, or all of them when none is.
func (s *store) spill() error {
	if s.file == nil {
		f, err := os.CreateTemp(s.folder, "headwater-window-")
		if err != nil {
			return fmt.Errorf("spill rows of windows: %w", err)
		}
		s.file = f
		// Without a name it goes when the process does.
		if err := os.Remove(f.Name()); err != nil {
			return fmt.Errorf("spill rows of windows: %w", err)
		}
	}
	before := s.memory
	for _, least := range []int{pageBytes, 1} {
		for i := range s.parts {
			p := &s.parts[i]
			if len(p.buffer) < least {
				continue
			}
			if _, err := s.file.WriteAt(p.buffer, s.end); err != nil {
				return fmt.Errorf("spill rows of windows: %w", err)
			}
			p.spilt = append(p.spilt, segment{at: s.end, length: len(p.buffer)})
			s.end += int64(len(p.buffer))
			s.memory -= int64(len(p.buffer))
			p.buffer = p.buffer[:0]
		}
		if s.memory <= before/2 {
			break
		}
	}
	return nil
}

// take appends all rows of a part to dst, and forgets them. Safe to be called for different parts at once.
func (s *store) take(n int, dst []byte) ([]byte, error) {
	p := &s.parts[n]
	for _, g := range p.spilt {
		at := len(dst)
		dst = append(dst, make([]byte, g.length)...)
		if _, err := s.file.ReadAt(dst[at:], g.at); err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("read spilt rows of windows: %w", err)
		}
	}
	dst = append(dst, p.buffer...)
	p.buffer, p.spilt = nil, nil
	return dst, nil
}

func (s *store) close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}
