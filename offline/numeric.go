package offline

import (
	"encoding/binary"
	"strconv"

	"github.com/headwaterhq/headwater/feature"
)

// Postgres sends a numeric as digits of base 10,000: their count, the weight of the first (a power of 10,000), the sign,
// how many decimal digits it shows behind the point, then the digits; all of 16 bits.
const (
	numericNegative = 0x4000
	numericNaN      = 0xc000
	numericInfinity = 0xd000
	numericMinusInf = 0xf000
	numericHeader   = 8
)

// appendNumeric appends a decimal as Postgres's binary numeric.
func appendNumeric(dst []byte, v feature.Value) []byte {
	scale := v.Type().Scale()
	c := v.Decimal()
	sign := 0
	if c.Sign() < 0 {
		sign, c = numericNegative, c.Neg()
	}
	// The decimal digits, with zeros put on so that the point lies between two digits of base 10,000. Room for 38, and for
	// as many zeros in front of the first that counts.
	var room [96]byte
	digits := c.AppendDigits(room[:0])
	padded := room[48:48]
	behind := (scale + 3) / 4 * 4
	before := max(len(digits)-scale, 0)
	before = (before + 3) / 4 * 4
	for range before + scale - len(digits) {
		padded = append(padded, '0')
	}
	padded = append(padded, digits...)
	for range behind - scale {
		padded = append(padded, '0')
	}
	weight := before/4 - 1
	for len(padded) > 0 && string(padded[:4]) == "0000" {
		padded, weight = padded[4:], weight-1
	}
	for len(padded) > 0 && string(padded[len(padded)-4:]) == "0000" {
		padded = padded[:len(padded)-4]
	}
	if len(padded) == 0 {
		weight = 0
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(padded)/4))
	dst = binary.BigEndian.AppendUint16(dst, uint16(int16(weight)))
	dst = binary.BigEndian.AppendUint16(dst, uint16(sign))
	dst = binary.BigEndian.AppendUint16(dst, uint16(scale))
	for at := 0; at < len(padded); at += 4 {
		d := int(padded[at]-'0')*1000 + int(padded[at+1]-'0')*100 + int(padded[at+2]-'0')*10 + int(padded[at+3]-'0')
		dst = binary.BigEndian.AppendUint16(dst, uint16(d))
	}
	return dst
}

// decodeNumeric reads a binary numeric as a decimal of type t. It is never rounded: one that does not fit is a badValue.
func decodeNumeric(t feature.Type, b []byte) (feature.Value, error) {
	if len(b) < numericHeader || (len(b)-numericHeader)%2 != 0 || len(b) != numericHeader+2*int(binary.BigEndian.Uint16(b)) {
		return feature.Value{}, errBinary(t, b)
	}
	weight := int(int16(binary.BigEndian.Uint16(b[2:])))
	sign := binary.BigEndian.Uint16(b[4:])
	switch sign {
	case 0, numericNegative:
	case numericNaN, numericInfinity, numericMinusInf:
		name := map[uint16]string{numericNaN: "NaN", numericInfinity: "Infinity", numericMinusInf: "-Infinity"}[sign]
		return feature.Value{}, badValue("found " + name + ", expected a number: a " + t.String() + " has no other; leave it out, or make it NULL")
	default:
		return feature.Value{}, errBinary(t, b)
	}
	digits := b[numericHeader:]
	for at := 0; at < len(digits); at += 2 {
		if binary.BigEndian.Uint16(digits[at:]) > 9999 {
			return feature.Value{}, errBinary(t, b)
		}
	}
	if n, ok := smallNumeric(digits, weight, t.Scale()); ok {
		if sign != 0 {
			n = -n
		}
		if v, err := feature.Decimal(t, feature.Int128Of(n)); err == nil {
			return v, nil
		}
	}
	v, err := feature.ParseDecimal(t, numericText(digits, weight, sign != 0))
	if err != nil {
		return v, badValue(err.Error())
	}
	return v, nil
}

// smallNumeric is the coefficient at the scale of a numeric without its sign, if it is exact and all of it takes less than
// 64 bits: the way that most take.
func smallNumeric(digits []byte, weight, scale int) (n int64, ok bool) {
	if len(digits) > 8 || weight > 3 {
		return 0, false
	}
	for at := 0; at < len(digits); at += 2 {
		n = n*10000 + int64(binary.BigEndian.Uint16(digits[at:]))
	}
	shift := 4*(weight+1-len(digits)/2) + scale
	for ; shift < 0; shift++ {
		if n%10 != 0 {
			return 0, false
		}
		n /= 10
	}
	const most = 1 << 59 // Ten times as much still fits.
	for ; shift > 0 && n != 0; shift-- {
		if n >= most {
			return 0, false
		}
		n *= 10
	}
	return n, true
}

// numericText is any numeric in full, as far as it has digits that are not zero.
func numericText(digits []byte, weight int, negative bool) string {
	text := make([]byte, 0, len(digits)*2+64)
	if negative {
		text = append(text, '-')
	}
	digit := func(power int) int {
		if i := weight - power; i >= 0 && 2*i < len(digits) {
			return int(binary.BigEndian.Uint16(digits[2*i:]))
		}
		return 0
	}
	begin := len(text)
	for power := max(weight, 0); power >= 0; power-- {
		d := digit(power)
		if len(text) == begin && d == 0 && power > 0 {
			continue
		}
		if len(text) == begin {
			text = strconv.AppendInt(text, int64(d), 10)
		} else {
			text = append(text, byte('0'+d/1000), byte('0'+d/100%10), byte('0'+d/10%10), byte('0'+d%10))
		}
	}
	point := len(text)
	for power := -1; power > weight-len(digits)/2; power-- {
		if len(text) == point {
			text = append(text, '.')
		}
		d := digit(power)
		text = append(text, byte('0'+d/1000), byte('0'+d/100%10), byte('0'+d/10%10), byte('0'+d%10))
	}
	if len(text) > point {
		for text[len(text)-1] == '0' {
			text = text[:len(text)-1]
		}
	}
	return string(text)
}
