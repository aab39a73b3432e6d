package tabular

import (
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/headwaterhq/headwater/feature"
)

const (
	timestampForms = "a timestamp such as 2001-01-31T10:05:00Z, 2001-01-31 10:05:00.25 or 2001-01-31 (UTC where no offset is given)"
	// maxQuoted bounds what messages repeat of a file.
	maxQuoted = 60
)

// quote is s for a message.
func quote(s string) string {
	if len(s) > maxQuoted {
		return strconv.Quote(s[:maxQuoted]) + "…"
	}
	return strconv.Quote(s)
}

// shorten is a name for a message, unless it is long.
func shorten(name string) string {
	if len(name) > maxQuoted {
		return quote(name)
	}
	return name
}

// parseText reads the text of one value: `true` or `false` (any case; also t, f, 1, 0), a decimal integer, a decimal
// number or NaN, Inf, -Inf, any text, a timestamp, bytes in base64, or a list or vector as JSON. The error says what was found
// and what was expected.
func parseText(t feature.Type, s string) (feature.Value, error) {
	switch t.Kind() {
	case feature.TypeBool:
		switch {
		case strings.EqualFold(s, "true"), strings.EqualFold(s, "t"), s == "1":
			return feature.Bool(true), nil
		case strings.EqualFold(s, "false"), strings.EqualFold(s, "f"), s == "0":
			return feature.Bool(false), nil
		}
		return feature.Null(), fmt.Errorf("found %s, expected a bool: true or false", quote(s))
	case feature.TypeInt64:
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return feature.Null(), fmt.Errorf("found %s, expected an int64: a whole number from %d to %d",
				quote(s), int64(math.MinInt64), int64(math.MaxInt64))
		}
		return feature.Int64(n), nil
	case feature.TypeFloat64:
		f, ok := parseFloat(s)
		if !ok {
			return feature.Null(), fmt.Errorf("found %s, expected a float64: a number such as -3.5 or 1e6", quote(s))
		}
		return feature.Float64(f), nil
	case feature.TypeString:
		if err := checkText(s); err != nil {
			return feature.Null(), err
		}
		return feature.String(s), nil
	case feature.TypeTimestamp:
		at, err := ParseTimestamp(s)
		return feature.Timestamp(at), err
	case feature.TypeDecimal:
		return feature.ParseDecimal(t, s)
	case feature.TypeBytes:
		b, err := base64.StdEncoding.Strict().DecodeString(s)
		if err != nil || strings.ContainsAny(s, "\r\n") {
			return feature.Null(), fmt.Errorf("found %s, expected bytes in base64, such as AP8=", quote(s))
		}
		return feature.Bytes(string(b)), nil
	case feature.TypeList, feature.TypeVector:
		return parseArray(t, s)
	}
	panic("tabular: no text of type " + t.String())
}

func checkText(s string) error {
	if strings.IndexByte(s, 0) >= 0 {
		return fmt.Errorf("found a NUL character in %s, expected text without one", quote(s))
	}
	if feature.CheckText(s) != nil {
		return fmt.Errorf("found bytes that are not UTF-8 in %s, expected UTF-8; convert the file", quote(s))
	}
	return nil
}

// parseFloat is narrower than strconv's: no hexadecimal, no underscores, no overflow to infinity.
func parseFloat(s string) (float64, bool) {
	switch strings.ToLower(s) {
	case "nan":
		return math.NaN(), true
	case "inf", "+inf", "infinity", "+infinity":
		return math.Inf(1), true
	case "-inf", "-infinity":
		return math.Inf(-1), true
	}
	if strings.Trim(s, "0123456789+-.eE") != "" {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil
}

// ParseTimestamp reads RFC 3339, or `YYYY-MM-DD HH:MM[:SS[.ffffff]]` with `T` or a space and perhaps an offset, or a date
// alone. Without an offset the time is UTC. Fractions finer than a microsecond are an error, never rounded.
func ParseTimestamp(s string) (feature.Time, error) {
	bad := func() (feature.Time, error) {
		return 0, fmt.Errorf("found %s, expected %s", quote(s), timestampForms)
	}
	p := timestampParser{rest: s}
	year, month, day := p.digits(4), p.after('-', 2), p.after('-', 2)
	var hour, minute, second, micros int
	var offset time.Duration
	if p.ok() && p.rest != "" {
		if c := p.rest[0]; c != 'T' && c != 't' && c != ' ' {
			return bad()
		}
		p.rest = p.rest[1:]
		hour, minute = p.digits(2), p.after(':', 2)
		if p.peek() == ':' {
			second = p.after(':', 2)
			if p.peek() == '.' {
				var exact bool
				if micros, exact = p.fraction(); p.ok() && !exact {
					return 0, fmt.Errorf("found %s, with more than microseconds; expected at most six digits after the point", quote(s))
				}
			}
		}
		offset = p.offset()
	}
	if !p.ok() || p.rest != "" || year < 1 || hour > 23 || minute > 59 || second > 59 {
		return bad()
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, micros*1000, time.UTC)
	if t.Day() != day || int(t.Month()) != month {
		return bad()
	}
	return feature.TimeOf(t.Add(-offset)), nil
}

// timestampParser takes text apart from the left; once something does not fit, it stays failed.
type timestampParser struct {
	rest   string
	failed bool
}

func (p *timestampParser) ok() bool { return !p.failed }

func (p *timestampParser) peek() byte {
	if p.failed || p.rest == "" {
		return 0
	}
	return p.rest[0]
}

func (p *timestampParser) digits(n int) int {
	if p.failed || len(p.rest) < n {
		p.failed = true
		return 0
	}
	v := 0
	for i := range n {
		c := p.rest[i]
		if c < '0' || c > '9' {
			p.failed = true
			return 0
		}
		v = v*10 + int(c-'0')
	}
	p.rest = p.rest[n:]
	return v
}

func (p *timestampParser) after(sep byte, n int) int {
	if p.peek() != sep {
		p.failed = true
		return 0
	}
	p.rest = p.rest[1:]
	return p.digits(n)
}

// fraction reads `.` and digits; exact is false when they say more than microseconds.
func (p *timestampParser) fraction() (micros int, exact bool) {
	p.rest = p.rest[1:]
	n := 0
	for n < len(p.rest) && p.rest[n] >= '0' && p.rest[n] <= '9' {
		n++
	}
	if n == 0 {
		p.failed = true
		return 0, true
	}
	digits := p.rest[:n]
	p.rest = p.rest[n:]
	if n > 6 {
		exact = strings.Trim(digits[6:], "0") == ""
		digits = digits[:6]
	} else {
		exact = true
	}
	micros, _ = strconv.Atoi(digits + "000000"[len(digits):])
	return micros, exact
}

// offset reads nothing, `Z`, or `+HH`, `+HHMM` or `+HH:MM` with either sign.
func (p *timestampParser) offset() time.Duration {
	switch p.peek() {
	case 'Z', 'z':
		p.rest = p.rest[1:]
	case '+', '-':
		sign := time.Duration(1)
		if p.rest[0] == '-' {
			sign = -1
		}
		p.rest = p.rest[1:]
		hours, minutes := p.digits(2), 0
		if p.peek() == ':' {
			minutes = p.after(':', 2)
		} else if p.peek() != 0 {
			minutes = p.digits(2)
		}
		if hours > 23 || minutes > 59 {
			p.failed = true
		}
		return sign * (time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute)
	}
	return 0
}
