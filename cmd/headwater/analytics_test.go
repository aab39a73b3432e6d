package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// TestProductAnalytics runs the commands of examples/product-analytics and holds the ledgers to what its README says of the rows.
func TestProductAnalytics(t *testing.T) {
	t.Parallel()
	const folder = "../../examples/product-analytics/"
	d := startDev(t, passableFolder(t))
	d.run("apply", folder+"definitions").expect(t, exitDone, "*", "*")
	var loads headwaterv1.ListLoadsResponse
	d.ask(t, &loads, "ingest", "events", folder+"data/events-2026-03-01.csv")
	var runs headwaterv1.MaterializeResponse
	d.ask(t, &runs, "materialize", "product_days", "--wait")
	r := runs.Runs[0]
	l := r.Ledger
	reasons := func(l *headwaterv1.Ledger) string {
		var list []string
		for _, r := range l.Reasons {
			list = append(list, fmt.Sprintf("%s %s %d", r.Bucket, r.Reason, r.Rows))
		}
		slices.Sort(list)
		return strings.Join(list, "\n")
	}
	if l.Duplicate != 2 || l.Dropped != 1 || l.Accepted != 9 || l.Used != 8 || l.Filtered != 1 || l.Computed != 3 || l.OutputQuarantined != 1 ||
		l.Produced != 2 || l.Inserted != 2 || l.LiveAfter != 2 || l.Read != l.Accepted+l.Quarantined+l.Duplicate+l.Dropped+l.TooLate {
		t.Errorf("found the ledger %v", l)
	}
	for _, want := range []string{
		"dropped kind_accepted_values 1", "duplicate conflicting 1", "duplicate exact 1", "output_quarantined bought_after_it_was_seen 1",
		"quarantined revenue_range 1",
	} {
		if !strings.Contains(reasons(l), want) {
			t.Errorf("found the reasons\n%s\nexpected %s among them", reasons(l), want)
		}
	}
	state := func(r *headwaterv1.Run, name string) string {
		for _, c := range r.Checks {
			if c.Name == name {
				return fmt.Sprintf("%s: %s %v", enumName(c.State, "CHECK_STATE_"), c.Found, c.Examples)
			}
		}
		return ""
	}
	for name, want := range map[string]string{
		"revenue_range":            "warned: 1 of 11 rows that do not meet it (9.091%) ",
		"bought_after_it_was_seen": "warned: 1 of 3 rows that do not meet it (33.33%) [product desk, event_time 2026-03-02T00:00:00Z]",
		"entities_kept":            "warned: 0.666667: 2 of 3 entities [product desk]",
		"visitor_completeness":     "warned: 0.909091 in the worst of 1 buckets, of 11 rows [bucket [2026-03-01T00:00:00Z, 2026-03-02T00:00:00Z)]",
		"row_count":                "passed: 11 []",
	} {
		if got := state(r, name); !strings.HasPrefix(got, want) {
			t.Errorf("%s: found %q, expected %q", name, got, want)
		}
	}
	var aside headwaterv1.ShowQuarantineResponse
	d.ask(t, &aside, "quarantine", "show", "product_days@1/1")
	var rows []string
	for _, q := range aside.Rows {
		rows = append(rows, q.Subject+" "+strings.Join(q.Reasons, ","))
	}
	if !slices.Contains(rows, "source:events revenue_range") || !slices.Contains(rows, "output bought_after_it_was_seen") {
		t.Errorf("found set aside %q", rows)
	}
	var history headwaterv1.ListCheckResultsResponse
	d.ask(t, &history, "runs", "checks", "product_days", "--check", "entities_kept")
	if len(history.Results) != 1 || history.Results[0].Run != "product_days@1/1" {
		t.Errorf("found the history %v", history.Results)
	}

	d.run("ingest", "events", folder+"data/events-2026-03-01-corrected.csv", "--replaces", number(loads.Loads[0].Id)).expect(t, exitDone, "*", "*")
	d.ask(t, &runs, "materialize", "product_days", "--wait")
	l = runs.Runs[0].Ledger
	if l.Read != 10 || l.Accepted != 10 || l.Used != 10 || l.Computed != 3 || l.Produced != 3 || l.Unchanged != 1 || l.Inserted != 2 ||
		l.Withdrawn != 1 || l.LiveAfter != 3 {
		t.Errorf("found the ledger %v after the correction", l)
	}
	if got := state(runs.Runs[0], "entities_kept"); got != "passed: 1: 3 of 3 entities []" {
		t.Errorf("found %s", got)
	}
	if r := d.run("get", "--service", "product_ranking", "--entity", "product=desk"); r.code != exitDone || !strings.Contains(r.out, "300.00") {
		t.Errorf("found %s %s", r.out, r.err)
	}
	if r := d.run("quarantine", "replay", "--view", "product_days"); r.code == exitDone || !strings.Contains(r.err, "found no rows that are set aside now") {
		t.Errorf("found %s %s", r.out, r.err)
	}
}
