package offline

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
)

// Written is what a run, or a chunk of one, did to its history table.
type Written struct {
	// Produced is the rows of the output, Unchanged those that were live already.
	Produced, Unchanged int64
	// Inserted is the rows that begin at this run, Withdrawn those that end at it: corrected or gone.
	Inserted, Withdrawn int64
	// Corrected is Withdrawn by the run that the rows began at, as its sequence. nil: none.
	Corrected map[int64]int64
	// LiveChange is by how much the live rows of what was computed became more, as they were counted before and after.
	LiveChange int64
	// Digest is that of the output, free of order and sequences.
	Digest feature.Digest
	// Transform is the time in which the output was computed and encoded, Write that in which it was written, compared with
	// what the history had, and put in its place.
	Transform, Write time.Duration
	// Screened is what was found in the output that was not written, or written all the same.
	Screened Screened
	// Observed is what the observer of a part found. It is not added up.
	Observed []byte
}

// Add adds what another chunk of the same run did.
func (w *Written) Add(other *Written) {
	w.Produced += other.Produced
	w.Unchanged += other.Unchanged
	w.Inserted += other.Inserted
	w.Withdrawn += other.Withdrawn
	for seq, rows := range other.Corrected {
		w.correct(seq, rows)
	}
	w.LiveChange += other.LiveChange
	w.Transform += other.Transform
	w.Write += other.Write
	w.Screened.Add(&other.Screened)
	var sum feature.SetDigest
	sum.AddDigest(w.Digest)
	sum.AddDigest(other.Digest)
	w.Digest = sum.Digest()
}

func (w *Written) correct(seq, rows int64) {
	if w.Corrected == nil {
		w.Corrected = map[int64]int64{}
	}
	w.Corrected[seq] += rows
}

// Known is what some rows of a history are known to be without reading them.
type Known struct {
	Rows int64
	// Digest is that of all of them, as Written has it.
	Digest feature.Digest
}

// Fence is called in each transaction that writes, first and last: an error of it undoes what the transaction did.
type Fence func(context.Context, pgx.Tx) error

// Write runs the transform and makes the history of its span equal to the output, as sequence seq: rows that are equal
// stay, live rows that are not in the output end, and the others begin. It is one transaction on conn, which is another
// connection than the transform's. What is written is not visible until seq is published.
func Write(ctx context.Context, conn *pgx.Conn, t *Transform, seq int64, fence Fence) (*Written, error) {
	w := &Written{}
	began := time.Now()
	err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if err := fence(ctx, tx); err != nil {
			return err
		}
		p := &part{t: t, owned: t.Plan.Owned, states: len(t.corrections) > 0}
		var err error
		if p.direct, err = createNext(ctx, tx, t, seq); err != nil {
			return err
		}
		if err := p.write(ctx, tx, seq, w); err != nil {
			return err
		}
		if p.direct {
			if err := adoptNext(ctx, tx, t, seq, w.Produced); err != nil {
				return err
			}
		}
		return fence(ctx, tx)
	})
	w.Write = time.Since(began) - w.Transform
	return w, t.tooLarge(err)
}

// tooLarge is the fault of a row that Postgres cannot hold; all other errors are returned as they are.
func (t *Transform) tooLarge(err error) error {
	var pg *pgconn.PgError
	if fault.As(err) == nil && errors.As(err, &pg) && strings.HasPrefix(pg.Code, "54") {
		return t.refuse("a row of its output is more than Postgres can hold: %s; give the view fewer or shorter columns", pg.Message)
	}
	return err
}

// part is what of a run's output is written in one transaction.
type part struct {
	t *Transform
	// owned is the event times, less grain, of the output.
	owned Spans
	// states tells that it is made of several states of knowledge.
	states bool
	// direct tells that the history is made anew.
	direct bool
}

// write computes the part and writes it.
func (p *part) write(ctx context.Context, tx pgx.Tx, seq int64, w *Written) error {
	if p.t.screening == nil {
		return p.writeKept(ctx, tx, seq, w)
	}
	p.t.screen = p.t.screening()
	if err := p.writeKept(ctx, tx, seq, w); err != nil {
		return err
	}
	screened, err := p.t.screen.End(ctx, tx, p.owned.shift(p.t.View.RunGrain()))
	if err == nil {
		w.Screened.Add(screened)
	}
	return err
}

// writeKept writes what the screen keeps.
func (p *part) writeKept(ctx context.Context, tx pgx.Tx, seq int64, w *Written) error {
	if p.direct {
		if err := p.copyTo(ctx, tx, nextTable(p.t.View, seq), seq, w); err != nil {
			return err
		}
		w.Inserted, w.LiveChange = w.Produced, w.Produced
		return nil
	}
	staging, err := p.stage(ctx, tx, seq, w)
	if err != nil {
		return err
	}
	if err := p.apply(ctx, tx, staging, seq, w); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, "DROP TABLE "+staging)
	return err
}

// stage COPYs the output into a table that no other transaction ever sees, since this one drops it again.
func (p *part) stage(ctx context.Context, tx pgx.Tx, seq int64, w *Written) (table string, err error) {
	table, err = p.createStaging(ctx, tx, "output", seq, "")
	if err != nil {
		return "", err
	}
	return table, p.copyTo(ctx, tx, table, seq, w)
}

// roughTarget is the statistics target of tables that are joined once, by all of their rows: how many those are, and how wide, is
// all that matters, and the usual sample of thirty thousand rows takes as long as a good part of the join.
const roughTarget = 10

// analyzeRoughly looks at a few rows of a table that the transaction made.
func analyzeRoughly(ctx context.Context, tx pgx.Tx, table string) error {
	_, err := tx.Exec(ctx, fmt.Sprintf("SET LOCAL default_statistics_target = %d; ANALYZE %s; SET LOCAL default_statistics_target TO DEFAULT",
		roughTarget, table))
	return err
}

// createStaging makes a table of the output's columns and others, which the transaction drops again. Chunks of a run are staged
// at once: what names them apart is the session.
func (p *part) createStaging(ctx context.Context, tx pgx.Tx, what string, seq int64, others string) (table string, err error) {
	name := fmt.Sprintf("%s_%d_s%d_%d", what, p.t.View.ID, seq, tx.Conn().PgConn().PID())
	var b strings.Builder
	b.WriteString(`entity_key text COLLATE "C" NOT NULL, event_time timestamptz NOT NULL, available_at timestamptz NOT NULL`)
	for _, c := range p.t.View.Stored() {
		fmt.Fprintf(&b, ", %s %s", quote(c.Name), columnType(c.Type))
	}
	return quote(stagingSchema, name), database.CreateTable(ctx, tx, database.Table{
		Kind: database.Staging, Schema: stagingSchema, Name: name, Columns: b.String() + others, DistributionColumn: "entity_key",
	})
}

// copyTo COPYs the output into a table, and counts and digests it on the way.
func (p *part) copyTo(ctx context.Context, tx pgx.Tx, table string, seq int64, w *Written) error {
	var digest feature.SetDigest
	var encoding []byte
	columns := historyColumns(p.t.View)
	var observer *Observer
	if p.t.observe != nil {
		observer = p.t.observe()
	}
	added := func(r *feature.Row) {
		encoding = r.AppendCanonical(encoding[:0])
		digest.Add(encoding)
		if observer != nil {
			observer.Row(r, encoding)
		}
		w.Produced++
	}
	var err error
	if p.states {
		began := time.Now()
		err = stageStates(ctx, tx, p.t, table, seq, added)
		w.Transform += time.Since(began)
	} else {
		err = copyIn(ctx, tx.Conn(), table, columns, func(e *copyEncoder) error {
			began := time.Now()
			defer func() { w.Transform += time.Since(began) - e.waited }()
			for _, span := range p.owned {
				err := p.t.Rows(ctx, span, func(r *feature.Row) error {
					added(r)
					e.beginRow(len(columns))
					e.row(r)
					return e.err
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	w.Digest = digest.Digest()
	if err == nil && observer != nil {
		w.Observed, err = observer.End()
	}
	return err
}

// moment is what no two live rows of a history share.
var moment = []string{"entity_key", eventTimeColumn, availableAtColumn}

// momentFault refuses an output with several rows of one moment, of which values is one, as Postgres writes it.
func (t *Transform) momentFault(values string) error {
	return t.breaks(OneRowPerMoment, "found more than one row for (entity_key, event_time, available_at) = (%s), expected one; "+
		"group by the join keys, or make the times distinct", fault.Data(values))
}

// twice is momentFault for a unique violation of a key that begins with a moment, and has others columns more. nil for all
// other errors.
func (t *Transform) twice(err error, others int) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || pg.Code != "23505" {
		return nil
	}
	values := duplicateIn(pg.Detail)
	for range others {
		values = values[:max(strings.LastIndex(values, ", "), 0)]
	}
	return t.momentFault(values)
}

// duplicateIn is the values that Postgres names in the detail of a unique violation: `Key (…)=(VALUES) is duplicated.`
func duplicateIn(detail string) string {
	_, values, _ := strings.Cut(detail, ")=(")
	values = strings.TrimSuffix(values, ".")
	return strings.TrimSuffix(strings.TrimSuffix(values, ") is duplicated"), ") already exists")
}

// apply closes, then inserts, then checks that the live rows of what is owned are the output, no more and no less.
func (p *part) apply(ctx context.Context, tx pgx.Tx, staging string, seq int64, w *Written) error {
	history := historyTable(p.t.View)
	live := fmt.Sprintf("SELECT count(*) FROM %s h WHERE %s", history, p.live())
	var before, after int64
	err := tx.QueryRow(ctx, live).Scan(&before)
	if err != nil {
		return err
	}
	switch same, err := p.alreadyLive(ctx, before, w); {
	case err != nil:
		return err
	case same:
		w.Unchanged = w.Produced
		return nil
	}
	if err := analyzeRoughly(ctx, tx, staging); err != nil {
		return err
	}
	changes := ""
	begins := staging
	if before > 0 {
		if changes, err = p.compare(ctx, tx, staging, seq, w); err != nil {
			return err
		}
		begins = "(SELECT * FROM " + changes + " WHERE _begins)"
	}
	columns := historyColumns(p.t.View)
	tag, err := tx.Exec(ctx, fmt.Sprintf("INSERT INTO %s (%s, seq_from) SELECT %s, %d FROM %s s ORDER BY %s",
		history, quoteAll("", columns), quoteAll("s.", columns), seq, begins, quoteAll("s.", moment)))
	if f := p.t.twice(err, 1); f != nil {
		return f
	}
	if err != nil {
		return err
	}
	w.Inserted = tag.RowsAffected()
	if changes != "" {
		if _, err := tx.Exec(ctx, "DROP TABLE "+changes); err != nil {
			return err
		}
	}
	w.Unchanged = w.Produced - w.Inserted
	if after = before; w.Inserted+w.Withdrawn > 0 {
		if err := tx.QueryRow(ctx, live).Scan(&after); err != nil {
			return err
		}
	}
	if after != w.Produced {
		return p.unbalanced(ctx, tx, staging, after, w)
	}
	w.LiveChange = after - before
	return nil
}

// alreadyLive reports whether the output is known to be what is live, where live rows are.
func (p *part) alreadyLive(ctx context.Context, live int64, w *Written) (bool, error) {
	if p.t.Known == nil || live == 0 || live != w.Produced {
		return false, nil
	}
	known, err := p.t.Known(ctx, p.owned)
	return err == nil && known != nil && known.Rows == live && known.Digest == w.Digest, err
}

// live is the condition that live rows of the history meet which the part owns.
func (p *part) live() string {
	return fmt.Sprintf("h.seq_to = %d AND %s", int64(SeqLive), p.owned.shift(p.t.View.RunGrain()).Condition("h.event_time"))
}

// compare ends the live rows that are not in the output, and returns a table of the rows of the output that are not live, for
// which _begins is true. Both are found in one pass over the two.
func (p *part) compare(ctx context.Context, tx pgx.Tx, staging string, seq int64, w *Written) (changes string, err error) {
	columns := historyColumns(p.t.View)
	var joined, differs, kept []string
	for i, c := range columns {
		if i < len(moment) {
			joined = append(joined, fmt.Sprintf("s.%[1]s = h.%[1]s", c))
			kept = append(kept, fmt.Sprintf("coalesce(s.%[1]s, h.%[1]s)", c))
			continue
		}
		differs = append(differs, fmt.Sprintf("s.%[1]s IS DISTINCT FROM h.%[1]s", quote(c)))
		kept = append(kept, "s."+quote(c))
	}
	differs = append(differs, "s.entity_key IS NULL", "h.entity_key IS NULL")
	table, err := p.createStaging(ctx, tx, "changes", seq, ", _begins boolean NOT NULL, _ends boolean NOT NULL")
	if err != nil {
		return "", err
	}
	// What is compared fits, or is cut into pieces that do; sorting both instead takes thrice as long.
	_, err = tx.Exec(ctx, fmt.Sprintf("SET LOCAL enable_mergejoin = off; SET LOCAL work_mem = %d", p.t.bounds.WorkMemory>>10))
	if err != nil {
		return "", err
	}
	tag, err := tx.Exec(ctx, fmt.Sprintf(`INSERT INTO %s SELECT %s, s.entity_key IS NOT NULL, h.entity_key IS NOT NULL
		FROM %s s FULL JOIN (SELECT %s FROM %s h WHERE %s) h ON %s
		WHERE %s`, table, strings.Join(kept, ", "), staging, quoteAll("h.", columns), historyTable(p.t.View), p.live(),
		strings.Join(joined, " AND "), strings.Join(differs, " OR ")))
	if err != nil {
		return "", err
	}
	if _, err := tx.Exec(ctx, "SET LOCAL enable_mergejoin = on"); err != nil || tag.RowsAffected() == 0 {
		return table, err
	}
	if err := analyzeRoughly(ctx, tx, table); err != nil {
		return "", err
	}
	same := make([]string, len(moment))
	for i, c := range moment {
		same[i] = fmt.Sprintf("h.%[1]s = c.%[1]s", c)
	}
	rows, err := tx.Query(ctx, fmt.Sprintf(`WITH ended AS (UPDATE %s h SET seq_to = %d FROM %s c WHERE c._ends AND h.seq_to = %d AND %s RETURNING h.seq_from)
		SELECT seq_from, count(*) FROM ended GROUP BY seq_from`,
		historyTable(p.t.View), seq, table, int64(SeqLive), strings.Join(same, " AND ")))
	if err != nil {
		return "", err
	}
	var from, ended int64
	_, err = pgx.ForEachRow(rows, []any{&from, &ended}, func() error {
		w.correct(from, ended)
		w.Withdrawn += ended
		return nil
	})
	return table, err
}

// unbalanced says why the live rows are not the output: mostly because rows of it are of one moment.
func (p *part) unbalanced(ctx context.Context, tx pgx.Tx, staging string, live int64, w *Written) error {
	var twice string
	err := tx.QueryRow(ctx, fmt.Sprintf("SELECT concat_ws(', ', %[1]s) FROM %[2]s s GROUP BY %[1]s HAVING count(*) > 1 LIMIT 1",
		quoteAll("s.", moment), staging)).Scan(&twice)
	switch {
	case err == nil:
		return p.t.momentFault(twice)
	case !errors.Is(err, pgx.ErrNoRows):
		return err
	}
	return p.t.breaks(LiveRowsAreTheOutput, "the ledger does not balance: %d rows are live in the run's interval after it, and it produced %d; "+
		"nothing was published", live, w.Produced)
}

// Undo takes back what an unpublished run wrote: its rows go, and the rows that it ended are live again. Doing it twice
// changes nothing more. The caller holds the view's lease.
func Undo(ctx context.Context, tx pgx.Tx, v *feature.ViewVersion, seq int64) error {
	if err := dropNext(ctx, tx, v, seq); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, fmt.Sprintf(`DELETE FROM %s WHERE seq_from = $1`, historyTable(v)), seq)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, fmt.Sprintf(`UPDATE %s SET seq_to = $2 WHERE seq_to = $1`, historyTable(v)), seq, int64(SeqLive))
	return err
}
