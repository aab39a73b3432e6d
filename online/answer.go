package online

import (
	"encoding/binary"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/wire"
	"github.com/headwaterhq/headwater/read"
)

// AppendVector appends the ValueVector of a column of the plan that is not computed, straight from the packed rows: what
// read.Column.Value makes of each winner, in the order of the rows. It reports false, and appends nothing, where more is to be
// done to a value than to copy it or to mask it: a default for one that is missing. c is column i of the plan.
func (l *Lookup) AppendVector(dst []byte, i int, c *read.Column) ([]byte, bool) {
	all := &l.all[c.View]
	whole := all.there && all.nulls[c.Slot/8]>>(c.Slot%8)&1 == 0
	if c.Default != nil && !whole {
		return dst, false
	}
	if c.Mask != nil {
		return l.appendMasked(dst, i, c)
	}
	frame := &l.plan.frames[i]
	packer := packer{
		rows: l.rows[c.View], judged: l.judged[c.View], layout: l.plan.views[c.View].layout, slot: c.Slot, whole: whole,
	}
	var statuses []byte
	if !whole {
		l.statuses = packer.appendStatuses(l.statuses[:0])
		statuses = l.statuses
	}
	dst, common := frame.Begin(dst, statuses, byte(all.status))
	dst = frame.End(packer.appendValues(dst, frame), common)
	if all.status == read.Stale && !whole {
		dst = wire.AppendNulls(dst, packer.nulls())
	}
	return dst, true
}

// Found reports whether there is a winner of any view.
func (l *Lookup) Found() bool {
	for _, found := range l.judged {
		if slices.ContainsFunc(found, func(j judged) bool { return j.row != "" }) {
			return true
		}
	}
	return false
}

// packer packs one column.
type packer struct {
	rows   []int32
	judged []judged
	layout *Layout
	slot   int
	// whole says that each row has a value.
	whole bool
}

// row is the packed row that has the value of row i of the read, "" where there is none.
func (p *packer) row(i int) string {
	row := p.judged[p.rows[i]].row
	if !p.whole && row != "" && p.layout.null(row, p.slot) {
		return ""
	}
	return row
}

// appendStatuses appends the status of each row, as read.Column.Value says of one without a default.
func (p *packer) appendStatuses(dst []byte) []byte {
	for _, k := range p.rows {
		j := &p.judged[k]
		status := j.status
		// A NULL that is stale may be a value by now.
		if status == read.Present && p.layout.null(j.row, p.slot) {
			status = read.Null
		}
		dst = append(dst, byte(status))
	}
	return dst
}

// nulls are the rows that are NULL without a status that says so: those of winners that are stale.
func (p *packer) nulls() (nulls []uint32) {
	for i, k := range p.rows {
		if row := p.judged[k].row; row != "" && p.layout.null(row, p.slot) {
			nulls = append(nulls, uint32(i))
		}
	}
	return nulls
}

func (p *packer) appendValues(dst []byte, frame *wire.VectorFrame) []byte {
	t, n := frame.Type, len(p.rows)
	field := wire.ValuesField(t)
	switch t.Kind() {
	case feature.TypeFloat64, feature.TypeTimestamp:
		dst = protowire.AppendVarint(protowire.AppendTag(dst, field, protowire.BytesType), uint64(8*n))
		return p.appendFixed(dst)
	case feature.TypeInt64:
		dst, at := wire.OpenField(dst, field, 4*n)
		return wire.CloseField(p.appendNumbers(dst), at)
	case feature.TypeBool:
		dst = protowire.AppendVarint(protowire.AppendTag(dst, field, protowire.BytesType), uint64(n))
		return p.appendBools(dst)
	case feature.TypeVector:
		dst = protowire.AppendVarint(protowire.AppendTag(dst, field, protowire.BytesType), uint64(4*t.Dimension()*n))
		return p.appendFloats(dst, t.Dimension())
	case feature.TypeString, feature.TypeBytes:
		return p.appendTexts(dst, field)
	}
	for i := range n {
		v := feature.Null()
		if row := p.row(i); row != "" {
			// The row was checked.
			v, _ = p.layout.value(row, p.slot)
		}
		dst = frame.AppendEntry(dst, v)
	}
	return dst
}

// appendFixed appends eight bytes for each row, from big-endian to little-endian.
func (p *packer) appendFixed(dst []byte) []byte {
	begin, offset := len(dst), p.layout.slots[p.slot].offset
	dst = slices.Grow(dst, 8*len(p.rows))[:begin+8*len(p.rows)]
	out := dst[begin:]
	if p.whole {
		judged := p.judged
		for i, k := range p.rows {
			binary.LittleEndian.PutUint64(out[8*i:8*i+8], uint64At(judged[k].row, offset))
		}
		return dst
	}
	for i := range p.rows {
		n := uint64(0)
		if row := p.row(i); row != "" {
			n = uint64At(row, offset)
		}
		binary.LittleEndian.PutUint64(out, n)
		out = out[8:]
	}
	return dst
}

func (p *packer) appendNumbers(dst []byte) []byte {
	offset, at := p.layout.slots[p.slot].offset, len(dst)
	dst = slices.Grow(dst, binary.MaxVarintLen64*len(p.rows))[:at+binary.MaxVarintLen64*len(p.rows)]
	for i, k := range p.rows {
		row := p.judged[k].row
		if !p.whole {
			if row = p.row(i); row == "" {
				dst[at] = 0
				at++
				continue
			}
		}
		n := uint64At(row, offset)
		for ; n >= 0x80; n >>= 7 {
			dst[at] = byte(n) | 0x80
			at++
		}
		dst[at] = byte(n)
		at++
	}
	return dst[:at]
}

func (p *packer) appendBools(dst []byte) []byte {
	offset, begin := p.layout.slots[p.slot].offset, len(dst)
	dst = slices.Grow(dst, len(p.rows))[:begin+len(p.rows)]
	out := dst[begin:]
	for i, k := range p.rows {
		row := p.judged[k].row
		if !p.whole {
			row = p.row(i)
		}
		if out[i] = 0; row != "" {
			out[i] = row[offset]
		}
	}
	return dst
}

// appendFloats appends the floats of vectors, each of its four bytes turned around.
func (p *packer) appendFloats(dst []byte, dimension int) []byte {
	offset := p.layout.slots[p.slot].offset
	for i := range p.rows {
		begin := len(dst)
		dst = append(dst, make([]byte, 4*dimension)...)
		if row := p.row(i); row != "" {
			out := dst[begin:]
			for at := offset; at < offset+4*dimension; at += 4 {
				binary.LittleEndian.PutUint32(out, uint32At(row, at))
				out = out[4:]
			}
		}
	}
	return dst
}

// appendTexts appends a field for each text or bytes, "" where there is none, of rows that were checked.
func (p *packer) appendTexts(dst []byte, field protowire.Number) []byte {
	// Fields of vectors have tags of one byte.
	tag, offset, tail := byte(protowire.EncodeTag(field, protowire.BytesType)), p.layout.slots[p.slot].offset, p.layout.tail
	for i, k := range p.rows {
		row := p.judged[k].row
		if !p.whole {
			if row = p.row(i); row == "" {
				dst = append(dst, tag, 0)
				continue
			}
		}
		place := uint64At(row, offset)
		begin, length := tail+int(place>>32), int(uint32(place))
		if dst = append(dst, tag); length < 0x80 {
			dst = append(dst, byte(length))
		} else {
			dst = protowire.AppendVarint(dst, uint64(length))
		}
		dst = append(dst, row[begin:begin+length]...)
	}
	return dst
}

// AppendProvenance appends the fields event_times to ages of a ViewProvenance of a view: of each row when its values were true
// and available, by which run, and how old they are at now, in microseconds. whole shows what policies hide of that too.
func (l *Lookup) AppendProvenance(dst []byte, v int, now feature.Time, whole bool) []byte {
	rows, judged := l.rows[v], l.judged[v]
	if times := l.plan.views[v].Times; times != nil && !whole {
		judged = shownTimes(judged, times)
	}
	for field := protowire.Number(3); field <= 4; field++ {
		dst = protowire.AppendVarint(protowire.AppendTag(dst, field, protowire.BytesType), uint64(8*len(rows)))
		for _, k := range rows {
			t := judged[k].eventTime
			if field == 4 {
				t = judged[k].availableAt
			}
			dst = protowire.AppendFixed64(dst, uint64(t))
		}
	}
	for field := protowire.Number(5); field <= 6; field++ {
		var at int
		dst, at = wire.OpenField(dst, field, 4*len(rows))
		for _, k := range rows {
			n := judged[k].runSeq
			if field == 6 && judged[k].row != "" {
				n = int64(now - judged[k].eventTime)
			} else if field == 6 {
				n = 0
			}
			dst = protowire.AppendVarint(dst, uint64(n))
		}
		dst = wire.CloseField(dst, at)
	}
	return dst
}

// shownTimes are rows with their times as a reader sees them. The run is not shown: when it ran would tell of
// them.
func shownTimes(rows []judged, times *read.Times) []judged {
	shown := slices.Clone(rows)
	for k := range shown {
		j := &shown[k]
		if j.row == "" {
			continue
		}
		var hasEvent bool
		j.eventTime, j.availableAt, hasEvent = times.Shown(j.eventTime, j.availableAt)
		j.runSeq = 0
		if !hasEvent {
			j.row = ""
		}
	}
	return shown
}
