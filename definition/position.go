package definition

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// locate is the node that a field path such as `feature_views[0].sql.query` names, or the nearest that holds it, and
// whether it is the one named. nil for a document without content.
func (d *document) locate(field string) (n *yaml.Node, exact bool) {
	n = d.root
	for field != "" && n != nil {
		var step string
		switch {
		case strings.HasPrefix(field, `["`):
			key, rest, ok := subscript(field)
			value := valueOf(n, key)
			if !ok || value == nil {
				return n, false
			}
			n, field = value, rest
		case field[0] == '[':
			step, field, _ = strings.Cut(field[1:], "]")
			i, err := strconv.Atoi(step)
			if err != nil || n.Kind != yaml.SequenceNode || i < 0 || i >= len(n.Content) {
				return n, false
			}
			n = n.Content[i]
		default:
			field = strings.TrimPrefix(field, ".")
			end := strings.IndexAny(field, ".[")
			if end < 0 {
				end = len(field)
			}
			step, field = field[:end], field[end:]
			value := valueOf(n, step)
			if value == nil {
				return n, false
			}
			n = value
		}
	}
	return n, n != nil
}

// subscript takes the key of a map off a path: `["a.b"].c`.
func subscript(field string) (key, rest string, ok bool) {
	quoted, err := strconv.QuotedPrefix(field[1:])
	if err != nil || !strings.HasPrefix(field[1+len(quoted):], "]") {
		return "", "", false
	}
	key, err = strconv.Unquote(quoted)
	return key, field[len(quoted)+2:], err == nil
}

func valueOf(n *yaml.Node, key string) *yaml.Node {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// place is the line and column of a field, or of the nearest that holds it. With a line and column inside the text of the
// field it is that place, as near as the way the text is written lets it be told; exact says that it is.
func (d *document) place(field string, line, column int) (atLine, atColumn int, exact bool) {
	n, exact := d.locate(field)
	switch {
	case n == nil:
		return 1, 1, false
	case line == 0 || !exact:
		return n.Line, n.Column, exact
	}
	return d.inside(n, line, column)
}

// inside is the place in the file of a line and column in the value of a scalar.
func (d *document) inside(n *yaml.Node, line, column int) (atLine, atColumn int, exact bool) {
	value := strings.Split(n.Value, "\n")
	if line > len(value) {
		return n.Line, n.Column, false
	}
	switch {
	case n.Style&yaml.LiteralStyle != 0:
		// The text begins in the line after the indicator, every line behind the same indentation.
		if indent, ok := d.indentation(n.Line, value); ok {
			return n.Line + line, indent + column, true
		}
	case n.Style&yaml.FoldedStyle != 0:
	case len(value) == 1 && n.Line <= len(d.lines):
		start := n.Column - 1
		if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
			start++
		}
		// Where nothing was escaped or folded, the value stands in the file as it is.
		if rest := skipRunes(d.lines[n.Line-1], start); strings.HasPrefix(rest, n.Value) {
			return n.Line, start + column, true
		}
	}
	return n.Line, n.Column, false
}

// indentation is how many characters stand before each line of a literal block that begins after a line.
func (d *document) indentation(after int, value []string) (int, bool) {
	for i, text := range value {
		if strings.TrimSpace(text) == "" {
			continue
		}
		if after+i >= len(d.lines) {
			return 0, false
		}
		raw := strings.TrimRight(d.lines[after+i], "\r\n\u0085")
		if !strings.HasSuffix(raw, text) {
			return 0, false
		}
		return utf8.RuneCountInString(raw) - utf8.RuneCountInString(text), true
	}
	return 0, false
}

func skipRunes(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[i:]
		}
		n--
	}
	return ""
}
