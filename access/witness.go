package access

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// methodWitness is the method of a record that witnesses others.
	methodWitness = "audit-witness"
	// maxWitnessed bounds the records that one witnesses.
	maxWitnessed = 500
)

// Witness is that a record was there, which was written in a transaction and is in no chain.
type Witness struct {
	Writer string `json:"writer"`
	Number int64  `json:"number"`
	// Day is the record's, as YYYY-MM-DD.
	Day string `json:"day"`
	// Hash is that of the record by itself, in base 16.
	Hash string `json:"hash"`
}

// witnessed is what a record witnesses, read from Postgres, where it is NULL for nothing.
type witnessed []Witness

// UnmarshalJSON reads what no server writes as another value, which is told as any change is.
func (w *witnessed) UnmarshalJSON(kept []byte) error {
	if err := json.Unmarshal(kept, (*[]Witness)(w)); err != nil || len(*w) == 0 {
		*w = witnessed{{Hash: string(kept)}}
	}
	return nil
}

func (r *kept) witness() Witness {
	hash := r.hashAlone()
	return Witness{Writer: r.Writer, Number: r.Number, Day: r.day.Format(time.DateOnly), Hash: hex.EncodeToString(hash[:])}
}

// witness adds to the chain that records were there which transactions wrote, and reports whether there may be more. A record has one witness: those that
// another server is about to witness are passed over.
func (a *AuditLog) witness(ctx context.Context) (more bool, err error) {
	err = a.extend(ctx, func(tx pgx.Tx, l *link) error {
		rows, err := tx.Query(ctx, `WITH w AS (
				DELETE FROM headwater.audit_waiting WHERE id IN (SELECT q.id FROM headwater.audit_waiting q
					JOIN headwater.audit_record r ON r.writer = q.writer AND r.number = q.number AND r.day = q.day
					ORDER BY q.id LIMIT $1 FOR UPDATE OF q SKIP LOCKED)
				RETURNING id, writer, number, day)
			SELECT `+selectRecord+` FROM w JOIN headwater.audit_record r ON r.writer = w.writer AND r.number = w.number AND r.day = w.day ORDER BY w.id`, maxWitnessed)
		if err != nil {
			return err
		}
		seen, err := pgx.CollectRows(rows, scanKept)
		if err != nil || len(seen) == 0 {
			return err
		}
		by := &kept{Record: Record{
			Time: a.now().UTC().Truncate(time.Microsecond), Roles: []string{}, Method: methodWitness, Decision: Allowed, Calls: 1,
			Reason: fmt.Sprintf("%d records that were written in transactions", len(seen)),
		}}
		for _, r := range seen {
			by.Witnessed = append(by.Witnessed, r.witness())
		}
		more = len(seen) == maxWitnessed
		return l.add(by)
	})
	if err != nil {
		return false, fmt.Errorf("witness audit records: %w", err)
	}
	return more, nil
}
