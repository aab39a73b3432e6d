package dataset

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"os"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/tabular"
)

// scratch is a file that nobody else sees: it has no name once it is open, so a process that is killed leaves none behind.
type scratch struct{ *os.File }

func newScratch() (scratch, error) {
	file, err := os.CreateTemp("", "headwater-*")
	if err != nil {
		return scratch{}, err
	}
	// Where an open file cannot be removed, close does it.
	_ = os.Remove(file.Name())
	return scratch{file}, nil
}

func (s scratch) close() {
	s.File.Close()
	_ = os.Remove(s.Name())
}

// content reads the file from its start, independent of other readers.
func (s scratch) content() (io.Reader, error) {
	info, err := s.Stat()
	if err != nil {
		return nil, err
	}
	return io.NewSectionReader(s, 0, info.Size()), nil
}

// copyTo writes all of the file to w, and keeps it on the way; nil: it does not.
func (s scratch) copyTo(w io.Writer, keeping *keeping) error {
	r, err := s.content()
	if err != nil {
		return err
	}
	_, err = io.Copy(w, keeping.tee(r))
	return err
}

// spool is a spine on local disk: read once to stage it and once to write the result, however large it is.
type spool struct {
	file    scratch
	columns []feature.Column
	rows    int64
	// first and last are the least and the greatest of the rows' times, if there are rows.
	first, last feature.Time
	digest      feature.Digest
}

// contentHash is SHA-256 over the canonical encoding of a table: a domain, the columns' names and types, the rows'
// values in order, and the number of rows. Drawn in docs/format/canonical.md.
type contentHash struct {
	h    hash.Hash
	buf  []byte
	rows uint64
}

func newContentHash(columns []feature.Column) *contentHash {
	c := &contentHash{h: sha256.New()}
	c.buf = feature.AppendCanonicalString(c.buf, "headwater.table.v1")
	c.buf = binary.BigEndian.AppendUint64(c.buf, uint64(len(columns)))
	for _, col := range columns {
		c.buf = feature.AppendCanonicalString(c.buf, col.Name)
		c.buf = col.Type.AppendCanonical(c.buf)
	}
	c.h.Write(c.buf)
	return c
}

func (c *contentHash) add(row []feature.Value) {
	c.buf = c.buf[:0]
	for _, v := range row {
		c.buf = v.AppendCanonical(c.buf)
	}
	c.h.Write(c.buf)
	c.rows++
}

// addRows adds the rows of a batch, and tells each of the encoding of its row, which is valid during the call; nil: nobody.
func (c *contentHash) addRows(b *rowBatch, each func(n int, encoding []byte)) {
	c.buf = c.buf[:0]
	for n := range b.rows {
		from := len(c.buf)
		row, _, _ := b.at(n)
		for _, v := range row {
			c.buf = v.AppendCanonical(c.buf)
		}
		if each != nil {
			each(n, c.buf[from:])
		}
	}
	c.h.Write(c.buf)
	c.rows += uint64(b.rows)
}

func (c *contentHash) digest() (d feature.Digest) {
	c.h.Write(binary.BigEndian.AppendUint64(nil, c.rows))
	c.h.Sum(d[:0])
	return d
}

// takeSpine takes in a spine as a client sends it, of columns that check has nothing against.
func takeSpine(r io.Reader, timestamp string, check func(columns []feature.Column) error) (*spool, error) {
	in, err := tabular.NewStreamReader(r)
	if err != nil {
		return nil, badSpine(err)
	}
	if err := check(in.Columns); err != nil {
		return nil, err
	}
	return spoolRows(in.Columns, bounded(in.Rows()), timestamp)
}

// bounded are rows that are sent, none larger than one of a source or of a history may be: batches end with the row that fills them,
// so that what a dataset takes of memory follows its largest row.
func bounded(rows iter.Seq2[[]feature.Value, error]) iter.Seq2[[]feature.Value, error] {
	return func(yield func([]feature.Value, error) bool) {
		number := int64(0)
		for row, err := range rows {
			number++
			size := 0
			for _, v := range row {
				size += tabular.SizeOf(v)
			}
			if err == nil && size > feature.MaxRowText {
				err = fault.New(fault.InvalidSpine, "spine: row %d: found %d bytes of text, bytes, lists and vectors, expected at most %d; cut it down",
					number, size, feature.MaxRowText)
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
	}
}

// spoolRows writes a spine to local disk. Every row must have a timestamp. A row is used only until the next, what its values hold a little longer.
func spoolRows(columns []feature.Column, rows iter.Seq2[[]feature.Value, error], timestamp string) (*spool, error) {
	file, err := newScratch()
	if err != nil {
		return nil, err
	}
	s := &spool{file: file, columns: columns}
	if err := s.fill(rows, timestamp); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *spool) fill(rows iter.Seq2[[]feature.Value, error], timestamp string) error {
	buffered := bufio.NewWriterSize(s.file, 1<<20)
	out := tabular.NewStreamWriter(buffered, s.columns, true)
	content := newContentHash(s.columns)
	kept := newFanout(context.Background(), rowShape{columns: len(s.columns)}, func(b *rowBatch) error { return b.writeTo(out) }, func(b *rowBatch) error {
		content.addRows(b, nil)
		return nil
	})
	if err := kept.end(protect(func() error { return s.take(rows, timestamp, kept) })); err != nil {
		return err
	}
	s.digest = content.digest()
	return errors.Join(out.Close(), buffered.Flush())
}

func (s *spool) take(rows iter.Seq2[[]feature.Value, error], timestamp string, kept *fanout) error {
	at := slices.IndexFunc(s.columns, func(c feature.Column) bool { return c.Name == timestamp })
	for row, err := range rows {
		if err != nil {
			return badSpine(err)
		}
		s.rows++
		if row[at].IsNull() {
			return fault.New(fault.InvalidSpine, "spine: row %d: column %s is NULL, expected a timestamp; a point in time "+
				"is needed for every row: give it one, or leave the row out", s.rows, timestamp)
		}
		time := row[at].Timestamp()
		if s.rows == 1 {
			s.first, s.last = time, time
		}
		s.first, s.last = min(s.first, time), max(s.last, time)
		room, _, _, err := kept.next()
		if err != nil {
			return err
		}
		copy(room, row)
		kept.add()
	}
	return nil
}

// badSpine tells what is wrong with the spine from what its sender's side of the stream failed with.
func badSpine(err error) error {
	var bad *tabular.StreamError
	if !errors.As(err, &bad) {
		return err
	}
	return fault.New(fault.InvalidSpine, "spine: %s", bad).Because(err)
}

// rowsOf are the spine's rows, from the first. A row is used only until the next. Any number may read at once.
func (s *spool) rowsOf() iter.Seq2[[]feature.Value, error] {
	return func(yield func([]feature.Value, error) bool) {
		r, err := s.file.content()
		if err != nil {
			yield(nil, err)
			return
		}
		in, err := tabular.NewOwnStreamReader(bufio.NewReaderSize(r, 1<<20))
		if err != nil {
			yield(nil, spoiled(err))
			return
		}
		for row, err := range in.Rows() {
			if err != nil {
				yield(nil, spoiled(err))
				return
			}
			if !yield(row, nil) {
				return
			}
		}
	}
}

// spoiled is an error of reading what this process wrote itself.
func spoiled(err error) error { return fmt.Errorf("read back the spine from local disk: %v", err) }

func (s *spool) close() { s.file.close() }

// spineChunk is the size of the pieces that a spine is kept in.
const spineChunk = 1 << 20

// store keeps the spine with its dataset.
func (s *spool) store(ctx context.Context, tx pgx.Tx, dataset string) error {
	content, err := s.file.content()
	if err != nil {
		return err
	}
	buf := make([]byte, spineChunk)
	for chunk := 0; ; chunk++ {
		n, err := io.ReadFull(content, buf)
		if n > 0 {
			_, err := tx.Exec(ctx, `INSERT INTO headwater.dataset_spine (dataset_id, chunk, data) VALUES ($1, $2, $3)`,
				dataset, chunk, buf[:n])
			if err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// loadSpine has a kept spine back. When it is not the one of the manifest there is no spool, and difference says so.
func loadSpine(ctx context.Context, q database.Querier, m *Manifest) (s *spool, difference string, err error) {
	s, damaged, err := readKept(ctx, q, m)
	_, expected := m.left()
	switch {
	case damaged:
		return nil, fmt.Sprintf("kept spine: found it damaged, expected digest %s", expected), nil
	case err != nil:
		return nil, "", err
	case s.digest.String() != expected:
		s.close()
		return nil, fmt.Sprintf("kept spine: found digest %s, expected %s", s.digest, expected), nil
	}
	return s, "", nil
}

// readKept has a kept spine back, whatever its digest. damaged: it cannot be read.
func readKept(ctx context.Context, q database.Querier, m *Manifest) (s *spool, damaged bool, err error) {
	r, w := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		err := readChunks(ctx, q, m.ID, w)
		if err != nil {
			// Of itself io.EOF, which a broken connection may fail with, would be the end of the spine.
			err = fmt.Errorf("reading the spine of %s: %w", m.ID, err)
		}
		w.CloseWithError(err)
	}()
	s, err = spoolKept(r, m.TimestampColumn)
	r.Close()
	<-done
	var bad *tabular.StreamError
	if errors.As(err, &bad) || fault.ReasonOf(err) == fault.InvalidSpine {
		return nil, true, nil
	}
	return s, false, err
}

func spoolKept(r io.Reader, timestamp string) (*spool, error) {
	in, err := tabular.NewOwnStreamReader(r)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(in.Columns, func(c feature.Column) bool { return c.Name == timestamp }) {
		return nil, fault.New(fault.InvalidSpine, "spine: found no column %s", timestamp)
	}
	return spoolRows(in.Columns, in.Rows(), timestamp)
}

func readChunks(ctx context.Context, q database.Querier, dataset string, w io.Writer) error {
	rows, err := q.Query(ctx, `SELECT data FROM headwater.dataset_spine WHERE dataset_id = $1 ORDER BY chunk`, dataset)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var data []byte
		if err := rows.Scan(&data); err != nil {
			return err
		}
		if _, err := w.Write(data); err != nil {
			return err
		}
	}
	return rows.Err()
}
