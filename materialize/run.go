package materialize

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/quality"
	"github.com/headwaterhq/headwater/quality/profile"
	"github.com/headwaterhq/headwater/retention"
)

// State is where a run stands.
type State string

const (
	// Queued waits for a worker or for the lease of its view version. It has no sequence yet.
	Queued  State = "queued"
	Running State = "running"
	// Published is visible to readers from its position on.
	Published State = "published"
	// Failed ended without publishing. What it wrote is undone.
	Failed    State = "failed"
	Cancelled State = "cancelled"
)

// Ended reports whether the state is a last one.
func (s State) Ended() bool { return s == Published || s == Failed || s == Cancelled }

// OnlineState is where the online store stands with a published run. Empty before it is published.
type OnlineState string

const (
	OnlinePending OnlineState = "pending"
	OnlineLoaded  OnlineState = "loaded"
	OnlineFailed  OnlineState = "failed"
)

// Run is the record of one materialization of one view version.
type Run struct {
	ID          int64
	ViewID      int64
	View        string
	ViewVersion int
	// Seq is 1, 2, 3 … per view version, 0 before the run has begun.
	Seq      int64
	State    State
	Position int64
	// Scope is how it is decided what the run computes. AskedFrom and AskedTo are what the caller wanted, nil for as far as the
	// sources reach.
	Scope              offline.ScopeKind
	AskedFrom, AskedTo *time.Time
	// Plan is nil before the run has looked at what there is to read.
	Plan *offline.Plan
	// Spans is the event times less grain that it computed, and Interval where they begin and end. Empty when nothing was new.
	Spans              offline.Spans
	Interval           offline.Span
	Fingerprint        feature.Digest
	Digest             feature.Digest
	Principal          string
	QueuedAt           time.Time
	StartedAt, EndedAt *time.Time
	// Error is why it failed, whole. KeptError has it with marks around what is of rows, for fault.Hidden.
	Error, KeptError string
	Ledger           Ledger
	Reasons          []LedgerReason
	// Checks are in the order they were made, also of a run that failed.
	Checks []quality.Result
	Gates  []Gate
	// Drift is nil where its output was held to nothing: it has no profile, or ended before.
	Drift *Drift
	// Anomalies is nil where nothing was held to earlier runs.
	Anomalies *Anomalies
	Phases    []Phase
	Warnings  []string
	Inputs    []Input
	// ViewInputs are by the name of the view.
	ViewInputs []ViewInput
	// Erasures are what erasures did to it since, the oldest first.
	Erasures []retention.OfRun

	// quarantined are some of the rows that were set aside, for the record of a run that fails.
	quarantined []quality.QuarantinedRow
	// cameAside is, by subject, the loads of which the run counts the rows that were set aside when they came.
	cameAside map[string][]int64
	// corrected is how many rows it ended of each earlier run, by sequence.
	corrected map[int64]int64

	OnlineState                                  OnlineState
	OnlineWritten, OnlineStale, OnlineTombstones int64

	// Engine is what the last attempt computed it by. nil: none began, or it is from before that was kept.
	Engine *Engine

	// OpenAttempt is the lease under which the attempt began that nobody has seen the end of. 0: there is none.
	OpenAttempt int64
	// profile is what its output is like. nil: nobody wants to know.
	profile *profile.Profile
	// waived are the checks that approvals let be warnings.
	waived []Gate
	// metrics are what is measured of it, for later runs.
	metrics []quality.Metric
	// lineage is how long the attempt took, as yet, to write what it read and what others are told.
	lineage time.Duration

	// Job is how it is queued and tried.
	Job
	// progress is told how far it is, in the process that works on it.
	progress *reporter
}

// Ref is `VIEW@VERSION/SEQ`.
func (r *Run) Ref() string { return fmt.Sprintf("%s@%d/%d", r.View, r.ViewVersion, r.Seq) }

// Ledger says what became of every row: Read = Accepted + Quarantined + Duplicate + Dropped + TooLate, Accepted = Used +
// Filtered + Unaccounted, Computed = Produced + OutputQuarantined + OutputDropped, Produced = Unchanged + Inserted, LiveAfter =
// LiveBefore + Inserted - Withdrawn. The table of runs refuses a published run for which one of these does not hold.
type Ledger struct {
	Read, Accepted, Quarantined, Duplicate, Dropped, TooLate int64
	Used, Filtered, Unaccounted                              int64
	Computed, OutputQuarantined, OutputDropped               int64
	Produced, Unchanged, Inserted, Withdrawn                 int64
	LiveBefore, LiveAfter                                    int64
}

// check names the first of the equations that does not hold.
func (l Ledger) check() error {
	for _, eq := range []struct {
		is, says string
		a, b     int64
	}{
		{"read", "accepted + quarantined + duplicate + dropped + too late",
			l.Read, l.Accepted + l.Quarantined + l.Duplicate + l.Dropped + l.TooLate},
		{"accepted", "used + filtered + unaccounted", l.Accepted, l.Used + l.Filtered + l.Unaccounted},
		{"computed", "produced + output quarantined + output dropped", l.Computed, l.Produced + l.OutputQuarantined + l.OutputDropped},
		{"produced", "unchanged + inserted", l.Produced, l.Unchanged + l.Inserted},
		{"live after", "live before + inserted - withdrawn", l.LiveAfter, l.LiveBefore + l.Inserted - l.Withdrawn},
	} {
		if eq.a != eq.b {
			return fmt.Errorf("%s is %d, expected %s, which is %d", eq.is, eq.a, eq.says, eq.b)
		}
	}
	return nil
}

// LedgerReason breaks a bucket of the ledger down.
type LedgerReason struct {
	Bucket string `json:"bucket"`
	Reason string `json:"reason"`
	Rows   int64  `json:"rows"`
}

// Gate is a condition that had to hold before the run was published.
type Gate struct {
	Name   string `json:"name"`
	Passed bool   `json:"passed"`
	Detail string `json:"detail"`
}

// Phase is a part of the run's time.
type Phase struct {
	Name   string `json:"name"`
	Micros int64  `json:"micros"`
}

// Input is what the run read of one source.
type Input struct {
	Source            string
	SourceVersion     int
	SourceFingerprint feature.Digest
	LoadNumber        int64
	// Rows were read. Duplicates of them were left out.
	Rows, Duplicates int64
	Loads            []InputLoad
	// Relation is where others keep the source's rows: `SCHEMA.TABLE` or `DATABASE:SCHEMA.TABLE`. Empty for landing.
	Relation string
	// RowsDigest is that of the rows read from there, in any order. nil for landing.
	RowsDigest *feature.Digest
	// Buckets are digests of those rows by time. nil for landing.
	Buckets *offline.Buckets
	// Kept is what the run kept of those rows. nil: none of them.
	Kept *offline.Kept
	// LeftOut is written with the run, and read by LastRead alone.
	LeftOut *LeftOut
}

// InputLoad is the part of a load that the run read.
type InputLoad struct {
	ID       int64
	FileName string
	SHA256   feature.Digest
	Rows     int64
}

const selectRun = `
	SELECT r.id, r.view_id, d.name, d.version, coalesce(r.seq, 0), r.state, coalesce(r.position, 0), r.scope, r.asked_from, r.asked_to,
		r.interval_start, r.interval_end, r.fingerprint, r.digest, r.principal, r.queued_at, r.started_at, r.ended_at,
		coalesce(r.error, ''), r.rows_read, r.accepted, r.quarantined, r.duplicate, r.dropped, r.too_late, r.used, r.filtered,
		r.unaccounted, r.produced, r.unchanged, r.inserted, r.withdrawn, r.live_before, r.live_after,
		r.computed, r.output_quarantined, r.output_dropped, r.reasons, r.gates, r.phases, r.warnings,
		coalesce(r.online_state, ''), r.online_written, r.online_stale, r.online_tombstones, r.plan, r.spans, coalesce(r.open_attempt, 0), r.engine, r.drift, r.anomalies
	FROM headwater.run r JOIN headwater.definition d ON d.id = r.view_id`

func scanRun(row pgx.CollectableRow) (*Run, error) {
	var r Run
	var start, end *time.Time
	var fingerprint, digest []byte
	var spans pgtype.Multirange[pgtype.Range[time.Time]]
	l := &r.Ledger
	err := row.Scan(&r.ID, &r.ViewID, &r.View, &r.ViewVersion, &r.Seq, &r.State, &r.Position, &r.Scope, &r.AskedFrom, &r.AskedTo,
		&start, &end, &fingerprint, &digest, &r.Principal, &r.QueuedAt, &r.StartedAt, &r.EndedAt,
		&r.Error, &l.Read, &l.Accepted, &l.Quarantined, &l.Duplicate, &l.Dropped, &l.TooLate, &l.Used, &l.Filtered,
		&l.Unaccounted, &l.Produced, &l.Unchanged, &l.Inserted, &l.Withdrawn, &l.LiveBefore, &l.LiveAfter,
		&l.Computed, &l.OutputQuarantined, &l.OutputDropped, &r.Reasons, &r.Gates, &r.Phases, &r.Warnings,
		&r.OnlineState, &r.OnlineWritten, &r.OnlineStale, &r.OnlineTombstones, &r.Plan, &spans, &r.OpenAttempt, &r.Engine, &r.Drift, &r.Anomalies)
	if start != nil && end != nil {
		r.Interval = offline.Span{Start: feature.TimeOf(*start), End: feature.TimeOf(*end)}
	}
	for _, span := range spans {
		r.Spans = append(r.Spans, offline.Span{Start: feature.TimeOf(span.Lower), End: feature.TimeOf(span.Upper)})
	}
	copy(r.Fingerprint[:], fingerprint)
	copy(r.Digest[:], digest)
	r.KeptError, r.Error = r.Error, fault.Shown(r.Error)
	return &r, err
}

// Get reads one run with its inputs, or a NOT_FOUND fault.
func Get(ctx context.Context, q database.Querier, id int64) (*Run, error) {
	return getRun(ctx, q, strconv.FormatInt(id, 10), ` WHERE r.id = $1`, id)
}

// Find reads a run by its id or by `VIEW@VERSION/SEQ`, or returns a NOT_FOUND fault.
func Find(ctx context.Context, q database.Querier, ref string) (*Run, error) {
	if id, err := strconv.ParseInt(ref, 10, 64); err == nil {
		return getRun(ctx, q, ref, ` WHERE r.id = $1`, id)
	}
	view, version, seq, ok := offline.ParseRunRef(ref)
	if !ok {
		return nil, fault.New(fault.InvalidArgument, "run: found %q, expected an id or VIEW@VERSION/SEQ; "+
			"`headwater runs list` shows both", ref)
	}
	return getRun(ctx, q, ref, ` WHERE d.name = $1 AND d.version = $2 AND r.seq = $3`, view, version, seq)
}

func getRun(ctx context.Context, q database.Querier, ref, where string, args ...any) (*Run, error) {
	rows, err := q.Query(ctx, selectRun+where, args...)
	if err != nil {
		return nil, err
	}
	r, err := pgx.CollectExactlyOneRow(rows, scanRun)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, fault.New(fault.NotFound, "there is no run %s; `headwater runs list` shows those there are", ref)
	}
	if err != nil {
		return nil, err
	}
	if r.Inputs, err = listInputs(ctx, q, r.ID); err != nil {
		return nil, err
	}
	if r.ViewInputs, err = listViewInputs(ctx, q, r.ID); err != nil {
		return nil, err
	}
	checks, err := quality.Of(ctx, q, []int64{r.ID})
	if err != nil {
		return nil, err
	}
	r.Checks = checks[r.ID]
	if err := erasuresOf(ctx, q, []*Run{r}); err != nil {
		return nil, err
	}
	return r, readJobs(ctx, q, []*Run{r})
}

// List reads up to limit runs, newest first, of the views named (nil: all), with ids below before (0: any). Their inputs
// and checks are not read.
func List(ctx context.Context, q database.Querier, views []string, before int64, limit int) ([]*Run, error) {
	rows, err := q.Query(ctx, selectRun+`
		WHERE ($1::text[] IS NULL OR d.name = ANY ($1)) AND ($2::bigint = 0 OR r.id < $2) ORDER BY r.id DESC LIMIT $3`,
		views, before, limit)
	if err != nil {
		return nil, err
	}
	runs, err := pgx.CollectRows(rows, scanRun)
	if err != nil {
		return nil, err
	}
	if err := erasuresOf(ctx, q, runs); err != nil {
		return nil, err
	}
	return runs, readJobs(ctx, q, runs)
}

func listInputs(ctx context.Context, q database.Querier, run int64) ([]Input, error) {
	rows, err := q.Query(ctx, `
		SELECT source, source_version, source_fingerprint, load_number, rows_read, duplicates, coalesce(relation, ''), rows_digest, buckets, kept
		FROM headwater.run_input WHERE run_id = $1 ORDER BY source`, run)
	if err != nil {
		return nil, err
	}
	inputs, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (in Input, err error) {
		var fingerprint, digest []byte
		err = row.Scan(&in.Source, &in.SourceVersion, &fingerprint, &in.LoadNumber, &in.Rows, &in.Duplicates, &in.Relation, &digest, &in.Buckets, &in.Kept)
		copy(in.SourceFingerprint[:], fingerprint)
		if digest != nil {
			d := feature.Digest(digest)
			in.RowsDigest = &d
		}
		return in, err
	})
	if err != nil {
		return nil, err
	}
	for i := range inputs {
		rows, err := q.Query(ctx, `
			SELECT l.id, l.file_name, l.file_sha256, rl.rows
			FROM headwater.run_load rl JOIN headwater.load l ON l.id = rl.load_id
			WHERE rl.run_id = $1 AND l.source = $2 ORDER BY l.id`, run, inputs[i].Source)
		if err != nil {
			return nil, err
		}
		inputs[i].Loads, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (l InputLoad, err error) {
			var sum []byte
			err = row.Scan(&l.ID, &l.FileName, &sum, &l.Rows)
			copy(l.SHA256[:], sum)
			return l, err
		})
		if err != nil {
			return nil, err
		}
	}
	return inputs, nil
}
