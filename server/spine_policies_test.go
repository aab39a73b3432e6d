package server

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// spineAt is when the events of these tests were.
var spineAt = time.Date(2001, 1, 1, 0, 30, 0, 0, time.UTC)

// spineProduct has three events, of which who has the role west sees one.
func spineProduct(t *testing.T, policies ...feature.Policy) (*product, func(...feature.Policy)) {
	p := newProduct(t)
	apply := func(policies ...feature.Policy) {
		d := readers(policies...)
		d.Sources[0].UniqueKey, d.Sources[0].Conflicting = []string{"number"}, feature.KeepNewest
		p.apply(d)
	}
	apply(policies...)
	p.ingest(flights(
		// Another row of the key is the one that counts: that it is hidden does not bring this one back.
		flight("ORD", 8, spineAt.Add(-time.Hour), feature.Float64(77)), flight("ORD", 7, spineAt.Add(-time.Hour), feature.Float64(66)),
		flight("ORD", 7, spineAt, feature.Float64(34)), flight("JFK", 8, spineAt.Add(-time.Minute), feature.Float64(8)), flight("LAX", 9, spineAt.Add(time.Hour), feature.Float64(3))), 0)
	p.materialize("delays")
	return p, apply
}

// Rows that a policy hides are not there for a spine that the server reads, whatever its SQL does, and are counted nowhere.
func TestSpinesHaveOnlyRowsThatAreSeen(t *testing.T) {
	filter := policy("own_places", "source:flights", ownPlaces)
	p, apply := spineProduct(t, filter)
	west, whole, none := p.as("w", "reader", "west"), p.as("x", "reader", "whole"), p.as("y", "reader")
	sql := func(text string) *headwaterv1.BuildDatasetHeader { return queryHeader(text, "flights") }
	for name, c := range map[string]struct {
		header   *headwaterv1.BuildDatasetHeader
		expected string
	}{
		"events": {eventsHeader(&headwaterv1.SpineEvents{Source: "flights", Columns: []string{"origin", "number"}}), "2001-01-01T00:30:00Z ORD 7 34"},
		"interval": {eventsHeader(&headwaterv1.SpineEvents{Source: "flights", Columns: []string{"origin"}, From: timestamppb.New(spineAt.Add(-2 * time.Hour))}),
			"2001-01-01T00:30:00Z ORD 34"},
		"counted":     {sql("SELECT 'ORD' AS origin, max(date) AS timestamp, count(*) AS n FROM flights"), "ORD 2001-01-01T00:30:00Z 1 34"},
		"failing":     {sql("SELECT origin, date AS timestamp, 1 / (number - 8) AS x FROM flights"), "ORD 2001-01-01T00:30:00Z -1 34"},
		"failing too": {sql("SELECT origin, date AS timestamp FROM flights WHERE 1 / (number - 8) < 5 AND words::text || '' <> 'x'"), "ORD 2001-01-01T00:30:00Z 34"},
		"joined":      {sql("SELECT a.origin, a.date AS timestamp, b.number FROM flights a LEFT JOIN flights b ON b.number = a.number + 1"), "ORD 2001-01-01T00:30:00Z ∅ 34"},
	} {
		arrow, m, err := p.build(west, "small", c.header, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := strings.Join(readRows(t, arrow), "\n"); got != c.expected {
			t.Errorf("%s: found\n%s\nexpected\n%s", name, got, c.expected)
		}
		src := m.GetSpineOrigin().GetSources()[0]
		if src.GetRowsRead() != 1 || len(src.GetLeftOut()) != 0 || len(src.GetRules()) != 1 || src.GetRules()[0].GetAbout() != "source:flights@1" ||
			src.GetRules()[0].GetDoes() != `rows where words is "from ORD"` {
			t.Errorf("%s: found %v, expected what is seen", name, src)
		}
		if n := p.count(`SELECT sum(rows) FROM (SELECT rows FROM headwater.dataset_source WHERE dataset_id = $1 UNION ALL SELECT rows FROM headwater.dataset_load WHERE dataset_id = $1) AS r`, m.GetId()); n != 2 {
			t.Errorf("%s: found %d rows in the lineage", name, n)
		}
		// The spine is kept: it is had again as it was, by those who see no less.
		for _, ctx := range []context.Context{west, whole} {
			if again, _, err := p.fetch(ctx, m.GetId()); err != nil || !bytes.Equal(again, arrow) {
				t.Errorf("%s: found other bytes, %v", name, err)
			}
		}
		_, _, err = p.fetch(none, m.GetId())
		denied(t, name, err, "policy own_places@1 hides some of source:flights@1 from you that the spine was read with")
	}
	_, _, err := p.build(whole, "small", eventsHeader(&headwaterv1.SpineEvents{Source: "flights", Columns: []string{"number"}}), nil)
	if fault.FromError(err) == nil {
		t.Errorf("found %v, expected a spine without the key to be refused", err)
	}
	_, m, err := p.build(whole, "small", eventsHeader(&headwaterv1.SpineEvents{Source: "flights"}), nil)
	if err != nil {
		t.Fatal(err)
	}
	if src := m.GetSpineOrigin().GetSources()[0]; src.GetRowsRead() != 5 || len(src.GetLeftOut()) != 1 || len(src.GetRules()) != 0 {
		t.Errorf("found %v of one who sees everything", src)
	}
	_, _, err = p.fetch(west, m.GetId())
	denied(t, "what was built with more", err, "policy own_places@1 hides some of source:flights@1")
	if r, err := p.datasets.GetDataset(west, &headwaterv1.GetDatasetRequest{Dataset: m.GetId()}); err != nil || r.GetManifest().GetColumns()[0].GetSummary().GetMin() != nil {
		t.Errorf("found %v, %v, expected no values", r.GetManifest().GetColumns()[0], err)
	}
	// Whoever has what was built with less loses it when the rules hide all.
	_, m, err = p.build(west, "small", eventsHeader(&headwaterv1.SpineEvents{Source: "flights"}), nil)
	if err != nil {
		t.Fatal(err)
	}
	apply(policy("own_places", "source:flights", func(p *feature.Policy) { p.RowFilter = "false" }))
	_, _, err = p.fetch(west, m.GetId())
	denied(t, "under other rules", err, "hides some of")
	apply(policy("own_places", "view:recent", roundTo("1")))
	if v, err := p.datasets.VerifyDataset(west, &headwaterv1.VerifyDatasetRequest{Dataset: m.GetId()}); err != nil || !v.GetSame() {
		t.Errorf("found %v, %v", v, err)
	}
	apply(policy("broken", "source:flights", func(p *feature.Policy) { p.RowFilter = "row.region == 'x'" }))
	_, _, err = p.build(west, "small", eventsHeader(&headwaterv1.SpineEvents{Source: "flights"}), nil)
	denied(t, "a filter that cannot be kept", err, "policy broken@1 decides on rows of source:flights@1, and cannot: found no column called region")
}

// Columns of a source that are masked are so in a spine that the server reads, before its SQL sees them.
func TestSpinesAreMasked(t *testing.T) {
	masks := func(change func(*feature.Mask)) func(*feature.Policy) {
		return func(p *feature.Policy) {
			p.Mask, p.ExceptRoles = &feature.Mask{}, []string{"whole"}
			change(p.Mask)
		}
	}
	tagged := func(policies ...feature.Policy) *feature.Definitions {
		d := readers(policies...)
		for i := range d.Sources[0].Columns {
			if c := &d.Sources[0].Columns[i]; c.Name == "delay" || c.Name == "words" || c.Name == "date" {
				c.Tags = []string{"of_" + c.Name}
			}
		}
		return d
	}
	p := newProduct(t)
	rounded := policy("rounded", "tag:of_delay", masks(func(m *feature.Mask) { m.Kind, m.Bounds = feature.MaskBucket, []string{"0", "10"} }))
	hashed := policy("hashed", "tag:of_words", masks(func(m *feature.Mask) { m.Kind, m.Key = feature.MaskHash, "words" }))
	p.apply(tagged(rounded, hashed))
	p.ingest(flights(flight("ORD", 7, spineAt, feature.Float64(34)), flight("JFK", 8, spineAt.Add(-time.Minute), feature.Float64(8))), 0)
	p.materialize("delays")
	west, whole := p.as("w", "reader", "west"), p.as("x", "reader", "whole")
	rows := func(header *headwaterv1.BuildDatasetHeader) string {
		t.Helper()
		arrow, m, err := p.build(west, "small", header, nil)
		if err != nil {
			t.Error(err)
			return ""
		}
		if again, _, err := p.fetch(west, m.GetId()); err != nil || !bytes.Equal(again, arrow) {
			t.Errorf("fetched other bytes, %v", err)
		}
		if again, _, err := p.fetch(whole, m.GetId()); err != nil || !bytes.Equal(again, arrow) {
			t.Errorf("fetched other bytes, %v", err)
		}
		if rules := m.GetSpineOrigin().GetSources()[0].GetRules(); len(rules) < 2 {
			t.Errorf("found the rules %v", rules)
		}
		return strings.Join(readRows(t, arrow), "\n")
	}
	// A mask of the tag holds for the feature too, which is behind.
	if got, want := rows(queryHeader("SELECT origin, date AS timestamp, delay AS d, delay > 10 AS much FROM flights WHERE delay < 11 AND delay >= 0 ORDER BY origin", "flights")),
		"JFK 2001-01-01T00:29:00Z 0 false 0\nORD 2001-01-01T00:30:00Z 10 false 10"; got != want {
		t.Errorf("found\n%s\nexpected\n%s", got, want)
	}
	got := rows(eventsHeader(&headwaterv1.SpineEvents{Source: "flights", Columns: []string{"origin", "delay", "words"}}))
	if strings.Contains(got, "from") || !strings.HasPrefix(got, "2001-01-01T00:29:00Z JFK 0 ") {
		t.Errorf("found\n%s\nexpected hashes", got)
	}
	for _, sql := range []string{"SELECT origin, date AS timestamp, words FROM flights", "SELECT origin, date AS timestamp FROM flights WHERE words > 'a'",
		"SELECT origin, date AS timestamp, length(f::text) AS n FROM flights f"} {
		_, _, err := p.build(west, "small", queryHeader(sql, "flights"), nil)
		if f := fault.FromError(err); f == nil || !strings.Contains(f.Message, "policy hashed@1 masks flights.words by what SQL cannot do") && f.Reason != fault.InvalidSQL {
			t.Errorf("%s: found %v, expected a refusal", sql, err)
		}
	}
	if _, _, err := p.build(whole, "small", queryHeader("SELECT origin, date AS timestamp, words FROM flights", "flights"), nil); err != nil {
		t.Errorf("found %v of one who sees everything", err)
	}
	// A masked event time is masked wherever it is, and bounds do not ask for it.
	p.apply(tagged(policy("days", "tag:of_date", masks(func(m *feature.Mask) { m.Kind, m.To = feature.MaskTruncate, "day" })), hashed))
	header := eventsHeader(&headwaterv1.SpineEvents{Source: "flights", Columns: []string{"origin"}})
	header.AllowPartial = true
	// In the order in which the rows came.
	if got, want := rows(header), "2001-01-01T00:00:00Z ORD ∅\n2001-01-01T00:00:00Z JFK ∅"; got != want {
		t.Errorf("found\n%s\nexpected\n%s", got, want)
	}
	header = queryHeader("SELECT origin, event_time AS timestamp, date AS d, extract(minute FROM event_time)::bigint AS m FROM flights ORDER BY origin", "flights")
	header.AllowPartial = true
	if got, want := rows(header), "JFK 2001-01-01T00:00:00Z 2001-01-01T00:00:00Z 0 ∅\nORD 2001-01-01T00:00:00Z 2001-01-01T00:00:00Z 0 ∅"; got != want {
		t.Errorf("found\n%s\nexpected\n%s", got, want)
	}
	_, _, err := p.build(west, "small", eventsHeader(&headwaterv1.SpineEvents{Source: "flights", From: timestamppb.New(spineAt)}), nil)
	denied(t, "bounds", err, "policy days@1 masks flights.date, its event time, which bounds of the spine would tell of; leave out from and to")
}
