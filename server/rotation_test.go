package server

import (
	"bytes"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// A mask key that is rotated gives other hashes, in both stores at once. Datasets say by which version theirs were made, and are had again as they
// were, also by those who are held to the newer one.
func TestMaskKeysAreRotated(t *testing.T) {
	p := newProduct(t)
	d := readers(policy("hashed", "feature:delays.words", func(p *feature.Policy) {
		p.Mask, p.ExceptRoles = &feature.Mask{Kind: feature.MaskHash, Key: "customers"}, []string{"whole"}
	}))
	d.Services[1].Views[0].Features = []string{"delay", "words"}
	p.apply(d)
	at := time.Now().Add(-3 * time.Hour).Truncate(time.Microsecond)
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(34))), 0)
	p.materialize("delays")
	reader := p.as("reader", "reader")
	spine := spineOf(asked("ORD", 7, time.Now())).arrow(t)
	build := func(version int32) (stream []byte, id, shown string) {
		t.Helper()
		stream, m, err := p.build(reader, "small", &headwaterv1.BuildDatasetHeader{AllowPartial: true, WithStatuses: true}, spine)
		if err != nil {
			t.Fatal(err)
		}
		rules := m.GetPolicy().GetRules()
		if len(rules) != 1 || rules[0].GetKeyVersion() != version || rules[0].GetAbout() != "delays@1.words" {
			t.Errorf("found the rules %v in the manifest, expected one by version %d of the key", rules, version)
		}
		r, err := p.online.GetFeatures(reader, &headwaterv1.GetFeaturesRequest{Service: "small", Keys: map[string]*headwaterv1.KeyColumn{"origin": texts("ORD")}})
		if err != nil {
			t.Fatal(err)
		}
		rows, online := offlineRows(t, stream), onlineRows(t, r, 1)
		if len(rows) != 1 || len(online) != 1 || rows[0] != online[0] {
			t.Errorf("found %q in a dataset and %q online", rows, online)
		}
		return stream, m.GetId(), online[0]
	}
	first, id, before := build(1)
	if _, err := p.access.RotateMaskKey(p.admin, &headwaterv1.RotateMaskKeyRequest{Name: "customers"}); err != nil {
		t.Fatal(err)
	}
	second, _, after := build(2)
	if before == after || bytes.Equal(first, second) {
		t.Errorf("found %q before and %q after", before, after)
	}
	again := func(roles ...string) ([]byte, error) {
		stream, err := p.datasets.FetchDataset(p.as("reader", roles...), &headwaterv1.FetchDatasetRequest{Dataset: id})
		if err != nil {
			return nil, err
		}
		got, _, err := collect(stream.Recv)
		return got, err
	}
	for _, roles := range [][]string{{"reader"}, {"reader", "whole"}} {
		if got, err := again(roles...); err != nil || !bytes.Equal(got, first) {
			t.Errorf("%q: found %v of a dataset by the version of before, the same bytes: %t", roles, err, bytes.Equal(got, first))
		}
	}
	verified, err := p.datasets.VerifyDataset(p.as("reader", "reader", "whole"), &headwaterv1.VerifyDatasetRequest{Dataset: id})
	if err != nil || !verified.GetSame() {
		t.Errorf("found %v, %v", verified, err)
	}
}

// Who may not see the values of a kept read, and from whom a policy hides rows of a view, is not told by the read when those rows were, or which run wrote them.
func TestKeptReadsDoNotTellOfHiddenRows(t *testing.T) {
	p := newProduct(t)
	d := readers(policy("own_places", "view:delays", ownPlaces))
	d.Services[1].Log = "all"
	d.Roles = append(d.Roles, role("auditor", "read_lineage on service:*"))
	p.apply(d)
	at := time.Now().Add(-3 * time.Hour).Truncate(time.Microsecond)
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(34)), flight("JFK", 7, at, feature.Float64(8))), 0)
	p.materialize("delays")
	r, err := p.online.GetFeatures(p.as("whole", "reader", "whole"),
		&headwaterv1.GetFeaturesRequest{Service: "small", Keys: map[string]*headwaterv1.KeyColumn{"origin": texts("ORD", "JFK")}})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		roles []string
		told  bool
	}{
		"who sees everything":                  {[]string{"reader", "whole"}, true},
		"who sees other rows":                  {[]string{"reader", "west"}, false},
		"who sees no rows":                     {[]string{"reader"}, false},
		"who may not read the view's lineage":  {[]string{"auditor", "whole"}, false},
		"who may read the lineage of services": {[]string{"auditor"}, false},
	} {
		got, err := p.reads().GetRead(p.as("someone", c.roles...), &headwaterv1.GetReadRequest{ReadId: r.GetReadId()})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		of := got.GetRead().GetProvenance()
		if len(of) != 1 || of[0].GetView() != "delays" {
			t.Fatalf("%s: found the provenance %v", name, of)
		}
		for _, n := range []int{len(of[0].GetEventTimes()), len(of[0].GetAvailableAts()), len(of[0].GetRunSeqs())} {
			if (n == 2) != c.told || !c.told && n != 0 {
				t.Errorf("%s: found %v, expected it told: %t", name, of[0], c.told)
			}
		}
		if got.GetShown() != c.told {
			t.Errorf("%s: found shown %t", name, got.GetShown())
		}
	}
}
