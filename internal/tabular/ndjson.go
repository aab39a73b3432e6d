package tabular

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/headwaterhq/headwater/feature"
)

// jsonLines yields the objects of an NDJSON file, key by key. Blank lines are no rows.
type jsonLines struct {
	file   *File
	reader *bufio.Reader
	line   int64
	text   []byte
	// offset counts the bytes of the lines read.
	offset int64
	// skip is of keys whose values, of whatever kind, are passed over. nil: of none.
	skip func(key string) bool
}

func (f *File) jsonLines() *jsonLines {
	return &jsonLines{file: f, reader: bufio.NewReaderSize(skipMark(f.content()), 64<<10)}
}

// next reads one line and calls member for each key of its object, with a token that is nil (null), bool, json.Number
// or string, or a jsonArray of such.
func (j *jsonLines) next(member func(key string, value json.Token) error) error {
	for {
		if err := j.readLine(); err != nil {
			return err
		}
		if len(bytes.TrimSpace(j.text)) > 0 {
			return j.object(member)
		}
	}
}

func (j *jsonLines) readLine() error {
	j.text = j.text[:0]
	j.line++
	for {
		part, err := j.reader.ReadSlice('\n')
		j.text = append(j.text, part...)
		j.offset += int64(len(part))
		if len(j.text) > maxRecordBytes {
			return j.bad("found a line longer than %d MiB, expected less", maxRecordBytes>>20)
		}
		switch {
		case err == bufio.ErrBufferFull:
			continue
		case err == io.EOF && len(j.text) == 0:
			return io.EOF
		case err != nil && err != io.EOF:
			return j.file.bad("cannot be read to its end: %s", plain(err))
		}
		return nil
	}
}

// bad is the fault of the line being read.
func (j *jsonLines) bad(format string, args ...any) error {
	return j.file.badAt(place{line: j.line}, format, args...)
}

func (j *jsonLines) badValue(column, format string, args ...any) error {
	return j.file.badAt(place{line: j.line, column: column}, format, args...)
}

func (j *jsonLines) object(member func(string, json.Token) error) error {
	if !utf8.Valid(j.text) {
		return j.bad("found bytes that are not UTF-8, expected UTF-8; convert the file")
	}
	d := json.NewDecoder(bytes.NewReader(j.text))
	d.UseNumber()
	t, err := d.Token()
	if err != nil {
		return j.badJSON()
	}
	if t != json.Delim('{') {
		return j.bad("found %s, expected one JSON object a line, such as {\"origin\": \"ORD\"}", describe(t))
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return j.badJSON()
		}
		name, _ := key.(string)
		if j.skip != nil && j.skip(name) {
			var any json.RawMessage
			if d.Decode(&any) != nil {
				return j.badJSON()
			}
			continue
		}
		value, err := d.Token()
		if err != nil {
			return j.badJSON()
		}
		switch v := value.(type) {
		case json.Delim:
			if v != '[' {
				return j.badValue(name, "found %s, expected a single value; flatten it", describe(value))
			}
			if value, err = readArray(d, j.text); err == errNoJSON {
				return j.badJSON()
			}
		case string:
			err = checkJSONString(v, j.text)
		}
		if err != nil {
			return j.badValue(name, "%s", err)
		}
		if err := member(name, value); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return j.badJSON()
	}
	if _, err := d.Token(); err != io.EOF {
		return j.bad("found more after the object, expected one JSON object a line")
	}
	return nil
}

func (j *jsonLines) badJSON() error {
	return j.bad("found %s, which is not JSON; expected one whole JSON object a line", quote(strings.TrimSpace(string(j.text))))
}

type jsonBatches struct {
	lines   *jsonLines
	columns []feature.Column
	index   map[string]int
	notNull []bool
	// given counts, for each column, the rows that name it.
	given []int64
	row   []feature.Value
	seen  []bool
	build *array.RecordBuilder
	end   error
}

func (f *File) readNDJSON(columns []feature.Column, notNull []int) (batches, error) {
	b := &jsonBatches{
		lines: f.jsonLines(), columns: columns, notNull: flags(len(columns), notNull),
		index: make(map[string]int, len(columns)), given: make([]int64, len(columns)),
		row: make([]feature.Value, len(columns)), seen: make([]bool, len(columns)),
		build: array.NewRecordBuilder(memory.DefaultAllocator, ArrowSchema(columns)),
	}
	for i, c := range columns {
		b.index[c.Name] = i
	}
	if f.LeaveOut {
		b.lines.skip = func(key string) bool {
			_, wanted := b.index[key]
			return !wanted
		}
	}
	return b, nil
}

func (b *jsonBatches) next() (arrow.RecordBatch, error) {
	if b.end != nil {
		return nil, b.end
	}
	rows := 0
	for bytes := 0; rows < batchRows && bytes < maxRecordBytes; rows++ {
		clear(b.row)
		clear(b.seen)
		err := b.lines.next(b.member)
		if err == io.EOF {
			b.end = err
			if missing := b.checkGiven(); missing != nil {
				return nil, missing
			}
			break
		}
		if err != nil {
			return nil, err
		}
		bytes += len(b.lines.text)
		for i, v := range b.row {
			if v.IsNull() && b.notNull[i] {
				return nil, b.lines.file.badNull(place{line: b.lines.line, column: b.columns[i].Name}, b.columns[i].Type)
			}
			Append(b.build.Field(i), v)
		}
	}
	if rows == 0 {
		return nil, io.EOF
	}
	return b.build.NewRecordBatch(), nil
}

func (b *jsonBatches) done() float64 { return float64(b.lines.offset) / float64(b.lines.file.Size) }

func (b *jsonBatches) member(key string, token json.Token) error {
	i, ok := b.index[key]
	if !ok {
		return b.lines.file.badExtra(place{line: b.lines.line}, key, b.columns)
	}
	if b.seen[i] {
		return b.lines.bad("found key %s twice, expected each once", listNames([]string{key}))
	}
	v, err := jsonValue(b.columns[i].Type, token)
	if err != nil {
		return b.lines.badValue(key, "%s", err)
	}
	b.seen[i], b.row[i] = true, v
	b.given[i]++
	return nil
}

// checkGiven refuses a column that no row names: more likely misspelt than NULL throughout.
func (b *jsonBatches) checkGiven() error {
	var found []string
	for i, n := range b.given {
		if n > 0 {
			found = append(found, b.columns[i].Name)
		}
	}
	return b.lines.file.checkMissing(b.columns, found)
}

// jsonKeys is the keys of the file's objects that are none of columns, in the order in which they come first.
func (f *File) jsonKeys(columns []feature.Column) ([]string, error) {
	lines := f.jsonLines()
	seen := map[string]bool{}
	for i := range columns {
		seen[columns[i].Name] = true
	}
	var keys []string
	lines.skip = func(key string) bool {
		if !seen[key] {
			seen[key] = true
			keys = append(keys, key)
		}
		return true
	}
	for {
		err := lines.next(func(string, json.Token) error { return nil })
		if err == io.EOF {
			return keys, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func (f *File) inferNDJSON(typed []feature.Column) ([]feature.Column, error) {
	lines := f.jsonLines()
	var names []string
	type kinds struct {
		guess
		kind string
		line int64
	}
	found := map[string]*kinds{}
	for {
		err := lines.next(func(key string, token json.Token) error {
			k := found[key]
			if k == nil {
				k = &kinds{}
				found[key] = k
				names = append(names, key)
			}
			kind := ""
			switch token := token.(type) {
			case nil:
				return nil
			case bool:
				kind = "a bool"
				k.fits(feature.TypeBool)
			case json.Number:
				kind = "a number"
				k.number(token.String())
			case string:
				kind = "text"
				if _, err := ParseTimestamp(token); err == nil {
					k.fits(feature.TypeTimestamp)
				} else {
					k.fits()
				}
			case jsonArray:
				if _, given := typedAs(typed, key); !given {
					return lines.badValue(key, "found an array, expected a single value; flatten it")
				}
			}
			if _, given := typedAs(typed, key); !given && k.kind != "" && k.kind != kind {
				return lines.badValue(key, "found %s, expected %s as in line %d", kind, k.kind, k.line)
			}
			k.kind, k.line = kind, lines.line
			return nil
		})
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	if err := f.checkDistinct(names); err != nil {
		return nil, err
	}
	columns := make([]feature.Column, len(names))
	for i, name := range names {
		t, ok := typedAs(typed, name)
		if !ok {
			if t = found[name].result(); t == feature.TypeString && found[name].kind == "a number" {
				return nil, f.bad("column %s: found numbers that neither int64 nor float64 holds, expected smaller ones; write them as text", name)
			}
		}
		columns[i] = feature.Column{Name: name, Type: t}
	}
	return slices.Clip(columns), nil
}
