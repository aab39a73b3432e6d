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
			JensenShannonDivergenceBits: 0.08, KolmogorovSmirnov: proto.Float64(0.25), Wasserstein: proto.Float64(12.5), CompletenessChange: -0.125,
		},
		{Name: "words", Verdict: headwaterv1.DriftVerdict_DRIFT_VERDICT_NO_BASELINE, Reason: "there is no baseline"},
	}}
	var b bytes.Buffer
	table := driftTable(r)
	if err := table.write(&b, ""); err != nil {
		t.Fatal(err)
	}
	want := `COLUMN  VERDICT         PSI  BY CHANCE  JS BITS      KS  WASSERSTEIN  UNSEEN  COMPLETENESS  ROWS         REASON
delay   FAIL         0.5000     0.0600   0.0800  0.2500         12.5               -12.5 %  1000 to 900  PSI is 0.5, expected less than 0.25
words   NO_BASELINE                                                                                      there is no baseline
`
	lines := strings.Split(b.String(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("found\n%s\nexpected\n%s", got, want)
	}
}
