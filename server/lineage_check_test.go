package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// checkLineage is what a check finds, a line for each orphan, and what it looked at in all.
func (p *product) checkLineage(ctx context.Context, views ...string) (orphans []string, all *headwaterv1.LineageChecked, err error) {
	stream, err := p.lineage.CheckLineage(ctx, &headwaterv1.CheckLineageRequest{Views: views})
	if err != nil {
		return nil, nil, err
	}
	things := int64(0)
	for {
		r, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF) && all != nil:
			if things != all.GetTotal() || int64(len(orphans)) != all.GetOrphans() {
				return nil, nil, fmt.Errorf("found %d things and %d orphans told of, expected as many as %v says", things, len(orphans), all)
			}
			return orphans, all, nil
		case err != nil:
			return nil, nil, err
		}
		if o := r.GetOrphan(); o != nil {
			orphans = append(orphans, fmt.Sprintf("%s: found %s, expected %s", o.GetNode(), o.GetFound(), o.GetExpected()))
		} else if c := r.GetChecked(); c.GetNode() == "" {
			all = c
		} else {
			things++
		}
	}
}

// checked is checkLineage that finds nothing.
func (p *product) checked() *headwaterv1.LineageChecked {
	p.t.Helper()
	orphans, all, err := p.checkLineage(p.admin)
	if err != nil {
		p.t.Fatal(err)
	}
	if len(orphans) > 0 {
		p.t.Fatalf("found orphans:\n%s", strings.Join(orphans, "\n"))
	}
	return all
}

// lineageWorld is a product with views of every kind.
type lineageWorld struct {
	*product
	r           *rand.Rand
	definitions *feature.Definitions
	at          time.Time
	live        []int64
	datasets    []string
	// did counts what was done, refused what could not be.
	did, refused map[string]int
}

func newLineageWorld(t *testing.T, seed uint64) *lineageWorld {
	w := &lineageWorld{
		product: newProduct(t), r: rand.New(rand.NewPCG(seed, 1)), at: time.Now().UTC().Truncate(24 * time.Hour).Add(-10 * 24 * time.Hour),
		did: map[string]int{}, refused: map[string]int{},
	}
	const day = 24 * time.Hour
	all := 1.0
	d := onDemand()
	number := []feature.Column{{Name: "delay", Type: feature.TypeFloat64}}
	d.Sources[0].Expectations = []feature.Expectation{{Name: "sane", Column: "delay", Kind: feature.ExpectRange, Min: 0.0, OnFailure: feature.QuarantineRow}}
	d.Sources[0].MaxQuarantineRatio = &all
	d.Sources[0].AllowedLateness = 20 * day
	pings := feature.Source{Name: "pings", EventTime: "date", ArrivalColumn: "known", Columns: d.Sources[0].Columns,
		UniqueKey: []string{"origin", "date"}, Conflicting: feature.KeepNewest}
	d.Sources = append(d.Sources, pings)
	d.Views = append(d.Views,
		feature.View{Name: "spread", Entity: "airport", Features: number, SQL: &feature.SQLTransform{Views: []feature.ViewRef{{Name: "delays"}, {Name: "traffic"}}, Query: `
			SELECT origin, event_time, greatest(max(t.available_at), max(d.available_at)) AS available_at, max(t.delay) - min(d.delay) AS delay
			FROM delays d JOIN traffic t USING (origin, event_time) GROUP BY origin, event_time`}},
		feature.View{Name: "daily", Entity: "airport", Features: number, Aggregation: &feature.Aggregation{Source: "flights", Hop: day, Aggregates: []feature.Aggregate{
			{Feature: "delay", Function: feature.Max, Column: "delay", Window: 2 * day}}}},
		feature.View{Name: "pushed", Entity: "airport", Features: number, Push: &feature.Push{Source: "pings"}},
	)
	d.Services = append(d.Services, feature.Service{Name: "derived", Views: []feature.ServiceView{{View: "spread"}, {View: "daily"}, {View: "pushed"}}})
	for i := range d.Services {
		d.Services[i].Log = "all"
	}
	w.definitions = d
	w.apply(d)
	return w
}

var lineageAirports = []string{"ORD", "JFK", "LAX", "SFO"}

func (w *lineageWorld) airport() string { return lineageAirports[w.r.IntN(len(lineageAirports))] }

func (w *lineageWorld) rows() table {
	var rows [][]feature.Value
	for range 1 + w.r.IntN(6) {
		rows = append(rows, flight(w.airport(), w.r.Int64N(3), w.at.Add(time.Duration(w.r.IntN(9*24*4))*15*time.Minute), feature.Float64(float64(w.r.IntN(50)-5))))
	}
	return flights(rows...)
}

// done takes what came of an operation: what the world cannot do just now is refused, and nothing else may fail.
func (w *lineageWorld) done(what string, err error) bool {
	w.t.Helper()
	if err == nil {
		w.did[what]++
		return true
	}
	switch fault.ReasonOf(fault.FromError(err)) {
	case fault.NotMaterialized, fault.FailedPrecondition, fault.NotFound, fault.InvalidArgument:
		w.refused[what]++
		return false
	}
	w.t.Fatalf("%s: %v", what, fault.FromError(err))
	return false
}

func (w *lineageWorld) load(source string, replaces int64) {
	content := w.rows().arrow(w.t)
	load, err := w.send(w.admin, source, w.header(content, replaces), content, 1000)
	if w.done("load into "+source, err) && source == "flights" {
		w.live = append(w.live, load.GetId())
	}
}

// quick is a load, a read or a build, to be done while a run is at work; what it returns is called when both have ended.
func (w *lineageWorld) quick() (do func() error, ended func(error)) {
	switch w.r.IntN(4) {
	case 0, 1:
		content := w.rows().arrow(w.t)
		var load *headwaterv1.Load
		return func() (err error) {
				load, err = w.send(w.admin, "flights", w.header(content, 0), content, 1000)
				return err
			}, func(err error) {
				if w.done("load into flights", err) {
					w.live = append(w.live, load.GetId())
				}
			}
	case 2:
		req := w.readRequest()
		return func() error {
			_, err := w.online.GetFeatures(w.admin, req)
			return err
		}, func(err error) { w.done("read", err) }
	default:
		service, header, spine := w.buildRequest()
		id := ""
		return func() error {
				_, m, err := w.product.build(w.admin, service, header, spine)
				id = m.GetId()
				return err
			}, func(err error) {
				if w.done("build", err) {
					w.datasets = append(w.datasets, id)
				}
			}
	}
}

// run materializes some of the views, while something is done at a step of theirs: unless it is said what, something quick.
func (w *lineageWorld) run(what string, at string, do func(id int64) error) {
	views := []string{"delays", "recent", "traffic", "spread", "daily", "pushed"}
	w.r.Shuffle(len(views), func(i, j int) { views[i], views[j] = views[j], views[i] })
	req := &headwaterv1.MaterializeRequest{Views: views[:1+w.r.IntN(3)]}
	switch w.r.IntN(4) {
	case 0:
		req.Full = true
	case 1:
		from := w.at.Add(time.Duration(w.r.IntN(8)) * 24 * time.Hour)
		req.From, req.To = timestamppb.New(from), timestamppb.New(from.Add(2*24*time.Hour))
	}
	var fired atomic.Bool
	did := make(chan error, 1)
	ended := func(error) {}
	if do != nil {
		req.Views = req.Views[:1]
	} else {
		var quick func() error
		quick, ended = w.quick()
		what, at = "something meanwhile", "written"
		do = func(int64) error {
			did <- quick()
			return nil
		}
	}
	reached := func(step string) error {
		if step != at || !fired.CompareAndSwap(false, true) {
			return nil
		}
		return do(w.count(`SELECT max(id) FROM headwater.run WHERE state = 'running'`))
	}
	w.step.Store(&reached)
	defer w.step.Store(nil)
	r, err := w.materialization.Materialize(w.admin, req)
	if !w.done("materialize", err) {
		return
	}
	for _, run := range r.GetRuns() {
		last, err := w.watch(w.admin, run.GetId())
		if err != nil {
			w.t.Fatal(err)
		}
		w.did["run "+strings.ToLower(strings.TrimPrefix(last.GetState().String(), "RUN_STATE_"))]++
	}
	if fired.Load() {
		w.did[what]++
	}
	select {
	case err := <-did:
		ended(err)
	default:
	}
}

// buildRequest asks for a dataset, of a service or by reference.
func (w *lineageWorld) buildRequest() (service string, header *headwaterv1.BuildDatasetHeader, spine []byte) {
	header = &headwaterv1.BuildDatasetHeader{AllowPartial: true}
	services := []string{"model", "small", "derived", ""}
	service = services[w.r.IntN(len(services))]
	if service == "" {
		header.Features = []string{"delays.delay", "traffic.delay"}
	}
	var rows [][]feature.Value
	for range 3 {
		rows = append(rows, asked(w.airport(), w.r.Int64N(3), w.at.Add(time.Duration(w.r.IntN(9*24))*time.Hour)))
	}
	return service, header, spineOf(rows...).arrow(w.t)
}

func (w *lineageWorld) build() {
	service, header, spine := w.buildRequest()
	_, m, err := w.product.build(w.admin, service, header, spine)
	if w.done("build", err) {
		w.datasets = append(w.datasets, m.GetId())
	}
}

func (w *lineageWorld) readRequest() *headwaterv1.GetFeaturesRequest {
	service := []string{"model", "small", "derived"}[w.r.IntN(3)]
	keys := map[string]*headwaterv1.KeyColumn{"origin": texts(w.airport(), w.airport())}
	if service == "model" {
		keys["number"] = numbers(1, 2)
	}
	return &headwaterv1.GetFeaturesRequest{Service: service, Keys: keys}
}

// do does what a number from 0 to 29 stands for.
func (w *lineageWorld) do(n int) {
	w.t.Helper()
	switch {
	case n < 4:
		w.load("flights", 0)
	case n < 6:
		w.load("pings", 0)
	case n < 8 && len(w.live) > 0:
		i := w.r.IntN(len(w.live))
		id := w.live[i]
		w.live = slices.Delete(w.live, i, i+1)
		if n == 6 {
			w.load("flights", id)
		} else {
			_, err := w.loads.RetractLoad(w.admin, &headwaterv1.RetractLoadRequest{Id: id, Reason: "wrong"})
			w.done("retract", err)
		}
	case n < 15:
		w.run("", "", nil)
	case n == 15:
		w.run("fail", "written", func(int64) error { return fault.New(fault.RunRefused, "as the test says") })
	case n == 16:
		w.run("cancel", "written", func(id int64) error {
			_, err := w.materialization.CancelRuns(w.admin, &headwaterv1.CancelRunsRequest{Runs: []string{fmt.Sprint(id)}})
			return err
		})
	case n == 17:
		w.run("interrupt", "written", func(int64) error { return errors.New("as if the server had died") })
	case n == 18 || n == 19:
		// Rows that nobody reads yet, and what is about to be published, are no orphans.
		w.run("check meanwhile", []string{"written", "publishing"}[n-18], func(int64) error {
			if orphans, _, err := w.checkLineage(w.admin); err != nil || len(orphans) > 0 {
				w.t.Errorf("found %q and %v while a run was at work", orphans, err)
			}
			return nil
		})
	case n == 20:
		var views []*feature.View
		for i := range w.definitions.Views {
			if v := &w.definitions.Views[i]; v.SQL != nil && len(v.SQL.Sources) > 0 {
				views = append(views, v)
			}
		}
		v := views[w.r.IntN(len(views))]
		sql := *v.SQL
		sql.Query += fmt.Sprintf(" AND number < %d", 100+w.r.IntN(1000))
		v.SQL = &sql
		w.apply(w.definitions)
		w.did["new version"]++
	case n == 21:
		_, err := w.retention.CollectHistory(w.admin, &headwaterv1.CollectHistoryRequest{OlderThan: durationpb.New(0)})
		w.done("gc", err)
	case n < 25:
		w.build()
	case n == 25 && len(w.datasets) > 1:
		_, err := w.product.datasets.DeleteDataset(w.admin, &headwaterv1.DeleteDatasetRequest{Dataset: w.datasets[0], Reason: "no use"})
		w.done("delete", err)
		w.datasets = w.datasets[1:]
	case n == 26:
		_, err := w.retention.Forget(w.admin, &headwaterv1.ForgetRequest{Entity: "airport", Keys: entityKeys("origin", w.airport()), Reason: "asked for"})
		w.done("forget", err)
	case n == 27:
		_, err := w.materialization.RebuildOnline(w.admin, &headwaterv1.RebuildOnlineRequest{})
		w.done("rebuild", err)
	default:
		_, err := w.online.GetFeatures(w.admin, w.readRequest())
		w.done("read", err)
	}
}

// Whatever is done with the product, every row, every online value and every dataset leads to a run, its inputs and its definition.
func TestEverythingLeadsToARun(t *testing.T) {
	w := newLineageWorld(t, 8)
	for range 3 {
		w.load("flights", 0)
	}
	w.load("pings", 0)
	w.materialize("delays", "recent", "traffic", "daily")
	w.materialize("spread", "pushed")
	w.build()
	// Everything once, in an order that is drawn, with four runs that nothing is said of; or what takes little time, with one.
	deck := slices.DeleteFunc(w.r.Perm(30), func(n int) bool { return n > 11 && n < 15 })
	wanted := []string{"load into flights", "load into pings", "retract", "run published", "something meanwhile", "check meanwhile", "gc", "build", "forget", "read"}
	runs := int64(12)
	if testing.Short() {
		deck, runs = []int{5, 0, 8, 7, 22, 18, 21, 26, 28, 6}, 7
	} else {
		wanted = append(wanted, "run failed", "fail", "cancel", "interrupt", "new version", "rebuild", "delete")
	}
	for i, n := range deck {
		if w.do(n); i%14 == 13 {
			w.checked()
		}
	}
	eventually(t, "reads to be logged", func() bool { return w.count(`SELECT count(*) FROM headwater.read_log_count`) > 0 })
	if all := w.checked(); all.GetRows() == 0 || all.GetRuns() < runs || all.GetOnline() == 0 || all.GetDatasets() == 0 {
		t.Errorf("found %v looked at, expected some of everything", all)
	}
	for _, what := range wanted {
		if w.did[what] == 0 {
			t.Errorf("found that nothing was done to %s: %v, refused %v", what, w.did, w.refused)
		}
	}
}
