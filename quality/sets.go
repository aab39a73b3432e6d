package quality

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
)

// Set is the rows of one subject that are held to expectations together.
type Set struct {
	// View is the id of the view version that runs, and Ref its name for messages.
	View int64
	Ref  string
	// Subject is SourceSubject or Output.
	Subject string
	Reach   Reach
	// From stands after FROM for the rows: it shows Columns, and the event time as EventTime. Empty: the run read or made none.
	From string
	// Rows is how many From shows, where they were counted before. nil: they are counted.
	Rows      *int64
	Columns   []feature.Column
	EventTime string
	// Newest is the event time of the subject's newest row, of this run or not. nil: there is none.
	Newest *feature.Time
	// Now is when the run began.
	Now feature.Time
	// Schema is the columns of the subject with their types, as they are there. Empty: it has none of its own.
	Schema []string
	// EntitiesKept measures that kind, of the output: examples are entities that are not there. A reason says why it can not be
	// measured. nil: never.
	EntitiesKept func(ctx context.Context) (kept, of int64, examples []Example, reason string, err error)
	// InputsByTime counts the rows of the inputs that count by buckets of event time, of each input at most so many. nil: they are not known.
	InputsByTime func(ctx context.Context, width time.Duration, most int) (map[int64]int64, error)
	// Grain is how far EventTime of the output lies behind the beginning of what a row is made of.
	Grain time.Duration
	// Produced and Accepted are the rows that the run made and those of its inputs that count.
	Produced, Accepted int64
}

// measureRowCount is the measure of how many rows there are.
const measureRowCount = "row_count"

// quoted is a column's name in SQL.
func quoted(column string) string { return pgx.Identifier{column}.Sanitize() }

// measurement is what one expectation needs to know of a set.
type measurement struct {
	e *feature.Expectation
	// measure names what is measured, as history has it. Empty: no later run is compared with it.
	measure string
	// sql is an aggregate over the set, as float8 that is NULL where no row has a value. Empty: it is not an aggregate.
	sql   string
	value *float64
	// broke is why it could not be measured.
	broke string
}

func measurementOf(e *feature.Expectation) *measurement {
	m := &measurement{e: e}
	column := quoted(e.Column)
	switch e.Kind {
	case feature.ExpectRowCount, feature.ExpectRowCountRatio:
		m.measure, m.sql = measureRowCount, "count(*)::float8"
	case feature.ExpectCompleteness, feature.ExpectCompletenessChange:
		if e.Kind == feature.ExpectCompleteness && e.Bucket > 0 {
			return m
		}
		m.measure, m.sql = "completeness:"+e.Column, fmt.Sprintf("count(%s)::float8 / nullif(count(*), 0)", column)
	case feature.ExpectDistinctRatio:
		m.sql = fmt.Sprintf("count(DISTINCT %s)::float8 / nullif(count(%s), 0)", column, column)
	case feature.ExpectMean:
		// As numeric the sum does not depend on the order of the rows.
		m.sql = fmt.Sprintf("avg(%s::numeric)::float8", column)
	case feature.ExpectQuantile:
		m.sql = fmt.Sprintf("(percentile_disc(%s) WITHIN GROUP (ORDER BY %s))::float8", strconv.FormatFloat(e.Quantile, 'g', -1, 64), column)
	case feature.ExpectSchemaUnchanged:
		m.measure = "schema"
	}
	return m
}

// CheckSet holds a set to those of the expectations that are about all rows together, and returns a result for each, in their
// order. What is measured by aggregates is measured in one pass, and completeness by time in one for each length of buckets. A
// measurement that the rows break is ERRORED; an error is returned when the connection or its server is at fault. q is a
// transaction in which savepoints may be made.
func CheckSet(ctx context.Context, tx pgx.Tx, s *Set, expectations []feature.Expectation) ([]Result, error) {
	var all []*measurement
	for i := range expectations {
		if e := &expectations[i]; !e.Kind.OfRows() {
			all = append(all, measurementOf(e))
		}
	}
	if len(all) == 0 {
		return nil, nil
	}
	if err := s.aggregate(ctx, tx, all); err != nil {
		return nil, err
	}
	results := make([]Result, len(all))
	for i, m := range all {
		r := &results[i]
		*r = Result{Name: m.e.Name, Subject: s.Subject, Expected: expectedOf(m.e), Metric: m.value}
		if m.broke != "" {
			r.State, r.Found, r.Look = Errored, m.broke, "the log of the database has more"
			continue
		}
		if err := s.settle(ctx, tx, m, r); err != nil {
			return nil, err
		}
	}
	return results, nil
}

// aggregate measures what aggregates measure.
func (s *Set) aggregate(ctx context.Context, tx pgx.Tx, all []*measurement) error {
	wanted := slices.DeleteFunc(slices.Clone(all), func(m *measurement) bool { return m.sql == "" })
	if s.Rows != nil && s.From != "" {
		rows := float64(*s.Rows)
		wanted = slices.DeleteFunc(wanted, func(m *measurement) bool {
			counts := m.measure == measureRowCount
			if counts {
				m.value = &rows
			}
			return counts
		})
	}
	if len(wanted) == 0 || s.From == "" {
		return nil
	}
	broke, err := s.pass(ctx, tx, wanted)
	if err != nil || broke == "" {
		return err
	}
	// One of them broke all: which?
	for _, m := range wanted {
		if m.broke, err = s.pass(ctx, tx, []*measurement{m}); err != nil {
			return err
		}
	}
	return nil
}

// pass measures several in one scan. broke is why the rows do not let it.
func (s *Set) pass(ctx context.Context, tx pgx.Tx, wanted []*measurement) (broke string, err error) {
	selects, into := make([]string, len(wanted)), make([]any, len(wanted))
	for i, m := range wanted {
		selects[i], into[i] = m.sql, &m.value
	}
	return guarded(ctx, tx, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, "SELECT "+strings.Join(selects, ", ")+" FROM "+s.From).Scan(into...)
	})
}

// guarded runs queries within a savepoint, and tells what the rows are at fault for from other errors.
func guarded(ctx context.Context, tx pgx.Tx, query func(pgx.Tx) error) (broke string, err error) {
	err = pgx.BeginFunc(ctx, tx, query)
	var pg *pgconn.PgError
	if err == nil || ctx.Err() != nil || !errors.As(err, &pg) {
		return "", err
	}
	// A statement that takes longer than the view's SQL may is the rows' doing too; of the others of these classes none is.
	const cancelled = "57014"
	if pg.Code != cancelled && slices.Contains([]string{"08", "25", "40", "53", "55", "57", "58", "F0", "XX"}, pg.Code[:2]) {
		return "", err
	}
	if pg.Code == cancelled {
		return "the measurement was cancelled: it took longer than the SQL of a view may (SQLSTATE 57014)", nil
	}
	// What Postgres says may hold values of rows.
	return fmt.Sprintf("the measurement failed (SQLSTATE %s)", pg.Code), nil
}

// settle says what a measurement means.
func (s *Set) settle(ctx context.Context, tx pgx.Tx, m *measurement, r *Result) error {
	e := m.e
	switch e.Kind {
	case feature.ExpectFreshness:
		s.freshness(e, r)
		return nil
	case feature.ExpectSchemaUnchanged:
		return s.schema(ctx, tx, e, r)
	}
	if s.From == "" {
		r.skip("the run %s no row", map[bool]string{true: "made", false: "read"}[s.Subject == Output])
		return nil
	}
	switch e.Kind {
	case feature.ExpectEntitiesKept:
		return s.entitiesKept(ctx, e, r)
	case feature.ExpectRowsKept:
		if s.Accepted == 0 {
			r.skip("the run accepted no row of its inputs")
			return nil
		}
		if e.Bucket > 0 {
			return s.rowsKeptByTime(ctx, tx, e, r)
		}
		r.judge(e, float64(s.Produced)/float64(s.Accepted))
		r.Found = fmt.Sprintf("%s: %d rows made of %d that were accepted", number(*r.Metric), s.Produced, s.Accepted)
		return nil
	case feature.ExpectCompleteness:
		if e.Bucket > 0 {
			return s.completenessByTime(ctx, tx, e, r)
		}
	}
	if m.value == nil {
		r.skip("no row has a value in %s", e.Column)
		return nil
	}
	value := *m.value
	// A set without rows is nothing that later runs are to be like.
	if m.measure != "" && (m.measure != measureRowCount || value > 0) {
		r.Measure, r.Measured = m.measure, m.value
	}
	switch e.Kind {
	case feature.ExpectRowCountRatio, feature.ExpectCompletenessChange:
		return s.against(ctx, tx, m, r)
	}
	r.judge(e, value)
	switch e.Kind {
	case feature.ExpectMean:
		r.keepBack("a value", Field{"mean of " + e.Column, number(value)})
	case feature.ExpectQuantile:
		r.keepBack("a value", Field{fmt.Sprintf("quantile %s of %s", number(e.Quantile), e.Column), number(value)})
	}
	return nil
}

// keepBack moves what is a value of a row, or from which one can be told, as from the mean of one row, to where examples are: for
// who may read the rows. Others are told on which side of the bounds it lies.
func (r *Result) keepBack(what string, found ...Field) {
	r.Metric, r.Found = nil, what+" within the bounds"
	if r.State != Passed {
		r.Found = what + " outside of the bounds"
	}
	r.Examples = []Example{found}
}

func (r *Result) skip(format string, args ...any) {
	r.State, r.Found = Skipped, fmt.Sprintf(format, args...)
}

// judge holds a value to the bounds of the expectation.
func (r *Result) judge(e *feature.Expectation, value float64) {
	r.Metric, r.Found = &value, number(value)
	switch {
	case !e.Error.Hold(value):
		r.State = Failed
	case !e.Warn.Hold(value):
		r.State = Warned
	default:
		r.State = Passed
	}
}

// freshness holds the age of the newest row to the expectation.
func (s *Set) freshness(e *feature.Expectation, r *Result) {
	if s.Newest == nil {
		r.skip("there is no row")
		return
	}
	age := max(0, time.Duration(min(int64(s.Now-*s.Newest), math.MaxInt64/int64(time.Microsecond)))*time.Microsecond)
	r.State = Passed
	switch {
	case e.ErrorAfter > 0 && age > e.ErrorAfter:
		r.State = Failed
	case e.WarnAfter > 0 && age > e.WarnAfter:
		r.State = Warned
	}
	r.keepBack("an age", Field{"newest row", s.Newest.String()}, Field{"age", feature.DurationText(age.Round(time.Second))})
	r.lookAt(s.describe())
}

// describe is the command that shows the subject.
func (s *Set) describe() string {
	if source, ok := SourceOf(s.Subject); ok {
		return "headwater describe source " + source
	}
	return "headwater describe view " + s.Ref
}

// lookAt says where, unless nothing is wrong.
func (r *Result) lookAt(where string) {
	if r.State == Warned || r.State == Failed {
		r.Look = where
	}
}

// schema holds the columns to those of the newest published run before.
func (s *Set) schema(ctx context.Context, tx pgx.Tx, e *feature.Expectation, r *Result) error {
	// A type may have commas in it.
	now := strings.Join(s.Schema, "\n")
	r.Measure, r.MeasuredText = "schema", &now
	before, err := lastText(ctx, tx, s, "schema")
	if err != nil {
		return err
	}
	if before == nil {
		r.State, r.Found = NoBaseline, fmt.Sprintf("%d columns, and no earlier run that was published and looked at them", len(s.Schema))
		return nil
	}
	var changes []string
	was := strings.Split(*before, "\n")
	for _, c := range was {
		if !slices.Contains(s.Schema, c) {
			changes = append(changes, "without "+c)
		}
	}
	for _, c := range s.Schema {
		if !slices.Contains(was, c) {
			changes = append(changes, "with "+c)
		}
	}
	bounded := *e
	if bounded.Warn.IsEmpty() && bounded.Error.IsEmpty() {
		bounded.Error.Max = new(float64)
	}
	r.judge(&bounded, float64(len(changes)))
	if r.Found = "the same columns"; len(changes) > 0 {
		r.Found = strings.Join(changes, ", ")
	}
	r.lookAt(s.describe())
	return nil
}

// entitiesKept holds the share of the inputs' entities that the output has to the bounds.
func (s *Set) entitiesKept(ctx context.Context, e *feature.Expectation, r *Result) error {
	if s.EntitiesKept == nil {
		r.skip("the inputs' entities are not known")
		return nil
	}
	kept, of, examples, reason, err := s.EntitiesKept(ctx)
	switch {
	case err != nil:
		return err
	case reason != "":
		r.skip("%s", reason)
		return nil
	case of == 0:
		r.skip("no row of the inputs has all join keys")
		return nil
	}
	r.judge(e, float64(kept)/float64(of))
	r.Found = fmt.Sprintf("%s: %d of %d entities", number(*r.Metric), kept, of)
	if r.State != Passed {
		r.Examples, r.RowsFailed = examples, of-kept
		r.Look = "the joins and the WHERE of the view, for the entities that are missing"
	}
	return nil
}

// completenessByTime finds the time bucket in which the share of rows with a value is the least, or lies the farthest above.
func (s *Set) completenessByTime(ctx context.Context, tx pgx.Tx, e *feature.Expectation, r *Result) error {
	width := e.Bucket.Microseconds()
	column, at := quoted(e.Column), quoted(s.EventTime)
	var least, most struct {
		share        float64
		bucket, rows int64
	}
	var buckets int64
	broke, err := guarded(ctx, tx, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, fmt.Sprintf(`
			WITH _buckets AS MATERIALIZED (
				SELECT floor(extract(epoch FROM %s) * 1000000 / %d)::bigint AS bucket, count(*) AS rows, count(%s)::float8 / count(*) AS share
				FROM %s GROUP BY 1)
			SELECT (SELECT count(*) FROM _buckets), l.share, l.bucket, l.rows, m.share, m.bucket, m.rows
			FROM (SELECT * FROM _buckets ORDER BY share, bucket LIMIT 1) l, (SELECT * FROM _buckets ORDER BY share DESC, bucket LIMIT 1) m`,
			at, width, column, s.From)).Scan(&buckets, &least.share, &least.bucket, &least.rows, &most.share, &most.bucket, &most.rows)
	})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		r.skip("there is no row")
		return nil
	case err != nil:
		return err
	case broke != "":
		r.State, r.Found, r.Look = Errored, broke, "the log of the database has more"
		return nil
	}
	// With a bound above it is the fullest bucket that may be the worst.
	if r.judge(e, most.share); r.State != Passed {
		above := *r
		if r.judge(e, least.share); rank(above.State) > rank(r.State) {
			*r, least = above, most
		}
	} else {
		r.judge(e, least.share)
	}
	start := feature.Time(least.bucket * width)
	r.Found = fmt.Sprintf("%s in the worst of %d buckets, of %d rows", number(*r.Metric), buckets, least.rows)
	// That there are rows in a bucket tells when they are.
	r.Examples = []Example{{{"bucket", fmt.Sprintf("[%s, %s)", start, start.Add(e.Bucket))}}}
	r.lookAt(fmt.Sprintf("rows of %s with an event time in that bucket in which %s is NULL", s.Subject, e.Column))
	return nil
}

// maxBuckets is how many time buckets are held to each other.
const maxBuckets = 100_000

// rowsKeptByTime finds the time bucket in which the fewest rows were made of those that the inputs have there, or the most.
func (s *Set) rowsKeptByTime(ctx context.Context, tx pgx.Tx, e *feature.Expectation, r *Result) error {
	if s.InputsByTime == nil {
		r.skip("the times of the inputs' rows are not known")
		return nil
	}
	var accepted map[int64]int64
	made := map[int64]int64{}
	width := e.Bucket.Microseconds()
	broke, err := guarded(ctx, tx, func(tx pgx.Tx) (err error) {
		if accepted, err = s.InputsByTime(ctx, e.Bucket, maxBuckets+1); err != nil || len(accepted) > maxBuckets {
			return err
		}
		rows, err := tx.Query(ctx, fmt.Sprintf("SELECT floor((extract(epoch FROM %s) * 1000000 - %d) / %d)::bigint, count(*) FROM %s GROUP BY 1 LIMIT %d", quoted(s.EventTime),
			s.Grain.Microseconds(), width, s.From, maxBuckets+1))
		if err != nil {
			return err
		}
		var bucket, n int64
		_, err = pgx.ForEachRow(rows, []any{&bucket, &n}, func() error { made[bucket] += n; return nil })
		return err
	})
	switch {
	case err != nil:
		return err
	case broke != "":
		r.State, r.Found, r.Look = Errored, broke, "the log of the database has more"
		return nil
	case max(len(accepted), len(made)) > maxBuckets:
		r.State, r.Found = Errored, fmt.Sprintf("more than %d buckets of time have rows", maxBuckets)
		r.Look = "rows_kept.bucket: with a wider one there are fewer"
		return nil
	}
	worst, worstBucket := Result{}, int64(0)
	below := 0
	for _, bucket := range slices.Sorted(maps.Keys(accepted)) {
		here := Result{}
		if here.judge(e, float64(made[bucket])/float64(accepted[bucket])); here.State != Passed {
			below++
		}
		if worst.Metric == nil || rank(here.State) > rank(worst.State) || here.State == worst.State && *here.Metric < *worst.Metric {
			worst, worstBucket = here, bucket
		}
	}
	if worst.Metric == nil {
		r.skip("no row of the inputs lies in what the run computes")
		return nil
	}
	r.State, r.Metric = worst.State, worst.Metric
	r.Found = fmt.Sprintf("%s in the worst of %d buckets, %d rows made of %d", number(*r.Metric), len(accepted), made[worstBucket], accepted[worstBucket])
	if below > 1 {
		r.Found += fmt.Sprintf("; %d buckets are outside of the bounds", below)
	}
	start := feature.Time(worstBucket * width)
	r.Examples = []Example{{{"bucket", fmt.Sprintf("[%s, %s)", start, start.Add(e.Bucket))}}}
	r.lookAt("rows of the inputs with an event time in that bucket, and what of the view leaves them out: its WHERE, its joins")
	return nil
}

func rank(s State) int { return slices.Index([]State{Passed, Warned, Failed}, s) }

// against holds a measurement to those of earlier runs.
func (s *Set) against(ctx context.Context, tx pgx.Tx, m *measurement, r *Result) error {
	earlier, err := earlier(ctx, tx, s, m.measure, m.e.EarlierRuns())
	if err != nil {
		return err
	}
	what := "completeness " + number(*m.value)
	if m.e.Kind == feature.ExpectRowCountRatio {
		what = number(*m.value) + " rows"
	}
	if len(earlier) == 0 {
		r.State, r.Metric = NoBaseline, nil
		r.Found = what + ", and no earlier run that was published, had rows and computed " + s.Reach.words()
		return nil
	}
	middle := median(earlier)
	if m.e.Kind == feature.ExpectRowCountRatio {
		r.judge(m.e, *m.value/middle)
		r.Found = fmt.Sprintf("%s, %s of %s, the median of %d earlier runs", what, number(*r.Metric), number(middle), len(earlier))
	} else {
		r.judge(m.e, math.Abs(*m.value-middle))
		r.Found = fmt.Sprintf("%s, %s from %s, the median of %d earlier runs", what, number(*r.Metric), number(middle), len(earlier))
	}
	r.lookAt(fmt.Sprintf("headwater runs checks %s --check %s", s.Ref, m.e.Name))
	return nil
}

func (r Reach) words() string {
	switch r {
	case ReachAll:
		return "all there is, as this one does"
	case ReachNew:
		return "what was new, as this one does"
	}
	return "an interval, as this one does"
}

// median of numbers; of an even number of them the mean of the two in the middle.
func median(values []float64) float64 {
	values = slices.Sorted(slices.Values(values))
	n := len(values)
	if n%2 == 1 {
		return values[n/2]
	}
	return values[n/2-1] + (values[n/2]-values[n/2-1])/2
}

// earlier is what the newest published runs of the same reach measured, at most limit of them.
func earlier(ctx context.Context, q database.Querier, s *Set, measure string, limit int) ([]float64, error) {
	rows, err := q.Query(ctx, `
		SELECT min(c.measured) FROM headwater.check_result c JOIN headwater.run r ON r.id = c.run_id AND r.state = 'published'
		WHERE c.view_id = $1 AND c.subject = $2 AND c.measure = $3 AND c.reach = $4 AND c.measured IS NOT NULL
		GROUP BY c.run_id ORDER BY c.run_id DESC LIMIT $5`, s.View, s.Subject, measure, s.Reach, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[float64])
}

// lastText is what the newest published run measured, of any reach. nil: none did.
func lastText(ctx context.Context, q database.Querier, s *Set, measure string) (text *string, err error) {
	err = q.QueryRow(ctx, `
		SELECT (SELECT c.measured_text FROM headwater.check_result c JOIN headwater.run r ON r.id = c.run_id AND r.state = 'published'
			WHERE c.view_id = $1 AND c.subject = $2 AND c.measure = $3 AND c.measured_text IS NOT NULL ORDER BY c.run_id DESC LIMIT 1)`,
		s.View, s.Subject, measure).Scan(&text)
	return text, err
}

// number is a measured number for people.
func number(x float64) string {
	if x == math.Trunc(x) && math.Abs(x) < 1e15 {
		return strconv.FormatFloat(x, 'f', -1, 64)
	}
	return strconv.FormatFloat(x, 'g', 6, 64)
}

// expectedOf is what an expectation about all rows together expects, in words.
func expectedOf(e *feature.Expectation) string {
	what := map[feature.ExpectationKind]string{
		feature.ExpectRowCount:           "rows",
		feature.ExpectRowCountRatio:      "rows, divided by the median of earlier runs",
		feature.ExpectCompleteness:       "the share of rows with a value in " + e.Column,
		feature.ExpectCompletenessChange: "the change of the share of rows with a value in " + e.Column,
		feature.ExpectDistinctRatio:      "different values of " + e.Column + ", divided by the rows with one",
		feature.ExpectMean:               "the mean of " + e.Column,
		feature.ExpectQuantile:           fmt.Sprintf("quantile %s of %s", number(e.Quantile), e.Column),
		feature.ExpectEntitiesKept:       "the share of the inputs' entities that the output has",
		feature.ExpectRowsKept:           "rows made, divided by rows accepted",
	}[e.Kind]
	switch e.Kind {
	case feature.ExpectFreshness:
		var parts []string
		if e.ErrorAfter > 0 {
			parts = append(parts, "at most "+feature.DurationText(e.ErrorAfter)+" old")
		}
		if e.WarnAfter > 0 {
			parts = append(parts, "without a warning at most "+feature.DurationText(e.WarnAfter))
		}
		return "a newest row " + strings.Join(parts, ", ")
	case feature.ExpectSchemaUnchanged:
		return "the columns of the run before"
	case feature.ExpectCompleteness, feature.ExpectRowsKept:
		if e.Bucket > 0 {
			what += " in each " + feature.DurationText(e.Bucket)
		}
	}
	fails, warns := boundsInWords(e.Error), boundsInWords(e.Warn)
	switch {
	case fails == "":
		return what + " " + warns
	case warns == "":
		return what + " " + fails
	}
	return what + " " + fails + ", without a warning " + warns
}

func boundsInWords(b feature.Bounds) string {
	switch {
	case b.Min != nil && b.Max != nil:
		return "between " + number(*b.Min) + " and " + number(*b.Max)
	case b.Min != nil:
		return "at least " + number(*b.Min)
	case b.Max != nil:
		return "at most " + number(*b.Max)
	}
	return ""
}
