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
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/tabular"
)

// spool is a spine on local disk: read once to stage it and once to write the result, however large it is.
type spool struct {
	file    *os.File
	columns []feature.Column
	rows    int64
	digest  feature.Digest
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
		c.buf = append(c.buf, byte(col.Type))
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

func (c *contentHash) digest() (d feature.Digest) {
	c.h.Write(binary.BigEndian.AppendUint64(nil, c.rows))
	c.h.Sum(d[:0])
	return d
}

// spoolSpine takes in a spine as a client sends it. check sees its columns first. Every row must have a timestamp.
func spoolSpine(r io.Reader, timestamp string, check func(columns []feature.Column) error) (s *spool, err error) {
	in, err := tabular.NewStreamReader(r)
	if err != nil {
		return nil, badSpine(err)
	}
	if err := check(in.Columns); err != nil {
		return nil, err
	}
	s = &spool{columns: in.Columns}
	if s.file, err = os.CreateTemp("", "headwater-spine-*"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	at := slices.IndexFunc(s.columns, func(c feature.Column) bool { return c.Name == timestamp })
	buffered := bufio.NewWriterSize(s.file, 1<<20)
	out := tabular.NewStreamWriter(buffered, s.columns, true)
	content := newContentHash(s.columns)
	for row, err := range in.Rows() {
		if err != nil {
			return nil, badSpine(err)
		}
		s.rows++
		if row[at].IsNull() {
			return nil, fault.New(fault.InvalidSpine, "spine: row %d: column %s is NULL, expected a timestamp; a point in time "+
				"is needed for every row: give it one, or leave the row out", s.rows, timestamp)
		}
		for i, v := range row {
			if err := feature.CheckText(v.Str()); err != nil {
				return nil, fault.New(fault.InvalidSpine, "spine: row %d: column %s: %v", s.rows, s.columns[i].Name, err)
			}
		}
		content.add(row)
		if err := out.Append(row); err != nil {
			return nil, err
		}
	}
	s.digest = content.digest()
	return s, errors.Join(out.Close(), buffered.Flush())
}

func badSpine(err error) error {
	// What the sender's side of the stream has to say is not about the spine.
	if f := fault.As(err); f != nil {
		return f
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fault.New(fault.InvalidSpine, "spine: %v", err).Because(err)
}

// rowsOf are the spine's rows, from the first. A row is used only until the next.
func (s *spool) rowsOf() iter.Seq2[[]feature.Value, error] {
	return func(yield func([]feature.Value, error) bool) {
		// A reader of its own, so that any number can read at once.
		info, err := s.file.Stat()
		if err != nil {
			yield(nil, err)
			return
		}
		in, err := tabular.NewStreamReader(bufio.NewReaderSize(io.NewSectionReader(s.file, 0, info.Size()), 1<<20))
		if err != nil {
			yield(nil, err)
			return
		}
		for row, err := range in.Rows() {
			if !yield(row, err) {
				return
			}
		}
	}
}

func (s *spool) close() {
	s.file.Close()
	os.Remove(s.file.Name())
}

// spineChunk is the size of the pieces that a spine is kept in.
const spineChunk = 1 << 20

// store keeps the spine with its dataset.
func (s *spool) store(ctx context.Context, tx pgx.Tx, dataset string) error {
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	buf := make([]byte, spineChunk)
	for chunk := 0; ; chunk++ {
		n, err := io.ReadFull(s.file, buf)
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

// loadSpine has a kept spine back, and checks that it is the one of the manifest.
func loadSpine(ctx context.Context, q querier, m *Manifest) (s *spool, err error) {
	r, w := io.Pipe()
	defer r.Close()
	go func() { w.CloseWithError(readChunks(ctx, q, m.ID, w)) }()
	s, err = spoolSpine(r, m.TimestampColumn, func([]feature.Column) error { return nil })
	if err != nil {
		return nil, err
	}
	if s.digest.String() != m.SpineDigest {
		s.close()
		return nil, fault.New(fault.DigestMismatch, "dataset %s: the kept spine has digest %s, the manifest says %s; "+
			"the dataset cannot be had again from it", m.ID, s.digest, m.SpineDigest)
	}
	return s, nil
}

func readChunks(ctx context.Context, q querier, dataset string, w io.Writer) error {
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
	if err := rows.Err(); err != nil {
		return fmt.Errorf("reading the spine of %s: %w", dataset, err)
	}
	return nil
}
