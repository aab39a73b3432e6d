package feature

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"math/bits"
)

// The canonical encoding is what "the same value" means everywhere: runs compare rows by it, and every digest is taken
// over it. It is drawn byte by byte in docs/format/canonical.md, and golden vectors keep it from drifting.

const canonicalNaN = 0x7ff8000000000000

func (v Value) canonicalBits() uint64 {
	if v.typ == TypeFloat64 {
		f := math.Float64frombits(v.bits)
		if f != f {
			return canonicalNaN
		}
		if f == 0 {
			return 0
		}
	}
	return v.bits
}

// AppendCanonical appends v's canonical encoding: that of its type (one byte 0 for NULL), then nothing for NULL, one byte
// for a bool, the length as eight bytes and the bytes for a string or bytes, sixteen bytes for a decimal's coefficient, the
// packed elements for a list or vector, and eight bytes for the others. Numbers are big-endian.
func (v Value) AppendCanonical(dst []byte) []byte {
	switch v.typ {
	case TypeInvalid:
		return append(dst, 0)
	case TypeBool:
		return append(dst, byte(TypeBool), byte(v.bits))
	case TypeString, TypeBytes:
		return AppendCanonicalString(append(dst, byte(v.typ)), v.str)
	case TypeInt64, TypeFloat64, TypeTimestamp:
		return binary.BigEndian.AppendUint64(append(dst, byte(v.typ)), v.canonicalBits())
	}
	dst = v.typ.AppendCanonical(dst)
	if v.typ.Kind() == TypeDecimal {
		return v.Decimal().Append(dst)
	}
	return append(dst, v.str...)
}

// AppendCanonicalString appends the length of s as eight big-endian bytes, then s.
func AppendCanonicalString(dst []byte, s string) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(len(s)))
	return append(dst, s...)
}

// What one row of a view may hold, so that both stores can: an index entry of Postgres has room for 2,704 bytes, and the
// online store packs a row into 16 MiB with its fixed parts.
const (
	// MaxKeyBytes bounds the encoded join keys.
	MaxKeyBytes = 2048
	// MaxRowText bounds the bytes of all text, bytes, lists and vectors together: see Value.Size and View.VectorBytes.
	MaxRowText = 16<<20 - 64<<10
)

// Row is one row of a view's output or history.
type Row struct {
	// Key is the entity's encoded join keys; see EncodeKey.
	Key string
	// EventTime says when the values were true, AvailableAt when they could be known.
	EventTime, AvailableAt Time
	// Values holds the features, then the attributes, as the view declares them.
	Values []Value
}

// AppendCanonical appends the row's canonical encoding: key as a string, both times, then each value.
func (r *Row) AppendCanonical(dst []byte) []byte {
	dst = AppendCanonicalString(dst, r.Key)
	dst = binary.BigEndian.AppendUint64(dst, uint64(r.EventTime))
	dst = binary.BigEndian.AppendUint64(dst, uint64(r.AvailableAt))
	for _, v := range r.Values {
		dst = v.AppendCanonical(dst)
	}
	return dst
}

// Digest is 256 bits, written as 64 hex digits.
type Digest [sha256.Size]byte

func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// IsZero reports whether d was never set; no SHA-256 is known to be zero, and the empty SetDigest is.
func (d Digest) IsZero() bool { return d == Digest{} }

// ParseDigest reads 64 hex digits.
func ParseDigest(s string) (Digest, error) {
	var d Digest
	if len(s) == 2*len(d) {
		if _, err := hex.Decode(d[:], []byte(s)); err == nil {
			return d, nil
		}
	}
	return Digest{}, fmt.Errorf("found %q, expected a digest of %d hex digits", s, 2*len(d))
}

// SetDigest is the digest of a multiset of encodings: the sum of their SHA-256, read as big-endian numbers, modulo
// 2^256. It does not depend on order, and partial sums of disjoint parts add up. The zero SetDigest is that of the
// empty set.
type SetDigest struct{ words [4]uint64 }

// Add puts one encoding into the set.
func (s *SetDigest) Add(encoding []byte) {
	s.AddDigest(sha256.Sum256(encoding))
}

// Merge adds another set's encodings to s.
func (s *SetDigest) Merge(other SetDigest) { s.addWords(other.words) }

// AddDigest adds a sum to s: what Digest returned of another set.
func (s *SetDigest) AddDigest(sum Digest) {
	s.addWords([4]uint64{
		binary.BigEndian.Uint64(sum[24:]), binary.BigEndian.Uint64(sum[16:]),
		binary.BigEndian.Uint64(sum[8:]), binary.BigEndian.Uint64(sum[:]),
	})
}

// SubtractDigest takes a sum out of s: what Digest returned of a part of the set.
func (s *SetDigest) SubtractDigest(sum Digest) {
	var part SetDigest
	part.AddDigest(sum)
	var borrow uint64
	for i := range s.words {
		s.words[i], borrow = bits.Sub64(s.words[i], part.words[i], borrow)
	}
}

func (s *SetDigest) addWords(w [4]uint64) {
	var carry uint64
	for i := range s.words {
		s.words[i], carry = bits.Add64(s.words[i], w[i], carry)
	}
}

// Digest is the sum.
func (s *SetDigest) Digest() Digest {
	var d Digest
	for i, w := range s.words {
		binary.BigEndian.PutUint64(d[24-8*i:], w)
	}
	return d
}
