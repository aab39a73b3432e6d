package materialize

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/database"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/quality"
)

// checkSourceRows holds the rows that a run reads of a source to the source's expectations about each of them, and says which are left
// out. Those that are quarantined are kept at once, as rows of the run's sequence: they are seen when that is published, and
// undone with the rest when it is not. Of a run that cannot go on nothing is kept but what its record gets.
func (rn *runner) checkSourceRows(ctx context.Context, l *lease, r *Run, tx pgx.Tx, t *offline.Transform, in *offline.Input,
	read offline.Spans) (*offline.LeftOut, error) {
	r.countCameAside(in)
	outcome, err := holdSource(ctx, tx, holdingOf(t, r.ID), in, in.Source, read)
	if err != nil {
		return nil, err
	}
	if outcome == nil {
		r.checkCameAside(in)
		return nil, nil
	}
	results := r.ofReplay(outcome.Results...)
	// Before it is decided what is set aside: rows of a run that goes on are kept.
	if err := rn.waive(ctx, r, t, results); err != nil {
		return nil, err
	}
	r.Checks = append(r.Checks, results...)
	if !outcome.Quarantines() {
		r.checkCameAside(in)
	}
	if len(r.quarantined) == 0 {
		if r.quarantined, err = outcome.FailedRows(ctx, tx); err != nil {
			return nil, err
		}
	}
	if len(quality.Blocking(results)) == 0 && outcome.Quarantines() {
		if err := rn.keepQuarantined(ctx, l, r, tx.Conn(), in, read, outcome); err != nil {
			return nil, err
		}
	}
	return leftOutBy(outcome), nil
}

// holding is for whom rows of sources are held to expectations.
type holding struct {
	// reader is who reads them, for messages, and run how commands name the run, if it is one.
	reader, run string
	now         feature.Time
	// references are the loads up to which sources are considered in which values are expected to be.
	references map[string]int64
}

func holdingOf(t *offline.Transform, run int64) holding {
	return holding{reader: "view " + t.View.Ref(), run: strconv.FormatInt(run, 10), now: t.Plan.Now, references: t.Plan.Marks.References}
}

// HoldSpine holds the rows that a spine is read from to the source's expectations about each of them, and says which are left out: those
// that a run would set aside or drop. What fails a run is a FAILED_PRECONDITION fault. It is an offline.Validate; nothing is kept of
// rows that are left out.
func HoldSpine(ctx context.Context, tx pgx.Tx, in *offline.Input, read offline.Spans) (*offline.LeftOut, error) {
	h := holding{reader: "spine", references: map[string]int64{}}
	var now time.Time
	if err := tx.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&now); err != nil {
		return nil, err
	}
	h.now = feature.TimeOf(now)
	for i := range in.Source.Expectations {
		r := in.Source.Expectations[i].References
		if r == nil {
			continue
		}
		var number int64
		if err := tx.QueryRow(ctx, `SELECT coalesce(max(number), 0) FROM headwater.load WHERE source = $1`, r.Source).Scan(&number); err != nil {
			return nil, err
		}
		h.references[r.Source] = number
	}
	outcome, err := holdSource(ctx, tx, h, in, in.Source, read)
	if err != nil || outcome == nil {
		return nil, err
	}
	if blocking := quality.Blocking(outcome.Results); len(blocking) > 0 {
		var texts []string
		for i := range blocking {
			blocking[i].Look = ""
			texts = append(texts, blocking[i].String())
		}
		return nil, fault.New(fault.FailedPrecondition, "spine: rows of source %s do not meet what is expected of them, as they would not for a run: %s; "+
			"replace the loads that brought them (headwater loads list %[1]s), leave their time out, or relax the expectation",
			in.Source.Name, strings.Join(texts, "; "))
	}
	return leftOutBy(outcome), nil
}

// holdSource holds the rows that are read of a source to the expectations of src, which is the source with all of its expectations or
// some of them. nil: none is about each row.
func holdSource(ctx context.Context, tx pgx.Tx, h holding, in *offline.Input, src *feature.SourceVersion, read offline.Spans) (*quality.Outcome, error) {
	return quality.ValidateSource(ctx, tx, quality.Reading{
		Source: src, Table: in.Table(), Where: in.Considered(read), Rows: in.Rows, Exact: in.Exact, Conflicting: in.Conflicting,
		CameAside: in.CameAside(), CameLeftOut: in.CameLeftOut(), Considered: in.ConsideredRows(), Now: h.now, Run: h.run,
		Other: func(ctx context.Context, source string) (string, string, error) {
			table, where, exists, err := offline.LandedRows(ctx, tx, source, h.references[source])
			if err == nil && !exists {
				err = fault.New(fault.RunRefused, "%s: source %s expects values of source %s, which is not there any more; apply its definition "+
					"again, or take the expectation out", h.reader, src.Name, source)
			}
			return table, where, err
		},
		Stream: func(ctx context.Context, query string, columns []feature.Column, texts int, row func([]feature.Value, []string) error) error {
			return offline.Stream(ctx, tx.Conn(), query, columns, texts, row)
		},
	})
}

func leftOutBy(outcome *quality.Outcome) *offline.LeftOut {
	return &offline.LeftOut{
		Relation: outcome.LeftOut, Condition: outcome.Out, Quarantined: reasonsOf(outcome.Quarantined), Dropped: reasonsOf(outcome.Dropped),
	}
}

// countCameAside has the rows that came without what tells where they belong, and that the run counts, be shown as the run's.
func (r *Run) countCameAside(in *offline.Input) {
	loads := in.SetAsideLoads()
	if len(loads) == 0 {
		return
	}
	if r.cameAside == nil {
		r.cameAside = map[string][]int64{}
	}
	r.cameAside[quality.SourceSubject(in.Source.Name)] = loads
}

// checkCameAside holds such rows to the share of a source that may be quarantined, where no expectation quarantines others.
func (r *Run) checkCameAside(in *offline.Input) {
	if in.Source.NullEventTime != feature.QuarantineNull {
		return
	}
	r.Checks = append(r.Checks, r.ofReplay(quality.RatioResult(quality.Rows{
		Subject: quality.SourceSubject(in.Source.Name), Failed: in.CameAside(), Of: in.Rows + in.SetAside(), Run: strconv.FormatInt(r.ID, 10),
	}, in.Source.QuarantineLimit()))...)
}

// ofReplay has a share of quarantined rows that is above its limit not stop a run that tries such rows again: it looks at little else.
func (r *Run) ofReplay(results ...quality.Result) []quality.Result {
	for i := range results {
		if c := &results[i]; r.Trigger == ByQuarantine && c.Name == quality.RatioName && c.State == quality.Failed {
			c.State = quality.Warned
			c.Found += ", which does not stop a run that tries quarantined rows again"
		}
	}
	return results
}

func reasonsOf(counts []quality.Count) []offline.Reason {
	var reasons []offline.Reason
	for _, c := range counts {
		reasons = append(reasons, offline.Reason{Reason: c.Reason, Rows: c.Rows})
	}
	return reasons
}

// keepQuarantined writes the rows that were quarantined on a connection of its own: that of the snapshot sends them.
func (rn *runner) keepQuarantined(ctx context.Context, l *lease, r *Run, snapshot *pgx.Conn, in *offline.Input, read offline.Spans,
	outcome *quality.Outcome) error {
	conn, err := connect(ctx, rn.pool)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if err := l.fence(ctx, tx); err != nil {
			return err
		}
		set := quality.SetAside{
			Run: r.ID, View: r.ViewID, Seq: r.Seq, Subject: quality.SourceSubject(in.Source.Name), SourceVersion: in.Source.Version,
			Spans: fmt.Sprintf("'%s'::tstzmultirange", read.Multirange()),
		}
		if err := quality.Keep(ctx, tx, set, outcome.CopyQuarantined(ctx, snapshot)); err != nil {
			return err
		}
		return l.fence(ctx, tx)
	})
}

// byExpectations is what the expectations of the sources left out, by reason, and how many rows of each bucket that is. Sources that
// have a reason of one name are counted together.
func byExpectations(t *offline.Transform) (reasons []LedgerReason, buckets Ledger) {
	quarantined, dropped := t.LeftOut()
	for _, b := range []struct {
		name string
		rows *int64
		list []offline.Reason
	}{{"quarantined", &buckets.Quarantined, quarantined}, {"dropped", &buckets.Dropped, dropped}} {
		for _, reason := range b.list {
			*b.rows += reason.Rows
			at := slices.IndexFunc(reasons, func(r LedgerReason) bool { return r.Bucket == b.name && r.Reason == reason.Reason })
			if at < 0 {
				at = len(reasons)
				reasons = append(reasons, LedgerReason{Bucket: b.name, Reason: reason.Reason})
			}
			reasons[at].Rows += reason.Rows
		}
	}
	return reasons, buckets
}

// describeReferences adds the sources to a run's inputs in which values were expected to be, with the load up to which they were
// considered. None of their rows are read.
func describeReferences(ctx context.Context, q database.Querier, inputs []Input, plan *offline.Plan) ([]Input, error) {
	for _, name := range slices.Sorted(maps.Keys(plan.Marks.References)) {
		if slices.ContainsFunc(inputs, func(in Input) bool { return in.Source == name }) {
			continue
		}
		in := Input{Source: name, LoadNumber: plan.Marks.References[name]}
		var fingerprint []byte
		err := q.QueryRow(ctx, `SELECT version, fingerprint FROM headwater.definition WHERE kind = 'source' AND name = $1
			ORDER BY version DESC LIMIT 1`, name).Scan(&in.SourceVersion, &fingerprint)
		if err != nil {
			return nil, err
		}
		copy(in.SourceFingerprint[:], fingerprint)
		inputs = append(inputs, in)
	}
	return inputs, nil
}
