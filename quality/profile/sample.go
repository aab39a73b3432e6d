package profile

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/headwaterhq/headwater/feature"
)

const (
	// maxCounted is how many distinct values of a column are counted one by one, each with its rows.
	maxCounted = 256
	// maxSampled is of how many rows the values are kept, of a column that has more distinct ones.
	maxSampled = 256
	// maxValue is the bytes of the longest text that is kept.
	maxValue = 256
)

// counted has how often each of a few values is there.
type counted struct {
	// table is of places in entries, from 1 on, by hash, with open addressing.
	table   []uint16
	entries []entry
	last    int
	// over: there are more than maxCounted, and none is counted any more.
	over bool
}

type entry struct {
	hash uint64
	rows int64
	// value is NULL where it is not kept: it is longer than maxValue, or a list.
	value feature.Value
}

// add counts a value, and reports whether it is one too many, which is not counted.
func (c *counted) add(hash uint64, v feature.Value, rows int64) (over bool) {
	if c.last < len(c.entries) && c.entries[c.last].hash == hash {
		c.entries[c.last].rows += rows
		return false
	}
	if c.table == nil {
		c.table = make([]uint16, 32)
	}
	at := c.place(hash)
	if at < 0 {
		if len(c.entries) == maxCounted {
			return true
		}
		c.entries = append(c.entries, entry{hash: hash, value: kept(v)})
		if 2*len(c.entries) > len(c.table) {
			c.table = make([]uint16, 2*len(c.table))
			for i := range c.entries[:len(c.entries)-1] {
				c.put(c.entries[i].hash, i)
			}
		}
		at = len(c.entries) - 1
		c.put(hash, at)
	}
	c.last = at
	c.entries[at].rows += rows
	return false
}

func (c *counted) place(hash uint64) int {
	mask := len(c.table) - 1
	for at := int(hash>>32) & mask; c.table[at] != 0; at = (at + 1) & mask {
		if i := int(c.table[at]) - 1; c.entries[i].hash == hash {
			return i
		}
	}
	return -1
}

func (c *counted) put(hash uint64, i int) {
	mask := len(c.table) - 1
	at := int(hash>>32) & mask
	for c.table[at] != 0 {
		at = (at + 1) & mask
	}
	c.table[at] = uint16(i + 1)
}

// kept is a value to be kept, or NULL where it is too long, or of many parts.
func kept(v feature.Value) feature.Value {
	if v.Size() > maxValue || v.Type().Kind() == feature.TypeList || v.Type().Kind() == feature.TypeVector {
		return feature.Null()
	}
	return v.Clone()
}

// sample is the values of the rows with the least hashes: each row is as likely to be among them as any other, and which ones are depends on
// the rows alone. A row that is there several times, all values equal, counts as often.
type sample struct {
	// rows are a heap whose first has the greatest hash.
	rows []sampled
}

type sampled struct {
	// row is the row's hash, hash the value's.
	row, hash uint64
	value     feature.Value
	times     int64
}

// order is by the row's hash, then by the value's.
func (a *sampled) order(b *sampled) int {
	return cmp.Or(cmp.Compare(a.row, b.row), cmp.Compare(a.hash, b.hash))
}

func (s *sample) add(row, hash uint64, v feature.Value, times int64) {
	one := sampled{row: row, hash: hash, times: times}
	if len(s.rows) == maxSampled {
		if first := &s.rows[0]; one.row > first.row || one.order(first) > 0 {
			return
		}
	}
	for i := range s.rows {
		if s.rows[i].order(&one) == 0 {
			s.rows[i].times += times
			return
		}
	}
	one.value = kept(v)
	if len(s.rows) < maxSampled {
		s.rows = append(s.rows, one)
		for i := len(s.rows) - 1; i > 0 && s.rows[(i-1)/2].order(&s.rows[i]) < 0; i = (i - 1) / 2 {
			s.rows[i], s.rows[(i-1)/2] = s.rows[(i-1)/2], s.rows[i]
		}
		return
	}
	s.rows[0] = one
	for i := 0; ; {
		child := 2*i + 1
		if child+1 < len(s.rows) && s.rows[child].order(&s.rows[child+1]) < 0 {
			child++
		}
		if child >= len(s.rows) || s.rows[i].order(&s.rows[child]) >= 0 {
			return
		}
		s.rows[i], s.rows[child] = s.rows[child], s.rows[i]
		i = child
	}
}

func (s *sample) merge(o *sample) {
	for i := range o.rows {
		s.add(o.rows[i].row, o.rows[i].hash, o.rows[i].value, o.rows[i].times)
	}
}

func (s *sample) appendTo(dst []byte) []byte {
	list := slices.Clone(s.rows)
	slices.SortFunc(list, func(a, b sampled) int { return a.order(&b) })
	dst = binary.AppendUvarint(dst, uint64(len(list)))
	for i := range list {
		dst = binary.BigEndian.AppendUint64(dst, list[i].row)
		dst = binary.BigEndian.AppendUint64(dst, list[i].hash)
		dst = binary.AppendUvarint(dst, uint64(list[i].times))
		dst = appendValue(dst, list[i].value)
	}
	return dst
}

func (s *sample) read(r *reader, t feature.Type) {
	for range r.count(maxSampled) {
		row, hash, times := r.uint64(), r.uint64(), r.rows()
		if v := r.value(t); r.err == nil {
			s.add(row, hash, v, times)
		}
	}
}

func (c *counted) appendTo(dst []byte) []byte {
	if c.over {
		return append(dst, 0)
	}
	list := slices.Clone(c.entries)
	slices.SortFunc(list, func(a, b entry) int { return cmp.Compare(a.hash, b.hash) })
	dst = binary.AppendUvarint(dst, uint64(len(list))+1)
	for i := range list {
		dst = binary.BigEndian.AppendUint64(dst, list[i].hash)
		dst = binary.AppendUvarint(dst, uint64(list[i].rows))
		dst = appendValue(dst, list[i].value)
	}
	return dst
}

func (c *counted) read(r *reader, t feature.Type) {
	n := r.count(maxCounted + 1)
	if n == 0 {
		c.over = true
		return
	}
	for range n - 1 {
		hash, rows := r.uint64(), r.rows()
		if v := r.value(t); r.err == nil {
			c.add(hash, v, rows)
		}
	}
}
