package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	pqfile "github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/metadata"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// everyFormat is what a dataset can be written in.
var everyFormat = []string{"arrow", "arrows", "parquet", "csv", "ndjson"}

// A spine with labels that are missing, and labels that are there and empty.
const labelledSpine = "shop,timestamp,note,n,late\n" +
	"a,2001-01-01 12:30,,1,true\nb,2001-01-01 12:30,\"\",,false\na,2001-01-01 11:30,\" \"\"quoted\"\", \n\",-3,\nnone,2001-01-01 12:30,x,0,true\n"

// fetchAll fetches a dataset in every format and returns the files.
func (w *shop) fetchAll(t *testing.T, ref string) map[string][]byte {
	t.Helper()
	folder, files := t.TempDir(), map[string][]byte{}
	for _, format := range everyFormat {
		out := filepath.Join(folder, "out."+format)
		w.must(t, "dataset", "fetch", ref, "--out", out)
		files[format] = readFile(t, out)
	}
	return files
}

// manifestOf is what is kept of a dataset.
func (w *shop) manifestOf(t *testing.T, ref string) *headwaterv1.Manifest {
	t.Helper()
	var shown headwaterv1.GetDatasetResponse
	w.ask(t, &shown, "dataset", "show", ref)
	return shown.GetManifest()
}

// A dataset is the same bytes in each format whenever it is fetched, and a spine again in each.
func TestFormatsAreTheSameAgain(t *testing.T) {
	t.Parallel()
	w := openShop(t, startServe(t, testenv.EmptyPostgresURL(t), testenv.RedisURL(t)))
	folder := t.TempDir()
	w.must(t, "dataset", "build", "--name", "labelled", "--feature", "totals.amount", "--spine", file(t, "spine.csv", labelledSpine),
		"--out", filepath.Join(folder, "built.csv"))
	before := w.fetchAll(t, "labelled@1")
	const want = "shop,timestamp,note,n,late,totals__amount\n" +
		"a,2001-01-01T12:30:00Z,,1,true,4\nb,2001-01-01T12:30:00Z,\"\",,false,40\n" +
		"a,2001-01-01T11:30:00Z,\" \"\"quoted\"\", \n\",-3,,3\nnone,2001-01-01T12:30:00Z,x,0,true,\n"
	if got := string(before["csv"]); got != want {
		t.Errorf("found\n%s\nexpected\n%s", got, want)
	}
	if built := readFile(t, filepath.Join(folder, "built.csv")); !bytes.Equal(built, before["csv"]) {
		t.Errorf("found other bytes fetched than built:\n%s", built)
	}

	// A correction, a backfill, a retraction and more rows.
	w.must(t, "ingest", "sales", file(t, "corrected.csv", shopSalesCorrected), "--replaces", "1")
	w.must(t, "materialize", "totals", "ratios", "--wait")
	w.must(t, "materialize", "totals", "--from", "2001-01-01", "--to", "2001-01-02", "--wait")
	w.must(t, "ingest", "sales", file(t, "more.csv", "at,shop,amount,kind\n2001-01-01 10:20,none,7,ok\n2001-01-01 11:30,b,8,ok\n"))
	w.must(t, "materialize", "totals", "ratios", "--full", "--wait")
	w.must(t, "loads", "retract", "2", "--reason", "wrong")
	w.must(t, "materialize", "totals", "ratios", "--wait")
	after := w.fetchAll(t, "labelled@1")
	for _, format := range everyFormat {
		if len(before[format]) == 0 || !bytes.Equal(before[format], after[format]) {
			t.Errorf("%s: found %d bytes, and %d others later", format, len(before[format]), len(after[format]))
		}
	}

	// Whichever file it is read from, the spine is the same.
	kept := w.manifestOf(t, "labelled@1")
	var digests []string
	for _, format := range everyFormat {
		spine := filepath.Join(folder, "again."+format)
		if err := os.WriteFile(spine, before[format], 0o600); err != nil {
			t.Fatal(err)
		}
		w.must(t, "dataset", "build", "--name", format, "--feature", "ratios.ratio", "--spine", spine, "--out", filepath.Join(folder, "out."+format))
		digests = append(digests, w.manifestOf(t, format+"@1").GetSpineDigest())
	}
	if all := strings.Join(digests, " "); all != strings.TrimSpace(strings.Repeat(digests[0]+" ", len(digests))) || digests[0] == kept.GetSpineDigest() {
		t.Errorf("found spines %s, expected one, and not that of the first dataset, %s", all, kept.GetSpineDigest())
	}
	checkStatistics(t, before["parquet"])
}

// checkStatistics holds a Parquet file of labelledSpine to say what is in its row group.
func checkStatistics(t *testing.T, content []byte) {
	t.Helper()
	r, err := pqfile.NewParquetReader(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	if r.NumRowGroups() != 1 || r.NumRows() != 4 {
		t.Fatalf("found %d rows in %d groups, expected 4 in one", r.NumRows(), r.NumRowGroups())
	}
	of := func(column string) metadata.TypedStatistics {
		chunk, err := r.MetaData().RowGroup(0).ColumnChunk(r.MetaData().Schema.ColumnIndexByName(column))
		if err != nil {
			t.Fatal(err)
		}
		s, err := chunk.Statistics()
		if err != nil || s == nil {
			t.Fatalf("column %s: found no statistics, %v", column, err)
		}
		return s
	}
	if s, ok := of("totals__amount").(*metadata.Int64Statistics); !ok || s.Min() != 3 || s.Max() != 40 || s.NullCount() != 1 {
		t.Errorf("found %v, expected from 3 to 40 and one NULL", s)
	}
	if s, ok := of("note").(*metadata.ByteArrayStatistics); !ok || string(s.Min()) != "" || string(s.Max()) != "x" || s.NullCount() != 1 {
		t.Errorf("found %v, expected from the empty text to x and one NULL", s)
	}
}
