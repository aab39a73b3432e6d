package offline

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/window"
)

// Rows of histories in which rows of a source had a part are found view by view, each after the views that it reads: a row that a run wrote
// which read such rows, of an event time from which a run reads theirs, and of their key, where rows of other keys have no part in it (Apart).
// They are kept in temporary tables of one transaction, so that there may be any number of them. Where rows are not to be looked at, all that
// those runs wrote counts.

// affectedTimeout bounds the search for the rows of one view. What takes longer is told by runs.
const affectedTimeout = 20 * time.Second

// SourceRows is which rows of a source are meant.
type SourceRows struct {
	Source *feature.SourceVersion
	// Load is the one that brought them. 0: any.
	Load int64
	// From and To bound their event times. nil: nothing does.
	From, To *feature.Time
}

func (r *SourceRows) condition(prefix string) string {
	at, all := prefix+quote(r.Source.EventTime), []string{"true"}
	if r.Load != 0 {
		all = append(all, fmt.Sprintf("%s_load = %d", prefix, r.Load))
	}
	if r.From != nil {
		all = append(all, at+" >= "+timeLiteral(*r.From))
	}
	if r.To != nil {
		all = append(all, at+" < "+timeLiteral(*r.To))
	}
	return strings.Join(all, " AND ")
}

// Affected finds those rows in one transaction.
type Affected struct {
	// Name is what a view is called in Why. nil: `view NAME@VERSION`.
	Name func(*feature.ViewVersion) string

	tx    pgx.Tx
	rows  SourceRows
	views map[int64]*AffectedView
}

// AffectedView is what is found of one view version.
type AffectedView struct {
	View *feature.ViewVersion
	// Runs are the published runs that read the rows, by sequence.
	Runs []int64
	// ByRow says that the rows are known. Else all that the runs wrote counts. Why says what was not told apart, empty for nothing.
	ByRow bool
	Why   string
	// Rows are those of the history, Live those of them that are visible now, and Entities the keys of those.
	Rows, Live, Entities int64
	// From and To are the interval that a run has to compute to write the live ones anew.
	From, To feature.Time

	horizon int64
}

// NewAffected makes the temporary tables, which end with the transaction.
func NewAffected(ctx context.Context, tx pgx.Tx, rows SourceRows) (*Affected, error) {
	// cleaned is the first run that computed the row again without those of the source, and found it the same.
	_, err := tx.Exec(ctx, `
		CREATE TEMPORARY TABLE affected_row (
			view_id bigint NOT NULL, entity_key text NOT NULL, event_time timestamptz NOT NULL, seq_from bigint NOT NULL, seq_to bigint NOT NULL,
			cleaned bigint NOT NULL
		) ON COMMIT DROP;
		CREATE INDEX ON affected_row (view_id, entity_key, event_time);
		CREATE TEMPORARY TABLE affected_input (
			key text[] NOT NULL, at timestamptz NOT NULL, load bigint NOT NULL, seq_from bigint NOT NULL, seq_to bigint NOT NULL
		) ON COMMIT DROP;
		CREATE INDEX ON affected_input (key, at);
		CREATE TEMPORARY TABLE affected_run (
			seq bigint NOT NULL, run_id bigint NOT NULL, direct boolean NOT NULL, view_id bigint NOT NULL, view_seq bigint NOT NULL
		) ON COMMIT DROP;
		CREATE TEMPORARY TABLE affected_clean (seq bigint NOT NULL, spans tstzmultirange NOT NULL) ON COMMIT DROP`)
	if err != nil {
		return nil, err
	}
	return &Affected{tx: tx, rows: rows, views: map[int64]*AffectedView{}}, nil
}

func (a *Affected) name(v *feature.ViewVersion) string {
	if a.Name != nil {
		return a.Name(v)
	}
	return "view " + v.Ref()
}

// Readers are the ids of the view versions of which published runs read the source, or a view that is read so, each behind what it reads.
// They are told by the records of runs.
func (a *Affected) Readers(ctx context.Context) ([]int64, error) {
	direct, args := `SELECT DISTINCT p.view_id FROM headwater.run_input i JOIN headwater.publish_log p ON p.run_id = i.run_id WHERE i.source = $1 AND i.rows_read > 0`, []any{a.rows.Source.Name}
	if a.rows.Load != 0 {
		direct, args = `SELECT DISTINCT p.view_id FROM headwater.run_load l JOIN headwater.publish_log p ON p.run_id = l.run_id WHERE l.load_id = $1`, []any{a.rows.Load}
	}
	rows, err := a.tx.Query(ctx, direct, args...)
	if err != nil {
		return nil, err
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, err
	}
	// by is, for each, what it reads of them.
	by, next := map[int64][]int64{}, found
	for _, id := range found {
		by[id] = nil
	}
	for len(next) > 0 {
		rows, err := a.tx.Query(ctx, `
			SELECT DISTINCT i.view_id, p.view_id FROM headwater.run_view_input i JOIN headwater.publish_log p ON p.run_id = i.run_id
			WHERE i.view_id = ANY ($1)`, next)
		if err != nil {
			return nil, err
		}
		next = nil
		var of, reader int64
		_, err = pgx.ForEachRow(rows, []any{&of, &reader}, func() error {
			if _, known := by[reader]; !known {
				next = append(next, reader)
			}
			by[reader] = append(by[reader], of)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	var order []int64
	done := map[int64]bool{}
	var add func(id int64)
	add = func(id int64) {
		if done[id] {
			return
		}
		done[id] = true
		slices.Sort(by[id])
		for _, of := range by[id] {
			add(of)
		}
		order = append(order, id)
	}
	ids := make([]int64, 0, len(by))
	for id := range by {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		add(id)
	}
	return order, nil
}

// Find finds what is affected of a view, all views that it reads being found. byRow says that its rows may be looked at; why not is for
// the caller to say. nil: nothing is. apart is what Apart says.
func (a *Affected) Find(ctx context.Context, v *feature.ViewVersion, byRow bool, why string, apart map[string]map[string]string) (*AffectedView, error) {
	f := &AffectedView{View: v, ByRow: byRow, Why: why}
	if err := a.findRuns(ctx, f); err != nil || len(f.Runs) == 0 {
		return nil, err
	}
	if err := a.tx.QueryRow(ctx, `SELECT coalesce((SELECT horizon_seq FROM headwater.view_state WHERE view_id = $1), 0)`, v.ID).Scan(&f.horizon); err != nil {
		return nil, err
	}
	if f.ByRow {
		err := a.savepoint(ctx, func() error { return a.findRows(ctx, f, apart) })
		var pg *pgconn.PgError
		switch {
		case errors.As(err, &pg) && (pg.Code == "57014" && ctx.Err() == nil || pg.Code == "42P01" || pg.Code == "42703"):
			// Too long, or a history that is not there.
			f.ByRow, f.Why = false, "its rows were not told apart within "+affectedTimeout.String()
			if pg.Code != "57014" {
				f.Why = "its history cannot be read"
			}
		case err != nil:
			return nil, err
		}
	}
	if f.ByRow && f.Rows == 0 && !f.collected() {
		return nil, nil
	}
	a.views[v.ID] = f
	return f, nil
}

// collected reports whether rows that its runs wrote may be gone.
func (f *AffectedView) collected() bool { return f.Collected(f.Runs[0]) }

// Collected reports whether rows that a run wrote may be gone from the history.
func (f *AffectedView) Collected(seq int64) bool { return seq < f.horizon }

// savepoint does something that may fail, or take too long, without an end of the transaction.
func (a *Affected) savepoint(ctx context.Context, do func() error) error {
	sp, err := a.tx.Begin(ctx)
	if err != nil {
		return err
	}
	outer := a.tx
	a.tx = sp
	_, err = sp.Exec(ctx, fmt.Sprintf("SET LOCAL statement_timeout = %d", affectedTimeout.Milliseconds()))
	if err == nil {
		err = do()
	}
	if err == nil {
		_, err = sp.Exec(ctx, "SET LOCAL statement_timeout TO DEFAULT")
	}
	a.tx = outer
	if err != nil {
		return errors.Join(err, sp.Rollback(context.WithoutCancel(ctx)))
	}
	return sp.Commit(ctx)
}

// spansOfRows is w, the sequences at which affected rows of the view $1 are visible: there are as many as runs that ended any, and not as
// rows, each of which would be looked through for each reader.
const spansOfRows = `WITH w AS MATERIALIZED (SELECT DISTINCT seq_from, least(seq_to, cleaned) AS seq_to FROM affected_row WHERE view_id = $1)`

// findRuns fills affected_run and f.Runs, by the records of runs and by what is found of the views that they read.
func (a *Affected) findRuns(ctx context.Context, f *AffectedView) error {
	if _, err := a.tx.Exec(ctx, `TRUNCATE affected_run`); err != nil {
		return err
	}
	id := f.View.ID
	direct, args := `
		INSERT INTO affected_run SELECT p.seq, p.run_id, true, 0, 0 FROM headwater.run_load l JOIN headwater.publish_log p ON p.run_id = l.run_id
		WHERE l.load_id = $1 AND p.view_id = $2`, []any{a.rows.Load, id}
	if a.rows.Load == 0 {
		direct, args = `
			INSERT INTO affected_run SELECT p.seq, p.run_id, true, 0, 0 FROM headwater.run_input i JOIN headwater.publish_log p ON p.run_id = i.run_id
			JOIN headwater.run r ON r.id = i.run_id
			WHERE i.source = $1 AND i.rows_read > 0 AND p.view_id = $2`, []any{a.rows.Source.Name, id}
		// What a run reads begins before its interval, and ends where the interval does.
		before := f.View.Lookback
		if f.View.Aggregation != nil {
			before = window.NewPlan(&f.View.View, &f.View.SourceVersions[0].Source).Longest
		}
		if a.rows.From != nil {
			direct, args = direct+fmt.Sprintf(" AND r.interval_end + $%d::interval > %s", len(args)+1, timeLiteral(*a.rows.From)), append(args, f.View.RunGrain())
		}
		if a.rows.To != nil {
			direct, args = direct+fmt.Sprintf(" AND r.interval_start - $%d::interval < %s", len(args)+1, timeLiteral(*a.rows.To)), append(args, before)
		}
	}
	if _, err := a.tx.Exec(ctx, direct, args...); err != nil {
		return err
	}
	for of, found := range a.views {
		// A run that was published last, or rows of which were visible, at the sequence that was read.
		with := ""
		visible := `EXISTS (SELECT FROM headwater.run_span s WHERE s.view_id = i.view_id AND s.seq = ANY ($3) AND s.seq <= i.seq AND s.ended > i.seq)`
		if found.ByRow {
			with, visible = spansOfRows, `EXISTS (SELECT FROM w WHERE w.seq_from <= i.seq AND w.seq_to > i.seq AND $3::bigint[] IS NOT NULL)`
			if found.collected() {
				visible = "(" + visible + fmt.Sprintf(` OR i.seq < %d AND EXISTS (SELECT FROM headwater.run_span s
					WHERE s.view_id = i.view_id AND s.seq = ANY ($3) AND s.seq <= i.seq AND s.ended > i.seq))`, found.horizon)
			}
		}
		tag, err := a.tx.Exec(ctx, with+`
			INSERT INTO affected_run SELECT p.seq, p.run_id, false, i.view_id, i.seq
			FROM headwater.run_view_input i JOIN headwater.publish_log p ON p.run_id = i.run_id
			WHERE i.view_id = $1 AND p.view_id = $2 AND `+visible, of, id, found.Runs)
		if err != nil {
			return err
		}
		if tag.RowsAffected() > 0 && !found.ByRow && f.ByRow {
			f.ByRow, f.Why = false, fmt.Sprintf("which rows of %s are is not told", a.name(found.View))
		}
	}
	rows, err := a.tx.Query(ctx, `SELECT DISTINCT seq FROM affected_run ORDER BY seq`)
	if err != nil {
		return err
	}
	f.Runs, err = pgx.CollectRows(rows, pgx.RowTo[int64])
	return err
}

// readsOf is, as SQL, the event times of the rows of sources that h, a row of the view's history, can be made of: from, and before.
func readsOf(v *feature.ViewVersion) (from, to string) {
	const at = "h.event_time"
	micros := func(d time.Duration) string { return fmt.Sprintf("interval '%d microseconds'", d.Microseconds()) }
	after := micros(time.Microsecond)
	switch {
	case v.Aggregation != nil:
		longest := window.NewPlan(&v.View, &v.SourceVersions[0].Source).Longest
		return at + " - " + micros(longest) + " + " + after, at + " + " + after
	case v.RunGrain() > 0:
		start := fmt.Sprintf("date_bin(%[1]s, %[2]s - %[1]s, 'epoch'::timestamptz)", micros(v.RunGrain()), at)
		return start + " - " + micros(v.Lookback), start + " + " + micros(v.RunGrain())
	}
	return at + " - " + micros(v.Lookback), at + " + " + after
}

// keysOf is the join keys of h as SQL, as texts, by the positions in of; the empty array where there is nothing to tell.
func keysOf(v *feature.ViewVersion, of []int) string {
	parts := make([]string, len(of))
	for i, k := range of {
		parts[i] = "(" + joinKey(&v.EntityVersion.Entity, k) + ")::text"
	}
	return "ARRAY[" + strings.Join(parts, ", ") + "]::text[]"
}

func positionsOf(v *feature.ViewVersion) []int {
	all := make([]int, len(v.EntityVersion.JoinKeys))
	for i := range all {
		all[i] = i
	}
	return all
}

// findRows fills affected_row with those of the view, and counts them.
func (a *Affected) findRows(ctx context.Context, f *AffectedView, apart map[string]map[string]string) error {
	v := f.View
	if err := a.findClean(ctx, f); err != nil {
		return err
	}
	var direct bool
	var inputs []int64
	rows, err := a.tx.Query(ctx, `SELECT DISTINCT direct, view_id FROM affected_run ORDER BY view_id`)
	if err != nil {
		return err
	}
	var isDirect bool
	var of int64
	_, err = pgx.ForEachRow(rows, []any{&isDirect, &of}, func() error {
		if direct = direct || isDirect; !isDirect {
			inputs = append(inputs, of)
		}
		return nil
	})
	if err != nil {
		return err
	}
	var wide []string
	if direct {
		told, err := a.takeSource(ctx, f, apart)
		if err != nil {
			return err
		}
		if !told {
			wide = append(wide, "source "+a.rows.Source.Name)
		}
	}
	for _, of := range inputs {
		told, err := a.takeView(ctx, f, a.views[of].View, apart)
		if err != nil {
			return err
		}
		if !told {
			wide = append(wide, a.name(a.views[of].View))
		}
	}
	var why []string
	for _, of := range inputs {
		if below := a.views[of]; below.Why != "" {
			why = append(why, "of "+a.name(below.View)+", "+below.Why)
		}
	}
	if len(wide) > 0 {
		why = append(why, fmt.Sprintf("a row of %s may have a part in rows of any key, so all keys of its times count", strings.Join(wide, " or ")))
	}
	if f.collected() {
		why = append(why, fmt.Sprintf("its history before run %d was collected, so what its runs wrote by then counts where it was given out", f.horizon))
	}
	f.Why = strings.Join(why, "; ")
	if _, err := a.tx.Exec(ctx, `ANALYZE affected_row`); err != nil {
		return err
	}
	grain := v.RunGrain()
	var from, to *time.Time
	err = a.tx.QueryRow(ctx, fmt.Sprintf(`
		SELECT count(*), count(*) FILTER (WHERE %[1]s), count(DISTINCT entity_key) FILTER (WHERE %[1]s), min(event_time) FILTER (WHERE %[1]s), max(event_time) FILTER (WHERE %[1]s)
		FROM affected_row WHERE view_id = $1`, isLive), v.ID).Scan(&f.Rows, &f.Live, &f.Entities, &from, &to)
	if from != nil {
		f.From, f.To = feature.TimeOf(*from).Add(-grain), feature.TimeOf(*to).Add(-grain+max(grain, time.Microsecond))
	}
	return err
}

// isLive is the condition that an affected row is visible now, and not known to be the same without the source's.
var isLive = fmt.Sprintf("seq_to = %[1]d AND cleaned = %[1]d", int64(math.MaxInt64))

// findClean fills affected_clean with the runs of the view that are none of those, and later than the first.
func (a *Affected) findClean(ctx context.Context, f *AffectedView) error {
	_, err := a.tx.Exec(ctx, `TRUNCATE affected_clean`)
	if err != nil {
		return err
	}
	// A run that read no row of a load that it considered does not have it. While the load is live, no run that computes such a row can do without.
	considered := ""
	if a.rows.Load != 0 {
		considered = fmt.Sprintf(` AND NOT EXISTS (SELECT FROM headwater.run_input i JOIN headwater.load l ON l.id = %d LEFT JOIN headwater.load e ON e.ends = l.id
			WHERE i.run_id = r.id AND i.source = l.source AND (e.number IS NULL OR i.load_number < e.number))`, a.rows.Load)
	} else {
		considered = fmt.Sprintf(` AND NOT EXISTS (SELECT FROM headwater.run_input i WHERE i.run_id = r.id AND i.source = '%s')`, a.rows.Source.Name)
	}
	_, err = a.tx.Exec(ctx, `
		INSERT INTO affected_clean SELECT r.seq, r.spans FROM headwater.run r
		WHERE r.view_id = $1 AND r.state = 'published' AND r.seq > $2 AND NOT EXISTS (SELECT FROM affected_run a WHERE a.seq = r.seq)`+considered,
		f.View.ID, f.Runs[0])
	return err
}

// cleanedAt is, as SQL, the first run that computed h again without the rows of the source.
func cleanedAt(v *feature.ViewVersion) string {
	return fmt.Sprintf(`coalesce((SELECT min(c.seq) FROM affected_clean c WHERE c.seq > h.seq_from AND c.spans @> (h.event_time - interval '%d microseconds')), %d)`,
		v.RunGrain().Microseconds(), int64(math.MaxInt64))
}

// takeSource takes the rows that are made of the source's own. told: by key.
func (a *Affected) takeSource(ctx context.Context, f *AffectedView, apart map[string]map[string]string) (told bool, err error) {
	v, src := f.View, a.rows.Source
	from, to := readsOf(v)
	if src.Postgres != nil {
		// What it holds now says nothing of what was read.
		within := "true"
		if a.rows.From != nil {
			within += " AND " + to + " > " + timeLiteral(*a.rows.From)
		}
		if a.rows.To != nil {
			within += " AND " + from + " < " + timeLiteral(*a.rows.To)
		}
		_, err := a.tx.Exec(ctx, fmt.Sprintf(`
			INSERT INTO affected_row SELECT $1, h.entity_key, h.event_time, h.seq_from, max(h.seq_to), %s FROM %s AS h
			WHERE h.seq_from IN (SELECT seq FROM affected_run WHERE direct) AND %s GROUP BY 2, 3, 4`, cleanedAt(v), historyTable(v), within), v.ID)
		return false, err
	}
	if a.rows.Load == 0 && a.rows.From == nil && a.rows.To == nil && v.Aggregation == nil && len(v.SourceVersions) == 1 && len(v.ViewVersions) == 0 {
		// There is nothing else that a row could be made of.
		_, err := a.tx.Exec(ctx, fmt.Sprintf(`
			INSERT INTO affected_row SELECT $1, h.entity_key, h.event_time, h.seq_from, max(h.seq_to), %s FROM %s AS h
			WHERE h.seq_from IN (SELECT seq FROM affected_run WHERE direct) GROUP BY 2, 3, 4`, cleanedAt(v), historyTable(v)), v.ID)
		return true, err
	}
	key, keys := "'{}'::text[]", "'{}'::text[]"
	columns, told := apart[src.Name]
	for _, k := range v.EntityVersion.JoinKeys {
		// Values of other types may be equal, and written otherwise.
		told = told && sourceColumnType(src, columns[k.Name]) == k.Type
	}
	if told {
		var parts []string
		for _, k := range v.EntityVersion.JoinKeys {
			parts = append(parts, "("+sourceColumnSQL(src, "o.", columns[k.Name])+")::text")
		}
		key, keys = "ARRAY["+strings.Join(parts, ", ")+"]::text[]", keysOf(v, positionsOf(v))
	}
	// A row that counts in the place of another, or that another counts in the place of, has a part in what that one is made into.
	rows := fmt.Sprintf("%s AS o WHERE %s", quote(landingSchema, src.Name), a.rows.condition("o."))
	load := "o._load"
	if len(src.UniqueKey) > 0 {
		var same []string
		for _, name := range src.UniqueKey {
			same = append(same, fmt.Sprintf("o.%[1]s IS NOT DISTINCT FROM b.%[1]s", quote(name)))
		}
		rows = fmt.Sprintf("%[1]s AS o JOIN %[1]s AS b ON hash_record_extended(ROW(%[2]s), 0) = hash_record_extended(ROW(%[3]s), 0) AND %[4]s WHERE %[5]s",
			quote(landingSchema, src.Name), quoteAll("o.", src.UniqueKey), quoteAll("b.", src.UniqueKey), strings.Join(same, " AND "), a.rows.condition("b."))
		load = "b._load"
	}
	if _, err := a.tx.Exec(ctx, `TRUNCATE affected_input`); err != nil {
		return false, err
	}
	// A key with a NULL is the key of no row.
	_, err = a.tx.Exec(ctx, fmt.Sprintf(`INSERT INTO affected_input SELECT DISTINCT %s, o.%s, %s, 0, 0 FROM %s`, key, quote(src.EventTime), load, rows))
	if err != nil {
		return false, err
	}
	if _, err := a.tx.Exec(ctx, `ANALYZE affected_input`); err != nil {
		return false, err
	}
	read := ""
	if a.rows.Load == 0 {
		read = "AND EXISTS (SELECT FROM headwater.run_load l WHERE l.run_id = r.run_id AND l.load_id = i.load)"
	}
	_, err = a.tx.Exec(ctx, fmt.Sprintf(`
		INSERT INTO affected_row SELECT $1, h.entity_key, h.event_time, h.seq_from, max(h.seq_to), %s
		FROM %s AS h JOIN affected_run r ON r.direct AND r.seq = h.seq_from
		WHERE EXISTS (SELECT FROM affected_input i WHERE i.key = %s AND i.at >= %s AND i.at < %s %s)
		GROUP BY 2, 3, 4`, cleanedAt(v), historyTable(v), keys, from, to, read), v.ID)
	return told, err
}

// sourceColumnSQL is a column of a source by its name in the SQL of views, which see the clocks under names of ours.
func sourceColumnSQL(src *feature.SourceVersion, prefix, name string) string {
	if src.Column(name) == nil {
		switch {
		case name == eventTimeColumn:
			name = src.EventTime
		case name == availableAtColumn && src.ArrivalColumn != "":
			name = src.ArrivalColumn
		case name == availableAtColumn && src.ArrivalExpression == "":
			name = src.EventTime
		}
	}
	return prefix + quote(name)
}

func sourceColumnType(src *feature.SourceVersion, name string) feature.Type {
	if c := src.Column(name); c != nil {
		return c.Type
	}
	return feature.TypeTimestamp
}

// takeView takes the rows that are made of affected rows of a view. told: by key.
func (a *Affected) takeView(ctx context.Context, f *AffectedView, of *feature.ViewVersion, apart map[string]map[string]string) (told bool, err error) {
	v := f.View
	var positions []int
	if columns, ok := apart[of.Name]; ok {
		for _, k := range v.EntityVersion.JoinKeys {
			if i := slices.IndexFunc(of.EntityVersion.JoinKeys, func(c feature.Column) bool { return c.Name == columns[k.Name] && c.Type == k.Type }); i >= 0 {
				positions = append(positions, i)
			}
		}
	}
	told = len(positions) > 0 && len(positions) == len(v.EntityVersion.JoinKeys)
	key, keys := "'{}'::text[]", "'{}'::text[]"
	if told {
		key, keys = keysOf(of, positions), keysOf(v, positionsOf(v))
	}
	if _, err := a.tx.Exec(ctx, `TRUNCATE affected_input`); err != nil {
		return false, err
	}
	_, err = a.tx.Exec(ctx, fmt.Sprintf(`
		INSERT INTO affected_input SELECT DISTINCT %s, h.event_time, 0, h.seq_from, least(h.seq_to, h.cleaned) FROM affected_row h WHERE h.view_id = $1`, key), of.ID)
	if err != nil {
		return false, err
	}
	if _, err := a.tx.Exec(ctx, `ANALYZE affected_input`); err != nil {
		return false, err
	}
	from, to := readsOf(v)
	shift := fmt.Sprintf(" + interval '%d microseconds'", (&ViewInput{View: of}).shift(v).Microseconds())
	_, err = a.tx.Exec(ctx, fmt.Sprintf(`
		INSERT INTO affected_row SELECT $1, h.entity_key, h.event_time, h.seq_from, max(h.seq_to), %s
		FROM %s AS h JOIN affected_run r ON r.view_id = $2 AND r.seq = h.seq_from
		WHERE EXISTS (SELECT FROM affected_input i WHERE i.key = %s AND i.at >= %s AND i.at < %s AND i.seq_from <= r.view_seq AND i.seq_to > r.view_seq)
			AND NOT EXISTS (SELECT FROM affected_row d WHERE d.view_id = $1 AND d.entity_key = h.entity_key AND d.event_time = h.event_time AND d.seq_from = h.seq_from)
		GROUP BY 2, 3, 4`, cleanedAt(v), historyTable(v), keys, from+shift, to+shift), v.ID, of.ID)
	return told, err
}

// Winner is a row of a history that something was given.
type Winner struct {
	Key       string
	EventTime feature.Time
	Seq       int64
	// At is the sequence of the view that it was asked at.
	At int64
}

// Has reports which of the winners of a view are affected.
func (a *Affected) Has(ctx context.Context, v *feature.ViewVersion, winners []Winner) ([]bool, error) {
	is := make([]bool, len(winners))
	f := a.views[v.ID]
	if f == nil {
		return is, nil
	}
	var keys []string
	var times []time.Time
	var seqs, ats, places []int64
	for i := range winners {
		w := &winners[i]
		if _, of := slices.BinarySearch(f.Runs, w.Seq); !of {
			continue
		}
		if !f.ByRow {
			is[i] = true
			continue
		}
		keys, times, seqs, ats, places = append(keys, w.Key), append(times, w.EventTime.Time()), append(seqs, w.Seq), append(ats, w.At), append(places, int64(i))
	}
	if len(keys) == 0 {
		return is, nil
	}
	query := `SELECT w.place FROM unnest($2::text[], $3::timestamptz[], $4::bigint[], $5::bigint[], $6::bigint[]) AS w (key, event_time, seq, at, place)
		WHERE EXISTS (SELECT FROM affected_row r WHERE r.view_id = $1 AND r.entity_key = w.key AND r.event_time = w.event_time AND r.seq_from = w.seq AND r.cleaned > w.at)`
	if f.collected() {
		// What was collected cannot be told, and counts.
		query += fmt.Sprintf(` OR w.seq < %d AND NOT EXISTS (SELECT FROM %s h WHERE h.entity_key = w.key AND h.event_time = w.event_time AND h.seq_from = w.seq)`,
			f.horizon, historyTable(v))
	}
	rows, err := a.tx.Query(ctx, query, v.ID, keys, times, seqs, ats, places)
	if err != nil {
		return nil, err
	}
	var place int64
	_, err = pgx.ForEachRow(rows, []any{&place}, func() error {
		is[place] = true
		return nil
	})
	return is, err
}

// Keys gives each key of a view's affected rows to do, once.
func (a *Affected) Keys(ctx context.Context, v *feature.ViewVersion, do func(key string) error) error {
	rows, err := a.tx.Query(ctx, `SELECT DISTINCT entity_key FROM affected_row WHERE view_id = $1`, v.ID)
	if err != nil {
		return err
	}
	var key string
	_, err = pgx.ForEachRow(rows, []any{&key}, func() error { return do(key) })
	return err
}

// Entities counts the keys of live affected rows of views, one key of an entity once.
func (a *Affected) Entities(ctx context.Context, views []*feature.ViewVersion) (n int64, err error) {
	var ids []int64
	var entities []string
	for _, v := range views {
		ids, entities = append(ids, v.ID), append(entities, v.Entity)
	}
	err = a.tx.QueryRow(ctx, `
		SELECT count(*) FROM (SELECT DISTINCT e.entity, r.entity_key FROM unnest($1::bigint[], $2::text[]) AS e (view_id, entity)
			JOIN affected_row r ON r.view_id = e.view_id AND `+isLive+`) AS k`, ids, entities).Scan(&n)
	return n, err
}

// Seen are the datasets that may hold affected rows of a view, by id: those that read it at a sequence at which one was visible.
func (a *Affected) Seen(ctx context.Context, v *feature.ViewVersion) ([]string, error) {
	f := a.views[v.ID]
	if f == nil {
		return nil, nil
	}
	runs := `EXISTS (SELECT FROM headwater.run_span s WHERE s.view_id = d.view_id AND s.seq = ANY ($2) AND s.seq <= d.seq AND s.ended > d.seq)`
	with, query := "", runs
	if f.ByRow {
		with, query = spansOfRows, `$2::bigint[] IS NOT NULL AND EXISTS (SELECT FROM w WHERE w.seq_from <= d.seq AND w.seq_to > d.seq)`
		if f.collected() {
			query = fmt.Sprintf("(%s) OR d.seq < %d AND %s", query, f.horizon, runs)
		}
	}
	rows, err := a.tx.Query(ctx, with+` SELECT d.dataset_id FROM headwater.dataset_view d WHERE d.view_id = $1 AND (`+query+`)`, v.ID, f.Runs)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// Tx is the transaction.
func (a *Affected) Tx() pgx.Tx { return a.tx }
