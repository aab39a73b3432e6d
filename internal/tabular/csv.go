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
	// blank line, which is a NULL.
	lines int64
	// blanks are such lines that were not returned yet; they come before held, which was read with them, or before the end.
	blanks int64
	held   []string
	// blank says that the last record is such a line.
	blank bool
}

// meter counts lines, ends a read that goes on for longer than one record may, and remembers what it read last.
type meter struct {
	from     io.Reader
	budget   int
	newlines int64
	// read is all bytes so far, of which tail holds byte i at i modulo its length.
	read int64
	tail [2 * csvBuffer]byte
}

// csvBuffer is how far encoding/csv may read ahead, and what it asks for at once.
const csvBuffer = 4 << 10

var errRecordTooLong = errors.New("record too long")

func (m *meter) Read(p []byte) (int, error) {
	if m.budget <= 0 {
		return 0, errRecordTooLong
	}
	n, err := m.from.Read(p[:min(len(p), csvBuffer)])
	m.budget -= n
	m.newlines += int64(bytes.Count(p[:n], []byte{'\n'}))
	for part := p[:n]; len(part) > 0; {
		k := copy(m.tail[m.read%int64(len(m.tail)):], part)
		m.read += int64(k)
		part = part[k:]
	}
	return n, err
}

// at is a byte that was read not long ago, 0 before the first.
func (m *meter) at(i int64) byte {
	if i < 0 {
		return 0
	}
	return m.tail[i%int64(len(m.tail))]
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
	header, _, err := c.read()
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
	if len(c.header) != 1 {
		return c.read()
	}
	if c.blank = false; c.blanks == 0 && c.held == nil {
		record, line, err := c.read()
		if err == io.EOF {
			line = c.bytes.newlines + 1
			if c.bytes.at(c.bytes.read-1) != '\n' {
				line++
			}
		} else if err != nil {
			return nil, 0, err
		}
		c.blanks, c.held = line-c.lines-1, record
	}
	if c.lines++; c.blanks > 0 {
		c.blanks--
		c.blank = true
		return []string{""}, c.lines, nil
	}
	record, line := c.held, c.lines
	if c.held = nil; record == nil {
		return nil, 0, io.EOF
	}
	c.lines += int64(bytes.Count([]byte(record[0]), []byte{'\n'}))
	return record, line, nil
}

// read is next without the blank lines.
func (c *csvRecords) read() ([]string, int64, error) {
	c.bytes.budget = maxRecordBytes
	record, err := c.reader.Read()
	if err != nil {
		return nil, 0, c.fail(err)
	}
	first, _ := c.reader.FieldPos(0)
	line := int64(first)
	if c.header == nil {
		c.lines = line + int64(bytes.Count([]byte(record[0]), []byte{'\n'}))
		return record, line, nil
	}
	if len(record) != len(c.header) {
		hint := "is a comma or a quote missing, or a comma not quoted?"
		return nil, 0, c.file.badAt(place{line: line}, "found %d cells, expected %d as in the header; %s", len(record), len(c.header), hint)
	}
	return record, line, nil
}

// quoted tells whether an empty cell of the record that encoding/csv returned last is written in quotes, which it does not say
// itself, but for where cells begin.
func (c *csvRecords) quoted(cell int) bool {
	if len(c.header) == 1 {
		return !c.blank
	}
	if cell < len(c.header)-1 {
		line, begin := c.reader.FieldPos(cell)
		nextLine, next := c.reader.FieldPos(cell + 1)
		return line == nextLine && next-begin > 1
	}
	end := c.reader.InputOffset() - 1
	for b := c.bytes.at(end); b == '\n' || b == '\r'; b = c.bytes.at(end) {
		end--
	}
	return c.bytes.at(end) == '"'
}

func (c *csvRecords) fail(err error) error {
	var parse *csv.ParseError
	switch {
	case err == io.EOF:
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
			if cell == "" && !(hasEmptyText(c.Type) && b.records.quoted(b.cells[i])) {
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

// hasEmptyText tells whether a type has a value of which the text is empty.
func hasEmptyText(t feature.Type) bool { return t == feature.TypeString || t == feature.TypeBytes }

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
