package tabular

import "encoding/binary"

// The metadata of Arrow IPC is flatbuffers, in which any number of references may lead to one place. The library follows
// each, and copies what it finds. The checks here walk the same way without copying, and stop where more is referred to than
// the message holds. Reads beyond the metadata panic, and whoever calls recovers. Slots are those of Arrow's Message.fbs and
// Schema.fbs.

// table is a flatbuffers table at a position.
type table struct {
	bytes []byte
	at    int
}

const (
	messageHeader         = 2
	messageCustomMetadata = 4

	batchCompression = 3

	schemaFields         = 1
	schemaCustomMetadata = 2

	fieldName           = 0
	fieldTypeType       = 2
	fieldType           = 3
	fieldDictionary     = 4
	fieldChildren       = 5
	fieldCustomMetadata = 6

	typeTimestamp     = 10
	typeList          = 12
	typeFixedSizeList = 16
	timestampTimezone = 1

	keyValueKey   = 0
	keyValueValue = 1
)

func (t table) uint32(at int) int { return int(binary.LittleEndian.Uint32(t.bytes[at:])) }

// field is the position of a field, 0 for one that is absent.
func (t table) field(slot int) int {
	fields := t.at - int(int32(binary.LittleEndian.Uint32(t.bytes[t.at:])))
	size := int(binary.LittleEndian.Uint16(t.bytes[fields:]))
	if 4+2*slot >= size {
		return 0
	}
	offset := int(binary.LittleEndian.Uint16(t.bytes[fields+4+2*slot:]))
	if offset == 0 {
		return 0
	}
	return t.at + offset
}

// table is the table that a field refers to.
func (t table) table(slot int) (to table, ok bool) {
	at := t.field(slot)
	if at == 0 {
		return to, false
	}
	return table{t.bytes, at + t.uint32(at)}, true
}

// vector is the first element and the length of a vector, or a string, that a field refers to.
func (t table) vector(slot int) (first, n int) {
	at := t.field(slot)
	if at == 0 {
		return 0, 0
	}
	at += t.uint32(at)
	return at + 4, t.uint32(at)
}

// element is the table that the i-th element of a vector of tables refers to.
func (t table) element(first, i int) table {
	at := first + 4*i
	return table{t.bytes, at + t.uint32(at)}
}

func (t table) text(slot int) string {
	first, n := t.vector(slot)
	return string(t.bytes[first : first+n])
}

// checkSchemaTable refuses a schema in which things lie over each other, and unless nested ones are allowed, one with columns
// that have dictionaries, or children that are not the elements of a list, or have some themselves.
func checkSchemaTable(meta []byte, nested bool) error {
	message := table{meta, table{bytes: meta}.uint32(0)}
	schema, ok := message.table(messageHeader)
	if !ok {
		return badStream("found a schema without columns, expected some")
	}
	sum := budget(len(meta))
	sum.pairs(message, messageCustomMetadata)
	sum.pairs(schema, schemaCustomMetadata)
	first, n := schema.vector(schemaFields)
	if n == 0 {
		return badStream("found a schema without columns, expected some")
	}
	for i := range n {
		if err := sum.field(schema, first, i, nested); err != nil {
			return err
		}
	}
	return nil
}

// checkBatchTable refuses a batch in which things lie over each other, and unless they are allowed, one with compressed
// buffers: their size is known only when they are unpacked.
func checkBatchTable(meta []byte, compressed bool) error {
	message := table{meta, table{bytes: meta}.uint32(0)}
	sum := budget(len(meta))
	sum.pairs(message, messageCustomMetadata)
	batch, ok := message.table(messageHeader)
	if ok && !compressed && batch.field(batchCompression) != 0 {
		return badStream("found a compressed record batch, expected plain buffers; write the stream without compression")
	}
	return nil
}

// budget is how many bytes of a message may still be referred to.
type budget int

func (b *budget) take(n int) {
	if *b -= budget(n); *b < 0 {
		panic("parts of the metadata lie over each other")
	}
}

func (b *budget) string(t table, slot int) {
	_, n := t.vector(slot)
	b.take(n)
}

// field takes the i-th of a vector of fields, with all below it. within names the columns that hold it: none for a column
// itself, which may be a list.
func (b *budget) field(of table, first, i int, nested bool, within ...string) error {
	b.take(4)
	field := of.element(first, i)
	b.string(field, fieldName)
	b.pairs(field, fieldCustomMetadata)
	kind := byte(0)
	if at := field.field(fieldTypeType); at > 0 {
		kind = field.bytes[at]
	}
	if kind == typeTimestamp {
		if timestamp, ok := field.table(fieldType); ok {
			b.string(timestamp, timestampTimezone)
		}
	}
	children, n := field.vector(fieldChildren)
	column := append(within, field.text(fieldName))
	switch {
	case n > 0 && !nested && !(len(within) == 0 && n == 1 && (kind == typeList || kind == typeFixedSizeList)):
		return badStream("column %s: found a nested type, expected %s", quote(column[0]), streamTypes)
	case field.field(fieldDictionary) != 0 && !nested:
		return badStream("column %s: found a dictionary, expected plain values of %s", quote(column[0]), streamTypes)
	}
	for i := range n {
		if err := b.field(field, children, i, nested, column...); err != nil {
			return err
		}
	}
	return nil
}

// pairs takes a vector of KeyValue.
func (b *budget) pairs(t table, slot int) {
	first, n := t.vector(slot)
	for i := range n {
		b.take(4)
		pair := t.element(first, i)
		b.string(pair, keyValueKey)
		b.string(pair, keyValueValue)
	}
}
