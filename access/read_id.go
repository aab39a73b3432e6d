package access

import (
	"encoding/binary"
	"math/rand/v2"
	"time"
)

const readIDAlphabet = "0123456789abcdefghjkmnpqrstvwxyz"

// NewReadID returns `rd_` and 26 characters of base 32 that sort by time, to the millisecond. 80 bits of an id are random: the
// runtime's generator is ChaCha8 with a seed of the operating system's, so whoever has seen ids cannot tell the next.
func NewReadID(now time.Time) string {
	var b [17]byte
	binary.BigEndian.PutUint64(b[:], uint64(now.UnixMilli())<<16|rand.Uint64()>>48)
	binary.BigEndian.PutUint64(b[8:], rand.Uint64())
	var id [29]byte
	copy(id[:], "rd_")
	for i := range 26 {
		// Five bits from bit 5i on; the byte behind the sixteenth fills up the last.
		pair := binary.BigEndian.Uint16(b[i*5/8:])
		id[3+i] = readIDAlphabet[pair>>(11-i*5%8)&31]
	}
	return string(id[:])
}
