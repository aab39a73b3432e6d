package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/wire"
)

var weeks = []string{"flights-2001-01-week1.parquet", "flights-2001-01-week2.parquet", "flights-2001-01-week3.parquet",
	"flights-2001-01-week4.parquet"}

const (
	correctedWeek = "flights-2001-01-week2-corrected.parquet"
	flightsTotal  = 508_239
	airportRows   = 72_839
	routeRows     = 98_665
	spineRows     = 20_000
)

// story is the state of TestStory from one part to the next.
type story struct {
	*dev
	before, after naive
	spine         map[string][]any
	// dataset and its file are the training set from before the correction.
	dataset *headwaterv1.Manifest
	file    string
}

// TestStory is what `make demo` tells, on the same data by the same commands, with every claim held to the files.
func TestStory(t *testing.T) {
	t.Parallel()
	s := &story{dev: startDev(t, passableFolder(t)), file: filepath.Join(t.TempDir(), "train.parquet")}
	unchanged := readFlights(t, weeks[0], weeks[2], weeks[3])
	s.before = newNaive(append(readFlights(t, weeks[1]), unchanged...))
	s.after = newNaive(append(readFlights(t, correctedWeek), unchanged...))
	s.spine = readParquet(t, examples+"data/spine.parquet")
	for _, part := range []struct {
		name string
		tell func(*testing.T)
	}{
		{"define", s.define}, {"ingest", s.ingest}, {"materialize", s.materialize}, {"get", s.get}, {"dataset", s.build},
		{"lineage", s.lineage}, {"nothing changed", s.again}, {"correction", s.correct}, {"the first dataset", s.buildsAgain},
		{"access", s.access},
	} {
		if !t.Run(part.name, part.tell) {
			t.FailNow()
		}
	}
	if code := s.signal(t, syscall.SIGINT); code != 0 {
		t.Errorf("found exit status %d of dev, expected 0, and\n%s", code, s.said(t))
	}
}

func (s *story) define(t *testing.T) {
	definitions := examples + "definitions"
	s.run("validate", definitions).expect(t, exitDone,
		"KIND      DEFINITIONS\nentity              2\nsource              1\nview                2\nservice             1\nrole                3\npolicy              0\nconsumer            0\n", "*")
	var plan headwaterv1.PlanResponse
	r := s.run("plan", definitions, "-o", "json")
	parse(t, r.out, &plan)
	if r.code != exitHasChange || len(plan.Changes) != 9 {
		t.Errorf("found status %d and %d changes, expected 6 and 9: %s", r.code, len(plan.Changes), r.err)
	}
	var applied headwaterv1.ApplyResponse
	s.ask(t, &applied, "apply", definitions)
	for _, c := range applied.Changes {
		if c.Kind != headwaterv1.ChangeKind_CHANGE_KIND_ADD || c.Version != 1 {
			t.Errorf("found change %v, expected version 1 added", c)
		}
	}
	s.run("plan", definitions).expect(t, exitDone, "", "nothing would change\n")
	s.run("apply", definitions).expect(t, exitDone, "", "nothing changed\n")
}

func (s *story) ingest(t *testing.T) {
	args := []string{"ingest", "flights"}
	for _, week := range weeks {
		args = append(args, examples+"data/"+week)
	}
	var loads, listed headwaterv1.ListLoadsResponse
	s.ask(t, &loads, args...)
	s.ask(t, &listed, "loads", "list", "flights")
	if len(loads.Loads) != len(weeks) || len(listed.Loads) != len(weeks) {
		t.Fatalf("found %d loads and %d listed, expected %d", len(loads.Loads), len(listed.Loads), len(weeks))
	}
	var rows int64
	for i, l := range loads.Loads {
		content := readFile(t, examples+"data/"+weeks[i])
		if l.FileName != weeks[i] || l.FileSize != int64(len(content)) || l.FileSha256 != sha256Of(content) || l.Number != int64(i+1) {
			t.Errorf("found load %v, expected number %d: %s of %d bytes", l, i+1, weeks[i], len(content))
		}
		if l.State != headwaterv1.LoadState_LOAD_STATE_LIVE || l.Principal != "admin" {
			t.Errorf("found load %v, expected a live one of admin", l)
		}
		rows += l.Rows
	}
	if rows != flightsTotal {
		t.Errorf("found %d rows, expected %d", rows, flightsTotal)
	}
}

// runs materializes both views and returns their runs. Those are to read all flights in January.
func (s *story) runs(t *testing.T, flags ...string) (airports, routes *headwaterv1.Run) {
	t.Helper()
	airports, routes = s.ended(t, flags...)
	for _, r := range []*headwaterv1.Run{airports, routes} {
		if r.Ledger.GetRead() != flightsTotal {
			t.Errorf("run %s: found %d rows read, expected %d", runName(r), r.Ledger.GetRead(), flightsTotal)
		}
		if got := span(r.IntervalStart, r.IntervalEnd); got != "[2001-01-01T00:00:00Z, 2001-02-01T00:00:00Z)" {
			t.Errorf("run %s: found interval %s, expected January", runName(r), got)
		}
	}
	return airports, routes
}

// ended materializes both views and returns their runs.
func (s *story) ended(t *testing.T, flags ...string) (airports, routes *headwaterv1.Run) {
	t.Helper()
	var ended headwaterv1.MaterializeResponse
	s.ask(t, &ended, append([]string{"materialize", "airport_delays", "route_delays", "--wait"}, flags...)...)
	if len(ended.Runs) != 2 || ended.Runs[0].View != "airport_delays" || ended.Runs[1].View != "route_delays" {
		t.Fatalf("found runs %v, expected one of each view", ended.Runs)
	}
	for _, r := range ended.Runs {
		checkLedger(t, r)
	}
	return ended.Runs[0], ended.Runs[1]
}

// checkLedger holds a run to law: published, loaded, every row accounted for.
func checkLedger(t *testing.T, r *headwaterv1.Run) {
	t.Helper()
	if r.State != headwaterv1.RunState_RUN_STATE_PUBLISHED || r.OnlineState != headwaterv1.OnlineState_ONLINE_STATE_LOADED || r.Position == 0 {
		t.Errorf("run %s: found state %s, online %s, position %d, expected it published and loaded", runName(r), r.State, r.OnlineState, r.Position)
	}
	l := r.GetLedger()
	for what, sides := range map[string][2]int64{
		"read":       {l.GetRead(), l.GetAccepted() + l.GetQuarantined() + l.GetDuplicate() + l.GetDropped() + l.GetTooLate()},
		"accepted":   {l.GetAccepted(), l.GetUsed() + l.GetFiltered() + l.GetUnaccounted()},
		"produced":   {l.GetProduced(), l.GetInserted() + l.GetUnchanged()},
		"live after": {l.GetLiveAfter(), l.GetLiveBefore() + l.GetInserted() - l.GetWithdrawn()},
	} {
		if sides[0] != sides[1] {
			t.Errorf("run %s: %s does not balance: found %d and %d", runName(r), what, sides[0], sides[1])
		}
	}
	for _, g := range r.Gates {
		if !g.Passed {
			t.Errorf("run %s: gate %s did not pass: %s", runName(r), g.Name, g.Detail)
		}
	}
	if len(r.Gates) == 0 || len(r.Digest) != 64 || len(r.Fingerprint) != 64 {
		t.Errorf("run %s: found %d gates, digest %q, fingerprint %q", runName(r), len(r.Gates), r.Digest, r.Fingerprint)
	}
}

func wroteOf(r *headwaterv1.Run) string {
	l := r.GetLedger()
	return fmt.Sprintf("run %d: %d produced, %d inserted, %d withdrawn, %d unchanged, %d live", r.Seq, l.GetProduced(), l.GetInserted(),
		l.GetWithdrawn(), l.GetUnchanged(), l.GetLiveAfter())
}

func expectWrote(t *testing.T, r *headwaterv1.Run, want string) {
	t.Helper()
	if got := wroteOf(r); got != want {
		t.Errorf("%s: found %s\nexpected %s", r.View, got, want)
	}
}

func (s *story) materialize(t *testing.T) {
	if a, r := count(s.before.airports), count(s.before.routes); a != airportRows || r != routeRows {
		t.Fatalf("found %d and %d groups in the files, expected %d and %d", a, r, airportRows, routeRows)
	}
	airports, routes := s.runs(t)
	expectWrote(t, airports, "run 1: 72839 produced, 72839 inserted, 0 withdrawn, 0 unchanged, 72839 live")
	expectWrote(t, routes, "run 1: 98665 produced, 98665 inserted, 0 withdrawn, 0 unchanged, 98665 live")
	var listed headwaterv1.ListRunsResponse
	s.ask(t, &listed, "runs", "list")
	if len(listed.Runs) != 2 {
		t.Errorf("found %d runs listed, expected 2", len(listed.Runs))
	}
	var shown headwaterv1.GetRunResponse
	s.ask(t, &shown, "runs", "show", "route_delays@1/1")
	loads := shown.GetRun().GetInputs()[0].GetLoads()
	for i, l := range loads {
		if l.FileName != weeks[i] || l.FileSha256 != sha256Of(readFile(t, examples+"data/"+weeks[i])) {
			t.Errorf("found input %v, expected %s", l, weeks[i])
		}
	}
	if len(loads) != len(weeks) {
		t.Errorf("found %d loads as the input, expected %d", len(loads), len(weeks))
	}
}

// readOnline reads the service for flights of `ORIGIN DESTINATION` and compares all values with those at the end of time.
func (s *story) readOnline(t *testing.T, model naive, flights ...string) *headwaterv1.GetFeaturesResponse {
	t.Helper()
	args := []string{"get", "--service", "delay_model_v1"}
	for _, f := range flights {
		origin, destination, _ := strings.Cut(f, " ")
		args = append(args, "--entity", "origin="+origin+",destination="+destination)
	}
	var read headwaterv1.GetFeaturesResponse
	s.ask(t, &read, args...)
	if len(read.Features) != len(storyFeatures) {
		t.Fatalf("found features %v, expected %v", read.Features, storyFeatures)
	}
	now := time.Now().UnixMicro()
	for i, f := range flights {
		origin, destination, _ := strings.Cut(f, " ")
		want := model.features(origin, destination, now)
		for c, column := range read.Features {
			got, status := onlineValue(column, i)
			expected := headwaterv1.ValueStatus_VALUE_STATUS_PRESENT
			if want[c] == nil {
				expected = headwaterv1.ValueStatus_VALUE_STATUS_NO_ROW
			}
			if column.Name != storyFeatures[c] || status != expected || !sameValue(got, want[c]) {
				t.Errorf("%s: found %s %v %s, expected %s %v %s", f, column.Name, got, status, storyFeatures[c], want[c], expected)
			}
		}
	}
	return &read
}

func onlineValue(f *headwaterv1.FeatureVector, i int) (any, headwaterv1.ValueStatus) {
	v := f.GetValues()
	switch {
	case wire.StatusAt(v, i) != headwaterv1.ValueStatus_VALUE_STATUS_PRESENT:
		return nil, wire.StatusAt(v, i)
	case v.Type == headwaterv1.ValueType_VALUE_TYPE_INT64:
		return v.Int64S[i], wire.StatusAt(v, i)
	}
	return v.Float64S[i], wire.StatusAt(v, i)
}

func (s *story) get(t *testing.T) {
	read := s.readOnline(t, s.before, "ORD LAX", "ATL LGA", "SFO SEA", "ORD XXX")
	airports := read.Provenance[slices.IndexFunc(read.Provenance, func(p *headwaterv1.ViewProvenance) bool { return p.View == "airport_delays" })]
	want, _ := winner(s.before.airports, "ORD", time.Now().UnixMicro())
	if airports.EventTimes[0] != want.eventTime || airports.AvailableAts[0] != want.availableAt || airports.RunSeqs[0] != 1 {
		t.Errorf("found provenance %v, expected ORD's event time %d, available at %d, run 1", airports, want.eventTime, want.availableAt)
	}
	if read.ReadId == "" || read.ServiceVersion != 1 {
		t.Errorf("found read %q of version %d", read.ReadId, read.ServiceVersion)
	}
}

// buildDataset builds one of the spine, and holds its rows to the spine's and 200 of them to a model.
func (s *story) buildDataset(t *testing.T, model naive, file string, more ...string) *headwaterv1.Manifest {
	t.Helper()
	var built headwaterv1.GetDatasetResponse
	s.ask(t, &built, append([]string{"dataset", "build", "--service", "delay_model_v1", "--spine", examples + "data/spine.parquet",
		"--out", file}, more...)...)
	found := readParquet(t, file)
	for name, want := range s.spine {
		if len(want) != spineRows || !slices.Equal(found[name], want) {
			t.Errorf("column %s: found %d rows, expected the %d of the spine, in its order", name, len(found[name]), len(want))
		}
	}
	if len(found) != len(s.spine)+len(storyFeatures) {
		t.Errorf("found %d columns, expected the spine's and the features", len(found))
	}
	wrong := 0
	for row := 0; row < spineRows; row += 100 {
		want := model.features(s.spine["origin"][row].(string), s.spine["destination"][row].(string), s.spine["timestamp"][row].(int64))
		for c, name := range storyFeatures {
			if got := found[name][row]; !sameValue(got, want[c]) && wrong < 10 {
				t.Errorf("row %d, %s: found %v, expected %v", row, name, got, want[c])
				wrong++
			}
		}
	}
	for _, c := range built.GetManifest().GetColumns() {
		var nulls, statuses int64
		for _, v := range found[c.Name] {
			if v == nil {
				nulls++
			}
		}
		for _, st := range c.Statuses {
			statuses += st.Rows
		}
		if c.Nulls != nulls || (strings.Contains(c.Name, "__") && statuses != spineRows) {
			t.Errorf("column %s: found %d NULLs and %d statuses in the manifest, expected %d and %d", c.Name, c.Nulls, statuses, nulls, spineRows)
		}
	}
	return built.GetManifest()
}

func (s *story) build(t *testing.T) {
	s.dataset = s.buildDataset(t, s.before, s.file)
	if s.dataset.Rows != spineRows || s.dataset.Position != 2 || s.dataset.State != headwaterv1.DatasetState_DATASET_STATE_RELEASED {
		t.Errorf("found manifest %v, expected %d rows at position 2, released", s.dataset, spineRows)
	}
	s.verify(t)
}

// verify computes the first dataset again.
func (s *story) verify(t *testing.T) {
	t.Helper()
	var verified headwaterv1.VerifyDatasetResponse
	s.ask(t, &verified, "dataset", "verify", s.dataset.Id)
	if !verified.Same || verified.FoundContentDigest != s.dataset.ContentDigest || verified.FoundArrowSha256 != s.dataset.ArrowSha256 ||
		len(verified.Differences) > 0 {
		t.Errorf("found %v, expected the digests of %v", &verified, s.dataset)
	}
}

// files are the titles of the loads that the lineage of a node reaches, by id.
func (s *story) files(t *testing.T, node string) map[string]string {
	t.Helper()
	var graph headwaterv1.GetLineageResponse
	s.ask(t, &graph, "lineage", "show", node, "--up")
	loads := map[string]string{}
	for _, n := range graph.Nodes {
		if strings.HasPrefix(n.Id, "load:") && reaches(&graph, n.Id, graph.Root, map[string]bool{}) {
			loads[n.Id] = n.Title
		}
	}
	return loads
}

// reaches tells whether data flows from one node to another.
func reaches(graph *headwaterv1.GetLineageResponse, from, to string, seen map[string]bool) bool {
	if from == to {
		return true
	}
	if seen[from] {
		return false
	}
	seen[from] = true
	return slices.ContainsFunc(graph.Edges, func(e *headwaterv1.LineageEdge) bool {
		return e.From == from && reaches(graph, e.To, to, seen)
	})
}

func (s *story) expectFiles(t *testing.T, node string, names ...string) {
	t.Helper()
	loads := s.files(t, node)
	if len(loads) != len(names) {
		t.Errorf("%s: found the loads %v, expected %d", node, loads, len(names))
	}
	for i, name := range names {
		title := loads[fmt.Sprintf("load:%d", i+1)]
		if !strings.Contains(title, name) || !strings.Contains(title, sha256Of(readFile(t, examples+"data/"+name))[:12]) {
			t.Errorf("%s: found load %d %q, expected %s and the beginning of its SHA-256", node, i+1, title, name)
		}
	}
}

func (s *story) lineage(t *testing.T) {
	s.expectFiles(t, "feature:airport_delays.mean_delay", weeks...)
	s.expectFiles(t, "dataset:"+s.dataset.Id, weeks...)
	var down headwaterv1.GetLineageResponse
	s.ask(t, &down, "lineage", "show", "load:2", "--down")
	for _, node := range []string{"view:airport_delays@1", "view:route_delays@1", "service:delay_model_v1@1", "dataset:" + s.dataset.Id} {
		if !slices.ContainsFunc(down.Nodes, func(n *headwaterv1.LineageNode) bool { return n.Id == node }) {
			t.Errorf("found no %s down from load 2", node)
		}
	}
}

func (s *story) again(t *testing.T) {
	var first headwaterv1.ListRunsResponse
	s.ask(t, &first, "runs", "list")
	airports, routes := s.runs(t, "--full")
	expectWrote(t, airports, "run 2: 72839 produced, 0 inserted, 0 withdrawn, 72839 unchanged, 72839 live")
	expectWrote(t, routes, "run 2: 98665 produced, 0 inserted, 0 withdrawn, 98665 unchanged, 98665 live")
	for _, r := range first.Runs {
		again := airports
		if r.View == "route_delays" {
			again = routes
		}
		if again.Digest != r.Digest || again.Fingerprint != r.Fingerprint || again.OnlineWritten != 0 {
			t.Errorf("found %v, expected the digest and fingerprint of %v and nothing written online", again, r)
		}
	}
	if out := s.must(t, "runs", "show", "airport_delays@1/2"); !strings.Contains(out, "wrote        nothing changed: no row was written\n") {
		t.Errorf("found %s, expected it to say that nothing changed", out)
	}
}

func (s *story) correct(t *testing.T) {
	var loads, listed headwaterv1.ListLoadsResponse
	s.ask(t, &loads, "ingest", "flights", examples+"data/"+correctedWeek, "--replaces", "2")
	s.ask(t, &listed, "loads", "list", "flights")
	if l := loads.Loads[0]; l.Id != 5 || l.Replaces != 2 || listed.Loads[1].ReplacedBy != 5 ||
		listed.Loads[1].State != headwaterv1.LoadState_LOAD_STATE_REPLACED {
		t.Errorf("found load %v and %v, expected 5 in the place of 2", l, listed.Loads[1])
	}
	if a, r := differing(s.after.airports, s.before.airports), differing(s.after.routes, s.before.routes); a != 16 || r != 13 {
		t.Fatalf("found %d and %d groups of the files changed, expected 16 and 13", a, r)
	}
	airports, routes := s.ended(t)
	expectWrote(t, airports, "run 3: 16459 produced, 16 inserted, 16 withdrawn, 16443 unchanged, 72839 live")
	expectWrote(t, routes, "run 3: 22283 produced, 13 inserted, 13 withdrawn, 22270 unchanged, 98665 live")
	s.readOnline(t, s.after, "ORD LAX", "ATL LGA", "SFO SEA")
	s.expectFiles(t, "feature:airport_delays.mean_delay", append(slices.Clone(weeks), correctedWeek)...)
	s.expectFiles(t, "dataset:"+s.dataset.Id, weeks...)
}

func (s *story) buildsAgain(t *testing.T) {
	s.verify(t)
	again := filepath.Join(t.TempDir(), "again.parquet")
	s.must(t, "dataset", "fetch", s.dataset.Id, "--out", again)
	if !bytes.Equal(readFile(t, again), readFile(t, s.file)) {
		t.Error("found other bytes for the dataset fetched again")
	}
	stream := filepath.Join(t.TempDir(), "again.arrows")
	s.must(t, "dataset", "fetch", s.dataset.Id, "--out", stream)
	if got := sha256Of(readFile(t, stream)); got != s.dataset.ArrowSha256 {
		t.Errorf("found SHA-256 %s of the stream, expected the manifest's %s", got, s.dataset.ArrowSha256)
	}
	then := s.buildDataset(t, s.before, filepath.Join(t.TempDir(), "then.parquet"), "--as-of", "pos:2")
	if then.ContentDigest != s.dataset.ContentDigest || then.ArrowSha256 != s.dataset.ArrowSha256 || then.Id == s.dataset.Id {
		t.Errorf("found %v as of position 2, expected another dataset of the same content as %v", then, s.dataset)
	}
	now := s.buildDataset(t, s.after, filepath.Join(t.TempDir(), "now.parquet"))
	if now.Position != 6 || now.Version != 3 {
		t.Errorf("found position %d and version %d, expected 6 and 3", now.Position, now.Version)
	}
}

func (s *story) access(t *testing.T) {
	token := strings.TrimSpace(s.must(t, "token", "create", "--principal", "delay-model", "--role", "model"))
	get := []string{"get", "--service", "delay_model_v1", "--entity", "origin=ORD,destination=LAX", "-o", "json"}
	served := s.runAs(token, get...)
	if served.code != exitDone {
		t.Fatalf("found status %d and %s, expected the model's read to be served", served.code, served.err)
	}
	var read headwaterv1.GetFeaturesResponse
	parse(t, served.out, &read)
	file := filepath.Join(t.TempDir(), "refused.parquet")
	s.runAs(token, "dataset", "build", "--service", "delay_model_v1", "--spine", examples+"data/spine.parquet", "--out", file).
		expect(t, exitDenied, "", "headwater: delay-model may not read_offline service:delay_model_v1: no grant of read_offline on "+
			"service:delay_model_v1 in roles [model]; whoever administers the roles can change that\n")
	if _, err := os.Stat(file); err == nil {
		t.Error("found a file of the refused dataset")
	}
	s.runAs(token, "ingest", "flights", examples+"data/"+weeks[0]).expect(t, exitDenied, "", "*")
	s.runAs(token, "list", "views").expect(t, exitDenied, "", "*")
	s.runAs(token, "materialize", "airport_delays").expect(t, exitDenied, "", "*")
	s.runAs(token, "audit", "list").expect(t, exitDenied, "", "*")

	var audit headwaterv1.ListAuditRecordsResponse
	s.ask(t, &audit, "audit", "list", "--principal", "delay-model")
	find := func(action headwaterv1.Action, decision headwaterv1.Decision) *headwaterv1.AuditRecord {
		i := slices.IndexFunc(audit.Records, func(r *headwaterv1.AuditRecord) bool { return r.Action == action && r.Decision == decision })
		if i < 0 {
			t.Fatalf("found no record of %s %s in %v", action, decision, &audit)
		}
		return audit.Records[i]
	}
	allowed := find(headwaterv1.Action_ACTION_READ_ONLINE, headwaterv1.Decision_DECISION_ALLOWED)
	if allowed.ReadId != read.ReadId || allowed.Resource != "service:delay_model_v1@1" ||
		!strings.Contains(allowed.Reason, "role model allows read_online on service:delay_model_v1") {
		t.Errorf("found record %v, expected that of read %s with its reason", allowed, read.ReadId)
	}
	denied := find(headwaterv1.Action_ACTION_READ_OFFLINE, headwaterv1.Decision_DECISION_DENIED)
	if denied.Resource != "service:delay_model_v1" || denied.Reason != "no grant of read_offline on service:delay_model_v1 in roles [model]" ||
		!slices.Equal(denied.Roles, []string{"model"}) {
		t.Errorf("found record %v, expected the refused build with its reason", denied)
	}
}

func sha256Of(content []byte) string {
	s := sha256.Sum256(content)
	return hex.EncodeToString(s[:])
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}
