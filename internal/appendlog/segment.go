package appendlog

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// The format is drawn byte by byte in docs/format/append-log.md. Numbers are big-endian.
const (
	segmentMagic      = "HWAL"
	segmentVersion    = 1
	segmentHeaderSize = 20
	recordHeaderSize  = 12

	// MaxPayload is the longest payload of a record, in bytes.
	MaxPayload = 16 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// DamageError says where a log's files are not what was written. Opening stops there: what follows the place cannot be
// trusted, and dropping it silently would lose records that were acknowledged.
type DamageError struct {
	File string
	// Offset is the first byte of the damaged part, from the start of the file.
	Offset int64
	Found  string
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("append log file %s is damaged at offset %d: %s; restore the file from a copy, or move the whole "+
		"directory aside to start a new log and keep what can be read of this one", e.File, e.Offset, e.Found)
}

// errTorn is the end of a segment in the middle of a record: what a write leaves that did not come to its end.
var errTorn = errors.New("the segment ends within a record")

func appendSegmentHeader(dst []byte, first int64) []byte {
	start := len(dst)
	dst = append(dst, segmentMagic...)
	dst = binary.BigEndian.AppendUint32(dst, segmentVersion)
	dst = binary.BigEndian.AppendUint64(dst, uint64(first))
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
}

// parseSegmentHeader returns the number of the segment's first record, errTorn for a header that ends early or was not
// written out, or what is wrong with it.
func parseSegmentHeader(b []byte) (first int64, err error) {
	b = b[:min(len(b), segmentHeaderSize)]
	if len(b) < segmentHeaderSize || bytes.Count(b, []byte{0}) == len(b) {
		return 0, errTorn
	}
	if string(b[:4]) != segmentMagic {
		return 0, fmt.Errorf("found %q, expected the magic %q", b[:4], segmentMagic)
	}
	if v := binary.BigEndian.Uint32(b[4:]); v != segmentVersion {
		return 0, fmt.Errorf("found format version %d, expected %d", v, segmentVersion)
	}
	if crc32.Checksum(b[:16], castagnoli) != binary.BigEndian.Uint32(b[16:]) {
		return 0, errors.New("the checksum of the segment's header does not match")
	}
	first = int64(binary.BigEndian.Uint64(b[8:]))
	if first < 1 {
		return 0, fmt.Errorf("found first number %d, expected 1 or more", first)
	}
	return first, nil
}

// appendRecord appends the record of that number. The header's own checksum covers the number too, so a record that was
// removed, repeated or moved is seen, and a damaged length is not taken for a torn tail.
func appendRecord(dst []byte, number int64, payload []byte) []byte {
	start := len(dst)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(payload)))
	dst = binary.BigEndian.AppendUint32(dst, crc32.Checksum(payload, castagnoli))
	dst = binary.BigEndian.AppendUint32(dst, headerChecksum(number, dst[start:start+8]))
	return append(dst, payload...)
}

func headerChecksum(number int64, lengthAndChecksum []byte) uint32 {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], uint64(number))
	copy(b[8:], lengthAndChecksum)
	return crc32.Checksum(b[:], castagnoli)
}

// A decoder reads the records of one segment.
type decoder struct {
	file string
	r    *bufio.Reader
	// offset is where the next record begins, size where the segment ends.
	offset, size int64
	// number is that of the next record.
	number int64
	// room is memory that payloads are cut off, so that small ones are not one piece each.
	room []byte
}

// roomFor is how much memory is taken at once for payloads.
const roomFor = 64 << 10

// newDecoder reads the records in r between two offsets of a segment; the first of them has the number given.
func newDecoder(file string, r io.ReaderAt, offset, size, number int64) *decoder {
	return &decoder{
		file: file, r: bufio.NewReaderSize(io.NewSectionReader(r, offset, size-offset), 64<<10),
		offset: offset, size: size, number: number,
	}
}

// next returns the next record; io.EOF after the last; errTorn when what is left is the beginning of a record, zeros, or
// a last record whose payload was not written out; a *DamageError for anything else. After an error the decoder stays
// at the record that has it.
func (d *decoder) next() (Record, error) {
	left := d.size - d.offset
	if left == 0 {
		return Record{}, io.EOF
	}
	if left < recordHeaderSize {
		return Record{}, errTorn
	}
	header, err := d.r.Peek(recordHeaderSize)
	if err != nil {
		return Record{}, fmt.Errorf("read %s at offset %d: %w", d.file, d.offset, err)
	}
	length := int64(binary.BigEndian.Uint32(header))
	checksum := binary.BigEndian.Uint32(header[4:])
	if headerChecksum(d.number, header[:8]) != binary.BigEndian.Uint32(header[8:]) {
		if zeros, err := d.onlyZeros(); err != nil {
			return Record{}, err
		} else if zeros {
			return Record{}, errTorn
		}
		return Record{}, d.damage("the checksum of the header of record %d does not match", d.number)
	}
	if length == 0 || length > MaxPayload {
		return Record{}, d.damage("record %d has a payload of %d bytes, expected 1 to %d", d.number, length, MaxPayload)
	}
	if left < recordHeaderSize+length {
		return Record{}, errTorn
	}
	if _, err := d.r.Discard(recordHeaderSize); err != nil {
		return Record{}, fmt.Errorf("read %s at offset %d: %w", d.file, d.offset, err)
	}
	if int64(len(d.room)) < length {
		d.room = make([]byte, max(length, roomFor))
	}
	var payload []byte
	payload, d.room = d.room[:length:length], d.room[length:]
	if _, err := io.ReadFull(d.r, payload); err != nil {
		return Record{}, fmt.Errorf("read %s at offset %d: %w", d.file, d.offset, err)
	}
	if crc32.Checksum(payload, castagnoli) != checksum {
		if left == recordHeaderSize+length {
			return Record{}, errTorn
		}
		return Record{}, d.damage("the checksum of the payload of record %d does not match", d.number)
	}
	r := Record{Number: d.number, Payload: payload}
	d.offset += recordHeaderSize + length
	d.number++
	return r, nil
}

// onlyZeros reports whether the rest of the segment is zeros: a file system may lengthen a file and lose its data when
// the power goes.
func (d *decoder) onlyZeros() (bool, error) {
	for {
		b, err := d.r.ReadByte()
		switch {
		case errors.Is(err, io.EOF):
			return true, nil
		case err != nil:
			return false, fmt.Errorf("read %s after offset %d: %w", d.file, d.offset, err)
		case b != 0:
			return false, nil
		}
	}
}

func (d *decoder) damage(format string, args ...any) error {
	return &DamageError{File: d.file, Offset: d.offset, Found: fmt.Sprintf(format, args...)}
}
