package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	headwaterv1 "github.com/headwaterhq/headwater/gen/headwater/v1"
)

// A score is drawn on a scale from 0 to 100: a span of time without one is a blank, and a span that was at 0 is not.
func TestAScoreOverTimeIsDrawn(t *testing.T) {
	from := time.Date(2001, 2, 3, 0, 0, 0, 0, time.UTC)
	point := func(minute int, score float64, parts ...*headwaterv1.QualityPart) *headwaterv1.QualityPoint {
		return &headwaterv1.QualityPoint{At: timestamppb.New(from.Add(time.Duration(minute) * time.Minute)), Score: score, Parts: parts}
	}
	got := scoreLine([]*headwaterv1.QualityPoint{point(0, 100), point(1, 0, &headwaterv1.QualityPart{Name: "checks", Value: proto.Float64(0)}), point(3, 90), point(3, 50.9), point(59, 99.99)}, from, from.Add(time.Hour))
	if want := "2001-02-03T00:00:00Z ▏█▁ ▅" + strings.Repeat(" ", 55) + "█▕ now 99, at least 0 at 2001-02-03T00:01:00Z (checks 0.00)"; got != want {
		t.Errorf("found\n%s\nexpected\n%s", got, want)
	}
	if got := scoreLine(nil, from, from.Add(time.Hour)); got != "no score is known since 2001-02-03T00:00:00Z" {
		t.Errorf("found %s", got)
	}
	var b bytes.Buffer
	table := qualityTable([]*headwaterv1.NodeQuality{
		{Node: "source:flights", Owner: "team", Score: proto.Float64(99.99), Parts: []*headwaterv1.QualityPart{{Name: "checks", Value: proto.Float64(1)}, {Name: "quarantine", Value: proto.Float64(0.999), Detail: "1 of 1000 rows were set aside"}, {Name: "drift", Detail: "none"}}},
		{Node: "view:new@1"},
	})
	if err := table.write(&b, ""); err != nil {
		t.Fatal(err)
	}
	want := []string{"NODE", "SCORE", "PARTS", "RUN", "ENDED", "AT", "OWNER", "WHY", "source:flights", "99", "checks", "1.00", "quarantine", "0.99", "drift", "?", "team", "quarantine:", "1", "of", "1000", "rows",
		"were", "set", "aside", "view:new@1", "nothing", "is", "known", "of", "it"}
	if got := strings.Fields(b.String()); strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("found\n%s", b.String())
	}
}
