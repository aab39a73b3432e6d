package server

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/materialize"
	"github.com/headwaterhq/headwater/quality"
	"github.com/headwaterhq/headwater/quality/drift"
)

// manyFlights are different ones, of which every nth has no delay.
func manyFlights(n, without int, at time.Time) [][]feature.Value {
	rows := make([][]feature.Value, n)
	for i := range rows {
		delay := feature.Float64(float64(i % 40))
		if without > 0 && i%without == 0 {
			delay = feature.Null()
		}
		rows[i] = flight("ORD", int64(i), at.Add(time.Duration(i)*time.Second), delay)
	}
	return rows
}

// Baselines are for one thing each, outlive what they were made of, and say what they were.
func TestBaselines(t *testing.T) {
	p := newProduct(t)
	service := headwaterv1.NewQualityServiceClient(p.conn)
	d := readers(policy("own_places", "view:delays", ownPlaces))
	d.Roles = append(d.Roles, role("lister", "list on view:*,dataset:*,service:*"), role("keeper", "list,register on view:*"), role("stranger", "list on view:traffic"), role("registrar", "list,register on view:traffic"), role("nobody", "read_audit on system:*"))
	p.apply(d)
	at := time.Now().Add(-30 * time.Hour).Truncate(time.Hour)
	p.ingest(flights(manyFlights(2000, 0, at)...), 0)
	p.materialize("delays", "recent", "traffic")
	p.ingest(flights(manyFlights(2000, 3, at.Add(2*time.Hour))...), 0)
	p.materialize("delays", "recent", "traffic")
	whole := p.as("w", "reader", "whole")
	_, m, err := p.build(whole, "model", &headwaterv1.BuildDatasetHeader{Name: "d", AllowPartial: true}, spineOf(asked("ORD", 7, time.Now()), asked("JFK", 7, time.Now())).arrow(t))
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.lineage.RegisterModel(p.admin, &headwaterv1.RegisterModelRequest{Name: "late", Service: "model", Dataset: m.GetId()})
	if err != nil {
		t.Fatal(err)
	}
	set := func(ctx context.Context, name, node, subject string) string {
		r, err := service.SetBaseline(ctx, &headwaterv1.SetBaselineRequest{Name: name, Node: node, Subject: subject, Reason: "agreed"})
		if err != nil {
			return fault.FromError(err).Message
		}
		b := r.GetBaseline()
		return fmt.Sprintf("%s@%d for %s of %s, %d rows, in the place of %v", b.GetName(), b.GetVersion(), b.GetSubject(), b.GetNode(), b.GetRows(), r.GetReplaced())
	}
	lister, keeper, stranger := p.as("l", "lister"), p.as("k", "keeper"), p.as("s", "stranger")
	for _, c := range []struct {
		who                         context.Context
		name, node, subject, expect string
	}{
		{keeper, "launch", "run:recent@1/1", "", "launch@1 for view:recent@1 of run:recent@1/1, 2000 rows, in the place of []"},
		{keeper, "launch", "run:recent@1/2", "view:recent", "launch@2 for view:recent@1 of run:recent@1/2, "},
		{keeper, "normal", "run:recent@1/1", "view:recent@1", "normal@1 for view:recent@1 of run:recent@1/1, 2000 rows, in the place of [launch@2 of view:recent@1]"},
		{keeper, "normal", "run:traffic@1/1", "", "baseline normal: found it set for view:recent@1, expected a name that is free or of view:traffic@1: choose another name, or " +
			"`headwater baseline remove normal`"},
		{p.as("r", "registrar"), "normal", "run:traffic@1/1", "", "baseline normal: found the name taken, expected one that is free or of view:traffic@1: choose another name"},
		{p.admin, "served", "dataset:" + m.GetId(), "", "served@1 for service:model@1 of dataset:" + m.GetId() + ", 2 rows, in the place of []"},
		{p.admin, "learnt", "dataset:d@1", "model:late", "learnt@1 for model:late@1 of dataset:" + m.GetId() + ", 2 rows, in the place of []"},
		{keeper, "learnt", "dataset:d@1", "model:late", "k may not list dataset:*"},
		{lister, "launch", "run:recent@1/1", "", "l may not register view:recent"},
		{stranger, "launch", "run:recent@1/1", "", "there is no run recent@1/1; `headwater runs list` shows those there are"},
		{keeper, "launch", "run:recent@1/1", "view:traffic", "subject: found view:traffic for run:recent@1/1, expected the view of a run, and a service or a model for a dataset"},
		{keeper, "launch", "run:recent@1/1", "source:flights", "subject: found \"source:flights\", expected `view:NAME[@VERSION]`, `service:NAME[@VERSION]` or `model:NAME[@VERSION]`"},
		{keeper, "launch", "run:recent@1/1", "view:recent@9", "found no version \"9\" of view recent"},
		{keeper, "launch", "view:recent", "", "node: found \"view:recent\", expected `run:VIEW@VERSION/SEQ`, `dataset:ID` or `dataset:NAME@VERSION`: a baseline is the profile that is kept of a run or a dataset"},
		{p.admin, "learnt", "dataset:d@1", "model:none", "there is no model none"},
		{keeper, "Launch", "run:recent@1/1", "", "the request does not hold to its rules"},
	} {
		if got := set(c.who, c.name, c.node, c.subject); !strings.Contains(got, c.expect) {
			t.Errorf("set %s %s for %q: found %s, expected %s", c.name, c.node, c.subject, got, c.expect)
		}
	}
	list := func(ctx context.Context) string {
		r, err := service.ListBaselines(ctx, &headwaterv1.ListBaselinesRequest{})
		if err != nil {
			return fault.FromError(err).Message
		}
		var names []string
		for _, b := range r.GetBaselines() {
			names = append(names, fmt.Sprintf("%s@%d", b.GetName(), b.GetVersion()))
		}
		return strings.Join(names, " ")
	}
	for _, c := range []struct {
		who    context.Context
		expect string
	}{{p.admin, "learnt@1 normal@1 served@1"}, {lister, "normal@1 served@1"}, {stranger, ""}, {p.as("n", "nobody"), "may not list view:*"}} {
		if got := list(c.who); got != c.expect && (c.expect == "" || !strings.Contains(got, c.expect)) {
			t.Errorf("found %q listed, expected %q", got, c.expect)
		}
	}
	shown, err := service.GetBaseline(lister, &headwaterv1.GetBaselineRequest{Name: "launch"})
	if err != nil || len(shown.GetVersions()) != 2 || shown.GetVersions()[0].GetEndedBy() != "k" || shown.GetVersions()[0].GetVersion() != 2 || shown.GetVersions()[1].GetReason() != "agreed" {
		t.Errorf("found %v, %v of what a baseline was", shown, err)
	}
	if _, err := service.GetBaseline(stranger, &headwaterv1.GetBaselineRequest{Name: "launch"}); fault.FromError(err).Message != "there is no baseline launch; `headwater baseline list` shows those there are" {
		t.Errorf("found %v, expected no baseline for who may not know of it", err)
	}

	// It is shown to whom the run is, and compared with.
	for _, c := range []struct {
		who          context.Context
		node, expect string
	}{
		{whole, "baseline:normal", "2000 rows, 0 NULL, 40 distinct, 0 to 39, mean 19.5, 10 frequent"},
		{whole, "baseline:launch@1", "2000 rows, 0 NULL, 40 distinct, 0 to 39, mean 19.5, 10 frequent"},
		{lister, "baseline:normal@1", "2000 rows, 0 NULL, 40 distinct"},
		{stranger, "baseline:normal", "there is no baseline normal; `headwater baseline list` shows those there are"},
		{whole, "baseline:launch", "baseline launch: found it replaced or removed at "},
		{whole, "baseline:none", "there is no baseline none"},
		{whole, "baseline:normal@x", "node: found \"baseline:normal@x\", expected `run:VIEW@VERSION/SEQ`"},
	} {
		r, err := service.GetProfile(c.who, &headwaterv1.GetProfileRequest{Node: c.node})
		got := profileLine(r.GetProfile(), "delay")
		if err != nil {
			got = fault.FromError(err).Message
		}
		if !strings.HasPrefix(got, c.expect) {
			t.Errorf("%s: found %s, expected %s", c.node, got, c.expect)
		}
	}
	compared, err := service.CompareProfiles(whole, &headwaterv1.CompareProfilesRequest{Baseline: "baseline:normal", Current: "run:recent@1/2"})
	if err != nil || compared.GetColumns()[0].GetVerdict() != headwaterv1.DriftVerdict_DRIFT_VERDICT_FAIL {
		t.Errorf("found %v, %v of a run in which a third is missing", compared, err)
	}

	// What a run would be told, with and without one.
	second, err := materialize.Find(t.Context(), p.pool, "recent@1/2")
	if err != nil {
		t.Fatal(err)
	}
	kept, err := quality.RunProfile(t.Context(), p.pool, second.ID)
	if err != nil {
		t.Fatal(err)
	}
	verdict := func(subject string) string {
		d, err := quality.DriftOf(t.Context(), p.pool, subject, kept.Profile, quality.DefaultThresholds)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%s: %s; %s", d.Verdict(), d.Summary(), d.Columns[0].Reason)
	}
	if got := verdict("view:recent@1"); !strings.HasPrefix(got, "FAIL: 1 FAIL; PSI is ") {
		t.Errorf("found %s", got)
	}
	if got := verdict("view:recent@2"); got != "NO_BASELINE: 1 NO_BASELINE; there is no baseline" {
		t.Errorf("found %s", got)
	}
	none := &quality.Drifted{Columns: []quality.ColumnDrift{{Name: "a", Report: &drift.Report{Verdict: drift.OK}}, {Name: "b", Report: &drift.Report{Verdict: drift.NotEnoughData}}}}
	if none.Verdict() != drift.NotEnoughData {
		t.Errorf("found %s of a column that is well and one that nobody can tell of", none.Verdict())
	}

	// Without the run's profile it is what it was; an erasure takes it away.
	first, err := materialize.Find(t.Context(), p.pool, "recent@1/1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.pool.Exec(t.Context(), `DELETE FROM headwater.profile WHERE run_id = $1`, first.ID); err != nil {
		t.Fatal(err)
	}
	if got := verdict("view:recent@1"); !strings.HasPrefix(got, "FAIL: ") {
		t.Errorf("found %s without the run's profile", got)
	}
	tx, err := p.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := quality.EraseRunProfile(t.Context(), tx, first.ID); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := verdict("view:recent@1"); !strings.HasPrefix(got, "NO_BASELINE: 1 NO_BASELINE; an erasure took baseline normal@1 away at ") {
		t.Errorf("found %s after an erasure", got)
	}
	if _, err := service.GetProfile(whole, &headwaterv1.GetProfileRequest{Node: "baseline:normal"}); err == nil || !strings.Contains(fault.FromError(err).Message, "an erasure took its profile away at ") {
		t.Errorf("found %v of what was erased", err)
	}
	remove := func(ctx context.Context, name string) string {
		if _, err := service.RemoveBaseline(ctx, &headwaterv1.RemoveBaselineRequest{Name: name}); err != nil {
			return fault.FromError(err).Message
		}
		return "removed"
	}
	for _, c := range []struct {
		who          context.Context
		name, expect string
	}{
		{lister, "normal", "l may not register view:recent"},
		{stranger, "normal", "s may not register view:*"},
		{keeper, "normal", "removed"},
		{keeper, "normal", "baseline normal@1: found it replaced or removed, expected one that holds; `headwater baseline list` shows those"},
	} {
		if got := remove(c.who, c.name); !strings.Contains(got, c.expect) {
			t.Errorf("remove %s: found %s, expected %s", c.name, got, c.expect)
		}
	}
	records, err := p.access.ListAuditRecords(p.admin, &headwaterv1.ListAuditRecordsRequest{Resource: "view:recent"})
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, r := range records.GetRecords() {
		if strings.HasPrefix(r.GetMethod(), "baseline ") {
			said = append(said, r.GetPrincipal()+" "+r.GetReason())
		}
	}
	slices.Sort(said)
	want := []string{
		"k holds view:recent@1 to baseline launch@1, of run:recent@1/1", "k holds view:recent@1 to baseline launch@2, of run:recent@1/2",
		"k holds view:recent@1 to baseline normal@1 no longer", "k holds view:recent@1 to baseline normal@1, of run:recent@1/1",
	}
	if !slices.Equal(said, want) {
		t.Errorf("found in the audit\n%s\nexpected\n%s", strings.Join(said, "\n"), strings.Join(want, "\n"))
	}
}

// What holding a run to its baseline came to is told to who may list it, and distances to who may read its rows.
func TestDriftOfARunIsShown(t *testing.T) {
	p := newProduct(t)
	d := readers(policy("own_places", "view:delays", ownPlaces))
	d.Roles = append(d.Roles, role("lister", "list on view:*"))
	p.apply(d)
	at := time.Now().Add(-30 * time.Hour).Truncate(time.Hour)
	p.ingest(flights(manyFlights(1000, 0, at)...), 0)
	p.materialize("delays")
	_, err := headwaterv1.NewQualityServiceClient(p.conn).SetBaseline(p.admin, &headwaterv1.SetBaselineRequest{Name: "normal", Node: "run:delays@1/1"})
	if err != nil {
		t.Fatal(err)
	}
	p.ingest(flights(manyFlights(1000, 2, at.Add(2*time.Hour))...), 0)
	p.materialize("delays")
	for who, whole := range map[context.Context]bool{p.as("w", "reader", "whole"): true, p.as("l", "lister"): false} {
		r, err := p.materialization.GetRun(who, &headwaterv1.GetRunRequest{Run: "delays@1/2"})
		if err != nil {
			t.Fatal(err)
		}
		got := r.GetRun().GetDrift()
		c := got.GetColumns()[0]
		if got.GetVerdict() != headwaterv1.DriftVerdict_DRIFT_VERDICT_FAIL || got.GetBaseline() != "normal@1" || c.GetName() != "delay" || c.GetVerdict() != headwaterv1.DriftVerdict_DRIFT_VERDICT_FAIL {
			t.Errorf("found %v", got)
		}
		if shown := c.Psi != nil && c.PsiFloor != nil && strings.HasPrefix(c.GetReason(), "PSI is "); shown != whole || (c.Psi != nil) != whole || (c.GetReason() != "") != whole {
			t.Errorf("found %v, expected distances shown: %t", c, whole)
		}
	}
}

// What an erasure takes away while a baseline is set of it is not in the baseline.
func TestABaselineIsSetWhileItsProfileIsErased(t *testing.T) {
	p := newProduct(t)
	p.apply(definitions())
	p.ingest(flights(manyFlights(10, 0, time.Now().Add(-30*time.Hour).Truncate(time.Hour))...), 0)
	p.materialize("delays")
	tx, err := p.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.Background())
	if err := quality.EraseRunProfile(t.Context(), tx, p.count(`SELECT run_id FROM headwater.profile`)); err != nil {
		t.Fatal(err)
	}
	set := make(chan error, 1)
	go func() {
		_, err := headwaterv1.NewQualityServiceClient(p.conn).SetBaseline(p.admin, &headwaterv1.SetBaselineRequest{Name: "normal", Node: "run:delays@1/1"})
		set <- err
	}()
	eventually(t, "the baseline to wait for the erasure, or to be set", func() bool {
		return len(set) > 0 || p.count(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%headwater.profile%'`) > 0
	})
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := "baseline normal: found that the profile of run:delays@1/1 was erased meanwhile, expected one that is kept: set it to another run or dataset"
	if f := fault.FromError(<-set); f == nil || f.Reason != fault.FailedPrecondition || f.Message != want {
		t.Errorf("found %v, expected %s", f, want)
	}
	if n := p.count(`SELECT count(*) FROM headwater.baseline`); n != 0 {
		t.Errorf("found %d baselines, expected none", n)
	}
}
