package access

import (
	"math"
	"math/big"
	"math/bits"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/headwaterhq/headwater/feature"
)

// Strictest is the mask that holds for values of a type, of several: the one that hides most, by the order of their kinds; of
// several of one kind the first. One that does not fit the type shows NULL, so that no second mask shows more than the
// first would alone. nil: there is none.
func Strictest(masks []*feature.Mask, t feature.Type) *feature.Mask {
	rank := func(m *feature.Mask) feature.MaskKind {
		if !m.Fits(t) {
			return feature.MaskRedact
		}
		return m.Kind
	}
	var strictest *feature.Mask
	for _, m := range masks {
		if strictest == nil || rank(m) < rank(strictest) {
			strictest = m
		}
	}
	return strictest
}

// CompileMask makes a mask a function of values of one type. What it returns is of that type or NULL; NULL stays NULL, equal
// values become equal ones, and of a type that the mask does not fit all values become NULL, as do those for which what is to be
// shown does not fit into the type. The secret and the purpose are those of hashes: without a secret there is none, and every
// value is NULL. The function may be used concurrently.
func CompileMask(m *feature.Mask, t feature.Type, secret MaskSecret, purpose string) func(feature.Value) feature.Value {
	var mask func(feature.Value) feature.Value
	if m.Fits(t) {
		switch m.Kind {
		case feature.MaskConstant:
			// It fits.
			constant, _ := feature.ValueOf(m.Constant, t)
			mask = func(feature.Value) feature.Value { return constant }
		case feature.MaskHash:
			mask = hashMask(m, t, secret, purpose)
		case feature.MaskPartial:
			mask = valueMask(t, partialMask(m))
		case feature.MaskBucket:
			mask = bucketMask(m, t)
		case feature.MaskRound:
			mask = roundMask(m, t)
		case feature.MaskTruncate:
			mask = truncateMask(m)
		}
	}
	if mask == nil {
		return func(feature.Value) feature.Value { return feature.Null() }
	}
	return func(v feature.Value) feature.Value {
		if v.Type() != t {
			return feature.Null()
		}
		return mask(v)
	}
}

// compileTextMask is what CompileMask does to texts, or to bytes, appended. nil: the values are no texts, or the mask may show NULL or a constant.
func compileTextMask(m *feature.Mask, t feature.Type, secret MaskSecret, purpose string) func(dst []byte, text string) []byte {
	if t != feature.TypeString && t != feature.TypeBytes || !m.Fits(t) {
		return nil
	}
	switch {
	case m.Kind == feature.MaskHash && secret.secret != "":
		return hashTexts(m, t, secret, purpose)
	case m.Kind == feature.MaskPartial:
		return partialMask(m)
	}
	return nil
}

// maskedTexts is memory for one masked text at a time.
var maskedTexts sync.Pool

// valueMask makes a mask of values of one that appends texts.
func valueMask(t feature.Type, appendTo func(dst []byte, text string) []byte) func(feature.Value) feature.Value {
	return func(v feature.Value) feature.Value {
		b, _ := maskedTexts.Get().(*[]byte)
		if b == nil {
			b = new([]byte)
		}
		*b = appendTo((*b)[:0], v.Str())
		masked := string(*b)
		if cap(*b) <= maxKeptBuffer {
			maskedTexts.Put(b)
		}
		if t == feature.TypeBytes {
			return feature.Bytes(masked)
		}
		return feature.String(masked)
	}
}

// partialMask hides characters, which are Unicode's code points: a letter and a mark that stands above it may be two.
func partialMask(m *feature.Mask) func(dst []byte, text string) []byte {
	with := m.With
	if with == "" {
		with = "*"
	}
	return func(dst []byte, text string) []byte {
		n := utf8.RuneCountInString(text)
		from, to := 0, len(text)
		hidden := n
		if n > m.First+m.Last {
			hidden = n - m.First - m.Last
			for range m.First {
				_, size := utf8.DecodeRuneInString(text[from:])
				from += size
			}
			for range m.Last {
				_, size := utf8.DecodeLastRuneInString(text[:to])
				to -= size
			}
		} else {
			to, text = 0, ""
		}
		dst = append(dst, text[:from]...)
		for range hidden {
			dst = append(dst, with...)
		}
		return append(dst, text[to:]...)
	}
}

func roundMask(m *feature.Mask, t feature.Type) func(feature.Value) feature.Value {
	to, ok := feature.ExactNumber(m.To)
	if !ok || to.Sign() <= 0 {
		return nil
	}
	switch t.Kind() {
	case feature.TypeFloat64:
		return roundFloat(to)
	case feature.TypeInt64:
		// Whole multiples of a fraction in lowest terms are the multiples of its numerator.
		step := to.Num()
		return func(v feature.Value) feature.Value {
			if n, ok := roundInt64(v.Int64(), step); ok {
				return feature.Int64(n)
			}
			return feature.Null()
		}
	}
	step := new(big.Rat).Mul(to, new(big.Rat).SetInt(power(10, t.Scale()))).Num()
	return func(v feature.Value) feature.Value {
		c := v.Decimal()
		if small, fits := c.Int64(); fits {
			if n, ok := roundInt64(small, step); ok {
				return decimalOrNull(t, feature.Int128Of(n))
			}
		}
		if rounded, fits := feature.Int128OfBig(roundBig(c.Big(), step)); fits {
			return decimalOrNull(t, rounded)
		}
		return feature.Null()
	}
}

func decimalOrNull(t feature.Type, c feature.Int128) feature.Value {
	v, err := feature.Decimal(t, c)
	if err != nil {
		return feature.Null()
	}
	return v
}

func power(base, exponent int) *big.Int {
	return new(big.Int).Exp(big.NewInt(int64(base)), big.NewInt(int64(exponent)), nil)
}

// roundInt64 is the multiple of step that is nearest to n, halves away from zero; not ok: it is no int64.
func roundInt64(n int64, step *big.Int) (rounded int64, ok bool) {
	magnitude := uint64(n)
	if n < 0 {
		magnitude = -magnitude
	}
	if !step.IsUint64() {
		// More than twice as large as any int64 but for one, the least: whose half away from zero is no int64.
		return 0, n != math.MinInt64 || step.BitLen() > 65 || step.TrailingZeroBits() != 64
	}
	s := step.Uint64()
	q, r := magnitude/s, magnitude%s
	if r >= s-r {
		q++
	}
	high, low := bits.Mul64(q, s)
	switch {
	case high != 0 || low > 1<<63 || low == 1<<63 && n >= 0:
		return 0, false
	case n < 0:
		return -int64(low), true
	}
	return int64(low), true
}

// roundBig is roundInt64 without bounds.
func roundBig(n, step *big.Int) *big.Int {
	q, r := new(big.Int).QuoRem(n, step, new(big.Int))
	if r.Lsh(r, 1).CmpAbs(step) >= 0 {
		q.Add(q, big.NewInt(int64(n.Sign())))
	}
	return q.Mul(q, step)
}

// roundFloat rounds to multiples of to as the floats nearest to them. NaN and the infinities stay.
func roundFloat(to *big.Rat) func(feature.Value) feature.Value {
	const exact = 1 << 53
	p, _ := new(big.Float).SetInt(to.Num()).Float64()
	q, _ := new(big.Float).SetInt(to.Denom()).Float64()
	// Up to plain the quotient is far from where floats have no halves left, and beyond whole all floats are as near to a
	// multiple as can be told.
	plain, whole := math.Ldexp(p/q, 40), math.Ldexp(p/q, 54)
	if p >= exact || q >= exact {
		plain = 0
	}
	return func(v feature.Value) feature.Value {
		x := v.Float64()
		switch size := math.Abs(x); {
		case math.IsNaN(x) || size >= whole:
			return v
		case size < plain:
			// Adding zero leaves no negative zero.
			return feature.Float64(math.Round(x*q/p)*p/q + 0)
		}
		quotient := new(big.Rat).SetFloat64(x)
		quotient.Quo(quotient, to)
		multiple := new(big.Rat).SetInt(roundBig(quotient.Num(), quotient.Denom()))
		multiple.Quo(multiple, new(big.Rat).SetInt(quotient.Denom()))
		f, _ := multiple.Mul(multiple, to).Float64()
		return feature.Float64(f)
	}
}

// bucketMask shows the greatest bound that a value is not below. Of types without fractions, or with few digits of one, it is
// the least value that is not below the bound.
func bucketMask(m *feature.Mask, t feature.Type) func(feature.Value) feature.Value {
	bounds := make([]*big.Rat, len(m.Bounds))
	for i, text := range m.Bounds {
		var ok bool
		if bounds[i], ok = feature.ExactNumber(text); !ok {
			return nil
		}
	}
	if t.Kind() == feature.TypeFloat64 {
		floats := make([]float64, len(bounds))
		for i, b := range bounds {
			floats[i], _ = b.Float64()
		}
		return func(v feature.Value) feature.Value {
			// NaN is below all.
			if at := floor(floats, v.Float64(), func(a, b float64) bool { return a <= b }); at >= 0 {
				return feature.Float64(floats[at])
			}
			return feature.Null()
		}
	}
	scale := new(big.Rat).SetInt(power(10, t.Scale()))
	units := make([]feature.Int128, 0, len(bounds))
	shown := make([]feature.Value, 0, len(bounds))
	for _, b := range bounds {
		unit, fits := feature.Int128OfBig(ceil(new(big.Rat).Mul(b, scale)))
		if !fits && b.Sign() > 0 {
			break
		}
		value := feature.Null()
		if !fits {
			unit = feature.Int128{Hi: math.MinInt64}
		} else if n, small := unit.Int64(); t == feature.TypeInt64 && small {
			value = feature.Int64(n)
		} else if t != feature.TypeInt64 {
			value = decimalOrNull(t, unit)
		}
		units, shown = append(units, unit), append(shown, value)
	}
	decimal := t != feature.TypeInt64
	return func(v feature.Value) feature.Value {
		var c feature.Int128
		if decimal {
			c = v.Decimal()
		} else {
			c = feature.Int128Of(v.Int64())
		}
		if at := floor(units, c, func(a, b feature.Int128) bool { return a.Compare(b) <= 0 }); at >= 0 {
			return shown[at]
		}
		return feature.Null()
	}
}

// floor is the last of ascending bounds that is not above x, or -1.
func floor[T any](bounds []T, x T, notAbove func(bound, x T) bool) int {
	low, high := 0, len(bounds)
	for low < high {
		if middle := (low + high) / 2; notAbove(bounds[middle], x) {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low - 1
}

// ceil is the least whole number that is not below r.
func ceil(r *big.Rat) *big.Int {
	q, remainder := new(big.Int).QuoRem(r.Num(), r.Denom(), new(big.Int))
	if remainder.Sign() > 0 {
		q.Add(q, big.NewInt(1))
	}
	return q
}

func truncateMask(m *feature.Mask) func(feature.Value) feature.Value {
	var begin func(feature.Time) (feature.Time, bool)
	switch m.To {
	case "minute":
		begin = multiplesOf(time.Minute, 0)
	case "hour":
		begin = multiplesOf(time.Hour, 0)
	case "day":
		begin = multiplesOf(24*time.Hour, 0)
	case "week":
		// The epoch was a Thursday.
		begin = multiplesOf(7*24*time.Hour, 3*24*time.Hour)
	case "month":
		begin = monthsOf(1)
	case "quarter":
		begin = monthsOf(3)
	case "year":
		begin = monthsOf(12)
	default:
		return nil
	}
	return func(v feature.Value) feature.Value {
		if t, ok := begin(v.Timestamp()); ok {
			return feature.Timestamp(t)
		}
		return feature.Null()
	}
}

// multiplesOf finds the beginning of a unit of one length, of which one begins so long before the epoch. Not ok: it is before
// the first instant.
func multiplesOf(length, before time.Duration) func(feature.Time) (feature.Time, bool) {
	step := length.Microseconds()
	return func(t feature.Time) (feature.Time, bool) {
		since := (int64(t)%step + step + before.Microseconds()) % step
		begin := t - feature.Time(since)
		return begin, begin <= t
	}
}

// monthsOf finds the beginning of a unit of so many months, counted from January.
func monthsOf(months int) func(feature.Time) (feature.Time, bool) {
	return func(t feature.Time) (feature.Time, bool) {
		year, month, _ := t.Time().Date()
		first := time.Date(year, month-(month-1)%time.Month(months), 1, 0, 0, 0, 0, time.UTC).Unix()
		if first < math.MinInt64/1_000_000 {
			return 0, false
		}
		return feature.Time(first * 1_000_000), true
	}
}

// MaskKeys are the names of the keys that masks hash by, sorted, each once.
func MaskKeys(masks []*feature.Mask) []string {
	var names []string
	for _, m := range masks {
		if m.Kind == feature.MaskHash && !slices.Contains(names, m.Key) {
			names = append(names, m.Key)
		}
	}
	slices.Sort(names)
	return names
}
