package feature

import (
	"flag"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the golden vectors anew; they change only with the format's version")

// golden holds lines to testdata/name, made of `NAME HEX` each.
func golden(t *testing.T, name string, lines []string) {
	t.Helper()
	path, got := "testdata/"+name, strings.Join(lines, "\n")+"\n"
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Fatalf("%s\nfound    %s\nexpected %s\nstored fingerprints and digests depend on this encoding: keep it, or give it a new version", path, got, want)
	}
}

func TestFingerprintGolden(t *testing.T) {
	var lines []string
	all := fingerprints(flights())
	for _, k := range slices.Sorted(maps.Keys(all)) {
		lines = append(lines, k.String()+" "+all[k].String())
	}
	typed := Source{Name: "typed", EventTime: "at", Columns: []Column{{Name: "at", Type: TypeTimestamp}, {Name: "a", Type: DecimalType(12, 2)},
		{Name: "b", Type: TypeBytes}, {Name: "c", Type: ListType(TypeString)}, {Name: "d", Type: ListType(DecimalType(3, 0))}, {Name: "e", Type: VectorType(256)}}}
	lines = append(lines, "source:typed "+typed.Fingerprint().String(), "view:pushed "+pushed().Fingerprint.String())
	golden(t, "fingerprints.txt", lines)
}

func TestFingerprintHoldsTheWholeType(t *testing.T) {
	seen := map[Digest]Type{}
	for _, typ := range []Type{TypeInt64, TypeBytes, DecimalType(12, 2), DecimalType(12, 3), DecimalType(13, 2), ListType(TypeInt64), ListType(TypeBytes),
		ListType(DecimalType(12, 2)), ListType(DecimalType(12, 3)), VectorType(2), VectorType(258)} {
		s := Source{Name: "s", Columns: []Column{{Name: "c", Type: typ}}}
		if other, ok := seen[s.Fingerprint()]; ok {
			t.Errorf("%s and %s have one fingerprint", typ, other)
		}
		seen[s.Fingerprint()] = typ
	}
}

// Sources with keys and of others have vectors of their own: those without must keep theirs.
func TestFingerprintOfSourcesGolden(t *testing.T) {
	var lines []string
	for _, c := range []struct {
		name   string
		change func(s *Source)
	}{
		{"landing", func(*Source) {}},
		{"key", func(s *Source) { s.UniqueKey = []string{"origin", "date"} }},
		{"key-in-another-order", func(s *Source) { s.UniqueKey = []string{"date", "origin"} }},
		{"key-fail-newest", func(s *Source) {
			s.UniqueKey, s.Exact, s.Conflicting = []string{"origin", "date"}, FailExact, KeepNewest
		}},
		{"table", func(s *Source) { s.Postgres = &PostgresOrigin{Schema: "public", Table: "flights"} }},
		{"table-elsewhere-with-key", func(s *Source) {
			s.Postgres, s.UniqueKey = &PostgresOrigin{Database: "warehouse", Schema: "public", Table: "flights"}, []string{"date"}
		}},
		{"late", func(s *Source) { s.AllowedLateness = 72 * time.Hour }},
		{"marked", func(s *Source) {
			s.UniqueKey, s.Conflicting, s.DeleteMarker = []string{"origin", "date"}, KeepNewest, "cancelled"
		}},
	} {
		s := flights().Sources[0]
		c.change(&s)
		lines = append(lines, c.name+" "+s.Fingerprint().String())
	}
	golden(t, "source_fingerprints.txt", lines)
}

func TestFingerprintIgnoresWordsAndLayout(t *testing.T) {
	want := fingerprints(flights())
	for name, change := range map[string]func(d *Definitions){
		"descriptions": func(d *Definitions) {
			d.Entities[0].Description, d.Sources[0].Description, d.Views[0].Description = "x", "y", "z"
			d.Services[0].Description, d.Roles[0].Description = "x", "y"
			d.Views[0].Features[0].Description, d.Sources[0].Columns[0].Description = "x", "y"
		},
		"owners": func(d *Definitions) { d.Entities[0].Owner, d.Sources[0].Owner, d.Views[0].Owner = "x", "y", "z" },
		"tags": func(d *Definitions) {
			d.Views[0].Tags, d.Services[0].Tags, d.Sources[0].Columns[0].Tags = []string{"x"}, []string{"y"}, []string{"z"}
		},
		"sql comments and white space": func(d *Definitions) {
			d.Views[0].SQL.Query = "select ORIGIN,carrier , count ( * )as departures/* x */from FLIGHTS where event_time>={{ interval.start }}\tand origin<>'X';"
		},
		"expression layout": func(d *Definitions) {
			d.Sources[0].ArrivalExpression = "GREATEST( date,\n date+delay*interval '1 minute') -- landed"
		},
		"order and repetition in grants": func(d *Definitions) {
			g := d.Roles[0].Grants
			slices.Reverse(g)
			slices.Reverse(g[1].Actions)
			slices.Reverse(g[1].Resources)
			d.Roles[0].Grants = append(g, g[0])
		},
		"what files and freshness are expected": func(d *Definitions) {
			d.Sources[0].IgnoreNewColumns, d.Sources[0].Freshness, d.Sources[0].NullEventTime = true, time.Hour, DropNull
		},
		"rules without a key":         func(d *Definitions) { d.Sources[0].Conflicting = KeepNewest },
		"a pin to the version it has": func(d *Definitions) { d.Services[0].Views[0].Version = 1 },
	} {
		d := flights()
		change(d)
		if got := fingerprints(d); !maps.Equal(got, want) {
			t.Errorf("%s: changed the fingerprints", name)
		}
	}
}

func TestFingerprintHoldsEachMeaning(t *testing.T) {
	// Changes, with the kinds whose fingerprints follow: what reads a thing changes with it.
	view := []Kind{KindView, KindService}
	entity, source := append([]Kind{KindEntity}, view...), append([]Kind{KindSource}, view...)
	service, role := []Kind{KindService}, []Kind{KindRole}
	sql := func(old, now string) func(d *Definitions) {
		return func(d *Definitions) { d.Views[0].SQL.Query = strings.Replace(d.Views[0].SQL.Query, old, now, 1) }
	}
	changes := map[string]struct {
		change func(d *Definitions)
		kinds  []Kind
	}{
		"entity name":        {func(d *Definitions) { d.Entities[0].Name = "path" }, entity},
		"key name":           {func(d *Definitions) { d.Entities[0].JoinKeys[0].Name = "from" }, entity},
		"key type":           {func(d *Definitions) { d.Entities[0].JoinKeys[1].Type = TypeString }, entity},
		"key order":          {func(d *Definitions) { slices.Reverse(d.Entities[0].JoinKeys) }, entity},
		"fewer keys":         {func(d *Definitions) { d.Entities[0].JoinKeys = d.Entities[0].JoinKeys[:1] }, entity},
		"source name":        {func(d *Definitions) { d.Sources[0].Name = "flight" }, source},
		"column name":        {func(d *Definitions) { d.Sources[0].Columns[4].Name = "late" }, source},
		"column type":        {func(d *Definitions) { d.Sources[0].Columns[4].Type = TypeInt64 }, source},
		"event time":         {func(d *Definitions) { d.Sources[0].EventTime = "landed" }, source},
		"arrival expression": {func(d *Definitions) { d.Sources[0].ArrivalExpression = "date" }, source},
		"no arrival":         {func(d *Definitions) { d.Sources[0].ArrivalExpression = "" }, source},
		"arrival column":     {func(d *Definitions) { d.Sources[0].ArrivalExpression, d.Sources[0].ArrivalColumn = "", "date" }, source},
		"corrections":        {func(d *Definitions) { d.Sources[0].Corrections = Arrive }, source},
		"unique key":         {func(d *Definitions) { d.Sources[0].UniqueKey = []string{"origin"} }, source},
		"wider unique key":   {func(d *Definitions) { d.Sources[0].UniqueKey = []string{"origin", "date"} }, source},
		"exact duplicates": {func(d *Definitions) {
			d.Sources[0].UniqueKey, d.Sources[0].Exact = []string{"origin"}, FailExact
		}, source},
		"conflicting duplicates": {func(d *Definitions) {
			d.Sources[0].UniqueKey, d.Sources[0].Conflicting = []string{"origin"}, KeepNewest
		}, source},
		"table":                {func(d *Definitions) { d.Sources[0].Postgres = &PostgresOrigin{Schema: "a", Table: "b"} }, source},
		"other table":          {func(d *Definitions) { d.Sources[0].Postgres = &PostgresOrigin{Schema: "ab", Table: ""} }, source},
		"other database":       {func(d *Definitions) { d.Sources[0].Postgres = &PostgresOrigin{Database: "a", Schema: "b"} }, source},
		"view name":            {func(d *Definitions) { d.Views[0].Name = "delays" }, view},
		"feature name":         {func(d *Definitions) { d.Views[0].Features[0].Name, d.Services[0].Views[0].Features[1] = "n", "n" }, view},
		"feature type":         {func(d *Definitions) { d.Views[0].Features[0].Type = TypeFloat64 }, view},
		"feature order":        {func(d *Definitions) { slices.Reverse(d.Views[0].Features) }, view},
		"attribute name":       {func(d *Definitions) { d.Views[0].Attributes[0].Name = "area" }, view},
		"attribute as feature": {func(d *Definitions) { v := &d.Views[0]; v.Features, v.Attributes = v.Stored(), nil }, view},
		"ttl":                  {func(d *Definitions) { d.Views[0].TTL += time.Microsecond }, view},
		"grain":                {func(d *Definitions) { d.Views[0].Grain = 0 }, view},
		"lookback":             {func(d *Definitions) { d.Views[0].Lookback = time.Minute }, view},
		"constant":             {sql("'X'", "'x'"), view},
		"constant's spaces":    {sql("'X'", "'X '"), view},
		"quoted name":          {sql("carrier", `"Carrier"`), view},
		"placeholder":          {sql("interval.start", "interval.end"), view},
		"operator":             {sql(">=", ">"), view},
		"tokens joined":        {sql("count(*) AS", "count(*)AS x,"), view},
		"serves as grant":      {func(d *Definitions) { d.Services[0].ServesAsGrant = false }, service},
		"service name":         {func(d *Definitions) { d.Services[0].Name = "x" }, service},
		"service's order":      {func(d *Definitions) { slices.Reverse(d.Services[0].Views[0].Features) }, service},
		"service's features":   {func(d *Definitions) { d.Services[0].Views[0].Features = []string{"mean_delay"} }, service},
		"role name":            {func(d *Definitions) { d.Roles[0].Name = "x" }, role},
		"effect":               {func(d *Definitions) { d.Roles[0].Grants[1].Deny = false }, role},
		"action":               {func(d *Definitions) { d.Roles[0].Grants[0].Actions[0] = "ingest" }, role},
		"resource kind":        {func(d *Definitions) { d.Roles[0].Grants[0].Resources[0].Kind = "entity" }, role},
		"resource name":        {func(d *Definitions) { d.Roles[0].Grants[0].Resources[0].Name = "route_" }, role},
		"grants split": {func(d *Definitions) {
			g := d.Roles[0].Grants[0]
			a, b := g, g
			a.Actions, b.Actions = g.Actions[:1], g.Actions[1:]
			b.Resources = g.Resources[:1]
			d.Roles[0].Grants = []Grant{a, b, d.Roles[0].Grants[1]}
		}, role},
	}
	want := fingerprints(flights())
	seen := map[Digest]string{}
	for _, name := range slices.Sorted(maps.Keys(changes)) {
		d, c := flights(), changes[name]
		c.change(d)
		got := fingerprints(d)
		for k := range want {
			if changed := got[k] != want[k]; changed != slices.Contains(c.kinds, k) {
				t.Errorf("%s: fingerprint of the %s changed: %t", name, k, changed)
			}
		}
		if other, ok := seen[got[c.kinds[0]]]; ok {
			t.Errorf("%q and %q have one fingerprint", name, other)
		}
		seen[got[c.kinds[0]]] = name
	}
}

func TestFingerprintHoldsSessionSettings(t *testing.T) {
	want := fingerprints(flights())
	old := SessionSettings
	defer func() { SessionSettings = old }()
	SessionSettings = slices.Clone(old)
	SessionSettings[0].Value = "Europe/Berlin"
	got := fingerprints(flights())
	if got[KindView] == want[KindView] || got[KindSource] != want[KindSource] {
		t.Fatal("the settings of sessions are part of the fingerprint of views, and of theirs alone")
	}
}

// Layout means nothing: the same tokens with other gaps have one fingerprint.
func TestFingerprintOfLayout(t *testing.T) {
	words := []string{"SELECT", "a", "'it''s'", `"B"`, "$x$ y $x$", "::", "(", ")", ",", ".", "1.5e3", "{{interval.start}}", "=", "E'\\''", "é"}
	// Gaps hold no line break: two text constants would become one.
	gap := rapid.SampledFrom([]string{" ", "\t", "  ", "/* x /* ' */ */", " /**/ "})
	rapid.Check(t, func(t *rapid.T) {
		tokens := rapid.SliceOfN(rapid.SampledFrom(words), 1, 20).Draw(t, "tokens")
		write := func(label string) string {
			var b strings.Builder
			for _, token := range tokens {
				b.WriteString(token)
				b.WriteString(gap.Draw(t, label))
			}
			return b.String()
		}
		a, b := flights(), flights()
		a.Views[0].SQL.Query, b.Views[0].SQL.Query = write("a"), write("b")
		if fingerprints(a)[KindView] != fingerprints(b)[KindView] {
			t.Fatalf("%q and %q differ", a.Views[0].SQL.Query, b.Views[0].SQL.Query)
		}
	})
}
