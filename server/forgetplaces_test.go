package server

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// curious are the definitions of passengers with checks and a view that say more of rows than they should.
func curious() *feature.Definitions {
	d := passengers()
	view := func(name string) *feature.View {
		return &d.Views[slices.IndexFunc(d.Views, func(v feature.View) bool { return v.Name == name })]
	}
	all := 1.0
	// Parts of runs keep examples of it.
	view("trips").Expectations = []feature.Expectation{
		{Name: "dear", Column: "price", Kind: feature.ExpectRange, Min: 1000.0, OnFailure: feature.KeepRow, ErrorAbove: &all},
	}
	// Its examples show a column of a row, and no key.
	view("home").Expectations = []feature.Expectation{
		{Name: "one_country", Kind: feature.ExpectUnique, Columns: []string{"country"}, OnFailure: feature.KeepRow, ErrorAbove: &all},
	}
	// Its runs fail with a value in the error.
	d.Views = append(d.Views, feature.View{Name: "wrong", Entity: "passenger", Features: []feature.Column{{Name: "number", Type: feature.TypeInt64}}, SQL: &feature.SQLTransform{
		Sources: []string{"profiles"}, Query: "SELECT who AS passenger_id, event_time, available_at, country::bigint AS number FROM profiles " +
			"WHERE event_time >= {{interval.start}} AND event_time < {{interval.end}}"}})
	return d
}

// A person's key and texts are put wherever they can get to; after the erasure they are nowhere, but where the documents say that they stay.
func TestForgetLeavesNothingAnywhere(t *testing.T) {
	t.Parallel()
	results := t.TempDir()
	p := openProductWith(t, Config{PostgresURL: testenv.PostgresURL(t), RedisURL: testenv.RedisURL(t), ResultsDir: results, RunChunkRows: 2})
	w := forgetWorldOf(p, curious())

	// Another person's erasure, for a reason that names this one. It comes first, since it takes errors and examples with it.
	if _, err := w.forgetPassenger("carl", "as for "+forgotten, false); err != nil {
		t.Fatal(fault.FromError(err))
	}
	w.materializeAll()

	// Files, batches and retractions that are named by the person.
	d := curious()
	profile := func(who string) table {
		return table{columns: d.Sources[1].Columns, rows: [][]feature.Value{{feature.Timestamp(feature.TimeOf(w.at)), feature.String(who), feature.String("US")}}}
	}
	content := profile("alice").arrow(t)
	header := p.header(content, 0)
	header.FileName = "export of " + forgotten + ".csv"
	load, err := p.send(p.admin, "profiles", header, content, 1000)
	if err != nil {
		t.Fatal(fault.FromError(err))
	}
	if _, err := p.loads.RetractLoad(p.admin, &headwaterv1.RetractLoadRequest{Id: load.GetId(), Reason: "it was of " + forgotten}); err != nil {
		t.Fatal(fault.FromError(err))
	}
	batch := rowBatch("sync/"+forgotten+"/1", profile("bob"))
	if _, err := p.batches("profiles", 0, batch); err != nil {
		t.Fatal(fault.FromError(err))
	}

	// A run that fails on a value of the person, and one that was cancelled for a reason.
	r, err := p.materialization.Materialize(p.admin, &headwaterv1.MaterializeRequest{Views: []string{"wrong"}, Full: true})
	if err != nil {
		t.Fatal(fault.FromError(err))
	}
	failed, err := p.watch(p.admin, r.GetRuns()[0].GetId())
	if err != nil || failed.GetState() != headwaterv1.RunState_RUN_STATE_FAILED || !strings.Contains(failed.GetError(), forgottenText) {
		t.Fatalf("found %v, %v", failed, err)
	}
	// What jobs and checks say of faults that come by themselves, such as a disk that is full in the middle of a row.
	for _, sql := range []string{
		`UPDATE headwater_jobs.river_job SET errors = ARRAY['{"at": "2024-01-01T00:00:00Z", "attempt": 1, "error": "at ` + forgottenText + `", "trace": "Mallory"}'::jsonb]
			WHERE args ->> 'run_id' = '` + fmt.Sprint(failed.GetId()) + `'`,
		`UPDATE headwater.check_result SET state = 'ERRORED', found = 'at ` + forgottenText + `' WHERE (run_id, place) IN (
			SELECT run_id, max(place) FROM headwater.check_result c JOIN headwater.definition d ON d.id = c.view_id WHERE d.name = 'home' GROUP BY 1)`,
		`UPDATE headwater.run SET cancel_reason = 'no more of ` + forgotten + `' WHERE id = ` + fmt.Sprint(failed.GetId()),
	} {
		if tag, err := p.pool.Exec(p.admin, sql); err != nil || tag.RowsAffected() == 0 {
			t.Fatalf("%s: %d rows, %v", sql, tag.RowsAffected(), err)
		}
	}

	// Datasets: one of a query that names the person, one that was deleted, and one with the text in a label.
	late := w.at.Add(48 * time.Hour)
	query := queryHeader("SELECT passenger_id, booked_at + interval '2 days' AS timestamp, price AS label FROM bookings WHERE passenger_id IN ('"+forgotten+"', 'bob')", "bookings")
	query.Purpose, query.Name = "what "+forgotten+" spends", "queried"
	_, queried, err := p.build(p.admin, "person", query, nil)
	if err != nil {
		t.Fatal(fault.FromError(err))
	}
	spine := table{columns: []feature.Column{{Name: "passenger_id", Type: feature.TypeString}, {Name: "timestamp", Type: feature.TypeTimestamp},
		{Name: "label", Type: feature.TypeString}}}
	for who, label := range map[string]string{forgotten: forgottenText, "alice": "a"} {
		spine.rows = append(spine.rows, []feature.Value{feature.String(who), feature.Timestamp(feature.TimeOf(late)), feature.String(label)})
	}
	_, labelled, err := p.build(p.admin, "person", &headwaterv1.BuildDatasetHeader{Name: "labelled"}, spine.arrow(t))
	if err != nil {
		t.Fatal(fault.FromError(err))
	}
	_, deleted, err := p.build(p.admin, "person", &headwaterv1.BuildDatasetHeader{Name: "deleted"}, spine.arrow(t))
	if err != nil {
		t.Fatal(fault.FromError(err))
	}
	if _, err := p.datasets.DeleteDataset(p.admin, &headwaterv1.DeleteDatasetRequest{Dataset: deleted.GetId(), Reason: forgotten + " has asked"}); err != nil {
		t.Fatal(fault.FromError(err))
	}
	before := w.found()
	for _, table := range []string{
		"headwater.check_result", "headwater.dataset", "headwater.erasure", "headwater.load", "headwater.load_batch", "headwater.load_set_aside",
		"headwater.quarantined_row", "headwater.run", "headwater.run_chunk", "headwater_jobs.river_job", "headwater_landing.profiles", "headwater_history.home_v1", "redis hw:passenger:",
	} {
		if !slices.ContainsFunc(before, func(place string) bool { return strings.HasPrefix(place, table) }) {
			t.Errorf("nothing was planted in %s, found %q", table, before)
		}
	}
	kept := func() (ids []string) {
		t.Helper()
		for _, m := range []*headwaterv1.Manifest{w.with, w.without, w.ports, queried, labelled, deleted} {
			if files, err := filepath.Glob(filepath.Join(results, "*"+m.GetId()+"*")); err == nil && len(files) > 0 {
				ids = append(ids, m.GetId())
			}
		}
		return ids
	}
	if got := kept(); len(got) < 5 {
		t.Fatalf("found results only of %q", got)
	}

	dry, err := w.forget(true)
	if err != nil {
		t.Fatal(fault.FromError(err))
	}
	if now := w.found(); !slices.Equal(now, before) {
		t.Errorf("a dry run left %q of %q", now, before)
	}
	e, err := w.forget(false)
	if err != nil {
		t.Fatal(fault.FromError(err))
	}
	if got, want := placesOf(e), placesOf(dry); !slices.Equal(got, want) {
		t.Errorf("erased\n%s\nexpected, as the dry run says,\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, want := range []string{
		"text keys of batches 1", "text names of files 1", "text reasons of cancellations 1", "text reasons of erasures 1", "text reasons of retractions 1",
		"text texts in manifests 2", "summary " + deleted.GetId() + " 8", "spine " + queried.GetId() + " 2", "spine " + labelled.GetId() + " 1",
	} {
		if !slices.Contains(placesOf(e), want) {
			t.Errorf("found no %q in %q", want, placesOf(e))
		}
	}
	w.settle(e)
	// What a caller said in a purpose or a reason stays in the audit log, and what a run failed on in the log of the server.
	if left, want := w.found(), []string{"headwater.audit_record 5", "append log", "log"}; !slices.Equal(left, want) {
		t.Errorf("the person is still in %q, expected %q", left, want)
	}
	if n := p.count(`SELECT count(*) FROM headwater.audit_record r WHERE position('Mallory' IN (to_jsonb(r) - 'purpose' - 'reason')::text) > 0`); n > 0 {
		t.Errorf("found %d audit records with the key outside of a purpose and a reason", n)
	}
	for line := range strings.Lines(w.log.String()) {
		if (strings.Contains(line, "Mallory") || strings.Contains(line, forgottenText)) && !strings.Contains(line, `msg="run failed"`) {
			t.Errorf("the log says %s", line)
		}
	}
	if got := kept(); slices.ContainsFunc([]string{w.with.GetId(), queried.GetId(), labelled.GetId(), deleted.GetId()}, func(id string) bool { return slices.Contains(got, id) }) {
		t.Errorf("results are kept of %q", got)
	}

	// Spines are compressed: what is left of them is what is left of the datasets.
	for _, m := range []*headwaterv1.Manifest{w.with, queried, labelled} {
		stream, err := p.datasets.FetchDataset(p.admin, &headwaterv1.FetchDatasetRequest{Dataset: m.GetId(), AcceptErased: true})
		if err != nil {
			t.Fatal(err)
		}
		content, left, err := collect(stream.Recv)
		if err != nil {
			t.Fatal(fault.FromError(err))
		}
		if rows := strings.Join(readRows(t, content), "\n"); strings.Contains(rows, "Mallory") || strings.Contains(rows, forgottenText) || rows == "" {
			t.Errorf("%s: found %s", m.GetName(), rows)
		}
		if m == queried && left.GetSpineOrigin().GetSql() != strings.ReplaceAll(query.GetQuery().GetSql(), forgotten, "[erased]") {
			t.Errorf("found the query %s", left.GetSpineOrigin().GetSql())
		}
	}
	// The rest of the records is what it was.
	shown, err := p.loads.ListLoads(p.admin, &headwaterv1.ListLoadsRequest{Source: "profiles"})
	if err != nil {
		t.Fatal(err)
	}
	if i := slices.IndexFunc(shown.GetLoads(), func(l *headwaterv1.Load) bool { return l.GetId() == load.GetId() }); i < 0 || shown.GetLoads()[i].GetFileName() != "export of [erased].csv" {
		t.Errorf("found %v", shown.GetLoads())
	}
	if errs := p.count(`SELECT cardinality(errors) FROM headwater_jobs.river_job WHERE args ->> 'run_id' = $1`, fmt.Sprint(failed.GetId())); errs != 1 {
		t.Errorf("found %d errors of the job, expected that there was one", errs)
	}
	if entries, err := os.ReadDir(results); err != nil || len(entries) == 0 {
		t.Errorf("found %d results (%v), expected those without the person", len(entries), err)
	}
	w.verifyRuns()
}
