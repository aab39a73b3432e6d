package tabular

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

const (
	// maxMetadataBytes bounds what a message says before its body: the schema, or where a batch's buffers lie.
	maxMetadataBytes = 1 << 20
	// MaxBatchBytes bounds one record batch of a stream that comes from anyone.
	MaxBatchBytes = 64 << 20
	// bodyStep is how much of a body is made room for at first, and at least doubled to: memory follows what has come,
	// not what was announced.
	bodyStep = 1 << 20
)

// StreamError is what is wrong with an Arrow IPC stream, said to whoever sent it. Errors of reading the stream's source are
// returned as they are.
type StreamError struct {
	message string
	cause   error
}

func (e *StreamError) Error() string { return e.message }

// Unwrap is what the library said, which is not for the sender.
func (e *StreamError) Unwrap() error { return e.cause }

func badStream(format string, args ...any) *StreamError {
	return &StreamError{message: fmt.Sprintf(format, args...)}
}

// messages cuts an Arrow IPC stream into messages for ipc.NewReaderFromMessageReader. It is not the library's reader because
// that one takes what a stream announces at its word: lengths, and metadata whose parts lie over each other, so that a few
// bytes unfold to more than there is memory.
type messages struct {
	r       io.Reader
	maxBody int64
	// compressed buffers, and nested columns and dictionaries, may be in streams of this machine; others have no need of
	// them.
	compressed, nested bool
	// schema is whether the schema was read; batches counts the record batches, bodyLen is the length of the last.
	schema  bool
	batches int64
	bodyLen int64
	// err is what ended the stream, nil while it goes on. The library wraps it in words of its own.
	err error
}

func (m *messages) Retain()  {}
func (m *messages) Release() {}

// Message is the next message, or io.EOF after the end marker and the end of the source.
func (m *messages) Message() (msg *ipc.Message, err error) {
	if m.err != nil {
		return nil, m.err
	}
	defer func() {
		if p := recover(); p != nil {
			err = m.damaged(fmt.Errorf("%v", p))
		}
		m.err = err
	}()
	meta, err := m.metadata()
	if err != nil {
		return nil, err
	}
	head := ipc.NewMessage(memory.NewBufferBytes(meta), memory.NewBufferBytes(nil))
	if err := m.check(head, meta); err != nil {
		return nil, err
	}
	body, err := m.body(head.BodyLen())
	if err != nil {
		return nil, err
	}
	m.schema = true
	return ipc.NewMessage(memory.NewBufferBytes(meta), memory.NewBufferBytes(body)), nil
}

// where says which part of the stream is being read.
func (m *messages) where() string {
	if !m.schema {
		return "the schema"
	}
	return fmt.Sprintf("record batch %d", m.batches+1)
}

func (m *messages) damaged(cause error) *StreamError {
	bad := badStream("found %s damaged, expected an Arrow IPC stream; send it again as it was written", m.where())
	bad.cause = cause
	return bad
}

// read fills b. A source that ends before is the stream's fault, anything else the source's: also an error that wraps io.EOF, such
// as that of a connection that broke.
func (m *messages) read(b []byte) error {
	_, err := io.ReadFull(m.r, b)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return m.cutOff()
	}
	return err
}

func (m *messages) cutOff() *StreamError {
	bad := badStream("found the stream cut off in %s, expected its end marker last; send all of it", m.where())
	bad.cause = io.ErrUnexpectedEOF
	return bad
}

// metadata reads a message up to its body.
func (m *messages) metadata() ([]byte, error) {
	var marker, size [4]byte
	_, err := io.ReadFull(m.r, marker[:])
	switch {
	case err == nil && string(marker[:]) != string(arrowStreamMagic):
		if !m.schema {
			return nil, badStream("found something else than an Arrow IPC stream, expected one: a schema, record batches and an end marker")
		}
		return nil, m.damaged(nil)
	case err == io.EOF && !m.schema:
		return nil, badStream("found nothing, expected an Arrow IPC stream: a schema, record batches and an end marker")
	case err == io.EOF:
		return nil, badStream("found no end marker after %d record batches, expected one; the stream was cut off, or its writer was not closed",
			m.batches)
	case err == io.ErrUnexpectedEOF:
		return nil, m.cutOff()
	case err != nil:
		return nil, err
	}
	if err := m.read(size[:]); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint32(size[:])
	if n == 0 {
		return nil, m.end()
	}
	if n < 8 || n > maxMetadataBytes {
		return nil, badStream("found %d bytes of metadata before %s, expected at most %d; send fewer columns or shorter names, and no metadata",
			n, m.where(), maxMetadataBytes)
	}
	meta := make([]byte, n)
	return meta, m.read(meta)
}

// end is io.EOF when nothing follows the end marker: what follows would be dropped without a word.
func (m *messages) end() error {
	if !m.schema {
		return badStream("found an end marker first, expected a schema")
	}
	var more [1]byte
	_, err := io.ReadFull(m.r, more[:])
	if err == nil {
		return badStream("found bytes after the end marker, expected none; send one stream")
	}
	return err
}

// check refuses what the library cannot be trusted with.
func (m *messages) check(head *ipc.Message, meta []byte) error {
	if n := head.BodyLen(); n < 0 || n > m.maxBody {
		return badStream("found %s of %d bytes, expected at most %d; send smaller batches", m.where(), uint64(n), m.maxBody)
	}
	m.bodyLen = head.BodyLen()
	switch t := head.Type(); {
	case m.schema && t == ipc.MessageDictionaryBatch && m.nested:
		return nil
	case t == ipc.MessageDictionaryBatch:
		return badStream("found a dictionary, expected plain values; decode the columns before they are sent")
	case m.schema && t != ipc.MessageRecordBatch, !m.schema && t != ipc.MessageSchema:
		return m.damaged(fmt.Errorf("found a message of type %s", t))
	}
	if !m.schema {
		return checkSchemaTable(meta, m.nested)
	}
	return checkBatchTable(meta, m.compressed)
}

func (m *messages) body(n int64) ([]byte, error) {
	body := make([]byte, min(n, bodyStep))
	for read := int64(0); read < n; {
		if read == int64(len(body)) {
			grown := make([]byte, min(n, 2*read))
			copy(grown, body)
			body = grown
		}
		if err := m.read(body[read:]); err != nil {
			return nil, err
		}
		read = int64(len(body))
	}
	return body, nil
}

// bounded is an allocator that panics where more is asked for at once than its limit: compressed buffers announce their
// size, and what the runtime cannot allocate ends the process.
type bounded struct {
	memory.Allocator
	limit int
}

func boundedTo(limit int64) bounded { return bounded{memory.DefaultAllocator, int(limit)} }

func (b bounded) Allocate(n int) []byte {
	b.check(n)
	return b.Allocator.Allocate(n)
}

func (b bounded) Reallocate(n int, from []byte) []byte {
	b.check(n)
	return b.Allocator.Reallocate(n, from)
}

func (b bounded) check(n int) {
	if n < 0 || n > b.limit {
		panic(&tooLarge{n, b.limit})
	}
}

// tooLarge is what a bounded allocator panics with.
type tooLarge struct{ found, limit int }

func (t *tooLarge) Error() string {
	return fmt.Sprintf("a buffer of %d bytes was asked for, expected at most %d", t.found, t.limit)
}
