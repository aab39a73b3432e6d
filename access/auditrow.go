package access

import (
	"context"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype/zeronull"
)

// kept is a row of headwater.audit_record.
type kept struct {
	Record
	// day is the day on which the record came to Postgres, in UTC.
	day time.Time
	// logged is the record's number in the append log of its writer, 0 for none.
	logged int64
	// hash is nil for what is in no chain.
	hash []byte
	// extent is the digest of Extent, nil for none; Extent itself is elsewhere.
	extent []byte
	// body is what extent is the digest of, where it comes with the record.
	body []byte
}

// column is a column of headwater.audit_record and the place of its value, which is both read and scanned into.
type column struct {
	name string
	at   any
}

// columns are all there are: what is in a Record and in none of these would not be kept.
func (r *kept) columns() []column {
	return []column{
		{"writer", &r.Writer},
		{"number", &r.Number},
		{"day", &r.day},
		{"logged", &r.logged},
		{"hash", &r.hash},
		{"time", &r.Time},
		{"principal", &r.Principal},
		{"credential", &r.Credential},
		{"roles", &r.Roles},
		{"method", &r.Method},
		{"action", &r.Action},
		{"resource", &r.Resource},
		{"decision", &r.Decision},
		{"reason", &r.Reason},
		{"purpose", &r.Purpose},
		{"client_address", &r.ClientAddress},
		{"read_id", &r.ReadID},
		{"calls", &r.Calls},
		{"entities", &r.Entities},
		{"last_time", (*zeronull.Timestamptz)(&r.LastTime)},
		{"last_read_id", &r.LastReadID},
		{"extent", &r.extent},
		{"rows_returned", &r.RowsReturned},
		{"rows_hidden", &r.RowsHidden},
		{"entities_hash", &r.EntitiesHash},
		{"as_of", &r.AsOf},
		{"dataset", &r.Dataset},
		{"continues", &r.Continues},
		{"witnessed", &r.Witnessed},
		{"earlier_logged", &r.Earlier.Logged},
		{"earlier_times", &r.Earlier.Times},
		{"earlier_addresses", &r.Earlier.Addresses},
		{"earlier_read_ids", &r.Earlier.ReadIDs},
		{"earlier_entities", &r.Earlier.Entities},
		{"earlier_rows_returned", &r.Earlier.RowsReturned},
		{"earlier_rows_hidden", &r.Earlier.RowsHidden},
		{"earlier_entities_hashes", &r.Earlier.EntitiesHashes},
	}
}

// growing are the columns that a record which continues another has anew.
var growing = []string{"calls", "entities", "last_time", "last_read_id", "rows_returned"}

// ofEach are the columns that each record of a row has of its own, and the lists that have them of those before the row's own.
var ofEach = [][2]string{
	{"logged", "earlier_logged"}, {"time", "earlier_times"}, {"client_address", "earlier_addresses"}, {"read_id", "earlier_read_ids"},
	{"entities", "earlier_entities"}, {"rows_returned", "earlier_rows_returned"}, {"rows_hidden", "earlier_rows_hidden"},
	{"entities_hash", "earlier_entities_hashes"},
}

var (
	columnNames  = (&kept{}).names()
	selectRecord = readable()
	foldedRecord = folded()
	insertRecord = fmt.Sprintf(`INSERT INTO headwater.audit_record (%s) VALUES (%s)`, strings.Join(columnNames, ", "), parameters(len(columnNames)))

	insertOutside = `WITH i AS (` + insertRecord + ` ON CONFLICT (writer, number, day) DO NOTHING RETURNING writer, number, day)
		INSERT INTO headwater.audit_waiting (writer, number, day) SELECT writer, number, day FROM i`
)

const insertExtent = `INSERT INTO headwater.audit_extent (digest, body, last_day) VALUES (sha256($1), convert_from($1, 'UTF8')::json, $2)
	ON CONFLICT (digest) DO UPDATE SET last_day = excluded.last_day WHERE audit_extent.last_day < excluded.last_day`

// inPlaceOfNull is the SQL of what is read in place of a NULL within a list of a type, or where a list has too few. No server writes such lists: that they
// are there is told as any change is, and stops nobody who reads other records. ok is false for what is no list.
func inPlaceOfNull(at any) (value string, ok bool) {
	switch at.(type) {
	case *[]string:
		return "'NULL'", true
	case *[]int64:
		return "-1", true
	case *[]time.Time:
		return "'epoch'", true
	}
	return "", false
}

// readable is the columns of a record r, each as it can be read whatever somebody made of it.
func readable() string {
	var all []string
	for _, c := range (&kept{}).columns() {
		all = append(all, c.readable("r."+c.name))
	}
	return strings.Join(all, ", ")
}

// readable is the SQL of a value of the column, of which those that cannot be read are others. A time without end is one.
func (c column) readable(value string) string {
	switch c.at.(type) {
	case *time.Time, *zeronull.Timestamptz:
		return "CASE WHEN isfinite(" + value + ") IS FALSE THEN 'epoch' ELSE " + value + " END"
	}
	if place, ok := inPlaceOfNull(c.at); ok {
		value = "array_replace(" + value + ", NULL, " + place + ")"
	}
	if _, times := c.at.(*[]time.Time); times {
		value = "array_replace(array_replace(" + value + ", 'infinity', 'epoch'), '-infinity', 'epoch')"
	}
	return value
}

// folded is the columns of a record r with what has become of them in t.
func folded() string {
	var all []string
	for _, c := range (&kept{}).columns() {
		value := "r." + c.name
		if slices.Contains(growing, c.name) {
			value = "coalesce(t." + c.name + ", " + value + ")"
		}
		all = append(all, c.readable(value)+" AS "+c.name)
	}
	return strings.Join(all, ", ")
}

// unfolded selects from rows r, with a condition on those before a row's own, o, each of their records by itself, as a row that has no other.
func unfolded(rows, condition string) string {
	all, places := slices.Clone(columnNames), map[string]any{}
	for _, c := range (&kept{}).columns() {
		places[c.name] = c.at
	}
	mine, lists, names, read := []string{"r.number"}, []string{}, []string{}, []string{}
	for i, c := range all {
		all[i] = "r." + c
		if c == "number" {
			all[i] = "o.number"
		}
		for _, e := range ofEach {
			switch c {
			case e[0]:
				all[i] = "o." + c
				missing, _ := inPlaceOfNull(places[e[1]])
				mine, lists, names = append(mine, "r."+c), append(lists, "r."+e[1]), append(names, c)
				read = append(read, "coalesce(o."+c+", "+missing+")")
			case e[1]:
				all[i] = "CASE WHEN false THEN r." + c + " END"
			}
		}
	}
	list := strings.Join(names, ", ")
	return `SELECT ` + strings.Join(all, ", ") + `, r.body FROM (` + rows + `) r CROSS JOIN LATERAL (
		SELECT ` + strings.Join(mine, ", ") + `
		UNION ALL
		SELECT greatest(r.number, 0) - coalesce(cardinality(r.earlier_times), 0) - 1 + n, ` + strings.Join(read, ", ") + ` FROM unnest(` + strings.Join(lists, ", ") + `) WITH ORDINALITY AS o (` + list + `, n)
		WHERE ` + condition + `
	) o (number, ` + list + `)`
}

func parameters(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("$%d", i+1)
	}
	return strings.Join(list, ", ")
}

func (r *kept) names() (all []string) {
	for _, c := range r.columns() {
		all = append(all, c.name)
	}
	return all
}

func (r *kept) places() (all []any) {
	for _, c := range r.columns() {
		all = append(all, c.at)
	}
	return all
}

// values are what the columns are to have: NULL in place of an empty list of what is witnessed.
func (r *kept) values() []any {
	values := r.places()
	for i, v := range values {
		if witnessed, ok := v.(*[]Witness); ok && len(*witnessed) == 0 {
			values[i] = nil
		}
	}
	return values
}

// scan reads columnNames, and what stands behind them.
func (r *kept) scan(row pgx.CollectableRow, more ...any) error {
	places := r.places()
	for i, at := range places {
		if list, ok := at.(*[]Witness); ok {
			places[i] = (*witnessed)(list)
		}
	}
	err := row.Scan(append(places, more...)...)
	r.Time, r.LastTime = r.Time.UTC(), r.LastTime.UTC()
	return err
}

func scanKept(row pgx.CollectableRow) (*kept, error) {
	r := &kept{}
	return r, r.scan(row)
}

// read is a record as the append log has it.
func (r *kept) read(encoded []byte) error {
	p := payload{Record: &r.Record}
	err := p.decode(encoded)
	r.extent, r.body = p.digest, p.Body
	if err == nil && p.Digest != "" {
		r.extent, err = hex.DecodeString(p.Digest)
	}
	return err
}

// sameAs reports whether two records say the same.
func (r *kept) sameAs(other *kept) bool {
	return slices.Equal(r.Record.appendCanonical(nil), other.Record.appendCanonical(nil)) && slices.Equal(r.extent, other.extent)
}

// wantSame returns an error unless the records that are to be written again are those that are there. One whose day was dropped is not. They are looked
// for by the row's own record, which came in one batch with theirs.
func (a *AuditLog) wantSame(ctx context.Context, tx pgx.Tx, again map[int64]*kept) error {
	if len(again) == 0 {
		return nil
	}
	numbers := slices.Sorted(maps.Keys(again))
	rows, err := tx.Query(ctx, `SELECT `+selectRecord+` FROM headwater.audit_record r WHERE r.writer = $1 AND r.logged > 0 AND r.logged BETWEEN $2 AND $3`,
		a.log.Writer(), numbers[0]-drainRecords, numbers[len(numbers)-1]+drainRecords)
	if err != nil {
		return err
	}
	there, err := pgx.CollectRows(rows, scanKept)
	if err != nil {
		return err
	}
	for _, row := range there {
		if !row.Earlier.even() {
			// It was changed, which verification tells.
			continue
		}
		err := row.each(func(r *kept) error {
			if now := again[r.logged]; now == nil || r.sameAs(now) {
				return nil
			}
			return fmt.Errorf("record %d of the append log in %s is another one in Postgres, so two logs have the id %s: its folder was copied; "+
				"keep the folder of the server that ran first, and move the other aside", r.logged, a.dir, a.log.Writer())
		})
		if err != nil {
			return err
		}
	}
	return nil
}
