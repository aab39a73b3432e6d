package main

import (
	"context"
	"strings"
	"testing"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

func (c *canned) DiffRuns(_ context.Context, req *headwaterv1.DiffRunsRequest) (*headwaterv1.DiffRunsResponse, error) {
	d := &headwaterv1.DiffRunsResponse{A: req.GetA(), B: req.GetB()}
	if req.GetB() == "delays@1/1" {
		return d, nil
	}
	for _, change := range [][4]string{
		{"definition", "version", "delays@1", "delays@2"},
		{"definition", "sql.query", "SELECT origin,\n  delay\nFROM flights", "SELECT origin,\n  delay * 2 AS delay\x1b[31m\nFROM flights"},
		{"definition", "ttl", "", "48h"}, {"definition", "view spread: no longer read", "", ""},
		{"inputs", "load:3", "not read", "3 rows of mended.csv"},
		{"rows", "read", "3", "40"},
	} {
		d.Changes = append(d.Changes, &headwaterv1.RunChange{About: change[0], Name: change[1], A: change[2], B: change[3]})
	}
	d.LeftOut = []string{"digests of rows: you may not"}
	return d, nil
}

func TestLineageDiff(t *testing.T) {
	do := (&canned{}).serve(t)
	do("lineage", "diff", "run:delays@1/1", "delays@2/1").expect(t, exitDone, ""+
		"definition\n"+
		"           delays@1/1  delays@2/1\n"+
		"  version  delays@1    delays@2\n"+
		"  sql.query\n"+
		"      SELECT origin,\n"+
		"    -   delay\n"+
		"    +   delay * 2 AS delay\uFFFD[31m\n"+
		"      FROM flights\n"+
		"                               delays@1/1  delays@2/1\n"+
		"  ttl                                      48h\n"+
		"  view spread: no longer read\n"+
		"\n"+
		"inputs\n"+
		"          delays@1/1  delays@2/1\n"+
		"  load:3  not read    3 rows of mended.csv\n"+
		"\n"+
		"rows\n"+
		"        delays@1/1  delays@2/1\n"+
		"  read  3           40\n", "not compared: digests of rows: you may not\n")
	do("lineage", "diff", "delays@1/1", "delays@1/1").expect(t, exitDone, "", "both are run delays@1/1\n")
	do("lineage", "diff", "delays@1/2", "delays@1/1").expect(t, exitDone, "", "nothing differs between run delays@1/2 and run delays@1/1\n")
	if r := do("lineage", "diff", "delays@1/2", "delays@2/1", "-o", "csv"); !strings.HasPrefix(r.out, "about,name,a,b\ndefinition,version,delays@1,delays@2\n") {
		t.Errorf("found %s", r.out)
	}
	if r := do("lineage", "diff", "delays@1/2", "delays@2/1", "-o", "json"); !strings.Contains(r.out, `"about": "definition"`) || !strings.Contains(r.out, `"left_out": [`) {
		t.Errorf("found %s", r.out)
	}
	do("lineage", "diff", "delays@1/2").expect(t, exitUsage, "", "headwater: found 1 argument, expected `headwater lineage diff RUN RUN`\n")
}
