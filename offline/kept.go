package offline

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
)

// A table of others has no past. Where its source asks for a snapshot, a run keeps the rows that it reads, so that it can be computed
// again when the table has changed. Each column is kept as its text, which in a pinned session stands for one value of its type and is
// read back as that. Rows that are equal are kept once, whichever runs read them.

// Kept is what a run keeps of a table of others.
type Kept struct {
	Rows int64 `json:"rows"`
	// Bytes is what the rows take before those that are equal are kept once.
	Bytes int64 `json:"bytes"`
	// Columns are those of the rows, in their order.
	Columns []KeptColumn `json:"columns"`
	// Erased is how many of the rows that were kept are erased: what is left has another digest than what the run read.
	Erased int64 `json:"erased,omitempty"`
}

// KeptColumn is a column that the source declared when the run read it, with its type as definitions write it.
type KeptColumn struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// KeepBounds is how much a run keeps of one source. Of one that has more it keeps nothing.
type KeepBounds struct{ Rows, Bytes int64 }

// The bounds outside of tests.
const (
	MaxKeptRows  = 1_000_000
	MaxKeptBytes = 256 << 20
)

// keptLock is held alone while rows go that no run has kept, and together while runs add some: what one of them finds, it has.
const keptLock = `hashtextextended('headwater.kept_row', 0)`

// keeping are the inputs whose sources ask for a snapshot.
func (t *Transform) keeping() (inputs []*Input) {
	for _, in := range t.Inputs {
		if in.foreign != nil && in.Source.Postgres.Snapshot {
			inputs = append(inputs, in)
		}
	}
	return inputs
}

// Keeps reports whether there is anything for KeepRows to keep.
func (t *Transform) Keeps() bool { return len(t.keeping()) > 0 }

// KeepRows keeps, for a run, the rows that t has read of sources that ask for it, in a transaction on conn, which is another connection
// than that of t. What a source has beyond the bounds is noted in Notes, and not kept. ForgetKept takes back what it did.
func (t *Transform) KeepRows(ctx context.Context, conn *pgx.Conn, run int64, bounds KeepBounds, fence Fence) error {
	if _, err := t.tx.Exec(ctx, patient); err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if err := fence(ctx, tx); err != nil {
			return err
		}
		if err := ForgetKept(ctx, tx, run); err != nil {
			return err
		}
		// Hashes of a million digests fit into what a sort of a view may take, and not into what sessions have.
		_, err := tx.Exec(ctx, `SELECT set_config('work_mem', $1, true)`, strconv.FormatInt(t.bounds.WorkMemory>>10, 10)+"kB")
		if err != nil {
			return err
		}
		var kept []*Input
		for _, in := range t.keeping() {
			found, err := in.copyKept(ctx, t, tx, bounds)
			if err != nil {
				return err
			}
			if in.Kept = found; found != nil {
				kept = append(kept, in)
				continue
			}
			t.Notes = append(t.Notes, fmt.Sprintf("source %s: found more rows than a run keeps, expected at most %d of at most %d bytes together, so that none "+
				"are kept: once %s has changed, the run cannot be computed again; run shorter intervals (--from, --to)", in.Source.Name, bounds.Rows,
				bounds.Bytes, in.foreign.name()))
		}
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock_shared("+keptLock+")"); err != nil {
			return err
		}
		for _, in := range kept {
			if err := in.addKept(ctx, tx, run); err != nil {
				return err
			}
		}
		return fence(ctx, tx)
	})
}

// keptStage is the table of the writing session by which the rows of an input come.
func (in *Input) keptStage() string { return "_kept_" + in.Source.Name }

// errNotKept undoes the copy of rows that are too many.
var errNotKept = errors.New("more rows than are kept")

// copyKept copies the rows that were read from the snapshot of t into a temporary table of tx. nil: they are beyond the bounds.
func (in *Input) copyKept(ctx context.Context, t *Transform, tx pgx.Tx, bounds KeepBounds) (*Kept, error) {
	if in.Rows > bounds.Rows {
		return nil, nil
	}
	kept := &Kept{Rows: in.Rows}
	texts := make([]string, len(in.Source.Columns))
	for i, c := range in.Source.Columns {
		kept.Columns = append(kept.Columns, KeptColumn{Name: c.Name, Type: c.Type.String()})
		texts[i] = quote(c.Name) + "::text"
	}
	query := fmt.Sprintf("SELECT ARRAY[%s] FROM %s AS _rows WHERE %s", strings.Join(texts, ", "), in.whole, inside(in.Source, t.Reads()))
	err := pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "CREATE TEMPORARY TABLE "+quote(in.keptStage())+" (sha256 bytea, row text[]) ON COMMIT DROP"); err != nil {
			return err
		}
		err := copyIn(ctx, tx.Conn(), temporary(in.keptStage()), []string{"sha256", "row"}, func(e *copyEncoder) error {
			return copyOut(ctx, t.conn, query, func(fields [][]byte) error {
				// A COPY that is broken off takes the snapshot's connection with it, so that rows that are too many are read all the same.
				if kept.Bytes += int64(len(fields[0])); kept.Bytes > bounds.Bytes {
					return nil
				}
				sum := sha256.Sum256(fields[0])
				e.beginRow(2)
				e.bytes(sum[:])
				e.bytes(fields[0])
				return e.err
			})
		})
		if err == nil && kept.Bytes > bounds.Bytes {
			err = errNotKept
		}
		return err
	})
	if errors.Is(err, errNotKept) {
		return nil, nil
	}
	return kept, err
}

// addKept moves what copyKept copied to the rows that are kept, as the run's.
func (in *Input) addKept(ctx context.Context, tx pgx.Tx, run int64) error {
	stage := temporary(in.keptStage())
	if _, err := tx.Exec(ctx, "ANALYZE "+stage); err != nil {
		return err
	}
	// In one order, so that runs that add the same rows at once wait for each other and not in a circle.
	_, err := tx.Exec(ctx, fmt.Sprintf(`
		INSERT INTO headwater.kept_row (source, sha256, row)
		SELECT $1, _rows.sha256, _rows.row FROM (SELECT min(ctid) AS at FROM %[1]s GROUP BY sha256) AS _first JOIN %[1]s AS _rows ON _rows.ctid = _first.at
		WHERE NOT EXISTS (SELECT FROM headwater.kept_row k WHERE k.source = $1 AND k.sha256 = _rows.sha256)
		ORDER BY _rows.sha256
		ON CONFLICT DO NOTHING`, stage), in.Source.Name)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, fmt.Sprintf(`
		INSERT INTO headwater.run_kept_row (run_id, row_id, copies)
		SELECT $1, k.id, _rows.copies FROM (SELECT sha256, count(*) AS copies FROM %s GROUP BY sha256) AS _rows
			JOIN headwater.kept_row k ON k.source = $2 AND k.sha256 = _rows.sha256
		ORDER BY k.id`, stage), run, in.Source.Name)
	return err
}

// ForgetKept takes back what a run kept, with the rows that no other run has kept.
func ForgetKept(ctx context.Context, tx pgx.Tx, run int64) error {
	var some bool
	err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM headwater.run_kept_row WHERE run_id = $1)`, run).Scan(&some)
	if err != nil || !some {
		return err
	}
	if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock("+keptLock+")"); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		WITH gone AS (DELETE FROM headwater.run_kept_row WHERE run_id = $1 RETURNING row_id)
		DELETE FROM headwater.kept_row k USING gone WHERE k.id = gone.row_id
			AND NOT EXISTS (SELECT FROM headwater.run_kept_row r WHERE r.row_id = k.id AND r.run_id <> $1)`, run)
	return err
}

// FromKept reports whether the input's rows are those that the run kept, and not what the table holds now.
func (in *Input) FromKept() bool { return in.keptAs != nil }

// openKept shows a run that is computed again the rows that it kept of a source. nil: it kept none, or what is there are not the rows that it
// read, which is noted.
func (t *Transform) openKept(ctx context.Context, src *feature.SourceVersion) (*Input, error) {
	kept, ok := t.kept.Sources[src.Name]
	if !ok {
		return nil, nil
	}
	// The source may have grown other columns than the rows have.
	as := *src
	as.Columns, as.IgnoreNewColumns = nil, true
	definitions := make([]string, len(kept.Columns))
	values := make([]string, len(kept.Columns))
	for i, c := range kept.Columns {
		typ, err := feature.ParseType(c.Type)
		if err != nil {
			return nil, fmt.Errorf("column %s of the rows that run %d kept of source %s: %w", c.Name, t.kept.ID, src.Name, err)
		}
		as.Columns = append(as.Columns, feature.Column{Name: c.Name, Type: typ})
		definitions[i] = quote(c.Name) + " " + columnType(typ)
		values[i] = "k.row[" + strconv.Itoa(i+1) + "]::" + castType(typ)
	}
	name := "_kept_" + src.Name
	if _, err := t.tx.Exec(ctx, "CREATE TEMPORARY TABLE "+quote(name)+" ("+strings.Join(definitions, ", ")+")"); err != nil {
		return nil, err
	}
	// What was changed by other means may not be of its type.
	err := pgx.BeginFunc(ctx, t.tx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, fmt.Sprintf(`
			INSERT INTO %s SELECT %s FROM headwater.run_kept_row r JOIN headwater.kept_row k ON k.id = r.row_id
				CROSS JOIN LATERAL generate_series(1, r.copies)
			WHERE r.run_id = $1 AND k.source = $2`, temporary(name), strings.Join(values, ", ")), t.kept.ID, src.Name)
		return err
	})
	if err != nil && lasting(err) == nil {
		return nil, err
	}
	in := &Input{Source: src, keptAs: &as, foreign: &relation{source: src, conn: t.conn, tx: t.tx}, table: shownKept(src, &as, temporary(name))}
	if err == nil {
		if _, err := t.tx.Exec(ctx, "ANALYZE "+temporary(name)); err != nil {
			return nil, err
		}
		if err := in.countRows(ctx, &relation{source: &as, conn: t.conn, tx: t.tx}, temporary(name), t.Reads()); err != nil {
			return nil, err
		}
	}
	if in.RowsDigest == nil || *in.RowsDigest != kept.Digest && kept.Erased == 0 {
		t.Notes = append(t.Notes, fmt.Sprintf("source %s: the rows that the run kept are not those that it read: someone changed them by other means", src.Name))
		_, err := t.tx.Exec(ctx, "DROP TABLE "+temporary(name))
		return nil, err
	}
	return in, nil
}

// shownKept is what stands after FROM for kept rows in the shape of the source now. A column that they do not have, or have of another
// type, is one that the view does not use: else it would have a new version.
func shownKept(src, as *feature.SourceVersion, table string) string {
	columns := make([]string, len(src.Columns))
	for i, c := range src.Columns {
		columns[i] = quote(c.Name)
		if was := as.Column(c.Name); was == nil || was.Type != c.Type {
			columns[i] = "NULL::" + columnType(c.Type) + " AS " + quote(c.Name)
		}
	}
	return "(SELECT " + strings.Join(columns, ", ") + " FROM " + table + ")"
}

// countRows counts rows of a relation, as it stands after FROM, and digests them.
func (in *Input) countRows(ctx context.Context, r *relation, table string, read Spans) error {
	counter := newRowCounter(r, read)
	query := fmt.Sprintf("SELECT %s FROM %s AS _rows WHERE %s", quoteAll("", columnNames(r.source.Columns)), table, inside(r.source, read))
	if err := copyOut(ctx, r.conn, query, counter.add); err != nil {
		return err
	}
	in.counted(counter)
	return nil
}

func (in *Input) counted(c *rowCounter) {
	digest := c.buckets.total()
	in.Rows, in.RowsDigest, in.Buckets = c.rows, &digest, c.buckets.buckets()
}

// Now counts and digests, in the columns that were kept, the rows that the table of others behind an input holds now where the run read.
// It works on conn, which may be gone after it. That the table cannot be read is a fault.
func (in *Input) Now(ctx context.Context, conn *pgx.Conn, t *Transform) (*Input, error) {
	now := &Input{Source: in.keptAs}
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if err := pinSession(ctx, tx); err != nil {
		return nil, err
	}
	err = t.databases.with(ctx, tx, in.keptAs, func(r *relation) error {
		r.timeout = t.bounds.Timeout
		if _, err := r.tx.Exec(ctx, `SELECT set_config('statement_timeout', $1, true)`, strconv.FormatInt(r.timeout.Milliseconds(), 10)); err != nil {
			return r.failed(err)
		}
		if _, err := r.seen(ctx); err != nil {
			return err
		}
		return r.failed(now.countRows(ctx, r, r.asTheyAre(), t.Reads()))
	})
	return now, database.Fault(err)
}

// KeptRun is a run that is computed again with rows that it kept.
type KeptRun struct {
	ID int64
	// Sources are those of which it kept rows.
	Sources map[string]KeptRows
}

// KeptRows is the rows that a run kept of a source, and the digest of those that it read.
type KeptRows struct {
	Kept
	Digest feature.Digest
}
