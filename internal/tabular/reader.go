package tabular

import (
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/headwaterhq/headwater/feature"
)

// batchRows is the most rows of one record batch; maxRecordBytes bounds one record of a text file.
const (
	batchRows      = 32 << 10
	maxRecordBytes = 16 << 20
)

// batches yields record batches that fit the schema asked for, then io.EOF. A batch is valid until the next is asked for.
type batches interface {
	next() (arrow.RecordBatch, error)
	// done is the share of the file that is read, from 0 to 1.
	done() float64
}

// Reader yields a file's rows in their order, as record batches of one schema.
type Reader struct {
	file    *File
	schema  *arrow.Schema
	notNull []int
	from    batches
	rows    int64
	err     error
	// empty is whether a file may be without rows.
	empty bool
}

// AllowEmpty takes a file without rows for what it is. Otherwise it is an error.
func (r *Reader) AllowEmpty() *Reader {
	r.empty = true
	return r
}

// Read reads the file as rows of columns, in any order in the file. Each column must be there, nothing else may be, and
// a NULL in a column named in notNull is refused. Values are converted only where nothing is lost: integers of up to 32
// bits to int64 and float64, float32 to float64, dictionaries to their values, dates and timestamps of any unit to
// microseconds UTC, those without a zone read as UTC. In CSV an empty cell without quotes is NULL, and so is "" in a column
// of neither text nor bytes, where it is the empty text; in a file of one column a blank line is NULL. In NDJSON an absent key is.
func (f *File) Read(columns []feature.Column, notNull ...string) (*Reader, error) {
	r := &Reader{file: f, schema: ArrowSchema(columns)}
	for _, name := range notNull {
		if i := slices.IndexFunc(columns, func(c feature.Column) bool { return c.Name == name }); i >= 0 {
			r.notNull = append(r.notNull, i)
		}
	}
	var err error
	switch f.Format {
	case FormatCSV:
		r.from, err = f.readCSV(columns, r.notNull)
	case FormatNDJSON:
		r.from, err = f.readNDJSON(columns, r.notNull)
	default:
		r.from, err = f.readColumnar(columns, r.notNull)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Columns is the schema for a file whose columns are not known before: each column of typed must be there and gets the
// type given; the others get the type found. In CSV and NDJSON that is the first of int64, float64, bool, timestamp that
// every value of the column can be read as, else string; numbers with leading zeros, or beyond what int64 holds, are text.
// A column without any value is a string. Columns are in the file's order.
func (f *File) Columns(typed []feature.Column) ([]feature.Column, error) {
	var found []feature.Column
	var err error
	switch f.Format {
	case FormatCSV:
		found, err = f.inferCSV(typed)
	case FormatNDJSON:
		found, err = f.inferNDJSON(typed)
	default:
		found, err = f.inferColumnar(typed)
	}
	if err != nil {
		return nil, err
	}
	return found, f.checkMissing(typed, namesOf(found))
}

// Others is the names of the file's columns that are none of columns, in its order. NDJSON is read to its end for it.
func (f *File) Others(columns []feature.Column) ([]string, error) {
	var found []string
	switch f.Format {
	case FormatCSV:
		records, err := f.csv()
		if err != nil {
			return nil, err
		}
		found = records.header
	case FormatNDJSON:
		var err error
		if found, err = f.jsonKeys(columns); err != nil {
			return nil, err
		}
	default:
		source, err := f.records()
		if err != nil {
			return nil, err
		}
		found = fieldNames(source.Schema())
	}
	var others []string
	for _, name := range found {
		if !slices.ContainsFunc(columns, func(c feature.Column) bool { return c.Name == name }) {
			others = append(others, name)
		}
	}
	return others, nil
}

// Schema is that of every batch.
func (r *Reader) Schema() *arrow.Schema { return r.schema }

// Rows counts the rows that Next has returned.
func (r *Reader) Rows() int64 { return r.rows }

// Done is the share of the file that is read, from 0 to 1.
func (r *Reader) Done() float64 { return r.from.done() }

// Batches is what Next returns, one after the other; an error other than io.EOF is the last element.
func (r *Reader) Batches() iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) {
		for {
			batch, err := r.Next()
			if err == io.EOF {
				return
			}
			if !yield(batch, err) || err != nil {
				return
			}
		}
	}
}

// Next is the next batch, never empty, valid until Next is called again; then io.EOF. A file without rows is an error, unless
// AllowEmpty was called.
func (r *Reader) Next() (arrow.RecordBatch, error) {
	if r.err != nil {
		return nil, r.err
	}
	batch, err := r.from.next()
	if err == nil {
		r.rows += batch.NumRows()
		return batch, nil
	}
	if err == io.EOF {
		if r.rows == 0 && !r.empty {
			err = r.file.bad("found no rows, expected at least one; check what was to write it")
		} else if changed := r.file.checkUnchanged(); changed != nil {
			err = changed
		}
	}
	r.err = err
	return nil, err
}

func namesOf(columns []feature.Column) []string {
	names := make([]string, len(columns))
	for i := range columns {
		names[i] = columns[i].Name
	}
	return names
}

// listNames is names for a message; those that would not stand out are quoted.
func listNames(names []string) string {
	if len(names) == 0 {
		return "no column"
	}
	shown := make([]string, 0, len(names))
	for _, n := range names {
		if n == "" || strings.ContainsAny(n, " \t,;\"'") || strconv.Quote(n) != `"`+n+`"` {
			n = quote(n)
		}
		shown = append(shown, n)
	}
	return strings.Join(shown, ", ")
}

func (f *File) checkMissing(wanted []feature.Column, found []string) error {
	var missing []string
	for _, c := range wanted {
		if !slices.Contains(found, c.Name) {
			missing = append(missing, c.Name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	word, them := "column", "it"
	if len(missing) > 1 {
		word, them = "columns", "them"
	}
	return f.bad("found no %s %s, expected %s; the file has %s", word, listNames(missing), them, listNames(found)).
		With("column", missing[0])
}

// checkNames holds that the file's columns are those wanted, each once, no matter in which order.
func (f *File) checkNames(wanted []feature.Column, found []string) error {
	if err := f.checkDistinct(found); err != nil {
		return err
	}
	if err := f.checkMissing(wanted, found); err != nil {
		return err
	}
	for _, name := range found {
		if !f.LeaveOut && !slices.ContainsFunc(wanted, func(c feature.Column) bool { return c.Name == name }) {
			return f.badExtra(place{}, name, wanted)
		}
	}
	return nil
}

func (f *File) badExtra(p place, name string, wanted []feature.Column) error {
	return f.badAt(p, "found column %s, expected only %s; take it out of the file, declare it, or have such columns left out "+
		"(schema_changes: ignore_new_columns)",
		listNames([]string{name}), listNames(namesOf(wanted))).With("column", name)
}

func (f *File) checkDistinct(names []string) error {
	seen := make(map[string]bool, len(names))
	for i, name := range names {
		if name == "" {
			return f.bad("found no name for column %d, expected one; the file has %s", i+1, listNames(names))
		}
		if err := checkText(name); err != nil {
			return f.bad("in the name of column %d: %s", i+1, err)
		}
		if seen[name] {
			return f.bad("found column %s twice, expected each name once", listNames([]string{name}))
		}
		seen[name] = true
	}
	return nil
}

func typedAs(typed []feature.Column, name string) (feature.Type, bool) {
	for i := range typed {
		if typed[i].Name == name {
			return typed[i].Type, true
		}
	}
	return feature.TypeInvalid, false
}

// badNull is the fault of a NULL where there must be a value.
func (f *File) badNull(p place, t feature.Type) error {
	found := "NULL"
	if p.line > 0 {
		found = "no value"
	}
	article := "a"
	if t == feature.TypeInt64 {
		article = "an"
	}
	return f.badAt(p, "found %s, expected %s %s; fill it in, or take the row out", found, article, t)
}
