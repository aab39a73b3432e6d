package retention

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/headwaterhq/headwater/feature"
)

// Mark stands for what an erasure took out of a text.
const Mark = "[erased]"

// minNaming is the characters of a value of a key from which on it is looked for in texts that people and programs chose: what is shorter
// is in too many of them by chance.
const minNaming = 4

// Named reports whether a text has the text of one of the values as a word of its own.
func Named(text string, values []feature.Value) bool {
	for _, v := range values {
		if _, named := mark(text, v.Text()); named {
			return true
		}
	}
	return false
}

// Redact puts Mark in the place of the key, where a text that somebody chose, such as the name of a file, has it as a word, or in an SQL
// literal. With several join keys, all of them have to be in the text. changed is false where it does not, and for a key of which all
// values are shorter than four characters.
func (t *Trace) Redact(text string) (redacted string, changed bool) {
	redacted, long := text, false
	for _, v := range t.Values {
		value := v.Text()
		long = long || utf8.RuneCountInString(value) >= minNaming
		var named, quoted bool
		redacted, named = mark(redacted, value)
		if literal := strings.ReplaceAll(value, "'", "''"); literal != value {
			redacted, quoted = mark(redacted, literal)
		}
		if !named && !quoted {
			return text, false
		}
	}
	if !long {
		return text, false
	}
	return redacted, true
}

// mark puts Mark in the place of a value where it is a word of its own.
func mark(text, value string) (marked string, named bool) {
	if value == "" {
		return text, false
	}
	wordy := func(r rune) bool { return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r)) }
	var b strings.Builder
	rest := text
	for from := 0; ; {
		i := strings.Index(rest[from:], value)
		if i < 0 {
			break
		}
		i += from
		end := i + len(value)
		before, _ := utf8.DecodeLastRuneInString(text[:len(text)-len(rest)+i])
		after, size := utf8.DecodeRuneInString(rest[end:])
		if wordy(before) || wordy(after) && size > 0 {
			_, size = utf8.DecodeRuneInString(rest[i:])
			from = i + size
			continue
		}
		b.WriteString(rest[:i])
		b.WriteString(Mark)
		rest, from, named = rest[end:], 0, true
	}
	b.WriteString(rest)
	return b.String(), named
}
