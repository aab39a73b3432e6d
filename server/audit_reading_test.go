package server

import (
	"context"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// auditedReading is what a record says of what was read, a line.
func auditedReading(r *headwaterv1.AuditRecord) string {
	line := fmt.Sprintf("%s x%d %s returned %d hidden %d", r.GetMethod()[strings.LastIndexByte(r.GetMethod(), '/')+1:], r.GetCalls(), r.GetResourceVersion(),
		r.GetRowsReturned(), r.GetRowsHidden())
	for _, list := range []struct {
		name  string
		names []string
	}{
		{"asked", r.GetAsked()},
		{"returned", r.GetReturned()},
		{"masked", r.GetMasked()},
		{"filtered by", r.GetFilteredBy()},
		{"columns", r.GetSourceColumns()},
		{"rules", r.GetRules()},
	} {
		if len(list.names) > 0 {
			line += "; " + list.name + " " + strings.Join(list.names, " ")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.GetAttributes())) {
		line += "; " + name + " " + strings.Join(r.GetAttributes()[name].GetValues(), ",")
	}
	line += "; " + r.GetUse()
	if r.GetAsOf() != "" {
		line += " as of " + r.GetAsOf()
	}
	if r.GetDataset() != "" {
		line += " a dataset"
	}
	if r.GetEntitiesHash() != "" {
		line += " of entities"
	}
	return line
}

// What a record says of each way in which data is given out.
func TestAuditSaysWhatWasRead(t *testing.T) {
	p := newProduct(t)
	d := readers(
		policy("own_places", "view:delays", ownPlaces),
		policy("own_flights", "source:flights", ownPlaces),
		policy("rounded", "feature:delays.delay", func(p *feature.Policy) {
			p.Mask = &feature.Mask{Kind: feature.MaskRound, To: "10", ComputeUnmasked: []string{"risk.high"}}
			p.ExceptRoles = []string{"whole"}
		}),
		policy("timeless", "feature:delays.left_at", func(p *feature.Policy) {
			p.Mask, p.ExceptRoles = &feature.Mask{Kind: feature.MaskRedact}, []string{"whole"}
		}),
	)
	d.Views = append(d.Views, onDemandView("risk", nil, []feature.ViewRef{{Name: "delays"}},
		[3]string{"high", "bool", "delays.delay > 30.0"}, [3]string{"half", "float64", "delays.delay / 2.0"}))
	d.Services = append(d.Services, feature.Service{Name: "scored", Views: []feature.ServiceView{{View: "delays", Features: []string{"delay", "left_at"}}, {View: "risk"}}})
	revision := p.apply(d).GetRegistryRevision()
	at := time.Now().Add(-3 * time.Hour).Truncate(time.Microsecond)
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(34)), flight("JFK", 7, at, feature.Float64(8))), 0)
	p.materialize("delays", "recent", "traffic")
	spine := spineOf(asked("ORD", 7, time.Now()), asked("JFK", 7, time.Now()), asked("LAX", 7, time.Now()))

	get := func(service string, origins ...string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := p.online.GetFeatures(ctx, &headwaterv1.GetFeaturesRequest{Service: service, Keys: map[string]*headwaterv1.KeyColumn{"origin": texts(origins...)}})
			return err
		}
	}
	build := func(header *headwaterv1.BuildDatasetHeader, arrow []byte) func(context.Context) error {
		return func(ctx context.Context) error {
			_, _, err := p.build(ctx, "scored", header, arrow)
			return err
		}
	}
	const (
		all  = "delays@1.delay delays@1.left_at risk@1.high risk@1.half"
		held = "; asked " + all + "; returned delays@1.delay risk@1.high risk@1.half; masked delays@1.delay delays@1.left_at risk@1.half; " +
			"filtered by delays@1.words; columns flights.date flights.delay flights.origin flights.words; " +
			"rules reader#1 own_places@1 rounded@1 timeless@1; places from ORD; "
		whole = "; asked " + all + "; returned " + all + "; columns flights.date flights.delay flights.origin; rules reader#1; "
	)
	for i, c := range []struct {
		what  string
		roles string
		do    func(context.Context) error
		want  []string
	}{
		{"a row that is hidden, masks, and what is computed past one", "reader west", get("scored", "ORD", "JFK", "LAX"), []string{
			"GetFeatures x1 service:scored@1 returned 1 hidden 1" + held + "serving of entities",
		}},
		{"reads that no policy is about, twice", "reader whole", func(ctx context.Context) error {
			if err := get("scored", "ORD", "JFK", "LAX")(ctx); err != nil {
				return err
			}
			return get("scored", "ORD")(ctx)
		}, []string{
			"GetFeatures x2 service:scored@1 returned 3 hidden 0" + whole + "serving",
		}},
		{"a dataset, and having it again", "reader west", func(ctx context.Context) error {
			_, m, err := p.build(ctx, "scored", &headwaterv1.BuildDatasetHeader{Name: "d", AsOf: "pos:3", AllowPartial: true}, spine.arrow(t))
			if err != nil {
				return err
			}
			_, _, err = p.fetch(ctx, m.GetId())
			return err
		}, []string{
			"BuildDataset x1 service:scored@1 returned 1 hidden 1" + held + "training as of pos:3 a dataset of entities",
			"FetchDataset x1 service:scored@1 returned 1 hidden 1" + held + "training a dataset of entities",
		}},
		{"a spine that the server reads", "reader whole", build(func() *headwaterv1.BuildDatasetHeader {
			h := eventsHeader(&headwaterv1.SpineEvents{Source: "flights", Columns: []string{"origin"}})
			h.Name, h.AllowPartial = "e", true
			return h
		}(), nil), []string{
			"BuildDataset x1 service:scored@1 returned 2 hidden 0" + whole + "training a dataset of entities",
			"BuildDataset x1 source:flights@1 returned 2 hidden 0; columns flights.date flights.origin; rules reader#1; training a dataset",
		}},
		{"a spine of rows that the reader sees", "reader west", build(func() *headwaterv1.BuildDatasetHeader {
			h := eventsHeader(&headwaterv1.SpineEvents{Source: "flights", Columns: []string{"origin"}})
			h.Name, h.AllowPartial = "e", true
			return h
		}(), nil), []string{
			"BuildDataset x1 service:scored@1 returned 1 hidden 0" + held + "training a dataset of entities",
			"BuildDataset x1 source:flights@1 returned 1 hidden 1; columns flights.date flights.origin; rules reader#1 own_flights@1; training a dataset",
		}},
		{"what is denied gives nothing", "west", func(ctx context.Context) error {
			if err := get("scored", "ORD")(ctx); err == nil {
				return fmt.Errorf("found an answer")
			}
			return nil
		}, nil},
	} {
		t.Run(c.what, func(t *testing.T) {
			who := fmt.Sprint("reader", i)
			if err := c.do(p.as(who, strings.Fields(c.roles)...)); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range p.recordsOf(who) {
				if len(r.GetAsked()) > 0 || r.GetRowsReturned() > 0 || r.GetRowsHidden() > 0 {
					got = append(got, auditedReading(r))
				}
				if r.GetPolicyVersion() != revision {
					t.Errorf("found policies of revision %d, expected %d, in %s", r.GetPolicyVersion(), revision, auditedReading(r))
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("found\n%s\nexpected\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}

	// The hash is that of the read log where a read is of one entity, and tells sets of them apart.
	ctx := p.as("hashes", "reader", "west")
	for _, origins := range [][]string{{"ORD"}, {"ORD"}, {"JFK"}, {"ORD", "JFK"}, {"JFK", "ORD"}} {
		if err := get("scored", origins...)(ctx); err != nil {
			t.Fatal(err)
		}
	}
	var hashes []string
	for _, r := range p.recordsOf("hashes") {
		if r.GetEntitiesHash() != "" {
			hashes = append(hashes, r.GetEntitiesHash())
		}
	}
	key := "ORD"
	one := hex.EncodeToString(p.server.reads.Hash(p.server.reads.HashVersion(), "airport", key)[:16])
	slices.Sort(hashes)
	if len(hashes) != 5 || len(slices.Compact(slices.Clone(hashes))) != 4 || !slices.Contains(hashes, one) {
		t.Errorf("found the hashes %q, expected four, %s twice among them", hashes, one)
	}
}

// recordsOf are the audit records of a principal.
func (p *product) recordsOf(principal string) []*headwaterv1.AuditRecord {
	p.t.Helper()
	r, err := p.access.ListAuditRecords(p.admin, &headwaterv1.ListAuditRecordsRequest{Principal: principal, PageSize: 1000})
	if err != nil {
		p.t.Fatal(err)
	}
	return r.GetRecords()
}
