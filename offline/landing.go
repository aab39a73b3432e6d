package offline

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
)

// Why a row is set aside or left out when it comes.
const (
	noEventTime = "event_time is NULL"
	noUniqueKey = "unique_key is NULL"
)

// tally is what became of rows that came.
type tally struct {
	// rows are those in the landing table, of event times from first to last.
	rows        int64
	first, last feature.Time
	// without are the others, by what they lack, all of the bucket.
	without map[string]int64
	bucket  string
}

func (l *tally) empty() bool { return l.rows == 0 && len(l.without) == 0 }

func (l *tally) earliest() *time.Time { return l.bound(l.first) }
func (l *tally) latest() *time.Time   { return l.bound(l.last) }

func (l *tally) bound(at feature.Time) *time.Time {
	if l.rows == 0 {
		return nil
	}
	t := at.Time()
	return &t
}

// setAside is how many rows are in a bucket.
func (l *tally) setAside(bucket string) (n int64) {
	if l.bucket == bucket {
		for _, rows := range l.without {
			n += rows
		}
	}
	return n
}

func (l *tally) reasons() []LoadReason {
	reasons := []LoadReason{}
	for _, reason := range []string{noEventTime, noUniqueKey} {
		if n := l.without[reason]; n > 0 {
			reasons = append(reasons, LoadReason{Bucket: l.bucket, Reason: reason, Rows: n})
		}
	}
	return reasons
}

// add counts what became of other rows too.
func (l *tally) add(m *tally) {
	if m.rows > 0 {
		if l.rows == 0 {
			l.first, l.last = m.first, m.last
		}
		l.first, l.last = min(l.first, m.first), max(l.last, m.last)
		l.rows += m.rows
	}
	for reason, n := range m.without {
		l.count(m.bucket, reason, n)
	}
}

func (l *tally) count(bucket, reason string, n int64) {
	if l.without == nil {
		l.without = map[string]int64{}
	}
	l.bucket = bucket
	l.without[reason] += n
}

// lander copies rows into a landing table under the load's id.
type lander struct {
	source *feature.SourceVersion
	// place is what messages call where rows come from.
	place string
	load  int64
	aside *aside
	// number is that of the last row of the load that came, and inPlace of the place.
	number, inPlace int64
	came            tally
	columns         []string
	eventTime       int
	key             []int
	e               *copyEncoder
}

// copy runs fill, which calls add.
func (l *lander) copy(ctx context.Context, conn *pgx.Conn, fill func() error) error {
	l.columns, l.eventTime, l.key = []string{"_load", "_row"}, -1, nil
	for i, c := range l.source.Columns {
		l.columns = append(l.columns, c.Name)
		if c.Name == l.source.EventTime {
			l.eventTime = i
		}
		if slices.Contains(l.source.UniqueKey, c.Name) {
			l.key = append(l.key, i)
		}
	}
	return copyIn(ctx, conn, quote(landingSchema, l.source.Name), l.columns, func(e *copyEncoder) error {
		l.e = e
		return fill()
	})
}

// add lands a row, or sets it aside.
func (l *lander) add(row []feature.Value) error {
	l.number++
	l.inPlace++
	without, err := l.check(row)
	if err != nil {
		return fault.New(fault.InvalidRows, "%s: row %d: %v", l.place, l.inPlace, err)
	}
	switch {
	case without == "":
	case l.source.NullEventTime == feature.QuarantineNull:
		l.came.count("quarantined", without, 1)
		return l.aside.add(l.number, without, row)
	default:
		l.came.count("dropped", without, 1)
		return nil
	}
	at := row[l.eventTime].Timestamp()
	if l.came.rows == 0 || at < l.came.first {
		l.came.first = at
	}
	if l.came.rows == 0 || at > l.came.last {
		l.came.last = at
	}
	l.came.rows++
	l.e.beginRow(len(l.columns))
	l.e.int64(l.load)
	l.e.int64(l.number)
	for _, v := range row {
		l.e.value(v)
	}
	return l.e.err
}

// check refuses a row that the source cannot have, and says what one lacks that is set aside.
func (l *lander) check(row []feature.Value) (without string, err error) {
	src := l.source
	if len(row) != len(src.Columns) {
		return "", fmt.Errorf("found %d values, expected %d", len(row), len(src.Columns))
	}
	for i, v := range row {
		c := &src.Columns[i]
		if v.IsNull() {
			continue
		}
		if v.Type() != c.Type {
			return "", fmt.Errorf("column %s: found a %s, expected a %s", c.Name, v.Type(), c.Type)
		}
		if err := checkContent(v); err != nil {
			return "", fmt.Errorf("column %s: %w", c.Name, err)
		}
	}
	const remedy = "nothing was loaded, give the row a %s or leave it out, or have such rows set aside (null_event_time: quarantine)"
	if row[l.eventTime].IsNull() {
		if src.NullEventTime == feature.RefuseNull {
			return "", fmt.Errorf("column %s is the event time of source %s: found NULL, expected a timestamp; "+remedy, src.EventTime, src.Name, "time")
		}
		return noEventTime, nil
	}
	for _, i := range l.key {
		if !row[i].IsNull() {
			continue
		}
		if src.NullEventTime == feature.RefuseNull {
			return "", fmt.Errorf("column %s is in the unique key of source %s: found NULL, expected a value: without one the row cannot be told "+
				"from others; "+remedy, src.Columns[i].Name, src.Name, "value")
		}
		return noUniqueKey, nil
	}
	return "", nil
}

// checkContent refuses what no column holds, in a list too.
func checkContent(v feature.Value) error {
	switch v.Type().Kind() {
	case feature.TypeTimestamp:
		return checkTime(v.Timestamp())
	case feature.TypeString:
		return feature.CheckText(v.Str())
	case feature.TypeList:
		for i, e := range v.Elements() {
			if err := checkContent(e); err != nil {
				return inElement(i, err)
			}
		}
	}
	return nil
}

// rowsDigest adds up what rows say, in their order: of each row the columns that have a value, by name, so that a column
// which a later version of the source adds changes nothing of rows without it. It is drawn in docs/format/rows-digest.md.
type rowsDigest struct {
	hash  hash.Hash
	order []int
	names [][]byte
	row   []byte
}

const rowsDomain = "headwater.rows.v1"

func newRowsDigest(src *feature.SourceVersion) *rowsDigest {
	d := &rowsDigest{hash: sha256.New(), order: make([]int, len(src.Columns)), names: make([][]byte, len(src.Columns))}
	for i, c := range src.Columns {
		d.order[i] = i
		sum := sha256.Sum256([]byte(c.Name))
		d.names[i] = sum[:8]
	}
	slices.SortFunc(d.order, func(a, b int) int { return strings.Compare(src.Columns[a].Name, src.Columns[b].Name) })
	d.hash.Write(feature.AppendCanonicalString(nil, rowsDomain))
	return d
}

func (d *rowsDigest) add(row []feature.Value) {
	d.row = d.row[:0]
	for _, i := range d.order {
		if !row[i].IsNull() {
			d.row = append(d.row, d.names[i]...)
			d.row = row[i].AppendCanonical(d.row)
		}
	}
	var size [8]byte
	binary.BigEndian.PutUint64(size[:], uint64(len(d.row)))
	d.hash.Write(size[:])
	d.hash.Write(d.row)
}

func (d *rowsDigest) sum() (sum feature.Digest) {
	copy(sum[:], d.hash.Sum(nil))
	return sum
}

// aside keeps the rows that are set aside until the COPY of the others is done: there may be as many of them.
type aside struct {
	source *feature.SourceVersion
	file   *os.File
	w      *bufio.Writer
	body   []byte
	// out are the ranges of numbers, from < number <= to, of rows that are not in the load after all.
	out [][2]int64
}

func newAside(src *feature.SourceVersion) (*aside, error) {
	a := &aside{source: src}
	if src.NullEventTime != feature.QuarantineNull {
		return a, nil
	}
	var err error
	if a.file, err = os.CreateTemp("", "headwater-aside-*"); err != nil {
		return nil, err
	}
	a.w = bufio.NewWriter(a.file)
	// Without a name it is gone when it is closed, however the process ends.
	if err := os.Remove(a.file.Name()); err != nil {
		a.close()
		return nil, err
	}
	return a, nil
}

func (a *aside) close() {
	if a.file != nil {
		_ = a.file.Close()
	}
}

// add keeps a row by its number in the load.
func (a *aside) add(number int64, reason string, row []feature.Value) error {
	body := append(a.body[:0], '{')
	for i, v := range row {
		if i > 0 {
			body = append(body, ',')
		}
		name, err := json.Marshal(a.source.Columns[i].Name)
		if err != nil {
			return err
		}
		body = append(append(body, name...), ':')
		body = v.AppendJSON(body)
	}
	a.body = append(body, '}')
	if err := binary.Write(a.w, binary.BigEndian, [2]int64{number, int64(len(a.body))}); err != nil {
		return err
	}
	if _, err := a.w.Write(a.body); err != nil {
		return err
	}
	_, err := a.w.WriteString(reason + "\n")
	return err
}

// leaveOut takes back the rows from < number <= to.
func (a *aside) leaveOut(from, to int64) { a.out = append(a.out, [2]int64{from, to}) }

// write copies what was kept into the table of set aside rows.
func (a *aside) write(ctx context.Context, conn *pgx.Conn, load int64) error {
	if a.file == nil {
		return nil
	}
	if err := a.w.Flush(); err != nil {
		return err
	}
	if _, err := a.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	r := bufio.NewReader(a.file)
	if _, err := r.Peek(1); err == io.EOF {
		return nil
	}
	columns := []string{"load_id", "row", "reason", "body"}
	return copyIn(ctx, conn, "headwater.load_set_aside", columns, func(e *copyEncoder) error {
		for {
			var head [2]int64
			if err := binary.Read(r, binary.BigEndian, &head); err == io.EOF {
				return nil
			} else if err != nil {
				return err
			}
			body := make([]byte, head[1])
			if _, err := io.ReadFull(r, body); err != nil {
				return err
			}
			reason, err := r.ReadString('\n')
			if err != nil {
				return err
			}
			if slices.ContainsFunc(a.out, func(r [2]int64) bool { return r[0] < head[0] && head[0] <= r[1] }) {
				continue
			}
			e.beginRow(len(columns))
			e.int64(load)
			e.int64(head[0])
			e.text(strings.TrimSuffix(reason, "\n"))
			e.bytes(body)
			if e.err != nil {
				return e.err
			}
		}
	})
}
