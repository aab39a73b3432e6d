package server

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// A licence that does not name export refuses a dataset that is built, or had again, for export.
func TestLicencesAskForTheUse(t *testing.T) {
	p := newProduct(t)
	allow := func(uses ...string) {
		p.apply(readers(policy("terms", "source:flights", func(p *feature.Policy) { p.Require = &feature.Requirement{Uses: uses, Licence: "terms of flights"} })))
	}
	allow(feature.UseTraining)
	p.ingest(flights(flight("ORD", 7, time.Now().Add(-time.Hour), feature.Float64(34))), 0)
	p.materialize("delays")
	ctx := p.as("reader", "reader")
	spine := spineOf(asked("ORD", 7, time.Now())).arrow(t)
	build := func(use string) (*headwaterv1.Manifest, error) {
		_, m, err := p.build(ctx, "small", &headwaterv1.BuildDatasetHeader{AllowPartial: true, Use: use}, spine)
		return m, err
	}
	fetch := func(id, use string) error {
		stream, err := p.datasets.FetchDataset(ctx, &headwaterv1.FetchDatasetRequest{Dataset: id, Use: use})
		if err == nil {
			_, _, err = collect(stream.Recv)
		}
		return err
	}
	m, err := build("")
	if err != nil || m.GetUse() != "" {
		t.Fatalf("found the use %q, %v", m.GetUse(), err)
	}
	if m, err := build("training"); err != nil || m.GetUse() != "" {
		t.Errorf("found the use %q, %v", m.GetUse(), err)
	}
	refused := "policy terms@1 of source:flights allows the use for training, found export; its terms: terms of flights"
	_, err = build("export")
	denied(t, "building", err, refused)
	denied(t, "fetching", fetch(m.GetId(), "export"), refused)
	if err := fetch(m.GetId(), ""); err != nil {
		t.Errorf("found %v of training", err)
	}
	if _, err := build("serving"); fault.FromError(err) == nil || fault.FromError(err).Reason != fault.InvalidArgument {
		t.Errorf("found %v of what is no use of a dataset", err)
	}
	allow(feature.UseExport)
	if m, err := build("export"); err != nil || m.GetUse() != "export" {
		t.Errorf("found the use %q, %v", m.GetUse(), err)
	}
	if err := fetch(m.GetId(), "export"); err != nil {
		t.Errorf("found %v", err)
	}
	denied(t, "training", fetch(m.GetId(), "training"), "allows the use for export, found training")
	if !slices.ContainsFunc(p.records(p.admin), func(r *headwaterv1.AuditRecord) bool {
		return r.GetReason() == "under policies terms@2, which hide nothing" && r.GetUse() == "export"
	}) {
		t.Error("found no record of the export")
	}
}

// The times of a row are masked as their tags are, and not shown where no value of it is.
func TestProvenanceIsMasked(t *testing.T) {
	p := newProduct(t)
	define := func(policies ...feature.Policy) {
		d := readers(policies...)
		d.Sources[0].Columns[0].Tags = []string{"when"}
		d.Services[1].Log = "all"
		p.apply(d)
	}
	mask := func(m feature.Mask) func(*feature.Policy) {
		return func(p *feature.Policy) { p.Mask, p.ExceptRoles = &m, []string{"whole"} }
	}
	define(policy("days", "tag:when", mask(feature.Mask{Kind: feature.MaskTruncate, To: "day"})))
	at := time.Now().Add(-3 * time.Hour).Truncate(time.Microsecond)
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(34))), 0)
	p.materialize("delays", "recent")
	reader, whole := p.as("reader", "reader"), p.as("whole", "reader", "whole")
	read := func(who string, encoding headwaterv1.FeatureEncoding) *headwaterv1.GetFeaturesResponse {
		t.Helper()
		ctx := reader
		if who == "whole" {
			ctx = whole
		}
		r, err := p.online.GetFeatures(ctx, &headwaterv1.GetFeaturesRequest{Service: "small", WithProvenance: true, Encoding: encoding, Keys: map[string]*headwaterv1.KeyColumn{"origin": texts("ORD", "JFK")}})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	micros := int64(feature.TimeOf(at))
	for _, encoding := range []headwaterv1.FeatureEncoding{0, headwaterv1.FeatureEncoding_FEATURE_ENCODING_ARROW} {
		v := read("whole", encoding).GetProvenance()[0]
		if v.GetEventTimes()[0] != micros || v.GetAvailableAts()[0] != micros || v.GetRunSeqs()[0] == 0 {
			t.Errorf("found %v of one who sees everything", v)
		}
		r := read("reader", encoding)
		v = r.GetProvenance()[0]
		day := int64(feature.TimeOf(at.UTC().Truncate(24 * time.Hour)))
		if v.GetEventTimes()[0] != day || v.GetRunSeqs()[0] != 0 || v.GetAges()[0] != r.GetServedAt().AsTime().UnixMicro()-day || v.GetEventTimes()[1] != 0 || v.GetAges()[1] != 0 {
			t.Errorf("found %v, expected the beginning of the day", v)
		}
		if v.GetAvailableAts()[0] != micros {
			t.Errorf("found %v, expected an arrival that has no tag", v)
		}
	}
	// What is logged is whole, and so verified.
	checked := read("reader", 0).GetReadId()
	eventually(t, "the read to be in the log", func() bool {
		_, err := p.reads().GetRead(p.admin, &headwaterv1.GetReadRequest{ReadId: checked})
		return err == nil
	})
	for _, kind := range []feature.MaskKind{feature.MaskRedact, feature.MaskHash} {
		define(policy("days", "tag:when", mask(feature.Mask{Kind: kind, Key: "k"})))
		if v := read("reader", 0).GetProvenance()[0]; v.GetEventTimes()[0] != 0 || v.GetRunSeqs()[0] != 0 || v.GetAges()[0] != 0 {
			t.Errorf("%s: found %v, expected no time", kind, v)
		}
	}
	define(policy("days", "feature:delays.delay", mask(feature.Mask{Kind: feature.MaskRedact})))
	if v := read("reader", 0).GetProvenance()[0]; v.GetEventTimes()[0] != 0 || v.GetAvailableAts()[0] != 0 || v.GetRunSeqs()[0] != 0 || v.GetAges()[0] != 0 {
		t.Errorf("found %v of a row of which no value is shown", v)
	}
	if v := read("whole", 0).GetProvenance()[0]; v.GetEventTimes()[0] != micros {
		t.Errorf("found %v of one who sees everything", v)
	}
}

// A dataset whose policies cannot be followed any more does not keep an entity from being erased.
func TestForgetGoesOnWhereADatasetIsLost(t *testing.T) {
	p := newProduct(t)
	p.apply(readers(policy("rounded", "feature:delays.delay", roundTo("10"))))
	at := time.Now().Add(-3 * time.Hour).Truncate(time.Microsecond)
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(34)), flight("JFK", 7, at, feature.Float64(8))), 0)
	p.materialize("delays")
	ctx := p.as("reader", "reader")
	_, m, err := p.build(ctx, "small", &headwaterv1.BuildDatasetHeader{AllowPartial: true}, spineOf(asked("ORD", 7, time.Now()), asked("JFK", 7, time.Now())).arrow(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.pool.Exec(t.Context(), `UPDATE headwater.dataset SET manifest = jsonb_set(manifest::jsonb, '{policies,0,policy}', '"gone@9"') WHERE id = $1`, m.GetId()); err != nil {
		t.Fatal(err)
	}
	request := &headwaterv1.ForgetRequest{Entity: "airport", Reason: "asked", Keys: map[string]*headwaterv1.Value{"origin": {Kind: &headwaterv1.Value_StringValue{StringValue: "ORD"}}}, DryRun: true}
	if _, err := p.retention.Forget(p.admin, request); err != nil {
		t.Fatal(err)
	}
	request.DryRun = false
	r, err := p.retention.Forget(p.admin, request)
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, e := range r.GetErasure().GetErased() {
		found = found || e.GetName() == m.GetId() && e.GetRows() == 1 && strings.Contains(e.GetNote(), "what is left cannot be computed: dataset "+m.GetId()+" cannot be had again: policy gone@9")
	}
	if !found {
		t.Errorf("found %v, expected the dataset with why it was not computed", r.GetErasure().GetErased())
	}
	if n := p.count(`SELECT count(*) FROM headwater_history.delays_v1 WHERE words = 'from ORD'`); n != 0 {
		t.Errorf("found %d rows of what was erased", n)
	}
}
