package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/headwaterhq/headwater/feature"
	"github.com/headwaterhq/headwater/internal/tabular"
)

const kindsDefinitions = `entities:
  - {name: item, join_keys: [{name: item, type: string}]}
sources:
  - name: offers
    columns:
      - {name: at, type: timestamp}
      - {name: item, type: string}
      - {name: price, type: "decimal(38, 2)"}
      - {name: photo, type: bytes}
      - {name: tags, type: list(string)}
      - {name: prices, type: "list(decimal(12, 2))"}
      - {name: place, type: vector(2)}
    event_time: at
    landing: {}
feature_views:
  - name: offer
    entity: item
    features:
      - {name: price, type: "decimal(38, 2)"}
      - {name: photo, type: bytes}
      - {name: tags, type: list(string)}
      - {name: prices, type: "list(decimal(12, 2))"}
      - {name: place, type: vector(2)}
    sql:
      sources: [offers]
      query: SELECT item, event_time, available_at, price, photo, tags, prices, place FROM offers
feature_services:
  - {name: offer_model, views: [{view: offer}]}
`

const offers = `{"at":"2001-01-01","item":"a","price":123456789012345678901234567890.5,"photo":"AP8=","tags":["x, y","é"],"prices":[0.1,-2],"place":[0.1,-1.5]}
{"at":"2001-01-01","item":"b","price":null,"photo":null,"tags":[],"prices":null,"place":null}
`

// Values of every type go through the whole product, from a file to a read and to a dataset, and none is rounded.
func TestEveryKindOfValue(t *testing.T) {
	d := startDev(t, passableFolder(t))
	d.must(t, "apply", file(t, "kinds.yaml", kindsDefinitions))
	d.must(t, "ingest", "offers", file(t, "offers.ndjson", offers))
	d.must(t, "materialize", "offer", "--wait")

	read := d.must(t, "get", "--service", "offer_model", "--entity", "item=a", "--entity", "item=b", "-o", "csv")
	for _, line := range []string{
		"item=a,offer__price,123456789012345678901234567890.50,PRESENT,", "item=a,offer__photo,AP8=,PRESENT,",
		`item=a,offer__tags,"[""x, y"",""é""]",PRESENT,`, `item=a,offer__prices,"[0.10,-2.00]",PRESENT,`, `item=a,offer__place,"[0.1,-1.5]",PRESENT,`,
		"item=b,offer__price,,NULL,", "item=b,offer__tags,[],PRESENT,", "item=b,offer__place,,NULL,",
	} {
		if !strings.Contains(read, line) {
			t.Errorf("found no %s in\n%s", line, read)
		}
	}
	if table := d.must(t, "get", "--service", "offer_model", "--entity", "item=a"); !strings.Contains(table, `["x, y","é"]`) {
		t.Errorf("found no list in\n%s", table)
	}
	if got := d.must(t, "get", "--service", "offer_model", "--entity", "item=a", "-o", "json"); !strings.Contains(got, `"type_name": "decimal(38, 2)"`) ||
		!strings.Contains(got, `"123456789012345678901234567890.50"`) {
		t.Errorf("found no exact decimal in\n%s", got)
	}

	spine := kindsSpine(t)
	const want = `{"item":"a","timestamp":"2001-01-02T00:00:00Z","paid":0.10,"seen":["p","q"],"where":[0.25,2],` +
		`"offer__price":123456789012345678901234567890.50,"offer__photo":"AP8=","offer__tags":["x, y","é"],"offer__prices":[0.10,-2.00],"offer__place":[0.1,-1.5]}` + "\n"
	folder := t.TempDir()
	for _, format := range []string{"ndjson", "parquet", "arrow", "csv"} {
		out := filepath.Join(folder, "out."+format)
		d.must(t, "dataset", "build", "--service", "offer_model", "--name", format, "--spine", spine, "--out", out)
		if format != "csv" {
			if got := asNDJSON(t, out); got != want {
				t.Errorf("%s: found\n%sexpected\n%s", format, got, want)
			}
		}
		d.must(t, "dataset", "verify", format+"@1")
	}
	csv, err := os.ReadFile(filepath.Join(folder, "out.csv"))
	if wantCSV := `a,2001-01-02T00:00:00Z,0.10,"[""p"",""q""]","[0.25,2]",123456789012345678901234567890.50,AP8=,"[""x, y"",""é""]","[0.10,-2.00]","[0.1,-1.5]"`; err != nil ||
		!strings.Contains(string(csv), wantCSV) {
		t.Errorf("found %s, %v\nexpected %s", csv, err, wantCSV)
	}
	if shown := d.must(t, "dataset", "show", "arrow@1"); !strings.Contains(shown, "list(decimal(12, 2))") || !strings.Contains(shown, "vector(2)") {
		t.Errorf("found no types of columns in\n%s", shown)
	}
}

// kindsSpine is an Arrow file of one row, with labels of several types.
func kindsSpine(t *testing.T) string {
	t.Helper()
	columns := []feature.Column{
		{Name: "item", Type: feature.TypeString}, {Name: "timestamp", Type: feature.TypeTimestamp}, {Name: "paid", Type: feature.DecimalType(4, 2)},
		{Name: "seen", Type: feature.ListType(feature.TypeString)}, {Name: "where", Type: feature.VectorType(2)},
	}
	paid, err := feature.ParseDecimal(columns[2].Type, "0.1")
	if err != nil {
		t.Fatal(err)
	}
	seen, err := feature.List(columns[3].Type, []feature.Value{feature.String("p"), feature.String("q")})
	if err != nil {
		t.Fatal(err)
	}
	where, err := feature.Vector(columns[4].Type, []float32{0.25, 2})
	if err != nil {
		t.Fatal(err)
	}
	b := array.NewRecordBuilder(memory.DefaultAllocator, tabular.ArrowSchema(columns))
	for i, v := range []feature.Value{feature.String("a"), feature.Timestamp(978_393_600_000_000), paid, seen, where} {
		tabular.Append(b.Field(i), v)
	}
	var content bytes.Buffer
	w, err := tabular.NewWriter(&content, tabular.FormatArrow, tabular.ArrowSchema(columns))
	if err == nil {
		err = w.Write(b.NewRecordBatch())
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return file(t, "spine.arrow", content.String())
}

// asNDJSON is what a dataset's file holds, as NDJSON.
func asNDJSON(t *testing.T, path string) string {
	t.Helper()
	if filepath.Ext(path) == ".ndjson" {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	f, err := tabular.Open(path, nil, tabular.FormatUnknown)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	columns, err := f.Columns(nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range columns {
		// Parquet has vectors as lists of floats.
		if name := columns[i].Name; name == "where" || name == "offer__place" {
			columns[i].Type = feature.VectorType(2)
		}
	}
	rows, err := f.Read(columns)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w, err := tabular.NewWriter(&out, tabular.FormatNDJSON, rows.Schema())
	if err != nil {
		t.Fatal(err)
	}
	for batch, err := range rows.Batches() {
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Write(batch); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}
