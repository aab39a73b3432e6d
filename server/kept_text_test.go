package server

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// Why a run failed names rows by their keys and values: those are for who may read them, and all else is for who may list the view.
func TestRowsInTheErrorOfARunAreForWhoMayReadThem(t *testing.T) {
	p := newProduct(t)
	d := definitions()
	d.Roles = []feature.Role{
		role("lists", "list on view:delays"),
		role("reads_view", "list on view:delays", "read_offline on view:delays"),
		role("reads_both", "list on view:delays", "read_offline on view:delays", "read_offline on source:flights"),
	}
	p.apply(d)
	at := time.Now().Add(-time.Hour)
	p.ingest(flights(flight("JFK", 7, at, feature.Float64(1)), flight("JFK", 7, at, feature.Float64(2))), 0)
	queued, err := p.materialization.Materialize(p.admin, &headwaterv1.MaterializeRequest{Views: []string{"delays"}})
	if err != nil {
		t.Fatal(err)
	}
	run, err := p.watch(p.admin, queued.Runs[0].Id)
	if err != nil || run.State != headwaterv1.RunState_RUN_STATE_FAILED || !strings.Contains(run.Error, "JFK") {
		t.Fatalf("found %v and %v, expected a run that failed by a row of JFK", run, err)
	}
	for _, c := range []struct {
		role  string
		shown bool
	}{{"lists", false}, {"reads_view", false}, {"reads_both", true}} {
		ctx := p.as("p_"+c.role, c.role)
		one, err := p.materialization.GetRun(ctx, &headwaterv1.GetRunRequest{Run: fmt.Sprint(run.Id)})
		if err != nil {
			t.Fatal(err)
		}
		list, err := p.materialization.ListRuns(ctx, &headwaterv1.ListRunsRequest{View: "delays"})
		if err != nil {
			t.Fatal(err)
		}
		stats, err := p.materialization.RunStats(ctx, &headwaterv1.RunStatsRequest{Views: []string{"delays"}})
		if err != nil {
			t.Fatal(err)
		}
		watched, err := p.watch(ctx, run.Id)
		if err != nil {
			t.Fatal(err)
		}
		for what, text := range map[string]string{
			"shown": one.Run.Error, "listed": list.Runs[0].Error, "measured": stats.Views[0].LastError, "watched": watched.Error,
		} {
			if !strings.Contains(text, "found more than one row for (entity_key, event_time, available_at) = (") || !strings.HasSuffix(text, "make the times distinct") {
				t.Errorf("%s, %s: found %q, expected what was found and what to do", c.role, what, text)
			}
			if strings.Contains(text, "JFK") != c.shown || strings.Contains(text, fault.HiddenData) == c.shown || strings.ContainsAny(text, "\x02\x03") {
				t.Errorf("%s, %s: found %q, expected its keys shown: %t", c.role, what, text, c.shown)
			}
		}
	}
	if n := p.count(`SELECT count(*) FROM headwater.outbox WHERE payload::text LIKE '%JFK%'`); n != 0 {
		t.Errorf("found %d messages with keys in the outbox, expected none", n)
	}
}
