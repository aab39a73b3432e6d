package server

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/definition"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// A feature is as sensitive as what it is made of, whatever its own tags; what was logged before stays as it was written.
func TestFeaturesMadeOfSensitiveColumnsAreHashed(t *testing.T) {
	p := newProduct(t)
	d := logging("all", "small")
	p.apply(d)
	p.ingest(flights(flight("ORD", 7, time.Now().Add(-time.Hour), feature.Float64(1))), 0)
	p.materialize("delays")
	request := &headwaterv1.GetFeaturesRequest{Service: "small", Keys: map[string]*headwaterv1.KeyColumn{"origin": texts("ORD")}}
	plain := p.loggedRead(p.readModel(request).GetReadId()).GetRead()
	d.Sources[0].Column("delay").Tags = []string{"pii"}
	p.apply(d)
	valueHashed := p.loggedRead(p.readModel(request).GetReadId()).GetRead()
	d.Sources[0].Column("origin").Tags = []string{"sensitive"}
	p.apply(d)
	allHashed := p.loggedRead(p.readModel(request).GetReadId()).GetRead()
	for _, c := range []struct {
		read       *headwaterv1.LoggedRead
		keys, text string
	}{{plain, "", "keys true, values true"}, {valueHashed, "", "keys true, values false"}, {allHashed, "ORD", "keys false, values false"}} {
		f := c.read.GetFeatures()[0]
		if got := fmt.Sprintf("keys %t, values %t", len(c.read.GetKeys()[0].GetHashes()) == 0, len(f.GetDigest()) == 0 && len(f.GetValues().GetFloat64S()) == 1); got != c.text {
			t.Errorf("found %s, expected %s: %v", got, c.text, c.read)
		}
		request := &headwaterv1.VerifyReadRequest{ReadId: c.read.GetReadId()}
		if c.keys != "" {
			request.Keys = map[string]*headwaterv1.KeyColumn{"origin": texts(c.keys)}
		}
		if v, err := p.reads().VerifyRead(p.admin, request); err != nil || v.GetMatching() != 1 || v.GetNotChecked() != 0 {
			t.Errorf("%s: found %v, %v", c.text, v, err)
		}
	}
	list, err := p.reads().ListReads(p.admin, &headwaterv1.ListReadsRequest{Entity: "airport", Keys: map[string]*headwaterv1.Value{"origin": texts("ORD").Values[0]}})
	if err != nil || len(list.GetReads()) != 3 {
		t.Errorf("found %v, %v", list, err)
	}
}

// Tags flow through SQL, aggregations and expressions as they were analysed, and `describe` says from where, to who may know.
func TestDescribeShowsEffectiveTags(t *testing.T) {
	p := newProduct(t)
	d := onDemand()
	source := &d.Sources[0]
	source.Column("delay").Tags, source.Column("words").Tags, source.Column("date").Tags = []string{"pii"}, []string{"free_text"}, []string{"when"}
	for i := range d.Views {
		if d.Views[i].Name == "mix" {
			d.Views[i].OnDemand.Inputs[1].Tags = []string{"typed"}
		}
	}
	d.Views = append(d.Views, feature.View{
		Name: "means", Entity: "airport", Features: []feature.Column{{Name: "mean", Type: feature.TypeFloat64}, {Name: "flights", Type: feature.TypeInt64, Tags: []string{"counted"}}},
		Aggregation: &feature.Aggregation{Source: "flights", Hop: time.Hour, Aggregates: []feature.Aggregate{
			{Feature: "mean", Function: feature.Mean, Column: "delay", Window: time.Hour, Where: "words <> 'x'"},
			{Feature: "flights", Function: feature.Count, Window: time.Hour, Where: "delay > 0"},
		}},
		Declassify: []feature.Declassification{{Column: "mean", Tags: []string{"pii"}, Reason: "it is of many"}},
	})
	d.Roles = []feature.Role{role("reader", "list on view:*")}
	p.apply(d)
	for _, c := range []struct {
		kind       headwaterv1.DefinitionKind
		name, want string
	}{
		{headwaterv1.DefinitionKind_DEFINITION_KIND_SOURCE, "flights", `date when [source:flights.date]
delay pii [source:flights.delay]
words free_text [source:flights.words]
`},
		{headwaterv1.DefinitionKind_DEFINITION_KIND_VIEW, "delays", `event_time when [source:flights.date]
delay pii [source:flights.delay]
words free_text [source:flights.words]
late pii [source:flights.delay]
left_at when [source:flights.date]
`},
		{headwaterv1.DefinitionKind_DEFINITION_KIND_VIEW, "means", `event_time when [source:flights.date]
available_at when [source:flights.date]
flights counted [view:means.flights]
`},
		{headwaterv1.DefinitionKind_DEFINITION_KIND_VIEW, "mix", `share pii [source:flights.delay]
label free_text [source:flights.words]
label typed [view:mix.request.note]
age when [source:flights.date]
`},
		{headwaterv1.DefinitionKind_DEFINITION_KIND_VIEW, "verdict", "bad pii [source:flights.delay]\n"},
	} {
		r, err := p.registry.GetDefinition(p.admin, &headwaterv1.GetDefinitionRequest{Kind: c.kind, Name: c.name})
		if err != nil {
			t.Fatal(err)
		}
		if got := tagLines(r); got != c.want {
			t.Errorf("%s: found\n%s\nexpected\n%s", c.name, got, c.want)
		}
	}
	r, err := p.registry.GetDefinition(p.as("ada", "reader"), &headwaterv1.GetDefinitionRequest{Kind: headwaterv1.DefinitionKind_DEFINITION_KIND_VIEW, Name: "mix"})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := tagLines(r), "share pii []\nlabel free_text []\nlabel typed [view:mix.request.note]\nage when []\n"; got != want {
		t.Errorf("found\n%s\nexpected\n%s", got, want)
	}
}

func tagLines(r *headwaterv1.GetDefinitionResponse) string {
	var b strings.Builder
	for _, c := range r.GetColumnTags() {
		fmt.Fprintln(&b, c.GetColumn(), c.GetTag(), c.GetFrom())
	}
	return b.String()
}

// Who stops a tag must be allowed to administer it; what is applied already is not asked about again, unless the view is another.
func TestStoppingATagIsForWhoAdministersIt(t *testing.T) {
	p := newProduct(t)
	d := definitions()
	d.Sources[0].Column("delay").Tags = []string{"pii"}
	d.Roles = []feature.Role{
		role("author", "register,list on view:*,source:*,entity:*,service:*,role:*", "read_offline,read_online on view:*,source:*"),
		role("steward", "administer on tag:pii"),
	}
	p.apply(d)
	d.Roles, d.Services = nil, nil
	apply := func(ctx context.Context) error {
		_, err := p.registry.Apply(ctx, &headwaterv1.ApplyRequest{Files: []*headwaterv1.DefinitionSource{{Path: "all.yaml", File: definition.ToProto(d)}}})
		return err
	}
	author, steward := p.as("ada", "author"), p.as("eve", "author", "steward")
	if err := apply(author); err != nil {
		t.Fatal(err)
	}
	delays := &d.Views[0]
	delays.Declassify = []feature.Declassification{{Column: "delay", Tags: []string{"pii"}, Reason: "it is of a flight"}}
	denied := "ada may not administer tag:pii: no grant of administer on tag:pii in roles [author]; whoever administers the roles can change that"
	wantFault(t, apply(author), fault.PermissionDenied, denied)
	_, err := p.registry.Plan(author, &headwaterv1.PlanRequest{Files: []*headwaterv1.DefinitionSource{{Path: "all.yaml", File: definition.ToProto(d)}}})
	wantFault(t, err, fault.PermissionDenied, denied)
	if err := apply(steward); err != nil {
		t.Fatal(err)
	}
	delays.Docs.Description = "How late flights were."
	if err := apply(author); err != nil {
		t.Errorf("other words: %v", err)
	}
	// The column that stays untagged would be made of something else.
	query := delays.SQL.Query
	delays.SQL.Query = strings.Replace(query, "origin, delay,", "origin, delay * 2 AS delay,", 1)
	wantFault(t, apply(author), fault.PermissionDenied, denied)
	delays.SQL.Query = query
	delays.Declassify[0].Reason = "because"
	wantFault(t, apply(author), fault.PermissionDenied, denied)
	records, err := p.access.ListAuditRecords(p.admin, &headwaterv1.ListAuditRecordsRequest{Principal: "eve", Resource: "tag:pii"})
	if err != nil || len(records.GetRecords()) != 1 || records.GetRecords()[0].GetAction() != headwaterv1.Action_ACTION_ADMINISTER {
		t.Errorf("found %v, %v", records, err)
	}
}
