package online

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"unsafe"
)

// replies is what one connection answered to the commands of some queries. The rows that were found share its memory, which is used
// again when the last of the queries is given back.
type replies struct {
	// b is what came, and b[at:] is not taken apart yet.
	b  []byte
	at int
	// holders are the queries that have rows of it, and who reads.
	holders atomic.Int32
}

const (
	// maxKeptBytes is how large what a query, or the buffer of an answer, holds may be for it to be used again: one huge answer
	// should not stay in memory.
	maxKeptBytes = 1 << 20
	// firstBytes is enough for the rows of some entities.
	firstBytes = 16 << 10
	// leastRoom is what a read of a socket should have room for.
	leastRoom = 4 << 10
	// leastField is the length of the shortest field: the one that is not there.
	leastField = len(nullField)
	// maxRefusal is the longest line in which Redis says why it refuses a command.
	maxRefusal = 64 << 10

	nullField = "$-1\r\n"
)

var unusedReplies = sync.Pool{New: func() any { return &replies{b: make([]byte, 0, firstBytes)} }}

// newReplies is empty, and held once.
func newReplies() *replies {
	r := unusedReplies.Get().(*replies)
	r.b, r.at = r.b[:0], 0
	r.holders.Store(1)
	return r
}

// release gives up one hold.
func (r *replies) release() {
	if r.holders.Add(-1) == 0 && cap(r.b) <= maxKeptBytes {
		unusedReplies.Put(r)
	}
}

var errReply = errors.New("found a reply of another form than HMGET's")

// read takes the replies to commands as they come, in one pass, and puts the rows in their places. A command that is refused is
// marked, and those after it are read. After an error nobody knows where in its replies the connection is.
func (r *replies) read(from io.Reader, commands []command) error {
	for i := range commands {
		c := &commands[i]
		refused, err := r.begin(from, c.query.group.reply)
		if err != nil {
			return err
		}
		if c.refused = refused; refused {
			continue
		}
		rows := c.query.rowsOf(c.key)
		for f := range rows {
			if err := r.field(from, &rows[f]); err != nil {
				return err
			}
		}
	}
	if r.at < len(r.b) {
		return errReply
	}
	return nil
}

// begin reads the line before the fields, or that of a refusal.
func (r *replies) begin(from io.Reader, line []byte) (refused bool, err error) {
	for {
		rest := r.b[r.at:]
		need := len(line)
		switch {
		case bytes.HasPrefix(rest, line):
			r.at += len(line)
			return false, nil
		case bytes.HasPrefix(line, rest):
		case rest[0] != '-' || len(rest) > maxRefusal:
			return false, errReply
		default:
			if end := bytes.Index(rest, lineEnd); end >= 0 {
				r.at += end + len(lineEnd)
				return true, nil
			}
			need = len(rest) + 1
		}
		if err := r.more(from, need); err != nil {
			return false, err
		}
	}
}

var lineEnd = []byte("\r\n")

// field reads one field of a hash.
func (r *replies) field(from io.Reader, s *storedRow) error {
	for {
		row, size, err := parseField(r.b[r.at:])
		if err != nil {
			return err
		}
		if size <= len(r.b)-r.at {
			*s = row
			r.at += size
			return nil
		}
		if err := r.more(from, size); err != nil {
			return err
		}
	}
}

// parseField takes the field apart that b begins with, and says how long it is. Where that is longer than b, as many bytes are needed at
// least to say more.
func parseField(b []byte) (row storedRow, size int, err error) {
	if len(b) > 0 && b[0] != '$' {
		return storedRow{}, 0, errReply
	}
	if len(b) < leastField {
		return storedRow{}, leastField, nil
	}
	if b[1] == '-' {
		if string(b[:leastField]) != nullField {
			return storedRow{}, 0, errReply
		}
		return storedRow{}, leastField, nil
	}
	n, at := 0, 1
	for ; at < len(b) && b[at] >= '0' && b[at] <= '9'; at++ {
		if n = 10*n + int(b[at]-'0'); n > maxRowSize {
			return storedRow{}, 0, errReply
		}
	}
	if at+2 > len(b) {
		if at == len(b) || b[at] == '\r' {
			return storedRow{}, len(b) + 1, nil
		}
		return storedRow{}, 0, errReply
	}
	if at == 1 || b[at] != '\r' || b[at+1] != '\n' {
		return storedRow{}, 0, errReply
	}
	at += 2
	size = at + n + 2
	if size > len(b) {
		return storedRow{}, size, nil
	}
	if b[size-2] != '\r' || b[size-1] != '\n' {
		return storedRow{}, 0, errReply
	}
	return storedRow{row: unsafeString(b[at : at+n]), ok: true}, size, nil
}

// more reads until need bytes are there that are not taken apart yet. Where they have no room what was taken apart stays where it is, with
// those who have rows of it, and the rest moves.
func (r *replies) more(from io.Reader, need int) error {
	if room := cap(r.b) - len(r.b); cap(r.b)-r.at < need || room < leastRoom {
		rest := r.b[r.at:]
		r.b = append(make([]byte, 0, max(min(2*cap(r.b), maxKeptBytes), need+leastRoom)), rest...)
		r.at = 0
	}
	for len(r.b)-r.at < need {
		n, err := from.Read(r.b[len(r.b):cap(r.b)])
		r.b = r.b[:len(r.b)+n]
		if err != nil && len(r.b)-r.at < need {
			return err
		}
	}
	return nil
}

// unsafeString is b as a text that shares its memory: b must not change while the text is used.
func unsafeString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
