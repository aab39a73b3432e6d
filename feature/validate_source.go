package feature

import (
	"fmt"
	"slices"
	"strings"
)

func (v *validation) source(s *Source) {
	if strings.HasPrefix(s.Name, "pg_") {
		v.add("name", "found a source called %s, expected a name that does not begin with pg_: those are Postgres's own tables, which "+
			"SQL would read instead", s.Name)
	}
	if len(s.Columns) == 0 {
		v.add("columns", "found no columns, expected at least the event time")
	}
	var allowed []string
	if s.EventTime == columnEventTime {
		allowed = append(allowed, columnEventTime)
	}
	if s.ArrivalColumn == columnAvailableAt {
		allowed = append(allowed, columnAvailableAt)
	}
	v.columns("columns", "column", s.Columns, map[string]string{}, allowed...)
	if s.EventTime == "" {
		v.add("event_time", "found no event time, expected the name of a timestamp column")
	} else {
		v.clock("event_time", s, s.EventTime)
	}
	switch {
	case s.ArrivalColumn != "" && s.ArrivalExpression != "":
		v.add("arrival_time", "found a column and an expression, expected one of them")
	case s.ArrivalColumn != "":
		v.clock("arrival_time.column", s, s.ArrivalColumn)
	case s.ArrivalExpression != "":
		_, problems := ParseExpression(s.ArrivalExpression)
		v.addSQL("arrival_time.expression", problems)
	}
	v.uniqueKey(s)
	v.duration("freshness", s.Freshness)
	v.sourceExpectations(s)
	v.leftOut(s)
	if s.Postgres != nil {
		v.postgres(s)
		v.changes(s)
	}
	if s.Corrections == Arrive && s.Postgres != nil {
		v.add("corrections", "found arrive for a table that others keep, expected restate: it has no loads that a correction could arrive "+
			"with; leave it out")
	} else if s.Corrections == Arrive && len(s.UniqueKey) > 0 {
		v.add("corrections", "found arrive beside a unique_key, which is not available in this version; leave one of them out")
	}
}

// clock checks that a source's clock is one of its timestamp columns.
func (v *validation) clock(field string, s *Source, name string) {
	switch c := s.Column(name); {
	case c == nil:
		v.add(field, "found no column called %s in source %s%s", name, s.Name, didYouMean(name, timestampColumns(s)))
	case c.Type != TypeTimestamp && c.Type != TypeInvalid:
		v.add(field, "found column %s of type %s, expected one of type timestamp", name, c.Type)
	}
}

func timestampColumns(s *Source) []string {
	var names []string
	for i := range s.Columns {
		if s.Columns[i].Type == TypeTimestamp {
			names = append(names, s.Columns[i].Name)
		}
	}
	return names
}

// uniqueKey checks the key and what becomes of rows that share one.
func (v *validation) uniqueKey(s *Source) {
	for i, name := range s.UniqueKey {
		field := fmt.Sprintf("unique_key[%d]", i)
		if s.Column(name) == nil {
			v.add(field, "found no column called %s in source %s%s", name, s.Name, didYouMean(name, columnNames(s.Columns)))
		}
		if slices.Contains(s.UniqueKey[:i], name) {
			v.add(field, "found column %s a second time, expected each once", name)
		}
	}
	if len(s.UniqueKey) == 0 && (s.Exact != DropExact || s.Conflicting != FailConflicting) {
		v.add("duplicates", "%s", NoKeyForDuplicates)
	}
	if s.Postgres != nil && s.Conflicting != FailConflicting {
		v.add("duplicates.conflicting", "found %s for a table that others keep, expected fail: its rows have no order of arrival; "+
			"let a view of the database pick one row per key, and name that", s.Conflicting)
	}
}

// leftOut checks the rules for rows that are not shown.
func (v *validation) leftOut(s *Source) {
	if s.NullEventTime != RefuseNull && s.Postgres != nil {
		v.add("null_event_time", "found %s for a table that others keep, expected it only for `landing: {}`: name a view of the database that "+
			"leaves such rows out", s.NullEventTime)
	}
	v.duration("allowed_lateness", s.AllowedLateness)
	if s.AllowedLateness != 0 && s.ArrivalColumn == "" && s.ArrivalExpression == "" {
		v.add("allowed_lateness", "found it without an arrival_time, expected both: without one every row arrives at its event time, and none "+
			"is late")
	}
	if s.DeleteMarker == "" {
		return
	}
	switch c := s.Column(s.DeleteMarker); {
	case c == nil:
		v.add("delete_marker", "found no column called %s in source %s%s", s.DeleteMarker, s.Name,
			didYouMean(s.DeleteMarker, columnNames(s.Columns)))
	case c.Type != TypeBool && c.Type.IsValid():
		v.add("delete_marker", "found column %s of type %s, expected one of type bool", s.DeleteMarker, c.Type)
	}
	switch {
	case s.Postgres != nil:
		v.add("delete_marker", "found one for a table that others keep, expected it only for `landing: {}`: its rows have no order of arrival; "+
			"name a view of the database that leaves deleted rows out")
	case len(s.UniqueKey) == 0:
		v.add("delete_marker", "found one without a unique_key, expected both: the key says what is gone")
	case slices.Contains(s.UniqueKey, s.DeleteMarker):
		v.add("delete_marker", "found column %s in the unique_key too, expected it outside: the marker shares the key of the rows that it "+
			"withdraws", s.DeleteMarker)
	case s.Conflicting != KeepNewest:
		v.add("delete_marker", "found duplicates.conflicting: %s, expected newest: a marker withdraws the rows of its key that came before it",
			s.Conflicting)
	}
}

// NoKeyForDuplicates is what is wrong with rules for duplicates of a source whose rows nothing tells apart.
const NoKeyForDuplicates = "found rules for duplicates without a unique_key, expected both: name the columns that tell one row from " +
	"another, or leave duplicates out"

// postgres checks where others keep the source's rows.
func (v *validation) postgres(s *Source) {
	o := s.Postgres
	if message := checkName(o.Database); o.Database != "" && message != "" {
		v.add("postgres.database", "%s", message)
	}
	if o.Table == "" {
		v.add("postgres.table", "found no table, expected the name of a table or view")
	}
	if SystemSchema(o.Schema) {
		v.add("postgres.schema", "found schema %s, which is Postgres's or Headwater's own, expected one with tables of others; a source "+
			"may not read those", o.Schema)
	}
	for _, name := range []string{o.Schema, o.Table} {
		if strings.ContainsRune(name, 0) {
			v.add("postgres.table", "found a name with NUL in it, expected the name of a table or view")
		}
	}
}

// changes checks by what it is known which rows of a table of others changed.
func (v *validation) changes(s *Source) {
	o := s.Postgres
	v.duration("postgres.reread", o.Reread)
	if o.RereadRows < 0 {
		v.add("postgres.reread_rows", "found %d, expected a number that is not negative", o.RereadRows)
	}
	const alone = "found a part to be read again without a change_column, expected both: name the column that grows whenever a row " +
		"is added or changed, or leave this out, so that runs read all"
	if o.ChangeColumn == "" {
		if o.Reread > 0 {
			v.add("postgres.reread", alone)
		}
		if o.RereadRows > 0 {
			v.add("postgres.reread_rows", alone)
		}
		return
	}
	c := s.Column(o.ChangeColumn)
	switch {
	case c == nil:
		var names []string
		for i := range s.Columns {
			if t := s.Columns[i].Type; t == TypeTimestamp || t == TypeInt64 {
				names = append(names, s.Columns[i].Name)
			}
		}
		v.add("postgres.change_column", "found no column called %s in source %s%s", o.ChangeColumn, s.Name, didYouMean(o.ChangeColumn, names))
	case c.Type == TypeInvalid:
	case c.Type != TypeTimestamp && c.Type != TypeInt64:
		v.add("postgres.change_column", "found column %s of type %s, expected one of type timestamp or int64, which can grow with each change",
			c.Name, c.Type)
	case c.Type == TypeTimestamp && o.RereadRows > 0:
		v.add("postgres.reread_rows", "found a number for change column %s, which is a timestamp, expected a duration: reread", c.Name)
	case c.Type == TypeInt64 && o.Reread > 0:
		v.add("postgres.reread", "found a duration for change column %s, which is an int64, expected a number: reread_rows", c.Name)
	}
}

// SystemSchema reports whether a schema of a Postgres is its own or Headwater's, so that no source may read it.
func SystemSchema(name string) bool {
	return strings.HasPrefix(name, "pg_") || name == "information_schema" || name == "headwater" || strings.HasPrefix(name, "headwater_")
}
