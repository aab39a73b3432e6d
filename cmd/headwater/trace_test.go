package main

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/testenv"
)

var update = flag.Bool("update", false, "write the golden files anew")

// hostile is what somebody may have sent as a value, to whoever reads a page of it.
const hostile = "<script>alert('1')</script> | `x` **b** [l](javascript:alert(1)) ![i](http://evil.example/x.png)\n# head\x1b[31m \"q\" & ${x}"

func hostileTrace() *headwaterv1.TraceReadResponse {
	at := func(hour int) *timestamppb.Timestamp {
		return timestamppb.New(time.Date(2001, 1, 31, hour, 0, 0, 0, time.UTC))
	}
	served, none, again, text := "34", "", "34 PRESENT", hostile
	other := "40 PRESENT"
	return &headwaterv1.TraceReadResponse{
		ReadId: "rd_1", ServedAt: at(12), Service: "fraud@3", Principal: hostile, Purpose: "checkout", PredictionId: "p<1>", Position: 7, Row: 1, Rows: 3,
		Entity:   map[string]*headwaterv1.Value{"zone": {Kind: &headwaterv1.Value_StringValue{StringValue: hostile}}},
		Policies: []string{"own_zones@1 on spend@2: shows rows in which zone is \"<b>\""},
		Features: []*headwaterv1.TracedFeature{
			{
				Name: "spend__total", Feature: "spend@2.total", Served: &served, Status: "PRESENT", Recomputed: &again, Verdict: "match", EventTime: at(10), Run: "spend@2/5",
				Description: hostile, Owner: "risk",
				Columns: []*headwaterv1.LineageEdge{{From: "source:sales#amount", To: "view:spend@2#total", Kind: headwaterv1.LineageEdgeKind_LINEAGE_EDGE_KIND_VALUE}},
			},
			{Name: "spend__note", Feature: "spend@2.note", Served: &text, Status: "PRESENT", Recomputed: &other, Verdict: "mismatch", Why: "the history has another value", Run: "spend@2/5", EventTime: at(10)},
			{Name: "spend__gone", Feature: "spend@2.gone", Served: &none, Status: "EXPIRED", Verdict: "match"},
			{
				Name: "ratio__per_hour", Feature: "ratio@1.per_hour", Verdict: "not_checked", Why: "it is left out",
				Arguments: []*headwaterv1.TracedArgument{{Node: "spend@2.total", Value: &again, Run: "spend@2/5", EventTime: at(10)}, {Node: "input:hour"}},
			},
		},
		Runs: []*headwaterv1.TracedRun{{
			Run: "spend@2/5", Position: 6, PublishedAt: at(11), StartedBy: "ada", IntervalStart: at(0), IntervalEnd: at(11), RowsFrom: at(9), RowsTo: at(10),
			Fingerprint: "ab12", Definition: "SELECT zone, '```' AS fence, '<i>' FROM sales\nWHERE amount > 0", Origin: "commit 1f", AppliedAt: at(1), AppliedBy: "ada", Digest: "cd34",
			Inputs: []*headwaterv1.TracedInput{
				{Node: "source:sales", Title: "9 rows of source sales@1", Properties: map[string]string{"rows_read": "9"}, RowsLeftOut: "there are more than the newest 2 rows"},
				{
					Node: "load:4", Title: "file " + hostile + ", load 4 of source sales", Properties: map[string]string{"file_name": hostile, "file_sha256": "ef56"},
					Rows: []*headwaterv1.TracedRow{
						{Subject: "source:sales", Load: 4, Row: 2, Columns: map[string]string{"zone": hostile, "amount": "34"}},
						{Subject: "source:sales", Load: 4, Row: 3, Columns: map[string]string{"zone": "b"}, Reason: "duplicate"},
					},
				},
			},
			Checks:      []*headwaterv1.TracedCheck{{Name: "amount_range", Subject: "source:sales", Outcome: "warned", Expected: "0 <= amount", Found: hostile}},
			Quarantined: []*headwaterv1.TracedRow{{Subject: "source:sales", Load: 4, Row: 5, Columns: map[string]string{"zone": "<b>", "amount": "-1"}, Reason: "amount_range"}},
			Notes:       []string{"2 rows that it produced were erased: " + hostile},
		}},
		LeftOut: []string{"what policy masked@1 hides from you of ratio@1.per_hour " + hostile},
	}
}

// The pages are the same for the same trace, and nothing that came with a value becomes markup, a script, a link or a terminal's command.
func TestTracePages(t *testing.T) {
	page := newTracePage(hostileTrace())
	var text, md, html bytes.Buffer
	if err := page.text(&text); err != nil {
		t.Fatal(err)
	}
	page.markdown(&md)
	if err := page.html(&html); err != nil {
		t.Fatal(err)
	}
	for name, found := range map[string]string{"trace.txt": text.String(), "trace.md": md.String(), "trace.html": html.String()} {
		path := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(path, []byte(found), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil || found != string(want) {
			t.Errorf("%s, %v: found\n%s\nexpected\n%s", name, err, found, want)
		}
		if strings.ContainsAny(found, "\x1b\x00") {
			t.Errorf("%s holds a control character", name)
		}
	}
	for _, not := range []string{"<script", "<b>", "<i>", "javascript:alert(1))\"", "href", "src="} {
		if strings.Contains(html.String(), not) {
			t.Errorf("the page holds %s", not)
		}
	}
	// The definition stands in a fence that it cannot end; all else is escaped.
	outside := strings.ReplaceAll(md.String(), "````\nSELECT zone, '```' AS fence, '<i>' FROM sales\nWHERE amount > 0\n````", "")
	for _, not := range []string{"<", "\n# head", "](", "![", "**b", " `x", "http://"} {
		if strings.Contains(outside, not) {
			t.Errorf("the Markdown holds %q", not)
		}
	}
}

func TestTrace(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a server")
	}
	url := testenv.EmptyPostgresURL(t)
	w := openShop(t, startServe(t, url, testenv.RedisURL(t)))
	w.must(t, "apply", file(t, "shop.yaml", strings.Replace(shopDefinitions, "  - name: shop_model\n", "  - name: shop_model\n    log: all\n", 1)))
	var answer headwaterv1.GetFeaturesResponse
	w.ask(t, &answer, "get", "--service", "shop_model", "--entity", "shop=a", "--entity", "shop=b", "--purpose", "checkout")
	id := answer.GetReadId()
	text := strings.Join(spaced(w.must(t, "trace", id, "--entity", "shop=b")), "\n")
	for _, want := range []string{
		"\nrow 2 of 2\n", "\nserved 40\n", "\nverdict offline says the same\n", "\nrun totals@1/1\n", "\nfile name sales.csv\n",
		// An hour has the rows of it, and no others.
		"\nrows of the entity in load:1\nLOAD ROW amount at kind shop\n1 6 40 2001-01-01T11:05:00Z ok b\n",
	} {
		if !strings.Contains(text+"\n", want) {
			t.Errorf("found\n%s\nexpected in it\n%s", text, want)
		}
	}
	if strings.Contains(text, "1 4 10 ") || strings.Contains(text, " ok a") {
		t.Errorf("found rows of another hour or entity in\n%s", text)
	}
	var traced headwaterv1.TraceReadResponse
	w.ask(t, &traced, "trace", id, "--row", "2", "--feature", "totals__amount")
	if len(traced.GetFeatures()) != 1 || traced.GetFeatures()[0].GetServed() != "40" || traced.GetFeatures()[0].GetVerdict() != "match" || len(traced.GetRuns()) != 1 {
		t.Errorf("found %v", &traced)
	}

	// A dashboard outside is declared, shown, and reached.
	w.must(t, "apply", file(t, "board.yaml", "consumers:\n  - name: board\n    kind: dashboard\n    url: https://bi.example.com/board\n    owner: bi\n    reads: {services: [shop_model]}\n"))
	if described := strings.Join(spaced(w.must(t, "describe", "consumer", "board")), "\n"); !strings.Contains(described, "\nreads service:shop_model\n") ||
		!strings.Contains(described, "url: https://bi.example.com/board") {
		t.Errorf("found\n%s", described)
	}
	if list := w.must(t, "list", "consumers"); !strings.Contains(list, "board") {
		t.Errorf("found\n%s", list)
	}
	if shown := w.must(t, "lineage", "show", "service:shop_model", "--down"); !strings.Contains(shown, "used by consumer:board@1  dashboard of bi, https://bi.example.com/board\n") {
		t.Errorf("found\n%s", shown)
	}

	// As a node it leads to the same run and file, and these lead to the reads of the service together.
	up := w.must(t, "lineage", "show", "prediction:"+id)
	for _, want := range []string{
		"prediction:" + id + "  2 features for 2 rows by shop_model@1 at position ", "\n├─ read run:totals@1/1  2001-01-01T", "\n│  └─ read load:1  sales.csv, sha256 ", "\n└─ from service:shop_model@1  ",
		"written by run:totals@1/1  (above)\n",
	} {
		if !strings.Contains(up, want) {
			t.Errorf("found\n%s\nexpected in it\n%s", up, want)
		}
	}
	if columns := w.must(t, "lineage", "show", "prediction:"+id, "--columns"); !strings.Contains(columns, "made of view:totals@1#amount") || !strings.Contains(columns, "made of source:sales#amount") {
		t.Errorf("found\n%s", columns)
	}
	if dot := w.must(t, "lineage", "show", "prediction:"+id, "-o", "dot", "--depth", "1"); !strings.Contains(dot, `"run:totals@1/1" -> "prediction:`+id+`" [label="read"];`) {
		t.Errorf("found\n%s", dot)
	}
	if mermaid := w.must(t, "lineage", "show", "prediction:"+id, "-o", "mermaid", "--depth", "1"); !strings.Contains(mermaid, `["prediction:`+id+"<br/>2 features for 2 rows by shop_model@1") {
		t.Errorf("found\n%s", mermaid)
	}
	const together = "predictions:shop_model@1  1 logged read had rows of it; those of the service: `headwater reads list --service shop_model@1`\n"
	if down := w.must(t, "lineage", "show", "run:totals@1/1", "--down"); !strings.Contains(down, "read by "+together) {
		t.Errorf("found\n%s", down)
	}
	if down := w.must(t, "lineage", "show", "prediction:"+id, "--down"); strings.Count(down, "\n") != 1 {
		t.Errorf("found\n%s", down)
	}
	w.run("lineage", "show", "prediction:"+id, "--as-of", "pos:1").expect(t, exitNotFound, "", "headwater: there is no prediction "+id+" as of pos:1; ask without --as-of, or for a later one\n")
	w.run("lineage", "show", "prediction:rd_none").expect(t, exitNotFound, "", `headwater: no read "rd_none" is kept: its service keeps no log of reads or did not keep this one, `+
		"it is older than reads are kept, or it waits on a server's disk; `headwater reads list` shows those that are, and `headwater trace --service S --entity k=v --at T` computes one that is not\n")

	// What the file of that row reaches has the read, and what would mend it.
	impact := strings.Join(spaced(w.must(t, "impact", "sales", "--load", "1", "--repair")), "\n")
	for _, want := range []string{
		"Impact of load 1 of source sales\n", " now what was computed of it, and 1 logged read gave it out.\n", "\nshop_model@1 1 no serves features of ",
		"\ntotals@1.amount value, filter", "\nboard@1 bi dashboard, reads service shop_model\n",
	} {
		if !strings.Contains(impact, want) {
			t.Errorf("found\n%s\nexpected in it\n%s", impact, want)
		}
	}
	if first := strings.Index(impact, "\nheadwater loads retract 1 --reason REASON # load:1: "); first < 0 || strings.Index(impact, "\nheadwater materialize totals@1 --wait # view:totals@1: ") < first {
		t.Errorf("found\n%s", impact)
	}
	var reached headwaterv1.GetImpactResponse
	w.ask(t, &reached, "impact", "sales", "--load", "1", "--column", "amount")
	if reached.GetPredictions() != 1 || len(reached.GetRepairs()) == 0 {
		t.Errorf("found %v", &reached)
	}

	folder := t.TempDir()
	w.run("trace", id, "-o", "html", "--out", filepath.Join(folder, "t.html")).expect(t, 0, "", "wrote "+filepath.Join(folder, "t.html")+"\n")
	html, err := os.ReadFile(filepath.Join(folder, "t.html"))
	if err != nil || !bytes.HasPrefix(html, []byte("<!DOCTYPE html>")) || !bytes.Contains(html, []byte("Computed again now from the history, as of that moment, 2 values are the same as was served.")) {
		t.Errorf("found %s, %v", html, err)
	}
	if md := w.must(t, "trace", id, "-o", "md"); !strings.HasPrefix(md, "# Trace of read "+id+"\n") {
		t.Errorf("found\n%s", md)
	}
	if entries, err := os.ReadDir(folder); err != nil || len(entries) != 1 {
		t.Errorf("found %v, %v beside the page", entries, err)
	}

	at := answer.GetServedAt().AsTime().Format(time.RFC3339Nano)
	text = strings.Join(spaced(w.must(t, "trace", "--service", "shop_model", "--entity", "shop=a", "--at", at)), "\n")
	for _, want := range []string{"Trace of a read of shop_model@1 that was not logged", "\noffline now 4 PRESENT\n", "\nwhy the read was not logged: nothing says what was served\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("found\n%s\nexpected in it\n%s", text, want)
		}
	}

	conn, err := pgx.Connect(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(context.Background(), `UPDATE headwater_history.totals_v1 SET amount = 5 WHERE entity_key = 'a' AND amount = 4`); err != nil {
		t.Fatal(err)
	}
	r := w.run("trace", id)
	if text := strings.Join(spaced(r.out), "\n"); r.code != exitNotHeld || !strings.Contains(text, "ATTENTION: 1 value is not what the history says: totals__amount.") {
		t.Errorf("found status %d and\n%s%s", r.code, text, r.err)
	}

	w.run("trace", "rd_none").expect(t, exitNotFound, "", "*")
	w.run("trace").expect(t, exitUsage, "", "*")
	w.run("trace", id, "--at", at).expect(t, exitUsage, "", "headwater: found READ_ID and --at, expected one of them: what was logged says it\n")
	w.run("trace", id, "--row", "0").expect(t, exitUsage, "", "headwater: found --row 0, expected 1 or more\n")
	w.run("trace", id, "-o", "xml").expect(t, exitUsage, "", "headwater: found output \"xml\", expected table, json, csv, md or html\n")
	w.run("trace", id, "-o", "csv").expect(t, exitUsage, "", "*")
	r = w.run("trace", id, "--out", filepath.Join(folder, "none", "t.html"))
	if r.code == 0 || !strings.Contains(r.err, "--out: ") {
		t.Errorf("found status %d, %s", r.code, r.err)
	}
}
