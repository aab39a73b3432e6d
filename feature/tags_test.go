package feature

import (
	"fmt"
	"strings"
	"testing"
)

// tagged are versions of definitions in which an e-mail and a birthday flow along: customers (a source), profile (SQL), stats
// (over profile), risk (on demand, over stats).
type tagged struct {
	entity               *EntityVersion
	source               *SourceVersion
	profile, stats, risk *ViewVersion
	newest               map[string]*ViewVersion
	newestSource         *SourceVersion
	newestEntity         *EntityVersion
}

func newTagged() *tagged {
	d := &tagged{newest: map[string]*ViewVersion{}}
	d.entity = &EntityVersion{Version: 1, Entity: Entity{Name: "customer", JoinKeys: []Column{{Name: "customer_id", Type: TypeInt64, Tags: []string{"id"}}}}}
	d.source = &SourceVersion{Version: 1, Source: Source{
		Name: "customers", EventTime: "born", ArrivalExpression: `since + interval '1 day'`,
		Columns: []Column{
			{Name: "id", Type: TypeInt64, Tags: []string{"national_id"}},
			{Name: "email", Type: TypeString, Tags: []string{"pii", "email"}},
			{Name: "born", Type: TypeTimestamp, Tags: []string{"birthday"}},
			{Name: "since", Type: TypeTimestamp, Tags: []string{"contract"}},
			{Name: "region", Type: TypeString, Tags: []string{"place"}},
		},
	}}
	in := func(column string, kind InputKind, relation, input string) ColumnInput {
		return ColumnInput{Column: column, Kind: kind, Relation: relation, InputColumn: input}
	}
	d.profile = &ViewVersion{
		Version: 1, EntityVersion: d.entity, SourceVersions: []*SourceVersion{d.source},
		View: View{
			Name: "profile", Entity: "customer", Features: []Column{{Name: "domain", Type: TypeString}, {Name: "mails", Type: TypeInt64}},
			Attributes: []Column{{Name: "region", Type: TypeString, Tags: []string{"filter"}}},
		},
		Analysis: &Analysis{Inputs: []ColumnInput{
			in("customer_id", InputValue, "customers", "id"), in("event_time", InputValue, "customers", "event_time"),
			in("available_at", InputValue, "customers", "available_at"), in("domain", InputValue, "customers", "email"),
			in("mails", InputFilter, "customers", "email"), in("mails", InputJoin, "customers", "email"),
			in("mails", InputGroup, "customers", "region"), in("mails", InputOrder, "customers", "born"), in("region", InputValue, "customers", "region"),
		}},
	}
	d.profile.Docs.Tags = []string{"gold"}
	d.stats = &ViewVersion{
		Version: 1, EntityVersion: d.entity, ViewVersions: []*ViewVersion{d.profile},
		View: View{Name: "stats", Entity: "customer", Features: []Column{{Name: "length", Type: TypeInt64, Tags: []string{"number"}}, {Name: "when", Type: TypeTimestamp}}},
		Analysis: &Analysis{Inputs: []ColumnInput{
			in("length", InputValue, "profile", "domain"), in("length", InputFilter, "profile", "region"), in("when", InputValue, "profile", "event_time"),
		}},
	}
	d.risk = &ViewVersion{
		Version: 1, ViewVersions: []*ViewVersion{d.stats},
		View: View{
			Name: "risk", Features: []Column{{Name: "score", Type: TypeFloat64}, {Name: "age", Type: TypeInt64}, {Name: "zone", Type: TypeString}},
			OnDemand: &OnDemand{
				Inputs: []Column{{Name: "device", Type: TypeString, Tags: []string{"tracking"}}, {Name: "device_zone", Type: TypeString, Tags: []string{"place"}}},
				Expressions: []OnDemandExpression{
					{"score", "double(stats.length) * (request . device == 'x' ? 2.0 : 1.0)"},
					{"age", "(request.time - stats.when).getHours()"},
					{"zone", "request.device_zone // not request.device"},
				},
			},
		},
		Analysis: &Analysis{Inputs: []ColumnInput{in("age", InputValue, "stats", "when"), in("score", InputValue, "stats", "length")}},
	}
	return d
}

func (d *tagged) tags() *Tags {
	return NewTags(func(string) *EntityVersion { return d.newestEntity }, func(string) *SourceVersion { return d.newestSource },
		func(name string) *ViewVersion { return d.newest[name] })
}

// text is the tags of all columns: COLUMN: TAG (ORIGINS), ….
func (t *Tags) text(v *ViewVersion) string {
	var b strings.Builder
	for _, name := range v.TaggedColumns() {
		var tags []string
		for _, c := range t.Column(v, name) {
			tags = append(tags, strings.Trim(fmt.Sprint(c.Tag, " ", c.From), " "))
		}
		if len(tags) > 0 {
			fmt.Fprintf(&b, "%s: %s\n", name, strings.Join(tags, ", "))
		}
	}
	return b.String()
}

func TestTagsFlowAlongValues(t *testing.T) {
	d := newTagged()
	tags := d.tags()
	for _, c := range []struct {
		view *ViewVersion
		want string
	}{
		// What filters, joins, groups and orders by a column does not have its tags: mails has none.
		{d.profile, `customer_id: id [entity:customer.customer_id], national_id [source:customers.id]
event_time: birthday [source:customers.born]
available_at: contract [source:customers.since]
domain: email [source:customers.email], pii [source:customers.email]
region: filter [view:profile.region], place [source:customers.region]
`},
		{d.stats, `customer_id: id [entity:customer.customer_id]
length: email [source:customers.email], number [view:stats.length], pii [source:customers.email]
when: birthday [source:customers.born]
`},
		// A comment is not read.
		{d.risk, `score: email [source:customers.email], number [view:stats.length], pii [source:customers.email], tracking [view:risk.request.device]
age: birthday [source:customers.born]
zone: place [view:risk.request.device_zone]
`},
	} {
		if got := tags.text(c.view); got != c.want {
			t.Errorf("%s: found\n%s\nexpected\n%s", c.view.Name, got, c.want)
		}
	}
	if !tags.Has(d.risk, "score", "pii") || tags.Has(d.risk, "age", "pii") || !tags.Sensitive(d.risk, "score") || tags.Sensitive(d.profile, "mails") {
		t.Error("found other tags than are listed")
	}
	if got := fmt.Sprint(tags.View(d.profile)); got != "[gold]" {
		t.Errorf("found %s", got)
	}
}

func TestDeclassifyStopsWhatCameAlong(t *testing.T) {
	d := newTagged()
	d.profile.Declassify = []Declassification{{Column: "domain", Tags: []string{"pii"}, Reason: "a domain is shared"}}
	// A tag that is written at the column itself does not stop there.
	d.stats.Declassify = []Declassification{{Column: "length", Tags: []string{"number", "email"}, Reason: "a length tells nothing"}}
	tags := d.tags()
	if got, want := tags.text(d.stats), `customer_id: id [entity:customer.customer_id]
length: number [view:stats.length]
when: birthday [source:customers.born]
`; got != want {
		t.Errorf("found\n%s\nexpected\n%s", got, want)
	}
	if tags.Has(d.profile, "domain", "pii") || !tags.Has(d.profile, "domain", "email") || tags.Sensitive(d.risk, "score") {
		t.Error("found other tags than are left")
	}
}

// A tag that the newest version writes holds for older ones, which are read too.
func TestTagsOfTheNewestVersionCount(t *testing.T) {
	d := newTagged()
	source, entity, profile, risk := *d.source, *d.entity, *d.profile, *d.risk
	source.Columns = []Column{{Name: "region", Type: TypeString, Tags: []string{"secret"}}}
	entity.JoinKeys = []Column{{Name: "customer_id", Type: TypeInt64, Tags: []string{"pii"}}}
	profile.Features = []Column{{Name: "mails", Type: TypeInt64, Tags: []string{"counted"}}}
	profile.Docs.Tags = []string{"silver"}
	onDemand := *risk.OnDemand
	onDemand.Inputs = []Column{{Name: "device_zone", Type: TypeString, Tags: []string{"sensitive"}}}
	risk.OnDemand = &onDemand
	d.newestSource, d.newestEntity = &source, &entity
	d.newest["profile"], d.newest["risk"] = &profile, &risk
	tags := d.tags()
	for _, want := range []struct {
		view        *ViewVersion
		column, tag string
	}{
		{d.profile, "region", "secret"}, {d.profile, "region", "place"}, {d.profile, "customer_id", "pii"}, {d.profile, "mails", "counted"},
		{d.stats, "customer_id", "pii"}, {d.risk, "zone", "sensitive"}, {d.risk, "zone", "place"},
	} {
		if !tags.Has(want.view, want.column, want.tag) {
			t.Errorf("found no tag %s of %s.%s", want.tag, want.view.Name, want.column)
		}
	}
	if got := fmt.Sprint(tags.View(d.profile)); got != "[gold silver]" {
		t.Errorf("found %s", got)
	}
}

// What is not known is taken for the worst.
func TestWithoutAnAnalysisAllTagsComeAlong(t *testing.T) {
	d := newTagged()
	d.profile.Analysis, d.risk.Analysis = nil, nil
	tags := d.tags()
	for _, tag := range []string{"national_id", "pii", "email", "birthday", "contract", "place"} {
		if !tags.Has(d.profile, "mails", tag) || !tags.Has(d.stats, "length", tag) || !tags.Has(d.risk, "zone", tag) {
			t.Errorf("found no tag %s", tag)
		}
	}
	if !tags.Has(d.risk, "zone", "tracking") || !tags.Has(d.risk, "zone", "id") {
		t.Error("found no tag of an input or a key")
	}
}
