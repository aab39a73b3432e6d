package offline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/window"
)

// An aggregation's transform reads the source's rows out of Postgres, in which its conditions are computed, and has package
// window make the history of them.

// Reason is how many rows were left out for one reason.
type Reason struct {
	Reason string
	Rows   int64
}

// recall reads what the history has at the run's start, as the run before this one left it. A span that begins coverage has
// nothing to recall.
func (t *Transform) recall(ctx context.Context, engine *window.Engine, at feature.Time) error {
	stored := t.View.Stored()
	columns := make([]string, len(stored))
	for i, c := range stored {
		columns[i] = quote(c.Name)
	}
	values := make([]feature.Value, len(stored))
	query := fmt.Sprintf("SELECT DISTINCT ON (entity_key) entity_key, %s FROM %s WHERE seq_from <= %[3]d AND seq_to > %[3]d AND event_time <= %[4]s "+
		"ORDER BY entity_key, event_time DESC, available_at DESC",
		strings.Join(columns, ", "), historyTable(t.View), t.Plan.After, timeLiteral(at))
	return copyOut(ctx, t.conn, query, func(fields [][]byte) error {
		for i, f := range fields[1:] {
			values[i] = feature.Null()
			if f != nil {
				var err error
				if values[i], err = decodeValue(stored[i].Type, f); err != nil {
					return err
				}
			}
		}
		return engine.Recall(fields[0], values)
	})
}

// windowRows emits what the windows make of the source's rows.
func (t *Transform) windowRows(ctx context.Context, span Span, emit func(*feature.Row) error) (err error) {
	within := window.Range{Start: span.Start, End: span.End, Begins: t.Plan.begins(span)}
	engine := window.New(t.windows, within, window.Options{})
	defer func() { err = errors.Join(err, engine.Close()) }()
	if !within.Begins {
		if err := t.recall(ctx, engine, span.Start); err != nil {
			return err
		}
	}
	if err := t.become(ctx); err != nil {
		return err
	}
	var unknown int64
	r := windowReader{view: t.View, plan: t.windows}
	r.prepare()
	began := time.Now()
	err = copyOut(ctx, t.conn, r.query(), func(fields [][]byte) error {
		if t.Count != nil {
			t.Count(1)
		}
		known, err := r.read(fields)
		bad := badValue("")
		switch {
		case errors.As(err, &bad):
			return t.refuse("a row of its source: %s", fault.Data(string(bad)))
		case err != nil:
			return err
		case !known:
			unknown++
			return nil
		case len(r.row.Key) > feature.MaxKeyBytes:
			return t.refuseKey(r.row.Key)
		}
		return engine.Add(&r.row)
	})
	if f := t.beyondBounds(ctx, err, time.Since(began)); f != nil {
		return f
	}
	if pg := lasting(err); pg != nil {
		return fault.New(fault.RunRefused, "view %s: its where failed on the rows of this run: %s; let it cope with such rows "+
			"(NULLIF, CASE, AND), or replace the load that brought them", t.View.Ref(), fault.Data(pg.Message)).Because(err)
	}
	if err != nil {
		return err
	}
	counts, err := engine.Run(ctx, emit)
	var refusal *window.Refusal
	if errors.As(err, &refusal) {
		return t.refuse("a value of an entity cannot be held: %s", fault.Data(refusal.Error()))
	}
	t.account(counts, unknown)
	return err
}

// account adds what became of the rows that a span read. Spans of a plan read different rows.
func (t *Transform) account(counts window.Counts, unknown int64) {
	t.Accounted = true
	t.Used += counts.Used
	for _, r := range []Reason{
		{"join key is NULL", counts.NoKey},
		{"where is not true", counts.NotKept},
		{"no aggregate's where is true", counts.NoFilter},
		{"available at is NULL", unknown},
		{"available too late for every window", counts.TooLate},
		{"not available by the end of the run", counts.NotYet},
		{"before every window of the run", counts.Before},
	} {
		if r.Rows == 0 {
			continue
		}
		if i := slices.IndexFunc(t.Filtered, func(f Reason) bool { return f.Reason == r.Reason }); i >= 0 {
			t.Filtered[i].Rows += r.Rows
			continue
		}
		t.Filtered = append(t.Filtered, r)
	}
}

// windowReader decodes the rows of a source for package window.
type windowReader struct {
	view *feature.ViewVersion
	plan *window.Plan
	row  window.Row

	keys []feature.Value
	// encoded holds the encodings of keys by their fields, as long as they are few.
	encoded map[string][]byte
	raw     []byte
	key     []byte
}

const maxEncoded = 1 << 16

func (r *windowReader) prepare() {
	r.keys = make([]feature.Value, len(r.view.EntityVersion.JoinKeys))
	r.encoded = map[string][]byte{}
	r.row.Kept = true
	r.row.Filters = make([]bool, len(r.plan.Filters))
	r.row.Values = make([]feature.Value, len(r.plan.Columns))
}

// query selects the join keys, both times, the conditions, and the columns that are aggregated.
func (r *windowReader) query() string {
	a := r.view.Aggregation
	var selects []string
	for _, k := range r.view.EntityVersion.JoinKeys {
		selects = append(selects, quote(a.KeyColumn(k.Name)))
	}
	selects = append(selects, eventTimeColumn, availableAtColumn)
	if a.Where != "" {
		selects = append(selects, condition(a.Where))
	}
	for _, f := range r.plan.Filters {
		selects = append(selects, condition(f))
	}
	for _, c := range r.plan.Columns {
		selects = append(selects, quote(c.Name))
	}
	return "SELECT " + strings.Join(selects, ", ") + " FROM " + temporary(a.Source)
}

// condition is an expression as one that is never NULL. The line break ends a comment at its end.
func condition(sql string) string { return "((" + sql + "\n)) IS TRUE" }

// read decodes a row. known is false when it is not known when the row was available.
func (r *windowReader) read(fields [][]byte) (known bool, err error) {
	n := len(r.keys)
	if err := r.readKey(fields[:n]); err != nil {
		return false, err
	}
	if r.row.EventTime, err = decodeTime(fields[n]); err != nil || fields[n+1] == nil {
		return false, err
	}
	if r.row.AvailableAt, err = decodeTime(fields[n+1]); err != nil {
		return false, err
	}
	fields = fields[n+2:]
	if r.view.Aggregation.Where != "" {
		r.row.Kept = isTrue(fields[0])
		fields = fields[1:]
	}
	for i := range r.row.Filters {
		r.row.Filters[i] = isTrue(fields[i])
	}
	fields = fields[len(r.row.Filters):]
	for i := range r.row.Values {
		r.row.Values[i] = feature.Null()
		if fields[i] != nil {
			if r.row.Values[i], err = decodeValue(r.plan.Columns[i].Type, fields[i]); err != nil {
				return false, err
			}
		}
	}
	return true, nil
}

func isTrue(field []byte) bool { return len(field) == 1 && field[0] != 0 }

// readKey encodes the join keys, or makes the row one without a key.
func (r *windowReader) readKey(fields [][]byte) error {
	r.row.Key = nil
	raw := r.raw[:0]
	for _, f := range fields {
		if f == nil {
			return nil
		}
		raw = append(raw, byte(len(f)), byte(len(f)>>8), byte(len(f)>>16), byte(len(f)>>24))
		raw = append(raw, f...)
	}
	r.raw = raw
	if key, ok := r.encoded[string(raw)]; ok {
		r.row.Key = key
		return nil
	}
	for i, f := range fields {
		var err error
		if r.keys[i], err = decodeValue(r.view.EntityVersion.JoinKeys[i].Type, f); err != nil {
			return err
		}
	}
	key, _, err := r.view.EntityVersion.AppendKey(r.key[:0], r.keys)
	if err != nil {
		return err
	}
	r.key = key
	if len(r.encoded) < maxEncoded {
		key = slices.Clone(key)
		r.encoded[string(raw)] = key
	}
	r.row.Key = key
	return nil
}

// checkAggregation has Postgres analyse the conditions of an aggregation.
func checkAggregation(ctx context.Context, tx pgx.Tx, v *feature.ViewVersion) error {
	check := func(field, sql string) error {
		if sql == "" {
			return nil
		}
		err := CheckExpression(ctx, tx, v.SourceVersions[0], field, sql, "bool")
		if f := fault.As(err); f != nil && len(f.Violations) == 1 {
			return fault.New(fault.InvalidSQL, "view %s: %s: %s", v.Name, field, f.Violations[0].Description).Because(err).Violating(f.Violations...)
		}
		return err
	}
	if err := check("aggregation.where", v.Aggregation.Where); err != nil {
		return err
	}
	for i := range v.Aggregation.Aggregates {
		if err := check(fmt.Sprintf("aggregation.aggregates[%d].where", i), v.Aggregation.Aggregates[i].Where); err != nil {
			return err
		}
	}
	return nil
}

// AnalyseAggregation is what each column of a view of aggregations is made of. Postgres need not be asked: conditions are
// taken to depend on every column that they name.
func AnalyseAggregation(v *feature.ViewVersion) *feature.Analysis {
	a, src := v.Aggregation, v.SourceVersions[0]
	an := &feature.Analysis{Uses: map[string][]string{}}
	add := func(column string, kind feature.InputKind, input string) {
		in := feature.ColumnInput{Column: column, Kind: kind, Relation: src.Name, InputColumn: input}
		if !slices.Contains(an.Inputs, in) {
			an.Inputs = append(an.Inputs, in)
		}
		if !slices.Contains(an.Uses[src.Name], input) {
			an.Uses[src.Name] = append(an.Uses[src.Name], input)
		}
	}
	clocks := []string{eventTimeColumn, availableAtColumn}
	where := namedColumns(src, a.Where)
	for _, k := range v.EntityVersion.JoinKeys {
		add(k.Name, feature.InputValue, a.KeyColumn(k.Name))
	}
	var all []string
	for i := range a.Aggregates {
		g := &a.Aggregates[i]
		if g.Column != "" {
			add(g.Feature, feature.InputValue, g.Column)
		}
		filters := slices.Concat(where, namedColumns(src, g.Where), clocks)
		for _, c := range filters {
			add(g.Feature, feature.InputFilter, c)
		}
		for _, k := range v.EntityVersion.JoinKeys {
			add(g.Feature, feature.InputGroup, a.KeyColumn(k.Name))
		}
		if g.Function == feature.First || g.Function == feature.Last {
			for _, c := range append(slices.Clone(clocks), g.Column) {
				add(g.Feature, feature.InputOrder, c)
			}
		}
		all = append(append(all, filters...), g.Column)
	}
	// A row begins wherever a value changes, and so where any of what they are made of does.
	for _, at := range clocks {
		add(at, feature.InputValue, eventTimeColumn)
		add(at, feature.InputValue, availableAtColumn)
		for _, c := range all {
			if c != "" {
				add(at, feature.InputFilter, c)
			}
		}
	}
	slices.SortFunc(an.Inputs, compareInputs)
	slices.Sort(an.Uses[src.Name])
	return an
}

func compareInputs(a, b feature.ColumnInput) int {
	return strings.Compare(fmt.Sprintf("%s\x00%d\x00%s\x00%s", a.Column, a.Kind, a.Relation, a.InputColumn),
		fmt.Sprintf("%s\x00%d\x00%s\x00%s", b.Column, b.Kind, b.Relation, b.InputColumn))
}

// namedColumns is the columns of the source, its clocks included, that an expression names.
func namedColumns(src *feature.SourceVersion, sql string) []string {
	expression, _ := feature.ParseExpression(sql)
	var names []string
	for _, t := range expression.Tokens() {
		name := strings.ToLower(t.Text)
		if t.Kind == feature.SQLQuotedName {
			name = strings.Trim(t.Text, `"`)
		}
		if (t.Kind == feature.SQLWord || t.Kind == feature.SQLQuotedName) &&
			(src.Column(name) != nil || name == eventTimeColumn || name == availableAtColumn) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}
