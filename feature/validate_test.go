package feature

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestValidateAcceptsExample(t *testing.T) {
	if problems := flights().Validate(nil); len(problems) > 0 {
		t.Fatal(problems)
	}
}

func TestValidateProblems(t *testing.T) {
	for _, c := range []struct {
		name    string
		change  func(d *Definitions)
		field   string
		message string
	}{
		{"two of one name", func(d *Definitions) { d.Sources = append(d.Sources, d.Sources[0]) },
			"sources[1].name", "found a second source called flights, expected one of each name"},
		{"double underscore", func(d *Definitions) { d.Roles[0].Name = "a__b" }, "roles[0].name", "no double underscore"},
		{"trailing underscore", func(d *Definitions) { d.Roles[0].Name = "a_" }, "roles[0].name", "no underscore at its end"},
		{"upper case", func(d *Definitions) { d.Roles[0].Name = "Role" }, "roles[0].name", "lower-case letters"},
		{"no name", func(d *Definitions) { d.Roles[0].Name = "" }, "roles[0].name", "found no name"},
		{"key type", func(d *Definitions) { d.Entities[0].JoinKeys[1].Type = TypeFloat64 },
			"entities[0].join_keys[1].type", "found a join key of type float64, expected string or int64"},
		{"reserved key", func(d *Definitions) { d.Entities[0].JoinKeys[0].Name = "entity_key" },
			"entities[0].join_keys[0].name", "which is a column of every history table"},
		{"no keys", func(d *Definitions) { d.Entities[0].JoinKeys = nil }, "entities[0].join_keys", "at least one"},
		{"column twice", func(d *Definitions) { d.Sources[0].Columns[5].Name = "delay" },
			"sources[0].columns[5].name", "found a second column called delay"},
		{"column of the system", func(d *Definitions) { d.Sources[0].Columns[5].Name = "_load" },
			"sources[0].columns[5].name", "does not begin with an underscore"},
		{"event_time that is not", func(d *Definitions) { d.Sources[0].Columns[1].Name = "event_time" },
			"sources[0].columns[1].name", "found a column called event_time"},
		{"available_at that is not", func(d *Definitions) { d.Sources[0].Columns[1].Name = "available_at" },
			"sources[0].columns[1].name", "found a column called available_at"},
		{"event time of nothing", func(d *Definitions) { d.Sources[0].EventTime = "lended" },
			"sources[0].event_time", "found no column called lended in source flights; did you mean landed?"},
		{"event time of a type", func(d *Definitions) { d.Sources[0].EventTime = "origin" },
			"sources[0].event_time", "found column origin of type string, expected one of type timestamp"},
		{"arrival of nothing", func(d *Definitions) { s := &d.Sources[0]; s.ArrivalExpression, s.ArrivalColumn = "", "arrived" },
			"sources[0].arrival_time.column", "found no column called arrived in source flights; there is date, landed"},
		{"two arrivals", func(d *Definitions) { d.Sources[0].ArrivalColumn = "landed" }, "sources[0].arrival_time", "expected one of them"},
		{"arrival with placeholder", func(d *Definitions) { d.Sources[0].ArrivalExpression = "{{interval.end}}" },
			"sources[0].arrival_time.expression", "expected none: this expression is over one row"},
		{"arrive with a key", func(d *Definitions) {
			d.Sources[0].Corrections, d.Sources[0].UniqueKey = Arrive, []string{"origin"}
		}, "sources[0].corrections", "found arrive beside a unique_key, which is not available in this version; leave one of them out"},
		{"arrive of others", func(d *Definitions) {
			d.Sources[0].Corrections, d.Sources[0].Postgres = Arrive, &PostgresOrigin{Schema: "public", Table: "t"}
		}, "sources[0].corrections", "found arrive for a table that others keep, expected restate: it has no loads that a correction could " +
			"arrive with; leave it out"},
		{"key of nothing", func(d *Definitions) { d.Sources[0].UniqueKey = []string{"orgin"} },
			"sources[0].unique_key[0]", "found no column called orgin in source flights; did you mean origin?"},
		{"key column twice", func(d *Definitions) { d.Sources[0].UniqueKey = []string{"origin", "date", "origin"} },
			"sources[0].unique_key[2]", "found column origin a second time, expected each once"},
		{"duplicates without a key", func(d *Definitions) { d.Sources[0].Conflicting = KeepNewest },
			"sources[0].duplicates", "found rules for duplicates without a unique_key, expected both: name the columns that tell one row from " +
				"another, or leave duplicates out"},
		{"an order that others do not have", func(d *Definitions) {
			s := &d.Sources[0]
			s.Postgres, s.UniqueKey, s.Conflicting = &PostgresOrigin{Schema: "public", Table: "t"}, []string{"origin"}, KeepOldest
		}, "sources[0].duplicates.conflicting", "found oldest for a table that others keep, expected fail: its rows have no order of arrival; " +
			"let a view of the database pick one row per key, and name that"},
		{"a table of ours", func(d *Definitions) { d.Sources[0].Postgres = &PostgresOrigin{Schema: "headwater_history", Table: "t"} },
			"sources[0].postgres.schema", "found schema headwater_history, which is Postgres's or Headwater's own, expected one with tables of " +
				"others; a source may not read those"},
		{"a table of Postgres's", func(d *Definitions) {
			d.Sources[0].Postgres = &PostgresOrigin{Schema: "information_schema", Table: "t"}
		},
			"sources[0].postgres.schema", "found schema information_schema, which is Postgres's or Headwater's own"},
		{"a change column that is not there", func(d *Definitions) {
			d.Sources[0].Postgres = &PostgresOrigin{Schema: "public", Table: "t", ChangeColumn: "lande"}
		}, "sources[0].postgres.change_column", "found no column called lande in source flights; did you mean landed?"},
		{"a change column that does not grow", func(d *Definitions) {
			d.Sources[0].Postgres = &PostgresOrigin{Schema: "public", Table: "t", ChangeColumn: "origin"}
		}, "sources[0].postgres.change_column", "found column origin of type string, expected one of type timestamp or int64"},
		{"a part to be read again of nothing", func(d *Definitions) {
			d.Sources[0].Postgres = &PostgresOrigin{Schema: "public", Table: "t", Reread: time.Hour}
		}, "sources[0].postgres.reread", "found a part to be read again without a change_column, expected both"},
		{"a number of a timestamp", func(d *Definitions) {
			d.Sources[0].Postgres = &PostgresOrigin{Schema: "public", Table: "t", ChangeColumn: "landed", RereadRows: 5}
		}, "sources[0].postgres.reread_rows", "found a number for change column landed, which is a timestamp, expected a duration: reread"},
		{"no table", func(d *Definitions) { d.Sources[0].Postgres = &PostgresOrigin{Schema: "public"} },
			"sources[0].postgres.table", "found no table, expected the name of a table or view"},
		{"a database's name", func(d *Definitions) {
			d.Sources[0].Postgres = &PostgresOrigin{Database: "Shop", Schema: "public", Table: "t"}
		},
			"sources[0].postgres.database", `found the name "Shop", expected lower-case letters`},
		{"freshness", func(d *Definitions) { d.Sources[0].Freshness = 1500 }, "sources[0].freshness", "expected whole microseconds"},
		{"no type", func(d *Definitions) { d.Views[0].Features[0].Type = TypeInvalid },
			"feature_views[0].features[0].type", "expected one of bool, int64, float64, decimal(p, s), string, bytes, timestamp, list(T), vector(n)"},
		{"a decimal as key", func(d *Definitions) { d.Entities[0].JoinKeys[0].Type = DecimalType(9, 0) },
			"entities[0].join_keys[0].type", "found a join key of type decimal(9, 0), expected string or int64: only their values have one spelling"},
		{"more vectors than a row holds", func(d *Definitions) {
			d.Views[0].Attributes = nil
			for i := range 262 {
				d.Views[0].Attributes = append(d.Views[0].Attributes, Column{Name: fmt.Sprintf("v%d", i), Type: VectorType(MaxDimension)})
			}
		}, "feature_views[0].features", "found vectors of 16768000 bytes in each row, four for each of their floats, expected at most 16711680; make several views of them"},
		{"entity of nothing", func(d *Definitions) { d.Views[0].Entity = "rout" },
			"feature_views[0].entity", "found no entity called rout; did you mean route?"},
		{"source of nothing", func(d *Definitions) { d.Views[0].SQL.Sources = []string{"flihgts"} },
			"feature_views[0].sql.sources[0]", "found no source called flihgts; did you mean flights?"},
		{"source twice", func(d *Definitions) { d.Views[0].SQL.Sources = []string{"flights", "flights"} },
			"feature_views[0].sql.sources[1]", "a second time"},
		{"feature like a key", func(d *Definitions) { d.Views[0].Features[0].Name, d.Services[0].Views[0].Features = "origin", nil },
			"feature_views[0].features[0].name", "found a second column called origin (there is a join key of that name)"},
		{"attribute like a feature", func(d *Definitions) { d.Views[0].Attributes[0].Name = "departures" },
			"feature_views[0].attributes[0].name", "there is a feature of that name"},
		{"two kinds", func(d *Definitions) { d.Views[0].OnDemand = &OnDemand{} }, "feature_views[0].sql", "found 2 of sql, aggregation, on_demand and push, expected exactly one"},
		{"neither sources nor views", func(d *Definitions) { d.Views[0].SQL.Sources = nil },
			"feature_views[0].sql.sources", "found no sources and no views, expected at least one of them"},
		{"view of nothing", func(d *Definitions) { d.Views[0].SQL.Views = []ViewRef{{Name: "nothing"}} },
			"feature_views[0].sql.views[0]", "found no view called nothing"},
		{"view and source of one name", func(d *Definitions) {
			d.Views = append(d.Views, d.Views[0])
			d.Views[1].Name = "flights"
			sql := *d.Views[0].SQL
			sql.Views = []ViewRef{{Name: "flights"}}
			d.Views[0].SQL = &sql
		}, "feature_views[0].sql.views[0]", "found view flights beside source flights, expected names that differ: in SQL each is the relation of " +
			"its name; rename one, or read one of them only"},
		{"view with a name of Postgres's", func(d *Definitions) {
			d.Views = append(d.Views, d.Views[0])
			d.Views[1].Name = "pg_class"
			sql := *d.Views[0].SQL
			sql.Views = []ViewRef{{Name: "pg_class"}}
			d.Views[0].SQL = &sql
		}, "feature_views[0].sql.views[0]", "found view pg_class, expected a name that does not begin with pg_"},
		{"view that is computed when it is read", func(d *Definitions) {
			d.Views = append(d.Views, View{Name: "ratio", OnDemand: &OnDemand{}, Features: []Column{{Name: "r", Type: TypeInt64}}})
			d.Views[0].SQL.Views = []ViewRef{{Name: "ratio"}}
		}, "feature_views[0].sql.views[0]", "found view ratio, whose features are computed when they are read, expected a view with a history; " +
			"compute them in this SQL, or read what they are made of"},
		{"no kind", func(d *Definitions) { d.Views[0].SQL = nil }, "feature_views[0].sql", "found 0 of sql, aggregation, on_demand and push"},
		{"nanoseconds", func(d *Definitions) { d.Views[0].Grain = 1500 }, "feature_views[0].grain", "found 1.5µs, expected whole microseconds"},
		{"negative", func(d *Definitions) { d.Views[0].TTL = -time.Second }, "feature_views[0].ttl", "found -1s, expected a duration that is not negative"},
		{"view of nothing", func(d *Definitions) { d.Services[0].Views[0].View = "route_delay" },
			"feature_services[0].views[0].view", "found no view called route_delay; did you mean route_delays?"},
		{"feature of nothing", func(d *Definitions) { d.Services[0].Views[0].Features[0] = "mean_dealy" },
			"feature_services[0].views[0].features[0]", "found no feature called mean_dealy in view route_delays; did you mean mean_delay?"},
		{"an attribute served", func(d *Definitions) { d.Services[0].Views[0].Features[0] = "region" },
			"feature_services[0].views[0].features[0]", "attributes are never served"},
		{"view twice", func(d *Definitions) {
			s := &d.Services[0]
			s.Views = append(s.Views, ServiceView{View: "route_delays"})
		},
			"feature_services[0].views[1].view", "a second time"},
		{"admin", func(d *Definitions) { d.Roles[0].Name = "admin" }, "roles[0].name", "built in"},
		{"action", func(d *Definitions) { d.Roles[0].Grants[0].Actions[0] = "read_offlin" },
			"roles[0].grants[0].actions[0]", "did you mean read_offline?"},
		{"resource kind", func(d *Definitions) { d.Roles[0].Grants[0].Resources[0].Kind = "views" },
			"roles[0].grants[0].resources[0]", "found a resource of kind views, expected one of catalog, entity"},
		{"one catalog", func(d *Definitions) { d.Roles[0].Grants[0].Resources[0] = ResourcePattern{"catalog", "x"} },
			"roles[0].grants[0].resources[0]", "expected catalog:*"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := flights()
			c.change(d)
			problems := d.Validate(nil)
			i := slices.IndexFunc(problems, func(p Problem) bool { return p.Field == c.field && strings.Contains(p.Message, c.message) })
			if i < 0 {
				t.Fatalf("found %+v\nexpected %s: %s", problems, c.field, c.message)
			}
		})
	}
}

func TestValidateAcceptsKeysAndTables(t *testing.T) {
	d := flights()
	s := &d.Sources[0]
	s.UniqueKey, s.Exact, s.Conflicting, s.IgnoreNewColumns, s.Freshness = []string{"origin", "date"}, FailExact, KeepNewest, true, time.Hour
	if problems := d.Validate(nil); len(problems) > 0 {
		t.Error(problems)
	}
	// Headwater's own schemas have an underscore behind the word.
	s.Postgres, s.Conflicting = &PostgresOrigin{Database: "shop", Schema: "headwaters", Table: "Flights of 2001"}, FailConflicting
	if problems := d.Validate(nil); len(problems) > 0 {
		t.Error(problems)
	}
}

func TestValidateNamesBothPlaces(t *testing.T) {
	d := flights()
	d.Views = append(d.Views, d.Views[0])
	problems := d.Validate(nil)
	if len(problems) != 1 || problems[0].Field != "feature_views[1].name" || problems[0].Also != "feature_views[0].name" {
		t.Fatalf("found %+v", problems)
	}
}

func TestValidateClocksMayBearTheirNames(t *testing.T) {
	d := flights()
	s := &d.Sources[0]
	s.Columns[0].Name, s.EventTime = "event_time", "event_time"
	s.Columns[1].Name, s.ArrivalColumn, s.ArrivalExpression = "available_at", "available_at", ""
	if problems := d.Validate(nil); len(problems) > 0 {
		t.Fatal(problems)
	}
}

func TestValidatePlacesSQL(t *testing.T) {
	d := flights()
	d.Views[0].SQL.Query = "SELECT 1\nFROM {{run.start}}"
	problems := d.Validate(nil)
	if len(problems) != 1 || problems[0].Field != "feature_views[0].sql.query" || problems[0].Line != 2 || problems[0].Column != 6 {
		t.Fatalf("found %+v", problems)
	}
}

func TestValidateAgainstKnown(t *testing.T) {
	all := flights()
	part := &Definitions{Views: all.Views, Services: all.Services}
	if problems := part.Validate(nil); len(problems) != 2 {
		t.Fatalf("alone: found %+v, expected its entity and its source to be missing", problems)
	}
	known := &Known{
		Entities: map[string]*Entity{"route": &all.Entities[0]}, Sources: map[string]*Source{"flights": &all.Sources[0]},
		Views: map[string]bool{"other_view": true},
	}
	if problems := part.Validate(known); len(problems) > 0 {
		t.Fatal(problems)
	}
	part.Views[0].Features[0].Name = "carrier"
	part.Services[0].Views[0].View = "other_views"
	var messages []string
	for _, p := range part.Validate(known) {
		messages = append(messages, p.Message)
	}
	got := strings.Join(messages, "\n")
	for _, want := range []string{"there is a join key of that name", "did you mean other_view?"} {
		if !strings.Contains(got, want) {
			t.Errorf("found %q, expected %q in it", got, want)
		}
	}
}

func TestNearest(t *testing.T) {
	candidates := []string{"airport_delays", "route_delays", "name"}
	for name, want := range map[string]string{
		"airport_delay": "airport_delays", "ruote_delays": "route_delays", "nmae": "name", "Name": "name", "x": "", "delays": "", "": "",
	} {
		if got, _ := Nearest(name, candidates); got != want {
			t.Errorf("Nearest(%q): found %q, expected %q", name, got, want)
		}
	}
}

func TestParseResourcePattern(t *testing.T) {
	if p, err := ParseResourcePattern("run:a@1/2:x"); err != nil || p.Kind != "run" || p.Name != "a@1/2:x" {
		t.Errorf("found %v, %v", p, err)
	}
	for _, s := range []string{"", "view", ":x", "view:"} {
		if _, err := ParseResourcePattern(s); err == nil || !strings.Contains(err.Error(), "expected KIND:NAME") {
			t.Errorf("ParseResourcePattern(%q): found %v", s, err)
		}
	}
}
