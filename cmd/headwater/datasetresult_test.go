package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

func TestRulesAreKeptInTheirOrder(t *testing.T) {
	c := &canned{}
	do := c.serve(t)
	spine := file(t, "spine.csv", "origin,gate,timestamp\nORD,3,2001-01-01\n")
	build := func(args ...string) result {
		return do(append([]string{"dataset", "build", "--service", "delays", "--spine", spine, "--out", filepath.Join(t.TempDir(), "out.csv")}, args...)...)
	}
	build("--leave-out-where", `row.gate in [1, 2] || row.origin == "a,b"`, "--with-statuses", "--leave-out-missing", "any", "--leave-out-all-missing", "all",
		"--leave-out-where", "row.gate == 3", "--leave-out-missing", "origin,gate").expect(t, exitDone, "*", "")
	var rules []string
	for _, r := range c.built.LeaveOut {
		rules = append(rules, leftOutText(r))
	}
	want := `where row.gate in [1, 2] || row.origin == "a,b"; any missing of features; all missing of features; where row.gate == 3; any missing of origin, gate`
	if got := strings.Join(rules, "; "); got != want || !c.built.WithStatuses {
		t.Errorf("found %s, expected %s", got, want)
	}
	build("--leave-out-missing", "origin,").expect(t, exitUsage, "", "*")
}

func TestManifestsWithSummaries(t *testing.T) {
	m := manifest("s0")
	m.SpineRows = 5
	m.LeftOut = []*headwaterv1.LeftOut{
		{Rule: &headwaterv1.LeaveOutRule{Rule: &headwaterv1.LeaveOutRule_AllMissing{AllMissing: &headwaterv1.LeaveOutMissing{}}}, Rows: 3},
		{Rule: &headwaterv1.LeaveOutRule{Rule: &headwaterv1.LeaveOutRule_Condition{Condition: "row.gate == 3"}}},
	}
	m.WithStatuses = true
	m.Versions = &headwaterv1.SoftwareVersions{Server: "v0", Cel: "v0.32.0", Tzdata: "2026a", Postgres: "15.4"}
	m.Policy = &headwaterv1.AppliedPolicy{
		Roles: []string{"admin", "trainer"}, Attributes: map[string]*headwaterv1.AttributeValues{"regions": {Values: []string{"FR", "UK"}}},
		Rules: []*headwaterv1.AppliedRule{{Policy: "p@1", About: "airport_delays@1.words", Does: "hash by key k", KeyVersion: 2}},
	}
	m.Views[0].Runs = []int64{1, 2, 3, 7, 9, 10}
	m.Columns[0].Summary = &headwaterv1.ColumnSummary{
		Min: &headwaterv1.Value{Kind: &headwaterv1.Value_StringValue{StringValue: strings.Repeat("a\n", 20)}},
		Max: &headwaterv1.Value{Kind: &headwaterv1.Value_StringValue{StringValue: "ORD"}}, Distinct: 2,
	}
	m.Columns[1].Summary = &headwaterv1.ColumnSummary{
		Min:  &headwaterv1.Value{Kind: &headwaterv1.Value_DecimalValue{DecimalValue: "-1.50"}},
		Mean: proto.Float64(2.0 / 3), Nans: 4, Distinct: 1,
	}
	var b strings.Builder
	if err := writeSections(&b, manifestSections(m)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"\nrows               2\nspine rows         5\nstatuses           a column behind each feature\n",
		"\nmade with          CEL v0.32.0, time zones 2026a, Postgres 15.4\nroles              admin, trainer\nattribute regions  FR, UK\n",
		"\npolicies\n  POLICY  ABOUT                   DOES\n  p@1     airport_delays@1.words  hash by key k, version 2\n",
		"airport_delays@1    2          f1           1-3, 7, 9-10\n",
		"\nleft out\n  RULE                     ROWS\n  all missing of features     3\n  where row.gate == 3         0\n",
		"\nvalues\n  COLUMN                      MIN                             MAX        MEAN  NANS  DISTINCT\n",
		fmt.Sprintf("  origin                      %s…  ORD                 0         2\n", strings.Repeat("a ", 14)+"a"),
		"  airport_delays__departures  -1.50                                0.66666667     4         1\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("found\n%s\nexpected %s", b.String(), want)
		}
	}
}
