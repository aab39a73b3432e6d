package scenario

import (
	"bufio"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/headwaterhq/headwater/feature"
)

// Cell is one word of a line. A quoted one is never a keyword, NULL or the bar.
type Cell struct {
	Text   string
	Quoted bool
}

func (c Cell) is(word string) bool { return !c.Quoted && c.Text == word }

// Table is the block under a command.
type Table struct {
	// Line is that of the header.
	Line   int
	Header []Cell
	Rows   []TableRow
}

// TableRow is one line of a table.
type TableRow struct {
	Line  int
	Cells []Cell
}

// Parse reads a scenario. An error names its line.
func Parse(r io.Reader) ([]Step, error) {
	var steps []Step
	var command []Cell
	var start int
	var block []line
	end := func() error {
		if command == nil {
			return nil
		}
		s := Step{Line: start}
		if err := s.parse(command, block); err != nil {
			return fmt.Errorf("line %d: %w", start, err)
		}
		steps = append(steps, s)
		return nil
	}
	scanner := bufio.NewScanner(r)
	for n := 1; scanner.Scan(); n++ {
		text := strings.TrimRight(scanner.Text(), " ")
		switch {
		case text == "" || (text[0] != ' ' && strings.HasPrefix(text, "#")):
			block = append(block, line{n, ""})
			continue
		case text[0] == '\t':
			return nil, fmt.Errorf("line %d: found a tab, expected spaces", n)
		case text[0] == ' ':
			if command == nil {
				return nil, fmt.Errorf("line %d: found a block before any command", n)
			}
			block = append(block, line{n, text})
			continue
		}
		if err := end(); err != nil {
			return nil, err
		}
		var err error
		if command, err = cells(text); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		start, block = n, nil
	}
	if err := scanner.Err(); err != nil {
		return nil, err
	}
	return steps, end()
}

type line struct {
	number int
	text   string
}

// cells cuts a line at spaces. What stands in quotes is one cell, and `#` begins a comment.
func cells(text string) ([]Cell, error) {
	var list []Cell
	for {
		text = strings.TrimLeft(text, " ")
		if text == "" || text[0] == '#' {
			return list, nil
		}
		if text[0] != '"' {
			word, rest, _ := strings.Cut(text, " ")
			list, text = append(list, Cell{Text: word}), rest
			continue
		}
		quoted, err := strconv.QuotedPrefix(text)
		if err != nil {
			return nil, fmt.Errorf("found a quote that does not close: %s", text)
		}
		unquoted, err := strconv.Unquote(quoted)
		if err != nil {
			return nil, fmt.Errorf("found %s, expected a Go string", quoted)
		}
		list, text = append(list, Cell{Text: unquoted, Quoted: true}), text[len(quoted):]
	}
}

// The forms of commands. A word in capitals is an argument.
const forms = "definitions | view VIEW is computed by FUNCTION | load NAME into SOURCE [replacing NAME] | retract NAME | " +
	"clock TIME | materialize VIEW [from TIME to TIME] [fails \"MESSAGE\"] | spine VIEW… [as of POSITION] | online VIEW"

func (s *Step) parse(command []Cell, block []line) error {
	words := make([]string, len(command))
	for i, c := range command {
		words[i] = c.Text
	}
	unknown := fmt.Errorf("found `%s`, expected one of: %s", strings.Join(words, " "), forms)
	match := func(pattern ...string) bool {
		if len(words) != len(pattern) {
			return false
		}
		for i, p := range pattern {
			if p != "*" && (words[i] != p || command[i].Quoted) {
				return false
			}
		}
		return true
	}
	var err error
	switch {
	case match("definitions"):
		var b strings.Builder
		for _, l := range block {
			b.WriteString(l.text + "\n")
		}
		s.Definitions = &Definitions{YAML: b.String()}
		return nil
	case match("view", "*", "is", "computed", "by", "*"):
		s.Compute = &Compute{View: words[1], Function: words[5]}
		return noBlock(block)
	case match("load", "*", "into", "*"), match("load", "*", "into", "*", "replacing", "*"):
		s.Load = &Load{Name: words[1], Source: words[3]}
		if len(words) == 6 {
			s.Load.Replaces = words[5]
		}
		s.Load.Table, err = table(block, false)
		return err
	case match("retract", "*"):
		s.Retract = &Retract{Load: words[1]}
		return noBlock(block)
	case match("clock", "*"):
		s.Clock = &Clock{}
		if s.Clock.At, err = ParseTime(words[1]); err != nil {
			return err
		}
		return noBlock(block)
	case words[0] == "materialize":
		return s.parseMaterialize(command, block, unknown)
	case words[0] == "spine":
		return s.parseSpine(command, block, unknown)
	case match("online", "*"):
		s.Ask = &Ask{Views: words[1:], Online: true}
		s.Ask.Table, err = table(block, false)
		return err
	}
	return unknown
}

func (s *Step) parseSpine(command []Cell, block []line, unknown error) (err error) {
	s.Ask = &Ask{}
	rest := command[1:]
	if n := len(rest); n > 3 && rest[n-3].is("as") && rest[n-2].is("of") {
		p, err := strconv.ParseInt(rest[n-1].Text, 10, 64)
		if err != nil || p < 0 {
			return fmt.Errorf("found the position %q, expected a number", rest[n-1].Text)
		}
		s.Ask.Position, rest = &p, rest[:n-3]
	}
	if len(rest) == 0 {
		return unknown
	}
	for _, view := range rest {
		s.Ask.Views = append(s.Ask.Views, view.Text)
	}
	s.Ask.Table, err = table(block, true)
	return err
}

func (s *Step) parseMaterialize(command []Cell, block []line, unknown error) error {
	if len(command) < 2 {
		return unknown
	}
	m := &Materialize{View: command[1].Text, Ledger: map[string]int64{}}
	s.Materialize = m
	rest := command[2:]
	if len(rest) >= 4 && rest[0].is("from") && rest[2].is("to") {
		from, err := ParseTime(rest[1].Text)
		if err != nil {
			return err
		}
		to, err := ParseTime(rest[3].Text)
		if err != nil {
			return err
		}
		m.From, m.To, rest = &from, &to, rest[4:]
	}
	if len(rest) == 2 && rest[0].is("fails") && rest[1].Text != "" {
		m.Fails = rest[1].Text
		return noBlock(block)
	}
	if len(rest) > 0 {
		return unknown
	}
	for _, l := range block {
		list, err := cells(l.text)
		if err != nil || len(list)%2 != 0 {
			return fmt.Errorf("line %d: found %q, expected counts such as `produced 3 live 3`", l.number, l.text)
		}
		for ; len(list) > 0; list = list[2:] {
			n, err := strconv.ParseInt(list[1].Text, 10, 64)
			if err != nil {
				return fmt.Errorf("line %d: found %q, expected a number", l.number, list[1].Text)
			}
			m.Ledger[list[0].Text] = n
		}
	}
	if len(m.Ledger) == 0 {
		return fmt.Errorf("found no counts, expected the run's ledger, such as `produced 3 live 3`")
	}
	return nil
}

func noBlock(block []line) error {
	for _, l := range block {
		if list, err := cells(l.text); err != nil || len(list) > 0 {
			return fmt.Errorf("line %d: found %q, expected no block", l.number, l.text)
		}
	}
	return nil
}

func table(block []line, mayBeEmpty bool) (Table, error) {
	var t Table
	for _, l := range block {
		list, err := cells(l.text)
		switch {
		case err != nil:
			return t, fmt.Errorf("line %d: %w", l.number, err)
		case len(list) == 0:
		case t.Header == nil:
			t.Line, t.Header = l.number, list
		default:
			t.Rows = append(t.Rows, TableRow{Line: l.number, Cells: list})
		}
	}
	if t.Header == nil || len(t.Rows) == 0 && !mayBeEmpty {
		return t, fmt.Errorf("found no rows, expected a line of column names and rows below it")
	}
	return t, nil
}

// start is where short times count from.
var start = feature.TimeOf(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC))

var shortTime = regexp.MustCompile(`^(\d+):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?$`)

// ParseTime reads `HH:MM[:SS[.ffffff]]`, counted from the start of 2024 in UTC, with as many hours as there are, or RFC 3339.
func ParseTime(s string) (feature.Time, error) {
	parts := shortTime.FindStringSubmatch(s)
	if parts == nil {
		t, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			return 0, fmt.Errorf("found the time %q, expected HH:MM[:SS[.ffffff]] or one such as 2024-01-01T00:00:00Z", s)
		}
		return feature.TimeOf(t), nil
	}
	var n [4]int64
	parts[4] += "000000"[:6-len(parts[4])]
	for i := range n {
		// The pattern leaves digits, or nothing, which is zero.
		n[i], _ = strconv.ParseInt(parts[i+1], 10, 64)
	}
	return start + feature.Time(((n[0]*60+n[1])*60+n[2])*1_000_000+n[3]), nil
}

// ParseValue reads a cell as a value of a column. NULL without quotes is NULL, of any type.
func ParseValue(t feature.Type, c Cell) (feature.Value, error) {
	if c.is("NULL") {
		return feature.Null(), nil
	}
	switch t {
	case feature.TypeString:
		return feature.String(c.Text), nil
	case feature.TypeTimestamp:
		at, err := ParseTime(c.Text)
		return feature.Timestamp(at), err
	case feature.TypeBool:
		b, err := strconv.ParseBool(c.Text)
		return feature.Bool(b), err
	case feature.TypeInt64:
		n, err := strconv.ParseInt(c.Text, 10, 64)
		return feature.Int64(n), err
	case feature.TypeFloat64:
		f, err := strconv.ParseFloat(c.Text, 64)
		return feature.Float64(f), err
	}
	switch t.Kind() {
	case feature.TypeBytes:
		return feature.Bytes(c.Text), nil
	case feature.TypeDecimal:
		return feature.ParseDecimal(t, c.Text)
	}
	return parseElements(t, c.Text)
}

// parseElements reads the elements of a list or vector, each as a cell, between brackets.
func parseElements(t feature.Type, text string) (feature.Value, error) {
	inner, begins := strings.CutPrefix(text, "[")
	inner, ends := strings.CutSuffix(inner, "]")
	if !begins || !ends {
		return feature.Null(), fmt.Errorf("found %q, expected elements in brackets", text)
	}
	list, err := cells(inner)
	if err != nil {
		return feature.Null(), err
	}
	elements, floats := make([]feature.Value, len(list)), make([]float32, len(list))
	for i, c := range list {
		elem := t.Elem()
		if !t.IsList() {
			elem = feature.TypeFloat64
		}
		if elements[i], err = ParseValue(elem, c); err != nil {
			return feature.Null(), err
		}
		floats[i] = float32(elements[i].Float64())
	}
	if t.IsList() {
		return feature.List(t, elements)
	}
	return feature.Vector(t, floats)
}
