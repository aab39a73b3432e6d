package profile

import (
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/axiomhq/hyperloglog"
)

// Distinct names how different values are counted: the same name, the same numbers of the same values.
const Distinct = "distinct values by XXH3-64, exact up to 2048, then axiomhq/hyperloglog 0.3 with 2^14 registers"

// mix spreads the bits of a number over 64 others, one to one (the finalizer of SplitMix64: G. Steele, D. Lea, C. Flood, 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// distinct counts the different ones of hashes: each of them while there are few, by HyperLogLog beyond (P. Flajolet et al., 2007).
// Registers of it only ever grow to the greatest that any hash asks for, and all hashes of the few are given to it, so no order of them
// matters.
type distinct struct {
	// few is a table of hashes with open addressing; 0 is a free place, and counted aside.
	few  []uint64
	n    int
	zero bool
	last uint64
	many *hyperloglog.Sketch
}

const (
	// maxExact is how many distinct values are counted one by one.
	maxExact = 2048
	// registers is how many HyperLogLog has, a byte each, and registersHead what the library writes before them.
	registers     = 1 << 14
	registersHead = 8
)

func (d *distinct) add(hash uint64) {
	if hash == d.last {
		// Also 0, before anything was added: it is counted aside.
		if hash == 0 && d.many == nil {
			d.zero = true
		}
		return
	}
	d.last = hash
	switch {
	case d.many != nil:
		d.many.InsertHash(hash)
	case hash == 0:
		d.zero = true
	default:
		d.insert(hash)
	}
}

func (d *distinct) insert(hash uint64) {
	if 2*d.n >= len(d.few) {
		if d.n >= maxExact {
			d.overflow(hash)
			return
		}
		old := d.few
		d.few = make([]uint64, max(16, 2*len(old)))
		for _, h := range old {
			if h != 0 {
				d.few[d.place(h)] = h
			}
		}
	}
	at := d.place(hash)
	if d.few[at] == 0 {
		d.few[at] = hash
		d.n++
	}
}

// place is where a hash is, or is to be.
func (d *distinct) place(hash uint64) int {
	mask := len(d.few) - 1
	at := int(bits.RotateLeft64(hash, 32)) & mask
	for d.few[at] != 0 && d.few[at] != hash {
		at = (at + 1) & mask
	}
	return at
}

// overflow goes over to HyperLogLog with one more hash, unless that is among the few.
func (d *distinct) overflow(hash uint64) {
	if d.few[d.place(hash)] != hash {
		d.estimate()
		d.many.InsertHash(hash)
	}
}

// estimate goes over to HyperLogLog.
func (d *distinct) estimate() {
	if d.many != nil {
		return
	}
	d.many = hyperloglog.NewNoSparse()
	for _, h := range d.few {
		if h != 0 {
			d.many.InsertHash(h)
		}
	}
	if d.zero {
		d.many.InsertHash(0)
	}
	d.few, d.n, d.zero = nil, 0, false
}

func (d *distinct) count() int64 {
	switch {
	case d.many != nil:
		return int64(d.many.Estimate())
	case d.zero:
		return int64(d.n) + 1
	}
	return int64(d.n)
}

func (d *distinct) exact() bool { return d.many == nil }

func (d *distinct) merge(o *distinct) {
	if o.many != nil {
		d.estimate()
		// Both are dense and of one precision, which is all that it refuses.
		_ = d.many.Merge(o.many)
		return
	}
	if o.zero {
		if d.many != nil {
			d.many.InsertHash(0)
		} else {
			d.zero = true
		}
	}
	for _, h := range o.few {
		if h != 0 {
			d.add(h)
		}
	}
}

// hashes are the few, ascending.
func (d *distinct) hashes() []uint64 {
	var list []uint64
	if d.zero {
		list = append(list, 0)
	}
	for _, h := range d.few {
		if h != 0 {
			list = append(list, h)
		}
	}
	slices.Sort(list)
	return list
}

// appendTo appends the few, one more than their number before them, or 0 and the registers.
func (d *distinct) appendTo(dst []byte) []byte {
	if d.many != nil {
		dst = append(dst, 0)
		b, err := d.many.AppendBinary(nil)
		if err != nil || len(b) != registersHead+registers {
			panic("profile: the registers of HyperLogLog are not what they were")
		}
		return append(dst, b[registersHead:]...)
	}
	list := d.hashes()
	dst = binary.AppendUvarint(dst, uint64(len(list))+1)
	for _, h := range list {
		dst = binary.BigEndian.AppendUint64(dst, h)
	}
	return dst
}

func (d *distinct) read(r *reader) {
	n := r.count(maxExact + 2)
	if n == 0 {
		d.estimate()
		head, _ := d.many.AppendBinary(nil)
		b := r.bytes(registers)
		if r.err == nil && d.many.UnmarshalBinary(append(head[:registersHead:registersHead], b...)) != nil {
			r.fail("registers that no hash asks for")
		}
		return
	}
	for range n - 1 {
		if h := r.uint64(); r.err == nil {
			d.add(h)
		}
	}
	if d.many != nil {
		r.fail("more hashes than are kept")
	}
}
