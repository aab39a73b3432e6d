package main

import (
	"bytes"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

func floatValue(f float64) *headwaterv1.Value {
	return &headwaterv1.Value{Kind: &headwaterv1.Value_Float64Value{Float64Value: f}}
}

// A profile is drawn with bars, beside another one on its scale, and says what is withheld.
func TestProfilesAreDrawn(t *testing.T) {
	delay := func(low, high float64) *headwaterv1.ColumnProfile {
		return &headwaterv1.ColumnProfile{Name: "delay", TypeName: "float64", Nulls: 5, Distinct: 3, DistinctExact: true, Values: &headwaterv1.ValueProfile{
			Min: floatValue(low), Max: floatValue(high), Mean: proto.Float64((low + high) / 2), StandardDeviation: proto.Float64(2),
			Quantiles: []*headwaterv1.QuantileValue{{Q: 0.5, Value: low + 1}},
			Histogram: []*headwaterv1.HistogramBin{{From: floatValue(low), To: floatValue((low + high) / 2), Rows: 4}, {From: floatValue((low + high) / 2), To: floatValue(high), Rows: 1}},
			Top:       []*headwaterv1.FrequentValue{{Value: floatValue(low), Rows: 4}, {Value: floatValue(high), Rows: 1}}, TopExact: true,
		}}
	}
	step := func(from, to string, rows, there int64) *headwaterv1.TimeCompleteness {
		return &headwaterv1.TimeCompleteness{From: timestamppb.New(at(from).AsTime()), To: timestamppb.New(at(to).AsTime()), Rows: rows, Present: []int64{rows, there}}
	}
	p := &headwaterv1.Profile{
		Node: "run:delays@1/2", Rows: 10, TimeStep: "day",
		Columns: []*headwaterv1.ColumnProfile{{Name: "airport", TypeName: "string", Key: true, Distinct: 3000}, delay(0, 10)},
		ByTime:  []*headwaterv1.TimeCompleteness{step("2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z", 5, 5), step("2024-01-20T00:00:00Z", "2024-01-21T00:00:00Z", 5, 0)},
		ByGroup: []*headwaterv1.GroupedCompleteness{{Column: "region", Groups: []*headwaterv1.GroupCompleteness{{Rows: 10, Present: []int64{10, 5}}}}},
	}
	against := &headwaterv1.Profile{Node: "view:delays@1", Rows: 1000, Columns: []*headwaterv1.ColumnProfile{delay(10, 20)}, Withheld: "for others"}
	var b bytes.Buffer
	if err := writeSections(&b, profileSections(p, against)); err != nil {
		t.Fatal(err)
	}
	want := `profile  run:delays@1/2  10 rows
against  view:delays@1   1000 rows  for others

Columns
  COLUMN     TYPE       NULL  NAN  EMPTY  DISTINCT  MIN  MEDIAN  MAX  MEAN  STDDEV  DISTRIBUTION            MOST FREQUENT
  airport    key                             ~3000
  delay      float64  50.0 %                     3  0    1       10   5     2       ▏█                   ▕  0 40.0 %
  └ against  float64   0.5 %                     3  10   11      20   15    2       ▏██████████▃▃▃▃▃▃▃▃▃▃▕  10 0.4 %

Completeness of run:delays@1/2, from 2024-01-01 to 2024-01-21
  COLUMN   THERE  BY TIME                 LEAST  IN THE DAY OF
  rows            ▏█                  █▕
  delay   50.0 %  ▏█                   ▕  0 %    2024-01-20

Completeness of run:delays@1/2 by region
  REGION  ROWS  delay THERE
  NULL      10       50.0 %
`
	lines := strings.Split(b.String(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("found\n%s\nexpected\n%s", got, want)
	}
}
