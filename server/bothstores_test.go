package server

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/durationpb"
	"pgregory.net/rapid"

	"github.com/headwaterhq/headwater/expr"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/anyfilter"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/tabular"
	"github.com/headwaterhq/headwater/internal/testenv"
	"github.com/headwaterhq/headwater/internal/wire"
)

// What the property below is about: rounds of policies, readers of each, and entities. All draws are by fixed seeds.
const (
	agreementRounds   = 6
	agreementPolicies = 75
	agreementReaders  = 20
	agreementEntities = 40
	// agreementRoles are the roles that policies hold for, or except.
	agreementRoles = 24
)

// drawn is one of a kind of things by a seed.
func drawn[T any](seed int, draw func(t *rapid.T) T) T {
	return rapid.Custom(draw).Example(seed)
}

// agreementRow is a row of the source: an entity's values in the order of anyfilter.Columns.
type agreementRow struct {
	id     string
	values []feature.Value
}

// The positions of a row's times.
var eventTimeAt, availableAtAt = columnAt("event_time"), columnAt("available_at")

func columnAt(name string) int {
	return slices.IndexFunc(anyfilter.Columns, func(c feature.Column) bool { return c.Name == name })
}

// storedColumns are anyfilter's, but for the row's own times.
func storedColumns(names string) (columns []feature.Column) {
	for _, c := range anyfilter.Columns {
		if c.Name != "event_time" && c.Name != "available_at" && (names == "" || strings.Contains(names, c.Name)) {
			columns = append(columns, c)
		}
	}
	return columns
}

// agreementDefinitions are views of every kind over one source that has a column of every type.
func agreementDefinitions() *feature.Definitions {
	const day = 24 * time.Hour
	source := feature.Source{Name: "things", EventTime: "at", ArrivalColumn: "known", Columns: append([]feature.Column{
		{Name: "at", Type: feature.TypeTimestamp}, {Name: "known", Type: feature.TypeTimestamp}, {Name: "id", Type: feature.TypeString},
	}, storedColumns("")...)}
	for i := range source.Columns {
		switch source.Columns[i].Name {
		case "i", "f":
			source.Columns[i].Tags = []string{"num"}
		case "s":
			source.Columns[i].Tags = []string{"pii"}
		}
	}
	when := feature.Column{Name: "t", Type: feature.TypeTimestamp}
	var all []string
	for _, c := range storedColumns("") {
		all = append(all, c.Name)
	}
	sql := func(columns, from string) *feature.SQLTransform {
		q := &feature.SQLTransform{Sources: []string{from}, Query: "SELECT id, " + columns + ", event_time AS t, event_time, available_at FROM " + from +
			" WHERE event_time >= {{interval.start}} AND event_time < {{interval.end}}"}
		if from != "things" {
			q.Sources, q.Views = nil, []feature.ViewRef{{Name: from}}
		}
		return q
	}
	pick := func(s string) []string { return strings.Split(s, " ") }
	return &feature.Definitions{
		Entities: []feature.Entity{{Name: "thing", JoinKeys: []feature.Column{{Name: "id", Type: feature.TypeString}}}},
		Sources:  []feature.Source{source},
		Views: []feature.View{
			{Name: "wide", Entity: "thing", Features: append(storedColumns("bifsydln"), when), Attributes: storedColumns("cjguzehk"), SQL: sql(strings.Join(all, ", "), "things")},
			{Name: "brief", Entity: "thing", TTL: day, Features: append(storedColumns("ifsdbl"), when), Attributes: storedColumns("yncjguzehk"),
				SQL: sql(strings.Join(all, ", "), "things"), Docs: feature.Docs{Tags: []string{"short"}}},
			{Name: "over", Entity: "thing", Features: append(storedColumns("isd"), when), SQL: sql("i, s, d", "wide")},
			{Name: "totals", Entity: "thing", Features: []feature.Column{{Name: "rows", Type: feature.TypeInt64}, {Name: "top", Type: feature.TypeInt64}},
				Aggregation: &feature.Aggregation{Source: "things", Hop: day, Aggregates: []feature.Aggregate{
					{Feature: "rows", Function: feature.Count, Window: 2 * day}, {Feature: "top", Function: feature.Max, Column: "i", Window: 3 * day},
				}}},
			onDemandView("mix", []feature.Column{{Name: "hour", Type: feature.TypeInt64}}, []feature.ViewRef{{Name: "wide"}, {Name: "brief"}},
				[3]string{"sum", "float64", "wide.f + brief.f"}, [3]string{"text", "string", "wide.s + '!'"}, [3]string{"none", "bool", "wide.i == null"},
				[3]string{"next", "int64", "brief.i + request.hour"}, [3]string{"same", "bool", "wide.s == brief.s && wide.t == brief.t"}),
			onDemandView("mixed", nil, []feature.ViewRef{{Name: "mix"}, {Name: "totals"}},
				[3]string{"text", "string", "mix.none ? 'nothing' : mix.text + '?'"}, [3]string{"many", "int64", "totals.rows * 2"}),
		},
		Services: []feature.Service{
			{Name: "everything", Docs: feature.Docs{Tags: []string{"prod"}}, Views: []feature.ServiceView{{View: "wide"},
				{View: "brief", Defaults: map[string]feature.Literal{"i": 7.0, "s": "default", "f": -0.5, "b": true}}, {View: "over"}, {View: "totals"}, {View: "mix"}, {View: "mixed"}}},
			{Name: "granted", ServesAsGrant: true, Views: []feature.ServiceView{{View: "wide", Features: pick("i s t l")}, {View: "mix", Features: pick("text next")}}},
			{Name: "defaults", Views: []feature.ServiceView{{View: "brief", Features: pick("i d"), Defaults: map[string]feature.Literal{"i": 1.0, "d": "2.50"}},
				{View: "totals", Defaults: map[string]feature.Literal{"rows": 0.0}}}},
		},
	}
}

// agreementData are rows of which many are the winners' equals, some expired, some of times to come and some not known yet.
func agreementData(now time.Time) (anyfilter.Pools, []agreementRow) {
	pools := drawn(1, anyfilter.DrawPools)
	return pools, drawn(2, func(t *rapid.T) (rows []agreementRow) {
		for e := range agreementEntities {
			hours := rapid.SliceOfNDistinct(rapid.IntRange(-3, 70), 1, 3, rapid.ID).Draw(t, "hours")
			for _, h := range hours {
				r := agreementRow{id: entityName(e), values: pools.Row(t)}
				at := now.Add(-time.Duration(h)*time.Hour - 30*time.Minute)
				r.values[eventTimeAt] = feature.Timestamp(feature.TimeOf(at))
				r.values[availableAtAt] = feature.Timestamp(feature.TimeOf(at.Add(time.Duration(rapid.IntRange(0, 4).Draw(t, "late")) * time.Hour)))
				rows = append(rows, r)
			}
		}
		return rows
	})
}

func entityName(e int) string {
	return []string{"é", "a b", "日本", "'"}[e%4] + fmt.Sprint(e)
}

// agreementRule is a policy. eval is what its row filter means, where it is about the view wide.
type agreementRule struct {
	feature.Policy
	eval func(row []feature.Value, p *expr.Principal) int
}

// one draws a number below n, each as often.
func one(t *rapid.T, of string, n int) int {
	numbers := make([]int, n)
	for i := range numbers {
		numbers[i] = i
	}
	return rapid.SampledFrom(numbers).Draw(t, of)
}

// someRoles draws roles that policies hold for.
func someRoles(t *rapid.T, least, most int) (roles []string) {
	for len(roles) < least+one(t, "roles", most-least+1) {
		if name := fmt.Sprintf("r%d", one(t, "role", agreementRoles)); !slices.Contains(roles, name) {
			roles = append(roles, name)
		}
	}
	return roles
}

// drawRule draws a row filter, a mask or a requirement, of what it can be about, for some of the roles.
func drawRule(t *rapid.T, pools anyfilter.Pools, n int) (p agreementRule) {
	p.Name = fmt.Sprintf("p%d", n)
	some := func(of ...string) string { return of[one(t, "of", len(of))] }
	about := func(patterns ...string) {
		for _, pattern := range rapid.SliceOfNDistinct(rapid.SampledFrom(patterns), 1, 2, rapid.ID).Draw(t, "resources") {
			kind, name, _ := strings.Cut(pattern, ":")
			p.Resources = append(p.Resources, feature.ResourcePattern{Kind: kind, Name: name})
		}
	}
	for i, name := range someRoles(t, 1, 3) {
		if i > 0 && one(t, "except", 2) == 0 {
			p.ExceptRoles = append(p.ExceptRoles, name)
		} else {
			p.Roles = append(p.Roles, name)
		}
	}
	switch kind := one(t, "kind", 20); {
	case kind < 7:
		switch one(t, "rows", 5) {
		case 0:
			about("view:over")
			p.RowFilter = filterOver(t, pools, "isd").Text
		case 1:
			about("view:totals")
			p.RowFilter = some("row.rows > 1", "row.top == null || row.top < 0", "row.rows != 2 && row.event_time > timestamp(\"2000-01-01T00:00:00Z\")", "row.top in [-1, 0, 1]")
		default:
			about("view:wide", "view:brief", "view:*i*e*", "view:w*", "tag:short", "tag:sh*")
			f := pools.Filter(t, one(t, "depth", 4))
			p.RowFilter = f.Text
			if p.about("view:wide", "view:*i*e*", "view:w*") {
				p.eval = f.Eval
			}
		}
	case kind < 19:
		about("feature:wide.i", "feature:*.s", "feature:brief.*", "feature:wide.t", "feature:*.f", "feature:mix.text", "feature:mixed.*", "feature:totals.rows", "view:wide",
			"view:mix*", "view:brief", "tag:pii", "tag:num", "tag:n*", "feature:*.d", "feature:wide.l", "feature:over.*")
		p.Mask = drawMask(t)
	default:
		about("view:wide", "view:b*", "source:things", "service:everything", "service:g*", "tag:pii", "tag:prod", "tag:short", "view:mixed")
		p.Require = &feature.Requirement{}
		switch one(t, "requires", 4) {
		case 0:
			p.Require.Uses = []string{feature.UseExport}
		case 1:
			p.Require.Regions = []string{some("here", "elsewhere")}
		default:
			p.Require.Purposes = []string{some("one", "two"), "three"}
		}
	}
	return p
}

// about reports whether the policy is about any of the patterns.
func (p *agreementRule) about(patterns ...string) bool {
	return slices.ContainsFunc(p.Resources, func(r feature.ResourcePattern) bool { return slices.Contains(patterns, r.String()) })
}

var filterColumn = regexp.MustCompile(`\brow\.(\w+)`)

// filterOver draws a filter that looks at some columns only.
func filterOver(t *rapid.T, pools anyfilter.Pools, columns string) anyfilter.Filter {
	for {
		f := pools.Filter(t, one(t, "depth", 3))
		if !slices.ContainsFunc(filterColumn.FindAllStringSubmatch(f.Text, -1), func(m []string) bool { return len(m[1]) > 1 || !strings.Contains(columns, m[1]) }) {
			return f
		}
	}
}

func drawMask(t *rapid.T) *feature.Mask {
	m := &feature.Mask{Kind: feature.MaskKind(one(t, "mask", int(feature.MaskTruncate)) + 1)}
	switch m.Kind {
	case feature.MaskConstant:
		m.Constant = rapid.SampledFrom([]feature.Literal{0.0, "x", true, "2020-01-01T00:00:00Z", "12.50", []any{}, []any{"é"}, 9.5}).Draw(t, "constant")
	case feature.MaskHash:
		m.Key, m.PerPurpose = rapid.SampledFrom([]string{"one", "two"}).Draw(t, "key"), rapid.Bool().Draw(t, "per_purpose")
	case feature.MaskPartial:
		m.First, m.Last, m.With = rapid.IntRange(0, 3).Draw(t, "first"), rapid.IntRange(0, 3).Draw(t, "last"), rapid.SampledFrom([]string{"", "#", "é"}).Draw(t, "with")
	case feature.MaskBucket:
		m.Bounds = rapid.SampledFrom([][]string{{"0"}, {"-9223372036854775808", "0.5", "100"}, {"-1", "1"}, {"99999999999999999999999"}}).Draw(t, "bounds")
	case feature.MaskRound:
		m.To = rapid.SampledFrom([]string{"10", "0.05", "2.5", "9223372036854775807", "1000000000000000000000"}).Draw(t, "to")
	case feature.MaskTruncate:
		m.To = rapid.SampledFrom(feature.TruncateUnits()).Draw(t, "unit")
	}
	if one(t, "unmasked", 4) == 0 {
		m.ComputeUnmasked = []string{rapid.SampledFrom([]string{"mix.text", "mix.*", "*.text", "mixed.many"}).Draw(t, "left out")}
	}
	return m
}

// agreementReader is who reads, and what.
type agreementReader struct {
	name, purpose string
	roles         []string
	attributes    map[string][]string
	service       string
	features      []string
	joins         bool
	// arrow says that the online answer is in Arrow.
	arrow bool
}

// texts that a token may have as attributes.
func attributeTexts(t *rapid.T, pools anyfilter.Pools) (texts []string) {
	for _, text := range pools.Texts(t) {
		if text != "" && len(text) <= 256 && utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl) {
			texts = append(texts, text)
		}
	}
	return texts
}

func drawReader(t *rapid.T, pools anyfilter.Pools, n int) agreementReader {
	r := agreementReader{name: fmt.Sprintf("reader%d", n), purpose: rapid.SampledFrom([]string{"", "one", "two", "three", "other"}).Draw(t, "purpose")}
	if one(t, "named", 4) == 0 {
		// A name that is in the rows.
		r.name = rapid.SampledFrom([]string{"a", "A", "B", "ab", "abc", "bc", "z", "Z"}).Draw(t, "name")
	}
	r.roles = []string{rapid.SampledFrom([]string{"all", "all", "all", "all", "all", "all", "all", "all", "parts", "service", "without"}).Draw(t, "grants")}
	r.roles = append(r.roles, someRoles(t, 0, 4)...)
	r.attributes = map[string][]string{}
	for _, name := range []string{"regions", "teams"} {
		if texts := attributeTexts(t, pools); len(texts) > 0 {
			r.attributes[name] = texts
		}
	}
	if r.service = rapid.SampledFrom([]string{"everything", "everything", "everything", "granted", "defaults", ""}).Draw(t, "service"); r.service == "" {
		r.features = rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"wide.i", "wide.s", "wide.t", "brief.s", "brief.d", "over.i", "totals.rows", "mix.text", "mix.next", "mixed.text", "wide.n"}),
			1, 6, rapid.ID).Draw(t, "features")
	}
	r.joins = one(t, "joins", 4) == 0 && (r.service == "everything" || r.service == "defaults")
	return r
}

// rolesOfReaders are who may read what, and roles that policies hold for.
func rolesOfReaders(pools anyfilter.Pools, seed int) []feature.Role {
	const reads = "read_online,read_offline on "
	deny := role("without", reads+"service:*,view:*", reads+"view:totals", reads+"feature:wide.s")
	deny.Grants[1].Deny, deny.Grants[2].Deny = true, true
	roles := []feature.Role{
		role("all", reads+"service:*,view:*"), role("parts", reads+"feature:wide.i,feature:brief.*,feature:*.rows,feature:mix.*,feature:wide.s"),
		role("service", reads+"service:granted"), deny,
	}
	for k := range agreementRoles {
		r := feature.Role{Name: fmt.Sprintf("r%d", k)}
		if texts := drawn(seed+k, func(t *rapid.T) []string { return attributeTexts(t, pools) }); len(texts) > 0 {
			r.Attributes = map[string][]string{"regions": texts}
		}
		roles = append(roles, r)
	}
	return roles
}

// readBoth reads online, and builds a dataset at the time of that read. Both answers are by feature, `VALUE/STATUS` for each entity.
func (p *product) readBoth(ctx context.Context, r *agreementReader) (online, offline map[string][]string, onlineErr, offlineErr error) {
	p.t.Helper()
	var ids, others []feature.Value
	var hours []int64
	for e := range agreementEntities + 1 {
		ids, others, hours = append(ids, feature.String(entityName(e))), append(others, feature.String(entityName(agreementEntities-e))), append(hours, int64(e))
	}
	ids, others, hours = append(ids, feature.Null()), append(others, feature.Null()), append(hours, 0)
	keyColumn := func(values []feature.Value) *headwaterv1.KeyColumn {
		c := texts()
		for _, v := range values {
			if v.IsNull() {
				c.Values = append(c.Values, null())
			} else {
				c.Values = append(c.Values, texts(v.Str()).Values...)
			}
		}
		return c
	}
	request := &headwaterv1.GetFeaturesRequest{Service: r.service, Features: r.features, Purpose: r.purpose, Keys: map[string]*headwaterv1.KeyColumn{"id": keyColumn(ids)}}
	header := &headwaterv1.BuildDatasetHeader{Name: "d", Features: r.features, Purpose: r.purpose, WithStatuses: true, AllowPartial: true}
	if r.joins {
		request.Joins = []*headwaterv1.FeatureJoin{{Prefix: "other_", KeyMapping: map[string]string{"id": "other"}, Views: []string{"brief"}}}
		header.Joins = []*headwaterv1.DatasetJoin{{Prefix: "other_", KeyMapping: map[string]string{"id": "other"}, Views: []string{"brief"}}}
		request.Keys["other"] = keyColumn(others)
	}
	if r.service == "everything" || r.service == "granted" || slices.Contains(r.features, "mix.next") {
		request.Inputs = map[string]*headwaterv1.KeyColumn{"hour": numbers(hours...)}
	}
	if r.arrow {
		request.Encoding = headwaterv1.FeatureEncoding_FEATURE_ENCODING_ARROW
	}
	answer, onlineErr := p.online.GetFeatures(ctx, request)
	at := time.Now()
	if onlineErr == nil {
		at = answer.GetServedAt().AsTime()
		online = map[string][]string{}
		if r.arrow {
			online = p.shownRows(answer.GetArrow(), 0)
		}
		for _, f := range answer.GetFeatures() {
			for i := range ids {
				v, err := wire.FromVector(f.GetValues(), i)
				if err != nil {
					p.t.Fatal(err)
				}
				online[f.GetName()] = append(online[f.GetName()], v.Text()+"/"+strings.TrimPrefix(wire.StatusAt(f.GetValues(), i).String(), "VALUE_STATUS_"))
			}
		}
	}
	spine := table{columns: []feature.Column{
		{Name: "id", Type: feature.TypeString}, {Name: "other", Type: feature.TypeString}, {Name: "hour", Type: feature.TypeInt64}, {Name: "timestamp", Type: feature.TypeTimestamp},
	}}
	for i := range ids {
		spine.rows = append(spine.rows, []feature.Value{ids[i], others[i], feature.Int64(hours[i]), feature.Timestamp(feature.TimeOf(at))})
	}
	arrow, _, offlineErr := p.build(ctx, r.service, header, spine.arrow(p.t))
	if offlineErr != nil {
		return online, nil, onlineErr, offlineErr
	}
	return online, p.shownRows(arrow, len(spine.columns)), onlineErr, nil
}

// shownRows are the features of an Arrow stream with statuses, behind columns of another kind.
func (p *product) shownRows(arrow []byte, from int) map[string][]string {
	p.t.Helper()
	stream, err := tabular.NewStreamReader(bytes.NewReader(arrow))
	if err != nil {
		p.t.Fatal(err)
	}
	shown := map[string][]string{}
	for row, err := range stream.Rows() {
		if err != nil {
			p.t.Fatal(err)
		}
		for i := from; i < len(row); i += 2 {
			name := stream.Columns[i].Name
			shown[name] = append(shown[name], row[i].Text()+"/"+row[i+1].Text())
		}
	}
	return shown
}

// winnersOf are, by entity, the rows of the view wide that count at a time.
func winnersOf(rows []agreementRow, now feature.Time) map[string][]feature.Value {
	winners := map[string][]feature.Value{}
	for _, r := range rows {
		at := r.values[eventTimeAt].Timestamp()
		if w := winners[r.id]; at <= now && r.values[availableAtAt].Timestamp() <= now && (w == nil || w[eventTimeAt].Timestamp() < at) {
			winners[r.id] = r.values
		}
	}
	return winners
}

// expected is, by entity, what becomes of wide.i: `NO_ROW`, `NULL`, `MASKED` or `PRESENT`.
func expected(rules []agreementRule, r *agreementReader, roles []feature.Role, winners map[string][]feature.Value) (statuses []string) {
	principal := &expr.Principal{Name: r.name, Roles: r.roles, Attributes: map[string][]string{}}
	for name, values := range r.attributes {
		principal.Attributes[name] = slices.Clone(values)
	}
	for _, role := range roles {
		if slices.Contains(r.roles, role.Name) {
			principal.Attributes["regions"] = append(principal.Attributes["regions"], role.Attributes["regions"]...)
		}
	}
	for e := range agreementEntities {
		row, status := winners[entityName(e)], "PRESENT"
		switch {
		case row == nil:
			status = "NO_ROW"
		case row[columnAt("i")].IsNull():
			status = "NULL"
		}
		for _, p := range rules {
			switch {
			case row == nil || !p.HoldsFor(r.roles):
			case p.eval != nil && p.eval(row, principal) != 1:
				status = "NO_ROW"
			case status == "PRESENT" && p.Mask != nil && p.about("feature:wide.i", "view:wide", "tag:num", "tag:n*"):
				status = "MASKED"
			}
		}
		statuses = append(statuses, status)
	}
	return statuses
}

// Whatever the policies, whoever reads and whatever the rows are: a dataset at now and an online read show the same rows, values and
// statuses, or are refused alike; and what is hidden and what is masked is what the policies say.
func TestADatasetAndAnOnlineReadAgree(t *testing.T) {
	t.Parallel()
	p := openProductWith(t, Config{PostgresURL: testenv.PostgresURL(t), RedisURL: testenv.RedisURL(t), Region: "here"})
	pools, rows := agreementData(time.Now())
	define := func(round int) (*feature.Definitions, []agreementRule) {
		d := agreementDefinitions()
		d.Roles = rolesOfReaders(pools, 1000*round)
		var rules []agreementRule
		for n := range agreementPolicies {
			rules = append(rules, drawn(1000*round+n, func(t *rapid.T) agreementRule { return drawRule(t, pools, n) }))
			d.Policies = append(d.Policies, rules[n].Policy)
		}
		return d, rules
	}
	d, rules := define(0)
	p.apply(d)
	content := table{columns: d.Sources[0].Columns}
	for _, r := range rows {
		row := []feature.Value{r.values[eventTimeAt], r.values[availableAtAt], feature.String(r.id)}
		for i := range anyfilter.Columns {
			if i != eventTimeAt && i != availableAtAt {
				row = append(row, r.values[i])
			}
		}
		content.rows = append(content.rows, row)
	}
	arrow := content.arrow(t)
	if _, err := p.send(p.admin, "things", p.header(arrow, 0), arrow, len(arrow)); err != nil {
		t.Fatal(err)
	}
	p.materialize("wide", "brief", "totals")
	p.materialize("over")
	eventually(t, "the coverage of the windows to be known", func() bool {
		r, err := p.online.GetFeatures(p.admin, &headwaterv1.GetFeaturesRequest{Features: []string{"totals.rows"}, Keys: map[string]*headwaterv1.KeyColumn{"id": texts(entityName(0))}})
		return err == nil && !strings.Contains(vectors(r), "STALE")
	})
	counts := map[string]int{}
	for round := range agreementRounds {
		if round > 0 {
			d, rules = define(round)
			p.apply(d)
		}
		for n := range agreementReaders {
			r := drawn(1000*round+500+n, func(t *rapid.T) agreementReader { return drawReader(t, pools, n) })
			r.arrow = n%4 == 0
			online, offline, onlineErr, offlineErr := p.readBoth(p.asReader(&r), &r)
			wrong := func(format string, args ...any) {
				t.Helper()
				t.Errorf("round %d, reader %d, %+v: %s", round, n, r, fmt.Sprintf(format, args...))
			}
			if onlineErr != nil || offlineErr != nil {
				counts["refused"]++
				if a, b := fault.FromError(onlineErr), fault.FromError(offlineErr); a == nil || b == nil || a.Reason != b.Reason || a.Reason != fault.PermissionDenied {
					wrong("found online %v, offline %v, expected two denials", onlineErr, offlineErr)
				}
				continue
			}
			counts["read"]++
			if len(online) != len(offline) {
				wrong("found %d features online, %d offline", len(online), len(offline))
			}
			for name, values := range online {
				for i, v := range values {
					_, status, _ := strings.Cut(v, "/")
					counts[v[strings.LastIndex(v, "/")+1:]]++
					w := "no row"
					if i < len(offline[name]) {
						w = offline[name][i]
					}
					if status == "NO_ROW" {
						// Only winners are online: of a row that is not known yet nothing is.
						w = strings.Replace(w, "/NOT_YET_KNOWN", v, 1)
					}
					if w != v {
						wrong("%s of entity %d: found %s online, %s offline", name, i, v, w)
						break
					}
				}
			}
			if online["wide__i"] == nil {
				continue
			}
			for e, status := range expected(rules, &r, d.Roles, winnersOf(rows, feature.TimeOf(time.Now()))) {
				if v := online["wide__i"][e]; !strings.HasSuffix(v, "/"+status) {
					wrong("wide__i of entity %d: found %s, expected %s", e, v, status)
				}
			}
		}
	}
	t.Logf("%v", counts)
	for what, least := range map[string]int{"read": 40, "refused": 10, "PRESENT": 5000, "NO_ROW": 2000, "MASKED": 1000, "NULL": 1000, "DEFAULT": 100, "EXPIRED": 100, "ERROR": 1, "NO_KEY": 100} {
		if counts[what] < least {
			t.Errorf("found %d of %s, expected at least %d", counts[what], what, least)
		}
	}
}

// asReader is p.as with attributes.
func (p *product) asReader(r *agreementReader) context.Context {
	p.t.Helper()
	request := &headwaterv1.CreateTokenRequest{Principal: r.name, Roles: r.roles, Ttl: durationpb.New(time.Hour)}
	for name, values := range r.attributes {
		if request.Attributes == nil {
			request.Attributes = map[string]*headwaterv1.AttributeValues{}
		}
		request.Attributes[name] = &headwaterv1.AttributeValues{Values: values}
	}
	token, err := p.access.CreateToken(p.admin, request)
	if err != nil {
		p.t.Fatal(err)
	}
	return withToken(token.GetSecret())
}
