package access

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/internal/database"
)

// AuditVerification is what VerifyAudit looks at, and whom it tells.
type AuditVerification struct {
	// Writer is the one whose chain is looked at. Empty: all.
	Writer string
	// Since leaves out what is before the last checkpoint before then. Zero: everything that is kept is looked at.
	Since time.Time
	// Keys are those that are trusted. Empty: those that Postgres has, so whoever can write there is trusted too.
	Keys []AuditPublicKey

	// Problem, Chain and Progress are told; Progress how many records of about how many.
	Problem  func(AuditProblem) error
	Chain    func(AuditChain) error
	Progress func(done, total int64) error
}

// AuditProblem is something that does not hold.
type AuditProblem struct {
	Writer string
	Number int64
	// Kind is one of those below.
	Kind            string
	Found, Expected string
}

// The kinds of problems.
const (
	ProblemChanged      = "changed"
	ProblemMissing      = "missing"
	ProblemReordered    = "reordered"
	ProblemInserted     = "inserted"
	ProblemUnsigned     = "unsigned"
	ProblemBadSignature = "bad_signature"
)

// AuditChain is what was found of a chain; without a writer, of what was recorded in transactions.
type AuditChain struct {
	Writer string
	// First and Last are the numbers of the records that were looked at, Records how many.
	First, Last, Records  int64
	Checkpoints, Problems int64
	// SignedTo, SignedAt and KeyID are of the newest checkpoint that holds. 0: there is none.
	SignedTo int64
	SignedAt time.Time
	KeyID    string
}

const (
	// maxMisplaced bounds the records of a chain that are compared with each other, to tell those that changed places from those that were changed.
	maxMisplaced = 64
	// progressEvery is in records.
	progressEvery = 1000
)

// VerifyAudit looks for what does not hold of the audit records in Postgres, as of one moment. It trusts nothing there but public keys, and not even those
// when it is given others.
func VerifyAudit(ctx context.Context, pool *pgxpool.Pool, v AuditVerification) error {
	err := pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		w := &verifier{AuditVerification: v, tx: tx, pool: pool, trusted: map[string]AuditPublicKey{}}
		return w.verify(ctx)
	})
	if err != nil {
		return database.Fault(fmt.Errorf("verify the audit: %w", err))
	}
	return nil
}

type verifier struct {
	AuditVerification
	tx      pgx.Tx
	pool    *pgxpool.Pool
	trusted map[string]AuditPublicKey
	// dropped is the last day that was dropped, or zero.
	dropped time.Time
	// chain is the one that is looked at.
	chain       AuditChain
	done, total int64
	witnesses   []seenWitness
	witnessed   int64
}

// seenWitness is what a record of a chain witnesses.
type seenWitness struct {
	Witness
	by     string
	record int64
}

func (v *verifier) problem(p AuditProblem) error {
	v.chain.Problems++
	return v.Problem(p)
}

func (v *verifier) verify(ctx context.Context) error {
	keys := v.Keys
	if len(keys) == 0 {
		var err error
		if keys, err = ListAuditKeys(ctx, v.tx); err != nil {
			return err
		}
	}
	for _, k := range keys {
		v.trusted[k.ID] = k
	}
	if err := v.tx.QueryRow(ctx, `SELECT coalesce(sum(number - began_after), 0)::bigint FROM headwater.audit_writer`).Scan(&v.total); err != nil {
		return err
	}
	// Of the days that were dropped, before anything that was in them is missed.
	outside := AuditChain{}
	v.chain = outside
	days, err := v.checkpoints(ctx, "")
	if err != nil {
		return err
	}
	for _, c := range days {
		if c.day.After(v.dropped) {
			v.dropped = c.day
		}
	}
	outside = v.chain
	rows, err := v.tx.Query(ctx, `SELECT writer FROM (
			SELECT writer FROM headwater.audit_writer UNION SELECT writer FROM headwater.audit_checkpoint WHERE writer <> ''
			UNION SELECT writer FROM headwater.audit_record WHERE hash IS NOT NULL) w
		WHERE $1 = '' OR writer = $1 ORDER BY writer`, v.Writer)
	if err != nil {
		return err
	}
	writers, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, writer := range writers {
		if err := v.verifyChain(ctx, writer); err != nil {
			return err
		}
	}
	v.chain = outside
	if v.Writer == "" {
		if err := errors.Join(v.verifyOutside(ctx), v.verifyExtents(ctx)); err != nil {
			return err
		}
	}
	if v.chain.Records = v.witnessed; v.Writer != "" || v.chain.Records == 0 && v.chain.Problems == 0 {
		return nil
	}
	return v.Chain(v.chain)
}

// checkpoints are those of a writer that hold, in the order of their numbers.
func (v *verifier) checkpoints(ctx context.Context, writer string) ([]checkpoint, error) {
	rows, err := v.tx.Query(ctx, `SELECT `+checkpointColumns+` FROM headwater.audit_checkpoint WHERE writer = $1 ORDER BY number, id`, writer)
	if err != nil {
		return nil, err
	}
	all, err := pgx.CollectRows(rows, scanCheckpoint)
	if err != nil {
		return nil, err
	}
	var good []checkpoint
	for _, c := range all {
		p := AuditProblem{Writer: writer, Number: c.number, Kind: ProblemBadSignature}
		what := "checkpoint of " + c.time.UTC().Format(checkpointTime)
		if c.kind == kindDropped {
			what = "note that the days up to " + c.day.Format(time.DateOnly) + " were dropped, of " + c.time.UTC().Format(checkpointTime)
		}
		key, known := v.trusted[c.key]
		switch {
		case c.key == "" && v.wantsSignature(c.time):
			p.Kind, p.Found, p.Expected = ProblemUnsigned, "a "+what+" that nobody signed", "one that a server signed"
		case c.key == "":
			good = append(good, c)
			continue
		case !known:
			p.Found, p.Expected = "a "+what+" by the key "+c.key, "one by a key that is trusted"
		case !c.signedBy(key):
			p.Found, p.Expected = "a "+what+" that the key "+c.key+" did not sign", "a signature of what it says"
		default:
			good = append(good, c)
			continue
		}
		if err := v.problem(p); err != nil {
			return nil, err
		}
	}
	return good, nil
}

// wantsSignature reports whether servers had a key at a time.
func (v *verifier) wantsSignature(at time.Time) bool {
	for _, k := range v.trusted {
		if !k.Since.After(at) {
			return true
		}
	}
	return false
}

// where is where the looking at a chain begins.
type where struct {
	end
	// from is the first number that is read: that of a checkpoint itself, whose record must have its hash, else the next.
	from int64
}

// verifyChain looks at one chain.
func (v *verifier) verifyChain(ctx context.Context, writer string) error {
	v.chain = AuditChain{Writer: writer}
	checkpoints, err := v.checkpoints(ctx, writer)
	if err != nil {
		return err
	}
	var last *end
	var begins int64
	var hash []byte
	var at end
	err = v.tx.QueryRow(ctx, `SELECT began_after, number, hash FROM headwater.audit_writer WHERE writer = $1`, writer).Scan(&begins, &at.number, &hash)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		err = v.problem(AuditProblem{Writer: writer, Kind: ProblemMissing, Found: "no row in audit_writer", Expected: "the end of the chain"})
	case err == nil:
		copy(at.hash[:], hash)
		last = &at
	}
	if err != nil {
		return err
	}
	start := where{end{begins, beginning(writer, begins)}, begins + 1}
	for _, c := range checkpoints {
		switch {
		case c.kind == kindDropped && c.number > start.number:
			start = where{c.end, c.number + 1}
		case c.kind == kindCheckpoint && !v.Since.IsZero() && !c.time.After(v.Since) && c.number > start.number:
			start = where{c.end, c.number}
		}
	}
	v.chain.First = start.from
	end, err := v.follow(ctx, writer, start, checkpoints)
	if err != nil {
		return err
	}
	if err := v.verifyEnd(writer, end, last, checkpoints); err != nil {
		return err
	}
	if len(v.Keys) > 0 && v.chain.SignedTo == 0 && v.chain.Records > 0 {
		err := v.problem(AuditProblem{
			Writer: writer, Number: end.number, Kind: ProblemUnsigned, Found: "no checkpoint of the chain by a key that was given", Expected: "one at least",
		})
		if err != nil {
			return err
		}
	}
	v.chain.Last = end.number
	return v.Chain(v.chain)
}

// misplaced is a record that does not have the hash of what it holds, behind the record before it.
type misplaced struct {
	*kept
	before Hash
}

// follow walks along a chain, and returns where its records end.
func (v *verifier) follow(ctx context.Context, writer string, start where, checkpoints []checkpoint) (end, error) {
	at := start.end
	rows, err := v.tx.Query(ctx, `SELECT `+selectRecord+` FROM headwater.audit_record r WHERE r.writer = $1 AND r.hash IS NOT NULL AND r.number >= $2
		ORDER BY r.number, r.day`, writer, start.from)
	if err != nil {
		return at, err
	}
	defer rows.Close()
	var wrong []misplaced
	checkpoints = slices.DeleteFunc(slices.Clone(checkpoints), func(c checkpoint) bool { return c.kind != kindCheckpoint || c.number < start.from })
	for first := true; rows.Next(); first = false {
		r, err := scanKept(rows)
		if err != nil {
			return at, err
		}
		// Of the row of the checkpoint that the looking begins with, its own record alone is looked at.
		together := int64(1)
		if !first || r.Number != start.number {
			together += int64(r.Earlier.len())
		}
		v.chain.Records += together
		if v.done += together; v.done/progressEvery > (v.done-together)/progressEvery {
			if err := v.Progress(v.done, max(v.total, v.done)); err != nil {
				return at, err
			}
		}
		stored := Hash(r.hash)
		switch {
		case first && r.Number == start.number:
			// The record of the checkpoint that the looking begins with.
		case r.Number <= at.number:
			err = v.problem(AuditProblem{
				Writer: writer, Number: r.Number, Kind: ProblemInserted, Found: "another record of that number, of " + r.day.Format(time.DateOnly), Expected: "one",
			})
			if err != nil {
				return at, err
			}
			continue
		case r.first() > at.number+1:
			err = v.missing(writer, at.number+1, r.first()-1, "")
		case r.hashAfter(at.hash) != stored:
			wrong = append(wrong, misplaced{r, at.hash})
		case r.first() <= at.number:
			err = v.problem(AuditProblem{
				Writer: writer, Number: r.Number, Kind: ProblemInserted, Found: fmt.Sprintf("records %d to %d in one row", r.first(), r.Number),
				Expected: fmt.Sprintf("none before %d, as the row before ends with %d", at.number+1, at.number),
			})
		}
		if err == nil && r.Method == methodMoved {
			err = v.problem(AuditProblem{Writer: writer, Number: r.Number, Kind: ProblemInserted, Found: r.Reason, Expected: "that the chain ends where the server left it"})
		}
		for err == nil && len(checkpoints) > 0 && checkpoints[0].number <= r.Number {
			err = v.compare(r, checkpoints[0])
			checkpoints = checkpoints[1:]
		}
		if err == nil {
			err = v.collect(ctx, r)
		}
		if err != nil {
			return at, err
		}
		at = end{r.Number, stored}
	}
	if err := rows.Err(); err != nil {
		return at, err
	}
	for i, r := range wrong {
		if err := v.misplaced(r, i, wrong); err != nil {
			return at, err
		}
	}
	return at, v.checkWitnessed(ctx)
}

// compare holds a row to a checkpoint of a number that it has, or of one that is missing. Rows are written whole before their end is signed, so none
// goes on behind a record that was.
func (v *verifier) compare(r *kept, c checkpoint) error {
	if c.number < r.first() {
		return nil
	}
	p := AuditProblem{Writer: r.Writer, Number: c.number, Kind: ProblemChanged}
	if c.number != r.Number {
		p.Found = fmt.Sprintf("it within a row of the records %d to %d", r.first(), r.Number)
		p.Expected = fmt.Sprintf("a row that ends with it, as was signed at %s", c.time.UTC().Format(checkpointTime))
		return v.problem(p)
	}
	v.chain.Checkpoints++
	if c.hash != Hash(r.hash) {
		p.Found = "the hash " + hex.EncodeToString(r.hash)
		p.Expected = fmt.Sprintf("%x, as was signed at %s: it or records before it were changed since", c.hash, c.time.UTC().Format(checkpointTime))
		return v.problem(p)
	}
	v.chain.SignedTo, v.chain.SignedAt, v.chain.KeyID = c.number, c.time.UTC(), c.key
	return nil
}

// misplaced tells of the i-th of the records that do not have the hash they should.
func (v *verifier) misplaced(r misplaced, i int, all []misplaced) error {
	p := AuditProblem{Writer: r.Writer, Number: r.Number, Kind: ProblemChanged}
	if i < maxMisplaced {
		for j, other := range all[:min(len(all), maxMisplaced)] {
			if i == j {
				continue
			}
			if r.hashAfter(Hash(other.hash)) == Hash(r.hash) {
				// It is as it was, and the record that was before it is elsewhere.
				return nil
			}
			if r.wasAt(other) {
				p.Kind, p.Found, p.Expected = ProblemReordered, fmt.Sprintf("what was recorded under number %d", other.Number), "what was recorded under this one"
				return v.problem(p)
			}
		}
	}
	should := r.hashAfter(r.before)
	p.Found, p.Expected = "the hash "+hex.EncodeToString(r.hash), fmt.Sprintf("%x, that of what it holds behind record %d", should, r.first()-1)
	return v.problem(p)
}

// wasAt reports whether a record was in the place of another, which has its number: with its own hash, or with the one that is there.
func (r misplaced) wasAt(other misplaced) bool {
	there := *r.kept
	there.Number, there.day = other.Number, other.day
	for _, logged := range []int64{r.logged, other.logged} {
		there.logged = logged
		for _, before := range []Hash{other.before, Hash(other.hash)} {
			if h := there.hashAfter(before); h == Hash(r.hash) || h == Hash(other.hash) {
				return true
			}
		}
	}
	return false
}

func (v *verifier) missing(writer string, from, to int64, why string) error {
	found := fmt.Sprintf("no record %d", from)
	if to > from {
		found = fmt.Sprintf("no records %d to %d", from, to)
	}
	if why == "" {
		why = "no gap"
	}
	return v.problem(AuditProblem{Writer: writer, Number: from, Kind: ProblemMissing, Found: found, Expected: why})
}

// verifyEnd compares where the records of a chain end with where they should: where the writer said, and at no less than was signed.
func (v *verifier) verifyEnd(writer string, found end, last *end, checkpoints []checkpoint) error {
	to, why := found.number, ""
	if last != nil && last.number > to {
		to, why = last.number, fmt.Sprintf("records up to %d, where the chain ends", last.number)
	}
	for _, c := range checkpoints {
		if c.number > found.number && c.number >= to {
			to, why = c.number, fmt.Sprintf("records up to %d at least, as was signed at %s", c.number, c.time.UTC().Format(checkpointTime))
		}
	}
	switch {
	case to > found.number:
		return v.missing(writer, found.number+1, to, why)
	case last == nil:
		return nil
	case last.number < found.number:
		return v.problem(AuditProblem{
			Writer: writer, Number: last.number + 1, Kind: ProblemInserted, Found: fmt.Sprintf("records up to %d", found.number),
			Expected: fmt.Sprintf("none behind %d, where the chain ends", last.number),
		})
	case last.hash != found.hash:
		return v.problem(AuditProblem{
			Writer: writer, Number: found.number, Kind: ProblemChanged, Found: fmt.Sprintf("the hash %x", found.hash),
			Expected: fmt.Sprintf("%x, with which the chain ends", last.hash),
		})
	}
	return nil
}

// collect takes up what a record witnesses.
func (v *verifier) collect(ctx context.Context, r *kept) error {
	for _, w := range r.Witnessed {
		v.witnesses = append(v.witnesses, seenWitness{w, r.Writer, r.Number})
	}
	if len(v.witnesses) < 2*maxWitnessed {
		return nil
	}
	return v.checkWitnessed(ctx)
}

// checkWitnessed holds records to what was witnessed of them. It takes a connection of its own: rows of the chain are read meanwhile.
func (v *verifier) checkWitnessed(ctx context.Context) error {
	seen := v.witnesses
	v.witnesses = nil
	if len(seen) == 0 {
		return nil
	}
	var writers, days []string
	var numbers []int64
	for _, w := range seen {
		// No record is of what is no day: somebody wrote that.
		if day, err := time.Parse(time.DateOnly, w.Day); err == nil && day.Year() > 0 {
			writers, numbers, days = append(writers, w.Writer), append(numbers, w.Number), append(days, w.Day)
		}
	}
	rows, err := v.pool.Query(ctx, `SELECT `+selectRecord+` FROM unnest($1::text[], $2::bigint[], $3::text[]) AS w (writer, number, day)
		JOIN headwater.audit_record r ON r.writer = w.writer AND r.number = w.number AND r.day = w.day::date`, writers, numbers, days)
	if err != nil {
		return err
	}
	found, err := pgx.CollectRows(rows, scanKept)
	if err != nil {
		return err
	}
	type name struct {
		writer string
		number int64
		day    string
	}
	there := map[name]*kept{}
	for _, r := range found {
		there[name{r.Writer, r.Number, r.day.Format(time.DateOnly)}] = r
	}
	for _, w := range seen {
		v.witnessed++
		r := there[name{w.Writer, w.Number, w.Day}]
		expected := fmt.Sprintf("that of %s, which record %d of %s witnesses", w.Day, w.record, w.by)
		switch {
		case r == nil && w.Day <= v.dropped.Format(time.DateOnly):
		case r == nil:
			err = v.problem(AuditProblem{Writer: w.Writer, Number: w.Number, Kind: ProblemMissing, Found: "no record", Expected: expected})
		case r.witness() != w.Witness:
			err = v.problem(AuditProblem{Writer: w.Writer, Number: w.Number, Kind: ProblemChanged, Found: "another record", Expected: expected})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// verifyOutside looks for records of transactions that nobody has witnessed, and for those that wait for it and are not there.
func (v *verifier) verifyOutside(ctx context.Context) error {
	rows, err := v.tx.Query(ctx, `
		SELECT r.writer, r.number, 'inserted', 'a record that no chain has witnessed, nor is any to', 'that it had been there when it says' FROM headwater.audit_record r
		WHERE r.hash IS NULL AND ($1::timestamptz IS NULL OR r.day >= ($1 AT TIME ZONE 'UTC')::date)
			AND NOT EXISTS (SELECT FROM headwater.audit_waiting q WHERE q.writer = r.writer AND q.number = r.number AND q.day = r.day)
			AND NOT EXISTS (SELECT FROM headwater.audit_record s, jsonb_path_query(s.witnessed, '$[*]') AS w
				WHERE s.witnessed IS NOT NULL AND w->>'writer' = r.writer AND w->>'number' = r.number::text AND w->>'day' = to_char(r.day, 'YYYY-MM-DD'))
		UNION ALL
		SELECT q.writer, q.number, 'missing', 'no record', 'that of ' || q.day || ', which waits for a witness' FROM headwater.audit_waiting q
		WHERE NOT EXISTS (SELECT FROM headwater.audit_record r WHERE r.writer = q.writer AND r.number = q.number AND r.day = q.day)`, nullTime(v.Since))
	if err != nil {
		return err
	}
	return v.problems(rows)
}

// verifyExtents looks at what records extend to: each has its digest, and is there.
func (v *verifier) verifyExtents(ctx context.Context) error {
	rows, err := v.tx.Query(ctx, `
		SELECT '', 0::bigint, 'changed', 'another text of the extent ' || encode(digest, 'hex'), 'the one of its digest' FROM headwater.audit_extent
		WHERE digest <> sha256(convert_to(body::text, 'UTF8'))
		UNION ALL
		SELECT r.writer, r.number, 'missing', 'no extent ' || encode(r.extent, 'hex'), 'the one that the record has' FROM headwater.audit_record r
		WHERE r.extent IS NOT NULL AND NOT EXISTS (SELECT FROM headwater.audit_extent e WHERE e.digest = r.extent)`)
	if err != nil {
		return err
	}
	return v.problems(rows)
}

func (v *verifier) problems(rows pgx.Rows) error {
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (p AuditProblem, err error) {
		err = row.Scan(&p.Writer, &p.Number, &p.Kind, &p.Found, &p.Expected)
		return p, err
	})
	if err != nil {
		return err
	}
	for _, p := range found {
		if err := v.problem(p); err != nil {
			return err
		}
	}
	return nil
}

// Verify is VerifyAudit with all that this server has recorded up to now.
func (a *AuditLog) Verify(ctx context.Context, v AuditVerification) error {
	if !a.off {
		if err := a.Flush(ctx); err != nil {
			return err
		}
		if _, err := a.witness(ctx); err != nil {
			return database.Fault(err)
		}
		if err := a.checkpoint(ctx); err != nil {
			return database.Fault(err)
		}
	}
	return VerifyAudit(ctx, a.pool, v)
}
