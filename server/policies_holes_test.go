package server

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// denied reports what is wrong with an error that should deny, for a reason with a text in it.
func denied(t *testing.T, what string, err error, text string) {
	t.Helper()
	if f := fault.FromError(err); f == nil || f.Reason != fault.PermissionDenied || !strings.Contains(f.Message, text) {
		t.Errorf("%s: found %v, expected a denial with %q", what, err, text)
	}
}

func filterRows(filter string) func(*feature.Policy) {
	return func(p *feature.Policy) { p.RowFilter, p.ExceptRoles = filter, []string{"whole"} }
}

// shown is the answer to one reader about two airports, as vectors says.
func (p *product) shown(ctx context.Context, request *headwaterv1.GetFeaturesRequest) string {
	p.t.Helper()
	request.Keys = map[string]*headwaterv1.KeyColumn{"origin": texts("ORD", "JFK")}
	r, err := p.online.GetFeatures(ctx, request)
	if err != nil {
		p.t.Fatal(err)
	}
	return vectors(r)
}

// Readers with the same roles and other names see rows of their own, whoever asked first.
func TestPoliciesByNameHoldForEachReader(t *testing.T) {
	p := newProduct(t)
	d := readers(policy("own", "view:delays", filterRows("row.words == principal.name")))
	d.Views[0].SQL.Query = strings.Replace(d.Views[0].SQL.Query, "delay, words,", "delay, origin AS words,", 1)
	p.apply(d)
	at := time.Now().Add(-3 * time.Hour).Truncate(time.Microsecond)
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(34)), flight("JFK", 7, at, feature.Float64(8))), 0)
	p.materialize("delays")
	spine := spineOf(asked("ORD", 7, time.Now()), asked("JFK", 7, time.Now())).arrow(t)
	for _, c := range [][3]string{
		{"ORD", "34/PRESENT 0/NO_ROW", "34/PRESENT|/NO_ROW"}, {"JFK", "0/NO_ROW 8/PRESENT", "/NO_ROW|8/PRESENT"}, {"LAX", "0/NO_ROW 0/NO_ROW", "/NO_ROW|/NO_ROW"},
	} {
		ctx := p.as(c[0], "reader")
		if got := p.shown(ctx, &headwaterv1.GetFeaturesRequest{Service: "small"}); got != "delays__delay "+c[1]+"\n" {
			t.Errorf("%s, online: found %s", c[0], got)
		}
		arrow, _, err := p.build(ctx, "small", &headwaterv1.BuildDatasetHeader{Name: "d", AllowPartial: true, WithStatuses: true}, spine)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(offlineRows(t, arrow), "|"); got != c[2] {
			t.Errorf("%s, offline: found %s", c[0], got)
		}
	}
}

// A hidden row does not tell by its age that it is there, and both stores say the same.
func TestPoliciesHideThatRowsExpired(t *testing.T) {
	p := newProduct(t)
	p.apply(readers(policy("none", "view:recent", filterRows("row.delay < 10.0"))))
	at := time.Now().Add(-72 * time.Hour).Truncate(time.Microsecond)
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(34)), flight("JFK", 7, at, feature.Float64(8))), 0)
	p.materialize("recent")
	spine := spineOf(asked("ORD", 7, time.Now()), asked("JFK", 7, time.Now()), asked("LAX", 7, time.Now())).arrow(t)
	for role, expected := range map[string][2]string{
		"whole": {"0/EXPIRED 0/EXPIRED", "/EXPIRED|/EXPIRED|/NO_ROW"}, "west": {"0/NO_ROW 0/NO_ROW", "/NO_ROW|/NO_ROW|/NO_ROW"},
	} {
		ctx := p.as(role, "reader", role)
		if got := p.shown(ctx, &headwaterv1.GetFeaturesRequest{Features: []string{"recent.delay"}}); got != "recent__delay "+expected[0]+"\n" {
			t.Errorf("%s, online: found %s", role, got)
		}
		arrow, _, err := p.build(ctx, "", &headwaterv1.BuildDatasetHeader{Name: "d", AllowPartial: true, Features: []string{"recent.delay"}, WithStatuses: true}, spine)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(offlineRows(t, arrow), "|"); got != expected[1] {
			t.Errorf("%s, offline: found %s", role, got)
		}
	}
}

// Of two masks the one that is not for the type shows NULL, and no other shows more; in vectors and in Arrow, and what is computed of it sees the mask.
func TestPoliciesWithTwoMasksShowNoMoreThanEach(t *testing.T) {
	p := newProduct(t)
	d := readers(
		policy("a_rounded", "feature:delays.delay", roundTo("10")),
		policy("b_truncated", "feature:delays.delay", func(p *feature.Policy) {
			p.Mask = &feature.Mask{Kind: feature.MaskTruncate, To: "day"}
		}),
		policy("c_words", "feature:delays.words", func(p *feature.Policy) { p.Mask = &feature.Mask{Kind: feature.MaskPartial, First: 1} }),
		policy("d_words", "feature:delays.words", func(p *feature.Policy) { p.Mask = &feature.Mask{Kind: feature.MaskConstant, Constant: "x"} }),
	)
	d.Views = append(d.Views,
		onDemandView("twice", nil, []feature.ViewRef{{Name: "delays"}}, [3]string{"delay", "float64", "delays.delay * 2.0"}, [3]string{"words", "string", "delays.words + '!'"}),
		onDemandView("thrice", nil, []feature.ViewRef{{Name: "twice"}}, [3]string{"words", "string", "twice.words + '!'"}))
	p.apply(d)
	at := time.Now().Add(-3 * time.Hour).Truncate(time.Microsecond)
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(34)), flight("JFK", 7, at, feature.Float64(8))), 0)
	p.materialize("delays")
	ctx := p.as("reader", "reader")
	request := &headwaterv1.GetFeaturesRequest{Features: []string{"delays.delay", "delays.words", "twice", "thrice"}}
	if got, expected := p.shown(ctx, request), "delays__delay 0/MASKED 0/MASKED\ndelays__words \"x\"/MASKED \"x\"/MASKED\n"+
		"twice__delay 0/NULL 0/NULL\ntwice__words \"x!\"/MASKED \"x!\"/MASKED\nthrice__words \"x!!\"/MASKED \"x!!\"/MASKED\n"; got != expected {
		t.Errorf("found\n%s\nexpected\n%s", got, expected)
	}
	request.Encoding = headwaterv1.FeatureEncoding_FEATURE_ENCODING_ARROW
	r, err := p.online.GetFeatures(ctx, request)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range readRows(t, r.GetArrow()) {
		if strings.Contains(row, "30") || strings.Contains(row, "34") || strings.Contains(row, "from") || !strings.Contains(row, "x!! MASKED") {
			t.Errorf("in Arrow: found %s", row)
		}
	}
}

// What a source asks for is asked of those too whose spine is read from it, and of those who have such a dataset again.
func TestPoliciesOfSourcesHoldForSpines(t *testing.T) {
	p := newProduct(t)
	apply := func(purposes ...string) {
		d := readers(policy("terms", "source:visits", func(p *feature.Policy) { p.Require = &feature.Requirement{Purposes: purposes} }))
		visits := d.Sources[0]
		visits.Name = "visits"
		d.Sources = append(d.Sources, visits)
		p.apply(d)
	}
	apply("delays")
	at := time.Now().Add(-3 * time.Hour).Truncate(time.Microsecond)
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(34))), 0)
	visits := flights(flight("ORD", 7, at.Add(time.Hour), feature.Null()))
	arrow := visits.arrow(t)
	if _, err := p.send(p.admin, "visits", p.header(arrow, 0), arrow, len(arrow)); err != nil {
		t.Fatal(err)
	}
	p.materialize("delays")
	ctx := p.as("reader", "reader")
	header := func(purpose string) *headwaterv1.BuildDatasetHeader {
		return &headwaterv1.BuildDatasetHeader{Name: "d", AllowPartial: true, Purpose: purpose, Spine: &headwaterv1.BuildDatasetHeader_Events{
			Events: &headwaterv1.SpineEvents{Source: "visits", Columns: []string{"origin"}}}}
	}
	_, _, err := p.build(ctx, "small", header(""), nil)
	denied(t, "without a purpose", err, "policy terms@1 of source:visits asks for a purpose, found none, expected one of delays")
	_, m, err := p.build(ctx, "small", header("delays"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.fetchFor(ctx, m.GetId(), "delays"); err != nil {
		t.Errorf("found %v", err)
	}
	apply("others")
	_, _, err = p.fetchFor(ctx, m.GetId(), "delays")
	denied(t, "for what is no purpose any more", err, "policy terms@2 of source:visits asks for a purpose, found delays")
}

// Where a tag stops, so do the masks of the tag: that is for those who administer it.
func TestPoliciesAreNotDeclassifiedByAuthors(t *testing.T) {
	p := newProduct(t)
	d := readers(policy("tagged", "tag:secret", roundTo("100")))
	columns := d.Sources[0].Columns
	columns[slices.IndexFunc(columns, func(c feature.Column) bool { return c.Name == "delay" })].Tags = []string{"secret"}
	writes := "read_online,read_offline,list,register on service:*,view:*,source:*,entity:*,role:*,policy:*"
	d.Roles = append(d.Roles, role("author", writes), role("steward", writes, "administer on tag:secret"))
	p.apply(d)
	at := time.Now().Add(-3 * time.Hour).Truncate(time.Microsecond)
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(34)), flight("JFK", 7, at, feature.Float64(8))), 0)
	p.materialize("delays")
	ctx := p.as("author", "author")
	if got := p.shown(ctx, &headwaterv1.GetFeaturesRequest{Service: "small"}); got != "delays__delay 0/MASKED 0/MASKED\n" {
		t.Errorf("found %s", got)
	}
	d.Views[0].Declassify = []feature.Declassification{{Column: "delay", Tags: []string{"secret"}, Reason: "it is none"}}
	denied(t, "an author", p.tryApply(ctx, d), "administer on tag:secret")
	if err := p.tryApply(p.as("steward", "steward", "whole"), d); err != nil {
		t.Errorf("found %v of one who administers the tag", err)
	}
}

// What a dataset holds is told to whom today's policies let see it: of the versions that it read, and after it is deleted too.
func TestPoliciesHoldForManifests(t *testing.T) {
	p := newProduct(t)
	d := readers(policy("tagged", "tag:secret", roundTo("100")))
	d.Services = append(d.Services, feature.Service{Name: "tail", Views: []feature.ServiceView{{View: "delays", Published: true, Features: []string{"delay"}}}})
	p.apply(d)
	at := time.Now().Add(-3 * time.Hour).Truncate(time.Microsecond)
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(34))), 0)
	p.materialize("delays")
	// The second version is made of a column that is tagged.
	d.Sources[0].Columns = append(slices.Clone(d.Sources[0].Columns), feature.Column{Name: "real", Type: feature.TypeFloat64, Tags: []string{"secret"}})
	d.Views[0].SQL.Query = strings.Replace(d.Views[0].SQL.Query, "origin, delay,", "origin, coalesce(real, delay) AS delay,", 1)
	p.apply(d)
	p.materialize("delays@2")
	whole := p.as("someone", "reader", "whole")
	spine := spineOf(asked("ORD", 7, time.Now())).arrow(t)
	_, m, err := p.build(whole, "tail", &headwaterv1.BuildDatasetHeader{Name: "d", AllowPartial: true}, spine)
	if err != nil {
		t.Fatal(err)
	}
	if m.GetFollowed()["delays"] != 2 {
		t.Fatalf("found %v, expected the second version", m.GetFollowed())
	}
	least := func(m *headwaterv1.Manifest) *headwaterv1.Value {
		for _, c := range m.GetColumns() {
			if c.GetName() == "delays__delay" {
				return c.GetSummary().GetMin()
			}
		}
		t.Fatalf("found %v", m.GetColumns())
		return nil
	}
	less := p.as("someone", "reader")
	for _, c := range []struct {
		who   context.Context
		shown bool
	}{{whole, true}, {less, false}} {
		r, err := p.datasets.GetDataset(c.who, &headwaterv1.GetDatasetRequest{Dataset: m.GetId()})
		if err != nil {
			t.Fatal(err)
		}
		if found := least(r.GetManifest()); (found != nil) != c.shown {
			t.Errorf("found the least value %v, expected one: %v", found, c.shown)
		}
	}
	_, _, err = p.fetch(less, m.GetId())
	denied(t, "fetch", err, "hides some of delays@2.delay")
	r, err := p.datasets.DeleteDataset(less, &headwaterv1.DeleteDatasetRequest{Dataset: m.GetId(), Reason: "done"})
	if err != nil {
		t.Fatal(err)
	}
	if found := least(r.GetManifest()); found != nil {
		t.Errorf("found the least value %v in what is deleted, expected none", found)
	}
}

// Who sees a mask makes no feature that is computed of what is behind it.
func TestPoliciesAreNotComputedAroundByAuthors(t *testing.T) {
	p := newProduct(t)
	define := func(computed ...[3]string) *feature.Definitions {
		d := readers(policy("rounded", "feature:delays.delay", func(p *feature.Policy) {
			p.Mask = &feature.Mask{Kind: feature.MaskRound, To: "100", ComputeUnmasked: []string{"risk.*"}}
			p.ExceptRoles = []string{"whole"}
		}))
		d.Roles = append(d.Roles, role("author", "read_online,read_offline,list,register on service:*,view:*,source:*,entity:*,role:*,policy:*"))
		d.Views = append(d.Views, onDemandView("risk", nil, []feature.ViewRef{{Name: "delays"}}, computed...))
		return d
	}
	high, raw := [3]string{"high", "bool", "delays.delay > 30.0"}, [3]string{"raw", "float64", "delays.delay"}
	if err := p.tryApply(p.admin, define(high)); err != nil {
		t.Fatal(err)
	}
	author := p.as("author", "author")
	if err := p.tryApply(author, define(high)); err != nil {
		t.Errorf("found %v of what is applied already", err)
	}
	denied(t, "an author", p.tryApply(author, define(high, raw)), "policy rounded@1 hides some of view:delays from you, and leaves out risk.high, which would be computed of it")
	if err := p.tryApply(p.as("whole", "author", "whole"), define(high, raw)); err != nil {
		t.Errorf("found %v of one who sees everything", err)
	}
}

// Values of kept reads are shown to those who say what for, where that is asked of them: a call that cannot say it shows none.
func TestPoliciesHoldForKeptReads(t *testing.T) {
	p := newProduct(t)
	terms := policy("terms", "source:flights", func(p *feature.Policy) {
		p.Require, p.ExceptRoles = &feature.Requirement{Purposes: []string{"delays"}}, []string{"whole"}
	})
	d := readers(terms)
	d.Services[1].Log = "all"
	p.apply(d)
	at := time.Now().Add(-3 * time.Hour).Truncate(time.Microsecond)
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(34)), flight("JFK", 7, at, feature.Float64(8))), 0)
	p.materialize("delays")
	ctx := p.as("reader", "reader")
	r, err := p.online.GetFeatures(ctx, &headwaterv1.GetFeaturesRequest{Service: "small", Purpose: "delays", Keys: map[string]*headwaterv1.KeyColumn{"origin": texts("ORD")}})
	if err != nil {
		t.Fatal(err)
	}
	for role, expected := range map[string]bool{"whole": true, "west": false} {
		got, err := p.reads().GetRead(p.as("reader", "reader", role), &headwaterv1.GetReadRequest{ReadId: r.GetReadId()})
		if err != nil {
			t.Fatal(err)
		}
		values := len(got.GetRead().GetFeatures()[0].GetValues().GetFloat64S()) > 0
		if got.GetShown() != expected || values != expected {
			t.Errorf("%s: found shown %v with values %v, expected %v", role, got.GetShown(), values, expected)
		}
	}
}

// A grant on a feature is enough to read it by reference, in both stores, and to read what is computed of it; it tells of nothing else.
func TestFeaturesAreReadByTheirOwnGrants(t *testing.T) {
	p := newProduct(t)
	d := readers()
	reads := "read_online,read_offline on "
	deny := role("denied", reads+"view:delays")
	deny.Grants[0].Deny = true
	secret := role("but_words", reads+"view:delays", reads+"feature:delays.words")
	secret.Grants[1].Deny = true
	d.Roles = append(d.Roles, role("one", reads+"feature:delays.delay"), role("computed", reads+"feature:delays.delay,feature:risk.high"), role("some", reads+"feature:delays.d*"), deny, secret)
	d.Views = append(d.Views, onDemandView("risk", nil, []feature.ViewRef{{Name: "delays"}}, [3]string{"high", "bool", "delays.delay > 30.0"}, [3]string{"text", "string", "delays.words"}))
	p.apply(d)
	at := time.Now().Add(-3 * time.Hour).Truncate(time.Microsecond)
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(34)), flight("JFK", 7, at, feature.Float64(8))), 0)
	p.materialize("delays")
	spine := spineOf(asked("ORD", 7, time.Now())).arrow(t)
	for _, c := range []struct {
		roles, refs string
		// refused is what both stores say, or empty.
		refused string
	}{
		{"one", "delays.delay", ""}, {"one", "delays@1.delay", ""},
		{"one", "delays.words", "no grant of ACTION on view:delays in roles [one]"}, {"one", "delays.nothing", "no grant of ACTION on view:delays in roles [one]"},
		{"one", "delays.delay,delays.words", "no grant of ACTION on view:delays"}, {"one", "delays", "no grant of ACTION on view:delays in roles [one]"},
		{"one", "recent.delay", "no grant of ACTION on view:recent in roles [one]"}, {"one", "recant.delay", "no grant of ACTION on view:recant in roles [one]"},
		{"some", "delays.dalay", "no grant of ACTION on view:delays in roles [some]"},
		{"one", "risk.high", "no grant of ACTION on view:risk"}, {"computed", "risk.high", ""}, {"computed", "risk.text", "no grant of ACTION on view:risk"},
		{"one,denied", "delays.delay", "role denied denies ACTION on view:delays"},
		{"but_words", "delays.delay", ""}, {"but_words", "delays.words", "role but_words denies ACTION on feature:delays.words"}, {"but_words", "delays", "denies ACTION on feature:delays.words"},
	} {
		ctx := p.as("reader", strings.Split(c.roles, ",")...)
		refs := strings.Split(c.refs, ",")
		_, online := p.online.GetFeatures(ctx, &headwaterv1.GetFeaturesRequest{Features: refs, Keys: map[string]*headwaterv1.KeyColumn{"origin": texts("ORD")}})
		_, m, offline := p.build(ctx, "", &headwaterv1.BuildDatasetHeader{Name: "d", AllowPartial: true, Features: refs}, spine)
		for action, err := range map[string]error{"read_online": online, "read_offline": offline} {
			switch {
			case c.refused == "" && err != nil:
				t.Errorf("%s, %s of %s: found %v", c.roles, action, c.refs, err)
			case c.refused != "":
				denied(t, c.roles+", "+action+" of "+c.refs, err, strings.ReplaceAll(c.refused, "ACTION", action))
			}
		}
		if c.refused == "" {
			if _, _, err := p.fetch(ctx, m.GetId()); err != nil {
				t.Errorf("%s: fetching %s: %v", c.roles, c.refs, err)
			}
		}
	}
}
