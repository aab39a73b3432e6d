package window

import (
	"encoding/binary"

	"github.com/headwaterhq/headwater/feature"
)

// recall appends the values that the history has of an entity to its part: its key, which are NULL, and the others.
func (s *store) recall(p *Plan, key []byte, values []feature.Value) error {
	return s.write(key, func(b []byte) []byte {
		b = appendFlags(b, len(values), func(i int) bool { return values[i].IsNull() })
		for i, v := range values {
			if !v.IsNull() {
				b = appendValue(b, p.outputs[i].typ, v)
			}
		}
		return b
	})
}

// recall notes where the values are that were recalled, and numbers the entities of which there is nothing else.
func (b *batch) recall(rows int) {
	clear(b.recalled)
	for at := 0; rows > 0; rows-- {
		n, w := binary.Uvarint(b.rawRecalled[at:])
		at += w + int(n)
		b.recalled[b.numberOf(b.rawRecalled[at-int(n):at])] = at
		raw := b.recalledValues(b.rawRecalled[at:], nil)
		at = len(b.rawRecalled) - len(raw)
	}
}

// recalledOf fills in the values that the history has of an entity, those of no rows if it has none.
func (b *batch) recalledOf(number int, values []feature.Value) {
	if at, ok := b.recalled[uint32(number)]; ok {
		b.recalledValues(b.rawRecalled[at:], values)
		return
	}
	for i := range values {
		values[i] = feature.Null()
		if f := b.plan.outputs[i].function; f == feature.Count || f == feature.CountDistinct {
			values[i] = feature.Int64(0)
		}
	}
}

// recalledValues reads what store.recall wrote after a key, into values unless they are nil, and returns what comes behind.
func (b *batch) recalledValues(raw []byte, values []feature.Value) []byte {
	n := flagBytes(len(b.plan.outputs))
	nulls, raw := raw[:n], raw[n:]
	for i := range b.plan.outputs {
		v := feature.Null()
		if !flag(nulls, i) {
			var bits []byte
			bits, raw = cutValue(b.plan.outputs[i].typ, raw)
			if values != nil {
				v = readValue(b.plan.outputs[i].typ, bits)
			}
		}
		if values != nil {
			values[i] = v
		}
	}
	return raw
}

// appendValue appends a value that is not NULL, as its text or its code.
func appendValue(b []byte, t feature.Type, v feature.Value) []byte {
	if numbered(t) {
		return appendText(b, v)
	}
	return binary.LittleEndian.AppendUint64(b, encode(v))
}

// cutValue cuts what appendValue wrote from what comes behind it.
func cutValue(t feature.Type, raw []byte) (bits, rest []byte) {
	n, w := uint64(8), 0
	if numbered(t) {
		n, w = binary.Uvarint(raw)
	}
	return raw[w : w+int(n)], raw[w+int(n):]
}

func readValue(t feature.Type, bits []byte) feature.Value {
	if numbered(t) {
		return valueOf(t, string(bits))
	}
	return decode(t, binary.LittleEndian.Uint64(bits))
}
