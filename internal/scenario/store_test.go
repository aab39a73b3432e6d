package scenario_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"github.com/headwaterhq/headwater/dataset"
	"github.com/headwaterhq/headwater/definition"
	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/scenario"
	"github.com/headwaterhq/headwater/internal/tabular"
	"github.com/headwaterhq/headwater/internal/testenv"
	"github.com/headwaterhq/headwater/materialize"
	"github.com/headwaterhq/headwater/offline"
	"github.com/headwaterhq/headwater/online"
	"github.com/headwaterhq/headwater/read"
	"github.com/headwaterhq/headwater/registry"
)

// store is the engine that is the real one: registry, landing, runs carried by River, history in Postgres, rows in Redis.
type store struct {
	pool         *pgxpool.Pool
	redis        *redis.Client
	registry     *registry.Registry
	materializer *materialize.Materializer
	builder      *dataset.Builder
	loads        map[string]*offline.Load
	// datasets are all that were built: each must be had again after every run.
	datasets []built
	now      atomic.Int64
}

type built struct {
	manifest *dataset.Manifest
	plan     *read.Plan
}

var _ scenario.Engine = (*store)(nil)

func newStore(t *testing.T) *store {
	t.Helper()
	ctx := context.Background()
	s := &store{pool: testenv.Postgres(t), redis: testenv.Redis(t), loads: map[string]*offline.Load{}}
	log := slog.New(slog.DiscardHandler)
	s.builder = dataset.NewBuilder(s.pool, "test")
	var err error
	s.registry, err = registry.Open(ctx, s.pool, registry.Config{
		Logger: log, CheckSource: offline.CheckSource, CheckView: offline.CheckView,
		CreateSource: offline.CreateSource, CreateView: offline.CreateHistory,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.registry.Close)
	s.materializer, err = materialize.New(materialize.Config{
		Pool: s.pool, Writer: online.NewWriter(s.redis, online.DefaultPrefix), Log: log,
		View: func(id int64) *feature.ViewVersion {
			v, err := s.registry.Catalog().ViewByID(id)
			if err != nil {
				return nil
			}
			return v
		},
		Audit: func(context.Context, pgx.Tx, *materialize.Run) error { return nil },
		Now:   func() time.Time { return feature.Time(s.now.Load()).Time() },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.materializer.Start(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := s.materializer.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *store) Define(set *definition.Set) error {
	_, _, err := s.registry.Apply(context.Background(), registry.ApplyRequest{Request: registry.Request{Files: set.Files}, Principal: "test"})
	return err
}

func (s *store) Compute(*scenario.Compute) error { return nil }

func (s *store) Load(l *scenario.Load) error {
	src, err := s.registry.Catalog().Source(l.Source)
	if err != nil {
		return err
	}
	req := offline.LoadRequest{Source: src, FileName: l.Name, FileSHA256: sha256.Sum256([]byte(l.Name)), Principal: "test"}
	if l.Replaces != "" {
		req.Replaces = s.loads[l.Replaces].ID
	}
	load, err := offline.AppendLoad(context.Background(), s.pool, req, func(yield func([]feature.Value, error) bool) {
		for _, row := range l.Rows {
			if !yield(row, nil) {
				return
			}
		}
	})
	s.loads[l.Name] = load
	return err
}

func (s *store) Retract(name string) error {
	_, err := offline.RetractLoad(context.Background(), s.pool, s.loads[name].ID, "wrong", "test")
	return err
}

func (s *store) SetClock(now feature.Time) error {
	s.now.Store(int64(now))
	return nil
}

func (s *store) Materialize(m *scenario.Materialize) (scenario.Outcome, error) {
	ctx := context.Background()
	view, err := s.registry.Catalog().View(m.View)
	if err != nil {
		return scenario.Outcome{}, err
	}
	req := materialize.Request{View: view, Principal: "test", Full: m.From == nil}
	if m.From != nil {
		from, to := m.From.Time(), m.To.Time()
		req.From, req.To = &from, &to
	}
	runs, err := s.materializer.Enqueue(ctx, []materialize.Request{req})
	if err != nil {
		return scenario.Outcome{}, err
	}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		r, err := materialize.Get(ctx, s.pool, runs[0].ID)
		if err != nil {
			return scenario.Outcome{}, err
		}
		switch {
		case r.State == materialize.Failed:
			return scenario.Outcome{Failed: r.Error}, nil
		case r.State == materialize.Published && r.OnlineState == materialize.OnlineLoaded:
			l := r.Ledger
			return scenario.Outcome{Ledger: map[string]int64{
				"read": l.Read, "produced": l.Produced, "unchanged": l.Unchanged, "inserted": l.Inserted, "withdrawn": l.Withdrawn,
				"live": l.LiveAfter,
			}}, s.verifyDatasets()
		}
	}
	return scenario.Outcome{}, fmt.Errorf("run %d did not end", runs[0].ID)
}

func (s *store) Ask(a *scenario.Ask) ([][]read.Winner, error) {
	var views []*feature.ViewVersion
	for _, name := range a.Views {
		view, err := s.registry.Catalog().View(name)
		if err != nil {
			return nil, err
		}
		views = append(views, view)
	}
	if a.Online {
		return s.askOnline(views[0], a)
	}
	return s.askOffline(views, a)
}

func (s *store) askOnline(view *feature.ViewVersion, a *scenario.Ask) ([][]read.Winner, error) {
	questions := a.Of[0].Questions
	keys := make([]online.Key, len(questions))
	for i, q := range questions {
		keys[i] = online.Key{Text: q.Key, OK: q.OK}
	}
	return online.NewReader(s.redis, online.DefaultPrefix).Read(context.Background(),
		online.NewPlan(planOf(view)), [][]online.Key{keys}, feature.Time(s.now.Load()))
}

// planOf is that of a service with all features of some views.
func planOf(views ...*feature.ViewVersion) *read.Plan {
	service := &feature.ServiceVersion{Service: feature.Service{Name: "all"}, Version: 1}
	for _, view := range views {
		pin := feature.ServicePin{View: view}
		for i := range view.Features {
			pin.Features = append(pin.Features, i)
		}
		service.Pins = append(service.Pins, pin)
	}
	plan, err := read.NewPlan(service, nil, "")
	if err != nil {
		panic(err)
	}
	return plan
}

func (s *store) askOffline(views []*feature.ViewVersion, a *scenario.Ask) ([][]read.Winner, error) {
	ctx := context.Background()
	conn, err := pgx.ConnectConfig(ctx, s.pool.Config().ConnConfig.Copy())
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	position, err := offline.Head(ctx, conn)
	if err != nil {
		return nil, err
	}
	if a.Position != nil {
		position = *a.Position
	}
	found := make([][]read.Winner, len(views))
	published := true
	for n, view := range views {
		at, err := offline.At(ctx, conn, view.ID, position)
		if err != nil {
			return nil, err
		}
		published = published && at.Seq > 0
		questions := a.Of[n].Questions
		winners := make([]read.Winner, len(questions))
		for i := range winners {
			winners[i].Status = read.NoKey
		}
		spine := func(yield func(offline.SpineRow, error) bool) {
			for i, q := range questions {
				if q.OK && !yield(offline.SpineRow{Number: int64(i), Key: []byte(q.Key), At: q.At}, nil) {
					return
				}
			}
		}
		asOf := []offline.AsOf{{View: view, Seq: at.Seq, TTL: view.TTL}}
		err = offline.PointInTime(ctx, conn, "spine", asOf, spine, func(number int64, found []read.Winner) error {
			winners[number] = found[0]
			return nil
		})
		if err != nil {
			return nil, err
		}
		found[n] = winners
	}
	if !published {
		return found, nil
	}
	return found, s.compareDataset(views, a, position, found)
}

// compareDataset builds a dataset of the spine and expects, row by row, the spine's keys and times and the winners' values.
func (s *store) compareDataset(views []*feature.ViewVersion, a *scenario.Ask, position int64, winners [][]read.Winner) error {
	plan := planOf(views...)
	var columns []feature.Column
	// keys are where the spine's have their values: of which view, and at which of its join keys.
	type place struct{ view, key int }
	var keys []place
	for n, view := range views {
		for k, c := range view.EntityVersion.JoinKeys {
			if !slices.ContainsFunc(columns, func(other feature.Column) bool { return other.Name == c.Name }) {
				columns, keys = append(columns, c), append(keys, place{n, k})
			}
		}
	}
	columns = append(columns, feature.Column{Name: dataset.DefaultTimestampColumn, Type: feature.TypeTimestamp})
	var spine, out bytes.Buffer
	w := tabular.NewStreamWriter(&spine, columns, false)
	var want [][]feature.Value
	for i := range a.Of[0].Questions {
		var row []feature.Value
		for _, at := range keys {
			row = append(row, a.Of[at.view].Questions[i].Keys[at.key])
		}
		row = append(row, feature.Timestamp(a.Of[0].Questions[i].At))
		if err := w.Append(row); err != nil {
			return err
		}
		for c := range plan.Columns {
			value, _ := plan.Columns[c].Value(&winners[plan.Columns[c].View][i])
			row = append(row, value)
		}
		want = append(want, row)
	}
	if err := w.Close(); err != nil {
		return err
	}
	manifest, err := s.builder.Build(context.Background(), dataset.Request{
		// The model has the rule's answers for times that no run covers, too.
		Plan: plan, AsOf: fmt.Sprintf("pos:%d", position), Principal: "test", AllowPartial: true,
	}, &spine, &out)
	if err != nil {
		return err
	}
	s.datasets = append(s.datasets, built{manifest: manifest, plan: plan})
	found, err := rowsOf(&out)
	if err != nil {
		return err
	}
	if len(found) != len(want) {
		return fmt.Errorf("dataset: found %d rows, expected %d", len(found), len(want))
	}
	for i := range want {
		for c := range want[i] {
			if !found[i][c].Equal(want[i][c]) {
				return fmt.Errorf("dataset: row %d column %d: found %q, expected %q", i, c, found[i][c].Text(), want[i][c].Text())
			}
		}
	}
	return nil
}

// rowsOf reads an Arrow IPC stream.
func rowsOf(stream *bytes.Buffer) ([][]feature.Value, error) {
	r, err := ipc.NewReader(stream)
	if err != nil {
		return nil, err
	}
	defer r.Release()
	var rows [][]feature.Value
	for r.Next() {
		batch := r.RecordBatch()
		for i := range int(batch.NumRows()) {
			row := make([]feature.Value, batch.NumCols())
			for c := range row {
				var err error
				if row[c], err = tabular.ValueAt(batch.Column(c), i); err != nil {
					return nil, err
				}
			}
			rows = append(rows, row)
		}
	}
	return rows, r.Err()
}

func (s *store) verifyDatasets() error {
	for _, d := range s.datasets {
		v, err := s.builder.Verify(context.Background(), d.manifest, d.plan)
		if err != nil {
			return err
		}
		if len(v.Differences) > 0 {
			return fmt.Errorf("a dataset of position %d cannot be had again: %v", d.manifest.Position, v.Differences)
		}
	}
	return nil
}
