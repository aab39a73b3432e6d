package online

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/wire"
	"github.com/headwaterhq/headwater/read"
)

// hides reports whether the filter of a view hides a row that was checked. Only what the filter looks at is unpacked.
func (l *Lookup) hides(view *viewPlan, row string, h *Header) (bool, error) {
	var failed error
	l.filtered = view.Filter.AppendValues(l.filtered[:0], h.EventTime, h.AvailableAt, func(slot int) feature.Value {
		if view.layout.null(row, slot) {
			return feature.Null()
		}
		v, err := view.layout.value(row, slot)
		if err != nil {
			failed = err
		}
		return v
	})
	if failed != nil {
		return true, failed
	}
	return !view.Filter.Holds(l.filtered), nil
}

// appendMasked is AppendVector of a column that has a mask: what read.Column.Value makes of each winner. Rows of one entity are masked
// once.
func (l *Lookup) appendMasked(dst []byte, i int, c *read.Column) ([]byte, bool) {
	rows, judged, layout := l.rows[c.View], l.judged[c.View], l.plan.views[c.View].layout
	frame := &l.plan.frames[i]
	l.statuses = l.statuses[:0]
	for _, k := range rows {
		j := &judged[k]
		status := j.status
		switch null := j.row != "" && layout.null(j.row, c.Slot); {
		case null && status == read.Present:
			status = read.Null
		case j.row != "" && !null:
			status = read.Masked
		}
		l.statuses = append(l.statuses, byte(status))
	}
	if c.Mask.AppendText != nil {
		dst, common := frame.Begin(dst, l.statuses, 0)
		dst = frame.End(l.appendMaskedTexts(dst, frame, c), common)
		if l.all[c.View].status == read.Stale {
			p := packer{rows: rows, judged: judged, layout: layout, slot: c.Slot}
			dst = wire.AppendNulls(dst, p.nulls())
		}
		return dst, true
	}
	masked := resize(l.masked, len(judged))
	l.masked = masked
	clear(masked)
	for i, k := range rows {
		if l.statuses[i] == byte(read.Masked) && !masked[k].known {
			// The row was checked.
			v, _ := layout.value(judged[k].row, c.Slot)
			masked[k] = maskedValue{c.Mask.Apply(v), true}
		}
	}
	return frame.AppendVector(dst, len(rows), l.statuses, func(row int) feature.Value { return masked[rows[row]].Value }), true
}

// maskedValue is what a mask made of an entity's value, once it is known.
type maskedValue struct {
	feature.Value
	known bool
}

// appendMaskedTexts appends a field for each text or bytes, "" where there is none.
func (l *Lookup) appendMaskedTexts(dst []byte, frame *wire.VectorFrame, c *read.Column) []byte {
	rows, judged, layout := l.rows[c.View], l.judged[c.View], l.plan.views[c.View].layout
	field := wire.ValuesField(frame.Type)
	tag, offset := byte(protowire.EncodeTag(field, protowire.BytesType)), layout.slots[c.Slot].offset
	spans := resize(l.spans, len(judged))
	clear(spans)
	texts := l.texts[:0]
	for i, k := range rows {
		if l.statuses[i] != byte(read.Masked) {
			dst = append(dst, tag, 0)
			continue
		}
		at := &spans[k]
		if !at.known {
			row := judged[k].row
			place := uint64At(row, offset)
			begin, length := layout.tail+int(place>>32), int(uint32(place))
			at.known, at.from = true, len(texts)
			texts = c.Mask.AppendText(texts, row[begin:begin+length])
			at.to = len(texts)
		}
		dst = append(protowire.AppendVarint(append(dst, tag), uint64(at.to-at.from)), texts[at.from:at.to]...)
	}
	l.spans, l.texts = spans, texts
	return dst
}

// span is where in Lookup.texts the masked text of an entity is, once it is known.
type span struct {
	from, to int
	known    bool
}

// maxTexts is up to how many bytes the memory of masked texts is kept for the next read.
const maxTexts = 1 << 20
