package access

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"sync"

	"github.com/headwaterhq/headwater/feature"
)

// MaskSecret is one version of the secret of a key by which masks hash. Its text, in whatever way it is printed, does not have
// the secret in it. The zero MaskSecret is none.
type MaskSecret struct {
	Name    string
	Version int
	secret  string
}

// NewMaskSecret is a secret of 32 bytes or more.
func NewMaskSecret(name string, version int, secret []byte) MaskSecret {
	return MaskSecret{Name: name, Version: version, secret: string(secret)}
}

// String is `NAME@VERSION`.
func (s MaskSecret) String() string { return fmt.Sprintf("%s@%d", s.Name, s.Version) }

// Format prints String, whatever the verb: %+v and %#v would print the secret.
func (s MaskSecret) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, s.String()) }

// Domains of the keys that are derived of a secret. What is hashed by them is kept in data sets and joined: they never change.
const (
	maskDomain    = "headwater.mask.v1"
	purposeDomain = "headwater.mask.v1.purpose"
)

// hashKey is the key that values are hashed by: HMAC-SHA-256 by the secret over the domain, or over that of purposes and the
// purpose.
func (s MaskSecret) hashKey(perPurpose bool, purpose string) []byte {
	mac := hmac.New(sha256.New, []byte(s.secret))
	if perPurpose {
		mac.Write(feature.AppendCanonicalString([]byte(purposeDomain), purpose))
	} else {
		mac.Write([]byte(maskDomain))
	}
	return mac.Sum(nil)
}

// maxKeptBuffer is up to how many bytes a text leaves room for the next.
const maxKeptBuffer = 64 << 10

// hashing is the state of one hash at a time. Pooled, it is set up once for many.
type hashing struct {
	mac    hash.Hash
	buffer []byte
}

// hasher makes keyed hashes: HMAC-SHA-256 over a value's canonical encoding, which begins with its type.
type hasher struct{ states sync.Pool }

func newHasher(m *feature.Mask, secret MaskSecret, purpose string) *hasher {
	key := secret.hashKey(m.PerPurpose, purpose)
	return &hasher{sync.Pool{New: func() any { return &hashing{mac: hmac.New(sha256.New, key)} }}}
}

// begin gives the hash of a value, which holds until end is called with the state.
func (k *hasher) begin(v feature.Value) *hashing {
	h := k.states.Get().(*hashing)
	h.buffer = v.AppendCanonical(h.buffer[:0])
	h.mac.Reset()
	h.mac.Write(h.buffer)
	h.buffer = h.mac.Sum(h.buffer[:0])
	return h
}

func (k *hasher) end(h *hashing) {
	if cap(h.buffer) > maxKeptBuffer {
		h.buffer = nil
	}
	k.states.Put(h)
}

// hashMask shows of the hash of a text the first 16 bytes in base 16, of that of an int64 the first 8 bytes without the sign, of that of bytes
// all 32.
func hashMask(m *feature.Mask, t feature.Type, secret MaskSecret, purpose string) func(feature.Value) feature.Value {
	if secret.secret == "" {
		return nil
	}
	if t != feature.TypeInt64 {
		return valueMask(t, hashTexts(m, t, secret, purpose))
	}
	k := newHasher(m, secret, purpose)
	return func(v feature.Value) feature.Value {
		h := k.begin(v)
		defer k.end(h)
		return feature.Int64(int64(binary.BigEndian.Uint64(h.buffer) &^ (1 << 63)))
	}
}

// hashTexts is hashMask of texts or of bytes.
func hashTexts(m *feature.Mask, t feature.Type, secret MaskSecret, purpose string) func(dst []byte, text string) []byte {
	k := newHasher(m, secret, purpose)
	return func(dst []byte, text string) []byte {
		if t == feature.TypeBytes {
			h := k.begin(feature.Bytes(text))
			defer k.end(h)
			return append(dst, h.buffer...)
		}
		h := k.begin(feature.String(text))
		defer k.end(h)
		return hex.AppendEncode(dst, h.buffer[:16])
	}
}
