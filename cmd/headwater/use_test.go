package main

import (
	"path/filepath"
	"strings"
	"testing"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/testenv"
)

// What a dataset is for is said with --use, when it is built and each time it is had; a licence refuses other uses, and the record says which it was.
func TestDatasetsAreForAUse(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a server")
	}
	w := openShop(t, startServe(t, testenv.EmptyPostgresURL(t), testenv.RedisURL(t)))
	allow := func(use string) {
		t.Helper()
		w.must(t, "apply", file(t, "terms.yaml", "policies:\n  - name: terms\n    resources: [\"source:sales\"]\n    require: {uses: ["+use+", serving], licence: no resale}\n"))
	}
	spine, out := file(t, "spine.csv", "shop,timestamp\na,2001-01-01 12:00\n"), filepath.Join(t.TempDir(), "out.csv")
	build := func(args ...string) result {
		return w.run(append([]string{"dataset", "build", "--service", "shop_model", "--spine", spine, "--out", out, "--allow-partial"}, args...)...)
	}
	idOf := func(r result) string {
		t.Helper()
		for line := range strings.Lines(r.out) {
			if f := strings.Fields(line); len(f) == 2 && f[0] == "id" {
				return f[1]
			}
		}
		t.Fatalf("found no id in\n%s%s", r.out, r.err)
		return ""
	}
	refused := "policy terms@1 of source:sales allows the use for training, serving, found export; its terms: no resale"
	allow("training")
	for _, r := range []result{build("--use", "export"), w.run("dataset", "fetch", idOf(build()), "--use", "export", "--out", out)} {
		if r.code != exitDenied || !strings.Contains(r.err, refused) {
			t.Errorf("found status %d and %q, expected %q", r.code, r.err, refused)
		}
	}
	if r := build("--use", "resale"); r.code != exitUsage && r.code != exitFailed || !strings.Contains(r.err, "resale") {
		t.Errorf("found status %d and %q of what is no use", r.code, r.err)
	}
	allow("export")
	r := build("--use", "export")
	id := idOf(r)
	if shown := strings.Join(spaced(w.must(t, "dataset", "show", id)), "\n"); !strings.Contains(shown, "use export") {
		t.Errorf("found no use in\n%s", shown)
	}
	w.must(t, "dataset", "fetch", id, "--use", "export", "--out", out)
	if r := build(); r.code != exitDenied || !strings.Contains(r.err, "allows the use for export, serving, found training") {
		t.Errorf("found status %d and %q", r.code, r.err)
	}
	var records headwaterv1.ListAuditRecordsResponse
	w.ask(t, &records, "audit", "list")
	uses := map[string]bool{}
	for _, r := range records.GetRecords() {
		if r.GetDataset() == id {
			uses[r.GetUse()] = true
		}
	}
	if len(uses) != 1 || !uses["export"] {
		t.Errorf("found the uses %v in the records of the dataset, expected export", uses)
	}
}
