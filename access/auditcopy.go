package access

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype/zeronull"
)

// copying is records on their way into headwater.audit_record: rows in the binary format of COPY. Where every read is recorded, nearly all that a
// drain does is to make them, so they are written by hand. The zero value has none.
type copying struct {
	buffer []byte
	// row is the record that columns are of.
	row     kept
	columns []column
}

// copyBegins is what COPY begins with: its signature, no flags, and no more of a header.
const copyBegins = "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"

var copyRecords = `COPY headwater.audit_record (` + strings.Join(columnNames, ", ") + `) FROM STDIN BINARY`

func (c *copying) empty() bool { return len(c.buffer) == 0 }

// maxCopying is up to how many bytes the memory of rows is kept for the next.
const maxCopying = 2 << 20

// reset takes all rows out.
func (c *copying) reset() {
	if cap(c.buffer) > maxCopying {
		c.buffer = nil
	}
	c.buffer, c.row = c.buffer[:0], kept{}
}

// add appends a record.
func (c *copying) add(r *kept) (err error) {
	if c.columns == nil {
		c.columns = c.row.columns()
	}
	if c.empty() {
		c.buffer = append(c.buffer, copyBegins...)
	}
	c.row = *r
	b := binary.BigEndian.AppendUint16(c.buffer, uint16(len(c.columns)))
	for i := range c.columns {
		if b, err = c.append(b, c.columns[i].at); err != nil {
			return fmt.Errorf("column %s of an audit record: %w", c.columns[i].name, err)
		}
	}
	c.buffer = b
	return nil
}

// write sends what was added, and ends it.
func (c *copying) write(ctx context.Context, tx pgx.Tx) error {
	c.buffer = binary.BigEndian.AppendUint16(c.buffer, 0xffff)
	_, err := tx.Conn().PgConn().CopyFrom(ctx, bytes.NewReader(c.buffer), copyRecords)
	return err
}

const (
	// postgresEpoch is where Postgres's times begin, the year 2000, in seconds since 1970.
	postgresEpoch = 946_684_800
	// The numbers of types.
	int8OID        = 20
	textOID        = 25
	timestamptzOID = 1184
)

// append appends the length and the bytes of a column's value, as Postgres has values of the column's type.
func (c *copying) append(b []byte, at any) ([]byte, error) {
	switch v := at.(type) {
	case *string:
		return appendSized(b, *v), nil
	case *Action:
		return appendSized(b, *v), nil
	case *Decision:
		return appendSized(b, *v), nil
	case *int64:
		return appendNumber8(b, *v), nil
	case *time.Time:
		if v == &c.row.day {
			days := (v.Unix() - postgresEpoch) / (24 * 60 * 60)
			return binary.BigEndian.AppendUint32(append(b, 0, 0, 0, 4), uint32(int32(days))), nil
		}
		return appendInstant(b, *v), nil
	case *zeronull.Timestamptz:
		if time.Time(*v).IsZero() {
			return appendNull(b), nil
		}
		return appendInstant(b, time.Time(*v)), nil
	case *[]byte:
		if *v == nil {
			return appendNull(b), nil
		}
		return appendSized(b, *v), nil
	case *[]string:
		if *v == nil && v != &c.row.Roles {
			return appendNull(b), nil
		}
		return appendList(b, textOID, *v, appendSized[string]), nil
	case *[]int64:
		if *v == nil {
			return appendNull(b), nil
		}
		return appendList(b, int8OID, *v, appendNumber8), nil
	case *[]time.Time:
		if *v == nil {
			return appendNull(b), nil
		}
		return appendList(b, timestamptzOID, *v, appendInstant), nil
	case *[]Witness:
		if len(*v) == 0 {
			return appendNull(b), nil
		}
		list, err := json.Marshal(*v)
		if err != nil {
			return b, err
		}
		// The format of jsonb has a version.
		b = binary.BigEndian.AppendUint32(b, uint32(len(list)+1))
		return append(append(b, 1), list...), nil
	}
	return b, fmt.Errorf("found a %T, which COPY is not told how to write", at)
}

func appendSized[T ~string | ~[]byte](b []byte, v T) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(v))), v...)
}

func appendNull(b []byte) []byte { return append(b, 0xff, 0xff, 0xff, 0xff) }

func appendInstant(b []byte, t time.Time) []byte {
	return binary.BigEndian.AppendUint64(append(b, 0, 0, 0, 8), uint64(t.UnixMicro()-postgresEpoch*1_000_000))
}

func appendNumber8(b []byte, n int64) []byte {
	return binary.BigEndian.AppendUint64(append(b, 0, 0, 0, 8), uint64(n))
}

// appendList appends an array of one dimension, of none where it has no elements, of a type with that number.
func appendList[T any](b []byte, oid uint32, list []T, element func([]byte, T) []byte) []byte {
	begin := len(b)
	b = append(b, 0, 0, 0, 0)
	dimensions := uint32(min(len(list), 1))
	b = binary.BigEndian.AppendUint32(b, dimensions)
	b = binary.BigEndian.AppendUint32(b, 0)
	b = binary.BigEndian.AppendUint32(b, oid)
	if dimensions > 0 {
		b = binary.BigEndian.AppendUint32(b, uint32(len(list)))
		b = binary.BigEndian.AppendUint32(b, 1)
	}
	for _, v := range list {
		b = element(b, v)
	}
	binary.BigEndian.PutUint32(b[begin:], uint32(len(b)-begin-4))
	return b
}
