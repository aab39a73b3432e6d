package feature

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"math/bits"
	"strconv"
	"strings"
)

// Int128 is a whole number in two's complement of 128 bits: Hi is its upper half, and has the sign.
type Int128 struct {
	Hi int64
	Lo uint64
}

// Int128Of is n.
func Int128Of(n int64) Int128 { return Int128{Hi: n >> 63, Lo: uint64(n)} }

// Int128OfBig is n, and whether it fits.
func Int128OfBig(n *big.Int) (Int128, bool) {
	if n.BitLen() > 127 {
		return Int128{}, false
	}
	var b [16]byte
	new(big.Int).Abs(n).FillBytes(b[:])
	c := Int128{Hi: int64(binary.BigEndian.Uint64(b[:])), Lo: binary.BigEndian.Uint64(b[8:])}
	if n.Sign() < 0 {
		c = c.Neg()
	}
	return c, true
}

// Neg is -c. The least number has no negative, and is its own.
func (c Int128) Neg() Int128 {
	lo, carry := bits.Add64(^c.Lo, 1, 0)
	hi, _ := bits.Add64(^uint64(c.Hi), 0, carry)
	return Int128{Hi: int64(hi), Lo: lo}
}

// Sign is -1, 0 or 1.
func (c Int128) Sign() int {
	switch {
	case c.Hi < 0:
		return -1
	case c.Hi == 0 && c.Lo == 0:
		return 0
	}
	return 1
}

// Compare is -1, 0 or 1 as c is less than, equal to or greater than d.
func (c Int128) Compare(d Int128) int {
	switch {
	case c == d:
		return 0
	case c.Hi < d.Hi, c.Hi == d.Hi && c.Lo < d.Lo:
		return -1
	}
	return 1
}

// Big is c as a number without bounds.
func (c Int128) Big() *big.Int {
	n := new(big.Int).Lsh(big.NewInt(c.Hi), 64)
	return n.Add(n, new(big.Int).SetUint64(c.Lo))
}

// Int64 is c, and whether it fits.
func (c Int128) Int64() (int64, bool) { return int64(c.Lo), c.Hi == int64(c.Lo)>>63 }

// Append appends the 16 bytes of c, big-endian.
func (c Int128) Append(dst []byte) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(dst, uint64(c.Hi)), c.Lo)
}

// timesTen is 10c + d for a c that is not negative. The result must fit.
func (c Int128) timesTen(d uint64) Int128 {
	high, lo := bits.Mul64(c.Lo, 10)
	lo, carry := bits.Add64(lo, d, 0)
	return Int128{Hi: c.Hi*10 + int64(high+carry), Lo: lo}
}

// powersOfTen holds 10^0 to 10^MaxPrecision, which all fit.
var powersOfTen = func() (powers [MaxPrecision + 1]Int128) {
	powers[0] = Int128Of(1)
	for i := 1; i < len(powers); i++ {
		powers[i] = powers[i-1].timesTen(0)
	}
	return powers
}()

// AppendDigits appends the decimal digits of c, which is not negative, without leading zeros.
func (c Int128) AppendDigits(dst []byte) []byte {
	const chunk = 1e19 // The greatest power of ten that 64 bits hold.
	if c.Hi == 0 {
		return strconv.AppendUint(dst, c.Lo, 10)
	}
	quotient, rest := bits.Div64(uint64(c.Hi)%chunk, c.Lo, chunk)
	dst = Int128{Hi: int64(uint64(c.Hi) / chunk), Lo: quotient}.AppendDigits(dst)
	at := len(dst)
	dst = strconv.AppendUint(dst, rest, 10)
	for missing := 19 - (len(dst) - at); missing > 0; missing-- {
		dst = append(dst, '0')
		copy(dst[at+1:], dst[at:])
		dst[at] = '0'
	}
	return dst
}

// Decimal is the value c / 10^s of the type t, which is decimal(p, s). A c of more than p digits is an error.
func Decimal(t Type, c Int128) (Value, error) {
	if err := checkDigits(t, c); err != nil {
		return Value{}, err
	}
	return decimal(t, c, ""), nil
}

func checkDigits(t Type, c Int128) error {
	if t.Kind() != TypeDecimal {
		return fmt.Errorf("found a decimal, expected a %s", t)
	}
	if limit := powersOfTen[t.Precision()]; c.Compare(limit) >= 0 || c.Compare(limit.Neg()) <= 0 {
		return fmt.Errorf("found %s, expected at most %s before the point, as %s has",
			formatDecimal(nil, c, t.Scale()), countDigits(t.Precision()-t.Scale()), t)
	}
	return nil
}

// decimal is a value in range. b is the coefficient's bytes where there are such, to share them.
func decimal(t Type, c Int128, b string) Value {
	if n, ok := c.Int64(); ok {
		return Value{typ: t, bits: uint64(n)}
	}
	if b == "" {
		b = string(c.Append(nil))
	}
	return Value{typ: t, str: b}
}

// DecimalOfBytes is the decimal of the type t whose coefficient is b: 16 bytes, big-endian. The value may share b's memory.
func DecimalOfBytes(t Type, b string) (Value, error) {
	if len(b) != 16 {
		return Value{}, fmt.Errorf("found %d bytes, expected the 16 of a decimal", len(b))
	}
	c := Int128{Hi: int64(uint64At(b, 0)), Lo: uint64At(b, 8)}
	if err := checkDigits(t, c); err != nil {
		return Value{}, err
	}
	return decimal(t, c, b), nil
}

// Decimal is the coefficient of a decimal: the value is this divided by 10^s, s being the type's scale. For other types
// its meaning is not defined.
func (v Value) Decimal() Int128 {
	if v.str == "" {
		return Int128Of(int64(v.bits))
	}
	return Int128{Hi: int64(uint64At(v.str, 0)), Lo: uint64At(v.str, 8)}
}

// ParseDecimal reads a number such as `-12.5` or `1.25e3` as a value of the type t, which is a decimal. It is never rounded:
// more digits behind the point than t has are an error, unless they are zeros, and so are more digits before it.
func ParseDecimal(t Type, s string) (Value, error) {
	bad := func() (Value, error) {
		return Value{}, fmt.Errorf("found %s, expected a %s: a number such as %s", shown(s), t, formatDecimal(nil, Int128Of(-125), t.Scale()))
	}
	mantissa, exponent := s, 0
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		n, err := strconv.Atoi(s[i+1:])
		if err != nil {
			return bad()
		}
		mantissa, exponent = s[:i], min(max(n, -math.MaxInt32), math.MaxInt32)
	}
	negative := strings.HasPrefix(mantissa, "-")
	if negative || strings.HasPrefix(mantissa, "+") {
		mantissa = mantissa[1:]
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	if whole+fraction == "" || strings.Trim(whole, "0123456789") != "" || strings.Trim(fraction, "0123456789") != "" {
		return bad()
	}
	return decimalOf(t, s, strings.TrimLeft(whole+fraction, "0"), exponent-len(fraction), negative)
}

// decimalOf is 0.DIGITS × 10^(exponent + the count of digits): digits without a leading zero, the last of which counts
// 10^exponent. s is the number for messages.
func decimalOf(t Type, s, digits string, exponent int, negative bool) (Value, error) {
	trimmed := strings.TrimRight(digits, "0")
	exponent += len(digits) - len(trimmed)
	if trimmed == "" {
		return Value{typ: t}, nil
	}
	if behind := -exponent; behind > t.Scale() {
		return Value{}, fmt.Errorf("found %s, with %s behind the point, expected at most %d, as %s has; "+
			"round it where it is made", brief(s), countDigits(behind), t.Scale(), t)
	}
	if before := len(trimmed) + exponent; before > t.Precision()-t.Scale() {
		return Value{}, fmt.Errorf("found %s, with %s before the point, expected at most %d, as %s has",
			brief(s), countDigits(before), t.Precision()-t.Scale(), t)
	}
	var c Int128
	for i := range len(trimmed) {
		c = c.timesTen(uint64(trimmed[i] - '0'))
	}
	for range exponent + t.Scale() {
		c = c.timesTen(0)
	}
	if negative {
		c = c.Neg()
	}
	return Decimal(t, c)
}

func countDigits(n int) string {
	if n == 1 {
		return "1 digit"
	}
	return strconv.Itoa(n) + " digits"
}

// brief is a number for a message.
func brief(s string) string {
	const most = 60
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// AppendDecimal appends the text of a value of the decimal type t; that of NULL is zero's.
func AppendDecimal(dst []byte, t Type, v Value) []byte {
	var c Int128
	if !v.IsNull() {
		c = v.Decimal()
	}
	return formatDecimal(dst, c, t.Scale())
}

// formatDecimal appends c / 10^scale with exactly scale digits behind the point.
func formatDecimal(dst []byte, c Int128, scale int) []byte {
	if c.Sign() < 0 {
		dst, c = append(dst, '-'), c.Neg()
	}
	at := len(dst)
	dst = c.AppendDigits(dst)
	for len(dst)-at <= scale {
		dst = append(dst, '0')
		copy(dst[at+1:], dst[at:])
		dst[at] = '0'
	}
	if scale > 0 {
		point := len(dst) - scale
		dst = append(dst, 0)
		copy(dst[point+1:], dst[point:])
		dst[point] = '.'
	}
	return dst
}
