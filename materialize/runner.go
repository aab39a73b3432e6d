package materialize

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/outbox"
	"github.com/headwaterhq/headwater/offline"
)

// runner carries runs from queued to ended.
type runner struct {
	pool *pgxpool.Pool
	log  *slog.Logger
	// databases are those that sources may name.
	databases *offline.Databases
	// view finds a view version by id, or nil.
	view func(id int64) *feature.ViewVersion
	// published is called in the publishing transaction.
	published func(ctx context.Context, tx pgx.Tx, r *Run) error
	bounds    offline.Bounds
	// chunkRows is about how many rows a chunk of a run reads, chunkWorkers how many chunks of one run are at work at once.
	chunkRows    int64
	chunkWorkers int
	engines      *engines
	// keep is how much a run keeps of the rows of a source that asks for it.
	keep offline.KeepBounds
	// reached is told of each step of a run before it is taken, so that tests can stop one there.
	reached func(step string) error
	// cancelled is called in the transaction that ends a run as cancelled.
	cancelled func(ctx context.Context, tx pgx.Tx, r *Run) error
	// noProfiles has runs end without a profile of what they made.
	noProfiles bool
	working    working
}

// The steps of a run before which a process may die, in their order.
const (
	// stepBegun: it has its sequence.
	stepBegun = "begun"
	// stepPlanned: its plan is kept with it.
	stepPlanned = "planned"
	// stepRead: its input is counted, and it is known which rows count.
	stepRead = "read"
	// stepCut: its chunks are kept with it. Of each of them: stepChunk: it is to be computed; stepChunkWritten: it is written, and
	// not committed; stepChunkDone: it is committed.
	stepCut          = "cut"
	stepChunk        = "chunk"
	stepChunkWritten = "chunk written"
	stepChunkDone    = "chunk done"
	// stepChunksDone: all chunks are committed, and the history of a first run has not taken its place yet.
	stepChunksDone = "chunks done"
	// stepWritten: its rows are in the history, where nobody reads them.
	stepWritten = "written"
	// stepPublishing: all that publishes it is written, and not committed.
	stepPublishing = "publishing"
	stepPublished  = "published"
)

// errLeaseHeld means that another run of the view version is at work: this one stays queued.
var errLeaseHeld = errors.New("another run of the view version holds its lease")

// errInputsUnderWay means that runs of views that this one reads were asked for before it, and have not ended: it stays queued.
var errInputsUnderWay = errors.New("runs of views that are read, which were asked for before, have not ended")

// run carries one run to its end. Nothing is left to do when it returns nil: the run is published, or failed for a reason
// that trying again would not change. An error means that it may be tried again.
func (rn *runner) run(ctx context.Context, id int64) error {
	r, err := Get(ctx, rn.pool, id)
	if err != nil || r.State.Ended() {
		return err
	}
	view := rn.view(r.ViewID)
	if view == nil {
		return fmt.Errorf("view version %d of run %d is not in the catalog yet", r.ViewID, id)
	}
	ctx, done := rn.working.begin(ctx, id)
	defer done()
	if r.CancelRequestedAt == nil {
		if err := rn.inputsEnded(ctx, view, id); err != nil {
			return err
		}
	}
	// Connections of its own: a run holds three for as long as it takes, which a pool shared with readers is not for.
	conn, err := connect(ctx, rn.pool)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	l, err := tryLease(ctx, conn, view)
	if err != nil {
		return err
	}
	if l == nil {
		return errLeaseHeld
	}
	defer func() { _ = l.release(ctx) }()

	// Another worker may have carried the run while this one waited.
	if r, err = Get(ctx, rn.pool, id); err != nil || r.State.Ended() {
		return err
	}
	switch {
	case r.CancelRequestedAt != nil:
		return rn.giveBack(ctx, l, r, errCancelled)
	case r.Attempt >= r.Attempts:
		return rn.giveBack(ctx, l, r, errAttemptsUsedUp)
	}
	if unfinished, err := l.unfinished(ctx, id); err != nil || unfinished {
		return errors.Join(err, errLeaseHeld)
	}
	var stop func()
	r.progress, stop = report(ctx, rn.pool, id)
	err = func() error {
		defer stop()
		return rn.attempt(ctx, l, r)
	}()
	if err == nil || errors.Is(err, errLeaseLost) {
		return err
	}
	if l.conn.IsClosed() && errors.Is(context.Cause(ctx), errCancelled) {
		return rn.giveBackAnew(ctx, l, r, err)
	}
	return rn.giveBack(ctx, l, r, err)
}

// inputIDs are the view versions that a view reads.
func inputIDs(view *feature.ViewVersion) []int64 {
	ids := make([]int64, len(view.ViewVersions))
	for i, v := range view.ViewVersions {
		ids[i] = v.ID
	}
	return ids
}

// inputsEnded returns errInputsUnderWay while a run of a view that view reads has not ended that was queued before run id: who
// asks for both means the second to be made of the first. Runs wait only on older ones, so that none wait on each other.
func (rn *runner) inputsEnded(ctx context.Context, view *feature.ViewVersion, id int64) error {
	inputs := inputIDs(view)
	if len(inputs) == 0 {
		return nil
	}
	var underWay bool
	err := rn.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM headwater.run
		WHERE view_id = ANY ($1) AND id < $2 AND state IN ('queued', 'running'))`, inputs, id).Scan(&underWay)
	if err == nil && underWay {
		err = errInputsUnderWay
	}
	return err
}

// errAttemptsUsedUp ends a run whose attempts ended with their servers.
var errAttemptsUsedUp = errors.New("the attempts are used up: the last one ended with its server; that server's log, or its system's, may say why")

// giveBack undoes what the attempt wrote, and ends the run when it was cancelled, when another attempt would meet the same
// fault, or when there may be none.
func (rn *runner) giveBack(ctx context.Context, l *lease, r *Run, cause error) error {
	// An attempt that a stop of its server ended does not count, and another server need not wait.
	stopped := errors.Is(ctx.Err(), context.Canceled)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	message, ended := "", false
	if isFinal(cause) {
		message = fault.As(cause).Kept()
	}
	err := pgx.BeginFunc(ctx, l.conn, func(tx pgx.Tx) error {
		if err := l.fenceAlone(ctx, tx); err != nil {
			return err
		}
		// A commit whose answer was lost may have published.
		now, err := Get(ctx, tx, r.ID)
		if err != nil {
			return err
		}
		if ended = now.State.Ended(); ended {
			return nil
		}
		switch {
		case message != "":
		case errors.Is(cause, errAttemptsUsedUp):
			message = cause.Error()
		case !stopped && now.Attempt >= now.Attempts:
			message = usedUp(cause)
		}
		cancelled := now.CancelRequestedAt != nil
		// What is done of a run that is cut into chunks is not done again.
		goesOn, err := hasChunks(ctx, tx, r.ID)
		if err != nil {
			return err
		}
		if goesOn = goesOn && message == "" && !cancelled; r.Seq != 0 && !goesOn {
			if err := undo(ctx, tx, l.view, r.ID, r.Seq); err != nil {
				return err
			}
		}
		if cancelled {
			ended = true
			return rn.endCancelled(ctx, tx, r.ID)
		}
		if message != "" {
			r.OpenAttempt, r.Attempt = now.OpenAttempt, now.Attempt
			r.Checks = append(r.Checks, brokenRule(cause)...)
			return fail(ctx, tx, r, message)
		}
		// Whoever looks at the run sees what it waits for.
		var last *string
		if f := fault.As(database.Fault(cause)); f != nil && !errors.Is(cause, context.Canceled) {
			text := f.Kept()
			last = &text
		}
		if now.OpenAttempt != 0 {
			about := outbox.Run{Stopped: stopped}
			if last != nil {
				about.Error = fault.Hidden(*last)
			}
			if err := tell(ctx, tx, now, outbox.RunInterrupted, about); err != nil {
				return err
			}
		}
		stay := "state = 'queued', seq = NULL, started_at = NULL"
		if goesOn {
			stay = "state = 'queued'"
		}
		_, err = tx.Exec(ctx, `
			UPDATE headwater.run SET `+stay+`, error = $2, open_attempt = NULL,
				attempt = CASE WHEN $3 AND state = 'running' THEN attempt - 1 ELSE attempt END,
				not_before = CASE WHEN NOT $3 THEN clock_timestamp() + $4 * interval '1 microsecond' END
			WHERE id = $1`, r.ID, last, stopped, backoff(now.Attempt).Microseconds())
		return err
	})
	if err != nil {
		return errors.Join(cause, err)
	}
	if ended {
		return nil
	}
	if message != "" {
		rn.log.WarnContext(ctx, "run failed", "run", r.ID, "view", l.view.Ref(), "error", cause)
		return nil
	}
	return cause
}

// isFinal tells faults of the definition or the data from those of a server that may come back.
func isFinal(err error) bool {
	f := fault.As(err)
	if f == nil {
		return false
	}
	switch f.Reason {
	case fault.PostgresUnavailable, fault.RedisUnavailable, fault.DeadlineExceeded, fault.Cancelled, fault.Internal:
		return false
	}
	return true
}

func (rn *runner) attempt(ctx context.Context, l *lease, r *Run) error {
	state, err := getViewState(ctx, rn.pool, l.view.ID)
	if err != nil {
		return err
	}
	if r.Engine, err = rn.engines.of(ctx, l.conn, l.view); err != nil {
		return err
	}
	err = pgx.BeginFunc(ctx, l.conn, func(tx pgx.Tx) error {
		if err := l.fence(ctx, tx); err != nil {
			return err
		}
		return begin(ctx, tx, r, l.attempt)
	})
	if err != nil {
		return err
	}
	if err := rn.reached(stepBegun); err != nil {
		return err
	}
	timer := phases{run: r, since: time.Now()}
	if err := rn.write(ctx, l, r, state, &timer); err != nil {
		return err
	}
	if err := rn.reached(stepWritten); err != nil {
		return err
	}
	err = pgx.BeginFunc(ctx, l.conn, func(tx pgx.Tx) error {
		if err := l.fence(ctx, tx); err != nil {
			return err
		}
		timer.end("check")
		if err := publish(ctx, tx, r, state); err != nil {
			return err
		}
		if err := rn.published(ctx, tx, r); err != nil {
			return err
		}
		if err := refuseCancelled(ctx, tx, r.ID); err != nil {
			return err
		}
		return rn.reached(stepPublishing)
	})
	if err != nil {
		return err
	}
	return rn.reached(stepPublished)
}

// write computes the run's output and writes it to the history, and fills the record with what it found.
func (rn *runner) write(ctx context.Context, l *lease, r *Run, state viewState, timer *phases) error {
	// A COPY that is broken off takes its connection with it, and with the lease's connection would go the lease.
	reader, err := connect(ctx, rn.pool)
	if err != nil {
		return err
	}
	defer reader.Close(context.WithoutCancel(ctx))
	scope := rn.reading(l.view)
	scope.Kind, scope.From, scope.To = r.Scope, timeOf(r.AskedFrom), timeOf(r.AskedTo)
	scope.Covered, scope.After, scope.Consumed = state.Covered, state.PublishedSeq, state.Consumed
	// What another run published since an earlier attempt has seen more than its plan does.
	if r.Plan != nil && r.Plan.After == state.PublishedSeq {
		scope.Plan = r.Plan
	}
	r.progress.Phase("plan", 0)
	var t *offline.Transform
	scope.Validate = func(ctx context.Context, tx pgx.Tx, in *offline.Input, read offline.Spans) (*offline.LeftOut, error) {
		left, err := rn.checkSourceRows(ctx, l, r, tx, t, in, read)
		if err != nil {
			return nil, err
		}
		return left, r.checkSourceSet(ctx, tx, t, in, read)
	}
	if scope.Screen, err = r.screening(l.view, func() feature.Time { return t.Plan.Now }); err != nil {
		return err
	}
	if scope.Observe, err = rn.observing(l.view); err != nil {
		return err
	}
	t, err = offline.BeginTransform(ctx, reader, scope)
	if err != nil {
		return err
	}
	defer func() { _ = t.Close(ctx) }()
	r.Plan, r.Spans, r.Interval = &t.Plan, t.Plan.Owned, t.Plan.Owned.Hull()
	told := r.lineage
	err = pgx.BeginFunc(ctx, l.conn, func(tx pgx.Tx) error {
		if err := l.fence(ctx, tx); err != nil {
			return err
		}
		return planned(ctx, tx, r)
	})
	if err != nil {
		return err
	}
	timer.leave(r.lineage - told)
	timer.end("plan")
	if err := rn.reached(stepPlanned); err != nil {
		return err
	}
	w := &offline.Written{}
	var accounts []offline.Account
	if t.Plan.Nothing() {
		t.CountSetAside()
		for _, in := range t.Inputs {
			if r.countCameAside(in); in.SetAside() > 0 {
				r.checkCameAside(in)
			}
			if err := t.Within(ctx, func(tx pgx.Tx) error { return r.checkSourceSet(ctx, tx, t, in, nil) }); err != nil {
				return err
			}
		}
	} else {
		if w, err = rn.transform(ctx, l, r, t, timer); err != nil {
			return err
		}
		if accounts, err = t.Accounts(ctx); err != nil {
			return err
		}
		timer.end("account")
	}
	r.Digest, r.corrected = w.Digest, w.Corrected
	r.Inputs, err = describeInputs(ctx, rn.pool, t.Inputs)
	if err != nil {
		return err
	}
	if r.Inputs, err = describeReferences(ctx, rn.pool, r.Inputs, &t.Plan); err != nil {
		return err
	}
	exact, conflicting := t.Duplicates()
	leftOut, out := leftOutByRules(t)
	unmet, left := byExpectations(t)
	accepted := t.RowsRead() - exact - conflicting - out.Quarantined - out.Dropped - out.TooLate - left.Quarantined - left.Dropped
	r.ViewInputs = describeViewInputs(t.ViewInputs)
	r.Ledger = Ledger{
		Read: t.RowsRead(), Duplicate: exact + conflicting, Accepted: accepted,
		Quarantined: out.Quarantined + left.Quarantined, Dropped: out.Dropped + left.Dropped, TooLate: out.TooLate,
		Computed: w.Produced, Produced: w.Produced, Unchanged: w.Unchanged, Inserted: w.Inserted, Withdrawn: w.Withdrawn,
		LiveBefore: state.LiveRows, LiveAfter: state.LiveRows + w.LiveChange,
	}
	r.Reasons = slices.Concat(duplicateReasons(exact, conflicting), leftOut, unmet)
	r.countScreened(&w.Screened)
	r.account(t, accounts)
	r.Warnings = append(r.Warnings, t.Notes...)
	r.Warnings = append(r.Warnings, lateSources(t)...)
	if err := r.referencesMoved(ctx, rn.pool, t, state.Consumed); err != nil {
		return err
	}
	if err := r.Ledger.check(); err != nil {
		return fault.New(fault.RunRefused, "view %s: the ledger does not balance: %v; nothing was published", l.view.Ref(), err)
	}
	r.Checks = append(r.Checks, builtIn(w.Produced)...)
	if err := rn.checkOutput(ctx, r, t, w); err != nil {
		return err
	}
	if err := r.drifted(ctx, rn.pool, l.view); err != nil {
		return err
	}
	if err := r.anomalous(ctx, rn.pool); err != nil {
		return err
	}
	if err := rn.checkGates(ctx, r, t); err != nil {
		return err
	}
	if err := rn.waive(ctx, r, t, r.Checks); err != nil {
		return err
	}
	return r.gate(l.view)
}

// reading is how the sources of a view are read, whatever is asked for.
func (rn *runner) reading(view *feature.ViewVersion) offline.Scope {
	return offline.Scope{View: view, Bounds: rn.bounds, Databases: rn.databases}
}

// transform reads what the plan says, and writes what becomes of it.
func (rn *runner) transform(ctx context.Context, l *lease, r *Run, t *offline.Transform, timer *phases) (*offline.Written, error) {
	r.progress.Phase("read", 0)
	if err := t.Read(ctx); err != nil {
		return nil, err
	}
	if err := rn.waive(ctx, r, t, r.Checks); err != nil {
		return nil, err
	}
	if err := r.blocked(l.view); err != nil {
		return nil, err
	}
	timer.end("read")
	if err := rn.reached(stepRead); err != nil {
		return nil, err
	}
	if err := rn.keepRows(ctx, l, r, t, timer); err != nil {
		return nil, err
	}
	// Of SQL that groups or joins, nobody knows how many rows it makes.
	rows := t.RowsRead()
	if t.View.SQL != nil && (t.View.RunGrain() > 0 || len(t.Inputs)+len(t.ViewInputs) > 1) {
		rows = 0
	}
	r.progress.Phase("transform and write", rows)
	t.Count = r.progress.Rows
	t.Known = func(ctx context.Context, spans offline.Spans) (*offline.Known, error) {
		return knownLive(ctx, rn.pool, r.ViewID, t.Plan.After, spans)
	}
	chunks, err := rn.chunks(ctx, l, r, t)
	if err != nil {
		return nil, err
	}
	if len(chunks) > 0 {
		return rn.writeChunks(ctx, l, r, t, chunks, timer)
	}
	writer, err := connect(ctx, rn.pool)
	if err != nil {
		return nil, err
	}
	defer writer.Close(context.WithoutCancel(ctx))
	w, err := offline.Write(ctx, writer, t, r.Seq, l.fence)
	if err != nil {
		return nil, err
	}
	timer.add("transform", w.Transform)
	timer.add("write", w.Write)
	return w, r.observed(l.view, w.Observed)
}

func describeInputs(ctx context.Context, q database.Querier, inputs []*offline.Input) ([]Input, error) {
	described := make([]Input, len(inputs))
	for i, in := range inputs {
		described[i] = Input{
			Source: in.Source.Name, SourceVersion: in.Source.Version, SourceFingerprint: in.Source.Fingerprint,
			LoadNumber: in.LoadNumber, Rows: in.Rows + in.SetAside(), Duplicates: in.Exact + in.Conflicting, RowsDigest: in.RowsDigest,
			Buckets: in.Buckets, Kept: in.Kept, LeftOut: leftOut(in),
		}
		if in.Source.Postgres != nil {
			described[i].Relation = in.Source.Postgres.String()
		}
		for _, l := range in.Loads {
			load, err := offline.GetLoad(ctx, q, l.ID)
			if err != nil {
				return nil, err
			}
			described[i].Loads = append(described[i].Loads, InputLoad{
				ID: l.ID, FileName: load.FileName, SHA256: load.FileSHA256, Rows: l.Rows,
			})
		}
	}
	return described, nil
}

// leftOutByRules is what the rules of the sources leave out, by reason, and how many rows of each bucket that is.
func leftOutByRules(t *offline.Transform) (reasons []LedgerReason, buckets Ledger) {
	quarantined, dropped, tooLate := t.ByRules()
	for _, b := range []struct {
		name string
		rows *int64
		list []offline.Reason
	}{{"quarantined", &buckets.Quarantined, quarantined}, {"dropped", &buckets.Dropped, dropped}, {"too_late", &buckets.TooLate, tooLate}} {
		for _, reason := range b.list {
			*b.rows += reason.Rows
			reasons = append(reasons, LedgerReason{Bucket: b.name, Reason: reason.Reason, Rows: reason.Rows})
		}
	}
	return reasons, buckets
}

// duplicateReasons breaks the rows that were left out as duplicates down.
func duplicateReasons(exact, conflicting int64) []LedgerReason {
	var reasons []LedgerReason
	if exact > 0 {
		reasons = append(reasons, LedgerReason{Bucket: "duplicate", Reason: "exact", Rows: exact})
	}
	if conflicting > 0 {
		reasons = append(reasons, LedgerReason{Bucket: "duplicate", Reason: "conflicting", Rows: conflicting})
	}
	return reasons
}

// lateSources warns of sources whose newest row is older than they are expected to have. How old is for who may read the rows.
func lateSources(t *offline.Transform) []string {
	var warnings []string
	for _, in := range t.Inputs {
		if in.Source.Freshness == 0 {
			continue
		}
		if in.Newest == nil {
			warnings = append(warnings, fmt.Sprintf("source %s: it has no rows, expected one at most %s old", in.Source.Name,
				feature.DurationText(in.Source.Freshness)))
		} else if offline.Age(t.Plan.Now, *in.Newest) > in.Source.Freshness {
			warnings = append(warnings, fmt.Sprintf("source %s: its newest row is too old, expected at most %s; headwater describe source %s says how "+
				"old it is now", in.Source.Name, feature.DurationText(in.Source.Freshness), in.Source.Name))
		}
	}
	return warnings
}

// phases splits a run's time.
type phases struct {
	run   *Run
	since time.Time
}

func (p *phases) end(name string) {
	now := time.Now()
	p.run.Phases = append(p.run.Phases, Phase{Name: name, Micros: now.Sub(p.since).Microseconds()})
	p.since = now
}

// leave is for what counts elsewhere.
func (p *phases) leave(took time.Duration) { p.since = p.since.Add(took) }

// add notes a part that was measured elsewhere.
func (p *phases) add(name string, took time.Duration) {
	p.run.Phases = append(p.run.Phases, Phase{Name: name, Micros: took.Microseconds()})
	p.since = time.Now()
}

func timeOf(t *time.Time) *feature.Time {
	if t == nil {
		return nil
	}
	at := feature.TimeOf(*t)
	return &at
}

// connect opens a connection outside of the pool, with the pool's settings.
func connect(ctx context.Context, pool *pgxpool.Pool) (*pgx.Conn, error) {
	conn, err := pgx.ConnectConfig(ctx, pool.Config().ConnConfig.Copy())
	if err != nil {
		return nil, err
	}
	// A statement that outlives its process would keep what it locked. Where the system cannot tell, it does.
	var refused *pgconn.PgError
	if _, err := conn.Exec(ctx, `SET client_connection_check_interval = '1s'`); err != nil && !errors.As(err, &refused) {
		return nil, errors.Join(err, conn.Close(context.WithoutCancel(ctx)))
	}
	return conn, nil
}
