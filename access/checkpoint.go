package access

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/internal/database"
)

const (
	// checkpointEvery and checkpointRecords are how much of a chain is not signed at most, beside what a server that was killed leaves.
	checkpointEvery   = 5 * time.Minute
	checkpointRecords = 10_000
)

// The kinds of checkpoints.
const (
	kindCheckpoint = "checkpoint"
	kindDropped    = "dropped"
)

// checkpoint says what a chain was: that the record of a number had a hash, and so all before it theirs.
type checkpoint struct {
	kind   string
	writer string
	end
	// day is that of the record, or the last that was dropped.
	day       time.Time
	time      time.Time
	key       string
	signature []byte
}

// statement is what is signed.
func (c *checkpoint) statement() []byte {
	return fmt.Appendf(nil, "headwater audit checkpoint 1\nkind %s\nwriter %s\nnumber %d\nhash %x\nday %s\ntime %s\nkey %s\n",
		c.kind, c.writer, c.number, c.hash, c.day.Format(time.DateOnly), c.time.UTC().Format(checkpointTime), c.key)
}

const checkpointTime = "2006-01-02T15:04:05.000000Z"

// sign signs it where there is a key.
func (k *AuditKey) sign(c *checkpoint) {
	c.time, c.signature = c.time.UTC().Truncate(time.Microsecond), []byte{}
	if k != nil {
		c.key = k.ID
		c.signature = ed25519.Sign(k.private, c.statement())
	}
}

// signedBy reports whether a key signed it.
func (c *checkpoint) signedBy(k AuditPublicKey) bool {
	return c.key == k.ID && ed25519.Verify(k.Public, c.statement(), c.signature)
}

const checkpointColumns = `kind, writer, number, hash, day, time, key_id, signature`

func (c *checkpoint) queue(to *pgx.Batch) {
	to.Queue(`INSERT INTO headwater.audit_checkpoint (`+checkpointColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		c.kind, c.writer, c.number, c.hash[:], c.day, c.time, c.key, c.signature)
}

func scanCheckpoint(row pgx.CollectableRow) (c checkpoint, err error) {
	var hash []byte
	err = row.Scan(&c.kind, &c.writer, &c.number, &hash, &c.day, &c.time, &c.key, &c.signature)
	copy(c.hash[:], hash)
	return c, err
}

// tell writes it to the log of the server, which is outside of Postgres.
func (a *AuditLog) tell(c *checkpoint) {
	a.out.Info("audit checkpoint", "kind", c.kind, "writer", c.writer, "number", c.number, "hash", hex.EncodeToString(c.hash[:]),
		"day", c.day.Format(time.DateOnly), "time", c.time.Format(checkpointTime), "key", c.key, "signature", hex.EncodeToString(c.signature))
}

// register says by which key this server signs.
func (a *AuditLog) register(ctx context.Context, db DB) error {
	public := a.key.Public()
	_, err := db.Exec(ctx, `INSERT INTO headwater.audit_key (id, public_key, created_at) VALUES ($1, $2, clock_timestamp()) ON CONFLICT (id) DO NOTHING`,
		public.ID, []byte(public.Public))
	return err
}

// Keys are those that checkpoints are signed with: this server's own before it has signed any.
func (a *AuditLog) Keys(ctx context.Context) ([]AuditPublicKey, error) {
	if a.key != nil {
		if err := a.register(ctx, a.pool); err != nil {
			return nil, database.Fault(fmt.Errorf("register the key of the audit: %w", err))
		}
	}
	return ListAuditKeys(ctx, a.pool)
}

// checkpoint signs the end of the chain as this process knows it, where something came since the last one.
func (a *AuditLog) checkpoint(ctx context.Context) error {
	a.chain.Lock()
	defer a.chain.Unlock()
	// Where it is not known whether the last records were committed, the next ones will tell.
	if a.key == nil || len(a.ends) != 1 || a.ends[0].number == a.signed {
		return nil
	}
	if !a.registered {
		if err := a.register(ctx, a.pool); err != nil {
			return fmt.Errorf("say by which key the audit is signed: %w", err)
		}
		a.registered = true
	}
	c := checkpoint{kind: kindCheckpoint, writer: a.log.Writer(), end: a.ends[0]}
	if err := a.pool.QueryRow(ctx, `SELECT day, clock_timestamp() FROM headwater.audit_writer WHERE writer = $1`, c.writer).Scan(&c.day, &c.time); err != nil {
		return fmt.Errorf("write a checkpoint of the audit: %w", err)
	}
	a.key.sign(&c)
	batch := &pgx.Batch{}
	c.queue(batch)
	if err := a.pool.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("write a checkpoint of the audit: %w", err)
	}
	a.signed, a.signedAt = c.number, a.now()
	a.tell(&c)
	return nil
}

// checkpointDue reports whether so much came, or so long ago, that the chain's end is to be signed.
func (a *AuditLog) checkpointDue(now time.Time) bool {
	a.chain.Lock()
	defer a.chain.Unlock()
	if a.key == nil || len(a.ends) != 1 || a.ends[0].number == a.signed {
		return false
	}
	return a.signedAt.IsZero() || a.ends[0].number-a.signed >= checkpointRecords || now.Sub(a.signedAt) >= checkpointEvery
}
