package feature

import (
	"slices"
	"strings"
)

// maxSuggested is how long a name may be that others are compared to, and that is shown: twice as long as names are. The
// work grows with the square of it.
const maxSuggested = 100

// Nearest is the candidate that a reader would most likely have meant by name, and whether there is one: its distance in
// letters put in, left out, changed or swapped is at most a third of the name's length. Of equals, the first.
func Nearest(name string, candidates []string) (string, bool) {
	best, limit := "", max(1, len(name)/3)
	if len(name) > maxSuggested {
		return "", false
	}
	for _, c := range candidates {
		if d := distance(strings.ToLower(name), strings.ToLower(c), limit); d <= limit {
			best, limit = c, d-1
		}
	}
	return best, best != ""
}

// distance is the optimal string alignment distance of a and b, or more than limit when it exceeds limit.
func distance(a, b string, limit int) int {
	if len(a)-len(b) > limit || len(b)-len(a) > limit {
		return limit + 1
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		least := i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
			least = min(least, row[j])
		}
		if least > limit {
			return limit + 1
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

// didYouMean is the end of a message about a name that nothing has: the near one, or all there are when they are few.
func didYouMean(name string, candidates []string) string {
	if near, ok := Nearest(name, candidates); ok {
		return "; did you mean " + near + "?"
	}
	tooLong := func(c string) bool { return len(c) > maxSuggested }
	switch n := len(candidates); {
	case n == 0, slices.ContainsFunc(candidates, tooLong):
		return ""
	case n <= 8:
		return "; there is " + strings.Join(candidates, ", ")
	}
	return ""
}
