package tabular

import (
	"math"
	"strconv"
	"strings"

	"github.com/headwaterhq/headwater/feature"
)

// guess is what one column's values can be read as, of those seen so far.
type guess struct {
	seen bool
	// not marks the types that some value does not fit.
	not [feature.TypeTimestamp + 1]bool
}

// guessOrder is the order in which types are preferred.
var guessOrder = [...]feature.Type{feature.TypeInt64, feature.TypeFloat64, feature.TypeBool, feature.TypeTimestamp}

func (g *guess) fits(types ...feature.Type) {
	g.seen = true
	var fit [feature.TypeTimestamp + 1]bool
	for _, t := range types {
		fit[t] = true
	}
	for _, t := range guessOrder {
		g.not[t] = g.not[t] || !fit[t]
	}
}

// text takes one cell into account. An empty one is NULL and says nothing.
func (g *guess) text(s string) {
	switch {
	case s == "":
	case g.seen && g.result() == feature.TypeString:
	case strings.EqualFold(s, "true") || strings.EqualFold(s, "false"):
		g.fits(feature.TypeBool)
	case isNumeral(s):
		g.number(s)
	case isSpecialFloat(s):
		g.fits(feature.TypeFloat64)
	default:
		if _, err := ParseTimestamp(s); err == nil {
			g.fits(feature.TypeTimestamp)
		} else {
			g.fits()
		}
	}
}

// exactInFloat is the greatest integer up to which every integer is a float64.
const exactInFloat = 1 << 53

// number takes a numeral without superfluous zeros into account. What neither int64 nor float64 holds exactly as an
// integer is text: such columns are identifiers.
func (g *guess) number(s string) {
	if strings.ContainsAny(s, ".eE") {
		if _, ok := parseFloat(s); ok {
			g.fits(feature.TypeFloat64)
		} else {
			g.fits()
		}
		return
	}
	n, err := strconv.ParseInt(s, 10, 64)
	switch {
	case err != nil:
		g.fits()
	case n > exactInFloat || n < -exactInFloat:
		g.fits(feature.TypeInt64)
	default:
		g.fits(feature.TypeInt64, feature.TypeFloat64)
	}
}

func (g *guess) result() feature.Type {
	if g.seen {
		for _, t := range guessOrder {
			if !g.not[t] {
				return t
			}
		}
	}
	return feature.TypeString
}

// isNumeral reports whether s is a number as JSON writes it: no leading zeros, no plus sign.
func isNumeral(s string) bool {
	s = strings.TrimPrefix(s, "-")
	whole := countDigits(s)
	if whole == 0 || (whole > 1 && s[0] == '0') {
		return false
	}
	s = s[whole:]
	if after, ok := strings.CutPrefix(s, "."); ok {
		n := countDigits(after)
		if n == 0 {
			return false
		}
		s = after[n:]
	}
	if s == "" {
		return true
	}
	if s[0] != 'e' && s[0] != 'E' {
		return false
	}
	s = s[1:]
	if s != "" && (s[0] == '+' || s[0] == '-') {
		s = s[1:]
	}
	return s != "" && countDigits(s) == len(s)
}

func countDigits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}

func isSpecialFloat(s string) bool {
	f, ok := parseFloat(s)
	return ok && (math.IsNaN(f) || math.IsInf(f, 0))
}
