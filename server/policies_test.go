package server

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/definition"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/tabular"
	"github.com/headwaterhq/headwater/internal/wire"
)

func policy(name, about string, change func(p *feature.Policy)) feature.Policy {
	p := feature.Policy{Name: name}
	for _, pattern := range strings.Split(about, ",") {
		kind, name, _ := strings.Cut(pattern, ":")
		p.Resources = append(p.Resources, feature.ResourcePattern{Kind: kind, Name: name})
	}
	change(&p)
	return p
}

// readers is definitions with people who may read everything, under the policies given.
func readers(policies ...feature.Policy) *feature.Definitions {
	d := definitions()
	reads := role("reader", "read_online,read_offline,list,read_lineage on service:*,view:*,source:*,dataset:*")
	west := feature.Role{Name: "west", Attributes: map[string][]string{"places": {"from ORD"}}}
	d.Roles = []feature.Role{reads, west, {Name: "whole"}}
	d.Policies = policies
	return d
}

func ownPlaces(p *feature.Policy) {
	p.RowFilter, p.ExceptRoles, p.Owner = "row.words in principal.places", []string{"whole"}, "privacy"
}

func roundTo(to string) func(*feature.Policy) {
	return func(p *feature.Policy) {
		p.Mask, p.ExceptRoles = &feature.Mask{Kind: feature.MaskRound, To: to}, []string{"whole"}
	}
}

// shownColumns are the features that are compared.
var shownColumns = []string{"delays__delay", "delays__words", "recent__delay", "traffic__delay"}

// onlineRows are the values and statuses of an answer, a line per row.
func onlineRows(t testing.TB, r *headwaterv1.GetFeaturesResponse, n int) []string {
	t.Helper()
	rows := make([][]string, n)
	for _, f := range r.GetFeatures() {
		if !slices.Contains(shownColumns, f.GetName()) {
			continue
		}
		for i := range rows {
			v, err := wire.FromVector(f.GetValues(), i)
			if err != nil {
				t.Fatal(err)
			}
			rows[i] = append(rows[i], v.Text()+"/"+strings.TrimPrefix(wire.StatusAt(f.GetValues(), i).String(), "VALUE_STATUS_"))
		}
	}
	return rowLines(rows)
}

// offlineRows are onlineRows of a dataset with statuses.
func offlineRows(t testing.TB, stream []byte) []string {
	t.Helper()
	r, err := tabular.NewStreamReader(bytes.NewReader(stream))
	if err != nil {
		t.Fatal(err)
	}
	columns := r.Columns
	var rows [][]string
	for row, err := range r.Rows() {
		if err != nil {
			t.Fatal(err)
		}
		var values []string
		for i := range columns {
			if slices.Contains(shownColumns, columns[i].Name) {
				values = append(values, row[i].Text()+"/"+row[i+1].Text())
			}
		}
		rows = append(rows, values)
	}
	return rowLines(rows)
}

func rowLines(rows [][]string) (lines []string) {
	for _, row := range rows {
		lines = append(lines, strings.Join(row, " | "))
	}
	return lines
}

func (p *product) tryApply(ctx context.Context, d *feature.Definitions) error {
	_, err := p.registry.Apply(ctx, &headwaterv1.ApplyRequest{Files: []*headwaterv1.DefinitionSource{{Path: "all.yaml", File: definition.ToProto(d)}}})
	return err
}

// The same people see the same rows and the same values in a dataset and online.
func TestOnePolicyInBothStores(t *testing.T) {
	p := newProduct(t)
	p.apply(readers(policy("own_places", "view:delays", ownPlaces), policy("rounded", "feature:traffic.delay,feature:delays.delay", roundTo("10"))))
	at := time.Now().Add(-3 * time.Hour).Truncate(time.Microsecond)
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(34)), flight("JFK", 7, at, feature.Float64(8))), 0)
	p.materialize("delays", "recent", "traffic")
	request := &headwaterv1.GetFeaturesRequest{Service: "model", Keys: map[string]*headwaterv1.KeyColumn{
		"origin": texts("ORD", "JFK"), "number": numbers(7, 7),
	}}
	spine := spineOf(asked("ORD", 7, time.Now()), asked("JFK", 7, time.Now())).arrow(t)
	ids := map[string]string{}
	for _, c := range []struct {
		who      string
		roles    []string
		expected [2]string
	}{
		{"whole", []string{"reader", "whole"}, [2]string{
			"34/PRESENT | from ORD/PRESENT | 34/PRESENT | 34/PRESENT", "8/PRESENT | from JFK/PRESENT | 8/PRESENT | 8/PRESENT"}},
		{"west", []string{"reader", "west"}, [2]string{
			"30/MASKED | from ORD/PRESENT | 34/PRESENT | 30/MASKED", "/NO_ROW | /NO_ROW | 8/PRESENT | 10/MASKED"}},
		{"none", []string{"reader"}, [2]string{
			"/NO_ROW | /NO_ROW | 34/PRESENT | 30/MASKED", "/NO_ROW | /NO_ROW | 8/PRESENT | 10/MASKED"}},
	} {
		ctx := p.as(c.who, c.roles...)
		response, err := p.online.GetFeatures(ctx, request)
		if err != nil {
			t.Fatal(err)
		}
		if rows := onlineRows(t, response, 2); !slices.Equal(rows, c.expected[:]) {
			t.Errorf("%s, online: found\n%s\nexpected\n%s", c.who, strings.Join(rows, "\n"), strings.Join(c.expected[:], "\n"))
		}
		arrow, m, err := p.build(ctx, "model", &headwaterv1.BuildDatasetHeader{Name: "d", WithStatuses: true, AllowPartial: true}, spine)
		if err != nil {
			t.Fatal(err)
		}
		if rows := offlineRows(t, arrow); !slices.Equal(rows, c.expected[:]) {
			t.Errorf("%s, offline: found\n%s\nexpected\n%s", c.who, strings.Join(rows, "\n"), strings.Join(c.expected[:], "\n"))
		}
		ids[c.who] = m.GetId()
		if again, _, err := p.fetch(ctx, m.GetId()); err != nil || !bytes.Equal(again, arrow) {
			t.Errorf("%s: found other bytes of an own dataset, %v", c.who, err)
		}
		if v, err := p.datasets.VerifyDataset(ctx, &headwaterv1.VerifyDatasetRequest{Dataset: m.GetId()}); err != nil || !v.GetSame() {
			t.Errorf("%s: found %v, %v", c.who, v, err)
		}
		if hides := len(m.GetPolicy().GetRules()) > 0; hides == (c.who == "whole") {
			t.Errorf("%s: found the rules %v", c.who, m.GetPolicy().GetRules())
		}
	}
	// Whoever sees less gets nothing of what was built with more; who sees all of it gets the same bytes.
	west, whole := p.as("w", "reader", "west"), p.as("x", "reader", "whole")
	_, _, err := p.fetch(west, ids["whole"])
	if f := fault.FromError(err); f == nil || f.Reason != fault.PermissionDenied || !strings.Contains(f.Message, "hides some of") {
		t.Errorf("found %v, expected a denial", err)
	}
	for _, id := range []string{ids["west"], ids["none"]} {
		if _, _, err := p.fetch(whole, id); err != nil {
			t.Errorf("found %v of one who sees everything", err)
		}
	}
	if _, _, err := p.fetch(p.as("n", "reader"), ids["west"]); fault.FromError(err).Reason != fault.PermissionDenied {
		t.Errorf("found %v, expected a denial", err)
	}
	// What was built is had again also after the policies have changed, by those who may.
	p.apply(readers(policy("own_places", "view:delays", func(p *feature.Policy) { p.RowFilter = "false" })))
	if _, _, err := p.fetch(west, ids["west"]); fault.FromError(err).Reason != fault.PermissionDenied {
		t.Errorf("found %v, expected a denial", err)
	}
	p.apply(readers(policy("own_places", "view:recent", roundTo("1"))))
	if v, err := p.datasets.VerifyDataset(whole, &headwaterv1.VerifyDatasetRequest{Dataset: ids["west"]}); err != nil || !v.GetSame() {
		t.Errorf("found %v, %v", v, err)
	}
}

func TestRequirementsOfReads(t *testing.T) {
	p := newProduct(t)
	p.apply(readers(
		policy("for_delays", "source:flights", func(p *feature.Policy) {
			p.Require, p.Owner = &feature.Requirement{Purposes: []string{"delays"}, Licence: "terms of flights"}, "legal"
		}),
		policy("no_training", "service:small", func(p *feature.Policy) { p.Require = &feature.Requirement{Uses: []string{feature.UseServing}} }),
		policy("elsewhere", "view:recent", func(p *feature.Policy) { p.Require = &feature.Requirement{Regions: []string{"mars"}} }),
	))
	at := time.Now().Add(-3 * time.Hour).Truncate(time.Microsecond)
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(34))), 0)
	p.materialize("delays", "recent", "traffic")
	ctx := p.as("reader", "reader")
	ask := func(service, purpose string) error {
		_, err := p.online.GetFeatures(ctx, &headwaterv1.GetFeaturesRequest{Service: service, Purpose: purpose, Keys: map[string]*headwaterv1.KeyColumn{
			"origin": texts("ORD"),
		}})
		return err
	}
	for _, c := range []struct{ service, purpose, expected string }{
		{"small", "", "policy for_delays@1 of source:flights asks for a purpose, found none, expected one of delays; say it with --purpose; its terms: terms of flights; ask legal"},
		{"small", "marketing", "found marketing, expected one of delays"},
		{"small", "delays", ""},
		{"model", "delays", "policy elsewhere@1 of view:recent@1 is served in mars, found a server that was not told its region (HEADWATER_REGION)"},
	} {
		err := ask(c.service, c.purpose)
		f := fault.FromError(err)
		if c.expected == "" && err != nil || c.expected != "" && (f == nil || f.Reason != fault.PermissionDenied || !strings.Contains(f.Message, c.expected)) {
			t.Errorf("%s for %q: found %v, expected %q", c.service, c.purpose, err, c.expected)
		}
	}
	_, _, err := p.build(ctx, "small", &headwaterv1.BuildDatasetHeader{Name: "d", Purpose: "delays", AllowPartial: true}, spineOf(asked("ORD", 7, at)).arrow(t))
	if f := fault.FromError(err); f == nil || !strings.Contains(f.Message, "policy no_training@1 of service:small@1 allows the use for serving, found training") {
		t.Errorf("found %v", err)
	}
	// Having a dataset again is a reading of its own, for a purpose of its own.
	built := &headwaterv1.BuildDatasetHeader{Name: "d", Purpose: "delays", AllowPartial: true, Features: []string{"delays.delay"}}
	_, m, err := p.build(ctx, "", built, spineOf(asked("ORD", 7, at)).arrow(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, purpose := range []string{"", "marketing", "delays"} {
		_, _, err := p.fetchFor(ctx, m.GetId(), purpose)
		_, err2 := p.datasets.VerifyDataset(ctx, &headwaterv1.VerifyDatasetRequest{Dataset: m.GetId(), Purpose: purpose})
		_, err3 := p.datasets.DiffDatasets(ctx, &headwaterv1.DiffDatasetsRequest{A: m.GetId(), B: m.GetId(), Purpose: purpose})
		for _, err := range []error{err, err2, err3} {
			if f := fault.FromError(err); (err == nil) != (purpose == "delays") || err != nil && !strings.Contains(f.Message, "policy for_delays@1 of source:flights asks for a purpose, found "+cmp.Or(purpose, "none")) {
				t.Errorf("for %q: found %v", purpose, err)
			}
		}
	}
	var governed, denied int
	for _, r := range p.records(p.admin) {
		switch {
		case strings.Contains(r.GetReason(), "under policies for_delays@1, no_training@1, which hide nothing") && r.GetReadId() != "":
			governed++
		case r.GetDecision() == headwaterv1.Decision_DECISION_DENIED && strings.Contains(r.GetReason(), "for_delays@1"):
			denied++
		}
	}
	// Two reads, and three calls for two purposes that are not allowed.
	if governed != 1 || denied != 2+6 {
		t.Errorf("found %d records of reads under policies and %d of denials, expected 1 and 8", governed, denied)
	}
}

// A policy that cannot be kept denies, and rows are shown whole or not at all where they are not read through a plan.
func TestPoliciesThatHideDeny(t *testing.T) {
	p := newProduct(t)
	p.apply(readers(policy("broken", "view:recent", func(p *feature.Policy) { p.RowFilter = "row.region == 'x'" })))
	at := time.Now().Add(-3 * time.Hour).Truncate(time.Microsecond)
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(34))), 0)
	p.materialize("delays", "recent", "traffic")
	ctx := p.as("reader", "reader")
	_, err := p.online.GetFeatures(ctx, &headwaterv1.GetFeaturesRequest{Features: []string{"recent.delay"}, Keys: map[string]*headwaterv1.KeyColumn{"origin": texts("ORD")}})
	if f := fault.FromError(err); f == nil || f.Reason != fault.PermissionDenied || !strings.Contains(f.Message, "policy broken@1 decides on rows of view recent@1, and cannot: found no column called region") {
		t.Errorf("found %v", err)
	}
	// A mask of a whole source is of its event time too, and leaves no time to join at.
	p.apply(readers(policy("sources", "source:flights", roundTo("10")), policy("own_places", "view:delays", ownPlaces)))
	_, _, err = p.build(ctx, "small", eventsHeader(&headwaterv1.SpineEvents{Source: "flights", Columns: []string{"origin", "number"}}), nil)
	if f := fault.FromError(err); f == nil || f.Reason != fault.InvalidSpine || !strings.Contains(f.Message, "NULL") {
		t.Errorf("found %v", err)
	}
	// A view of a view would show what is hidden of it.
	author := readers(policy("own_places", "view:delays", ownPlaces))
	author.Roles[0] = role("reader", "read_online,read_offline,list,register on service:*,view:*,source:*,entity:*,role:*,policy:*,dataset:*")
	p.apply(author)
	over := readers(policy("own_places", "view:delays", ownPlaces))
	over.Roles[0] = author.Roles[0]
	over.Views = append(over.Views, feature.View{Name: "copy", Entity: "airport", Features: []feature.Column{{Name: "words", Type: feature.TypeString}},
		SQL: &feature.SQLTransform{Views: []feature.ViewRef{{Name: "delays"}}, Query: "SELECT origin, words, event_time, available_at FROM delays WHERE event_time >= {{interval.start}} AND event_time < {{interval.end}}"}})
	if err := p.tryApply(ctx, over); fault.FromError(err) == nil || fault.FromError(err).Reason != fault.PermissionDenied {
		t.Errorf("found %v, expected a denial", err)
	}
	if err := p.tryApply(p.as("w", "reader", "whole"), over); err != nil {
		t.Errorf("found %v of one who sees everything", err)
	}
}

// What a view is made of must be readable, whole, for who applies it: not again where nothing of the view but its words is another.
func TestWhoAppliesAViewReadsItsInputs(t *testing.T) {
	p := newProduct(t)
	author := func(policies ...feature.Policy) *feature.Definitions {
		d := readers(policies...)
		d.Roles = append(d.Roles, role("author", "register,list on view:*,service:*,source:*,entity:*,role:*,policy:*", "read_online,read_offline on view:*"),
			role("reads", "read_offline on source:*"))
		return d
	}
	p.apply(author())
	changed := func(d *feature.Definitions) *feature.Definitions {
		d.Views[0].SQL.Query += " AND delay IS NOT NULL"
		return d
	}
	blind, reads := p.as("blind", "author"), p.as("reads", "author", "reads")
	if err := p.tryApply(blind, author()); err != nil {
		t.Errorf("found %v of what is applied already", err)
	}
	if f := fault.FromError(p.tryApply(blind, changed(author()))); f == nil || !strings.Contains(f.Message, "blind may not read_offline source:flights") {
		t.Errorf("found %v", f)
	}
	masked := policy("sources", "source:flights", roundTo("10"))
	p.apply(author(masked))
	if err := p.tryApply(reads, author(masked)); err != nil {
		t.Errorf("found %v of what is applied already", err)
	}
	if f := fault.FromError(p.tryApply(reads, changed(author(masked)))); f == nil || !strings.Contains(f.Message, "policy sources@1 hides some of source:flights from you, and what is made of its rows would show that; let the change be applied by somebody for whom it does not hold (it excepts the roles whole), or have a role of yours excepted") {
		t.Errorf("found %v", f)
	}
	if err := p.tryApply(p.as("whole", "author", "reads", "whole"), changed(author(masked))); err != nil {
		t.Errorf("found %v of one who sees everything", err)
	}
}
