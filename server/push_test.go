package server

import (
	"testing"
	"time"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// A load into the source of a push view brings its values into both stores by a run that it queued itself, and a retraction takes
// them back.
func TestPush(t *testing.T) {
	p := newProduct(t)
	d := definitions()
	d.Sources[0].UniqueKey, d.Sources[0].Conflicting = []string{"origin", "date"}, feature.KeepNewest
	d.Sources[0].NullEventTime = feature.DropNull
	d.Views[0] = feature.View{Name: "delays", Entity: "airport", Push: &feature.Push{Source: "flights"}, Features: []feature.Column{
		{Name: "delay", Type: feature.TypeFloat64}, {Name: "words", Type: feature.TypeString}}}
	p.apply(d)
	at := time.Now().UTC().Truncate(time.Second).Add(-time.Hour)
	push := func(key string, rows table) *headwaterv1.Run {
		t.Helper()
		r, err := p.batches("flights", 0, rowBatch(key, rows))
		if err != nil {
			t.Fatal(err)
		}
		if len(r.GetRuns()) != 1 {
			t.Fatalf("found the runs %v, expected one", r.GetRuns())
		}
		run, err := p.watch(p.admin, r.GetRuns()[0])
		if err != nil {
			t.Fatal(err)
		}
		if run.GetState() != headwaterv1.RunState_RUN_STATE_PUBLISHED || run.GetView() != "delays" || run.GetOnlineState() != headwaterv1.OnlineState_ONLINE_STATE_LOADED {
			t.Fatalf("found the run %v", run)
		}
		return run
	}
	first := push("a", flights(flight("ORD", 7, at, feature.Float64(1)), flight("JFK", 8, at, feature.Float64(2))))
	if n := p.count(`SELECT count(*) FROM headwater.run WHERE id = $1 AND trigger = 'push'`, first.GetId()); n != 1 {
		t.Error("found a run that does not say that rows were pushed")
	}
	if got := p.delayOf("small", "ORD"); got != "1/PRESENT" {
		t.Errorf("found %s", got)
	}
	if n := p.count(`SELECT count(*) FROM headwater_history.delays_v1 WHERE seq_to = 9223372036854775807`); n != 2 {
		t.Errorf("found %d rows of history, expected 2", n)
	}
	// Only what is new is computed.
	second := push("b", flights(flight("ORD", 9, at.Add(time.Minute), feature.Float64(30))))
	if l := second.GetLedger(); l.GetInserted() != 1 || l.GetUnchanged() != 0 {
		t.Errorf("found %v", l)
	}
	if got := p.delayOf("small", "ORD"); got != "30/PRESENT" {
		t.Errorf("found %s", got)
	}
	// The same again queues nothing.
	again, err := p.batches("flights", 0, rowBatch("b", flights(flight("ORD", 9, at.Add(time.Minute), feature.Float64(30)))))
	if err != nil || len(again.GetRuns()) != 0 || again.GetLoad() != nil {
		t.Errorf("found %v, %v", again, err)
	}
	load := p.count(`SELECT max(id) FROM headwater.load`)
	r, err := p.loads.RetractLoad(p.admin, &headwaterv1.RetractLoadRequest{Id: load, Reason: "wrong"})
	if err != nil || len(r.GetRuns()) != 1 {
		t.Fatalf("found %v, %v", r, err)
	}
	if _, err := p.watch(p.admin, r.GetRuns()[0]); err != nil {
		t.Fatal(err)
	}
	if got := p.delayOf("small", "ORD"); got != "1/PRESENT" {
		t.Errorf("found %s", got)
	}
}
