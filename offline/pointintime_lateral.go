package offline

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/read"
)

// lane is a transaction in which Postgres finds the winners of one piece of a segment after another. It stages each in a table of
// its own: lateral joins against temporary tables, VALUES or arrays cannot be pushed down by a distributed Postgres.
type lane struct {
	pass        *pass
	tx          pgx.Tx
	name, table string
	query       string
	// made tells that the table is there.
	made bool
	// near looks for winners that are not far back, unless it is nil; far are the rows that it found none for.
	near *nearQuery
	far  []int32
	// sampled tells that it is known whether there is such a query.
	sampled bool
}

func newLane(p *pass, tx pgx.Tx) *lane {
	name := p.join.Name
	if n := len(p.lanes); n > 0 {
		name = fmt.Sprintf("%s_%d", name, n)
	}
	l := &lane{pass: p, tx: tx, name: name, table: quote(stagingSchema, name)}
	l.query = pointInTimeQuery(l.table, p.views(), missingStatus)
	return l
}

// views are those that Postgres looks up.
func (p *pass) views() (views []AsOf) {
	for _, i := range p.lateral {
		views = append(views, p.join.Views[i])
	}
	return views
}

// join finds the winners of some rows of a segment.
func (l *lane) join(ctx context.Context, s *segment, rows []int32) error {
	if err := l.stage(ctx, s, rows); err != nil {
		return err
	}
	if err := l.sample(ctx, len(rows)); err != nil {
		return err
	}
	if l.near == nil {
		return l.answers(ctx, s, l.query, nil)
	}
	l.far = l.far[:0]
	if err := l.answers(ctx, s, l.near.query, l.near.missing); err != nil || len(l.far) == 0 {
		return err
	}
	l.sampled = len(l.far) < len(rows)/unlike
	if err := l.stage(ctx, s, l.far); err != nil {
		return err
	}
	return l.answers(ctx, s, l.query, nil)
}

// answers has the segment keep what a query finds. A row for which one of the fields at missing says that it is not near is put to
// those that are far instead.
func (l *lane) answers(ctx context.Context, s *segment, query string, missing []int) error {
	d := &copyDecoder{}
	d.row = func(fields [][]byte) error {
		row, err := decodeInt64(fields[0])
		if err != nil {
			return err
		}
		for _, at := range missing {
			if fields[at] == nil {
				continue
			}
			if status, err := decodeInt64(fields[at]); err != nil {
				return err
			} else if status == notNear {
				l.far = append(l.far, int32(row))
				return nil
			}
		}
		return s.keep(row, d.raw)
	}
	return copyOutTo(ctx, l.tx.Conn(), query, d)
}

// stage COPYs rows of a segment in the order of their keys and times, in which Postgres then walks them: it meets the pages of the
// history in their order too.
func (l *lane) stage(ctx context.Context, s *segment, rows []int32) error {
	if err := l.prepare(ctx); err != nil {
		return err
	}
	return copyIn(ctx, l.tx.Conn(), l.table, []string{"entity_key", "row_number", "at"}, func(e *copyEncoder) error {
		for _, row := range rows {
			e.beginRow(3)
			e.bytes(s.key(int(row)))
			e.int64(int64(row))
			e.time(s.at[row])
		}
		return nil
	})
}

// prepare makes the table, or empties it.
func (l *lane) prepare(ctx context.Context) error {
	if l.made {
		_, err := l.tx.Exec(ctx, "TRUNCATE "+l.table)
		return err
	}
	// A nested loop over the history's key is the plan, whatever is known of the tables; compiling it costs more than it saves.
	for _, set := range []string{"jit", "enable_seqscan", "enable_bitmapscan"} {
		if _, err := l.tx.Exec(ctx, "SET LOCAL "+set+" = off"); err != nil {
			return err
		}
	}
	l.made = true
	return database.CreateTable(ctx, l.tx, database.Table{
		Kind: database.Spine, Schema: stagingSchema, Name: l.name, DistributionColumn: "entity_key",
		Columns: `entity_key text COLLATE "C" NOT NULL, row_number bigint NOT NULL, at timestamptz NOT NULL`,
	})
}

// end drops the table, for the transaction to commit that: Postgres writes a commit to its log before it takes the table's
// files away, and a rollback after. Where it dies between the two, its next recovery stumbles over what is left of an unlogged
// table, and does not start.
func (l *lane) end(ctx context.Context) error {
	if !l.made {
		return nil
	}
	_, err := l.tx.Exec(ctx, "DROP TABLE "+l.table)
	return err
}

// winnerFields is the number of fields that winnerColumns selects.
func winnerFields(v AsOf) int { return 4 + len(v.wanted()) }

// winnerBytes is about how many bytes the fields take of a winner that is there.
func winnerBytes(v AsOf) int {
	const fixed = 4*4 + 3*8
	stored := v.View.Stored()
	n := fixed
	for _, i := range v.wanted() {
		n += 4 + typicalBytes(stored[i].Type)
	}
	return n
}

// typicalBytes is a guess of what a value takes.
func typicalBytes(t feature.Type) int {
	switch t.Kind() {
	case feature.TypeBool:
		return 1
	case feature.TypeVector:
		return 20 + 8*t.Dimension()
	case feature.TypeString, feature.TypeBytes, feature.TypeDecimal:
		return 16
	case feature.TypeList:
		return 64
	}
	return 8
}

// winnerColumns selects a winner from the lateral named alias: why it is missing, its times and run, its values.
func winnerColumns(v AsOf, alias, missing string) string {
	eventTime, availableAt := alias+".event_time", alias+".available_at"
	if v.NoTimes {
		eventTime, availableAt = "NULL", "NULL"
	}
	columns := []string{
		fmt.Sprintf("CASE WHEN %s.seq_from IS NULL THEN (%s)::bigint END", alias, missing), eventTime, availableAt, alias + ".seq_from",
	}
	for _, name := range v.wantedNames() {
		columns = append(columns, alias+"."+quote(name))
	}
	return strings.Join(columns, ", ")
}

// decodeWinner reads what winnerColumns selects. room is memory for the values.
func decodeWinner(v *AsOf, fields [][]byte, room func(int) []feature.Value) (read.Winner, error) {
	if fields[0] != nil {
		status, err := decodeInt64(fields[0])
		return read.Winner{Status: read.Status(status)}, err
	}
	w := read.Winner{Status: read.Present}
	var err error
	if !v.NoTimes {
		if w.EventTime, err = decodeTime(fields[1]); err != nil {
			return w, err
		}
		if w.AvailableAt, err = decodeTime(fields[2]); err != nil {
			return w, err
		}
	}
	if w.RunSeq, err = decodeInt64(fields[3]); err != nil {
		return w, err
	}
	w.Values, err = v.decodeValues(fields[4:], room)
	return w, err
}

// decodeValues reads the columns that are wanted.
func (v *AsOf) decodeValues(fields [][]byte, room func(int) []feature.Value) ([]feature.Value, error) {
	features := v.View.Features
	values := room(len(features) + len(v.View.Attributes))
	decode := func(i int, field []byte) (err error) {
		if field == nil {
			return nil
		}
		var c *feature.Column
		if i < len(features) {
			c = &features[i]
		} else {
			c = &v.View.Attributes[i-len(features)]
		}
		if values[i], err = decodeValue(c.Type, field); err != nil {
			return fmt.Errorf("%s.%s: %w", v.View.Ref(), c.Name, err)
		}
		return nil
	}
	if v.Wanted == nil {
		for i, field := range fields {
			if err := decode(i, field); err != nil {
				return nil, err
			}
		}
		return values, nil
	}
	for at, i := range v.Wanted {
		if err := decode(i, fields[at]); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// newValues is room for the values of one winner.
func newValues(n int) []feature.Value { return make([]feature.Value, n) }

// pointInTimeQuery finds the winners of a staged spine. missing is the SQL that says why there is none.
func pointInTimeQuery(spine string, views []AsOf, missing func(v AsOf, key, at string) string) string {
	var selects, laterals strings.Builder
	for i, v := range views {
		selects.WriteString(", " + winnerColumns(v, fmt.Sprintf("v%d", i), missing(v, "s.entity_key", "s.at")))
		laterals.WriteString(lateral(v, i))
	}
	return fmt.Sprintf("SELECT s.row_number%s\nFROM %s s%s", selects.String(), spine, laterals.String())
}

// lateral joins each row of the spine s with the nth view's winner, which is called v with that number.
func lateral(v AsOf, nth int) string {
	return fmt.Sprintf("\nLEFT JOIN LATERAL (%s) v%d ON true", winnerQuery(v, "s.entity_key", "s.at"), nth)
}

// visible is the condition on h that it is a row of the entity at the view's sequence.
func (v AsOf) visible(key string) string {
	return fmt.Sprintf("h.entity_key = %s AND %s", key, v.live())
}

// live is the condition on h that it is a row at the view's sequence.
func (v AsOf) live() string { return fmt.Sprintf("h.seq_from <= %d AND %[1]d < h.seq_to", v.Seq) }

func (v AsOf) oldest(at string) string {
	return fmt.Sprintf("%s - interval '%d microseconds'", at, v.TTL.Microseconds())
}

// known is the condition on h that it had arrived by then, behind an AND.
func (v AsOf) known(at string) string {
	if v.AnyArrival {
		return ""
	}
	return " AND h.available_at <= " + at
}

// winnerQuery is the point-in-time rule for one entity and time, both SQL.
func winnerQuery(v AsOf, key, at string) string {
	columns := append([]string{eventTimeColumn, availableAtColumn, "seq_from"}, v.wantedNames()...)
	query := fmt.Sprintf("SELECT %s FROM %s h WHERE %s AND h.event_time <= %s%s",
		quoteAll("h.", columns), historyTable(v.View), v.visible(key), at, v.known(at))
	if v.TTL > 0 {
		query += " AND h.event_time >= " + v.oldest(at)
	}
	return query + " ORDER BY h.event_time DESC, h.available_at DESC LIMIT 1"
}

// wantedNames are the names of the columns to read.
func (v AsOf) wantedNames() []string {
	stored := v.View.Stored()
	var names []string
	for _, i := range v.wanted() {
		names = append(names, stored[i].Name)
	}
	return names
}

// missingStatus says why there is no winner: a row that was available is too old, else a row that was true by then was
// not available yet, else there is none.
func missingStatus(v AsOf, key, at string) string {
	from := fmt.Sprintf("SELECT 1 FROM %s h WHERE %s AND ", historyTable(v.View), v.visible(key))
	var cases, fresh string
	if v.TTL > 0 {
		cases = fmt.Sprintf("WHEN EXISTS (%s h.event_time < %s%s) THEN %d ", from, v.oldest(at), v.known(at), read.Expired)
		fresh = " AND h.event_time >= " + v.oldest(at)
	}
	if !v.AnyArrival {
		cases += fmt.Sprintf("WHEN EXISTS (%s h.event_time <= %s%s AND h.available_at > %[2]s) THEN %[4]d ", from, at, fresh, read.NotYetKnown)
	}
	if cases == "" {
		return fmt.Sprint(uint8(read.NoRow))
	}
	return fmt.Sprintf("CASE %sELSE %d END", cases, read.NoRow)
}
