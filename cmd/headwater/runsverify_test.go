package main

import (
	"strings"
	"testing"

	"google.golang.org/grpc"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

func (c *canned) VerifyRuns(req *headwaterv1.VerifyRunsRequest, stream grpc.ServerStreamingServer[headwaterv1.VerifyRunsResponse]) error {
	for i, v := range c.verdicts {
		r := &headwaterv1.VerifyRunsResponse{
			Run: &headwaterv1.Run{Id: int64(i + 1), View: "delays", ViewVersion: 1, Seq: int64(i + 1)}, Verdict: v, DurationMicros: 2_000_000,
			Total: int32(len(c.verdicts)),
		}
		if v != headwaterv1.Verdict_VERDICT_SAME {
			r.Details = []string{"first", "second"}
		}
		if err := stream.Send(r); err != nil {
			return err
		}
	}
	return nil
}

func TestRunsVerify(t *testing.T) {
	const same, changed, different, errored = headwaterv1.Verdict_VERDICT_SAME, headwaterv1.Verdict_VERDICT_SOURCE_CHANGED,
		headwaterv1.Verdict_VERDICT_DIFFERENT, headwaterv1.Verdict_VERDICT_ERRORED
	for _, c := range []struct {
		verdicts []headwaterv1.Verdict
		code     int
		message  string
	}{
		{[]headwaterv1.Verdict{same, same}, exitDone, ""},
		{[]headwaterv1.Verdict{same, changed}, exitNotHeld, "what 1 of 2 runs read has changed since"},
		{[]headwaterv1.Verdict{errored, different}, exitNotHeld, "ALARM: 1 of 2 runs gave another output on the same inputs"},
		{[]headwaterv1.Verdict{errored}, exitFailed, "1 of 1 runs could not be computed again"},
	} {
		run := (&canned{verdicts: c.verdicts}).serve(t)
		r := run("runs", "verify", "--since", "2024-01-01")
		if r.code != c.code || !strings.Contains(r.err, c.message) {
			t.Errorf("%v: found status %d and %q, expected %d and %q", c.verdicts, r.code, r.err, c.code, c.message)
		}
		if lines := strings.Count(r.out, "\n"); c.code == exitDone && lines != 3 || c.code != exitDone && !strings.Contains(r.out, "second") {
			t.Errorf("%v: found\n%s", c.verdicts, r.out)
		}
		if r := run("runs", "verify", "delays@1/1", "-o", "json"); !strings.Contains(r.out, `"verifications": [`) || !strings.Contains(r.out, `"total": `) {
			t.Errorf("found %s", r.out)
		}
		if r := run("runs", "verify", "1", "--since", "2024-01-01"); r.code != exitUsage {
			t.Errorf("found status %d of runs and a time, expected %d", r.code, exitUsage)
		}
		if r := run("runs", "verify"); r.code != exitUsage {
			t.Errorf("found status %d of neither runs nor a time, expected %d", r.code, exitUsage)
		}
	}
}
