package readlog

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"iter"
	"maps"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/wire"
)

// secrets are the keys of hashes, by version.
type secrets struct {
	keys   map[int32][]byte
	newest int32
	// hashes are states of HMAC by the newest, set up once for many.
	hashes sync.Pool
}

// hashing is the state of one hash at a time.
type hashing struct {
	mac    hash.Hash
	buffer []byte
}

// loadSecrets reads the secrets, and makes the first where there is none.
func loadSecrets(ctx context.Context, pool *pgxpool.Pool) (*secrets, error) {
	fresh := make([]byte, 32)
	if _, err := rand.Read(fresh); err != nil {
		return nil, err
	}
	_, err := pool.Exec(ctx, `INSERT INTO headwater.read_log_key (version, key) SELECT 1, $1 WHERE NOT EXISTS (SELECT FROM headwater.read_log_key)
		ON CONFLICT DO NOTHING`, fresh)
	if err != nil {
		return nil, database.Fault(fmt.Errorf("make the secret of the read log: %w", err))
	}
	rows, err := pool.Query(ctx, `SELECT version, key FROM headwater.read_log_key`)
	if err != nil {
		return nil, database.Fault(fmt.Errorf("read the secrets of the read log: %w", err))
	}
	s := &secrets{keys: map[int32][]byte{}}
	var version int32
	var key []byte
	_, err = pgx.ForEachRow(rows, []any{&version, &key}, func() error {
		s.keys[version] = key
		s.newest = max(s.newest, version)
		return nil
	})
	return s, database.Fault(err)
}

// Hash is the keyed hash of an entity: HMAC-SHA256 over the length of its name as four bytes, its name and its encoded key.
// version is that of the secret; nil for one that there is not.
func (l *Log) Hash(version int32, entity, key string) []byte {
	secret, ok := l.secrets.keys[version]
	if !ok {
		return nil
	}
	mac := hmac.New(sha256.New, secret)
	var length [4]byte
	binary.BigEndian.PutUint32(length[:], uint32(len(entity)))
	mac.Write(length[:])
	mac.Write([]byte(entity))
	mac.Write([]byte(key))
	return mac.Sum(nil)
}

// severalPrefix tells hashes of several entities from those of one.
const severalPrefix = "\xff\xff\xff\xfeentities"

// AppendEntitiesHash appends the first 16 bytes of a keyed hash of entities, each with its encoded key, in base 16: of one entity those of
// Hash, of several HMAC-SHA256 over a prefix and, for each, the length of its name and its name, the length of its key and its key,
// lengths as four bytes. Of none it appends nothing. It is by the newest version of the secret.
func (l *Log) AppendEntitiesHash(dst []byte, entities iter.Seq2[string, []byte]) []byte {
	h, _ := l.secrets.hashes.Get().(*hashing)
	if h == nil {
		h = &hashing{mac: hmac.New(sha256.New, l.secrets.keys[l.secrets.newest])}
	}
	defer l.secrets.hashes.Put(h)
	b, n, ends := append(h.buffer[:0], severalPrefix...), 0, 0
	for entity, key := range entities {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(entity))), entity...)
		ends = len(b)
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(key))), key...)
		n++
	}
	h.mac.Reset()
	switch h.buffer = b; n {
	case 0:
		return dst
	case 1:
		h.mac.Write(b[len(severalPrefix):ends])
		h.mac.Write(b[ends+4:])
	default:
		h.mac.Write(b)
	}
	h.buffer = h.mac.Sum(b[:0])
	return hex.AppendEncode(dst, h.buffer[:16])
}

// HashVersion is the version of the secret that new reads are hashed by.
func (l *Log) HashVersion() int32 { return l.secrets.newest }

// digestPrefix tells digests of values from hashes of entities.
const digestPrefix = "\xff\xff\xff\xffvalues"

// Digest is the keyed digest of a vector: HMAC-SHA256 over, for each value, its status as one byte and its canonical encoding. The
// vector is expanded. nil for a version that there is not; an error is of a vector that is not whole.
func (l *Log) Digest(version int32, v *headwaterv1.ValueVector, n int) ([]byte, error) {
	secret, ok := l.secrets.keys[version]
	if !ok {
		return nil, nil
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(digestPrefix))
	Expand(v, n)
	var b []byte
	for i := range n {
		value, err := wire.FromVector(v, i)
		if err != nil {
			return nil, err
		}
		b = value.AppendCanonical(append(b[:0], byte(v.Status[i])))
		mac.Write(b)
	}
	return mac.Sum(nil), nil
}

// Expand gives each of n values of a vector its status, where they have one in common.
func Expand(v *headwaterv1.ValueVector, n int) {
	if len(v.GetStatus()) > 0 || v == nil {
		return
	}
	v.Status = make([]headwaterv1.ValueStatus, n)
	for i := range v.Status {
		v.Status[i] = v.StatusOfAll
	}
	v.StatusOfAll = 0
}

// short is what a hash is found by.
func short(hash []byte) int64 { return int64(binary.BigEndian.Uint64(hash)) }

// Hashes is Hash by all versions of the secret, the newest first.
func (l *Log) Hashes(entity, key string) (hashes [][]byte) {
	for _, version := range slices.Backward(slices.Sorted(maps.Keys(l.secrets.keys))) {
		hashes = append(hashes, l.Hash(version, entity, key))
	}
	return hashes
}

// Short is what a hash of an entity is found by in headwater.read_log.
func Short(hash []byte) int64 { return short(hash) }
