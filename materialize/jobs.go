package materialize

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/tracing"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/online"
)

const (
	// jobTimeout bounds a job's one attempt. It is finite because River never rescues a job without a timeout.
	jobTimeout = 6 * time.Hour
	// recoverEvery is how often runs that a dead process left behind are looked for.
	recoverEvery = 2 * time.Second
	// fetchCooldown is how long a process leaves between two looks into the queue. It looks when a job is notified; River's own
	// tenth of a second would be most of what a run takes that has nothing new to read, twice: for the run, and for its online load.
	fetchCooldown = 10 * time.Millisecond
)

// Config is what a Materializer needs.
type Config struct {
	Pool *pgxpool.Pool
	// Writer is how published rows reach the online store.
	Writer *online.Writer
	// Reader is what published rows are compared with.
	Reader *online.Reader
	// Databases are those that sources may name. nil: none.
	Databases *offline.Databases
	// View finds a view version by id in the newest catalog, or nil.
	View func(id int64) *feature.ViewVersion
	// Scheduled are the views that may be materialized by themselves: the newest version of each that is neither removed nor
	// retired. nil: none.
	Scheduled func() []*feature.ViewVersion
	// Audit records a publication, or that a run was cancelled, in the transaction that makes it.
	Audit func(ctx context.Context, tx pgx.Tx, r *Run) error
	Log   *slog.Logger
	// Version is that of the program, for the records of runs.
	Version string
	// Workers is how many runs, and how many online loads, this process works on at once. Default 4.
	Workers int
	// Now is the clock that the online store is loaded by, and that schedules follow. Default time.Now.
	Now func() time.Time
	// Bounds is what the SQL of a view may take, each time it runs. Zero: its defaults.
	Bounds offline.Bounds
	// ChunkRows is about how many rows a part of a run reads that is computed and written by itself, ChunkWorkers how many parts
	// of one run this process works on at once, each with two connections to Postgres. Default 1,000,000 and 2.
	ChunkRows    int64
	ChunkWorkers int
	// NoProfiles has runs end without a profile of what they made.
	NoProfiles bool
	// Metrics counts what runs do. nil: nothing does.
	Metrics *Metrics
	// Tracer has a trace of each run that ended. nil: none.
	Tracer *tracing.Tracer
	// Reached is called at each named step of runs and online loads, before it is taken: so that tests can stop the process
	// there. An error ends the attempt. nil, as it is outside of tests: nothing is called.
	Reached func(step string) error
}

// Materializer queues runs and works on them, beside any number of other processes on the same Postgres.
type Materializer struct {
	config Config
	runner *runner
	loader *loader
	jobs   *river.Client[pgx.Tx]

	// seen is up to when this process knows that schedules were seen to, by view version. Of the goroutine that looks at them.
	seen map[int64]feature.Time

	stop    context.CancelFunc
	stopped sync.WaitGroup
}

// New makes a Materializer. It works on nothing before Start.
func New(config Config) (*Materializer, error) {
	if config.Workers == 0 {
		config.Workers = 4
	}
	if config.ChunkRows == 0 {
		config.ChunkRows = defaultChunkRows
	}
	if config.ChunkWorkers == 0 {
		config.ChunkWorkers = defaultChunkWorkers
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Reached == nil {
		config.Reached = func(string) error { return nil }
	}
	m := &Materializer{config: config, seen: map[int64]feature.Time{}}
	m.runner = &runner{
		pool: config.Pool, log: config.Log, databases: config.Databases, view: config.View, published: m.published,
		reached: config.Reached, bounds: config.Bounds, chunkRows: config.ChunkRows, chunkWorkers: config.ChunkWorkers,
		noProfiles: config.NoProfiles, cancelled: config.Audit, keep: offline.KeepBounds{Rows: offline.MaxKeptRows, Bytes: offline.MaxKeptBytes},
		engines: &engines{version: config.Version, chunkRows: config.ChunkRows},
	}
	m.loader = &loader{
		pool: config.Pool, writer: config.Writer, view: config.View, now: config.Now, reached: config.Reached,
		ended: config.Metrics.loadEnded, batch: loadBatch, lanes: loadLanes,
	}
	workers := river.NewWorkers()
	err := errors.Join(
		river.AddWorkerSafely(workers, &runWorker{runner: m.runner, metrics: config.Metrics, tracer: config.Tracer}),
		river.AddWorkerSafely(workers, &loadWorker{loader: m.loader}),
	)
	if err != nil {
		return nil, err
	}
	m.jobs, err = river.NewClient(riverpgxv5.New(config.Pool), &river.Config{
		Schema:               database.JobsSchema,
		Workers:              workers,
		Logger:               config.Log,
		ErrorHandler:         &jobErrors{log: config.Log},
		JobTimeout:           jobTimeout,
		FetchCooldown:        fetchCooldown,
		RescueStuckJobsAfter: jobTimeout + time.Hour,
		MaxAttempts:          8,
		Queues: map[string]river.QueueConfig{
			queueRuns:   {MaxWorkers: config.Workers},
			queueOnline: {MaxWorkers: config.Workers},
		},
	})
	return m, err
}

// Start begins to work, and takes up what a dead process left behind. Stop ends it.
func (m *Materializer) Start(ctx context.Context) error {
	ctx, m.stop = context.WithCancel(context.WithoutCancel(ctx))
	if err := m.jobs.Start(ctx); err != nil {
		return err
	}
	m.stopped.Go(func() {
		if err := forgetEnded(ctx, m.config.Pool); err != nil && ctx.Err() == nil {
			m.config.Log.WarnContext(ctx, "forgetting the progress of runs that have ended", "error", err)
		}
	})
	m.stopped.Go(func() { m.every(ctx, recoverEvery, "looking for abandoned runs", m.recover) })
	m.stopped.Go(func() { m.every(ctx, cancelEvery, "looking for runs to cancel", m.cancelAsked) })
	m.stopped.Go(func() { m.every(ctx, tickEvery, "looking at schedules", m.tick) })
	m.stopped.Go(func() { m.loader.followDue(ctx, m.config.Log) })
	m.stopped.Go(func() { m.every(ctx, storeEvery, "loading again what Redis may have lost", m.watchStore) })
	return nil
}

// Stop lets running jobs end until ctx does, then cancels them; without Start it does nothing. What was cancelled is undone and taken up again later.
func (m *Materializer) Stop(ctx context.Context) error {
	if m.stop == nil {
		return nil
	}
	err := m.jobs.Stop(ctx)
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		hard, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		err = m.jobs.StopAndCancel(hard)
	}
	m.stop()
	m.stopped.Wait()
	return err
}

// Request asks for one run.
type Request struct {
	View *feature.ViewVersion
	// From and To bound the event times less grain, [From, To). nil: as far as the sources reach. Without either the run is
	// incremental, unless it is Full.
	From, To *time.Time
	Full     bool
	// Trigger is why. Empty: somebody asked.
	Trigger   Trigger
	Principal string
}

func (r *Request) scope() offline.ScopeKind {
	switch {
	case r.Full:
		return offline.Full
	case r.From != nil || r.To != nil:
		return offline.Interval
	}
	return offline.Incremental
}

// Enqueue records the runs as queued, with the jobs that carry them, in one transaction. It returns them in the order of
// requests. A run waits for those that were queued before it of views that it reads; of the requests, those of views that
// others read are queued first.
func (m *Materializer) Enqueue(ctx context.Context, requests []Request) ([]*Run, error) {
	ids := make([]int64, len(requests))
	err := pgx.BeginFunc(ctx, m.config.Pool, func(tx pgx.Tx) error {
		for _, i := range inOrderOfReading(requests) {
			req := requests[i]
			if !req.View.Materialized() {
				return fault.New(fault.InvalidArgument, "view %s: found on-demand features, which are computed when they are read, expected a view "+
					"with a history; materialize the views that it reads", req.View.Ref())
			}
			if req.Full && (req.From != nil || req.To != nil) {
				return fault.New(fault.InvalidArgument, "materialize: found full together with from or to, expected one of them: a full run computes "+
					"all that there is to read and all that was covered; leave out full to compute an interval")
			}
			if req.From != nil && req.To != nil && !req.From.Before(*req.To) {
				return fault.New(fault.InvalidArgument, "interval: found from %s and to %s, expected from before to",
					req.From.Format(time.RFC3339), req.To.Format(time.RFC3339))
			}
			var err error
			if ids[i], err = m.queue(ctx, tx, req); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	runs := make([]*Run, len(ids))
	for i, id := range ids {
		if runs[i], err = Get(ctx, m.config.Pool, id); err != nil {
			return nil, err
		}
	}
	return runs, nil
}

// inOrderOfReading is the indices of requests, each behind those of the views that its view reads, and else as they are.
func inOrderOfReading(requests []Request) []int {
	at := map[int64][]int{}
	for i, req := range requests {
		at[req.View.ID] = append(at[req.View.ID], i)
	}
	order, seen := make([]int, 0, len(requests)), map[int64]bool{}
	var visit func(v *feature.ViewVersion)
	visit = func(v *feature.ViewVersion) {
		if seen[v.ID] {
			return
		}
		seen[v.ID] = true
		for _, input := range v.ViewVersions {
			visit(input)
		}
		order = append(order, at[v.ID]...)
	}
	for _, req := range requests {
		visit(req.View)
	}
	return order
}

// RebuildOnline loads view versions again from the history into the online store. One of which no run was published is left
// out of what it returns.
func (m *Materializer) RebuildOnline(ctx context.Context, views []*feature.ViewVersion) ([]*Rebuild, error) {
	var rebuilds []*Rebuild
	for _, v := range views {
		r, err := m.loader.rebuild(ctx, v)
		if err != nil {
			return nil, err
		}
		if r != nil {
			rebuilds = append(rebuilds, r)
		}
	}
	return rebuilds, nil
}

// published is what else the publishing transaction holds.
func (m *Materializer) published(ctx context.Context, tx pgx.Tx, r *Run) error {
	if err := m.config.Audit(ctx, tx, r); err != nil {
		return err
	}
	if _, err := m.jobs.InsertTx(ctx, tx, loadArgs{RunID: r.ID}, nil); err != nil {
		return err
	}
	if r.Ledger.Inserted == 0 && r.Ledger.Withdrawn == 0 {
		return nil
	}
	_, err := m.queueDependents(ctx, tx, readsView(r.ViewID))
	return err
}

// every calls do now and then, until ctx ends.
func (m *Materializer) every(ctx context.Context, interval time.Duration, what string, do func(context.Context) error) {
	for {
		if err := do(ctx); err != nil && ctx.Err() == nil {
			m.config.Log.WarnContext(ctx, what, "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(interval):
		}
	}
}

// A run that is at work holds its lease, so one that does not was abandoned. One that is queued, or not in the online store,
// was when it has had no job for longer than a job takes to be fetched and to take the lock.
const selectAbandoned = `
	SELECT r.id, r.state = 'published', r.priority, r.attempts FROM headwater.run r
	WHERE (r.state = 'running'
			OR r.state = 'queued' AND r.queued_at < clock_timestamp() - interval '3 seconds'
			OR r.online_state = 'pending' AND r.ended_at < clock_timestamp() - interval '3 seconds')
		AND NOT EXISTS (
			SELECT 1 FROM pg_locks l
			WHERE l.locktype = 'advisory' AND l.classid::bigint = CASE r.state WHEN 'published' THEN $2::bigint ELSE $1::bigint END
				AND l.objid::bigint = r.view_id
				AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()))
		AND NOT EXISTS (
			SELECT 1 FROM headwater_jobs.river_job j
			WHERE j.state IN ('available', 'pending', 'retryable', 'scheduled', 'running')
				AND j.kind = CASE r.state WHEN 'published' THEN 'load_online' ELSE 'materialize' END
				AND j.args->>'run_id' = r.id::text
				AND (j.state <> 'running' OR r.state <> 'running' AND j.attempted_at > clock_timestamp() - interval '3 seconds'))
	ORDER BY r.id`

// recover gives new jobs to runs that are neither ended nor worked on: a process that dies leaves its jobs marked as
// running, and River waits for their timeout. A job too many does no harm, since the lease and the run's state decide.
func (m *Materializer) recover(ctx context.Context) error {
	rows, err := m.config.Pool.Query(ctx, selectAbandoned, int64(leaseClass), int64(loadClass))
	if err != nil {
		return err
	}
	type abandoned struct {
		ID                 int64
		Published          bool
		Priority, Attempts int
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[abandoned])
	if err != nil {
		return err
	}
	for _, r := range found {
		var args river.JobArgs = runArgs{RunID: r.ID}
		opts := insertOpts(r.Priority, r.Attempts)
		if r.Published {
			args, opts = loadArgs{RunID: r.ID}, nil
		}
		if _, err := m.jobs.Insert(ctx, args, opts); err != nil {
			return err
		}
		m.config.Log.InfoContext(ctx, "took up an abandoned run", "run", r.ID, "published", r.Published)
	}
	return nil
}

const (
	queueRuns   = "runs"
	queueOnline = "online"
)

type runArgs struct {
	RunID int64 `json:"run_id"`
}

func (runArgs) Kind() string                 { return "materialize" }
func (runArgs) InsertOpts() river.InsertOpts { return river.InsertOpts{Queue: queueRuns} }

type runWorker struct {
	river.WorkerDefaults[runArgs]
	runner  *runner
	metrics *Metrics
	tracer  *tracing.Tracer
}

func (w *runWorker) Work(ctx context.Context, job *river.Job[runArgs]) error {
	r, err := Get(ctx, w.runner.pool, job.Args.RunID)
	if err != nil || r.State.Ended() {
		return database.Fault(err)
	}
	err = database.Fault(w.runner.run(ctx, job.Args.RunID))
	defer w.count(context.WithoutCancel(ctx), job.Args.RunID, err)
	if errors.Is(err, errLeaseHeld) || errors.Is(err, errInputsUnderWay) {
		// Waiting in the queue, not in a worker, leaves the workers to runs of other views.
		return river.JobSnooze(leaseRetry)
	}
	// A process that stops leaves its runs to others, whatever the attempt.
	if err != nil && ctx.Err() == nil && job.Attempt >= job.MaxAttempts {
		return errors.Join(err, w.runner.giveUp(ctx, job.Args.RunID, err))
	}
	return err
}

// count tells the metrics how a run, or an attempt at it, ended.
func (w *runWorker) count(ctx context.Context, id int64, err error) {
	if w.metrics == nil && w.tracer == nil || errors.Is(err, errLeaseHeld) || errors.Is(err, errInputsUnderWay) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, countTimeout)
	defer cancel()
	switch r, readErr := Get(ctx, w.runner.pool, id); {
	case readErr != nil:
	case r.State.Ended():
		w.metrics.runEnded(r)
		traceRun(w.tracer, r)
	default:
		w.metrics.runInterrupted(r)
	}
}

// countTimeout bounds reading a run for the metrics.
const countTimeout = 5 * time.Second

// insertOpts are those of the job of a run. River counts attempts too, of which some end before the run has begun.
func insertOpts(priority, attempts int) *river.InsertOpts {
	return &river.InsertOpts{Queue: queueRuns, Priority: priority, MaxAttempts: attempts}
}

// NextRetry is what the run says, or, when it cannot be asked, what it would say.
func (w *runWorker) NextRetry(job *river.Job[runArgs]) time.Time {
	ctx, cancel := context.WithTimeout(context.Background(), countTimeout)
	defer cancel()
	var wait *float64
	err := w.runner.pool.QueryRow(ctx, `SELECT extract(epoch FROM not_before - clock_timestamp())::float8 FROM headwater.run WHERE id = $1`,
		job.Args.RunID).Scan(&wait)
	if err != nil || wait == nil {
		return retryAt(job.JobRow)
	}
	return time.Now().Add(time.Duration(*wait * float64(time.Second)))
}

type loadArgs struct {
	RunID int64 `json:"run_id"`
}

func (loadArgs) Kind() string { return "load_online" }

// Redis may be away for long, and the rows must reach it all the same.
func (loadArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: queueOnline, MaxAttempts: 1000}
}

type loadWorker struct {
	river.WorkerDefaults[loadArgs]
	loader *loader
}

func (w *loadWorker) Work(ctx context.Context, job *river.Job[loadArgs]) error {
	return database.Fault(w.loader.load(ctx, job.Args.RunID))
}

func (w *loadWorker) NextRetry(job *river.Job[loadArgs]) time.Time { return retryAt(job.JobRow) }

// jobErrors tells the operator why a run or a load waits: River says so no louder than that it works.
type jobErrors struct{ log *slog.Logger }

func (h *jobErrors) HandleError(ctx context.Context, job *rivertype.JobRow, err error) *river.ErrorHandlerResult {
	if ctx.Err() == nil {
		h.log.WarnContext(ctx, "a job failed and is tried again while it has attempts left", "kind", job.Kind, "args", string(job.EncodedArgs),
			"attempt", job.Attempt, "of", job.MaxAttempts, "error", err)
	}
	return nil
}

func (h *jobErrors) HandlePanic(ctx context.Context, job *rivertype.JobRow, value any, trace string) *river.ErrorHandlerResult {
	h.log.ErrorContext(ctx, "a job panicked", "kind", job.Kind, "args", string(job.EncodedArgs), "panic", value, "trace", trace)
	return nil
}

// backoff is how long to wait after an attempt, the first being 1: from about half a second, doubled each time, to about half a
// minute, not River's default that grows to hours, since what is away comes back. Jitter keeps runs that failed together from
// coming back together.
func backoff(attempt int) time.Duration {
	wait := min(500*time.Millisecond<<min(max(attempt-1, 0), 6), 30*time.Second)
	return wait*3/4 + rand.N(wait/2)
}

func retryAt(job *rivertype.JobRow) time.Time { return time.Now().Add(backoff(len(job.Errors) + 1)) }

// usedUp is why a run failed that may not be tried again.
func usedUp(cause error) string {
	if f := fault.As(database.Fault(cause)); f != nil {
		return fmt.Sprintf("the attempts are used up, the last one ended so: %s", f.Kept())
	}
	return "the attempts are used up; the server's log has the cause"
}

// giveUp ends a run whose attempts are used up. It takes the lease for it, because the last attempt may have ended without
// being undone; where that is not possible the run stays as it is, and recovery takes it up.
func (rn *runner) giveUp(ctx context.Context, id int64, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	message := usedUp(cause)
	r, err := Get(ctx, rn.pool, id)
	if err != nil || r.State.Ended() {
		return err
	}
	rn.log.ErrorContext(ctx, "run failed", "run", id, "error", cause)
	view := rn.view(r.ViewID)
	if view == nil {
		if r.State != Queued {
			return nil
		}
		return pgx.BeginFunc(ctx, rn.pool, func(tx pgx.Tx) error { return fail(ctx, tx, r, message) })
	}
	conn, err := connect(ctx, rn.pool)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	l, err := awaitLease(ctx, conn, view)
	if err != nil {
		return err
	}
	defer func() { _ = l.release(ctx) }()
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if err := l.fence(ctx, tx); err != nil {
			return err
		}
		// What is left now is of a run that would have gone on.
		if r, err = Get(ctx, tx, id); err != nil || r.State.Ended() {
			return err
		}
		if r.Seq != 0 {
			if err := undo(ctx, tx, view, id, r.Seq); err != nil {
				return err
			}
		}
		return fail(ctx, tx, r, message)
	})
}
