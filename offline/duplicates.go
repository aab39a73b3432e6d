package offline

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
)

// Duplicates are rows that share the source's unique key. They are found among all rows that are there, not only those of
// the interval: a row of the interval may be superseded by one outside of it. Rows are compared as Postgres groups them,
// which is as the canonical encoding has it: one NaN, one zero, and NULL equal to NULL.

// nullKey is the condition that a row lacks a column of the unique key.
func nullKey(src *feature.SourceVersion) string {
	parts := make([]string, len(src.UniqueKey))
	for i, name := range src.UniqueKey {
		parts[i] = quote(name) + " IS NULL"
	}
	return "(" + strings.Join(parts, " OR ") + ")"
}

// severalRows is SQL for the unique keys of which table holds several rows, one of them in the interval. Of landing tables
// listShared finds them faster, in a way that an older Postgres does not have.
func severalRows(src *feature.SourceVersion, table, where string, read Spans) string {
	key := quoteAll("", src.UniqueKey)
	return fmt.Sprintf("SELECT %s FROM %s AS _all WHERE %s GROUP BY %s HAVING count(*) > 1 AND bool_or(%s)",
		key, table, where, key, inside(src, read))
}

func columnNames(columns []feature.Column) []string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name
	}
	return names
}

// keyHash is SQL for a number that rows of one unique key share. Few others do.
func keyHash(src *feature.SourceVersion) string {
	return "hash_record_extended(ROW(" + quoteAll("", src.UniqueKey) + "), 0)"
}

// listShared lists the hashes that several live rows share, of which one may be in the interval, and returns how many there
// are. It is the one pass over all live rows that a unique key costs: numbers are sorted in a fraction of the time that keys
// are grouped in.
func (in *Input) listShared(ctx context.Context, tx pgx.Tx, read Spans) (shared int64, err error) {
	hash, some := keyHash(in.Source), ""
	if in.Rows < in.total {
		some = fmt.Sprintf(" AND %s IN (SELECT %s FROM %s WHERE %s AND %s)", hash, hash, in.table, in.alive(), inside(in.Source, read))
	}
	var was string
	if err := tx.QueryRow(ctx, `SELECT current_setting('enable_hashagg')`).Scan(&was); err != nil {
		return 0, err
	}
	for _, statement := range []string{
		"SET LOCAL enable_hashagg = off",
		fmt.Sprintf("CREATE TEMPORARY TABLE %s AS SELECT %s AS _hash FROM %s WHERE %s%s GROUP BY 1 HAVING count(*) > 1",
			quote("_shared_"+in.Source.Name), hash, in.table, in.alive(), some),
		"SET LOCAL enable_hashagg = " + was,
		"ANALYZE " + temporary("_shared_"+in.Source.Name),
	} {
		if _, err := tx.Exec(ctx, statement); err != nil {
			return 0, err
		}
	}
	err = tx.QueryRow(ctx, "SELECT count(*) FROM "+temporary("_shared_"+in.Source.Name)).Scan(&shared)
	return shared, err
}

// leaveOutDuplicates lists the rows of a landing source that do not count because another row of their key does, and leaves
// them out of what the transform reads.
func (in *Input) leaveOutDuplicates(ctx context.Context, t *Transform, read Spans) error {
	src := in.Source
	if len(src.UniqueKey) == 0 || in.Rows == 0 {
		return nil
	}
	if shared, err := in.listShared(ctx, t.tx, read); err != nil || shared == 0 {
		return err
	}
	way := "ASC"
	if src.Conflicting == feature.KeepNewest {
		way = "DESC"
	}
	order := fmt.Sprintf("array_position(%s, _load) %s, _row %s", in.liveArray(), way, way)
	duplicates, key := temporary("_duplicates_"+src.Name), quoteAll("", src.UniqueKey)
	_, err := t.tx.Exec(ctx, fmt.Sprintf(`
		CREATE TEMPORARY TABLE %[1]s AS
		SELECT _load, _row, %[2]s, _inside, _again > 1 AS _exact
		FROM (
			SELECT _load, _row, %[2]s, %[3]s AS _inside, bool_or(%[3]s) OVER (PARTITION BY %[2]s) AS _touched,
				row_number() OVER (PARTITION BY %[2]s ORDER BY %[4]s) AS _place,
				row_number() OVER (PARTITION BY %[5]s ORDER BY %[4]s) AS _again
			FROM %[6]s AS _rows WHERE %[7]s AND %[8]s IN (SELECT _hash FROM %[9]s)) AS _ranked
		WHERE _touched AND _place > 1`,
		quote("_duplicates_"+src.Name), key, inside(src, read), order, quoteAll("", columnNames(src.Columns)),
		in.table, in.alive(), keyHash(src), temporary("_shared_"+src.Name)))
	if err != nil {
		return err
	}
	var exact, conflicting int64
	err = t.tx.QueryRow(ctx, fmt.Sprintf(`
		SELECT count(*) FILTER (WHERE _exact), count(*) FILTER (WHERE NOT _exact),
			count(*) FILTER (WHERE _exact AND _inside), count(*) FILTER (WHERE NOT _exact AND _inside)
		FROM %s`, duplicates)).Scan(&exact, &conflicting, &in.Exact, &in.Conflicting)
	if err != nil {
		return err
	}
	refuse := func(exact bool) error {
		keys := fmt.Sprintf("SELECT DISTINCT %s FROM %s WHERE _exact = %t", quoteAll("", src.UniqueKey), duplicates, exact)
		place := fmt.Sprintf(`(array_agg('load ' || _load || ' row ' || _row ORDER BY array_position(%s, _load), _row))[1:%d]`,
			in.liveArray(), maxShownRows)
		return duplicateFault(ctx, t.tx, src, duplicated{
			reader: t.reader(), table: in.table, where: in.alive(), keys: keys, place: place, exact: exact,
			remedy: "replace or retract one of the loads",
		})
	}
	switch {
	case conflicting > 0 && src.Conflicting == feature.FailConflicting:
		return refuse(false)
	case exact > 0 && src.Exact == feature.FailExact:
		return refuse(true)
	}
	if in.Exact+in.Conflicting > 0 {
		if _, err := t.tx.Exec(ctx, "ANALYZE "+duplicates); err != nil {
			return err
		}
		in.leaveOut(duplicates)
	}
	return nil
}

// leaveOut leaves the rows out of what the transform reads whose _load and _row are in a relation.
func (in *Input) leaveOut(relation string) {
	in.counts = append(in.counts, fmt.Sprintf("NOT EXISTS (SELECT FROM %s AS _d WHERE _d._load = %s AND _d._row = %s)",
		relation, quote(in.Source.Name, "_load"), quote(in.Source.Name, "_row")))
}

const (
	// maxShownKeys and maxShownRows are how many examples a message gives.
	maxShownKeys = 3
	maxShownRows = 4
	// maxShownValue is how many characters of a value it shows.
	maxShownValue = 60
)

// duplicated is duplicates that a source's rules refuse.
type duplicated struct {
	// reader is what a message calls who reads.
	reader string
	// table and where are the rows among which they are, keys is SQL for the unique keys that they have.
	table, where, keys string
	// place is an aggregate for where the rows of a key stand, as text[].
	place string
	// exact tells rows that repeat another from those that contradict it.
	exact  bool
	remedy string
}

// duplicateFault names a few of the keys, where their rows stand, and the columns that differ.
func duplicateFault(ctx context.Context, q database.Querier, src *feature.SourceVersion, d duplicated) error {
	var shown, differing []string
	for _, name := range src.UniqueKey {
		shown = append(shown, fmt.Sprintf("left(%s::text, %d)", quote(name), maxShownValue))
	}
	for _, c := range src.Columns {
		if slices.Contains(src.UniqueKey, c.Name) {
			continue
		}
		differing = append(differing, fmt.Sprintf("CASE WHEN count(DISTINCT %[1]s) > 1 OR count(%[1]s) NOT IN (0, count(*)) THEN '%[2]s' END",
			quote(c.Name), c.Name))
	}
	if len(differing) == 0 {
		differing = []string{"NULL"}
	}
	key := quoteAll("", src.UniqueKey)
	rows, err := q.Query(ctx, fmt.Sprintf(`
		WITH _keys AS MATERIALIZED (%s)
		SELECT (SELECT count(*) FROM _keys), ARRAY[%s], %s, count(*), array_remove(ARRAY[%s]::text[], NULL)
		FROM %s AS _rows JOIN _keys USING (%s) WHERE %s
		GROUP BY %s ORDER BY %s LIMIT %d`,
		d.keys, strings.Join(shown, ", "), d.place, strings.Join(differing, ", "), d.table, key, d.where, key, key, maxShownKeys))
	if err != nil {
		return err
	}
	var total int64
	var examples []string
	_, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (struct{}, error) {
		var values, places, columns []string
		var count int64
		if err := row.Scan(&total, &values, &places, &count, &columns); err != nil {
			return struct{}{}, err
		}
		examples = append(examples, d.example(src, values, places, count, columns))
		return struct{}{}, nil
	})
	if err != nil {
		return err
	}
	word := "key"
	if total != 1 {
		word = "keys"
	}
	found, instead := "rows that differ", ""
	if src.Postgres == nil {
		instead = ", or let one of them win: duplicates: {conflicting: newest}, or oldest"
	}
	if d.exact {
		found, instead = "rows that are equal in every column, which duplicates.exact refuses", ", or write duplicates: {exact: drop}"
	}
	return fault.New(fault.RunRefused, "%s: source %s: found %d %s with %s, expected one row for each %s: %s; %s%s",
		d.reader, src.Name, total, word, found, strings.Join(src.UniqueKey, ", "), fault.Data(strings.Join(examples, "; ")), d.remedy, instead)
}

// example is one key: `flight 17 (load 3 row 5, load 4 row 9) in delay`.
func (d *duplicated) example(src *feature.SourceVersion, values, places []string, count int64, columns []string) string {
	parts := make([]string, len(values))
	for i, v := range values {
		parts[i] = src.UniqueKey[i] + " " + v
	}
	text := strings.Join(parts, ", ")
	if len(places) == 0 {
		text += fmt.Sprintf(" (%d rows)", count)
	} else {
		if count > int64(len(places)) {
			places = append(places, fmt.Sprintf("%d more", count-int64(len(places))))
		}
		text += " (" + strings.Join(places, ", ") + ")"
	}
	if len(columns) > 0 && !d.exact {
		text += " in " + strings.Join(columns, ", ")
	}
	return text
}
