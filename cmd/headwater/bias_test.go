package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

func hostileBias() *headwaterv1.BiasReport {
	f := proto.Float64
	value := func(text string) *headwaterv1.BiasValue { return &headwaterv1.BiasValue{Text: &text} }
	return &headwaterv1.BiasReport{
		Id: "br_1", Dataset: "ds_1", DatasetRef: "hiring@2", ContentDigest: "ab12", Principal: hostile, CreatedAt: timestamppb.New(time.Date(2001, 1, 31, 12, 0, 0, 0, time.UTC)),
		Question: &headwaterv1.BiasQuestion{
			Label: "hired", Favourable: hostile, By: []string{"people.race"}, Prediction: "score", Threshold: f(0.5), Stratify: "site", References: map[string]string{"people.race": "a"},
		},
		Findings: &headwaterv1.BiasFindings{
			Rows: 303, LeftOut: 30, SetAside: 5, SpineSetAside: 2, Correction: "Holm",
			Groupings: []*headwaterv1.BiasGrouping{{
				By: []string{"people.race"},
				Label: &headwaterv1.BiasSummary{
					Verdict: headwaterv1.BiasVerdict_BIAS_VERDICT_BELOW_FOUR_FIFTHS, Reason: "the rate of " + hostile + " is 0.666 of that of a, expected at least 0.8", LeastRatio: f(0.6666),
					ParityDifference: f(0.2), Significant: true,
				},
				Prediction: &headwaterv1.BiasSummary{
					Verdict: headwaterv1.BiasVerdict_BIAS_VERDICT_NOT_ENOUGH_DATA, Reason: "no outcome is favourable", EqualOpportunityDifference: f(0.25), EqualizedOddsDifference: f(0.5),
				},
				Groups: []*headwaterv1.BiasGroup{
					{
						Values: []*headwaterv1.BiasValue{value("a")}, Rows: 200, Share: 200. / 303, Label: &headwaterv1.BiasRate{
							Known: 198, Missing: 2, Favourable: 120, Rate: f(0.6), Reference: true, ImpactRatio: f(1), ParityDifference: f(0),
						},
						Prediction: &headwaterv1.BiasRate{Known: 200, Rate: f(0), Reference: true, ParityDifference: f(0)},
						Errors:     &headwaterv1.BiasErrors{TruePositiveRate: f(0.75), FalsePositiveRate: f(0), Auc: f(0.875), AucOff: 0.001},
					},
					{
						Values: []*headwaterv1.BiasValue{value("few")}, Rows: 3, Share: 3. / 303, Apart: headwaterv1.BiasApart_BIAS_APART_SMALL, Label: &headwaterv1.BiasRate{Missing: 3},
						Prediction: &headwaterv1.BiasRate{Missing: 3}, Errors: &headwaterv1.BiasErrors{},
					},
					{
						Values: []*headwaterv1.BiasValue{value(hostile)}, Rows: 100, Share: 100. / 303, LeftOut: 10, SetAside: 5, Label: &headwaterv1.BiasRate{
							Known: 100, Favourable: 40, Rate: f(0.4), ImpactRatio: f(2. / 3), ParityDifference: f(-0.2), Test: "two-proportion z test", P: f(0.001), PAdjusted: f(0.00001),
							Stratified: &headwaterv1.BiasStratified{Strata: 2, Statistic: 10, P: 0.0015, PAdjusted: 0.0015, OddsRatio: f(0.44), OddsRatioLow: f(0.25), OddsRatioHigh: f(0.75)},
						},
						Prediction: &headwaterv1.BiasRate{Known: 100, Rate: f(0), ParityDifference: f(0), Test: "Fisher's exact test", P: f(1), PAdjusted: f(1)},
						Errors:     &headwaterv1.BiasErrors{TruePositiveRate: f(0.5), FalsePositiveRate: f(0.5), EqualOpportunityDifference: f(-0.25), EqualizedOddsDifference: f(0.5), Auc: f(0.5)},
					},
					{
						Values: []*headwaterv1.BiasValue{{}}, Apart: headwaterv1.BiasApart_BIAS_APART_UNKNOWN, Label: &headwaterv1.BiasRate{}, Prediction: &headwaterv1.BiasRate{}, Errors: &headwaterv1.BiasErrors{},
					},
				},
				Missing: []*headwaterv1.BiasMissing{{Column: "scores__score", Rows: []int64{0, 3, 50, 0}}},
			}},
			Proxies: []*headwaterv1.BiasProxy{
				{Attribute: "people.race", Column: "scores__club", CramersV: 1, CramersVCorrected: 0.99, MutualInformationNats: 0.6365, MutualInformationShare: 1, Exact: true},
				{Attribute: "people.race", Column: hostile, CramersV: 0.1, Auc: f(0.55), AucOff: 0.002, Group: value("a")},
			},
		},
	}
}

// The pages are the same for the same report, and nothing that came with a value becomes markup, a script, a link or a terminal's command.
func TestBiasPages(t *testing.T) {
	r := &headwaterv1.GetBiasReportResponse{Report: hostileBias()}
	for form, name := range map[string]string{"table": "bias.txt", "md": "bias.md", "html": "bias.html", "json": "bias.json"} {
		var out bytes.Buffer
		a := &app{streams: streams{out: &out}, output: form}
		if err := a.writePage(r, newBiasPage(r.GetReport()), ""); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil || out.String() != string(want) {
			t.Errorf("%s, %v: found\n%s\nexpected\n%s", name, err, out.String(), want)
		}
		if strings.ContainsAny(out.String(), "\x1b\x00") {
			t.Errorf("%s holds a control character", name)
		}
		if form != "html" && form != "md" {
			continue
		}
		for _, not := range []string{"<script", "<b>", "href", "src=", "**b", " `x", "\n# head"} {
			if form == "html" && (not == "**b" || not == " `x") {
				continue
			}
			if strings.Contains(out.String(), not) {
				t.Errorf("%s holds %q", name, not)
			}
		}
	}
	// What an erasure took away is said to be gone.
	gone := hostileBias()
	gone.Findings, gone.ErasedAt = nil, gone.GetCreatedAt()
	page := newBiasPage(gone)
	if len(page.Parts) > 0 || len(page.Summary) != 1 || !strings.HasPrefix(page.Summary[0], "An erasure took away") {
		t.Errorf("found %+v", page)
	}
}
