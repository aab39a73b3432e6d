package feature

import "strings"

// MatchesPattern reports whether a name matches a pattern, in which `*` stands for any run of characters.
func MatchesPattern(pattern, name string) bool {
	before, rest, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == name
	}
	name, found := strings.CutPrefix(name, before)
	if !found {
		return false
	}
	for {
		part, after, more := strings.Cut(rest, "*")
		if !more {
			return strings.HasSuffix(name, part)
		}
		// The leftmost place for a part leaves the most for those after it.
		_, left, found := strings.Cut(name, part)
		if !found {
			return false
		}
		name, rest = left, after
	}
}
