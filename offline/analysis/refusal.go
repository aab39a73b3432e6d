package analysis

import (
	"cmp"
	"slices"
	"strings"

	"github.com/headwaterhq/headwater/feature"
)

// Rule is the name of what a refused SQL breaks. docs/determinism.md has a section for each.
type Rule string

// The rules, in the order of the page.
const (
	RuleRelation    Rule = "relation"
	RuleStatement   Rule = "statement"
	RuleLock        Rule = "lock"
	RuleSize        Rule = "size"
	RuleClock       Rule = "clock"
	RuleRandom      Rule = "random"
	RuleSequence    Rule = "sequence"
	RuleSession     Rule = "session"
	RuleCatalog     Rule = "catalog"
	RuleFile        Rule = "file"
	RuleLargeObject Rule = "large-object"
	RuleVolatile    Rule = "volatile"
	RuleFunction    Rule = "function"
	RuleType        Rule = "type"
	RuleConstant    Rule = "constant"
	RuleTextToTime  Rule = "text-to-time"
	RuleCollation   Rule = "collation"
	RuleSample      Rule = "sample"
	RuleAggregate   Rule = "aggregate-order"
	RuleFloat       Rule = "float-order"
	RuleWindow      Rule = "window-order"
	RuleLimit       Rule = "limit-order"
	RuleDistinctOn  Rule = "distinct-on-order"
	RuleArray       Rule = "array-order"
	RuleEqual       Rule = "equal-values"
	RuleAvailable   Rule = "available-at"
	RuleEventTime   Rule = "event-time"
)

// Rules lists all rules, in the order of the page.
func Rules() []Rule {
	return []Rule{
		RuleRelation, RuleStatement, RuleLock, RuleSize, RuleClock, RuleRandom, RuleSequence, RuleSession, RuleCatalog, RuleFile,
		RuleLargeObject, RuleVolatile, RuleFunction, RuleType, RuleConstant, RuleTextToTime, RuleCollation, RuleSample,
		RuleAggregate, RuleFloat, RuleWindow, RuleLimit, RuleDistinctOn, RuleArray, RuleEqual, RuleAvailable, RuleEventTime,
	}
}

// Refusal is one place in the SQL that breaks a rule.
type Refusal struct {
	Rule Rule
	// Field is the field of the definition; empty: the SQL.
	Field string
	// Line and Column are in the SQL as written, from 1, columns in characters; 0: of the whole.
	Line, Column int
	// Found, Expected and Remedy are parts of sentences: what is there, what may be there, and what to write instead.
	Found, Expected, Remedy string
	// Words stand in their place where Postgres itself refused, and there is no rule.
	Words string
}

// Message is the refusal in words, with the rule's name at the end.
func (r *Refusal) Message() string {
	if r.Words != "" {
		return r.Words
	}
	return "found " + r.Found + ", expected " + r.Expected + "; " + r.Remedy + " (rule " + string(r.Rule) + ")"
}

// maxRefusals is how many places are told at once.
const maxRefusals = 20

// refuse notes a refusal at a byte offset of the statement. Where that is -1, as in the trees of Postgres 17 and later, it is
// the first place where one of words stands.
func (a *analyser) refuse(r Refusal, at int, words ...string) {
	r.Line, r.Column = a.locate(at, words)
	for _, other := range a.refusals {
		if other.Rule == r.Rule && other.Line == r.Line && other.Column == r.Column {
			return
		}
	}
	a.refusals = append(a.refusals, r)
}

func (a *analyser) locate(at int, words []string) (line, column int) {
	if line, column = a.statement.Locate(at); line > 0 {
		return line, column
	}
	for _, word := range words {
		for _, t := range a.statement.Query.Tokens() {
			if word != "" && strings.EqualFold(strings.Trim(t.Text, `"`), word) {
				return t.Line, t.Column
			}
		}
	}
	return 0, 0
}

// sorted is the refusals in the order of the SQL; those of the whole come last.
func sorted(refusals []Refusal) []Refusal {
	slices.SortStableFunc(refusals, func(x, y Refusal) int {
		return cmp.Or(cmp.Compare(boolean(x.Line == 0), boolean(y.Line == 0)), cmp.Compare(x.Line, y.Line), cmp.Compare(x.Column, y.Column))
	})
	if len(refusals) > maxRefusals {
		refusals = refusals[:maxRefusals]
	}
	return refusals
}

func boolean(b bool) int {
	if b {
		return 1
	}
	return 0
}

// tokenAt is the position in the query's tokens of the last one that begins at or before a byte offset of the statement, or
// -1.
func (a *analyser) tokenAt(at int) int {
	line, column := a.locate(at, nil)
	found := -1
	for i, t := range a.statement.Query.Tokens() {
		if t.Line < line || t.Line == line && t.Column <= column {
			found = i
		}
	}
	return found
}

// keywordBefore is the place of the last of some key words that begins before a byte offset of the statement; at when there
// is none.
func (a *analyser) keywordBefore(at int, words ...string) int {
	tokens := a.statement.Query.Tokens()
	for i := a.tokenAt(at); i >= 0; i-- {
		if t := &tokens[i]; t.Kind == feature.SQLWord && slices.Contains(words, t.Canonical()) {
			return a.offsetOf(t)
		}
	}
	return at
}

// offsetOf is where a token begins in the statement, in bytes.
func (a *analyser) offsetOf(token *feature.SQLToken) int {
	// Placeholders before it have grown.
	grown := 0
	for _, t := range a.statement.Query.Tokens() {
		if t.Offset >= token.Offset {
			break
		}
		if t.Kind == feature.SQLPlaceholder {
			grown += a.statement.placeholderGrowth(t)
		}
	}
	return len(a.statement.prefix(a.statement.Name)) + token.Offset + grown
}

func (s *Statement) placeholderGrowth(t feature.SQLToken) int {
	q, _ := feature.ParseQuery(t.Text)
	return len(q.Render(s.Start, s.End)) - len(t.Text)
}
