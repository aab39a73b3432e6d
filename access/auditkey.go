package access

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
)

// AuditKey signs checkpoints of the audit log.
type AuditKey struct {
	// ID is what checkpoints name it by.
	ID      string
	private ed25519.PrivateKey
}

// AuditPublicKey is how checkpoints that a key signed are told from others.
type AuditPublicKey struct {
	ID     string
	Public ed25519.PublicKey
	// Since is when a server used it first. Zero: not known.
	Since time.Time
}

// keyID is the first eight bytes of the SHA-256 of a public key, in base 16.
func keyID(public ed25519.PublicKey) string {
	sum := sha256.Sum256(public)
	return hex.EncodeToString(sum[:8])
}

const (
	privatePEM = "PRIVATE KEY"
	publicPEM  = "PUBLIC KEY"
)

// ReadAuditKey reads an Ed25519 key from a file in PEM, as `openssl genpkey -algorithm ed25519` makes it.
func ReadAuditKey(path string) (*AuditKey, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fault.New(fault.FailedPrecondition, "key of the audit %s: %v", path, errors.Unwrap(err))
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != privatePEM {
		return nil, errNoKey(path)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	private, ok := key.(ed25519.PrivateKey)
	if err != nil || !ok {
		return nil, errNoKey(path)
	}
	return &AuditKey{ID: keyID(private.Public().(ed25519.PublicKey)), private: private}, nil
}

func errNoKey(path string) error {
	return fault.New(fault.FailedPrecondition, "key of the audit %s: found no Ed25519 private key, expected one in PEM; `openssl genpkey -algorithm ed25519 -out FILE` "+
		"makes one", path)
}

// MakeAuditKey reads the key in a file, which it makes where there is none.
func MakeAuditKey(path string) (*AuditKey, error) {
	if _, err := os.Stat(path); err == nil || !errors.Is(err, os.ErrNotExist) {
		return ReadAuditKey(path)
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		_, err = f.Write(pem.EncodeToMemory(&pem.Block{Type: privatePEM, Bytes: der}))
		err = errors.Join(err, f.Sync(), f.Close())
	}
	if err != nil {
		return nil, fault.New(fault.FailedPrecondition, "key of the audit %s: %v", path, err)
	}
	return ReadAuditKey(path)
}

// Public is the key that checkpoints are verified with.
func (k *AuditKey) Public() AuditPublicKey {
	return AuditPublicKey{ID: k.ID, Public: k.private.Public().(ed25519.PublicKey)}
}

// PEM is the key as OpenSSL reads it.
func (k AuditPublicKey) PEM() string {
	// An Ed25519 key is always encoded.
	der, _ := x509.MarshalPKIXPublicKey(k.Public)
	return string(pem.EncodeToMemory(&pem.Block{Type: publicPEM, Bytes: der}))
}

// ParseAuditPublicKeys reads public keys in PEM, one after another.
func ParseAuditPublicKeys(text []byte) (keys []AuditPublicKey, err error) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
		public, ok := parsed.(ed25519.PublicKey)
		if err != nil || !ok {
			return nil, fmt.Errorf("found a %s that is no Ed25519 public key", block.Type)
		}
		keys = append(keys, AuditPublicKey{ID: keyID(public), Public: public})
	}
	if keys == nil {
		return nil, errors.New("found no key in PEM, expected Ed25519 public keys as `headwater audit key` prints them")
	}
	return keys, nil
}

// ListAuditKeys returns the public keys that servers have signed with, the oldest first.
func ListAuditKeys(ctx context.Context, db DB) ([]AuditPublicKey, error) {
	rows, err := db.Query(ctx, `SELECT id, public_key, created_at FROM headwater.audit_key ORDER BY created_at, id`)
	if err != nil {
		return nil, database.Fault(fmt.Errorf("list keys of the audit: %w", err))
	}
	keys, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (k AuditPublicKey, err error) {
		err = row.Scan(&k.ID, (*[]byte)(&k.Public), &k.Since)
		k.Since = k.Since.UTC()
		return k, err
	})
	if err != nil {
		return nil, database.Fault(fmt.Errorf("list keys of the audit: %w", err))
	}
	return keys, nil
}
