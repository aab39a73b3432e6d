package access

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/internal/appendlog"
)

// methodMoved is the method of a record that says that somebody else changed the end of the chain.
const methodMoved = "audit-moved"

// end is where a chain ends.
type end struct {
	// number is that of the last record, and hash its hash; before the first, what a chain begins with.
	number int64
	hash   Hash
}

// link is the end of this server's chain, while a transaction adds to it.
type link struct {
	end
	writer string
	logged int64
	day    time.Time
	// rows are the records to be added; extents are what they extend to, by digest, nil where that is there already.
	rows    *copying
	extents map[string][]byte
	batch   pgx.Batch
	// hashed is memory for what is hashed.
	hashed []byte
}

// add has a record as the chain's next, behind those that are kept with it.
func (l *link) add(r *kept) error {
	l.number += int64(r.Earlier.len()) + 1
	r.Writer, r.Number, r.day = l.writer, l.number, l.day
	l.hashed = r.appendAfter(l.hashed[:0], l.hash)
	l.hash = sha256.Sum256(l.hashed)
	r.hash = slices.Clone(l.hash[:])
	if r.extent != nil && l.extents[string(r.extent)] == nil {
		l.extents[string(r.extent)] = r.body
	}
	return l.rows.add(r)
}

// write puts all into Postgres. COPY takes a fraction of what a statement for each would: where every read is recorded, this is the most of it.
func (l *link) write(ctx context.Context, tx pgx.Tx) error {
	if l.rows.empty() && l.batch.Len() == 0 {
		return nil
	}
	if !l.rows.empty() {
		if err := l.rows.write(ctx, tx); err != nil {
			return err
		}
	}
	// Servers that insert the same ones at once take them in one order, so that neither waits for the other for ever.
	for _, digest := range slices.Sorted(maps.Keys(l.extents)) {
		if body := l.extents[digest]; body != nil {
			l.batch.Queue(insertExtent, body, l.day)
		} else {
			l.batch.Queue(`UPDATE headwater.audit_extent SET last_day = $2 WHERE digest = $1 AND last_day < $2`, []byte(digest), l.day)
		}
	}
	l.batch.Queue(`UPDATE headwater.audit_writer SET number = $2, logged = $3, hash = $4, day = $5 WHERE writer = $1`,
		l.writer, l.number, l.logged, l.hash[:], l.day)
	return tx.SendBatch(ctx, &l.batch).Close()
}

// errNoDay says that the partition of a day may not be there.
type errNoDay struct{ day time.Time }

func (e errNoDay) Error() string {
	return "headwater.audit_record has no partition of " + e.day.Format(time.DateOnly)
}

// extend adds to this server's chain what add makes, all of it or nothing. The chain's row is locked meanwhile, and no other one is.
func (a *AuditLog) extend(ctx context.Context, add func(pgx.Tx, *link) error) error {
	a.chain.Lock()
	defer a.chain.Unlock()
	for {
		err := a.tryExtend(ctx, add)
		var missing errNoDay
		if !errors.As(err, &missing) {
			return err
		}
		if err := createAuditDay(ctx, a.pool, missing.day); err != nil {
			return err
		}
		a.days[missing.day] = true
	}
}

func (a *AuditLog) tryExtend(ctx context.Context, add func(pgx.Tx, *link) error) error {
	var before, after end
	err := pgx.BeginFunc(ctx, a.pool, func(tx pgx.Tx) error {
		l, err := a.lockEnd(ctx, tx)
		if err != nil {
			return err
		}
		if !a.days[l.day] {
			return errNoDay{l.day}
		}
		before = l.end
		if len(a.ends) > 0 && !slices.Contains(a.ends, l.end) {
			last := a.ends[len(a.ends)-1]
			a.out.Error("THE AUDIT RECORDS OF THIS SERVER WERE CHANGED IN POSTGRES, or an older copy of the database was taken; see `headwater audit verify`",
				"writer", l.writer, "number", l.number, "expected", last.number)
			err := l.add(&kept{Record: Record{
				Time: a.now().UTC().Truncate(time.Microsecond), Roles: []string{}, Method: methodMoved, Resource: "system:*", Decision: Denied, Calls: 1,
				Reason: fmt.Sprintf("the chain ended at record %d with %s when the server had written up to record %d with %s",
					l.number, hex.EncodeToString(l.hash[:8]), last.number, hex.EncodeToString(last.hash[:8])),
			}})
			if err != nil {
				return err
			}
		}
		if err := add(tx, l); err != nil {
			return err
		}
		after = l.end
		return l.write(ctx, tx)
	})
	switch {
	case err == nil:
		a.ends = []end{after}
	case after.number > before.number:
		// Whether it was committed is not known.
		a.ends = append(a.ends, before, after)
	}
	return err
}

// lockEnd locks the end of this server's chain, which begins now where there was none.
func (a *AuditLog) lockEnd(ctx context.Context, tx pgx.Tx) (*link, error) {
	a.copying.reset()
	l := &link{writer: a.log.Writer(), extents: map[string][]byte{}, rows: &a.copying}
	lock := func() error {
		var hash []byte
		var now time.Time
		err := tx.QueryRow(ctx, `SELECT number, logged, hash, day, clock_timestamp() FROM headwater.audit_writer WHERE writer = $1 FOR UPDATE`, l.writer).
			Scan(&l.number, &l.logged, &hash, &l.day, &now)
		if err == nil {
			copy(l.hash[:], hash)
			if today := a.dayOf(now); today.After(l.day) {
				l.day = today
			}
		}
		return err
	}
	err := lock()
	if !errors.Is(err, pgx.ErrNoRows) {
		return l, err
	}
	// Records from before there were chains have lower numbers.
	var before int64
	var now time.Time
	err = tx.QueryRow(ctx, `SELECT coalesce(max(number), 0), clock_timestamp() FROM headwater.audit_record WHERE writer = $1`, l.writer).Scan(&before, &now)
	if err != nil {
		return nil, err
	}
	begins := beginning(l.writer, before)
	_, err = tx.Exec(ctx, `INSERT INTO headwater.audit_writer (writer, began_after, number, logged, hash, day) VALUES ($1, $2, $2, $2, $3, $4)
		ON CONFLICT (writer) DO NOTHING`, l.writer, before, begins[:], a.dayOf(now))
	if err != nil {
		return nil, err
	}
	return l, lock()
}

// dayOf is the day in UTC, by the clock of Postgres, which servers share, or by that of a test.
func (a *AuditLog) dayOf(now time.Time) time.Time {
	if a.clock != nil {
		now = a.clock()
	}
	return now.UTC().Truncate(24 * time.Hour)
}

// insert puts a batch of the append log into Postgres, all of it or none. What is there already is left alone.
func (a *AuditLog) insert(ctx context.Context, batch []appendlog.Record) error {
	records, err := a.readLogged(batch)
	if err != nil {
		return err
	}
	err = a.extend(ctx, func(tx pgx.Tx, l *link) error {
		again, counts := map[int64]*kept{}, map[int64]*kept{}
		a.folding.reset()
		for i := range records {
			r := &records[i]
			switch {
			case r.number <= l.logged:
				if whole, err := a.whole(r); err != nil {
					return err
				} else if whole.Continues == 0 {
					again[r.number] = whole
				}
			case r.fixed != nil:
				if err := a.folding.add(r, l.add); err != nil {
					return err
				}
			case r.whole.Continues != 0:
				counts[r.whole.Continues] = r.whole
			default:
				if err := l.add(r.whole); err != nil {
					return err
				}
			}
			l.logged = max(l.logged, r.number)
		}
		if err := a.folding.flush(l.add); err != nil {
			return err
		}
		for _, of := range slices.Sorted(maps.Keys(counts)) {
			r := counts[of]
			l.batch.Queue(`INSERT INTO headwater.audit_count AS c (writer, continues, logged, calls, last_time, record) VALUES ($1, $2, $3, $4, $5, $6)
				ON CONFLICT (writer, continues) DO UPDATE SET logged = excluded.logged, calls = excluded.calls, last_time = excluded.last_time, record = excluded.record
				WHERE c.calls < excluded.calls`, l.writer, of, r.logged, r.Calls, r.LastTime, &r.Record)
		}
		return a.wantSame(ctx, tx, again)
	})
	if err != nil {
		return fmt.Errorf("insert audit records: %w", err)
	}
	return nil
}

// readLogged reads records of the append log, those of reads that go into one row as far as that needs.
func (a *AuditLog) readLogged(batch []appendlog.Record) ([]logged, error) {
	records := make([]logged, len(batch))
	var like []byte
	for i, b := range batch {
		r := &records[i]
		r.number, r.payload = b.Number, b.Payload
		if r.split(like); r.fixed != nil {
			like = r.fixed
			continue
		}
		var err error
		if r.whole, err = a.whole(r); err != nil {
			return nil, err
		}
	}
	return records, nil
}

// whole is a record of the append log, read whole.
func (a *AuditLog) whole(r *logged) (*kept, error) {
	if r.whole != nil {
		return r.whole, nil
	}
	k := &kept{logged: r.number}
	if err := k.read(r.payload); err != nil {
		return nil, fmt.Errorf("audit record %d of %s cannot be read: %w", r.number, a.log.Writer(), err)
	}
	return k, nil
}

// endCounts makes records of the counts that nothing was added to since a time: those of minutes that are over, and those that a server left that was killed.
func (a *AuditLog) endCounts(ctx context.Context, since time.Time) error {
	err := a.extend(ctx, func(tx pgx.Tx, l *link) error {
		rows, err := tx.Query(ctx, `DELETE FROM headwater.audit_count WHERE writer = $1 AND last_time < $2 RETURNING logged, record`, l.writer, since)
		if err != nil {
			return err
		}
		ended, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*kept, error) {
			r := &kept{}
			return r, row.Scan(&r.logged, &r.Record)
		})
		if err != nil {
			return err
		}
		slices.SortFunc(ended, func(a, b *kept) int { return int(a.logged - b.logged) })
		for _, r := range ended {
			r.clean()
			r.Decision = Allowed
			if err := l.add(r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("end the counts of a minute: %w", err)
	}
	return nil
}
