package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headwaterhq/headwater/definition"
	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
	"github.com/headwaterhq/headwater/internal/testenv"
)

func TestUsageErrors(t *testing.T) {
	for line, want := range map[string]string{
		"":                                 "`headwater` needs a command, one of ",
		"weather":                          "found `headwater weather`, which is not a command; expected one of ",
		"materialise":                      "found `headwater materialise`, which is not a command; did you mean materialize?",
		"loads delete":                     "found `headwater loads delete`, which is not a command; expected one of list, retract, show",
		"list":                             "found 0 arguments, expected `headwater list KIND`",
		"list things":                      `found kind "things", expected one of entities, sources, views, services, roles, policies, consumers`,
		"list views more":                  "found 2 arguments, of which \"more\" is one too many; expected `headwater list KIND`",
		"list views -o xml":                `found output "xml", expected table, json or csv`,
		"list views --nope":                "unknown flag: --nope; see `headwater list --help`",
		"runs list more":                   "found argument \"more\", expected none after `headwater runs list`",
		"loads show abc":                   "found load \"abc\", expected its id, a number above 0; see `headwater loads list SOURCE`",
		"loads retract 3":                  "`headwater loads retract` needs --reason; see `headwater loads retract --help`",
		"materialize v --from soon":        `--from: found "soon", expected a timestamp such as 2001-01-31T10:05:00Z, 2001-01-31 10:05:00.25 or 2001-01-31 (UTC where no offset is given)`,
		"get --entity k=v":                 "`headwater get` needs --service; see `headwater get --help`",
		"get --service s":                  "`headwater get` needs --entity; see `headwater get --help`",
		"get --service s --entity ab":      `found --entity "ab", expected k=v[,k2=v2] such as origin=ORD,destination=LAX`,
		"get --service s --entity a=1,a=2": `found key a twice in --entity "a=1,a=2", expected each once`,
		"dataset build --service s --spine f.csv":                             "`headwater dataset build` needs --out; see `headwater dataset build --help`",
		"dataset build --service s --spine f.csv --out f.xls":                 "f.xls: found extension .xls, expected .parquet, .csv, .ndjson, .jsonl, .arrow, .feather or .arrows; rename the file, or name its format",
		"dataset build --service s --spine f.csv --out f.csv --key-mapping a": `found --key-mapping "a", expected KEY=COLUMN[,KEY2=COLUMN2], each key once`,
		"lineage show view:a@1 --up --down":                                   "found --up and --down, expected one of them",
		"impact s --load 0":                                                   "found --load 0, expected the id of a load, 1 or more",
		"impact s --load 3 --from 2001-01-31":                                 "found --load and --from, expected one of them: a load has the rows that it has",
		"impact s -o csv":                                                     "found -o csv, expected table or json: this result is not one table",
		"ingest s a.csv b.csv --replaces 3":                                   "found 2 files, expected one with --replaces: a load is replaced by one load",
		"ingest s a.csv --format xml":                                         `found format "xml", expected one of parquet, csv, ndjson, arrow, arrows`,
		"token create --principal p --role r --ttl -1h":                       "found --ttl -1h0m0s, expected more than nothing, such as 720h",
	} {
		t.Run(line, func(t *testing.T) {
			r := headwater(strings.Fields(line)...)
			if r.code != exitUsage || r.out != "" || !strings.HasPrefix(r.err, "headwater: "+want) {
				t.Errorf("found status %d, standard output %q, standard error\n%s\nexpected status 2 and\n%s", r.code, r.out, r.err, want)
			}
		})
	}
}

func TestExitStatuses(t *testing.T) {
	for reason, want := range map[fault.Reason]int{
		fault.InvalidArgument: 2, fault.InvalidDefinition: 1, fault.Unauthenticated: 3, fault.PermissionDenied: 3, fault.NotFound: 4,
		fault.DigestMismatch: 5, fault.PostgresUnavailable: 1, fault.Internal: 1, fault.NotMaterialized: 1, fault.StalePlan: 1,
	} {
		t.Run(reason.String(), func(t *testing.T) {
			c := &canned{refuse: fault.New(reason, "the message")}
			c.serve(t)("list", "views").expect(t, want, "", "headwater: the message\n")
			// What is away for a while is asked again.
			if tokens := slices.Compact(slices.Clone(c.tokens)); len(tokens) != 1 || tokens[0] != "Bearer hw_secret" {
				t.Errorf("found authorization %q", c.tokens)
			}
		})
	}
}

// What others wrote cannot break a table, nor command the terminal.
func TestTableCells(t *testing.T) {
	var b strings.Builder
	table := table{header: []string{"A", "N#"}}
	table.add("one\ntwo\t\x1b[31mred", "7")
	table.add("b", "123")
	if err := table.write(&b, ""); err != nil {
		t.Fatal(err)
	}
	if want := "A                   N\none two �[31mred    7\nb                 123\n"; b.String() != want {
		t.Errorf("found\n%s\nexpected\n%s", b.String(), want)
	}
}

func TestVersion(t *testing.T) {
	r := headwater("version", "-o", "json")
	var v struct{ Version, Go, Platform string }
	if err := json.Unmarshal([]byte(r.out), &v); err != nil || r.code != exitDone || v.Version == "" || v.Go == "" || v.Platform == "" {
		t.Errorf("found status %d, %s and %v", r.code, r.out, err)
	}
}

func TestNoServer(t *testing.T) {
	address := testenv.ClosedAddress(t)
	headwater("list", "views", "--server", address).expect(t, exitFailed, "", "headwater: no server answers at "+address+
		" (connection refused); is it running? Start one with `headwater dev`, or say where it is with --server or HEADWATER_SERVER\n")
}

func TestForms(t *testing.T) {
	do := (&canned{}).serve(t)
	do("list", "entities").expect(t, 0, ""+
		"NAME     VERSION  FINGERPRINT   OWNER  APPLIED AT            APPLIED BY  ORIGIN                         STATE                                                     DESCRIPTION\n"+
		"airport        1  abababababab  ops    2001-02-03T04:05:06Z  ann                                                                                                  An airport. By its code.\n"+
		"route         12  cdcdcdcdcdcd         2001-02-03T04:05:06Z  ann         git:0123456789ab with changes  deprecated from 2027-01-31 on, in favour of airport_pair\n", "")
	do("list", "entities", "-o", "csv").expect(t, 0, ""+
		"name,version,fingerprint,owner,applied_at,applied_by,origin,state,description\n"+
		"airport,1,abababababab,ops,2001-02-03T04:05:06Z,ann,,,\"An airport.\nBy its code.\"\n"+
		"route,12,cdcdcdcdcdcd,,2001-02-03T04:05:06Z,ann,git:0123456789ab with changes,\"deprecated from 2027-01-31 on, in favour of airport_pair\",\n", "")
	r := do("list", "entities", "-o", "json")
	if !strings.HasPrefix(r.out, "{\n  \"definitions\": [\n    {\n      \"kind\": \"DEFINITION_KIND_ENTITY\",\n      \"name\": \"airport\",") || !json.Valid([]byte(r.out)) {
		t.Errorf("found %s", r.out)
	}
	if !strings.Contains(r.out, `"applied_at": "2001-02-03T04:05:06Z"`) {
		t.Errorf("found no field by its proto's name in %s", r.out)
	}
	do("describe", "entity", "airport", "-o", "csv").expect(t, exitUsage, "", "headwater: found -o csv, expected table or json: this result is not one table\n")
	do("describe", "entity", "airport").expect(t, 0, ""+
		"name         airport\nkind         entity\nversion      1\nfingerprint  "+strings.Repeat("ab", 32)+"\n"+
		"applied      2001-02-03T04:05:06Z by ann\nreads        -\nread by      -\n\n"+
		"entities:\n  - name: airport\n    join_keys:\n      - name: origin\n        type: string\n", "")
	do("describe", "view", "none").expect(t, exitNotFound, "", "headwater: there is no view none; `headwater list` shows what there is\n")
}

const entities = "entities:\n  - name: %s\n    join_keys:\n      - {name: origin, type: string}\n"

func TestValidate(t *testing.T) {
	path := file(t, "a.yaml", fmt.Sprintf(entities, "airport"))
	headwater("validate", path).expect(t, exitDone, "KIND      DEFINITIONS\nentity              1\nsource              0\nview                0\nservice             0\nrole                0\npolicy              0\nconsumer            0\n", "1 file valid\n")
	bad := file(t, "a.yaml", "entities:\n  - nam: airport\n")
	r := headwater("validate", bad)
	if r.code != exitFailed || !strings.Contains(r.err, bad+":2:5: ") {
		t.Errorf("found status %d and %s, expected 1 and the place", r.code, r.err)
	}
}

func TestIngest(t *testing.T) {
	c := &canned{}
	do := c.serve(t)
	first := file(t, "jan.csv", "delay,origin,date\n5,ORD,2001-01-01 00:05\n,LAX,2001-01-02\n")
	second := file(t, "feb.ndjson", `{"date":"2001-02-01T10:00:00Z","origin":"JFK","delay":-3}`+"\n")
	do("ingest", "flights", first, second).expect(t, exitDone, ""+
		"LOAD  SOURCE   NUMBER  STATE  FILE        ROWS  SET ASIDE  LEFT OUT  SHA256        FROM                  TO                    COMMITTED AT\n"+
		"  11  flights       1  live   jan.csv        2          0         0  "+c.ingested[0].GetFileSha256()[:12]+"  2001-01-01T00:05:00Z  2001-01-31T23:59:00Z  2001-02-03T04:05:06Z\n"+
		"  12  flights       2  live   feb.ndjson     1          0         0  "+c.ingested[1].GetFileSha256()[:12]+"  2001-01-01T00:05:00Z  2001-01-31T23:59:00Z  2001-02-03T04:05:06Z\n", "")
	want := "date:timestamp delay:int64 origin:utf8\n2001-01-01T00:05:00Z 5 ORD\n2001-01-02T00:00:00Z (null) LAX\n" +
		"date:timestamp delay:int64 origin:utf8\n2001-02-01T10:00:00Z -3 JFK"
	if got := strings.Join(c.rows, "\n"); got != want {
		t.Errorf("found rows\n%s\nexpected\n%s", got, want)
	}

	r := headwaterWith("date,delay,origin\n2001-01-01,1,ORD\n", "ingest", "flights", "-", "--replaces", "load:11")
	if r.code != 0 || c.ingested[2].Replaces != 11 || c.ingested[2].FileName != "-" {
		t.Errorf("found status %d, %s and header %v", r.code, r.err, c.ingested[2])
	}
}

func TestIngestRefusesBadFiles(t *testing.T) {
	c := &canned{}
	do := c.serve(t)
	good := file(t, "good.csv", "delay,origin,date\n5,ORD,2001-01-01 00:05\n")
	bad := file(t, "bad.csv", "delay,origin,date\n5,ORD,2001-01-01\n5,ORD,\n")
	do("ingest", "flights", bad, good).expect(t, exitFailed, "", "headwater: "+bad+":3: column date: found no value, expected a timestamp; fill it in, or take the row out\n")
	if len(c.ingested) != 0 {
		t.Fatalf("found %d loads, expected none", len(c.ingested))
	}
	do("ingest", "flights", good, bad, good).expect(t, exitFailed, "*",
		"1 of 3 files were loaded before the one that failed; go on from there\n"+
			"headwater: "+bad+":3: column date: found no value, expected a timestamp; fill it in, or take the row out\n")
	if len(c.ingested) != 1 {
		t.Errorf("found %d loads, expected 1", len(c.ingested))
	}
	none := filepath.Join(t.TempDir(), "none.csv")
	do("ingest", "flights", none).expect(t, exitNotFound, "", "headwater: "+none+": there is no such file; check the path\n")
	do("ingest", "trains", good).expect(t, exitNotFound, "", "headwater: there is no source trains; `headwater list` shows what there is\n")
}

func published() *headwaterv1.Run {
	return &headwaterv1.Run{
		Id: 1, View: "delays", ViewVersion: 1, Seq: 2, State: headwaterv1.RunState_RUN_STATE_PUBLISHED, Position: 9,
		Scope:         headwaterv1.RunScope_RUN_SCOPE_INCREMENTAL,
		IntervalStart: at("2001-01-01T00:00:00Z"), IntervalEnd: at("2001-02-01T00:00:00Z"), Fingerprint: "f1", Digest: "d1", Principal: "ann",
		Priority: 2, QueuedAt: at("2001-02-03T04:05:06Z"), StartedAt: at("2001-02-03T04:05:06Z"), EndedAt: at("2001-02-03T04:05:08Z"),
		OnlineState: headwaterv1.OnlineState_ONLINE_STATE_LOADED, OnlineWritten: 7,
		Ledger: &headwaterv1.Ledger{Read: 100, Accepted: 98, Quarantined: 2, Used: 90, Filtered: 8, Computed: 13, OutputQuarantined: 1, OutputDropped: 2, Produced: 10, Inserted: 4, Unchanged: 6,
			Withdrawn: 1, LiveBefore: 20, LiveAfter: 23, Reasons: []*headwaterv1.LedgerReason{{Bucket: "quarantined", Reason: "delay below -1000", Rows: 2}}},
		Inputs: []*headwaterv1.RunInput{{Source: "flights", SourceVersion: 1, SourceFingerprint: "5f", LoadNumber: 1, RowsRead: 100,
			Loads: []*headwaterv1.RunInput_Load{{Id: 11, FileName: "jan.csv", FileSha256: "abcdefabcdefabcdef", Rows: 100}}},
			{View: "hourly", ViewVersion: 2, ViewSeq: 7, RowsRead: 12}},
		Phases: []*headwaterv1.Phase{{Name: "transform", DurationMicros: 1_234_567}},
		Gates:  []*headwaterv1.Gate{{Name: "ledger balances", Passed: true}},
		Checks: []*headwaterv1.Check{
			{Name: "delay_range", Subject: "source:flights", State: headwaterv1.CheckState_CHECK_STATE_WARNED, Expected: "delay at least -1000",
				Found: "2 of 100 rows that fail", Where: "headwater quarantine show 1", Examples: []string{"load 11, row 4"}, ExamplesHidden: 1},
			{Name: "one_row_per_moment", Subject: "output", State: headwaterv1.CheckState_CHECK_STATE_PASSED, Expected: "one row", Found: "10 rows"},
		},
	}
}

func TestRuns(t *testing.T) {
	c := &canned{run: published()}
	do := c.serve(t)
	const shown = "" +
		"run          delays@1/2\nid           1\nstate        published\nwrote        4 inserted, 1 withdrawn, 6 unchanged\nposition     9\nscope        incremental\n" +
		"interval     [2001-01-01T00:00:00Z, 2001-02-01T00:00:00Z)\nfingerprint  f1\ndigest       d1\n" +
		"online       loaded: 7 written, 0 not newer, 0 tombstones\nqueued       2001-02-03T04:05:06Z by ann\npriority     2\nstarted      2001-02-03T04:05:06Z\n" +
		"ended        2001-02-03T04:05:08Z after 2s\n" +
		"\nledger\n" +
		"  ROWS              WHERE THEY WENT\n" +
		"  read         100  98 accepted + 2 quarantined + 0 duplicate + 0 dropped + 0 too late\n" +
		"  accepted      98  90 used + 8 filtered + 0 unaccounted\n" +
		"  computed      13  10 produced + 1 quarantined + 2 dropped\n" +
		"  produced      10  4 inserted + 6 unchanged\n" +
		"  live after    23  20 live before + 4 inserted - 1 withdrawn\n" +
		"  quarantined    2  delay below -1000\n" +
		"\ninputs\n" +
		"  SOURCE                         LOAD  FILE     SHA256        ROWS\n" +
		"  flights@1 up to load number 1                 5f             100\n" +
		"                                   11  jan.csv  abcdefabcdef   100\n" +
		"  view hourly@2 as of its run 7                                 12\n" +
		"\nchecks\n" +
		"  CHECK               OF              STATE   EXPECTED              FOUND\n" +
		"  delay_range         source:flights  warned  delay at least -1000  2 of 100 rows that fail\n" +
		"  one_row_per_moment  output          passed  one row               10 rows\n" +
		"\nto look at\n" +
		"  CHECK        WHERE\n" +
		"  delay_range  headwater quarantine show 1\n" +
		"  delay_range  load 11, row 4\n" +
		"  delay_range  1 more that you may not see: whoever may read source:flights offline is shown them\n" +
		"\ngates\n  GATE             PASSED  DETAIL\n  ledger balances  yes\n" +
		"\nphases\n  PHASE       TOOK\n  transform  1.23s\n"
	do("runs", "show", "run:delays@1/2").expect(t, exitDone, shown, "")
	do("runs", "list").expect(t, exitDone, ""+
		"ID  RUN         STATE      SCOPE        READ  PRODUCED  INSERTED  WITHDRAWN  UNCHANGED  LIVE  POSITION  ONLINE  STARTED AT            TOOK\n"+
		" 1  delays@1/2  published  incremental   100        10         4          1          6    23         9  loaded  2001-02-03T04:05:06Z    2s\n", "")
	whole := c.run.Intervals
	for range 10 {
		from := at("2001-01-01T00:00:00Z").AsTime().AddDate(0, 0, 2*len(c.run.Intervals))
		c.run.Intervals = append(c.run.Intervals, &headwaterv1.Interval{Start: timestamppb.New(from), End: timestamppb.New(from.AddDate(0, 0, 1))})
	}
	const several = "10 intervals  [2001-01-01T00:00:00Z, 2001-01-02T00:00:00Z)\n              [2001-01-03T00:00:00Z, 2001-01-04T00:00:00Z)\n"
	if r := do("runs", "show", "delays@1/2"); !strings.Contains(r.out, several) || !strings.Contains(r.out, "              2 more, up to 2001-02-01T00:00:00Z\n") {
		t.Errorf("found %s, expected intervals\n%s", r.out, several)
	}
	from, to := c.run.IntervalStart, c.run.IntervalEnd
	c.run.Intervals, c.run.IntervalStart, c.run.IntervalEnd = whole, nil, nil
	if r := do("runs", "show", "delays@1/2"); !strings.Contains(r.out, "interval     none: nothing was new\n") {
		t.Errorf("found %s", r.out)
	}
	c.run.IntervalStart, c.run.IntervalEnd = from, to
	do("materialize", "delays", "--full").expect(t, exitDone, "*", "*")
	if !c.asksRun.Full {
		t.Error("found a request that is not full")
	}
	do("materialize", "delays", "--wait", "--from", "2001-01-01").expect(t, exitDone, shown, "")
	if got := instant(c.asksRun.From); got != "2001-01-01T00:00:00Z" || c.asksRun.To != nil {
		t.Errorf("found from %s and to %v", got, c.asksRun.To)
	}
	do("materialize", "delays").expect(t, exitDone, "*", "queued; `headwater runs list` says how they end\n")

	c.run.Ledger.Inserted, c.run.Ledger.Withdrawn = 0, 0
	if r := do("materialize", "delays", "--wait"); r.code != 0 || !strings.Contains(r.out, "wrote        nothing changed: no row was written\n") {
		t.Errorf("found status %d and %s", r.code, r.out)
	}
	c.run.State, c.run.Error = headwaterv1.RunState_RUN_STATE_FAILED, "the ledger does not balance"
	do("materialize", "delays", "--wait").expect(t, exitFailed, "*", "headwater: run delays@1/2 failed: the ledger does not balance\n")
}

func TestGet(t *testing.T) {
	c := &canned{}
	do := c.serve(t)
	do("get", "--service", "delays", "--entity", "origin=ORD,gate=7", "--entity", `origin=a\,b`, "--purpose", "test").expect(t, exitDone, ""+
		"ENTITY             FEATURE                     VALUE  STATUS   EVENT TIME            RUN\n"+
		"gate=7,origin=ORD  airport_delays__departures  41     PRESENT  2001-01-01T00:00:00Z  airport_delays@1/2\n"+
		"gate=7,origin=ORD  airport_delays__mean_delay  7.25   PRESENT  2001-01-01T00:00:00Z  airport_delays@1/2\n"+
		"origin=a,b         airport_delays__departures         NO_ROW\n"+
		"origin=a,b         airport_delays__mean_delay         NO_ROW\n",
		"read r-1 of service delays@3 at 2001-02-03T04:05:06Z\n")
	gates := c.asked.Keys["gate"].Values
	if len(gates) != 2 || gates[0].GetInt64Value() != 7 || gates[1].Kind != nil || c.asked.Purpose != "test" || !c.asked.WithProvenance {
		t.Errorf("found request %v", c.asked)
	}
	if origins := c.asked.Keys["origin"].Values; origins[0].GetStringValue() != "ORD" || origins[1].GetStringValue() != "a,b" {
		t.Errorf("found origins %v", origins)
	}
	// The key's type is the entity's, whatever the value looks like.
	do("get", "--service", "delays", "--entity", "origin=12").expect(t, exitDone, "*", "*")
	if _, text := c.asked.Keys["origin"].Values[0].Kind.(*headwaterv1.Value_StringValue); !text {
		t.Errorf("found %v, expected text", c.asked.Keys["origin"])
	}
	do("get", "--service", "delays", "--entity", "gate=7", "--entity", "gate=x").expect(t, exitUsage, "", "headwater: key gate: found \"x\", expected an int64: a whole number\n")

	// A model that may read the service and nothing else reads it all the same.
	c.blind = true
	do("get", "--service", "delays", "--entity", "origin=ORD,gate=7").expect(t, exitDone, "*", "*")
	if c.asked.Keys["gate"].Values[0].GetInt64Value() != 7 {
		t.Errorf("found %v, expected the int64 7", c.asked.Keys["gate"])
	}

	request := file(t, "r.json", `{"keys": {"origin": {"values": [{"string_value": "ORD"}, {}]}}}`)
	do("get", "--service", "delays", "--request-file", request).expect(t, exitDone, "*", "*")
	if len(c.asked.Keys["origin"].Values) != 2 || c.asked.Service != "delays" {
		t.Errorf("found request %v", c.asked)
	}
	bad := file(t, "r.json", `{"kys": {}}`)
	r := do("get", "--service", "delays", "--request-file", bad)
	if r.code != exitUsage || !strings.HasPrefix(r.err, "headwater: "+bad+": found (line 1:2): unknown field \"kys\"; expected a GetFeaturesRequest in JSON") {
		t.Errorf("found status %d and %s", r.code, r.err)
	}
}

func TestDatasetBuild(t *testing.T) {
	c := &canned{}
	do := c.serve(t)
	spine := file(t, "spine.csv", "airport,gate,at,delay,zip\n12,7,2001-01-01,5.5,007\nORD,,2001-01-02,6,1\n")
	folder := t.TempDir()
	arguments := func(out string) []string {
		return []string{"dataset", "build", "--service", "delays", "--spine", spine, "--out", out, "--timestamp", "at", "--key-mapping", "origin=airport",
			"--purpose", "test", "--as-of", "pos:2"}
	}
	out := filepath.Join(folder, "out.csv")
	do(arguments(out)...).expect(t, exitDone, ""+
		"id              ds_1\ndataset         delays@1\nstate           released\nservice         delays@3\nposition        2\nrows            2\n"+
		"timestamp       timestamp\nspine digest    5p\ncontent digest  c0\narrow sha256    "+manifestSum(t, arguments)+" (w1)\ncreated         2001-02-03T04:05:06Z by ann, server v0\n"+
		"\nviews\n  VIEW              RUN  COVERS  FINGERPRINT  VALUES OF RUNS\n  airport_delays@1    2          f1\n"+
		"\ncolumns\n  COLUMN                      TYPE    ORIGIN                             NULLS  STATUSES\n"+
		"  origin                      string  spine                                  0\n"+
		"  airport_delays__departures  int64   feature:airport_delays.departures      1  1 NO_ROW\n", "")
	want := "airport:utf8 gate:int64 at:timestamp delay:float64 zip:utf8\n12 7 2001-01-01T00:00:00Z 5.5 007\nORD (null) 2001-01-02T00:00:00Z 6 1"
	if c.spine != want {
		t.Errorf("found spine\n%s\nexpected\n%s", c.spine, want)
	}
	if c.built.TimestampColumn != "at" || c.built.AsOf != "pos:2" || c.built.Purpose != "test" || c.built.KeyMapping["origin"] != "airport" {
		t.Errorf("found header %v", c.built)
	}
	content, err := os.ReadFile(out)
	if wantFile := "airport,gate,at,delay,zip\n12,7,2001-01-01T00:00:00Z,5.5,007\nORD,,2001-01-02T00:00:00Z,6,1\n"; err != nil || string(content) != wantFile {
		t.Errorf("found file %q and %v, expected %q", content, err, wantFile)
	}
	do(arguments(filepath.Join(folder, "out.parquet"))...).expect(t, exitDone, "*", "")

	// A dataset that breaks off leaves what was there.
	do(append(arguments(out), "--name", "dies")...).expect(t, exitFailed, "", "headwater: Postgres went away\n")
	if again, err := os.ReadFile(out); err != nil || string(again) != string(content) {
		t.Errorf("found file %q and %v after a failure, expected the one before", again, err)
	}
	entries, err := os.ReadDir(folder)
	if err != nil || len(entries) != 2 {
		t.Errorf("found %v and %v, expected two files", entries, err)
	}
}

// manifestSum is the SHA-256 in the manifest of a dataset of the same arguments.
func manifestSum(t *testing.T, arguments func(string) []string) string {
	t.Helper()
	r := headwater(append(arguments(filepath.Join(t.TempDir(), "out.arrows")), "-o", "json")...)
	var response struct {
		Manifest struct {
			Sum string `json:"arrow_sha256"`
		} `json:"manifest"`
	}
	if err := json.Unmarshal([]byte(r.out), &response); err != nil {
		t.Fatal(err, r.err)
	}
	return response.Manifest.Sum
}

func TestBadSpines(t *testing.T) {
	for name, c := range map[string]struct{ content, want string }{
		"no key":         {"origin,timestamp\nORD,2001-01-01\n", ": found no column gate, expected it; the file has origin, timestamp"},
		"no timestamp":   {"origin,gate,at\nORD,7,2001-01-01\n", ": found no column timestamp, expected it; the file has origin, gate, at"},
		"NULL timestamp": {"origin,gate,timestamp\nORD,7,2001-01-01\nORD,7,\n", ":3: column timestamp: found no value, expected a timestamp; fill it in, or take the row out"},
		"bad key":        {"origin,gate,timestamp\nORD,B7,2001-01-01\n", `:2: column gate: found "B7", expected an int64: a whole number from -9223372036854775808 to 9223372036854775807`},
		"empty":          {"", ": found an empty file, expected rows; check what was to write it"},
	} {
		t.Run(name, func(t *testing.T) {
			do := (&canned{}).serve(t)
			spine, out := file(t, "spine.csv", c.content), filepath.Join(t.TempDir(), "out.parquet")
			do("dataset", "build", "--service", "delays", "--spine", spine, "--out", out).expect(t, exitFailed, "", "headwater: spine "+spine+c.want+"\n")
			if _, err := os.Stat(out); err == nil {
				t.Error("found a file written for a spine that was refused")
			}
		})
	}
	do := (&canned{}).serve(t)
	spine := file(t, "spine.csv", "origin,gate,timestamp\nORD,7,2001-01-01\n")
	do("dataset", "build", "--service", "delays", "--spine", spine, "--out", "x.csv", "--key-mapping", "dest=origin").
		expect(t, exitUsage, "", "headwater: --key-mapping: found key dest, expected one of service delays: gate, origin\n")
}

// A day without rows gives a dataset without rows, in every format.
func TestEmptySpines(t *testing.T) {
	c := &canned{}
	do := c.serve(t)
	spine, folder := file(t, "spine.csv", "origin,gate,timestamp\n"), t.TempDir()
	for _, format := range []string{"csv", "parquet", "ndjson", "arrow", "arrows"} {
		out := filepath.Join(folder, "out."+format)
		do("dataset", "build", "--service", "delays", "--spine", spine, "--out", out).expect(t, exitDone, "*", "")
		if want := "origin:utf8 gate:int64 timestamp:timestamp"; c.spine != want {
			t.Errorf("%s: found spine %s, expected %s", format, c.spine, want)
		}
		if _, err := os.Stat(out); err != nil {
			t.Errorf("%s: %v", format, err)
		}
	}
	if content, err := os.ReadFile(filepath.Join(folder, "out.csv")); err != nil || string(content) != "origin,gate,timestamp\n" {
		t.Errorf("found %q, %v", content, err)
	}
}

func TestDatasetFetch(t *testing.T) {
	c := &canned{}
	do := c.serve(t)
	spine, folder := file(t, "spine.csv", "origin,gate,timestamp\nORD,7,2001-01-01\n"), t.TempDir()
	built, fetched, stream := filepath.Join(folder, "a.parquet"), filepath.Join(folder, "b.parquet"), filepath.Join(folder, "c.arrows")
	do("dataset", "build", "--service", "delays", "--spine", spine, "--out", built).expect(t, exitDone, "*", "")
	do("dataset", "fetch", "dataset:ds_1", "--out", fetched).expect(t, exitDone, "*", "")
	do("dataset", "fetch", "ds_1", "--out", stream).expect(t, exitDone, "*", "")
	read := func(path string) string {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	if read(built) != read(fetched) {
		t.Error("found other bytes for the same dataset fetched again")
	}
	// The stream form is kept as it was sent, so that its SHA-256 is the manifest's.
	if read(stream) != string(c.content) {
		t.Error("found other bytes in the stream's file than were sent")
	}
	none := filepath.Join(folder, "none.csv")
	do("dataset", "fetch", "ds_2", "--out", none).expect(t, exitNotFound, "", "headwater: there is no dataset ds_2; `headwater dataset list` shows what there is\n")
	do("dataset", "fetch", "ds_1", "--out", filepath.Join(none, "x.csv")).expect(t, exitNotFound, "",
		"headwater: "+none+"/x.csv: there is no folder "+none+" to write to; make it first\n")
	if entries, err := os.ReadDir(folder); err != nil || len(entries) != 3 {
		t.Errorf("found %v and %v, expected three files", entries, err)
	}
	do("dataset", "list").expect(t, exitDone, ""+
		"ID    DATASET   STATE     SERVICE   POSITION  ROWS  DIGEST  CREATED AT            CREATED BY\n"+
		"ds_1  delays@1  released  delays@3         2     2  c0      2001-02-03T04:05:06Z  ann\n", "")
}

func TestLoads(t *testing.T) {
	do := (&canned{}).serve(t)
	do("loads", "list", "flights").expect(t, exitDone, ""+
		"LOAD  SOURCE   NUMBER  STATE           FILE     ROWS  SET ASIDE  LEFT OUT  SHA256        FROM  TO  COMMITTED AT\n"+
		"  11  flights       1  replaced by 13  jan.csv     2          3         1  abcdefabcdef            2001-02-03T04:05:06Z\n", "")
	do("loads", "retract", "11", "--reason", "sent twice").expect(t, exitDone, ""+
		"load       12\nsource     flights\nnumber     2\nstate      retraction\nretracts   load 11\nreason     sent twice\ncommitted  2001-02-03T04:05:06Z by ann\n", "")
}

func TestDatasetVerify(t *testing.T) {
	c := &canned{same: true}
	do := c.serve(t)
	do("dataset", "verify", "ds_1").expect(t, exitDone, ""+
		"DATASET  DIGEST   EXPECTED  FOUND  SAME\n"+
		"ds_1     content  c0        c0     yes\n"+
		"ds_1     arrow    a0        a0     yes\n", "")
	c.same = false
	do("dataset", "verify", "ds_1").expect(t, exitNotHeld, ""+
		"DATASET  DIGEST   EXPECTED  FOUND  SAME\n"+
		"ds_1     content  c0        c1     no\n"+
		"ds_1     arrow    a0        a0     yes\n", "headwater: dataset ds_1 is not the same any more\n  row 3, column delay\n")
}

func TestLineage(t *testing.T) {
	do := (&canned{}).serve(t)
	do("lineage", "show", "view:delays@1").expect(t, exitDone, ""+
		"view:delays@1  3 features\n"+
		"├─ written by run:delays@1/1  published\n"+
		"│  └─ read load:1  a.parquet, 500000 rows\n"+
		"│     └─ from source:flights\n"+
		"├─ written by run:delays@1/2  published\n"+
		"│  └─ read load:1  (above)\n"+
		"└─ from source:flights\n", "")
	do("lineage", "show", "load:1", "--down", "--depth", "1").expect(t, exitDone, ""+
		"load:1  a.parquet, 500000 rows\n"+
		"├─ read by run:delays@1/1  published\n"+
		"│  └─ wrote view:delays@1  3 features\n"+
		"└─ read by run:delays@1/2  published\n"+
		"   └─ wrote view:delays@1\n", "")
}

func TestAccess(t *testing.T) {
	do := (&canned{}).serve(t)
	do("token", "create", "--principal", "model", "--role", "model").expect(t, exitDone, "hw_abc\n",
		"token t1 for model with role model, never expires; the secret is not shown again\n")
	do("audit", "list").expect(t, exitDone, ""+
		"TIME                  PRINCIPAL  ACTION        RESOURCE        DECISION  METHOD        PURPOSE  CALLS  ROWS  HIDDEN  READ  REASON\n"+
		"2001-02-03T04:05:06Z  model      read_online   service:delays  allowed   GetFeatures            42     90    7       r-1   role model\n"+
		"2001-02-03T04:05:07Z  model      read_offline  service:delays  denied    BuildDataset           1      0     0             no role allows it\n", "")
}

func TestExplain(t *testing.T) {
	do := (&canned{}).serve(t)
	do("access", "explain", "--action", "list", "--resource", "view:v").expect(t, exitDone, ""+
		"principal   model, as known by caller\n"+
		"roles       model\n"+
		"asked       list on view:v\n"+
		"decision    denied\n"+
		"reason      no grant\n"+
		"missing     list on view:v\n"+
		"definition  none that you may know of; grants alone were asked\n", "")
	do("access", "explain", "--principal", "bob", "--action", "read_online", "--resource", "service:delays", "--role", "a", "--role", "b", "--attribute", "region=UK",
		"--purpose", "tests", "--use", "serving").expect(t, exitDone, ""+
		"principal        bob, as known by request\n"+
		"roles            a, b\n"+
		"attributes       region=UK\n"+
		"asked            read_online on service:delays\n"+
		"decision         allowed\n"+
		"reason           role model allows it\n"+
		"definition       service:delays@2\n"+
		"owner            ops\n"+
		"serves as grant  yes: who may read the service may read its views through it\n"+
		"policies         all@1, for@1, own@1, round@3\n"+
		"\nviews that it reads\n"+
		"  VIEW      DECISION  REASON          OWNER\n"+
		"  delays@1  allowed   by its service  flights\n"+
		"\nrequirements\n"+
		"  POLICY  ABOUT          REQUIRES            MET  WHY NOT\n"+
		"  for@1   view:delays@1  a purpose of tests  yes\n"+
		"\nrows that are shown\n"+
		"  POLICY  VIEW      WHERE             SQL            PARAMETERS\n"+
		"  own@1   delays@1  row.region is UK  r.region = $1  \"UK\"\n"+
		"  all@1   delays@1  all of them       TRUE\n"+
		"\nmasks\n"+
		"  POLICY   FEATURE         DOES                     NOT FOR\n"+
		"  round@3  delays@1.delay  round to 10 for serving\n", "")
	do("access", "explain", "--action", "reed", "--resource", "view:v").expect(t, exitUsage, "",
		"headwater: found --action \"reed\", expected one of administer, approve, ingest, list, materialize, read_audit, read_lineage, read_offline, read_online, register\n")
	do("access", "explain", "--action", "list").expect(t, exitUsage, "",
		"headwater: `headwater access explain` needs --resource; see `headwater access explain --help`\n")
}

func TestMatrix(t *testing.T) {
	do := (&canned{}).serve(t)
	args := []string{"access", "matrix", "--role", "model", "--resource", "view:*", "--action", "read_offline"}
	do(args...).expect(t, exitDone, ""+
		"ROLE   RESOURCE     ACTION        DECISION  HIDDEN BY       REASON\n"+
		"model  view:delays  read_offline  allowed   own@1, round@3  role model allows it, asked of model view:*\n", "")
	do(append(args, "-o", "csv")...).expect(t, exitDone, ""+
		"role,resource,action,decision,hidden_by,reason\n"+
		"model,view:delays,read_offline,allowed,\"own@1, round@3\",\"role model allows it, asked of model view:*\"\n", "")
	if r := do(append(args, "-o", "json")...); r.code != exitDone || !strings.Contains(r.out, `"role": "model"`) {
		t.Errorf("found %d, %s", r.code, r.out)
	}
	do("access", "matrix", "--action", "reed").expect(t, exitUsage, "",
		"headwater: found --action \"reed\", expected one of administer, approve, ingest, list, materialize, read_audit, read_lineage, read_offline, read_online, register\n")
}

func TestSchemaIsWritten(t *testing.T) {
	r := headwater("schema")
	r.expect(t, exitDone, definition.Schema(), "")
	if !strings.Contains(r.out, `"DefinitionFile"`) {
		t.Errorf("found %.200s, expected a JSON Schema of files of definitions", r.out)
	}
}
