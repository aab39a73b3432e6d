package analysis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/headwaterhq/headwater/feature"
)

// Limits of what is analysed: beyond, Postgres would take long, or much memory, to say no.
const (
	maxTokens = 50_000
	// maxQueries bounds the queries and joins that SQL is put together of: the cost of an analysis grows faster than they do.
	maxQueries   = 300
	maxTreeBytes = 64 << 20
)

// Relation is a source or a view that the SQL may read, as a temporary relation of its name.
type Relation struct {
	Name string
	// Columns are all it shows, in order.
	Columns []string
	// Keys are sets of columns that tell one row from another.
	Keys [][]string
	// Derived are columns that others of the same row decide.
	Derived []Derivation
	// AvailableAt names the column that says when a row could be known, EventTime that when it was true.
	AvailableAt, EventTime string
}

// Derivation says that a column of a row is the same wherever some others are.
type Derivation struct {
	From   []string
	Column string
}

// Statement is the SQL as the view that Postgres analyses: what Create sends.
type Statement struct {
	// Name is that of the temporary view.
	Name string
	// Before and After stand around the query, where that is an expression.
	Before, After string
	Query         *feature.Query
	Start, End    feature.Time
}

// Create is the statement that makes the view, the interval filled in.
func (s *Statement) Create() string { return s.create(s.Name) }

func (s *Statement) create(name string) string {
	return s.prefix(name) + s.Query.Render(s.Start, s.End) + s.After
}

func (s *Statement) prefix(name string) string {
	return `CREATE TEMPORARY VIEW "` + name + `" AS ` + s.Before
}

// Locate is the line and column in the query as written of a byte offset into Create; 0 when it lies before the query.
func (s *Statement) Locate(offset int) (line, column int) {
	if offset -= len(s.prefix(s.Name)); offset < 0 {
		return 0, 0
	}
	return s.Query.Locate(s.Start, s.End, offset)
}

// Input is what is to be analysed.
type Input struct {
	Statement Statement
	Relations []Relation
	Functions []feature.FunctionAllowance
	// Clocks asks for the rules of a view's two clocks, with its grain and look-back.
	Clocks          bool
	Grain, Lookback time.Duration
	// OneRow refuses what makes the result depend on more than one row.
	OneRow bool
}

type analyser struct {
	Input
	statement *Statement
	tx        pgx.Tx
	catalog   *catalog
	tree      *Node
	refusals  []Refusal
	demand    *demand
	// subqueries are what the queries in expressions show, judged once each.
	subqueries map[*Node]*relation
	// top is the outermost query, once it is judged.
	top *scope
	// scopes are those of the queries that were judged, unless it is nil.
	scopes map[*Node]*scope
	// read are the declared relations that the SQL reads.
	read map[string]bool
	// functions are those of users that may be called, by oid.
	functions map[uint32]*allowance
}

// TooLarge refuses a query that is too large to be sent to Postgres.
func TooLarge(query *feature.Query) *Refusal {
	if n := len(query.Tokens()); n > maxTokens {
		return &Refusal{Rule: RuleSize, Found: fmt.Sprintf("SQL of %d words and signs", n), Expected: fmt.Sprintf("at most %d", maxTokens),
			Remedy: "put long lists of constants into a source, and join it"}
	}
	parts := 0
	for _, t := range query.Tokens() {
		if t.Kind != feature.SQLWord || !slices.Contains(partWords, t.Canonical()) {
			continue
		}
		if parts++; parts > maxQueries {
			return &Refusal{Rule: RuleSize, Line: t.Line, Column: t.Column, Found: fmt.Sprintf("more than %d queries and joins", maxQueries),
				Expected: "at most so many", Remedy: "part the SQL into several views, or put what it lists into a source"}
		}
	}
	return nil
}

// partWords are the words that the parts of SQL begin with.
var partWords = []string{"select", "values", "table", "join"}

// Analyse reads the view that a statement made. It refuses, in the order of the SQL, or says what the view is made of. tx is
// left as it was, and is in the settings that runs are pinned to.
func Analyse(ctx context.Context, tx pgx.Tx, in Input) (*feature.Analysis, []Refusal, error) {
	a := &analyser{Input: in, statement: &in.Statement, tx: tx, functions: map[uint32]*allowance{}, read: map[string]bool{},
		subqueries: map[*Node]*relation{}}
	tree, err := a.readTree(ctx, tx, viewName(in.Statement.Name))
	if errors.Is(err, errTooDeep) || errors.Is(err, errTooLarge) {
		return nil, []Refusal{tooDeep}, nil
	}
	if err != nil {
		return nil, nil, err
	}
	a.tree = tree
	if a.catalog, err = readCatalog(ctx, tx, referencesOf(Value{Node: tree})); err != nil {
		return nil, nil, err
	}
	if err := a.readAllowances(ctx); err != nil {
		return nil, nil, err
	}
	a.checkNodes()
	if err := a.checkConstants(ctx); err != nil {
		return nil, nil, err
	}
	// What is not Postgres's own, or is not declared, is not looked at more closely.
	if len(a.refusals) > 0 || a.OneRow {
		return nil, sorted(a.refusals), nil
	}
	a.demand = demandsOf(tree)
	output := a.evaluate(tree, nil, false)
	if a.Clocks {
		a.checkClocks(output)
	}
	if len(a.refusals) > 0 {
		return nil, sorted(a.refusals), nil
	}
	analysis := a.analysisOf(targetsOf(tree), output)
	for _, f := range a.functions {
		if f.called {
			analysis.Functions = append(analysis.Functions, f.bodies...)
		}
	}
	slices.SortFunc(analysis.Functions, func(x, y feature.FunctionBody) int { return compareStrings(x.Function, y.Function) })
	analysis.Functions = slices.Compact(analysis.Functions)
	return analysis, nil, nil
}

var errTooLarge = errors.New("node tree: too large")

// readTree reads the analysed query of a temporary view.
func (a *analyser) readTree(ctx context.Context, tx pgx.Tx, view string) (*Node, error) {
	var text string
	err := tx.QueryRow(ctx, `SELECT CASE WHEN octet_length(t) <= $2 THEN t ELSE '' END
		FROM (SELECT ev_action::text AS t FROM pg_rewrite WHERE ev_class = $1::text::regclass) x`, view, maxTreeBytes).Scan(&text)
	if err != nil {
		return nil, err
	}
	if text == "" {
		return nil, errTooLarge
	}
	return parseQuery(text)
}

func parseQuery(text string) (*Node, error) {
	v, err := parseTree(text)
	if err != nil {
		return nil, err
	}
	if v.Node == nil && len(v.List) == 1 {
		v = v.List[0]
	}
	if v.Node == nil || v.Node.Tag != "QUERY" {
		return nil, errors.New("node tree: found no query")
	}
	return v.Node, nil
}

// failed is the error of Postgres in err, or nil.
func failed(err error) *pgconn.PgError {
	var pg *pgconn.PgError
	errors.As(err, &pg)
	return pg
}

func compareStrings(x, y string) int {
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

// Failed is the refusal of a statement that Postgres refused to make a view.
func (s *Statement) Failed(err error) *Refusal {
	pg := failed(err)
	if pg == nil {
		return &Refusal{Words: err.Error()}
	}
	r := &Refusal{Words: pg.Message}
	if pg.Hint != "" {
		r.Words += ". " + pg.Hint
	}
	if pg.Position > 0 {
		r.Line, r.Column = s.Locate(byteOffset(s.Create(), int(pg.Position)-1))
	}
	keyword := func(words ...string) {
		for _, t := range s.Query.Tokens() {
			if slices.Contains(words, t.Canonical()) {
				r.Line, r.Column = t.Line, t.Column
				return
			}
		}
	}
	const one, remedy = "one SELECT that only reads", "keep the SELECT; what is to be kept is written by the run"
	switch {
	case pg.Code == "54001" || pg.Code == "57014" || strings.HasPrefix(pg.Message, "memory exhausted"):
		deep := tooDeep
		deep.Line, deep.Column = r.Line, r.Column
		*r = deep
	case strings.Contains(pg.Message, "must not contain SELECT INTO"):
		*r = Refusal{Rule: RuleStatement, Found: "SELECT INTO, which makes a table", Expected: one, Remedy: remedy}
		keyword("into")
	case strings.Contains(pg.Message, "must not contain data-modifying statements"):
		*r = Refusal{Rule: RuleStatement, Found: "a part of the WITH that changes rows", Expected: one, Remedy: remedy}
		keyword("insert", "update", "delete", "merge")
	case strings.HasPrefix(pg.Message, "TABLESAMPLE clause can only"):
		*r = sampled
		keyword("tablesample")
	case pg.Code == "42601" && len(s.Query.Tokens()) > 0 && s.Before == "" && !slices.Contains(beginnings, s.Query.Tokens()[0].Canonical()):
		first := s.Query.Tokens()[0]
		*r = Refusal{Rule: RuleStatement, Line: first.Line, Column: first.Column, Found: strings.ToUpper(first.Text) + " (" + pg.Message + ")", Expected: one, Remedy: remedy}
	}
	return r
}

// beginnings are the words and signs that a SELECT begins with.
var beginnings = []string{"select", "with", "values", "table", "("}

var tooDeep = Refusal{Rule: RuleSize, Found: "SQL that is nested too deep, or too large, to be analysed", Expected: "less",
	Remedy: "part it: into views, or into parts of a WITH"}
