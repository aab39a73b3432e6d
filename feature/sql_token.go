package feature

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// SQLTokenKind is the kind of a token of PostgreSQL's lexical grammar.
type SQLTokenKind uint8

// The numbers are part of the fingerprint of views: they are never given a new meaning.
const (
	// SQLWord is a key word or an unquoted name.
	SQLWord SQLTokenKind = 1
	// SQLQuotedName is "…" or U&"…".
	SQLQuotedName SQLTokenKind = 2
	// SQLString is a constant in single quotes, with or without a prefix, or in dollar quotes.
	SQLString SQLTokenKind = 3
	SQLNumber SQLTokenKind = 4
	// SQLOperator is one operator, or a run of punctuation that is one token, such as `::`.
	SQLOperator SQLTokenKind = 5
	// SQLParameter is $1, $2, ….
	SQLParameter SQLTokenKind = 6
	// SQLPlaceholder is {{…}}, Headwater's own.
	SQLPlaceholder SQLTokenKind = 7
	// SQLOther is one character that begins no token; Postgres refuses it.
	SQLOther SQLTokenKind = 8
)

// SQLToken is one token. White space and comments are the gaps between tokens.
type SQLToken struct {
	Kind SQLTokenKind
	// Text is the token as written.
	Text string
	// Offset is where it starts, in bytes. Line and Column say the same for people: both count from 1, columns in
	// characters.
	Offset, Line, Column int
}

// Canonical is the token's text without the freedoms that mean nothing: the case of unquoted names and of the prefix of
// a constant, and white space in a placeholder.
func (t *SQLToken) Canonical() string {
	switch t.Kind {
	case SQLWord:
		return lowerASCII(t.Text)
	case SQLString, SQLQuotedName:
		if i := strings.IndexAny(t.Text, `'"$`); i > 0 {
			return lowerASCII(t.Text[:i]) + t.Text[i:]
		}
	case SQLPlaceholder:
		return "{{" + t.placeholder() + "}}"
	}
	return t.Text
}

func (t *SQLToken) placeholder() string {
	return strings.TrimSpace(t.Text[len("{{") : len(t.Text)-len("}}")])
}

// lowerASCII folds as Postgres folds unquoted names in a UTF-8 database: ASCII letters only.
func lowerASCII(s string) string {
	for i := range len(s) {
		if c := s[i]; 'A' <= c && c <= 'Z' {
			b := []byte(s)
			for j := i; j < len(b); j++ {
				if 'A' <= b[j] && b[j] <= 'Z' {
					b[j] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}

// SQLProblem is something wrong at a place inside an SQL text.
type SQLProblem struct {
	// Line and Column count from 1, columns in characters.
	Line, Column int
	// Message says what was found, what was expected and what to try.
	Message string
}

// LexSQL cuts sql into tokens by PostgreSQL's lexical rules, with standard_conforming_strings on. On a problem, which is
// always a quote, comment or placeholder that does not end, the tokens before it are returned with it.
func LexSQL(sql string) ([]SQLToken, *SQLProblem) {
	l := lexer{sql: sql, line: 1, column: 1}
	for {
		if !l.skipGap() {
			return l.tokens, l.problem
		}
		if l.at == len(sql) {
			return l.tokens, nil
		}
		kind, end := l.next()
		if l.problem != nil {
			return l.tokens, l.problem
		}
		l.tokens = append(l.tokens, SQLToken{Kind: kind, Text: sql[l.at:end], Offset: l.at, Line: l.line, Column: l.column})
		l.moveTo(end)
	}
}

type lexer struct {
	sql          string
	at           int
	line, column int
	tokens       []SQLToken
	problem      *SQLProblem
	// escapes says that the constant just read takes backslash escapes, newline that a line has ended and nothing but
	// white space and line comments was passed since: a quote then continues that constant under the same rules.
	escapes, newline bool
	// runEnd is the end of the operator characters read last, runKeep that without the signs to give back. They are kept
	// so that a long row of signs is read once.
	runEnd, runKeep int
}

// moveTo advances over text, counting lines.
func (l *lexer) moveTo(end int) {
	for l.at < end {
		c := l.sql[l.at]
		l.at++
		switch {
		case c == '\n':
			l.line++
			l.column = 1
		case utf8.RuneStart(c):
			l.column++
		}
	}
}

func (l *lexer) fail(format string, args ...any) {
	l.problem = &SQLProblem{Line: l.line, Column: l.column, Message: fmt.Sprintf(format, args...)}
}

func (l *lexer) peek(i int) byte {
	if l.at+i < len(l.sql) {
		return l.sql[l.at+i]
	}
	return 0
}

// skipGap passes white space and comments. It returns false at a comment that does not end.
func (l *lexer) skipGap() bool {
	l.newline = false
	for l.at < len(l.sql) {
		switch c := l.sql[l.at]; {
		case isSpace(c):
			l.newline = l.newline || c == '\n' || c == '\r'
			l.moveTo(l.at + 1)
		case c == '-' && l.peek(1) == '-':
			end := strings.IndexAny(l.sql[l.at:], "\n\r")
			if end < 0 {
				end = len(l.sql) - l.at
			}
			l.moveTo(l.at + end)
		case c == '/' && l.peek(1) == '*':
			end := endOfComment(l.sql, l.at)
			if end < 0 {
				l.fail("found a comment that does not end, expected `*/`; comments nest, so each `/*` needs its own")
				return false
			}
			l.moveTo(end)
			l.escapes = false
		default:
			return true
		}
	}
	return true
}

func endOfComment(sql string, at int) int {
	depth := 0
	for i := at; i+1 < len(sql); {
		switch sql[i : i+2] {
		case "/*":
			depth++
			i += 2
		case "*/":
			depth--
			i += 2
			if depth == 0 {
				return i
			}
		default:
			i++
		}
	}
	return -1
}

func isSpace(c byte) bool {
	return c == ' ' || '\t' <= c && c <= '\r'
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isWordStart(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || c >= 0x80
}

func isWordPart(c byte) bool { return isWordStart(c) || isDigit(c) || c == '$' }

func (l *lexer) next() (kind SQLTokenKind, end int) {
	c := l.sql[l.at]
	escapes := c == '\'' && l.escapes && l.newline
	l.escapes = false
	switch {
	case c == '\'':
		return SQLString, l.quoted(l.at, '\'', escapes)
	case c == '"':
		return SQLQuotedName, l.quoted(l.at, '"', false)
	case strings.IndexByte("eE", c) >= 0 && l.peek(1) == '\'':
		return SQLString, l.quoted(l.at+1, '\'', true)
	case strings.IndexByte("bBxXnN", c) >= 0 && l.peek(1) == '\'':
		return SQLString, l.quoted(l.at+1, '\'', false)
	case (c == 'u' || c == 'U') && l.peek(1) == '&' && l.peek(2) == '\'':
		return SQLString, l.quoted(l.at+2, '\'', false)
	case (c == 'u' || c == 'U') && l.peek(1) == '&' && l.peek(2) == '"':
		return SQLQuotedName, l.quoted(l.at+2, '"', false)
	case isWordStart(c):
		end = l.at + 1
		for end < len(l.sql) && isWordPart(l.sql[end]) {
			end++
		}
		return SQLWord, end
	case isDigit(c), c == '.' && isDigit(l.peek(1)):
		return SQLNumber, l.number()
	case c == '$':
		return l.dollar()
	case c == '{' && l.peek(1) == '{':
		n := strings.Index(l.sql[l.at+2:], "}}")
		if n < 0 {
			l.fail("found `{{` without `}}`, expected {{interval.start}} or {{interval.end}}")
			return 0, 0
		}
		return SQLPlaceholder, l.at + 2 + n + 2
	case strings.IndexByte(operatorCharacters, c) >= 0:
		return SQLOperator, l.operator()
	case c == ':' && (l.peek(1) == ':' || l.peek(1) == '='), c == '.' && l.peek(1) == '.':
		return SQLOperator, l.at + 2
	case strings.IndexByte(",()[].;:", c) >= 0:
		return SQLOperator, l.at + 1
	}
	return SQLOther, l.at + 1
}

// quoted is the end of what is quoted from open, where the opening quote stands. A doubled quote stands for itself.
func (l *lexer) quoted(open int, quote byte, escapes bool) int {
	for i := open + 1; i < len(l.sql); i++ {
		switch {
		case escapes && l.sql[i] == '\\':
			i++
		case l.sql[i] != quote:
		case i+1 < len(l.sql) && l.sql[i+1] == quote:
			i++
		default:
			l.escapes = escapes
			return i + 1
		}
	}
	if quote == '"' {
		l.fail("found a quoted name that does not end, expected a closing `\"`")
	} else {
		l.fail("found a text constant that does not end, expected a closing `'`; a quote inside one is written `''`")
	}
	return 0
}

func (l *lexer) number() int {
	s, i := l.sql, l.at
	if s[i] == '0' && strings.IndexByte("xXoObB", l.peek(1)) >= 0 && isHex(l.peek(2)) {
		for i += 2; i < len(s) && (isHex(s[i]) || s[i] == '_'); {
			i++
		}
		return i
	}
	digits := func() {
		for i < len(s) && (isDigit(s[i]) || s[i] == '_' && i+1 < len(s) && isDigit(s[i+1])) {
			i++
		}
	}
	digits()
	if i < len(s) && s[i] == '.' && (i+1 == len(s) || s[i+1] != '.') {
		i++
		digits()
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		j := i + 1
		if j < len(s) && (s[j] == '+' || s[j] == '-') {
			j++
		}
		if j < len(s) && isDigit(s[j]) {
			i = j
			digits()
		}
	}
	return i
}

func isHex(c byte) bool {
	return isDigit(c) || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// dollar reads a parameter, a constant in dollar quotes, or a stray dollar.
func (l *lexer) dollar() (SQLTokenKind, int) {
	i := l.at + 1
	if isDigit(l.peek(1)) {
		for i < len(l.sql) && isDigit(l.sql[i]) {
			i++
		}
		return SQLParameter, i
	}
	for i < len(l.sql) && (isWordStart(l.sql[i]) || i > l.at+1 && isDigit(l.sql[i])) {
		i++
	}
	if i == len(l.sql) || l.sql[i] != '$' {
		return SQLOther, l.at + 1
	}
	tag := l.sql[l.at : i+1]
	n := strings.Index(l.sql[i+1:], tag)
	if n < 0 {
		l.fail("found a text constant that does not end, expected a closing `%s`", tag)
		return 0, 0
	}
	return SQLString, i + 1 + n + len(tag)
}

const operatorCharacters = "+-*/<>=~!@#%^&|`?"

// operator is the end of the longest operator here. A comment ends it, and one of several characters ends in + or - only
// when it holds a character that standard SQL's operators do not: so `=-1` is `=`, `-`, `1`, however it is spaced.
func (l *lexer) operator() int {
	if l.at >= l.runEnd {
		standard := true
		end := l.at
		for l.runKeep = l.at; end < len(l.sql) && strings.IndexByte(operatorCharacters, l.sql[end]) >= 0; end++ {
			if strings.HasPrefix(l.sql[end:], "--") || strings.HasPrefix(l.sql[end:], "/*") {
				break
			}
			standard = standard && strings.IndexByte("~!@#%^&|`?", l.sql[end]) < 0
			if l.sql[end] != '+' && l.sql[end] != '-' {
				l.runKeep = end + 1
			}
		}
		l.runEnd = end
		if !standard {
			l.runKeep = end
		}
	}
	return max(l.at+1, l.runKeep)
}
