package main

import (
	"context"
	"fmt"
	"strings"
	"testing"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// ListUses has three readings, two on the first page of as many.
func (c *canned) ListUses(_ context.Context, req *headwaterv1.ListUsesRequest) (*headwaterv1.ListUsesResponse, error) {
	r := &headwaterv1.ListUsesResponse{Since: at("2001-01-04T04:05:06Z")}
	first, last := 1, min(3, int(req.GetPageSize()))
	if req.GetPageToken() != "" {
		first, last = 3, 3
	}
	for n := first; n <= last; n++ {
		r.Uses = append(r.Uses, &headwaterv1.Use{
			Time: at("2001-02-03T04:05:06Z"), Principal: "ann", Action: "read_online", Resource: "service:s@1", Calls: int64(n), ReadId: fmt.Sprintf("rd_%d", n),
			Path: []string{req.GetNode(), "view:delays@1#delay", "service:s@1"},
		})
	}
	if last < 3 {
		r.NextPageToken = "more"
	}
	return r, nil
}

func TestLineageUses(t *testing.T) {
	do := (&canned{}).serve(t)
	line := func(n int) string {
		return fmt.Sprintf("2001-02-03T04:05:06Z  ann        read_online  service:s@1               %d  rd_%[1]d           source:flights#delay > view:delays@1#delay > service:s@1\n", n)
	}
	const header = "TIME                  PRINCIPAL  ACTION       RESOURCE     PURPOSE  CALLS  READ  DATASET  PATH\n"
	const since = "readings since 2001-01-04T04:05:06Z; --since TIME goes back further, as far as the audit is kept\n"
	do("lineage", "uses", "source:flights#delay").expect(t, exitDone, header+line(1)+line(2)+line(3), since)
	do("lineage", "uses", "source:flights#delay", "--since", "2000-01-01").expect(t, exitDone, header+line(1)+line(2)+line(3), "")
	do("lineage", "uses", "source:flights#delay", "--limit", "2").expect(t, exitDone, header+line(1)+line(2), since+"there are older ones: --limit 0 shows all\n")
	if r := do("lineage", "uses", "source:flights#delay", "--limit", "0", "-o", "json"); strings.Count(r.out, `"read_id": "rd_`) != 3 {
		t.Errorf("found %s", r.out)
	}
	do("lineage", "uses", "source:flights", "--limit", "-1").expect(t, exitUsage, "", "headwater: found --limit -1, expected 0 (all) or more\n")
	if r := do("lineage", "uses", "source:flights", "--since", "soon"); r.code != exitUsage || !strings.HasPrefix(r.err, `headwater: --since: found "soon", expected a timestamp`) {
		t.Errorf("found %d and %s", r.code, r.err)
	}
}
