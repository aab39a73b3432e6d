package materialize

import (
	"cmp"
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/outbox"
	"github.com/headwaterhq/headwater/lineage"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/quality"
)

// insertQueued records that a run was asked for.
func insertQueued(ctx context.Context, tx pgx.Tx, req Request) (id int64, err error) {
	err = tx.QueryRow(ctx, `
		INSERT INTO headwater.run (view_id, state, scope, asked_from, asked_to, fingerprint, principal, queued_at, trigger, priority,
			attempts, reads_views)
		VALUES ($1, 'queued', $2, $3, $4, $5, $6, clock_timestamp(), $7, $8, $9, $10) RETURNING id`,
		req.View.ID, req.scope(), req.From, req.To, req.View.Fingerprint[:], req.Principal, cmp.Or(req.Trigger, ByRequest),
		req.View.RunPriority(), req.View.RunAttempts(), inputIDs(req.View)).Scan(&id)
	return id, err
}

// begin takes the view version's next sequence for the run. A sequence is never used twice, also not after an undo. A run that an
// earlier attempt left half written goes on under the sequence that it has.
// attempt is the lease that it begins under.
func begin(ctx context.Context, tx pgx.Tx, r *Run, attempt int64) error {
	if err := take(ctx, tx, r, attempt); err != nil {
		return err
	}
	r.OpenAttempt = attempt
	return tell(ctx, tx, r, outbox.RunStarted, outbox.Run{Run: r.Ref()})
}

func take(ctx context.Context, tx pgx.Tx, r *Run, attempt int64) error {
	if r.Seq != 0 {
		return begun(tx.Exec(ctx, `
			UPDATE headwater.run SET state = 'running', error = NULL, not_before = NULL, attempt = attempt + 1, open_attempt = $2, engine = $3
			WHERE id = $1 AND state IN ('queued', 'running') AND cancel_requested_at IS NULL`, r.ID, attempt, r.Engine))
	}
	err := tx.QueryRow(ctx, `UPDATE headwater.view_state SET last_seq = last_seq + 1 WHERE view_id = $1 RETURNING last_seq`,
		r.ViewID).Scan(&r.Seq)
	if err != nil {
		return err
	}
	return begun(tx.Exec(ctx, `
		UPDATE headwater.run SET state = 'running', seq = $2, started_at = clock_timestamp(), error = NULL, not_before = NULL,
			attempt = attempt + 1, open_attempt = $3, engine = $4
		WHERE id = $1 AND state = 'queued' AND cancel_requested_at IS NULL`, r.ID, r.Seq, attempt, r.Engine))
}

// begun is errCancelled when no run began.
func begun(tag pgconn.CommandTag, err error) error {
	if err == nil && tag.RowsAffected() == 0 {
		err = errCancelled
	}
	return err
}

// planned keeps the run's plan with it.
func planned(ctx context.Context, tx pgx.Tx, r *Run) error {
	if _, err := tx.Exec(ctx, `UPDATE headwater.run SET plan = $2 WHERE id = $1`, r.ID, r.Plan); err != nil {
		return err
	}
	about := outbox.Run{Run: r.Ref()}
	if !r.Interval.IsEmpty() {
		// JSON has no other years.
		from, to := r.Interval.Start.Calendar(), r.Interval.End.Calendar()
		about.From, about.To = &from, &to
	}
	return tell(ctx, tx, r, outbox.RunPlanned, about)
}

// tell writes a message about an attempt of the run, which is the one that is open.
func tell(ctx context.Context, tx pgx.Tx, r *Run, topic outbox.Topic, about outbox.Run) error {
	defer r.lineageTook(time.Now())
	about.RunID, about.Attempt = r.ID, r.OpenAttempt
	return outbox.Add(ctx, tx, outbox.Message{Topic: topic, Subject: outbox.RunSubject(r.ID), Payload: about})
}

// tellEnd is tell for the end of a run. One of which no attempt ever began is told to have started too, since what starts not does not end.
func tellEnd(ctx context.Context, tx pgx.Tx, r *Run, topic outbox.Topic, about outbox.Run) error {
	if r.OpenAttempt == 0 && r.Attempt == 0 {
		if err := tell(ctx, tx, r, outbox.RunStarted, outbox.Run{}); err != nil {
			return err
		}
	}
	return tell(ctx, tx, r, topic, about)
}

// publish makes the run visible: position, record, inputs, the view version's state and the outbox message. The table's
// constraints refuse a ledger that does not balance.
func publish(ctx context.Context, tx pgx.Tx, r *Run, state viewState) error {
	if err := insertLineage(ctx, tx, r); err != nil {
		return err
	}
	if err := quality.Record(ctx, tx, r.ID, r.ViewID, r.reach(), r.Checks); err != nil {
		return err
	}
	if err := r.keepProfile(ctx, tx); err != nil {
		return err
	}
	if err := quality.KeepMetrics(ctx, tx, r.ID, r.ViewID, r.reach(), r.metrics); err != nil {
		return err
	}
	if err := quality.Finish(ctx, tx, r.ID, r.ViewID, r.Seq, r.cameAside); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `
		UPDATE headwater.view_state SET published_seq = $2, live_rows = $3, covered = $4::text::tstzmultirange, consumed = $5
		WHERE view_id = $1`,
		r.ViewID, r.Seq, r.Ledger.LiveAfter, state.Covered.Union(r.Spans).Multirange(), r.Plan.Consumed(state.Consumed))
	if err != nil {
		return err
	}
	// Locks of notices are taken before those of publishing, by which others wait.
	if err := tellPublished(ctx, tx, r); err != nil {
		return err
	}
	// From here to the commit all other publishing waits.
	if r.Position, err = offline.Publish(ctx, tx, r.ViewID, r.Seq, r.ID); err != nil {
		return err
	}
	err = tell(ctx, tx, r, outbox.RunPublished, outbox.Run{Run: r.Ref(), Position: r.Position, Digest: r.Digest.String()})
	if err != nil {
		return err
	}
	r.Phases = append(r.Phases, Phase{Name: lineagePhase, Micros: r.lineage.Microseconds()})
	l := r.Ledger
	var start, end *time.Time
	if !r.Interval.IsEmpty() {
		from, to := r.Interval.Start.Time(), r.Interval.End.Time()
		start, end = &from, &to
	}
	_, err = tx.Exec(ctx, `
		UPDATE headwater.run SET state = 'published', position = $2, interval_start = $3, interval_end = $4, digest = $5,
			ended_at = clock_timestamp(), rows_read = $6, accepted = $7, quarantined = $8, duplicate = $9, dropped = $10,
			too_late = $11, used = $12, filtered = $13, unaccounted = $14, produced = $15, unchanged = $16, inserted = $17,
			withdrawn = $18, live_before = $19, live_after = $20, reasons = $21, gates = $22, phases = $23, warnings = $24,
			spans = $25::text::tstzmultirange, computed = $26, output_quarantined = $27, output_dropped = $28, online_state = 'pending',
			open_attempt = NULL, drift = $29, anomalies = $30,
			published_at = (SELECT published_at FROM headwater.publish_log WHERE position = $2)
		WHERE id = $1`,
		r.ID, r.Position, start, end, r.Digest[:], l.Read, l.Accepted, l.Quarantined,
		l.Duplicate, l.Dropped, l.TooLate, l.Used, l.Filtered, l.Unaccounted, l.Produced, l.Unchanged, l.Inserted,
		l.Withdrawn, l.LiveBefore, l.LiveAfter, orEmpty(r.Reasons), orEmpty(r.Gates), orEmpty(r.Phases),
		orEmpty(r.Warnings), r.Spans.Multirange(), l.Computed, l.OutputQuarantined, l.OutputDropped, r.Drift, r.Anomalies)
	return err
}

// lineagePhase is the phase in which a run writes what it read, and what others are told of it.
const lineagePhase = "lineage"

// lineageTook adds to that phase what began then and has ended.
func (r *Run) lineageTook(began time.Time) { r.lineage += time.Since(began) }

func insertLineage(ctx context.Context, tx pgx.Tx, r *Run) error {
	defer r.lineageTook(time.Now())
	if err := insertInputs(ctx, tx, r); err != nil {
		return err
	}
	if err := insertViewInputs(ctx, tx, r); err != nil {
		return err
	}
	return lineage.RecordRun(ctx, tx, r.ID, r.Ledger.Inserted, r.corrected)
}

// orEmpty keeps NULL out of columns that hold lists.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func insertInputs(ctx context.Context, tx pgx.Tx, r *Run) error {
	for _, in := range r.Inputs {
		var digest []byte
		if in.RowsDigest != nil {
			digest = in.RowsDigest[:]
		}
		var left LeftOut
		if in.LeftOut != nil {
			left = *in.LeftOut
		}
		_, err := tx.Exec(ctx, `
			INSERT INTO headwater.run_input (run_id, source, source_version, source_fingerprint, load_number, rows_read, duplicates,
				relation, rows_digest, buckets, kept, loads, quarantined, dropped, too_late, newest)
			VALUES ($1, $2, $3, $4, $5, $6, $7, nullif($8, ''), $9, $10, $11, $12, $13, $14, $15, $16)`,
			r.ID, in.Source, in.SourceVersion, in.SourceFingerprint[:], in.LoadNumber, in.Rows, in.Duplicates, in.Relation, digest,
			in.Buckets, in.Kept, len(in.Loads), left.Quarantined, left.Dropped, left.TooLate, left.Newest)
		if err != nil {
			return err
		}
		for _, l := range in.Loads {
			_, err := tx.Exec(ctx, `INSERT INTO headwater.run_load (run_id, load_id, rows) VALUES ($1, $2, $3)`,
				r.ID, l.ID, l.Rows)
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// fail ends a run that did not publish. What it wrote is undone already. One that ended otherwise is left as it is.
func fail(ctx context.Context, tx pgx.Tx, r *Run, message string) error {
	tag, err := tx.Exec(ctx, `
		UPDATE headwater.run SET state = 'failed', ended_at = clock_timestamp(), error = $2, open_attempt = NULL, drift = $3
		WHERE id = $1 AND state IN ('queued', 'running')`, r.ID, message, r.Drift)
	if err != nil || tag.RowsAffected() == 0 {
		return err
	}
	if err := forgetProgress(ctx, tx, r.ID); err != nil {
		return err
	}
	if err := quality.Record(ctx, tx, r.ID, r.ViewID, r.reach(), r.Checks); err != nil {
		return err
	}
	if err := quality.KeepFailed(ctx, tx, r.ID, r.ViewID, r.Seq, r.quarantined, r.cameAside); err != nil {
		return err
	}
	if err := tellFailed(ctx, tx, r, message); err != nil {
		return err
	}
	return tellEnd(ctx, tx, r, outbox.RunFailed, outbox.Run{Error: fault.Hidden(message)})
}

// viewState is where a view version stands.
type viewState struct {
	PublishedSeq int64
	LiveRows     int64
	Covered      offline.Spans
	// Consumed is up to where everything that Covered could see is in the history. nil: nothing.
	Consumed    *offline.Marks
	OnlineEpoch int64
}

func getViewState(ctx context.Context, q database.Querier, viewID int64) (s viewState, err error) {
	err = q.QueryRow(ctx, `SELECT published_seq, live_rows, consumed, online_epoch FROM headwater.view_state WHERE view_id = $1`,
		viewID).Scan(&s.PublishedSeq, &s.LiveRows, &s.Consumed, &s.OnlineEpoch)
	if err != nil {
		return s, err
	}
	s.Covered, err = offline.ReadSpans(ctx, q, "covered", `FROM headwater.view_state WHERE view_id = $1`, viewID)
	return s, err
}
