package feature

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	placeholderStart = "interval.start"
	placeholderEnd   = "interval.end"
)

// Query is the SQL of a view, cut into tokens.
type Query struct {
	text   string
	tokens []SQLToken
	// end is where a semicolon after the last statement stands, or the length of text.
	end int
}

// ParseQuery reads a view's SQL: one statement, a semicolon after it at most, with {{interval.start}} and
// {{interval.end}} as the only placeholders. It knows tokens and no grammar; what they say is for Postgres to judge. The
// query is of use only when there are no problems.
func ParseQuery(sql string) (*Query, []SQLProblem) {
	q, problems := parseSQL(sql)
	for i := range q.tokens {
		t := &q.tokens[i]
		if t.Kind != SQLPlaceholder {
			continue
		}
		if name := t.placeholder(); name != placeholderStart && name != placeholderEnd {
			problems = append(problems, t.problem("found the placeholder {{"+name+"}}, expected {{interval.start}} or {{interval.end}}"))
		}
	}
	return q, problems
}

// ParseExpression reads an SQL expression, which has no placeholders.
func ParseExpression(sql string) (*Query, []SQLProblem) {
	q, problems := parseSQL(sql)
	for i := range q.tokens {
		if t := &q.tokens[i]; t.Kind == SQLPlaceholder {
			problems = append(problems, t.problem("found the placeholder "+t.Text+", expected none: this expression is over one row, not over an interval"))
		}
	}
	if q.end < len(sql) {
		problems = append(problems, q.semicolon().problem("found a semicolon in an expression, expected none; remove it"))
	}
	return q, problems
}

func (t *SQLToken) problem(message string) SQLProblem {
	return SQLProblem{Line: t.Line, Column: t.Column, Message: message}
}

func parseSQL(sql string) (*Query, []SQLProblem) {
	q := &Query{text: sql, end: len(sql)}
	var problems []SQLProblem
	if err := CheckText(sql); err != nil {
		return q, []SQLProblem{{Line: 1, Column: 1, Message: err.Error()}}
	}
	tokens, problem := LexSQL(sql)
	if problem != nil {
		problems = append(problems, *problem)
	} else if len(tokens) == 0 {
		problems = append(problems, SQLProblem{Line: 1, Column: 1, Message: "found no SQL, expected some"})
	}
	q.tokens = tokens
	if n := len(tokens); n > 0 && tokens[n-1].Text == ";" {
		q.end = tokens[n-1].Offset
		tokens = tokens[:n-1]
	}
	var open []*SQLToken
	for i := range tokens {
		t := &tokens[i]
		switch t.Kind {
		case SQLString:
			if strings.Contains(t.Text, "{{interval.") {
				problems = append(problems, t.problem("found a placeholder inside a text constant, where it is not filled in; "+
					"a placeholder is a timestamptz by itself: remove the quotes"))
			}
		case SQLParameter:
			problems = append(problems, t.problem("found the parameter "+t.Text+", expected none; the run's interval is "+
				"{{interval.start}} and {{interval.end}}"))
		case SQLOperator:
			switch t.Text {
			case ";":
				return q, append(problems, t.problem("found a second statement after the semicolon, expected one; "+
					"keep one SELECT (WITH may name its parts)"))
			case "(", "[":
				open = append(open, t)
			case ")", "]":
				if len(open) == 0 || closing[open[len(open)-1].Text] != t.Text {
					return q, append(problems, t.problem("found `"+t.Text+"` that closes nothing; remove it, or open it before"))
				}
				open = open[:len(open)-1]
			}
		}
	}
	if len(open) > 0 && problem == nil {
		t := open[len(open)-1]
		problems = append(problems, t.problem("found `"+t.Text+"` that is not closed, expected `"+closing[t.Text]+"`"))
	}
	return q, problems
}

var closing = map[string]string{"(": ")", "[": "]"}

func (q *Query) semicolon() *SQLToken { return &q.tokens[len(q.tokens)-1] }

// Tokens are the statement's tokens, without a semicolon after it. The caller does not change them.
func (q *Query) Tokens() []SQLToken {
	if q.end < len(q.text) {
		return q.tokens[:len(q.tokens)-1]
	}
	return q.tokens
}

// Render is the query for the interval [start, end): each placeholder is a timestamptz constant in parentheses, and
// everything else is as written, byte for byte, up to a semicolon after the statement. The text may end in a line
// comment: who puts something behind it puts it on a new line.
func (q *Query) Render(start, end Time) string {
	var b strings.Builder
	at := 0
	for i := range q.tokens {
		t := &q.tokens[i]
		if t.Kind == SQLPlaceholder {
			b.WriteString(q.text[at:t.Offset])
			b.WriteString(t.value(start, end))
			at = t.Offset + len(t.Text)
		}
	}
	b.WriteString(q.text[at:q.end])
	return b.String()
}

// Text is the query as written between two byte offsets, as of its tokens.
func (q *Query) Text(from, to int) string { return q.text[from:to] }

// Locate is the line and column in the query as written of a byte offset into Render(start, end). An offset inside a
// constant that Render put in is that of its placeholder. Both count from 1, columns in characters.
func (q *Query) Locate(start, end Time, offset int) (line, column int) {
	grown := 0
	for i := range q.tokens {
		t := &q.tokens[i]
		if t.Kind != SQLPlaceholder {
			continue
		}
		switch value := t.value(start, end); {
		case offset < t.Offset+grown:
			return position(q.text, offset-grown)
		case offset < t.Offset+grown+len(value):
			return t.Line, t.Column
		default:
			grown += len(value) - len(t.Text)
		}
	}
	return position(q.text, offset-grown)
}

func position(text string, offset int) (line, column int) {
	before := text[:max(0, min(offset, len(text)))]
	line = 1 + strings.Count(before, "\n")
	return line, 1 + utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])
}

func (t *SQLToken) value(start, end Time) string {
	at := end
	if t.placeholder() == placeholderStart {
		at = start
	}
	return "(TIMESTAMPTZ '" + SQLTime(at) + "')"
}

// SQLTime writes t as Postgres reads it, whatever its settings; before the year 1 it counts years before Christ.
func SQLTime(t Time) string {
	u := t.Time()
	const rest = "-01-02 15:04:05.999999+00"
	if u.Year() < 1 {
		return fmt.Sprintf("%04d", 1-u.Year()) + u.Format(rest) + " BC"
	}
	return fmt.Sprintf("%04d", u.Year()) + u.Format(rest)
}
