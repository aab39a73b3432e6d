package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/client"
	"github.com/headwaterhq/headwater/definition"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/tabular"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/read"
	"github.com/headwaterhq/headwater/server"
)

// testRun is one test under way: a server on a database of its own, and a client of it.
type testRun struct {
	*definition.Test
	postgres string
	client   *client.Client
	// loads are the ids of those done, by their positions in the test.
	loads    []int64
	problems []problem
}

// runTest runs one test. An error is of the servers, or of the command that was interrupted; that the test does not hold is
// in the result.
func (b *bench) runTest(ctx context.Context, i int, t *definition.Test, limit time.Duration) (testResult, error) {
	began := time.Now()
	r := testResult{Name: t.Name, File: t.File, Line: t.Line}
	within, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	run := &testRun{Test: t}
	err := b.serve(within, i, run)
	switch {
	case ctx.Err() != nil:
		return r, fault.New(fault.Cancelled, "stopped in the middle of the tests").Because(ctx.Err())
	// A connection has a clock of its own for the deadline, which may go off before that of the context.
	case err != nil && (within.Err() != nil || time.Since(began) >= limit):
		run.problems = append(run.problems, problem{What: "time", Message: fmt.Sprintf("found no end after %s, expected one; look at what the test does, or give it longer with --timeout", limit)})
	case err != nil:
		return r, err
	}
	r.Seconds = time.Since(began).Round(time.Millisecond).Seconds()
	r.Problems, r.Holds = run.problems, len(run.problems) == 0
	return r, nil
}

// serve makes a database out of the migrated one, opens a server on it, and does the test.
func (b *bench) serve(ctx context.Context, i int, t *testRun) (err error) {
	name := fmt.Sprintf("test_%d", i+1)
	if err := b.database(ctx, name); err != nil {
		return err
	}
	u, err := url.Parse(b.postgres.URL())
	if err != nil {
		return err
	}
	u.Path = "/" + name
	t.postgres = u.String()
	s, err := server.Open(ctx, server.Config{
		PostgresURL: t.postgres, RedisURL: b.redis.URL(), RedisPrefix: name, AuditDir: filepath.Join(b.folder, "audit", name),
		Version: version(), Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close(ctx)) }()
	token, err := s.CreateAdminToken(ctx, "test")
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	if t.client, err = client.Dial(l.Addr().String(), token, client.Options{UserAgent: "headwater-test/" + version()}); err != nil {
		return err
	}
	defer t.client.Close()
	return t.do(ctx)
}

// database clones the migrated database, which nobody is connected to.
func (b *bench) database(ctx context.Context, name string) error {
	u, err := url.Parse(b.postgres.URL())
	if err != nil {
		return err
	}
	from := strings.TrimPrefix(u.Path, "/")
	u.Path = "/postgres"
	conn, err := pgx.Connect(ctx, u.String())
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s", pgx.Identifier{name}.Sanitize(), pgx.Identifier{from}.Sanitize()))
	return err
}

func (t *testRun) differ(what, format string, args ...any) {
	t.problems = append(t.problems, problem{What: what, Message: fmt.Sprintf(format, args...)})
}

// do is the test itself. What the server refuses is no error.
func (t *testRun) do(ctx context.Context) error {
	what, err := t.act(ctx)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case t.Refused != "" && err == nil:
		t.differ("refused", "found that nothing was refused, expected a refusal that says %q", t.Refused)
		return nil
	case t.Refused != "":
		if !strings.Contains(err.Error(), t.Refused) {
			t.differ("refused", "found a refusal of %s that says:\n  %s\nexpected one that says %q", what, indented(err.Error()), t.Refused)
		}
		return nil
	case err != nil:
		t.differ(what, "found a refusal, expected none:\n  %s", indented(err.Error()))
		return nil
	}
	return t.look(ctx)
}

func indented(message string) string { return strings.ReplaceAll(message, "\n", "\n  ") }

// act applies the definitions, loads and materializes. An error is a refusal, of what is told.
func (t *testRun) act(ctx context.Context) (what string, err error) {
	if err := t.Set.Check(); err != nil {
		return "the definitions", err
	}
	if _, err := t.client.Registry.Apply(ctx, &headwaterv1.ApplyRequest{Files: withoutShares(t.Set.Files)}); err != nil {
		return "the definitions", located(t.Set, err)
	}
	for i := range t.Loads {
		l := &t.Loads[i]
		id, err := t.load(ctx, i, l)
		if err != nil {
			return fmt.Sprintf("load %d, of source %s", i+1, l.Source.Name), err
		}
		t.loads = append(t.loads, id)
		// In the order that the test has them in, one by one.
		for _, view := range l.Materialize {
			if what, err := t.materialize(ctx, view); err != nil {
				return what, err
			}
		}
	}
	for _, views := range t.expectedViews() {
		if what, err := t.materialize(ctx, views...); err != nil {
			return what, err
		}
	}
	return "", nil
}

func (t *testRun) load(ctx context.Context, i int, l *definition.Arrival) (int64, error) {
	if l.Retracts >= 0 {
		r, err := t.client.Loads.RetractLoad(ctx, &headwaterv1.RetractLoadRequest{Id: t.loads[l.Retracts], Reason: "test " + t.Name})
		return r.GetLoad().GetId(), err
	}
	name := fmt.Sprintf("%s, load %d", t.Name, i+1)
	sum := sha256.Sum256([]byte(name))
	header := &headwaterv1.IngestHeader{FileName: name, FileSize: 1, FileSha256: hex.EncodeToString(sum[:])}
	if l.Replaces >= 0 {
		header.Replaces = t.loads[l.Replaces]
	}
	r, err := t.client.Ingest(ctx, l.Source.Name, header, rowsOf(l.Source.Columns, l.Rows))
	return r.GetLoad().GetId(), err
}

// rowsOf is rows as one batch.
func rowsOf(columns []feature.Column, rows [][]feature.Value) client.Rows {
	schema := tabular.ArrowSchema(columns)
	build := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	for _, row := range rows {
		for i, v := range row {
			tabular.Append(build.Field(i), v)
		}
	}
	batch := build.NewRecordBatch()
	return client.Rows{Schema: schema, Batches: func(yield func(arrow.RecordBatch, error) bool) { yield(batch, nil) }}
}

// withoutShares are files in which every row may be quarantined where they say nothing of the share: a test is of few rows, and what
// becomes of one that is set aside is what it shows.
func withoutShares(files []*headwaterv1.DefinitionSource) []*headwaterv1.DefinitionSource {
	applied := make([]*headwaterv1.DefinitionSource, len(files))
	for i, f := range files {
		applied[i] = proto.CloneOf(f)
		for _, s := range applied[i].GetFile().GetSources() {
			if s.MaxQuarantineRatio == nil {
				s.MaxQuarantineRatio = proto.Float64(1)
			}
		}
		for _, v := range applied[i].GetFile().GetFeatureViews() {
			if v.MaxQuarantineRatio == nil && len(v.GetExpectations()) > 0 {
				v.MaxQuarantineRatio = proto.Float64(1)
			}
		}
	}
	return applied
}

// materialize runs views at once, each up to the end of what the test speaks of. An error is a refusal, of what is told.
func (t *testRun) materialize(ctx context.Context, views ...string) (what string, err error) {
	runs := make([]*headwaterv1.Run, len(views))
	for i, ref := range views {
		name, _, _ := strings.Cut(ref, "@")
		queued, err := t.client.Materialization.Materialize(ctx, &headwaterv1.MaterializeRequest{
			Views: []string{ref}, To: timestamppb.New(t.Until(t.Set.Definitions.View(name))),
		})
		if err != nil {
			return "a run of view " + name, err
		}
		runs[i] = queued.Runs[0]
	}
	for i, run := range runs {
		ended, err := t.client.WatchRun(ctx, run.Id, nil)
		if err == nil {
			err = failureOf([]*headwaterv1.Run{ended})
		}
		if err != nil {
			return "a run of view " + views[i], err
		}
	}
	return "", nil
}

// expectedViews are the views to run at the end: those of which something is expected, or all when a refusal is. Each list
// is run when those before it have ended, which hold what its views read.
func (t *testRun) expectedViews() [][]string {
	d := &t.Set.Definitions
	var lists [][]string
	after := map[string]int{}
	var add func(name string) int
	add = func(name string) int {
		v := d.View(name)
		if v == nil {
			return 0
		}
		if n, seen := after[name]; seen {
			return n
		}
		place := 0
		for _, ref := range v.ViewRefs() {
			place = max(place, add(ref.Name))
		}
		after[name] = place
		if v.Materialized() {
			if len(lists) == place {
				lists = append(lists, nil)
			}
			lists[place] = append(lists[place], name)
			after[name] = place + 1
		}
		return after[name]
	}
	for _, e := range t.Views {
		add(e.View.Name)
	}
	for _, e := range t.Answers {
		for _, sv := range e.Service.Views {
			add(sv.View)
		}
	}
	if t.Refused != "" {
		for i := range d.Views {
			add(d.Views[i].Name)
		}
	}
	return lists
}

// look compares what there is with what is expected.
func (t *testRun) look(ctx context.Context) error {
	for i := range t.Views {
		rows, err := t.rows(ctx, &t.Views[i])
		if err != nil {
			return err
		}
		if p := compareRows(&t.Views[i], rows); p != nil {
			t.problems = append(t.problems, *p)
		}
	}
	for i := range t.Answers {
		a := &t.Answers[i]
		what := fmt.Sprintf("answer %d, of service %s", i+1, a.Service.Name)
		found, err := t.dataset(ctx, a, a.At)
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			t.differ(what, "found a refusal, expected an answer:\n  %s", indented(err.Error()))
			continue
		}
		if p := compareAnswer(what, a, found); p != nil {
			t.problems = append(t.problems, *p)
		}
		if err := t.compareOnline(ctx, what, a); err != nil {
			return err
		}
	}
	return nil
}

// rows are all rows that a view holds, by the names of their columns.
func (t *testRun) rows(ctx context.Context, e *definition.Holding) ([]map[string]feature.Value, error) {
	conn, err := pgx.Connect(ctx, t.postgres)
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	var rows []map[string]feature.Value
	v := &feature.ViewVersion{View: *e.View, Version: 1}
	err = offline.LiveRows(ctx, conn, v, func(key string, w *read.Winner) error {
		keys, err := e.Entity.ParseKey(key)
		if err != nil {
			return err
		}
		row := map[string]feature.Value{
			"event_time": feature.Timestamp(w.EventTime), "available_at": feature.Timestamp(w.AvailableAt),
		}
		for i, k := range e.Entity.JoinKeys {
			row[k.Name] = keys[i].Clone()
		}
		for i, c := range v.Stored() {
			row[c.Name] = w.Values[i].Clone()
		}
		rows = append(rows, row)
		return nil
	})
	return rows, err
}

// answered is a service's answer: each feature's value, as text, and status, by its name in the output.
type answered map[string]struct {
	value  feature.Value
	text   string
	status string
}

// dataset asks as a dataset of one row does, at a time.
func (t *testRun) dataset(ctx context.Context, a *definition.Answer, at feature.Time) (answered, error) {
	timestamp := "timestamp"
	columns := append(append([]feature.Column{}, a.Keys...), a.Inputs...)
	for definition.Column(columns, timestamp) != nil {
		timestamp += "_"
	}
	row := []feature.Value{feature.Timestamp(at)}
	for _, c := range columns {
		row = append(row, a.Entity[c.Name])
	}
	columns = append([]feature.Column{{Name: timestamp, Type: feature.TypeTimestamp}}, columns...)
	// A test loads what its answer is made of, and no more: whether runs cover the time besides is no question of the definition's.
	header := &headwaterv1.BuildDatasetHeader{TimestampColumn: timestamp, AllowPartial: true}
	d, err := t.client.BuildDataset(ctx, a.Service.Name, header, rowsOf(columns, [][]feature.Value{row}))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	stream, err := tabular.NewStreamReader(d)
	if err != nil {
		return nil, errors.Join(d.Err(), err)
	}
	values := map[string]feature.Value{}
	for row, err := range stream.Rows() {
		if err != nil {
			return nil, errors.Join(d.Err(), err)
		}
		for i, c := range stream.Columns {
			values[c.Name] = row[i].Clone()
		}
	}
	manifest, err := d.Manifest()
	if err != nil {
		return nil, err
	}
	found := answered{}
	for _, c := range manifest.Columns {
		for _, s := range c.Statuses {
			if s.Rows > 0 {
				f := found[c.Name]
				f.value, f.text, f.status = values[c.Name], values[c.Name].Text(), statusName(s.Status)
				found[c.Name] = f
			}
		}
	}
	return found, nil
}

func statusName(s headwaterv1.ValueStatus) string {
	return strings.TrimPrefix(s.String(), "VALUE_STATUS_")
}
