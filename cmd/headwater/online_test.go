package main

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

func (c *canned) CheckOnline(r *headwaterv1.CheckOnlineRequest, stream grpc.ServerStreamingServer[headwaterv1.CheckOnlineResponse]) error {
	delays := &headwaterv1.CheckOnlineResponse{View: "delays", ViewVersion: 2, Seq: 7, Entities: 120}
	if !c.same {
		delays.Repair = &headwaterv1.OnlineRepair{NoticedAt: timestamppb.New(time.Unix(0, 0)), EndedAt: timestamppb.New(time.Unix(60, 0)), Entities: 17}
		delays.Missing, delays.PendingLoads = 1, int64(len(r.GetViews()))
		delays.Differences = []*headwaterv1.OnlineDifference{{
			Key: "origin ORD", Kind: "missing", Expected: "event time 2024-01-01T00:00:00Z", Found: "nothing",
		}}
	}
	if err := stream.Send(delays); err != nil {
		return err
	}
	traffic := &headwaterv1.CheckOnlineResponse{View: "traffic", ViewVersion: 1, Seq: 1, Entities: 3}
	if !c.same {
		traffic.Repair = &headwaterv1.OnlineRepair{NoticedAt: timestamppb.New(time.Unix(0, 0))}
	}
	return stream.Send(traffic)
}

func TestOnlineCheck(t *testing.T) {
	c := &canned{same: true}
	do := c.serve(t)
	const header = "VIEW       SEQ  ENTITIES  MISSING  DIFFERENT  SURPLUS  PENDING LOADS\n"
	do("online", "check").expect(t, exitDone, header+
		"delays@2     7       120        0          0        0              0\n"+
		"traffic@1    1         3        0          0        0              0\n", "")
	c.same = false
	do("online", "check").expect(t, exitNotHeld, header+
		"delays@2     7       120        1          0        0              0\n"+
		"traffic@1    1         3        0          0        0              0\n"+
		"\ndifferences\n"+
		"  VIEW      KEY         KIND     EXPECTED                         FOUND\n"+
		"  delays@2  origin ORD  missing  event time 2024-01-01T00:00:00Z  nothing\n"+
		"\nloaded again since another Redis took over\n"+
		"  VIEW       NOTICED               ENDED                 ENTITIES\n"+
		"  delays@2   1970-01-01T00:00:00Z  1970-01-01T00:01:00Z        17\n"+
		"  traffic@1  1970-01-01T00:00:00Z  not yet                      0\n",
		"headwater: delays@2: 1 of 120 entities are not online as the history has them; `headwater online rebuild delays@2` loads them again\n")
	do("online", "check", "delays", "-o", "csv").expect(t, exitNotHeld, "view,seq,entities,missing,different,surplus,pending_loads\n"+
		"delays@2,7,120,1,0,0,1\ntraffic@1,1,3,0,0,0,0\n",
		"headwater: delays@2: 1 of 120 entities are not online as the history has them; 1 loads have not ended, so check again when they have\n")
	if r := do("online", "check", "-o", "json"); r.code != exitNotHeld || strings.Count(r.out, `"view_version"`) != 2 {
		t.Errorf("found status %d and\n%s", r.code, r.out)
	}
}
