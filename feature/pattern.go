package feature

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Pattern is a regular expression that Go and Postgres take alike. It matches a text anywhere; ^ and $ are the text's ends.
type Pattern struct {
	compiled *regexp.Regexp
	postgres string
}

// Match reports whether the pattern is somewhere in s.
func (p *Pattern) Match(s string) bool { return p.compiled.MatchString(s) }

// Postgres is the same as an advanced regular expression of Postgres, for the operator ~ under COLLATE "C" in a database of
// encoding UTF8. Classes are written out, so that no collation and no version of Unicode says what is in them.
func (p *Pattern) Postgres() string { return p.postgres }

const (
	// maxPattern bounds a pattern's bytes, maxPatternProgram what it is compiled to, so that Postgres has room for it too.
	maxPattern        = 1_000
	maxPatternProgram = 5_000
	// maxPatternRepeat is how often Postgres repeats something.
	maxPatternRepeat = 255
)

// ParsePattern reads a pattern in the syntax of RE2. Word boundaries and flags for lines are refused, as is all that Postgres
// cannot say. The error says what was found and what was expected.
func ParsePattern(s string) (*Pattern, error) {
	if len(s) > maxPattern {
		return nil, fmt.Errorf("found a pattern of %d bytes, expected at most %d", len(s), maxPattern)
	}
	parsed, err := syntax.Parse(s, syntax.Perl)
	if err != nil {
		return nil, patternError(err)
	}
	e := emitter{}
	e.emit(parsed)
	if e.refused != "" {
		return nil, errors.New(e.refused)
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return nil, patternError(err)
	}
	if n := len(program.Inst); n > maxPatternProgram {
		return nil, fmt.Errorf("found a pattern of %d steps once its repetitions are written out, expected at most %d", n, maxPatternProgram)
	}
	compiled, err := regexp.Compile(s)
	if err != nil {
		return nil, patternError(err)
	}
	return &Pattern{compiled: compiled, postgres: "***:" + e.b.String()}, nil
}

func patternError(err error) error {
	var broken *syntax.Error
	if errors.As(err, &broken) {
		return fmt.Errorf("found %s, which is no pattern (%s), expected the syntax of RE2", shown(broken.Expr), broken.Code)
	}
	return fmt.Errorf("found what is no pattern (%v), expected the syntax of RE2", err)
}

// emitter writes a pattern for Postgres. Every part is written so that it can be repeated.
type emitter struct {
	b       strings.Builder
	refused string
}

func (e *emitter) refuse(format string, args ...any) {
	if e.refused == "" {
		e.refused = fmt.Sprintf(format, args...)
	}
}

func (e *emitter) emit(r *syntax.Regexp) {
	switch r.Op {
	case syntax.OpEmptyMatch:
		e.b.WriteString("(?:)")
	case syntax.OpLiteral:
		e.b.WriteString("(?:")
		for _, c := range r.Rune {
			if r.Flags&syntax.FoldCase != 0 {
				e.class(foldings(c))
			} else {
				e.class([]rune{c, c})
			}
		}
		e.b.WriteString(")")
	case syntax.OpCharClass:
		e.class(r.Rune)
	case syntax.OpAnyCharNotNL:
		e.class([]rune{1, '\n' - 1, '\n' + 1, unicode.MaxRune})
	case syntax.OpAnyChar:
		e.class([]rune{1, unicode.MaxRune})
	case syntax.OpBeginText:
		e.b.WriteString("(?:^)")
	case syntax.OpEndText:
		e.b.WriteString("(?:$)")
	case syntax.OpCapture:
		e.emit(r.Sub[0])
	case syntax.OpStar:
		e.repeat(r.Sub[0], "*")
	case syntax.OpPlus:
		e.repeat(r.Sub[0], "+")
	case syntax.OpQuest:
		e.repeat(r.Sub[0], "?")
	case syntax.OpRepeat:
		if max(r.Min, r.Max) > maxPatternRepeat {
			e.refuse("found a repetition of %d times, expected at most %d, which is what Postgres does", max(r.Min, r.Max), maxPatternRepeat)
			return
		}
		count := fmt.Sprintf("{%d,%d}", r.Min, r.Max)
		if r.Max < 0 {
			count = fmt.Sprintf("{%d,}", r.Min)
		}
		e.repeat(r.Sub[0], count)
	case syntax.OpConcat, syntax.OpAlternate:
		e.b.WriteString("(?:")
		for i, sub := range r.Sub {
			if i > 0 && r.Op == syntax.OpAlternate {
				e.b.WriteString("|")
			}
			e.emit(sub)
		}
		e.b.WriteString(")")
	case syntax.OpBeginLine, syntax.OpEndLine:
		e.refuse("found the flag m, under which ^ and $ are the ends of lines, expected a pattern without it; write (?:^|\\n) or (?:$|\\n)")
	case syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		e.refuse(`found a word boundary (\b or \B), which Postgres draws elsewhere, expected a pattern without one; name the characters ` +
			`around the word, as in (?:^|[^a-z])`)
	default:
		e.refuse("found a part that matches nothing, expected one that some text matches")
	}
}

func (e *emitter) repeat(sub *syntax.Regexp, count string) {
	e.b.WriteString("(?:")
	e.emit(sub)
	e.b.WriteString(")" + count)
}

// class writes a set of characters as pairs of first and last. No text has NUL.
func (e *emitter) class(pairs []rune) {
	e.b.WriteString("[")
	empty := true
	for i := 0; i+1 < len(pairs); i += 2 {
		low, high := max(pairs[i], 1), pairs[i+1]
		if low > high {
			continue
		}
		empty = false
		fmt.Fprintf(&e.b, `\U%08x`, low)
		if high > low {
			fmt.Fprintf(&e.b, `-\U%08x`, high)
		}
	}
	e.b.WriteString("]")
	if empty {
		e.refuse("found a part that matches nothing, expected one that some text matches")
	}
}

// foldings are the characters that are c but for case, as pairs.
func foldings(c rune) []rune {
	orbit := []rune{c}
	for f := unicode.SimpleFold(c); f != c; f = unicode.SimpleFold(f) {
		orbit = append(orbit, f)
	}
	slices.Sort(orbit)
	var pairs []rune
	for _, r := range orbit {
		if utf8.ValidRune(r) {
			pairs = append(pairs, r, r)
		}
	}
	return pairs
}
