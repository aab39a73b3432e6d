package feature

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func policyAbout(resource string, change func(p *Policy)) Policy {
	kind, name, _ := strings.Cut(resource, ":")
	p := Policy{Name: "p", Resources: []ResourcePattern{{Kind: kind, Name: name}}}
	change(&p)
	return p
}

func masked(m Mask) func(*Policy) { return func(p *Policy) { p.Mask = &m } }

func filtered(p *Policy) { p.RowFilter = "row.region == 'UK'" }

func TestMistakesOfPolicies(t *testing.T) {
	for _, c := range []struct {
		policy   Policy
		expected []string
	}{
		{policyAbout("view:transactions", filtered), nil},
		{policyAbout("tag:pii", masked(Mask{Kind: MaskRedact})), nil},
		{policyAbout("service:scores", func(p *Policy) { p.Require = &Requirement{Purposes: []string{"fraud"}} }), nil},
		{policyAbout("feature:a.b", masked(Mask{Kind: MaskBucket, Bounds: []string{"-1", "0.5", "10"}})), nil},
		{policyAbout("view:a", func(*Policy) {}), []string{"row_filter: found no rule, expected row_filter, mask or require"}},
		{policyAbout("run:a", filtered), []string{"resources[0]: found a resource of kind run, expected one of view, source, service, feature, tag"}},
		{policyAbout("service:a", filtered), []string{"found service:a, expected one of view, source, tag: a row filter is about rows of views and sources"}},
		{policyAbout("service:a", masked(Mask{Kind: MaskRedact})), []string{"a mask is about values"}},
		{policyAbout("feature:a.b", func(p *Policy) { p.Require = &Requirement{Uses: []string{UseServing}} }), []string{"what a read must be for is asked of"}},
		{policyAbout("view:a@2", filtered), []string{"found a version in the resource"}},
		{policyAbout("view:a", func(p *Policy) { filtered(p); p.Roles, p.ExceptRoles = []string{"x", "y"}, []string{"y"} }), []string{"roles[1]: found role y, which is excepted too"}},
		{policyAbout("tag:a", masked(Mask{})), []string{"mask: found none, expected one of redact, constant, hash, partial, bucket, round, truncate"}},
		{policyAbout("tag:a", masked(Mask{Kind: MaskConstant})), []string{"write redact: {} for NULL"}},
		{policyAbout("tag:a", masked(Mask{Kind: MaskHash, Key: "No"})), []string{"mask.hash.key: found the name"}},
		{policyAbout("tag:a", masked(Mask{Kind: MaskPartial, First: -1})), []string{"found -1 first and 0 last characters"}},
		{policyAbout("tag:a", masked(Mask{Kind: MaskRound, To: "0.0"})), []string{`found "0.0", expected a number above 0`}},
		{policyAbout("tag:a", masked(Mask{Kind: MaskRound, To: "1e9"})), []string{`found "1e9", expected a number above 0`}},
		{policyAbout("tag:a", masked(Mask{Kind: MaskBucket})), []string{"mask.bucket.bounds: found none"}},
		{policyAbout("tag:a", masked(Mask{Kind: MaskBucket, Bounds: []string{"1", "1.0"}})), []string{"bounds[1]: found 1.0 after 1, expected ascending numbers"}},
		{policyAbout("tag:a", masked(Mask{Kind: MaskBucket, Bounds: []string{"1/2"}})), []string{`bounds[0]: found "1/2", expected a number`}},
		{policyAbout("tag:a", masked(Mask{Kind: MaskTruncate, To: "days"})), []string{`found "days", expected one of minute, hour, day, week, month, quarter, year; did you mean day?`}},
		{policyAbout("tag:a", masked(Mask{Kind: MaskRedact, ComputeUnmasked: []string{"score"}})), []string{`found "score", expected VIEW.FEATURE`}},
		{policyAbout("tag:a", func(p *Policy) { p.Require = &Requirement{Licence: "x"} }), []string{"require: found nothing that is asked for"}},
		{policyAbout("tag:a", func(p *Policy) { p.Require = &Requirement{Uses: []string{"exports"}} }), []string{`found the use "exports", expected one of serving, training, export; did you mean export?`}},
		{policyAbout("tag:a", func(p *Policy) { p.Require = &Requirement{Purposes: []string{" "}} }), []string{"require.purposes[0]: found an empty text"}},
	} {
		d := Definitions{Policies: []Policy{c.policy}}
		problems := d.Validate(nil)
		if len(problems) != len(c.expected) {
			t.Errorf("%+v: found %v, expected %q", c.policy, problems, c.expected)
			continue
		}
		for i, p := range problems {
			if found := strings.TrimPrefix(p.Field, "policies[0].") + ": " + p.Message; !strings.Contains(found, c.expected[i]) {
				t.Errorf("%+v: found %q, expected %q", c.policy, found, c.expected[i])
			}
		}
	}
}

func TestMistakesOfAttributesAndElevation(t *testing.T) {
	role := Role{
		Name: "r", Attributes: map[string][]string{"name": {"x"}, "Region": {"x"}, "team": {""}}, MayElevateTo: []string{"Bad"},
	}
	other := Role{Name: "s", MaxElevation: time.Hour}
	d := Definitions{Roles: []Role{role, other}}
	var found []string
	for _, p := range d.Validate(nil) {
		found = append(found, p.Field)
	}
	slices.Sort(found)
	expected := []string{
		"roles[0].attributes.Region", "roles[0].attributes.name", "roles[0].attributes.team[0]", "roles[0].may_elevate_to[0]", "roles[1].max_elevation",
	}
	if !slices.Equal(found, expected) {
		t.Errorf("found %q, expected %q", found, expected)
	}
}

func TestMistakesOfDeclassification(t *testing.T) {
	d := flights()
	d.Views[0].Declassify = []Declassification{{Column: "nothing", Reason: " "}}
	var found []string
	for _, p := range d.Validate(nil) {
		found = append(found, p.Field)
	}
	expected := []string{"feature_views[0].declassify[0].column", "feature_views[0].declassify[0].tags", "feature_views[0].declassify[0].reason"}
	if !slices.Equal(found, expected) {
		t.Errorf("found %q, expected %q", found, expected)
	}
}

func TestAPolicyHoldsForWhomItSays(t *testing.T) {
	for _, c := range []struct {
		roles, except, has []string
		holds              bool
	}{
		{nil, nil, nil, true},
		{nil, nil, []string{AdminRole}, true},
		{nil, []string{"x"}, []string{"x", "y"}, false},
		{nil, []string{"x"}, []string{"y"}, true},
		{[]string{"a"}, nil, []string{"b"}, false},
		{[]string{"a"}, nil, []string{"b", "a"}, true},
		{[]string{"a"}, []string{"x"}, []string{"a", "x"}, false},
	} {
		p := Policy{Roles: c.roles, ExceptRoles: c.except}
		if p.HoldsFor(c.has) != c.holds {
			t.Errorf("roles %q except %q, of %q: found %t, expected %t", c.roles, c.except, c.has, !c.holds, c.holds)
		}
	}
}

func TestDiffPolicy(t *testing.T) {
	before := policyAbout("view:a", filtered)
	for name, c := range map[string]struct {
		change func(p *Policy)
		words  bool
		lines  []string
	}{
		"filter":      {func(p *Policy) { p.RowFilter = "true" }, false, []string{"row_filter: row.region == 'UK' -> true"}},
		"white space": {func(p *Policy) { p.RowFilter = "row.region  ==  'UK'" }, true, []string{"row_filter: row.region == 'UK' -> row.region  ==  'UK'"}},
		"roles":       {func(p *Policy) { p.Roles = []string{"x"} }, false, []string{"roles: set to x"}},
		"mask": {func(p *Policy) {
			p.RowFilter, p.Mask = "", &Mask{Kind: MaskHash, Key: "k", PerPurpose: true, ComputeUnmasked: []string{"a.b"}}
		}, false,
			[]string{"row_filter: was row.region == 'UK', now unset", "mask: set to hash by key k, of each purpose apart; unmasked in a.b"}},
		"requirement": {func(p *Policy) {
			p.RowFilter, p.Require = "", &Requirement{Purposes: []string{"fraud"}, Regions: []string{"eu"}, Licence: "terms"}
		}, false, []string{"row_filter: was row.region == 'UK', now unset", "require: set to purpose out of fraud; region out of eu; licence terms"}},
		"owner": {func(p *Policy) { p.Owner = "x" }, true, []string{"owner: set to x"}},
	} {
		t.Run(name, func(t *testing.T) {
			after := before
			c.change(&after)
			got := DiffPolicy(&PolicyVersion{Fingerprint: before.Fingerprint(), Policy: before}, &PolicyVersion{Fingerprint: after.Fingerprint(), Policy: after})
			if got.WordsOnly != c.words || !slices.Equal(got.Lines, c.lines) {
				t.Fatalf("found %t %q\nexpected %t %q", got.WordsOnly, got.Lines, c.words, c.lines)
			}
		})
	}
}

// Whoever had a fingerprint of a role before there were attributes has it still.
func TestRolesKeepTheirFingerprints(t *testing.T) {
	plain := Role{Name: "r", Grants: []Grant{{Actions: []string{"list"}, Resources: []ResourcePattern{{"view", "*"}}}}}
	with := plain
	with.Attributes = map[string][]string{"regions": {"UK"}}
	other := plain
	other.MayElevateTo = []string{"UK"}
	if a, b, c := plain.Fingerprint(), with.Fingerprint(), other.Fingerprint(); a == b || a == c || b == c {
		t.Errorf("found %s, %s and %s, expected three", a, b, c)
	}
	if found, expected := plain.Fingerprint().String(), "7477737a872d450903a091a25ec592b16c0a25fca469d20af4a383c17f01ebb5"; found != expected {
		t.Errorf("found %s, expected %s", found, expected)
	}
}
