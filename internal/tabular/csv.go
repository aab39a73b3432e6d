package tabular

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/headwaterhq/headwater/feature"
)

// csvRecords yields the records of a CSV file (RFC 4180, comma, a header first) with the lines they begin at.
type csvRecords struct {
	file   *File
	bytes  *meter
	reader *csv.Reader
	header []string
	// lines is how many lines the records so far took, kept for files of one column only: there encoding/csv drops a
	// blank line that may stand for a NULL.
	lines int64
}

// meter counts lines, and ends a read that goes on for longer than one record may.
type meter struct {
	from     io.Reader
	budget   int
	newlines int64
	last     byte
}

var errRecordTooLong = errors.New("record too long")

func (m *meter) Read(p []byte) (int, error) {
	if m.budget <= 0 {
		return 0, errRecordTooLong
	}
	n, err := m.from.Read(p)
	m.budget -= n
	m.newlines += int64(bytes.Count(p[:n], []byte{'\n'}))
	if n > 0 {
		m.last = p[n-1]
	}
	return n, err
}

func skipMark(r io.ReadSeeker) io.Reader {
	head := make([]byte, len(byteOrderMark))
	n, _ := io.ReadFull(r, head)
	if n == len(byteOrderMark) && bytes.Equal(head, byteOrderMark) {
		return r
	}
	_, _ = r.Seek(0, io.SeekStart)
	return r
}

func (f *File) csv() (*csvRecords, error) {
	m := &meter{from: skipMark(f.content())}
	c := &csvRecords{file: f, bytes: m, reader: csv.NewReader(m)}
	c.reader.ReuseRecord = true
	c.reader.FieldsPerRecord = -1
	header, _, err := c.next()
	if err == io.EOF {
		return nil, f.bad("found no header, expected a first line with the names of the columns")
	}
	if err != nil {
		return nil, err
	}
	c.header = slices.Clone(header)
	return c, f.checkDistinct(c.header)
}

// next is the next record, valid until the next call, and the line it begins at.
func (c *csvRecords) next() ([]string, int64, error) {
	c.bytes.budget = maxRecordBytes
	record, err := c.reader.Read()
	if err != nil {
		return nil, 0, c.fail(err)
	}
	first, _ := c.reader.FieldPos(0)
	line := int64(first)
	if c.header == nil {
		c.lines = line
		return record, line, nil
	}
	if len(record) != len(c.header) {
		hint := "is a comma or a quote missing, or a comma not quoted?"
		return nil, 0, c.file.badAt(place{line: line}, "found %d cells, expected %d as in the header; %s", len(record), len(c.header), hint)
	}
	if len(c.header) == 1 {
		if line > c.lines+1 {
			return nil, 0, c.blank(c.lines + 1)
		}
		c.lines = line + int64(bytes.Count([]byte(record[0]), []byte{'\n'}))
	}
	return record, line, nil
}

func (c *csvRecords) blank(line int64) error {
	return c.file.badAt(place{line: line},
		`found a blank line in a file of one column, expected a value; write "" for NULL, or take the line out`)
}

func (c *csvRecords) fail(err error) error {
	var parse *csv.ParseError
	switch {
	case err == io.EOF:
		if len(c.header) == 1 {
			total := c.bytes.newlines
			if c.bytes.last != '\n' {
				total++
			}
			if total > c.lines {
				return c.blank(c.lines + 1)
			}
		}
		return io.EOF
	case errors.Is(err, errRecordTooLong):
		return c.file.badAt(place{line: c.bytes.newlines + 1}, "found a record longer than %d MiB, expected less; is a quote not closed?",
			maxRecordBytes>>20)
	case errors.As(err, &parse) && errors.Is(err, csv.ErrQuote):
		return c.file.badAt(place{line: int64(parse.StartLine)},
			`found a quoted cell that is not closed, or text after its closing quote; write a quote in a cell as ""`)
	case errors.As(err, &parse) && errors.Is(err, csv.ErrBareQuote):
		return c.file.badAt(place{line: int64(parse.Line)}, `found a quote in a cell that does not begin with one; write the cell in quotes, and the quote as ""`)
	}
	return c.file.bad("cannot be read as CSV: %s", plain(err))
}

type csvBatches struct {
	records *csvRecords
	columns []feature.Column
	// cells is, for each column, its position in the record.
	cells   []int
	notNull []bool
	build   *array.RecordBuilder
	end     error
}

func (f *File) readCSV(columns []feature.Column, notNull []int) (batches, error) {
	records, err := f.csv()
	if err != nil {
		return nil, err
	}
	if err := f.checkNames(columns, records.header); err != nil {
		return nil, err
	}
	b := &csvBatches{
		records: records, columns: columns, notNull: flags(len(columns), notNull),
		build: array.NewRecordBuilder(memory.DefaultAllocator, ArrowSchema(columns)),
	}
	for _, c := range columns {
		b.cells = append(b.cells, slices.Index(records.header, c.Name))
	}
	return b, nil
}

func flags(n int, set []int) []bool {
	result := make([]bool, n)
	for _, i := range set {
		result[i] = true
	}
	return result
}

func (b *csvBatches) next() (arrow.RecordBatch, error) {
	if b.end != nil {
		return nil, b.end
	}
	rows := 0
	for bytes := 0; rows < batchRows && bytes < maxRecordBytes; rows++ {
		record, line, err := b.records.next()
		if err == io.EOF {
			b.end = err
			break
		}
		if err != nil {
			return nil, err
		}
		for i := range b.columns {
			c, cell := &b.columns[i], record[b.cells[i]]
			bytes += len(cell)
			if cell == "" {
				if b.notNull[i] {
					return nil, b.records.file.badNull(place{line: line, column: c.Name}, c.Type)
				}
				b.build.Field(i).AppendNull()
				continue
			}
			v, err := parseText(c.Type, cell)
			if err != nil {
				return nil, b.records.file.badAt(place{line: line, column: c.Name}, "%s", err)
			}
			Append(b.build.Field(i), v)
		}
	}
	if rows == 0 {
		return nil, io.EOF
	}
	return b.build.NewRecordBatch(), nil
}

func (b *csvBatches) done() float64 {
	return float64(b.records.reader.InputOffset()) / float64(b.records.file.Size)
}

func (f *File) inferCSV(typed []feature.Column) ([]feature.Column, error) {
	records, err := f.csv()
	if err != nil {
		return nil, err
	}
	guesses := make([]guess, len(records.header))
	for {
		record, _, err := records.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		for i, cell := range record {
			guesses[i].text(cell)
		}
	}
	columns := make([]feature.Column, len(guesses))
	for i, name := range records.header {
		t, ok := typedAs(typed, name)
		if !ok {
			t = guesses[i].result()
		}
		columns[i] = feature.Column{Name: name, Type: t}
	}
	return columns, nil
}
