package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
	"github.com/headwaterhq/headwater/internal/fault"
)

func TestPlanAndApply(t *testing.T) {
	c := &canned{changes: []*headwaterv1.Change{
		{Kind: headwaterv1.ChangeKind_CHANGE_KIND_ADD, DefinitionKind: headwaterv1.DefinitionKind_DEFINITION_KIND_ENTITY, Name: "airport", Version: 1},
		{Kind: headwaterv1.ChangeKind_CHANGE_KIND_UPDATE, DefinitionKind: headwaterv1.DefinitionKind_DEFINITION_KIND_SOURCE, Name: "flights", Version: 3,
			Details: []string{"owner: set to\x1b ops"}, Dependents: []string{"view:delays@1"}},
		{Kind: headwaterv1.ChangeKind_CHANGE_KIND_NEW_VERSION, DefinitionKind: headwaterv1.DefinitionKind_DEFINITION_KIND_VIEW, Name: "delays",
			Version: 2, Details: []string{"query", "feature late: added"}, Dependents: []string{"service:s", "dataset:ds_1"},
			DataWork: &headwaterv1.DataWork{SourceRows: 30000, From: at("2001-01-01T00:00:00Z"), To: at("2001-02-01T00:00:00Z"), PreviousRows: 1},
			Warnings: []string{"service s stays pinned to delays@1"}},
		{Kind: headwaterv1.ChangeKind_CHANGE_KIND_ADD, DefinitionKind: headwaterv1.DefinitionKind_DEFINITION_KIND_VIEW, Name: "new", Version: 1,
			DataWork: &headwaterv1.DataWork{}},
		{Kind: headwaterv1.ChangeKind_CHANGE_KIND_REVIVE, DefinitionKind: headwaterv1.DefinitionKind_DEFINITION_KIND_ROLE, Name: "r", Version: 1},
		{Kind: headwaterv1.ChangeKind_CHANGE_KIND_REMOVE, DefinitionKind: headwaterv1.DefinitionKind_DEFINITION_KIND_SERVICE, Name: "old", Version: 4},
		{Kind: headwaterv1.ChangeKind_CHANGE_KIND_RETIRE, DefinitionKind: headwaterv1.DefinitionKind_DEFINITION_KIND_VIEW, Name: "past", Version: 4,
			Dependents: []string{"dataset:ds_2"}},
	}}
	do := c.serve(t)
	path := file(t, "a.yaml", fmt.Sprintf(entities, "airport"))
	plan := filepath.Join(t.TempDir(), "plan.json")
	const changes = `added
├─ entity:airport@1
└─ view:new@1
   └─ to materialize: nothing yet, as there are no rows to read
changed
├─ view:delays@2, a new version
│  ├─ query
│  ├─ feature late: added
│  ├─ the version before is read by
│  │  ├─ service:s
│  │  └─ dataset:ds_1
│  ├─ to materialize: 30000 rows to read in [2001-01-01T00:00:00Z, 2001-02-01T00:00:00Z); the version before holds 1 row
│  └─ warning: service s stays pinned to delays@1
└─ source:flights@3, the same version
   ├─ owner: set to� ops
   └─ read by
      └─ view:delays@1
revived
└─ role:r@1
retired
└─ view:past@4
   └─ goes on serving
      └─ dataset:ds_2
removed
└─ service:old@4
`
	do("plan", path, "--out", plan).expect(t, exitHasChange, changes, "")
	do("apply", path, "--plan", plan).expect(t, exitDone, changes, "")
	if got := c.applied[0].GetExpectedRegistryRevision(); got != 4 {
		t.Errorf("found expected revision %d, expected 4", got)
	}
	do("plan", path, "-o", "csv").expect(t, exitHasChange, "change,definition,version,details,dependents,data_work,warnings\n"+
		"add,entity:airport,1,,,,\nupdate words,source:flights,3,owner: set to\x1b ops,view:delays@1,,\n"+
		"new version,view:delays,2,query; feature late: added,service:s dataset:ds_1,\"30000 rows to read in [2001-01-01T00:00:00Z, "+
		"2001-02-01T00:00:00Z); the version before holds 1 row\",service s stays pinned to delays@1\n"+
		"add,view:new,1,,,\"nothing yet, as there are no rows to read\",\nrevive,role:r,1,,,,\nremove,service:old,4,,,,\nretire,view:past,4,,dataset:ds_2,,\n", "")
	other := file(t, "a.yaml", fmt.Sprintf(entities, "port"))
	r := do("apply", other, "--plan", plan)
	if r.code != exitFailed || !strings.Contains(r.err, plan+": found definitions with digest ") || !strings.Contains(r.err, "they changed since, so plan again") {
		t.Errorf("found status %d and %s", r.code, r.err)
	}
	do("apply", path, "--plan", path).expect(t, exitUsage, "", "headwater: "+path+": found something else than a plan, expected what `headwater plan --out` writes\n")
	if len(c.applied) != 1 {
		t.Errorf("found %d applies, expected the good one alone", len(c.applied))
	}

	// A plan says what becomes of what the files do not have, and so does its apply.
	do("apply", path, "--plan", plan, "--prune").expect(t, exitFailed, "", "headwater: "+plan+": found an apply with --prune, expected one "+
		"without --prune as planned; give the same flags, or plan again\n")
	do("plan", path, "--retire").expect(t, exitUsage, "", "headwater: found --retire without --prune, expected both: it says what becomes of what "+
		"cannot be removed\n")
	do("apply", path, "--retire").expect(t, exitUsage, "", "headwater: found --retire without --prune, expected both: it says what becomes of what "+
		"cannot be removed\n")
	do("plan", path, "--prune", "--retire", "--out", plan).expect(t, exitHasChange, changes, "")
	do("apply", path, "--plan", plan, "--prune").expect(t, exitFailed, "", "headwater: "+plan+": found an apply with --prune, expected one "+
		"with --prune --retire as planned; give the same flags, or plan again\n")
	do("apply", path, "--plan", plan, "--prune", "--retire", "--origin", "release 7").expect(t, exitDone, changes, "")
	if a := c.applied[1]; !a.Prune || !a.Retire || a.Origin != "release 7" {
		t.Errorf("found %v", a)
	}

	c.changes = nil
	do("plan", path).expect(t, exitDone, "", "nothing would change\n")
	do("apply", path).expect(t, exitDone, "", "nothing changed\n")

	taken := file(t, "a.yaml", fmt.Sprintf(entities, "taken"))
	r = do("plan", taken)
	if want := taken + ":2:"; r.code != exitFailed || !strings.Contains(r.err, want) {
		t.Errorf("found status %d and %s, expected the place %s", r.code, r.err, want)
	}
}

func TestARefusedRemovalNamesWhatItIsOf(t *testing.T) {
	c := &canned{refuse: fault.New(fault.FailedPrecondition, "--prune would remove 2 definitions that are used; nothing was changed").Violating(
		fault.Violation{Field: "service:old", Description: "found it used by dataset:ds_1"}, fault.Violation{Field: "view:past", Description: "found it used by service:old"})}
	do := c.serve(t)
	path := file(t, "a.yaml", fmt.Sprintf(entities, "airport"))
	for _, command := range []string{"plan", "apply"} {
		do(command, path, "--prune").expect(t, exitFailed, "", "headwater: --prune would remove 2 definitions that are used; nothing was changed\n"+
			"  service:old: found it used by dataset:ds_1\n  view:past: found it used by service:old\n")
	}
}

func TestValidateTellsOfCycles(t *testing.T) {
	path := file(t, "views.yaml", `entities:
  - name: shop
    join_keys: [{name: shop, type: string}]
feature_views:
  - name: a
    entity: shop
    features: [{name: f, type: int64}]
    sql:
      views: [b]
      query: SELECT shop, event_time, available_at, f FROM b
  - name: b
    entity: shop
    features: [{name: f, type: int64}]
    sql:
      views: [a]
      query: SELECT shop, event_time, available_at, f FROM a
`)
	headwater("validate", path).expect(t, exitFailed, "", "headwater: found 1 problem in the definitions\n  "+path+":9:15: found a cycle: a reads b "+
		"reads a; a view cannot be made of itself: take one of these references out, or name a version that is there already: NAME@VERSION\n")
}

func TestDiff(t *testing.T) {
	do := (&canned{}).serve(t)
	do("diff", "delays@1", "delays@2").expect(t, exitDone, "asked for delays@1 and delays@2 of view\nsql.query |   SELECT\nsql.query | -   a�\n",
		"delays@1 and delays@2 mean the same\n")
	do("diff", "source:delays@1", "sources:delays").expect(t, exitDone, "asked for delays@1 and delays of source\nsql.query |   SELECT\nsql.query | -   a�\n", "")
	do("diff", "delays", "delays").expect(t, exitDone, "", "nothing differs between delays@1 and delays@1\n")
	do("diff", "delays@1", "source:delays").expect(t, exitUsage, "", "headwater: found delays@1 and source:delays, expected two definitions of one kind\n")
	do("diff", "x:delays@1", "delays").expect(t, exitUsage, "", "headwater: found kind \"x\", expected one of "+kindList+"\n")
	if r := do("diff", "delays@1", "delays@2", "-o", "json"); !strings.Contains(r.out, `"words_only": true`) {
		t.Errorf("found %s", r.out)
	}
}

func TestDescribeShowsWhatColumnsAreMadeOf(t *testing.T) {
	do := (&canned{}).serve(t)
	r := do("describe", "view", "gate_delays")
	want := "\ncolumns\n  COLUMN  DEPENDS BY  ON\n  late    value       source:flights#delay\n  late    filter      source:flights#date, view:delays@2#mean\n"
	if r.code != exitDone || !strings.Contains(r.out, want) {
		t.Errorf("found status %d and\n%s\nexpected in it\n%s", r.code, r.out, want)
	}
}

func TestOriginIsTheCommitOfTheWorkTree(t *testing.T) {
	c := &canned{}
	do := c.serve(t)
	none := file(t, "a.yaml", fmt.Sprintf(entities, "airport"))
	tree := t.TempDir()
	git := func(args ...string) string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), "git", append([]string{"-C", tree, "-c", "user.name=a", "-c", "user.email=a@example.org"}, args...)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(out))
	}
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(tree, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	git("init", "-q")
	path := write("defs/a.yaml", fmt.Sprintf(entities, "airport"))
	git("add", ".")
	git("commit", "-q", "-m", "a")
	commit := "git:" + git("rev-parse", "HEAD")
	applied := func(args ...string) string {
		t.Helper()
		do(append([]string{"apply"}, args...)...).expect(t, exitDone, "", "nothing changed\n")
		return c.applied[len(c.applied)-1].Origin
	}
	if got := applied(none); got != "" {
		t.Errorf("outside of a work tree: found %q", got)
	}
	// What else is in the tree says nothing of the definitions.
	write("notes.txt", "x")
	if got := applied(path); got != commit {
		t.Errorf("found %q, expected %q", got, commit)
	}
	if got := applied(filepath.Dir(path)); got != commit {
		t.Errorf("of a folder: found %q, expected %q", got, commit)
	}
	second := file(t, "b.yaml", fmt.Sprintf(entities, "gate"))
	if got := applied(second, path); got != commit {
		t.Errorf("of two paths: found %q, expected %q", got, commit)
	}
	write("defs/b.yaml", fmt.Sprintf(entities, "gate"))
	if got := applied(filepath.Dir(path)); got != commit+" with changes" {
		t.Errorf("with a new file: found %q", got)
	}
	if got := applied(filepath.Dir(path), "--origin", ""); got != "" {
		t.Errorf("with an origin given: found %q", got)
	}
}
