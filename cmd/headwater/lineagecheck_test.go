package main

import (
	"strings"
	"testing"

	"google.golang.org/grpc"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

func (c *canned) CheckLineage(req *headwaterv1.CheckLineageRequest, stream grpc.ServerStreamingServer[headwaterv1.CheckLineageResponse]) error {
	all := &headwaterv1.LineageChecked{Rows: 12, Online: 7, Runs: 3, Datasets: 1, Total: 2}
	if len(req.GetViews()) > 0 {
		all.Orphans = 1
		err := stream.Send(&headwaterv1.CheckLineageResponse{Event: &headwaterv1.CheckLineageResponse_Orphan{
			Orphan: &headwaterv1.LineageOrphan{Node: "view:" + req.GetViews()[0], Found: "2 rows of sequence 9, which is no run's", Expected: "a published run delays@1/9"},
		}})
		if err != nil {
			return err
		}
	}
	one := &headwaterv1.LineageChecked{Node: "view:delays@1", Total: 2, Orphans: all.Orphans}
	for _, checked := range []*headwaterv1.LineageChecked{one, {Node: "dataset:ds_1", Total: 2}, all} {
		if err := stream.Send(&headwaterv1.CheckLineageResponse{Event: &headwaterv1.CheckLineageResponse_Checked{Checked: checked}}); err != nil {
			return err
		}
	}
	return nil
}

func TestLineageCheck(t *testing.T) {
	do := (&canned{}).serve(t)
	do("lineage", "check").expect(t, exitDone, ""+
		"ROWS  RUNS  ONLINE  DATASETS  ORPHANS\n"+
		"  12     3       7         1        0\n", "")
	do("lineage", "check", "delays@1").expect(t, exitNotHeld, ""+
		"NODE           FOUND                                    EXPECTED\n"+
		"view:delays@1  2 rows of sequence 9, which is no run's  a published run delays@1/9\n",
		"headwater: ALARM: the lineage does not hold (orphans: 1); look at the lines above, and at who may write to this Postgres and Redis, or at how they were restored\n")
	if r := do("lineage", "check", "delays@1", "-o", "json"); r.code != exitNotHeld || !strings.Contains(r.out, `"orphans": [`) || !strings.Contains(r.out, `"rows": "12"`) {
		t.Errorf("found %d and %s", r.code, r.out)
	}
}
