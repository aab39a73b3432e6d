package dataset

import (
	"bytes"
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/fault"
)

// Rows that may know what arrived later have it, as the reference has it, and say so for good.
func TestKnowledgeOfEvents(t *testing.T) {
	w := newWorld(t)
	r := rand.New(rand.NewPCG(41, 42))
	w.randomHistory(t, r)
	s := randomSpine(r, 3000)
	m, out, err := w.tryBuild(s.arrow(t, 700), Request{Knowledge: KnowledgeEvent})
	if err != nil {
		t.Fatal(err)
	}
	w.expect(t, s, m, out)
	if !m.MayLeak || m.Knowledge != KnowledgeEvent {
		t.Errorf("found %q, may leak: %v", m.Knowledge, m.MayLeak)
	}
	for _, c := range m.Columns {
		if n := c.Statuses["NOT_YET_KNOWN"]; n > 0 {
			t.Errorf("column %s: found %d values that are not known yet", c.Name, n)
		}
	}
	careful, _ := w.build(t, s, "")
	if careful.MayLeak || careful.Knowledge != KnowledgeArrival || careful.ContentDigest == m.ContentDigest {
		t.Errorf("found %q, may leak: %v, digests %s and %s", careful.Knowledge, careful.MayLeak, careful.ContentDigest, m.ContentDigest)
	}
	if _, again, err := w.fetch(t, m.ID); err != nil || !bytes.Equal(again, out) {
		t.Errorf("fetched other bytes, %v", err)
	}
	if differences := w.verify(t, m.ID); len(differences) > 0 {
		t.Errorf("found %q", differences)
	}
	w.view("delays").Aggregation = &feature.Aggregation{Hop: time.Hour}
	_, _, err = w.tryBuild(s.arrow(t, 700), Request{Knowledge: KnowledgeEvent})
	wantFault(t, err, fault.InvalidArgument, "knowledge: found event with windowed aggregations, expected arrival: their values are computed of what had "+
		"arrived by each point of time, in view delays@1; leave these out, or build with knowledge arrival")
}

// A manifest as servers before joins, references, knowledge and coverage wrote it means what it meant.
func TestOldManifests(t *testing.T) {
	golden, err := os.ReadFile("testdata/manifest_v1.json")
	if err != nil {
		t.Fatal(err)
	}
	var m Manifest
	if err := json.Unmarshal(golden, &m); err != nil {
		t.Fatal(err)
	}
	if m.Knowledge != KnowledgeArrival || m.MayLeak || m.Joins != nil || m.Features != nil || m.Partial != nil || m.Ref() != "model@3" || len(m.Views) != 3 {
		t.Errorf("found %+v", m)
	}
	// Nothing that is absent appears when it is written again.
	again, err := json.MarshalIndent(&m, "", "  ")
	if err != nil || string(again) != strings.TrimSpace(string(golden)) {
		t.Errorf("found %s, %v\nexpected %s", again, err, golden)
	}

	// A dataset whose manifest has no more than that is had again.
	w := newWorld(t)
	w.publishAll(t)
	built, out := w.build(t, someFlights(), "")
	var kept, old map[string]any
	row := w.pool.QueryRow(context.Background(), `SELECT manifest FROM headwater.dataset WHERE id = $1`, built.ID)
	if err := row.Scan(&kept); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(golden, &old); err != nil {
		t.Fatal(err)
	}
	for key := range kept {
		if _, there := old[key]; !there {
			delete(kept, key)
		}
	}
	w.exec(t, `UPDATE headwater.dataset SET manifest = $2 WHERE id = $1`, built.ID, kept)
	sent, fetched, err := w.fetch(t, built.ID)
	if err != nil || !bytes.Equal(fetched, out) || sent.ContentDigest != built.ContentDigest {
		t.Errorf("fetched other bytes, %v", err)
	}
	if differences := w.verify(t, built.ID); len(differences) > 0 {
		t.Errorf("found %q", differences)
	}
}
