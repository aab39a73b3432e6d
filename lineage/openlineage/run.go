package openlineage

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/headwaterhq/headwater/internal/outbox"
)

// eventTypes are what an event about a run is, by its message. An interruption by a stop of the server is an ABORT.
var eventTypes = map[outbox.Topic]string{
	outbox.RunStarted:     "START",
	outbox.RunPlanned:     "RUNNING",
	outbox.RunPublished:   "COMPLETE",
	outbox.RunFailed:      "FAIL",
	outbox.RunCancelled:   "ABORT",
	outbox.RunInterrupted: "FAIL",
	outbox.RunAbandoned:   "ABORT",
	outbox.DatasetStarted: "START",
	outbox.DatasetBuilt:   "COMPLETE",
	outbox.DatasetFailed:  "FAIL",
}

// maxFiles is how many of the loads that a run read are told of by their files.
const maxFiles = 100

// run is the event of an attempt of a run: each is a run in the specification's sense, and all of them have the run for their parent.
func (r *renderer) run(ctx context.Context, topic outbox.Topic, p outbox.Run, at time.Time) (*Event, error) {
	var view int64
	var attempts int
	var from, to *time.Time
	err := r.q.QueryRow(ctx, `SELECT view_id, attempt, asked_from, asked_to FROM headwater.run WHERE id = $1`, p.RunID).Scan(&view, &attempts, &from, &to)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, errGone
	}
	if err != nil {
		return nil, err
	}
	if p.Attempt == 0 && attempts > 0 && topic != outbox.RunStarted {
		// The ends of its attempts were told.
		return nil, nil
	}
	d, err := readDefinition(ctx, r.q, `WHERE id = $1`, view)
	if err != nil {
		return nil, err
	}
	j, err := r.viewJob(ctx, d)
	if err != nil {
		return nil, err
	}
	e := r.event("RunEvent", at)
	e.EventType = eventTypes[topic]
	if p.Stopped {
		e.EventType = "ABORT"
	}
	whole := fmt.Sprintf("run/%d", p.RunID)
	e.Run = &Run{RunID: runID(r.installation, fmt.Sprintf("%s/%d", whole, p.Attempt)), Facets: Facets{
		"parent":            r.parent(runID(r.installation, whole), r.names.job("materialize")),
		"processing_engine": r.engine(r.version),
	}}
	if topic == outbox.RunPlanned {
		from, to = p.From, p.To
	}
	if p.Error != "" {
		e.Run.Facets["errorMessage"] = r.failure(p.Error)
	}
	switch topic {
	case outbox.RunPublished:
		if from, to, err = r.published(ctx, e, j, p.RunID); err != nil {
			return nil, err
		}
	case outbox.RunFailed:
		if err := r.checks(ctx, e, j, p.RunID); err != nil {
			return nil, err
		}
	}
	if from != nil && to != nil {
		e.Run.Facets["nominalTime"] = r.nominalTime(*from, *to)
	}
	j.event(e)
	return e, nil
}

// published adds what the record of a published run has, and returns the interval that it computed.
func (r *renderer) published(ctx context.Context, e *Event, j *viewJob, run int64) (from, to *time.Time, err error) {
	var seq, inserted, live int64
	var digest []byte
	err = r.q.QueryRow(ctx, `SELECT interval_start, interval_end, coalesce(seq, 0), inserted, live_after, digest FROM headwater.run WHERE id = $1`, run).
		Scan(&from, &to, &seq, &inserted, &live, &digest)
	if err != nil {
		return nil, nil, err
	}
	if err := r.read(ctx, e, j, run); err != nil {
		return nil, nil, err
	}
	j.history.Facets["version"] = r.maker.version(fmt.Sprintf("%s/%d", j.ref(), seq))
	j.history.Facets["dataQualityMetrics"] = r.outputMetrics(live, map[string]columnMetrics{})
	j.history.OutputFacets = Facets{"outputStatistics": r.wroteRows(inserted)}
	return from, to, r.checks(ctx, e, j, run)
}

// read adds what a run read of each source and view, and the files that it came from.
func (r *renderer) read(ctx context.Context, e *Event, j *viewJob, run int64) error {
	type source struct {
		Name       string
		LoadNumber int64
		Rows       int64
		Digest     []byte
	}
	sources, err := collect[source](ctx, r.q, `SELECT source, load_number, rows_read, rows_digest FROM headwater.run_input WHERE run_id = $1`, run)
	if err != nil {
		return err
	}
	for _, s := range sources {
		version := fmt.Sprintf("load %d", s.LoadNumber)
		if s.Digest != nil {
			version = "sha256:" + hex.EncodeToString(s.Digest)
		}
		j.inputs[s.Name].was(r.maker, version, s.Rows)
	}
	type view struct {
		Name      string
		Version   int
		Seq, Rows int64
	}
	views, err := collect[view](ctx, r.q, `SELECT d.name, d.version, i.seq, i.rows_read
		FROM headwater.run_view_input i JOIN headwater.definition d ON d.id = i.view_id WHERE i.run_id = $1`, run)
	if err != nil {
		return err
	}
	for _, v := range views {
		j.inputs[v.Name].was(r.maker, fmt.Sprintf("%s@%d/%d", v.Name, v.Version, v.Seq), v.Rows)
	}
	files, err := collect[fileRead](ctx, r.q, `
		SELECT l.file_name, l.file_sha256, rl.rows FROM headwater.run_load rl JOIN headwater.load l ON l.id = rl.load_id
		WHERE rl.run_id = $1 AND l.file_name <> '' ORDER BY l.id DESC LIMIT $2`, run, maxFiles)
	if err != nil {
		return err
	}
	e.Inputs = append(e.Inputs, r.files(files)...)
	return nil
}

type fileRead struct {
	Name   string
	SHA256 []byte
	Rows   int64
}

// files are the datasets that files are, each once: of several loads of one name, the newest says which version it was.
func (r *renderer) files(read []fileRead) []Dataset {
	rows := map[string]int64{}
	for _, f := range read {
		rows[f.Name] += f.Rows
	}
	var list []Dataset
	told := map[string]bool{}
	for _, f := range read {
		if told[f.Name] {
			continue
		}
		told[f.Name] = true
		at := r.names.file(f.Name)
		d := Dataset{Namespace: at.Namespace, Name: at.Name, Facets: Facets{"datasetType": r.datasetType("FILE", "")},
			InputFacets: Facets{"inputStatistics": r.readRows(rows[f.Name])}}
		if len(f.SHA256) > 0 {
			d.Facets["version"] = r.maker.version("sha256:" + hex.EncodeToString(f.SHA256))
		}
		list = append(list, d)
	}
	return list
}

// was adds to an input which version of it was read, and how many rows.
func (in *input) was(m maker, version string, rows int64) {
	if in == nil {
		return
	}
	in.Facets["version"] = m.version(version)
	in.InputFacets = Facets{"inputStatistics": m.readRows(rows), "dataQualityMetrics": m.metrics(rows)}
}

// checks adds the results of checks: of sources to the input, and all of them to the run. What a check found is told as callers are told who
// may not read the rows.
func (r *renderer) checks(ctx context.Context, e *Event, j *viewJob, run int64) error {
	type result struct{ Name, Subject, State, Expected, Found string }
	results, err := collect[result](ctx, r.q, `SELECT name, subject, state, expected, found FROM headwater.check_result WHERE run_id = $1 ORDER BY place`, run)
	if err != nil {
		return err
	}
	var tests []test
	bySource := map[string][]assertion{}
	for _, c := range results {
		status, severity := "fail", "error"
		switch c.State {
		case "PASSED":
			status = "pass"
		case "WARNED":
			severity = "warn"
		case "NO_BASELINE", "SKIPPED":
			status = "skip"
		}
		tests = append(tests, test{Name: c.Subject + ": " + c.Name, Status: status, Severity: severity, Expected: c.Expected, Actual: c.Found})
		if name, ok := strings.CutPrefix(c.Subject, "source:"); ok && status != "skip" {
			bySource[name] = append(bySource[name], assertion{Assertion: c.Name, Success: status == "pass", Severity: severity, Expected: c.Expected, Actual: c.Found})
		}
	}
	if len(tests) > 0 {
		e.Run.Facets["test"] = r.tests(tests)
	}
	for name, list := range bySource {
		if in := j.inputs[name]; in != nil {
			if in.InputFacets == nil {
				in.InputFacets = Facets{}
			}
			in.InputFacets["dataQualityAssertions"] = r.assertions(list)
		}
	}
	return nil
}
