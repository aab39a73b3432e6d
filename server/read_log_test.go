package server

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// logging are the definitions of tests, with a log of a service's reads.
func logging(log feature.ReadLog, services ...string) *feature.Definitions {
	d := definitions()
	for i := range d.Services {
		for _, name := range services {
			if d.Services[i].Name == name {
				d.Services[i].Log = log
			}
		}
	}
	return d
}

func (p *product) reads() headwaterv1.ReadLogServiceClient {
	return headwaterv1.NewReadLogServiceClient(p.conn)
}

func (p *product) loggedRead(id string) *headwaterv1.GetReadResponse {
	p.t.Helper()
	r, err := p.reads().GetRead(p.admin, &headwaterv1.GetReadRequest{ReadId: id})
	if err != nil {
		p.t.Fatal(err)
	}
	return r
}

// keepAgain puts another read in the place of one.
func (p *product) keepAgain(r *headwaterv1.LoggedRead) {
	p.t.Helper()
	record, err := proto.Marshal(r)
	if err == nil {
		_, err = p.pool.Exec(context.Background(), `UPDATE headwater.read_log SET record = $2 WHERE read_id = $1`, r.GetReadId(), record)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *product) readModel(request *headwaterv1.GetFeaturesRequest) *headwaterv1.GetFeaturesResponse {
	p.t.Helper()
	r, err := p.online.GetFeatures(p.admin, request)
	if err != nil {
		p.t.Fatal(err)
	}
	return r
}

// noFileHolds fails for files in a folder that have a text.
func noFileHolds(t *testing.T, folder, text string) {
	t.Helper()
	for path, found := range testenv.Files(t, folder) {
		if strings.Contains(found, text) {
			t.Errorf("%s holds %s", path, text)
		}
	}
}

func TestAReadIsLoggedWhole(t *testing.T) {
	p := newProduct(t)
	p.apply(logging("all", "model"))
	now := time.Now().UTC().Truncate(time.Second)
	old, fresh := now.Add(-48*time.Hour), now.Add(-time.Hour)
	p.ingest(flights(flight("ORD", 7, old, feature.Float64(1)), flight("ORD", 7, fresh, feature.Float64(20)), flight("JFK", 8, old, feature.Null())), 0)
	p.materialize("delays", "recent", "traffic")
	request := &headwaterv1.GetFeaturesRequest{
		Service: "model", Purpose: "checkout", PredictionId: "p-1", Keys: map[string]*headwaterv1.KeyColumn{
			"airport": {Values: append(texts("ORD", "JFK", "LAX").Values, null())},
			"number":  numbers(7, 8, 7, 7),
		}, KeyMapping: map[string]string{"origin": "airport"},
	}
	answer := p.readModel(request)
	got := p.loggedRead(answer.GetReadId())
	r := got.GetRead()
	head := fmt.Sprintln(got.GetShown(), r.GetService(), r.GetServiceVersion(), r.GetLog(), r.GetPrincipal(), r.GetPurpose(), r.GetPredictionId(), r.GetEntities(),
		r.GetKeyMapping(), r.GetServedAt().AsTime().Equal(answer.GetServedAt().AsTime()), r.GetPosition() == answer.GetPosition(), len(r.GetErased()))
	if want := "true model 1 all ada checkout p-1 4 map[origin:airport] true true 0\n"; head != want {
		t.Errorf("found %s\nexpected %s", head, want)
	}
	keys := ""
	for _, k := range r.GetKeys() {
		keys += fmt.Sprintf("%s@%d %v %q %v\n", k.GetEntity(), k.GetEntityVersion(), k.GetColumns(), k.GetKeys(), k.GetWithout())
	}
	if want := "airport@1 [airport] [\"ORD\" \"JFK\" \"LAX\" \"\"] [3]\nroute@1 [airport number] [\"ORD|7\" \"JFK|8\" \"LAX|7\" \"\"] [3]\n"; keys != want {
		t.Errorf("found the keys\n%s\nexpected\n%s", keys, want)
	}
	again := &headwaterv1.GetFeaturesResponse{}
	for _, f := range r.GetFeatures() {
		again.Features = append(again.Features, &headwaterv1.FeatureVector{Name: f.GetName(), Values: f.GetValues()})
	}
	if found, want := vectors(again), vectors(answer); found != want {
		t.Errorf("found the values\n%s\nexpected\n%s", found, want)
	}
	runs := ""
	for _, v := range r.GetProvenance() {
		runs += fmt.Sprintf("%s@%d %v %d\n", v.GetView(), v.GetViewVersion(), v.GetRunSeqs(), len(v.GetAges()))
	}
	if want := "delays@1 [1 1 0 0] 0\nrecent@1 [1 0 0 0] 0\ntraffic@1 [1 1 0 0] 0\n"; runs != want {
		t.Errorf("found the runs\n%s\nexpected\n%s", runs, want)
	}

	// Found by each of what it can be found by, and by nothing else.
	for name, c := range map[string]struct {
		request *headwaterv1.ListReadsRequest
		want    int
	}{
		"all":             {&headwaterv1.ListReadsRequest{}, 1},
		"service":         {&headwaterv1.ListReadsRequest{Service: "model"}, 1},
		"version":         {&headwaterv1.ListReadsRequest{Service: "model@1"}, 1},
		"another service": {&headwaterv1.ListReadsRequest{Service: "small"}, 0},
		"prediction":      {&headwaterv1.ListReadsRequest{PredictionId: "p-1"}, 1},
		"no prediction":   {&headwaterv1.ListReadsRequest{PredictionId: "p-2"}, 0},
		"entity":          {&headwaterv1.ListReadsRequest{Entity: "airport", Keys: map[string]*headwaterv1.Value{"origin": texts("LAX").Values[0]}}, 1},
		"no entity":       {&headwaterv1.ListReadsRequest{Entity: "airport", Keys: map[string]*headwaterv1.Value{"origin": texts("SFO").Values[0]}}, 0},
		"since":           {&headwaterv1.ListReadsRequest{Since: r.GetServedAt()}, 1},
		"until":           {&headwaterv1.ListReadsRequest{Until: r.GetServedAt()}, 0},
	} {
		list, err := p.reads().ListReads(p.admin, c.request)
		if err != nil || len(list.GetReads()) != c.want || list.GetNext() != "" {
			t.Errorf("%s: found %v, %v", name, list, err)
		} else if c.want == 1 && (list.GetReads()[0].GetReadId() != r.GetReadId() || list.GetReads()[0].GetFeatures() != nil) {
			t.Errorf("%s: found %v", name, list.GetReads()[0])
		}
	}
	var count string
	err := p.pool.QueryRow(context.Background(), `SELECT string_agg(view || ' ' || run_seq || ' ' || reads || ' ' || rows, ', ' ORDER BY view) FROM headwater.read_log_count`).Scan(&count)
	if want := "delays 1 1 2, recent 1 1 1, traffic 1 1 2"; err != nil || count != want {
		t.Errorf("found %s, %v, expected %s", count, err, want)
	}

	verified, err := p.reads().VerifyRead(p.admin, &headwaterv1.VerifyReadRequest{ReadId: r.GetReadId()})
	if err != nil || verified.GetMatching() != 28 || len(verified.GetDifferences()) > 0 {
		t.Errorf("found %v, %v", verified, err)
	}
	if _, err := p.pool.Exec(context.Background(), `UPDATE headwater_history.delays_v1 SET delay = 21 WHERE entity_key = 'ORD' AND delay = 20`); err != nil {
		t.Fatal(err)
	}
	verified, err = p.reads().VerifyRead(p.admin, &headwaterv1.VerifyReadRequest{ReadId: r.GetReadId()})
	if err != nil || verified.GetDifferent() != 1 || verified.GetMatching() != 27 || len(verified.GetDifferences()) != 1 {
		t.Fatalf("found %v, %v", verified, err)
	}
	d := verified.GetDifferences()[0]
	if d.GetFeature() != "delays__delay" || d.GetRow() != 0 || d.GetServed() != "20 PRESENT" || d.GetRecomputed() != "21 PRESENT" || d.GetServedRun() != 1 {
		t.Errorf("found %v", d)
	}

	// What is logged is not what is declared no more.
	p.apply(logging("", "model"))
	id := p.readModel(request).GetReadId()
	_, err = p.reads().GetRead(p.admin, &headwaterv1.GetReadRequest{ReadId: id})
	if f := fault.FromError(err); f == nil || f.Reason != fault.NotFound || !strings.Contains(f.Message, `no read "`+id+`" is kept: its service keeps no log of reads`) {
		t.Errorf("found %v", err)
	}
}

func TestAVerifiedReadTellsLag(t *testing.T) {
	p := newProduct(t)
	p.apply(logging("all", "small"))
	now := time.Now().UTC().Truncate(time.Second)
	p.ingest(flights(flight("ORD", 7, now.Add(-2*time.Hour), feature.Float64(1))), 0)
	p.materialize("delays")
	request := &headwaterv1.GetFeaturesRequest{Service: "small", Keys: map[string]*headwaterv1.KeyColumn{"origin": texts("ORD")}}
	answer := p.readModel(request)
	p.ingest(flights(flight("ORD", 7, now.Add(-time.Hour), feature.Float64(2))), 0)
	p.materialize("delays")
	// As if the second run had been published before the read, and loaded after it.
	r := p.loggedRead(answer.GetReadId()).GetRead()
	r.Position = 2
	p.keepAgain(r)
	verified, err := p.reads().VerifyRead(p.admin, &headwaterv1.VerifyReadRequest{ReadId: r.GetReadId()})
	if err != nil || verified.GetLagging() != 1 || verified.GetMatching() != 0 {
		t.Fatalf("found %v, %v", verified, err)
	}
	if d := verified.GetDifferences()[0]; d.GetVerdict() != headwaterv1.ReadVerdict_READ_VERDICT_LAG || d.GetWhy() != "it is what run delays@1/1 published, before that of the read's position was loaded" || d.GetServed() != "1 PRESENT" {
		t.Errorf("found %v", d)
	}
}

func TestReadsThatCannotBeKept(t *testing.T) {
	p := openProductWith(t, Config{PostgresURL: testenv.PostgresURL(t), RedisURL: testenv.RedisURL(t), ReadLogBytes: 1})
	d := logging("all", "model")
	for i := range d.Services {
		if d.Services[i].Name == "small" {
			d.Services[i].Log = "sample 1"
		}
	}
	p.apply(d)
	p.ingest(flights(flight("ORD", 7, time.Now().Add(-time.Hour), feature.Float64(1))), 0)
	p.materialize("delays", "recent", "traffic")
	all := &headwaterv1.GetFeaturesRequest{Service: "model", Keys: map[string]*headwaterv1.KeyColumn{"origin": texts("ORD"), "number": numbers(7)}}
	sampled := &headwaterv1.GetFeaturesRequest{Service: "small", Keys: map[string]*headwaterv1.KeyColumn{"origin": texts("ORD")}}
	_, err := p.online.GetFeatures(p.admin, all)
	f := fault.FromError(err)
	if f == nil || f.Reason != fault.ReadLogUnavailable || f.Message != "service model keeps all of its reads, and this one cannot be kept: the log holds as many reads as it may, "+
		"for Postgres does not take them, so it is not answered; see the server's log, and the disk of its read log folder" {
		t.Errorf("found %v", err)
	}
	p.readModel(sampled)
	list, err := p.reads().ListReads(p.admin, &headwaterv1.ListReadsRequest{})
	if err != nil || len(list.GetReads()) != 0 {
		t.Errorf("found %v, %v", list, err)
	}
	scrape := httptest.NewRecorder()
	p.server.MetricsHandler().ServeHTTP(scrape, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, line := range []string{
		`headwater_read_log_reads_total{outcome="dropped"} 1`, `headwater_read_log_reads_total{outcome="refused"} 1`, `headwater_read_log_reads_total{outcome="kept"} 0`,
		`headwater_read_log_pending_reads 0`, `headwater_read_log_queued_reads 0`,
	} {
		if !strings.Contains(scrape.Body.String(), line+"\n") {
			t.Errorf("the metrics do not have %s", line)
		}
	}
	if text := p.log.String(); strings.Count(text, `msg="the read log is full`) != 1 || strings.Count(text, `msg="sampled reads are dropped`) != 1 {
		t.Errorf("found the log\n%s", text)
	}
}

func TestSensitiveKeysAndValuesAreHashed(t *testing.T) {
	p := newProduct(t)
	d := logging("all", "small")
	for i := range d.Entities {
		if d.Entities[i].Name == "airport" {
			d.Entities[i].JoinKeys[0].Tags = []string{"pii"}
		}
	}
	for i := range d.Views {
		if d.Views[i].Name == "delays" {
			d.Views[i].Features[0].Tags = []string{"sensitive"}
		}
	}
	p.apply(d)
	p.ingest(flights(flight("ORD-secret", 7, time.Now().Add(-time.Hour), feature.Float64(1))), 0)
	p.materialize("delays")
	answer := p.readModel(&headwaterv1.GetFeaturesRequest{Service: "small", Keys: map[string]*headwaterv1.KeyColumn{"origin": texts("ORD-secret", "JFK-secret")}})
	r := p.loggedRead(answer.GetReadId()).GetRead()
	if strings.Contains(r.String(), "secret") || len(r.GetKeys()[0].GetHashes()) != 2 || len(r.GetFeatures()[0].GetDigest()) != 32 || len(r.GetFeatures()[0].GetValues().GetFloat64S()) != 0 {
		t.Errorf("found %v", r)
	}
	noFileHolds(t, p.server.config.ReadLogDir, "secret")
	verify := func(keys map[string]*headwaterv1.KeyColumn) (*headwaterv1.VerifyReadResponse, error) {
		return p.reads().VerifyRead(p.admin, &headwaterv1.VerifyReadRequest{ReadId: r.GetReadId(), Keys: keys})
	}
	if v, err := verify(nil); err != nil || v.GetNotChecked() != 2 {
		t.Errorf("found %v, %v", v, err)
	}
	if v, err := verify(map[string]*headwaterv1.KeyColumn{"origin": texts("ORD-secret", "JFK-secret")}); err != nil || v.GetMatching() != 2 {
		t.Errorf("found %v, %v", v, err)
	}
	_, err := verify(map[string]*headwaterv1.KeyColumn{"origin": texts("JFK-secret", "ORD-secret")})
	if f := fault.FromError(err); f == nil || f.Message != "keys: row 1: found another airport than the read was of" {
		t.Errorf("found %v", err)
	}
	list, err := p.reads().ListReads(p.admin, &headwaterv1.ListReadsRequest{Entity: "airport", Keys: map[string]*headwaterv1.Value{"origin": texts("JFK-secret").Values[0]}})
	if err != nil || len(list.GetReads()) != 1 {
		t.Errorf("found %v, %v", list, err)
	}
}

// A read that has a row is of a publication, also where the server has not heard of the first one yet; and one that was answered when that
// was published and not loaded is what was so before.
func TestReadsAboutTheFirstPublication(t *testing.T) {
	p := newProduct(t)
	p.apply(logging("all", "small"))
	p.ingest(flights(flight("ORD", 7, time.Now().Add(-time.Hour), feature.Float64(20))), 0)
	request := &headwaterv1.GetFeaturesRequest{Service: "small", Keys: map[string]*headwaterv1.KeyColumn{"origin": {Strings: []string{"ORD"}}}}
	before := p.readModel(request)
	p.materialize("delays")
	verify := func(id string) *headwaterv1.VerifyReadResponse {
		t.Helper()
		v, err := p.reads().VerifyRead(p.admin, &headwaterv1.VerifyReadRequest{ReadId: id})
		if err != nil {
			t.Fatal(fault.FromError(err))
		}
		return v
	}
	p.server.head.position.Store(0)
	after := p.readModel(request)
	if before.GetPosition() != 0 || after.GetPosition() != 1 || p.loggedRead(after.GetReadId()).GetRead().GetPosition() != 1 || vectors(after) != "delays__delay 20/PRESENT\n" {
		t.Errorf("found position %d, then %d with %s", before.GetPosition(), after.GetPosition(), vectors(after))
	}
	if v := verify(after.GetReadId()); v.GetMatching() != 1 {
		t.Errorf("found %v", v)
	}
	if v := verify(before.GetReadId()); v.GetMatching() != 1 {
		t.Errorf("found %v of a read before it", v)
	}
	r := p.loggedRead(before.GetReadId()).GetRead()
	r.Position = 1
	p.keepAgain(r)
	v := verify(before.GetReadId())
	if v.GetLagging() != 1 || v.GetDifferences()[0].GetWhy() != "it is what was so before the first run of delays@1 was loaded" {
		t.Errorf("found %v of a read while it was not loaded", v)
	}
}
