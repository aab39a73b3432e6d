package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// names are the files of a folder.
func names(t *testing.T, folder string) string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, e := range entries {
		found = append(found, e.Name())
	}
	return strings.Join(found, " ")
}

// collected is what gc says of each view: rows that went, and rows that datasets protect.
func (w *shop) collected(t *testing.T, args ...string) string {
	t.Helper()
	var r headwaterv1.CollectHistoryResponse
	w.ask(t, &r, append([]string{"gc", "--older-than", "0"}, args...)...)
	var found []string
	for _, v := range r.GetViews() {
		found = append(found, fmt.Sprintf("%s@%d: %d gone, %d kept", v.GetView(), v.GetVersion(), v.GetRowsCollected(), v.GetRowsProtected()))
	}
	return strings.Join(found, "; ")
}

// What a user does with datasets that are kept: compares them, deletes one, and collects the history that it protected.
func TestDatasetsAreKeptComparedAndDeleted(t *testing.T) {
	t.Parallel()
	results := t.TempDir()
	w := openShop(t, startServe(t, testenv.EmptyPostgresURL(t), testenv.RedisURL(t), "HEADWATER_RESULTS_DIR="+results))
	folder := t.TempDir()
	out := func(name string) string { return filepath.Join(folder, name) }
	spine := file(t, "spine.csv", "shop,timestamp,note\na,2001-01-01 12:30,x\nb,2001-01-01 12:30,y\na,2001-01-01 11:00,z\n")
	build := func(name string) *headwaterv1.Manifest {
		w.must(t, "dataset", "build", "--service", "shop_model", "--name", name, "--spine", spine, "--out", out(name+".csv"))
		return w.manifestOf(t, name+"@1")
	}
	first := build("first")
	if got, want := string(readFile(t, out("first.csv"))), "shop,timestamp,note,totals__amount,ratios__ratio\n"+
		"a,2001-01-01T12:30:00Z,x,4,25\nb,2001-01-01T12:30:00Z,y,40,2\na,2001-01-01T11:00:00Z,z,3,50\n"; got != want {
		t.Fatalf("found\n%s\nexpected\n%s", got, want)
	}
	firstFile := names(t, results)
	if !strings.Contains(firstFile, first.GetId()) {
		t.Errorf("found %q in the folder of results, expected that of %s", firstFile, first.GetId())
	}
	w.must(t, "ingest", "sales", file(t, "corrected.csv", shopSalesCorrected), "--replaces", "1")
	w.must(t, "materialize", "totals", "ratios", "--wait")
	second := build("second")

	// What the first one reads has ended, and stays.
	if got, want := w.collected(t), "ratios@1: 0 gone, 1 kept; totals@1: 0 gone, 1 kept"; got != want {
		t.Errorf("found %s, expected %s", got, want)
	}
	fetch := func(name string) {
		t.Helper()
		w.must(t, "dataset", "fetch", name+"@1", "--out", out("again.csv"))
		if got, want := readFile(t, out("again.csv")), readFile(t, out(name+".csv")); !bytes.Equal(got, want) {
			t.Errorf("%s: found\n%s\nexpected\n%s", name, got, want)
		}
	}
	fetch("first")
	fetch("second")
	// A kept result that is damaged is not sent, and one that is gone is computed again.
	if err := os.WriteFile(filepath.Join(results, firstFile), []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	fetch("first")
	for _, name := range strings.Fields(names(t, results)) {
		if err := os.Remove(filepath.Join(results, name)); err != nil {
			t.Fatal(err)
		}
	}
	fetch("first")
	w.must(t, "dataset", "verify", "first@1")
	w.compared(t, first, second)

	// Deleted, it protects nothing.
	w.run("dataset", "delete", "first@1").expect(t, exitUsage, "", "headwater: `headwater dataset delete` needs --reason; see `headwater dataset delete --help`\n")
	if deleted := w.must(t, "dataset", "delete", "first@1", "--reason", "wrong labels"); !strings.Contains(deleted, "state           deleted\n") {
		t.Errorf("found\n%s\nexpected that it is deleted", deleted)
	}
	if left := names(t, results); strings.Contains(left, first.GetId()) {
		t.Errorf("found %s in the folder of results, expected nothing of %s", left, first.GetId())
	}
	if got, want := w.collected(t, "--dry-run"), "ratios@1: 1 gone, 0 kept; totals@1: 1 gone, 0 kept"; got != want {
		t.Errorf("found %s, expected %s", got, want)
	}
	w.run("gc", "--older-than", "0d", "-o", "csv").expect(t, exitDone, "view,readable_from,collected,protected\n"+
		"ratios@1,run:ratios@1/2,1,0\ntotals@1,run:totals@1/2,1,0\n", "collected 1 profile of what is gone\n")
	if got, want := w.collected(t), "ratios@1: 0 gone, 0 kept; totals@1: 0 gone, 0 kept"; got != want {
		t.Errorf("found %s, expected %s", got, want)
	}
	fetch("second")
	at := first.GetId() + " (first@1) was deleted by admin at " + w.manifestOf(t, "first@1").GetDeletedAt().AsTime().Format("2006-01-02T15:04:05Z") +
		": wrong labels; only its manifest is left: build it again from its spine, which gives another dataset\n"
	for _, line := range []string{"fetch first@1 --out " + out("none.csv"), "verify first@1", "diff first@1 second@1", "delete first@1 --reason again"} {
		w.run(append([]string{"dataset"}, strings.Fields(line)...)...).expect(t, exitNotFound, "", "headwater: dataset "+at)
	}
	expectNoFile(t, out("none.csv"))
	w.run("dataset", "fetch", "third@1", "--out", out("none.csv")).expect(t, exitNotFound, "", "*")

	// Nobody can read what it read.
	r := w.run("dataset", "build", "--service", "shop_model", "--name", "third", "--spine", spine, "--out", out("none.csv"), "--as-of", "run:totals@1/1",
		"--allow-partial")
	if r.code != exitFailed || !strings.Contains(r.err, "view totals@1: its history before run totals@1/2 was collected, and run totals@1/1 was asked for") {
		t.Errorf("found status %d and %s, expected that the history is gone", r.code, r.err)
	}
	expectNoFile(t, out("none.csv"))
}

// compared holds what diff says of the datasets before and after the correction.
func (w *shop) compared(t *testing.T, first, second *headwaterv1.Manifest) {
	t.Helper()
	w.run("dataset", "diff", "first@1", "second@1").expect(t, exitDone, ""+
		"A                 first@1 ("+first.GetId()+")\nB                 second@1 ("+second.GetId()+")\nsame              no\n"+
		"matched by        row number\nrows of both      3\nrows that differ  1\nrows of A only    0\nrows of B only    0\n\n"+
		"columns\n"+
		"  COLUMN          ROWS  RUN OF A    RUN OF B    ROWS OF RUNS\n"+
		"  totals__amount     1  totals@1/1  totals@1/2             1\n"+
		"  ratios__ratio      1  ratios@1/1  ratios@1/2             1\n\n"+
		"rows\n"+
		"  ROW OF A  ROW OF B  KEY                                    COLUMN          A   B\n"+
		"         1         1  shop=a timestamp=2001-01-01T12:30:00Z  totals__amount  4   5\n"+
		"         1         1  shop=a timestamp=2001-01-01T12:30:00Z  ratios__ratio   25  20\n", "")
	var d headwaterv1.DiffDatasetsResponse
	w.ask(t, &d, "dataset", "diff", "first@1", second.GetId(), "--examples", "1")
	if d.GetSame() || d.GetRowsBoth() != 3 || d.GetRowsDiffer() != 1 || len(d.GetExamples()) != 1 {
		t.Fatalf("found %v, expected one of three rows to differ", &d)
	}
	var values []string
	for _, v := range d.GetExamples()[0].GetValues() {
		values = append(values, fmt.Sprintf("%s %s %s", v.GetColumn(), valueText(v.GetA()), valueText(v.GetB())))
	}
	if got, want := strings.Join(values, "; "), "totals__amount 4 5; ratios__ratio 25 20"; got != want || d.GetExamples()[0].GetRowA() != 1 {
		t.Errorf("found %s in row %d, expected %s in the first", got, d.GetExamples()[0].GetRowA(), want)
	}
	w.ask(t, &d, "dataset", "diff", "first@1", "first@1")
	if !d.GetSame() || len(d.GetExamples()) != 0 {
		t.Errorf("found %v, expected that a dataset is the same as itself", &d)
	}
	w.run("dataset", "diff", "first@1", "second@1", "-o", "csv").expect(t, exitUsage, "", "*")
	w.run("dataset", "diff", "first@1", "third@1").expect(t, exitNotFound, "", "*")
}
