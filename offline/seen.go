package offline

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/expr"
	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/read"
)

// Seen is what whoever asks for a spine sees of a source, where that is not all of it. Rows that are hidden are not there for the spine's
// SQL, and nothing that is told of what was read counts them.
type Seen struct {
	// Filters are true, each, for the rows that are seen.
	Filters []SeenFilter
	// Masks are by column.
	Masks map[string]*SeenMask
	// Rules say what they do.
	Rules []read.Rule
	// Deny is the error for a spine that needs a column which a policy does not let be read so.
	Deny func(reason string) error
}

// SeenFilter is a row filter, with the columns that it looks at: the source's, event_time and available_at.
type SeenFilter struct {
	Bound   *expr.Bound
	Columns []string
}

// SeenMask is what is shown in place of the values of a column.
type SeenMask struct {
	// Apply is of values that are not NULL.
	Apply func(feature.Value) feature.Value
	// SQL is the same of an expression of the column's type. parameter gives the SQL of a value: a Go value, and the Postgres type that it
	// is to be. nil: it cannot be said in SQL.
	SQL func(column string, parameter func(value any, typ string) string) string
	// Policy is NAME@VERSION.
	Policy string
}

// seen is what is seen of a source; nil: all.
func (s *SpineScope) seen(src *feature.SourceVersion) *Seen { return s.Seen[src.Name] }

// checkSeen refuses what would tell of a masked column: a query that looks at one whose mask SQL cannot say, and bounds of a masked event
// time. uses are the columns that the query looks at, by source.
func (s *SpineScope) checkSeen(uses map[string][]string) error {
	for _, src := range s.Sources {
		seen := s.seen(src)
		if seen == nil {
			continue
		}
		if m := seen.Masks[src.EventTime]; m != nil && (s.From != nil || s.To != nil) {
			return seen.Deny(fmt.Sprintf("policy %s masks %s.%s, its event time, which bounds of the spine would tell of; leave out from and to", m.Policy, src.Name, src.EventTime))
		}
		for _, name := range uses[src.Name] {
			m := seen.Masks[seenColumn(src, name)]
			if m != nil && m.SQL == nil {
				return seen.Deny(fmt.Sprintf("policy %s masks %s.%s by what SQL cannot do; leave the column out, or have the events of the source as the spine", m.Policy, src.Name, name))
			}
		}
	}
	return nil
}

// seenColumn is the source's column of which one that its SQL sees is made.
func seenColumn(src *feature.SourceVersion, name string) string {
	switch {
	case src.Column(name) != nil:
	case name == eventTimeColumn:
		return src.EventTime
	case name == availableAtColumn && src.ArrivalColumn != "":
		return src.ArrivalColumn
	case name == availableAtColumn && src.ArrivalExpression == "":
		return src.EventTime
	}
	return name
}

// parameters are values for SQL that can have none: they wait in a temporary table of one row.
type parameters struct {
	table  string
	types  []string
	values []any
}

func newParameters(src *feature.SourceVersion) *parameters {
	return &parameters{table: "headwater_seen_" + src.Name}
}

// add is the SQL of a value.
func (p *parameters) add(value any, typ string) string {
	p.values, p.types = append(p.values, value), append(p.types, typ)
	return fmt.Sprintf("(SELECT v%d FROM %s)", len(p.values), temporary(p.table))
}

// store makes the table, if there are any values.
func (p *parameters) store(ctx context.Context, tx pgx.Tx) error {
	if len(p.values) == 0 {
		return nil
	}
	var columns, places []string
	for i, typ := range p.types {
		columns, places = append(columns, fmt.Sprintf("v%d %s", i+1, typ)), append(places, fmt.Sprintf("$%d", i+1))
	}
	if _, err := tx.Exec(ctx, "CREATE TEMPORARY TABLE "+quote(p.table)+" ("+strings.Join(columns, ", ")+")"); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, "INSERT INTO "+temporary(p.table)+" VALUES ("+strings.Join(places, ", ")+")", p.values...)
	return err
}

var parameterPlace = regexp.MustCompile(`\$\d+`)

// parameterType is the Postgres type of what expr.Bound.SQL gives as parameters.
func parameterType(value any) string {
	switch value.(type) {
	case bool:
		return "boolean"
	case int64:
		return "bigint"
	case float64:
		return "double precision"
	case time.Time:
		return "timestamptz"
	case []byte:
		return "bytea"
	case []bool:
		return "boolean[]"
	case []int64:
		return "bigint[]"
	case []float64:
		return "double precision[]"
	case []time.Time:
		return "timestamptz[]"
	case [][]byte:
		return "bytea[]"
	case []string:
		return "text[]"
	}
	return "text"
}

// sql is the filter as a condition over the source's table.
func (f *SeenFilter) sql(src *feature.SourceVersion, p *parameters) string {
	sql, args := f.Bound.SQL(func(i int) string {
		switch name := f.Columns[i]; {
		case src.Column(name) != nil:
			return quote(name)
		case name == eventTimeColumn:
			return quote(src.EventTime)
		}
		return arrival(src)
	}, 1)
	// What is not a parameter has no dollar in it: names have none.
	next := 0
	return parameterPlace.ReplaceAllStringFunc(sql, func(string) string {
		next++
		return p.add(args[next-1], parameterType(args[next-1]))
	})
}

// see leaves the rows out that are hidden, and counts again, so that they are in no number but Hidden.
func (in *Input) see(ctx context.Context, t *Transform, seen *Seen, read Spans, p *parameters) error {
	if seen == nil || len(seen.Filters) == 0 {
		return nil
	}
	var conditions []string
	for i := range seen.Filters {
		conditions = append(conditions, seen.Filters[i].sql(in.Source, p))
	}
	if err := p.store(ctx, t.tx); err != nil {
		return err
	}
	considered, isSeen := in.Considered(read), strings.Join(conditions, " AND ")
	in.counts = append(in.counts, conditions...)
	in.Exact, in.Conflicting, in.TooLate, in.Deleted, in.LeftOut, in.Quarantined, in.LeftOutAtLoad = 0, 0, nil, nil, nil, nil, nil
	in.Rows, in.Hidden, in.Loads = 0, 0, nil
	load := "_load"
	if in.foreign != nil {
		load = "0::bigint"
	}
	// A condition is never NULL.
	rows, err := t.tx.Query(ctx, fmt.Sprintf(`SELECT %s, count(*) FILTER (WHERE %s), count(*) FILTER (WHERE NOT (%[2]s)) FROM %s AS %s WHERE %s GROUP BY 1 ORDER BY 1`,
		load, isSeen, in.table, quote(in.Source.Name), considered))
	if err != nil {
		return err
	}
	var l InputLoad
	var hidden int64
	_, err = pgx.ForEachRow(rows, []any{&l.ID, &l.Rows, &hidden}, func() error {
		in.Rows += l.Rows
		in.Hidden += hidden
		if in.foreign == nil && l.Rows > 0 {
			in.Loads = append(in.Loads, l)
		}
		return nil
	})
	return err
}

// ofAll is an error about rows of a source, told to whoever sees all of them.
func (s *Seen) ofAll(src *feature.SourceVersion, err error) error {
	f := fault.As(err)
	if s == nil || f == nil || f.Reason != fault.RunRefused && f.Reason != fault.FailedPrecondition || strings.HasSuffix(f.Message, "has no rows yet; send some: headwater ingest "+src.Name+" FILE") {
		return err
	}
	return fault.New(fault.FailedPrecondition, "spine: rows of source %s cannot be read as they are; whoever sees all of them, which policies do not let you, is told why", src.Name)
}

// cover puts a view before the one of a source that the query reads: of masked values, and such that nothing of the query is computed
// of a row before it is known to be seen.
func (in *Input) cover(ctx context.Context, tx pgx.Tx, seen *Seen) error {
	if seen == nil {
		return nil
	}
	src, whole := in.Source, "headwater_whole_"+in.Source.Name
	if _, err := tx.Exec(ctx, "ALTER VIEW "+temporary(src.Name)+" RENAME TO "+quote(whole)); err != nil {
		return err
	}
	p := &parameters{table: "headwater_masks_" + src.Name}
	columns := slices.Clone(src.Columns)
	for _, name := range []string{eventTimeColumn, availableAtColumn} {
		if src.Column(name) == nil {
			columns = append(columns, feature.Column{Name: name, Type: feature.TypeTimestamp})
		}
	}
	var selects []string
	for _, c := range columns {
		shown := quote(c.Name)
		if m := seen.maskOf(src, c.Name); m != nil {
			shown = "NULL"
			if m.SQL != nil {
				shown = m.SQL(quote(c.Name), p.add)
			}
			shown = "(" + shown + ")::" + castType(c.Type)
			if _, collation, collated := strings.Cut(columnType(c.Type), " COLLATE "); collated {
				shown += " COLLATE " + collation
			}
			shown += " AS " + quote(c.Name)
		}
		selects = append(selects, shown)
	}
	if err := p.store(ctx, tx); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, "CREATE TEMPORARY VIEW "+quote(src.Name)+" WITH (security_barrier) AS SELECT "+strings.Join(selects, ", ")+" FROM "+temporary(whole))
	return err
}

// hidden is a mask that shows nothing.
var hidden = &SeenMask{}

// maskOf is the mask of a column that a query sees, nil for none. Of an arrival that an expression makes of the row it shows nothing where
// any column is masked: what it is made of is not looked at.
func (s *Seen) maskOf(src *feature.SourceVersion, name string) *SeenMask {
	if name == availableAtColumn && src.Column(name) == nil && src.ArrivalExpression != "" && len(s.Masks) > 0 {
		return hidden
	}
	return s.Masks[seenColumn(src, name)]
}
