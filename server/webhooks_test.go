package server

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/notify"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// webhookTold is what a webhook is sent.
type webhookTold struct {
	Type string
	Data struct {
		Node, Run, Found, Expected, Remedy string
		Owners                             []string
	}
}

// Webhooks are told of runs that fail, of checks, drift and scores, and of what is held, refused and approved, with whose it is, and without what is of rows.
func TestWebhooksAreToldOfWhatGoesWrong(t *testing.T) {
	var mu sync.Mutex
	var all []webhookTold
	var bodies []string
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var n webhookTold
		if err != nil || json.Unmarshal(body, &n) != nil {
			t.Errorf("found %s, %v", body, err)
		}
		mu.Lock()
		defer mu.Unlock()
		all, bodies = append(all, n), append(bodies, string(body))
	}))
	t.Cleanup(hook.Close)
	p := openProductWith(t, Config{PostgresURL: testenv.PostgresURL(t), RedisURL: testenv.RedisURL(t), Webhooks: []notify.Webhook{{Name: "one", URL: hook.URL, Secret: "sixteen bytes ok"}}})
	d := gatedDefinitions()
	d.Views[0].Owner, d.Views[1].Owner = "delays-team", "recent-team"
	d.Views[1].Freshness = &feature.ViewFreshness{MaxAge: time.Hour}
	d.Views[1].Expectations = []feature.Expectation{{Name: "many", Kind: feature.ExpectRowCount, Error: feature.Bounds{Min: new(2.0)}}}
	d.Views[2].Expectations = []feature.Expectation{{Name: "some", Kind: feature.ExpectRowCount, Warn: feature.Bounds{Min: new(2.0)}}}
	p.apply(d)
	at := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(1))), 0)
	p.materialize("delays", "traffic")
	p.run(p.admin, "recent")
	g := &gated{product: p, at: at, approvals: headwaterv1.NewApprovalServiceClient(p.conn), bea: p.as("bea", builds), ann: p.as("ann", "reviews", builds)}
	m := g.buildHeld(g.bea, spineOf(asked("ORD", 7, at)).arrow(t))
	if _, err := g.release(g.bea, m.GetId()); err == nil {
		t.Error("found it released")
	}
	g.mustApprove(g.ann, m.GetId())
	// Two rows of one moment: the run names their key to who may read them.
	p.ingest(flights(flight("SECRETKEY", 7, at, feature.Float64(1)), flight("SECRETKEY", 8, at, feature.Float64(2))), 0)
	if r := p.run(p.admin, "delays"); r.GetState() != headwaterv1.RunState_RUN_STATE_FAILED || !strings.Contains(r.GetError(), "SECRETKEY") {
		t.Fatalf("found %v, expected a run that fails and names a key", r)
	}
	for range 2 {
		if err := p.server.scores.look(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]string{
		"run.failed view:delays@1": "delays-team", "run.failed view:recent@1": "recent-team", "check.failed view:recent@1": "recent-team", "check.failed view:delays@1": "delays-team", "check.warned view:traffic@1": "",
		"dataset.held dataset:" + m.GetId(): "the delays team", "gate.refused dataset:" + m.GetId(): "the delays team", "dataset.approved dataset:" + m.GetId(): "the delays team",
		"score.low view:delays@1": "delays-team", "score.low view:recent@1": "recent-team", "freshness.exceeded view:recent@1": "recent-team", "score.low service:small@1": "the delays team", "score.low service:model@1": "",
	}
	eventually(t, "what is told", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(all) >= len(want) && p.count(`SELECT count(*) FROM headwater.outbox WHERE channel <> ''`) == 0
	})
	mu.Lock()
	defer mu.Unlock()
	times := map[string]int{}
	for i, n := range all {
		key := n.Type + " " + n.Data.Node
		times[key]++
		if owner, ok := want[key]; !ok || strings.Join(n.Data.Owners, ",") != owner || n.Data.Found == "" || n.Data.Expected == "" || !strings.HasPrefix(n.Data.Remedy, "headwater ") {
			t.Errorf("found %s", bodies[i])
		}
		if strings.Contains(bodies[i], "SECRETKEY") {
			t.Errorf("found a key in %s", bodies[i])
		}
	}
	for key := range want {
		if times[key] != 1 {
			t.Errorf("found %s told %d times, expected once", key, times[key])
		}
	}
	of := func(node string) (kinds []string) {
		for _, n := range all {
			if n.Data.Node == node {
				kinds = append(kinds, n.Type)
			}
		}
		return kinds
	}
	if got := of("dataset:" + m.GetId()); !slices.Equal(got, []string{"dataset.held", "gate.refused", "dataset.approved"}) {
		t.Errorf("found %v, expected them in their order", got)
	}
	if got := of("view:recent@1"); len(got) < 2 || got[0] != "check.failed" || got[1] != "run.failed" {
		t.Errorf("found %v", got)
	}
	if metrics := p.scrape(); !strings.Contains(metrics, `headwater_webhook_notices_total{result="delivered",webhook="one"} `) {
		t.Error("found no metric of what was delivered")
	}
	if r, err := p.lineage.ResendOutbox(p.admin, &headwaterv1.ResendOutboxRequest{}); err != nil || r.GetResent() != 0 {
		t.Errorf("found %v, %v", r, err)
	}
}
