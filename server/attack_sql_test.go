package server

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/headwaterhq/headwater/definition"
	"github.com/headwaterhq/headwater/feature"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

// injections are texts that do something else where a text is put into SQL unquoted, or quoted in the wrong way.
var injections = []string{
	`x'; CREATE TABLE public.pwned (); --`,
	`x"; CREATE TABLE public.pwned (); --`,
	`x\'; CREATE TABLE public.pwned (); --`,
	`x$$; CREATE TABLE public.pwned (); --`,
	`x') RETURNING (SELECT min(id) FROM headwater.token) --`,
	`{{interval.start}}' OR true --`,
	`%s$1%[1]s:x`,
	"x\x00'; CREATE TABLE public.pwned (); --",
}

// refusals are the ways in which an attack may end: nothing was done, and the caller is told that it was the caller's.
var refusals = map[fault.Reason]bool{
	fault.InvalidArgument: true, fault.InvalidDefinition: true, fault.InvalidSQL: true, fault.InvalidSpine: true, fault.InvalidRows: true,
	fault.NotFound: true, fault.PermissionDenied: true, fault.FailedPrecondition: true, fault.Unauthenticated: true, fault.ResourceExhausted: true, fault.Unimplemented: true,
}

// harmless reports an error that says more than a refusal, or shows what is inside of the server.
func harmless(t *testing.T, what string, err error) {
	t.Helper()
	f := fault.FromError(err)
	if f == nil {
		return
	}
	if !refusals[f.Reason] {
		t.Errorf("%s: found %s %q, expected a refusal", what, f.Reason, f.Error())
	}
	for _, inside := range []string{"SQLSTATE", "goroutine", ".go:", "pgx", "panic"} {
		if strings.Contains(f.Error(), inside) {
			t.Errorf("%s: the error shows %q: %s", what, inside, f.Error())
		}
	}
}

// Texts of callers, wherever one can be put, are texts: in names, filters, keys, spines, intervals, headers of files and what is looked for.
func TestAttackSQLInTexts(t *testing.T) {
	t.Parallel()
	p := newProduct(t)
	d := readers(policy("own_places", "view:delays", ownPlaces))
	d.Services[1].Log = "all"
	p.apply(d)
	at := time.Now().Add(-3 * time.Hour).Truncate(time.Microsecond)
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(34))), 0)
	p.materialize("delays", "recent", "traffic")
	state := func() string {
		var text string
		err := p.pool.QueryRow(context.Background(), `SELECT concat_ws(' ', to_regclass('public.pwned'), (SELECT count(*) FROM headwater.token WHERE roles <> '{admin}'),
			(SELECT count(*) FROM pg_tables WHERE schemaname = 'headwater'), (SELECT count(*) FROM headwater.load))`).Scan(&text)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	before := state()
	ctx := p.admin
	spine := spineOf(asked("ORD", 7, time.Now())).arrow(t)
	keys := func(s string) map[string]*headwaterv1.KeyColumn {
		return map[string]*headwaterv1.KeyColumn{"origin": texts(s)}
	}
	value := func(s string) map[string]*headwaterv1.Value {
		return map[string]*headwaterv1.Value{"origin": texts(s).Values[0]}
	}
	plan := func(change func(d *feature.Definitions, s string)) func(s string) error {
		return func(s string) error {
			d := readers(policy("own_places", "view:delays", ownPlaces))
			change(d, s)
			_, err := p.registry.Plan(ctx, &headwaterv1.PlanRequest{Files: []*headwaterv1.DefinitionSource{{Path: s + ".yaml", File: definition.ToProto(d)}}})
			return err
		}
	}
	build := func(header *headwaterv1.BuildDatasetHeader, service string, spine []byte) error {
		header.AllowPartial = true
		_, _, err := p.build(ctx, service, header, spine)
		return err
	}
	calls := map[string]func(s string) error{
		"name of a source": plan(func(d *feature.Definitions, s string) { d.Sources[0].Name = s }),
		"name of a column": plan(func(d *feature.Definitions, s string) { d.Sources[0].Columns[4].Name = s }),
		"name of a view":   plan(func(d *feature.Definitions, s string) { d.Views[0].Name = s }),
		"name of a feature": plan(func(d *feature.Definitions, s string) {
			d.Views[0].Features = append(d.Views[0].Features[:1:1], feature.Column{Name: s, Type: feature.TypeString})
		}),
		"name of a key":    plan(func(d *feature.Definitions, s string) { d.Entities[0].JoinKeys[0].Name = s }),
		"name of a role":   plan(func(d *feature.Definitions, s string) { d.Roles[0].Name = s }),
		"name of a policy": plan(func(d *feature.Definitions, s string) { d.Policies[0].Name = s }),
		"a tag":            plan(func(d *feature.Definitions, s string) { d.Views[0].Tags = []string{s} }),
		"a description":    plan(func(d *feature.Definitions, s string) { d.Views[0].Description = s }),
		"arrival time": plan(func(d *feature.Definitions, s string) {
			d.Sources[0].ArrivalColumn, d.Sources[0].ArrivalExpression = "", s
		}),
		"a table of others":   plan(func(d *feature.Definitions, s string) { d.Sources[0].Postgres = &feature.PostgresOrigin{Table: s} }),
		"SQL of a view":       plan(func(d *feature.Definitions, s string) { d.Views[0].SQL.Query += " AND words = '" + s + "'" }),
		"SQL within brackets": plan(func(d *feature.Definitions, s string) { d.Views[0].SQL.Query += ") UNION (" + s }),
		"a filter":            plan(func(d *feature.Definitions, s string) { d.Policies[0].RowFilter = s }),
		"a text of a filter":  plan(func(d *feature.Definitions, s string) { d.Policies[0].RowFilter = fmt.Sprintf("row.words == %q", s) }),
		"a constant of a mask": plan(func(d *feature.Definitions, s string) {
			d.Policies[0].RowFilter, d.Policies[0].Mask = "", &feature.Mask{Kind: feature.MaskConstant, Constant: s}
		}),
		"a window's condition": plan(func(d *feature.Definitions, s string) {
			d.Views[0].SQL, d.Views[0].Features = nil, d.Views[0].Features[:1]
			d.Views[0].Aggregation = &feature.Aggregation{Source: "flights", Hop: time.Hour, Aggregates: []feature.Aggregate{
				{Feature: "delay", Function: feature.Mean, Column: "delay", Window: time.Hour, Where: s},
			}}
		}),
		"key of a read": func(s string) error {
			_, err := p.online.GetFeatures(ctx, &headwaterv1.GetFeaturesRequest{Service: "small", Keys: keys(s), Purpose: s, PredictionId: s})
			return err
		},
		"service of a read": func(s string) error {
			_, err := p.online.GetFeatures(ctx, &headwaterv1.GetFeaturesRequest{Service: s, Keys: keys("ORD")})
			return err
		},
		"feature of a read": func(s string) error {
			_, err := p.online.GetFeatures(ctx, &headwaterv1.GetFeaturesRequest{Features: []string{"delays." + s}, Keys: keys("ORD")})
			return err
		},
		"name of a dataset": func(s string) error { return build(&headwaterv1.BuildDatasetHeader{Name: s}, "small", spine) },
		"purpose": func(s string) error {
			return build(&headwaterv1.BuildDatasetHeader{Name: "d", Purpose: s}, "small", spine)
		},
		"as of": func(s string) error {
			return build(&headwaterv1.BuildDatasetHeader{Name: "d", AsOf: s}, "small", spine)
		},
		"time of a spine": func(s string) error {
			return build(&headwaterv1.BuildDatasetHeader{Name: "d", TimestampColumn: s}, "small", spine)
		},
		"key mapping": func(s string) error {
			return build(&headwaterv1.BuildDatasetHeader{Name: "d", KeyMapping: map[string]string{"origin": s}}, "small", spine)
		},
		"column of a spine": func(s string) error {
			sent := spineOf(append(asked("ORD", 7, time.Now()), feature.String(s)))
			sent.columns = append(sent.columns, feature.Column{Name: s, Type: feature.TypeString})
			return build(&headwaterv1.BuildDatasetHeader{Name: "d"}, "small", sent.arrow(t))
		},
		"key of a spine": func(s string) error {
			return build(&headwaterv1.BuildDatasetHeader{Name: "d"}, "small", spineOf(asked(s, 7, time.Now())).arrow(t))
		},
		"columns of events": func(s string) error {
			return build(eventsHeader(&headwaterv1.SpineEvents{Source: "flights", Columns: []string{s}}), "small", nil)
		},
		"source of events": func(s string) error {
			return build(eventsHeader(&headwaterv1.SpineEvents{Source: s}), "small", nil)
		},
		"SQL of a spine": func(s string) error {
			return build(queryHeader("SELECT origin, date AS timestamp FROM flights WHERE words = '"+s+"'", "flights"), "small", nil)
		},
		"source of a spine": func(s string) error {
			return build(queryHeader("SELECT origin, date AS timestamp FROM flights", s), "small", nil)
		},
		"columns of a load": func(s string) error {
			sent := flights(flight("ORD", 7, at, feature.Null()))
			sent.columns = append([]feature.Column{}, sent.columns...)
			sent.columns[5].Name = s
			content := sent.arrow(t)
			_, err := p.send(ctx, "flights", p.header(content, 0), content, len(content))
			if err == nil {
				t.Errorf("%q was taken for a column", s)
			}
			return err
		},
		"header of a load": func(s string) error {
			content := flights(flight("ORD", 7, at, feature.Null())).arrow(t)
			header := p.header(content, 0)
			header.IgnoredColumns = []string{s}
			_, err := p.send(ctx, "flights", header, content, len(content))
			if err == nil {
				t.Errorf("%q was taken for a column that is ignored", s)
			}
			return err
		},
		"reason of a retraction": func(s string) error {
			_, err := p.loads.RetractLoad(ctx, &headwaterv1.RetractLoadRequest{Id: 9999, Reason: s})
			return err
		},
		"records": func(s string) error {
			r, err := p.access.ListAuditRecords(ctx, &headwaterv1.ListAuditRecordsRequest{Principal: s, Resource: s})
			if len(r.GetRecords()) > 0 {
				t.Errorf("%q: found %d records", s, len(r.GetRecords()))
			}
			return err
		},
		"a node": func(s string) error {
			_, err := p.lineage.GetLineage(ctx, &headwaterv1.GetLineageRequest{Node: "source:" + s, Direction: headwaterv1.LineageDirection_LINEAGE_DIRECTION_UP})
			return err
		},
		"a run": func(s string) error {
			_, err := p.materialization.GetRun(ctx, &headwaterv1.GetRunRequest{Run: s})
			return err
		},
		"runs": func(s string) error {
			_, err := p.materialization.ListRuns(ctx, &headwaterv1.ListRunsRequest{View: s})
			return err
		},
		"a dataset": func(s string) error { _, _, err := p.fetch(ctx, s); return err },
		"datasets": func(s string) error {
			r, err := p.datasets.ListDatasets(ctx, &headwaterv1.ListDatasetsRequest{Name: s})
			if len(r.GetDatasets()) > 0 && strings.Contains(s, "pwned") && r.GetDatasets()[0].GetName() != s {
				t.Errorf("%q: found %v", s, r.GetDatasets())
			}
			return err
		},
		"a definition": func(s string) error {
			_, err := p.registry.GetDefinition(ctx, &headwaterv1.GetDefinitionRequest{Kind: headwaterv1.DefinitionKind_DEFINITION_KIND_VIEW, Name: s})
			return err
		},
		"a token": func(s string) error {
			_, err := p.access.RevokeToken(ctx, &headwaterv1.RevokeTokenRequest{Id: s})
			return err
		},
		"a principal": func(s string) error {
			_, err := p.access.CreateToken(ctx, &headwaterv1.CreateTokenRequest{Principal: s, Roles: []string{"reader"}, Ttl: durationpb.New(time.Hour)})
			return err
		},
		"a role": func(s string) error {
			_, err := p.access.CreateToken(ctx, &headwaterv1.CreateTokenRequest{Principal: "p", Roles: []string{s}})
			return err
		},
		"an explanation": func(s string) error {
			_, err := p.access.ExplainAccess(ctx, &headwaterv1.ExplainAccessRequest{Principal: s, Action: readOnline, Resource: "view:" + s})
			return err
		},
		"a read": func(s string) error {
			_, err := p.reads().GetRead(ctx, &headwaterv1.GetReadRequest{ReadId: s})
			return err
		},
		"reads of an entity": func(s string) error {
			_, err := p.reads().ListReads(ctx, &headwaterv1.ListReadsRequest{Entity: "airport", Keys: value(s), PredictionId: s})
			return err
		},
		"an entity to forget": func(s string) error {
			_, err := p.retention.Forget(ctx, &headwaterv1.ForgetRequest{Entity: s, Keys: value(s), Reason: s, DryRun: true})
			return err
		},
	}
	for name, call := range calls {
		for _, s := range injections {
			harmless(t, fmt.Sprintf("%s %q", name, s), call(s))
		}
	}
	if after := state(); after != before {
		t.Errorf("found the database with %s, expected %s", after, before)
	}

	// An attribute of a principal that a filter compares with is a value like any other: it shows no row, in both stores.
	for i, s := range injections[:7] {
		r, err := p.access.CreateToken(ctx, &headwaterv1.CreateTokenRequest{Principal: fmt.Sprintf("p%d", i), Roles: []string{"reader"},
			Attributes: map[string]*headwaterv1.AttributeValues{"places": {Values: []string{s, "' OR ''='"}}}})
		if err != nil {
			t.Fatal(err)
		}
		reader := withToken(r.GetSecret())
		if got := p.shown(reader, &headwaterv1.GetFeaturesRequest{Service: "small"}); got != "delays__delay 0/NO_ROW 0/NO_ROW\n" {
			t.Errorf("%q: found %s", s, got)
		}
		arrow, _, err := p.build(reader, "small", &headwaterv1.BuildDatasetHeader{Name: "e", AllowPartial: true, WithStatuses: true}, spine)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(offlineRows(t, arrow), "|"); got != "/NO_ROW" {
			t.Errorf("%q: found %s", s, got)
		}
		e, err := p.access.ExplainAccess(reader, &headwaterv1.ExplainAccessRequest{Action: readOffline, Resource: "service:small"})
		if err != nil || len(e.GetFilters()) != 1 || strings.Contains(e.GetFilters()[0].GetSql(), "'") {
			t.Errorf("%q: found %v, %v, expected the text among the parameters alone", s, e.GetFilters(), err)
		}
	}
}

// A spine's SQL reads the sources that are named beside it, which the caller may read, and nothing else.
func TestAttackSQLOfSpines(t *testing.T) {
	t.Parallel()
	p := newProduct(t)
	d := definitions()
	d.Sources = append(d.Sources, feature.Source{Name: "salaries", EventTime: "date", Columns: d.Sources[0].Columns})
	d.Roles = []feature.Role{role("few", "read_offline,read_online on service:small,view:delays,source:flights")}
	p.apply(d)
	at := time.Now().Add(-3 * time.Hour).Truncate(time.Microsecond)
	p.ingest(flights(flight("ORD", 7, at, feature.Float64(34))), 0)
	content := flights(flight("JFK", 7, at, feature.Float64(4242))).arrow(t)
	if _, err := p.send(p.admin, "salaries", p.header(content, 0), content, len(content)); err != nil {
		t.Fatal(err)
	}
	p.materialize("delays")
	few := p.as("fay", "few")
	var landing string
	if err := p.pool.QueryRow(context.Background(), `SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind = 'r' AND n.nspname <> 'headwater' AND c.relname LIKE '%salaries%' LIMIT 1`).Scan(&landing); err != nil {
		t.Fatal(err)
	}
	const times = "SELECT origin, date AS timestamp"
	for name, c := range map[string]struct {
		sql     string
		sources []string
		reason  fault.Reason
	}{
		"a source that is denied":        {times + ", delay FROM salaries", []string{"salaries"}, fault.PermissionDenied},
		"one beside another":             {times + " FROM flights UNION ALL " + times + " FROM salaries", []string{"flights", "salaries"}, fault.PermissionDenied},
		"one that is not named":          {times + " FROM flights UNION ALL " + times + " FROM salaries", []string{"flights"}, fault.InvalidSQL},
		"its table":                      {times + " FROM " + landing, []string{"flights"}, fault.InvalidSQL},
		"its table, in a subquery":       {times + ", (SELECT max(delay) FROM " + landing + ") AS m FROM flights", []string{"flights"}, fault.InvalidSQL},
		"its table, under another name":  {"WITH flights AS (SELECT * FROM " + landing + ") " + times + " FROM flights", []string{"flights"}, fault.InvalidSQL},
		"tokens":                         {times + ", (SELECT min(id) FROM headwater.token) AS m FROM flights", []string{"flights"}, fault.InvalidSQL},
		"keys of masks":                  {"SELECT name AS origin, now() AS timestamp FROM headwater.mask_key", []string{"flights"}, fault.InvalidSQL},
		"passwords":                      {times + ", (SELECT min(rolpassword) FROM pg_authid) AS m FROM flights", []string{"flights"}, fault.InvalidSQL},
		"what others ask":                {times + ", (SELECT min(query) FROM pg_stat_activity) AS m FROM flights", []string{"flights"}, fault.InvalidSQL},
		"what columns hold":              {times + ", (SELECT min(most_common_vals::text) FROM pg_stats) AS m FROM flights", []string{"flights"}, fault.InvalidSQL},
		"the schema":                     {times + ", (SELECT min(table_name) FROM information_schema.tables) AS m FROM flights", []string{"flights"}, fault.InvalidSQL},
		"a file":                         {times + ", pg_read_file('/etc/passwd') AS m FROM flights", []string{"flights"}, fault.InvalidSQL},
		"a folder":                       {times + ", (SELECT min(d) FROM pg_ls_dir('.') d) AS m FROM flights", []string{"flights"}, fault.InvalidSQL},
		"a large object":                 {times + ", lo_import('/etc/passwd')::text AS m FROM flights", []string{"flights"}, fault.InvalidSQL},
		"another server":                 {times + ", (SELECT x FROM dblink('host=127.0.0.1', 'SELECT 1') AS t(x text)) AS m FROM flights", []string{"flights"}, fault.InvalidSQL},
		"a program":                      {"COPY (SELECT 1) TO PROGRAM 'id'", []string{"flights"}, fault.InvalidSQL},
		"SQL within SQL":                 {times + ", query_to_xml('SELECT * FROM headwater.token', true, true, '')::text AS m FROM flights", []string{"flights"}, fault.InvalidSQL},
		"a table as XML":                 {times + ", table_to_xml('headwater.token', true, true, '')::text AS m FROM flights", []string{"flights"}, fault.InvalidSQL},
		"a setting":                      {times + ", current_setting('data_directory') AS m FROM flights", []string{"flights"}, fault.InvalidSQL},
		"a change of setting":            {times + ", set_config('role', 'postgres', false) AS m FROM flights", []string{"flights"}, fault.InvalidSQL},
		"another role":                   {"SET ROLE postgres; " + times + " FROM flights", []string{"flights"}, fault.InvalidSQL},
		"two statements":                 {times + " FROM flights; DROP TABLE headwater.token", []string{"flights"}, fault.InvalidSQL},
		"a change in a WITH":             {"WITH x AS (DELETE FROM headwater.token RETURNING id) " + times + " FROM flights", []string{"flights"}, fault.InvalidSQL},
		"a row lock":                     {times + " FROM flights FOR UPDATE", []string{"flights"}, fault.InvalidSQL},
		"a block":                        {"DO $$ BEGIN EXECUTE 'CREATE TABLE public.pwned ()'; END $$", []string{"flights"}, fault.InvalidSQL},
		"waiting":                        {times + ", pg_sleep(60)::text AS m FROM flights", []string{"flights"}, fault.InvalidSQL},
		"a signal":                       {times + ", pg_terminate_backend(1)::text AS m FROM flights", []string{"flights"}, fault.InvalidSQL},
		"an error that shows what is in": {times + ", (SELECT id::int FROM headwater.token LIMIT 1) AS m FROM flights", []string{"flights"}, fault.InvalidSQL},
		"where a row is":                 {times + ", ctid::text AS m, tableoid::regclass::text AS n FROM flights", []string{"flights"}, fault.InvalidSQL},
		"a sequence":                     {times + ", nextval('headwater.load_id_seq')::text AS m FROM flights", []string{"flights"}, fault.InvalidSQL},
		"a lock":                         {times + ", pg_advisory_lock(1)::text AS m FROM flights", []string{"flights"}, fault.InvalidSQL},
		"a schema before the name":       {times + " FROM pg_temp.salaries", []string{"flights"}, fault.InvalidSQL},
		"a comment that closes":          {times + " FROM flights /* */ ; DROP TABLE headwater.token -- */", []string{"flights"}, fault.InvalidSQL},
		"a NUL":                          {times + " FROM flights\x00; DROP TABLE headwater.token", []string{"flights"}, fault.InvalidSQL},
	} {
		arrow, m, err := p.build(few, "small", queryHeader(c.sql, c.sources...), nil)
		f := fault.FromError(err)
		if f == nil || f.Reason != c.reason || len(arrow) > 0 || m != nil {
			t.Errorf("%s: found %v with %d bytes, expected %s", name, err, len(arrow), c.reason)
		}
		if f != nil && strings.Contains(f.Error(), "4242") {
			t.Errorf("%s: the error shows a value: %v", name, err)
		}
	}
	if n := p.count(`SELECT count(*) FROM headwater.dataset`); n != 0 {
		t.Errorf("found %d datasets", n)
	}
	if n := p.count(`SELECT count(*) FROM headwater.token`); n != 2 {
		t.Errorf("found %d tokens, expected them there", n)
	}
	// What may be read is read.
	if _, _, err := p.build(few, "small", queryHeader(times+" FROM flights", "flights"), nil); err != nil {
		t.Errorf("found %v", err)
	}
}
