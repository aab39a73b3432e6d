package feature

import (
	"slices"
	"strings"
	"testing"
)

func tokenTexts(t *testing.T, sql string) []string {
	t.Helper()
	tokens, problem := LexSQL(sql)
	if problem != nil {
		t.Fatalf("LexSQL(%q): %d:%d: %s", sql, problem.Line, problem.Column, problem.Message)
	}
	texts := []string{}
	for _, token := range tokens {
		texts = append(texts, token.Text)
	}
	return texts
}

func TestLexSQL(t *testing.T) {
	for _, c := range []struct {
		sql  string
		want []string
	}{
		{"", []string{}},
		{" \t\n-- only a comment", []string{}},
		{"SELECT a.b,c", []string{"SELECT", "a", ".", "b", ",", "c"}},
		{`"a""b" U&"d\0061t"`, []string{`"a""b"`, `U&"d\0061t"`}},
		{`'it''s' E'it\'s' B'01' x'1F' n'x' U&'\0061'`, []string{`'it''s'`, `E'it\'s'`, `B'01'`, `x'1F'`, `n'x'`, `U&'\0061'`}},
		{`'a\' b`, []string{`'a\'`, "b"}},
		{"E'a'\n'b\\'c'", []string{"E'a'", `'b\'c'`}},
		{"E'a' -- and\n'b\\'c'", []string{"E'a'", `'b\'c'`}},
		{"'a'\n'b\\' c", []string{"'a'", `'b\'`, "c"}},
		{"E'a', 'b\\' c", []string{"E'a'", ",", `'b\'`, "c"}},
		{"$$a'b$$ $x$ $$ $x$ $1 a$b$", []string{"$$a'b$$", "$x$ $$ $x$", "$1", "a$b$"}},
		{"a /* b /* c */ d */ e", []string{"a", "e"}},
		{"1 1.5 .5 1. 1e5 1.5E-3 1..2 0xFF 1_000", []string{"1", "1.5", ".5", "1.", "1e5", "1.5E-3", "1", "..", "2", "0xFF", "1_000"}},
		{"1e 2", []string{"1", "e", "2"}},
		{"a=-1", []string{"a", "=", "-", "1"}},
		{"a<-+-b", []string{"a", "<", "-", "+", "-", "b"}},
		{"a @- b", []string{"a", "@-", "b"}},
		{"a*--b\n*c", []string{"a", "*", "*", "c"}},
		{"a*/*b*/c", []string{"a", "*", "c"}},
		{"a::int := b <> c != d ->> e", []string{"a", "::", "int", ":=", "b", "<>", "c", "!=", "d", "->>", "e"}},
		{"t > {{interval.start}}", []string{"t", ">", "{{interval.start}}"}},
		{"'{{interval.start}}'", []string{"'{{interval.start}}'"}},
		{"schön{ }", []string{"schön", "{", "}"}},
	} {
		if got := tokenTexts(t, c.sql); !slices.Equal(got, c.want) {
			t.Errorf("LexSQL(%q)\n got %q\nwant %q", c.sql, got, c.want)
		}
	}
}

func TestLexSQLProblems(t *testing.T) {
	for _, c := range []struct {
		sql          string
		line, column int
		message      string
	}{
		{"SELECT\n  'abc", 2, 3, "text constant that does not end"},
		{"SELECT E'abc\\'", 1, 8, "text constant that does not end"},
		{`SELECT "abc`, 1, 8, "quoted name that does not end"},
		{"é /* /* */", 1, 3, "comment that does not end"},
		{"a $x$ b $y$", 1, 3, "expected a closing `$x$`"},
		{"a {{interval.start}", 1, 3, "`{{` without `}}`"},
	} {
		_, problem := LexSQL(c.sql)
		if problem == nil {
			t.Errorf("LexSQL(%q): found no problem", c.sql)
			continue
		}
		if problem.Line != c.line || problem.Column != c.column || !strings.Contains(problem.Message, c.message) {
			t.Errorf("LexSQL(%q): found %d:%d: %s", c.sql, problem.Line, problem.Column, problem.Message)
		}
	}
}

// FuzzLexSQL holds that tokens and the gaps between them are the input, and that a gap holds no token.
func FuzzLexSQL(f *testing.F) {
	for _, seed := range []string{
		"SELECT a, 'b''c' FROM t -- d\nWHERE e = $1", "E'\\'' 'x'\n'y'", "$a$ b $a$ /* /* */ */", "{{interval.end}} 1.e-5..",
		"U&\"x\" u&'y' +-*/--", "\"", "'", "$", "{{", "/*", "\x80\x00",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		tokens, problem := LexSQL(sql)
		var b strings.Builder
		at := 0
		for _, token := range tokens {
			if token.Offset < at || token.Text == "" {
				t.Fatalf("token %q at %d, after %d", token.Text, token.Offset, at)
			}
			gap := sql[at:token.Offset]
			if inner, p := LexSQL(gap); p != nil || len(inner) > 0 {
				t.Fatalf("the gap %q holds tokens", gap)
			}
			b.WriteString(gap)
			b.WriteString(token.Text)
			at = token.Offset + len(token.Text)
			if line, column := position(sql, token.Offset); strings.ToValidUTF8(sql, "") == sql &&
				(line != token.Line || column != token.Column) {
				t.Fatalf("token %q says %d:%d, stands at %d:%d", token.Text, token.Line, token.Column, line, column)
			}
			_ = token.Canonical()
		}
		b.WriteString(sql[at:])
		if b.String() != sql {
			t.Fatalf("tokens and gaps make %q of %q", b.String(), sql)
		}
		if problem == nil {
			if inner, p := LexSQL(sql[at:]); p != nil || len(inner) > 0 {
				t.Fatalf("the rest %q holds tokens", sql[at:])
			}
		}
	})
}

// A row of signs is as many operators. Read anew for each, a megabyte of them would take hours.
func TestLexSQLManySigns(t *testing.T) {
	const n = 1 << 20
	if got := tokenTexts(t, strings.Repeat("+", n)); len(got) != n {
		t.Fatalf("found %d tokens, expected %d", len(got), n)
	}
}
