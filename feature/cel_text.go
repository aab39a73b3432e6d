package feature

import "strings"

// canonicalCEL is an expression without comments and without white space that separates nothing: layout means nothing. It
// need not be CEL.
func canonicalCEL(s string) string {
	var b strings.Builder
	word := func(c byte) bool {
		return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
	}
	gap := false
	for i := 0; i < len(s); {
		end := i + 1
		switch c := s[i]; {
		case strings.IndexByte(" \t\r\n\f", c) >= 0:
			gap, i = true, end
			continue
		case strings.HasPrefix(s[i:], "//"):
			for end < len(s) && s[end] != '\n' {
				end++
			}
			gap, i = true, end
			continue
		case c == '"' || c == '\'':
			end = i + celText(s[i:], celRaw(b.String(), gap))
		}
		// Between other tokens a gap makes no difference, but a text may not be taken for one with a prefix.
		if last := b.Len() - 1; gap && last >= 0 {
			if before := b.String()[last]; word(before) && (word(s[i]) || s[i] == '"' || s[i] == '\'') {
				b.WriteByte(' ')
			}
		}
		gap = false
		b.WriteString(s[i:end])
		i = end
	}
	return b.String()
}

// celRaw reports whether the text that follows what is before it is a raw one.
func celRaw(before string, gap bool) bool {
	if gap {
		return false
	}
	prefix := before[len(strings.TrimRight(before, "rRbB")):]
	return strings.ContainsAny(prefix, "rR")
}

// celText is the length of the text in quotes that s begins with, or of all of s when it does not end.
func celText(s string, raw bool) int {
	quote := s[:1]
	if len(s) >= 3 && s[1] == s[0] && s[2] == s[0] {
		quote = s[:3]
	}
	for i := len(quote); i < len(s); i++ {
		switch {
		case s[i] == '\\' && !raw:
			i++
		case strings.HasPrefix(s[i:], quote):
			return i + len(quote)
		}
	}
	return len(s)
}
