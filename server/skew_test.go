package server

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// What a model is served is held to what it was trained on, and a sample of it to the history.
func TestSkew(t *testing.T) {
	p := newProduct(t)
	d := readers(policy("own_places", "view:delays", ownPlaces))
	d.Roles = append(d.Roles, role("lister", "list on model:*"), role("modeller", "list on model:*"),
		role("offline", "read_offline,list on service:*,view:*,source:*,dataset:*"))
	for i := range d.Services {
		if d.Services[i].Name == "small" {
			d.Services[i].Log = "all"
		}
	}
	p.apply(d)
	at := time.Now().Add(-30 * time.Hour).Truncate(time.Hour)
	var rows [][]feature.Value
	var spine [][]feature.Value
	var keys []string
	for i := range 200 {
		origin := fmt.Sprintf("A%03d", i)
		rows = append(rows, flight(origin, int64(i), at, feature.Float64(float64(i%40))))
		spine = append(spine, asked(origin, int64(i), time.Now()))
		keys = append(keys, origin)
	}
	p.ingest(flights(rows...), 0)
	p.materialize("delays")
	whole := p.as("w", "reader", "whole", "modeller")
	_, m, err := p.build(whole, "small", &headwaterv1.BuildDatasetHeader{Name: "d", AllowPartial: true}, spineOf(spine...).arrow(t))
	if err != nil {
		t.Fatal(fault.FromError(err))
	}
	for name, set := range map[string]string{"late": m.GetId(), "unknown": ""} {
		if _, err := p.lineage.RegisterModel(p.admin, &headwaterv1.RegisterModelRequest{Name: name, Service: "small", Dataset: set}); err != nil {
			t.Fatal(err)
		}
	}
	service := headwaterv1.NewQualityServiceClient(p.conn)
	skew := func(who context.Context, req *headwaterv1.GetSkewRequest) (*headwaterv1.GetSkewResponse, string) {
		r, err := service.GetSkew(who, req)
		if err != nil {
			return nil, fault.FromError(err).Message
		}
		return r, ""
	}
	if _, got := skew(whole, &headwaterv1.GetSkewRequest{Model: "late"}); !strings.HasPrefix(got, "model:late@1: no reads of service small@1 from ") || !strings.Contains(got, "keeps no log of reads (`log: all`)") {
		t.Errorf("found %s", got)
	}
	serve := func(keys []string) string {
		r, err := p.online.GetFeatures(whole, &headwaterv1.GetFeaturesRequest{Service: "small", Keys: map[string]*headwaterv1.KeyColumn{"origin": texts(keys...)}})
		if err != nil {
			t.Fatal(fault.FromError(err))
		}
		return r.GetReadId()
	}
	var reads []string
	for i := range 20 {
		reads = append(reads, serve(keys[i*10:i*10+10]))
	}
	r, refused := skew(whole, &headwaterv1.GetSkewRequest{Model: "late"})
	if refused != "" {
		t.Fatal(refused)
	}
	line := func(r *headwaterv1.GetSkewResponse) string {
		f := r.GetFeatures()[0]
		return fmt.Sprintf("%s: %d reads of %d, %d computed: %s %s, %d match, %d lag, %d differ, %d only online, %d only offline, %d not checked", r.GetBaseline(), r.GetReads(), r.GetEntities(),
			r.GetComputed(), f.GetDrift().GetName(), strings.TrimPrefix(f.GetDrift().GetVerdict().String(), "DRIFT_VERDICT_"), f.GetMatching(), f.GetLagging(), f.GetDifferent(), f.GetOnlyOnline(),
			f.GetOnlyOffline(), f.GetNotChecked())
	}
	trained := "dataset:" + m.GetId()
	// 200 rows of each cannot tell a PSI of 0.1 from chance.
	if got, want := line(r), trained+": 20 reads of 200, 20 computed: delays__delay NOT_ENOUGH_DATA, 200 match, 0 lag, 0 differ, 0 only online, 0 only offline, 0 not checked"; got != want {
		t.Errorf("found %s\nexpected %s", got, want)
	}
	if r.GetModel() != "model:late@1" || r.GetService() != "service:small@1" || len(r.GetFeatures()) != 1 {
		t.Errorf("found %v", r)
	}

	// Keys that are not there are served, of which training had none.
	for range 10 {
		serve([]string{"X1", "X2", "X3", "X4", "X5", "X6", "X7", "X8", "X9", "Y1"})
	}
	// The history is another one than what was served: another value, and one that is gone.
	for sql, origin := range map[string]string{
		"UPDATE headwater_history.delays_v1 SET delay = delay + 1000 WHERE entity_key = $1": "A000", "DELETE FROM headwater_history.delays_v1 WHERE entity_key = $1": "A011",
	} {
		if tag, err := p.pool.Exec(t.Context(), sql, origin); err != nil || tag.RowsAffected() != 1 {
			t.Fatal(tag, err)
		}
	}
	r, refused = skew(whole, &headwaterv1.GetSkewRequest{Model: "late@1", Sample: 1000})
	if refused != "" {
		t.Fatal(refused)
	}
	if got, want := line(r), trained+": 30 reads of 300, 30 computed: delays__delay FAIL, 298 match, 0 lag, 1 differ, 1 only online, 0 only offline, 0 not checked"; got != want {
		t.Errorf("found %s\nexpected %s", got, want)
	}
	f := r.GetFeatures()[0]
	if f.GetDrift().GetCompletenessChange() > -0.3 || len(f.GetExamples()) != 2 {
		t.Errorf("found %v", f)
	}
	for _, e := range f.GetExamples() {
		want := map[string]string{reads[0]: "row 0 served 0 PRESENT of run 1, history 1000 PRESENT", reads[1]: "row 1 served 11 PRESENT of run 1, history NO_ROW"}[e.GetReadId()]
		if got := fmt.Sprintf("row %d served %s of run %d, history %s", e.GetRow(), e.GetServed(), e.GetServedRun(), e.GetRecomputed()); got != want {
			t.Errorf("found %s, expected %s", got, want)
		}
	}
	// A sample is the same each time.
	some, _ := skew(whole, &headwaterv1.GetSkewRequest{Model: "late", Sample: 7})
	again, _ := skew(whole, &headwaterv1.GetSkewRequest{Model: "late", Sample: 7})
	if some.GetComputed() != 7 || line(some) != line(again) {
		t.Errorf("found %s and %s", line(some), line(again))
	}
	// A baseline that was set comes first; where nothing is known there is none.
	if _, err := service.SetBaseline(p.admin, &headwaterv1.SetBaselineRequest{Name: "agreed", Node: trained, Subject: "model:late"}); err != nil {
		t.Fatal(err)
	}
	if r, refused = skew(whole, &headwaterv1.GetSkewRequest{Model: "late"}); r.GetBaseline() != "baseline:agreed@1" {
		t.Errorf("found %s %s", r.GetBaseline(), refused)
	}
	if r, refused = skew(whole, &headwaterv1.GetSkewRequest{Model: "unknown"}); r.GetBaseline() != "" || r.GetFeatures()[0].GetDrift().GetVerdict() != headwaterv1.DriftVerdict_DRIFT_VERDICT_NO_BASELINE {
		t.Errorf("found %v %s", r, refused)
	}
	for _, c := range []struct {
		who  context.Context
		req  *headwaterv1.GetSkewRequest
		want string
	}{
		{p.as("l", "lister"), &headwaterv1.GetSkewRequest{Model: "late"}, "l may not read_offline service:small"},
		{p.as("r", "reader", "modeller"), &headwaterv1.GetSkewRequest{Model: "late"}, "policies hide some of what it serves from you"},
		{p.as("n", "reader"), &headwaterv1.GetSkewRequest{Model: "late"}, "n may not list model:late"},
		{whole, &headwaterv1.GetSkewRequest{Model: "none"}, "there is no model none"},
		{whole, &headwaterv1.GetSkewRequest{Model: "late", Since: timestamppb.New(time.Now().Add(time.Hour))}, "expected a time before that, by no more than 366 days"},
		{whole, &headwaterv1.GetSkewRequest{Model: "late", Since: timestamppb.New(at.Add(-400 * 24 * time.Hour))}, "expected a time before that, by no more than 366 days"},
		{whole, &headwaterv1.GetSkewRequest{Model: "late", Until: timestamppb.New(at.Add(-24 * time.Hour))}, "no reads of service small@1 from "},
	} {
		if _, got := skew(c.who, c.req); !strings.Contains(got, c.want) {
			t.Errorf("%v: found %q, expected %q", c.req, got, c.want)
		}
	}
	// Ids of reads are for who may list reads.
	r, refused = skew(p.as("o", "offline", "whole", "modeller"), &headwaterv1.GetSkewRequest{Model: "late", Sample: 1000})
	if refused != "" || len(r.GetFeatures()[0].GetExamples()) != 2 {
		t.Fatalf("found %v %s", r, refused)
	}
	for _, e := range r.GetFeatures()[0].GetExamples() {
		if e.GetReadId() != "" || e.GetServed() == "" {
			t.Errorf("found %v for who may not read the lineage of the service", e)
		}
	}

	// It looks through so many reads, computes so many entities again, and takes so long and a place of those of impacts.
	q := p.server.quality
	q.skewReads = 29
	_, got := skew(whole, &headwaterv1.GetSkewRequest{Model: "late"})
	if want := "skew: found more than 29 reads of service small@1 from "; !strings.HasPrefix(got, want) || !strings.HasSuffix(got, ", which is how many are looked through; ask for a shorter time: --since, --until") {
		t.Errorf("found %q, expected %q", got, want)
	}
	q.skewReads, q.skewEntities = 30, 299
	_, got = skew(whole, &headwaterv1.GetSkewRequest{Model: "late"})
	if want := "skew: found more than 299 entities in the reads of the sample, which is how many are computed again; ask for a smaller sample: --sample"; got != want {
		t.Errorf("found %q, expected %q", got, want)
	}
	q.skewEntities = 300
	if _, got = skew(whole, &headwaterv1.GetSkewRequest{Model: "late"}); got != "" {
		t.Errorf("found %q of what is within the bounds", got)
	}
	for range maxImpacts {
		q.lineage.impacts <- struct{}{}
	}
	q.lineage.impactTime = time.Second
	_, err = service.GetSkew(whole, &headwaterv1.GetSkewRequest{Model: "late"})
	wantFault(t, err, fault.ResourceExhausted, "skew: this server tells of 2 skews and impacts at a time, and none of those had ended after 1s; ask again later")
	for range maxImpacts {
		<-q.lineage.impacts
	}
	lock, err := p.pool.Begin(p.admin)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Rollback(p.admin)
	if _, err := lock.Exec(p.admin, `LOCK TABLE headwater.read_log IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	_, err = service.GetSkew(whole, &headwaterv1.GetSkewRequest{Model: "late"})
	wantFault(t, err, fault.DeadlineExceeded, "skew: found that what model late is served takes longer than 1s to tell, which is how long one may take; ask for less: "+
		"for a shorter time (--since, --until) or for a smaller sample (--sample)")
}
