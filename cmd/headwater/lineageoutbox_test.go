package main

import (
	"context"
	"fmt"
	"strings"
	"testing"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// GetOutbox has events about three things, two on the first page of as many. Nobody is told where no definition is shown.
func (c *canned) GetOutbox(_ context.Context, req *headwaterv1.GetOutboxRequest) (*headwaterv1.GetOutboxResponse, error) {
	if c.blind {
		return &headwaterv1.GetOutboxResponse{Waiting: 1, Oldest: at("2001-02-03T04:05:06Z")}, nil
	}
	r := &headwaterv1.GetOutboxResponse{Receiver: "http://marquez:5000/api/v1/lineage", Waiting: 5, Tried: 1, Parked: 1, Oldest: at("2001-02-03T04:05:06Z")}
	first, last := 1, min(3, int(req.GetPageSize()))
	if req.GetPageToken() != "" {
		first, last = 3, 3
	}
	for n := first; n <= last; n++ {
		r.Subjects = append(r.Subjects, &headwaterv1.OutboxSubject{
			Subject: fmt.Sprintf("run:delays@1/%d", n), Topic: "run.started", Waiting: 2, Parked: int64(n / 3), Oldest: at("2001-02-03T04:05:06Z"), Attempts: 4,
			NextTry: at("2001-02-03T04:06:06Z"), Error: "status 503: no space left", Receiver: "openlineage",
		})
	}
	if last < 3 {
		r.NextPageToken = "2"
	}
	return r, nil
}

func TestLineageOutbox(t *testing.T) {
	c := &canned{}
	do := c.serve(t)
	line := func(n, parked int) string {
		return fmt.Sprintf("run:delays@1/%d  run.started        2       %d  2001-02-03T04:05:06Z         4  2001-02-03T04:06:06Z  openlineage  status 503: no space left\n", n, parked)
	}
	const (
		header = "SUBJECT         TOPIC        WAITING  PARKED  SINCE                 ATTEMPTS  NEXT TRY              RECEIVER     ERROR\n"
		note   = "events go to http://marquez:5000/api/v1/lineage; waiting: 5, the oldest since 2001-02-03T04:05:06Z; of them tried and not taken: 1; parked, which it refused: 1\n"
	)
	do("lineage", "outbox").expect(t, exitDone, header+line(1, 0)+line(2, 0)+line(3, 1), note)
	do("lineage", "outbox", "--limit", "2").expect(t, exitDone, header+line(1, 0)+line(2, 0), note+"there are newer ones: --limit 0 shows all\n")
	if r := do("lineage", "outbox", "--limit", "0", "-o", "json"); strings.Count(r.out, `"subject": "run:`) != 3 || !strings.Contains(r.out, `"tried": "1"`) {
		t.Errorf("found %s", r.out)
	}
	do("lineage", "outbox", "--limit", "-1").expect(t, exitUsage, "", "headwater: found --limit -1, expected 0 (all) or more\n")
	c.blind = true
	do("lineage", "outbox").expect(t, exitDone, "SUBJECT  TOPIC  WAITING  PARKED  SINCE  ATTEMPTS  NEXT TRY  RECEIVER  ERROR\n",
		"nobody is told: the server has no HEADWATER_OPENLINEAGE_URL and no HEADWATER_OPENLINEAGE_FILE; waiting: 1, the oldest since 2001-02-03T04:05:06Z; "+
			"they are deleted when they are as old as events are kept\n")
}
