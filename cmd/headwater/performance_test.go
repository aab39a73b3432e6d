package main

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/proto"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

func estimate(value, low, high float64, n int64) *headwaterv1.Estimate {
	return &headwaterv1.Estimate{Value: value, Low: proto.Float64(low), High: proto.Float64(high), N: n}
}

// A verdict is shown with whom it names, what stands out, why the runs behind it are suspect, and what would mend it.
func TestAttributionIsShown(t *testing.T) {
	r := &headwaterv1.AttributeLossResponse{
		Verdict: headwaterv1.LossVerdict_LOSS_VERDICT_UPSTREAM_SUSPECT, Reason: "load:3 is worse", Before: estimate(0.1, 0.05, 0.15, 90), Since: estimate(0.5, 0.25, 0.75, 90),
		LabelsMoved: proto.Float64(0.01), PredictionsMoved: proto.Float64(0.5), Tested: 2, Hidden: 4,
		Suspect: &headwaterv1.LossSuspect{Slice: "load:3", Source: "bureau", Load: 3, File: "north.csv", Run: "record@1/2", Commands: []string{"headwater impact bureau --load 3 --repair"}},
		Slices: []*headwaterv1.AttributedSlice{
			{Slice: "load:3", Title: "north.csv", Labelled: 30, Excess: estimate(0.5, 0.25, 0.75, 30), Q: 0.000012, StandsOut: true, Tested: true, Exact: true,
				Evidence: []*headwaterv1.RunEvidence{{Run: "record@1/2", Checks: []string{"few of source:bureau warned"}, Drift: []string{"late FAIL, PSI 0.648 against the run before"}}, {Run: "record@1/1"}}},
			{Slice: "load:4", Title: "south.csv", Labelled: 30, Excess: estimate(-0.25, -0.5, 0, 30), Q: 1, Tested: true, Why: "by runs"},
			{Slice: "load:5", Title: "west.csv", Labelled: 2, Excess: &headwaterv1.Estimate{Value: 0.5, N: 2}, Q: 1, Exact: true},
		},
	}
	expectSections(t, attributionSections(r), `verdict            UPSTREAM_SUSPECT
reason             load:3 is worse
source             bureau
load               3 north.csv
run                record@1/2
loss before        0.1 (0.05 to 0.15)
loss since         0.5 (0.25 to 0.75)
outcomes moved     0.010
predictions moved  0.500
slices compared    2
hidden             4 slices that you may not see

slices, those that stand out most first
  SLICE   TITLE      LABELLED  EXCESS  95% FROM    TO  USUAL        Q  STANDS OUT  EXACT
  load:3  north.csv        30     0.5      0.25  0.75      0  1.2e-05  yes         yes
  load:4  south.csv        30   -0.25      -0.5     0      0        1  no          no: by runs
  load:5  west.csv          2     0.5                      0           too few     yes

runs behind those that stand out
  SLICE   RUN         WHAT
  load:3  record@1/2  few of source:bureau warned
  load:3  record@1/2  late FAIL, PSI 0.648 against the run before
  load:3  record@1/1  no check failed or warned, and nothing drifted

what shows what it reached, and what would mend it, in order
  headwater impact bureau --load 3 --repair
`)
}

// Measures that cannot be told are left out, and not shown as 0.
func TestPerformanceIsShown(t *testing.T) {
	overall := &headwaterv1.PerformanceSlice{
		Predictions: 40, Labelled: 30, Coverage: estimate(0.75, 0.6, 0.86, 40), Loss: estimate(2, 1, 3, 30), Mae: estimate(2, 1, 3, 30), Rmse: estimate(3, 2, 4, 30), Bias: estimate(-1, -2, 0, 30),
	}
	r := &headwaterv1.GetPerformanceResponse{
		Model: "fares", Task: headwaterv1.ModelTask_MODEL_TASK_REGRESSION, Overall: overall, WithoutRead: 3, Parked: 2, Hidden: 1,
		Slices: []*headwaterv1.PerformanceSlice{{Slice: "load:1", Title: "a.csv", Predictions: 4, Labelled: 1, Coverage: estimate(0.25, 0.04, 0.7, 4), Loss: &headwaterv1.Estimate{Value: 5, N: 1},
			Rmse: &headwaterv1.Estimate{Value: 5, N: 1}, Bias: &headwaterv1.Estimate{Value: 5, N: 1}, Exact: true}, {Slice: "load:2", Title: "b.csv", Predictions: 1, Why: "by runs"}},
	}
	expectSections(t, performanceSections(r), `model                          fares
task                           regression
predictions                    40
with known outcomes            30, 75.0 % (60.0 % to 86.0 %)
without a logged read          3
outcomes without a prediction  2
hidden                         1 slice that you may not see

measures
  MEASURE  VALUE  95% FROM  TO  OF
  loss         2         1   3  30
  MAE          2         1   3  30
  RMSE         3         2   4  30
  bias        -1        -2   0  30

slices, the worst first
  SLICE   TITLE  PREDICTIONS  COVERAGE  LOSS  95% FROM  TO  RMSE  BIAS  EXACT
  load:1  a.csv            4    25.0 %     5                   5     5  yes
  load:2  b.csv            1                                            no: by runs
`)
}

func expectSections(t *testing.T, sections []section, want string) {
	t.Helper()
	var b bytes.Buffer
	if err := writeSections(&b, sections); err != nil {
		t.Fatal(err)
	}
	if b.String() != want {
		t.Errorf("found\n%s\nexpected\n%s", b.String(), want)
	}
}
