package main

import (
	"bytes"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

func TestDriftIsShown(t *testing.T) {
	r := &headwaterv1.CompareProfilesResponse{Columns: []*headwaterv1.ColumnDrift{
		{
			Name: "delay", Verdict: headwaterv1.DriftVerdict_DRIFT_VERDICT_FAIL, Reason: "PSI is 0.5, expected less than 0.25", BaselineRows: 1000, CurrentRows: 900, Psi: 0.5, PsiFloor: 0.06,
			JensenShannonDistanceNats: 0.2355, JensenShannonDivergenceBits: 0.08, LInfinity: 0.125, ChiSquare: 105.5, ChiSquareFreedom: 9, ChiSquareP: 0.00004, Unseen: proto.Float64(0.03), KolmogorovSmirnov: proto.Float64(0.25), Wasserstein: proto.Float64(12.5), CompletenessChange: -0.125,
		},
		{Name: "words", Verdict: headwaterv1.DriftVerdict_DRIFT_VERDICT_NO_BASELINE, Reason: "there is no baseline"},
	}}
	var b bytes.Buffer
	table := driftTable(r)
	if err := table.write(&b, ""); err != nil {
		t.Fatal(err)
	}
	want := `COLUMN  VERDICT         PSI  BY CHANCE  JS DISTANCE NATS  JS DIVERGENCE BITS      KS  WASSERSTEIN  L-INFINITY  CHI-SQUARE  FREEDOM       P  UNSEEN  COMPLETENESS  ROWS         REASON
delay   FAIL         0.5000     0.0600            0.2355              0.0800  0.2500         12.5      0.1250       105.5        9  0.0000   3.0 %       -12.5 %  1000 to 900  PSI is 0.5, expected less than 0.25
words   NO_BASELINE                                                                                                                                                            there is no baseline
`
	lines := strings.Split(b.String(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("found\n%s\nexpected\n%s", got, want)
	}
}

// Skew has the distances of each feature that there are any of, named as drift has them.
func TestSkewHasDistances(t *testing.T) {
	drifted := &headwaterv1.ColumnDrift{Name: "delay", BaselineRows: 50, CurrentRows: 40, Psi: 0.5, JensenShannonDistanceNats: 0.25, ChiSquare: 3, ChiSquareFreedom: 2, Unseen: proto.Float64(1)}
	sections := skewSections(&headwaterv1.GetSkewResponse{Features: []*headwaterv1.FeatureSkew{{Drift: drifted}, {Drift: &headwaterv1.ColumnDrift{Name: "hashed"}}}})
	distances := sections[2]
	want := "delay 0.5000 0.0000 0.2500 0.0000   0.0000 3 2 0.0000 100.0 %  50 to 40"
	if distances.title != "distances" || len(distances.rows) != 1 || strings.Join(distances.rows[0], " ") != want {
		t.Errorf("found %s %q, expected %q", distances.title, distances.rows, want)
	}
}
