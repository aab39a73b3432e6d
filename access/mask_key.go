package access

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
)

const (
	// RotationBound is the longest time for which a server that reaches Postgres hashes by a version that is no longer the newest,
	// beside what a look takes; see Secrets.Follow.
	RotationBound = time.Second
	// MaskKeyMaker is who makes the first version of a key: the first server that needs it.
	MaskKeyMaker = ReservedPrincipals + "masks"
)

// MaskKey is what is known of a version of the secret of a key by which masks hash: all but the secret.
type MaskKey struct {
	Name      string
	Version   int
	CreatedAt time.Time
	CreatedBy string
}

// Secrets are the secrets by which masks hash, as headwater.mask_key has them. What was read is kept: a version never changes. They
// may be used concurrently.
type Secrets struct {
	db DB
	// generation counts the versions that came to be the newest of a key that was known.
	generation atomic.Int64

	mu     sync.Mutex
	known  map[secretVersion]MaskSecret
	newest map[string]int
}

type secretVersion struct {
	name    string
	version int
}

// NewSecrets reads secrets when they are asked for.
func NewSecrets(db DB) *Secrets {
	return &Secrets{db: db, known: map[secretVersion]MaskSecret{}, newest: map[string]int{}}
}

// Generation is another number whenever a key has a newer version than this server knew of: what was compiled with the newest
// secret is to be compiled again.
func (s *Secrets) Generation() int64 { return s.generation.Load() }

// Newest is the newest version of a key's secret, as of the last look of Follow. A key that has none gets its first.
func (s *Secrets) Newest(ctx context.Context, name string) (MaskSecret, error) {
	s.mu.Lock()
	version := s.newest[name]
	secret, known := s.known[secretVersion{name, version}]
	s.mu.Unlock()
	if known {
		return secret, nil
	}
	fresh := newMaskSecret()
	// Of several servers one makes it, and all read that one.
	if _, err := s.db.Exec(ctx, `INSERT INTO headwater.mask_key (name, version, secret, created_by)
		SELECT $1, 1, $2, $3 WHERE NOT EXISTS (SELECT FROM headwater.mask_key WHERE name = $1) ON CONFLICT DO NOTHING`, name, fresh, MaskKeyMaker); err != nil {
		return MaskSecret{}, database.Fault(fmt.Errorf("make the secret of the mask key %s: %w", name, err))
	}
	var bytes []byte
	err := s.db.QueryRow(ctx, `SELECT version, secret FROM headwater.mask_key WHERE name = $1 ORDER BY version DESC LIMIT 1`, name).Scan(&version, &bytes)
	if err != nil {
		return MaskSecret{}, database.Fault(fmt.Errorf("read the secret of the mask key %s: %w", name, err))
	}
	return s.keep(name, version, bytes, true), nil
}

// At is one version of a key's secret, for what was hashed by it. One that there is not is a NOT_FOUND fault.
func (s *Secrets) At(ctx context.Context, name string, version int) (MaskSecret, error) {
	s.mu.Lock()
	secret, known := s.known[secretVersion{name, version}]
	s.mu.Unlock()
	if known {
		return secret, nil
	}
	var bytes []byte
	err := s.db.QueryRow(ctx, `SELECT secret FROM headwater.mask_key WHERE name = $1 AND version = $2`, name, version).Scan(&bytes)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return MaskSecret{}, fault.New(fault.NotFound, "found no version %d of the mask key %q, by which this was hashed; it can be read again only "+
			"where headwater.mask_key has it", version, name).With("kind", "mask key").With("name", name)
	case err != nil:
		return MaskSecret{}, database.Fault(fmt.Errorf("read version %d of the secret of the mask key %s: %w", version, name, err))
	}
	return s.keep(name, version, bytes, false), nil
}

// keep keeps a version, and as the newest if it is said to be and none newer is known.
func (s *Secrets) keep(name string, version int, secret []byte, newest bool) MaskSecret {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := NewMaskSecret(name, version, secret)
	s.known[secretVersion{name, version}] = kept
	if before := s.newest[name]; newest && version > before {
		s.newest[name] = version
		if before > 0 {
			s.generation.Add(1)
		}
	}
	return kept
}

// Follow looks for newer versions of the keys that are known until ctx ends, each RotationBound. An error of a look is given to
// failed, and the versions that are known hold.
func (s *Secrets) Follow(ctx context.Context, failed func(error)) {
	tick := time.NewTicker(RotationBound)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := s.Refresh(ctx); err != nil && ctx.Err() == nil {
			failed(err)
		}
	}
}

// Refresh looks for newer versions of the keys that are known.
func (s *Secrets) Refresh(ctx context.Context) error {
	s.mu.Lock()
	names := make([]string, 0, len(s.newest))
	for name := range s.newest {
		names = append(names, name)
	}
	s.mu.Unlock()
	if len(names) == 0 {
		return nil
	}
	rows, err := s.db.Query(ctx, `SELECT DISTINCT ON (name) name, version, secret FROM headwater.mask_key WHERE name = ANY ($1)
		ORDER BY name, version DESC`, names)
	if err != nil {
		return database.Fault(fmt.Errorf("look for newer secrets of mask keys: %w", err))
	}
	var name string
	var version int
	var secret []byte
	_, err = pgx.ForEachRow(rows, []any{&name, &version, &secret}, func() error {
		s.keep(name, version, secret, true)
		return nil
	})
	return database.Fault(err)
}

// Rotate makes a new version of a key's secret, and takes it from now on; other servers do within RotationBound. A key that there
// is not is a NOT_FOUND fault: a key is made when it is first used.
func (s *Secrets) Rotate(ctx context.Context, name, by string) (MaskKey, error) {
	for {
		secret := newMaskSecret()
		k := MaskKey{Name: name, CreatedBy: by}
		err := s.db.QueryRow(ctx, `INSERT INTO headwater.mask_key (name, version, secret, created_by)
			SELECT $1, max(version) + 1, $2, $3 FROM headwater.mask_key WHERE name = $1 HAVING max(version) IS NOT NULL
			ON CONFLICT DO NOTHING RETURNING version, created_at`, name, secret, by).Scan(&k.Version, &k.CreatedAt)
		if err == nil {
			s.keep(name, k.Version, secret, true)
			k.CreatedAt = k.CreatedAt.UTC()
			return k, nil
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			return MaskKey{}, database.Fault(fmt.Errorf("rotate the mask key %s: %w", name, err))
		}
		// There is no such key, or another made this version meanwhile.
		keys, err := s.List(ctx)
		if err != nil {
			return MaskKey{}, err
		}
		if err := missingKey(keys, name); err != nil {
			return MaskKey{}, err
		}
	}
}

func missingKey(keys []MaskKey, name string) error {
	var names []string
	for _, k := range keys {
		if k.Name == name {
			return nil
		}
		if len(names) == 0 || names[len(names)-1] != k.Name {
			names = append(names, k.Name)
		}
	}
	there := "there is none yet"
	if len(names) > 0 {
		there = "there are " + strings.Join(names, ", ")
	}
	f := fault.New(fault.NotFound, "found no mask key called %q; %s, and one is made when a mask first hashes by it", name, there).
		With("kind", "mask key").With("name", name)
	f.NoGuess = "`headwater access list-keys` shows those that there are"
	if near, ok := feature.Nearest(name, names); ok {
		f.Guess = near
	}
	return f
}

// List is all versions of all keys, by name and version, without their secrets.
func (s *Secrets) List(ctx context.Context) ([]MaskKey, error) {
	rows, err := s.db.Query(ctx, `SELECT name, version, created_at, created_by FROM headwater.mask_key ORDER BY name, version`)
	if err != nil {
		return nil, database.Fault(fmt.Errorf("list mask keys: %w", err))
	}
	keys, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (k MaskKey, err error) {
		err = row.Scan(&k.Name, &k.Version, &k.CreatedAt, &k.CreatedBy)
		k.CreatedAt = k.CreatedAt.UTC()
		return k, err
	})
	return keys, database.Fault(err)
}

// newMaskSecret is 256 random bits.
func newMaskSecret() []byte {
	b := make([]byte, 32)
	// It never fails: the process ends first.
	_, _ = rand.Read(b)
	return b
}
